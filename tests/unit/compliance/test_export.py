"""Carrying out an export: through outages, with a source that fails for good, and by several workers."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec

from clarion.compliance.export import PAUSE_MS, Export, ExportPorts, carry_out
from clarion.compliance.ports import DataSubject, Held
from clarion.kernel.errors import ClarionError, Permanent, Transient
from clarion.testing.clock import ManualClock
from clarion.testing.exporting import InMemoryExportSource

EXPORT = Export(b"e" * 16, b"t" * 16, 7, "ada", "running", (), "", 0, None, None, 0, b"")


@dataclass
class Exports:
    """`ExportStore` of one export."""

    export: Export = EXPORT
    is_free: bool = True
    is_erased: bool = False
    archive: bytes = b""
    pauses: list[int] = field(default_factory=list[int])

    async def take(self, lease_ms: int, export_id: bytes | None = None) -> Export | None:
        del lease_ms, export_id
        if not self.is_free or self.export.state != "running":
            return None
        self.is_free = False
        return self.export

    async def note(self, export: Export, wait_ms: int) -> None:
        self.export = export
        self.pauses.append(wait_ms)

    async def finish(self, export: Export, archive: bytes) -> bool:
        if not self.is_erased:
            self.export, self.archive = msgspec.structs.replace(export, state="ready"), archive
        return not self.is_erased

    async def fail(self, export: Export, problem: str) -> None:
        self.export = msgspec.structs.replace(export, state="failed", problem=problem)


@dataclass
class Unwell:
    """A source that raises once it has given something, as often as it is told to."""

    errors: list[ClarionError]

    @property
    def name(self) -> str:
        return "memory.unwell"

    async def export(self, subject: DataSubject) -> AsyncIterator[Held]:
        yield Held("pages", [{"page": 1}])
        if self.errors:
            raise self.errors.pop()
        yield Held("pages", [{"page": 2, "of": subject.external_id}])


def ports(store: Exports, *errors: ClarionError) -> ExportPorts:
    words = InMemoryExportSource()
    words.kept[EXPORT.tenant_id, EXPORT.user_id] = ["hello"]
    return ExportPorts(store, (words, Unwell(list(errors))), ManualClock())


def pages(store: Exports) -> list[dict[str, object]]:
    with zipfile.ZipFile(io.BytesIO(store.archive)) as opened:
        return json.loads(opened.read("pages.json"))


async def test_a_store_that_is_away_is_waited_for_and_nothing_comes_twice():
    store = Exports()
    used = ports(store, Transient("it is away"), Transient("it is away"))
    for _ in range(2):
        waiting = await carry_out(used)
        assert waiting is not None
        assert (waiting.state, waiting.problem) == ("running", "it is away")
        assert store.pauses[-1] == PAUSE_MS
        store.is_free = True
    done = await carry_out(used)
    assert done is not None
    assert (done.state, done.problem) == ("ready", "")
    assert pages(store) == [{"page": 1}, {"page": 2, "of": "ada"}]
    assert [(step.source, step.records) for step in done.steps] == [
        ("memory.words", {"words": 1}),
        ("memory.unwell", {"pages": 2}),
    ]


async def test_what_will_never_succeed_ends_it_with_a_reason():
    store = Exports()
    ended = await carry_out(ports(store, Permanent("it is broken")))
    assert ended == store.export
    assert (store.export.state, store.export.problem, store.archive) == ("failed", "it is broken", b"")


async def test_a_user_who_is_being_erased_gets_none():
    store = Exports(is_erased=True)
    ended = await carry_out(ports(store))
    assert ended is not None
    assert (ended.state, store.export.state, store.archive) == ("failed", "failed", b"")


async def test_two_workers_carry_it_out_once():
    store = Exports()
    used = ports(store)
    done = await asyncio.gather(*(carry_out(used) for _ in range(4)))
    assert [one.state for one in done if one] == ["ready"]
    assert await carry_out(used) is None
