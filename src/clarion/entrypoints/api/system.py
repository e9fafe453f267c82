"""Whether we are well, what we count, and how we are described. No credential is needed here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from importlib.resources import files
from typing import Any, Final, Literal, TypeAlias

import msgspec

from clarion.entrypoints.api.replies import Page, Reply, Script, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import ClarionError

CHECK_S: Final = 1.0
"""How long a store may take to say that it is there."""

Check: TypeAlias = Literal["ok", "away"]

_HTML: Final = b"text/html; charset=utf-8"
_TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"
_PAGE_POLICY: Final = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; base-uri 'none'",
)


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"]


class Readiness(msgspec.Struct, frozen=True):
    """Whether requests can be served. `degraded`: Valkey is away; accepts go on, and what they queue waits for it."""

    status: Literal["ready", "degraded", "unavailable"]
    checks: dict[str, Check]


@route("GET /healthz", Spec(tag="system", scope=None, answers={200: Health}))
async def healthz(call: Call) -> Reply:
    """Whether the process lives."""
    del call
    return json_reply(Health("ok"))


@route("GET /readyz", Spec(tag="system", scope=None, answers={200: Readiness, 503: Readiness}))
async def readyz(call: Call) -> Reply:
    """Whether requests can be served: `503` while Postgres is away."""
    region = call.services.gateway.region
    postgres, valkey = await asyncio.gather(
        _check(region.pools.now_ms()), _check(region.valkey.server_time_ms())
    )
    checks: dict[str, Check] = {"postgres": postgres, "valkey": valkey}
    if postgres == "away":
        return json_reply(Readiness("unavailable", checks), 503)
    return json_reply(Readiness("ready" if valkey == "ok" else "degraded", checks))


async def _check(asked: Awaitable[int]) -> Check:
    try:
        async with asyncio.timeout(CHECK_S):
            await asked
    except (ClarionError, TimeoutError):
        return "away"
    return "ok"


@route("GET /metrics", Spec(tag="system", scope=None, answers={200: str}))
async def metrics(call: Call) -> Reply:
    """The process's metrics, as Prometheus reads them."""
    return Reply(200, call.services.gateway.region.metrics.render(), media=_TEXT)


@route("GET /docs", Spec(tag="system", scope=None, answers={200: Page}))
async def docs(call: Call) -> Reply:
    """This description, to be read by people."""
    del call
    return Reply(200, _asset("docs.html"), (_PAGE_POLICY,), _HTML)


@route("GET /docs/docs.js", Spec(tag="system", scope=None, answers={200: Script}))
async def docs_script(call: Call) -> Reply:
    """The script of the page at `/docs`."""
    del call
    return Reply(200, _asset("docs.js"), media=b"text/javascript; charset=utf-8")


def _asset(name: str) -> bytes:
    return (files("clarion.entrypoints.api") / "pages" / name).read_bytes()


def openapi_route(document: dict[str, Any]) -> Route:
    """The route that serves the description."""
    body = msgspec.json.encode(document)

    @route("GET /openapi.json", Spec(tag="system", scope=None, answers={200: dict[str, Any]}))
    async def openapi(call: Call) -> Reply:
        """This description: OpenAPI 3.1."""
        del call
        return Reply(200, body)

    return openapi


ROUTES: Final[tuple[Route, ...]] = (healthz, readyz, metrics, docs, docs_script)
