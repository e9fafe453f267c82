"""A segment as an audience: resolved once, then read page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import msgspec

from clarion.audience.model import Member, ResolvedSegment
from clarion.audience.segments.compile import Compiled, compile_segment
from clarion.audience.segments.judge import judge_candidates
from clarion.audience.segments.ports import Candidate, SegmentPorts, Sources
from clarion.audience.traits import TraitBlinder
from clarion.kernel.errors import NotFound

JUDGED_AT_ONCE: Final = 500
"""Users opened and judged together: 500 take about 20 ms."""


class SegmentAudience:
    """`audience.ports.AudienceReader`."""

    def __init__(self, ports: SegmentPorts) -> None:
        self._ports = ports

    async def resolve(self, tenant_id: bytes, segment: str) -> ResolvedSegment:
        """The segment as it is now; see `AudienceReader.resolve`."""
        found = await self._ports.store.find(tenant_id, segment)
        if found is None:
            raise NotFound(f"there is no segment {segment!r}")
        return ResolvedSegment(found.name, found.expression, self._ports.clock.now_ms())

    async def page(
        self, tenant_id: bytes, segment: ResolvedSegment, after_user_id: int, limit: int
    ) -> list[Member]:
        """The next members; see `AudienceReader.page`. Looks at as many users as it takes to find one."""
        compiled = compile_segment(
            segment.expression, TraitBlinder(tenant_id, self._ports.sealer).term, segment.as_of_ms
        )
        if compiled.bounds.is_exact:
            return await self._ports.sources.population.members(
                tenant_id, compiled.bounds.upper, after_user_id, limit
            )
        span = Span(after_user_id, limit)
        async for _, members in scan(tenant_id, compiled, segment.as_of_ms, self._ports.sources, span):
            if members:
                return members
        return []

    async def members_among(self, tenant_id: bytes, segment: str, user_ids: Sequence[int]) -> frozenset[int]:
        """Those of these users who are in the tenant's segment of this name now. Raises NotFound, Transient."""
        found = await self.resolve(tenant_id, segment)
        compiled = compile_segment(
            found.expression, TraitBlinder(tenant_id, self._ports.sealer).term, found.as_of_ms
        )
        sources = self._ports.sources
        members: set[int] = set()
        for start in range(0, len(user_ids), JUDGED_AT_ONCE):
            portion = await sources.population.candidates_among(
                tenant_id, compiled.bounds, user_ids[start : start + JUDGED_AT_ONCE]
            )
            judged = await judge_candidates(tenant_id, portion, compiled, found.as_of_ms, sources)
            members |= {one.user_id for one in judged}
        return frozenset(members)


class Span(msgspec.Struct, frozen=True):
    """Where a scan begins, and how many users it looks at together at most."""

    after_user_id: int = 0
    size: int = JUDGED_AT_ONCE


async def scan(
    tenant_id: bytes, compiled: Compiled, now_ms: int, sources: Sources, span: Span
) -> AsyncGenerator[tuple[list[Candidate], list[Member]]]:
    """Everybody who may be in a segment, portion by portion by rising user id: who was looked at, and who is in."""
    after_user_id = span.after_user_id
    while True:
        portion = await sources.population.candidates(
            tenant_id, compiled.bounds, after_user_id, min(span.size, JUDGED_AT_ONCE)
        )
        if not portion:
            return
        after_user_id = portion[-1].user_id
        found = await judge_candidates(tenant_id, portion, compiled, now_ms, sources)
        yield portion, [Member(one.user_id, one.external_id, one.timezone) for one in found]
