"""Journeys: conversations of many steps that survive anything, and can be rehearsed."""

from __future__ import annotations
