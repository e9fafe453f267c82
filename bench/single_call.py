"""`single_call`: see `bench.vendors`."""

from __future__ import annotations

from bench.vendors import run_single_call as run

__all__ = ["run"]
