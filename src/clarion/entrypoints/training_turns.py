"""One training of a tenant at a time, whoever does it: the trainer role, or somebody at the command line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from clarion.adapters.models.mlflow import MlflowRuns
from clarion.adapters.postgres.ml_models import PostgresTrainings
from clarion.entrypoints.training import Outcome, train_tenant
from clarion.intelligence.models.registered import Registered
from clarion.kernel.errors import ClarionError, Conflict, Transient
from clarion.kernel.ids import format_id
from clarion.kernel.local_time import DAY_MS, MINUTE_MS

if TYPE_CHECKING:
    from clarion.bootstrap import Region
    from clarion.intelligence.training.ports import Schedule

LEASE_MS: Final = 2 * MINUTE_MS
"""Renewed while the training goes on. A process that dies over one leaves the tenant to others after that."""

RENEW_EVERY_S: Final = LEASE_MS / 1000 / 4
ASK_EVERY_S: Final = 1.0
RETRY_MS: Final = 5 * MINUTE_MS
"""After the first failure; after each further one, twice as long as before, up to a day."""

RECORD_WITHIN_S: Final = 5.0
"""The next training waits no longer for a book that is not ours."""

_log = structlog.get_logger("trainer")


def turns_of(region: Region, role: str) -> PostgresTrainings:
    """The schedule of trainings, for this process as `role`."""
    return PostgresTrainings(region.pools, f"{role} on {socket.gethostname()}, process {os.getpid()}")


def retry_after_ms(failures: int) -> int:
    """How long a tenant is left alone whose training failed, after `failures` others in a row."""
    return min(RETRY_MS * 2 ** min(failures, 16), DAY_MS)


async def take_turn(schedule: Schedule, tenant_id: bytes, *, wait: bool) -> None:
    """Have the tenant's training, due or not. Raises Conflict, with who has it, unless told to wait; Transient."""
    while not await schedule.take(tenant_id, None, LEASE_MS):
        if not wait:
            stands = await schedule.show(tenant_id)
            who = stands.holder if stands.running else "another process"
            raise Conflict(f"{who} trains its models now; --wait waits for it to end")
        await asyncio.sleep(ASK_EVERY_S)


async def train_in_turn(
    region: Region, schedule: Schedule, tenant_id: bytes, *, may_grow: bool = False
) -> Outcome:
    """Train a tenant that was taken, and give it back; where it fails it is tried again later, and `show` says so.

    Raises what `train_tenant` raises.
    """
    async with _renewed(schedule, tenant_id):
        try:
            began_ms = region.clock.now_ms()
            outcome = await train_tenant(region, tenant_id, may_grow=may_grow)
        except Exception as error:
            with contextlib.suppress(Transient):  # if it cannot be written down, the lease ends by itself
                stands = await schedule.show(tenant_id)
                await schedule.put_off(tenant_id, retry_after_ms(stands.failures), f"failed: {_why(error)}")
            raise
        await schedule.end(tenant_id, began_ms, outcome.reason)
    url = region.settings.mlflow_url
    if url is not None and outcome.model is not None:
        await write_down(url, format_id(tenant_id), outcome.model)
    return outcome


async def write_down(url: str, tenant: str, model: Registered, within_s: float = RECORD_WITHIN_S) -> bool:
    """Record a training at MLflow; whether it worked. It is never waited for longer than a few seconds."""
    runs = MlflowRuns(url)
    try:
        async with asyncio.timeout(within_s):
            await runs.record(tenant, model)
    except (ClarionError, TimeoutError) as error:
        why = error.detail if isinstance(error, ClarionError) else "it says nothing"
        _log.warning("run_not_recorded", model=model.name, reason=why)
        return False
    finally:
        await runs.close()
    return True


def _why(error: Exception) -> str:
    return error.detail if isinstance(error, ClarionError) else type(error).__name__


@asynccontextmanager
async def _renewed(schedule: Schedule, tenant_id: bytes) -> AsyncGenerator[None]:
    async def renew() -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            with contextlib.suppress(Transient):
                if not await schedule.renew(tenant_id, LEASE_MS):
                    _log.warning("training_lease_lost", tenant_id=tenant_id.hex())
                    return

    renewing = asyncio.create_task(renew(), name="renew-training")
    try:
        yield
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing
