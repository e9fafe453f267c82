"""Housekeeping of the journeys role: events go to the log, old runs go, and what there is is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from clarion.adapters.globaldb.journey_outbox import GlobalJourneyOutbox
from clarion.adapters.globaldb.journey_privacy import RunRetention
from clarion.contracts.journey_events import JourneyEvent, decode_journey_events
from clarion.contracts.topics import JOURNEY_EVENTS
from clarion.delivery.suspects import describe_error
from clarion.entrypoints.workers.lane import run_lane
from clarion.journeys.model import Ask, Command, Context, Done, Send
from clarion.orchestration.publish import split_journey_events

if TYPE_CHECKING:
    from clarion.adapters.telemetry.metrics import JourneyMetrics
    from clarion.bootstrap import Worker
    from clarion.entrypoints.journeying import JourneyParts
    from clarion.journeys.ports import Effects

OUTBOX_BATCH: Final = 16
"""Batches a step: each holds the events of one committed batch of transitions, some hundreds under load."""

PUBLISH_IDLE_S: Final = 0.1
OBSERVE_EVERY_S: Final = 10.0
KEEP_EVERY_S: Final = 3_600.0
PAGE: Final = 1_000
DAY_MS: Final = 86_400_000

_log = structlog.get_logger("journeys")


async def keep_journeys(worker: Worker, parts: JourneyParts, stop: asyncio.Event) -> None:
    """Publish, count, and drop what is old, until `stop` is set. Several workers share the work."""
    region = worker.settings.region
    outbox = GlobalJourneyOutbox(worker.global_pool, region)
    retention = RunRetention(worker.global_pool, region)
    await asyncio.gather(
        run_lane("journeys-publish", partial(publish, worker, outbox), stop),
        run_lane("journeys-observe", partial(_observe, worker, parts, outbox, retention), stop),
        run_lane("journeys-housekeeping", partial(keep_house, worker, parts, retention), stop),
    )


async def publish(worker: Worker, outbox: GlobalJourneyOutbox) -> float:
    """Put the oldest batches on the log; seconds until the next look. One that cannot be read is left out, loudly."""
    async with outbox.take(OUTBOX_BATCH) as batches:
        if not batches:
            return PUBLISH_IDLE_S
        events: list[JourneyEvent] = []
        for batch in batches:
            try:
                events += decode_journey_events(batch.payload)
            except msgspec.MsgspecError as error:
                _log.error("journey_events_unreadable", error=describe_error(error), bytes=len(batch.payload))
        await worker.log.append(JOURNEY_EVENTS, split_journey_events(events, JOURNEY_EVENTS))
    for event in events:
        worker.metrics.journeys.events.labels(event.type).inc()
    return 0.0


async def keep_house(worker: Worker, parts: JourneyParts, retention: RunRetention) -> float:
    """Drop ended runs that were kept for long enough, and contexts that a killed worker left; seconds to the next."""
    before_ms = worker.clock.now_ms() - worker.settings.retention_days * DAY_MS
    dropped = 0
    while found := await retention.drop_old(before_ms):
        dropped += found
    contexts = await drop_left_contexts(parts)
    if dropped or contexts:
        _log.info("journeys_retired", runs=dropped, contexts=contexts)
    return KEEP_EVERY_S


async def drop_left_contexts(parts: JourneyParts) -> int:
    """Drop the contexts of runs that have ended, or are gone; of how many runs."""
    after, dropped = bytes(16), 0
    while idents := await parts.contexts.page_old(after, PAGE):
        runs = await parts.instances.load(idents)
        ended = [
            ident for ident, run in zip(idents, runs, strict=True) if run is None or run.status != "active"
        ]
        await parts.contexts.drop(ended)
        after, dropped = idents[-1], dropped + len(ended)
    return dropped


async def _observe(
    worker: Worker, parts: JourneyParts, outbox: GlobalJourneyOutbox, retention: RunRetention
) -> float:
    metrics = worker.metrics.journeys
    metrics.lag.set(await parts.continuations.lag_ms(worker.clock.now_ms()) / 1000)
    metrics.waiting_events.set(await outbox.backlog())
    metrics.active.set(await retention.count_active())
    return OBSERVE_EVERY_S


class CountedEffects:
    """`journeys.ports.Effects` that counts what came of each command."""

    def __init__(self, effects: Effects, metrics: JourneyMetrics) -> None:
        self._effects = effects
        self._metrics = metrics

    async def carry_out(self, commands: Sequence[tuple[Command, Context | None]]) -> list[Done | None]:
        """What came of each; see `Effects.carry_out`."""
        answers = await self._effects.carry_out(commands)
        for (command, _), done in zip(commands, answers, strict=True):
            self._metrics.effects.labels(_kind(command), _result(done)).inc()
        return answers


def _result(done: Done | None) -> str:
    """Few words: they are a label."""
    if done is None:
        return "later"
    if done.error:
        return "failed" if done.final else "retry"
    return "blocked" if done.result == "blocked" else "done"


def _kind(command: Command) -> str:
    if isinstance(command, Send):
        return "notification"
    if isinstance(command, Ask):
        return str(command.spec.__struct_config__.tag)
    return "recall"
