"""The event log on Valkey Streams: `log:{topic:partition}`, a consumer group of each stream per group.

What the server does itself stays with it: ids, who was given what, idle times. The log is never the only copy: after
a loss of the server's data, groups are made anew and begin with the oldest entry that is there.
"""

from __future__ import annotations

import asyncio
import importlib.resources
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

from redis.exceptions import ResponseError

from clarion.adapters.eventlog.errors import guarded
from clarion.contracts.topics import Topic, partition_of
from clarion.orchestration.ports import LogEntry, Subscription

MAX_BYTES: Final = 256 * 1024 * 1024
TIMEOUT_S: Final = 5.0
POLL_S: Final = 0.05
"""Pause between looks on a cluster, where no command waits on the streams of several slots."""

_PAYLOAD: Final = b"p"
_START: Final = b"0-0"

_Found = TypeVar("_Found")


class StreamsClient(Protocol):
    """What this adapter uses of a redis-py client that answers in bytes (RESP 2)."""

    def execute_command(self, *args: Any, **options: Any) -> Awaitable[Any]:
        """Run one command."""
        ...

    def pipeline(self, transaction: Any = None) -> Any:  # noqa: ANN401  two unrelated pipeline classes of redis-py
        """A pipeline."""
        ...


class StreamsClients(Protocol):
    """The clients that bootstrap hands over. `write` repeats no command; `blocking` has no time limit of its own."""

    @property
    def write(self) -> StreamsClient:
        """For everything that does not wait."""
        ...

    @property
    def blocking(self) -> StreamsClient:
        """For XREADGROUP with BLOCK."""
        ...

    @property
    def is_cluster(self) -> bool:
        """Whether streams may be on different nodes."""
        ...


class StreamsEventLog:
    """`orchestration.ports.EventLog` and `EventConsumer`. `max_bytes` is for all topics together."""

    def __init__(self, clients: StreamsClients, max_bytes: int = MAX_BYTES) -> None:
        self._clients = clients
        self._max_bytes = max_bytes
        folder = importlib.resources.files("clarion.adapters.eventlog") / "lua"
        self._trim = (folder / "stream_trim.lua").read_text(encoding="utf-8")

    async def append(self, topic: Topic, entries: Sequence[tuple[int, bytes]]) -> None:
        """One pipeline, an XADD an entry."""
        if not entries:
            return
        await self._pipelined(
            ("XADD", _stream(topic, partition_of(key, topic)), "*", _PAYLOAD, payload)
            for key, payload in entries
        )

    async def read(
        self, subscription: Subscription, *, max_entries: int, block_ms: int = 0
    ) -> list[LogEntry]:
        """One XREADGROUP over all partitions; on a cluster a pipeline of them, again and again while it waits."""
        head = (
            b"GROUP",
            subscription.group,
            subscription.consumer,
            b"COUNT",
            _share(max_entries, subscription),
        )
        wait_s = block_ms / 1000
        if self._clients.is_cluster:
            return await self._grouped(
                subscription, lambda: self._poll(subscription.topic, head, wait_s), wait_s
            )
        streams = _streams(subscription.topic)
        wait = (b"BLOCK", block_ms) if block_ms > 0 else ()
        command = ("XREADGROUP", *head, *wait, b"STREAMS", *streams, *(b">" for _ in streams))

        async def read_once() -> list[LogEntry]:
            answer = await self._clients.blocking.execute_command(*command)
            return _entries_of(answer, streams)

        return await self._grouped(subscription, read_once, wait_s)

    async def claim(self, subscription: Subscription, *, idle_ms: int, max_entries: int) -> list[LogEntry]:
        """A pipeline with an XAUTOCLAIM a partition, repeated while it finds nothing and has not seen all."""
        return await self._grouped(
            subscription, lambda: self._claim(subscription, idle_ms, _share(max_entries, subscription))
        )

    async def ack(self, subscription: Subscription, entries: Sequence[LogEntry]) -> None:
        """One pipeline, an XACK a partition."""
        ids: dict[int, list[bytes]] = {}
        for entry in entries:
            ids.setdefault(entry.partition, []).append(entry.entry_id)
        if ids:
            await self._pipelined(
                ("XACK", _stream(subscription.topic, partition), subscription.group, *acked)
                for partition, acked in ids.items()
            )

    async def lag(self, group: str, topic: Topic) -> int:
        """One pipeline. Where the server cannot say what a group has read, all of that partition counts."""
        streams = _streams(topic)
        commands = [(name, stream) for stream in streams for name in ("XLEN", "XINFO GROUPS")]
        async with guarded(TIMEOUT_S):
            answers = await self._run_pipeline(commands, raise_on_error=False)
        return sum(
            _lag_of(length, groups, group.encode())
            for length, groups in zip(answers[::2], answers[1::2], strict=True)
        )

    async def trim(self, topics: Sequence[Topic]) -> int:
        """Where all is larger than `max_bytes`, each partition loses the same share of its entries."""
        streams = [(stream, topic.retention_ms) for topic in topics for stream in _streams(topic)]
        sizes = await self._pipelined(("MEMORY USAGE", stream) for stream, _ in streams)
        total = sum(size or 0 for size in sizes)
        excess = max(0.0, 1 - self._max_bytes / total) if total else 0.0
        groups = [[pair] for pair in streams] if self._clients.is_cluster else [streams]
        async with guarded(TIMEOUT_S):
            removed = await asyncio.gather(*(self._trim_streams(group, excess) for group in groups))
        return sum(removed)

    async def _trim_streams(self, streams: Sequence[tuple[bytes, int]], excess: float) -> int:
        keys = [stream for stream, _ in streams]
        retentions = [retention_ms for _, retention_ms in streams]
        # EVAL with the source: this runs once in minutes, and then needs no second way for a server that forgot it.
        answers = await self._clients.write.execute_command(
            "EVAL", self._trim, len(keys), *keys, excess, *retentions
        )
        return sum(answers)

    async def _poll(self, topic: Topic, head: Sequence[bytes | str | int], wait_s: float) -> list[LogEntry]:
        streams = _streams(topic)
        commands = [("XREADGROUP", *head, b"STREAMS", stream, b">") for stream in streams]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        # redis-py sends within `asyncio.wait_for`, which in Python 3.11 can swallow a cancellation.
        task = asyncio.current_task()
        while not (task and task.cancelling()):
            answers = await self._run_pipeline(commands)
            found = [entry for answer in answers for entry in _entries_of(answer, streams)]
            remaining = deadline - loop.time()
            if found or remaining <= 0:
                return found
            await asyncio.sleep(min(POLL_S, remaining))
        raise asyncio.CancelledError

    async def _claim(self, subscription: Subscription, idle_ms: int, count: int) -> list[LogEntry]:
        cursors = dict.fromkeys(range(subscription.topic.partitions), _START)
        who = (subscription.group, subscription.consumer, idle_ms)
        while True:
            answers = await self._run_pipeline(
                ("XAUTOCLAIM", _stream(subscription.topic, partition), *who, cursor, "COUNT", count)
                for partition, cursor in cursors.items()
            )
            found: list[LogEntry] = []
            left: dict[int, bytes] = {}
            for partition, (cursor, entries, *_) in zip(cursors, answers, strict=True):
                found += (LogEntry(partition, entry_id, fields[_PAYLOAD]) for entry_id, fields in entries)
                if cursor != _START:
                    left[partition] = cursor
            if found or not left:
                return found
            cursors = left

    async def _grouped(
        self, subscription: Subscription, call: Callable[[], Awaitable[_Found]], wait_s: float = 0.0
    ) -> _Found:
        """The call's answer; where the group is not there yet (or no more), it is made and the call made again."""
        async with guarded(TIMEOUT_S + wait_s):
            try:
                return await call()
            except ResponseError as exc:
                if "NOGROUP" not in str(exc):
                    raise
            await self._make_groups(subscription)
            return await call()

    async def _make_groups(self, subscription: Subscription) -> None:
        answers = await self._run_pipeline(
            (
                ("XGROUP CREATE", stream, subscription.group, "0", "MKSTREAM")
                for stream in _streams(subscription.topic)
            ),
            raise_on_error=False,
        )
        for answer in answers:
            if isinstance(answer, Exception) and "BUSYGROUP" not in str(answer):
                raise answer

    async def _pipelined(self, commands: Iterable[Sequence[Any]]) -> list[Any]:
        async with guarded(TIMEOUT_S):
            return await self._run_pipeline(commands)

    async def _run_pipeline(
        self, commands: Iterable[Sequence[Any]], *, raise_on_error: bool = True
    ) -> list[Any]:
        pipeline = self._clients.write.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return await pipeline.execute(raise_on_error=raise_on_error)


def _stream(topic: Topic, partition: int) -> bytes:
    return b"log:{%s:%d}" % (topic.name.encode(), partition)


def _streams(topic: Topic) -> list[bytes]:
    return [_stream(topic, partition) for partition in range(topic.partitions)]


def _share(max_entries: int, subscription: Subscription) -> int:
    """A partition's share of a read: COUNT bounds each stream by itself."""
    return max(1, max_entries // subscription.topic.partitions)


def _entries_of(answer: Any, streams: Sequence[bytes]) -> list[LogEntry]:  # noqa: ANN401  redis-py has no type for it
    return [
        LogEntry(streams.index(stream), entry_id, fields[_PAYLOAD])
        for stream, entries in answer
        for entry_id, fields in entries
    ]


def _lag_of(length: Any, groups: Any, group: bytes) -> int:  # noqa: ANN401  answers, or the errors in their place
    if isinstance(length, Exception):
        raise length
    if isinstance(groups, Exception):
        return 0  # there is no such stream
    for found in groups:
        if found["name"] == group:
            undelivered = found["lag"]
            return found["pending"] + (length if undelivered is None else undelivered)
    return length
