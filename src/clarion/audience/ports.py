"""What the audience needs from the outside: the users' rows, their keys, and the cipher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import UnsetType

from clarion.audience.model import Card, Member, ResolvedSegment
from clarion.tenancy.model import QuietHours


class DeviceRow(msgspec.Struct, frozen=True, gc=False):
    """A device as stored: `token_hmac` finds the token and names the device, `sealed` is it."""

    user_id: int
    token_hmac: bytes
    platform: str
    sealed: bytes
    last_seen_ms: int = 0


class UserRow(msgspec.Struct, frozen=True, gc=False):
    """A user as stored. What is personal is in `sealed`; `email_hmac` and `phone_hmac` only find it (b"": none).

    `fingerprint` is a keyed hash of all that the tenant wrote. `reachable` and `preferences` are channel masks.
    `traits`: the terms of the blind index (`audience.traits`); `phone_country`, `phone_zones`: where the number is from
    (`audience.phone`). These are written, never read back.

    In a row to be written, `preferences` None, `quiet_hours` UNSET and `devices` None leave what is stored as it is;
    of the devices those go that came with an earlier profile.
    """

    user_id: int
    external_id: str
    sealed: bytes
    fingerprint: bytes
    email_hmac: bytes
    phone_hmac: bytes
    reachable: int
    timezone: str
    language: str
    country: str
    region: str
    preferred_channel: str
    preferences: dict[str, int] | None
    quiet_hours: QuietHours | UnsetType | None
    version: int = 0
    traits: Sequence[bytes] = ()
    devices: Sequence[DeviceRow] | None = None
    phone_country: str = ""
    phone_zones: tuple[str, ...] = ()


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a user is, or will be: `version` 0 is a user who does not exist yet, with an id that nobody else gets."""

    user_id: int
    version: int
    fingerprint: bytes


class UserStore(Protocol):
    """The users of a region."""

    async def locate(self, tenant_id: bytes, external_ids: Sequence[str]) -> list[Place]:
        """The place of each id, in order; a fresh one for those who do not exist. Writes nothing."""
        ...

    async def insert(self, tenant_id: bytes, rows: Sequence[UserRow]) -> dict[int, int]:
        """Add users; versions by user id. Absent: the external id exists meanwhile, under another user id."""
        ...

    async def update(self, tenant_id: bytes, rows: Sequence[UserRow]) -> dict[int, int]:
        """Replace what the tenant wrote of existing users; new versions by user id. Absent: the user is gone."""
        ...

    async def read(self, tenant_id: bytes, external_id: str) -> UserRow | None:
        """One user of this tenant, or None."""
        ...

    async def read_cards(self, tenant_id: bytes, external_ids: Sequence[str]) -> list[Card | None]:
        """A card per id, in order, with present consent; None where the tenant has no such user."""
        ...

    async def find_ids(self, tenant_id: bytes, external_ids: Sequence[str]) -> dict[str, int]:
        """User ids by external id; those of unknown users are absent."""
        ...

    async def delete(self, tenant_id: bytes, user_id: int) -> bool:
        """Remove the user with her present consent. What she said stays on record in the events. False: not there."""
        ...


class UserPages(Protocol):
    """A tenant's users one after the other, for exports and lists."""

    async def page(self, tenant_id: bytes, after_user_id: int, limit: int) -> list[UserRow]:
        """The next users by rising user id, at most `limit`; an empty list is the end. Begin after 0."""
        ...


class PreferenceStore(Protocol):
    """What a user chose for herself."""

    async def set_preferences(
        self, tenant_id: bytes, external_id: str, preferences: dict[str, int], quiet_hours: QuietHours | None
    ) -> bool:
        """Replace both; the version moves. False: there is no such user."""
        ...


class Placed(msgspec.Struct, frozen=True):
    """A device that was put: whether its user did not have it, and whose cards changed by it (external ids)."""

    is_new: bool
    last_seen_ms: int
    changed: list[str]


class DeviceStore(Protocol):
    """Devices, each by itself. A token belongs to one user of a tenant at a time."""

    async def put(self, tenant_id: bytes, row: DeviceRow) -> Placed | None:
        """Add a device, take it over from another user, or note that it was seen; None: there is no such user."""
        ...

    async def read(self, tenant_id: bytes, user_id: int) -> list[DeviceRow]:
        """A user's devices, the one seen last first."""
        ...

    async def owners(self, tenant_id: bytes, token_hmacs: Sequence[bytes]) -> list[str]:
        """Whose these devices are now, by external id."""
        ...

    async def drop(self, tenant_id: bytes, user_id: int, token_hmac: bytes) -> bool:
        """Remove one device. False: this user does not have it."""
        ...

    async def drop_dead(self, tenant_id: bytes, since_ms: Mapping[bytes, int]) -> list[str]:
        """Remove devices (by `token_hmac`) whose tokens died, but those that their app registered later than that.

        `since_ms`: when each died (UTC). Gives the users who had one that is gone, by external id.
        """
        ...

    async def drop_stale(self, days: int, limit: int) -> list[tuple[bytes, str]]:
        """Remove up to `limit` devices that were not seen for so many days; whose they were (tenant, external id).

        What was remembered for so long of dead tokens goes too.
        """
        ...


class AudienceReader(Protocol):
    """Who is in a segment, for whoever sends to one."""

    async def resolve(self, tenant_id: bytes, segment: str) -> ResolvedSegment:
        """The tenant's segment of this name as it is now. Raises NotFound."""
        ...

    async def page(
        self, tenant_id: bytes, segment: ResolvedSegment, after_user_id: int, limit: int
    ) -> list[Member]:
        """The next members by rising `user_id`, at most `limit`; an empty list is the end. Begin after 0.

        A shorter list is not the end. Users are judged as they are when their page is read: who comes or changes
        between two pages may be in or out, and nobody comes twice.
        """
        ...


class SubjectKeys(Protocol):
    """The users' wrapped data keys, in a database of their own."""

    async def fetch(self, user_ids: Sequence[int]) -> dict[int, bytes]:
        """Wrapped keys by user; users without one are absent."""
        ...

    async def add(self, wrapped: Mapping[int, bytes]) -> set[int]:
        """Keep keys durably; the users whose key it became. The others have one already, which stays."""
        ...

    async def destroy(self, user_ids: Sequence[int]) -> None:
        """Remove keys: what they sealed can never be read again. Unknown users are ignored."""
        ...


class Sealer(Protocol):
    """The cipher. Pure but for chance; what was sealed in one context opens in no other."""

    def new_key(self) -> bytes:
        """A fresh data key."""
        ...

    def wrap(self, user_id: int, key: bytes) -> bytes:
        """A data key as it may be stored, sealed under the master key for this user."""
        ...

    def unwrap(self, user_id: int, wrapped: bytes) -> bytes:
        """Inverse of `wrap`. Raises Permanent: another user's, another master key, or damaged."""
        ...

    def seal(self, key: bytes, clear: bytes, context: bytes) -> bytes:
        """`clear` under a data key, bound to `context`."""
        ...

    def unseal(self, key: bytes, sealed: bytes, context: bytes) -> bytes:
        """Inverse of `seal`. Raises Permanent: another key or context, or damaged."""
        ...

    def blind(self, tenant_id: bytes, value: bytes) -> bytes:
        """16 bytes, the same for the same value of the same tenant, that say nothing to whoever lacks the key."""
        ...
