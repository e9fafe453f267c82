"""The secret with which a tenant's own webhooks are signed: those that its journeys call."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.journeying import webhook_secrets
from clarion.journeys.webhook_secrets import OVERLAP_MS, Generation
from clarion.kernel.errors import Refused
from clarion.orchestration.rows import format_time
from clarion.tenancy.model import TEST

_EXAMPLE: Final = {
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
    "generation": 2,
    "replaced_at": "2026-11-23T09:30:00.000Z",
    "previous_until": "2026-11-24T09:30:00.000Z",
}


class WebhookSecret(msgspec.Struct, frozen=True):
    """What signs, as Standard Webhooks has it. `previous_until`: so long the secret before signs too.

    `replaced_at` and `previous_until` null: it is the first.
    """

    secret: str
    generation: int
    replaced_at: str | None
    previous_until: str | None


_SPEC: Final = Spec(
    tag="journeys", scope="journeys:write", answers={200: WebhookSecret}, examples={"answer": _EXAMPLE}
)


@route("GET /api/v1/webhooks/secret", msgspec.structs.replace(_SPEC, rate="read"))
async def read_webhook_secret(call: Call) -> Reply:
    """The secret that your webhooks are signed with. It stands in no store: it is worked out each time."""
    _refuse_test(call)
    secrets = webhook_secrets(call.services.gateway.region)
    return _show(call, await secrets.current(call.tenant_id))


@route("POST /api/v1/webhooks/secret", _SPEC)
async def replace_webhook_secret(call: Call) -> Reply:
    """Sign with a new secret. For a day each call carries the signature of the one before as well."""
    _refuse_test(call)
    secrets = webhook_secrets(call.services.gateway.region)
    return _show(call, await secrets.replace(call.tenant_id))


def _refuse_test(call: Call) -> None:
    if call.principal.environment == TEST:
        raise Refused("a test credential cannot have what signs live calls", "environment")


def _show(call: Call, generation: Generation) -> Reply:
    since_ms = generation.replaced_ms
    return json_reply(
        WebhookSecret(
            webhook_secrets(call.services.gateway.region).derive(call.tenant_id, generation.number),
            generation.number,
            format_time(since_ms) if since_ms else None,
            format_time(since_ms + OVERLAP_MS) if since_ms else None,
        )
    )


ROUTES: Final[tuple[Route, ...]] = (read_webhook_secret, replace_webhook_secret)
