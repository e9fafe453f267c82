"""Users, their devices and preferences."""

from __future__ import annotations
