"""The users' wrapped keys in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class InMemorySubjectKeys:
    """`audience.ports.SubjectKeys`. `kept` may be read: wrapped keys by user."""

    def __init__(self) -> None:
        self.kept: dict[int, bytes] = {}

    async def fetch(self, user_ids: Sequence[int]) -> dict[int, bytes]:
        """Wrapped keys by user; see `SubjectKeys.fetch`."""
        return {user_id: self.kept[user_id] for user_id in user_ids if user_id in self.kept}

    async def add(self, wrapped: Mapping[int, bytes]) -> set[int]:
        """Keep keys; see `SubjectKeys.add`."""
        added = {user_id: key for user_id, key in wrapped.items() if user_id not in self.kept}
        self.kept |= added
        return set(added)

    async def destroy(self, user_ids: Sequence[int]) -> None:
        """Remove keys; see `SubjectKeys.destroy`."""
        for user_id in user_ids:
            self.kept.pop(user_id, None)
