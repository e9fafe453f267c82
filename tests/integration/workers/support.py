"""What the tests of dead letters do again and again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from clarion.adapters.postgres.suspects import PostgresSuspects
from clarion.bootstrap import Worker
from clarion.contracts.work import WorkItem
from clarion.delivery.quarantine import Handled, Quarantine
from clarion.delivery.suspects import MAX_DELIVERIES
from clarion.kernel.ids import parse_id
from tests.integration.api.support import Caller

LEASE_MS: Final = 30_000

_OPEN: Final = (
    "SELECT global_id, tenant_id, channel, priority, due_at FROM open_deliveries WHERE tenant_id = $1"
)


@dataclass(frozen=True)
class Bench:
    """A tenant, and a worker who handles what she sent when the test says so."""

    caller: Caller
    worker: Worker

    async def query(self, statement: str, *values: object) -> Any:
        """The rows that a statement gives."""
        async with self.worker.region.pools.pipeline() as connection:
            return await connection.fetch(statement, *values)

    async def send(self, *names: str, **fields: Any) -> dict[str, str]:
        """A notification to each of these new users; its id by user."""
        sent: dict[str, str] = {}
        for name in names:
            await self.caller.user(name)
            sent[name] = (await self.caller.notify(user_id=name, **fields))["notification_id"]
        return sent

    async def poison(self, name: str) -> None:
        """Spoil what is stored about a user, as no request could: whoever loads her deliveries fails."""
        await self.query(
            "UPDATE user_profiles SET quiet_hours = '\"rubbish\"' WHERE tenant_id = $1 AND external_id = $2",
            self.caller.tenant_id,
            name,
        )

    async def heal(self, name: str) -> None:
        """Mend what `poison` spoiled."""
        await self.query(
            "UPDATE user_profiles SET quiet_hours = NULL WHERE tenant_id = $1 AND external_id = $2",
            self.caller.tenant_id,
            name,
        )

    async def open_items(self) -> list[WorkItem]:
        """Her open deliveries."""
        return [WorkItem(*record.values()) for record in await self.query(_OPEN, self.caller.tenant_id)]

    async def handle(self, quarantine: Quarantine | None = None) -> Handled:
        """Handle all that she has open, as one claim."""
        if quarantine is None:
            _, quarantine = self.other_process()
        return await quarantine.handle(await self.open_items(), self.worker.dispatch)

    async def kill_with_errors(self) -> Handled:
        """Handle until what fails each time is dead."""
        handled = Handled()
        for _ in range(MAX_DELIVERIES):
            handled = await self.handle()
        return handled

    async def statuses(self) -> Counter[str]:
        """Her deliveries by status."""
        rows = await self.query(
            "SELECT status FROM notifications WHERE tenant_id = $1", self.caller.tenant_id
        )
        return Counter(row["status"] for row in rows)

    async def letters(self, query: str = "") -> list[dict[str, Any]]:
        """Her dead letters, through the API."""
        answer = await self.caller.call(f"GET /dead-letters{query}")
        assert answer.status == 200, answer.body
        return answer.json()["dead_letters"]

    def other_process(self, *, settled_in_s: float = 0.0) -> tuple[PostgresSuspects, Quarantine]:
        """A worker's process beside this one: it can be left to die in the middle of a trial."""
        store = PostgresSuspects(self.worker.region.pools)
        settled_s = self.worker.clock.monotonic() + settled_in_s
        return store, Quarantine(store, trial_ms=LEASE_MS, settled_s=settled_s)


def packed(ident: str) -> bytes:
    """The bytes of an id."""
    found = parse_id(ident)
    assert found is not None
    return found
