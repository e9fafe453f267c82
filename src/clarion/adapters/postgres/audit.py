"""The audit log of a region: written by a role that can add to it and do nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.compliance.audit import CHAIN, Act, ActRecord, AuditQuery, Entry, Recorded, content_of
from clarion.compliance.chain import link, origin

if TYPE_CHECKING:
    import asyncpg

    from clarion.adapters.postgres.pools import Pools

_facts = msgspec.json.Decoder(dict[str, Any])


class PostgresAuditLog:
    """`compliance.audit.AuditLog`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("audit")

    async def append(self, tenant_id: bytes, entry: Entry) -> int:
        """Add an entry; see `AuditLog.append`."""
        async with self._pools.audit(tenant_id) as connection:
            head = cast("asyncpg.Record", await connection.fetchrow(self._sql["find_head"], tenant_id))
            number: int = head["number"] + 1
            at_ms: int = head["at"]
            previous: bytes = head["hash"] or origin(CHAIN, tenant_id)
            await connection.execute(
                self._sql["insert_entry"],
                tenant_id,
                number,
                at_ms,
                *msgspec.structs.astuple(entry),
                previous,
                link(previous, content_of(number, at_ms, entry)),
            )
        return number

    async def search(self, tenant_id: bytes, query: AuditQuery) -> list[ActRecord]:
        """The tenant's acts; see `AuditLog.search`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(
                self._sql["search"],
                query.before,
                query.actor,
                query.operation,
                query.target,
                query.from_ms,
                query.until_ms,
                query.limit,
            )
        return [_act(record) for record in records]

    async def read(self, tenant_id: bytes, after: int, limit: int) -> list[Recorded]:
        """The tenant's entries; see `AuditLog.read`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["read_entries"], after, limit)
        return [_recorded(record) for record in records]

    async def tenants(self) -> list[bytes]:
        """Who has entries; see `AuditLog.tenants`."""
        async with self._pools.pipeline() as connection:
            return [record["tenant_id"] for record in await connection.fetch(self._sql["list_logs"])]


def _recorded(record: asyncpg.Record) -> Recorded:
    number, at_ms, *fields, previous, hash_ = record.values()
    return Recorded(number, at_ms, Entry(*fields), previous, hash_)


def _act(record: asyncpg.Record) -> ActRecord:
    act = Act(
        actor=record["actor"],
        operation=record["operation"],
        target=record["target"],
        reason=record["reason"],
        ip=record["ip"],
        request_id=record["request_id"],
        facts=_facts.decode(record["facts"]),
    )
    is_ended = record["ended"] is not None
    return ActRecord(
        record["number"],
        record["at"],
        act,
        record["outcome"] if is_ended else "unknown",
        record["ended_at"],
        _facts.decode(record["ending_facts"]) if is_ended else {},
        record["hash"],
    )
