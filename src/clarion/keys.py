"""From the settings to keys: the master key, what follows from it, and what it opens.

    CLARION_MASTER_KEY ──▶ wraps tenants' and users' keys, and the root
                       └─▶ the roles' passwords
    the root (the master key that the region began with) ──▶ look-ups, links, signatures

What follows from the root outlives a change of the master key: a link in a message of last year is still read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from clarion.adapters.postgres import migrate
from clarion.adapters.postgres.migrate import PIPELINE_ROLE, Databases, RolePasswords, database_url
from clarion.adapters.postgres.pools import Pools, PostgresUrls
from clarion.adapters.postgres.subject_keys import PostgresSubjectKeys
from clarion.adapters.postgres.tenant_keys import PostgresRegionKeys, PostgresTenantKeys
from clarion.adapters.sealing.kms import KmsRing, LocalKms
from clarion.adapters.sealing.master_key import NUMBER_BYTES, MasterKey
from clarion.adapters.sealing.sealers import AesSealer
from clarion.adapters.sealing.vault import TenantVault
from clarion.audience.keyring import NOBODY
from clarion.delivery.links.tokens import LinkKeys, TokenSigner
from clarion.kernel.errors import Invalid, Permanent
from clarion.settings import Settings
from clarion.tenancy.secrets import Kms

ROOT: Final = "root"


class MasterKeys(msgspec.Struct, frozen=True):
    """The master key, and the one before or after it while it is being changed."""

    current: MasterKey
    previous: MasterKey | None = None

    def all(self) -> list[MasterKey]:
        """Both, the one that seals first."""
        return [self.current] if self.previous is None else [self.current, self.previous]


def master_keys_of(settings: Settings) -> MasterKeys:
    """The master keys of the settings. Raises Invalid where there is none, or one is none."""
    previous = settings.master_key_previous
    return MasterKeys(
        master_key_of(settings),
        None
        if previous is None
        else MasterKey.from_text(previous.get_secret_value(), "CLARION_MASTER_KEY_PREVIOUS"),
    )


def master_key_of(settings: Settings) -> MasterKey:
    """The master key of the settings. Raises Invalid where there is none, or it is none."""
    if settings.master_key is None:
        raise Invalid("CLARION_MASTER_KEY is not set: 32 random bytes in base64 or hexadecimal", "master_key")
    return MasterKey.from_text(settings.master_key.get_secret_value())


def role_passwords(master: MasterKey) -> RolePasswords:
    """The database roles' passwords: they follow from the master key, so that nobody has to keep them."""
    return RolePasswords(
        pipeline=master.password(PIPELINE_ROLE),
        api=master.password(migrate.API_ROLE),
        audit=master.password(migrate.AUDIT_ROLE),
    )


def role_urls(settings: Settings) -> PostgresUrls:
    """Where the roles connect on the regional server. Raises Invalid where it or the master key is not set."""
    url, keys = _postgres_url(settings), master_keys_of(settings)
    urls = [migrate.role_urls(url, role_passwords(key)) for key in keys.all()]
    return msgspec.structs.replace(urls[0], otherwise=urls[-1])


def global_urls_of(settings: Settings) -> list[str]:
    """Where the global store is: its own URL, or a database on the regional server, with each password that may do."""
    if settings.global_url is not None:
        return [settings.global_url.get_secret_value()]
    url = _postgres_url(settings)
    return [
        database_url(url, Databases().global_, (PIPELINE_ROLE, role_passwords(key).pipeline))
        for key in master_keys_of(settings).all()
    ]


def _postgres_url(settings: Settings) -> str:
    if settings.postgres_url is None:
        raise Invalid("CLARION_POSTGRES_URL is not set", "postgres_url")
    return settings.postgres_url.get_secret_value()


def kms_of(keys: MasterKeys) -> Kms:
    """What wraps tenants' keys."""
    return KmsRing([LocalKms(key) for key in keys.all()])


def vault_of(settings: Settings, pools: Pools, monotonic: Callable[[], float]) -> TenantVault:
    """The vault of the region's tenants. Raises Invalid where there is no master key."""
    keys = master_keys_of(settings)
    return TenantVault(PostgresTenantKeys(pools), kms_of(keys), keys.all(), monotonic)


async def find_root(pools: Pools, keys: MasterKeys) -> MasterKey:
    """The master key that the region began with. The first to ask keeps it, wrapped.

    Raises Invalid where the master keys of the settings are not those that this data was sealed with.
    """
    store, kms = PostgresRegionKeys(pools), kms_of(keys)
    if await store.find(ROOT) is None:
        first = await _first_of(pools, keys)
        await store.add(ROOT, await kms.wrap(first.reveal(), ROOT.encode()))
    wrapped = await store.find(ROOT) or b""
    try:
        return MasterKey(await kms.unwrap(wrapped, ROOT.encode()))
    except Permanent as error:
        raise Invalid(
            "CLARION_MASTER_KEY is not the key that this data was sealed with", "master_key"
        ) from error


async def rewrap_root(pools: Pools, keys: MasterKeys) -> None:
    """Wrap the root with the present master key. Again it changes nothing. Raises as `find_root`."""
    root, store, kms = await find_root(pools, keys), PostgresRegionKeys(pools), kms_of(keys)
    wrapped = await store.find(ROOT) or b""
    if not wrapped.startswith(kms.number):
        await store.replace(ROOT, wrapped, await kms.wrap(root.reveal(), ROOT.encode()))


async def _first_of(pools: Pools, keys: MasterKeys) -> MasterKey:
    """Of the keys that there are, the one that wraps the users' keys; the present one before there are any."""
    wrapped = (await PostgresSubjectKeys(pools).fetch([NOBODY])).get(NOBODY)
    if wrapped is None:
        return keys.current
    found = next((key for key in keys.all() if key.number == wrapped[:NUMBER_BYTES]), None)
    if found is None:
        raise Invalid("CLARION_MASTER_KEY is not the key that this data was sealed with", "master_key")
    return found


def sealer_of(keys: MasterKeys, root: MasterKey) -> AesSealer:
    """What seals users' data."""
    return AesSealer(keys.current, keys.previous, root)


def link_signer(settings: Settings, root: MasterKey) -> TokenSigner:
    """What signs the links in messages, and reads them. Raises Invalid where the oldest key is the newer."""
    current, oldest = settings.link_key, settings.link_key_oldest
    if oldest > current:
        raise Invalid(
            f"CLARION_LINK_KEY_OLDEST is {oldest}, beyond CLARION_LINK_KEY, {current}", "link_key_oldest"
        )
    # The next one, too: a process that was restarted before this one signs with it already.
    keys = {number: root.derive(f"links.{number}") for number in range(oldest, current + 2)}
    return TokenSigner(LinkKeys(current, keys))
