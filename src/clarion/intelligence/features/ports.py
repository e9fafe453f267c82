"""Where records are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from clarion.intelligence.features.record import RecordArray
from clarion.intelligence.features.zones import Home


class FeatureStore(Protocol):
    """Packed records, one key a user. A cache with a memory: what is lost is rebuilt from history."""

    async def read(self, user_ids: Sequence[int]) -> RecordArray:
        """A record per user, in order; an empty one where there is none, or none that can be read. Raises Transient."""
        ...

    async def write(self, records: RecordArray) -> list[bool]:
        """Keep each record whose `sequence` is one more than that of the kept one; whether it was, in order.

        Where none is kept, any is: the store lost it, and it was restored. None of a user who was just dropped.
        A refused one was overtaken: read it again and fold again. Raises Transient; some may then have been kept, and
        events folded again are known by their ids.
        """
        ...

    async def drop(self, user_ids: Sequence[int]) -> None:
        """Forget these users. Raises Transient."""
        ...


class Homes(Protocol):
    """Where users are at home."""

    async def find(self, user_ids: Sequence[int]) -> dict[int, Home]:
        """Those of them who are there. Raises Transient."""
        ...


@dataclass(frozen=True, slots=True)
class Portrait:
    """What is said of a user in her profile, as JSON texts.

    The features, how engaged she is by channel, her best times by channel, and what segments her conduct puts her in.
    """

    ml_features: bytes
    engagement_scores: bytes
    optimal_send_times: bytes
    segment_memberships: bytes


class Painter(Protocol):
    """Says in words and numbers what records mean, by the models that serve now."""

    async def paint(self, tenant_id: bytes, records: RecordArray, now_ms: int) -> list[Portrait]:
        """A portrait of each record, in order. Raises Transient."""
        ...


class FeatureArchive(Protocol):
    """Records that outlive the store, a minute behind it (minutes under load), and what profiles say of them."""

    async def read(self, user_ids: Sequence[int]) -> RecordArray:
        """A record per user, in order; an empty one where there is none, or none that can be read. Raises Transient."""
        ...

    async def keep(self, tenant_id: bytes, records: RecordArray, portraits: Sequence[Portrait]) -> None:
        """Keep records of a tenant's users, and their portraits in their profiles; nothing of users who are gone.

        What profiles say of themselves stays as new as it was: no card has to be made anew. Raises Transient.
        """
        ...

    async def unpainted(self, before_ms: int, most: int) -> dict[bytes, list[int]]:
        """Some users, by tenant, who were last painted before an instant: what is said of them grows old."""
        ...
