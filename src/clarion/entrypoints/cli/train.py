"""`clarion train`: models fitted now, instead of tonight."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
import typer

from clarion.bootstrap import Region, open_region
from clarion.entrypoints.cli.instance import borrowed_settings, find_tenant
from clarion.entrypoints.cli.ml_card import write_files
from clarion.entrypoints.training import Outcome, challenge_tenant, refresh_models
from clarion.entrypoints.training_turns import take_turn, train_in_turn, turns_of
from clarion.intelligence.training.discovery import write_report
from clarion.kernel.errors import Conflict


class TrainOptions(msgspec.Struct, frozen=True):
    """Whose models (`tenant` "": all tenants'), where model cards go (None: nowhere), and whether trees try too.

    `wait`: wait for a training of the same tenant to end that another process does, instead of leaving the tenant out.
    """

    data: Path
    tenant: str = ""
    cards: Path | None = None
    challenger: bool = False
    wait: bool = False
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
    """Train, tell of each tenant, and write cards; 1 where another process trains one of them, and none waits.

    Raises NotFound on an unknown tenant, Transient.
    """
    return asyncio.run(_train(options))


async def _train(options: TrainOptions) -> int:
    code = 0
    async with borrowed_settings(options.data) as settings, open_region(settings, "train") as region:
        await refresh_models(region)
        schedule = turns_of(region, "clarion train")
        for name, tenant_id in await _tenants(region, settings.region, options.tenant):
            try:
                await take_turn(schedule, tenant_id, wait=options.wait)
            except Conflict as error:
                typer.echo(f"{name}: {error.detail}", err=True)
                code = 1
                continue
            typer.echo(f"{name}: reading its history", err=True)
            outcome = await train_in_turn(region, schedule, tenant_id, may_grow=options.challenger)
            _tell(name, outcome, as_json=options.json)
            if options.cards is not None and outcome.model is not None:
                write_files(options.cards, f"{name}-{outcome.model.name}", name, outcome.model)
            if options.challenger:
                found, importances = await challenge_tenant(region, tenant_id)
                typer.echo(f"{name}: trees, grown now: {found.reason}", err=True)
                if options.cards is not None and importances:
                    _write(options.cards, f"{name}-features", write_report(importances))
    return code


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
