"""The provider of kind `plivo`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from clarion.adapters.providers.base import Cut, Flight, Outside, Unsendable
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.provider import Call, HttpProvider
from clarion.adapters.providers.http.statuses import outcome_of, read_body, verdict_of
from clarion.adapters.providers.plivo.account import Account, read_account
from clarion.adapters.providers.sms.meaning import addressee_refused
from clarion.adapters.providers.sms.text import SMS_CONTENT, Longest, number_of, text_of
from clarion.delivery.model import Capabilities, Message, Outcome
from clarion.tenancy.config import ProviderConfig

DESTINATIONS: Final = 1000
"""The most numbers that one call may name."""

LONGEST: Final = Longest(gsm7=1600, ucs2=737)

_INVALID: Final = addressee_refused("invalid_number", "Plivo: the number is not valid")
_BAD_REQUEST: Final = 400


class _Reply(msgspec.Struct, frozen=True):
    """`message_uuid`: one for each valid number, in their order; `invalid_number`: the others."""

    message_uuid: list[str] = []
    invalid_number: list[str] = []


class PlivoProvider(HttpProvider):
    """One account with Plivo: messages with the same text share a call, each number once.

    Where Plivo refuses a call for several numbers as a whole, its halves are tried: nothing was sent, and the fault may
    be one number's.
    """

    carries = SMS_CONTENT

    def __init__(self, config: ProviderConfig, account: Account, outside: Outside) -> None:
        settings = account.settings
        capabilities = Capabilities(
            "sms", max_batch=DESTINATIONS, concurrency=settings.concurrency, echoes_id=False
        )
        super().__init__(config, capabilities, outside.transport, settings.timeout_s)
        self._url = account.url
        self._clock = outside.clock
        self._sender = settings.sender
        self._headers = {
            "Authorization": account.authorization,
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        common = {
            "src": settings.sender,
            "powerpack_uuid": settings.powerpack_uuid,
            "url": settings.receipts_url,
            "method": "POST" if settings.receipts_url else None,
        }
        self._common = {name: value for name, value in common.items() if value}

    def _calls_of(self, flights: Sequence[Flight]) -> list[Call]:
        groups: dict[str, list[dict[str, Flight]]] = {}
        for flight in flights:
            try:
                text, number = text_of(flight.message, LONGEST), self._number(flight.message)
            except Unsendable as error:
                flight.outcome = self._outcome_of(error, flight)
            else:
                _place(groups.setdefault(text, []), number, flight)
        return [self._call(list(group.values())) for calls in groups.values() for group in calls]

    def _number(self, message: Message) -> str:
        number = number_of(message)
        if self._sender is not None and _digits(number) == _digits(self._sender):
            raise Unsendable("the number is the sender's own", "invalid_address")
        return number

    def _call(self, flights: Sequence[Flight]) -> Call:
        body = {
            "dst": "<".join(flight.message.to for flight in flights),
            "text": flights[0].message.body,
            "type": "sms",
            **self._common,
        }
        return Call(HttpRequest("POST", self._url, self._headers, msgspec.json.encode(body)), flights)

    async def _make(self, call: Call) -> list[Outcome]:
        outcomes = await super()._make(call)
        if len(outcomes) == 1 or any(outcome.code != f"http_{_BAD_REQUEST}" for outcome in outcomes):
            return outcomes
        for flight in call.flights:
            flight.committed = False
        middle = len(call.flights) // 2
        first = await self._settle_half(call.flights[:middle])
        return first + await self._settle_half(call.flights[middle:])

    async def _settle_half(self, flights: Sequence[Flight]) -> list[Outcome]:
        """The outcomes of a half, which it keeps from now on: what happens to the other, or a deadline, takes none."""
        try:
            outcomes = await self._make(self._call(flights))
        except Exception as error:  # noqa: BLE001  one half's trouble must not reach the other
            outcomes = [self._outcome_of(error, flight) for flight in flights]
        for flight, outcome in zip(flights, outcomes, strict=True):
            flight.outcome = outcome
        return outcomes

    def _outcomes_of(self, call: Call, reply: HttpReply) -> list[Outcome]:
        messages = [flight.message for flight in call.flights]
        verdict = verdict_of(reply, self._clock.now_ms())
        if verdict.kind != "sent":
            return [outcome_of(message, verdict) for message in messages]
        said = read_body(reply, _Reply)
        invalid = {_digits(number) for number in said.invalid_number}
        refused = [_digits(message.to) in invalid for message in messages]
        if len(said.message_uuid) != refused.count(False):
            # Which of them was taken cannot be told: an id for each is all that ties a number to its message.
            raise Cut("it names another number of messages than it was given", "unreadable_reply")
        uuids = iter(said.message_uuid)
        return [
            _INVALID.of(message) if is_refused else self._sent(message, next(uuids))
            for message, is_refused in zip(messages, refused, strict=True)
        ]


def _place(calls: list[dict[str, Flight]], number: str, flight: Flight) -> None:
    """Put a flight into the first call that has room for it and does not name its number yet."""
    for call in calls:
        if number not in call and len(call) < DESTINATIONS:
            call[number] = flight
            return
    calls.append({number: flight})


def _digits(number: str) -> str:
    return number.removeprefix("+")


def build_plivo(config: ProviderConfig, outside: Outside) -> PlivoProvider:
    """An account with Plivo. Raises Invalid with the path of a wrong setting."""
    return PlivoProvider(config, read_account(config), outside)
