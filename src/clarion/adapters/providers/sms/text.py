"""A message as a text: to whom, and what. What a vendor would refuse is refused here, with what to mend."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from clarion.adapters.providers.base import Unsendable
from clarion.delivery.model import Message
from clarion.delivery.sms_segments import size_sms

SMS_CONTENT: Final = frozenset({"body"})
"""What vendors of text messages carry."""

_E164: Final = re.compile(r"\+[1-9][0-9]{5,14}")


class Longest(msgspec.Struct, frozen=True):
    """The longest text that a vendor takes, in units of `sms_segments`: in the GSM alphabet, and in any other."""

    gsm7: int
    ucs2: int


def number_of(message: Message) -> str:
    """The addressee's number as `+` and digits. Raises Unsendable."""
    if _E164.fullmatch(message.to) is None:
        raise Unsendable("the number is not in E.164 form: + and 6 to 15 digits", "invalid_address")
    return message.to


def text_of(message: Message, longest: Longest) -> str:
    """What the message says. Raises Unsendable where it says nothing, or more than `longest`."""
    text = message.body
    if not text or text.isspace():
        raise Unsendable("the text message is empty", "no_content")
    size = size_sms(text)
    most = longest.gsm7 if size.encoding == "gsm7" else longest.ucs2
    if size.units > most:
        hint = "" if size.encoding == "gsm7" else " with characters outside the GSM alphabet"
        raise Unsendable(
            f"the text has {size.units} units, {size.segments} segments; shorten it to {most}{hint}",
            "too_large",
        )
    return text
