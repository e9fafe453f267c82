"""What the linter says of variables: set and never read, not in the schema, or nowhere but there."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, cast

from clarion.templates.finding import Finding
from clarion.templates.model import TemplateContent
from clarion.templates.parts import Part
from clarion.templates.syntax import Tag, free_names, is_name, tags_of
from clarion.templates.variables import RESERVED
from clarion.templates.words import Words


def lint_schema(content: TemplateContent, variables: tuple[str, ...]) -> Iterator[Finding]:
    """How the schema of `data` and what the template asks for (`CheckedTemplate.variables`) fit each other."""
    schema = content.data_schema
    properties = schema.get("properties") if schema is not None else None
    if not isinstance(schema, dict) or not isinstance(properties, dict):
        return
    known = cast("dict[str, Any]", properties)
    asked = _data_names(variables)
    closed = schema.get("additionalProperties") is False
    for name in sorted(asked - known.keys()):
        close = get_close_matches(name, known, 1)
        hint = f"did you mean `{close[0]}`?" if close else "add it to `data_schema`, or take it from `user`"
        yield Finding(
            "error" if closed else "warning",
            "unknown_variable",
            "data_schema.properties",
            f"the template asks for `{name}`, which the schema does not know",
            hint,
        )
    if "data" in variables:
        return  # walked over as a whole
    for name in sorted(known.keys() - asked):
        yield Finding(
            "hint",
            "unused_variable",
            f"data_schema.properties.{name}",
            f"the schema has `{name}`, which the template does not use",
            "leave it out, or use it",
        )


def _data_names(variables: tuple[str, ...]) -> set[str]:
    """The fields of `data` that are asked for, under its name or at top level."""
    names: set[str] = set()
    for variable in variables:
        first, *rest = variable.split(".")
        if first == "data" and rest:
            names.add(rest[0])
        elif first not in RESERVED:
            names.add(first)
    return names


def lint_sets(part: Part, words: Words) -> Iterator[Finding]:
    """Names that a part sets and never reads. `words`: its source, tags made words."""
    tags = tags_of(words.tags)
    read = frozenset[str]().union(*map(_names_read, tags))
    for tag in tags:
        name = next(iter(tag.tokens[1:]), "")
        if tag.word == "set" and is_name(name) and name not in read:
            yield Finding(
                "hint",
                "unused_variable",
                part.path,
                f"`{name}` is set and never read",
                f"remove {{% set {name} … %}}",
                tag.line,
            )


def _names_read(tag: Tag) -> frozenset[str]:
    if tag.word == "set":
        # `set a = b`: what stands behind the sign is read, `a` is not.
        sign = tag.tokens.index("=") if "=" in tag.tokens else len(tag.tokens)
        tag = Tag("output", tag.line, tag.tokens[sign + 1 :])
    return free_names([tag])
