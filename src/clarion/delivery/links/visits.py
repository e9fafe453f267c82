"""Visits: that a link was followed or a picture fetched, by a person or by a machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, Protocol, TypeAlias

from clarion.delivery.model import Receipt
from clarion.kernel.errors import Transient

VisitKind: TypeAlias = Literal["opened", "clicked", "machine"]

VISITS: Final[frozenset[str]] = frozenset({"opened", "clicked", "machine"})
"""Receipts of our own links, and not of a provider. A machine's visit proves no more than that it was delivered."""

SOURCE: Final = "links"
"""As the account of these receipts."""

MAX_KEPT: Final = 50_000
"""Visits held while Postgres is away, of 400 bytes each. What comes beyond them is answered, and not counted."""

BATCH: Final = 1_000

_MACHINES: Final = re.compile(
    rb"\AMozilla/5\.0\Z"  # Apple's Mail Privacy Protection, which fetches every picture of every mail
    rb"|\A\Z|GoogleImageProxy|YahooMailProxy|Existence Discovery|bot\b|crawl|spider|preview|scan"
    rb"|curl/|wget|python|java/|go-http|okhttp|barracuda|proofpoint|mimecast",
    re.IGNORECASE,
)
_PREFETCH: Final = (b"purpose", b"sec-purpose", b"x-purpose", b"x-moz")


def visit_kind(kind: VisitKind, method: str, headers: Mapping[bytes, bytes]) -> VisitKind:
    """`kind`, or `machine` where nobody need have seen anything: a proxy, a scanner, a prefetch, a HEAD.

    `headers` have lower-case names. A machine that says it is a person is believed.
    """
    if method == "HEAD" or _MACHINES.search(headers.get(b"user-agent", b"")):
        return "machine"
    if any(
        b"prefetch" in headers.get(name, b"") or b"preview" in headers.get(name, b"") for name in _PREFETCH
    ):
        return "machine"
    return kind


class VisitInbox(Protocol):
    """Where receipts are kept until they are folded."""

    async def put(self, provider: str, receipts: Sequence[Receipt]) -> None:
        """Keep receipts durably. Raises Transient."""
        ...


class Visits:
    """Visits on their way into the inbox, a batch a time. Nobody waits for them, and `note` never fails.

    Of several visits of one kind to one delivery that wait together, the first is kept. A process that is killed loses
    the count of those that wait, which is up to a second of them while Postgres answers; and MAX_KEPT where it does
    not. `on_lost` is called for each that finds no room.
    """

    def __init__(self, inbox: VisitInbox, on_lost: Callable[[], None]) -> None:
        self._inbox = inbox
        self._on_lost = on_lost
        self._waiting: dict[tuple[bytes, str], Receipt] = {}

    def note(self, delivery_id: bytes, kind: VisitKind, at_ms: int) -> None:
        """Remember a visit at `at_ms` (UTC ms)."""
        key = (delivery_id, kind)
        if key in self._waiting:
            return
        if len(self._waiting) >= MAX_KEPT:
            self._on_lost()
            return
        self._waiting[key] = Receipt(f"{delivery_id.hex()}-{kind}", delivery_id, kind, at_ms)

    async def settle(self) -> None:
        """Write what waits, oldest first. What Postgres does not take now stays."""
        while self._waiting:
            keys = list(self._waiting)[:BATCH]
            try:
                await self._inbox.put(SOURCE, [self._waiting[key] for key in keys])
            except Transient:
                return
            for key in keys:
                self._waiting.pop(key, None)
