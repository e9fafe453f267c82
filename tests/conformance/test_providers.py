"""The promises of a provider, kept by each of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Generator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from clarion.adapters.providers.registry import build_provider
from clarion.adapters.providers.sandbox import SandboxProvider
from clarion.adapters.providers.smtp import SmtpProvider
from clarion.audience.model import DeviceToken
from clarion.contracts.channels import Channel
from clarion.delivery.model import Message
from clarion.delivery.ports import Provider
from clarion.kernel.clock import StoreClock
from clarion.kernel.ids import make_ids
from clarion.tenancy.config import ProviderConfig
from clarion.testing.outside import outside
from clarion.testing.providers import ProviderConformance, ProviderHarness
from clarion.testing.smtp import Fault, SinkOptions, SmtpSink

TENANT = b"t" * 16


def email() -> Message:
    delivery_id = make_ids(1, 1_800_000_000_000)
    return Message(
        delivery_id, TENANT, "email", 1, to="ada@example.org", subject="Hi", text="Hello", html="<p>Hello"
    )


class SandboxHarness:
    def __init__(self, channel: Channel, settings: dict[str, Any]) -> None:
        self._channel = channel
        self._settings = settings
        self._built: list[SandboxProvider] = []
        self.provider: Provider = self._build({})

    def _build(self, more: dict[str, Any]) -> SandboxProvider:
        config = ProviderConfig("box", TENANT, "sandbox", self._channel, self._settings | more, {})
        provider = build_provider(config, outside(StoreClock()))
        assert isinstance(provider, SandboxProvider)
        self._built.append(provider)
        return provider

    def message(self) -> Message:
        message = msgspec.structs.replace(email(), channel=self._channel)
        if self._channel == "push":
            message = msgspec.structs.replace(message, devices=[DeviceToken("web", "x")])
        return message

    async def arrived(self) -> Counter[bytes]:
        return Counter(message.delivery_id for box in self._built for message in box.recorded)

    async def stalled(self) -> Provider:
        return self._build({"latency_ms": 60_000})

    async def resumed(self) -> Provider:
        return self.provider

    async def close(self) -> None:
        for provider in self._built:
            await provider.close()


@pytest.mark.parametrize(
    ("channel", "settings"),
    [("email", {}), ("sms", {"idempotent": True}), ("push", {"receipts": "engaged", "latency_ms": 1})],
    ids=["email", "sms-idempotent", "push-receipts"],
)
class TestSandbox(ProviderConformance):
    @pytest_asyncio.fixture
    async def harness(self, channel: Channel, settings: dict[str, Any]) -> AsyncGenerator[ProviderHarness]:
        harness = SandboxHarness(channel, settings)
        yield harness
        await harness.close()


class SmtpHarness:
    def __init__(self, sink: SmtpSink) -> None:
        settings = sink.provider_settings("Shop <news@shop.example>") | {"concurrency": 8}
        provider = build_provider(
            ProviderConfig("relay", TENANT, "smtp", "email", settings, {}), outside(StoreClock())
        )
        assert isinstance(provider, SmtpProvider)
        self.provider: Provider = provider
        self._sink = sink

    def message(self) -> Message:
        return email()

    async def arrived(self) -> Counter[bytes]:
        ids = [message.message_id for message in await self._sink.messages()]
        return Counter(bytes.fromhex(ident.removeprefix("<").partition("@")[0]) for ident in ids)

    async def stalled(self) -> Provider:
        await self._sink.script(Fault("end", "hang"))
        return self.provider

    async def resumed(self) -> Provider:
        await self._sink.script()
        return self.provider


@pytest.fixture(scope="module", params=["none", "starttls", "tls"])
def sink(request: pytest.FixtureRequest) -> Generator[SmtpSink]:
    with SmtpSink.start(SinkOptions(tls=request.param, keep=1000)) as sink:
        yield sink


class TestSmtp(ProviderConformance):
    @pytest_asyncio.fixture
    async def harness(self, sink: SmtpSink) -> AsyncGenerator[ProviderHarness]:
        await sink.reset()
        harness = SmtpHarness(sink)
        yield harness
        await harness.provider.close()
