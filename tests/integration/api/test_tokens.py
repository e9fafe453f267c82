"""Tokens of tenants' own identity providers: set up, used, and refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey, OctKey

from clarion.adapters.egress import GuardedFetcher, read_networks
from clarion.entrypoints.api.tokens import FRESH_S, KEPT_S, RETRY_S, PublishedKeys
from clarion.kernel.errors import Transient
from clarion.kernel.ids import format_id
from clarion.tenancy.issuers import TokenIssuer
from clarion.tenancy.roles import ROLES
from clarion.testing.http import HttpAnswer
from clarion.testing.stores import SharedStores
from tests.integration.api.support import Api, Caller, notification, running_api
from tests.unit.tenancy.support import EC, KEYS, pack, sign, sign_hmac

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOGIN: Final = "https://login.example.com/"
HALF_A_PAIR: Final = rb'{"iss":"\ud800","aud":"x","exp":9e9}'


@dataclass
class Login:
    """A tenant's identity provider. `published`: its key set at `url`; None: it does not answer."""

    key: Any = field(default_factory=lambda: ECKey.generate_key("P-256"))
    kid: str = "k"
    url: str = ""
    published: bytes | None = None
    asked: int = 0

    def jwks(self) -> dict[str, Any]:
        """Its public key."""
        return {"keys": [{**self.key.as_dict(private=False), "kid": self.kid, "alg": "ES256"}]}

    def token(self, caller: Caller, now_ms: int, **said: Any) -> str:
        """A token for a tenant, good for a minute."""
        audience = f"urn:clarion:tenant:{format_id(caller.tenant_id)}"
        claims = {"iss": LOGIN, "aud": audience, "exp": now_ms // 1000 + 60, "scope": "users:read", **said}
        return sign("ES256", claims, self.key, kid=self.kid).decode()

    @asynccontextmanager
    async def online(self) -> AsyncGenerator[None]:
        """Publish the key set."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            body = self.published if self.published is not None else b""
            status = b"200 OK" if self.published is not None else b"503 Away"
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
            writer.close()

        self.published = msgspec.json.encode(self.jwks())
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
        async with server:
            yield


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def trusting(stores: SharedStores) -> AsyncGenerator[Api]:
    """An API that may read key sets from this machine."""
    async with running_api(stores.postgres_url, stores.valkey_url, egress_allow="127.0.0.0/8") as started:
        yield started


def setup(login: Login, **changes: Any) -> dict[str, Any]:
    """The body that sets the provider up with its keys."""
    return {"issuer": LOGIN, "algorithms": ["ES256"], "scopes": ["*"], "keys": login.jwks(), **changes}


async def call(api: Api, token: str, line: str = "GET /api/v1/me", body: Any = None) -> HttpAnswer:
    """One request with a token."""
    return await api.client(token).request(line, body)


def now_ms(api: Api) -> int:
    return api.gateway.region.clock.now_ms()


async def test_a_token_acts_for_the_tenant_whose_issuer_signed_it(api: Api, caller: Caller):
    login = Login()
    made = await caller.call("PUT /token-issuers/login", setup(login))
    assert (made.status, made.json()["keys"]) == (201, [{"kid": "k", "algorithm": "ES256"}])
    me = (await call(api, login.token(caller, now_ms(api)))).json()
    assert me["tenant_id"] == format_id(caller.tenant_id)
    assert (me["key_id"], me["environment"], me["scopes"]) == ("token:login", "live", ["users:read"])
    refused = await call(api, login.token(caller, now_ms(api)), "GET /api/v1/keys")
    assert refused.status == 403
    again = await caller.call("PUT /token-issuers/login", setup(login))
    assert (again.status, again.json()) == (200, (await caller.call("GET /token-issuers/login")).json())


async def test_a_token_sends_and_repeats_like_a_key(api: Api, caller: Caller):
    login = Login()
    await caller.user()
    await caller.call("PUT /token-issuers/login", setup(login, environment="test"))
    token = login.token(caller, now_ms(api), scope="notifications:write")
    client = api.client(token)
    headers = {"idempotency-key": "order-1"}
    first = await client.request("POST /api/v1/notifications", notification(), headers=headers)
    again = await client.request("POST /api/v1/notifications", notification(), headers=headers)
    assert (first.status, again.body) == (201, first.body)
    shown = (await caller.call(f"GET /notifications/{first.json()['notification_id']}")).json()
    assert shown["environment"] == "test"


async def test_the_token_of_another_tenant_is_worth_nothing_here(api: Api, caller: Caller, other: Caller):
    mine, theirs = Login(), Login()
    await caller.call("PUT /token-issuers/login", setup(mine))
    await other.call("PUT /token-issuers/login", setup(theirs))
    for login, made_out_to in ((theirs, caller), (mine, other)):
        assert (await call(api, login.token(made_out_to, now_ms(api)))).status == 401
    assert (await call(api, mine.token(caller, now_ms(api)))).json()["tenant_id"] == format_id(
        caller.tenant_id
    )
    both = [f"urn:clarion:tenant:{format_id(tenant.tenant_id)}" for tenant in (caller, other)]
    assert (await call(api, mine.token(caller, now_ms(api), aud=both))).status == 401


async def test_an_issuer_and_an_audience_belong_to_whoever_came_first(caller: Caller, other: Caller):
    login = Login()
    audience = f"urn:shop:{caller.tenant_id.hex()}"
    assert (await caller.call("PUT /token-issuers/a", setup(login, audience=audience))).status == 201
    assert (await other.call("PUT /token-issuers/a", setup(login, audience=audience))).status == 409
    assert (await caller.call("PUT /token-issuers/b", setup(login, audience=audience))).status == 409
    assert (await caller.call("DELETE /token-issuers/a")).status == 204
    assert (await other.call("PUT /token-issuers/a", setup(login, audience=audience))).status == 201


async def test_two_who_want_the_same_at_once(caller: Caller, other: Caller):
    body = setup(Login(), audience=f"urn:race:{caller.tenant_id.hex()}")
    answers = await asyncio.gather(*(one.call("PUT /token-issuers/a", body) for one in (caller, other)))
    assert sorted(answer.status for answer in answers) == [201, 409]


async def test_what_attackers_send(api: Api, caller: Caller):
    login, secret = Login(), OctKey.generate_key(256)
    await caller.call("PUT /token-issuers/login", setup(login))
    at_s = now_ms(api) // 1000
    audience = f"urn:clarion:tenant:{format_id(caller.tenant_id)}"
    said = {"iss": LOGIN, "aud": audience, "exp": at_s + 60, "scope": "*"}
    good = login.token(caller, now_ms(api))
    head, body, signature = good.split(".")
    tokens = {
        "expired": login.token(caller, now_ms(api), exp=at_s - 3600),
        "not yet": login.token(caller, now_ms(api), nbf=at_s + 3600),
        "another audience": login.token(caller, now_ms(api), aud="urn:clarion:tenant:0"),
        "another issuer": login.token(caller, now_ms(api), iss="https://evil.example/"),
        "no signature": f"{head}.{body}.",
        "none": f"{pack({'alg': 'none', 'kid': 'k'}).decode()}.{body}.",
        "swapped to HS": sign("HS256", said, secret).decode(),
        "public key as secret": sign_hmac(login.key.as_pem(private=False), said).decode(),
        "more scopes": f"{head}.{pack(said).decode()}.{signature}",
        "kid injected": sign("ES256", said, EC, kid="k' OR '1'='1").decode(),
        "kid as path": sign("ES256", said, EC, kid="../../etc/passwd").decode(),
        "key in the header": sign("ES256", said, EC, jwk=EC.as_dict(private=False)).decode(),
        "keys to be fetched": sign("ES256", said, EC, jku="http://169.254.169.254/").decode(),
        "huge": login.token(caller, now_ms(api), pad="x" * 9000),
        "huger": login.token(caller, now_ms(api), pad="x" * 40_000),
        "dots": "." * 2,
        "many dots": "." * 8000,
        "issuer with a nought": sign("ES256", {**said, "iss": "a\x00b"}, EC).decode(),
        "issuer half a pair": f"{head}.{pack(HALF_A_PAIR).decode()}.{signature}",
    }
    for name, token in tokens.items():
        answer = await call(api, token)
        assert answer.status == 401, name
        assert answer.headers["www-authenticate"].startswith("Bearer"), name
    assert (await call(api, good)).status == 200


async def test_a_deleted_issuer_ends_here_at_once(api: Api, caller: Caller):
    login = Login()
    await caller.call("PUT /token-issuers/login", setup(login))
    token = login.token(caller, now_ms(api))
    assert (await call(api, token)).status == 200
    assert (await caller.call("DELETE /token-issuers/login")).status == 204
    assert (await call(api, token)).status == 401
    assert (await caller.call("DELETE /token-issuers/login")).status == 404


async def test_a_shared_secret_is_kept_sealed_and_never_shown(api: Api, caller: Caller):
    secret = OctKey.generate_key(256)
    keys = {"keys": [{**secret.as_dict(), "kid": "s"}]}
    made = await caller.call("PUT /token-issuers/hs", setup(Login(), algorithms=["HS256"], keys=keys))
    assert made.status == 201, made.body
    text = str(secret.as_dict()["k"])
    assert text.encode() not in made.body + (await caller.call("GET /token-issuers")).body
    async with api.gateway.region.pools.pipeline() as connection:
        rows = await connection.fetch("SELECT token_issuers::text AS row FROM token_issuers")
    assert not any(text in row["row"] for row in rows)
    audience = f"urn:clarion:tenant:{format_id(caller.tenant_id)}"
    said = {"iss": LOGIN, "aud": audience, "exp": now_ms(api) // 1000 + 60}
    assert (await call(api, sign("HS256", said, secret, kid="s").decode())).status == 200


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"algorithms": ["none"]}, "algorithms[0]"),
        ({"algorithms": ["HS256", "ES256"]}, "algorithms"),
        ({"algorithms": ["RS256"]}, "keys[0].alg"),
        (
            {"keys": {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "alg": "ES256"}]}},
            "keys[0].kty",
        ),
        ({"keys": {"keys": [{**EC.as_dict(private=True), "alg": "ES256"}]}}, "keys[0].d"),
        ({"keys": {"keys": [{**EC.as_dict(private=False), "use": "enc"}]}}, "keys[0].use"),
        ({"keys": {"keys": [EC.as_dict(private=False)] * 2}}, "keys[1].kid"),
        (
            {"algorithms": ["HS256"], "keys": {"keys": [{"kty": "oct", "k": "c2hvcnQgc2hvcnQgc2hvcnQ"}]}},
            "keys[0].k",
        ),
        ({"keys": None}, "keys"),
        ({"jwks_url": "https://login.example.com/jwks"}, "keys"),
        ({"keys": None, "jwks_url": "file:///etc/passwd"}, "jwks_url"),
        ({"keys": None, "jwks_url": "https://user:password@login.example.com/"}, "jwks_url"),
        ({"keys": None, "jwks_url": "http://127.0.0.1:1/"}, "jwks_url"),
        ({"keys": None, "jwks_url": "https://169.254.169.254/latest"}, "jwks_url"),
        ({"keys": None, "jwks_url": "https://[::1"}, "jwks_url"),
        ({"keys": None, "algorithms": ["HS256"], "jwks_url": "https://a.example/"}, "jwks_url"),
        ({"scopes": ["users:fly"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"issuer": "a\x00b"}, "issuer"),
    ],
)
async def test_what_is_wrong_with_an_issuer_is_told(caller: Caller, changes: dict[str, Any], path: str):
    answer = await caller.call("PUT /token-issuers/login", setup(Login(), **changes))
    assert answer.status == 400, answer.body
    assert answer.json()["errors"][0]["path"] == path


async def test_nobody_gives_tokens_more_than_he_has(api: Api, caller: Caller):
    small = api.client(await api.key(caller.tenant_id, ["keys:write", "users:read"]))
    line = "PUT /api/v1/token-issuers/login"
    assert (await small.request(line, setup(Login()))).status == 403
    assert (await small.request(line, setup(Login(), scopes=["users:write"]))).status == 403
    assert (await small.request(line, setup(Login(), scopes=["users:read"]))).status == 201


async def test_a_test_credential_touches_no_live_issuer(api: Api, caller: Caller):
    tester = api.client(await api.key(caller.tenant_id, environment="test"))
    assert (
        await tester.request("PUT /api/v1/token-issuers/a", setup(Login(), environment="live"))
    ).status == 403
    made = await tester.request("PUT /api/v1/token-issuers/a", setup(Login()))
    assert (made.status, made.json()["environment"]) == (201, "test")
    await caller.call("PUT /token-issuers/real", setup(Login(), audience="urn:real:" + caller.key[-20:]))
    assert (await tester.request("PUT /api/v1/token-issuers/real", setup(Login()))).status == 403
    assert (await tester.request("DELETE /api/v1/token-issuers/real")).status == 403


async def test_published_keys_are_read_when_they_are_wanted(trusting: Api):
    caller, login = await trusting.tenant(), Login()
    async with login.online():
        body = setup(login, keys=None, jwks_url=login.url)
        assert (await caller.call("PUT /token-issuers/login", body)).status == 201
        for _ in range(5):
            assert (await call(trusting, login.token(caller, now_ms(trusting)))).status == 200
        assert login.asked == 1
        login.kid, login.key = "next", ECKey.generate_key("P-256")
        login.published = msgspec.json.encode(login.jwks())
        # Read a moment ago: a name that nobody knows does not make it be read again.
        assert (await call(trusting, login.token(caller, now_ms(trusting)))).status == 401
        assert login.asked == 1


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


def published_issuer(url: str) -> TokenIssuer:
    return TokenIssuer(b"t" * 16, "login", LOGIN, "urn:x", "live", ("ES256",), ("*",), jwks_url=url)


async def test_unknown_names_make_keys_be_read_once_a_minute_and_the_last_good_stay():
    login, clock = Login(), Hands()
    keys = PublishedKeys(GuardedFetcher(read_networks("127.0.0.0/8")), clock.monotonic)
    async with login.online():
        issuer = published_issuer(login.url)
        assert (await keys.get(issuer, "k")).find("k")
        for _ in range(20):
            assert (await keys.get(issuer, "unknown")).find("unknown") is None
        assert login.asked == 1
        clock.now_s += RETRY_S
        login.kid = "next"
        login.published = msgspec.json.encode(login.jwks())
        assert (await keys.get(issuer, "next")).find("next")
        assert login.asked == 2
        for bad in (None, b"no json", b'{"keys":[]}'):
            clock.now_s += FRESH_S
            login.published = bad
            assert (await keys.get(issuer, "next")).find("next")
        assert login.asked == 5
        clock.now_s += KEPT_S
        with pytest.raises(Transient):
            await keys.get(issuer, "next")


async def test_keys_that_cannot_be_had_are_asked_for_together_and_not_at_once_again():
    login, clock = Login(), Hands()
    keys = PublishedKeys(GuardedFetcher(read_networks("127.0.0.0/8")), clock.monotonic)
    async with login.online():
        login.published = None
        issuer = published_issuer(login.url)
        tried = await asyncio.gather(*(keys.get(issuer, "k") for _ in range(20)), return_exceptions=True)
        assert all(isinstance(error, Transient) for error in tried)
        assert login.asked == 1


async def test_every_algorithm_can_be_set_up(api: Api, caller: Caller):
    audience = f"urn:clarion:tenant:{format_id(caller.tenant_id)}"
    for algorithm, key in KEYS.items():
        public = key.as_dict(private=algorithm.startswith("HS"))
        body = setup(Login(), algorithms=[algorithm], keys={"keys": [{**public, "kid": "k"}]})
        answer = await caller.call("PUT /token-issuers/login", body)
        assert answer.status in {200, 201}, answer.body
        said = {"iss": LOGIN, "aud": audience, "exp": now_ms(api) // 1000 + 60}
        assert (await call(api, sign(algorithm, said).decode())).status == 200, algorithm


async def test_a_role_in_a_token_may_what_the_role_may_within_its_issuer(api: Api, caller: Caller):
    login = Login()
    body = setup(login, scopes=["users:read", "users:write", "keys:read"], role_claim="role")
    assert (await caller.call("PUT /token-issuers/login", body)).json()["role_claim"] == "role"

    async def scopes(**said: Any) -> list[str]:
        return (await call(api, login.token(caller, now_ms(api), **said))).json()["scopes"]

    assert await scopes(scope="", role="developer") == ["keys:read", "users:read", "users:write"]
    assert await scopes(scope="users:write", role=["other", "auditor"]) == []
    assert await scopes(scope="users:read", role="auditor") == ["users:read"]
    assert await scopes(scope="users:read", role="emperor") == []
    assert await scopes(scope="users:read") == []


async def test_a_token_that_names_a_member_acts_for_her(api: Api, caller: Caller):
    login = Login()
    await caller.call("PUT /token-issuers/login", setup(login, member_claim="email"))
    body = {"email": "grace@example.com", "role": "analyst"}
    invited = (await caller.call("POST /members", body)).json()

    def token(email: str = "Grace@Example.com", **said: Any) -> str:
        return login.token(caller, now_ms(api), scope="", sub="auth0|7", email=email, **said)

    assert (await call(api, token())).status == 401  # she has not accepted
    accept = "POST /api/v1/invitations/accept"
    assert (await api.client().request(accept, {"token": invited["invitation_token"]})).status == 201
    me = (await call(api, token(jti="2"))).json()
    assert (me["member_id"], set(me["scopes"])) == (invited["member_id"], ROLES["analyst"])
    assert (await call(api, token("eve@example.com"))).status == 401
    assert (await call(api, token(email_verified=False))).status == 401
    assert (await caller.call(f"DELETE /members/{invited['member_id']}")).status == 204
    assert (await call(api, token(jti="2"))).status == 401
