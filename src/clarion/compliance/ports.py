"""What compliance needs from the outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from clarion.compliance.chain import Linked
from clarion.compliance.model import ConsentState
from clarion.compliance.suppression import (
    Freed,
    Listed,
    Origin,
    Silenced,
    Suppression,
    SuppressionReason,
    Target,
    Wanted,
)

WordState: TypeAlias = Literal["said", "requested", "confirmed"]
Basis: TypeAlias = Literal[
    "express", "written", "soft_opt_in", "implied_purchase", "implied_inquiry", "contract", "inferred"
]
"""What a grant rests on. `written`: prior express written consent. `soft_opt_in`: details from a sale, own similar
products. `implied_*`: CASL's 24 and 6 months. `inferred`: by conduct or a relationship (Australia)."""


class ConsentWord(msgspec.Struct, frozen=True):
    """One word of a user on one channel and category (`*`: all), as it is written.

    `given_ms`: when she gave it (UTC ms), None: now. The store's clock bounds it: a future time counts as now.
    `express`: given for this channel by name, which is what lifts a suppression. `evidence` is sealed. `state`:
    `requested` waits for her confirmation and grants nothing, `confirmed` is it. `basis`: what the grant rests on.
    `details` stay readable: nothing personal is in them. `expires_ms` (UTC ms): None: as long as its basis lets it.
    """

    user_id: int
    channel: str
    category: str
    consented: bool
    source: str
    express: bool
    given_ms: int | None = None
    evidence: bytes = b""
    state: WordState = "said"
    basis: Basis = "express"
    details: Mapping[str, str] = {}
    expires_ms: int | None = None


class ConsentRecord(msgspec.Struct, frozen=True, array_like=True):
    """The latest word on a channel and category. `at_ms` is UTC ms. `proven`: see `ConsentState`."""

    channel: str
    category: str
    consented: bool
    at_ms: int
    source: str = ""
    basis: str = "express"
    proven: bool = False


class ConsentEvent(msgspec.Struct, frozen=True):
    """A word as it stands in the ledger, with when it was given (UTC µs: the order of words in one millisecond).

    `content` is what was hashed, after `previous_hash`; None: the row before it is gone.
    """

    number: int
    channel: str
    category: str
    consented: bool
    source: str
    state: WordState
    basis: str
    details: Mapping[str, str]
    expires_ms: int | None
    at_us: int
    evidence: bytes
    content: bytes
    hash: bytes
    previous_hash: bytes | None

    @property
    def at_ms(self) -> int:
        """When it was given (UTC ms)."""
        return self.at_us // 1000

    @property
    def is_proven(self) -> bool:
        """Whether it was confirmed, or given in writing with its wording on record."""
        return self.state == "confirmed" or (self.basis == "written" and "wording_hash" in self.details)


class ConsentStore(Protocol):
    """The users' will, in Postgres."""

    async def record(self, tenant_id: bytes, words: Sequence[ConsentWord]) -> None:
        """Append every word to the events; keep the latest per (user, channel, category); lift what they lift.

        One transaction, which also moves the version of each user, so that no older card comes back. When it returns,
        every later `consents` sees it. Words of users that are gone are left out.
        """
        ...

    async def suppress(self, tenant_id: bytes, suppressions: Sequence[Suppression]) -> None:
        """Silence channels, in one transaction with the users' versions. What is silenced already stays so."""
        ...

    async def records(self, tenant_id: bytes, user_id: int) -> list[ConsentRecord]:
        """The latest word per channel and category, newest first."""
        ...

    async def consents(self, user_ids: Sequence[int]) -> dict[int, ConsentState]:
        """Current state by user, from the primary; users without any record are absent. Raises Transient."""
        ...


class ConsentLedger(Protocol):
    """All that was ever said, in the order in which it was written down."""

    async def events(self, tenant_id: bytes, user_id: int, until_ms: int) -> list[ConsentEvent]:
        """Every word of one user up to an instant (UTC ms), oldest first."""
        ...

    async def chain(self, tenant_id: bytes, after: int, limit: int) -> list[Linked]:
        """The next rows of a tenant's chain after the one of this number (0: from its beginning)."""
        ...

    async def chain_head(self, tenant_id: bytes) -> tuple[int, bytes] | None:
        """Number and hash of the last row that the chain had; None where nothing was ever said."""
        ...


class Subjects(Protocol):
    """Who the users are, and the seal on what is known of them."""

    async def find_ids(self, tenant_id: bytes, external_ids: Sequence[str]) -> dict[str, int]:
        """Internal ids by the tenant's own; those of unknown users are absent."""
        ...

    async def seal_evidence(self, tenant_id: bytes, evidence: Sequence[tuple[int, bytes]]) -> list[bytes]:
        """Each (user, evidence) under the user's own key, in order; what is empty stays empty.

        Unreadable from the moment on that her key is gone.
        """
        ...

    async def unseal_evidence(
        self, tenant_id: bytes, user_id: int, sealed: Sequence[bytes]
    ) -> list[bytes | None]:
        """One user's evidence in clear, in order; what is empty stays empty, None: her key is gone."""
        ...


class DataSubject(msgspec.Struct, frozen=True):
    """A user about whom all that is held is to be found. `address_hmacs`: by channel, the keyed hash of her address."""

    tenant_id: bytes
    user_id: int
    external_id: str
    address_hmacs: Mapping[str, bytes] = {}


class ErasureTarget(Protocol):
    """A store that holds something about users, and can be rid of it. `clarion.testing` has the suite for it."""

    @property
    def name(self) -> str:
        """What the certificate calls the store, like `postgres.notifications` or `valkey.cards`."""
        ...

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Remove what is held of her; what was removed, by kind. Nothing is left when this returns.

        Asked again it finds nothing more, and that is no error. Raises Transient where it has to be asked again.
        """
        ...


class Held(msgspec.Struct, frozen=True):
    """One kind of what a store holds about a user: a file of the export. `rows` are plain values, no ids of ours."""

    name: str
    rows: Sequence[Mapping[str, object]]


class ExportSource(Protocol):
    """A store that holds something about users, and can show it. `clarion.testing` has the suite that it passes."""

    @property
    def name(self) -> str:
        """As `ErasureTarget.name`: what is exported under a name is erased under it."""
        ...

    def export(self, subject: DataSubject) -> AsyncIterator[Held]:
        """All that is held of her, in clear, a portion at a time; of one name as many as it takes. Raises Transient."""
        ...


class Holder(msgspec.Struct, frozen=True, array_like=True):
    """A user who has an address now. `language` is a tag (BCP 47), "" where it is unknown."""

    external_id: str
    user_id: int
    language: str


class SuppressionStore(Protocol):
    """Who is not to be written to, in Postgres."""

    async def silence(
        self, tenant_id: bytes, targets: Sequence[tuple[Target, SuppressionReason]], origin: Origin
    ) -> Silenced:
        """Silence channels of users, and of whoever has an address, now or later; with the users' versions.

        When it returns, every later `consents` sees it. What is silent already stays so, for the graver reason.
        """
        ...

    async def free(self, tenant_id: bytes, target: Target, reasons: Sequence[SuppressionReason]) -> Freed:
        """End what has one of the reasons, or waits to be looked at: of the user, or of all who have the address."""
        ...

    async def page(self, tenant_id: bytes, wanted: Wanted) -> list[Listed]:
        """Suppressions and refusals, newest first."""
        ...

    async def holders(
        self, tenant_id: bytes, addresses: Sequence[tuple[str, bytes]]
    ) -> dict[tuple[str, bytes], list[Holder]]:
        """Who has these (channel, keyed hash) now; absent where nobody has."""
        ...

    async def last_texted(self, tenant_id: bytes, user_ids: Sequence[int], now_ms: int) -> dict[int, str]:
        """The category of the last text that each was sent in the last month; absent where there was none."""
        ...
