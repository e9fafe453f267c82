"""What segments need from the outside: users who can be asked for, and where definitions and members are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from clarion.audience.model import Member, SealedProfile
from clarion.audience.ports import Sealer
from clarion.audience.seals import SealedOf
from clarion.audience.segments.conditions import Bounds, Condition
from clarion.audience.segments.model import Segment, SnapshotJob
from clarion.kernel.clock import Clock


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A user who may be in a segment; with `is_sure` she is. `features` is JSON; `reachable` a mask of channels."""

    user_id: int
    external_id: str
    timezone: str
    language: str
    country: str
    region: str
    preferred_channel: str
    reachable: int
    created_ms: int
    sealed: bytes
    features: bytes
    is_sure: bool


class Tally(msgspec.Struct, frozen=True, gc=False):
    """What a user did: how often, first and last (UTC ms)."""

    user_id: int
    event: str
    count: int
    first_ms: int
    last_ms: int


class Population(Protocol):
    """The users of a region. Everything is asked of one tenant's users, and of no other's. All raise Transient."""

    async def count(self, tenant_id: bytes, condition: Condition) -> int:
        """How many meet the condition."""
        ...

    async def members(
        self, tenant_id: bytes, condition: Condition, after_user_id: int, limit: int
    ) -> list[Member]:
        """The next who meet the condition, by rising user id."""
        ...

    async def candidates(
        self, tenant_id: bytes, bounds: Bounds, after_user_id: int, limit: int
    ) -> list[Candidate]:
        """The next who meet the upper bound, by rising user id; those who meet the lower one are sure."""
        ...

    async def candidates_among(
        self, tenant_id: bytes, bounds: Bounds, user_ids: Sequence[int]
    ) -> list[Candidate]:
        """Those of these users who meet the upper bound; those who meet the lower one are sure."""
        ...

    async def tallies(self, tenant_id: bytes, user_ids: Sequence[int], events: Sequence[str]) -> list[Tally]:
        """What these users did of these; nothing where they never did."""
        ...

    async def recent(
        self, tenant_id: bytes, user_ids: Sequence[int], event: str, since_ms: int
    ) -> dict[int, int]:
        """How often these users did something since an instant (UTC ms); absent: not once."""
        ...


class Opener(Protocol):
    """Opens sealed profiles (`audience.seals.Seals`)."""

    async def open_profiles(self, requests: Sequence[SealedOf]) -> list[SealedProfile | None]:
        """The clear profiles, in order; None where a user or her key is gone."""
        ...


class ContextSource(Protocol):
    """What users are doing right now."""

    async def read(self, user_ids: Sequence[int]) -> list[dict[str, Any]]:
        """A context per user, in order; empty where there is none."""
        ...


class SegmentStore(Protocol):
    """The segments of a region's tenants. All raise Transient."""

    async def put(self, tenant_id: bytes, name: str, expression: str, description: str) -> Segment:
        """Make or replace a segment; another expression forgets the count, and moves the version."""
        ...

    async def find(self, tenant_id: bytes, name: str) -> Segment | None:
        """One segment, or None."""
        ...

    async def list(self, tenant_id: bytes, after: str, limit: int) -> list[Segment]:
        """The next segments by name."""
        ...

    async def delete(self, tenant_id: bytes, name: str) -> bool:
        """Remove a segment with its members. False: not there."""
        ...

    async def note_count(self, tenant_id: bytes, segment: Segment, members: int) -> int:
        """Keep a count, unless the expression has changed meanwhile; when it was made (UTC ms)."""
        ...

    async def want(self, tenant_id: bytes, name: str) -> None:
        """Ask the worker to keep the membership anew."""
        ...

    async def page_members(
        self, tenant_id: bytes, segment_id: int, after_user_id: int, limit: int
    ) -> Sequence[Member]:
        """The next members of the last snapshot that are still users, by rising user id."""
        ...


class SnapshotStore(Protocol):
    """The worker's side: which memberships are to be kept, and their rows. All raise Transient."""

    async def take(self, lease_s: float) -> SnapshotJob | None:
        """The next membership to keep, held for `lease_s`; None where there is nothing to do."""
        ...

    async def add(self, job: SnapshotJob, user_ids: Sequence[int]) -> None:
        """Add members. Users who are there already stay."""
        ...

    async def fill(self, job: SnapshotJob, condition: Condition) -> None:
        """Add everybody who meets the condition."""
        ...

    async def report(self, job: SnapshotJob, progress: tuple[int, int], lease_s: float) -> bool:
        """Keep (examined, candidates) and hold the job for longer. False: the segment is gone or was changed."""
        ...

    async def finish(self, job: SnapshotJob) -> bool:
        """Let the new membership take the place of the last one. False: the segment is gone or was changed."""
        ...


class Sources(msgspec.Struct, frozen=True):
    """Where what is known of users comes from."""

    population: Population
    profiles: Opener
    contexts: ContextSource


class SegmentPorts(msgspec.Struct, frozen=True):
    """The outside, as segments use it."""

    store: SegmentStore
    sources: Sources
    sealer: Sealer
    clock: Clock
