"""Where records are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from clarion.intelligence.features.record import RecordArray


class FeatureStore(Protocol):
    """Packed records, one key a user. A cache with a memory: what is lost is rebuilt from history."""

    async def read(self, user_ids: Sequence[int]) -> RecordArray:
        """A record per user, in order; an empty one where there is none, or none that can be read. Raises Transient."""
        ...

    async def write(self, records: RecordArray) -> list[bool]:
        """Keep each record whose `sequence` is one more than that of the kept one; whether it was, in order.

        A refused one was overtaken: read it again and fold again. Raises Transient; some may then have been kept, and
        events folded again are known by their ids.
        """
        ...

    async def drop(self, user_ids: Sequence[int]) -> None:
        """Forget these users. Raises Transient."""
        ...
