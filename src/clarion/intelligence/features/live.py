"""Records, kept as things happen: signs are folded in as they are heard, and archived soon after."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from clarion.intelligence.features.fold import fold
from clarion.intelligence.features.history import History
from clarion.intelligence.features.ports import FeatureArchive, FeatureStore, Homes, Painter
from clarion.intelligence.features.record import RecordArray, empty_records
from clarion.intelligence.features.signs import Signs
from clarion.intelligence.features.zones import Clocks, Home, at_home

ATTEMPTS: Final = 8
"""How often signs of a user are folded anew because another process folded some of hers meanwhile.

Two processes that fold for one user at the same time are rare, and each time one of them is done. Whoever is refused so
often is being erased: nothing of hers is kept.
"""

PAINTED_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class LivePorts:
    """What folding uses."""

    store: FeatureStore
    archive: FeatureArchive
    homes: Homes
    clocks: Clocks
    painter: Painter


class Unwritten:
    """Users whose records changed and were not archived since, by tenant.

    The list is lost with the process; the records are not, and the next change notes a user again.
    """

    def __init__(self) -> None:
        """Nobody."""
        self._noted: dict[int, tuple[bytes, int]] = {}

    def __len__(self) -> int:
        """How many users."""
        return len(self._noted)

    def add(self, users: Iterable[tuple[int, bytes]], at_ms: int) -> None:
        """Note users and their tenants, changed at `at_ms`. Who is noted already keeps her place and instant."""
        for user_id, tenant_id in users:
            self._noted.setdefault(user_id, (tenant_id, at_ms))

    def waited_ms(self, now_ms: int) -> int:
        """For how long the first of them has waited; 0 where there is nobody."""
        _, at_ms = next(iter(self._noted.values()), (b"", now_ms))
        return now_ms - at_ms

    def take(self, most: int) -> dict[bytes, list[int]]:
        """Those who were noted first, by tenant; they are noted no more."""
        taken: dict[bytes, list[int]] = {}
        for user_id in list(islice(self._noted, most)):
            tenant_id, _ = self._noted.pop(user_id)
            taken.setdefault(tenant_id, []).append(user_id)
        return taken


async def take_signs(heard: Signs, ports: LivePorts) -> dict[int, Home]:
    """Fold signs (at offset 0, as they were heard) into the records of their users; those of them who are there.

    Signs of users who are gone are left out. Raises Transient; some may then have been folded, and folding all again is
    right: what is known by its id changes nothing. So users count as changed whose signs were all known: a write whose
    reply was lost may have been the first.
    """
    if not len(heard):
        return {}
    users = _users(heard)
    homes, records = await asyncio.gather(ports.homes.find(users), read_or_restore(users, ports))
    signs = at_home(heard, homes, ports.clocks)
    for attempt in range(ATTEMPTS):
        if attempt:
            records = await read_or_restore(_users(signs), ports)
        refused = await _write(fold(records, signs), records, ports)
        signs = signs.where(np.isin(signs.user_id, refused))
        if not len(signs):
            break
    return homes


async def _write(folded: RecordArray, records: RecordArray, ports: LivePorts) -> list[int]:
    """Write the records that changed; the users of whom another process wrote first."""
    folded = folded[folded["sequence"] != records["sequence"]]
    if not len(folded):
        return []
    written = np.array(await ports.store.write(folded), np.bool_)
    refused: list[int] = folded["user_id"][~written].tolist()
    return refused


async def read_or_restore(user_ids: Sequence[int], ports: LivePorts) -> RecordArray:
    """Records of users, in order; those that the store does not have come from the archive."""
    records = await ports.store.read(user_ids)
    missing = np.flatnonzero(records["sequence"] == 0)
    if len(missing):
        records[missing] = await ports.archive.read([user_ids[index] for index in missing.tolist()])
    return records


async def archive_some(unwritten: Unwritten, ports: LivePorts, now_ms: int) -> int:
    """Archive some users' records, and paint them; how many. What fails is noted again. Raises Transient."""
    taken = unwritten.take(PAINTED_AT_ONCE)
    try:
        await paint(taken, ports, now_ms)
    except BaseException:
        unwritten.add(
            ((user_id, tenant_id) for tenant_id, users in taken.items() for user_id in users), now_ms
        )
        raise
    return sum(map(len, taken.values()))


async def rebuild(users: dict[bytes, list[int]], history: History, ports: LivePorts, now_ms: int) -> int:
    """Make records of users, by tenant, of what history still knows of them; how many were made. Raises Transient.

    A record takes the place of the one that is there, unless a live one came meanwhile: that is left, and made anew
    when asked again. Who never did or got anything gets none.
    """
    user_ids = [user_id for of_tenant in users.values() for user_id in of_tenant]
    there = await read_or_restore(user_ids, ports)
    made = fold(empty_records(user_ids), await history.of_users(user_ids, now_ms))
    known = made["as_of_ms"] > 0
    made["sequence"] = there["sequence"] + 1
    written = np.array(await ports.store.write(made[known]), np.bool_)
    kept: set[int] = set(made["user_id"][known][written].tolist())
    mine = {tenant_id: [one for one in of_tenant if one in kept] for tenant_id, of_tenant in users.items()}
    await paint({tenant_id: found for tenant_id, found in mine.items() if found}, ports, now_ms)
    return len(kept)


async def paint(users: dict[bytes, list[int]], ports: LivePorts, now_ms: int) -> None:
    """Archive the records of users, by tenant, with what their profiles say of them. Raises Transient."""
    for tenant_id, user_ids in users.items():
        records = await read_or_restore(user_ids, ports)
        records = records[records["sequence"] > 0]
        portraits = await ports.painter.paint(tenant_id, records, now_ms)
        await ports.archive.keep(tenant_id, records, portraits)


def _users(signs: Signs) -> list[int]:
    found: list[int] = np.unique(signs.user_id).tolist()
    return found
