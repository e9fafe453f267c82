"""Rehearsals: the very engine of journeys, on a clock of its own, with users and events as somebody says them."""

from __future__ import annotations

from clarion.journeys.rehearsal.clock import Rehearsal, rehearse
from clarion.journeys.rehearsal.figures import Result
from clarion.journeys.rehearsal.world import Habit, Happening, Odds, Person, Scenario

__all__ = ["Habit", "Happening", "Odds", "Person", "Rehearsal", "Result", "Scenario", "rehearse"]
