"""Accounts for push on doubles that check every request, and messages for them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from clarion.adapters.providers.registry import build_provider
from clarion.audience.model import DeviceToken
from clarion.delivery.model import Message, Outcome
from clarion.delivery.ports import Provider
from clarion.kernel.clock import Clock
from clarion.kernel.ids import make_ids
from clarion.tenancy.config import ProviderConfig
from clarion.testing.clock import ManualClock
from clarion.testing.outside import loopback_transport, outside
from clarion.testing.vendors import VendorServer, serve, wire2
from clarion.testing.vendors.apns import TOPIC, ApnsDouble
from clarion.testing.vendors.browser import BrowserDouble
from clarion.testing.vendors.certificates import Authority
from clarion.testing.vendors.fcm import FcmDouble
from clarion.testing.vendors.google_oauth import TokenDouble
from clarion.testing.vendors.wire2 import Http2Server

TENANT: Final = b"t" * 16
NOW_MS: Final = 1_800_000_000_000
VAPID_KEY: Final = "dK6UPAf2IBhYAa71AEnHupHQUwgxkVnNtFt0g6d-59I"
SUBJECT: Final = "mailto:ops@shop.example"
ANDROID: Final = DeviceToken("android", "registration:token")

_WorldT = TypeVar("_WorldT", bound="World")


@lru_cache(maxsize=1)
def authority() -> Authority:
    """Who signs the doubles' certificates; one for the process."""
    return Authority()


def push(*devices: DeviceToken, **changes: Any) -> Message:
    """A new message to these devices, but for `changes`."""
    delivery_id = make_ids(1, NOW_MS)
    plain = Message(
        delivery_id,
        TENANT,
        "push",
        1,
        devices=list(devices),
        title="Hi",
        body="Hello",
        data={"id": delivery_id.hex()},
    )
    return msgspec.structs.replace(plain, **changes)


async def send_one(provider: Provider, message: Message) -> Outcome:
    """The outcome of one message."""
    return (await provider.send([message]))[0]


class World:
    """A vendor's double, served, and accounts on it; all ends with `stack`."""

    kind = ""

    def __init__(self, stack: AsyncExitStack, clock: Clock) -> None:
        self.stack = stack
        self.clock = clock
        self._transport = loopback_transport(authority().pem)
        stack.push_async_callback(self._transport.close)

    async def open(self) -> None:
        """Serve the double."""

    def account(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Settings and credentials that the double takes."""
        return {}, {}

    def provider(self, credentials: Mapping[str, str] | None = None, **settings: Any) -> Provider:
        """An account that the double takes, but for these changes."""
        own_settings, own_credentials = self.account()
        config = ProviderConfig(
            "account",
            TENANT,
            self.kind,
            "push",
            own_settings | settings,
            own_credentials | dict(credentials or {}),
        )
        provider = build_provider(config, outside(self.clock, transport=self._transport))
        self.stack.push_async_callback(provider.close)
        return provider


class FcmWorld(World):
    """Firebase, and Google's token endpoint."""

    kind = "fcm"
    server: Http2Server
    token_server: VendorServer

    async def open(self) -> None:
        self.double = FcmDouble()
        self.grants = TokenDouble(self.double.tokens, self.clock)
        self.token_server = await self.stack.enter_async_context(serve(self.grants))
        tls = authority().server("127.0.0.1")
        self.server = await self.stack.enter_async_context(wire2.serve(self.double, tls))

    def account(self) -> tuple[dict[str, Any], dict[str, str]]:
        file = TokenDouble.service_account(self.token_server.url)
        return {"base_url": self.server.url}, {"service_account": file}


class ApnsWorld(World):
    """Apple's service."""

    kind = "apns"
    server: Http2Server

    async def open(self) -> None:
        self.double = ApnsDouble(self.clock)
        tls = authority().server("127.0.0.1")
        self.server = await self.stack.enter_async_context(wire2.serve(self.double, tls))

    def account(self) -> tuple[dict[str, Any], dict[str, str]]:
        return {"topic": TOPIC, "base_url": self.server.url}, self.double.credentials()

    def device(self) -> DeviceToken:
        """A new device of the app."""
        return DeviceToken("ios", self.double.register())


class WebWorld(World):
    """A browser and its push service."""

    kind = "webpush"
    server: VendorServer

    async def open(self) -> None:
        self.double = BrowserDouble(self.clock)
        tls = authority().server("127.0.0.1")
        self.server = await self.stack.enter_async_context(serve(self.double, tls))
        self.double.origin = self.server.url

    def account(self) -> tuple[dict[str, Any], dict[str, str]]:
        return {"subject": SUBJECT}, {"private_key": VAPID_KEY}

    def device(self) -> DeviceToken:
        """A new subscription of the browser."""
        return DeviceToken("web", self.double.subscribe())


@asynccontextmanager
async def opened(kind: type[_WorldT], clock: Clock | None = None) -> AsyncGenerator[_WorldT]:
    """A world of that kind until the block ends."""
    async with AsyncExitStack() as stack:
        world = kind(stack, clock or ManualClock(NOW_MS))
        await world.open()
        yield world
