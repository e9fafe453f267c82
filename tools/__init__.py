"""Programs for those who work on Clarion; nothing here is installed with it."""

from __future__ import annotations
