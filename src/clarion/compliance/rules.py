"""Which rule, if any, forbids a message: the rule ids, and what a user's own word allows.

What may stop a message, by the class of its category (`reliability.md`, 6.2: mixed content is marketing):

    =====================  =================  ===============  ===============  ===========  ====================
    class                  suppressed         denial recorded  grant missing    preference   quiet hours and caps
    =====================  =================  ===============  ===============  ===========  ====================
    ``marketing``          stops              stops            stops            stops        apply
    ``service``            stops              stops            passes           stops        apply
    ``transactional``      stops              passes           passes           by name [1]  skipped
    ... named `security`   stops, SMS passes  passes           passes           by name [1]  skipped
                           [2]
    =====================  =================  ===============  ===============  ===========  ====================

[1] A user who switches a channel off for "everything" (`*`) means what she is told unasked, not her receipts and
    codes; one who names the category means it.
[2] A suppressed e-mail address bounced or complained, a suppressed push token is dead: nothing sent there arrives. A
    suppressed number answered STOP, which a one-time code that she asks for this minute does not offend. Receipts do.

A denial or suppression only ever forbids: none of them frees a message that would otherwise be stopped, and a grant
for a category does not lift a denial of all (`*`). Asked twice with the same answer: when deciding (from the card, all
channels at once) and right before the call to the provider (from Postgres).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from clarion.compliance.model import ANY_CATEGORY, ConsentState
from clarion.contracts.channels import CHANNEL_INDEX, CHANNELS
from clarion.tenancy.model import CategoryClass

SECURITY: Final = "security"
"""The category of one-time codes, which the user herself asks for."""

_ALL: Final = (1 << len(CHANNELS)) - 1
_SMS: Final = 1 << CHANNEL_INDEX["sms"]


class Rule(StrEnum):
    """Why a channel was not taken, or not yet. Where several hold, the first in this order is told."""

    NOT_REQUESTED = "not_requested"
    CATEGORY_CHANNEL = "category_channel"
    UNREACHABLE = "unreachable"
    TEMPLATE_CHANNEL_MISSING = "template_channel_missing"
    SUPPRESSED = "suppressed"
    CONSENT_DENIED = "consent_denied"
    CONSENT_MISSING = "consent_missing"
    PREFERENCE = "preference"
    QUOTA = "quota"
    BUDGET = "budget"
    EXPIRY = "expiry"
    QUIET_HOURS = "quiet_hours"
    FREQUENCY_CAP = "frequency_cap"
    LOWER_SCORE = "lower_score"
    EXPLORED = "explored"


EXPLANATIONS: Final[dict[Rule, str]] = {
    Rule.NOT_REQUESTED: "The request names its channels, and this is none of them.",
    Rule.CATEGORY_CHANNEL: "The category is not allowed to use this channel.",
    Rule.UNREACHABLE: "The user has no address on this channel.",
    Rule.TEMPLATE_CHANNEL_MISSING: "The template has no part for this channel.",
    Rule.SUPPRESSED: "The address bounced or complained, the token is dead, or the user answered STOP.",
    Rule.CONSENT_DENIED: "The user refused messages of this category on this channel.",
    Rule.CONSENT_MISSING: "Marketing needs the user's consent, and none is recorded.",
    Rule.PREFERENCE: "The user switched this channel off for the category.",
    Rule.QUOTA: "The providers of this channel take no more messages for now.",
    Rule.BUDGET: "A message on this channel costs more than the budget has left.",
    Rule.EXPIRY: "The message expires before it may be sent.",
    Rule.QUIET_HOURS: "It is quiet time where the user lives.",
    Rule.FREQUENCY_CAP: "The user already got as many messages of the category as a day allows.",
    Rule.LOWER_SCORE: "Another channel or hour is more likely to reach the user.",
    Rule.EXPLORED: "Another channel or hour was tried, so that it becomes known what reaches people.",
}
"""One sentence a rule, for answers, the console and the documentation."""


def refusals(category_class: CategoryClass, category: str, consent: ConsentState) -> tuple[int, int, int]:
    """Masks of the channels that `consent` takes from messages of a category, by the rule that does (see the table).

    In order: `SUPPRESSED`, `CONSENT_DENIED`, `CONSENT_MISSING`. A channel may be in several.
    """
    if category_class == "transactional":
        exempt = _SMS if category == SECURITY else 0
        return consent.suppressed & ~exempt, 0, 0
    denied = consent.denied.get(category, 0) | consent.denied.get(ANY_CATEGORY, 0)
    if category_class == "service":
        return consent.suppressed, denied, 0
    granted = consent.granted.get(category, 0) | consent.granted.get(ANY_CATEGORY, 0)
    return consent.suppressed, denied, _ALL & ~granted


def permit(category_class: CategoryClass, category: str, channel: str, consent: ConsentState) -> str:
    """The id of the rule that forbids this message on this channel, or "" where consent has nothing against it."""
    bit = 1 << CHANNEL_INDEX[channel]
    suppressed, denied, missing = refusals(category_class, category, consent)
    if suppressed & bit:
        return Rule.SUPPRESSED
    if denied & bit:
        return Rule.CONSENT_DENIED
    return Rule.CONSENT_MISSING if missing & bit else ""


def switched_off(category_class: CategoryClass, category: str, preferences: dict[str, int]) -> int:
    """Mask of the channels that a user's preferences (mask by category or `*`) take from a message of a category."""
    off = preferences.get(category, 0)
    return off if category_class == "transactional" else off | preferences.get(ANY_CATEGORY, 0)
