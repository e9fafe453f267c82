"""The users' will: the events, the latest words, the suppressions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from clarion.adapters.postgres.queries import load_queries
from clarion.compliance.consent import fold
from clarion.compliance.model import ConsentState
from clarion.compliance.ports import ConsentRecord, ConsentWord
from clarion.compliance.suppression import LIFTED_BY_OPT_IN, Suppression

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools


class PostgresConsentStore:
    """`compliance.ports.ConsentStore`, and with it `delivery.ports.ConsentReader`."""

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
            records = await connection.fetch(self._sql["read_consents"], user_ids)
        words: defaultdict[int, list[ConsentRecord]] = defaultdict(list)
        suppressed: defaultdict[int, list[str]] = defaultdict(list)
        for user_id, channel, category, consented, at_ms in records:
            if category is None:
                suppressed[user_id].append(channel)
            else:
                words[user_id].append(ConsentRecord(channel, category, consented, at_ms))
        return {
            user_id: fold(words[user_id], suppressed[user_id]) for user_id in words.keys() | suppressed.keys()
        }


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
    )
