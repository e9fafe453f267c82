"""`clarion audit verify --proof`: a proof of consent checked, offline where its key is known."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import msgspec
import typer

from clarion.adapters.postgres.pools import open_pools
from clarion.adapters.sealing.signatures import Ed25519Signer, is_signed
from clarion.compliance.ledger import PURPOSE, Proof, find_flaw
from clarion.entrypoints.cli.instance import borrowed_settings
from clarion.kernel.errors import Invalid
from clarion.keys import find_root, master_keys_of, role_urls


def verify_proof(file: Path, key: str, data: Path) -> int:
    """Say whether a proof holds; 0 where it does, else 1. `key`: base64, "": the instance's own. Raises Invalid."""
    try:
        proof = msgspec.json.decode(file.read_bytes(), type=Proof)
    except OSError as error:
        raise Invalid(f"cannot be read: {error.strerror}", "proof") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        typer.echo("it is no proof, or damaged", err=True)
        return 1
    owner = key or base64.b64encode(asyncio.run(_public_key(data))).decode()
    flaw = find_flaw(proof, is_signed) if proof.public_key == owner else "it is signed with another key"
    if flaw:
        typer.echo(flaw, err=True)
        return 1
    typer.echo(f"what {proof.user_id} had said by {proof.as_of}: signed, and unchanged since")
    typer.echo(f"words: {len(proof.words)}, in force: {len(proof.consents)}")
    return 0


async def _public_key(data: Path) -> bytes:
    async with borrowed_settings(data) as settings:
        try:
            pools = await open_pools(role_urls(settings), size=1, name="clarion-proof")
        except Invalid as error:
            raise Invalid(f"{error.detail}; or give --key", "master_key") from None
        try:
            return Ed25519Signer(await find_root(pools, master_keys_of(settings)), PURPOSE).public_key
        finally:
            await pools.close()
