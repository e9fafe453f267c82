"""The rules, asked about one message: whether it may go now, when it may, or that it never may.

`decide` asks the same of whole batches, by mask; this is the same answer in the plainest form, for explanations and for
those who check the rules. Pure: the same facts give the same verdict.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from clarion.compliance import quiet_hours
from clarion.compliance.jurisdictions import Places
from clarion.compliance.model import NO_CONSENT, ConsentState
from clarion.compliance.opening_hours import closed_by, first_open_ms
from clarion.compliance.quiet_hours import Windows
from clarion.compliance.rulebook import Capped, Rulebook, Terms, refuses
from clarion.compliance.rules import Rule
from clarion.contracts.channels import CHANNEL_INDEX
from clarion.kernel.local_time import HOUR_MS
from clarion.tenancy.model import Category, ComplianceSettings

_ROUNDS: Final = 64
"""Hours, quiet hours and caps move a message on twice a day at most: what finds no minute in a month never will."""


class Facts(msgspec.Struct, frozen=True):
    """What is known of one user and her tenant.

    `quiet`: the tenant's and her own quiet hours, on the clock of `quiet_zone`. `sent_ms`: when she was sent messages
    of the category on this channel, lately (UTC ms, in any order).
    """

    places: Places
    consent: ConsentState = NO_CONSENT
    settings: ComplianceSettings = ComplianceSettings()
    quiet: Windows = ()
    quiet_zone: str = "UTC"
    sent_ms: tuple[int, ...] = ()


class Allow(msgspec.Struct, frozen=True, tag=True):
    """It may go now."""


class Defer(msgspec.Struct, frozen=True, tag=True):
    """It may go at `until_ms` (UTC ms, after the instant asked about) and not before, by `rule_id` of the table.

    "" stands for what is no law: the quiet hours of the tenant or of the user.
    """

    until_ms: int
    reason: Rule
    rule_id: str


class Block(msgspec.Struct, frozen=True, tag=True):
    """It may not go at all, by `rule_id` of the table: her word forbids it, or no hour suits all who have a say."""

    reason: Rule
    rule_id: str


Verdict: TypeAlias = Allow | Defer | Block


def decide_one(now_ms: int, facts: Facts, channel: str, category: Category, rulebook: Rulebook) -> Verdict:
    """What the rules in force at `now_ms` (UTC) say of one message of a category on a channel.

    Where it defers, the same facts at that instant allow. More suppressions, refusals and places never loosen it.
    """
    at_ms, cause = now_ms, (Rule.QUIET_HOURS, "")
    for _ in range(_ROUNDS):
        # Asked anew at each instant: another rule may come into force while a message waits.
        law = rulebook.law(facts.places, category, facts.settings, at_ms)
        refusal = refuses(law, channel, category.name, facts.consent)
        if refusal is not None:
            return Block(refusal.reason, refusal.rule_id)
        terms = law.terms[CHANNEL_INDEX[channel]]
        quiet = () if category.class_ == "transactional" else facts.quiet
        next_ms = _next_ms(at_ms, facts, terms, quiet)
        if next_ms == at_ms:
            return Allow() if at_ms == now_ms else Defer(at_ms, *cause)
        if at_ms == now_ms:
            cause = _cause(now_ms, facts, terms, quiet)
        if next_ms is None:
            break
        at_ms = next_ms
    return Block(*cause)


def _next_ms(at_ms: int, facts: Facts, terms: Terms, quiet: Windows) -> int | None:
    """`at_ms` where nothing stands in its way; else a later instant to look at, None where there is none."""
    freed_ms = max((_freed_ms(at_ms, facts.sent_ms, capped) for capped in terms.caps), default=at_ms)
    open_ms = first_open_ms(terms.hours, facts.places.zones, freed_ms)
    return None if open_ms is None else quiet_hours.first_allowed_ms(facts.quiet_zone, open_ms, quiet)


def _freed_ms(at_ms: int, sent_ms: tuple[int, ...], capped: Capped) -> int:
    """From when on, `at_ms` at the earliest, a cap leaves room for one more."""
    span_ms = capped.cap.hours * HOUR_MS
    counted = sorted((sent for sent in sent_ms if at_ms - span_ms < sent <= at_ms), reverse=True)
    return at_ms if len(counted) < capped.cap.count else counted[capped.cap.count - 1] + span_ms


def _cause(now_ms: int, facts: Facts, terms: Terms, quiet: Windows) -> tuple[Rule, str]:
    """What stands in the way at this instant; what is told first comes first, as in `Rule`."""
    closing = closed_by(terms.opening, facts.places.zones, now_ms)
    if closing:
        return Rule.QUIET_HOURS, closing
    if quiet_hours.is_quiet(facts.quiet_zone, now_ms, quiet):
        return Rule.QUIET_HOURS, ""
    capped = next((c for c in terms.caps if _freed_ms(now_ms, facts.sent_ms, c) > now_ms), None)
    return Rule.FREQUENCY_CAP, "" if capped is None else capped.rule_id
