"""What a rehearsal begins with: users, what they do, how their messages fare, and the tenant's settings.

Instants are UTC ms. Everything is given: a rehearsal reads no clock, no store and no dice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from clarion.audience.model import Card
from clarion.compliance.model import ConsentState
from clarion.contracts.channels import Channel, names_of
from clarion.delivery.list_prices import LIST_PRICES
from clarion.journeys.graph import Graph
from clarion.tenancy.config import TenantConfig
from clarion.tenancy.model import ALL_CHANNELS, QuietHours

DAY_MS: Final = 86_400_000
GRID_MS: Final = 900_000
"""Times that are made up lie on whole quarters of an hour, so that what falls on one of them is decided as one batch.
With single minutes ten thousand users take several times as long, and tell nothing more."""

Stage: TypeAlias = Literal["delivered", "engaged"]

AGREED: Final = ConsentState(granted={"*": ALL_CHANNELS})
"""Consent to everything, which users of a rehearsal have unless it says otherwise."""


class Person(msgspec.Struct, frozen=True):
    """A user. `channels`: mask of those on which she has an address; `timezone` "": that of the tenant.

    `attributes`: what conditions read as `user.NAME`; `features`: as `features.NAME`.
    """

    external_id: str
    timezone: str = ""
    language: str = ""
    country: str = ""
    region: str = ""
    preferred_channel: str = ""
    channels: int = ALL_CHANNELS
    attributes: Mapping[str, Any] = {}
    features: Mapping[str, Any] = {}
    consent: ConsentState = AGREED
    preferences: dict[str, int] = {}
    quiet_hours: QuietHours | None = None

    def card(self, user_id: int) -> Card:
        """Her card, as `decide` reads it."""
        return Card(
            user_id,
            1,
            self.external_id,
            self.timezone,
            self.language,
            self.country,
            self.preferred_channel,
            self.channels,
            self.consent,
            self.preferences,
            self.quiet_hours,
            self.region,
        )

    def profile(self) -> dict[str, Any]:
        """Her as conditions name her: attributes, and over them the fields of her profile that are set."""
        fields = {
            "id": self.external_id,
            "timezone": self.timezone,
            "language": self.language,
            "country": self.country,
            "region": self.region,
            "preferred_channel": self.preferred_channel,
            "channels": names_of(self.channels),
        }
        return {**self.attributes, **{name: value for name, value in fields.items() if value}}


class Happening(msgspec.Struct, frozen=True):
    """A user does something at an instant. `user` "": each of them does."""

    at_ms: int
    name: str
    user: str = ""
    properties: Mapping[str, Any] = {}


class Habit(msgspec.Struct, frozen=True):
    """What users do by themselves, or because of a message.

    `after` "": `per_day` times a day, at any hour. Otherwise: a share of `share` does it, within `within_ms` after a
    message was delivered, or engaged with.
    """

    event: str
    per_day: float = 0.0
    after: Stage | Literal[""] = ""
    share: float = 0.0
    within_ms: int = 3_600_000
    properties: Mapping[str, Any] = {}


class Odds(msgspec.Struct, frozen=True):
    """How messages of a channel fare: shares of those sent that are delivered, and of these that are engaged with.

    `deliver_ms`: how long the way takes. `engage_ms`: how long it takes on average until somebody opens or clicks.
    """

    delivered: float = 0.98
    engaged: float = 0.2
    deliver_ms: int = 5_000
    engage_ms: int = 3_600_000


USUAL: Final[Mapping[Channel, Odds]] = {
    "email": Odds(0.97, 0.22, 5_000, 4 * 3_600_000),
    "push": Odds(0.93, 0.08, 2_000, 3_600_000),
    "sms": Odds(0.96, 0.18, 5_000, 900_000),
}
"""What a rehearsal assumes where it is not told: orders of size, to be replaced by an account's own figures."""

PRICES: Final[Mapping[Channel, int]] = {
    "email": LIST_PRICES["sendgrid"][-1].micros,
    "push": LIST_PRICES["fcm"][-1].micros,
    "sms": LIST_PRICES["twilio"][-1].micros,
}
"""Micros of a message where the tenant has no account with a price."""


class Scenario(msgspec.Struct, frozen=True):
    """All of a rehearsal. Users number 1, 2, … in the order of `people`.

    `starts`: user → when she enters without an event, with what context (for triggers other than events: see
    `gate`). `fetched`: what a fetch step (by its id) maps into the context. `details`: users whose runs are told in
    full (none named: all are). `seed`: another one, another course of chance. `spread_ms`, `start_context`: over which
    span users enter, and with what, where nothing in the scenario starts a run.
    """

    graph: Graph
    config: TenantConfig
    people: Sequence[Person]
    begin_ms: int
    days: float = 30.0
    happenings: Sequence[Happening] = ()
    habits: Sequence[Habit] = ()
    starts: Mapping[str, tuple[int, Mapping[str, Any]]] = {}
    odds: Mapping[Channel, Odds] = msgspec.field(default_factory=lambda: USUAL)
    prices: Mapping[Channel, int] = msgspec.field(default_factory=lambda: PRICES)
    fetched: Mapping[str, Mapping[str, Any]] = {}
    details: frozenset[str] = frozenset()
    journey_id: bytes = bytes(16)
    seed: int = 1
    spread_ms: int = DAY_MS
    start_context: Mapping[str, Any] = {}

    @property
    def end_ms(self) -> int:
        """When the rehearsal ends: what would happen at this instant or later does not."""
        return self.begin_ms + int(self.days * DAY_MS)


def spread_starts(
    people: Sequence[Person], begin_ms: int, spread_ms: int, context: Mapping[str, Any]
) -> dict[str, tuple[int, Mapping[str, Any]]]:
    """Entries of all users, evenly over `spread_ms`."""
    step = spread_ms / max(len(people), 1)
    return {
        person.external_id: (begin_ms + int(step * place) // GRID_MS * GRID_MS, context)
        for place, person in enumerate(people)
    }
