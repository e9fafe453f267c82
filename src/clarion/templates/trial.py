"""A rendering with made-up variables, to be run where a crash does no harm."""

from __future__ import annotations

from typing import Any

from clarion.contracts.channels import Channel
from clarion.templates.catalog import make_version
from clarion.templates.engine import Workshop
from clarion.templates.model import RenderFailure, RenderItem, TemplateContent
from clarion.templates.parts import parts_of
from clarion.templates.render import Renderer

_TEXT = "Example"
_NUMBER = 3


def run_trial(content: TemplateContent, channel: Channel) -> RenderFailure | None:
    """Render one channel once with texts, once with numbers and once with lists for its variables; the worst failure.

    May take all memory and time there is, or end the process: that is what it is for.
    """
    version = make_version("trial", 0, content)
    variables = Workshop().compile(parts_of(content.channels)).variables()
    renderer = Renderer()
    worst: RenderFailure | None = None
    for leaf in (_TEXT, _NUMBER, [_TEXT, {"name": _TEXT}, _NUMBER]):
        made_up = made_up_variables(variables, leaf)
        (result,) = renderer.render_batch([RenderItem(b"", version, channel, made_up)])
        if isinstance(result, RenderFailure) and (worst is None or result.kind in _LIMITS):
            worst = result
    return worst


_LIMITS = frozenset(("too_much_work", "too_long", "engine"))


def made_up_variables(names: set[str], leaf: object) -> dict[str, Any]:
    """Nested maps in which each dotted name leads to `leaf` (or to a map, where longer names go on from it)."""
    root: dict[str, Any] = {}
    # The longest first: what is a map for one name cannot become a leaf for another.
    for name in sorted(names, key=lambda name: -name.count(".")):
        *path, last = name.split(".")
        here = root
        for key in path:
            here = here.setdefault(key, {})
        here.setdefault(last, leaf)
    return root
