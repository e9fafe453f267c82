"""What crosses a process: commands, events, topics, work items. Versioned, additive only."""

from __future__ import annotations
