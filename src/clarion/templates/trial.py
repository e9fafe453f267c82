"""Renderings with made-up variables, to be run where a crash does no harm."""

from __future__ import annotations

from typing import Any

import msgspec

from clarion.contracts.channels import Channel
from clarion.templates.engine import Workshop
from clarion.templates.model import RenderFailure, RenderItem, TemplateContent, TemplateVersion
from clarion.templates.parts import parts_of
from clarion.templates.render import Renderer

_TEXT = "Example"
_NUMBER = 3
_LIMITS = frozenset(("too_much_work", "too_long", "engine"))


def run_trial(content: TemplateContent, channel: Channel) -> RenderFailure | None:
    """Render one channel, in each language, with texts, numbers and lists for its variables; the worst failure.

    Each language is complete in `content`: partials are put in. May take all memory and time there is, or end the
    process: that is what it is for.
    """
    worst: RenderFailure | None = None
    tried: list[object] = []
    for locale, said in [("", content.channels), *content.locales.items()]:
        parts = getattr(said, channel)
        if parts is None or parts in tried:
            continue
        tried.append(parts)
        failure = _try_parts(TemplateContent(content.category, said), channel)
        if failure is not None and (worst is None or failure.kind in _LIMITS):
            detail = f"in `{locale}`: {failure.detail}" if locale else failure.detail
            worst = msgspec.structs.replace(failure, detail=detail)
    return worst


def _try_parts(content: TemplateContent, channel: Channel) -> RenderFailure | None:
    version = TemplateVersion("trial", 0, content, 0, uses_context=False)
    variables = Workshop().compile(parts_of(content.channels)).variables()
    renderer = Renderer()
    worst: RenderFailure | None = None
    for leaf in (_TEXT, _NUMBER, [_TEXT, {"name": _TEXT}, _NUMBER]):
        made_up = made_up_variables(variables, leaf)
        (result,) = renderer.render_batch([RenderItem(b"", version, channel, made_up)])
        if isinstance(result, RenderFailure) and (worst is None or result.kind in _LIMITS):
            worst = result
    return worst


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
