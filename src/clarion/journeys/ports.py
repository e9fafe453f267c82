"""What journeys need of the outside. One port per duty; every method takes a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from clarion.journeys.graph import Graph
from clarion.journeys.model import Command, Context, Done, Facts, Instance, JourneyStatus, Moved

EntryResult: TypeAlias = Literal["created", "existing", "repeat", "refused"]


class JourneyRecord(msgspec.Struct, frozen=True):
    """A journey. `live_version`: the one that new runs take; 0: none is published."""

    journey_id: bytes
    tenant_id: bytes
    name: str
    status: JourneyStatus
    live_version: int
    created_ms: int
    updated_ms: int


class JourneyVersion(msgspec.Struct, frozen=True):
    """One immutable version. `definition`: UTF-8 JSON, as it was given."""

    journey_id: bytes
    version: int
    definition: bytes
    created_ms: int
    created_by: str = ""
    note: str = ""


class JourneyStore(Protocol):
    """Journeys and their versions, on the global store."""

    async def create(self, record: JourneyRecord, version: JourneyVersion) -> bool:
        """Keep a journey with its first version. False: the tenant has one of this name. Raises Transient."""
        ...

    async def publish(self, record: JourneyRecord, version: JourneyVersion) -> int | None:
        """Keep `version` as the journey's next one and make it live, under the record's name; its number.

        `version.version` 0: whatever it is; else only where it is this one. None: it is not, there is no such journey,
        or another one has the name. Raises Transient.
        """
        ...

    async def find(self, tenant_id: bytes, name_or_id: str) -> JourneyRecord | None:
        """A tenant's journey by its name or the text of its id. Raises Transient."""
        ...

    async def list(self, tenant_id: bytes) -> Sequence[JourneyRecord]:
        """A tenant's journeys by name. Raises Transient."""
        ...

    async def set_status(self, tenant_id: bytes, journey_id: bytes, status: JourneyStatus) -> bool:
        """Pause, resume, drain or stop. False: there is no such journey. Raises Transient."""
        ...

    async def versions(self, keys: Sequence[tuple[bytes, int]]) -> list[JourneyVersion | None]:
        """Versions by (journey, number), in order. Raises Transient."""
        ...

    async def history(self, tenant_id: bytes, journey_id: bytes) -> Sequence[JourneyVersion]:
        """All versions of a journey, newest first, without their definitions (b""). Raises Transient."""
        ...


class JourneyCatalog(Protocol):
    """Journeys as the engine sees them: compiled, cached for a second."""

    async def journeys(self, tenant_id: bytes) -> Mapping[bytes, JourneyRecord]:
        """All journeys of a tenant by id. Raises Transient."""
        ...

    async def graphs(self, keys: Sequence[tuple[bytes, int]]) -> Mapping[tuple[bytes, int], Graph]:
        """Compiled versions by (journey, number); absent where there is none. Raises Transient."""
        ...

    def forget(self, tenant_id: bytes) -> None:
        """Read this tenant's journeys anew when next asked."""
        ...


class NewRun(msgspec.Struct, frozen=True):
    """A run about to begin. `instance.seq` is 0.

    `entry_key`: 16 bytes; a second entry of the same user into the same journey under the same key is a repeat. `slot`:
    16 bytes; one active run a slot (zeros: one at a time; the instance's id: as many as come). `once`: nothing if there
    was ever a run; `not_since_ms`: nothing if one began after that.
    """

    instance: Instance
    entry_key: bytes
    slot: bytes
    once: bool = False
    not_since_ms: int = 0


class Entered(msgspec.Struct, frozen=True):
    """What became of an entry: `instance_id` of the new run, or of the one that stands for it (b"" where refused)."""

    result: EntryResult
    instance_id: bytes


class InstanceStore(Protocol):
    """Runs, on the global store: the truth."""

    async def enter(self, runs: Sequence[NewRun]) -> list[Entered]:
        """Begin runs; per run in order. Durable when this returns. Raises Transient."""
        ...

    async def load(self, instance_ids: Sequence[bytes]) -> list[Instance | None]:
        """Runs by id, in order; None where there is none. Raises Transient."""
        ...

    async def commit(self, moves: Sequence[Moved]) -> list[bool]:
        """Write transitions whose run still stands at `instance.seq - 1`, their events and counts, in one transaction.

        Per move in order: False where somebody else was there before. Durable when this returns. Raises Transient.
        """
        ...

    async def active_of(self, tenant_id: bytes, user_ids: Sequence[int]) -> list[Instance]:
        """All active runs of these users. Raises Transient."""
        ...

    async def page_active(self, region: str, after: bytes, limit: int) -> list[tuple[bytes, int, int]]:
        """(id, due_ms, seq) of a region's active runs by id, beyond `after`: to rebuild continuations.

        Raises Transient.
        """
        ...


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs: of a user (0: any), of a status, at a step ("": any)."""

    user_id: int = 0
    status: str = ""
    step: str = ""


class StepCount(msgspec.Struct, frozen=True):
    """How often something happened at a step. `what`: a type of `contracts.journey_events`, or `type:detail`.

    `took_ms`: the sum of what the events say of it.
    """

    version: int
    step: str
    what: str
    n: int
    took_ms: int


class ContextKey(msgspec.Struct, frozen=True):
    """One version of a run's private context. `keeps`: the version that its state names until the next commit."""

    instance_id: bytes
    version: int
    tenant_id: bytes
    user_id: int
    keeps: int = 0


class ContextStore(Protocol):
    """Private contexts, in the home region's Postgres, sealed with the user's own key."""

    async def read(self, keys: Sequence[ContextKey]) -> list[Context | None]:
        """Contexts in order; None where it, the user or her key is gone. Raises Transient."""
        ...

    async def write(self, entries: Sequence[tuple[ContextKey, Context]]) -> None:
        """Keep contexts, before the transitions that name them; versions older than `keeps` go. Raises Transient."""
        ...

    async def drop(self, instance_ids: Sequence[bytes]) -> None:
        """Forget all versions of ended runs. Raises Transient."""
        ...


class Claim(msgspec.Struct, frozen=True):
    """A run whose time has come, leased. `epoch` names the lease.

    `instance`: the run as the index has it, or None. It may be out of date; the compare-and-set finds out.
    """

    instance_id: bytes
    epoch: int
    instance: Instance | None = None


class Planned(msgspec.Struct, frozen=True):
    """When a run is to be looked at next: `due_ms` in UTC ms, FORGET for never again.

    `seq`: of the state that says so; an older word never replaces a newer one. `instance`: that state, kept beside.
    """

    instance_id: bytes
    due_ms: int
    seq: int
    instance: Instance | None = None


FORGET: Final = -1


class Continuations(Protocol):
    """When which run is to be looked at, with the run beside it: an index (Valkey), on the server's clock."""

    async def claim(self, limit: int, lease_ms: int) -> list[Claim]:
        """Up to `limit` runs that are due, earliest first; nobody else gets them for `lease_ms`. Raises Transient."""
        ...

    async def settle(self, settled: Sequence[tuple[Claim, Planned]]) -> None:
        """Give leases back; a claim that is not the last on its run is ignored. Raises Transient."""
        ...

    async def schedule(self, planned: Sequence[Planned]) -> None:
        """Set due times, whoever holds the runs: her settle is then ignored. Raises Transient."""
        ...

    async def holds_marker(self) -> bool:
        """Whether this is still the index that `mark` marked; if not, it was lost and is to be rebuilt."""
        ...

    async def mark(self) -> None:
        """Say that the index is whole. Raises Transient."""
        ...


class FactSource(Protocol):
    """What is known of users, for the turns that need it."""

    async def read(self, wanted: Sequence[tuple[Instance, Graph, int]]) -> list[Facts]:
        """Facts for (run, graph, needs: bits of `graph`), in order. A store that is away is named in `missing`."""
        ...


class Effects(Protocol):
    """Carries out commands; asked again with the same ids it does nothing twice (webhooks say the same message id)."""

    async def carry_out(self, commands: Sequence[tuple[Command, Context | None]]) -> list[Done | None]:
        """What came of each command, in order. None: nothing to report (a recall), or it stays unknown for now.

        Raises nothing but Transient, and then nothing is known of any of them.
        """
        ...
