"""What the store answers and what is judged are the same segment: random expressions over users of every kind."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from msgspec.structs import replace

from clarion.audience.segments import Compiled, compile_segment
from clarion.audience.segments.audience import Span, scan
from clarion.audience.segments.conditions import EVERYBODY, NOBODY, Bounds, Condition
from clarion.audience.traits import TraitBlinder
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXPRESSIONS: Final = 250

VALUES: Final = ["'a'", "'b'", "'B'", "1", "2", "1.0", "1.5", "-1", "1e18", "true", "false", "''"]
NAMES: Final = ["x", "user.x", "y", "user.y", "user.m.k", "m.k", "features.x", "features.f", "f", "context.x"]
TEXTS: Final = ["country", "user.language", "timezone", "user.id", "user.email"]
WORDS: Final = ["'DE'", "'en'", "'u3'", "'Europe/Paris'"]
COUNTS: Final = ["count", "count_3d", "count_30d"]
BEGINNINGS: Final = ["'D'", "'Europe/'", "'a'", "''"]
COMPARISONS: Final = ["==", "!=", "<", "<=", ">", ">="]
DATA: Final = [{}, {"x": "a"}, {"x": 1, "y": True}, {"x": 1.5, "y": ["a", 1]}, {"x": ["b"], "m": {"k": "a"}}]
MORE: Final = [
    {"m": {"k": 1, "a": 2}},
    {"x": None, "y": "B"},
    {"x": "x" * 2000},
    {"m": [1, 2], "x": {"a": 1}},
    {"x": 1e18},
]
FEATURES: Final = [b"{}", b'{"x": "b", "f": 1.5}', b'{"x": 2, "f": true, "m": {"k": "a"}}', b'{"f": null}']


def atom(chance: random.Random) -> str:
    pick = chance.choice
    forms: list[Callable[[], str]] = [
        lambda: pick(NAMES),
        lambda: f"{pick(NAMES)} {pick(COMPARISONS)} {pick(VALUES)}",
        lambda: f"{pick(VALUES)} {pick(COMPARISONS)} {pick(NAMES)}",
        lambda: f"{pick(TEXTS)} {pick(COMPARISONS)} {pick(WORDS)}",
        lambda: f"{pick(NAMES)} in [{pick(VALUES)}, {pick(VALUES)}]",
        lambda: f"{pick(VALUES)} in {pick(['x', 'user.x', 'user.y', 'm', 'user.m', 'features.x'])}",
        lambda: (
            f"has({pick(['user.x', 'user.m.k', 'features.f', 'user.email', 'user.country', 'm.k', 'context.x'])})"
        ),
        lambda: f"{pick(['country', 'timezone', 'user.x'])}.startsWith({pick(BEGINNINGS)})",
        lambda: f"{pick(['user.y', 'x'])}.exists(i, i == {pick([*VALUES, 'y', 'user.x'])})",
        lambda: f"size({pick(['x', 'user.y', 'm', 'user.channels'])}) > {pick(['0', '1'])}",
        lambda: f"{pick(NAMES)} {pick(COMPARISONS)} {pick(NAMES)}",
        lambda: f'"{pick(["email", "push", "sms"])}" in user.channels',
        lambda: (
            f"events.{pick(['buy', 'see'])}.{pick(COUNTS)} {pick(COMPARISONS)} {pick(['0', '1', '2', '1.5'])}"
        ),
        lambda: (
            f'events.buy.{pick(["first_at", "last_at"])} {pick(COMPARISONS)} ago("{pick(["1h", "3d", "9d"])}")'
        ),
        lambda: f"has(events.{pick(['buy', 'see', 'buy.last_at', 'see.count'])})",
        lambda: f'user.created_at {pick(COMPARISONS)} ago("{pick(["0s", "1d"])}")',
        lambda: "events.buy.count_9d > events.see.count",
    ]
    return pick(forms)()


def expression(chance: random.Random) -> str:
    while True:
        text = condition(chance, 2)
        if text.count(".exists(") <= 1:  # more are not allowed
            return text


def condition(chance: random.Random, levels: int) -> str:
    if not levels or chance.random() < 0.3:
        return atom(chance)
    left, right = condition(chance, levels - 1), condition(chance, levels - 1)
    return chance.choice(
        [f"({left} && {right})", f"({left} || {right})", f"!({left})", f"({left} ? {right} : !({left}))"]
    )


async def population(api: Api, caller: Caller) -> None:
    """Users who have and lack everything that the expressions name."""
    pool = api.gateway.region.pools
    for number, attributes in enumerate(DATA + MORE):
        profile = {
            "attributes": attributes,
            "country": [None, "DE", "FR"][number % 3],
            "language": ["en", None][number % 2],
            "timezone": ["Europe/Paris", None, "America/Lima"][number % 3],
            "email": ["u@example.com", None][number % 2],
            "phone": [None, "+442071838750"][number % 2],
        }
        assert (await caller.call(f"PUT /users/u{number}", profile)).status == 201
        async with pool.pipeline() as connection:
            await connection.execute(
                "UPDATE user_profiles SET ml_features = $3 WHERE tenant_id = $1 AND external_id = $2",
                caller.tenant_id,
                f"u{number}",
                FEATURES[number % len(FEATURES)],
            )
    now = datetime.now(UTC)
    for user, name, days in [
        ("u1", "buy", 2),
        ("u1", "buy", 5),
        ("u2", "see", 0),
        ("u3", "buy", 20),
        ("u3", "see", 1),
    ]:
        body = {"user_id": user, "event": name, "timestamp": (now - timedelta(days=days)).isoformat()}
        assert (await caller.call("POST /events", body)).status == 202
    body = {"user_id": "u4", "context": {"x": "a"}}
    assert (await caller.call("POST /personalization/context", body)).status == 200


async def asked(api: Api, caller: Caller, condition: Condition) -> set[str]:
    found = await api.gateway.region.segments.sources.population.members(caller.tenant_id, condition, 0, 100)
    return {member.external_id for member in found}


async def judged(api: Api, caller: Caller, compiled: Compiled, now_ms: int) -> set[str]:
    """Everybody whom the judge lets in, without help of the store."""
    alone = replace(compiled, bounds=Bounds(NOBODY, EVERYBODY))
    sources = api.gateway.region.segments.sources
    found: set[str] = set()
    async for _, members in scan(caller.tenant_id, alone, now_ms, sources, Span()):
        found |= {member.external_id for member in members}
    return found


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_store_never_contradicts_the_judge(api: Api, caller: Caller, seed: int):
    await population(api, caller)
    region, chance = api.gateway.region, random.Random(seed)
    term = TraitBlinder(caller.tenant_id, region.sealer).term
    exact = 0
    for _ in range(EXPRESSIONS):
        text = expression(chance)
        now_ms = region.clock.now_ms()
        compiled = compile_segment(text, term, now_ms)
        truth = await judged(api, caller, compiled, now_ms)
        upper = await asked(api, caller, compiled.bounds.upper)
        lower = upper if compiled.bounds.is_exact else await asked(api, caller, compiled.bounds.lower)
        assert lower <= truth <= upper, (text, lower, truth, upper)
        exact += compiled.bounds.is_exact
    assert EXPRESSIONS / 5 < exact < EXPRESSIONS
