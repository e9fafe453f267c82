"""The public HTTP API: one file per resource."""

from __future__ import annotations
