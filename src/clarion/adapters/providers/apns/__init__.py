"""Apple Push Notification service."""

from __future__ import annotations

from clarion.adapters.providers.apns.provider import ApnsProvider, build_apns

__all__ = ["ApnsProvider", "build_apns"]
