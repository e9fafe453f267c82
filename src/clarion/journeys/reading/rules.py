"""Conditions as people write them: CEL, yes or no, a rule of field, operator and value, or a map of equal values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clarion.journeys.conditions import Condition, compile_condition, match_values
from clarion.journeys.findings import show
from clarion.journeys.graph import EventMatch
from clarion.journeys.reading.fields import Fields, Found, is_list, is_object, items
from clarion.kernel.errors import Invalid

EVENT: Final = ("event", "event_name", "events", "on_event_name")
MATCH: Final = ("match", "properties", "where", "filter", "filters")

MAX_RULES: Final = 50
MAX_DEPTH: Final = 8
MAX_NAME: Final = 200

_LARGEST: Final = 1 << 53
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,7}")
_OPERATORS: Final = {
    **dict.fromkeys(("==", "=", "eq", "equals", "equal", "is"), "=="),
    **dict.fromkeys(("!=", "<>", "ne", "neq", "not_equals", "not_equal", "is_not"), "!="),
    **dict.fromkeys((">", "gt", "greater_than", "after"), ">"),
    **dict.fromkeys((">=", "gte", "ge", "at_least", "greater_than_or_equal"), ">="),
    **dict.fromkeys(("<", "lt", "less_than", "before"), "<"),
    **dict.fromkeys(("<=", "lte", "le", "at_most", "less_than_or_equal"), "<="),
    **dict.fromkeys(("in", "one_of", "any_of"), "in"),
    **dict.fromkeys(("not_in", "nin", "none_of"), "not in"),
    **dict.fromkeys(("contains", "includes"), "contains"),
    **dict.fromkeys(("starts_with", "startswith"), "startsWith"),
    **dict.fromkeys(("ends_with", "endswith"), "endsWith"),
    **dict.fromkeys(("exists", "is_set", "set"), "exists"),
    **dict.fromkeys(("not_exists", "is_not_set", "missing", "unset"), "missing"),
}
_FIELD: Final = ("field", "attribute", "property", "name", "key", "variable")
_OPERATOR: Final = ("operator", "op", "comparator", "comparison")
_LOGIC: Final = ("logic", "match", "type")
_EXPRESSION: Final = ("if", "condition", "when", "expression", "cel")
_GROUPS: Final = {**dict.fromkeys(("all", "and"), " && "), **dict.fromkeys(("any", "or"), " || ")}


class NotARuleError(ValueError):
    """What stands there is no condition; its text says why."""


def read_condition(found: Found, fields: Fields, root: str = "") -> Condition | None:
    """The condition that a field holds. None, with an error, where it is none. `root`: that of the names of a map."""
    try:
        return compile_condition(write_condition(found.value, root), found.path)
    except NotARuleError as error:
        fields.report.error(found.path, str(error))
    except Invalid as error:
        fields.report.error(found.path, error.detail)
    return None


def read_match(fields: Fields) -> Condition | None:
    """What an event's properties must meet, by the fields of `MATCH`."""
    found = fields.take(*MATCH)
    if found is None:
        return None
    if is_object(found.value) and _is_plain(found.value):
        values = found.value
        return match_values(values, found.path) if values else None
    return read_condition(found, fields, "event")


def read_matches(found: Found, fields: Fields, condition: Condition | None) -> tuple[EventMatch, ...]:
    """The events that a field names: one or a list of names, or of objects of event and match."""
    matches = [read_event(item, fields, condition) for item in items(found)]
    return tuple(match for match in matches if match is not None)


def read_event(found: Found, fields: Fields, condition: Condition | None) -> EventMatch | None:
    """One event: its name, or an object of event and match. None, with an error, where it is neither."""
    if is_object(found.value):
        inner = fields.inner(found)
        if inner is None:
            return None
        name = inner.text(*EVENT, "name", "type")
        own = read_match(inner)
        inner.close()
        if not name:
            inner.report.error(found.path, "it does not name an event: add event")
            return None
        return EventMatch(name, own or condition)
    name = found.value
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        fields.report.error(found.path, f"{show(name)} is no name of an event")
        return None
    return EventMatch(name.strip(), condition)


def write_condition(value: object, root: str = "", depth: int = 0) -> str:
    """The CEL of a condition in any of its forms. Raises NotARuleError with what is wrong and how to mend it."""
    if depth > MAX_DEPTH:
        raise NotARuleError(
            f"this condition is nested more than {MAX_DEPTH} levels deep: write it as one expression"
        )
    if is_list(value):
        return _join(value, " && ", root, depth)
    if is_object(value):
        return _write_map(value, root, depth)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise NotARuleError(f'{show(value)} is no condition: write one such as user.plan == "pro"')


def _join(values: Sequence[object], operator: str, root: str, depth: int) -> str:
    if not values or len(values) > MAX_RULES:
        raise NotARuleError(f"a list of conditions has 1 to {MAX_RULES} of them")
    written = [write_condition(one, root, depth + 1) for one in values]
    return written[0] if len(written) == 1 else operator.join(f"({one})" for one in written)


def _write_map(values: dict[str, Any], root: str, depth: int) -> str:
    if not values:
        raise NotARuleError("this condition is empty: leave it out, or say what must hold")
    group = _write_group(values, root, depth)
    if group:
        return group
    field = next((values[name] for name in _FIELD if name in values), None)
    if field is not None and set(values) <= {*_FIELD, *_OPERATOR, "value", "values", "type"}:
        operator = next((values[name] for name in _OPERATOR if name in values), "==")
        return _write_rule(field, operator, values.get("value", values.get("values")), "")
    rules = [
        rule
        for name, value in values.items()
        for rule in (
            [_write_rule(name, operator, one, root) for operator, one in value.items()]
            if is_object(value)
            else [_write_rule(name, "in" if is_list(value) else "==", value, root)]
        )
    ]
    if not rules or len(rules) > MAX_RULES:
        raise NotARuleError(f"a condition has 1 to {MAX_RULES} rules")
    return " && ".join(rules)


def _write_group(values: dict[str, Any], root: str, depth: int) -> str:
    """A condition made of others; "" where it is none."""
    listed = next((values[name] for name in ("rules", "conditions") if is_list(values.get(name))), None)
    if listed is not None and set(values) <= {"rules", "conditions", *_OPERATOR, *_LOGIC}:
        word = next((values[name] for name in (*_OPERATOR, *_LOGIC) if name in values), "all")
        if str(word).lower() not in _GROUPS:
            raise NotARuleError(f"{show(word)} does not say how rules are joined: write all or any")
        return _join(listed, _GROUPS[str(word).lower()], root, depth)
    if set(values) <= {"include", "exclude"}:
        parts = [{"not": one} if name == "exclude" else one for name, one in values.items()]
        return _join(parts, " && ", root, depth)
    name, value = next(iter(values.items()))
    if len(values) > 1:
        return ""
    if name in _GROUPS:
        return _join(value if is_list(value) else [value], _GROUPS[name], root, depth)
    if name == "not":
        return f"!({write_condition(value, root, depth + 1)})"
    return write_condition(value, root, depth + 1) if name in _EXPRESSION else ""


def _write_rule(name: object, operator: object, value: object, root: str) -> str:
    if not isinstance(name, str) or not _DOTTED.fullmatch(name):
        raise NotARuleError(f"{show(name)} is no name of a field, such as user.plan")
    sign = _OPERATORS.get(str(operator).strip().lower())
    if sign is None:
        raise NotARuleError(
            f"there is no comparison {show(operator)}: there are ==, !=, >, >=, <, <=, in, contains, exists"
        )
    full = f"{root}.{name}" if root and "." not in name else name
    if sign in {"exists", "missing"}:
        # A name alone is asked for by `has` of its parent; a bare one by a comparison that fails when it is unset.
        present = f"has({full})" if "." in full else f"({full} == {full})"
        return present if (sign == "exists") == (value is not False) else f"!{present}"
    literal = _write_literal(value)
    if sign in {"contains", "startsWith", "endsWith"}:
        return f"{full}.{sign}({literal})"
    if sign == "not in":
        return f"!({full} in {literal})"
    return f"{full} {sign} {literal}"


def _write_literal(value: object) -> str:
    if isinstance(value, str | bool) or (isinstance(value, int | float) and abs(value) < _LARGEST):
        return json.dumps(value)
    if is_list(value) and len(value) <= MAX_RULES:
        return f"[{', '.join(_write_literal(one) for one in value)}]"
    if value is None:
        raise NotARuleError("it is compared with nothing: give a value, or use exists")
    raise NotARuleError(f"it cannot be compared with {show(value)}")


def _is_plain(values: Mapping[str, Any]) -> bool:
    """Whether it is a map of equal values, and no rule."""
    words = {*_GROUPS, *_OPERATOR, *_EXPRESSION, "not"}
    return not words & set(values) and not any(isinstance(value, dict | list) for value in values.values())
