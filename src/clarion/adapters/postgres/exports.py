"""Exports in Postgres: asked for, carried out, fetched; their archives sealed with the user's own key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.audience.keyring import Keyring
from clarion.audience.ports import Sealer
from clarion.compliance.export import KEPT_DAYS, KNOWN_DAYS, Export, Step
from clarion.compliance.ports import DataSubject
from clarion.kernel.errors import NotFound, Permanent

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

PART_BYTES: Final = 1024 * 1024
"""What is sealed as one: an archive is read and sent a part at a time."""

EXPIRED_AT_ONCE: Final = 100

_CONTEXT: Final = b"export"
_steps: Final = msgspec.json.Decoder(tuple[Step, ...]).decode
_encode: Final = msgspec.json.Encoder().encode


class PostgresExports:
    """`compliance.export.ExportStore`, what the API asks of exports, and their place among the erasure targets."""

    def __init__(self, pools: Pools, keyring: Keyring, sealer: Sealer) -> None:
        self._pools = pools
        self._keyring = keyring
        self._sealer = sealer
        self._sql = load_queries("exports")

    @property
    def name(self) -> str:
        """As the certificate of an erasure names the store."""
        return "postgres.exports"

    async def request(self, tenant_id: bytes, export_id: bytes, external_id: str) -> bytes | None:
        """The export of a user: a new one under this id, or the one under way. None: no such user. Raises Transient."""
        async with self._pools.pipeline() as connection:
            return await connection.fetchval(self._sql["request_export"], tenant_id, export_id, external_id)

    async def read(self, tenant_id: bytes, export_id: bytes) -> Export | None:
        """One export of this tenant."""
        async with self._pools.reader(tenant_id) as connection:
            record = await connection.fetchrow(self._sql["read_export"], export_id)
        return None if record is None else _export(record)

    async def page(self, tenant_id: bytes, before: bytes, limit: int) -> list[Export]:
        """A tenant's exports, newest first, with ids below `before`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["list_exports"], tenant_id, before, limit)
        return [_export(record) for record in records]

    async def take(self, lease_ms: int, export_id: bytes | None = None) -> Export | None:
        """The export to go on with; see `ExportStore.take`."""
        async with self._pools.pipeline() as connection:
            record = await connection.fetchrow(self._sql["take_export"], lease_ms, export_id)
        return None if record is None else _export(record)

    async def note(self, export: Export, wait_ms: int) -> None:
        """Keep how far it is; see `ExportStore.note`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(
                self._sql["note_export"], export.export_id, _encode(export.steps), export.problem, wait_ms
            )

    async def finish(self, export: Export, archive: bytes) -> bool:
        """Keep the archive in sealed parts, in one transaction; see `ExportStore.finish`."""
        key = (await self._keyring.refetch([export.user_id])).get(export.user_id)
        if key is None:
            return False
        parts = [
            (
                export.tenant_id,
                export.export_id,
                number,
                self._seal(export, key, number, archive[at : at + PART_BYTES]),
            )
            for number, at in enumerate(range(0, len(archive), PART_BYTES))
        ]
        async with self._pools.pipeline() as connection, connection.transaction():
            finished = await connection.fetchval(
                self._sql["finish_export"],
                export.export_id,
                _encode(export.steps),
                export.size,
                export.sha256,
                KEPT_DAYS,
            )
            if finished is None:
                return False
            await connection.execute(self._sql["drop_parts"], export.export_id)
            await connection.executemany(self._sql["add_part"], parts)
        return True

    async def fail(self, export: Export, problem: str) -> None:
        """End it without an archive; see `ExportStore.fail`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["fail_export"], export.export_id, problem)

    async def parts(self, export: Export) -> AsyncIterator[bytes]:
        """The archive, a part at a time. Raises NotFound where it is gone or damaged, or the user's key is gone."""
        key = (await self._keyring.refetch([export.user_id])).get(export.user_id)
        for number in range(-(-export.size // PART_BYTES)):
            async with self._pools.reader(export.tenant_id) as connection:
                sealed = await connection.fetchval(self._sql["read_part"], export.export_id, number)
            if key is None or sealed is None:
                detail = "the archive is gone"
                raise NotFound(detail)
            try:
                part = self._sealer.unseal(key, sealed, _context(export, number))
            except Permanent as error:
                detail = "the archive is damaged: ask for another"
                raise NotFound(detail) from error
            yield part

    async def drop_old(self) -> int:
        """Remove archives past their days, and what has been known for long; how many archives. Raises Transient."""
        async with self._pools.pipeline() as connection:
            expired = int(await connection.fetchval(self._sql["expire_exports"], EXPIRED_AT_ONCE))
            await connection.execute(self._sql["forget_exports"], KNOWN_DAYS)
        return expired

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Remove what was made for a user; see `compliance.ports.ErasureTarget.erase`."""
        async with self._pools.pipeline() as connection:
            record = await connection.fetchrow(self._sql["erase_exports"], subject.tenant_id, subject.user_id)
        return dict(record) if record else {}

    def _seal(self, export: Export, key: bytes, number: int, part: bytes) -> bytes:
        return self._sealer.seal(key, part, _context(export, number))


def _context(export: Export, number: int) -> bytes:
    """What a part is bound to: its export and its place."""
    return _CONTEXT + export.tenant_id + export.export_id + number.to_bytes(4, "big")


def _export(record: asyncpg.Record) -> Export:
    return Export(
        export_id=record["export_id"],
        tenant_id=record["tenant_id"],
        user_id=record["user_id"],
        external_id=record["external_id"],
        state=record["state"],
        steps=_steps(record["progress"]),
        problem=record["problem"],
        requested_ms=record["requested_at"],
        ended_ms=record["ended_at"],
        expires_ms=record["expires_at"],
        size=record["bytes"],
        sha256=record["sha256"],
    )
