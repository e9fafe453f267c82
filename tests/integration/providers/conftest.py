"""A real SMTP server in a process of its own, and accounts on it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
import pytest_asyncio

from clarion.adapters.providers.smtp.account import read_account
from clarion.adapters.providers.smtp.pool import PoolLimits
from clarion.adapters.providers.smtp.provider import SmtpProvider
from clarion.tenancy.config import ProviderConfig
from clarion.testing.clock import ManualClock
from clarion.testing.outside import outside
from clarion.testing.smtp import SinkOptions, SmtpSink
from tests.integration.providers.support import TENANT, MakeRelay


@pytest.fixture(scope="session")
def shared_sink() -> Generator[SmtpSink]:
    with SmtpSink.start(SinkOptions(keep=1000)) as sink:
        yield sink


@pytest_asyncio.fixture
async def sink(shared_sink: SmtpSink) -> SmtpSink:
    """A sink without messages and faults."""
    await shared_sink.reset()
    return shared_sink


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def relay(sink: SmtpSink, clock: ManualClock) -> AsyncGenerator[MakeRelay]:
    made: list[SmtpProvider] = []

    def make(
        on: SmtpSink | None = None,
        limits: PoolLimits | None = None,
        credentials: dict[str, str] | None = None,
        **settings: Any,
    ) -> SmtpProvider:
        merged = (on or sink).provider_settings("Shop <news@shop.example>") | {"concurrency": 4} | settings
        config = ProviderConfig("relay", TENANT, "smtp", "email", merged, credentials or {})
        provider = SmtpProvider(config, read_account(config), outside(clock), limits)
        made.append(provider)
        return provider

    yield make
    for provider in made:
        await provider.close()
