"""`clarion train`: models fitted now, instead of tonight."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
import typer

from clarion.bootstrap import Region, open_region
from clarion.entrypoints.cli.instance import borrowed_settings, find_tenant
from clarion.entrypoints.training import Outcome, challenge_tenant, refresh_models, train_tenant
from clarion.intelligence.training.card import write_card
from clarion.intelligence.training.discovery import write_report


class TrainOptions(msgspec.Struct, frozen=True):
    """Whose models (`tenant` "": all tenants'), where model cards go (None: nowhere), and whether trees try too."""

    data: Path
    tenant: str = ""
    cards: Path | None = None
    challenger: bool = False
    json: bool = False


class Trained(msgspec.Struct, frozen=True):
    """What came of one tenant's training, as `--json` prints it: one line each."""

    tenant: str
    model: str
    status: str
    reason: str
    signs: int
    seconds: float


def run_train(options: TrainOptions) -> int:
    """Train, tell of each tenant, and write cards; 0. Raises NotFound on an unknown tenant, Transient."""
    asyncio.run(_train(options))
    return 0


async def _train(options: TrainOptions) -> None:
    async with borrowed_settings(options.data) as settings, open_region(settings, "train") as region:
        await refresh_models(region)
        for name, tenant_id in await _tenants(region, settings.region, options.tenant):
            typer.echo(f"{name}: reading its history", err=True)
            outcome = await train_tenant(region, tenant_id, may_grow=options.challenger)
            _tell(name, outcome, as_json=options.json)
            if options.cards is not None and outcome.model is not None:
                _write(options.cards, f"{name}-{outcome.model.name}", write_card(name, outcome.model))
            if options.challenger:
                found, importances = await challenge_tenant(region, tenant_id)
                typer.echo(f"{name}: trees, grown now: {found.reason}", err=True)
                if options.cards is not None and importances:
                    _write(options.cards, f"{name}-features", write_report(importances))


async def _tenants(region: Region, home: str, named: str) -> list[tuple[str, bytes]]:
    if named:
        return [(named, await find_tenant(region.tenants, home, named))]
    return [(entry.name, entry.tenant_id) for entry in await region.tenants.list_tenants(home)]


def _tell(tenant: str, outcome: Outcome, *, as_json: bool) -> None:
    model = outcome.model
    status = model.status if model else "too little"
    line = Trained(
        tenant, model.name if model else "", status, outcome.reason, outcome.signs, round(outcome.seconds, 2)
    )
    if as_json:
        sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    else:
        shown = f"{line.model} is {status}: " if model else ""
        typer.echo(f"{tenant}: {shown}{line.reason} ({line.signs:,} signs, {line.seconds:.1f} s)")


def _write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)
    (folder / f"{safe}.md").write_text(text, "utf-8")
