"""What the audience needs from the outside: the users' rows, their keys, and the cipher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from clarion.audience.model import Card, Member, ResolvedSegment
from clarion.tenancy.model import QuietHours


class UserRow(msgspec.Struct, frozen=True, gc=False):
    """A user as stored. What is personal is in `sealed`; `email_hmac` and `phone_hmac` only find it (b"": none).

    `fingerprint` is a keyed hash of all that the tenant wrote. `reachable` and `preferences` are channel masks.
    `traits`: the terms of the blind index (`audience.traits`); written, never read back.
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
    preferences: dict[str, int]
    quiet_hours: QuietHours | None
    version: int = 0
    traits: Sequence[bytes] = ()


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
