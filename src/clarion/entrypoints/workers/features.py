"""The features role: what is sent to users and what they do becomes what is known of them, within seconds."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import structlog

from clarion.contracts.events import NotificationEvent, decode_events
from clarion.contracts.topics import NOTIFICATION_EVENTS, USER_EVENTS, Topic
from clarion.contracts.user_events import UserEvent, decode_user_events
from clarion.entrypoints.featuring import live_ports, patient_store
from clarion.entrypoints.workers.lane import run_lane
from clarion.intelligence.features.hear import hear
from clarion.intelligence.features.live import LivePorts, Unwritten, archive_some, paint, take_signs
from clarion.kernel.errors import Transient
from clarion.kernel.local_time import DAY_MS
from clarion.orchestration.ports import EventConsumer, LogEntry, Subscription

if TYPE_CHECKING:
    from clarion.adapters.postgres.feature_records import PostgresFeatures
    from clarion.adapters.valkey.features import ValkeyFeatures
    from clarion.bootstrap import Worker
    from clarion.kernel.clock import Clock

GROUP: Final = "features"
ENTRIES: Final = 64
"""Log entries a step. Each is one partition's share of some transactions: a few events, some hundreds under load, so
that a step keeps the process for 0.1 s at most."""

BLOCK_MS: Final = 500
GATHER_S: Final = 0.2
"""Between two portions while there is time: what comes meanwhile is folded in one."""

NAP_S: Final = 0.01
BUSY_S: Final = 0.003
"""A process that comes so late to what was to be done at once has other things to do."""

GIVE_WAY: Final = 5.0
GIVE_WAY_S: Final = 2.0
PATIENCE_S: Final = 60.0
ABANDONED_MS: Final = 30_000
"""After so long an entry that a worker took and did not ack is another's."""

ARCHIVE_EVERY_S: Final = 20.0
"""A user's record is archived this long after it changed, and a profile told."""

ARCHIVE_PATIENCE_MS: Final = 300_000
"""Under load it is archived this much later: a broadcast is over by then, and nothing is lost meanwhile, since the
record itself is in the store. Archiving a member of one costs half of what sending to her does (90 µs of 170)."""

PAINT_EVERY_S: Final = 60.0
PAINTED_AT_ONCE: Final = 500
FORGET_EVERY_S: Final = 3600.0
RESTORE_EVERY_S: Final = 2.0
PAGE: Final = 1_000

_log = structlog.get_logger("features")


async def run_features(worker: Worker, stop: asyncio.Event) -> None:
    """Fold, archive and repaint until `stop` is set. Several workers share the work."""
    ports, archive = live_ports(worker.region)
    unwritten, store = Unwritten(), patient_store(worker.region)
    metrics = worker.metrics.features
    metrics.unarchived.set_function(lambda: len(unwritten))
    hearer = Hearer(ports, unwritten, worker.clock, metrics.heard)
    await asyncio.gather(
        run_lane("features-messages", partial(hearer.step, worker.log, NOTIFICATION_EVENTS), stop),
        run_lane("features-deeds", partial(hearer.step, worker.log, USER_EVENTS), stop),
        run_lane("features-archive", partial(archive_changed, unwritten, ports, worker.clock), stop),
        run_lane("features-restore", partial(restore, store, archive), stop),
        run_lane("features-paint", partial(paint_anew, ports, worker.clock), stop),
        run_lane("features-forget", partial(_forget, archive), stop),
    )
    try:
        while len(unwritten):
            await archive_some(unwritten, ports, worker.clock.now_ms())
    except Transient as error:
        _log.warning("features_not_archived", users=len(unwritten), reason=error.detail)


class Portion(NamedTuple):
    """How a step went: entries and seconds that it took, how old its latest sign was, and how late the process is."""

    entries: int
    took_s: float
    behind_s: float
    late_s: float


def pause_after(portion: Portion) -> float:
    """Seconds to the next portion: deliveries in this process come first, for PATIENCE_S at most.

    What is known of users may be some seconds old; during a campaign folding would take a fifth of what sending takes.
    It cannot wait for long, because the log keeps what is not read.
    """
    if portion.behind_s > PATIENCE_S:
        return 0.0
    if portion.late_s > BUSY_S:
        return min(GIVE_WAY * portion.took_s, GIVE_WAY_S)
    return 0.0 if portion.entries >= ENTRIES else GATHER_S


async def lateness_s(clock: Clock) -> float:
    """How late this process comes to what it wants to do: what else it does is more urgent."""
    began = clock.monotonic()
    await asyncio.sleep(NAP_S)
    return clock.monotonic() - began - NAP_S


class Hearer:
    """Folds what two topics tell. What was read and could not be folded is folded again, by this worker or another."""

    def __init__(
        self,
        ports: LivePorts,
        unwritten: Unwritten,
        clock: Clock,
        tell: Callable[[int, float], None] | None = None,
    ) -> None:
        """`unwritten`: where users are noted who were heard of. `tell`: how many signs, and the latest's age in s."""
        self._ports = ports
        self._tell = tell
        self._unwritten = unwritten
        self._clock = clock
        self._owed: dict[str, list[LogEntry]] = {}
        self._heard_ms = 0

    async def step(self, log: EventConsumer, topic: Topic) -> float:
        """Fold a portion of a topic; seconds until the next look. Raises Transient."""
        began = self._clock.monotonic()
        entries = await self.listen(log, topic)
        if not entries:
            return 0.0
        took_s = self._clock.monotonic() - began
        behind_s = (self._clock.now_ms() - self._heard_ms) / 1000
        return pause_after(Portion(entries, took_s, behind_s, await lateness_s(self._clock)))

    async def listen(self, log: EventConsumer, topic: Topic) -> int:
        """Fold a portion of a topic; how many entries it had, 0 where none came in BLOCK_MS. Raises Transient."""
        subscription = Subscription(GROUP, socket.gethostname(), topic)
        entries = self._owed.get(topic.name) or await log.read(
            subscription, max_entries=ENTRIES, block_ms=BLOCK_MS
        )
        if not entries:
            entries = await log.claim(subscription, idle_ms=ABANDONED_MS, max_entries=ENTRIES)
        if entries:
            self._owed[topic.name] = entries
            await self.fold(entries, topic)
            del self._owed[topic.name]
            await log.ack(subscription, entries)
        return len(entries)

    async def fold(self, entries: list[LogEntry], topic: Topic) -> int:
        """Fold what entries of a topic tell; of how many users anything was heard. Raises Transient."""
        messages: list[NotificationEvent] = []
        deeds: list[UserEvent] = []
        for entry in entries:
            try:
                if topic is USER_EVENTS:
                    deeds += decode_user_events(entry.payload)
                else:
                    messages += decode_events(entry.payload)
            except msgspec.MsgspecError:
                _log.error("entry_unreadable", topic=topic.name)
        return await self.take(messages, deeds)

    async def take(self, messages: Sequence[NotificationEvent], deeds: Sequence[UserEvent]) -> int:
        """Fold events; of how many users anything was heard. Raises Transient."""
        signs = hear(messages, deeds, self._clock.now_ms())
        if len(signs):
            self._heard_ms = int(signs.at_ms.max())
        homes = await take_signs(signs, self._ports)
        changed = ((user_id, home.tenant_id) for user_id, home in homes.items())
        self._unwritten.add(changed, self._clock.now_ms())
        if self._tell and len(signs):
            self._tell(len(signs), (self._clock.now_ms() - self._heard_ms) / 1000)
        return len(homes)


async def archive_changed(unwritten: Unwritten, ports: LivePorts, clock: Clock) -> float:
    """Archive what changed, a portion of it; seconds until the next look. Deliveries in this process come first."""
    if wait_s := archive_pause(unwritten.waited_ms(clock.now_ms()), await lateness_s(clock)):
        return wait_s
    await archive_some(unwritten, ports, clock.now_ms())
    return 0.0 if len(unwritten) else ARCHIVE_EVERY_S


def archive_pause(waited_ms: int, late_s: float) -> float:
    """Seconds that a portion of the archive waits: its first user waited so long, the process is so late."""
    return GIVE_WAY_S if late_s > BUSY_S and waited_ms < ARCHIVE_PATIENCE_MS else 0.0


async def restore(store: ValkeyFeatures, archive: PostgresFeatures) -> float:
    """Put all archived records back where the store started empty; seconds until the next look.

    Those that it has by then are newer, and stay.
    """
    if await store.holds_marker():
        return RESTORE_EVERY_S
    after, found = 0, 0
    while len(page := await archive.page(after, PAGE)):
        found += sum(await store.write(page))
        after = int(page["user_id"][-1])
    await store.mark()
    if found:
        _log.info("features_restored", users=found)
    return RESTORE_EVERY_S


async def paint_anew(ports: LivePorts, clock: Clock) -> float:
    """Tell profiles anew what records mean that nobody changed for a day; seconds until the next look."""
    now_ms = clock.now_ms()
    stale = await ports.archive.unpainted(now_ms - DAY_MS, PAINTED_AT_ONCE)
    await paint(stale, ports, now_ms)
    return 0.0 if sum(map(len, stale.values())) == PAINTED_AT_ONCE else PAINT_EVERY_S


async def _forget(archive: PostgresFeatures) -> float:
    return 0.0 if await archive.drop_old() else FORGET_EVERY_S
