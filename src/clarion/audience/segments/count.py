"""How many are in a segment: asked of the store where it can tell, else left to the worker."""

from __future__ import annotations

import contextlib
from typing import Final

from msgspec.structs import replace

from clarion.audience.segments.compile import compile_segment
from clarion.audience.segments.model import Segment
from clarion.audience.segments.ports import SegmentPorts
from clarion.audience.traits import TraitBlinder
from clarion.kernel.errors import Transient

FRESH_MS: Final = 5_000
"""A count of this age is given again; the store is not asked more often, whoever asks."""

JUDGED_FRESH_MS: Final = 300_000
"""The same where each user has to be judged: a million take a minute."""


async def refresh_count(tenant_id: bytes, segment: Segment, ports: SegmentPorts) -> Segment:
    """The segment with a count as of now, or with the last one, while the worker makes another. Raises Transient.

    The worker also counts what the store is too slow for.
    """
    now_ms = ports.clock.now_ms()
    compiled = compile_segment(segment.expression, TraitBlinder(tenant_id, ports.sealer).term, now_ms)
    is_exact = compiled.bounds.is_exact
    fresh_ms = FRESH_MS if is_exact else JUDGED_FRESH_MS
    if segment.members is not None and now_ms - segment.counted_ms < fresh_ms:
        return segment
    if is_exact:
        with contextlib.suppress(Transient):
            members = await ports.sources.population.count(tenant_id, compiled.bounds.upper)
            counted_ms = await ports.store.note_count(tenant_id, segment, members)
            return replace(segment, members=members, counted_ms=counted_ms)
    if not segment.wanted_ms:
        await ports.store.want(tenant_id, segment.name)
    return segment
