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
from clarion.delivery.model import Capabilities, Message, Outcome, OutcomeKind
from clarion.kernel.clock import Clock
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
        self._is_steady = not (
            settings.transient_rate + settings.permanent_rate + settings.ambiguous_rate
            or settings.throttle_per_s
            or settings.idempotent
        )
        self._pace = _Pace(settings.throttle_per_s, outside.clock)
        self._echo = Echo(
            RECEIPT_KINDS[settings.receipts],
            settings.receipt_delay_ms / 1000,
            outside.clock,
            outside.receipts,
        )
        # Ordered, because taking the oldest key out of a plain dict passes over all that were taken before it (15 µs).
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self.recorded: deque[Message] = deque(maxlen=RECORDED)
        self.counts: Counter[OutcomeKind] = Counter()
        self.taken = 0

    async def _transmit(self, flights: Sequence[Flight]) -> None:
        if self._settings.latency_ms:
            await asyncio.sleep(self._settings.latency_ms / 1000)
        if self._is_down(flights[0].message):
            self.counts["transient"] += len(flights)
            msg = "the sandbox was told to fail this call"
            raise Unavailable(msg, "sandbox_error")
        if self._is_steady:
            self._take_all(flights)
        else:
            for flight in flights:
                flight.outcome = self._answer(flight.message)
                self.counts[flight.outcome.kind] += 1
        self._echo.expect([f.message.delivery_id for f in flights if f.outcome and f.outcome.kind == "sent"])

    async def _release(self) -> None:
        await self._echo.close()

    def _sent(self, message: Message, provider_message_id: str) -> Outcome:
        """As of a vendor that says what a message cost, where it is told to be one."""
        return Outcome(message.delivery_id, "sent", provider_message_id, self._settings.cost_micros or 0)

    def _is_down(self, first: Message) -> bool:
        rate = self._settings.error_rate
        # Its own lots: those that fail a call are not those that fail a message of it.
        return rate > 0 and draw(first.delivery_id, first.attempt, ~self._settings.seed) < rate

    def _take_all(self, flights: Sequence[Flight]) -> None:
        """The way of a sandbox that always takes everything: what `bench pipeline` measures around."""
        for flight in flights:
            message = flight.message
            flight.outcome = self._sent(message, message.delivery_id.hex())
            self.recorded.append(message)
        self.counts["sent"] += len(flights)
        self.taken += len(flights)

    def _answer(self, message: Message) -> Outcome:
        delivery_id = message.delivery_id
        if delivery_id in self._seen:
            return self._sent(message, delivery_id.hex())
        if wait_s := self._pace.wait_s():
            detail = f"more than {self._settings.throttle_per_s:g} messages a second"
            return Outcome(
                delivery_id, "throttled", code="sandbox_throttled", detail=detail, retry_after_s=wait_s
            )
        fate = fate_of(draw(delivery_id, message.attempt, self._settings.seed), self._settings)
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


class _Pace:
    """A token bucket that holds one second's worth. `per_s` 0: no limit."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        self._per_s = per_s
        self._clock = clock
        self._tokens = max(1.0, per_s)
        self._filled_at = clock.monotonic()

    def wait_s(self) -> float:
        """Take a token and give 0; or, where there is none, how long until there is."""
        if not self._per_s:
            return 0.0
        now = self._clock.monotonic()
        filled = self._tokens + (now - self._filled_at) * self._per_s
        self._tokens, self._filled_at = min(max(1.0, self._per_s), filled), now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._per_s


def build_sandbox(config: ProviderConfig, outside: Outside) -> SandboxProvider:
    """A sandbox for any channel. Raises Invalid with the path of a wrong setting."""
    settings = read_settings("settings", config.settings, SandboxSettings)
    check_settings(settings)
    if config.credentials:
        msg = "a sandbox takes no credentials"
        raise Invalid(msg, "credentials")
    return SandboxProvider(config, settings, outside)
