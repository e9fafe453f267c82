"""The steps of a broadcast, one at a time, on the real stores: who comes second does nothing, and the books hold."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from clarion.adapters.postgres.broadcast_chunks import PostgresBroadcastChunks
from clarion.adapters.postgres.broadcasts import PostgresSnapshots
from clarion.audience.model import Member, ResolvedSegment
from clarion.kernel.errors import Permanent
from clarion.kernel.ids import parse_id
from clarion.orchestration.broadcasts import Balance, Chunk, Source, Timing
from clarion.orchestration.fan_out import expand
from clarion.orchestration.model import ChunkRef
from clarion.orchestration.snapshot import Collecting, SnapshotPorts, collect
from clarion.testing.waiting import eventually
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORDS = {"subject": "Hello", "title": "Hello", "body": "Hello"}


class ShortPages:
    """`AudienceReader` of a segment that comes one member at a time, or (without members) cannot be evaluated."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members

    async def resolve(self, tenant_id: bytes, segment: str) -> ResolvedSegment:
        """A segment of this name."""
        assert tenant_id
        return ResolvedSegment(segment, "true", 0)

    async def page(
        self, tenant_id: bytes, segment: ResolvedSegment, after_user_id: int, limit: int
    ) -> list[Member]:
        """The next member."""
        assert (bool(tenant_id), segment.name, limit > 0) == (True, "s", True)
        if not self._members:
            raise Permanent("this condition can no longer be read")
        return [member for member in self._members if member.user_id > after_user_id][:1]


class Engine:
    """The steps, for one tenant's broadcasts. No worker runs beside it."""

    def __init__(self, api: Api, caller: Caller) -> None:
        region = api.gateway.region
        self.api = api
        self.caller = caller
        self.broadcasts = region.broadcasts
        self.snapshots = PostgresSnapshots(region.pools)
        self.chunks = PostgresBroadcastChunks(region.pools)

    async def ask(self, **fields: Any) -> bytes:
        body = {"category": "transactional", "data": WORDS, "audience": "all", **fields}
        answer = await self.caller.call("POST /broadcasts", body)
        assert answer.status == 202, answer.body
        ident = parse_id(answer.json()["broadcast_id"])
        assert ident is not None
        return ident

    async def users(self, number: int, **profile: Any) -> None:
        users = [{"user_id": f"u{i}", "email": f"u{i}@example.org", **profile} for i in range(number)]
        assert (await self.caller.call("POST /users/batch", {"users": users})).status == 200

    def collecting(self, ident: bytes, chunk_size: int = 500) -> Collecting:
        return Collecting(ident, self.caller.tenant_id, Source("all"), Timing(at_ms=1), 0, chunk_size, 0)

    async def collect(self, collecting: Collecting, segments: Sequence[Member] = ()) -> bool:
        ports = SnapshotPorts(store=self.snapshots, roll=self.snapshots, segments=ShortPages(segments))
        return await collect(collecting, "UTC", ports)

    async def ready(self, ident: bytes) -> list[Chunk]:
        """The chunks that wait."""
        record = await self.broadcasts.read(self.caller.tenant_id, ident)
        assert record is not None
        query = "SELECT chunk, names FROM broadcast_chunks WHERE broadcast_id = $1 AND state = 'ready' ORDER BY chunk"
        async with self.api.gateway.region.pools.pipeline() as connection:
            rows = await connection.fetch(query, ident)
        tenant_id = self.caller.tenant_id
        return [
            Chunk(
                ChunkRef(ident, row["chunk"]), tenant_id, "live", rehearsal=False, message=record.message, due_ms=1,
                names=row["names"],
            )
            for row in rows
        ]  # fmt: skip

    async def books(self, ident: bytes) -> Balance:
        books = await self.broadcasts.balance(self.caller.tenant_id, ident)
        assert books.audience == books.sent + books.blocked + books.failed + books.unknown + books.pending
        return books

    async def rows(self) -> int:
        async with self.api.gateway.region.pools.pipeline() as connection:
            query = "SELECT count(*) FROM notifications WHERE tenant_id = $1"
            return int(await connection.fetchval(query, self.caller.tenant_id))

    async def end(self, channel: str, status: str) -> None:
        """Every delivery of the tenant on this channel comes to this end."""
        async with self.api.gateway.region.pools.pipeline() as connection, connection.transaction():
            ended = "DELETE FROM open_deliveries WHERE tenant_id = $1 AND channel = $2"
            marked = "UPDATE notifications SET status = $3 WHERE tenant_id = $1 AND channel = $2"
            await connection.execute(ended, self.caller.tenant_id, channel)
            await connection.execute(marked, self.caller.tenant_id, channel, status)

    async def look(self, ident: bytes, *, now: bool = False) -> str:
        """The state of the broadcast's first chunk after a look at it, before its time if `now`."""
        async with self.api.gateway.region.pools.pipeline() as connection:
            if now:
                await connection.execute(
                    "UPDATE broadcast_chunks SET look_at = now() WHERE broadcast_id = $1", ident
                )
            await self.chunks.look(1000)
            state = "SELECT state FROM broadcast_chunks WHERE broadcast_id = $1 ORDER BY chunk"
            return str(await connection.fetchval(state, ident))


@pytest.fixture
def engine(api: Api, caller: Caller) -> Engine:
    return Engine(api, caller)


async def test_of_two_collectors_at_one_place_one_writes(engine: Engine):
    await engine.users(10)
    ident = await engine.ask()
    same = engine.collecting(ident, chunk_size=4)

    done = await asyncio.gather(engine.collect(same), engine.collect(same))

    assert sorted(done) == [False, True]
    assert [len(chunk.names) for chunk in await engine.ready(ident)] == [4, 4, 2]
    assert (await engine.books(ident)).audience == 10


async def test_short_pages_of_a_segment_become_whole_chunks(engine: Engine):
    ident = await engine.ask()
    segment = replace(
        engine.collecting(ident, chunk_size=3), source=Source("segment", ResolvedSegment("s", "true", 0))
    )

    assert await engine.collect(segment, [Member(number, f"u{number}", "") for number in range(1, 6)])
    assert [chunk.names for chunk in await engine.ready(ident)] == [["u1", "u2", "u3"]]


async def test_a_segment_that_cannot_be_evaluated_ends_the_broadcast_and_it_says_why(engine: Engine):
    ident = await engine.ask()
    segment = replace(engine.collecting(ident), source=Source("segment", ResolvedSegment("s", "true", 0)))

    await engine.collect(segment)
    view = (await engine.caller.call(f"GET /broadcasts/{ident.hex()}")).json()

    assert (view["status"], view["failure"]) == ("failed", "this condition can no longer be read")


async def test_a_chunk_is_accepted_once_whoever_tries(engine: Engine):
    await engine.users(5)
    ident = await engine.ask()
    await engine.collect(engine.collecting(ident))
    (chunk,) = await engine.ready(ident)

    answers = await asyncio.gather(*(expand(chunk, engine.api.gateway.accept) for _ in range(4)))
    late = await expand(chunk, engine.api.gateway.accept)

    assert sorted(answer.accepted for answer in answers if answer is not None) == [5]
    assert late is None
    assert await engine.rows() == 5
    assert (await engine.books(ident)).pending == 5


@pytest.mark.parametrize("act", ["pause", "cancel"])
async def test_nothing_is_accepted_after_the_answer_to_a_pause(engine: Engine, act: str):
    """A worker may have read the chunk before."""
    await engine.users(2)
    ident = await engine.ask()
    await engine.collect(engine.collecting(ident))
    (chunk,) = await engine.ready(ident)
    assert (await engine.caller.call(f"POST /broadcasts/{ident.hex()}/{act}")).status == 200

    assert await expand(chunk, engine.api.gateway.accept) is None
    assert await engine.rows() == 0


async def test_a_chunk_that_can_never_be_accepted_is_refused_once(engine: Engine):
    await engine.users(3)
    ident = await engine.ask()
    await engine.collect(engine.collecting(ident))
    (chunk,) = await engine.ready(ident)

    await engine.chunks.refuse(chunk.ref, "error")

    assert await expand(chunk, engine.api.gateway.accept) is None
    view = (await engine.caller.call(f"GET /broadcasts/{ident.hex()}")).json()
    assert (view["balance"]["failed"], view["balance"]["refused"]) == (3, {"error": 3})


async def test_a_rate_limit_holds_whoever_comes_early(engine: Engine):
    await engine.users(4)
    ident = await engine.ask(rate_per_s=0.1)
    await engine.collect(engine.collecting(ident, chunk_size=1))
    first, second, *_ = await engine.ready(ident)
    ports = engine.api.gateway.accept

    assert await expand(first, ports) is not None
    # Ten seconds for one; the half that may be caught up with is nearly none of them.
    assert await expand(second, ports) is None


async def test_a_member_on_two_channels_counts_once_by_the_better_one(engine: Engine):
    await engine.users(3, device_tokens=[{"platform": "ios", "token": "t"}])
    ident = await engine.ask(optimization={"channel_selection": "all"})
    await engine.collect(engine.collecting(ident))
    (chunk,) = await engine.ready(ident)
    await expand(chunk, engine.api.gateway.accept)
    assert await engine.rows() == 6

    await engine.end("email", "failed")
    still = await engine.books(ident)
    await engine.end("push", "sent")
    over = await engine.books(ident)

    assert (still.pending, still.failed) == (3, 0)
    assert (over.sent, over.failed) == (3, 0)


async def test_settled_books_follow_what_providers_say_later(engine: Engine):
    await engine.users(3)
    ident = await engine.ask()
    await engine.collect(engine.collecting(ident))
    (chunk,) = await engine.ready(ident)
    await expand(chunk, engine.api.gateway.accept)
    assert await engine.look(ident, now=True) == "accepted"

    await engine.end("email", "sent")
    assert await engine.look(ident, now=True) == "settled"
    settled = await engine.books(ident)
    await engine.end("email", "failed")
    kept = await engine.books(ident)
    await engine.look(ident, now=True)
    followed = await engine.books(ident)

    assert settled.sent == kept.sent == 3
    assert (followed.sent, followed.failed) == (0, 3)
    record = await engine.broadcasts.read(engine.caller.tenant_id, ident)
    assert record is not None
    assert record.stage == "completed"


async def test_only_a_window_is_taken_out_of_the_snapshot(engine: Engine):
    """What nobody sends yet waits in the snapshot, where it can be paused and cancelled, and fills no queue."""
    await engine.users(6)
    ident = await engine.ask()
    await engine.collect(engine.collecting(ident, chunk_size=2))

    async def run_to_the_window() -> int:
        for _ in range(30):
            chunk = await engine.chunks.next(window=4)
            # Those of other tests, which run beside this one, are none of ours to accept.
            if chunk is not None and chunk.ref.broadcast_id == ident:
                await expand(chunk, engine.api.gateway.accept)
        return await engine.rows()

    assert await run_to_the_window() == 4
    await engine.end("email", "sent")
    await engine.look(ident, now=True)
    assert await eventually(run_to_the_window, lambda rows: rows == 6, within_s=5) == 6
