"""The stores of `adapters.valkey` in memory, for tests of what stands on them. One conformance suite binds both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from clarion.adapters.valkey.cards import GUARD_MS
from clarion.adapters.valkey.context import MAX_BYTES, MAX_FIELDS, encode_fields
from clarion.audience.model import Card
from clarion.delivery.ports import CapRequest
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Invalid
from clarion.tenancy.quotas import GiveBack, LocalBuckets, Take, Verdict


class InMemoryCards:
    """`orchestration.ports.CardCache`. Cards stay until they are dropped."""

    def __init__(self, clock: Clock, guard_ms: int = GUARD_MS) -> None:
        self._clock = clock
        self._guard_ms = guard_ms
        self._cards: dict[tuple[bytes, str], Card] = {}
        self._kept_out_until: dict[tuple[bytes, str], float] = {}

    async def read(self, tenant_id: bytes, external_ids: Sequence[str]) -> list[Card | None]:
        """A card per id, in order; None is a miss."""
        return [self._cards.get((tenant_id, external_id)) for external_id in external_ids]

    async def put(self, tenant_id: bytes, cards: Sequence[Card]) -> None:
        """Keep the cards that are newer than what is there."""
        now = self._clock.monotonic()
        for card in cards:
            key = (tenant_id, card.external_id)
            there = self._cards.get(key)
            is_newer = there is None or there.version < card.version
            if is_newer and now >= self._kept_out_until.get(key, now):
                self._cards[key] = card

    async def drop(self, tenant_id: bytes, external_ids: Sequence[str]) -> None:
        """Forget the cards, and keep none of theirs for a while."""
        until = self._clock.monotonic() + self._guard_ms / 1000
        for external_id in external_ids:
            self._cards.pop((tenant_id, external_id), None)
            self._kept_out_until[tenant_id, external_id] = until


class InMemoryContexts:
    """`orchestration.ports.ContextStore`. Contexts stay until they are dropped."""

    def __init__(self) -> None:
        self._contexts: dict[int, dict[bytes, bytes]] = {}

    async def merge(self, user_id: int, context: Mapping[str, Any]) -> None:
        """Set and remove fields, or raise Invalid."""
        merged = {**self._contexts.get(user_id, {}), **encode_fields(context)}
        kept = {name: value for name, value in merged.items() if value is not None}
        if len(kept) > MAX_FIELDS or sum(len(name) + len(value) for name, value in kept.items()) > MAX_BYTES:
            detail = f"a user's context holds at most {MAX_FIELDS} fields and {MAX_BYTES} bytes"
            raise Invalid(detail, "context")
        self._contexts[user_id] = kept

    async def read(self, user_ids: Sequence[int]) -> list[dict[str, Any]]:
        """The context of each user, in order."""
        found = [self._contexts.get(user_id, {}) for user_id in user_ids]
        return [{name.decode(): msgspec.json.decode(value) for name, value in one.items()} for one in found]

    async def drop(self, user_ids: Sequence[int]) -> None:
        """Forget all about these users."""
        for user_id in user_ids:
            self._contexts.pop(user_id, None)


class InMemoryRateLimiter:
    """`orchestration.ports.RateLimiter`, by the clock that it is given."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets = LocalBuckets()

    async def take(self, takes: Sequence[Take]) -> list[Verdict]:
        """A verdict per take, in order."""
        return self._buckets.take(takes, self._clock.monotonic())

    async def give_back(self, places: Sequence[GiveBack]) -> None:
        """Free places of the day again."""
        self._buckets.give_back(places)


class InMemoryReservations:
    """`delivery.ports.Reservations`. Places stay until they are released."""

    def __init__(self) -> None:
        self._places: defaultdict[tuple[int, str, int], set[bytes]] = defaultdict(set)

    async def reserve(self, requests: Sequence[CapRequest]) -> list[bool]:
        """Whether each request has a place now."""
        return [self._reserve_one(request) for request in requests]

    async def release(self, requests: Sequence[CapRequest]) -> None:
        """Give places back."""
        for request in requests:
            self._of(request).discard(request.delivery_id)

    async def used(self, requests: Sequence[CapRequest]) -> list[int]:
        """Places taken of each request's (user, scope, day)."""
        return [len(self._of(request)) for request in requests]

    def _reserve_one(self, request: CapRequest) -> bool:
        places = self._of(request)
        if request.delivery_id in places:
            return True
        if len(places) >= request.limit:
            return False
        places.add(request.delivery_id)
        return True

    def _of(self, request: CapRequest) -> set[bytes]:
        return self._places[request.user_id, request.scope, request.day]
