"""What every provider does the same way, so that an adapter is left with translations and nothing else.

    send ─▶ size ─▶ per message: channel, address, content ─▶ transmit (the vendor's part) ─▶ an outcome each

`BaseProvider` owns the sequence and its promises: exactly one outcome per message, in order; nothing that the vendor
cannot carry is dropped in silence; no vendor hangs a batch. An adapter fills in `_transmit`: one vendor's way to take
a batch. Where the vendor takes one message a call, `OneByOneProvider` asks for `_transmit_one` instead.

Outcomes follow from two facts about a message's `Flight`: did the vendor give a verdict, and, if not, had the bytes
left on which it could act? Without either the message surely was not sent (`transient`); otherwise nobody knows
(`ambiguous`).
"""

from __future__ import annotations

import asyncio
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Protocol, TypeVar, runtime_checkable

import msgspec
from msgspec.structs import replace

from clarion.adapters.providers.http.exchange import HttpRequest, HttpTransport, Resolve
from clarion.delivery.model import Capabilities, Message, Outcome, OutcomeKind, RateLimits, Receipt
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Ambiguous, ClarionError, Invalid, Permanent, Throttled, Transient
from clarion.tenancy.config import ProviderConfig

CALL_DEADLINE_S: Final = 20.0
"""The longest that a call to `send` takes. Shorter than a worker's lease, so that outcomes are recorded within it."""

CONTENT_FIELDS: Final = frozenset({"subject", "html", "text", "title", "body", "data", "headers"})
"""The fields of a `Message` that hold content, any of which a vendor may be unable to carry."""

_SettingsT = TypeVar("_SettingsT", bound=msgspec.Struct)


class ReceiptSink(Protocol):
    """Where a provider leaves receipts that reach it by other ways than the webhook endpoint."""

    async def put(self, receipts: Sequence[Receipt]) -> None:
        """Keep at most 1000 receipts durably. Raises Transient where it cannot: the caller offers them again."""
        ...


class Unavailable(Transient):
    """The vendor cannot be reached, or not be used, now. `code` says how, as in `Outcome.code`."""

    def __init__(self, detail: str, code: str) -> None:
        super().__init__(detail)
        self.code = code


class Unsendable(Permanent):
    """This message can never be sent as it is. `code` says why, as in `Outcome.code`."""

    def __init__(self, detail: str, code: str) -> None:
        super().__init__(detail)
        self.code = code


class Cut(Ambiguous):
    """The vendor's verdict did not come, or could not be understood. `code` says how, as in `Outcome.code`."""

    def __init__(self, detail: str, code: str) -> None:
        super().__init__(detail)
        self.code = code


class Outside(msgspec.Struct, frozen=True):
    """What providers are built with: the process's clock, a sink of their account, the ways to reach vendors.

    `transport`: over HTTP. `resolve`: where hosts are that are spoken to otherwise, and which may be reached.
    """

    clock: Clock
    receipts: ReceiptSink
    transport: HttpTransport
    resolve: Resolve


@runtime_checkable
class KeepsLists(Protocol):
    """A provider whose vendor keeps lists of addresses (bounces, complaints), and lets an address be taken off."""

    def unlisting(self, address: str) -> Sequence[HttpRequest]:
        """The calls that take an address off, one a list. They may be made twice; 404: it was not there."""
        ...


class Flight:
    """One message under way. `committed`: the bytes on which the vendor can act have (or may have) left."""

    __slots__ = ("committed", "message", "outcome")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.committed = False
        self.outcome: Outcome | None = None


class BaseProvider(ABC):
    """The sequence of a send, around one vendor's `_transmit`. Fulfils the port `Provider`."""

    carries: ClassVar[frozenset[str]] = CONTENT_FIELDS
    """The content fields that this vendor can carry. A message with any other is refused, not trimmed."""

    def __init__(
        self, config: ProviderConfig, capabilities: Capabilities, deadline_s: float = CALL_DEADLINE_S
    ) -> None:
        self._name = config.name
        self._capabilities = capabilities
        self._deadline_s = deadline_s
        self._closed = False
        self._dropped = tuple(sorted(CONTENT_FIELDS - self.carries))

    @property
    def capabilities(self) -> Capabilities:
        """What this provider can do; constant for its life."""
        return self._capabilities

    @property
    def learned(self) -> RateLimits | None:
        """What the vendor said last of its limits; None: nothing yet. Override where replies say so."""
        return None

    async def send(self, batch: Sequence[Message], within_s: float = math.inf) -> list[Outcome]:
        """Send up to `max_batch` messages within `within_s` and our own deadline; one outcome per message, in order.

        Raises Invalid on a larger batch, of which nothing is sent: the caller has a defect. A cancelled call raises
        CancelledError, its messages are ambiguous.
        """
        if len(batch) > self._capabilities.max_batch:
            msg = f"a batch of {len(batch)} messages, where {self._name} takes {self._capabilities.max_batch}"
            raise Invalid(msg)
        flights = [Flight(message) for message in batch]
        for flight in flights:
            flight.outcome = self._refusal(flight.message)
        if airborne := [flight for flight in flights if flight.outcome is None]:
            await self._fly(airborne, min(within_s, self._deadline_s))
        return [flight.outcome or self._unsettled(flight, "no_verdict") for flight in flights]

    async def close(self) -> None:
        """Release connections. Idempotent; calls that are under way end as the vendor lets them."""
        if not self._closed:
            self._closed = True
            await self._release()

    @abstractmethod
    async def _transmit(self, flights: Sequence[Flight]) -> None:
        """Hand the messages to the vendor, setting each flight's `outcome`.

        Set `committed` before bytes leave on which the vendor can act. May raise anything, and be cancelled at the
        deadline: flights without an outcome are then settled by `committed`.
        """

    @abstractmethod
    async def _release(self) -> None:
        """Close what this provider holds open. Called once."""

    def _code_of(self, error: Exception) -> str:
        """The vendor client's `error` as a code of `Outcome`. Override to name the errors that users will meet."""
        return type(error).__name__

    def _sent(self, message: Message, provider_message_id: str) -> Outcome:
        """The outcome of a message that the vendor took responsibility for. What it costs is in the price book."""
        return Outcome(message.delivery_id, "sent", provider_message_id)

    async def _fly(self, flights: Sequence[Flight], deadline_s: float) -> None:
        if self._closed:
            for flight in flights:
                flight.outcome = _outcome(flight.message, "transient", "closed", "the provider was closed")
            return
        try:
            async with asyncio.timeout(deadline_s):
                await self._transmit(flights)
        except TimeoutError:
            self._settle(flights, "deadline")
        except Exception as error:  # noqa: BLE001  whatever a vendor's client raises must not cost the outcomes
            for flight in flights:
                flight.outcome = flight.outcome or self._outcome_of(error, flight)

    def _settle(self, flights: Sequence[Flight], code: str) -> None:
        for flight in flights:
            flight.outcome = flight.outcome or self._unsettled(flight, code)

    def _unsettled(self, flight: Flight, code: str) -> Outcome:
        """The outcome without a verdict."""
        if flight.committed:
            return _outcome(flight.message, "ambiguous", code, "no verdict after the message had left")
        return _outcome(flight.message, "transient", code, "no verdict, and the message had not left")

    def _outcome_of(self, error: Exception, flight: Flight) -> Outcome:
        """The outcome of a message whose transmission raised `error`: ours by their kind, others by `committed`."""
        message = flight.message
        if not isinstance(error, ClarionError):
            return self._unsettled(flight, self._code_of(error))
        code = getattr(error, "code", type(error).__name__.lower())
        if isinstance(error, Throttled):
            return _outcome(message, "throttled", code, error.detail, error.retry_after)
        kind: OutcomeKind = "permanent"
        if isinstance(error, Transient):
            kind = "transient"
        elif isinstance(error, Ambiguous):
            kind = "ambiguous"
        return _outcome(message, kind, code, error.detail)

    def _refusal(self, message: Message) -> Outcome | None:
        """The outcome of a message that this vendor cannot carry; None: it can."""
        channel = self._capabilities.channel
        if message.channel != channel:
            detail = f"{self._name} carries {channel}, not {message.channel}"
            return _outcome(message, "permanent", "unsupported_channel", detail)
        if not (message.devices if channel == "push" else message.to):
            return _outcome(message, "permanent", "no_address", f"the message has no address for {channel}")
        for field in self._dropped:
            if getattr(message, field):
                detail = f"{self._name} cannot carry `{field}`"
                return _outcome(message, "permanent", "unsupported_content", detail)
        return None


class OneByOneProvider(BaseProvider):
    """A vendor that takes one message a call: `concurrency` calls of a batch are made at a time."""

    @abstractmethod
    async def _transmit_one(self, flight: Flight) -> Outcome:
        """Hand one message to the vendor. The rules of `_transmit` hold."""

    async def _transmit(self, flights: Sequence[Flight]) -> None:
        waiting = iter(flights)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._capabilities.concurrency, len(flights))):
                group.create_task(self._work_off(waiting))

    async def _work_off(self, waiting: Iterator[Flight]) -> None:
        loop = asyncio.get_running_loop()
        for flight in waiting:
            began_s = loop.time()
            try:
                outcome = await self._transmit_one(flight)
            except Exception as error:  # noqa: BLE001  one message's trouble must not reach its neighbours
                outcome = self._outcome_of(error, flight)
            flight.outcome = replace(outcome, took_ms=(loop.time() - began_s) * 1000)


def _outcome(
    message: Message, kind: OutcomeKind, code: str, detail: str, retry_after_s: float = 0.0
) -> Outcome:
    return Outcome(message.delivery_id, kind, code=code, detail=detail, retry_after_s=retry_after_s)


_FIELD: Final = re.compile(r"field `([^`]+)`")
_PATH: Final = re.compile(r" - at `\$\.?([^`]*)`\Z")


def read_settings(root: str, raw: Mapping[str, Any], into: type[_SettingsT]) -> _SettingsT:
    """`raw` as a settings struct. Raises Invalid with the offending value's path, from `root` on (`settings.port`)."""
    try:
        return msgspec.convert(raw, into)
    except msgspec.ValidationError as error:
        text = str(error)
        place = _PATH.search(text)
        unknown_or_missing = _FIELD.search(text)
        steps = [root, place[1] if place else "", unknown_or_missing[1] if unknown_or_missing else ""]
        raise Invalid(_PATH.sub("", text), ".".join(filter(None, steps))) from error
