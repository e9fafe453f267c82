"""Templates: catalogue and rendering."""

from __future__ import annotations

from clarion.templates.inline import inline_channels, inline_content
from clarion.templates.variables import build_variables

__all__ = [
    "build_variables",
    "inline_channels",
    "inline_content",
]
