"""Text messages that come to a number at Twilio, and TwiML that answers them.

Twilio confirms the standard keywords itself, and blocks the number at STOP; with Advanced Opt-Out it says in
`OptOutType` what it took a text for.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from types import MappingProxyType
from typing import Any, Final, Literal

from clarion.adapters.providers.sms.webhook import text_field
from clarion.adapters.providers.webhooks import Inbound

_TYPES: Final[Mapping[str, Literal["stop", "start", "help"]]] = MappingProxyType(
    {"STOP": "stop", "START": "start", "HELP": "help"}
)

_CONFIRMED: Final = frozenset(
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
    | {"START", "YES", "UNSTOP", "HELP", "INFO"}
)
"""Words that Twilio answers without being asked to."""


def read_inbound(fields: Mapping[str, Any], sid: str) -> Inbound:
    """The text message of a call."""
    text = text_field(fields, "Body")
    intent = _TYPES.get(text_field(fields, "OptOutType").upper())
    is_answered = intent is not None or text.strip().upper() in _CONFIRMED
    return Inbound(text_field(fields, "From"), text_field(fields, "To"), text, sid, intent, is_answered)


def answer_twilio(inbound: Inbound, text: str) -> bytes:
    """`TextAnswer`."""
    del inbound
    message = f"<Message>{escape(text)}</Message>" if text else ""
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>'.encode()
