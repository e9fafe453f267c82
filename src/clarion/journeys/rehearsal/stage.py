"""Setting the stage: from words to a scenario, with users made up where none are named."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from clarion.compliance.model import NO_CONSENT, ConsentState
from clarion.contracts.channels import CHANNELS, Channel, mask_of
from clarion.delivery.prices import cheapest
from clarion.journeys.durations import read_span
from clarion.journeys.graph import Graph, NotificationSpec
from clarion.journeys.rehearsal.chance import draw
from clarion.journeys.rehearsal.words import (
    HabitWords,
    HoursWords,
    Instant,
    MixWords,
    OddsWords,
    RehearsalWords,
    Span,
    TenantWords,
    UserWords,
)
from clarion.journeys.rehearsal.world import AGREED, PRICES, USUAL, Habit, Happening, Odds, Person, Scenario
from clarion.kernel.errors import Invalid
from clarion.kernel.local_time import find_zone
from clarion.tenancy.config import TemplateInfo, TenantConfig
from clarion.tenancy.model import (
    ALL_CHANNELS,
    DEFAULT_CATEGORIES,
    Caps,
    Category,
    QuietHours,
    Tenant,
)

PLACES: Final[Mapping[str, float]] = {
    "Europe/Berlin DE": 0.2,
    "Europe/Paris FR": 0.15,
    "Europe/London GB": 0.15,
    "America/New_York US": 0.2,
    "America/Los_Angeles US": 0.1,
    "Asia/Kolkata IN": 0.15,
    "Australia/Sydney AU": 0.05,
}
"""Where users are who are made up: zones and laws of many kinds, so that a rehearsal meets them."""

CHANNEL_SHARES: Final[Mapping[Channel, float]] = {"email": 0.97, "push": 0.55, "sms": 0.6}

EARLIEST_MS: Final = 946_684_800_000
LATEST_MS: Final = 4_102_444_800_000
"""2000 and 2100 (UTC): where the laws, clocks and ids of real messages have a meaning."""

_MICROS: Final = 1_000_000


def set_stage(graph: Graph, config: TenantConfig, words: RehearsalWords, now_ms: int) -> Scenario:
    """The scenario that `words` ask for. `now_ms` (UTC): when it begins, where they do not say.

    Raises Invalid with the path of what is not understood.
    """
    begin_ms = _start(words.start) if words.start else now_ms // 60_000 * 60_000
    people = (
        invent(words.users, words.mix, words.seed)
        if isinstance(words.users, int)
        else [_person(user, f"users[{place}]") for place, user in enumerate(words.users)]
    )
    numbered = enumerate(words.events)
    return Scenario(
        graph,
        config,
        people,
        begin_ms,
        words.days,
        [
            Happening(read_instant(one.at, begin_ms, f"events[{i}].at"), one.event, one.user, one.properties)
            for i, one in numbered
        ],
        [_habit(habit, f"habits[{i}]") for i, habit in enumerate(words.habits)],
        {
            one.user: (read_instant(one.at, begin_ms, f"starts[{i}].at"), one.context)
            for i, one in enumerate(words.starts)
        },
        {
            channel: _odds(USUAL[channel], words.odds.get(channel, OddsWords()), f"odds.{channel}")
            for channel in CHANNELS
        },
        _prices(config, begin_ms),
        words.fetched,
        frozenset(words.details),
        seed=words.seed,
        spread_ms=_span(words.spread, "spread"),
        start_context=words.context,
    )


def make_config(graph: Graph, words: TenantWords) -> TenantConfig:
    """The settings of an account that is only told of: every template that the journey names is there."""
    known = {category.name: category for category in DEFAULT_CATEGORIES}
    for name, one in words.categories.items():
        caps = Caps(one.per_day, {str(channel): most for channel, most in one.per_channel_day.items()})
        known[name] = Category(name, one.class_, caps=caps, max_channels=one.max_channels)
    said, categories = _said(graph)
    for name in categories:
        known.setdefault(name, Category(name, "marketing"))
    templates = {name: TemplateInfo(name, 1, "", ALL_CHANNELS) for name in said}
    for name, one in words.templates.items():
        templates[name] = TemplateInfo(name, 1, one.category, mask_of(one.channels))
    usual = Tenant(bytes(16), "rehearsal")
    quiet = usual.quiet_hours if words.quiet_hours is msgspec.UNSET else _hours(words.quiet_hours, "tenant")
    tenant = msgspec.structs.replace(
        usual, timezone=_zone(words.timezone, "tenant.timezone"), country=words.country, quiet_hours=quiet
    )
    return TenantConfig(tenant, 1, known, templates, [])


def told_prices(scenario: Scenario, words: TenantWords) -> Scenario:
    """The scenario with the prices that are told."""
    told = {channel: round(price * _MICROS) for channel, price in words.prices.items()}
    return msgspec.structs.replace(scenario, prices={**scenario.prices, **told})


def invent(count: int, mix: MixWords, seed: int) -> list[Person]:
    """Users of a mix, the same for the same seed; those of a larger number begin with those of a smaller one."""
    places = mix.places or PLACES
    shares = {**CHANNEL_SHARES, **mix.channels}
    for place in places:
        _zone(place.partition(" ")[0], "mix.places")
    people: list[Person] = []
    for number in range(1, count + 1):
        zone, _, country = _pick(places, draw(seed, "place", number)).partition(" ")
        has = [channel for channel in CHANNELS if draw(seed, channel, number) < shares[channel]]
        agrees = draw(seed, "consent", number) < mix.consent
        people.append(
            Person(
                f"user-{number}",
                zone,
                country=country,
                channels=mask_of(has),
                consent=AGREED if agrees else NO_CONSENT,
                attributes={
                    name: _value(_pick(weights, draw(seed, "attribute", name, number)))
                    for name, weights in mix.attributes.items()
                },
            )
        )
    return people


def read_instant(value: Instant, begin_ms: int, path: str) -> int:
    """UTC ms of an instant. Raises Invalid with `path` where it is none."""
    if isinstance(value, str) and not value.lstrip().startswith(("+", "-")):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            at = None
        if at is not None and at.tzinfo is not None:
            return round(at.timestamp() * 1000)
    span = read_span(value, signed=True)
    if span is None:
        raise Invalid('write "+2d3h" from the start, or "2026-11-23T09:00:00+01:00"', path)
    return begin_ms + span


def _start(text: str) -> int:
    if text.lstrip().startswith(("+", "-")):
        raise Invalid("the start is an instant: 2026-11-23T09:00:00+01:00", "start")
    begin_ms = read_instant(text, 0, "start")
    if not EARLIEST_MS <= begin_ms < LATEST_MS:
        raise Invalid("a rehearsal begins after 2000 and before 2100", "start")
    return begin_ms


def _span(value: Span, path: str) -> int:
    span = read_span(value)
    if span is None:
        raise Invalid('write a span, as "30m", "24h" or "2 days"', path)
    return span


def _zone(name: str, path: str) -> str:
    if name and find_zone(name) is None:
        raise Invalid(f"there is no time zone {name!r}: write one as Europe/Paris", path)
    return name


def _person(user: UserWords, path: str) -> Person:
    match user.consent:
        case "all":
            consent = AGREED
        case "none":
            consent = NO_CONSENT
        case by_category:
            consent = ConsentState(granted={name: mask_of(listed) for name, listed in by_category.items()})
    return Person(
        user.id,
        _zone(user.timezone, f"{path}.timezone"),
        user.language,
        user.country,
        user.region,
        user.preferred_channel,
        mask_of(user.channels),
        user.attributes,
        user.features,
        consent,
        {name: mask_of(listed) for name, listed in user.switched_off.items()},
        _hours(user.quiet_hours, path),
    )


def _hours(words: HoursWords | None, path: str) -> QuietHours | None:
    if words is None:
        return None
    return QuietHours(_minutes(words.start, path), _minutes(words.end, path))


def _minutes(text: str, path: str) -> int:
    hour, colon, minute = text.partition(":")
    if colon and hour.isdecimal() and minute.isdecimal() and int(hour) < 24 and int(minute) < 60:  # noqa: PLR2004  a day's
        return int(hour) * 60 + int(minute)
    raise Invalid("write a time of day as 22:00", f"{path}.quiet_hours")


def _habit(words: HabitWords, path: str) -> Habit:
    within = _span(words.within, f"{path}.within")
    return Habit(words.event, words.per_day, words.after, words.share, within, words.properties)


def _odds(usual: Odds, words: OddsWords, path: str) -> Odds:
    return Odds(
        usual.delivered if words.delivered is None else words.delivered,
        usual.engaged if words.engaged is None else words.engaged,
        usual.deliver_ms
        if words.deliver_after is None
        else _span(words.deliver_after, f"{path}.deliver_after"),
        usual.engage_ms if words.engage_after is None else _span(words.engage_after, f"{path}.engage_after"),
    )


def _prices(config: TenantConfig, at_ms: int) -> dict[Channel, int]:
    """What the account's cheapest provider of each channel asks; of channels without one, a usual list price."""
    has = {account.channel for account in config.providers if account.enabled}
    return {
        channel: cheapest(config.providers, channel, "", at_ms) if channel in has else PRICES[channel]
        for channel in CHANNELS
    }


def _said(graph: Graph) -> tuple[set[str], set[str]]:
    """Names of the templates and of the categories that a journey's messages have."""
    specs = [step.spec for step in graph.steps.values() if isinstance(step.spec, NotificationSpec)]
    templates = {spec.template for spec in specs} | {rung.template for spec in specs for rung in spec.rungs}
    return templates - {""}, {spec.category for spec in specs} - {""}


def _pick(weights: Mapping[str, float], share: float) -> str:
    rest = share * sum(weights.values())
    for name, weight in weights.items():
        rest -= weight
        if rest < 0:
            return name
    return list(weights)[-1]


def _value(text: str) -> object:
    """An attribute's value: as JSON has it (true, 12), else a text."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
