"""The promises of a provider, kept by the vendors of e-mail over real connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from clarion.delivery.model import Message
from clarion.delivery.ports import Provider
from clarion.testing.providers import ProviderConformance, ProviderHarness
from clarion.testing.vendors import HANG
from tests.integration.providers.mail import KINDS, MailVendor, letter, open_vendor

HUNG_CALLS = 1000


class Harness:
    def __init__(self, vendor: MailVendor) -> None:
        self._vendor = vendor
        self.provider = vendor.provider

    def message(self) -> Message:
        return letter()

    async def arrived(self) -> Counter[bytes]:
        return self._vendor.double.counts()

    async def stalled(self) -> Provider:
        self._vendor.server.script.extend([HANG] * HUNG_CALLS)
        return self.provider

    async def resumed(self) -> Provider:
        self._vendor.server.script.clear()
        return self.provider


@pytest.mark.parametrize("kind", KINDS)
class TestMailProvider(ProviderConformance):
    @pytest_asyncio.fixture
    async def harness(self, kind: str) -> AsyncGenerator[ProviderHarness]:
        async with open_vendor(kind) as vendor:
            yield Harness(vendor)
