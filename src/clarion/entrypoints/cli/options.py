"""Commands with many options: one struct instead of a dozen parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast, get_type_hints

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


def taking(kind: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Make a typer command of a function that takes a `kind`: each field is an option, annotated as typer wants it.

    Fields without a default come first and are arguments.
    """
    hints = get_type_hints(kind, include_extras=True)
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if field.default is msgspec.NODEFAULT else field.default,
            annotation=hints[field.name],
        )
        for field in msgspec.structs.fields(kind)
    ]

    def make(run: Callable[[T], None]) -> Callable[..., None]:
        def command(**given: Any) -> None:
            run(kind(**given))

        told = cast("Any", command)  # typer reads all of these, and calls by name
        told.__signature__ = inspect.Signature(parameters)
        told.__annotations__ = dict(hints)
        told.__doc__, told.__name__ = run.__doc__, run.__name__
        return command

    return make
