"""The API on a real socket over the real stores, and tenants who call it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from clarion.adapters.postgres.ml_settings import PostgresMlSettings
from clarion.adapters.postgres.tenants import PostgresTenants
from clarion.bootstrap import Gateway, open_gateway
from clarion.entrypoints.api.app import create_app
from clarion.entrypoints.api.serve import Server
from clarion.kernel.ids import format_id, make_ids
from clarion.settings import load_settings
from clarion.tenancy.api_keys import KEY_BYTES, KeyRequest, create_key
from clarion.tenancy.model import DEFAULT_CATEGORIES, Environment, HoldoutShares, MlSettings, Tenant
from clarion.tenancy.ports import TenantSeed
from clarion.tenancy.provision import sandbox_providers
from clarion.testing.database import MASTER_KEY, prepare_databases
from clarion.testing.http import HttpAnswer, HttpClient, HttpConnection

STEADY = MlSettings(exploration=0.0, holdout=HoldoutShares(0.0, 0.0))
"""Nothing is left to chance: what tests decide is the best, each time."""

USER = {"email": "ada@example.com", "timezone": "Europe/London", "attributes": {"first_name": "Ada"}}


@dataclass(frozen=True)
class Caller:
    """A tenant with a key."""

    tenant_id: bytes
    key: str
    client: HttpClient

    async def call(
        self,
        line: str,
        json: Any = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """One request of hers under `/api/v1`."""
        method, _, path = line.partition(" ")
        return await self.client.request(f"{method} /api/v1{path}", json, body=body, headers=headers)

    async def user(self, user_id: str = "ada", **profile: Any) -> str:
        """A user of hers."""
        answer = await self.call(f"PUT /users/{user_id}", {**USER, **profile})
        assert answer.status in {200, 201}, answer.body
        return user_id

    async def notify(self, **fields: Any) -> dict[str, Any]:
        """A notification that is accepted."""
        answer = await self.call("POST /notifications", notification(**fields))
        assert answer.status == 201, answer.body
        return answer.json()


def notification(**fields: Any) -> dict[str, Any]:
    """A notification to `ada` without a template."""
    said = {"subject": "Hello", "body": "Hello Ada"}
    return {"user_id": "ada", "category": "transactional", "data": said, **fields}


@dataclass(frozen=True)
class Api:
    """The running API."""

    gateway: Gateway
    port: int

    @property
    def tenants(self) -> PostgresTenants:
        """The store of tenants."""
        return self.gateway.region.tenants

    def client(self, key: str | None = None) -> HttpClient:
        """A client that sends this key, or none."""
        return HttpClient("127.0.0.1", self.port, {"authorization": f"Bearer {key}"} if key else {})

    def connect(self) -> HttpConnection:
        """A connection to write anything to."""
        return HttpConnection("127.0.0.1", self.port)

    async def tenant(self, *, rate_per_s: float = 20_000, rate_burst: float = 40_000) -> Caller:
        """A new tenant with a key that may do everything."""
        tenant_id = make_ids(1, self.gateway.region.clock.now_ms())
        tenant = Tenant(tenant_id, f"t-{format_id(tenant_id)}", rate_per_s=rate_per_s, rate_burst=rate_burst)
        await self.tenants.create(TenantSeed(tenant, DEFAULT_CATEGORIES, sandbox_providers(tenant_id)))
        await PostgresMlSettings(self.gateway.region.pools).put(tenant_id, STEADY, "test")
        key = await self.key(tenant_id)
        return Caller(tenant_id, key, self.client(key))

    async def key(
        self, tenant_id: bytes, scopes: Sequence[str] = ("*",), environment: Environment = "live"
    ) -> str:
        """The text of a new key of a tenant."""
        region = self.gateway.region
        chance = os.urandom(KEY_BYTES)
        request = KeyRequest(f"key-{chance.hex()}", environment, list(scopes))
        minted = await create_key(
            tenant_id, request, region.keys, chance=chance, now_ms=region.clock.now_ms()
        )
        return minted.text


@asynccontextmanager
async def running_api(
    postgres_url: str,
    valkey_url: str,
    *,
    alter: Callable[[Gateway], Gateway] = lambda gateway: gateway,
    **settings: Any,
) -> AsyncGenerator[Api]:
    """The API in this process, on a free port, over prepared stores. `alter`: put something in a port's place."""
    await prepare_databases(postgres_url)
    chosen = load_settings(
        postgres_url=postgres_url, redis_url=valkey_url, master_key=MASTER_KEY, port=0, **settings
    )
    async with open_gateway(chosen) as opened:
        gateway = alter(opened)
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        server = Server(create_app(gateway), chosen.host, chosen.port, ready.set_result)
        running = asyncio.create_task(server.serve())
        try:
            yield Api(gateway, await ready)
        finally:
            server.stop()
            await running
