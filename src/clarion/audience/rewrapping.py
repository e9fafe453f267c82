"""Users' data keys wrapped anew, by the batch, after the master key was changed. No profile is touched."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Final, Protocol

PAGE: Final = 1000
"""Keys that are read and written together: 8 ms of cipher, during which others wait for this process only."""


class StaleKeys(Protocol):
    """Users' wrapped keys, those first that another master key wrapped."""

    async def page_stale(self, number: bytes, after: int, limit: int) -> dict[int, bytes]:
        """The next keys by rising user id that do not begin with `number`; none is the end. Begin after -1."""
        ...

    async def replace(self, old: Mapping[int, bytes], wrapped: Mapping[int, bytes]) -> None:
        """Keep these keys wrapped in another way; one that is not kept as in `old` any more stays as it is."""
        ...


class Rewrapper(Protocol):
    """What knows the master key, and the one before it."""

    @property
    def number(self) -> bytes:
        """What begins everything that the present master key wrapped."""
        ...

    def rewrap(self, user_id: int, wrapped: bytes) -> bytes:
        """A data key under the present master key. Raises Permanent: neither key wrapped it, or it is damaged."""
        ...


async def rewrap_users(keys: StaleKeys, sealer: Rewrapper) -> AsyncGenerator[int]:
    """Wrap all users' keys with the present master key; yields how many were, page by page.

    Stopped anywhere it is gone on with by another run: what is done is not found again. Raises as `rewrap`.
    """
    after = -1
    while stale := await keys.page_stale(sealer.number, after, PAGE):
        after = max(stale)
        await keys.replace(stale, {user_id: sealer.rewrap(user_id, key) for user_id, key in stale.items()})
        yield len(stale)
