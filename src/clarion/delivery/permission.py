"""The last look before the call: the rules once more, at the instant of sending. Pure.

The law of the places where the user may be, quiet hours, caps, and consent as it stands in Postgres at that moment.
"""

from __future__ import annotations

from typing import Final

from clarion.compliance.frequency_caps import allowances_of
from clarion.compliance.model import ConsentState
from clarion.compliance.quiet_hours import windows_of
from clarion.compliance.rulebook import bundled_rulebook, refuses
from clarion.compliance.rules import EXPLANATIONS, Rule, switched_off
from clarion.compliance.standing import Openness, closing_rule, standing_of
from clarion.contracts.channels import CHANNEL_INDEX
from clarion.delivery import conclude
from clarion.delivery.conclude import Closing, close, defer
from clarion.delivery.model import Job
from clarion.delivery.ports import CapRequest
from clarion.kernel.local_time import DAY_MS, HOUR_MS, MINUTE_MS, known_zone, local_day, next_midnight_ms
from clarion.tenancy.config import TenantConfig
from clarion.tenancy.environments import cap_scope
from clarion.tenancy.model import Category

CONSENT_WAIT_MS: Final = 30_000
"""How long marketing waits when consent cannot be read; one-time codes do not."""

LAW_SCOPE: Final = "law:"
"""Begins the scopes of the allowances that laws set."""


def zone_of(job: Job, config: TenantConfig) -> str:
    """The user's time zone, or the tenant's where it is unknown."""
    return known_zone(job.timezone, config.tenant.timezone)


def quiet_until(job: Job, category: Category, config: TenantConfig, now_ms: int) -> Closing | None:
    """The job's deferral where it may not go now: the law closes this hour, or it is quiet. None where it may go.

    Transactional categories always may.
    """
    if category.class_ == "transactional":
        return None
    law, places = standing_of(job.whereabouts, config.tenant, category, now_ms)
    terms = law.terms[CHANNEL_INDEX[job.item.channel]]
    windows = windows_of(config.tenant.quiet_hours, job.quiet_hours)
    if terms.hours is None and not windows:
        return None
    allowed_ms = Openness(terms.hours, places.zones, zone_of(job, config), windows).first_ms(now_ms)
    if allowed_ms == now_ms:
        return None
    closed_by = closing_rule(terms.opening, places.zones, now_ms // MINUTE_MS)
    rule = conclude.Rule(Rule.QUIET_HOURS, EXPLANATIONS[Rule.QUIET_HOURS], closed_by, law.version)
    if allowed_ms is None:
        return close(job, "blocked", rule, now_ms)
    return defer(job, rule, allowed_ms, now_ms)


def cap_requests(job: Job, category: Category, config: TenantConfig, now_ms: int) -> list[CapRequest]:
    """The places that the job must reserve: the tenant's of the user's present local day, and the law's.

    A law counts hours, and not days: its places are taken on this day (UTC) and on those after it that the hours reach
    into, so that no stretch of so many hours, wherever it begins, holds more. Transactional categories have no caps.
    """
    if category.class_ == "transactional":
        return []
    day = local_day(zone_of(job, config), now_ms)
    wanted = [(a.scope, day, a.limit) for a in allowances_of(category, job.item.channel)]
    law, _ = standing_of(job.whereabouts, config.tenant, category, now_ms)
    for rule_id, cap in law.terms[CHANNEL_INDEX[job.item.channel]].caps:
        days = 1 + -(-cap.hours * HOUR_MS // DAY_MS)
        scope = f"{LAW_SCOPE}{rule_id}:{category.name}"
        wanted += [(scope, local_day("UTC", now_ms + nth * DAY_MS), cap.count) for nth in range(days)]
    return [
        CapRequest(job.item.delivery_id, job.user_id, cap_scope(scope, is_test=job.is_test), of_day, limit)
        for scope, of_day, limit in wanted
    ]


def capped(job: Job, config: TenantConfig, full: CapRequest, now_ms: int) -> Closing:
    """The job's deferral because an allowance is used up: to the next local day, or to the law's next day (UTC)."""
    _, _, lawful = full.scope.partition(LAW_SCOPE)
    explained = EXPLANATIONS[Rule.FREQUENCY_CAP]
    if not lawful:
        rule = conclude.Rule(Rule.FREQUENCY_CAP, explained)
        return defer(job, rule, next_midnight_ms(zone_of(job, config), now_ms), now_ms)
    law = lawful.partition(":")[0]
    rule = conclude.Rule(Rule.FREQUENCY_CAP, explained, law, bundled_rulebook().version)
    return defer(job, rule, next_midnight_ms("UTC", now_ms), now_ms)


def refused(
    job: Job, category: Category, consent: ConsentState, config: TenantConfig, now_ms: int
) -> Closing | None:
    """The job's end where the user's word, as it stands now, forbids it under the laws of where she may be."""
    law, _ = standing_of(job.whereabouts, config.tenant, category, now_ms)
    refusal = refuses(law, job.item.channel, category.name, consent)
    if refusal is not None:
        reason = EXPLANATIONS[refusal.reason]
        rule = conclude.Rule(refusal.reason, reason, refusal.rule_id, law.version)
        return close(job, "blocked", rule, now_ms)
    off = switched_off(category.class_, category.name, job.preferences)
    if not off >> CHANNEL_INDEX[job.item.channel] & 1:
        return None
    return close(job, "blocked", conclude.Rule(Rule.PREFERENCE, EXPLANATIONS[Rule.PREFERENCE]), now_ms)


def consent_unreadable(job: Job, now_ms: int) -> Closing:
    """The job's deferral because consent cannot be read."""
    rule = conclude.Rule(
        "consent_unavailable", "the consent store cannot be read; nothing is sent without it"
    )
    return defer(job, rule, now_ms + CONSENT_WAIT_MS, now_ms)
