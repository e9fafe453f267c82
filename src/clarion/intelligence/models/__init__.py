"""The formulas of the models, and their parameters: what serving and training must both know."""

from __future__ import annotations

from clarion.intelligence.models.model import (
    DEFAULTS,
    ChannelParameters,
    ChurnParameters,
    EngagementParameters,
    FatigueParameters,
    SendTimeParameters,
    TenantModel,
    decode_model,
    encode_model,
)

__all__ = [
    "DEFAULTS",
    "ChannelParameters",
    "ChurnParameters",
    "EngagementParameters",
    "FatigueParameters",
    "SendTimeParameters",
    "TenantModel",
    "decode_model",
    "encode_model",
]
