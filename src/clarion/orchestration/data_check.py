"""Holding `data` against what its template asks for, before anything is promised.

Costs nothing where no template asks: the schemas of versions that do are read once, and kept ready to check.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from clarion.delivery.ports import TemplateKey
from clarion.delivery.template_cache import TemplateStore
from clarion.kernel.errors import Invalid
from clarion.orchestration.draft import Checked
from clarion.templates import DataSchema
from clarion.templates.data_schema import MAX_CHECKS

MAX_KEPT_BYTES: Final = 4 * 1024 * 1024
"""Source of the schemas that are kept ready; in memory they take about ten times that."""

STRETCH: Final = 500_000
"""Work (`DataSchema.check`) between two looks at what else there is to do: 2 ms, 50 for the worst schema found."""


class SchemaSource(Protocol):
    """The schemas of template versions, ready to check."""

    async def read(self, keys: Collection[TemplateKey]) -> Mapping[TemplateKey, DataSchema]:
        """The schemas by version; those that do not exist or cannot be used are absent. Raises Transient."""
        ...


class CachedSchemas:
    """`SchemaSource` over the store of templates: one query a batch for what is not known, none for what is."""

    def __init__(self, store: TemplateStore) -> None:
        self._store = store
        self._known: OrderedDict[TemplateKey, DataSchema] = OrderedDict()
        self._bytes = 0

    async def read(self, keys: Collection[TemplateKey]) -> dict[TemplateKey, DataSchema]:
        """The schemas by version. Raises Transient."""
        found: dict[TemplateKey, DataSchema] = {}
        missing: list[TemplateKey] = []
        for key in keys:
            schema = self._known.get(key)
            if schema is None:
                missing.append(key)
            else:
                self._known.move_to_end(key)
                found[key] = schema
        if missing:
            for key, version in (await self._store.fetch(missing)).items():
                schema = _make_ready(version.content.data_schema)
                if schema is not None:
                    found[key] = schema
                    self._keep(key, schema)
        return found

    def _keep(self, key: TemplateKey, schema: DataSchema) -> None:
        if key in self._known:
            return  # another batch read it meanwhile
        self._known[key] = schema
        self._bytes += schema.size
        while self._bytes > MAX_KEPT_BYTES:
            self._bytes -= self._known.popitem(last=False)[1].size


def _make_ready(schema: dict[str, object] | None) -> DataSchema | None:
    if schema is None:
        return None
    try:
        return DataSchema(schema)
    except Invalid:
        return None


class Asking(msgspec.Struct, frozen=True):
    """A checked request of a tenant whose template says what `data` must be."""

    tenant_id: bytes
    checked: Checked

    @property
    def key(self) -> TemplateKey:
        """The version that it is accepted with."""
        return (self.tenant_id, self.checked.template.name, self.checked.template.version)


async def hold_data(asking: Sequence[Asking], schemas: SchemaSource) -> list[Invalid | None]:
    """What is wrong with the data of each, in order; None where nothing is. One's mistake never reaches another.

    Lets others run now and then: checking is the only work of an accept that a caller can make heavy. Raises Transient.
    """
    known = await schemas.read({each.key for each in asking})
    results: list[Invalid | None] = []
    done = 0
    for each in asking:
        schema = known.get(each.key)
        if schema is None:
            detail = "what this template asks of `data` can no longer be read; save the template anew"
            results.append(Invalid(detail, "template"))
            continue
        try:
            done += schema.check(each.checked.request.data)
            results.append(None)
        except Invalid as error:
            done += MAX_CHECKS
            results.append(error)
        if done > STRETCH:
            done = 0
            await asyncio.sleep(0)
    return results
