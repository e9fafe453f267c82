"""Mail through a vendor's HTTP API: as many messages a call as the vendor takes, one by one where they share nothing.

    messages ─▶ letters ─▶ what letters of one template share ─▶ a call for all of them
                                       └─▶ a call each for the others

A vendor may refuse a whole call for one of its messages. Nothing of it was sent then, so it is made again in parts:
without those that the vendor named, else in halves, until what is wrong stands alone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import msgspec

from clarion.adapters.providers.base import Flight, Unsendable
from clarion.adapters.providers.http.exchange import HttpRequest
from clarion.adapters.providers.http.provider import Call, HttpProvider
from clarion.adapters.providers.mail.account import MailAccount
from clarion.adapters.providers.mail.letter import Letter, write_letter
from clarion.adapters.providers.mail.shared_content import SEPARATOR, SharedContent, find_shared
from clarion.delivery.model import Capabilities, Outcome
from clarion.kernel.errors import ClarionError
from clarion.tenancy.config import ProviderConfig


class BulkLimits(msgspec.Struct, frozen=True):
    """What a vendor takes in a call for many.

    `letters`: how many. `value_bytes`: of what one letter puts into the gaps. `mark`: what every gap begins with; a
    letter whose content has it goes alone. `call_bytes`: the largest body of a call for one letter. `distinct`: letters
    of a call are told by their address, so that no two may have the same.
    """

    letters: int
    value_bytes: int
    mark: str
    call_bytes: int
    distinct: bool = False


class Bulk(msgspec.Struct, frozen=True):
    """Letters that share their content: its fields with named gaps, and what each letter puts into them, in order."""

    subject: str
    text: str
    html: str
    names: Sequence[str]
    letters: Sequence[Letter]
    values: Sequence[Sequence[str]]


class RefusedWhole(Exception):  # noqa: N818  a verdict on a call, not a failure of ours
    """A call for several messages was refused, and nothing of it sent. `named`: outcomes of those that are to blame."""

    def __init__(self, named: Mapping[int, Outcome]) -> None:
        super().__init__()
        self.named = named


class MailProvider(HttpProvider):
    """An account with a vendor of e-mail. An adapter fills in `_single`, `_bulk`, `_gap` and `_outcomes_of`."""

    carries = frozenset({"subject", "html", "text", "headers"})
    limits: ClassVar[BulkLimits]

    def __init__(self, config: ProviderConfig, account: MailAccount) -> None:
        calls = account.concurrency
        capabilities = Capabilities("email", max_batch=1000, concurrency=calls)
        super().__init__(config, capabilities, account.outside.transport, account.timeout_s)
        self._account = account

    @abstractmethod
    def _single(self, letter: Letter) -> HttpRequest:
        """The request that sends one letter."""

    @abstractmethod
    def _bulk(self, bulk: Bulk) -> HttpRequest:
        """The request that sends letters which share their content."""

    @abstractmethod
    def _gap(self, name: str) -> str:
        """How a gap is written in the content. Holds `limits.mark`."""

    def _is_sound(self, literals: Sequence[str]) -> bool:
        """Whether the vendor will see the gaps between these literals for what they are; override where it may not."""
        del literals
        return True

    def _calls_of(self, flights: Sequence[Flight]) -> list[Call]:
        groups: dict[object, list[Letter]] = {}
        for flight in flights:
            try:
                letter = write_letter(flight, self._account.reply_to)
            except Unsendable as error:
                flight.outcome = self._outcome_of(error, flight)
            else:
                groups.setdefault(_kind_of(letter), []).append(letter)
        return [call for letters in groups.values() for call in self._calls_of_kind(letters)]

    def _calls_of_kind(self, letters: Sequence[Letter]) -> Iterator[Call]:
        mark = self.limits.mark
        contents = [letter.content for letter in letters]
        sharing = [place for place, content in enumerate(contents) if mark not in content]
        found, alone = find_shared([contents[place] for place in sharing])
        single = [letters[sharing[place]] for place in alone]
        single += [letter for letter, content in zip(letters, contents, strict=True) if mark in content]
        for shared in found:
            members = [letters[sharing[place]] for place in shared.members]
            if not self._is_sound(shared.literals):
                single += members
                continue
            for bulk in self._bulks(shared, members):
                if len(bulk.letters) > 1:
                    yield Call(self._bulk(bulk), [letter.flight for letter in bulk.letters])
                else:
                    single += bulk.letters
        for letter in single:
            if (request := self._checked_single(letter)) is not None:
                yield Call(request, [letter.flight])

    def _bulks(self, shared: SharedContent, letters: Sequence[Letter]) -> Iterator[Bulk]:
        """Letters that share content, as many a call as there may be."""
        names = [f"c{number}" for number in range(len(shared.literals) - 1)]
        gaps = [self._gap(name) for name in names]
        joined = "".join(part for pair in zip(shared.literals, [*gaps, ""], strict=True) for part in pair)
        subject, text, html = joined.split(SEPARATOR)
        for rows in _packed(list(zip(letters, shared.values, strict=True)), self.limits):
            yield Bulk(subject, text, html, names, [row[0] for row in rows], [row[1] for row in rows])

    def _checked_single(self, letter: Letter) -> HttpRequest | None:
        request = self._single(letter)
        size, most = len(request.body), self.limits.call_bytes
        if size <= most:
            return request
        error = Unsendable(f"the message takes {size} bytes; this vendor takes {most}", "too_large")
        letter.flight.outcome = self._outcome_of(error, letter.flight)
        return None

    async def _make(self, call: Call) -> list[Outcome]:
        try:
            return await super()._make(call)
        except RefusedWhole as refused:
            return await self._make_in_parts(call, refused.named)

    async def _make_in_parts(self, call: Call, named: Mapping[int, Outcome]) -> list[Outcome]:
        """The outcomes of a call that was refused, as far as `named` has none, from smaller calls."""
        outcomes = {call.flights[place].message.delivery_id: outcome for place, outcome in named.items()}
        rest = [flight for place, flight in enumerate(call.flights) if place not in named]
        for flight in rest:
            flight.committed = False
        half = len(rest) if named else (len(rest) + 1) // 2
        for part in (rest[:half], rest[half:]):
            for smaller in self._calls_of(part):
                for outcome in await self._settled(smaller):
                    outcomes[outcome.delivery_id] = outcome
        return [
            outcomes.get(flight.message.delivery_id)
            or flight.outcome
            or self._unsettled(flight, "no_verdict")
            for flight in call.flights
        ]

    async def _settled(self, call: Call) -> list[Outcome]:
        try:
            return await self._make(call)
        except ClarionError as error:
            return [self._outcome_of(error, flight) for flight in call.flights]


def _kind_of(letter: Letter) -> object:
    """Letters that differ in this cannot share a call."""
    message = letter.flight.message
    return message.shape, not letter.text, not letter.html, letter.reply_to, tuple(letter.headers)


def _packed(
    rows: Sequence[tuple[Letter, Sequence[str]]], limits: BulkLimits
) -> Iterator[Sequence[tuple[Letter, Sequence[str]]]]:
    """Rows by what a call takes: those with too much in the gaps go alone."""
    # The nth letter to an address goes into the nth series: two in a call would be taken for one.
    series: list[list[tuple[Letter, Sequence[str]]]] = []
    seen: dict[str, int] = {}
    for row in rows:
        if _weight(row[1]) > limits.value_bytes:
            yield [row]
            continue
        turn = 0
        if limits.distinct:
            address = row[0].to.lower()
            turn = seen[address] = seen.get(address, -1) + 1
        if turn == len(series):
            series.append([])
        series[turn].append(row)
    for letters in series:
        for start in range(0, len(letters), limits.letters):
            yield letters[start : start + limits.letters]


def _weight(values: Sequence[str]) -> int:
    """Bytes that a letter's values take, with what their names may take."""
    return sum(len(value) if value.isascii() else len(value.encode()) for value in values) + len(values) * 16
