"""The registry of models and the schedule of trainings in the regional database."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.intelligence.models import TenantModel, encode_model
from clarion.intelligence.models.registered import Metrics, Registered, checksum_of, open_artefact
from clarion.intelligence.serving.models import Seen
from clarion.intelligence.training.ports import Training
from clarion.kernel.errors import NotFound, Transient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    import asyncpg

    from clarion.adapters.postgres.pools import Pools

FOLLOW_EVERY_S: Final = 5.0
"""Between two looks at what began to serve."""

KEPT: Final = 60
"""Versions of a tenant that are kept: two months of nights. What serves is kept whatever its age."""

_encode: Final = msgspec.json.Encoder().encode
_metrics: Final = msgspec.json.Decoder(Metrics)


class LiveModel(msgspec.Struct, frozen=True):
    """What serves a tenant since `live_ms`: bytes that are still to be checked."""

    tenant_id: bytes
    name: str
    artefact: bytes
    checksum: bytes
    live_ms: int


class PostgresModels:
    """`intelligence.training.ports.Registry`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("ml_models")

    async def models(self, tenant_id: bytes, most: int) -> list[Registered]:
        """The latest versions; see `Registry.models`."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["list_models"], tenant_id, most)
        return [_registered(row) for row in rows]

    async def open(self, tenant_id: bytes, name: str) -> TenantModel:
        """One of them; see `Registry.open`."""
        async with self._pools.pipeline() as connection:
            row = await connection.fetchrow(self._sql["find_model"], tenant_id, name)
        if row is None:
            raise NotFound(f"there is no model {name}")
        return open_artefact(row["artefact"], row["checksum"])

    async def add(self, tenant_id: bytes, model: TenantModel, parent: str, metrics: Metrics) -> Registered:
        """Keep it as a shadow; see `Registry.add`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            await connection.execute(self._sql["hold_models"], tenant_id)
            number = int(await connection.fetchval(self._sql["next_number"], tenant_id))
            name = f"eb-{number}"
            artefact = encode_model(msgspec.structs.replace(model, name=name))
            checksum = checksum_of(artefact)
            await connection.execute(
                self._sql["add_model"],
                *(tenant_id, name, number, "shadow", parent, ""),
                *(model.from_ms, model.to_ms, _encode(metrics), checksum, artefact),
            )
            await connection.execute(self._sql["prune_models"], tenant_id, KEPT)
        return Registered(
            name,
            number,
            "shadow",
            parent,
            "",
            model.from_ms,
            model.to_ms,
            metrics,
            checksum,
            model.trained_ms,
        )

    async def promote(self, tenant_id: bytes, name: str, reason: str, *, held: bool = False) -> None:
        """Let it serve; see `Registry.promote`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            await connection.execute(self._sql["hold_models"], tenant_id)
            await connection.execute(self._sql["retire_live"], tenant_id)
            if await connection.fetchval(self._sql["make_live"], tenant_id, name, reason, held) is None:
                raise NotFound(f"there is no model {name}")

    async def refuse(self, tenant_id: bytes, name: str, reason: str) -> None:
        """It will not serve; see `Registry.refuse`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["settle_model"], tenant_id, name, "refused", reason)

    async def live(self, seen: Seen) -> list[LiveModel]:
        """What serves tenants of the region and was not seen yet. Raises Transient."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["find_live"], *seen)
        return [
            LiveModel(row["tenant_id"], row["name"], row["artefact"], row["checksum"], row["live_at"])
            for row in rows
        ]


class Followed(Protocol):
    """What takes up models as they begin to serve."""

    def seen(self) -> Seen:
        """What need not be told again."""
        ...

    def take(self, live: Sequence[LiveModel]) -> int:
        """Take them up; how many were whole."""
        ...


@asynccontextmanager
async def following_models(pools: Pools, models: Followed) -> AsyncGenerator[None]:
    """Let `models` take up what begins to serve, every few seconds, until the block ends.

    The first look is over when the block begins, as far as the store answers.
    """
    registry = PostgresModels(pools)

    async def look() -> None:
        with contextlib.suppress(Transient):
            models.take(await registry.live(models.seen()))

    async def follow() -> None:
        while True:
            await asyncio.sleep(FOLLOW_EVERY_S)
            await look()

    await look()
    following = asyncio.create_task(follow(), name="follow-models")
    try:
        yield
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


class PostgresTrainings:
    """`intelligence.training.ports.Schedule`; leases are on the database's clock.

    `holder`: who trains, as others are told of it; one name for one process.
    """

    def __init__(self, pools: Pools, holder: str = "") -> None:
        self._pools = pools
        self._holder = holder
        self._sql = load_queries("ml_models")

    async def ask(self, tenant_id: bytes) -> None:
        """Have it done soon; see `Schedule.ask`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["ask_training"], tenant_id)

    async def due(self, tenant_ids: Sequence[bytes], before_ms: int) -> list[bytes]:
        """Those that are due, in one query; see `Schedule.due`."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["due_trainings"], tenant_ids, before_ms)
        return [row["tenant_id"] for row in rows]

    async def take(self, tenant_id: bytes, before_ms: int | None, lease_ms: int) -> bool:
        """Whether it is the caller's; see `Schedule.take`."""
        async with self._pools.pipeline() as connection:
            return bool(
                await connection.fetchval(
                    self._sql["take_training"], tenant_id, before_ms, lease_ms, self._holder
                )
            )

    async def renew(self, tenant_id: bytes, lease_ms: int) -> bool:
        """Whether it still is the caller's; see `Schedule.renew`."""
        async with self._pools.pipeline() as connection:
            return bool(
                await connection.fetchval(self._sql["renew_lease"], tenant_id, lease_ms, self._holder)
            )

    async def end(self, tenant_id: bytes, began_ms: int, outcome: str) -> None:
        """It is done; see `Schedule.end`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["end_training"], tenant_id, began_ms, outcome, self._holder)

    async def put_off(self, tenant_id: bytes, for_ms: int, outcome: str) -> None:
        """Not before a while; see `Schedule.put_off`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["put_off_training"], tenant_id, for_ms, outcome, self._holder)

    async def show(self, tenant_id: bytes) -> Training:
        """How it stands; see `Schedule.show`."""
        async with self._pools.pipeline() as connection:
            row = await connection.fetchrow(self._sql["find_training"], tenant_id)
        if row is None:
            return Training()
        return Training(
            asked=row["asked_at"] is not None,
            running=row["is_running"],
            ended_ms=row["ended_at"] or 0,
            outcome=row["outcome"],
            holder=row["holder"],
            failures=row["failures"],
            retry_ms=row["retry_at"] or 0,
        )


class PostgresWatches:
    """`intelligence.training.ports.Watch`, on the database's clock."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("ml_models")

    async def due(self, tenant_ids: Sequence[bytes], every_ms: int) -> list[bytes]:
        """Those that are due, in one query; see `Watch.due`."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["due_watches"], tenant_ids, every_ms)
        return [row["tenant_id"] for row in rows]

    async def take(self, tenant_id: bytes, every_ms: int, lease_ms: int) -> bool:
        """Whether it is the caller's; see `Watch.take`."""
        async with self._pools.pipeline() as connection:
            return bool(await connection.fetchval(self._sql["take_watch"], tenant_id, every_ms, lease_ms))

    async def end(self, tenant_id: bytes) -> None:
        """She has looked; see `Watch.end`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["end_watch"], tenant_id)


def _registered(row: asyncpg.Record) -> Registered:
    return Registered(
        name=row["name"],
        number=row["number"],
        status=row["status"],
        parent=row["parent"],
        reason=row["reason"],
        from_ms=row["from_at"],
        to_ms=row["to_at"],
        metrics=_metrics.decode(row["metrics"]),
        checksum=row["checksum"],
        created_ms=row["created_at"],
        live_ms=row["live_at"] or 0,
        held=row["held"],
    )
