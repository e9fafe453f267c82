"""The promises of a provider, kept by those of push, against doubles that check every request."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from uuid import UUID

import pytest_asyncio

from clarion.delivery.model import Message
from clarion.delivery.ports import Provider
from clarion.testing.providers import ProviderConformance, ProviderHarness
from clarion.testing.vendors.wire import HANG
from clarion.testing.vendors.wire2 import Fault
from tests.integration.providers.push import ANDROID, ApnsWorld, FcmWorld, WebWorld, opened, push

MANY = 1000
SILENCE: list[Fault] = ["hang"] * MANY


class FcmHarness:
    def __init__(self, world: FcmWorld) -> None:
        self._world = world
        self.provider: Provider = world.provider()

    def message(self) -> Message:
        return push(ANDROID)

    async def arrived(self) -> Counter[bytes]:
        return Counter(bytes.fromhex(message["data"]["id"]) for message in self._world.double.arrived)

    async def stalled(self) -> Provider:
        self._world.server.script.extend(SILENCE)
        return self.provider

    async def resumed(self) -> Provider:
        self._world.server.script.clear()
        return self.provider


class ApnsHarness:
    def __init__(self, world: ApnsWorld) -> None:
        self._world = world
        self.provider: Provider = world.provider()

    def message(self) -> Message:
        return push(self._world.device())

    async def arrived(self) -> Counter[bytes]:
        return Counter(UUID(message["headers"]["apns-id"]).bytes for message in self._world.double.arrived)

    async def stalled(self) -> Provider:
        self._world.server.script.extend(SILENCE)
        return self.provider

    async def resumed(self) -> Provider:
        self._world.server.script.clear()
        return self.provider


class WebPushHarness:
    def __init__(self, world: WebWorld) -> None:
        self._world = world
        self.provider: Provider = world.provider()

    def message(self) -> Message:
        return push(self._world.device())

    async def arrived(self) -> Counter[bytes]:
        return Counter(UUID(message["content"]["id"]).bytes for message in self._world.double.arrived)

    async def stalled(self) -> Provider:
        self._world.server.script.extend([HANG] * MANY)
        return self.provider

    async def resumed(self) -> Provider:
        self._world.server.script.clear()
        return self.provider


class TestFcm(ProviderConformance):
    @pytest_asyncio.fixture
    async def harness(self) -> AsyncGenerator[ProviderHarness]:
        async with opened(FcmWorld) as world:
            yield FcmHarness(world)


class TestApns(ProviderConformance):
    @pytest_asyncio.fixture
    async def harness(self) -> AsyncGenerator[ProviderHarness]:
        async with opened(ApnsWorld) as world:
            yield ApnsHarness(world)


class TestWebPush(ProviderConformance):
    @pytest_asyncio.fixture
    async def harness(self) -> AsyncGenerator[ProviderHarness]:
        async with opened(WebWorld) as world:
            yield WebPushHarness(world)
