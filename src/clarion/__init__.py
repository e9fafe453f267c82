"""Clarion decides who is told what, on which channel, when and through which provider, sends it, and can prove why."""

from __future__ import annotations
