"""What is known of users' behaviour: one definition for serving and for training."""

from __future__ import annotations

from clarion.intelligence.features.decay import decayed
from clarion.intelligence.features.definitions import FEATURES, NAMES, Feature, compute
from clarion.intelligence.features.fold import fold
from clarion.intelligence.features.ports import FeatureStore
from clarion.intelligence.features.record import (
    CHANNEL_HALF_LIVES_D,
    LAYOUT,
    PRESENCE_HALF_LIVES_D,
    RECORD,
    RecordArray,
    empty_records,
    pack,
    unpack,
)
from clarion.intelligence.features.signs import SignKind, Signs

__all__ = [
    "CHANNEL_HALF_LIVES_D",
    "FEATURES",
    "LAYOUT",
    "NAMES",
    "PRESENCE_HALF_LIVES_D",
    "RECORD",
    "Feature",
    "FeatureStore",
    "RecordArray",
    "SignKind",
    "Signs",
    "compute",
    "decayed",
    "empty_records",
    "fold",
    "pack",
    "unpack",
]
