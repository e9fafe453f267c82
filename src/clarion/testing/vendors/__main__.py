"""`python -m clarion.testing.vendors KIND`: a vendor's double in a process of its own.

The first line on stdout is JSON: the `settings` and `credentials` of an account with it. It serves until
stdin ends, and then says in a second line what it took.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import msgspec
import uvloop

from clarion.testing.vendors import sendgrid, twilio, wire
from clarion.testing.vendors.double import VendorDouble
from clarion.testing.vendors.fcm import FcmDouble
from clarion.testing.vendors.google_oauth import TokenDouble


class Stand(msgspec.Struct, frozen=True):
    """A double at work: the account that a provider needs there, and how many connections it has had so far."""

    double: VendorDouble
    settings: dict[str, Any]
    credentials: dict[str, str]
    connections: Callable[[], int]


@asynccontextmanager
async def _twilio() -> AsyncGenerator[Stand]:
    double = twilio.TwilioDouble()
    async with wire.serve(double) as server:
        settings = {"base_url": server.url, "account_sid": twilio.ACCOUNT_SID, "from": "+15005550006"}
        yield Stand(double, settings, {"auth_token": twilio.AUTH_TOKEN}, lambda: server.connections)


@asynccontextmanager
async def _sendgrid() -> AsyncGenerator[Stand]:
    double = sendgrid.SendGridDouble()
    async with wire.serve(double) as server:
        settings = {"base_url": server.url, "from": "Shop <news@shop.example>"}
        yield Stand(double, settings, {"api_key": sendgrid.API_KEY}, lambda: server.connections)


@asynccontextmanager
async def _fcm() -> AsyncGenerator[Stand]:
    # Here alone, because the other doubles need nothing that the bench extras bring.
    fast2 = importlib.import_module("clarion.testing.vendors.fast2")
    double = FcmDouble()
    async with fast2.serve(double) as server, wire.serve(TokenDouble(double.tokens)) as google:
        credentials = {"service_account": TokenDouble.service_account(google.url)}
        yield Stand(double, {"base_url": server.url}, credentials, lambda: len(server.clients))


_STANDS: Final[Mapping[str, Callable[[], AbstractAsyncContextManager[Stand]]]] = {
    "twilio": _twilio,
    "sendgrid": _sendgrid,
    "fcm": _fcm,
}


async def run(kind: str) -> None:
    """Serve a double until stdin ends."""
    async with _STANDS[kind]() as stand:
        _say({"settings": stand.settings, "credentials": stand.credentials})
        await asyncio.to_thread(sys.stdin.read)
        double = stand.double
        _say(
            {
                "taken": double.taken,
                "statuses": double.statuses,
                "refusals": list(double.refusals)[:5],
                "connections": stand.connections(),
            }
        )


def _say(what: object) -> None:
    sys.stdout.write(msgspec.json.encode(what).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1]))
