"""Segments through the API: what they mean, how many are in them, and what is refused."""

from __future__ import annotations

import pytest

from clarion.audience.segments import keep_membership
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def preview(caller: Caller, expression: str) -> dict[str, object]:
    answer = await caller.call("POST /segments/preview", {"expression": expression})
    assert answer.status == 200, answer.body
    return answer.json()


async def who(caller: Caller, expression: str) -> set[str]:
    found = await preview(caller, expression)
    sample = found["sample"]
    assert isinstance(sample, list)
    names = {member["user_id"] for member in sample}
    assert found["members"] == len(names)
    return names


async def people(caller: Caller) -> None:
    await caller.user("ada", attributes={"plan": "pro", "age": 36, "tags": ["maths"], "vip": True}, country="GB")
    await caller.user("bob", attributes={"plan": "free", "age": 17, "score": 0.9}, country="DE")
    await caller.user("cyd", attributes={}, country=None, timezone=None)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("true", {"ada", "bob", "cyd"}),
        ("false", set[str]()),
        ('user.plan == "pro"', {"ada"}),
        ('plan != "pro"', {"bob"}),
        ('!(plan == "pro")', {"bob", "cyd"}),
        ("!vip", {"bob", "cyd"}),
        ("vip", {"ada"}),
        ("has(user.plan)", {"ada", "bob"}),
        ("user.age > 18", {"ada"}),
        ("!(user.age > 18)", {"bob", "cyd"}),
        ("age > 18 || country == 'DE'", {"ada", "bob"}),
        ("score > 0.7", {"bob"}),
        ("'maths' in user.tags", {"ada"}),
        ("user.tags.exists(t, t.startsWith('ma'))", {"ada"}),
        ("plan in ['pro', 'free']", {"ada", "bob"}),
        ("country in ['GB'] && age == 36.0", {"ada"}),
        ("timezone.startsWith('Europe/')", {"ada", "bob"}),
        ("user.email.endsWith('@example.com') && user.id == 'cyd'", {"cyd"}),
        ("'email' in user.channels", {"ada", "bob", "cyd"}),
        ("user.created_at > ago('1h')", {"ada", "bob", "cyd"}),
        ("user.created_at < ago('1h')", set[str]()),
        ("plan == 'pro' ? age > 30 : !has(user.plan)", {"ada", "cyd"}),
        ("events.purchase.count == 0", {"ada", "bob", "cyd"}),
        ("has(events.purchase)", set[str]()),
        ("nonsense > 3", set[str]()),
        ("!nonsense", {"ada", "bob", "cyd"}),
    ],
)
async def test_an_expression_finds_whom_it_says(caller: Caller, expression: str, names: set[str]):
    await people(caller)
    assert await who(caller, expression) == names
