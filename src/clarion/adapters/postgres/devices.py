"""Devices in Postgres: whose they are, whom they were taken from, and what that changes for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from clarion.adapters.postgres.queries import load_queries
from clarion.audience.ports import DeviceRow, Placed, UserRow
from clarion.audience.profile import MAX_DEVICES
from clarion.compliance.suppression import ENDED_BY_NEW_ADDRESS
from clarion.contracts.channels import CHANNEL_INDEX

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools

_PUSH: Final = 1 << CHANNEL_INDEX["push"]
_SQL: Final = load_queries("devices")


class PostgresDevices:
    """`audience.ports.DeviceStore` on the pipeline pool."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def put(self, tenant_id: bytes, row: DeviceRow) -> Placed | None:
        """Add, take over or touch a device; see `DeviceStore.put`. Where it was: one statement."""
        async with self._pools.pipeline() as connection:
            seen_ms = await connection.fetchval(
                _SQL["touch_device"], tenant_id, row.user_id, row.token_hmac, row.platform, row.sealed
            )
            if seen_ms is not None:
                return Placed(is_new=False, last_seen_ms=seen_ms, changed=[])
            async with connection.transaction():
                return await self._place(connection, tenant_id, row)

    async def read(self, tenant_id: bytes, user_id: int) -> list[DeviceRow]:
        """A user's devices; see `DeviceStore.read`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(_SQL["read_devices"], user_id)
        return [
            DeviceRow(
                user_id, record["token_hmac"], record["platform"], record["sealed"], record["last_seen"]
            )
            for record in records
        ]

    async def owners(self, tenant_id: bytes, token_hmacs: Sequence[bytes]) -> list[str]:
        """Whose these devices are now; see `DeviceStore.owners`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(_SQL["find_owners"], tenant_id, token_hmacs)
        return [record["external_id"] for record in records]

    async def drop(self, tenant_id: bytes, user_id: int, token_hmac: bytes) -> bool:
        """Remove one device; see `DeviceStore.drop`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            await connection.fetch(_SQL["lock_users"], tenant_id, [user_id], [])
            if await connection.fetchval(_SQL["drop_device"], tenant_id, user_id, token_hmac) is None:
                return False
            await connection.fetch(_SQL["settle_reach"], [user_id], _PUSH)
        return True

    async def drop_dead(self, tenant_id: bytes, since_ms: Mapping[bytes, int]) -> list[str]:
        """Remove devices whose tokens died; see `DeviceStore.drop_dead`."""
        hmacs, times = list(since_ms), list(since_ms.values())
        async with self._pools.pipeline() as connection, connection.transaction():
            await connection.fetch(_SQL["lock_users"], tenant_id, [], hmacs)
            dropped = await connection.fetch(_SQL["drop_dead_devices"], tenant_id, hmacs, times)
            if not dropped:
                return []
            whose = sorted({record["user_id"] for record in dropped})
            changed = await connection.fetch(_SQL["settle_reach"], whose, _PUSH)
        return [record["external_id"] for record in changed]

    async def drop_stale(self, days: int, limit: int) -> list[tuple[bytes, str]]:
        """Remove devices that were not seen for long; see `DeviceStore.drop_stale`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            await connection.execute(_SQL["forget_dead_devices"], days)
            dropped = await connection.fetch(_SQL["drop_stale_devices"], days, limit)
            whose = sorted({record["user_id"] for record in dropped})
            return [
                (record["tenant_id"], record["external_id"])
                for record in await connection.fetch(_SQL["settle_reach"], whose, _PUSH)
            ]

    async def _place(
        self, connection: PoolConnectionProxy, tenant_id: bytes, row: DeviceRow
    ) -> Placed | None:
        before = await lock_owners(connection, tenant_id, [row.user_id], [row])
        if row.user_id not in before:
            return None
        await connection.execute(_SQL["revive_device"], tenant_id, row.token_hmac)
        await _put(connection, tenant_id, [row], with_profile=False)
        await connection.execute(_SQL["trim_devices"], row.user_id, MAX_DEVICES)
        await connection.execute(_SQL["end_dead_tokens"], row.user_id, ENDED_BY_NEW_ADDRESS)
        changed = await connection.fetch(_SQL["settle_reach"], sorted(before), _PUSH)
        devices = await connection.fetch(_SQL["read_devices"], row.user_id)
        seen_ms = next(d["last_seen"] for d in devices if d["token_hmac"] == row.token_hmac)
        return Placed(
            is_new=True, last_seen_ms=seen_ms, changed=[record["external_id"] for record in changed]
        )


async def lock_owners(
    connection: PoolConnectionProxy, tenant_id: bytes, user_ids: Sequence[int], devices: Sequence[DeviceRow]
) -> set[int]:
    """Hold these users, and whoever has these devices now, until the transaction ends; those who are there."""
    tokens = [device.token_hmac for device in devices]
    if tokens:
        numbers = sorted({int.from_bytes(token[:8], "big", signed=True) for token in tokens})
        await connection.fetch(_SQL["lock_tokens"], numbers)
    records = await connection.fetch(_SQL["lock_users"], tenant_id, user_ids, tokens)
    return {record["user_id"] for record in records}


async def put_with_profiles(
    connection: PoolConnectionProxy, tenant_id: bytes, rows: Sequence[UserRow]
) -> None:
    """Write the devices of users who are new."""
    devices = _devices_of(rows)
    if devices:
        ids = [row.user_id for row in rows]
        before = await lock_owners(connection, tenant_id, ids, devices)
        are_all_alive = await _put(connection, tenant_id, devices, with_profile=True)
        # A new user is written as reachable by what she lists; dead tokens are not among what was put.
        misled = set[int]() if are_all_alive else {device.user_id for device in devices}
        await _bereave(connection, before.difference(ids) | misled)


async def replace_with_profiles(
    connection: PoolConnectionProxy, tenant_id: bytes, rows: Sequence[UserRow]
) -> None:
    """Make users' devices what their new profiles say; the users are locked, and their reach is settled afterwards."""
    ids, devices = [row.user_id for row in rows], _devices_of(rows)
    before = await lock_owners(connection, tenant_id, ids, devices)
    lists = [row.devices is not None for row in rows]
    await connection.execute(_SQL["replace_devices"], ids, lists, [device.token_hmac for device in devices])
    if devices:
        await _put(connection, tenant_id, devices, with_profile=True)
        await _bereave(connection, before.difference(ids))


def devices_of(record: asyncpg.Record) -> list[DeviceRow]:
    """The devices that a user's record carries as `device_platforms` and `device_tokens`."""
    platforms: list[str] = record["device_platforms"] or []
    tokens: list[bytes] = record["device_tokens"] or []
    return [
        DeviceRow(record["user_id"], b"", platform, sealed)
        for platform, sealed in zip(platforms, tokens, strict=True)
    ]


async def _put(
    connection: PoolConnectionProxy, tenant_id: bytes, devices: Sequence[DeviceRow], *, with_profile: bool
) -> bool:
    """Write devices; whether all of them: a profile brings no dead one back."""
    done = await connection.execute(
        _SQL["put_devices"],
        tenant_id,
        [device.user_id for device in devices],
        [device.token_hmac for device in devices],
        [device.platform for device in devices],
        [device.sealed for device in devices],
        with_profile,
    )
    return int(done.rpartition(" ")[2]) == len(devices)


async def _bereave(connection: PoolConnectionProxy, user_ids: set[int]) -> None:
    """Settle users some of whose tokens are somebody else's, or dead."""
    if user_ids:
        await connection.fetch(_SQL["settle_reach"], sorted(user_ids), _PUSH)


def _devices_of(rows: Sequence[UserRow]) -> list[DeviceRow]:
    """The devices that rows list; of one token in two rows the later counts."""
    return list({device.token_hmac: device for row in rows for device in row.devices or ()}.values())
