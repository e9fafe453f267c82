"""The API keys of a region's tenants, by their hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarion.adapters.postgres.queries import load_queries
from clarion.kernel.errors import Conflict, NotFound
from clarion.kernel.ids import format_id, parse_id
from clarion.tenancy.model import Principal
from clarion.tenancy.ports import KeyRecord, StoredKey
from clarion.tenancy.roles import ROLES, narrow

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools


class PostgresApiKeys:
    """`tenancy.ports.ApiKeyStore`. Look-ups by hash use the pipeline pool: there is no tenant yet to be bound to."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("api_keys")

    async def find_key(self, key_hash: bytes) -> Principal | None:
        """Who holds a key; see `ApiKeyStore.find_key`."""
        async with self._pools.pipeline() as connection:
            record = await connection.fetchrow(self._sql["find_key"], key_hash)
        if record is None:
            return None
        scopes = ROLES[record["role"]] if record["role"] else frozenset[str](record["scopes"])
        is_members = record["member_id"] is not None
        return Principal(
            record["tenant_id"],
            format_id(record["key_id"]),
            record["environment"],
            narrow(scopes, ROLES[record["member_role"]]) if is_members else scopes,
            member_id=format_id(record["member_id"]) if is_members else "",
        )

    async def create_key(self, tenant_id: bytes, key: StoredKey, *, max_live: int) -> str:
        """Keep a key; see `ApiKeyStore.create_key`. Raises NotFound where there is no such tenant."""
        async with self._pools.pipeline() as connection, connection.transaction():
            if not await connection.fetchval(self._sql["lock_tenant"], tenant_id):
                detail = "there is no such tenant"
                raise NotFound(detail)
            live = await connection.fetchval(
                self._sql["count_live_keys"], tenant_id, key.environment, key.name
            )
            if live >= max_live:
                detail = (
                    f"{live} live keys are named {key.name!r} already: revoke one, or choose another name"
                )
                raise Conflict(detail)
            key_id: bytes = await connection.fetchval(
                self._sql["insert_key"],
                tenant_id,
                key.environment,
                key.key_hash,
                key.last_four,
                key.name,
                sorted(key.scopes),
                key.expires_ms,
                key.role or "",
                parse_id(key.member_id) if key.member_id else None,
            )
        return format_id(key_id)

    async def list_keys(self, tenant_id: bytes) -> list[KeyRecord]:
        """The tenant's keys; see `ApiKeyStore.list_keys`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["list_keys"])
        return [
            KeyRecord(
                format_id(record["key_id"]),
                record["name"],
                record["environment"],
                record["last_four"],
                record["scopes"],
                record["created_at"],
                record["expires_at"],
                record["revoked_at"],
                record["role"] or None,
                format_id(record["member_id"]) if record["member_id"] else None,
            )
            for record in records
        ]

    async def revoke_key(self, tenant_id: bytes, key_id: str) -> bool:
        """End a key; see `ApiKeyStore.revoke_key`."""
        ident = parse_id(key_id)
        if ident is None:
            return False
        async with self._pools.pipeline() as connection:
            return bool(await connection.fetchval(self._sql["revoke_key"], tenant_id, ident))
