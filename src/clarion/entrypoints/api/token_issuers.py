"""Token issuers: identity providers whose tokens are taken beside API keys."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from clarion.entrypoints.api import examples
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.keys import Scope
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import NotFound, Refused
from clarion.kernel.ids import format_id
from clarion.tenancy.api_keys import EVERYTHING, SCOPES
from clarion.tenancy.issuers import MAX_ISSUERS, TokenIssuer, check_issuer
from clarion.tenancy.key_sets import ALGORITHMS, Algorithm, read_key_set
from clarion.tenancy.model import Environment
from clarion.tenancy.tokens import KEY_ID_PREFIX

Claim = Annotated[str, Meta(min_length=1, max_length=500)]
ClaimName = Annotated[str, Meta(max_length=100)]


class KeySetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A JWKS (RFC 7517), with public keys, or with shared secrets of the kind `oct`."""

    keys: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=50)]


class IssuerBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /api/v1/token-issuers/{name}`: either `keys`, or `jwks_url`, where they are published.

    `issuer` and `audience` are what tokens must say as `iss` and `aud`; together they belong to one tenant. Without
    `audience` it is `urn:clarion:tenant:` and the tenant's id. `scopes`: the most that the tokens may do; a token asks
    for its own with `scope` or `scopes`. `role_claim`: the claim that names a role, like `role`; `member_claim`: the
    one that names a member by her e-mail, like `email`. A token without what they ask for may do nothing.
    """

    issuer: Claim
    algorithms: Annotated[list[Algorithm], Meta(min_length=1, max_length=len(ALGORITHMS))]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=100)]
    audience: Claim | None = None
    environment: Environment | None = None
    keys: KeySetBody | None = None
    jwks_url: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    role_claim: ClaimName = ""
    member_claim: ClaimName = ""


class IssuerKey(msgspec.Struct, frozen=True):
    """A key that is kept, without its numbers."""

    kid: str
    algorithm: str


class IssuerView(msgspec.Struct, frozen=True):
    """An issuer. `keys` are those that are kept here: none with a `jwks_url`."""

    name: str
    issuer: str
    audience: str
    environment: Environment
    algorithms: list[str]
    scopes: list[str]
    jwks_url: str | None
    keys: list[IssuerKey]
    role_claim: str
    member_claim: str


class IssuerList(msgspec.Struct, frozen=True):
    """The tenant's issuers, by name."""

    token_issuers: list[IssuerView]


_BODY: Final = JsonBody(IssuerBody)


@route(
    "PUT /api/v1/token-issuers/{name}",
    Spec(
        tag="keys",
        scope="keys:write",
        body=_BODY,
        answers={200: IssuerView, 201: IssuerView},
        problems=(409,),
        examples={"body": examples.TOKEN_ISSUER},
    ),
)
async def put_token_issuer(call: Call) -> Reply:
    """Take tokens of an identity provider.

    What is wrong with its keys is told here, not at the first token. Nobody can let tokens do what they may not do
    themselves, and a test credential sets up test issuers only.
    """
    name = call.param("name")
    issuer = _issuer(call, name, await call.read(_BODY))
    principal = call.principal
    if EVERYTHING not in principal.scopes and not principal.scopes.issuperset(issuer.scopes):
        raise Refused("tokens cannot be given what this credential may not do itself", "scope")
    await _keep_live(call, name, issuer.environment)
    check_issuer(issuer, SCOPES)
    if issuer.jwks_url:
        await call.services.authenticator.tokens.published.try_out(issuer)
    store = call.services.gateway.region.token_issuers
    is_new = await store.put_issuer(issuer, max_issuers=MAX_ISSUERS)
    call.services.authenticator.forget(KEY_ID_PREFIX + name)
    return json_reply(_view(issuer), 201 if is_new else 200)


def _issuer(call: Call, name: str, body: IssuerBody) -> TokenIssuer:
    environment: Environment = "test" if call.principal.environment == "test" else "live"
    return TokenIssuer(
        tenant_id=call.tenant_id,
        name=name,
        issuer=body.issuer,
        audience=body.audience or f"urn:clarion:tenant:{format_id(call.tenant_id)}",
        environment=body.environment or environment,
        algorithms=tuple(dict.fromkeys(body.algorithms)),
        scopes=tuple(sorted(set(body.scopes))),
        jwks_url=body.jwks_url or "",
        key_set=b"" if body.keys is None else msgspec.json.encode(body.keys),
        role_claim=body.role_claim,
        member_claim=body.member_claim,
    )


async def _keep_live(call: Call, name: str, wanted: Environment) -> None:
    """Pass where the caller may write this issuer: a test credential touches nothing that is live. Raises Refused."""
    if call.principal.environment == "live":
        return
    kept = await _find(call, name)
    if wanted == "live" or (kept is not None and kept.environment == "live"):
        raise Refused("a test credential cannot set up or change live issuers", "environment")


async def _find(call: Call, name: str) -> TokenIssuer | None:
    issuers = await call.services.gateway.region.token_issuers.list_issuers(call.tenant_id)
    return next((issuer for issuer in issuers if issuer.name == name), None)


@route(
    "GET /api/v1/token-issuers/{name}",
    Spec(
        tag="keys",
        scope="keys:read",
        rate="read",
        answers={200: IssuerView},
    ),
)
async def get_token_issuer(call: Call) -> Reply:
    """One token issuer, without the numbers of its keys."""
    issuer = await _find(call, call.param("name"))
    if issuer is None:
        raise _not_found()
    return json_reply(_view(issuer))


@route(
    "GET /api/v1/token-issuers", Spec(tag="keys", scope="keys:read", rate="read", answers={200: IssuerList})
)
async def list_token_issuers(call: Call) -> Reply:
    """All token issuers, by name."""
    issuers = await call.services.gateway.region.token_issuers.list_issuers(call.tenant_id)
    return json_reply(IssuerList([_view(issuer) for issuer in issuers]))


@route(
    "DELETE /api/v1/token-issuers/{name}",
    Spec(tag="keys", scope="keys:write", answers={204: None}),
)
async def delete_token_issuer(call: Call) -> Reply:
    """Take no more tokens of an issuer. Those that are out work nowhere any more after two seconds."""
    name = call.param("name")
    await _keep_live(call, name, "test")
    if not await call.services.gateway.region.token_issuers.delete_issuer(call.tenant_id, name):
        raise _not_found()
    call.services.authenticator.forget(KEY_ID_PREFIX + name)
    return Reply(204)


def _not_found() -> NotFound:
    return NotFound("there is no such token issuer")


def _view(issuer: TokenIssuer) -> IssuerView:
    keys = read_key_set(issuer.key_set, issuer.algorithms).keys.values() if issuer.key_set else ()
    return IssuerView(
        issuer.name,
        issuer.issuer,
        issuer.audience,
        issuer.environment,
        list(issuer.algorithms),
        list(issuer.scopes),
        issuer.jwks_url or None,
        [IssuerKey(key.kid, key.algorithm) for key in keys],
        issuer.role_claim,
        issuer.member_claim,
    )


ROUTES: Final[tuple[Route, ...]] = (
    put_token_issuer,
    get_token_issuer,
    list_token_issuers,
    delete_token_issuer,
)
