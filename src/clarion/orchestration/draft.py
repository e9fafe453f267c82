"""From a request to a draft: everything that can be wrong with it is found here, before anything is decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from clarion.audience.model import Card
from clarion.compliance.frequency_caps import allowances, is_capped
from clarion.contracts.channels import mask_of
from clarion.contracts.commands import FallbackStep, NotificationRequest
from clarion.delivery.ports import CapRequest
from clarion.kernel.errors import Invalid, Unknown
from clarion.kernel.local_time import known_zone, local_day
from clarion.orchestration.model import Draft
from clarion.templates import inline_channels
from clarion.tenancy.config import TemplateInfo, TenantConfig
from clarion.tenancy.environments import cap_scope
from clarion.tenancy.model import ALL_CHANNELS, Category

SCHEDULE_HORIZON_MS: Final = 90 * 24 * 3600 * 1000
"""How far ahead a message may be scheduled: longer waits belong into a journey."""

PAST_TOLERANCE_MS: Final = 60_000
"""A schedule this little in the past is a slow network, not a mistake: it means now."""

NO_TEMPLATE: Final = TemplateInfo("", 0, "", 0)


class Checked(msgspec.Struct, frozen=True):
    """A request that names only what exists: its draft, its user's card and its template (`NO_TEMPLATE`: inline)."""

    request: NotificationRequest
    draft: Draft
    card: Card
    template: TemplateInfo


def check_request(
    request: NotificationRequest,
    config: TenantConfig,
    card: Card | None,
    now_ms: int,
    pinned: TemplateInfo | None = None,
) -> Checked:
    """The draft of a request; `pinned`: the version to send in place of the live one.

    Raises Unknown for what the tenant does not have, Invalid for values that cannot be.
    """
    if card is None:
        raise Unknown(f"no user {request.user_id!r}; create it with PUT /api/v1/users/{{user_id}}", "user_id")
    category = config.categories.get(request.category)
    if category is None:
        known = ", ".join(sorted(config.categories))
        raise Unknown(f"no category {request.category!r}; there are: {known}", "category")
    template, rendered = _find_template(request, config) if pinned is None else (pinned, pinned.channels)
    scheduled_ms = _scheduled_ms(request, now_ms)
    expires_ms = _expires_ms(request, category, scheduled_ms or now_ms, now_ms)
    wanted = request.optimization
    if wanted.channel_selection == "specified" and not wanted.channels:
        raise Invalid("name at least one channel, or choose `all` or `optimal`", "optimization.channels")
    draft = Draft(
        category=category,
        priority=request.priority,
        requested=mask_of(wanted.channels) if wanted.channels else ALL_CHANNELS,
        rendered=rendered,
        selection=wanted.channel_selection,
        send_time=wanted.send_time,
        scheduled_ms=scheduled_ms,
        expires_ms=expires_ms,
        fallback_timezone=config.tenant.timezone,
        tenant_quiet_hours=config.tenant.quiet_hours,
        tenant_country=config.tenant.country,
        compliance=config.tenant.compliance,
        fallback=_fallback(request, category),
    )
    return Checked(request, draft, card, template)


def _find_template(request: NotificationRequest, config: TenantConfig) -> tuple[TemplateInfo, int]:
    if request.template is None:
        rendered = inline_channels(request.data)
        if not rendered:
            detail = "without a template, data must carry a subject with body, a title, or a body"
            raise Invalid(detail, "data")
        return NO_TEMPLATE, rendered
    template = config.templates.get(request.template)
    if template is None:
        detail = f"no live template {request.template!r}; save it with PUT /api/v1/templates/{{name}}"
        raise Unknown(detail, "template")
    return template, template.channels


def _fallback(request: NotificationRequest, category: Category) -> tuple[FallbackStep, ...]:
    steps = request.optimization.fallback
    if steps is None:
        return category.fallback
    check_fallback(steps, "optimization.fallback")
    return tuple(steps)


def check_fallback(steps: Sequence[FallbackStep], path: str) -> None:
    """Raises Invalid for a chain that comes to a channel twice."""
    channels = [step.channel for step in steps]
    for i, channel in enumerate(channels):
        if channel in channels[:i]:
            raise Invalid(f"{channel} comes earlier in the chain", f"{path}[{i}].channel")


def _to_ms(value: datetime) -> int:
    return int(value.timestamp() * 1000)


def _scheduled_ms(request: NotificationRequest, now_ms: int) -> int:
    wanted = request.optimization
    if wanted.send_time != "scheduled":
        if wanted.scheduled_at is not None:
            raise Invalid("scheduled_at needs send_time `scheduled`", "optimization.scheduled_at")
        return 0
    if wanted.scheduled_at is None:
        raise Invalid("send_time `scheduled` needs scheduled_at", "optimization.scheduled_at")
    at = _to_ms(wanted.scheduled_at)
    if at < now_ms - PAST_TOLERANCE_MS:
        raise Invalid("scheduled_at lies in the past", "optimization.scheduled_at")
    if at > now_ms + SCHEDULE_HORIZON_MS:
        raise Invalid("scheduled_at lies more than 90 days ahead", "optimization.scheduled_at")
    return max(at, now_ms)


def _expires_ms(request: NotificationRequest, category: Category, start_ms: int, now_ms: int) -> int:
    if request.expires_at is None:
        return start_ms + category.ttl_s * 1000
    expires = _to_ms(request.expires_at)
    if expires <= now_ms:
        raise Invalid("expires_at lies in the past", "expires_at")
    if expires <= start_ms and request.optimization.send_time == "scheduled":
        raise Invalid("expires_at lies before scheduled_at", "expires_at")
    return min(expires, now_ms + SCHEDULE_HORIZON_MS + category.ttl_s * 1000)


def cap_requests(draft: Draft, card: Card, now_ms: int, *, is_test: bool) -> list[CapRequest]:
    """What to ask of the allowances before deciding: the category as a whole, then each channel in canonical order.

    Empty where the category has no caps or is not subject to them.
    """
    category = draft.category
    if not is_capped(category):
        return []
    day = local_day(known_zone(card.timezone, draft.fallback_timezone), now_ms)
    user_id = card.user_id
    return [
        CapRequest(b"", user_id, cap_scope(scope, is_test=is_test), day, limit)
        for scope, limit in allowances(category)
    ]


def with_caps_used(checked: Checked, used: Sequence[int]) -> Checked:
    """The request with its user's counts, as answered to `cap_requests`."""
    draft = msgspec.structs.replace(checked.draft, caps_used=tuple(used))
    return msgspec.structs.replace(checked, draft=draft)
