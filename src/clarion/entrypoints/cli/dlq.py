"""`clarion dlq`: dead letters and parked messages of an instance, running or stopped, as its operator sees them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from clarion.adapters.postgres.dead_letters import (
    EVERYONE,
    FIRST,
    LetterFilter,
    LetterQuery,
    RedriveOrder,
)
from clarion.adapters.postgres.parking import ParkedMessage, PostgresParking
from clarion.bootstrap import Region, open_region
from clarion.delivery.suspects import DeadLetter
from clarion.entrypoints.cli.instance import borrowed_settings
from clarion.kernel.errors import Invalid, NotFound, Transient
from clarion.kernel.ids import format_id, parse_id
from clarion.orchestration.rows import format_time
from clarion.tenancy.model import environment_of

PORTION: Final = 1_000
"""Letters that one transaction redrives: Ctrl-C between two of them leaves the rest dead, for another call."""

PIPE_WIDTH: Final = 240
SHOWN_BYTES: Final = 512
SHOWN: Final = ("delivery_id", "tenant", "channel", "status", "reason", "last_error", "died_at")

T = TypeVar("T")


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which letters. `tenant`: a name; None for all tenants."""

    tenant: str | None = None
    reason: str | None = None
    channel: str | None = None
    category: str | None = None

    @property
    def filter(self) -> LetterFilter:
        """As the store takes it."""
        return LetterFilter(self.reason, self.channel, self.category)


class Page(msgspec.Struct, frozen=True):
    """How much of a choice: `redriven` None for the dead and the redriven; at most `limit`."""

    redriven: bool | None
    limit: int


class Named(msgspec.Struct, frozen=True):
    """What a command names: deliveries by their UUIDs, parked messages by their numbers."""

    letters: list[bytes]
    parked: list[int]


def read_choice(words: Sequence[str]) -> Choice:
    """The choice that words such as `channel=email` make. Raises Invalid on any other."""
    pairs = {name: value for name, _, value in (word.partition("=") for word in words)}
    unknown = sorted(set(pairs) - set(Choice.__struct_fields__))
    if unknown:
        names = ", ".join(Choice.__struct_fields__)
        raise Invalid(f"--where {unknown[0]}: it takes NAME=VALUE, where NAME is one of {names}")
    return Choice(**pairs)


def read_names(words: Sequence[str]) -> Named:
    """Tell ids of deliveries from numbers of parked messages. Raises Invalid on anything else."""
    letters: list[bytes] = []
    parked: list[int] = []
    for word in words:
        ident = parse_id(word)
        if word.isdecimal() and word.isascii():
            parked.append(int(word))
        elif ident is not None:
            letters.append(ident)
        else:
            raise Invalid(f"{word!r} is neither the id of a delivery nor the number of a parked message")
    return Named(letters, parked)


class Desk:
    """What the commands do at an open instance."""

    def __init__(self, region: Region, tenant_id: bytes | None, names: dict[bytes, str]) -> None:
        self._region = region
        self._tenant_id = tenant_id
        self._names = names
        self._parking = PostgresParking(region.pools)

    async def page(self, choice: Choice, page: Page) -> list[DeadLetter]:
        """The oldest letters of the choice."""
        query = LetterQuery(choice.filter, page.redriven, FIRST, page.limit)
        return await self._region.letters.list(self._tenant_id, query)

    async def parked(self, limit: int) -> list[ParkedMessage]:
        """The oldest parked messages."""
        return await self._parking.list(0, limit)

    async def find(self, word: str) -> DeadLetter | ParkedMessage:
        """One of either. Raises NotFound, Invalid."""
        named = read_names([word])
        found = (
            await self._region.letters.read(self._tenant_id, named.letters[0])
            if named.letters
            else await self._parking.read(named.parked[0])
        )
        if found is None:
            raise NotFound(f"there is no dead letter and no parked message {word}")
        return found

    async def redrive(self, order: RedriveOrder) -> int:
        """One portion; how many were opened. The sweeper queues what Valkey could not be told."""
        opened = await self._region.letters.redrive(self._tenant_id, order, self._region.clock.now_ms())
        with contextlib.suppress(Transient):
            await self._region.queue.enqueue(opened)
        return len(opened)

    async def redrive_named(self, named: Named, rate_per_s: float) -> tuple[int, dict[str, str]]:
        """How many were redriven or put back, and why the others were not."""
        left: dict[str, str] = {}
        done = 0
        if named.letters:
            order = RedriveOrder(named.letters, LetterFilter(), rate_per_s, len(named.letters))
            done = await self.redrive(order)
            if done < len(named.letters):
                why = await self._region.letters.explain_left(self._tenant_id, named.letters)
                # Those of this very call show as redriven too: only other reasons are news.
                left = {format_id(i): text for i, text in why.items() if text != "redriven already"}
        returned = set(await self._parking.put_back(named.parked)) if named.parked else set[int]()
        left |= {str(n): "there is no such parked message" for n in named.parked if n not in returned}
        return done + len(returned), left

    async def count(self, choice: Choice) -> int:
        """How many letters of the choice a redrive would open."""
        return await self._region.letters.count_redrivable(self._tenant_id, choice.filter)

    async def drop(self, named: Named) -> int:
        """Forget them; how many there were."""
        letters = await self._region.letters.drop(self._tenant_id, named.letters)
        return len(letters) + len(await self._parking.drop(named.parked))

    def tell(self, letter: DeadLetter) -> dict[str, Any]:
        """A letter as JSON."""
        return {
            "delivery_id": format_id(letter.delivery_id),
            "notification_id": format_id(letter.notification_id),
            "tenant": self._names.get(letter.tenant_id, format_id(letter.tenant_id)),
            "environment": environment_of(is_test=letter.is_test),
            "user_id": letter.user_id,
            "category": letter.category,
            "channel": letter.channel,
            "status": letter.status,
            "reason": letter.reason,
            "last_error": letter.last_error,
            "crashes": letter.crashes,
            "deliveries": letter.deliveries,
            "attempts": letter.attempts,
            "provider": letter.provider or None,
            "created_at": format_time(letter.created_ms),
            "died_at": format_time(letter.died_ms),
            "redrives": letter.redrives,
            "redriven_at": None if letter.redriven_ms is None else format_time(letter.redriven_ms),
        }


def tell_parked(message: ParkedMessage) -> dict[str, Any]:
    """A parked message as JSON; `payload` in hexadecimal, cut after SHOWN_BYTES."""
    shown = {"payload": message.payload[:SHOWN_BYTES].hex()} if message.payload else {}
    return {
        "parked_id": message.parked_id,
        "source": message.source,
        "origin": message.origin,
        "bytes": message.size,
        "reason": message.reason,
        "parked_at": format_time(message.parked_ms),
        **shown,
    }


@asynccontextmanager
async def _desk(data: Path, tenant: str | None) -> AsyncGenerator[Desk]:
    async with borrowed_settings(data) as settings, open_region(settings, "dlq") as region:
        entries = await region.tenants.list_tenants(settings.region)
        tenant_id = next((entry.tenant_id for entry in entries if entry.name == tenant), EVERYONE)
        if tenant is not None and tenant_id is None:
            raise NotFound(f"no tenant {tenant!r}; there are: {', '.join(entry.name for entry in entries)}")
        yield Desk(region, tenant_id, {entry.tenant_id: entry.name for entry in entries})


def _at(data: Path, tenant: str | None, work: Callable[[Desk], Awaitable[T]]) -> T:
    async def run() -> T:
        async with _desk(data, tenant) as desk:
            return await work(desk)

    return asyncio.run(run())


def list_letters(data: Path, choice: Choice, page: Page, *, json: bool) -> None:
    """Show dead letters, the oldest first, and how many messages are parked."""

    async def read(desk: Desk) -> tuple[list[dict[str, Any]], list[ParkedMessage]]:
        letters = await desk.page(choice, page)
        return [desk.tell(letter) for letter in letters], await desk.parked(page.limit)

    letters, parked = _at(data, choice.tenant, read)
    if json:
        Console().print_json(
            data={"dead_letters": letters, "parked": [tell_parked(one) for one in parked]}, indent=None
        )
        return
    table = Table(Column(SHOWN[0], no_wrap=True), *SHOWN[1:])
    for one in letters:
        table.add_row(*(str(one[name]) for name in SHOWN))
    _print(table if letters else "no dead letters")
    if parked:
        aside = Table("parked", "source", "origin", "bytes", "reason", "since")
        for message in parked:
            aside.add_row(*(str(value) for value in tell_parked(message).values()))
        _print(aside)


def show(data: Path, word: str) -> None:
    """Print one dead letter or parked message as JSON. Raises NotFound."""

    async def read(desk: Desk) -> dict[str, Any]:
        found = await desk.find(word)
        return desk.tell(found) if isinstance(found, DeadLetter) else tell_parked(found)

    Console().print_json(data=_at(data, EVERYONE, read))


def redrive_named(data: Path, words: Sequence[str], rate_per_s: float) -> int:
    """Redrive what is named; the exit code: 1 where something was left."""
    named = read_names(words)
    done, left = _at(data, EVERYONE, lambda desk: desk.redrive_named(named, rate_per_s))
    _print(f"{done} redriven")
    for word, why in left.items():
        _print(f"{word} is left: {why}")
    return 1 if left else 0


def redrive_all(data: Path, choice: Choice, rate_per_s: float) -> int:
    """Redrive all of a choice, a portion at a time; the exit code. Stopped in the middle, it can be called again."""

    async def run(desk: Desk) -> int:
        done = 0
        with Progress(console=Console(stderr=True)) as progress:
            bar = progress.add_task("redriving", total=await desk.count(choice))
            order = RedriveOrder(None, choice.filter, rate_per_s, PORTION)
            while opened := await desk.redrive(order):
                done += opened
                progress.advance(bar, opened)
        return done

    _print(f"{_at(data, choice.tenant, run)} redriven")
    return 0


def drop(data: Path, words: Sequence[str]) -> int:
    """Forget what is named; the exit code: 1 where something was not there."""
    named = read_names(words)
    dropped = _at(data, EVERYONE, lambda desk: desk.drop(named))
    _print(f"{dropped} dropped")
    return 0 if dropped == len(words) else 1


def _print(what: Table | str) -> None:
    """At full width where no screen limits it, for programs that read it."""
    console = Console()
    (console if console.is_terminal else Console(width=PIPE_WIDTH)).print(what)
