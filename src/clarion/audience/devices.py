"""Devices: where push reaches a user. Each is written by itself, whenever the app starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from clarion.audience.keyring import Keyring
from clarion.audience.model import DeviceToken
from clarion.audience.ports import DeviceRow, DeviceStore, Sealer, UserStore
from clarion.audience.profile import UserProfile
from clarion.audience.seals import Seals, device_context
from clarion.kernel.errors import NotFound, Transient
from clarion.kernel.text import check_storable, is_storable

STALE_DAYS: Final = 270
"""A device that was not seen for so long has a dead token: push services end tokens after this time without use."""


class Device(msgspec.Struct, frozen=True):
    """A device of a user. `device_id` follows from the token, in hexadecimal; `last_seen_ms` is the store's time."""

    device_id: str
    platform: str
    token: str
    last_seen_ms: int


class Registered(msgspec.Struct, frozen=True):
    """What became of a registration. `changed`: the users whose cards are no longer right, by external id."""

    device: Device
    is_new: bool
    changed: list[str]


class DevicePorts(msgspec.Struct, frozen=True):
    """The outside, as devices use it."""

    users: UserStore
    devices: DeviceStore
    keyring: Keyring
    sealer: Sealer
    seals: Seals


def seal_devices(
    owner: tuple[bytes, int], devices: Sequence[DeviceToken], key: bytes, sealer: Sealer
) -> list[DeviceRow]:
    """Devices of `owner` (tenant, user id) as rows, under her key."""
    tenant_id, user_id = owner
    return [
        DeviceRow(
            user_id,
            token_hmac(tenant_id, device.token, sealer),
            device.platform,
            sealer.seal(key, device.token.encode(), device_context(user_id, tenant_id)),
        )
        for device in devices
    ]


def token_hmac(tenant_id: bytes, token: str, sealer: Sealer) -> bytes:
    """What finds a token without opening it."""
    return sealer.blind(tenant_id, b"device:" + token.encode())


async def owners_of(
    tenant_id: bytes, profiles: Iterable[UserProfile], devices: DeviceStore, sealer: Sealer
) -> list[str]:
    """Who has the devices that these profiles list, by external id: whoever is to lose one. One query, or none."""
    tokens = {device.token for profile in profiles for device in profile.device_tokens or ()}
    # A token that no store can hold is refused later, with its path.
    hmacs = [token_hmac(tenant_id, token, sealer) for token in tokens if is_storable(token)]
    return await devices.owners(tenant_id, hmacs) if hmacs else []


async def register_device(
    tenant_id: bytes, external_id: str, device: DeviceToken, ports: DevicePorts
) -> Registered:
    """Note that a device is the user's and alive now. Whoever had the token before has it no longer.

    Of more than `profile.MAX_DEVICES` those seen last stay. Raises NotFound, Invalid, Transient.
    """
    check_storable(device.token, "token")
    user_id = await _find(tenant_id, external_id, ports.users)
    key = (await ports.keyring.ensure([user_id])).get(user_id)
    if key is None:
        raise Transient("this user's key cannot be read; try again")
    (row,) = seal_devices((tenant_id, user_id), [device], key, ports.sealer)
    placed = await ports.devices.put(tenant_id, row)
    if placed is None:
        raise NotFound("there is no such user")
    shown = Device(row.token_hmac.hex(), device.platform, device.token, placed.last_seen_ms)
    return Registered(shown, placed.is_new, placed.changed)


async def list_devices(tenant_id: bytes, external_id: str, ports: DevicePorts) -> list[Device]:
    """A user's devices, the one seen last first. Raises NotFound, Transient."""
    user_id = await _find(tenant_id, external_id, ports.users)
    rows = await ports.devices.read(tenant_id, user_id)
    opened = await ports.seals.open_devices(tenant_id, user_id, rows)
    return [
        Device(row.token_hmac.hex(), row.platform, token.token, row.last_seen_ms)
        for row, token in zip(rows, opened, strict=True)
        if token is not None
    ]


async def forget_device(tenant_id: bytes, external_id: str, device_id: str, ports: DevicePorts) -> None:
    """Remove one device of a user. Raises NotFound, Invalid, Transient."""
    try:
        wanted = bytes.fromhex(device_id)
    except ValueError:
        raise NotFound("this user has no such device") from None
    user_id = await _find(tenant_id, external_id, ports.users)
    if not await ports.devices.drop(tenant_id, user_id, wanted):
        raise NotFound("this user has no such device")


async def _find(tenant_id: bytes, external_id: str, users: UserStore) -> int:
    user_id = (await users.find_ids(tenant_id, [external_id])).get(external_id)
    if user_id is None:
        raise NotFound("there is no such user")
    return user_id
