"""The promises of a provider, kept by the vendors of text messages over real connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from joserfc.jwk import RSAKey

from clarion.adapters.providers.http.transport import Transport
from clarion.adapters.providers.registry import build_provider
from clarion.delivery.model import Message
from clarion.delivery.ports import Provider
from clarion.kernel.clock import StoreClock
from clarion.kernel.ids import make_ids
from clarion.tenancy.config import ProviderConfig
from clarion.testing.outside import loopback_transport, outside
from clarion.testing.providers import ProviderConformance, ProviderHarness
from clarion.testing.vendors import (
    HANG,
    PlivoDouble,
    TwilioDouble,
    VendorDouble,
    VendorServer,
    VonageMessagesDouble,
    VonageSmsDouble,
    plivo,
    serve,
    twilio,
    vonage,
)

TENANT = b"t" * 16
HUNG_CALLS = 1000
RECEIPTS = "https://clarion.example/api/v1/receipts/texts?tenant=0"
APPLICATION = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
KEY = RSAKey.generate_key(2048)
NUMBERS = count(15_551_000_000)


class Harness:
    """One kind of account on its double. Each message has a number of its own: some vendors echo nothing else."""

    def __init__(self, vendor: VendorServer, transport: Transport, account: dict[str, Any]) -> None:
        settings = account["settings"] | {"base_url": vendor.url, "concurrency": 20}
        self._config = ProviderConfig(
            "texts", TENANT, account["kind"], "sms", settings, account["credentials"]
        )
        self._vendor = vendor
        self._ids: dict[str, bytes] = {}
        self.provider: Provider = build_provider(self._config, outside(StoreClock(), transport=transport))

    def message(self) -> Message:
        delivery_id, number = make_ids(1, 1_800_000_000_000), str(next(NUMBERS))
        self._ids[number] = delivery_id
        return Message(delivery_id, TENANT, "sms", 1, to=f"+{number}", body="Your code is 123456")

    async def arrived(self) -> Counter[bytes]:
        double = self._vendor.double
        assert isinstance(double, VendorDouble)
        numbers = [
            str(one.get("To") or one.get("to") or one["dst"]).removeprefix("+") for one in double.arrived
        ]
        return Counter(self._ids[number] for number in numbers)

    async def stalled(self) -> Provider:
        self._vendor.script.extend([HANG] * HUNG_CALLS)
        return self.provider

    async def resumed(self) -> Provider:
        self._vendor.script.clear()
        return self.provider


ACCOUNTS: dict[str, tuple[VendorDouble, dict[str, Any]]] = {
    "twilio": (
        TwilioDouble(),
        {
            "kind": "twilio",
            "settings": {"account_sid": twilio.ACCOUNT_SID, "from": "+15005550006", "receipts_url": RECEIPTS},
            "credentials": {"auth_token": twilio.AUTH_TOKEN},
        },
    ),
    "vonage-messages": (
        VonageMessagesDouble(KEY),
        {
            "kind": "vonage",
            "settings": {"from": "Shop", "application_id": APPLICATION, "receipts_url": RECEIPTS},
            "credentials": {"private_key": KEY.as_pem(private=True).decode()},
        },
    ),
    "vonage-sms": (
        VonageSmsDouble(),
        {
            "kind": "vonage",
            "settings": {"api": "sms", "from": "Shop"},
            "credentials": {"api_key": vonage.API_KEY, "api_secret": vonage.API_SECRET},
        },
    ),
    "plivo": (
        PlivoDouble(),
        {
            "kind": "plivo",
            "settings": {"auth_id": plivo.AUTH_ID, "from": "+15005550006", "receipts_url": RECEIPTS},
            "credentials": {"auth_token": plivo.AUTH_TOKEN},
        },
    ),
}


@pytest.mark.parametrize("account", list(ACCOUNTS))
class TestSmsProvider(ProviderConformance):
    @pytest_asyncio.fixture
    async def harness(self, account: str) -> AsyncGenerator[ProviderHarness]:
        double, config = ACCOUNTS[account]
        double.arrived.clear()
        transport = loopback_transport()
        async with serve(double) as vendor:
            harness = Harness(vendor, transport, config)
            yield harness
            await harness.provider.close()
            await transport.close()
