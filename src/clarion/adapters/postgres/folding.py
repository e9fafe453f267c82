"""One batch of receipts folded, inside its transaction.

    which deliveries ─▶ which of them are still open ─▶ fold ─▶ states, events ─▶ silences and words

Locks are taken in the order in which outcomes are recorded: open deliveries, notifications, users.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from clarion.adapters.postgres.fallbacks import wake_chains
from clarion.adapters.postgres.queries import load_queries
from clarion.adapters.postgres.silencing import act_on
from clarion.contracts.events import NotificationEvent, derive_event_id, encode_events, name_run
from clarion.contracts.topics import NOTIFICATION_EVENTS
from clarion.delivery.conclude import AttemptEntry
from clarion.delivery.destinations import ANYWHERE, OTHER
from clarion.delivery.intake import Arrival
from clarion.delivery.links.visits import VISITS
from clarion.delivery.model import Receipt
from clarion.delivery.receipts import (
    NOTED,
    RECEIPT_STATUS,
    Addressee,
    Folded,
    Tracked,
    consequences_of,
    fold_receipts,
    settles,
)
from clarion.kernel.ids import UUID_BYTES, created_ms
from clarion.orchestration.chains import NEVER_THERE

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

UNMATCHED_WAIT_S: Final = 5.0
HELD_WAIT_S: Final = 1.0
"""How long receipts wait while a worker still has their delivery in hand: most of them have just beaten its answer."""

BY_RECEIPT: Final = "receipt"
"""The rule in the log of an attempt whose outcome only its receipt told."""

REPRICED: Final = "repriced"
"""An event whose `cost_micros` corrects what earlier ones said of the delivery; negative where it cost less."""

ARRIVED: Final = frozenset({"delivered", "engaged"})

Fate: TypeAlias = tuple[bytes, str, str, bool]
"""Tenant, account and destination of a delivery, and whether it arrived."""


class Repriced(msgspec.Struct, frozen=True):
    """A delivery that cost `more_micros` more than was counted. `sent_ms`: when it went out (UTC ms)."""

    tenant_id: bytes
    provider: str
    channel: str
    category: str
    destination: str
    is_test: bool
    sent_ms: int
    more_micros: int


_decode_log: Final = msgspec.json.Decoder(list[AttemptEntry]).decode
_encode: Final = msgspec.json.Encoder().encode


class Waiting(msgspec.Struct, frozen=True):
    """Receipts of the arrival `index` that cannot be folded for `for_s`; `is_known`: their delivery is there."""

    index: int
    receipts: list[Receipt]
    for_s: float
    is_known: bool


class FoldReport(msgspec.Struct, frozen=True):
    """What came of batches. `changed_users`: whose cards say less than is known by now, by tenant, as it calls them.

    `kinds`: receipts folded, by kind; `unknown`: those about deliveries that are not known (yet). `fates`: the
    deliveries of which it is known now whether they arrived; `repriced`: those that cost something else than thought.
    """

    batches: int = 0
    waiting: list[Waiting] = []
    changed_users: dict[bytes, set[str]] = {}
    kinds: Counter[str] = Counter()
    unknown: int = 0
    fates: Counter[Fate] = Counter()
    repriced: list[Repriced] = []


def merged(reports: Sequence[FoldReport]) -> FoldReport:
    """One report of several; what waits was seen to already."""
    users: defaultdict[bytes, set[str]] = defaultdict(set)
    for report in reports:
        for tenant_id, names in report.changed_users.items():
            users[tenant_id] |= names
    kinds = sum((report.kinds for report in reports), Counter[str]())
    fates = sum((report.fates for report in reports), Counter[Fate]())
    unknown = sum(report.unknown for report in reports)
    repriced = [one for report in reports for one in report.repriced]
    return FoldReport(changed_users=dict(users), kinds=kinds, unknown=unknown, fates=fates, repriced=repriced)


class Statements(msgspec.Struct, frozen=True):
    """The queries by name: of receipts, of consent, and the one that appends to the outbox."""

    receipts: Mapping[str, str]
    consent: Mapping[str, str]
    append_outbox: str


def load_statements() -> Statements:
    """The statements that folding runs."""
    return Statements(
        load_queries("receipts"), load_queries("consent"), load_queries("accept")["append_outbox"]
    )


class _Said(msgspec.Struct, frozen=True):
    """A receipt, and which arrival it came with."""

    index: int
    receipt: Receipt


class _Scene(msgspec.Struct, frozen=True):
    """Deliveries as they were, and what receipts made of them.

    `unseen`: those of which the receipts are the first that we hear after their intent (the worker died), by account.
    """

    known: Mapping[bytes, asyncpg.Record]
    unseen: Mapping[bytes, str]
    folded: Folded
    now_ms: int


async def fold(
    connection: PoolConnectionProxy, sql: Statements, arrivals: Sequence[Arrival], now_ms: int
) -> FoldReport:
    """Fold what arrived, in the caller's transaction. The report says what the caller has to keep for later."""
    said = await _identified(connection, sql, arrivals)
    named = [one for one in said if len(one.receipt.delivery_id) == UUID_BYTES]
    nameless = [one for one in said if not one.receipt.delivery_id]
    ready, held, closed = await _close(connection, sql, named, arrivals)
    unseen = {i: str(record["provider"]) for i, record in closed.items() if record["state"] == "sending"}
    ids = sorted({one.receipt.delivery_id for one in ready})
    rows = await connection.fetch(sql.receipts["lock_statuses"], ids, [created_ms(i) for i in ids])
    known = {row["global_id"]: row for row in rows}
    ours = [one for one in ready if _is_own(one, known.get(one.receipt.delivery_id), arrivals)]
    receipts = [one.receipt for one in ours]
    tracked = {i: _tracked(row) for i, row in known.items()}
    folded = fold_receipts(tracked, receipts)
    scene = _Scene(known, unseen, folded, now_ms)
    await _write(connection, sql, scene)
    await _publish(connection, sql, _events(scene, receipts))
    users = await act_on(connection, sql.consent, consequences_of(folded.noted, _addressees(known)))
    # A visit cannot beat its delivery's row: the message that it comes from was made of it.
    strange = [one for one in ours if one.receipt.delivery_id not in known and one.receipt.kind not in VISITS]
    return FoldReport(
        waiting=[
            *_waiting(held, HELD_WAIT_S, is_known=True),
            *_waiting([*strange, *nameless], UNMATCHED_WAIT_S, is_known=False),
        ],
        changed_users=users,
        kinds=Counter(one.receipt.kind for one in ours if one.receipt.delivery_id in known),
        unknown=len(strange) + len(nameless),
        fates=_fates(scene),
        repriced=list(_repriced(scene)),
    )


async def _identified(
    connection: PoolConnectionProxy, sql: Statements, arrivals: Sequence[Arrival]
) -> list[_Said]:
    """All receipts that can be understood, with the delivery's id where the provider's is known."""
    said = [
        _Said(index, receipt)
        for index, arrival in enumerate(arrivals)
        for receipt in arrival.receipts
        if receipt.kind in RECEIPT_STATUS
    ]
    unnamed = [
        i for i, one in enumerate(said) if not one.receipt.delivery_id and one.receipt.provider_message_id
    ]
    if unnamed:
        records = await connection.fetch(
            sql.receipts["find_deliveries"],
            [arrivals[said[i].index].tenant_id or None for i in unnamed],
            [arrivals[said[i].index].provider for i in unnamed],
            [said[i].receipt.provider_message_id for i in unnamed],
        )
        for record in records:
            i = unnamed[int(record["i"]) - 1]
            said[i] = replace(said[i], receipt=replace(said[i].receipt, delivery_id=record["global_id"]))
    return [one for one in said if one.receipt.delivery_id or one.receipt.provider_message_id]


async def _close(
    connection: PoolConnectionProxy, sql: Statements, said: Sequence[_Said], arrivals: Sequence[Arrival]
) -> tuple[list[_Said], list[_Said], dict[bytes, asyncpg.Record]]:
    """Which receipts may be folded, which have to wait, and the deliveries that ended with them, as they were."""
    ids = sorted({one.receipt.delivery_id for one in said})
    rows = await connection.fetch(sql.receipts["read_open"], ids)
    still_open = {row["global_id"]: row for row in rows}
    if not still_open:
        return list(said), [], {}
    ready: list[_Said] = []
    held: list[_Said] = []
    ending: list[_Said] = []
    for one in said:
        row = still_open.get(one.receipt.delivery_id)
        if row is None or RECEIPT_STATUS[one.receipt.kind] is None:
            ready.append(one)
        elif not _is_own(one, row, arrivals):
            continue
        elif row["lease_live"]:
            held.append(one)
        elif row["attempts"] and settles(one.receipt, is_sending=row["state"] == "sending"):
            ending.append(one)
    records = await connection.fetch(
        sql.receipts["close_settled"], sorted({one.receipt.delivery_id for one in ending})
    )
    closed = {record["global_id"]: record for record in records}
    for one in ending:
        (ready if one.receipt.delivery_id in closed else held).append(one)
    return ready, held, closed


def _is_own(one: _Said, row: asyncpg.Record | None, arrivals: Sequence[Arrival]) -> bool:
    """Whether a receipt came from the tenant whose delivery it names."""
    tenant_id = arrivals[one.index].tenant_id
    return row is None or not tenant_id or row["tenant_id"] == tenant_id


def _tracked(row: asyncpg.Record) -> Tracked:
    log = _decode_log(row["attempt_log"] or b"[]")
    notes = frozenset((entry.outcome, entry.at_ms) for entry in log if entry.outcome in NOTED)
    return Tracked(row["status"], row["delivered_at"], row["engaged_at"], notes)


def _addressees(known: Mapping[bytes, asyncpg.Record]) -> dict[bytes, Addressee]:
    """Who the deliveries went to. Those of tests went to nobody."""
    return {
        ident: Addressee(
            row["tenant_id"], row["user_id"], row["channel"], row["category"], f"provider:{row['provider']}"
        )
        for ident, row in known.items()
        if not row["is_test"]
    }


def _waiting(said: Sequence[_Said], for_s: float, *, is_known: bool) -> list[Waiting]:
    found: defaultdict[int, list[Receipt]] = defaultdict(list)
    for one in said:
        found[one.index].append(one.receipt)
    return [Waiting(index, receipts, for_s, is_known) for index, receipts in found.items()]


async def _write(connection: PoolConnectionProxy, sql: Statements, scene: _Scene) -> None:
    """The rows of what changed."""
    known, folded, unseen = scene.known, scene.folded, scene.unseen
    ids = sorted((folded.changed.keys() | folded.costs.keys() | unseen.keys()) & known.keys())
    if not ids:
        return
    entries = _entries(scene)
    after = {i: folded.changed.get(i) or _tracked(known[i]) for i in ids}
    await connection.execute(
        sql.receipts["fold_receipts"],
        ids,
        [created_ms(i) for i in ids],
        [after[i].status for i in ids],
        [after[i].delivered_ms for i in ids],
        [after[i].engaged_ms for i in ids],
        [folded.costs.get(i) for i in ids],
        [_encode(entries[i]) if i in entries else None for i in ids],
        [int(i in unseen) for i in ids],
        [unseen.get(i) for i in ids],
    )
    lost = [i for i in ids if after[i].status in NEVER_THERE]
    if lost:
        await wake_chains(connection, lost)


def _entries(scene: _Scene) -> dict[bytes, list[AttemptEntry]]:
    """The log's new entries: attempts whose workers died before they could write one, and what was noted."""
    entries: defaultdict[bytes, list[AttemptEntry]] = defaultdict(list)
    for ident, account in scene.unseen.items():
        n = scene.known[ident]["attempts"] + 1
        entries[ident].append(AttemptEntry(n, scene.now_ms, "sent", account, rule=BY_RECEIPT))
    for receipt in scene.folded.noted:
        ident = receipt.delivery_id
        entry = AttemptEntry(
            scene.known[ident]["attempts"] + (ident in scene.unseen),
            receipt.at_ms,
            receipt.kind,
            _account(scene, ident),
            code=receipt.code,
            detail=receipt.detail,
            rule=BY_RECEIPT,
        )
        entries[ident].append(entry)
    return entries


def _fates(scene: _Scene) -> Counter[Fate]:
    """Which deliveries turned out to have arrived, or not. A dead address says nothing of who was to reach it."""
    fates = Counter[Fate]()
    for ident, after in scene.folded.changed.items():
        row = scene.known[ident]
        is_dead = any(kind == "bounced" for kind, _ in after.notes)
        if after.status == row["status"] or row["status"] != "sent" or is_dead:
            continue
        fates[row["tenant_id"], _account(scene, ident), _destination(row), after.status in ARRIVED] += 1
    return fates


def _destination(row: asyncpg.Record) -> str:
    """Where a delivery went, as its last attempt's route names it; ANYWHERE where it does not."""
    log = row["attempt_log"] or b"[]"
    if b'"route"' not in log:
        return ANYWHERE
    named = (entry.route.destination for entry in reversed(_decode_log(log)) if entry.route)
    return next((where for where in named if where != OTHER), ANYWHERE)


def _account(scene: _Scene, ident: bytes) -> str:
    """Through whom a delivery went."""
    return scene.unseen.get(ident) or scene.known[ident]["provider"] or ""


async def _publish(connection: PoolConnectionProxy, sql: Statements, events: list[NotificationEvent]) -> None:
    if events:
        payload = encode_events(events)
        await connection.execute(sql.append_outbox, NOTIFICATION_EVENTS.name, len(events), payload)


def _events(scene: _Scene, receipts: Sequence[Receipt]) -> list[NotificationEvent]:
    """New states; each visit and each other word, once; and what it really cost."""
    known, folded = scene.known, scene.folded
    events = [
        _about(scene, i, after.status, after.engaged_ms or after.delivered_ms or scene.now_ms)
        for i, after in folded.changed.items()
        if after.status != known[i]["status"]
    ]
    events += _visit_events(scene, receipts)
    for receipt in folded.noted:
        if receipt.kind != "failed":
            said = _about(scene, receipt.delivery_id, receipt.kind, receipt.at_ms)
            ident = derive_event_id(receipt.delivery_id, f"{receipt.kind}@{receipt.at_ms}")
            events.append(replace(said, event_id=ident, detail=receipt.code))
    for ident, more in _dearer(scene):
        said = _about(scene, ident, REPRICED, scene.now_ms)
        event_id = derive_event_id(ident, f"{REPRICED}@{folded.costs[ident]}")
        events.append(replace(said, event_id=event_id, cost_micros=more))
    return events


def _dearer(scene: _Scene) -> Iterator[tuple[bytes, int]]:
    """Deliveries that cost something else than was counted, and by how much more."""
    for ident, cost in scene.folded.costs.items():
        more = cost - (scene.known[ident]["cost"] or 0)
        if more:
            yield ident, more


def _repriced(scene: _Scene) -> Iterator[Repriced]:
    for ident, more in _dearer(scene):
        row = scene.known[ident]
        log = _decode_log(row["attempt_log"] or b"[]")
        yield Repriced(
            row["tenant_id"],
            _account(scene, ident),
            row["channel"],
            row["category"],
            _destination(row),
            row["is_test"],
            max((entry.at_ms for entry in log if entry.outcome == "sent"), default=created_ms(ident)),
            more,
        )


def _visit_events(scene: _Scene, receipts: Sequence[Receipt]) -> list[NotificationEvent]:
    """An event per delivery and kind of visit. A later visit of the kind has the same event id: it is a repeat."""
    first: dict[tuple[bytes, str], int] = {}
    for receipt in receipts:
        if receipt.kind in VISITS and receipt.delivery_id in scene.known:
            first.setdefault((receipt.delivery_id, receipt.kind), receipt.at_ms)
    return [_about(scene, ident, kind, at_ms) for (ident, kind), at_ms in first.items()]


def _about(scene: _Scene, ident: bytes, kind: str, at_ms: int) -> NotificationEvent:
    row = scene.known[ident]
    return NotificationEvent(
        event_id=derive_event_id(ident, kind),
        type=kind,
        at_ms=at_ms,
        tenant_id=row["tenant_id"],
        notification_id=row["notification_id"],
        delivery_id=ident,
        user_id=row["user_id"],
        category=row["category"],
        channel=row["channel"],
        provider=_account(scene, ident),
        traceparent=row["traceparent"],
        is_test=row["is_test"],
        journey_id=name_run(row["journey_id"]),
    )
