"""A vendor that takes one text message a call."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from clarion.adapters.providers.base import Flight, Outside, Unsendable
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.provider import Call, HttpProvider
from clarion.adapters.providers.sms.account import SmsSettings, single_call_capabilities
from clarion.adapters.providers.sms.text import SMS_CONTENT
from clarion.delivery.model import Message, Outcome, Receipt
from clarion.tenancy.config import ProviderConfig


class TextProvider(HttpProvider):
    """A call a message. A vendor that refuses a number because its owner wants no messages is taken at its word.

    `opt_outs`: the codes of such outcomes. Each leaves a receipt `unsubscribed`, as a webhook would.
    """

    carries = SMS_CONTENT
    opt_outs: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self, config: ProviderConfig, settings: SmsSettings, outside: Outside, *, echoes_id: bool
    ) -> None:
        capabilities = single_call_capabilities(settings, echoes_id=echoes_id)
        super().__init__(config, capabilities, outside.transport, settings.timeout_s)
        self._clock = outside.clock
        self._receipts = outside.receipts

    @abstractmethod
    def _request(self, message: Message) -> HttpRequest:
        """The request that carries a message. Raises Unsendable."""

    @abstractmethod
    def _outcome(self, message: Message, reply: HttpReply) -> Outcome:
        """What a reply says of its message. Raises `base`'s errors."""

    def _calls_of(self, flights: Sequence[Flight]) -> list[Call]:
        calls: list[Call] = []
        for flight in flights:
            try:
                calls.append(Call(self._request(flight.message), [flight]))
            except Unsendable as error:
                flight.outcome = self._outcome_of(error, flight)
        return calls

    def _outcomes_of(self, call: Call, reply: HttpReply) -> list[Outcome]:
        return [self._outcome(call.flights[0].message, reply)]

    async def _transmit(self, flights: Sequence[Flight]) -> None:
        await super()._transmit(flights)
        outcomes = [flight.outcome for flight in flights if flight.outcome is not None]
        stops = [self._stop(outcome) for outcome in outcomes if outcome.code in self.opt_outs]
        if stops:
            # Where it cannot be kept the outcomes stand all the same, and the vendor will say it again.
            await self._receipts.put(stops)

    def _stop(self, outcome: Outcome) -> Receipt:
        ident = f"{outcome.delivery_id.hex()}:stop"
        return Receipt(ident, outcome.delivery_id, "unsubscribed", self._clock.now_ms(), code=outcome.code)
