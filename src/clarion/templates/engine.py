"""The one place that knows MiniJinja: compiling a template's parts and rendering one of them.

`str(TemplateError)` shows the values of the variables around the error. What leaves this module names kinds, lines, and
text of the template, never a value, and no engine's error is chained to it.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from minijinja import Environment, TemplateError

from clarion.contracts.channels import CHANNELS, Channel
from clarion.templates.css import needs_inlining
from clarion.templates.errors import Unrenderable
from clarion.templates.filters import is_map, make_range, own_filters
from clarion.templates.language import FUNCTIONS, REMOVED_FILTERS, REMOVED_FUNCTIONS, sweeps_lists
from clarion.templates.markup import may_hold_script_link
from clarion.templates.meter import CONTAINER_PRINTED, Meter, make_finalizer
from clarion.templates.model import FailureKind, RenderFailure
from clarion.templates.parts import Part
from clarion.templates.syntax import Tag, free_names, longest_repeated_text, read_source, tags_of
from clarion.templates.unguarded import may_go_unguarded, shows_container
from clarion.templates.values import MAP_METHODS, SHOWN, BadValueError, Extent, PlainTest, freeze

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

PART_SEPARATOR: Final = "\x1e"
"""Stands between the parts of a joined source. No source and no plain variable has a control character."""

_UNDEFINED: Final = re.compile(r"`(.+)` is undefined")
_MAX_QUOTED: Final = 80
"""Characters of the template that a failure quotes."""

_KINDS: Final[dict[str, FailureKind]] = {
    "UndefinedError": "undefined",
    "OutOfFuel": "too_much_work",
    "SyntaxError": "syntax",
    "BadEscape": "syntax",
}


class _Tools(msgspec.Struct, frozen=True):
    """What the compiled templates of one workshop share."""

    meter: Meter
    plain_test: PlainTest


class Workshop:
    """Makes compiled templates that share a meter, and so can only be rendered one at a time, in one thread."""

    def __init__(self) -> None:
        self._tools = _Tools(Meter(), PlainTest())
        self._filters = own_filters(self._tools.meter)
        self._finalizer = make_finalizer(self._tools.meter)
        self._range = make_range(self._tools.meter)

    def compile(self, parts: list[Part]) -> CompiledTemplate:
        """Compile parts. A part with a syntax error is not compiled: `CompiledTemplate.broken` tells what it is.

        Raises Invalid for a source that must not reach the engine. Trusts the rest: see `check_template`.
        """
        guarded = self._environment()
        guarded.finalizer = self._finalizer
        return CompiledTemplate(parts, self._environment(), guarded, self._tools)

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
    """One version of a template, ready to render.

    `has_risky_links`: a link may begin with a request's variable. `inlines_styles`: see `css.inline_after`.
    """

    def __init__(self, parts: list[Part], plain: Environment, guarded: Environment, tools: _Tools) -> None:
        self._plain = plain
        self._guarded = guarded
        self._meter = tools.meter
        self._plain_test = tools.plain_test
        self._fuel = FUEL
        self._set_fuel = 0
        self._sweeps = False
        self._parts = [self._add(part) for part in parts]
        self._names = tuple(frozenset[str]().union(*(compiled.names for compiled in self._parts)))
        self.inlines_styles = any(part.is_html and needs_inlining(part.source) for part in parts)
        self.has_risky_links = any(part.is_html and may_hold_script_link(part.source) for part in parts)
        self._joined = {channel: self._add_joined(channel) for channel in CHANNELS}
        self.size = sum(len(part.source) for part in parts)
        self._plain.fuel = self._fuel

    def _add(self, part: Part) -> _CompiledPart:
        # The engine escapes by the name's ending. `/` keeps a data key such as `x.html` from looking like one.
        engine_name = f"{part.path}/html.html" if part.is_html else f"{part.path}/plain.txt"
        pieces = read_source(part.source, part.path)
        try:
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
        unguarded = not (required or sweeps or PART_SEPARATOR in part.source) and may_go_unguarded(pieces)
        return _CompiledPart(part, engine_name, names, required, unguarded=unguarded)

    def _required(self, part: Part, engine_name: str, tags: list[Tag]) -> tuple[RenderFailure, ...]:
        roots = {name.partition(".")[0] for name in self._variables_of(engine_name)}
        return tuple(
            _missing(part, name, next(tag.line for tag in tags if name in tag.tokens))
            for name in sorted(roots & MAP_METHODS)
        )

    def _variables_of(self, engine_name: str) -> set[str]:
        return self._guarded.undeclared_variables_in_template(engine_name, nested=True) - FUNCTIONS

    @property
    def broken(self) -> list[tuple[Part, RenderFailure]]:
        """The parts that the engine could not compile, with what it says."""
        return [(compiled.part, compiled.broken) for compiled in self._parts if compiled.broken is not None]

    def may_read(self, name: str) -> bool:
        """Whether a top-level name stands in one of the parts; it may be something else there than a variable."""
        return name in self._names

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

    def _add_joined(self, channel: Channel) -> tuple[str, ...]:
        """Make one source of a channel's parts, if all may go unguarded; the fields, in its order. Else nothing.

        Each call of the engine costs as much as four variables, and most messages have two or three parts.
        """
        parts = [compiled for compiled in self._parts if compiled.part.channel == channel]
        if not all(compiled.unguarded for compiled in parts):
            return ()
        try:
            self._plain.add_template(channel, PART_SEPARATOR.join(_to_joinable(each.part) for each in parts))
        except TemplateError:
            return ()
        return tuple(compiled.part.field for compiled in parts)

    def render(self, channel: Channel, variables: dict[str, Any]) -> dict[str, str] | RenderFailure:
        """The text of each part of a channel by field, or the first failure. Never raises for what a template does."""
        needed = {name: value for name in self._names if (value := variables.get(name)) is not None}
        fields = self._joined[channel]
        if fields and self._plain_test.passes(needed):
            self._meter.start(one_line=False)
            try:
                text = self._plain.render_template(channel, **needed)
            except BaseException as error:
                if not _is_from_template(error):
                    raise
            else:
                if not shows_container(text):
                    return _split(text, fields)
        # Also where something went wrong above: what it was, comes out here.
        return self._render_guarded(channel, needed)

    def _render_guarded(self, channel: Channel, variables: dict[str, Any]) -> dict[str, str] | RenderFailure:
        extent = Extent()
        try:
            # The outermost map is made by the engine, and has methods after all: see `required`.
            frozen = {name: freeze(value, extent) for name, value in variables.items()}
        except (BadValueError, RecursionError) as error:
            return RenderFailure("bad_value", channel, f"the variables hold no plain JSON: {error}")
        self._limit_fuel(extent)
        fields: dict[str, str] = {}
        for compiled in self._parts:
            if compiled.part.channel == channel:
                text = self._render_part(compiled, frozen)
                if isinstance(text, RenderFailure):
                    return text
                fields[compiled.part.field] = text
        return fields

    def _render_part(self, compiled: _CompiledPart, variables: dict[str, Any]) -> str | RenderFailure:
        if compiled.broken is not None:
            return compiled.broken
        for missing in compiled.required:
            if missing.variable not in variables:
                return missing
        self._meter.start(one_line=compiled.part.is_one_line)
        text = _run(self._guarded, compiled, variables)
        if isinstance(text, str) and SHOWN in text:
            return RenderFailure("operation", compiled.part.label, CONTAINER_PRINTED)
        return text


def _to_joinable(part: Part) -> str:
    # At its end, the engine leaves out a source's last line feed.
    source = part.source.removesuffix("\n").removesuffix("\r")
    return f"{{% autoescape true %}}{source}{{% endautoescape %}}" if part.is_html else source


def _split(text: str, fields: tuple[str, ...]) -> dict[str, str]:
    """The parts of a joined text by field. `str.split` takes ten times as long: it looks at each character."""
    parts: dict[str, str] = {}
    for field in fields:
        parts[field], _, text = text.partition(PART_SEPARATOR)
    return parts


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
