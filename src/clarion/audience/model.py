"""Users: the profile that a tenant writes, and the card that decisions read."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from clarion.compliance.jurisdictions import Whereabouts
from clarion.compliance.model import NO_CONSENT, ConsentState
from clarion.tenancy.model import QuietHours

Platform: TypeAlias = Literal["ios", "android", "web"]


class DeviceToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a push reaches a device."""

    platform: Platform
    token: Annotated[str, Meta(min_length=1, max_length=4096)]


class SealedProfile(msgspec.Struct, frozen=True, array_like=True):
    """The personal part of a profile, as sealed with the user's own key. Exists in clear only inside one batch.

    `device_tokens` are sealed one by one, and join the profile when it is opened for push.
    """

    email: str = ""
    phone: str = ""
    device_tokens: list[DeviceToken] = []
    attributes: dict[str, Any] = {}


class Card(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All that `decide` needs of one user, packed for one `MGET`. No clear PII: addresses are only flags.

    `version` is the version of the Postgres row: a card is replaced only by a newer one. `reachable` is the mask of
    channels with an address. `timezone` is an IANA name or "" (unknown). `preferences` maps a category (or `*`) to
    the mask of channels that the user switched off. `region`, `phone_country`, `phone_zones`: see `Whereabouts`.
    """

    user_id: int
    version: int
    external_id: str
    timezone: str
    language: str
    country: str
    preferred_channel: str
    reachable: int
    consent: ConsentState = NO_CONSENT
    preferences: dict[str, int] = {}
    quiet_hours: QuietHours | None = None
    region: str = ""
    phone_country: str = ""
    phone_zones: tuple[str, ...] = ()

    @property
    def whereabouts(self) -> Whereabouts:
        """What is known of where she is."""
        return Whereabouts(self.country, self.region, self.timezone, self.phone_country, self.phone_zones)


class ResolvedSegment(msgspec.Struct, frozen=True):
    """A segment as it stood when somebody asked for it: later edits of the segment change nothing about this one.

    May be stored and read back. `expression` is its CEL, `as_of_ms` the instant (ms since the epoch, the store's
    clock) that `ago(...)` counts from; together with a user's data they decide whether she is in it.
    """

    name: str
    expression: str
    as_of_ms: int


class Member(msgspec.Struct, frozen=True, gc=False):
    """Somebody who is in a segment. `timezone` is an IANA name or "" (unknown)."""

    user_id: int
    external_id: str
    timezone: str
