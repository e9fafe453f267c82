"""Making a segment."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from clarion.audience.segments.compile import compile_segment
from clarion.audience.segments.model import Segment
from clarion.audience.segments.ports import SegmentPorts
from clarion.audience.traits import TraitBlinder
from clarion.kernel.text import check_storable


class SegmentDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /api/v1/segments/{name}`. `expression` is CEL: see docs/how-to/segments.md."""

    expression: Annotated[str, Meta(max_length=1000)]
    description: Annotated[str, Meta(max_length=500)] = ""


async def define_segment(
    tenant_id: bytes, name: str, definition: SegmentDefinition, ports: SegmentPorts
) -> Segment:
    """Make or replace a segment whose expression is well. Raises Invalid with what is wrong, Transient."""
    term = TraitBlinder(tenant_id, ports.sealer).term
    compile_segment(definition.expression, term, ports.clock.now_ms())
    check_storable(definition.description, "description")
    return await ports.store.put(tenant_id, name, definition.expression, definition.description)
