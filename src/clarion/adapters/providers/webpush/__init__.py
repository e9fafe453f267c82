"""Web Push: RFC 8030 (the protocol), 8188 and 8291 (encryption), 8292 (VAPID)."""

from __future__ import annotations

from clarion.adapters.providers.webpush.provider import WebPushProvider, build_webpush
from clarion.adapters.providers.webpush.receipts import read_webpush

__all__ = ["WebPushProvider", "build_webpush", "read_webpush"]
