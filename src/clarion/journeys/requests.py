"""From a run's wish to tell its user something to a request, as a tenant's own would be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from clarion.contracts.channels import mask_of, names_of
from clarion.contracts.commands import NotificationRequest, Personalization
from clarion.journeys.calls import Reference
from clarion.journeys.fill import fill, scope_of
from clarion.journeys.model import Context, Send
from clarion.kernel.ids import format_id
from clarion.orchestration.model import Submission
from clarion.tenancy.config import TenantConfig

DEFAULT_CATEGORY: Final = "marketing"


class Skipped(msgspec.Struct, frozen=True):
    """Nothing can be said: `why`, for the timeline."""

    why: str


def build_submission(
    send: Send, context: Context | None, config: TenantConfig, about: Reference
) -> Submission | Skipped:
    """The request of a message, under its derived id.

    A channel that the template has nothing to say on is left out; Skipped where none is left. The data is what the
    step says; where it says none, the run's context. Raises ValueError where that cannot be written as JSON: an accept
    is one transaction, and would fail for all of its batch.
    """
    spec = send.spec
    info = config.templates.get(send.template) if send.template else None
    if send.template and info is None:
        return Skipped(f"no template {send.template}")
    wanted = mask_of(send.channels)
    if info is not None and wanted:
        if not wanted & info.channels:
            return Skipped(f"template {info.name} has no part for {', '.join(names_of(wanted))}")
        wanted &= info.channels
    data: dict[str, Any] = {}
    if spec.data:
        data = fill(spec.data, scope_of(send.instance, context, about.user))
    elif context is not None and send.template:
        data = dict(context.data)
    optimization = spec.optimization
    if wanted:
        optimization = replace(optimization, channels=names_of(wanted))
    if spec.rungs and optimization.fallback is None:
        optimization = replace(optimization, fallback=[])
    request = NotificationRequest(
        user_id=about.external_id,
        category=spec.category or (info.category if info is not None else "") or DEFAULT_CATEGORY,
        template=send.template or None,
        data=data,
        priority=spec.priority,
        optimization=optimization,
        personalization=Personalization(context=dict(context.data) if context is not None else {}),
        journey_id=format_id(send.instance.instance_id),
        expires_at=datetime.fromtimestamp((send.at_ms + spec.expires_ms) / 1000, UTC)
        if spec.expires_ms
        else None,
    )
    if data or request.personalization.context:
        msgspec.json.encode((data, request.personalization.context))
    return Submission(request, ident=send.notification_id)
