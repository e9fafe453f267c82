"""The last look before the call: quiet hours, caps and consent once more, at the instant of sending. Pure."""

from __future__ import annotations

from typing import Final

from clarion.compliance.frequency_caps import allowances_of
from clarion.compliance.model import ConsentState
from clarion.compliance.quiet_hours import first_allowed_ms, windows_of
from clarion.compliance.rules import EXPLANATIONS, Rule, permit, switched_off
from clarion.contracts.channels import CHANNEL_INDEX
from clarion.delivery import conclude
from clarion.delivery.conclude import Closing, close, defer
from clarion.delivery.model import Job
from clarion.delivery.ports import CapRequest
from clarion.kernel.local_time import known_zone, local_day, next_midnight_ms
from clarion.tenancy.config import TenantConfig
from clarion.tenancy.environments import cap_scope
from clarion.tenancy.model import Category

CONSENT_WAIT_MS: Final = 30_000
"""How long marketing waits when consent cannot be read; one-time codes do not."""


def zone_of(job: Job, config: TenantConfig) -> str:
    """The user's time zone, or the tenant's where it is unknown."""
    return known_zone(job.timezone, config.tenant.timezone)


def quiet_until(job: Job, category: Category, config: TenantConfig, now_ms: int) -> Closing | None:
    """The job's deferral where it is quiet now; None where it may go. Transactional categories always may."""
    if category.class_ == "transactional":
        return None
    windows = windows_of(config.tenant.quiet_hours, job.quiet_hours)
    if not windows:
        return None
    allowed_ms = first_allowed_ms(zone_of(job, config), now_ms, windows)
    if allowed_ms == now_ms:
        return None
    rule = conclude.Rule(Rule.QUIET_HOURS, EXPLANATIONS[Rule.QUIET_HOURS])
    if allowed_ms is None:
        return close(job, "blocked", rule, now_ms)
    return defer(job, rule, allowed_ms, now_ms)


def cap_requests(job: Job, category: Category, config: TenantConfig, now_ms: int) -> list[CapRequest]:
    """The places that the job must reserve on the user's present local day; none where nothing limits it."""
    limited = allowances_of(category, job.item.channel)
    if not limited:
        return []
    day = local_day(zone_of(job, config), now_ms)
    return [
        CapRequest(
            job.item.delivery_id,
            job.user_id,
            cap_scope(allowance.scope, is_test=job.is_test),
            day,
            allowance.limit,
        )
        for allowance in limited
    ]


def capped(job: Job, config: TenantConfig, now_ms: int) -> Closing:
    """The job's deferral to the user's next local day, because today's allowance is used up."""
    rule = conclude.Rule(Rule.FREQUENCY_CAP, EXPLANATIONS[Rule.FREQUENCY_CAP])
    return defer(job, rule, next_midnight_ms(zone_of(job, config), now_ms), now_ms)


def refused(job: Job, category: Category, consent: ConsentState, now_ms: int) -> Closing | None:
    """The job's end where the user's word, as it stands now, forbids it."""
    rule_id = permit(category.class_, category.name, job.item.channel, consent)
    if not rule_id:
        off = switched_off(category.class_, category.name, job.preferences)
        if off >> CHANNEL_INDEX[job.item.channel] & 1:
            rule_id = Rule.PREFERENCE
    if not rule_id:
        return None
    return close(job, "blocked", conclude.Rule(rule_id, EXPLANATIONS[Rule(rule_id)]), now_ms)


def consent_unreadable(job: Job, now_ms: int) -> Closing:
    """The job's deferral because consent cannot be read."""
    rule = conclude.Rule(
        "consent_unavailable", "the consent store cannot be read; nothing is sent without it"
    )
    return defer(job, rule, now_ms + CONSENT_WAIT_MS, now_ms)
