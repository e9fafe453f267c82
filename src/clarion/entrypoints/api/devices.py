"""A user's devices: registered by the app whenever it starts, without touching her profile."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.audience.devices import Device, DevicePorts, forget_device, list_devices, register_device
from clarion.audience.model import DeviceToken
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.orchestration.rows import format_time

EXAMPLE: Final = {
    "platform": "ios",
    "token": "740f4707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bb78ad",
}
SHOWN: Final = {
    "device_id": "5b0bc1a8b3f54b7f8ab4f0e2ad1c2d34",
    **EXAMPLE,
    "last_seen": "2026-11-22T09:30:00.000Z",
}


class DeviceView(msgspec.Struct, frozen=True):
    """A device. `device_id` follows from the token; `last_seen`: when it was registered last."""

    device_id: str
    platform: str
    token: str
    last_seen: str


class DeviceList(msgspec.Struct, frozen=True):
    """A user's devices, the one seen last first."""

    devices: list[DeviceView]


_DEVICE: Final = JsonBody(DeviceToken)


@route(
    "PUT /api/v1/users/{user_id}/devices",
    Spec(
        tag="users",
        scope="users:write",
        body=_DEVICE,
        answers={200: DeviceView, 201: DeviceView},
        examples={"body": EXAMPLE, "answer": SHOWN},
    ),
)
async def put_device(call: Call) -> Reply:
    """Register a device, or note that it is in use.

    To be called whenever the app starts: what was not seen for 270 days is forgotten. A token that was another user's
    is hers no longer. A user has the 50 devices that were seen last.
    """
    name = call.param("user_id")
    device = await call.read(_DEVICE)
    done = await register_device(call.tenant_id, name, device, _ports(call))
    await call.services.cards.refresh(call.tenant_id, done.changed)
    return json_reply(_view(done.device), 201 if done.is_new else 200)


@route(
    "GET /api/v1/users/{user_id}/devices",
    Spec(
        tag="users",
        scope="users:read",
        rate="read",
        answers={200: DeviceList},
        examples={"answer": {"devices": [SHOWN]}},
    ),
)
async def get_devices(call: Call) -> Reply:
    """A user's devices, the one seen last first."""
    devices = await list_devices(call.tenant_id, call.param("user_id"), _ports(call))
    return json_reply(DeviceList([_view(device) for device in devices]))


@route(
    "DELETE /api/v1/users/{user_id}/devices/{device_id}",
    Spec(tag="users", scope="users:write", answers={204: None}),
)
async def delete_device(call: Call) -> Reply:
    """Remove a device: when its user logs out, or it refuses messages."""
    name = call.param("user_id")
    await forget_device(call.tenant_id, name, call.param("device_id"), _ports(call))
    await call.services.cards.refresh(call.tenant_id, [name])
    return Reply(204)


def _ports(call: Call) -> DevicePorts:
    region = call.services.gateway.region
    return DevicePorts(region.users, region.devices, region.keyring, region.sealer, region.seals)


def _view(device: Device) -> DeviceView:
    return DeviceView(device.device_id, device.platform, device.token, format_time(device.last_seen_ms))


ROUTES: Final[tuple[Route, ...]] = (put_device, get_devices, delete_device)
