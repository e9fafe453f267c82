"""Text messages that come to a number at Plivo, and the XML that answers them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from clarion.adapters.providers.sms.webhook import number_from, text_field
from clarion.adapters.providers.webhooks import Inbound


def read_inbound(fields: Mapping[str, Any]) -> Inbound:
    """The text message of a call."""
    return Inbound(
        number_from(text_field(fields, "From")),
        number_from(text_field(fields, "To")),
        text_field(fields, "Text"),
        text_field(fields, "MessageUUID"),
    )


def answer_plivo(inbound: Inbound, text: str) -> bytes:
    """`TextAnswer`: from the number that she wrote to, to hers."""
    src, dst = escape(inbound.recipient), escape(inbound.sender)
    message = f'<Message src="{src}" dst="{dst}">{escape(text)}</Message>' if text else ""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>'.encode()
