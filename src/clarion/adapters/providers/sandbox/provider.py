"""The sandbox as a provider."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from typing import Final

from clarion.adapters.providers.base import BaseProvider, Flight, Outside, Unavailable, read_settings
from clarion.adapters.providers.sandbox.echo import Echo
from clarion.adapters.providers.sandbox.fate import (
    RECEIPT_KINDS,
    SandboxSettings,
    check_settings,
    draw,
    fate_of,
)
from clarion.adapters.providers.sandbox.script import Act, Script, check_script
from clarion.delivery.model import AUTH_CODE, Capabilities, Message, Outcome, OutcomeKind
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

MAX_BATCH: Final = 1000
RECORDED: Final = 1000
"""The latest messages that a sandbox keeps. With their bodies: about 5 MB."""

REMEMBERED: Final = 100_000
"""The latest delivery ids by which an idempotent sandbox knows a repeat."""


class SandboxProvider(BaseProvider):
    """Records instead of sending. What happens to a message depends on its id, its attempt and the seed alone.

    `recorded` has the latest messages taken, oldest first; `counts` all outcomes since the start, by kind;
    `taken` the messages taken.
    """

    def __init__(self, config: ProviderConfig, settings: SandboxSettings, outside: Outside) -> None:
        super().__init__(config, Capabilities(config.channel, MAX_BATCH, settings.idempotent))
        self._settings = settings
        self._script = Script(settings, outside.clock)
        self._echo = Echo(outside.clock, outside.receipts)
        # Ordered, because taking the oldest key out of a plain dict passes over all that were taken before it (15 µs).
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self.recorded: deque[Message] = deque(maxlen=RECORDED)
        self.counts: Counter[OutcomeKind] = Counter()
        self.taken = 0

    async def _transmit(self, flights: Sequence[Flight]) -> None:
        act = self._script.now()
        settings = act.settings
        if settings.hangs:
            await _hang(flights)
        if settings.latency_ms:
            await asyncio.sleep(settings.latency_ms / 1000)
        if settings.refuses:
            self.counts["transient"] += len(flights)
            msg = "the sandbox was told to refuse the credentials"
            raise Unavailable(msg, AUTH_CODE)
        if _is_down(flights[0].message, settings):
            self.counts["transient"] += len(flights)
            msg = "the sandbox was told to fail this call"
            raise Unavailable(msg, "sandbox_error")
        if act.is_steady:
            self._take_all(flights)
        else:
            for flight in flights:
                flight.outcome = self._answer(flight.message, act)
                self.counts[flight.outcome.kind] += 1
        if settings.receipts != "none":
            taken = [f.message.delivery_id for f in flights if f.outcome and f.outcome.kind == "sent"]
            self._echo.expect(taken, RECEIPT_KINDS[settings.receipts], settings.receipt_delay_ms / 1000)

    async def _release(self) -> None:
        await self._echo.close()

    def _sent(self, message: Message, provider_message_id: str) -> Outcome:
        """As of a vendor that says what a message cost, where it is told to be one."""
        return Outcome(message.delivery_id, "sent", provider_message_id, self._settings.cost_micros or 0)

    def _take_all(self, flights: Sequence[Flight]) -> None:
        """The way of a sandbox that always takes everything: what `bench pipeline` measures around."""
        for flight in flights:
            message = flight.message
            flight.outcome = self._sent(message, message.delivery_id.hex())
            self.recorded.append(message)
        self.counts["sent"] += len(flights)
        self.taken += len(flights)

    def _answer(self, message: Message, act: Act) -> Outcome:
        settings = act.settings
        delivery_id = message.delivery_id
        if delivery_id in self._seen:
            return self._sent(message, delivery_id.hex())
        if wait_s := act.pace.wait_s():
            detail = f"more than {settings.throttle_per_s:g} messages a second"
            return Outcome(
                delivery_id, "throttled", code="sandbox_throttled", detail=detail, retry_after_s=wait_s
            )
        fate = fate_of(draw(delivery_id, message.attempt, settings.seed), settings)
        if fate in {"sent", "ambiguous"}:
            self._take(message)
        if fate == "sent":
            return self._sent(message, delivery_id.hex())
        return Outcome(delivery_id, fate, code=f"sandbox_{fate}", detail="the sandbox was told to")

    def _take(self, message: Message) -> None:
        self.recorded.append(message)
        self.taken += 1
        if self._settings.idempotent:
            self._seen[message.delivery_id] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)


async def _hang(flights: Sequence[Flight]) -> None:
    """Take the messages' bytes, and never answer: the caller's deadline ends it."""
    for flight in flights:
        flight.committed = True
    await asyncio.Event().wait()


def _is_down(first: Message, settings: SandboxSettings) -> bool:
    rate = settings.error_rate
    # Its own lots: those that fail a call are not those that fail a message of it.
    return rate > 0 and draw(first.delivery_id, first.attempt, ~settings.seed) < rate


def build_sandbox(config: ProviderConfig, outside: Outside) -> SandboxProvider:
    """A sandbox for any channel. Raises Invalid with the path of a wrong setting."""
    settings = read_settings("settings", config.settings, SandboxSettings)
    check_settings(settings)
    check_script(settings)
    if config.credentials:
        msg = "a sandbox takes no credentials"
        raise Invalid(msg, "credentials")
    return SandboxProvider(config, settings, outside)
