"""One message, a call to each device of its user that the service serves, one outcome.

    message ─▶ devices of this service ─▶ a request each ─▶ exchange ─▶ a verdict each ─▶ merged into the outcome

An adapter says what a request to one device looks like and what a reply means for it. That a message counts as sent as
soon as one device took it, what is still unknown at the deadline, a credential that ran out under way, and which
devices are to be forgotten is settled here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Protocol

from clarion.adapters.providers.base import Cut, Flight, Outside, Unavailable, Unsendable
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.provider import Call, HttpProvider
from clarion.adapters.providers.http.statuses import outcome_of, verdict_of
from clarion.audience.model import DeviceToken
from clarion.delivery.model import Capabilities, DeadToken, Message, Outcome
from clarion.delivery.push import NO_DEVICE, PushService, merge_outcomes, served
from clarion.kernel.errors import ClarionError
from clarion.tenancy.config import ProviderConfig


class NoToken(Unsendable):
    """What a device has for a token can be seen to be none: it is forgotten."""


class Limits(Protocol):
    """What the settings of every push service have."""

    @property
    def concurrency(self) -> int:
        """Calls at a time."""
        ...

    @property
    def timeout_s(self) -> float:
        """How long a call waits."""
        ...


class Tally:
    """What the calls that carry one message came to so far. Its flight gets an outcome as soon as that is certain."""

    __slots__ = ("_flight", "_flying", "_outcomes", "_waiting")

    def __init__(self, flight: Flight, calls: int) -> None:
        self._flight = flight
        self._waiting = calls
        self._flying = 0
        self._outcomes: list[Outcome] = []

    def leave(self) -> None:
        """A request is about to leave."""
        self._flying += 1
        self._flight.committed = True

    def returned(self) -> None:
        """A request that had left was answered, or surely did not arrive: of that one nothing is in the dark."""
        self._flying -= 1
        self._flight.committed = self._flying > 0

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome for one device."""
        self._waiting -= 1
        self._outcomes.append(outcome)
        merged = merge_outcomes(self._outcomes)
        if merged.kind == "sent" or not self._waiting:
            self._flight.outcome = merged


class PushCall(Call, frozen=True, gc=False):
    """A request to one device, with the message's tally that it counts for."""

    device: DeviceToken
    tally: Tally

    @property
    def message(self) -> Message:
        """The one message that it carries."""
        return self.flights[0].message


class PushProvider(HttpProvider):
    """An account with a push service. An adapter fills in `_request_to` and `_outcome_to`."""

    carries = frozenset({"title", "body", "data"})

    def __init__(
        self, config: ProviderConfig, service: PushService, limits: Limits, outside: Outside
    ) -> None:
        calls = limits.concurrency
        # No portion: all calls of a batch leave at once, so that none waits long after consent was read.
        capabilities = Capabilities("push", max_batch=calls, concurrency=calls, services=frozenset({service}))
        super().__init__(config, capabilities, outside.transport, limits.timeout_s)
        self._clock = outside.clock
        self._is_proven = False

    @abstractmethod
    def _request_to(self, message: Message, device: DeviceToken) -> HttpRequest:
        """The request that brings a message to a device. Raises Unsendable where there can be none, NoToken."""

    @abstractmethod
    def _outcome_to(self, message: Message, device: DeviceToken, reply: HttpReply) -> Outcome:
        """What a reply says of one device. May raise as `_outcomes_of`."""

    def _is_stale(self, reply: HttpReply) -> bool:
        """Whether the reply says that the request's credential has run out, and thus that nothing was done."""
        del reply
        return False

    async def _renew(self, stale: HttpRequest) -> None:
        """Get a credential in place of that of a request. Called for each request that found it stale."""

    def _calls_of(self, flights: Sequence[Flight]) -> list[Call]:
        calls: list[Call] = []
        for flight in flights:
            message = flight.message
            devices = served(message.devices, self._capabilities.services)
            if not devices:
                detail = f"{self._name} serves none of the user's devices"
                flight.outcome = Outcome(message.delivery_id, "permanent", code=NO_DEVICE, detail=detail)
                continue
            tally = Tally(flight, len(devices))
            calls += self._calls_to(flight, devices, tally)
        return calls

    def _calls_to(self, flight: Flight, devices: Sequence[DeviceToken], tally: Tally) -> Iterator[PushCall]:
        for device in devices:
            try:
                request = self._request_to(flight.message, device)
            except NoToken as error:
                tally.settle(self._gone(flight.message, device, error.code))
            except ClarionError as error:
                tally.settle(self._outcome_of(error, flight))
            else:
                yield PushCall(request, (flight,), device, tally)

    def _outcomes_of(self, call: Call, reply: HttpReply) -> list[Outcome]:
        push = _push_of(call)
        outcome = self._outcome_to(push.message, push.device, reply)
        if outcome.kind == "sent":
            self._is_proven = True
        return [outcome]

    async def _work_off(self, waiting: Iterator[Call]) -> None:
        for call in map(_push_of, waiting):
            try:
                outcome = await self._deliver(call)
            except Exception as error:  # noqa: BLE001  one device's trouble must not reach the others
                outcome = self._outcome_of(error, call.flights[0])
            call.tally.settle(outcome)

    async def _deliver(self, call: PushCall) -> Outcome:
        reply = await self._exchange(call.request, call.tally)
        if self._is_stale(reply):
            await self._renew(call.request)
            reply = await self._exchange(self._request_to(call.message, call.device), call.tally)
        return self._outcomes_of(call, reply)[0]

    async def _exchange(self, request: HttpRequest, tally: Tally) -> HttpReply:
        has_left = False

        def leave() -> None:
            nonlocal has_left
            if not has_left:
                has_left = True
                tally.leave()

        try:
            reply = await self._transport.exchange(request, leave, self._deadline_s)
        except Unavailable:
            if has_left:
                tally.returned()
            raise
        tally.returned()
        return reply

    def _outcome_by_status(self, message: Message, reply: HttpReply) -> Outcome:
        """What a reply means where the service's own words say no more. Raises Cut for a success without them."""
        verdict = verdict_of(reply, self._clock.now_ms())
        if verdict.kind == "sent":
            raise Cut("it reports success in words that are not its own", "unreadable_reply")
        return outcome_of(message, verdict)

    def _gone(self, message: Message, device: DeviceToken, code: str, since_ms: int = 0) -> Outcome:
        """The outcome for a device whose token is dead: it is forgotten."""
        dead = (DeadToken(device.token, since_ms),)
        detail = "the service no longer knows the device's token"
        return Outcome(message.delivery_id, "permanent", code=code, detail=detail, dead_tokens=dead)

    def _gone_unless_misconfigured(self, message: Message, device: DeviceToken, code: str) -> Outcome:
        """The outcome for a token that is another app's, or whose app's settings here are wrong.

        A wrong topic or environment makes every token look so. Devices are forgotten only once the service took a
        message of this account: a slip in its settings must not cost a tenant all of them.
        """
        if self._is_proven:
            return self._gone(message, device, code)
        detail = "the token is of another app or environment, or the account's settings are"
        return Outcome(message.delivery_id, "permanent", code=code, detail=detail)


def _push_of(call: Call) -> PushCall:
    """A call of `_calls_of`, by its own type."""
    if not isinstance(call, PushCall):
        msg = "a call that no push service made"
        raise TypeError(msg)
    return call
