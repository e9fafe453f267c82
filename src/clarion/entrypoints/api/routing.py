"""Routes as values: what each takes, gives and asks of its caller. Litestar serves them, OpenAPI describes them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias, TypeVar, cast, get_args
from urllib.parse import parse_qsl, unquote

import msgspec
from litestar import Request
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from clarion.adapters.postgres.idempotency import Kept
from clarion.contracts.commands import AwareTime
from clarion.entrypoints.api.body import JsonBody, check_media, read_body, to_invalid
from clarion.entrypoints.api.edge import Trip, trip_of
from clarion.entrypoints.api.errors import reply_to_error
from clarion.entrypoints.api.idempotency import REPLAYED, read_claim
from clarion.entrypoints.api.replies import Reply
from clarion.entrypoints.api.services import Services
from clarion.entrypoints.api.throttle import RouteClass, make_take, rate_headers, refusal_of
from clarion.kernel.errors import Invalid
from clarion.kernel.text import check_storable
from clarion.orchestration.errors import KeyInUse, KeyMismatch
from clarion.orchestration.model import (
    Committed,
    IdempotencyClaim,
    KeyBusy,
    KeyReused,
    Overtaken,
    Repeated,
    Replayed,
)
from clarion.tenancy.api_keys import require_scope
from clarion.tenancy.model import Principal

T = TypeVar("T")
QueryT = TypeVar("QueryT", bound=msgspec.Struct)

MAX_SEGMENT: Final = 200
"""Longest name in a path, as in a body (`contracts.commands.Name`)."""

_NUMBER: Final = re.compile(r"[-+\d.eE]+")

NOBODY: Final = Principal(b"", "", "", frozenset())
"""Who calls a public route."""

ANY_KEY: Final = ""
"""As a route's scope: any live key will do."""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What a route asks and gives.

    `scope`: what the caller's key must have, `ANY_KEY`, or None where the route is public. `rate`: the bucket that it
    is charged to. `body`: what it reads; `lines`: as NDJSON too. `query`: a struct of its parameters. `answers`: the
    type of the body by status, None for none. `problems`: error statuses beyond those that follow from the rest.
    `accepts`: its tokens and keys are settled by the batch, on the way into `orchestration.accept`. `examples`: `body`
    and `answer`, for the description.
    """

    tag: str
    scope: str | None
    rate: RouteClass = "write"
    body: JsonBody[Any] | None = None
    query: type[msgspec.Struct] | None = None
    answers: dict[int, Any]
    problems: tuple[int, ...] = ()
    accepts: bool = False
    lines: bool = False
    examples: dict[str, Any] = {}


class Call:
    """One request of a route, by a caller who may make it."""

    __slots__ = ("_raw", "principal", "request", "route", "services", "trip")

    def __init__(self, request: Request[Any, Any, Any], route: Route, services: Services) -> None:
        self.request = request
        self.route = route
        self.services = services
        self.trip: Trip = trip_of(request.scope)
        self.principal = NOBODY
        self._raw: bytes | None = None

    @property
    def tenant_id(self) -> bytes:
        """Whose call it is."""
        return self.principal.tenant_id

    async def charge(self, cost: int) -> None:
        """Take tokens from the tenant's bucket for this class of route. Raises Throttled, TooMuch."""
        config = await self.services.gateway.accept.configs.get(self.tenant_id)
        now_ms = self.services.gateway.region.clock.now_ms()
        take = make_take(config.tenant, self.route.spec.rate, cost, now_ms)
        verdict = await self.services.throttle.charge(take)
        self.trip.answer[:] = rate_headers(take, verdict)
        refusal = refusal_of(take, verdict)
        if refusal is not None:
            raise refusal

    async def raw(self) -> bytes:
        """The body's bytes. Raises HttpError."""
        if self._raw is None:
            body = self.route.spec.body
            if body is None:
                return b""
            check_media(self.trip.headers, or_lines=self.route.spec.lines)
            receive, patience = self.request.receive, self.services.patience
            self._raw = await read_body(receive, self.trip.headers, body.max_bytes, patience)
        return self._raw

    async def read(self, body: JsonBody[T]) -> T:
        """The body as the route's type. Raises HttpError, Invalid."""
        return body.decode(await self.raw())

    def claim(self, raw: bytes) -> IdempotencyClaim | None:
        """What the caller's `Idempotency-Key` claims. Raises Invalid."""
        scope = self.request.scope
        target = scope["raw_path"] + b"?" + scope["query_string"]
        return read_claim(self.trip.headers, self.route.line, target, raw)

    def param(self, name: str) -> str:
        """A name in the path, decoded. Raises Invalid where no store can hold it."""
        try:
            text = unquote(self.request.scope["path_params"][name], errors="strict")
        except UnicodeDecodeError:
            raise Invalid("is not UTF-8", name) from None
        check_storable(text, name)
        if not 1 <= len(text) <= MAX_SEGMENT:
            raise Invalid(f"has 1 to {MAX_SEGMENT} characters", name)
        return text

    def query(self, type_: type[QueryT]) -> QueryT:
        """The query's parameters as a struct. Raises Invalid with the name of a wrong or unknown one."""
        given = self.request.scope["query_string"]
        try:
            pairs = parse_qsl(
                given.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50
            )
        except ValueError:
            raise Invalid("the query is no list of names and values, or not UTF-8") from None
        named = dict(pairs)
        check_storable(named, "")
        for field in msgspec.structs.fields(type_):
            # Read leniently, a time could be a number too.
            if AwareTime in (field.type, *get_args(field.type)) and _NUMBER.fullmatch(
                named.get(field.encode_name, "")
            ):
                raise Invalid("is a time: ISO 8601, with an offset", field.encode_name)
        try:
            return msgspec.convert(named, type_, strict=False)
        except msgspec.ValidationError as error:
            raise to_invalid(error) from None


def methods_by_path(routes: Iterable[Route]) -> dict[str, list[str]]:
    """The methods that each path has."""
    methods: dict[str, list[str]] = {}
    for one in routes:
        methods.setdefault(one.path, []).append(one.method)
    return methods


def options(path: str, methods: Sequence[str]) -> HTTPRouteHandler:
    """Litestar's handler of `OPTIONS` for a path: which methods there are."""
    reply = Reply(204, headers=((b"allow", ", ".join(sorted({*methods, "OPTIONS"})).encode()),))

    async def endpoint() -> Reply:
        return reply

    handler = HTTPRouteHandler(
        path.replace("}", ":str}"), http_method=[HttpMethod.OPTIONS], status_code=200, name=f"OPTIONS {path}"
    )
    return handler(endpoint)


Handler: TypeAlias = Callable[[Call], Awaitable[Reply]]


class Route(msgspec.Struct, frozen=True):
    """A route: its line (`GET /api/v1/users/{user_id}`), its handler, and what it asks and gives."""

    line: str
    handle: Handler
    spec: Spec

    @property
    def method(self) -> str:
        """`GET`, `POST` and so on."""
        return self.line.partition(" ")[0]

    @property
    def path(self) -> str:
        """The path template."""
        return self.line.partition(" ")[2]


def route(line: str, spec: Spec) -> Callable[[Handler], Route]:
    """Make a route of a handler. Its docstring describes the route: the first line is the summary."""

    def make(handle: Handler) -> Route:
        return Route(line, handle, spec)

    return make


def serve(route: Route, services: Services) -> HTTPRouteHandler:
    """Litestar's handler of a route: it admits the caller, answers a repeat, and tells errors."""
    spec = route.spec
    is_public = spec.scope is None
    is_keyed = route.method == "POST" and not spec.accepts and not is_public

    async def endpoint(request: Request[Any, Any, Any]) -> Reply:
        call = Call(request, route, services)
        try:
            if not is_public:
                await _admit(call)
            return await (_answer_once(call) if is_keyed else route.handle(call))
        except Exception as error:  # noqa: BLE001  every request is answered, whatever it meets
            return reply_to_error(error, call.trip.request_id)

    handler = HTTPRouteHandler(
        route.path.replace("}", ":str}"),
        http_method=[HttpMethod(route.method)],
        status_code=200,
        name=route.line,
    )
    return handler(endpoint)


async def _admit(call: Call) -> None:
    """Pass where the caller may make this call now. Raises HttpError, Refused, Throttled, Transient."""
    services, spec = call.services, call.route.spec
    call.principal = await services.authenticator.identify(call.trip.headers)
    if spec.scope:
        require_scope(call.principal, spec.scope)
    if not spec.accepts:
        await call.charge(1)


async def _answer_once(call: Call) -> Reply:
    """The route's answer; to a repeat of a POST with the same key, the first one. Only what succeeded is kept."""
    raw = await call.raw()
    claim = call.claim(raw)
    if claim is None:
        return await call.route.handle(call)
    fresh: Reply | None = None

    async def work() -> Kept:
        nonlocal fresh
        fresh = await call.route.handle(call)
        return Kept(fresh.status, fresh.body)

    outcome = await call.services.idempotency.run(call.principal, claim, work)
    match outcome:
        case KeyBusy() | Overtaken() | Repeated():
            # Only the first comes of a key; the others end chunks of broadcasts, and messages of runs.
            raise KeyInUse
        case KeyReused():
            raise KeyMismatch
        case Replayed(status=status, body=body):
            return Reply(status, body, (REPLAYED,))
        case Committed():
            return cast("Reply", fresh)
