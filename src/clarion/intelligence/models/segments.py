"""Segments by conduct: bounds of named features, in words that people use."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from clarion.compliance.quiet_hours import BoolArray
from clarion.intelligence.features import NAMES, RecordArray, compute
from clarion.intelligence.features.decay import FloatArray
from clarion.intelligence.features.definitions import NEVER_DAYS
from clarion.intelligence.models.model import TenantModel

_ANY: Final = float("inf")


class Bound(NamedTuple):
    """A feature lies in [low, high)."""

    feature: str
    low: float = -_ANY
    high: float = _ANY


class Segment(NamedTuple):
    """A name that is kept in profiles, what it means, and the bounds that all hold of its users."""

    name: str
    meaning: str
    bounds: tuple[Bound, ...]


SEGMENTS: Final = (
    Segment(
        "unknown",
        "no sign of her, and next to nothing was sent",
        (Bound("days_since_last_engagement", low=NEVER_DAYS), Bound("notifications_received_30d", high=0.5)),
    ),
    Segment("new", "first seen less than 14 days ago", (Bound("days_since_first_seen", high=14),)),
    Segment("active", "a sign within 7 days", (Bound("days_since_last_engagement", high=7),)),
    Segment("lapsing", "silent for 7 to 30 days", (Bound("days_since_last_engagement", 7, 30),)),
    Segment(
        "dormant",
        "silent for more than 30 days, and seen before",
        (Bound("days_since_last_engagement", 30, NEVER_DAYS),),
    ),
    Segment("highly_engaged", "an engagement score above 0.7", (Bound("engagement_score", low=0.7),)),
    Segment(
        "unresponsive",
        "ten messages or more of late, and next to none answered",
        (Bound("notifications_received_30d", low=10), Bound("answer_rate", high=0.02)),
    ),
    Segment(
        "night_owl",
        "a third of her presence, and more, between midnight and six",
        (Bound("hours_known", low=10), Bound("night_share", low=1 / 3)),
    ),
    Segment(
        "weekender",
        "half of her presence, and more, on Saturdays and Sundays",
        (Bound("hours_known", low=10), Bound("weekend_share", low=0.5)),
    ),
)
"""Append only: memberships are kept by name."""


def segments_of(records: RecordArray, model: TenantModel, now_ms: int) -> list[list[str]]:
    """The names of each user's segments as of `now_ms` (UTC ms), in the order of `SEGMENTS`."""
    del model
    features = compute(records, now_ms)
    member: list[list[bool]] = np.stack([_holds(segment, features) for segment in SEGMENTS], axis=1).tolist()
    return [[segment.name for segment, holds in zip(SEGMENTS, row, strict=True) if holds] for row in member]


def _holds(segment: Segment, features: FloatArray) -> BoolArray:
    """Of whom all bounds of a segment hold, [B]."""
    inside = np.ones(len(features), np.bool_)
    for bound in segment.bounds:
        value = features[:, NAMES.index(bound.feature)]
        inside &= (value >= bound.low) & (value < bound.high)
    return inside
