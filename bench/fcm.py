"""`fcm`: see `bench.vendors`."""

from __future__ import annotations

from bench.vendors import run_fcm as run

__all__ = ["run"]
