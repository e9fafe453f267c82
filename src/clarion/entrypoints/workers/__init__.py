"""The process roles: one file per role."""

from __future__ import annotations
