"""Segments: a name for whoever meets a condition now, written in CEL."""

from __future__ import annotations

from clarion.audience.segments.audience import SegmentAudience
from clarion.audience.segments.compile import Compiled, compile_segment
from clarion.audience.segments.count import refresh_count
from clarion.audience.segments.define import SegmentDefinition, define_segment
from clarion.audience.segments.model import Preview, Segment, SnapshotJob
from clarion.audience.segments.ports import SegmentPorts, Sources
from clarion.audience.segments.preview import preview_segment
from clarion.audience.segments.snapshot import keep_membership

__all__ = [
    "Compiled",
    "Preview",
    "Segment",
    "SegmentAudience",
    "SegmentDefinition",
    "SegmentPorts",
    "SnapshotJob",
    "Sources",
    "compile_segment",
    "define_segment",
    "keep_membership",
    "preview_segment",
    "refresh_count",
]
