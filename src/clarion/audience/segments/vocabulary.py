"""The words of segments: what may be named in an expression, and of which type it is.

user.plan, plan              an attribute; a profile field wins over an attribute of its name
user.country, country        a profile field
features.churn_risk          what the intelligence computed; a name by itself means it where there is no attribute
context.cart_items           what the user is doing right now
events.purchase.count        how often; first_at and last_at, when
events.purchase.count_7d     how often in the last 7 days (1 to 30)
now, ago("7d")               instants
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from clarion.audience.cel import Call, Field, Fold, ListOf, Name, Node, children, refuse
from clarion.audience.cel import Literal as Constant
from clarion.audience.segments.conditions import TextField

Root: TypeAlias = Literal["user", "bare", "context", "features", "events", "now"]

TEXT_FIELDS: Final[dict[str, TextField]] = {
    "id": "id",
    "timezone": "timezone",
    "language": "language",
    "country": "country",
    "region": "region",
    "preferred_channel": "preferred_channel",
}
ADDRESSES: Final = {"email": "email", "phone": "sms"}
"""Sealed fields, and the channel that tells whether one is set."""

CHANNELS_FIELD: Final = "channels"
CREATED_FIELD: Final = "created_at"
PROFILE: Final = frozenset({*TEXT_FIELDS, *ADDRESSES, CHANNELS_FIELD, CREATED_FIELD})
COUNT: Final = "count"
TIMES: Final = frozenset({"first_at", "last_at"})
MEASURES: Final = (COUNT, "count_7d (1 to 30 days)", "first_at", "last_at")

MERGED: Final = "__bare"
"""Under this name an expression that is evaluated finds what bare names mean."""

_ROOTS: Final = frozenset({"user", "context", "features", "events"})
_WINDOW: Final = re.compile(r"count_([1-9]|[12][0-9]|30)d")
DAY_MS: Final = 86_400_000
_SPAN: Final = re.compile(r"(\d{1,6})(s|m|h|d|w)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Ref(msgspec.Struct, frozen=True):
    """What a name means: where it is found, and its path there. `bare`: an attribute, or else a feature."""

    root: Root
    path: tuple[str, ...]

    @property
    def is_attribute(self) -> bool:
        """Whether a tenant's own attribute is meant, and nothing else."""
        return self.root == "user" and self.path[0] not in PROFILE

    def __str__(self) -> str:
        """As a tenant would write it."""
        return ".".join(self.path if self.root == "bare" else (self.root, *self.path))


def find_ref(node: Node, bound: frozenset[str], text: str) -> Ref | None:
    """What a node names; None where it is no name, or one of `bound`. Raises Invalid on a name that means nothing."""
    path: list[str] = []
    below = node
    while not isinstance(below, Name):
        match below:
            case Field(of=of, name=name):
                path.append(name)
                below = of
            case Call(function="_[_]", args=(of, Constant(value=str(name)))):
                path.append(name)
                below = of
            case _:
                return None
    path.reverse()
    root = below.name.removeprefix(".")
    if root in bound:
        return None
    if root == "now":
        return Ref("now", ())
    if root not in _ROOTS:
        path.insert(0, root)
        root = "user" if path[0] in PROFILE else "bare"
    return _settle(root, tuple(path), node, text)


def _settle(root: str, path: tuple[str, ...], node: Node, text: str) -> Ref:
    match root:
        case "events":
            asks_ever = isinstance(node, Field) and node.test and len(path) == 1
            if not asks_ever and (len(path) != 2 or not _is_measure(path[1])):  # noqa: PLR2004  name and measure
                name = path[0] if path else "purchase"
                detail = f"of an event there is {', '.join(MEASURES)}: write events.{name}.count > 0"
                raise refuse(text, node.at, detail)
            return Ref("events", path)
        case "user" | "context" | "features" if not path:
            raise refuse(text, node.at, f"{root} is no value: name one of its fields, such as {root}.plan")
        case "user":
            if path[0] in PROFILE and len(path) > 1:
                raise refuse(text, node.at, f"user.{path[0]} has no fields")
            return Ref("user", path)
        case "context":
            return Ref("context", path)
        case "features":
            return Ref("features", path)
        case _:
            return Ref("bare", path)


def window_ms(measure: str) -> int | None:
    """How far back a count goes (ms); 0: to the first; None: it is no count."""
    if measure == COUNT:
        return 0
    found = _WINDOW.fullmatch(measure)
    return None if found is None else int(found[1]) * DAY_MS


def _is_measure(name: str) -> bool:
    return name in TIMES or window_ms(name) is not None


def list_refs(node: Node, text: str, bound: frozenset[str] = frozenset()) -> set[Ref]:
    """Everything that a tree names."""
    ref = find_ref(node, bound, text)
    if ref is not None:
        return {ref}
    if isinstance(node, Fold):
        inside = bound | {node.variable, node.result_name}
        parts = (node.start, node.go_on, node.step, node.result)
        found = list_refs(node.over, text, bound)
        return found.union(*(list_refs(part, text, inside) for part in parts))
    return set[Ref]().union(*(list_refs(child, text, bound) for child in children(node)))


def spell_out(node: Node, text: str, bound: frozenset[str] = frozenset()) -> Node:
    """The tree in the engine's own words: bare names looked up, times read from their text, `ago` counted from now."""
    ref = find_ref(node, bound, text)
    if ref is not None:
        return _spell_ref(node, ref)
    match node:
        case Call(function="ago", args=(span,), target=None, at=at):
            back = Call("duration", (Constant(f"{_read_span(span, text)}s", at),), None, at)
            spelled = Call("_-_", (Call("timestamp", (Name("now"),)), back), None, at)
        case Call(target=target, args=args):
            spelled = replace(
                node,
                target=None if target is None else spell_out(target, text, bound),
                args=tuple(spell_out(arg, text, bound) for arg in args),
            )
        case Field(of=of):
            spelled = replace(node, of=spell_out(of, text, bound))
        case Fold():
            inside = bound | {node.variable, node.result_name}
            spelled = replace(
                node,
                over=spell_out(node.over, text, bound),
                start=spell_out(node.start, text, inside),
                go_on=spell_out(node.go_on, text, inside),
                step=spell_out(node.step, text, inside),
                result=spell_out(node.result, text, inside),
            )
        case ListOf(items=items):
            spelled = replace(node, items=tuple(spell_out(item, text, bound) for item in items))
        case _:
            spelled = node
    return spelled


def is_time(ref: Ref) -> bool:
    """Whether the name stands for an instant."""
    match ref.root:
        case "now":
            return True
        case "events":
            return len(ref.path) > 1 and ref.path[1] in TIMES
        case _:
            return ref == Ref("user", (CREATED_FIELD,))


def _spell_ref(node: Node, ref: Ref) -> Node:
    asks = isinstance(node, Field) and node.test
    if ref.root == "events" and len(ref.path) == 1:
        # The data has a count of every event that is named, 0 among them: that the key is there says nothing.
        return Call("_>_", (Field(Field(Name("events"), ref.path[0]), "count"), Constant(0)), None, node.at)
    place = node
    if ref.root == "bare" or (ref.root == "user" and ref.path[0] in PROFILE):
        place = Name(MERGED if ref.root == "bare" else "user")
        for name in ref.path:
            place = Field(place, name, at=node.at)
        if asks and isinstance(place, Field):
            place = replace(place, test=True)
    return Call("timestamp", (place,), None, node.at) if is_time(ref) and not asks else place


def _read_span(node: Node, text: str) -> int:
    if isinstance(node, Constant) and isinstance(node.value, str):
        found = _SPAN.fullmatch(node.value)
        if found is not None:
            return int(found[1]) * _SECONDS[found[2]]
    raise refuse(text, node.at, 'ago() takes a span such as "30m", "12h", "7d" or "2w"')
