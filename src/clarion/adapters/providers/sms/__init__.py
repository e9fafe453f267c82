"""What all vendors of text messages have in common: settings, addresses, lengths, and how webhooks are read."""

from __future__ import annotations
