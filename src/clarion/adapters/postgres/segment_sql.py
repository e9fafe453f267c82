"""Conditions as SQL. Every value is a parameter and every name is ours: nothing that a tenant wrote is SQL."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from clarion.adapters.postgres.queries import load_queries
from clarion.audience.segments.conditions import (
    AllOf,
    Always,
    AnyOf,
    Comparison,
    Condition,
    Created,
    EventCount,
    EventTime,
    FeatureIs,
    FeatureSet,
    HasTerm,
    Not,
    Reaches,
    TextBegins,
    TextField,
    TextIs,
)
from clarion.audience.traits import term_number

_OPERATORS: Final[dict[Comparison, str]] = {
    "==": "=",
    "!=": "<>",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
_COLUMNS: Final[dict[TextField, str]] = {
    "id": "external_id",
    "timezone": "timezone",
    "language": "language",
    "country": "country",
    "region": "region",
    "preferred_channel": "preferred_channel",
}


@cache
def _fragments() -> dict[str, str]:
    """The forms of conditions, without their comments."""
    return {
        name: "\n".join(line for line in text.splitlines() if not line.startswith("--"))
        for name, text in load_queries("segment_conditions").items()
    }


class Statement:
    """One statement about a tenant's users: `$1` is the tenant, whatever the conditions add comes after."""

    def __init__(self, tenant_id: bytes) -> None:
        self.values: list[Any] = [tenant_id]
        self._aliases: dict[tuple[str, int], str] = {}
        self._joins: list[str] = []

    def finish(self, template: str, **parts: str) -> str:
        """The whole text: a query from a `.sql` file with conditions and parameters in their places."""
        return template.format(joins=" ".join(self._joins), **parts)

    def value(self, value: object) -> str:
        """The place of a value."""
        self.values.append(value)
        return f"${len(self.values)}"

    def condition(self, condition: Condition) -> str:
        """A condition as SQL that is true or false, never NULL."""
        match condition:
            case Always(value=value):
                text = "true" if value else "false"
            case Not(part=part):
                text = f"NOT ({self.condition(part)})"
            case AllOf(parts=parts):
                text = self._join(parts, " AND ", "has_terms")
            case AnyOf(parts=parts):
                text = self._join(parts, " OR ", "has_any_term")
            case EventCount() | EventTime():
                text = self._event(condition)
            case FeatureSet() | FeatureIs():
                text = self._feature(condition)
            case _:
                text = self._own(condition)
        return text

    def _join(self, parts: tuple[Condition, ...], operator: str, together: str) -> str:
        """Several terms are one look into the index."""
        terms = [term_number(part.term) for part in parts if isinstance(part, HasTerm)]
        rest = [self.condition(part) for part in parts if not isinstance(part, HasTerm)]
        if terms:
            rest.append(_fragments()[together].format(value=self.value(terms)))
        return f"({operator.join(rest)})"

    def _own(self, condition: HasTerm | TextIs | TextBegins | Created | Reaches) -> str:
        forms = _fragments()
        match condition:
            case HasTerm(term=term):
                return forms["has_term"].format(value=self.value(term_number(term)))
            case TextIs(field=field, comparison=comparison, value=value):
                return forms["text_is"].format(
                    column=_COLUMNS[field], operator=_OPERATORS[comparison], value=self.value(value)
                )
            case TextBegins(field=field, value=value):
                return forms["text_begins"].format(column=_COLUMNS[field], value=self.value(value))
            case Created(comparison=comparison, at_ms=at_ms):
                return forms["created"].format(operator=_OPERATORS[comparison], value=self.value(at_ms))
            case Reaches(channels=channels):
                return forms["reaches"].format(value=self.value(channels))

    def _feature(self, condition: FeatureSet | FeatureIs) -> str:
        path = self.value(list(condition.path))
        if isinstance(condition, FeatureSet):
            return _fragments()["feature_set"].format(path=path)
        return _fragments()[f"feature_{condition.type}"].format(
            path=path, operator=_OPERATORS[condition.comparison], value=self.value(condition.value)
        )

    def _event(self, condition: EventCount | EventTime) -> str:
        operator = _OPERATORS[condition.comparison]
        if isinstance(condition, EventTime):
            alias = self._alias(condition.event, 0)
            return _fragments()["event_time"].format(
                alias=alias, measure=condition.measure, operator=operator, value=self.value(condition.at_ms)
            )
        alias = self._alias(condition.event, condition.since_ms)
        form = "event_count_or_never" if _meets(0, condition.comparison, condition.value) else "event_count"
        return _fragments()[form].format(alias=alias, operator=operator, value=self.value(condition.value))

    def _alias(self, event: str, since_ms: int) -> str:
        """The name of a join: with what a user ever did, or with what she did since an instant."""
        key = (event, since_ms)
        alias = self._aliases.get(key)
        if alias is None:
            alias = self._aliases[key] = f"e{len(self._aliases)}"
            places = {"alias": alias, "event": self.value(event)}
            if since_ms:
                places["since"] = self.value(since_ms)
            self._joins.append(_fragments()["join_recent" if since_ms else "join_event"].format(**places))
        return alias


def _meets(count: float, comparison: Comparison, value: float) -> bool:
    return {
        "==": count == value,
        "!=": count != value,
        "<": count < value,
        "<=": count <= value,
        ">": count > value,
        ">=": count >= value,
    }[comparison]
