"""Fetches and webhooks: the call that a step makes, and what its answer means to the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from clarion.journeys.fill import fill, fill_url, scope_of
from clarion.journeys.graph import FetchSpec, WebhookSpec
from clarion.journeys.model import Ask, Context, Done
from clarion.journeys.outside import Incoming, Outgoing
from clarion.kernel.ids import format_id

LONGEST_MS: Final = 15_000
"""The longest that a call may take, whatever its step says."""

MAX_BODY: Final = 256 << 10
MAX_TAKEN: Final = 64 << 10
"""What a fetch may add to a run's context, as JSON."""

_OK: Final = range(200, 300)
_AGAIN: Final = frozenset({408, 425, 429})
_SERVERS_FAULT: Final = 500
_encode: Final = msgspec.json.Encoder().encode


class Reference(msgspec.Struct, frozen=True):
    """The user as outside calls name her: `external_id`, and what her profile says where the step asks for it."""

    external_id: str
    user: Mapping[str, Any] = {}


def build_call(ask: Ask, context: Context | None, about: Reference) -> Outgoing:
    """The call of a `fetch` or a `webhook`, its names filled in."""
    spec = cast("FetchSpec | WebhookSpec", ask.spec)
    scope = scope_of(ask.instance, context, about.user)
    headers = {name: str(fill(value, scope) or "") for name, value in spec.headers.items()}
    within_s = min(ask.timeout_ms, LONGEST_MS) / 1000
    url = fill_url(spec.url, scope)
    tenant_id = ask.instance.tenant_id
    if isinstance(spec, FetchSpec):
        body = b"" if spec.body is None else _encode(fill(spec.body, scope))
        headers = {
            "Accept": "application/json",
            **({"Content-Type": "application/json"} if body else {}),
            **headers,
        }
        return Outgoing(tenant_id, spec.method, url, headers, body, within_s)
    said = _describe(ask, context, about) if spec.body is None else fill(spec.body, scope)
    headers = {"Content-Type": "application/json", **headers}
    ident = "msg_" + format_id(ask.effect_id)
    return Outgoing(tenant_id, "POST", url, headers, _encode(said), within_s, ident)


def _describe(ask: Ask, context: Context | None, about: Reference) -> dict[str, Any]:
    """What a webhook says whose step says nothing."""
    run = ask.instance
    return {
        "type": "journey.step",
        "data": {
            "journey_id": format_id(run.journey_id),
            "journey_instance_id": format_id(run.instance_id),
            "version": run.version,
            "step": ask.step,
            "visit": ask.visit,
            "user_id": about.external_id,
            "context": {} if context is None else context.data,
        },
    }


def conclude_call(ask: Ask, incoming: Incoming) -> Done:
    """What an answer means: done, tried again, or given up."""
    if incoming.error:
        return refuse(ask, incoming.error, final=incoming.final, retry_ms=incoming.retry_ms)
    status = incoming.status
    if status not in _OK:
        final = status < _SERVERS_FAULT and status not in _AGAIN
        return refuse(ask, f"http_{status}", final=final, retry_ms=incoming.retry_ms)
    data: dict[str, Any] = {}
    spec = ask.spec
    if isinstance(spec, FetchSpec) and spec.into:
        try:
            found = _take(spec, incoming.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return refuse(ask, "no_json", final=True)
        if len(_encode(found)) > MAX_TAKEN:
            return refuse(ask, "too_large", final=True)
        data = found
    return Done(ask.step, ask.visit, ask.rung, result=f"http_{status}", data=data)


def refuse(ask: Ask, error: str, *, final: bool, retry_ms: int = 0) -> Done:
    """An effect that did not work."""
    return Done(ask.step, ask.visit, ask.rung, error=error, final=final, retry_ms=retry_ms)


def _take(spec: FetchSpec, body: bytes) -> dict[str, Any]:
    """The parts of a document that the step wants; null for those that it does not have."""
    document: Any = msgspec.json.decode(body)
    return {name: _part(document, path) for name, path in spec.into.items()}


def _part(document: Any, path: str) -> Any:  # noqa: ANN401  any JSON
    value = document
    for name in path.removeprefix("$").split(".") if path.strip("$.") else ():
        if not name:
            continue
        if isinstance(value, dict):
            value = cast("dict[str, Any]", value).get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[int(name)]
        else:
            return None
    return value
