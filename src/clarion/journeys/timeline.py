"""The words of a run's timeline, and what each means to a reader."""

from __future__ import annotations

from typing import Final

KEPT: Final = 200
"""Entries that a run keeps; of a longer one the oldest go first, and are counted."""

WORDS: Final = {
    "entered": "the run began",
    "arrived": "came to the step",
    "delayed": "waits before the step",
    "skipped": "the step's condition did not hold",
    "unset": "a name in a condition is not set: it counts as false",
    "error": "a condition could not be evaluated, or an effect failed",
    "asked": "its effect was asked for",
    "retry": "the effect is tried again later",
    "told": "why the step's message was not sent, or not as asked",
    "done": "the step ended",
    "failed": "the step was given up",
    "waiting": "waits",
    "event": "an event that the step waited for",
    "timeout": "what was waited for did not come in time",
    "chose": "which way it took",
    "collected": "an event went into the digest",
    "next_channel": "went on to the next channel",
    "held": "messages of this run for today are used up",
    "goal": "a goal was reached",
    "put_off": "something could not be read: looked at again soon",
    "migrated": "moved to another version",
    "completed": "the run came to its end",
    "exited": "the run was left",
    "stopped": "the run was stopped",
    "broken": "the run cannot go on",
}
