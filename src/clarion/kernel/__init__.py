"""Words that mean the same everywhere: ids, clocks, errors."""

from __future__ import annotations
