"""Measurements: each as a ratio against something known, in the same run. `python -m bench NAME`, or `all`."""

from __future__ import annotations
