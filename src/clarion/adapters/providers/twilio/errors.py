"""Twilio's error codes in our words. Twilio keeps splitting them: those that are not here go by their HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from clarion.adapters.providers.sms.meaning import (
    Meaning,
    account_refused,
    addressee_refused,
    content_refused,
    too_fast,
    try_later,
)

OPTED_OUT: Final = 21610
"""The addressee answered STOP to this sender."""

_QUEUE_FULL_S: Final = 60.0
_DAY_FULL_S: Final = 3600.0

ERRORS: Final[Mapping[int, Meaning]] = MappingProxyType(
    {
        10001: account_refused("Twilio 10001: the account is not active"),
        20003: account_refused("Twilio 20003: the account's SID, token or API key is wrong"),
        20005: account_refused("Twilio 20005: the account is not active"),
        20006: account_refused("Twilio 20006: the API key may not send messages"),
        20404: account_refused("Twilio 20404: there is no such account"),
        20104: account_refused("Twilio 20104: the access token has expired"),
        21212: account_refused("Twilio 21212: `from` is no valid sender"),
        21603: account_refused("Twilio 21603: a sender is missing"),
        21606: account_refused(
            "Twilio 21606: `from` is no number of this account that can send text messages"
        ),
        21659: account_refused("Twilio 21659: `from` is no number or short code of Twilio"),
        21660: account_refused("Twilio 21660: `from` belongs to another account"),
        21703: account_refused("Twilio 21703: the messaging service has no sender for text messages"),
        21705: account_refused("Twilio 21705: the messaging service does not exist"),
        20429: too_fast("twilio_20429", "Twilio 20429: too many requests at a time", 1.0),
        14107: too_fast("twilio_14107", "Twilio 14107: the sender's rate is exceeded", 1.0),
        21611: too_fast("twilio_21611", "Twilio 21611: the sender's queue is full", _QUEUE_FULL_S),
        30001: too_fast("twilio_30001", "Twilio 30001: the queue overflowed", _QUEUE_FULL_S),
        63038: too_fast(
            "twilio_63038", "Twilio 63038: the account's messages of the day are used up", _DAY_FULL_S
        ),
        20500: try_later("twilio_20500", "Twilio 20500: an error within Twilio"),
        20503: try_later("twilio_20503", "Twilio 20503: Twilio is not available"),
        30008: try_later("twilio_30008", "Twilio 30008: an unknown error"),
        21211: addressee_refused("21211", "Twilio 21211: the number is not valid"),
        21214: addressee_refused("21214", "Twilio 21214: the number cannot be reached"),
        21217: addressee_refused("21217", "Twilio 21217: the number is not valid"),
        21608: addressee_refused("21608", "Twilio 21608: a trial account sends to verified numbers only"),
        OPTED_OUT: addressee_refused("21610", "Twilio 21610: the addressee has opted out of this sender"),
        21612: addressee_refused("21612", "Twilio 21612: this sender has no way to the number"),
        21614: addressee_refused("21614", "Twilio 21614: the number is no mobile number"),
        30003: addressee_refused("30003", "Twilio 30003: the handset cannot be reached"),
        30004: addressee_refused("30004", "Twilio 30004: the message is blocked"),
        30005: addressee_refused("30005", "Twilio 30005: the handset is unknown"),
        30006: addressee_refused("30006", "Twilio 30006: a landline, or a carrier that cannot be reached"),
        21408: content_refused("twilio_21408", "Twilio 21408: the account may not send to this country"),
        21602: content_refused("no_content", "Twilio 21602: the text is missing"),
        21605: content_refused("too_large", "Twilio 21605: the text is too long"),
        21617: content_refused("too_large", "Twilio 21617: the text has more than 1600 characters"),
        30007: content_refused("twilio_30007", "Twilio 30007: a carrier filtered the message"),
    }
)
