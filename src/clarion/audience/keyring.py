"""The users' data keys: made, fetched by the batch, kept in memory for a minute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from clarion.audience.ports import Sealer, SubjectKeys
from clarion.kernel.errors import Invalid, Permanent

CACHED_KEYS: Final = 100_000
"""About 21 MB: 32 bytes of key, the rest is Python's. A cipher object would take 2.5 KB each and save 1.4 µs a use."""

CACHE_TTL_S: Final = 60.0
"""No process uses a key for longer than this after its destruction."""

NOBODY: Final = 0
"""The user id (users' begin at 2^48) whose key proves that a master key is the right one."""


async def check_master_key(store: SubjectKeys, sealer: Sealer) -> None:
    """Pass where the sealer's master key is the one that the users' keys are wrapped with; the first to ask sets it.

    Raises Invalid otherwise: a start with another key would find every user unreadable.
    """
    await store.add({NOBODY: sealer.wrap(NOBODY, sealer.new_key())})
    wrapped = (await store.fetch([NOBODY]))[NOBODY]
    try:
        sealer.unwrap(NOBODY, wrapped)
    except Permanent as exc:
        detail = "CLARION_MASTER_KEY is not the key that this data was sealed with"
        raise Invalid(detail, "master_key") from exc


class Keyring:
    """Data keys by user. `monotonic`: seconds of a clock that never goes backwards."""

    def __init__(
        self,
        store: SubjectKeys,
        sealer: Sealer,
        monotonic: Callable[[], float],
        *,
        capacity: int = CACHED_KEYS,
        ttl_s: float = CACHE_TTL_S,
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._cache = _TwoGenerations(monotonic, capacity, ttl_s)

    async def create(self, user_ids: Sequence[int]) -> dict[int, bytes]:
        """Keys for users who should have none yet, stored before they come back. Who has one all the same keeps it."""
        keys = {user_id: self._sealer.new_key() for user_id in user_ids}
        added = await self._store.add({u: self._sealer.wrap(u, key) for u, key in keys.items()})
        made = {user_id: key for user_id, key in keys.items() if user_id in added}
        self._cache.put(made)
        return made if len(made) == len(keys) else made | await self.refetch(list(keys.keys() - added))

    async def ensure(self, user_ids: Sequence[int]) -> dict[int, bytes]:
        """The present keys of existing users, for sealing; made where there is none.

        Never from memory: what is sealed with a key that was destroyed meanwhile is lost.
        """
        keys = await self.refetch(user_ids)
        missing = [user_id for user_id in user_ids if user_id not in keys]
        return keys | await self.create(missing) if missing else keys

    async def keys(self, user_ids: Iterable[int]) -> dict[int, bytes]:
        """Keys for opening, from memory and else with one query; users without a readable key are absent."""
        found, missing = self._cache.get(user_ids)
        return found | await self.refetch(missing) if missing else found

    async def refetch(self, user_ids: Sequence[int]) -> dict[int, bytes]:
        """Keys as the store has them now, with one query; users without a readable key are absent."""
        keys: dict[int, bytes] = {}
        for user_id, wrapped in (await self._store.fetch(user_ids)).items():
            try:
                keys[user_id] = self._sealer.unwrap(user_id, wrapped)
            except Permanent:
                continue  # damaged; the master key itself was checked at the start
        self._cache.put(keys)
        return keys

    async def destroy(self, user_ids: Sequence[int]) -> None:
        """End keys: here at once, in other processes within `CACHE_TTL_S`. What they sealed is lost for ever."""
        await self._store.destroy(user_ids)
        self._cache.drop(user_ids)


class _TwoGenerations:
    """A bounded cache that forgets by halves: an entry lives for half of its time to live at least, never longer."""

    def __init__(self, monotonic: Callable[[], float], capacity: int, ttl_s: float) -> None:
        self._monotonic = monotonic
        self._half_capacity = capacity // 2
        self._ttl_s = ttl_s
        self._young: dict[int, bytes] = {}
        self._old: dict[int, bytes] = {}
        self._young_since_s = self._old_since_s = monotonic()

    def get(self, user_ids: Iterable[int]) -> tuple[dict[int, bytes], list[int]]:
        """What is known of these, and whom nothing is known of (each once)."""
        self._turn(0)
        young, old = self._young, self._old
        found: dict[int, bytes] = {}
        missing: dict[int, None] = {}
        for user_id in user_ids:
            key = young.get(user_id) or old.get(user_id)
            if key is None:
                missing[user_id] = None
            else:
                found[user_id] = key
        return found, list(missing)

    def put(self, keys: dict[int, bytes]) -> None:
        """Remember keys, as many as there is room for; the newest word on a user counts."""
        self._turn(len(keys))
        self._young.update(islice(keys.items(), self._half_capacity))

    def drop(self, user_ids: Iterable[int]) -> None:
        """Forget keys."""
        for user_id in user_ids:
            self._young.pop(user_id, None)
            self._old.pop(user_id, None)

    def _turn(self, more: int) -> None:
        now_s = self._monotonic()
        if now_s - self._young_since_s >= self._ttl_s / 2 or len(self._young) + more > self._half_capacity:
            self._old, self._old_since_s = self._young, self._young_since_s
            self._young, self._young_since_s = {}, now_s
        if now_s - self._old_since_s >= self._ttl_s:
            self._old = {}
