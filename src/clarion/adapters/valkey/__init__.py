"""Valkey, Redis or a cluster of either: the work queue, cards, limits, reservations and the embedded event log."""

from __future__ import annotations
