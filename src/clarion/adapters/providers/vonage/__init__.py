"""Text messages through Vonage. What Vonage does that one would not expect is in README.md beside this file."""

from __future__ import annotations

from clarion.adapters.providers.vonage.build import build_vonage
from clarion.adapters.providers.vonage.provider import VonageProvider
from clarion.adapters.providers.vonage.receipts import read_vonage

__all__ = ["VonageProvider", "build_vonage", "read_vonage"]
