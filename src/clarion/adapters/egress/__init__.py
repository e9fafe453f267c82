"""Calls to addresses that a tenant chose."""

from __future__ import annotations

from clarion.adapters.egress.guarded import EgressGuard, GuardedFetcher, read_networks

__all__ = ["EgressGuard", "GuardedFetcher", "read_networks"]
