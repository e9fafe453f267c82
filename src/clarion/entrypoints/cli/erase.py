"""`clarion erase`: users erased, certificates checked, and erasures carried out again, without a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import typer

from clarion.adapters.postgres.pools import open_pools
from clarion.adapters.sealing.signatures import is_signed
from clarion.bootstrap import Region, open_region
from clarion.compliance.audit import stand_in
from clarion.compliance.erasure import (
    LEASE_MS,
    Erasure,
    ErasurePorts,
    carry_on,
    read_certificate,
    replay,
    subject_hash,
)
from clarion.entrypoints.cli.instance import borrowed_settings, find_tenant
from clarion.entrypoints.cli.operator import as_operator
from clarion.entrypoints.erasing import erasure_signer, open_erasures
from clarion.kernel.errors import Invalid, NotFound, Permanent
from clarion.kernel.ids import make_ids
from clarion.keys import find_root, master_keys_of, role_urls

TAKE: Final = 20
NAP_S: Final = 0.5


class EraseOptions(msgspec.Struct, frozen=True):
    """Whom to erase, and where the certificate goes (None: it is shown)."""

    data: Path
    tenant: str
    user_id: str
    out: Path | None


def erase_user(options: EraseOptions) -> int:
    """Erase a user to the end; 0 with the certificate. Raises NotFound, Transient."""
    done = asyncio.run(_erase(options))
    shown = msgspec.json.format(done.certificate, indent=2)
    if options.out is None:
        typer.echo(shown.decode())
    else:
        options.out.write_bytes(shown)
    return 0


def verify_certificate(file: Path, key: str, data: Path) -> int:
    """Say whether a certificate holds; 0 where it does, else 1. Raises Invalid on what is no certificate."""
    said, signed, signature = read_certificate(file.read_bytes())
    owner = bytes.fromhex(key) if key else asyncio.run(_public_key(data))
    if said.get("public_key") != owner.hex() or not is_signed(owner, signed, signature):
        typer.echo("NOT signed by this key, or changed since", err=True)
        return 1
    typer.echo(f"erasure {said['erasure_id']} of {said['subject']}: signed, and unchanged since")
    typer.echo(f"removed: {_sum_up(said)}")
    return 0


def replay_ledger(data: Path, *, everything: bool) -> int:
    """Erase again what a restore brought back, to the end; 0."""
    opened = asyncio.run(_replay(data, everything=everything))
    typer.echo(f"{opened} erasures were carried out again")
    return 0


def _sum_up(said: dict[str, Any]) -> str:
    return ", ".join(f"{one['target']} {sum(one['removed'].values())}" for one in said["removed"])


@asynccontextmanager
async def _opened(data: Path) -> AsyncGenerator[tuple[Region, ErasurePorts]]:
    async with (
        borrowed_settings(data) as settings,
        open_region(settings, "erase") as region,
        open_erasures(region) as ports,
    ):
        yield region, ports


async def _erase(options: EraseOptions) -> Erasure:
    async with _opened(options.data) as (region, ports):
        tenant_id = await find_tenant(region.tenants, region.settings.region, options.tenant)
        subject = subject_hash(tenant_id, options.user_id, region.sealer.blind)
        fresh = make_ids(1, region.clock.now_ms())
        user = stand_in(region.sealer.blind(tenant_id, options.user_id.encode()))
        async with as_operator(region.pools, tenant_id, ("request_erasure", f"users/{user}")):
            erasure_id = await region.erasures.request(tenant_id, fresh, subject, options.user_id)
            if erasure_id is None:
                raise NotFound("there is no such user, and there was none")
        while True:
            found = await region.erasures.read(tenant_id, erasure_id)
            if found is None:
                raise Permanent("the erasure was removed while it was carried out")
            if found.completed_ms is not None:
                return found
            await _go_on(ports)


async def _replay(data: Path, *, everything: bool) -> int:
    async with _opened(data) as (region, ports):
        opened = await replay(ports, everything=everything)
        while await region.erasures.count_under_way():
            await _go_on(ports)
        return opened


async def _go_on(ports: ErasurePorts) -> None:
    """A round of those that are due, beside the workers if there are any."""
    taken = await ports.store.take(TAKE, LEASE_MS)
    for erasure in taken:
        await carry_on(erasure, ports)
    if not taken:
        await asyncio.sleep(NAP_S)


async def _public_key(data: Path) -> bytes:
    async with borrowed_settings(data) as settings:
        try:
            pools = await open_pools(role_urls(settings), size=1, name="clarion-erase")
        except Invalid as error:
            raise Invalid(f"{error.detail}; or give --key", "master_key") from None
        try:
            return erasure_signer(await find_root(pools, master_keys_of(settings))).public_key
        finally:
            await pools.close()
