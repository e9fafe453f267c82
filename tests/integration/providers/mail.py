"""Accounts with vendors of e-mail, on doubles over real connections, and letters for them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, cast

import msgspec

from clarion.adapters.providers.registry import build_provider
from clarion.delivery.model import Message, Outcome
from clarion.delivery.ports import Provider
from clarion.kernel.clock import StoreClock
from clarion.kernel.ids import make_ids
from clarion.tenancy.config import ProviderConfig
from clarion.testing.outside import loopback_transport, outside
from clarion.testing.vendors import (
    MailDouble,
    MailgunDouble,
    SendGridDouble,
    SesDouble,
    VendorServer,
    mailgun,
    sendgrid,
    serve,
)

TENANT = b"t" * 16
NOW_MS = 1_800_000_000_000
KINDS: Final = ("sendgrid", "ses", "mailgun")
SENDER: Final = "Shop <news@shop.example>"
_NUMBERS = count()

_ACCOUNTS: Final[Mapping[str, tuple[type[MailDouble], dict[str, Any], dict[str, str]]]] = {
    "sendgrid": (SendGridDouble, {}, {"api_key": sendgrid.API_KEY}),
    "ses": (
        SesDouble,
        {"region": "eu-west-1"},
        {"access_key_id": "AKIA0123456789ABCDEF", "secret_access_key": "s" * 40},
    ),
    "mailgun": (MailgunDouble, {"domain": mailgun.DOMAIN}, {"api_key": mailgun.API_KEY}),
}


class MailVendor:
    """A vendor on its port, and an account with it."""

    def __init__(self, server: VendorServer, provider: Provider) -> None:
        self.server = server
        self.provider = provider

    @property
    def double(self) -> MailDouble:
        """The vendor."""
        return cast("MailDouble", self.server.double)

    async def send(self, *messages: Message) -> list[Outcome]:
        """An outcome a message."""
        return await self.provider.send(messages)


def config(
    kind: str, url: str = "", credentials: dict[str, str] | None = None, **settings: Any
) -> ProviderConfig:
    """An account that its double knows, but for what a test changes."""
    _, usual, good = _ACCOUNTS[kind]
    merged = {"from": SENDER, "base_url": url} | usual | settings
    return ProviderConfig("mail", TENANT, kind, "email", merged, good if credentials is None else credentials)


@asynccontextmanager
async def open_vendor(
    kind: str, credentials: dict[str, str] | None = None, **settings: Any
) -> AsyncGenerator[MailVendor]:
    """A vendor that takes everything, and an account with it."""
    transport = loopback_transport()
    async with serve(_ACCOUNTS[kind][0]()) as server:
        account = config(kind, server.url, credentials, **settings)
        provider = build_provider(account, outside(StoreClock(), transport=transport))
        yield MailVendor(server, provider)
        await provider.close()
        await transport.close()


def letter(**changes: Any) -> Message:
    """A new message to an address of its own."""
    plain = Message(
        make_ids(1, NOW_MS),
        TENANT,
        "email",
        1,
        to=f"user{next(_NUMBERS)}@example.org",
        subject="Hi",
        text="Hello there",
        html="<p>Hello there</p>",
    )
    return msgspec.structs.replace(plain, **changes)


def newsletter(name: str, **changes: Any) -> Message:
    """One of many messages of a template: a name, a link of her own, and a block that some have."""
    link = f"https://mail.shop.example/t/c/{name}{next(_NUMBERS):09}"
    vip = "<p>Thank you for five years with us.</p>\n" if len(name) > 5 else ""
    same = "<table><tr><td>The same for everybody.</td></tr></table>\n" * 8
    return letter(
        subject=f"News for {name}",
        text=f"Hello {name}\n\nThe same for everybody.\n{link}\n",
        html=f'<h1>Hello {name}</h1>\n{vip}{same}<a href="{link}">Read on</a>',
        headers={"List-Unsubscribe": f"<https://mail.shop.example/u/{name}>"} | changes.pop("headers", {}),
        shape="news:1:",
        **changes,
    )


def kinds_of(outcomes: Sequence[Outcome]) -> list[str]:
    """Kind by kind, in order."""
    return [outcome.kind for outcome in outcomes]
