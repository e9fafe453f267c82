"""Records histories of runs into tests/replay: `python -m tools.record_journeys [NAME…]` (none: what is missing).

A history that is there is what some release has stored: it is recorded anew only by name, and only where the engine is
meant to move on differently, which the changelog then says.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from clarion.journeys.model import Done, Due, Ended, Input, Occurred, Reported
from clarion.testing.journey_history import record

FOLDER: Final = Path(__file__).resolve().parent.parent / "tests" / "replay"
BEGAN: Final = 1_793_000_000_000
MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
DUE: Final = (Due(),)

Script = list[tuple[int, Sequence[Input], dict[str, str]]]


def did(number: int, event: str, at_ms: int, **properties: Any) -> tuple[Occurred]:
    """The user did something."""
    return (Occurred(number.to_bytes(16, "big"), event, at_ms, at_ms, properties),)


def done(step: str, result: str = "queued", rung: int = -1, visit: int = 1, **more: Any) -> tuple[Done]:
    """An effect was answered."""
    return (Done(step, visit, rung, result=result, **more),)


def message(ident: str, **more: Any) -> dict[str, Any]:
    """A notification step."""
    return {"id": ident, "type": "notification", "channels": ["email"], "template": ident, **more}


JOURNEYS: Final[dict[str, tuple[dict[str, Any], dict[str, Any], Script]]] = {
    "onboarding": (
        {
            "name": "onboarding",
            "trigger": {"type": "event", "event_name": "signed_up"},
            "steps": [
                message("welcome"),
                {"id": "a_day", "type": "wait", "delay": "24h"},
                {
                    "id": "active",
                    "type": "branch",
                    "conditions": [{"if": "events.project.count > 0", "goto": "won"}, {"else": "nudge"}],
                },
                message("nudge", channels=["push"]),
                {"id": "won", "type": "goal", "name": "onboarded"},
            ],
            "exit_conditions": ["account_closed"],
        },
        {"plan": "free"},
        [
            (BEGAN, DUE, {}),
            (BEGAN + 5, done("welcome"), {}),
            (BEGAN + HOUR, did(1, "project", BEGAN + HOUR, name="first"), {}),
            (BEGAN + DAY + 5, DUE, {}),
        ],
    ),
    "exit_during_a_wait": (
        {
            "name": "exit",
            "steps": [
                message("hello"),
                {"id": "w", "type": "wait", "event": "clicked", "timeout": "7d"},
                message("bye"),
            ],
            "exit_conditions": [{"event": "gone", "match": {"why": "sold"}}],
        },
        {},
        [
            (BEGAN, DUE, {}),
            (BEGAN + 5, done("hello"), {}),
            (BEGAN + HOUR, did(1, "gone", BEGAN + HOUR, why="moved"), {}),
            (BEGAN + 2 * HOUR, did(2, "gone", BEGAN + 2 * HOUR, why="sold"), {}),
        ],
    ),
    "one_time_code": (
        {
            "name": "code",
            "steps": [
                {
                    **message("code", category="security", channels=["push"]),
                    "fallback": [{"channel": "sms", "after": "30s"}, {"channel": "email", "after": "60s"}],
                    "until": "otp_verified",
                }
            ],
        },
        {},
        [
            (BEGAN, DUE, {}),
            (BEGAN + 5, done("code", "blocked"), {}),
            (BEGAN + 9, done("code", rung=0), {}),
            (BEGAN + 20_000, did(1, "otp_verified", BEGAN + 20_000), {}),
        ],
    ),
    "branch_split_digest": (
        {
            "name": "mixed",
            "steps": [
                {
                    "id": "ab",
                    "type": "split",
                    "arms": [
                        {"name": "a", "weight": 1, "goto": "d"},
                        {"name": "b", "weight": 1, "goto": "d"},
                    ],
                },
                {"id": "d", "type": "digest", "event": "comment", "window": "2h"},
                {
                    "id": "check",
                    "type": "branch",
                    "conditions": [
                        {"if": "user.vip && !user.muted", "goto": "tell"},
                        {"else": {"goto": "end"}},
                    ],
                },
                message("tell"),
            ],
        },
        {"vip": True},
        [
            (BEGAN, DUE, {}),
            (BEGAN + MINUTE, did(1, "comment", BEGAN + MINUTE, text="one"), {}),
            (BEGAN + 2 * MINUTE, did(2, "comment", BEGAN + 2 * MINUTE, text="two"), {}),
            (BEGAN + 2 * HOUR, DUE, {}),
            (BEGAN + 2 * HOUR + 5, done("tell"), {}),
        ],
    ),
    "webhook_that_fails": (
        {
            "name": "hooked",
            "steps": [
                {
                    "id": "hook",
                    "type": "webhook",
                    "url": "https://example.com/",
                    "retries": 1,
                    "on_error": "skip",
                },
                {"id": "load", "type": "fetch", "url": "https://example.com/x", "into": {"score": "score"}},
                {"id": "set", "type": "update_profile", "attributes": {"seen": True}},
                message("tell", condition="context.score > 3"),
            ],
        },
        {},
        [
            (BEGAN, DUE, {}),
            (BEGAN + 5, done("hook", "", error="status 500"), {}),
            (BEGAN + 6_000, DUE, {}),
            (BEGAN + 6_005, done("hook", "", error="timeout"), {}),
            (BEGAN + 6_010, done("load", "200", data={"score": 5}), {}),
            (BEGAN + 6_015, done("set", "done"), {}),
            (BEGAN + 6_020, done("tell"), {}),
        ],
    ),
    "local_morning": (
        {
            "name": "morning",
            "steps": [
                {"id": "w", "type": "delay", "delay": {"until": "09:00", "weekday": "monday"}},
                message("hello", delay="1h"),
                {
                    "id": "read",
                    "type": "wait",
                    "event": "engaged",
                    "of_step": "hello",
                    "timeout": "2d",
                    "on_timeout": "again",
                },
                {"id": "fine", "type": "exit"},
                message("again"),
            ],
        },
        {},
        [
            (BEGAN, DUE, {}),
            (BEGAN + 4 * DAY, DUE, {}),
            (BEGAN + 4 * DAY + HOUR, DUE, {}),
            (BEGAN + 4 * DAY + HOUR + 5, done("hello"), {}),
            (BEGAN + 7 * DAY, DUE, {"hello:1": "delivered"}),
            (BEGAN + 7 * DAY + 5, done("again"), {}),
        ],
    ),
    "loop_with_a_way_out": (
        {
            "name": "loop",
            "steps": [
                message("remind"),
                {"id": "w", "type": "wait", "event": "paid", "timeout": "1d", "on_event": "thanks"},
                {"id": "back", "type": "goto", "goto": "remind", "condition": "steps.remind.visits < 2"},
                {"id": "out", "type": "exit", "reason": "no answer"},
                message("thanks"),
            ],
        },
        {},
        [
            (BEGAN, DUE, {}),
            (BEGAN + 5, done("remind"), {}),
            (BEGAN + DAY + 5, DUE, {}),
            (BEGAN + DAY + 10, done("remind", visit=2), {}),
            (BEGAN + 2 * DAY + 10, DUE, {}),
        ],
    ),
    "stopped_by_hand": (
        {"name": "stopped", "steps": [message("hello"), {"id": "w", "type": "wait", "delay": "30d"}]},
        {},
        [
            (BEGAN, DUE, {}),
            (BEGAN + 5, done("hello"), {}),
            (BEGAN + DAY, (Ended("erased"),), {}),
        ],
    ),
    "conditions_that_fail": (
        {
            "name": "broken",
            "steps": [
                message("one", condition="user.plan > 3", on_error="skip"),
                message("two", condition="10 / user.zero > 1", on_error="exit"),
                message("three"),
            ],
        },
        {"plan": "free", "zero": 0},
        [(BEGAN, DUE, {})],
    ),
    "a_message_that_is_read": (
        {
            "name": "read",
            "steps": [
                {**message("hello"), "fallback": [{"channel": "sms", "after": "1h"}], "until": "engaged"},
                message("more", condition="steps.hello.engaged"),
            ],
        },
        {},
        [
            (BEGAN, DUE, {}),
            (BEGAN + 5, done("hello"), {}),
            (
                BEGAN + MINUTE,
                (Reported(bytes(16), "hello", 1, "engaged", BEGAN + MINUTE),),
                {"hello:1": "engaged"},
            ),
            (BEGAN + MINUTE + 5, done("more"), {"hello:1": "engaged"}),
        ],
    ),
}


def main(names: Sequence[str]) -> int:
    """Write the histories of these names, or those that are missing."""
    FOLDER.mkdir(exist_ok=True)
    unknown = [name for name in names if name not in JOURNEYS]
    if unknown:
        sys.stderr.write(f"no history {unknown[0]!r}; there are: {', '.join(JOURNEYS)}\n")
        return 2
    for name, (definition, user, script) in JOURNEYS.items():
        path = FOLDER / f"{name}.json"
        if name in names or (not names and not path.exists()):
            history = record(name, definition, user, "Europe/Berlin", script)
            path.write_bytes(msgspec.json.format(msgspec.json.encode(history), indent=1) + b"\n")
            sys.stderr.write(f"recorded {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
