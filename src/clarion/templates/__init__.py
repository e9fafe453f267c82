"""Templates: catalogue and rendering."""

from __future__ import annotations
