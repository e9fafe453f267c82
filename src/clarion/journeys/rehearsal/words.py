"""What a rehearsal is asked for, as people write it: in the body of a request, in options, in a test file.

Instants are ISO 8601 with an offset, or count from the start (`+2d3h`); spans are as definitions have them (`2 days`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from clarion.contracts.channels import CHANNELS, Channel
from clarion.contracts.commands import Name

Share = Annotated[float, Meta(ge=0, le=1)]
Instant: TypeAlias = str | float
"""A text, or seconds from the start."""

Span: TypeAlias = str | float
ChannelList: TypeAlias = list[Channel]

MOST_USERS: Final = 100_000


class HoursWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A daily window of local time, `HH:MM`."""

    start: str
    end: str


class UserWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user. `consent`: `all`, `none`, or channels by category (`*`: all of them)."""

    id: Name
    timezone: str = ""
    language: str = ""
    country: str = ""
    region: str = ""
    preferred_channel: str = ""
    channels: ChannelList = msgspec.field(default_factory=lambda: list(CHANNELS))
    attributes: dict[str, Any] = {}
    features: dict[str, Any] = {}
    consent: Literal["all", "none"] | dict[str, ChannelList] = "all"
    switched_off: dict[str, ChannelList] = {}
    quiet_hours: HoursWords | None = None


class MixWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What users that are made up are like: shares of them by zone, channel, consent and attribute.

    `places`: weights by `ZONE COUNTRY`. `attributes`: weights by value, by name.
    """

    places: dict[str, Annotated[float, Meta(ge=0)]] = {}
    channels: dict[Channel, Share] = {}
    consent: Share = 1.0
    attributes: dict[str, dict[str, Annotated[float, Meta(ge=0)]]] = {}


class EventWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user's event. `user` "": each user's."""

    event: Name
    at: Instant = 0
    user: str = ""
    properties: dict[str, Any] = {}


class HabitWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What users do: `per_day` times a day, or a `share` of them `within` a span after a message."""

    event: Name
    per_day: Annotated[float, Meta(ge=0, le=100)] = 0.0
    after: Literal["", "delivered", "engaged"] = ""
    share: Share = 0.0
    within: Span = "1h"
    properties: dict[str, Any] = {}


class OddsWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How messages of a channel fare; what is left out is as usual."""

    delivered: Share | None = None
    engaged: Share | None = None
    deliver_after: Span | None = None
    engage_after: Span | None = None


class StartWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user is put into the journey, as the API's trigger does."""

    user: Name
    at: Instant = 0
    context: dict[str, Any] = {}


class CategoryWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"class_": "class"}):
    """A category of messages, where there is no account to ask."""

    class_: Literal["transactional", "service", "marketing"] = "marketing"
    per_day: Annotated[int, Meta(ge=0)] | None = None
    per_channel_day: dict[Channel, Annotated[int, Meta(ge=0)]] = {}
    max_channels: Annotated[int, Meta(ge=1, le=len(CHANNELS))] = 1


class TemplateWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A template, where there is no account to ask."""

    channels: ChannelList = msgspec.field(default_factory=lambda: list(CHANNELS))
    category: str = ""


class TenantWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The account's settings, where there is no account to ask. What is left out is as for a new account.

    `prices`: of a message, in units of money (0.0083), by channel. Templates that are not named have every channel.
    """

    timezone: str = "UTC"
    country: str = ""
    quiet_hours: HoursWords | msgspec.UnsetType | None = msgspec.UNSET
    categories: dict[str, CategoryWords] = {}
    templates: dict[str, TemplateWords] = {}
    prices: dict[Channel, Annotated[float, Meta(ge=0)]] = {}


class RehearsalWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rehearsal. `users`: how many to make up, or who they are. `start` "": the present.

    `starts`: who enters when; none, and no event that does it: all enter, evenly over `spread`, with `context`.
    `fetched`: what fetch steps put into the context, by step. `details`: whose runs are told in full.
    """

    users: Annotated[int, Meta(ge=1, le=MOST_USERS)] | list[UserWords] = 100
    mix: MixWords = MixWords()
    events: list[EventWords] = []
    habits: list[HabitWords] = []
    odds: dict[Channel, OddsWords] = {}
    starts: list[StartWords] = []
    days: Annotated[float, Meta(gt=0, le=400)] = 30.0
    start: str = ""
    spread: Span = "1d"
    context: dict[str, Any] = {}
    fetched: dict[str, dict[str, Any]] = {}
    details: list[Name] = []
    seed: int = 1
