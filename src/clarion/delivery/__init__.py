"""From the queue to the provider, and back with the outcome."""

from __future__ import annotations
