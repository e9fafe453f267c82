"""Requests without a template: their `data` is the message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from clarion.contracts.channels import mask_of
from clarion.templates.model import InlineContent

_EMAIL: Final = mask_of(["email"])
_PUSH: Final = mask_of(["push"])
_SMS: Final = mask_of(["sms"])


def inline_content(data: Mapping[str, Any]) -> InlineContent:
    """The message that `data` carries. Fields that are no text, or blank, count as missing."""
    return InlineContent(
        _text(data, "subject"),
        _text(data, "html"),
        _text(data, "text"),
        _text(data, "title"),
        _text(data, "body"),
    )


def inline_channels(data: Mapping[str, Any]) -> int:
    """Mask of the channels that `data` says enough for; 0: none.

    An e-mail needs `subject` with `html`, `text` or `body`; a push message `title` or `body`; a text message `body`.
    """
    body = _text(data, "body")
    mask = _PUSH | _SMS if body else 0
    if not body and _text(data, "title"):
        mask |= _PUSH
    if _text(data, "subject") and (body or _text(data, "html") or _text(data, "text")):
        mask |= _EMAIL
    return mask


def _text(data: Mapping[str, Any], field: str) -> str:
    value = data.get(field)
    return value if isinstance(value, str) and not value.isspace() else ""
