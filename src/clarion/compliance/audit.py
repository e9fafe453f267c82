"""The audit log: who did what to what, before and after, so that nothing can be changed or left out unnoticed.

An act has two entries: one before it begins, without which it does not happen, and one that says how it ended. An act
whose second entry is missing was under way when something failed: it is shown as `unknown`, never as done.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Literal, Protocol, TypeAlias, cast

import msgspec

from clarion.compliance.chain import Break, Linked, Verdict, canonical, find_break, origin
from clarion.kernel.errors import ClarionError, Permanent, Refused

CHAIN: Final = "audit"
"""What the chain is called in its origin."""

KEPT_MS: Final = 7 * 365 * 86_400_000
"""How long entries are kept, in milliseconds: what is gone although it was younger was taken away."""

PAGE: Final = 1000
"""Entries that are verified at a time."""

MAX_FACTS: Final = 16_384
"""Bytes of JSON that are kept of one side of an act. Of more, its size and hash."""

Outcome: TypeAlias = Literal["begun", "done", "refused", "failed"]
"""`refused`: nothing happened. `failed`: a store was away, or a mistake of ours; it may have happened."""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What is about to be done. `facts` is plain JSON without secrets (`redact`): `request` and `before`."""

    actor: str
    operation: str
    target: str
    reason: str = ""
    ip: str = ""
    request_id: str = ""
    facts: Mapping[str, object] = {}


class Entry(msgspec.Struct, frozen=True):
    """One row of the log before it has its place. `begun`: the number of what it ends; 0: it begins an act."""

    begun: int
    actor: str
    operation: str
    target: str
    outcome: Outcome
    reason: str
    ip: str
    request_id: str
    facts: str


class Recorded(msgspec.Struct, frozen=True):
    """A row of the log as it is stored. `at_ms`: UTC ms by the store's clock."""

    number: int
    at_ms: int
    entry: Entry
    previous: bytes
    hash: bytes


class AuditQuery(msgspec.Struct, frozen=True):
    """Which acts. None: any. `target` is how it begins; times are UTC ms, `until_ms` excluded. `before`: a number."""

    actor: str | None = None
    operation: str | None = None
    target: str | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    before: int = 2**62
    limit: int = 100


class ActRecord(msgspec.Struct, frozen=True):
    """An act as it is read. `outcome` `unknown`: nothing says how it ended. `hash`: of its newest entry."""

    number: int
    at_ms: int
    act: Act
    outcome: str
    ended_ms: int | None
    ending: Mapping[str, object]
    hash: bytes


class AuditLog(Protocol):
    """The audit log of a region."""

    async def append(self, tenant_id: bytes, entry: Entry) -> int:
        """Add an entry after the tenant's last; its number. Durable when it returns. Raises Transient."""
        ...

    async def search(self, tenant_id: bytes, query: AuditQuery) -> list[ActRecord]:
        """The tenant's acts, newest first, at most `query.limit`."""
        ...

    async def read(self, tenant_id: bytes, after: int, limit: int) -> list[Recorded]:
        """The tenant's entries after the one of this number, in order."""
        ...

    async def tenants(self) -> list[bytes]:
        """Everybody who may have entries: all tenants, and those who are gone and have some yet."""
        ...


class Ending:
    """What an act says of its end while it is under way. `target`: where it turned out to be another."""

    __slots__ = ("facts", "target")

    def __init__(self, target: str) -> None:
        self.target = target
        self.facts: dict[str, object] = {}


@asynccontextmanager
async def recorded(
    log: AuditLog, tenant_id: bytes, act: Act, lost: Callable[[Exception], None]
) -> AsyncGenerator[Ending]:
    """Do what the block does as an act of the log. Raises Transient, and does nothing, where it cannot be begun.

    `lost` is told where the end cannot be written: the act has happened, and stands in the log without its end.
    """
    begun = await log.append(tenant_id, _entry(act, "begun", act.facts))
    ending = Ending(act.target)
    try:
        yield ending
    except Exception as error:
        outcome: Outcome = "failed"
        if isinstance(error, Permanent | Refused):
            ending.facts["error"] = error.detail
            outcome = "refused"
        await _end(log, tenant_id, (act, begun, outcome, ending), lost)
        raise
    await _end(log, tenant_id, (act, begun, "done", ending), lost)


async def _end(
    log: AuditLog,
    tenant_id: bytes,
    ended: tuple[Act, int, Outcome, Ending],
    lost: Callable[[Exception], None],
) -> None:
    act, begun, outcome, ending = ended
    told = msgspec.structs.replace(act, target=ending.target)
    entry = msgspec.structs.replace(_entry(told, outcome, ending.facts), begun=begun)
    try:
        await log.append(tenant_id, entry)
    except ClarionError as error:
        lost(error)


def _entry(act: Act, outcome: Outcome, facts: Mapping[str, object]) -> Entry:
    return Entry(
        0,
        act.actor,
        act.operation,
        act.target,
        outcome,
        act.reason,
        act.ip,
        act.request_id,
        msgspec.json.encode(facts, order="sorted").decode(),
    )


def content_of(number: int, at_ms: int, entry: Entry) -> bytes:
    """What is hashed of an entry: all that is stored, so that no column can be changed."""
    return canonical([number, at_ms, *msgspec.structs.astuple(entry)])


async def verify_audit_chain(log: AuditLog, tenant_id: bytes, now_ms: int) -> Verdict:
    """Whether a tenant's audit log is as it was written. In memory PAGE entries at a time, however long it is.

    That the newest entries are gone shows only against a number and hash that were noted elsewhere.
    """
    rows = number = 0
    previous = origin(CHAIN, tenant_id)
    while page := await log.read(tenant_id, number, PAGE):
        if number == 0 and page[0].number > 1:
            if page[0].at_ms > now_ms - KEPT_MS:
                return Verdict(0, 0, previous, Break(1, "is missing, and not by its age"))
            number, previous = page[0].number - 1, page[0].previous
        broken = find_break(previous, number, map(_linked, page))
        if broken:
            return Verdict(rows, number, previous, broken)
        rows += len(page)
        number, previous = page[-1].number, page[-1].hash
    return Verdict(rows, number, previous, None)


def _linked(row: Recorded) -> Linked:
    return Linked(row.number, content_of(row.number, row.at_ms, row.entry), row.hash)


_SECRET_WORDS: Final = frozenset(
    {"secret", "password", "token", "tokens", "credential", "credentials", "private", "key", "keys", "auth"}
)
"""A name that has one of these among its words holds a secret; `…_id` names one without being it."""

_PERSONAL: Final = frozenset(
    {"user_id", "user_ids", "email", "phone", "address", "addresses", "external_id", "to", "recipients"}
)
_FREE: Final = frozenset({"data", "context", "attributes", "metadata", "properties", "evidence"})
"""Members that may hold anything about anybody: what is in them is not kept."""


def redact(value: Any, pseudonym: Callable[[str], str], word: str = "set") -> Any:  # noqa: ANN401  JSON in and out
    """JSON without what the log must never hold: secrets become `word`, persons a `pseudonym`, free data `hidden`.

    The log outlives the users of whom it tells: nothing in it may have to be erased.
    """
    if isinstance(value, list):
        return [redact(item, pseudonym, word) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    shown: dict[str, Any] = {}
    for name, part in cast("dict[str, Any]", value).items():
        words = name.lower().replace("-", "_").split("_")
        if name in _PERSONAL and not isinstance(part, dict):  # a channel is called email, too
            shown[name] = _cover(part, pseudonym)
        elif name in _FREE:
            shown[name] = "hidden" if part else part
        elif words[-1] != "id" and not _SECRET_WORDS.isdisjoint(words):
            shown[name] = _cover(part, lambda _: word)
        else:
            shown[name] = redact(part, pseudonym, word)
    return shown


def stand_in(blind: bytes) -> str:
    """What stands for a person of whom this is the keyed hash: it can be looked for by who knows her id."""
    return "~" + blind[:12].hex()


def _cover(value: Any, put: Callable[[str], str]) -> Any:  # noqa: ANN401  JSON in and out
    """The same shape, with `put` in the place of every text and number; empty ones show that they are."""
    if isinstance(value, dict):
        return {name: _cover(part, put) for name, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_cover(part, put) for part in cast("list[Any]", value)]
    return value if value is None or isinstance(value, bool) or value == "" else put(str(value))
