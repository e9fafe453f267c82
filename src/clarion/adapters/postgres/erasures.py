"""Erasures in Postgres: asked for, carried on with, shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.compliance.erasure import Erasure, LedgerEntry, Step

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

FORMER_DAYS: Final = 400
"""How long it is known under which number a deleted user was: longer than anything is kept under it."""

SEQUENCE_MASK: Final = (1 << 48) - 1
"""The part of a user's number that the region's sequence gave; see `adapters.postgres.users`."""

_steps = msgspec.json.Decoder(tuple[Step, ...])
_json = msgspec.json.Encoder()


class PostgresErasures:
    """`compliance.erasure.ErasureStore`, and what the API asks of erasures."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("erasures")

    async def request(
        self, tenant_id: bytes, erasure_id: bytes, subject: bytes, external_id: str
    ) -> bytes | None:
        """The erasure of a user: a new one under this id, the one under way, or the last where nothing is left of her.

        None: she was never there. Raises Transient.
        """
        async with self._pools.pipeline() as connection:
            found: bytes | None = await connection.fetchval(
                self._sql["request_erasure"], tenant_id, erasure_id, subject, external_id
            )
            if found is not None:
                return found
            return await connection.fetchval(self._sql["find_erasure"], tenant_id, subject)

    async def remember(self, tenant_id: bytes, external_id: str, subject: bytes) -> None:
        """Keep under which number a user was whose profile is about to be deleted. Raises Transient."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["remember_former"], tenant_id, external_id, subject)

    async def read(self, tenant_id: bytes, erasure_id: bytes) -> Erasure | None:
        """One erasure of this tenant."""
        async with self._pools.reader(tenant_id) as connection:
            record = await connection.fetchrow(self._sql["read_erasure"], erasure_id)
        return None if record is None else _erasure(record)

    async def page(self, tenant_id: bytes, before: bytes, limit: int) -> list[Erasure]:
        """A tenant's erasures, newest first, with ids below `before`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["list_erasures"], tenant_id, before, limit)
        return [_erasure(record) for record in records]

    async def take(self, limit: int, lease_ms: int) -> list[Erasure]:
        """Erasures to go on with; see `ErasureStore.take`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["take_erasures"], limit, lease_ms)
        return [_erasure(record) for record in records]

    async def note(self, erasure: Erasure, wait_ms: int) -> None:
        """Keep how far it is; see `ErasureStore.note`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(
                self._sql["note_erasure"],
                erasure.erasure_id,
                erasure.rounds,
                _json.encode(erasure.steps),
                erasure.problem,
                wait_ms,
            )

    async def complete(self, erasure: Erasure, completed_ms: int, certificate: bytes) -> bool:
        """Keep the certificate; see `ErasureStore.complete`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            await connection.execute(
                self._sql["note_erasure"],
                erasure.erasure_id,
                erasure.rounds,
                _json.encode(erasure.steps),
                "",
                0,
            )
            return bool(
                await connection.fetchval(
                    self._sql["complete_erasure"],
                    erasure.erasure_id,
                    list(erasure.user_ids),
                    completed_ms,
                    certificate,
                )
            )

    async def restore(self, entries: Sequence[LedgerEntry], *, everything: bool) -> int:
        """Open again what is not known to be complete here; see `ErasureStore.restore`.

        A restored sequence is moved beyond every number that was erased, so that nobody else gets one of them.
        """
        numbers = [number & SEQUENCE_MASK for entry in entries for number in entry.user_ids]
        async with self._pools.pipeline() as connection, connection.transaction():
            await connection.execute(self._sql["advance_numbers"], max(numbers, default=0))
            records = await connection.fetch(
                self._sql["restore_erasures"],
                [entry.erasure_id for entry in entries],
                [entry.tenant_id for entry in entries],
                [entry.subject for entry in entries],
                [_json.encode([str(number) for number in entry.user_ids]) for entry in entries],
                [entry.requested_ms for entry in entries],
                everything,
            )
        return len(records)

    async def reopen_returned(self) -> int:
        """Open again what was erased within a day and of which something has come back; how many. Raises Transient."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["find_returned"])
            ids = [record["erasure_id"] for record in records]
            if ids:
                await connection.execute(self._sql["reopen_erasures"], ids)
        return len(ids)

    async def count_under_way(self) -> int:
        """Erasures of all tenants that are not complete. Raises Transient."""
        async with self._pools.pipeline() as connection:
            return int(await connection.fetchval(self._sql["count_under_way"]))

    async def drop_old_former(self) -> None:
        """Forget former users of whom nothing is kept any more."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["drop_old_former"], FORMER_DAYS)


def _erasure(record: asyncpg.Record) -> Erasure:
    return Erasure(
        erasure_id=record["erasure_id"],
        tenant_id=record["tenant_id"],
        subject=record["subject"],
        external_id=record["external_id"],
        user_ids=tuple(record["user_ids"]),
        origin=record["origin"],
        requested_ms=record["requested_at"],
        rounds=record["rounds"],
        steps=_steps.decode(record["progress"]),
        problem=record["problem"],
        completed_ms=record["completed_at"],
        certificate=record["certificate"] or b"",
    )
