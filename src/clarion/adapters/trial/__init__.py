"""Trial renderings in a child process with limits on memory, processor time and real time."""

from __future__ import annotations

from clarion.adapters.trial.renderer import ChildTrialRenderer

__all__ = ["ChildTrialRenderer"]
