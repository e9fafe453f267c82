"""Segments by conduct: by rule, bounds of named features in words that people use; and by kind, clusters of a tenant.

A rule means the same at every tenant. A cluster is found in a tenant's own users (`training.fit_clusters`), of shares
and scores that say how somebody acts and not how much: eight numbers between 0 and 1, or nearly.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from clarion.compliance.quiet_hours import BoolArray
from clarion.intelligence.features import NAMES, RecordArray, compute
from clarion.intelligence.features.decay import FloatArray
from clarion.intelligence.features.definitions import NEVER_DAYS
from clarion.intelligence.models.model import ClusterParameters, TenantModel
from clarion.kernel.local_time import IntArray

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


MEASURES: Final = (
    ("engagement_score", "engaged", "not engaged"),
    ("answer_rate", "answering", "not answering"),
    ("weekend_share", "at weekends", "on working days"),
    ("night_share", "at night", "never at night"),
    ("hour_concentration", "at fixed hours", "at any hour"),
    ("channel_preference_score", "on one channel", "on many channels"),
    ("presence_trend", "coming more often", "coming less often"),
    ("active_hours_30d", "often here", "seldom here"),
)
"""What clusters are made of: a feature, and what people are called of whom it is high, and low."""

_PLACES: Final = [NAMES.index(name) for name, _, _ in MEASURES]
_AMOUNT: Final = [name for name, _, _ in MEASURES].index("active_hours_30d")


def measures(features: FloatArray) -> FloatArray:
    """What clusters are made of, [B, MEASURES], of all features [B, 48]; amounts by their logarithm."""
    chosen = features[:, _PLACES]
    chosen[:, _AMOUNT] = np.log1p(chosen[:, _AMOUNT])
    return chosen


def standardised(measured: FloatArray, parameters: ClusterParameters) -> FloatArray:
    """Measures as clusters compare them."""
    middle, scale = np.array(parameters.middle, np.float32), np.array(parameters.scale, np.float32)
    return np.asarray((measured - middle) / scale, np.float32)


def nearest(points: FloatArray, centres: FloatArray) -> IntArray:
    """By point [B, M], the place of the nearest of centres [K, M]."""
    apart = ((points[:, None, :] - centres[None]) ** 2).sum(axis=2)
    return apart.argmin(axis=1)


def segments_of(records: RecordArray, model: TenantModel, now_ms: int) -> list[list[str]]:
    """The names of each user's segments as of `now_ms` (UTC ms): those of `SEGMENTS`, in order, then her cluster's.

    Nobody of whom nothing is known is in a cluster.
    """
    features = compute(records, now_ms)
    member: list[list[bool]] = np.stack([_holds(segment, features) for segment in SEGMENTS], axis=1).tolist()
    by_rule = [
        [segment.name for segment, holds in zip(SEGMENTS, row, strict=True) if holds] for row in member
    ]
    clusters = model.clusters.clusters
    if not clusters:
        return by_rule
    centres = np.array([cluster.centre for cluster in clusters], np.float32)
    kind: list[int] = nearest(standardised(measures(features), model.clusters), centres).tolist()
    known: list[bool] = is_known(features).tolist()
    return [
        [*names, clusters[place].name] if is_one else names
        for names, place, is_one in zip(by_rule, kind, known, strict=True)
    ]


def is_known(features: FloatArray) -> BoolArray:
    """Of whom there was a sign, [B], by all features [B, 48]."""
    return np.asarray(features[:, NAMES.index("days_since_last_engagement")] < NEVER_DAYS, np.bool_)


def _holds(segment: Segment, features: FloatArray) -> BoolArray:
    """Of whom all bounds of a segment hold, [B]."""
    inside = np.ones(len(features), np.bool_)
    for bound in segment.bounds:
        value = features[:, NAMES.index(bound.feature)]
        inside &= (value >= bound.low) & (value < bound.high)
    return inside
