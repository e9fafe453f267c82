"""A region's tenants, users and consent on the real stores, and what tests ask of them again and again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clarion.adapters.globaldb.tenants import GlobalTenants
from clarion.adapters.postgres.api_keys import PostgresApiKeys
from clarion.adapters.postgres.consent import PostgresConsentStore
from clarion.adapters.postgres.pools import Pools
from clarion.adapters.postgres.subject_keys import PostgresSubjectKeys
from clarion.adapters.postgres.templates import PostgresTemplates
from clarion.adapters.postgres.tenant_keys import PostgresTenantKeys
from clarion.adapters.postgres.tenants import PostgresTenants
from clarion.adapters.postgres.users import PostgresUserStore
from clarion.adapters.sealing.kms import LocalKms
from clarion.adapters.sealing.master_key import MasterKey
from clarion.adapters.sealing.sealers import AesSealer
from clarion.adapters.sealing.vault import TenantVault
from clarion.audience.keyring import Keyring
from clarion.audience.profile import UserItem, UserProfile
from clarion.audience.seals import SealedOf, Seals
from clarion.audience.users import Upserted, get_user, upsert_users
from clarion.compliance.consent import ConsentPorts, ConsentRequest, Pending, record_consents
from clarion.kernel.errors import ClarionError
from clarion.kernel.ids import make_ids
from clarion.tenancy.model import DEFAULT_CATEGORIES
from clarion.tenancy.provision import NewTenant, create_tenant

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from asyncpg.pool import PoolConnectionProxy

REGION = "us-east-1"
CATEGORIES = frozenset(category.name for category in DEFAULT_CATEGORIES)
MASTER = MasterKey(b"the master key of all the tests!")


@dataclass
class Watch:
    """A monotonic clock that a test moves."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


class World:
    """The stores of one region. Each tenant that is made is new: tests do not see each other."""

    def __init__(self, pools: Pools, directory: GlobalTenants) -> None:
        self.pools = pools
        self.directory = directory
        self.sealer = AesSealer(MASTER)
        self.watch = Watch()
        self.vault = TenantVault(PostgresTenantKeys(pools), LocalKms(MASTER), [MASTER], self.watch)
        self.tenants = PostgresTenants(pools, self.vault)
        self.users = PostgresUserStore(pools, region=REGION, region_number=1)
        self.subject_keys = PostgresSubjectKeys(pools)
        self.keyring = Keyring(self.subject_keys, self.sealer, self.watch)
        self.seals = Seals(self.keyring, self.sealer, self.users)
        self.consent = PostgresConsentStore(pools)
        self.api_keys = PostgresApiKeys(pools)
        self.templates = PostgresTemplates(pools)

    async def tenant(self) -> Tenant:
        """A new tenant."""
        ident = make_ids(1, await self.pools.now_ms())
        new = NewTenant(f"tenant-{ident.hex()}", REGION)
        return Tenant(self, (await create_tenant(new, ident, self.directory, self.tenants)).tenant_id)


@dataclass(frozen=True)
class Tenant:
    """One tenant, and what a test does in its name."""

    world: World
    id: bytes
    name: str = field(default_factory=lambda: os.urandom(4).hex())

    async def upsert(self, *items: tuple[str, UserProfile]) -> list[Upserted | ClarionError]:
        """Write users."""
        world = self.world
        return await upsert_users(self.id, items, world.users, world.keyring, world.sealer)

    async def user(self, external_id: str = "ada", profile: UserProfile | None = None) -> int:
        """Write one user who must be well; her id."""
        (result,) = await self.upsert(
            (external_id, profile or UserProfile(email=f"{external_id}@example.com"))
        )
        assert isinstance(result, Upserted), result
        return result.user_id

    async def read(self, external_id: str) -> UserItem:
        """One user in clear."""
        return await get_user(self.id, external_id, self.world.users, self.world.seals)

    async def sealed(self, external_id: str) -> SealedOf:
        """One user's sealed profile."""
        row = await self.world.users.read(self.id, external_id)
        assert row is not None
        return SealedOf(row.user_id, self.id, row.sealed)

    async def say(self, *requests: ConsentRequest) -> None:
        """Record consent that must be well."""
        errors = await self.try_say(*requests)
        assert errors == [None] * len(requests)

    async def try_say(self, *requests: ConsentRequest) -> Sequence[ClarionError | Pending | None]:
        """Record consent."""
        ports = ConsentPorts(self.world.seals, self.world.consent, lambda: os.urandom(16))
        return await record_consents(self.id, requests, CATEGORIES, ports)


@asynccontextmanager
async def nobody(pools: Pools) -> AsyncGenerator[PoolConnectionProxy]:
    """A transaction of the reader's role that names no tenant."""
    async with pools.reader(bytes(16)) as connection:
        await connection.execute("SELECT set_config('app.tenant', '', true)")
        yield connection
