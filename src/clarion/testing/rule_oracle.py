"""The rules read another way: row by row from the files, minute by minute from Python's own zones.

Shares nothing with what it checks but the files and the places: no masks, no arrays, no caches. `sweep` asks both
about random users at random instants, half of them around changes of clocks, and counts where they differ.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from clarion.compliance.evaluate import Allow, Block, Defer, Facts, Verdict, decide_one
from clarion.compliance.jurisdictions import Whereabouts
from clarion.compliance.model import ConsentState
from clarion.compliance.rulebook import bundled_rulebook
from clarion.contracts.channels import CHANNELS
from clarion.tenancy.model import DEFAULT_CATEGORIES, Category, ComplianceSettings

Answer: TypeAlias = Literal["refused", "closed", "open"]

FIRST_MS: Final = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)
LAST_MS: Final = int(datetime(2030, 12, 20, tzinfo=UTC).timestamp() * 1000)
ZONES: Final = sorted(available_timezones() - {"localtime"})
COUNTRIES: Final = [
    "US",
    "US",
    "US",
    "CA",
    "DE",
    "FR",
    "GB",
    "AU",
    "IN",
    "AE",
    "BR",
    "RU",
    "JP",
    "PR",
    "AX",
    "XX",
]
STATES: Final = ["FL", "Texas", "us-ri", "CT", "OK", "NY", "CA", "MD", "Atlantis", ""]

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000
_BASES: Final = ("soft_opt_in", "implied_purchase", "implied_inquiry", "contract", "inferred", "a_hunch")
_EXAMPLES: Final = 5
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(slots=True)
class Swept:
    """What a sweep saw.

    `forbidden`: messages let go, or put off to, where the oracle says no; `differing`: any answer that is not the
    oracle's; `examples`: the first few of both.
    """

    decisions: int = 0
    allowed: int = 0
    deferred: int = 0
    blocked: int = 0
    forbidden: int = 0
    differing: int = 0
    examples: list[str] = field(default_factory=list[str])


@cache
def raw_rules() -> tuple[list[dict[str, Any]], dict[str, list[str]], dict[str, list[date]]]:
    """Rows, groups and holidays as the files have them."""
    folder = files("clarion.compliance") / "rules"
    tables = {
        f.name: tomllib.loads(f.read_text("utf-8")) for f in folder.iterdir() if f.name.endswith(".toml")
    }
    rows = [row for table in tables.values() for row in table.get("rule", [])]
    groups = {name: of for table in tables.values() for name, of in table.get("groups", {}).items()}
    return rows, groups, tables["holidays.toml"]


def ask(facts: Facts, channel: str, category: Category, at_ms: int) -> Answer:
    """What the rows, each by itself, say of a message at an instant."""
    rows = [row for row in _rows_for(facts.places.jurisdictions) if _is_about(row, channel, category, at_ms)]
    bit = 1 << CHANNELS.index(channel)
    if any(_refuses(row, facts, category.name, bit) for row in rows):
        return "refused"
    for row in rows:
        timed = row.get("law", True) or facts.settings.default_windows
        if timed and any(not _is_open(row, zone, at_ms) for zone in facts.places.zones):
            return "closed"
        for cap in row.get("caps", []):
            since = at_ms - cap["hours"] * _HOUR_MS
            if sum(since < sent <= at_ms for sent in facts.sent_ms) >= cap["count"]:
                return "closed"
    return "open"


def sweep(seed: int, decisions: int, *, walk_every: int = 200) -> Swept:
    """Compare `decide_one` with the oracle on `decisions` random cases; the same seed gives the same cases.

    Of every `walk_every`-th case that is put off, each minute until then is asked about too.
    """
    dice = Random(seed)  # noqa: S311  made-up users, not a secret
    seen, rulebook = Swept(), bundled_rulebook()
    for _ in range(decisions):
        facts, channel, category, at_ms = draw_case(dice)
        verdict = decide_one(at_ms, facts, channel, category, rulebook)
        seen.decisions += 1
        seen.allowed += isinstance(verdict, Allow)
        seen.deferred += isinstance(verdict, Defer)
        seen.blocked += isinstance(verdict, Block)
        walk = seen.deferred % walk_every == 0
        wrong = find_wrong(verdict, facts, (channel, category), at_ms, walk=walk)
        if wrong:
            seen.differing += 1
            seen.forbidden += not isinstance(verdict, Block)
            if len(seen.examples) < _EXAMPLES:
                seen.examples.append(
                    f"{wrong}: {verdict} of {channel} {category.name} at {at_ms} for {facts}"
                )
    return seen


def find_wrong(
    verdict: Verdict, facts: Facts, message: tuple[str, Category], at_ms: int, *, walk: bool
) -> str:
    """How a verdict differs from the oracle's; "" where it does not. `walk`: see that no earlier minute was open."""
    answer = ask(facts, *message, at_ms)
    if isinstance(verdict, Allow):
        return "" if answer == "open" else f"allowed what is {answer}"
    if isinstance(verdict, Block):
        # Closed for good: no hour that all clocks and all rules leave open, within two weeks.
        later = [] if answer == "refused" else [at_ms + hour * _HOUR_MS for hour in range(14 * 24)]
        return "blocked what may go" if any(ask(facts, *message, ms) == "open" for ms in later) else ""
    if answer != "closed":
        return f"deferred what is {answer}"
    if verdict.until_ms <= at_ms or ask(facts, *message, verdict.until_ms) != "open":
        return "deferred to a forbidden instant"
    minutes = range(at_ms // _MINUTE_MS + 1, verdict.until_ms // _MINUTE_MS) if walk else ()
    if any(ask(facts, *message, minute * _MINUTE_MS) == "open" for minute in minutes):
        return "deferred beyond the first instant"
    return ""


def draw_case(dice: Random) -> tuple[Facts, str, Category, int]:
    """A user, a message and an instant of 2024 to 2030; every other instant near a change of her clocks."""
    country = dice.choice(COUNTRIES)
    home = sorted(bundled_rulebook().atlas.zones_of(country)) or ZONES
    where = Whereabouts(
        country=dice.choice((country, country, "")),
        region=dice.choice(STATES) if country == "US" else "",
        timezone=dice.choice((dice.choice(home), dice.choice(ZONES), "", "Mars/Olympus")),
        phone_country=dice.choice((country, dice.choice(COUNTRIES), "")),
        phone_zones=tuple(dice.sample(home, dice.randint(0, min(2, len(home))))),
    )
    places = bundled_rulebook().atlas.plausible(where, dice.choice(("", "DE", "US")), "Europe/Berlin")
    at_ms = dice.randrange(FIRST_MS, LAST_MS)
    nights = changes_of(dice.choice(places.zones))
    if nights and dice.random() < 0.5:  # noqa: PLR2004  every other one
        at_ms = min(
            dice.choice(nights) + dice.randint(-36, 36) * _HOUR_MS + dice.randrange(_HOUR_MS), LAST_MS
        )
    facts = Facts(
        places,
        draw_consent(dice),
        ComplianceSettings(default_windows=dice.random() < 0.7, require_proof=dice.random() < 0.2),  # noqa: PLR2004  shares
        sent_ms=tuple(at_ms - dice.randrange(30 * _HOUR_MS) for _ in range(dice.randint(0, 4))),
    )
    return (
        facts,
        dice.choice(CHANNELS),
        dice.choice((*DEFAULT_CATEGORIES, *4 * (DEFAULT_CATEGORIES[-1],))),
        at_ms,
    )


def draw_consent(dice: Random) -> ConsentState:
    """A state as folding gives it: no bit is both granted and denied; implied and proven are among what is granted."""
    granted: dict[str, int] = {}
    denied: dict[str, int] = {}
    implied: dict[str, int] = {}
    proven: dict[str, int] = {}
    bases: dict[str, dict[str, int]] = {}
    for category in dice.sample(["marketing", "service", "*"], dice.randint(0, 3)):
        granted[category] = dice.choice((7, 7, 7, dice.randrange(8)))
        denied[category] = dice.choice((0, 0, dice.randrange(8))) & ~granted[category]
        implied[category] = dice.choice((0, dice.randrange(8))) & granted[category]
        if implied[category]:
            bases.setdefault(dice.choice(_BASES), {})[category] = implied[category]
        proven[category] = dice.randrange(8) & granted[category] & ~implied[category]
    suppressed = dice.choice((0, 0, 0, dice.randrange(8)))
    granted, denied, implied, proven = (_told(masks) for masks in (granted, denied, implied, proven))
    return ConsentState(granted, denied, suppressed, implied, proven, bases)


def _told(masks: dict[str, int]) -> dict[str, int]:
    return {name: mask for name, mask in masks.items() if mask}


@cache
def changes_of(zone: str) -> list[int]:
    """Instants (UTC ms, to the half day) around which the clocks of a zone change between 2024 and 2030."""
    known, found = ZoneInfo(zone), list[int]()
    day = datetime.fromtimestamp(FIRST_MS / 1000, UTC)
    while day.year < 2031:  # noqa: PLR2004  a year
        following = day + timedelta(days=1)
        if day.astimezone(known).utcoffset() != following.astimezone(known).utcoffset():
            found.append(int(day.timestamp() * 1000) + 12 * _HOUR_MS)
        day = following
    return found


@cache
def _rows_for(jurisdictions: tuple[str, ...]) -> list[dict[str, Any]]:
    rows, _, _ = raw_rules()
    return [row for row in rows if any(_means(row["places"], of) for of in jurisdictions)]


@cache
def _named_countries() -> frozenset[str]:
    rows, groups, _ = raw_rules()
    places = {place for row in rows for place in row["places"]}
    members = {country for name in places & groups.keys() for country in groups[name]}
    return frozenset(members | {place for place in places if len(place) == len("DE")})


def _means(places: Sequence[str], jurisdiction: str) -> bool:
    _, groups, _ = raw_rules()
    country = jurisdiction[:2]
    for place in places:
        if place in ("everywhere", jurisdiction, country) or jurisdiction == "??":
            return True
        if country in groups.get(place, ()):
            return True
        if jurisdiction.endswith("-*") and place.startswith(country + "-"):
            return True
        if place == "elsewhere" and country not in _named_countries():
            return True
    return False


def _is_about(row: dict[str, Any], channel: str, category: Category, at_ms: int) -> bool:
    return (
        channel in row["channels"]
        and category.class_ in row["classes"]
        and category.name not in row.get("except_categories", ())
        and row["effective_from"].isoformat() <= datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()
    )


def _refuses(row: dict[str, Any], facts: Facts, category: str, bit: int) -> bool:
    consent, stopped_by = facts.consent, row.get("stopped_by", ())
    names = [name for name in (category, "*") if consent.granted.get(name, 0) & bit]
    if "suppression" in stopped_by and consent.suppressed & bit:
        return True
    if "refusal" in stopped_by and any(consent.denied.get(name, 0) & bit for name in (category, "*")):
        return True
    needed = row.get("consent", "none")
    if needed == "none":
        return False
    if facts.settings.require_proof and needed in ("written", "double_opt_in"):
        return not any(consent.proven.get(name, 0) & bit for name in names)
    if any(not consent.implied.get(name, 0) & bit for name in names):
        return False
    held = [
        basis for basis, masks in consent.bases.items() if any(masks.get(name, 0) & bit for name in names)
    ]
    return not set(held) & set(row.get("accepts", ()))


def _is_open(row: dict[str, Any], zone: str, at_ms: int) -> bool:
    if not row.get("hours"):
        return True
    local = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    _, _, holidays = raw_rules()
    if local.date() in holidays.get(row.get("holidays", ""), ()):
        return False
    clock, day = local.strftime("%H:%M"), _DAYS[local.weekday()]
    return any(day in hours["days"] and hours["start"] <= clock < hours["end"] for hours in row["hours"])
