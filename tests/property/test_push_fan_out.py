"""Whatever becomes of the calls to a user's devices, her message's outcome says no more and no less than is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.adapters.providers.base import Cut, Unavailable
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.push.fan_out import PushProvider
from clarion.audience.model import DeviceToken
from clarion.delivery.model import Message, Outcome
from clarion.tenancy.config import ProviderConfig
from clarion.testing.clock import ManualClock
from clarion.testing.outside import outside
from tests.integration.providers.push import TENANT, push

Fate: TypeAlias = Literal[
    "taken", "dead", "busy", "unreachable", "unreachable_late", "cut", "silent", "queued"
]
"""`silent`: its request leaves and is never answered; `queued`: it never leaves."""

NOT_SENT: frozenset[Fate] = frozenset({"dead", "busy", "unreachable", "unreachable_late", "queued"})
UNKNOWN: frozenset[Fate] = frozenset({"cut", "silent"})
FATES = st.sampled_from(sorted(NOT_SENT | UNKNOWN | {"taken"}))


class Limits:
    """So many calls that each device has its own, and a deadline that ends what never does."""

    concurrency = 50
    timeout_s = 0.02


class Fates:
    """A transport on which each request meets the fate that its address names."""

    async def exchange(
        self, request: HttpRequest, on_leaving: Callable[[], None], within_s: float
    ) -> HttpReply:
        del within_s
        fate = request.url.rpartition("/")[2]
        if fate == "queued":
            await asyncio.Event().wait()
        if fate == "unreachable":
            raise Unavailable("no connection", "unreachable")
        on_leaving()
        match fate:
            case "unreachable_late":
                raise Unavailable("refused", "unreachable")
            case "cut":
                raise Cut("no reply", "cut")
            case "silent":
                await asyncio.Event().wait()
            case _:
                pass
        return HttpReply({"taken": 200, "dead": 410, "busy": 503}[fate], {}, b"")

    async def close(self) -> None:
        """Nothing."""


class Plain(PushProvider):
    """A service that says all by its status. A device's token is its number and its fate."""

    def _request_to(self, message: Message, device: DeviceToken) -> HttpRequest:
        del message
        return HttpRequest("POST", f"https://push.example/{device.token.partition(':')[2]}", {})

    def _outcome_to(self, message: Message, device: DeviceToken, reply: HttpReply) -> Outcome:
        if reply.status == 200:
            return self._sent(message, "id")
        return (
            self._gone(message, device, "gone")
            if reply.status == 410
            else self._outcome_by_status(message, reply)
        )


async def outcomes_of(batch: Sequence[Sequence[Fate]]) -> list[Outcome]:
    config = ProviderConfig("plain", TENANT, "plain", "push", {}, {})
    provider = Plain(config, "fcm", Limits(), outside(ManualClock(), transport=Fates()))
    messages = [
        push(*(DeviceToken("android", f"{i}:{fate}") for i, fate in enumerate(fates))) for fates in batch
    ]
    return await provider.send(messages)


@given(st.lists(st.lists(FATES, min_size=1, max_size=4), min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_an_outcome_says_what_is_known(batch: list[list[Fate]]) -> None:
    for fates, outcome in zip(batch, asyncio.run(outcomes_of(batch)), strict=True):
        if "taken" in fates:
            assert outcome.kind == "sent", fates
        elif UNKNOWN.intersection(fates):
            assert outcome.kind == "ambiguous", fates
        elif set(fates) == {"dead"}:
            assert outcome.kind == "permanent", fates
        else:
            assert outcome.kind == "transient", fates


@given(st.lists(FATES, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_no_living_device_is_forgotten_and_no_dead_one_once_all_have_answered(fates: list[Fate]) -> None:
    (outcome,) = asyncio.run(outcomes_of([fates]))
    named = [dead.token for dead in outcome.dead_tokens]
    dead = [f"{i}:dead" for i, fate in enumerate(fates) if fate == "dead"]
    assert set(named) <= set(dead)
    if not {"silent", "queued"}.intersection(fates):
        assert sorted(named) == sorted(dead)
