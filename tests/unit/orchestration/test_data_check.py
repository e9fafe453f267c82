"""Holding `data` against templates' schemas: read once, kept within bounds, one mistake reaching nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from clarion.audience.model import Card
from clarion.contracts.commands import NotificationRequest
from clarion.delivery.ports import TemplateKey
from clarion.kernel.errors import Transient
from clarion.orchestration.data_check import MAX_KEPT_BYTES, Asking, CachedSchemas, hold_data
from clarion.orchestration.draft import Checked, check_request
from clarion.templates import ChannelParts, SmsParts, TemplateContent, TemplateVersion
from clarion.tenancy.config import TemplateInfo, TenantConfig
from clarion.tenancy.model import DEFAULT_CATEGORIES, Tenant

TENANT = bytes(16)
NUMBER: dict[str, Any] = {"properties": {"n": {"type": "number"}}}


class Shelf:
    """A store of templates that counts how often it is asked."""

    def __init__(self, schemas: dict[int, dict[str, Any] | None]) -> None:
        self.schemas = schemas
        self.asked: list[list[TemplateKey]] = []

    async def fetch(self, refs: Sequence[TemplateKey]) -> dict[TemplateKey, TemplateVersion]:
        """`TemplateStore.fetch`."""
        self.asked.append(list(refs))
        return {
            ref: TemplateVersion("t", ref[2], _content(self.schemas[ref[2]]), 4, uses_context=False)
            for ref in refs
            if ref[2] in self.schemas
        }


def _content(schema: dict[str, Any] | None) -> TemplateContent:
    return TemplateContent("service", ChannelParts(sms=SmsParts("x")), data_schema=schema)


def checked(version: int, data: dict[str, Any]) -> Checked:
    categories = {category.name: category for category in DEFAULT_CATEGORIES}
    template = TemplateInfo("t", version, "service", 4, has_schema=True)
    config = TenantConfig(Tenant(TENANT, "acme"), 1, categories, {"t": template}, [])
    request = NotificationRequest("ada", "service", "t", data)
    return check_request(request, config, card(), 0)


def card() -> Card:
    return Card(1, 1, "ada", "UTC", "en", "GB", "", 7)


async def paths(source: CachedSchemas, *asking: tuple[int, dict[str, Any]]) -> list[str | None]:
    found = await hold_data([Asking(TENANT, checked(v, data)) for v, data in asking], source)
    return [None if misfit is None else misfit.path for misfit in found]


async def test_each_item_is_held_against_its_own_version_and_a_version_is_read_once():
    shelf = Shelf({1: NUMBER, 2: {"required": ["n"]}})
    source = CachedSchemas(shelf)
    asking: list[tuple[int, dict[str, Any]]] = [
        (1, {"n": 1}),
        (1, {"n": "x"}),
        (2, {"n": "x"}),
        (2, {}),
        (1, {}),
    ]
    assert await paths(source, *asking) == [None, "data.n", None, "data.n", None]
    assert await paths(source, *asking) == [None, "data.n", None, "data.n", None]
    assert [sorted(key[2] for key in keys) for keys in shelf.asked] == [[1, 2]]


async def test_a_version_whose_schema_cannot_be_read_refuses_its_own_items_only():
    source = CachedSchemas(Shelf({1: NUMBER, 2: {"type": "text"}}))
    assert await paths(source, (1, {"n": 1}), (2, {}), (3, {})) == [None, "template", "template"]


async def test_what_is_kept_is_bounded():
    large = {"description": "x" * 30_000}
    shelf = Shelf(dict.fromkeys(range(400), large))
    source = CachedSchemas(shelf)
    for i in range(400):
        await paths(source, (i, {}))
    assert sum(map(len, shelf.asked)) == 400
    await paths(source, (399, {}))
    assert sum(map(len, shelf.asked)) == 400, "the latest are there"
    kept = MAX_KEPT_BYTES // 30_000
    await paths(source, (399 - kept - 1, {}))
    assert sum(map(len, shelf.asked)) == 401, "older ones are read again"


@pytest.mark.parametrize("count", [1, 300])
async def test_many_items_are_checked_in_order(count: int):
    source = CachedSchemas(Shelf({1: NUMBER}))
    asking = [(1, {"n": i if i % 3 else "x"}) for i in range(count)]
    assert await paths(source, *asking) == [None if i % 3 else "data.n" for i in range(count)]


class Away:
    """A store that does not answer."""

    async def fetch(self, refs: Sequence[TemplateKey]) -> dict[TemplateKey, TemplateVersion]:
        """`TemplateStore.fetch`."""
        raise Transient(f"away, with {len(refs)} to read")


async def test_while_the_store_is_away_nothing_is_promised():
    with pytest.raises(Transient):
        await paths(CachedSchemas(Away()), (1, {"n": 1}))
