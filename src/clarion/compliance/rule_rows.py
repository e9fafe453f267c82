"""The rows of the rule table, as `rules/*.toml` spell them. See `docs/compliance.md` for the table itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final, Literal, TypeAlias

import msgspec

from clarion.compliance.jurisdictions import AtlasTable
from clarion.tenancy.model import CategoryClass

Consent: TypeAlias = Literal["none", "opt_in", "express", "written", "double_opt_in"]
CONSENTS: Final[tuple[Consent, ...]] = ("none", "opt_in", "express", "written", "double_opt_in")
"""What a message needs, from the least to the most."""

WeakBasis: TypeAlias = Literal["soft_opt_in", "implied_purchase", "implied_inquiry", "contract", "inferred"]
"""What may stand for an express word, where a row accepts it."""

Medium: TypeAlias = Literal["email", "push", "sms", "in_app", "voice", "whatsapp", "webhook"]
"""What laws name. Rows of a medium that is no channel yet wait for it."""

Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

EVERYWHERE: Final = "everywhere"
ELSEWHERE: Final = "elsewhere"
"""The place of all countries that no row names."""


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Local time in which messages may go on `days`: from `start` up to, and without, `end` (`HH:MM`, `24:00`)."""

    days: tuple[Day, ...]
    start: str
    end: str


class LegalCap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `count` messages of a category to one user within any `hours` hours."""

    count: int
    hours: int


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule: what holds for messages of `classes` on `channels` to somebody in `places`.

    `places`: countries, states, groups, `everywhere`, `elsewhere`. `consent`: what must be on record at least, or a
    basis that the row `accepts` instead. `hours`: when messages may go (none: at any time), never on `holidays` of that
    country. `law`: whether it is law; the hours of what is good manners only bind tenants that have not said otherwise.
    `stopped_by`: whether a suppressed channel, or a refusal on record, stops it; `opt_out` is that in words.
    `effective_from`: the UTC day since which it is in force. `except_categories`: what it does not mean.
    """

    id: str
    places: tuple[str, ...]
    channels: tuple[Medium, ...]
    classes: tuple[CategoryClass, ...]
    source: str
    effective_from: date
    consent: Consent = "none"
    accepts: tuple[WeakBasis, ...] = ()
    hours: tuple[Hours, ...] = ()
    holidays: str = ""
    law: bool = True
    caps: tuple[LegalCap, ...] = ()
    content: tuple[str, ...] = ()
    stopped_by: tuple[Literal["suppression", "refusal"], ...] = ()
    opt_out: str = ""
    except_categories: tuple[str, ...] = ()
    note: str = ""


class RuleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of rows. `groups`: countries by the name of their group; `states`: names by country and code."""

    groups: dict[str, tuple[str, ...]] = {}
    states: dict[str, dict[str, str]] = {}
    rule: tuple[Row, ...] = ()


class RuleSet(msgspec.Struct, frozen=True):
    """All of the data: rows in the order of their files, groups, states, holidays by country, zones."""

    version: str
    rows: tuple[Row, ...]
    groups: dict[str, tuple[str, ...]]
    states: dict[str, dict[str, str]]
    holidays: dict[str, frozenset[date]]
    atlas: AtlasTable


class _Version(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: str


def read_rule_set(texts: Mapping[str, str]) -> RuleSet:
    """The rule set of these files, by name: `version.toml`, `zones.toml`, `holidays.toml`, all others hold rows.

    Raises ValueError where a file is not what it should be, or rules contradict their own table.
    """
    version = msgspec.toml.decode(texts["version.toml"], type=_Version).version
    atlas = msgspec.toml.decode(texts["zones.toml"], type=AtlasTable)
    holidays = msgspec.toml.decode(texts["holidays.toml"], type=dict[str, frozenset[date]])
    special = {"version.toml", "zones.toml", "holidays.toml"}
    files = [msgspec.toml.decode(texts[name], type=RuleFile) for name in sorted(texts.keys() - special)]
    rows = tuple(row for file in files for row in file.rule)
    groups = {name: members for file in files for name, members in file.groups.items()}
    states = {country: names for file in files for country, names in file.states.items()}
    found = RuleSet(version, rows, groups, states, holidays, atlas)
    _check(found)
    return found


def _check(rules: RuleSet) -> None:
    ids = [row.id for row in rules.rows]
    doubled = {name for name in ids if ids.count(name) > 1}
    if doubled:
        raise ValueError(f"several rules have the id {', '.join(sorted(doubled))}")
    named = {EVERYWHERE, ELSEWHERE} | rules.groups.keys() | rules.atlas.countries.keys()
    named |= {f"{country}-{code}" for country, names in rules.states.items() for code in names}
    named |= {f"{country}-*" for country in rules.states}
    for row in rules.rows:
        strange = set(row.places) - named
        if strange:
            raise ValueError(f"{row.id} names places that there are not: {', '.join(sorted(strange))}")
        if row.holidays and row.holidays not in rules.holidays:
            raise ValueError(f"{row.id} needs the holidays of {row.holidays}, which no file has")
        if "transactional" in row.classes and (row.hours or row.caps or row.consent != "none"):
            raise ValueError(
                f"{row.id} would hold back a one-time code: what is transactional has no hours or caps"
            )
