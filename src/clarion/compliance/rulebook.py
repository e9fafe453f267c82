"""The rules as data: what the laws of every place that a user may be in ask of one kind of message, taken together.

    rules/*.toml ─▶ Rulebook ─▶ terms_of(places, class, day) ─▶ Terms: consent, windows, caps, content, by channel
                                                                  │
                                          decide (the mask of a batch)   claim (one message)   explain

A rule holds for its jurisdictions, channels and class from a day on. Of those that hold at once the strictest counts,
aspect by aspect: consent where any asks for it, a window only where all are open, the smallest cap, all content. So
another jurisdiction never loosens anything. `law = false` marks good manners, which a tenant may leave to its own quiet
hours (`ComplianceSettings.default_windows`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from importlib.resources import files
from typing import Final, Literal, TypeAlias

import msgspec

from clarion.compliance.jurisdictions import ELSEWHERE, Places
from clarion.compliance.model import ANY_CATEGORY, ConsentState
from clarion.compliance.windows import ALWAYS, CLOSED_DAY, OPEN_DAY, Span, Week, intersect
from clarion.contracts.channels import CHANNELS
from clarion.kernel.errors import Permanent
from clarion.kernel.local_time import DAY_MINUTES, DAY_MS
from clarion.tenancy.model import CategoryClass, ComplianceSettings

Consent: TypeAlias = Literal["none", "any", "express", "double_opt_in", "written"]
"""What a rule asks for. `any`: her word, or what stands for it (a purchase, an inquiry, a soft opt-in)."""

PROVABLE: Final = frozenset(("double_opt_in", "written"))
"""Consent that has to be proven: with `ComplianceSettings.require_proof` only its proof is enough."""

EVERYWHERE: Final = "*"
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH: Final = date(1970, 1, 1)


class Cap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `count` messages to one person in any `hours` hours."""

    count: int
    hours: int


class RuleText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"class_": "class"}):
    """A rule as it is written. `windows`: `all` or a weekday → `HH:MM-HH:MM` or `closed`; `holidays = "closed"`."""

    id: str
    jurisdictions: tuple[str, ...]
    channels: tuple[str, ...]
    class_: CategoryClass
    consent: Consent
    source: str
    effective_from: date
    stopped_by: tuple[str, ...]
    windows: Mapping[str, str] = {}
    law: bool = True
    cap: Cap | None = None
    must_contain: tuple[str, ...] = ()


class RuleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of rules. One of them says the version of the whole set."""

    rule: tuple[RuleText, ...]
    version: str = ""


class Terms(msgspec.Struct, frozen=True):
    """What is asked of a message on one channel, by all jurisdictions together. `rules`: the ids of those that hold.

    `week`: when the law allows it; `manners`: when law and good manners do. `window_rules`: the ids of the rules that
    have windows. `needs_consent`: some rule asks for consent; `takes_implied`: all that do are content with less than
    her express word; `needs_proof`: the rule that wants proof of it, or "".
    """

    rules: tuple[str, ...] = ()
    needs_consent: bool = False
    takes_implied: bool = True
    needs_proof: str = ""
    week: Week = ALWAYS
    manners: Week = ALWAYS
    window_rules: tuple[str, ...] = ()
    cap: Cap | None = None
    must_contain: tuple[str, ...] = ()
    stopped_by: tuple[str, ...] = ()

    def window(self, settings: ComplianceSettings) -> Week:
        """The week that holds for a tenant."""
        return self.manners if settings.default_windows else self.week


NO_TERMS: Final = Terms()


class TermsOf(msgspec.Struct, frozen=True):
    """The terms of one class of messages by channel, and the channels (masks) on which a grant has to be more.

    `express`: an implied grant is not enough. `provable`: with `require_proof` only a proven one is.
    """

    by_channel: Mapping[str, Terms]
    express: int
    provable: int
    is_timed: bool

    def unmet(self, category: str, consent: ConsentState, settings: ComplianceSettings) -> int:
        """Mask of the channels whose grant is not what the rules ask for. Those without any grant are not in it."""
        granted = consent.granted.get(category, 0) | consent.granted.get(ANY_CATEGORY, 0)
        if not (granted and (self.express or (self.provable and settings.require_proof))):
            return 0
        implied = consent.implied.get(category, 0) | consent.implied.get(ANY_CATEGORY, 0)
        unmet = granted & implied & self.express & ~_express(category, consent)
        if settings.require_proof:
            proven = consent.proven.get(category, 0) | consent.proven.get(ANY_CATEGORY, 0)
            unmet |= granted & self.provable & ~proven
        return unmet


def _express(category: str, consent: ConsentState) -> int:
    """Mask of the channels that are granted by a word of the category, or of all, that is more than implied."""
    express = 0
    for name in (category, ANY_CATEGORY):
        express |= consent.granted.get(name, 0) & ~consent.implied.get(name, 0)
    return express


class Rulebook:
    """The rules of one version. Pure; terms are worked out once for each set of places and day on which one changes."""

    def __init__(
        self, version: str, rules: Sequence[RuleText], holidays: Mapping[str, frozenset[int]]
    ) -> None:
        """`holidays`: days since 1970 by jurisdiction."""
        self.version = version
        self.rules = tuple(rules)
        self._holidays = holidays
        self._by_id = {rule.id: rule for rule in rules}
        self._changes = sorted({_days(rule.effective_from) for rule in rules})
        self._terms = lru_cache(maxsize=4096)(self._work_out)

    def rule(self, rule_id: str) -> RuleText:
        """A rule by its id. Raises KeyError."""
        return self._by_id[rule_id]

    def terms_of(self, jurisdictions: tuple[str, ...], class_: CategoryClass, at_ms: int) -> TermsOf:
        """What all these jurisdictions (`Places.jurisdictions`) ask of a class of messages at an instant (UTC ms)."""
        return self._terms(jurisdictions, class_, self._era(at_ms // DAY_MS))

    def holding(
        self, jurisdictions: Iterable[str], class_: CategoryClass, channel: str, at_ms: int
    ) -> list[RuleText]:
        """The rules that hold for one channel, by id."""
        return self._holding(frozenset(jurisdictions), class_, channel, at_ms // DAY_MS)

    def _era(self, day: int) -> int:
        """The last day up to `day` on which any rule began."""
        return max((change for change in self._changes if change <= day), default=self._changes[0])

    def _work_out(self, jurisdictions: tuple[str, ...], class_: CategoryClass, day: int) -> TermsOf:
        places = frozenset(jurisdictions)
        by_channel = {
            channel: self._merge(self._holding(places, class_, channel, day), places) for channel in CHANNELS
        }
        express = provable = 0
        for bit, channel in enumerate(CHANNELS):
            terms = by_channel[channel]
            express |= (terms.needs_consent and not terms.takes_implied) << bit
            provable |= bool(terms.needs_proof) << bit
        is_timed = any(not terms.manners.is_open for terms in by_channel.values())
        return TermsOf(by_channel, express, provable, is_timed)

    def _holding(
        self, places: frozenset[str], class_: CategoryClass, channel: str, day: int
    ) -> list[RuleText]:
        return [
            rule
            for rule in self.rules
            if rule.class_ == class_
            and channel in rule.channels
            and _days(rule.effective_from) <= day
            and (rule.jurisdictions == (EVERYWHERE,) or not places.isdisjoint(rule.jurisdictions))
        ]

    def _merge(self, rules: Sequence[RuleText], places: frozenset[str]) -> Terms:
        """The strictest of all, aspect by aspect."""
        if not rules:
            return NO_TERMS
        asking = [rule for rule in rules if rule.consent != "none"]
        timed = [(rule, self._week(rule, places)) for rule in rules if rule.windows]
        caps = [rule.cap for rule in rules if rule.cap is not None]
        return Terms(
            rules=tuple(rule.id for rule in rules),
            needs_consent=bool(asking),
            takes_implied=all(rule.consent == "any" for rule in asking),
            needs_proof=next((rule.id for rule in asking if rule.consent in PROVABLE), ""),
            week=intersect([ALWAYS, *(week for rule, week in timed if rule.law)]),
            manners=intersect([ALWAYS, *(week for _, week in timed)]),
            window_rules=tuple(rule.id for rule, _ in timed),
            cap=min(caps, key=lambda cap: cap.count / cap.hours, default=None),
            must_contain=_merged(rule.must_contain for rule in rules),
            stopped_by=_merged(rule.stopped_by for rule in rules),
        )

    def _week(self, rule: RuleText, places: frozenset[str]) -> Week:
        week = read_windows(rule.windows)
        if rule.windows.get("holidays") != "closed":
            return week
        closed = frozenset[int]().union(
            *(self._holidays.get(place, frozenset()) for place in places.intersection(rule.jurisdictions))
        )
        return Week(week.days, closed)


def read_windows(windows: Mapping[str, str]) -> Week:
    """The week of a rule, without its holidays. Raises ValueError where it cannot be read."""
    unknown = windows.keys() - {"all", "holidays", *_WEEKDAYS}
    if unknown:
        msg = f"there is no such day: {', '.join(sorted(unknown))}"
        raise ValueError(msg)
    usual = _span(windows["all"]) if "all" in windows else OPEN_DAY
    return Week(tuple(_span(windows[day]) if day in windows else usual for day in _WEEKDAYS))


def _span(text: str) -> Span:
    if text == "closed":
        return CLOSED_DAY
    begin, _, end = text.partition("-")
    span = (_minutes(begin), _minutes(end))
    if not 0 <= span[0] < span[1] <= DAY_MINUTES:
        msg = f"{text!r} is no time of a day that ends after it begins"
        raise ValueError(msg)
    return span


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _days(day: date) -> int:
    return (day - _EPOCH).days


def _merged(lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))


def read_rulebook(texts: Mapping[str, str], holidays: Mapping[str, Sequence[date]]) -> Rulebook:
    """The rulebook of these files (TOML by name). Raises Permanent with the file and what is wrong with it."""
    version = ""
    rules: dict[str, RuleText] = {}
    for name, text in sorted(texts.items()):
        try:
            file = msgspec.convert(tomllib.loads(text), RuleFile)
            for rule in file.rule:
                read_windows(rule.windows)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
            raise Permanent(f"the rules in {name} cannot be read: {error}") from error
        twice = [rule.id for rule in file.rule if rule.id in rules]
        if twice:
            raise Permanent(f"the rules in {name} cannot be read: {twice[0]} is there twice")
        rules |= {rule.id: rule for rule in file.rule}
        version = version or file.version
    if not version:
        raise Permanent("no file of the rules says their version")
    days = {place: frozenset(_days(day) for day in listed) for place, listed in holidays.items()}
    return Rulebook(version, list(rules.values()), days)


@lru_cache(maxsize=1)
def rulebook() -> Rulebook:
    """The rulebook of this release."""
    folder = files("clarion.compliance") / "rules"
    texts = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".toml")}
    holidays = tomllib.loads(texts.pop("holidays.toml"))
    return read_rulebook(texts, holidays)


def strictest(class_: CategoryClass, at_ms: int) -> TermsOf:
    """The terms for somebody of whom nothing is known, whatever her tenant."""
    return rulebook().terms_of((ELSEWHERE,), class_, at_ms)


def terms_at(places: Places, class_: CategoryClass, at_ms: int) -> TermsOf:
    """The present rulebook's terms for these places."""
    return rulebook().terms_of(places.jurisdictions, class_, at_ms)
