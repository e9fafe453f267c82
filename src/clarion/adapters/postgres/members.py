"""The members of a region's tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarion.adapters.postgres.queries import load_queries
from clarion.kernel.errors import Conflict, NotFound
from clarion.kernel.ids import format_id, parse_id
from clarion.tenancy.members import INVITED_S, Invited, Member, Status, loses_owner
from clarion.tenancy.model import Role
from clarion.tenancy.ports import StoredKey

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools


class PostgresMembers:
    """`tenancy.members.MemberStore`. Look-ups by token use the pipeline pool: there is no tenant yet to be bound to."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("members")

    async def find_active(self, tenant_id: bytes, email: str) -> tuple[str, Role] | None:
        """An active member; see `MemberFinder.find_active`."""
        async with self._pools.reader(tenant_id) as connection:
            record = await connection.fetchrow(self._sql["find_active"], tenant_id, email)
        return (format_id(record["member_id"]), record["role"]) if record else None

    async def list_members(self, tenant_id: bytes) -> list[Member]:
        """All members; see `MemberStore.list_members`."""
        async with self._pools.reader(tenant_id) as connection:
            return [_member(record) for record in await connection.fetch(self._sql["list_members"])]

    async def invite(self, tenant_id: bytes, email: str, role: Role, token_hash: bytes) -> Member:
        """Ask somebody in; see `MemberStore.invite`."""
        async with self._pools.pipeline() as connection:
            record = await connection.fetchrow(
                self._sql["invite"], tenant_id, email, role, token_hash, float(INVITED_S)
            )
        if record is None:
            raise Conflict("there is a member with this e-mail address already")
        return _member(record)

    async def find_invitation(self, token_hash: bytes) -> Invited | None:
        """An open invitation; see `MemberStore.find_invitation`."""
        async with self._pools.pipeline() as connection:
            record = await connection.fetchrow(self._sql["find_invitation"], token_hash)
        return Invited(record["tenant_id"], _member(record)) if record else None

    async def accept(self, invited: Invited, token_hash: bytes, key: StoredKey) -> bool:
        """Make a member of the invited; see `MemberStore.accept`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            member_id = await connection.fetchval(self._sql["accept"], token_hash)
            if member_id is None:
                return False
            await connection.execute(
                self._sql["insert_key"],
                invited.tenant_id,
                key.environment,
                key.key_hash,
                key.last_four,
                key.name,
                sorted(key.scopes),
                member_id,
            )
        return True

    async def update(self, tenant_id: bytes, member_id: str, role: Role, status: Status) -> Member:
        """Give another role or status; see `MemberStore.update`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            ident = await self._lock(connection, tenant_id, member_id, (role, status))
            record = await connection.fetchrow(self._sql["update_member"], tenant_id, ident, role, status)
        if record is None:
            raise _not_found()
        return _member(record)

    async def remove(self, tenant_id: bytes, member_id: str) -> None:
        """Let her go; see `MemberStore.remove`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            ident = await self._lock(connection, tenant_id, member_id, ("auditor", "suspended"))
            await connection.execute(self._sql["revoke_keys"], tenant_id, ident)
            await connection.execute(self._sql["remove_member"], tenant_id, ident)

    async def _lock(
        self, connection: PoolConnectionProxy, tenant_id: bytes, member_id: str, becomes: tuple[Role, Status]
    ) -> bytes:
        """Hold the tenant's members, and pass where one may become this. Raises NotFound, Conflict."""
        ident = parse_id(member_id)
        await connection.fetchval(self._sql["lock_tenant"], tenant_id)
        record = ident and await connection.fetchrow(self._sql["find_member"], tenant_id, ident)
        if not ident or not record:
            raise _not_found()
        if loses_owner(_member(record), *becomes) and not await connection.fetchval(
            self._sql["other_owners"], tenant_id, ident
        ):
            raise Conflict("she is the last owner: make somebody else one first")
        return ident


def _member(record: asyncpg.Record) -> Member:
    return Member(
        format_id(record["member_id"]),
        record["email"],
        record["role"],
        record["status"],
        record["created_at"],
        record["invited_until"],
    )


def _not_found() -> NotFound:
    return NotFound("there is no such member")
