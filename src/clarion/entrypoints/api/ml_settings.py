"""How a tenant's decisions learn: what is tried, on whom nothing learned is used, and which features are on."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.adapters.postgres.ml_settings import PastSettings, PostgresMlSettings
from clarion.entrypoints.api.auditing import actor_of
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import Invalid
from clarion.orchestration.rows import format_time
from clarion.tenancy.model import MlSettings


class PastSettingsView(msgspec.Struct, frozen=True):
    """Settings that were replaced at an instant (ISO 8601 UTC), by whom. `system`: a proof of harm did it."""

    version: int
    settings: MlSettings
    replaced_at: str
    replaced_by: str


class SettingsHistory(msgspec.Struct, frozen=True):
    """The settings from before, latest first."""

    settings: list[PastSettingsView]


_BODY: Final = JsonBody(MlSettings)
_MOST_DIGITS: Final = 9
_EXAMPLE: Final = {
    "exploration": 0.05,
    "holdout": {"send_time": 0.1, "channel": 0.05},
    "enabled": {"send_time": True, "channel": True},
    "off": False,
}


@route(
    "PUT /api/v1/ml/settings",
    Spec(
        tag="ml",
        scope="ml:write",
        body=_BODY,
        answers={200: MlSettings},
        examples={"body": _EXAMPLE, "answer": _EXAMPLE},
    ),
)
async def put_ml_settings(call: Call) -> Reply:
    """Choose how decisions learn; what is left out is as it is without any choice.

    `exploration`: share of the messages that may wait which try another open hour or channel. `holdout`: share of the
    users, by feature, on whom nothing is used that was learned of them; a larger share keeps those of a smaller one.
    `enabled`: a feature that is off gives everybody what suits the population. `off`: no model decides
    anything, whatever the rest says. What is decided from now on heeds it.
    With `If-Match: "VERSION"`, as `ETag` told it, only that version is written over; another one answers 409.
    """
    chosen = await call.read(_BODY)
    region = call.services.gateway.region
    store, by = PostgresMlSettings(region.pools), actor_of(call.principal)
    version = await store.put(call.tenant_id, chosen, by, _expected(call))
    region.configs.forget(call.tenant_id)
    return _reply(chosen, version)


@route(
    "GET /api/v1/ml/settings",
    Spec(tag="ml", scope="ml:read", rate="read", answers={200: MlSettings}, examples={"answer": _EXAMPLE}),
)
async def show_ml_settings(call: Call) -> Reply:
    """How this tenant's decisions learn. `ETag` is the version, for `If-Match`."""
    return _reply(*await PostgresMlSettings(call.services.gateway.region.pools).current(call.tenant_id))


@route(
    "GET /api/v1/ml/settings/history",
    Spec(
        tag="ml",
        scope="ml:read",
        rate="read",
        answers={200: SettingsHistory},
        examples={
            "answer": {
                "settings": [
                    {
                        "version": 3,
                        "settings": _EXAMPLE,
                        "replaced_at": "2026-11-20T02:00:00.000Z",
                        "replaced_by": "system",
                    }
                ]
            }
        },
    ),
)
async def list_past_settings(call: Call) -> Reply:
    """How decisions learned before, latest first, at most 100: put one back with `PUT /api/v1/ml/settings`."""
    found = await PostgresMlSettings(call.services.gateway.region.pools).history(call.tenant_id)
    return json_reply(SettingsHistory([_view(past) for past in found]))


def _view(past: PastSettings) -> PastSettingsView:
    return PastSettingsView(past.version, past.settings, format_time(past.replaced_ms), past.replaced_by)


def _reply(settings: MlSettings, version: int) -> Reply:
    return json_reply(settings, headers=((b"etag", b'"%d"' % version),))


def _expected(call: Call) -> int | None:
    """The version that the caller has seen; None where she does not say."""
    given = call.trip.headers.get(b"if-match", b"*").strip()
    if given == b"*":
        return None
    number = given.strip(b'"')
    if not number.isdigit() or len(number) > _MOST_DIGITS:
        raise Invalid('If-Match has to be the ETag of the settings, like "3"', "If-Match")
    return int(number)


ROUTES: Final[tuple[Route, ...]] = (put_ml_settings, show_ml_settings, list_past_settings)
