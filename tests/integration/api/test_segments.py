"""Segments through the API: what they mean, how many are in them, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from clarion.adapters.postgres.segments import PostgresSegmentSnapshots
from clarion.audience.segments import keep_membership
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def preview(caller: Caller, expression: str) -> dict[str, Any]:
    answer = await caller.call("POST /segments/preview", {"expression": expression})
    assert answer.status == 200, answer.body
    return answer.json()


async def who(caller: Caller, expression: str) -> set[str]:
    found = await preview(caller, expression)
    names: set[str] = {member["user_id"] for member in found["sample"]}
    assert found["members"] == len(names)
    return names


async def people(caller: Caller) -> None:
    await caller.user(
        "ada", attributes={"plan": "pro", "age": 36, "tags": ["maths"], "vip": True}, country="GB"
    )
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


@pytest.mark.parametrize(
    ("expression", "place", "hint"),
    [
        ("", "", "empty"),
        ("plan ==", "column 8", "ends too early"),
        ("plan = 'pro'", "column 6", "=="),
        ("plan == 'pro' and vip", "column 15", "&&"),
        ("vip &&\n  plan == null", "line 2", "has("),
        ("has(plan)", "column 5", "has(user.plan)"),
        ("user.plan.startWith('p')", "column", "startsWith()"),
        ("country > 3", "column 9", "text"),
        ("events.purchase.last_at > 7", "column 25", "ago("),
        ("events.purchase.count == 'two'", "column", "a number"),
        ("events.purchase.total > 7", "column", "count_7d"),
        ("user.signup > ago('7d')", "column", "timestamp(user.signup)"),
        ("user.plan == ago('soon')", "column", "30m"),
        ("age + 1", "column", "no yes or no"),
        ("'pro'", "column", "no yes or no"),
        ("country", "column", "no yes or no"),
        ("user", "column", "name one of its fields"),
        ("user.country.code == 'x'", "column", "no fields"),
        ("'fax' in user.channels", "column", "email, push, sms"),
        ("user.tags.filter(t, t == 'a')", "column", "size()"),
        ("'a' + 1 == plan", "column", "cannot be computed"),
        ("{'a': 1}.a == 1", "", "braces"),
    ],
)
async def test_a_mistake_is_told_with_its_place_and_how_to_mend_it(
    caller: Caller, expression: str, place: str, hint: str
):
    answer = await caller.call("PUT /segments/s", {"expression": expression})
    assert answer.status == 400
    (error,) = answer.json()["errors"]
    assert error["path"] == "expression"
    assert place in error["detail"]
    assert hint in error["detail"]
    assert (await caller.call("GET /segments/s")).status == 404


@pytest.mark.parametrize(
    "bomb",
    [
        "l.all(a, l.all(b, l.all(c, true)))",
        "l.map(a, l.map(b, a + b)).size() > 0",
        "(" * 400 + "true" + ")" * 400,
        "+".join(["a"] * 300) + " == a",
        "l.all(x, (" + "+".join(["s"] * 60) + ").size() > 0)",
        "a" + ".a" * 499,
        "!" * 1001 + "a",
        "a" * 5000,
        "s.matches('((a{99}){99}){99}')",
        "x in [" + ",".join(["1"] * 101) + "]",
    ],
)
async def test_a_bomb_is_refused_before_it_is_kept(caller: Caller, bomb: str):
    answer = await caller.call("PUT /segments/bomb", {"expression": bomb})
    assert answer.status == 400
    assert answer.json()["errors"][0]["path"] == "expression"


async def test_the_dearest_expression_that_is_allowed_is_judged_in_time(caller: Caller):
    """One user brings as much as an attribute may hold: 100 texts of 1 KB."""
    await caller.user("ada", attributes={"l": ["x" * 300] * 100, "s": "y" * 1000})
    dear = "user.l.all(t, (" + "+".join(["t"] * 11) + " + '').contains('" + "x" * 500 + "'))"
    assert (await preview(caller, dear.replace(" + ''", "")))["members"] == 1


async def test_a_segment_is_kept_listed_and_removed(caller: Caller):
    await people(caller)
    body = {"expression": "has(user.plan)", "description": "paying or not"}
    made = (await caller.call("PUT /segments/planned", body)).json()
    assert (made["members"], made["version"], made["counting"]) == (2, 1, None)
    assert (await caller.call("PUT /segments/planned", body)).json()["version"] == 1
    changed = (await caller.call("PUT /segments/planned", {"expression": "vip"})).json()
    assert (changed["members"], changed["version"]) == (1, 2)
    await caller.call("PUT /segments/all", {"expression": "true"})
    first = (await caller.call("GET /segments?limit=1")).json()
    assert [segment["name"] for segment in first["segments"]] == ["all"]
    rest = (await caller.call(f"GET /segments?cursor={first['next_cursor']}")).json()
    assert [segment["name"] for segment in rest["segments"]] == ["planned"]
    assert rest["next_cursor"] is None
    assert (await caller.call("DELETE /segments/all")).status == 204
    assert (await caller.call("DELETE /segments/all")).status == 404


async def test_a_segment_that_must_judge_is_counted_by_the_worker(api: Api, caller: Caller):
    await people(caller)
    made = (await caller.call("PUT /segments/grown", {"expression": "user.age >= 18"})).json()
    assert made["members"] is None
    assert (await caller.call("GET /segments/grown")).json()["counting"] == {"examined": 0, "candidates": 0}
    await keep(api)
    seen = (await caller.call("GET /segments/grown")).json()
    assert (seen["members"], seen["counting"]) == (1, None)


async def test_members_are_those_of_the_snapshot_less_who_left(api: Api, caller: Caller):
    await people(caller)
    await caller.call("PUT /segments/all", {"expression": "true"})
    assert (await caller.call("GET /segments/all/members")).status == 404
    assert (await caller.call("POST /segments/all/snapshot")).status == 202
    await keep(api)
    await caller.user("dee")
    await caller.call("DELETE /users/bob")
    page = (await caller.call("GET /segments/all/members?limit=1")).json()
    assert [member["user_id"] for member in page["members"]] == ["ada"]
    rest = (await caller.call(f"GET /segments/all/members?cursor={page['next_cursor']}")).json()
    assert [member["user_id"] for member in rest["members"]] == ["cyd"]
    await caller.call("POST /segments/all/snapshot")
    await keep(api)
    names = [m["user_id"] for m in (await caller.call("GET /segments/all/members")).json()["members"]]
    assert names == ["ada", "cyd", "dee"]
    await caller.call("PUT /segments/all", {"expression": "false"})
    assert (await caller.call("GET /segments/all/members")).status == 404


async def test_a_worker_that_stops_in_the_middle_keeps_the_last_membership(api: Api, caller: Caller):
    await people(caller)
    await caller.call("PUT /segments/grown", {"expression": "user.age >= 18"})
    await keep(api)
    await caller.user("eve", attributes={"age": 40})
    await caller.call("POST /segments/grown/snapshot")
    region = api.gateway.region
    snapshots = PostgresSegmentSnapshots(region.pools)
    stopped = await keep_membership(snapshots, region.segments.sources, region.sealer, lambda: True)
    assert stopped is not None
    assert not await snapshots.finish(replace(stopped, snapshot=stopped.snapshot - 1))
    names = [m["user_id"] for m in (await caller.call("GET /segments/grown/members")).json()["members"]]
    assert names == ["ada"]


async def test_names_that_nobody_has_are_told(caller: Caller):
    await people(caller)
    assert (await preview(caller, "user.plann == 'pro' || vip || age > 3"))["unseen"] == ["user.plann"]


async def test_another_tenants_users_and_segments_are_never_seen(api: Api, caller: Caller, other: Caller):
    await people(caller)
    await other.user("mal", attributes={"plan": "pro", "age": 50})
    await caller.call("PUT /segments/pros", {"expression": "plan == 'pro' && age > 18"})
    assert (await other.call("GET /segments/pros")).status == 404
    assert (await other.call("GET /segments")).json()["segments"] == []
    for expression in ("true", "plan == 'pro'", "age > 0", "!nonsense", "events.x.count == 0"):
        assert await who(other, expression) == {"mal"}
    await caller.call("POST /segments/pros/snapshot")
    await keep(api)
    names = [m["user_id"] for m in (await caller.call("GET /segments/pros/members")).json()["members"]]
    assert names == ["ada"]


async def test_a_context_is_asked_as_it_is_now(caller: Caller):
    await people(caller)
    await caller.call("POST /personalization/context", {"user_id": "bob", "context": {"cart_items": 3}})
    assert await who(caller, "context.cart_items > 2") == {"bob"}
    assert await who(caller, "!has(context.cart_items) && has(user.plan)") == {"ada"}


async def test_a_feature_answers_where_there_is_no_attribute(api: Api, caller: Caller):
    await people(caller)
    async with api.gateway.region.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE user_profiles SET ml_features = $2 WHERE tenant_id = $1",
            caller.tenant_id,
            b'{"score": 0.8, "churn": {"risk": 0.2}, "loyal": true, "tier": "b"}',
        )
    everybody = {"ada", "bob", "cyd"}
    assert await who(caller, "score > 0.85") == {"bob"}
    assert await who(caller, "features.score > 0.7 && features.churn.risk < 0.5") == everybody
    assert await who(caller, "features.score != 0.8") == set()
    assert await who(caller, "loyal && features.tier == 'b' && features.tier < 'c'") == everybody
    assert await who(caller, "has(features.tier) && !has(features.none)") == everybody


async def test_a_broadcast_goes_to_whoever_is_in_its_segment(api: Api, caller: Caller):
    await people(caller)
    audience = api.gateway.region.audience
    assert audience is not None
    await caller.call("PUT /segments/pros", {"expression": "plan == 'pro' || user.age < 18"})
    resolved = await audience.resolve(caller.tenant_id, "pros")
    await caller.call("PUT /segments/pros", {"expression": "false"})
    found: list[str] = []
    after = 0
    while page := await audience.page(caller.tenant_id, resolved, after, 1):
        found += [member.external_id for member in page]
        after = page[-1].user_id
    assert found == ["ada", "bob"]


async def keep(api: Api) -> None:
    """What the worker does until nothing is wanted any more."""
    region = api.gateway.region
    snapshots = PostgresSegmentSnapshots(region.pools)
    while await keep_membership(snapshots, region.segments.sources, region.sealer, lambda: False):
        pass
