"""The token issuers of a region's tenants. Their key sets are sealed, for they may hold shared secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from clarion.adapters.postgres.queries import load_queries
from clarion.adapters.postgres.tenant_keys import place_of
from clarion.kernel.errors import Conflict, NotFound, Permanent
from clarion.tenancy.issuers import TokenIssuer

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools
    from clarion.tenancy.secrets import Vault


class PostgresTokenIssuers:
    """`tenancy.ports.TokenIssuerStore`. Look-ups use the pipeline pool: there is no tenant yet to be bound to."""

    def __init__(self, pools: Pools, vault: Vault) -> None:
        self._pools = pools
        self._vault = vault
        self._sql = load_queries("token_issuers")

    async def find_issuers(self, issuer: str) -> list[TokenIssuer]:
        """Everything that is set up under an `iss`; see `TokenIssuerFinder.find_issuers`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["find_issuers"], issuer)
        return [found for record in records if (found := await self._issuer(record))]

    async def put_issuer(self, issuer: TokenIssuer, *, max_issuers: int) -> bool:
        """Make or replace an issuer; see `TokenIssuerStore.put_issuer`. Raises NotFound on an unknown tenant."""
        tenant_id = issuer.tenant_id
        sealed = b""
        if issuer.key_set:
            place = place_of("token_issuers", tenant_id, issuer.name)
            sealed = await self._vault.seal(place, issuer.key_set)
        async with self._pools.pipeline() as connection, connection.transaction():
            if not await connection.fetchval(self._sql["lock_tenant"], tenant_id):
                raise NotFound("there is no such tenant")
            others = await connection.fetchval(self._sql["count_others"], tenant_id, issuer.name)
            if others >= max_issuers:
                raise Conflict(f"there are {others} token issuers already, which is as many as can be")
            try:
                is_new = await connection.fetchval(
                    self._sql["put_issuer"],
                    tenant_id,
                    issuer.name,
                    issuer.issuer,
                    issuer.audience,
                    issuer.environment,
                    list(issuer.algorithms),
                    sorted(issuer.scopes),
                    issuer.jwks_url,
                    sealed,
                    issuer.role_claim,
                    issuer.member_claim,
                )
            except asyncpg.UniqueViolationError:
                is_new = None  # another tenant's, written a moment ago
            if is_new is None:
                raise Conflict("this issuer is set up for this audience already: choose another audience")
        return bool(is_new)

    async def list_issuers(self, tenant_id: bytes) -> list[TokenIssuer]:
        """The tenant's issuers; see `TokenIssuerStore.list_issuers`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["list_issuers"])
        return [found for record in records if (found := await self._issuer(record))]

    async def delete_issuer(self, tenant_id: bytes, name: str) -> bool:
        """Forget an issuer; see `TokenIssuerStore.delete_issuer`."""
        async with self._pools.pipeline() as connection:
            return bool(await connection.fetchval(self._sql["delete_issuer"], tenant_id, name))

    async def _issuer(self, record: asyncpg.Record) -> TokenIssuer | None:
        """An issuer of its row; None where its keys do not open: then nobody can be believed by them."""
        tenant_id, name, sealed = record["tenant_id"], record["name"], record["sealed_keys"]
        try:
            place = place_of("token_issuers", tenant_id, name)
            keys = await self._vault.unseal(place, sealed) if sealed else b""
        except Permanent:
            return None
        return TokenIssuer(
            tenant_id=tenant_id,
            name=name,
            issuer=record["issuer"],
            audience=record["audience"],
            environment=record["environment"],
            algorithms=tuple(record["algorithms"]),
            scopes=tuple(record["scopes"]),
            jwks_url=record["jwks_url"],
            key_set=keys,
            role_claim=record["role_claim"],
            member_claim=record["member_claim"],
        )
