"""The events role: publishes the outbox to the log, and keeps the log within its bounds."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from clarion.contracts.events import NotificationEvent, decode_events
from clarion.contracts.topics import NOTIFICATION_EVENTS, TOPICS, USER_EVENTS
from clarion.contracts.user_events import UserEvent, decode_user_events
from clarion.delivery.suspects import describe_error
from clarion.entrypoints.workers.lane import run_lane
from clarion.orchestration.publish import split_by_partition, split_user_events

if TYPE_CHECKING:
    from clarion.bootstrap import Worker

OUTBOX_BATCH: Final = 16
"""Outbox rows a step: each holds the events of one transaction, some hundreds under load."""

IDLE_S: Final = 0.1
TRIM_EVERY_S: Final = 30.0

_log = structlog.get_logger("events")


async def run_events(worker: Worker, stop: asyncio.Event) -> None:
    """Publish until `stop` is set. Several publishers share the work; consumers drop what they know."""
    await asyncio.gather(
        run_lane("events-publish", partial(publish, worker), stop),
        run_lane("events-trim", partial(_trim, worker), stop),
    )


async def publish(worker: Worker) -> float:
    """Put the oldest batches on the log; seconds until the next look. An unreadable one is parked."""
    async with worker.outbox.take(OUTBOX_BATCH) as taken:
        if not taken.entries:
            return IDLE_S
        events: list[NotificationEvent] = []
        deeds: list[UserEvent] = []
        for entry in taken.entries:
            try:
                if entry.topic == USER_EVENTS.name:
                    deeds.extend(decode_user_events(entry.payload))
                else:
                    events.extend(decode_events(entry.payload))
            except msgspec.MsgspecError as error:
                await taken.park(entry, describe_error(error))
                _log.error("outbox_entry_parked", outbox_id=entry.outbox_id)
        await worker.log.append(NOTIFICATION_EVENTS, split_by_partition(events, NOTIFICATION_EVENTS))
        if deeds:
            await worker.log.append(USER_EVENTS, split_user_events(deeds, USER_EVENTS))
    return 0.0


async def _trim(worker: Worker) -> float:
    await worker.log.trim(TOPICS)
    return TRIM_EVERY_S
