"""Access and portability: everything that is held about a user, from every store, as one archive.

An export is a job: asked for by API, carried out by a worker that goes through all sources, kept for some days and then
gone. It only reads, so that one whose worker died begins anew.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from clarion.compliance.archive import About, Gathered
from clarion.compliance.ports import DataSubject, ExportSource
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Permanent, Transient
from clarion.kernel.ids import format_id

KEPT_DAYS: Final = 7
"""How long an archive can be fetched."""

KNOWN_DAYS: Final = 730
"""How long it is known that one was asked for: 24 months, as the CCPA's regulations have it (11 CCR 7101)."""

LEASE_MS: Final = 60_000
"""By when a worker reports, or another begins anew. Between two reports lies one source."""

PAUSE_MS: Final = 5_000
"""How long an export waits for a store that is away."""

State: TypeAlias = Literal["running", "ready", "failed", "expired"]


class Step(msgspec.Struct, frozen=True):
    """What a source gave: how many records of which kind, and when it was asked (UTC ms)."""

    source: str
    records: dict[str, int]
    at_ms: int


class Export(msgspec.Struct, frozen=True):
    """An export as it stands. Times are UTC ms. `size` in bytes and `sha256` are those of the archive (0, b"": none).

    `problem`: what a running one waits for, or why one failed; safe to show.
    """

    export_id: bytes
    tenant_id: bytes
    user_id: int
    external_id: str
    state: State
    steps: tuple[Step, ...]
    problem: str
    requested_ms: int
    ended_ms: int | None
    expires_ms: int | None
    size: int
    sha256: bytes


class ExportStore(Protocol):
    """Where exports and their archives are kept."""

    async def take(self, lease_ms: int, export_id: bytes | None = None) -> Export | None:
        """The export that waits longest, or this one, for this worker alone; None: there is none. Raises Transient."""
        ...

    async def note(self, export: Export, wait_ms: int) -> None:
        """Keep how far it is, and go on after so many milliseconds at the latest. Raises Transient."""
        ...

    async def finish(self, export: Export, archive: bytes) -> bool:
        """Keep the archive, sealed with the user's own key, all or nothing. False: the user is being erased.

        Raises Transient.
        """
        ...

    async def fail(self, export: Export, problem: str) -> None:
        """End it without an archive. Raises Transient."""
        ...


class ExportPorts(msgspec.Struct, frozen=True):
    """What carrying out an export uses of the outside."""

    store: ExportStore
    sources: Sequence[ExportSource]
    clock: Clock


async def carry_out(ports: ExportPorts, export_id: bytes | None = None) -> Export | None:
    """Carry out the next export, or this one, to its end or its next pause; None: there is nothing to do.

    A store that is away makes it wait. Raises Transient where the store of exports itself is.
    """
    export = await ports.store.take(LEASE_MS, export_id)
    if export is None:
        return None
    gathered = Gathered()
    try:
        export = await _gather(export, gathered, ports)
    except Transient as error:
        return await _postpone(export, error.detail, ports)
    except Permanent as error:
        await ports.store.fail(export, error.detail)
        return msgspec.structs.replace(export, state="failed", problem=error.detail)
    about = About(format_id(export.export_id), export.external_id, ports.clock.now_ms())
    # A second of work for ten thousand messages: beside the loop, which has other things to do.
    archive = await asyncio.to_thread(gathered.pack, about)
    export = msgspec.structs.replace(
        export, size=len(archive), sha256=hashlib.sha256(archive).digest(), problem=""
    )
    if not await ports.store.finish(export, archive):
        problem = "the user is gone"
        await ports.store.fail(export, problem)
        return msgspec.structs.replace(export, state="failed", problem=problem)
    return msgspec.structs.replace(export, state="ready")


async def _gather(export: Export, gathered: Gathered, ports: ExportPorts) -> Export:
    """Ask each source; the export with what they gave, which is noted after each of them."""
    subject = DataSubject(export.tenant_id, export.user_id, export.external_id)
    export = msgspec.structs.replace(export, steps=())
    for source in ports.sources:
        records: dict[str, int] = {}
        async for held in source.export(subject):
            gathered.add(held)
            records[held.name] = records.get(held.name, 0) + len(held.rows)
        step = Step(source.name, records, ports.clock.now_ms())
        export = msgspec.structs.replace(export, steps=(*export.steps, step))
        await ports.store.note(export, LEASE_MS)
    return export


async def _postpone(export: Export, problem: str, ports: ExportPorts) -> Export:
    waiting = msgspec.structs.replace(export, problem=problem)
    await ports.store.note(waiting, PAUSE_MS)
    return waiting
