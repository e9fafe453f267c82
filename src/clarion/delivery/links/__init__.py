"""Links that a message carries home: clicks, opens, unsubscribing, preferences."""

from __future__ import annotations
