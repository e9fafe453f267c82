"""Runs and commands as tests of their effects make them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from clarion.bootstrap import Worker
from clarion.entrypoints.workers.journey_effects import EffectParts
from clarion.journeys.effects import OWN, effect_id
from clarion.journeys.graph import NotificationSpec
from clarion.journeys.model import Ask, Context, Done, Instance, Progress, Send
from clarion.journeys.outside import Starting
from clarion.kernel.ids import make_ids
from tests.integration.api.support import Caller


@dataclass
class Started:
    """A way into journeys that notes who came."""

    starts: list[Starting] = field(default_factory=list[Starting])

    async def start(self, starts: Sequence[Starting]) -> list[str]:
        """Note them; all may come."""
        self.starts += starts
        return ["" for _ in starts]


@dataclass(frozen=True)
class Runs:
    """Runs of one tenant's users, and what carries out their effects."""

    caller: Caller
    worker: Worker
    parts: EffectParts
    started: Started

    async def run(self, name: str = "ada", **fields: Any) -> Instance:
        """A run of this user, who is there."""
        region = self.worker.region
        user_id = (await region.users.find_ids(self.caller.tenant_id, [name]))[name]
        now_ms = self.worker.clock.now_ms()
        run = Instance(
            instance_id=make_ids(1, now_ms),
            tenant_id=self.caller.tenant_id,
            journey_id=os.urandom(16),
            version=1,
            user_id=user_id,
            region=region.settings.region,
            is_test=False,
            status="active",
            seq=1,
            step="hello",
            due_ms=now_ms,
            progress=Progress(),
            context_version=0,
            entered_ms=now_ms,
        )
        return replace(run, **fields)

    def send(self, run: Instance, spec: NotificationSpec, visit: int = 1, at_ms: int = 0) -> Send:
        """The command of its step `hello`."""
        at = at_ms or self.worker.clock.now_ms()
        ident = effect_id(run.instance_id, "hello", visit, OWN, at)
        return Send(run, "hello", visit, OWN, at, ident, spec, spec.channels, spec.template)

    def ask(self, run: Instance, spec: Any, *, visit: int = 1, timeout_ms: int = 2_000) -> Ask:
        """The command of another effect."""
        at = self.worker.clock.now_ms()
        ident = effect_id(run.instance_id, "hello", visit, OWN, at)
        return Ask(run, "hello", visit, OWN, at, ident, timeout_ms, spec)

    async def carry_out(self, *commands: Any, context: Context | None = None) -> list[Done | None]:
        """What came of them."""
        return await self.parts.effects.carry_out([(command, context) for command in commands])

    async def answer(self, command: Ask, context: Context | None = None) -> Done:
        """What came of a call."""
        assert await self.carry_out(command, context=context) == [None]
        (finished,) = await self.parts.slow.collect(1, 20)
        assert finished.instance_id == command.instance.instance_id
        return finished.done
