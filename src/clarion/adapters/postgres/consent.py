"""The users' will: the events, the latest words, the suppressions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.compliance.chain import Linked, origin
from clarion.compliance.consent import fold
from clarion.compliance.ledger import CHAIN
from clarion.compliance.model import ConsentState
from clarion.compliance.ports import ConsentEvent, ConsentRecord, ConsentWord
from clarion.compliance.suppression import LIFTED_BY_OPT_IN, Suppression

if TYPE_CHECKING:
    from asyncpg import Record
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools


_json: Final = msgspec.json.Encoder()
_details: Final = msgspec.json.Decoder(dict[str, str])

READ_TIMEOUT_S: Final = 2.0
"""A one-time code waits no longer to hear what its user said: it goes whatever that is."""


class PostgresConsentStore:
    """`compliance.ports.ConsentStore` and `ConsentLedger`, and with them `delivery.ports.ConsentReader`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("consent")

    async def record(self, tenant_id: bytes, words: Sequence[ConsentWord]) -> None:
        """Write what users said in one statement; see `ConsentStore.record`."""
        async with self._pools.pipeline() as connection:
            await record_words(connection, tenant_id, words)

    async def suppress(self, tenant_id: bytes, suppressions: Sequence[Suppression]) -> None:
        """Silence channels in one statement; see `ConsentStore.suppress`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(
                self._sql["suppress"],
                tenant_id,
                [suppression.user_id for suppression in suppressions],
                [suppression.channel for suppression in suppressions],
                [suppression.reason for suppression in suppressions],
                LIFTED_BY_OPT_IN,
            )

    async def records(self, tenant_id: bytes, user_id: int) -> list[ConsentRecord]:
        """The latest words of one user; see `ConsentStore.records`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["read_records"], user_id)
        return [ConsentRecord(*record.values()) for record in records]

    async def consents(self, user_ids: Sequence[int]) -> dict[int, ConsentState]:
        """Current state by user with one query on the primary; see `ConsentStore.consents`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["read_consents"], user_ids, timeout=READ_TIMEOUT_S)
        words: defaultdict[int, list[ConsentRecord]] = defaultdict(list)
        suppressed: defaultdict[int, list[str]] = defaultdict(list)
        for user_id, channel, *said in records:
            if said[0] is None:
                suppressed[user_id].append(channel)
            else:
                words[user_id].append(ConsentRecord(channel, *said))
        return {
            user_id: fold(words[user_id], suppressed[user_id]) for user_id in words.keys() | suppressed.keys()
        }

    async def events(self, tenant_id: bytes, user_id: int, until_ms: int) -> list[ConsentEvent]:
        """Every word of one user; see `ConsentLedger.events`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["read_events"], tenant_id, user_id, until_ms)
        return [_event(tenant_id, record) for record in records]

    async def chain(self, tenant_id: bytes, after: int, limit: int) -> list[Linked]:
        """The next rows of a chain; see `ConsentLedger.chain`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["read_chain"], tenant_id, after, limit)
        return [Linked(*record.values()) for record in records]

    async def chain_head(self, tenant_id: bytes) -> tuple[int, bytes] | None:
        """The end of a chain; see `ConsentLedger.chain_head`."""
        async with self._pools.reader(tenant_id) as connection:
            record = await connection.fetchrow(self._sql["read_chain_head"], tenant_id)
        return None if record is None else (record["number"], record["hash"])


def _event(tenant_id: bytes, record: Record) -> ConsentEvent:
    first = origin(CHAIN, tenant_id) if record["number"] == 1 else None
    return ConsentEvent(
        number=record["number"],
        channel=record["channel"],
        category=record["category"],
        consented=record["consented"],
        source=record["source"],
        state=record["state"],
        basis=record["basis"],
        details=_details.decode(record["details"]),
        expires_ms=record["expires_at"],
        at_us=record["at_us"],
        evidence=record["evidence"],
        content=record["content"],
        hash=record["hash"],
        previous_hash=record["previous_hash"] or first,
    )


async def record_words(
    connection: PoolConnectionProxy, tenant_id: bytes, words: Sequence[ConsentWord]
) -> None:
    """Write what users said, in one statement of the transaction that the connection is in."""
    await connection.execute(
        load_queries("consent")["record_words"],
        tenant_id,
        [word.user_id for word in words],
        [word.channel for word in words],
        [word.category for word in words],
        [word.consented for word in words],
        [word.source for word in words],
        [word.express for word in words],
        [word.given_ms for word in words],
        [word.evidence for word in words],
        LIFTED_BY_OPT_IN,
        [word.state for word in words],
        [word.basis for word in words],
        [_json.encode(word.details) for word in words],
        [word.expires_ms for word in words],
    )
