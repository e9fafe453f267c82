"""Vendors' own lists: which calls take an address off, and what becomes of one that does not answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from clarion.adapters.providers.base import Outside, Unavailable
from clarion.adapters.providers.forgetting import VendorTarget
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.unconnected import resolve_nothing
from clarion.adapters.providers.registry import build_provider
from clarion.compliance.ports import DataSubject
from clarion.delivery.model import Receipt
from clarion.kernel.clock import StoreClock
from clarion.tenancy.config import ProviderConfig

ADA = DataSubject(bytes(16), 1 << 48, "ada")


class Lists:
    """A vendor with lists: `HttpTransport` and `ReceiptSink`. `status` answers every call; None: nobody does."""

    def __init__(self, status: int | None) -> None:
        self.status = status
        self.calls: list[HttpRequest] = []

    async def exchange(
        self, request: HttpRequest, on_leaving: Callable[[], None], within_s: float
    ) -> HttpReply:
        assert within_s > 0
        on_leaving()
        self.calls.append(request)
        if self.status is None:
            raise Unavailable("nobody answers", "unreachable")
        return HttpReply(self.status, {}, b"")

    async def close(self) -> None:
        """Nothing to close."""

    async def put(self, receipts: Sequence[Receipt]) -> None:
        raise AssertionError(receipts)


def account(kind: str, credentials: dict[str, Any], **settings: Any) -> ProviderConfig:
    common = {"from": "Clarion <hello@example.com>"}
    return ProviderConfig(
        tenant_id=bytes(16),
        name=kind,
        kind=kind,
        channel="email",
        settings={**common, **settings},
        credentials=credentials,
    )


SENDGRID = account("sendgrid", {"api_key": "SG.secret"})
MAILGUN = account("mailgun", {"api_key": "key-secret"}, domain="mg.example.com")


async def erase(lists: Lists, *accounts: ProviderConfig, email: str = "ada+1@example.org") -> dict[str, int]:
    async def find_email(subject: DataSubject) -> str:
        assert subject == ADA
        return email

    async def find_accounts(tenant_id: bytes) -> Sequence[ProviderConfig]:
        assert tenant_id == ADA.tenant_id
        return accounts

    outside = Outside(StoreClock(), lists, lists, resolve_nothing)
    target = VendorTarget(find_email, find_accounts, lambda one: build_provider(one, outside), lists)
    return dict(await target.erase(ADA))


async def test_an_address_is_taken_off_every_list_of_every_account():
    lists = Lists(204)
    assert await erase(lists, SENDGRID, MAILGUN) == {"entries": 9, "unreached": 0}
    urls = [call.url for call in lists.calls]
    assert "https://api.sendgrid.com/v3/suppression/bounces/ada%2B1%40example.org" in urls
    assert "https://api.sendgrid.com/v3/asm/suppressions/global/ada%2B1%40example.org" in urls
    assert "https://api.mailgun.net/v3/mg.example.com/unsubscribes/ada%2B1%40example.org" in urls
    assert {call.method for call in lists.calls} == {"DELETE"}
    assert lists.calls[0].headers["Authorization"] == "Bearer SG.secret"


async def test_what_is_on_no_list_counts_as_nothing():
    assert await erase(Lists(404), SENDGRID) == {"entries": 0, "unreached": 0}


async def test_a_vendor_that_is_away_or_refuses_holds_nothing_up():
    assert await erase(Lists(None), SENDGRID) == {"entries": 0, "unreached": 5}
    assert await erase(Lists(401), MAILGUN) == {"entries": 0, "unreached": 4}


async def test_nobody_is_asked_without_an_address_or_a_list():
    lists = Lists(204)
    assert await erase(lists, SENDGRID, email="") == {"entries": 0, "unreached": 0}
    assert await erase(lists, account("sandbox", {}), account("sendgrid", {})) == {
        "entries": 0,
        "unreached": 0,
    }
    assert lists.calls == []
