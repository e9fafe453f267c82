"""Accounts and messages for the tests beside this file."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from clarion.adapters.providers.smtp.pool import PoolLimits
from clarion.adapters.providers.smtp.provider import SmtpProvider
from clarion.delivery.model import Message, Outcome
from clarion.delivery.ports import Provider
from clarion.kernel.ids import make_ids
from clarion.testing.smtp import SmtpSink

TENANT = b"t" * 16


class MakeRelay(Protocol):
    """Makes an account: on the test's sink unless another is named, with the settings that a test changes."""

    def __call__(
        self,
        on: SmtpSink | None = None,
        limits: PoolLimits | None = None,
        credentials: dict[str, str] | None = None,
        **settings: Any,
    ) -> SmtpProvider: ...


def email(**changes: Any) -> Message:
    """A new message that any mail server takes, but for `changes`."""
    delivery_id = make_ids(1, 1_800_000_000_000)
    plain = Message(delivery_id, TENANT, "email", 1, to="ada@example.org", subject="Hi", text="Hello")
    return msgspec.structs.replace(plain, **changes)


async def send_one(provider: Provider, **changes: Any) -> Outcome:
    """The outcome of one new message."""
    return (await provider.send([email(**changes)]))[0]
