"""The rule table, read: what the laws of all the places where a user may be ask of a message, as one.

    Whereabouts ──Atlas.plausible──▶ Places ──Rulebook.law──▶ Law ─┬─ refusals(law, category, consent)     masks
                                                                   ├─ law.terms[channel].hours ─ forbidden  [U, H]
                                                                   └─ law.terms[channel].caps, .content     lists

A `Law` is the strictest of its rows: the most consent that any asks for, hours that all of them leave open, every cap,
all that any wants said. There are few of them (places × classes), they are kept, and users share them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, NamedTuple

from clarion.compliance.jurisdictions import UNKNOWN, Atlas, Places
from clarion.compliance.model import ANY_CATEGORY, ConsentState
from clarion.compliance.opening_hours import OpenHours, open_hours, together
from clarion.compliance.rule_rows import (
    CONSENTS,
    ELSEWHERE,
    EVERYWHERE,
    Consent,
    LegalCap,
    Row,
    RuleSet,
    WeakBasis,
    read_rule_set,
)
from clarion.compliance.rules import Rule
from clarion.contracts.channels import CHANNEL_INDEX, CHANNELS
from clarion.tenancy.model import Category, CategoryClass, ComplianceSettings

_COUNTRY: Final = 2  # letters
_CACHED: Final = 16_384
_WRITTEN: Final = CONSENTS.index("written")


class Capped(NamedTuple):
    """A cap of a law, and the rule that sets it."""

    rule_id: str
    cap: LegalCap


class Asked(NamedTuple):
    """What a rule asks for: her word at least, or one of the bases that it `accepts` instead."""

    rule_id: str
    consent: Consent
    accepts: tuple[WeakBasis, ...]


class Duty(NamedTuple):
    """What a message has to hold (`postal_address`, `unsubscribe`, …), and the rule that wants it."""

    rule_id: str
    content: str


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What a law asks of one channel.

    `consent` is the most that any rule asks for, by `consent_rule` ("": none asks), `asked` is what each does.
    `proof_rule`: the rule for which it must be proven, too ("": none).
    `suppression_rule`, `refusal_rule`: by which a suppressed channel, or a refusal, stops it ("": it does not).
    `hours`: when it may go (None: at any time), made of `opening`, rule by rule. `rule_ids`: of all rows in it.
    """

    channel: str
    consent: Consent
    consent_rule: str
    asked: tuple[Asked, ...]
    proof_rule: str
    suppression_rule: str
    refusal_rule: str
    hours: OpenHours | None
    opening: tuple[OpenHours, ...]
    caps: tuple[Capped, ...]
    content: tuple[Duty, ...]
    rule_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """What holds for messages of one class in some jurisdictions: `terms` by channel, in canonical order.

    The masks say the same by channel: what a suppression (`suppressible`) or a refusal (`refusable`) stops, what needs
    a grant, what a proven one. `instead`: sets of bases with the channels on which some rule accepts just these for her
    express word. `version` is that of the rule set.
    """

    version: str
    terms: tuple[Terms, ...]
    suppressible: int
    refusable: int
    needs_grant: int
    needs_proof: int
    instead: tuple[tuple[tuple[WeakBasis, ...], int], ...]


class Refusal(NamedTuple):
    """Why consent forbids a message: what is told (`suppressed`, …), and the rule of the table by which."""

    reason: Rule
    rule_id: str


class Laws(dict[tuple[str, ...], Law]):
    """The law of each set of jurisdictions, worked out when it is first asked for."""

    def __init__(self, find: Callable[[tuple[str, ...]], Law]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, jurisdictions: tuple[str, ...]) -> Law:
        law = self[jurisdictions] = self._find(jurisdictions)
        return law


class Rulebook:
    """A rule set, ready to be asked. Immutable; what it has worked out it keeps."""

    def __init__(self, rules: RuleSet) -> None:
        self.version = rules.version
        self.rows = rules.rows
        self.atlas = Atlas(rules.atlas, rules.states)
        self._rules = rules
        self._named = {place for row in rules.rows for place in row.places}
        self._named |= {c for name, members in rules.groups.items() if name in self._named for c in members}
        self._exceptions = frozenset(name for row in rules.rows for name in row.except_categories)
        self._since = sorted({_start_ms(row) for row in rules.rows})
        self._opening = {row.id: self._open_hours(row) for row in rules.rows if row.hours}
        self._by_id = {row.id: row for row in rules.rows}
        self._law = lru_cache(_CACHED)(self._make)

    def row(self, rule_id: str) -> Row:
        """The row of an id: its source, what it asks for. Raises KeyError where there is none."""
        return self._by_id[rule_id]

    def law(self, places: Places, category: Category, settings: ComplianceSettings, at_ms: int) -> Law:
        """What is in force at an instant (UTC ms) for a tenant's messages of a category to somebody in `places`."""
        return self._law(
            places.jurisdictions,
            category.class_,
            category.name if category.name in self._exceptions else "",
            bisect_right(self._since, at_ms),
            (settings.default_windows, settings.require_proof),
        )

    def laws(self, category: Category, settings: ComplianceSettings, at_ms: int) -> Laws:
        """The same by jurisdictions, for a batch of one tenant and category: who shares places shares a look-up."""
        return Laws(lambda jurisdictions: self.law(Places(jurisdictions, ()), category, settings, at_ms))

    def applying(self, jurisdictions: Iterable[str]) -> list[Row]:
        """The rows that hold in any of these jurisdictions, whatever the time, in the order of the table."""
        labels = [self._labels(jurisdiction) for jurisdiction in jurisdictions]
        return [row for row in self.rows if any(held is None or held & set(row.places) for held in labels)]

    def _labels(self, jurisdiction: str) -> set[str] | None:
        """All names by which rows may mean a jurisdiction; None: whatever their names are."""
        if jurisdiction == UNKNOWN:
            return None
        country = jurisdiction[:_COUNTRY]
        labels = {EVERYWHERE, country, jurisdiction}
        labels |= {name for name, members in self._rules.groups.items() if country in members}
        if jurisdiction == f"{country}-*":
            labels |= {name for name in self._named if name.startswith(f"{country}-")}
        return labels if country in self._named else labels | {ELSEWHERE}

    def _open_hours(self, row: Row) -> OpenHours:
        closed = self._rules.holidays.get(row.holidays, frozenset())
        return open_hours(
            row.id, row.hours, frozenset(day.toordinal() - _EPOCH.toordinal() for day in closed)
        )

    def _make(
        self,
        jurisdictions: tuple[str, ...],
        class_: CategoryClass,
        excepted: str,
        epoch: int,
        choices: tuple[bool, bool],
    ) -> Law:
        until = self._since[epoch - 1] if epoch else -1
        rows = [
            row
            for row in self.applying(jurisdictions)
            if class_ in row.classes and excepted not in row.except_categories and _start_ms(row) <= until
        ]
        terms = tuple(
            self._terms(channel, [row for row in rows if channel in row.channels], choices)
            for channel in CHANNELS
        )
        return Law(
            version=self.version,
            terms=terms,
            suppressible=_mask(terms, lambda t: t.suppression_rule),
            refusable=_mask(terms, lambda t: t.refusal_rule),
            needs_grant=_mask(terms, lambda t: t.consent_rule),
            needs_proof=_mask(terms, lambda t: t.proof_rule),
            instead=_instead(terms),
        )

    def _terms(self, channel: str, rows: list[Row], choices: tuple[bool, bool]) -> Terms:
        default_windows, require_proof = choices
        asking = [row for row in rows if row.consent != "none"]
        most = max(asking, key=lambda row: CONSENTS.index(row.consent), default=None)
        proving = [row for row in asking if require_proof and CONSENTS.index(row.consent) >= _WRITTEN]
        opening = tuple(self._opening[row.id] for row in rows if row.hours and (row.law or default_windows))
        return Terms(
            channel=channel,
            consent="none" if most is None else most.consent,
            consent_rule="" if most is None else most.id,
            asked=tuple(Asked(row.id, row.consent, row.accepts) for row in asking),
            proof_rule=_first(proving),
            suppression_rule=_first([row for row in rows if "suppression" in row.stopped_by]),
            refusal_rule=_first([row for row in rows if "refusal" in row.stopped_by]),
            hours=together(opening),
            opening=opening,
            caps=tuple(Capped(row.id, cap) for row in rows for cap in row.caps),
            content=tuple(Duty(row.id, item) for row in rows for item in row.content),
            rule_ids=tuple(row.id for row in rows),
        )


def load_rulebook(texts: Mapping[str, str]) -> Rulebook:
    """The rulebook of these files, text by file name. Raises ValueError where they are not what they should be."""
    return Rulebook(read_rule_set(texts))


@cache
def bundled_rulebook() -> Rulebook:
    """The rules that this release comes with: data that is part of the program, as its modules are."""
    folder = files("clarion.compliance").joinpath("rules")
    return load_rulebook(
        {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".toml")}
    )


def refusals(law: Law, category: str, consent: ConsentState) -> tuple[int, int, int]:
    """Masks of the channels that `consent` takes from messages of a category under a law, by what is told of it.

    In order: `SUPPRESSED`, `CONSENT_DENIED`, `CONSENT_MISSING`. A channel may be in several. No suppression, and no
    denial, ever takes a channel out of these masks.
    """
    denied = consent.denied.get(category, 0) | consent.denied.get(ANY_CATEGORY, 0)
    if not law.needs_grant:
        return consent.suppressed & law.suppressible, denied & law.refusable, 0
    named, every = consent.granted.get(category, 0), consent.granted.get(ANY_CATEGORY, 0)
    missing = law.needs_grant & ~(named | every)
    if consent.implied:
        express = named & ~consent.implied.get(category, 0) | every & ~consent.implied.get(ANY_CATEGORY, 0)
        weak = law.needs_grant & ~missing & ~express
        if weak and consent.bases:
            for accepts, channels in law.instead:
                asked = channels & weak
                if asked:
                    missing |= asked & ~_resting_on(accepts, category, consent)
        else:
            missing |= weak
    if law.needs_proof:
        proven = consent.proven.get(category, 0) | consent.proven.get(ANY_CATEGORY, 0)
        missing |= law.needs_proof & ~proven
    return consent.suppressed & law.suppressible, denied & law.refusable, missing


def refuses(law: Law, channel: str, category: str, consent: ConsentState) -> Refusal | None:
    """Why consent forbids a message of a category on a channel; None where it has nothing against it."""
    index = CHANNEL_INDEX[channel]
    suppressed, denied, missing = (mask >> index & 1 for mask in refusals(law, category, consent))
    terms = law.terms[index]
    if suppressed:
        return Refusal(Rule.SUPPRESSED, terms.suppression_rule)
    if denied:
        return Refusal(Rule.CONSENT_DENIED, terms.refusal_rule)
    if not missing:
        return None
    granted = consent.granted.get(category, 0) | consent.granted.get(ANY_CATEGORY, 0)
    if not granted >> index & 1:
        return Refusal(Rule.CONSENT_MISSING, terms.consent_rule)
    return Refusal(Rule.CONSENT_MISSING, _unmet(terms, category, consent) or terms.proof_rule)


def _resting_on(accepts: Collection[str], category: str, consent: ConsentState) -> int:
    """Mask of the channels that are granted on one of these bases."""
    held = 0
    # She has one or two, rows accept up to five.
    for basis, masks in consent.bases.items():
        if basis in accepts:
            held |= masks.get(category, 0) | masks.get(ANY_CATEGORY, 0)
    return held


def _unmet(terms: Terms, category: str, consent: ConsentState) -> str:
    """The first rule that does not accept what a grant rests on; "" where it is express, or all accept it."""
    bit = 1 << CHANNEL_INDEX[terms.channel]
    for name in (category, ANY_CATEGORY):
        if consent.granted.get(name, 0) & ~consent.implied.get(name, 0) & bit:
            return ""
    unmet = (a.rule_id for a in terms.asked if not _resting_on(a.accepts, category, consent) & bit)
    return next(unmet, "")


def _instead(terms: Iterable[Terms]) -> tuple[tuple[tuple[WeakBasis, ...], int], ...]:
    masks: dict[tuple[WeakBasis, ...], int] = {}
    for entry in terms:
        for asked in entry.asked:
            masks[asked.accepts] = masks.get(asked.accepts, 0) | 1 << CHANNEL_INDEX[entry.channel]
    return tuple(masks.items())


_EPOCH: Final = datetime.fromtimestamp(0, UTC).date()


def _start_ms(row: Row) -> int:
    return int(datetime.combine(row.effective_from, time(), UTC).timestamp() * 1000)


def _first(rows: list[Row]) -> str:
    return rows[0].id if rows else ""


def _mask(terms: Iterable[Terms], rule_of: Callable[[Terms], str]) -> int:
    return sum(1 << CHANNEL_INDEX[entry.channel] for entry in terms if rule_of(entry))
