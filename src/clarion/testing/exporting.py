"""What every store that can show what it holds of a user promises, as tests: subclass the suite, give it a `world`.

    class TestArchive(ExportSourceConformance):
        @pytest.fixture
        def world(self) -> ExportWorld: …

A world makes users of its own and puts words of theirs into the store, by which the suite finds them again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Final, Protocol

import msgspec

from clarion.compliance.ports import DataSubject, ExportSource, Held

_encode: Final = msgspec.json.Encoder().encode


class ExportWorld(Protocol):
    """A store to be exported from, and what a test does to it."""

    @property
    def source(self) -> ExportSource:
        """The store."""
        ...

    async def subject(self) -> DataSubject:
        """A user whom no other test knows. All of a world are of one tenant."""
        ...

    async def put(self, subject: DataSubject, words: list[str]) -> None:
        """Let the store hold these words of hers, a record each."""
        ...


class InMemoryExportSource:
    """A store that holds words of users. `kept` may be read and written: words by tenant and number."""

    def __init__(self, name: str = "memory.words") -> None:
        self.kept: dict[tuple[bytes, int], list[str]] = {}
        self._name = name

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    async def export(self, subject: DataSubject) -> AsyncIterator[Held]:
        """Her words; see `ExportSource.export`."""
        for word in self.kept.get((subject.tenant_id, subject.user_id), []):
            yield Held("words", [{"word": word}])


class InMemoryExportWorld:
    """`ExportWorld` of the store in memory."""

    def __init__(self) -> None:
        self._store = InMemoryExportSource()
        self._tenant_id = secrets.token_bytes(16)

    @property
    def source(self) -> InMemoryExportSource:
        """The store."""
        return self._store

    async def subject(self) -> DataSubject:
        """A new user."""
        return DataSubject(self._tenant_id, 1 << 48 | secrets.randbits(47), secrets.token_hex(4))

    async def put(self, subject: DataSubject, words: list[str]) -> None:
        """Keep her words."""
        self._store.kept.setdefault((subject.tenant_id, subject.user_id), []).extend(words)


async def export_all(source: ExportSource, subject: DataSubject) -> dict[str, list[bytes]]:
    """The records of each kind as JSON, in order."""
    found: dict[str, list[bytes]] = {}
    async for held in source.export(subject):
        found.setdefault(held.name, []).extend(_encode(row) for row in held.rows)
    return found


async def _shown(world: ExportWorld, subject: DataSubject) -> bytes:
    """All that comes out, as one text."""
    found = await export_all(world.source, subject)
    return b"\n".join(row for rows in found.values() for row in rows)


def _words() -> list[str]:
    return [f"canary-{secrets.token_hex(8)}"]


def _check(passed: bool, problem: str) -> None:  # noqa: FBT001  reads as a sentence
    if not passed:
        raise AssertionError(problem)


class ExportSourceConformance:
    """The promises of the port `ExportSource`, on which archives rely. Its tests need only the fixture `world`."""

    async def test_its_name_says_which_store_and_what_of_it(self, world: ExportWorld) -> None:
        """It is the name under which the same is erased."""
        store, _, part = world.source.name.partition(".")
        _check(bool(store and part), "a name is like `postgres.profile`")

    async def test_what_it_holds_comes_out(self, world: ExportWorld) -> None:
        """Whatever was put in, in clear."""
        subject, words = await world.subject(), _words()
        await world.put(subject, words)
        whole = await _shown(world, subject)
        _check(all(word.encode() in whole for word in words), "something did not come out")

    async def test_what_it_holds_of_others_does_not(self, world: ExportWorld) -> None:
        """Two users of one tenant."""
        subject, other, words = await world.subject(), await world.subject(), _words()
        await world.put(other, words)
        await world.put(subject, _words())
        whole = await _shown(world, subject)
        _check(not any(word.encode() in whole for word in words), "another's came out")

    async def test_records_are_plain(self, world: ExportWorld) -> None:
        """Flat objects of JSON, which fit into a table, without the tenant's number."""
        subject = await world.subject()
        await world.put(subject, _words())
        found = await export_all(world.source, subject)
        rows = [msgspec.json.decode(row) for rows in found.values() for row in rows]
        _check(bool(rows) and all(isinstance(row, dict) for row in rows), "a record is no object")
        _check(not any("tenant_id" in row for row in rows), "a record tells the tenant's number")

    async def test_of_whom_nothing_is_held_nothing_comes(self, world: ExportWorld) -> None:
        """That is no error: most stores hold nothing of most users."""
        nobody = msgspec.structs.replace(
            await world.subject(), user_id=2 << 48 | secrets.randbits(47), external_id=secrets.token_hex(8)
        )
        found = await export_all(world.source, nobody)
        _check(not any(found.values()), "something came of nothing")

    async def test_asked_again_it_shows_the_same(self, world: ExportWorld) -> None:
        """It only reads; two may ask at once."""
        subject = await world.subject()
        await world.put(subject, _words())
        once, again = await asyncio.gather(
            export_all(world.source, subject), export_all(world.source, subject)
        )
        _check(once == again, "it shows something else")
