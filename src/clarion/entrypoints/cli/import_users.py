"""`clarion import users`: a file of users into the store, as fast as it goes, resumable at any moment.

    file ─▶ chunks ─▶ lanes, by user id ─▶ a writer ─▶ rejects and checkpoint, chunk by chunk in the file's order

A user's records all go through one lane, one after the other: of two the later counts, whatever is under way beside.
Writing a user again who is as stored changes nothing, so what a killed import did behind its last checkpoint is done
once all the same.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from clarion.audience.profile import UserItem
from clarion.bootstrap import open_region
from clarion.entrypoints.cli.checkpoint import Checkpoint, Journal, fingerprint, open_journal
from clarion.entrypoints.cli.import_writers import Rejected, Writer, open_writer, worth
from clarion.entrypoints.cli.instance import borrowed_settings, find_tenant
from clarion.entrypoints.cli.user_file import Chunk, FileShape, Position, Record, UserFile
from clarion.entrypoints.tuning import settle_memory
from clarion.kernel.errors import Invalid

LANES: Final = 4
"""Writes under way at a time: while one waits for Postgres, others are sealed."""

CHUNK: Final = 8_000
"""Records read at a time, two thousand a lane. Two chunks under way are some 30 MB."""

AHEAD: Final = 2
CHECKPOINT_EVERY_S: Final = 0.5
INTERRUPTED: Final = 130


class ImportOptions(msgspec.Struct, frozen=True):
    """The command's options. `rejects`: where records go that cannot be imported (None: beside the file).

    `processes`: how many write (0: as many as the file is worth).
    """

    data: Path
    file: Path
    tenant: str
    shape: FileShape
    rejects: Path | None
    restart: bool
    processes: int
    json: bool


class Imported(msgspec.Struct, frozen=True):
    """What became of a file's records. `resumed_at`: the line from which this run went on, 0 for the first."""

    created: int
    updated: int
    unchanged: int
    rejected: int
    rejects: str | None
    resumed_at: int
    seconds: float


def run_import(options: ImportOptions) -> int:
    """Import, and say what became of the records: 0, also where some were rejected; INTERRUPTED after Ctrl-C."""
    console = Console(stderr=True)
    try:
        done = uvloop.run(_import(options, console))
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from here")
        return INTERRUPTED
    if options.json:
        Console().print_json(msgspec.json.encode(done).decode(), indent=None)
        return 0
    total = done.created + done.updated + done.unchanged
    line = (
        f"{total:,} users: {done.created:,} created, {done.updated:,} updated, {done.unchanged:,} unchanged"
    )
    Console().print(f"{line}; {done.rejected:,} rejected" + (f", see {done.rejects}" if done.rejects else ""))
    return 0


async def _import(options: ImportOptions, console: Console) -> Imported:
    rejects = options.rejects or options.file.with_name(f"{options.file.name}.rejects.ndjson")
    with closing(UserFile(options.file, options.shape)) as file:
        file.check()
        async with borrowed_settings(options.data) as settings, open_region(settings, "import") as region:
            tenant_id = await find_tenant(region.tenants, settings.region, options.tenant)
            ident = fingerprint(options.file, options.shape, tenant_id)
            with open_journal(ident, rejects, restart=options.restart) as journal:
                began_s, begun = time.monotonic(), journal.reached.position
                if begun.line:
                    console.print(f"going on behind line {begun.line:,}")
                settle_memory()
                with Progress(*_columns(), console=console) as progress:
                    processes = options.processes or worth(file.size)
                    async with open_writer(settings, region, tenant_id, processes) as writer:
                        await Importer(writer, journal, _Bar(progress, file, journal.reached)).run(file)
                journal.finish()
                return _account(journal, begun, time.monotonic() - began_s)


def _account(journal: Journal, begun: Position, seconds: float) -> Imported:
    reached = journal.reached
    return Imported(
        reached.created,
        reached.updated,
        reached.unchanged,
        reached.rejected,
        str(journal.rejects) if reached.rejected else None,
        begun.line,
        round(seconds, 3),
    )


class Importer:
    """Chunks through lanes, and the journal behind them."""

    def __init__(self, writer: Writer, journal: Journal, bar: _Bar) -> None:
        self._writer = writer
        self._journal = journal
        self._bar = bar
        self._reached = journal.reached
        self._kept_s = time.monotonic()
        self._lanes: list[asyncio.Task[None] | None] = [None] * LANES

    async def run(self, file: UserFile) -> None:
        """Import what the journal has not reached. Raises Transient, Invalid; then a later run goes on."""
        under_way: deque[_Work] = deque()
        try:
            for chunk in file.chunks(self._reached.position, CHUNK):
                under_way.append(self._begin(chunk))
                # The lanes go on while the next chunk is read, which takes the loop.
                await asyncio.sleep(0)
                if len(under_way) >= AHEAD:
                    await self._end(under_way[0])
                    under_way.popleft()
            while under_way:
                await self._end(under_way[0])
                under_way.popleft()
        finally:
            await self._stop(under_way)
            self._journal.reach(self._reached)

    def _begin(self, chunk: Chunk) -> _Work:
        work = _Work(chunk)
        parts: list[list[tuple[Record, UserItem]]] = [[] for _ in range(LANES)]
        for record in chunk.records:
            if isinstance(record.user, Invalid):
                work.rejected.append((record, record.user))
            else:
                lane = crc32(record.user.user_id.encode("utf-8", "surrogatepass")) % LANES
                parts[lane].append((record, record.user))
        for lane, part in enumerate(parts):
            if part:
                task = asyncio.create_task(self._write(part, work, self._lanes[lane]))
                self._lanes[lane] = task
                work.tasks.append(task)
        return work

    async def _write(
        self, part: list[tuple[Record, UserItem]], work: _Work, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await before
        results = await self._writer.write([user for _, user in part])
        for (record, _), verdict in zip(part, results, strict=True):
            if isinstance(verdict, Rejected):
                work.rejected.append((record, Invalid(verdict.detail, verdict.path)))
            else:
                work.counts[verdict] += 1

    async def _end(self, work: _Work) -> None:
        await asyncio.gather(*work.tasks)
        work.rejected.sort(key=lambda rejected: rejected[0].line)
        written = self._journal.reject(work.rejected)
        reached = self._reached
        self._reached = msgspec.structs.replace(
            reached,
            position=work.end,
            reject_bytes=reached.reject_bytes + written,
            created=reached.created + work.counts["created"],
            updated=reached.updated + work.counts["updated"],
            unchanged=reached.unchanged + work.counts["unchanged"],
            rejected=reached.rejected + len(work.rejected),
        )
        if time.monotonic() - self._kept_s >= CHECKPOINT_EVERY_S:
            self._journal.reach(self._reached)
            self._kept_s = time.monotonic()
        self._bar.show(self._reached)

    @staticmethod
    async def _stop(under_way: Iterable[_Work]) -> None:
        """End what is still under way: what it had not done is done by the next run."""
        tasks = [task for work in under_way for task in work.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Work:
    """A chunk under way, and what became of its records so far."""

    def __init__(self, chunk: Chunk) -> None:
        self.end = chunk.end
        self.tasks: list[asyncio.Task[None]] = []
        self.rejected: list[tuple[Record, Invalid]] = []
        self.counts = {"created": 0, "updated": 0, "unchanged": 0}


class _Bar:
    """The bar of an import: bytes of the file, users a second."""

    def __init__(self, progress: Progress, file: UserFile, begun: Checkpoint) -> None:
        self._progress = progress
        self._file = file
        self._task: TaskID = progress.add_task("", total=file.size, rate=0.0, users=0, rejected=0)
        self._began_s = time.monotonic()
        self._before = _users(begun)

    def show(self, reached: Checkpoint) -> None:
        """Show how far it is."""
        users = _users(reached)
        rate = (users - self._before) / max(time.monotonic() - self._began_s, 0.001)
        self._progress.update(
            self._task,
            completed=self._file.read_bytes(),
            users=users,
            rate=rate,
            rejected=reached.rejected,
        )


def _users(checkpoint: Checkpoint) -> int:
    return checkpoint.created + checkpoint.updated + checkpoint.unchanged


def _columns() -> tuple[TextColumn | BarColumn | TimeRemainingColumn, ...]:
    return (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[users]:,} users"),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TextColumn("{task.fields[rejected]:,} rejected"),
        TimeRemainingColumn(),
    )
