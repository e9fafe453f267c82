from __future__ import annotations

import msgspec

from clarion.kernel.errors import Transient
from clarion.orchestration.configs import CHECK_EVERY_S, CachedConfigs
from clarion.tenancy.config import TenantConfig
from clarion.tenancy.model import Tenant

ALICE = b"a" * 16


class Store:
    """The store, where others write too."""

    def __init__(self) -> None:
        self.config = TenantConfig(Tenant(ALICE, "Alice"), 1, {}, {}, [])
        self.is_away = False

    async def load_config(self, tenant_id: bytes) -> TenantConfig:
        assert tenant_id == ALICE
        if self.is_away:
            raise Transient("away")
        return self.config

    async def config_version(self, tenant_id: bytes) -> int:
        return (await self.load_config(tenant_id)).version

    def write(self) -> None:
        self.config = msgspec.structs.replace(self.config, version=self.config.version + 1)


class Watch:
    """A clock that is moved by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def test_another_processes_write_is_seen_within_a_second():
    store, watch = Store(), Watch()
    configs = CachedConfigs(store, watch)
    await configs.get(ALICE)
    store.write()
    assert (await configs.get(ALICE)).version == 1
    watch.now_s += CHECK_EVERY_S
    assert (await configs.get(ALICE)).version == 2


async def test_who_knows_of_a_newer_version_gets_it_at_once():
    """A delivery was read with the version of its tenant's settings: it is not sent by older ones."""
    store = Store()
    configs = CachedConfigs(store, Watch())
    await configs.get(ALICE)
    store.write()
    assert (await configs.get(ALICE, 2)).version == 2
    assert (await configs.get(ALICE)).version == 2


async def test_while_the_store_is_away_the_last_known_settings_hold():
    store, watch = Store(), Watch()
    configs = CachedConfigs(store, watch)
    await configs.get(ALICE)
    store.is_away = True
    watch.now_s += CHECK_EVERY_S
    assert (await configs.get(ALICE, 2)).version == 1
