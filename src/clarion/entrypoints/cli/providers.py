"""`clarion provider`: accounts over the API, and a trial of one with what only the instance knows: its credentials."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from clarion.adapters.egress import EgressGuard, read_networks
from clarion.adapters.providers.http.transport import Transport
from clarion.adapters.providers.registry import find_reader
from clarion.bootstrap import Region, open_region, public_url_of
from clarion.delivery.model import Receipt
from clarion.entrypoints.cli.client import ApiClient, account_of, path_of
from clarion.entrypoints.cli.instance import borrowed_settings, find_tenant
from clarion.entrypoints.cli.provider_commands import TestWords
from clarion.entrypoints.cli.provider_trial import Addressee, Step, Surroundings, Trial, try_account
from clarion.entrypoints.hooks.receipts import receipt_address
from clarion.kernel.errors import NotFound
from clarion.settings import Settings
from clarion.tenancy.config import ProviderConfig

PIPE_WIDTH: Final = 240
ASK_EVERY_S: Final = 0.5
_MARKS: Final[Mapping[bool | None, str]] = {True: "[green]ok[/]", False: "[red]✗ [/]", None: "[yellow]? [/]"}


def list_accounts(data: Path, *, json: bool) -> None:
    """Print the accounts of the default tenant. Raises Transient, Permanent as the API does."""
    with ApiClient(account_of(data)) as api:
        accounts: list[dict[str, Any]] = api.call("GET", "/api/v1/providers")["providers"]
        for account in accounts:
            account["health"] = api.call("GET", f"{path_of('providers', account['name'])}/health")
    if json:
        sys.stdout.write(msgspec.json.encode(accounts).decode() + "\n")
        return
    table = Table("name", "kind", "channel", "weight", "health", "what to do")
    for account in accounts:
        health = account["health"]
        advice = "; ".join(f"{alert['region']}: {alert['advice']}" for alert in health["alerts"])
        words = (
            account["name"],
            account["kind"],
            account["channel"],
            account["weight"],
            health["status"],
            advice,
        )
        table.add_row(*map(str, words))
    _console().print(table)


def show_account(data: Path, name: str) -> None:
    """Print one account and its health. Raises NotFound and others as the API does."""
    with ApiClient(account_of(data)) as api:
        path = path_of("providers", name)
        account = api.call("GET", path)
        health = api.call("GET", f"{path}/health")
    shown = msgspec.json.format(msgspec.json.encode({**account, "health": health}), indent=2)
    sys.stdout.write(shown.decode() + "\n")


def run_test(words: TestWords) -> int:
    """Make a trial and print its steps; 0 where all that was asked for came about."""
    return asyncio.run(_test(words))


async def _test(words: TestWords) -> int:
    console = _console()

    def tell(step: Step) -> None:
        if words.json:
            sys.stdout.write(msgspec.json.encode(step).decode() + "\n")
            return
        took = f" ({step.took_ms:,.0f} ms)" if step.took_ms else ""
        console.print(f"{_MARKS[step.ok]}  {step.step:<12}", end="")
        console.print(f"{step.seen}{took}", markup=False, highlight=False)
        if step.advice and not step.ok:
            console.print(f"   {'':<12}→ {step.advice}", markup=False, highlight=False)

    async with (
        borrowed_settings(words.data) as settings,
        open_region(settings, "provider-test") as region,
    ):
        config = await _find(region, settings, words)
        guard = EgressGuard(read_networks(settings.egress_allow))
        transport = Transport(guard.resolve)
        try:
            around = Surroundings(region.clock, transport, guard.resolve)
            since_ms = region.clock.now_ms()
            trial = await try_account(config, Addressee(words.to, words.platform), around, tell)
        finally:
            await transport.close()
        if not trial.is_sent:
            return 1
        step = await _receipt_step(region, config, trial, since_ms, words.wait)
        tell(step)
    return 1 if words.wait and not step.ok else 0


async def _find(region: Region, settings: Settings, words: TestWords) -> ProviderConfig:
    tenant_id = await find_tenant(region.tenants, settings.region, words.tenant)
    known = (await region.configs.get(tenant_id)).providers
    config = next((one for one in known if one.name == words.name), None)
    if config is None:
        names = ", ".join(one.name for one in known)
        raise NotFound(f"there is no account {words.name!r}; there are: {names}")
    return config


async def _receipt_step(
    region: Region, config: ProviderConfig, trial: Trial, since_ms: int, wait_s: float
) -> Step:
    """Where its receipts come from; with `wait_s`, whether one came."""
    address = receipt_address(config, region.sealer, with_secret=True)
    if find_reader(config.kind) is None or address is None:
        return Step("receipt", ok=None, seen="this kind says all that it knows in its answer")
    told = config.settings.get("receipts_url")
    url = told or f"{public_url_of(region.settings)}{address.url}"
    if not wait_s:
        said = "the vendor is told to report to" if told else "the vendor's console has to name"
        return Step("receipt", ok=None, seen=f"{said} {url}; --wait 60 waits for it")
    receipt = await _await_receipt(region, config, trial, since_ms, wait_s)
    if receipt is None:
        advice = f"does the vendor know the address, and can it reach it? {url}"
        return Step("receipt", ok=False, seen=f"none within {wait_s:g} s", advice=advice)
    seen = f"{receipt.kind} {receipt.code}".strip()
    return Step("receipt", ok=True, seen=seen, took_ms=float(region.clock.now_ms() - since_ms))


async def _await_receipt(
    region: Region, config: ProviderConfig, trial: Trial, since_ms: int, wait_s: float
) -> Receipt | None:
    """The first receipt about the trial's message. Nothing else knows that message, so it stays in the inbox."""
    clock = region.clock
    until = clock.monotonic() + wait_s
    message_id = trial.outcome.provider_message_id if trial.outcome else ""
    while True:
        receipts = await region.receipts.waiting(config.tenant_id, config.name, since_ms)
        for receipt in [*trial.receipts, *receipts]:
            if receipt.delivery_id == trial.message.delivery_id or (
                receipt.provider_message_id and receipt.provider_message_id == message_id
            ):
                return receipt
        if clock.monotonic() >= until:
            return None
        await asyncio.sleep(ASK_EVERY_S)


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
