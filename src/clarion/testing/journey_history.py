"""Recorded histories of runs: what stood, what reached it, what became of it. They guard state that outlives a deploy.

Each transition is kept with the stored bytes that it began from, so that it is replayed by itself: a release that moves
on differently, or that cannot read what an older one stored, is found out at the very transition.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec

from clarion.journeys.advance import advance
from clarion.journeys.compile import compile_journey
from clarion.journeys.graph import Graph
from clarion.journeys.model import (
    Ask,
    Context,
    Done,
    Due,
    Ended,
    Facts,
    Input,
    Instance,
    Moved,
    Occurred,
    Progress,
    Recall,
    Reported,
    Send,
    Turn,
)

_KINDS: Final = {kind.__name__: kind for kind in (Due, Occurred, Reported, Done, Ended)}
_encode: Final = msgspec.msgpack.Encoder().encode

Json: TypeAlias = dict[str, Any]


class Transition(msgspec.Struct, frozen=True):
    """One turn. `before` and `context`: stored bytes, in base64 ("": none). `messages`: `step:visit` → status."""

    now_ms: int
    inputs: list[Json]
    before: str
    context: str
    messages: dict[str, str]
    after: Json


class History(msgspec.Struct, frozen=True):
    """A run of a definition by a user, from its beginning to its end."""

    name: str
    definition: Json
    user: Json
    timezone: str
    transitions: list[Transition]


def replay(history: History) -> list[tuple[Json, Json]]:
    """For each transition what was recorded, and what today's engine makes of it."""
    graph = graph_of(history.definition)
    found: list[tuple[Json, Json]] = []
    for one in history.transitions:
        instance = msgspec.msgpack.decode(base64.b64decode(one.before), type=Instance)
        context = msgspec.msgpack.decode(base64.b64decode(one.context), type=Context) if one.context else None
        inputs = tuple(_read_input(given) for given in one.inputs)
        turn = Turn(instance, graph, inputs, _facts(history, one.messages), context)
        (moved,) = advance([turn], one.now_ms)
        found.append((one.after, tell(moved)))
    return found


def record(
    name: str,
    definition: Json,
    user: Json,
    timezone: str,
    script: Sequence[tuple[int, Sequence[Input], dict[str, str]]],
) -> History:
    """The history of a new run that each item of `script` reaches: (UTC ms, inputs, statuses of messages)."""
    graph = graph_of(definition)
    instance = Instance(
        instance_id=b"replayed-run-001",
        tenant_id=b"replayed-tenant1",
        journey_id=b"replayed-journey",
        version=1,
        user_id=281_474_976_710_657,
        region="us-east-1",
        is_test=False,
        status="active",
        seq=0,
        step="",
        due_ms=script[0][0],
        progress=Progress(),
        context_version=0,
        entered_ms=script[0][0],
    )
    empty = History(name, definition, user, timezone, [])
    context: Context | None = None
    transitions: list[Transition] = []
    for now_ms, inputs, messages in script:
        turn = Turn(instance, graph, tuple(inputs), _facts(empty, messages), context)
        before = base64.b64encode(_encode(instance)).decode()
        kept = "" if context is None else base64.b64encode(_encode(context)).decode()
        (moved,) = advance([turn], now_ms)
        transitions.append(
            Transition(now_ms, [_write_input(one) for one in inputs], before, kept, messages, tell(moved))
        )
        # As it is stored and read: tuples become what the bytes say.
        instance = msgspec.msgpack.decode(_encode(moved.instance), type=Instance)
        context = moved.context or context
    return History(name, definition, user, timezone, transitions)


def tell(moved: Moved) -> Json:
    """What became of a turn, as JSON that people can compare."""
    instance = moved.instance
    return {
        "changed": moved.changed,
        "seq": instance.seq,
        "status": instance.status,
        "reason": instance.reason,
        "step": instance.step,
        "due_ms": instance.due_ms,
        "progress": msgspec.to_builtins(instance.progress),
        "commands": [_tell_command(command) for command in moved.commands],
        "events": [f"{event.type} {event.step} {event.detail}".strip() for event in moved.events],
        "context": None if moved.context is None else msgspec.to_builtins(moved.context),
    }


def graph_of(definition: Json) -> Graph:
    """The graph of a definition that compiles. Raises ValueError where it does not (any more)."""
    compiled = compile_journey(definition)
    if compiled.graph is None:
        raise ValueError(f"{definition.get('name')}: {compiled.findings}")
    return compiled.graph


def _facts(history: History, messages: dict[str, str]) -> Facts:
    statuses = {
        (step, int(visit)): status
        for place, status in messages.items()
        for step, _, visit in [place.rpartition(":")]
    }
    return Facts(timezone=history.timezone, user=history.user, messages=statuses)


def _tell_command(command: Send | Ask | Recall) -> Json:
    match command:
        case Send():
            return {
                "send": command.notification_id.hex(),
                "step": command.step,
                "visit": command.visit,
                "rung": command.rung,
                "channels": list(command.channels),
                "template": command.template,
            }
        case Ask():
            return {
                "ask": command.effect_id.hex(),
                "step": command.step,
                "visit": command.visit,
                "kind": type(command.spec).__name__,
            }
        case Recall():
            return {"recall": [ident.hex() for ident in command.notification_ids]}


def _write_input(given: Input) -> Json:
    return {"kind": type(given).__name__, **msgspec.to_builtins(given)}


def _read_input(given: Json) -> Input:
    fields = dict(given)
    return msgspec.convert(fields, _KINDS[fields.pop("kind")])
