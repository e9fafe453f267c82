"""Lists that vendors of e-mail keep of addresses (bounces, complaints, unsubscribes): an erasure takes hers off.

Our own record of an objection outlives the user, as a keyed hash: no address has to stay at a vendor for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

from clarion.adapters.providers.base import Cut, KeepsLists, Unavailable
from clarion.adapters.providers.http.exchange import HttpRequest, HttpTransport
from clarion.compliance.ports import DataSubject
from clarion.delivery.ports import Provider
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

WITHIN_S: Final = 5.0
TRIES: Final = 2

_GONE: Final = 404

FindEmail: TypeAlias = Callable[[DataSubject], Awaitable[str]]
"""A user's e-mail address in clear; "" where she has none, or her key is gone."""

FindAccounts: TypeAlias = Callable[[bytes], Awaitable[Sequence[ProviderConfig]]]
"""A tenant's accounts."""

Build: TypeAlias = Callable[[ProviderConfig], Provider]
"""An account's provider. Raises Invalid where it cannot be built."""


class VendorTarget:
    """The vendors' lists. To be asked before the user's key is destroyed, without which nobody knows her address.

    A vendor that cannot be reached, or refuses, holds no erasure up: the certificate says `unreached`.
    """

    def __init__(
        self, find_email: FindEmail, find_accounts: FindAccounts, build: Build, transport: HttpTransport
    ) -> None:
        self._find_email = find_email
        self._find_accounts = find_accounts
        self._build = build
        self._transport = transport

    @property
    def name(self) -> str:
        """As the certificate names it."""
        return "vendors.lists"

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Take her address off; see `ErasureTarget.erase`. `entries` were there, `unreached` lists did not answer."""
        email = await self._find_email(subject)
        accounts = await self._find_accounts(subject.tenant_id) if email else ()
        requests = [one for account in accounts for one in await requests_for(account, email, self._build)]
        answers = await asyncio.gather(*(self._send(request) for request in requests))
        return {"entries": answers.count("entries"), "unreached": answers.count("unreached")}

    async def _send(self, request: HttpRequest) -> str:
        for _ in range(TRIES):
            try:
                reply = await self._transport.exchange(request, _leave, WITHIN_S)
            except (Unavailable, Cut):
                continue
            if reply.status < 300:  # noqa: PLR2004  any success
                return "entries"
            return "absent" if reply.status == _GONE else "unreached"
        return "unreached"


async def requests_for(account: ProviderConfig, email: str, build: Build) -> Sequence[HttpRequest]:
    """The calls that take an address off an account's lists; none where it keeps none, or cannot be built."""
    try:
        provider = build(account)
    except Invalid:
        return ()
    try:
        return provider.unlisting(email) if isinstance(provider, KeepsLists) else ()
    finally:
        await provider.close()


def _leave() -> None:
    """Nothing: a call that may have arrived may be made again."""
