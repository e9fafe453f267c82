"""Firebase Cloud Messaging, HTTP v1."""

from __future__ import annotations

from clarion.adapters.providers.fcm.provider import FcmProvider, build_fcm

__all__ = ["FcmProvider", "build_fcm"]
