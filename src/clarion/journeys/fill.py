"""Filling what a definition says with what a run knows: `{{ context.order_id }}` in texts, maps and lists.

A text that is nothing but one name becomes the value itself; elsewhere values are written into the text. What is not
set is null, or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import quote

from clarion.journeys.conditions import Scope, find
from clarion.journeys.model import Context, Instance
from clarion.kernel.ids import format_id

_NAME: Final = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}")


def scope_of(instance: Instance, context: Context | None, user: Mapping[str, Any]) -> Scope:
    """What names stand for while an effect of a run is carried out."""
    known = context or Context()
    progress = instance.progress
    return {
        "user": user,
        "context": known.data,
        "events": {
            name: {**known.events.get(name, {}), "count": seen.count} for name, seen in progress.seen.items()
        },
        "steps": {
            name: {
                "result": outcome.result,
                "items": known.items.get(name, []),
                "count": len(known.items.get(name, ())),
            }
            for name, outcome in progress.outcomes.items()
        },
        "journey": {"instance_id": format_id(instance.instance_id), "step": instance.step},
    }


def fill(value: Any, scope: Scope) -> Any:  # noqa: ANN401  any JSON
    """`value` with every name replaced."""
    match value:
        case str():
            return _fill_text(value, scope)
        case Mapping():
            return {name: fill(each, scope) for name, each in cast("Mapping[str, Any]", value).items()}
        case list():
            return [fill(each, scope) for each in cast("list[Any]", value)]
        case _:
            return value


def fill_url(url: str, scope: Scope) -> str:
    """A URL with every name replaced by its value, escaped. What names the host stays as the definition has it."""
    head, slashes, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return head + slashes + host + slash + _write(path, scope, lambda text: quote(text, safe=""))


def reads_user(value: Any) -> bool:  # noqa: ANN401  any JSON
    """Whether a name in it is one of the user's, or may be."""
    match value:
        case str():
            return any(name.partition(".")[0] not in _OTHERS for name in _NAME.findall(value))
        case Mapping():
            return any(reads_user(each) for each in cast("Mapping[str, Any]", value).values())
        case list():
            return any(reads_user(each) for each in cast("list[Any]", value))
        case _:
            return False


_OTHERS: Final = frozenset({"context", "events", "steps", "journey"})


def _fill_text(text: str, scope: Scope) -> Any:  # noqa: ANN401  any JSON
    if "{{" not in text:
        return text
    whole = _NAME.fullmatch(text.strip())
    if whole is not None:
        return find(scope, tuple(whole[1].split(".")))
    return _write(text, scope, str)


def _write(text: str, scope: Scope, escape: Callable[[str], str]) -> str:
    def replaced(found: re.Match[str]) -> str:
        value = find(scope, tuple(found[1].split(".")))
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else escape(str(value))

    return _NAME.sub(replaced, text)
