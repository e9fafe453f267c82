"""The JSON Schema (2020-12) of a definition, for editors: the usual spelling of each field, with what it means.

The compiler accepts more spellings than an editor should propose (`reading`); the schema forbids none of them.
"""

from __future__ import annotations

from typing import Any, Final

from clarion.contracts.channels import CHANNELS
from clarion.journeys.graph import MAX_STEPS
from clarion.journeys.reading.kinds import KINDS
from clarion.journeys.reading.messages import ABSENT_CHANNELS, CHANNEL_WORDS

SCHEMA_ID: Final = "https://clarion.invalid/schemas/journey.json"

_SPAN: Final = {"$ref": "#/$defs/span"}
_DELAY: Final = {"$ref": "#/$defs/delay"}
_CONDITION: Final = {"$ref": "#/$defs/condition"}
_TARGET: Final = {"$ref": "#/$defs/target"}
_EVENTS: Final = {"$ref": "#/$defs/events"}
_MATCH: Final = {"$ref": "#/$defs/match"}
_TEXT: Final = {"type": "string", "minLength": 1}
_OBJECT: Final = {"type": "object"}
_CHANNELS: Final = {"$ref": "#/$defs/channels"}


def _say(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {**schema, "description": description}


_URL: Final = _say({"type": "string", "pattern": "^https?://"}, "Its address. Private networks are refused.")

KIND_FIELDS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "notification": {
        "template": _say(
            _TEXT, "Name of the template; without it data has what is said, such as subject and body."
        ),
        "channels": _say(
            _CHANNELS, "On which channels; without it as the user's preferences and the platform choose."
        ),
        "category": _say(_TEXT, "Category; the template's without it."),
        "fallback": _say(
            {"type": ["array", "string", "object"]}, "Further channels: [{channel, after, template}]."
        ),
        "until": _say(
            {"type": ["string", "object"]}, "What stops the fallback: an event, sent, delivered or engaged."
        ),
        "optimization": _say(
            {"type": ["object", "string", "boolean"]}, "send_time now or optimal; channel_selection."
        ),
        "priority": _say({"type": ["integer", "string"]}, "0 to 10, or low, normal, high, critical."),
        "data": _say(_OBJECT, "For the template."),
        "expires": _say(_SPAN, "Not to be sent later than so long after it was asked for."),
    },
    "delay": {
        "delay": _say(_DELAY, "For how long, or until when."),
        "until": _say(_TEXT, "A time of day (09:00), a weekday, or the name of a date (user.trial_ends_at)."),
        "weekday": {"type": ["string", "array", "integer"]},
        "timezone": _say(_TEXT, "user, or an IANA name."),
        "offset": _say(_SPAN, "Before (-3d) or after the date."),
    },
    "wait": {
        "event": _say(_EVENTS, "What the user does."),
        "match": _MATCH,
        "timeout": _say(_SPAN, "How long at most."),
        "on_event": _say(_TARGET, "Where to go when it came; the next step without it."),
        "on_timeout": _say(_TARGET, "Where to go when it did not; the next step without it."),
        "of_step": _say(
            _TEXT, "Wait for an event (delivered, engaged) of this step's message, and not of the user."
        ),
    },
    "branch": {
        "conditions": _say(
            {"type": ["array", "object"]}, 'Ways: [{"if": condition, "goto": step}, {"else": step}].'
        ),
        "if": _CONDITION,
        "then": _TARGET,
        "else": _say({"$ref": "#/$defs/target"}, "Where to go when no way holds."),
    },
    "split": {
        "arms": _say({"type": ["array", "object"]}, "Arms: [{name, weight, goto, holdout}]."),
        "holdout": _say(
            {"type": "number", "minimum": 0, "exclusiveMaximum": 100}, "Percent who get none of it."
        ),
        "salt": _say(_TEXT, "Users of the same salt are divided alike; the step's id without it."),
    },
    "digest": {
        "event": _say(_EVENTS, "What to collect."),
        "match": _MATCH,
        "window": _say(_DELAY, "For how long, or until when."),
        "most": _say(
            {"type": "integer", "minimum": 1, "maximum": 1000}, "How many items to keep; 100 without it."
        ),
        "on_empty": _say(_TARGET, "Where to go when nothing came."),
    },
    "throttle": {
        "limit": _say({"type": "integer", "minimum": 1}, "How many pass."),
        "per": _say(_SPAN, "In how long."),
        "scope": {"enum": ["user", "journey"]},
        "on_limit": _say(_TARGET, "Where the others go; they wait for their turn without it."),
    },
    "fetch": {
        "url": _URL,
        "method": {"enum": ["GET", "POST", "get", "post"]},
        "headers": _OBJECT,
        "body": _OBJECT,
        "into": _say(
            {"type": ["object", "string"]}, "Names in the context, each with its path in the answer."
        ),
    },
    "update_profile": {"attributes": _say(_OBJECT, "Attributes to set; null removes one.")},
    "webhook": {"url": _URL, "body": _OBJECT, "headers": _OBJECT},
    "start_journey": {"journey": _say(_TEXT, "Name or id."), "context": _OBJECT},
    "goal": {"goal": _say(_TEXT, "The goal's name; the step's id without it.")},
    "exit": {"reason": _say(_TEXT, "For the timeline and the figures.")},
    "goto": {"goto": _say(_TARGET, "Where to go.")},
}
"""The usual fields of each kind of step, in the order of the documentation."""

REQUIRED: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "notification": (
        (
            *("template", "template_id", "template_name", "message_template", "config", "params", "with"),
            *("data", "variables", "template_data", "context", "payload"),
        ),
    ),
    "goto": (
        (
            "goto",
            "target",
            "to",
            "next",
            "step",
            "goto_step",
            "go_to",
            "next_step",
            "config",
            "params",
            "with",
        ),
    ),
}
"""Fields that a kind does not do without: of each group one."""

COMMON: Final[dict[str, dict[str, Any]]] = {
    "id": _say({"type": ["string", "integer"]}, "Its name; made from kind and place without one."),
    "name": _say({"type": ["string", "integer"]}, "Its name for people; its id where it has none."),
    "type": _say({"type": "string"}, "What to do."),
    "delay": _say(_DELAY, "Wait first."),
    "condition": _say(_CONDITION, "Skip the step where this does not hold."),
    "next": _say(_TARGET, "Where to go on; the following step without it, end for the end."),
    "on_error": _say(_TEXT, "skip (as without it), exit or retry."),
    "retries": _say({"type": "integer", "minimum": 0, "maximum": 20}, "Tries after the first; 3 without it."),
    "timeout": _say(_SPAN, "How long one try takes; 10s without it, 60s at most."),
}
"""Fields of every step."""

TRIGGER: Final[dict[str, dict[str, Any]]] = {
    "type": _say({"type": "string"}, "api, event, segment, schedule or date."),
    "event": _say({"type": ["string", "object", "array"]}, "event: its name."),
    "match": _MATCH,
    "segment": _say(_TEXT, "segment: who enters it. schedule: who begins."),
    "cron": _say(_TEXT, "schedule: minute hour day month weekday."),
    "timezone": _TEXT,
    "attribute": _say(_TEXT, "date: the attribute with it, such as user.trial_ends_at."),
    "offset": _say(_SPAN, "date: before (-3d) or after it."),
    "yearly": {"type": ["boolean", "string"]},
}

SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "reentry": _say(
        {"type": ["string", "boolean", "number", "object"]}, "never, always, one_at_a_time, or a period."
    ),
    "max_duration": _say(_SPAN, "How long a run may last; 400 days without it."),
    "sends_per_day": _say(
        {"type": "integer", "minimum": 1, "maximum": 1000}, "Messages of one run a day; 20 without it."
    ),
    "timezone": _say(_TEXT, "For times of day; each user's own without it."),
    "category": _say(_TEXT, "Of steps that name none."),
    "on_error": _say(_TEXT, "Of steps that say nothing."),
    "goals": _say(
        {"type": ["array", "string", "object"]},
        "Events that the journey is for: [{name, event, match, ends}].",
    ),
    "variables": _say({"type": ["array", "object", "string"]}, "Names that the trigger's context has."),
}


def journey_schema() -> dict[str, Any]:
    """The schema, as JSON."""
    kinds = sorted({*KINDS, *CHANNEL_WORDS, *ABSENT_CHANNELS, *(f"send_{name}" for name in CHANNEL_WORDS)})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Journey",
        "type": "object",
        "required": ["steps"],
        "anyOf": [{"required": [name]} for name in ("name", "journey_name", "title", "journey_id", "id")],
        "properties": {
            "name": {"type": ["string", "integer"], "description": "Unique in the account."},
            "description": {"type": "string"},
            "trigger": _say(
                {"anyOf": [_TEXT, {"$ref": "#/$defs/trigger"}, {"type": "array"}]}, "How runs begin."
            ),
            "audience_rules": _say({}, "Who may enter: a condition, rules, or a segment."),
            "steps": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_STEPS,
                "items": {"$ref": "#/$defs/step"},
            },
            "exit_conditions": _say({}, "What ends a run wherever it stands: events and conditions."),
            "goals": SETTINGS["goals"],
            "settings": {"type": "object", "properties": SETTINGS},
        },
        "$defs": {
            **_definitions(),
            "trigger": {"type": "object", "properties": TRIGGER},
            "step": {
                "type": "object",
                "properties": {
                    **COMMON,
                    "type": {"enum": kinds, "description": "What to do."},
                },
                "allOf": [_of_kind(kind, fields) for kind, fields in KIND_FIELDS.items()],
            },
        },
    }


def _definitions() -> dict[str, Any]:
    return {
        "span": {
            "description": "24h, 2 days, 1d12h, P1DT2H, a number of seconds, or {hours: 2}.",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "number"},
                {"type": "object", "minProperties": 1},
            ],
        },
        "delay": {
            "description": "A span, or {until, weekday, timezone}, or {until: name of a date, offset}.",
            "anyOf": [{"type": "string", "minLength": 1}, {"type": "number", "minimum": 0}, _OBJECT],
        },
        "condition": {
            "description": "CEL: user.plan == 'pro', engagement_score > 0.7, !completed_onboarding.",
            "type": ["string", "boolean", "object", "array"],
        },
        "target": {
            "description": "The id of a step, end, or steps written in place.",
            "type": ["string", "integer", "boolean", "object", "array", "null"],
        },
        "events": {"type": ["string", "array", "object"]},
        "match": {
            "description": "What its properties must meet: CEL over event, or equal values.",
            "type": ["string", "object", "array", "boolean"],
        },
        "channels": {
            "type": ["array", "string"],
            "examples": [list(CHANNELS), *CHANNELS],
        },
    }


def _of_kind(kind: str, fields: dict[str, dict[str, Any]]) -> dict[str, Any]:
    names = sorted(name for name, meant in KINDS.items() if meant == kind)
    groups = [{"anyOf": [{"required": [name]} for name in group]} for group in REQUIRED.get(kind, ())]
    then: dict[str, Any] = {"properties": fields}
    if groups:
        then["allOf"] = groups
    return {"if": {"properties": {"type": {"enum": names}}, "required": ["type"]}, "then": then}
