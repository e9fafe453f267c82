"""Asking what an expression means before anything depends on it."""

from __future__ import annotations

from typing import Final

from clarion.audience.model import Member
from clarion.audience.segments.audience import Span, scan
from clarion.audience.segments.compile import Compiled, compile_segment
from clarion.audience.segments.conditions import Condition, FeatureSet, HasTerm
from clarion.audience.segments.model import Preview
from clarion.audience.segments.ports import SegmentPorts, Sources
from clarion.audience.traits import Trait, TraitBlinder

SAMPLE: Final = 5
EXAMINED: Final = 2_000
BUDGET_S: Final = 1.0
PORTION: Final = 200
"""A preview judges so many users and for so long at most, by portions: beyond them it estimates."""


async def preview_segment(tenant_id: bytes, expression: str, ports: SegmentPorts) -> Preview:
    """How many users meet an expression, and a few of them. Raises Invalid on a mistake, Transient."""
    sources, now_ms = ports.sources, ports.clock.now_ms()
    blinder = TraitBlinder(tenant_id, ports.sealer)
    compiled = compile_segment(expression, blinder.term, now_ms)
    unseen = await _unseen(tenant_id, compiled, blinder, sources)
    population, bounds = sources.population, compiled.bounds
    sure = await population.count(tenant_id, bounds.lower)
    if bounds.is_exact:
        sample = await population.members(tenant_id, bounds.lower, 0, SAMPLE)
        return Preview(sure, True, sure, sure, sample, unseen)  # noqa: FBT003  fields in their order
    doubtful = await population.count(tenant_id, bounds.doubtful)
    examined, found, sample = await _judge_some(tenant_id, compiled, ports, now_ms)
    is_exact = examined >= doubtful
    members = sure + (found if is_exact else round(found / max(1, examined) * doubtful))
    return Preview(members, is_exact, sure + examined, sure + doubtful, sample, unseen)


async def _judge_some(
    tenant_id: bytes, compiled: Compiled, ports: SegmentPorts, now_ms: int
) -> tuple[int, int, list[Member]]:
    """How many doubtful users were judged, how many of them are in, and the first members."""
    examined = found = 0
    sample: list[Member] = []
    until_s = ports.clock.monotonic() + BUDGET_S
    async for portion, members in scan(tenant_id, compiled, now_ms, ports.sources, Span(size=PORTION)):
        doubtful = sum(not candidate.is_sure for candidate in portion)
        examined += doubtful
        found += len(members) - (len(portion) - doubtful)
        sample += members[: SAMPLE - len(sample)]
        if examined >= EXAMINED or ports.clock.monotonic() > until_s:
            break
    return examined, found, sample


async def _unseen(tenant_id: bytes, compiled: Compiled, blinder: TraitBlinder, sources: Sources) -> list[str]:
    """The names that no user has: a slip of the pen, more often than not."""
    unseen: list[str] = []
    for ref in sorted(compiled.refs, key=str):
        if ref.root == "bare" or ref.is_attribute:
            # The attribute first, which the index knows at once; the feature only where nobody has it.
            places: list[Condition] = [HasTerm(blinder.term(Trait("has", ref.path)))]
            if ref.root == "bare":
                places.append(FeatureSet(ref.path))
            for place in places:
                if await sources.population.members(tenant_id, place, 0, 1):
                    break
            else:
                unseen.append(str(ref))
    return unseen
