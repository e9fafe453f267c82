"""The suppression list: silenced by hand or by a keyword, freed, and shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from clarion.adapters.postgres.queries import load_queries
from clarion.compliance.ports import Holder
from clarion.compliance.suppression import (
    LIFTED_BY_OPT_IN,
    Freed,
    Listed,
    Origin,
    Silenced,
    SuppressionReason,
    Target,
    Wanted,
)

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools

_END: Final = (1 << 62, "")
"""A place before which every suppression is."""

ANSWERED_MS: Final = 30 * 86_400_000
"""How old the text may be that somebody answers."""


class PostgresSuppressions:
    """`compliance.ports.SuppressionStore`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("suppressions") | {
            name: load_queries("consent")[name]
            for name in ("find_silenced", "remember_addresses", "suppress")
        }

    async def silence(
        self, tenant_id: bytes, targets: Sequence[tuple[Target, SuppressionReason]], origin: Origin
    ) -> Silenced:
        """Silence channels in one transaction; see `SuppressionStore.silence`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            found = await self._find(connection, tenant_id, targets)
            people = [record for record in found if record["user_id"] is not None]
            addressed = [record for record in found if record["address_hmac"] is not None]
            await connection.execute(self._sql["lock_users"], tenant_id, _users(people))
            fresh = await self._silence_addresses(connection, tenant_id, addressed, origin)
            fresh += await self._silence_people(connection, tenant_id, people, origin)
        return Silenced(tuple(sorted({record["external_id"] for record in people})), fresh)

    async def _find(
        self,
        connection: PoolConnectionProxy,
        tenant_id: bytes,
        targets: Sequence[tuple[Target, str]],
    ) -> list[asyncpg.Record]:
        """Whom targets are about: rows of an address, of a user, or of both."""
        return await connection.fetch(
            self._sql["find_silenced"],
            tenant_id,
            [target.user_id for target, _ in targets],
            [target.channel for target, _ in targets],
            [reason for _, reason in targets],
            [target.address_hmac for target, _ in targets],
        )

    async def _silence_people(
        self,
        connection: PoolConnectionProxy,
        tenant_id: bytes,
        people: Sequence[asyncpg.Record],
        origin: Origin,
    ) -> int:
        """Silence users; how many channels were not silent."""
        if not people:
            return 0
        users = [record["user_id"] for record in people]
        channels = [record["channel"] for record in people]
        known = {tuple(row) for row in await connection.fetch(self._sql["silent_users"], _users(people))}
        is_fresh = [cell not in known for cell in zip(users, channels, strict=True)]
        reasons = [record["reason"] for record in people]
        await connection.execute(self._sql["suppress"], tenant_id, users, channels, reasons, LIFTED_BY_OPT_IN)
        await connection.execute(
            self._sql["mark_users"], users, channels, is_fresh, origin.source, origin.review
        )
        return sum(is_fresh)

    async def _silence_addresses(
        self,
        connection: PoolConnectionProxy,
        tenant_id: bytes,
        addressed: Sequence[asyncpg.Record],
        origin: Origin,
    ) -> int:
        """Remember addresses; how many that nobody has were not silent."""
        if not addressed:
            return 0
        channels = [record["channel"] for record in addressed]
        hmacs = [record["address_hmac"] for record in addressed]
        rows = await connection.fetch(self._sql["silent_addresses"], tenant_id, hmacs)
        known = {tuple(row) for row in rows}
        is_fresh = [cell not in known for cell in zip(channels, hmacs, strict=True)]
        reasons = [record["reason"] for record in addressed]
        await connection.execute(
            self._sql["remember_addresses"], tenant_id, channels, hmacs, reasons, LIFTED_BY_OPT_IN
        )
        await connection.execute(
            self._sql["mark_addresses"], tenant_id, channels, hmacs, is_fresh, origin.source, origin.review
        )
        return sum(new and record["user_id"] is None for new, record in zip(is_fresh, addressed, strict=True))

    async def free(self, tenant_id: bytes, target: Target, reasons: Sequence[SuppressionReason]) -> Freed:
        """End suppressions in one transaction; see `SuppressionStore.free`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            found = await self._find(connection, tenant_id, [(target, "")])
            users = _users([record for record in found if record["user_id"] is not None])
            hmacs = [record["address_hmac"] for record in found if record["address_hmac"] is not None]
            await connection.execute(self._sql["lock_users"], tenant_id, users)
            people = await connection.fetch(
                self._sql["free_users"], tenant_id, users, target.channel, reasons
            )
            addresses = await connection.fetch(
                self._sql["free_addresses"], tenant_id, target.channel, hmacs, reasons
            )
            kept = await connection.fetch(self._sql["kept_reasons"], tenant_id, users, target.channel, hmacs)
        return Freed(
            tuple(sorted(record["external_id"] for record in people)),
            len(people) or len(addresses),
            tuple(sorted(record["reason"] for record in kept)),
        )

    async def page(self, tenant_id: bytes, wanted: Wanted) -> list[Listed]:
        """Suppressions, newest first; see `SuppressionStore.page`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(
                self._sql["page_suppressions"],
                tenant_id,
                wanted.user_id,
                wanted.address_hmacs,
                wanted.channel,
                wanted.reason,
                wanted.review,
                *(wanted.before or _END),
                wanted.limit,
            )
        return [Listed(*record.values()) for record in records]

    async def holders(
        self, tenant_id: bytes, addresses: Sequence[tuple[str, bytes]]
    ) -> dict[tuple[str, bytes], list[Holder]]:
        """Who has addresses now; see `SuppressionStore.holders`."""
        by_channel = {
            channel: [one for known, one in addresses if known == channel] for channel in ("email", "sms")
        }
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(
                self._sql["find_holders"], tenant_id, by_channel["email"], by_channel["sms"]
            )
        found: dict[tuple[str, bytes], list[Holder]] = {}
        for channel, address_hmac, *holder in records:
            found.setdefault((channel, address_hmac), []).append(Holder(*holder))
        return found

    async def last_texted(self, tenant_id: bytes, user_ids: Sequence[int], now_ms: int) -> dict[int, str]:
        """What these users may be answering; see `SuppressionStore.last_texted`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(
                self._sql["last_texted"], tenant_id, user_ids, now_ms - ANSWERED_MS
            )
        return {record["user_id"]: record["category"] for record in records}


def _users(people: Sequence[asyncpg.Record]) -> list[int]:
    return sorted({record["user_id"] for record in people})
