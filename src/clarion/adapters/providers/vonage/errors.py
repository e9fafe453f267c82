"""Vonage's errors in our words: the SMS API's statuses, the Messages API's titles, and both APIs' delivery errors."""

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

_PAUSE_S: Final = 1.0

SMS_STATUSES: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "1": too_fast("vonage_1", "Vonage SMS 1: faster than the account may send", _PAUSE_S),
        "2": content_refused("vonage_2", "Vonage SMS 2: a parameter is missing"),
        "3": content_refused("vonage_3", "Vonage SMS 3: a parameter is not valid"),
        "4": account_refused("Vonage SMS 4: the API key or secret is wrong"),
        "5": try_later("vonage_5", "Vonage SMS 5: an error within Vonage"),
        "6": addressee_refused("6", "Vonage SMS 6: the number has no known prefix"),
        "7": addressee_refused("7", "Vonage SMS 7: the number is barred"),
        "8": account_refused("Vonage SMS 8: the account is suspended"),
        "9": account_refused("Vonage SMS 9: the account has no credit"),
        "10": too_fast("vonage_10", "Vonage SMS 10: too many connections", _PAUSE_S),
        "11": account_refused("Vonage SMS 11: the account may not use this interface"),
        "12": content_refused("too_large", "Vonage SMS 12: the text is too long"),
        "14": account_refused("Vonage SMS 14: the signature is wrong"),
        "15": content_refused("vonage_15", "Vonage SMS 15: `from` may not be used towards this country"),
        "22": addressee_refused("22", "Vonage SMS 22: the network code is not valid"),
        "23": account_refused("Vonage SMS 23: the callback address is not valid"),
        "29": addressee_refused("29", "Vonage SMS 29: a trial account sends to listed numbers only"),
    }
)

MESSAGES_ERRORS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "1000": too_fast("vonage_1000", "Vonage 1000: faster than the account may send", _PAUSE_S),
        "1021": content_refused("vonage_1021", "Vonage 1021: a tag is not valid"),
        "1030": try_later("vonage_1030", "Vonage 1030: an error within Vonage"),
        "1040": addressee_refused("1040", "Vonage 1040: the number has no known prefix"),
        "1050": addressee_refused("1050", "Vonage 1050: the number is barred"),
        "1060": account_refused("Vonage 1060: the account is suspended"),
        "1070": account_refused("Vonage 1070: the account has no credit"),
        "1080": account_refused("Vonage 1080: the account may not use this interface"),
        "1090": content_refused("too_large", "Vonage 1090: the message is too long"),
        "1100": try_later("vonage_1100", "Vonage 1100: an error between Vonage's systems"),
        "1110": account_refused("Vonage 1110: the signature is wrong"),
        "1120": content_refused("vonage_1120", "Vonage 1120: `from` may not be used towards this country"),
        "1140": account_refused("Vonage 1140: the account may not send like this"),
        "1160": addressee_refused("1160", "Vonage 1160: a trial account sends to listed numbers only"),
        "1170": addressee_refused("1170", "Vonage 1170: the number is not valid"),
        "1190": addressee_refused("1190", "Vonage 1190: the number is no longer active"),
        "1240": addressee_refused("1240", "Vonage 1240: the addressee has opted out"),
        "1241": too_fast("vonage_1241", "Vonage 1241: too many messages to one number", _PAUSE_S),
    }
)
"""By the code at the end of a problem's `type`.

Those that are not here go by their HTTP status, such as 1010: Vonage's list has it as a parameter that is missing, its
specification as the 429 of an account that is too fast.
"""

DEAD_NUMBERS: Final = frozenset({"3", "1170", "1190"})
"""Errors of a delivery report that say that there is no such subscriber: the SMS API's, and the Messages API's."""

OPTED_OUT: Final = frozenset({"4", "9", "1240"})
"""Errors of a delivery report that say that the addressee wants no messages: barred by her, or she has said STOP."""
