"""What Valkey holds of a user beyond copies, as a source of her export: the context that her tenant keeps of her."""

from __future__ import annotations

from collections.abc import AsyncIterator

from clarion.adapters.valkey.context import ValkeyContexts
from clarion.compliance.ports import DataSubject, Held


class ContextSource:
    """`compliance.ports.ExportSource` of real-time contexts."""

    def __init__(self, contexts: ValkeyContexts) -> None:
        self._contexts = contexts

    @property
    def name(self) -> str:
        """As the certificate of an erasure names the store."""
        return "valkey.contexts"

    async def export(self, subject: DataSubject) -> AsyncIterator[Held]:
        """Her context, a field a record; see `ExportSource.export`."""
        (context,) = await self._contexts.read([subject.user_id])
        yield Held("context", [{"field": name, "value": value} for name, value in context.items()])
