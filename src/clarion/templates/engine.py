"""The one place that knows MiniJinja: compiling a template's parts and rendering one of them.

`str(TemplateError)` shows the values of the variables around the error. What leaves this module names kinds, lines, and
text of the template, never a value, and no engine's error is chained to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from minijinja import Environment, TemplateError

from clarion.contracts.channels import CHANNELS, Channel
from clarion.templates.errors import Unrenderable
from clarion.templates.filters import is_map, make_range, own_filters
from clarion.templates.language import FUNCTIONS, REMOVED_FILTERS, REMOVED_FUNCTIONS, sweeps_lists
from clarion.templates.meter import CONTAINER_PRINTED, Meter, make_finalizer
from clarion.templates.model import FailureKind, RenderFailure
from clarion.templates.parts import Part
from clarion.templates.syntax import Tag, free_names, longest_repeated_text, read_source, tags_of
from clarion.templates.unguarded import may_go_unguarded, shows_container
from clarion.templates.values import MAP_METHODS, SHOWN, Extent, freeze, is_plain

FUEL: Final = 20_000
"""Instructions of one rendering: a table of a thousand rows with four columns takes about 15 000."""

MIN_FUEL: Final = 200

FREE_CHARACTERS: Final = 16_000
FREE_ELEMENTS: Final = 1000
FREE_SWEPT_ELEMENTS: Final = 100
"""Above these sizes of the largest text or list there is less fuel, in proportion: one instruction may have to copy the
whole text, or look at the whole list (the last figure, for templates that do this in loops). So a rendering takes half
a second at the worst."""

MAX_REPEATED_CHARS: Final = 64 * 1024 * 1024
"""Characters of the template's own text that loops may print before fuel ends it. The meter does not see them."""

_UNDEFINED: Final = re.compile(r"`(.+)` is undefined")
_MAX_QUOTED: Final = 80
"""Characters of the template that a failure quotes."""

_KINDS: Final[dict[str, FailureKind]] = {
    "UndefinedError": "undefined",
    "OutOfFuel": "too_much_work",
    "SyntaxError": "syntax",
    "BadEscape": "syntax",
}


class Variables:
    """The variables of one message that its template may read.

    `plain` says whether the engine may have them as they are. Raises BadValueError for what is no JSON value.
    """

    def __init__(self, names: Iterable[str], values: dict[str, Any]) -> None:
        self.values = {name: values[name] for name in names if values.get(name) is not None}
        self.plain = is_plain(self.values)
        self._guarded: dict[str, Any] = {}
        self.extent = Extent()
        if not self.plain:
            self.guarded()

    def guarded(self) -> dict[str, Any]:
        """Clean copies in containers without methods (but for the outermost, which the engine makes)."""
        if not self._guarded:
            self._guarded = {name: freeze(value, self.extent) for name, value in self.values.items()}
        return self._guarded


class Workshop:
    """Makes compiled templates that share one meter, and so can only be rendered one at a time, in one thread."""

    def __init__(self) -> None:
        self._meter = Meter()
        self._filters = own_filters(self._meter)
        self._finalizer = make_finalizer(self._meter)
        self._range = make_range(self._meter)

    def compile(self, parts: list[Part]) -> CompiledTemplate:
        """Compile parts. A part with a syntax error is not compiled: `CompiledTemplate.broken` tells what it is.

        Raises Invalid for a source that must not reach the engine. Trusts the rest: see `check_template`.
        """
        guarded = self._environment()
        guarded.finalizer = self._finalizer
        return CompiledTemplate(parts, self._environment(), guarded, self._meter)

    def _environment(self) -> Environment:
        environment = Environment(
            undefined_behavior="strict",
            pycompat=False,
            filters=self._filters,
            tests={"mapping": is_map},
            globals={"range": self._range},
        )
        for name in REMOVED_FILTERS:
            environment.remove_filter(name)
        for name in REMOVED_FUNCTIONS:
            environment.remove_global(name)
        return environment


class _CompiledPart(msgspec.Struct, frozen=True):
    """What is known of a part before it is rendered.

    `required` are the failures of those variables that the engine must not look for in vain: it would find a method of
    the dict that holds the variables. `unguarded`: see `templates.unguarded`.
    """

    part: Part
    engine_name: str
    names: frozenset[str] = frozenset()
    required: tuple[RenderFailure, ...] = ()
    broken: RenderFailure | None = None
    unguarded: bool = False


class CompiledTemplate:
    """One version of a template, ready to render. `names` holds at least every top-level name that it reads."""

    def __init__(self, parts: list[Part], plain: Environment, guarded: Environment, meter: Meter) -> None:
        self._plain = plain
        self._guarded = guarded
        self._meter = meter
        self._fuel = FUEL
        self._set_fuel = 0
        self._sweeps = False
        self._parts = [self._add(part) for part in parts]
        self.names = tuple(frozenset[str]().union(*(compiled.names for compiled in self._parts)))
        self._quick = {channel: self._quick_way(channel) for channel in CHANNELS}
        self.size = sum(len(part.source) for part in parts)
        self._plain.fuel = self._fuel

    def _add(self, part: Part) -> _CompiledPart:
        # The engine escapes by the name's ending. `/` keeps a data key such as `x.html` from looking like one.
        engine_name = f"{part.label}/html.html" if part.is_html else f"{part.label}/plain.txt"
        pieces = read_source(part.source, part.path)
        try:
            self._plain.add_template(engine_name, part.source)
            self._guarded.add_template(engine_name, part.source)
        except TemplateError as error:
            return _CompiledPart(part, engine_name, broken=_to_failure(error, part))
        repeated = longest_repeated_text(pieces)
        if repeated:
            self._fuel = max(MIN_FUEL, min(self._fuel, MAX_REPEATED_CHARS // repeated))
        tags = tags_of(pieces)
        sweeps = sweeps_lists(tags)
        self._sweeps = self._sweeps or sweeps
        names = free_names(tags)
        required = self._required(part, engine_name, tags) if names & MAP_METHODS else ()
        unguarded = not required and not sweeps and may_go_unguarded(pieces)
        return _CompiledPart(part, engine_name, names, required, unguarded=unguarded)

    def _required(self, part: Part, engine_name: str, tags: list[Tag]) -> tuple[RenderFailure, ...]:
        roots = {name.partition(".")[0] for name in self._variables_of(engine_name)}
        return tuple(
            _missing(part, name, next(tag.line for tag in tags if name in tag.tokens))
            for name in sorted(roots & MAP_METHODS)
        )

    def _variables_of(self, engine_name: str) -> set[str]:
        return self._plain.undeclared_variables_in_template(engine_name, nested=True) - FUNCTIONS

    @property
    def broken(self) -> list[tuple[Part, RenderFailure]]:
        """The parts that the engine could not compile, with what it says."""
        return [(compiled.part, compiled.broken) for compiled in self._parts if compiled.broken is not None]

    def variables(self) -> set[str]:
        """The variables that the parts ask for, with their attributes (`user.first_name`), as far as it shows."""
        sound = (compiled.engine_name for compiled in self._parts if compiled.broken is None)
        return set[str]().union(*map(self._variables_of, sound))

    def _limit_fuel(self, extent: Extent) -> None:
        most_elements = FREE_SWEPT_ELEMENTS if self._sweeps else FREE_ELEMENTS
        share = min(1, FREE_CHARACTERS / (extent.characters or 1), most_elements / (extent.elements or 1))
        fuel = max(MIN_FUEL, int(self._fuel * share))
        if fuel != self._set_fuel:
            self._guarded.fuel = self._set_fuel = fuel

    def _quick_way(self, channel: Channel) -> list[tuple[str, str]]:
        """Field and engine's name of each part of a channel, if all may go unguarded; else nothing."""
        parts = [compiled for compiled in self._parts if compiled.part.channel == channel]
        if not all(compiled.unguarded for compiled in parts):
            return []
        return [(compiled.part.field, compiled.engine_name) for compiled in parts]

    def render(self, channel: Channel, variables: Variables) -> dict[str, str] | RenderFailure:
        """The text of each part of a channel by field, or the first failure. Never raises for what a template does."""
        if variables.plain and self._quick[channel]:
            fields = self._render_unguarded(self._quick[channel], variables.values)
            if fields is not None:
                return fields
        return self._render_guarded(channel, variables)

    def _render_unguarded(
        self, parts: list[tuple[str, str]], values: dict[str, Any]
    ) -> dict[str, str] | None:
        """The text of each part, or None where anything is wrong: what it is, a guarded rendering finds out."""
        self._meter.start(one_line=False)
        render = self._plain.render_template
        fields: dict[str, str] = {}
        try:
            for field, engine_name in parts:
                text = fields[field] = render(engine_name, **values)
                if shows_container(text):
                    return None
        except BaseException as error:
            if not _is_from_template(error):
                raise
            return None
        return fields

    def _render_guarded(self, channel: Channel, variables: Variables) -> dict[str, str] | RenderFailure:
        values = variables.guarded()
        self._limit_fuel(variables.extent)
        fields: dict[str, str] = {}
        for compiled in self._parts:
            if compiled.part.channel == channel:
                text = self._render_part(compiled, values)
                if isinstance(text, RenderFailure):
                    return text
                fields[compiled.part.field] = text
        return fields

    def _render_part(self, compiled: _CompiledPart, values: dict[str, Any]) -> str | RenderFailure:
        if compiled.broken is not None:
            return compiled.broken
        for missing in compiled.required:
            if missing.variable not in values:
                return missing
        self._meter.start(one_line=compiled.part.is_one_line)
        text = _run(self._guarded, compiled, values)
        if isinstance(text, str) and SHOWN in text:
            return RenderFailure("operation", compiled.part.label, CONTAINER_PRINTED)
        return text


def _run(environment: Environment, compiled: _CompiledPart, variables: dict[str, Any]) -> str | RenderFailure:
    try:
        return environment.render_template(compiled.engine_name, **variables)
    except TemplateError as error:
        return _to_failure(error, compiled.part)
    except Unrenderable as error:
        return to_failure(error, compiled.part.label)
    except BaseException as error:
        if not _is_from_template(error):
            raise
        return _unexpected(error, compiled.part)


def _is_from_template(error: BaseException) -> bool:
    """Whether a template can have caused this: any Exception, or a panic of the engine (which is none)."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def to_failure(error: Unrenderable, label: str) -> RenderFailure:
    """What stopped a part from inside, as a failure of that part."""
    return RenderFailure(error.kind, label, error.detail)


def _unexpected(error: BaseException, part: Part) -> RenderFailure:
    if isinstance(error, AttributeError | TypeError):
        return RenderFailure("operation", part.label, "a value was called or used in a way its type has not")
    # After a panic the environment may be unusable; whoever gets `engine` forgets it.
    return RenderFailure("engine", part.label, f"the template engine raised {type(error).__name__}")


def _to_failure(error: TemplateError, part: Part) -> RenderFailure:
    kind = _KINDS.get(error.kind, "operation")
    line = error.line or 0
    if kind == "undefined":
        variable = _undefined_name(error, part.source)
        return _missing(part, variable, line)
    if kind == "too_much_work":
        return RenderFailure(kind, part.label, "it takes too many steps; loop over less", "", line)
    if kind == "syntax":
        # Nothing has been rendered yet, so the engine's words hold no values.
        return RenderFailure(kind, part.label, error.detail or "a syntax error", "", line)
    quoted = _quote(error, part.source)
    detail = (
        f"`{quoted}` does not work with this value" if quoted else "something does not work with this value"
    )
    return RenderFailure(kind, part.label, detail, "", line)


def _missing(part: Part, variable: str, line: int) -> RenderFailure:
    what = f"`{variable}`" if variable else "a variable"
    return RenderFailure("undefined", part.label, f"{what} is missing or null", variable, line)


def _undefined_name(error: TemplateError, source: str) -> str:
    """The missing variable as the template writes it; "" where the engine's words cannot be found in the template."""
    match = _UNDEFINED.fullmatch(error.detail or "")
    name = match.group(1) if match else ""
    return name if name in source and len(name) <= _MAX_QUOTED else ""


def _quote(error: TemplateError, source: str) -> str:
    """The piece of the template that the error points at."""
    if error.range is None:
        return ""
    start, end = error.range
    return source.encode()[start:end].decode(errors="ignore").strip()[:_MAX_QUOTED]
