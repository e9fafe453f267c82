"""`ContextStore`: what was said last about a user."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import Any

import pytest

from clarion.adapters.valkey.client import ValkeyClients
from clarion.adapters.valkey.context import MAX_BYTES, MAX_FIELDS, ValkeyContexts
from clarion.kernel.errors import Invalid
from clarion.orchestration.ports import ContextStore
from clarion.testing.valkey import InMemoryContexts

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def contexts(clients: ValkeyClients | None) -> ContextStore:
    return InMemoryContexts() if clients is None else ValkeyContexts(clients)


@pytest.fixture
def user() -> int:
    return 1 << 48 | secrets.randbits(47)


async def test_values_come_back_as_json_holds_them(contexts: ContextStore, user: int):
    context: dict[str, Any] = {
        "cart": {"items": [1, 2.5, "drei", None, True], "empty": {}},
        "näme": "\x00 ' \" 日本",
        "": 0,
        "big": 2**63,
    }
    await contexts.merge(user, context)
    assert await contexts.read([user]) == [context]


async def test_merging_sets_what_is_named_and_leaves_the_rest(contexts: ContextStore, user: int):
    await contexts.merge(user, {"city": "Oslo", "cart": {"items": 1}})
    await contexts.merge(user, {"cart": {"total": 3}, "plan": "pro"})
    assert await contexts.read([user]) == [{"city": "Oslo", "cart": {"total": 3}, "plan": "pro"}]


async def test_null_removes_a_field(contexts: ContextStore, user: int):
    await contexts.merge(user, {"city": "Oslo", "plan": "pro"})
    await contexts.merge(user, {"city": None, "never": None})
    assert await contexts.read([user]) == [{"plan": "pro"}]


async def test_an_empty_context_changes_nothing(contexts: ContextStore, user: int):
    await contexts.merge(user, {})
    assert await contexts.read([user]) == [{}]


async def test_contexts_come_in_the_order_asked_and_empty_for_the_unknown(contexts: ContextStore, user: int):
    known = range(user, user + 20, 2)
    for number in known:
        await contexts.merge(number, {"number": number})
    found = await contexts.read(range(user, user + 20))
    assert found == [{"number": n} if n in known else {} for n in range(user, user + 20)]
    assert await contexts.read([user, user]) == [{"number": user}] * 2
    assert await contexts.read([]) == []


async def test_the_number_of_fields_is_bounded_over_all_merges(contexts: ContextStore, user: int):
    full = {f"field-{number}": number for number in range(MAX_FIELDS)}
    await contexts.merge(user, full)
    with pytest.raises(Invalid, match="100 fields") as caught:
        await contexts.merge(user, {"one": 1, "field-0": "changed"})
    assert caught.value.path == "context"
    assert await contexts.read([user]) == [full]
    await contexts.merge(user, {"one": 1, "field-0": None})
    assert len((await contexts.read([user]))[0]) == MAX_FIELDS


async def test_the_size_is_bounded_over_all_merges(contexts: ContextStore, user: int):
    await contexts.merge(user, {"a": "x" * (MAX_BYTES - 10)})
    with pytest.raises(Invalid, match="65536 bytes"):
        await contexts.merge(user, {"b": "too much"})
    await contexts.merge(user, {"a": "small"})
    await contexts.merge(user, {"b": "x" * 1000})
    assert (await contexts.read([user]))[0]["a"] == "small"


@pytest.mark.parametrize(
    "context",
    [{"a": {1, 2}, "b": object()}, {"a": "\ud800"}, {"\ud800": 1}, {"a": {"b": object()}}],
    ids=["object", "surrogate", "surrogate-name", "nested"],
)
async def test_what_is_not_json_is_refused_as_a_whole(
    contexts: ContextStore, user: int, context: dict[str, Any]
):
    with pytest.raises(Invalid) as caught:
        await contexts.merge(user, {"good": 1, **context})
    assert caught.value.path.startswith("context.")
    assert await contexts.read([user]) == [{}]


async def test_times_are_kept_as_text(contexts: ContextStore, user: int):
    await contexts.merge(user, {"at": dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC)})
    assert await contexts.read([user]) == [{"at": "2026-01-02T03:04:00Z"}]


async def test_a_dropped_user_has_no_context(contexts: ContextStore, user: int):
    await contexts.merge(user, {"a": 1})
    await contexts.merge(user + 1, {"a": 1})
    await contexts.drop([user, user + 2])
    await contexts.drop([])
    assert await contexts.read([user, user + 1]) == [{}, {"a": 1}]
