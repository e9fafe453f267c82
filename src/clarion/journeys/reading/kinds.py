"""Kinds of steps, by any of their names, and what reads each."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Final, TypeAlias

from clarion.journeys.findings import show
from clarion.journeys.graph import Spec
from clarion.journeys.reading.delays import is_delay_text
from clarion.journeys.reading.effects import read_fetch, read_profile, read_start, read_webhook
from clarion.journeys.reading.fields import Fields
from clarion.journeys.reading.messages import ABSENT_CHANNELS, CHANNEL_WORDS, read_notification
from clarion.journeys.reading.rules import EVENT
from clarion.journeys.reading.steps import (
    CASES,
    read_branch,
    read_delay_step,
    read_digest,
    read_exit,
    read_goal,
    read_goto,
    read_split,
    read_throttle,
    read_wait,
)
from clarion.journeys.reading.ways import Setting

Reader: TypeAlias = Callable[[Fields, Setting], "Spec | None"]

READERS: Final[dict[str, Reader]] = {
    "notification": read_notification,
    "delay": read_delay_step,
    "wait": read_wait,
    "branch": read_branch,
    "split": read_split,
    "digest": read_digest,
    "throttle": read_throttle,
    "fetch": read_fetch,
    "update_profile": read_profile,
    "webhook": read_webhook,
    "start_journey": read_start,
    "goal": read_goal,
    "exit": read_exit,
    "goto": read_goto,
}

KINDS: Final[dict[str, str]] = {
    **{kind: kind for kind in READERS},
    **dict.fromkeys(
        ("message", "send", "notify", "send_notification", "send_message", "alert"), "notification"
    ),
    **dict.fromkeys(("sleep", "pause", "timer", "wait_for_time", "wait_until", "time_delay"), "delay"),
    **dict.fromkeys(("wait_for_event", "wait_event", "await", "event_wait", "wait_for"), "wait"),
    **dict.fromkeys(
        ("condition", "if", "decision", "conditional", "switch", "if_else", "choice", "gateway"), "branch"
    ),
    **dict.fromkeys(
        ("ab_test", "a/b", "abtest", "experiment", "random_split", "ab_split", "random", "test"), "split"
    ),
    **dict.fromkeys(("batch", "collect", "aggregate"), "digest"),
    **dict.fromkeys(("rate_limit", "limit"), "throttle"),
    **dict.fromkeys(
        ("http", "api_call", "http_request", "http_fetch", "api", "request", "lookup", "enrich"), "fetch"
    ),
    **dict.fromkeys(
        ("profile_update", "set_attribute", "set_attributes", "update_user", "update_attributes", "set"),
        "update_profile",
    ),
    **dict.fromkeys(("call_webhook", "webhook_call", "hook"), "webhook"),
    **dict.fromkeys(("trigger_journey", "enter_journey", "subflow", "journey", "start"), "start_journey"),
    **dict.fromkeys(("conversion", "milestone", "reach_goal"), "goal"),
    **dict.fromkeys(("end", "stop", "finish", "terminate", "complete"), "exit"),
    **dict.fromkeys(("jump", "go_to", "loop", "link"), "goto"),
}
KIND_FIELDS: Final = ("type", "kind", "action", "step_type")

_GUESSES: Final = (
    ("notification", ("template", "template_id")),
    ("split", ("arms", "variants")),
    ("digest", ("collect",)),
    ("branch", CASES),
    ("webhook", ("webhook",)),
    ("start_journey", ("start_journey",)),
    ("wait", (*EVENT, "wait_for")),
    ("wait", ("wait",)),
    ("delay", ("delay", "duration", "until")),
    ("goal", ("goal",)),
    ("goto", ("goto",)),
)
"""What a step without a kind is, by what it has."""


def find_kind(fields: Fields) -> tuple[str, tuple[str, ...]]:
    """A step's kind, and the channels that it names (`type: email`). ("", ()), with an error, where it is none."""
    found = fields.take(*KIND_FIELDS)
    if found is None:
        kind = next((kind for kind, names in _GUESSES if fields.has(*names)), "")
        if not kind:
            fields.report.error(fields.path, f"it does not say what to do: add type ({', '.join(READERS)})")
        return kind, ()
    word = (
        found.value.strip().lower().replace("-", "_").replace(" ", "_")
        if isinstance(found.value, str)
        else ""
    )
    if word in KINDS:
        return KINDS[word], ()
    if word in CHANNEL_WORDS:
        return "notification", (word,)
    if word.removeprefix("send_") in CHANNEL_WORDS:
        return "notification", (word.removeprefix("send_"),)
    if word in ABSENT_CHANNELS:
        return "absent", (word,)
    close = get_close_matches(word[:100], [*KINDS, *CHANNEL_WORDS], 1, 0.6)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(READERS)}"
    fields.report.error(found.path, f"there is no step of type {show(found.value)}: {hint}")
    return "", ()


def is_delay(kind: str, fields: Fields) -> bool:
    """Whether `delay` is what the step is, and not what comes before it."""
    if kind in {"delay", "absent"}:
        return True
    if kind != "wait":
        return False
    named = fields.peek("for", "wait_for", "wait", "until")
    is_event = fields.has(*EVENT) or (named is not None and not is_delay_text(named.value))
    return not is_event or not fields.has("delay")
