"""Calls to addresses that a tenant chose."""

from __future__ import annotations

from clarion.adapters.egress.guarded import GuardedFetcher, read_networks

__all__ = ["GuardedFetcher", "read_networks"]
