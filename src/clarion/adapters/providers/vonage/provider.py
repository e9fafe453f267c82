"""The provider of kind `vonage`: what both of its interfaces have in common, and which of them is spoken."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from clarion.adapters.providers.base import Flight, Outside, Unsendable
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.provider import Call, HttpProvider
from clarion.adapters.providers.sms.account import single_call_capabilities
from clarion.adapters.providers.sms.text import SMS_CONTENT
from clarion.adapters.providers.vonage.account import Account
from clarion.delivery.model import Message, Outcome
from clarion.tenancy.config import ProviderConfig


class VonageProvider(HttpProvider):
    """One account with Vonage: a call a message, whose delivery is echoed by receipts as the client's reference."""

    carries = SMS_CONTENT

    def __init__(self, config: ProviderConfig, account: Account, outside: Outside) -> None:
        settings = account.settings
        capabilities = single_call_capabilities(settings, echoes_id=True)
        super().__init__(config, capabilities, outside.transport, settings.timeout_s)
        self._account = account
        self._sender = settings.sender.removeprefix("+")
        self._clock = outside.clock

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
