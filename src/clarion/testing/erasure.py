"""What every store that can be erased promises, as tests: subclass the suite and give it a `world` fixture.

    class TestArchive(ErasureTargetConformance):
        @pytest.fixture
        def world(self) -> ErasureWorld: …

A world makes subjects of its own, puts something of theirs into the store, and counts what the store holds of them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Final, Protocol

from clarion.compliance.ports import DataSubject, ErasureTarget

ASKED_MOST: Final = 5
"""Until it finds nothing a store may be asked so often: a removal may leave a mark that the next one removes."""


class ErasureWorld(Protocol):
    """A store to be erased, and what a test does to it."""

    @property
    def target(self) -> ErasureTarget:
        """The store."""
        ...

    def subject(self) -> DataSubject:
        """A user whom no other test knows, of a tenant of this world."""
        ...

    async def put(self, subject: DataSubject) -> None:
        """Let the store hold something of hers, as its own writers do."""
        ...

    async def held(self, subject: DataSubject) -> int:
        """How much the store holds of her."""
        ...


class InMemoryErasureTarget:
    """A store that holds words of users. `kept` may be read and written: words by tenant and number."""

    def __init__(self, name: str = "memory.words") -> None:
        self.kept: dict[tuple[bytes, int], list[str]] = {}
        self._name = name

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Remove her words; see `ErasureTarget.erase`."""
        return {"words": len(self.kept.pop((subject.tenant_id, subject.user_id), []))}


class InMemoryWorld:
    """`ErasureWorld` of the store in memory."""

    def __init__(self) -> None:
        self._store = InMemoryErasureTarget()
        self._tenant_id = secrets.token_bytes(16)

    @property
    def target(self) -> InMemoryErasureTarget:
        """The store."""
        return self._store

    def subject(self) -> DataSubject:
        """A new user."""
        return DataSubject(self._tenant_id, secrets.randbits(48), secrets.token_hex(4))

    async def put(self, subject: DataSubject) -> None:
        """A word of hers."""
        self._store.kept.setdefault((subject.tenant_id, subject.user_id), []).append("word")

    async def held(self, subject: DataSubject) -> int:
        """Her words."""
        return len(self._store.kept.get((subject.tenant_id, subject.user_id), []))


async def erase_all(target: ErasureTarget, subject: DataSubject) -> int:
    """Ask until nothing is found, as an erasure does; how much was removed."""
    removed = 0
    for _ in range(ASKED_MOST):
        found = sum((await target.erase(subject)).values())
        if not found:
            return removed
        removed += found
    raise AssertionError(f"{target.name} finds something however often it is asked")


def _check(passed: bool, problem: str) -> None:  # noqa: FBT001  reads as a sentence
    if not passed:
        raise AssertionError(problem)


class ErasureTargetConformance:
    """The promises of the port `ErasureTarget`, on which certificates rely. Its tests need only the fixture `world`."""

    async def test_its_name_says_which_store_and_what_of_it(self, world: ErasureWorld) -> None:
        """The certificate has nothing else to tell them apart."""
        store, _, part = world.target.name.partition(".")
        _check(bool(store and part), "a name is like `postgres.profile`")

    async def test_what_it_held_is_gone_and_counted(self, world: ErasureWorld) -> None:
        """The count is what the certificate says."""
        subject = world.subject()
        await world.put(subject)
        _check(await world.held(subject) > 0, "the world put nothing there")
        _check(await erase_all(world.target, subject) > 0, "it removed something, and counted nothing")
        _check(await world.held(subject) == 0, "something is left")

    async def test_asked_again_it_finds_nothing(self, world: ErasureWorld) -> None:
        """An erasure ends when all stores find nothing."""
        subject = world.subject()
        await world.put(subject)
        await erase_all(world.target, subject)
        _check(sum((await world.target.erase(subject)).values()) == 0, "it finds something again")

    async def test_of_whom_nothing_is_held_nothing_is_removed(self, world: ErasureWorld) -> None:
        """That is no error: most stores hold nothing of most users."""
        found = await world.target.erase(world.subject())
        _check(sum(found.values()) == 0, "it removed what was not there")

    async def test_nobody_elses_is_touched(self, world: ErasureWorld) -> None:
        """Two users of one tenant."""
        subject, other = world.subject(), world.subject()
        await world.put(subject)
        await world.put(other)
        held = await world.held(other)
        await erase_all(world.target, subject)
        _check(await world.held(other) == held, "it removed what is another's")

    async def test_what_comes_later_is_removed_when_asked_again(self, world: ErasureWorld) -> None:
        """What was under way when it was asked first may arrive afterwards."""
        subject = world.subject()
        await world.put(subject)
        await erase_all(world.target, subject)
        await world.put(subject)
        await erase_all(world.target, subject)
        _check(await world.held(subject) == 0, "something is left")

    async def test_two_who_erase_at_once_do_not_disturb_each_other(self, world: ErasureWorld) -> None:
        """A worker that was thought dead may go on."""
        subject = world.subject()
        await world.put(subject)
        await asyncio.gather(erase_all(world.target, subject), erase_all(world.target, subject))
        _check(await world.held(subject) == 0, "something is left")

    async def test_broken_off_it_can_be_asked_again(self, world: ErasureWorld) -> None:
        """As after a crash."""
        subject = world.subject()
        await world.put(subject)
        broken = asyncio.create_task(erase_all(world.target, subject))
        await asyncio.sleep(0)
        broken.cancel()
        await asyncio.gather(broken, return_exceptions=True)
        await erase_all(world.target, subject)
        _check(await world.held(subject) == 0, "something is left")
