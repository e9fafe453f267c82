"""What Valkey holds of a user, as stores to be erased: card, context, features, allowances; and the server's own log.

The queue and the event log hold ids of deliveries only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from clarion.adapters.valkey.cards import ValkeyCards
from clarion.adapters.valkey.client import ValkeyClients, guarded
from clarion.adapters.valkey.context import ValkeyContexts
from clarion.adapters.valkey.features import ValkeyFeatures
from clarion.adapters.valkey.reservations import ValkeyReservations
from clarion.compliance.ports import DataSubject
from clarion.kernel.errors import Transient

POLL_S: Final = 0.05
REWRITE_WITHIN_S: Final = 60.0


class CardTarget:
    """A user's packed card."""

    def __init__(self, cards: ValkeyCards) -> None:
        self._cards = cards

    @property
    def name(self) -> str:
        """As the certificate names it."""
        return "valkey.cards"

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Remove it; see `ErasureTarget.erase`. Without a name nothing can be found by it: cards live for 7 days."""
        if not subject.external_id:
            return {"cards": 0}
        return {"cards": await self._cards.erase(subject.tenant_id, subject.external_id)}


class ContextTarget:
    """What was told of a user in real time."""

    def __init__(self, contexts: ValkeyContexts) -> None:
        self._contexts = contexts

    @property
    def name(self) -> str:
        """As the certificate names it."""
        return "valkey.contexts"

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Remove it; see `ErasureTarget.erase`."""
        return {"contexts": await self._contexts.erase(subject.user_id)}


class FeatureTarget:
    """What is known of a user's conduct, packed."""

    def __init__(self, features: ValkeyFeatures) -> None:
        self._features = features

    @property
    def name(self) -> str:
        """As the certificate names it."""
        return "valkey.features"

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Remove it; see `ErasureTarget.erase`. For some seconds none is kept of her: one may be on its way."""
        return {"features": await self._features.erase(subject.user_id)}


class AllowanceTarget:
    """How much of a user's daily allowances was used. Asked once an erasure: it looks at every key of a node."""

    def __init__(self, allowances: ValkeyReservations) -> None:
        self._allowances = allowances

    @property
    def name(self) -> str:
        """As the certificate names it."""
        return "valkey.allowances"

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Remove it; see `ErasureTarget.erase`."""
        return {"allowances": await self._allowances.forget(subject.user_id)}


class LogTarget:
    """The append-only file, where the server keeps its changes on disk: written anew without what is gone."""

    def __init__(self, clients: ValkeyClients) -> None:
        self._clients = clients
        self._last = asyncio.Lock()

    @property
    def name(self) -> str:
        """As the certificate names it."""
        return "valkey.append_only_file"

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Have it rewritten; see `ErasureTarget.erase`. Clusters and servers without one: nothing is removed.

        Raises Transient where a rewriting is under way that began before, or does not end.
        """
        del subject
        async with self._last:
            status = await self._status()
            if self._clients.is_cluster or not status.get("aof_enabled"):
                return {"rewritten": 0}
            if status["aof_rewrite_in_progress"] or status["aof_rewrite_scheduled"]:
                detail = "the append-only file is being rewritten"
                raise Transient(detail)
            async with guarded():
                await self._clients.write.execute_command("BGREWRITEAOF")
            await self._wait()
        return {"rewritten": 1}

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(REWRITE_WITHIN_S):
                while True:
                    status = await self._status()
                    if not (status["aof_rewrite_in_progress"] or status["aof_rewrite_scheduled"]):
                        break
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            detail = "the append-only file takes long to be rewritten"
            raise Transient(detail) from None
        if status["aof_last_bgrewrite_status"] != "ok":
            detail = "the append-only file could not be rewritten"
            raise Transient(detail)

    async def _status(self) -> dict[str, Any]:
        async with guarded():
            return dict(await self._clients.read.execute_command("INFO", "persistence"))
