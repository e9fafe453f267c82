"""What becomes of steps and of runs when they are moved to another version, and taken back."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from clarion.journeys.advance import advance
from clarion.journeys.compile import compile_journey
from clarion.journeys.graph import Graph
from clarion.journeys.migrate import Target, is_in_share, move, move_back, place_of, plan_migration
from clarion.journeys.model import ARRIVED, ASKED, WAITING, Done, Due, Instance, Progress, Turn
from clarion.kernel.errors import Invalid

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000


def graph(*steps: dict[str, Any]) -> Graph:
    compiled = compile_journey({"name": "j", "trigger": {"type": "api"}, "steps": list(steps)})
    assert compiled.graph is not None, compiled.findings
    return compiled.graph


def delay(name: str, duration: str = "1d", **fields: Any) -> dict[str, Any]:
    return {"id": name, "type": "delay", "duration": duration, **fields}


def mail(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "type": "notification", "channels": ["email"], "data": {"body": "x"}, **fields}


def begin(drawn: Graph, user_id: int = 7) -> Instance:
    """A run at its first stop."""
    fresh = Instance(
        instance_id=bytes(16),
        tenant_id=bytes(16),
        journey_id=bytes(16),
        version=1,
        user_id=user_id,
        region="eu",
        is_test=False,
        status="active",
        seq=0,
        step="",
        due_ms=NOW_MS,
        progress=Progress(),
        context_version=0,
        entered_ms=NOW_MS,
    )
    (moved,) = advance([Turn(fresh, drawn, (Due(),))], NOW_MS)
    return moved.instance


def go_on(run: Instance, drawn: Graph, now_ms: int, *inputs: Any) -> Instance:
    (moved,) = advance([Turn(run, drawn, inputs or (Due(),))], now_ms)
    return moved.instance


def test_a_plan_says_what_becomes_of_each_step():
    before = graph(delay("a"), mail("b"), mail("c"), delay("d"))
    after = graph(delay("a", "2d"), mail("x"), delay("d"))
    plan = plan_migration(before, after, {"b": "x", "c": None})

    assert {step: (way.how, way.to) for step, way in plan.ways.items()} == {
        "a": ("same", ("a",)),
        "b": ("mapped", ("x",)),
        "c": ("exit", ()),
        "d": ("same", ("d",)),
    }
    assert (plan.added, plan.removed, plan.changed) == (("x",), ("b", "c"), ("a",))


def test_a_step_that_only_changed_its_place_did_not_change():
    branch = {"id": "a", "type": "branch", "conditions": [{"if": "user.x == 1", "goto": "d"}, {"else": "d"}]}
    before, after = graph(branch, delay("d")), graph(mail("first"), branch, delay("d"))
    assert plan_migration(before, after, {}).changed == ()


def test_a_step_that_is_gone_leads_to_the_nearest_that_follows():
    before = graph(mail("a"), mail("b"), mail("c"), delay("d"))
    after = graph(mail("a"), delay("d"))
    assert plan_migration(before, after, {}).ways["b"].to == ("d",)
    assert plan_migration(before, graph(mail("a")), {}).ways["b"].how == "exit"


def test_nobody_is_led_back_to_where_she_has_been():
    """A loop: what follows the removed step is where she came from."""
    before = graph(mail("a"), delay("b"), {"id": "again", "type": "goto", "goto": "a"})
    after = graph(mail("a"), delay("later"))
    plan = plan_migration(before, after, {})
    run = replace(begin(before), step="b", progress=Progress(visits={"a": 1, "b": 1}))

    assert plan.ways["b"].to == ("a",)
    assert place_of(run, plan) is None
    assert place_of(replace(run, progress=Progress(visits={"b": 1})), plan) == "a"


@pytest.mark.parametrize(("steps", "path"), [({"x": "a"}, "steps"), ({"a": "x"}, "steps.a")])
def test_a_map_names_steps_that_there_are(steps: dict[str, str], path: str):
    drawn = graph(delay("a"))
    with pytest.raises(Invalid) as caught:
        plan_migration(drawn, drawn, steps)
    assert caught.value.path == path


def test_who_waits_goes_on_waiting_as_long_as_she_was_told():
    before, after = graph(delay("a"), mail("b")), graph(delay("a", "9d"), mail("b"))
    run = begin(before)
    moved, _ = move(run, "a", before, Target(2, after), NOW_MS + HOUR_MS) or pytest.fail("not moved")

    assert moved.changed
    assert (moved.instance.version, moved.instance.seq) == (2, run.seq + 1)
    assert (moved.instance.due_ms, moved.instance.progress.phase) == (run.due_ms, WAITING)
    assert [event.type for event in moved.events] == ["migrated"]
    assert go_on(moved.instance, after, run.due_ms).step == "b"


def test_another_step_is_begun_anew_and_its_effects_have_ids_of_their_own():
    before, after = graph(delay("a"), mail("z")), graph(mail("b"), delay("c"))
    moved, _ = move(begin(before), "b", before, Target(2, after), NOW_MS) or pytest.fail("not moved")

    assert (moved.instance.step, moved.instance.due_ms) == ("b", NOW_MS)
    assert moved.instance.progress.phase == ARRIVED
    assert moved.instance.progress.outcomes["a"].result == "migrated"
    assert [event.type for event in moved.events] == ["migrated", "step_entered"]
    assert go_on(moved.instance, after, NOW_MS).progress.phase == ASKED


def test_a_step_of_another_kind_is_begun_anew():
    before, after = graph(delay("a")), graph(mail("a"))
    moved, _ = move(begin(before), "a", before, Target(2, after), NOW_MS) or pytest.fail("not moved")
    assert (moved.instance.progress.phase, moved.instance.progress.visit) == (ARRIVED, 2)


def test_a_run_whose_effect_is_under_way_is_moved_when_the_answer_is_there():
    before, after = graph(mail("a"), delay("b")), graph(mail("a"), delay("b"), mail("c"))
    asked = begin(before)
    assert asked.progress.phase == ASKED
    assert move(asked, "a", before, Target(2, after), NOW_MS) is None

    answered = go_on(asked, before, NOW_MS, Done("a", 1, -1, result="done"))
    assert move(answered, "b", before, Target(2, after), NOW_MS) is not None


def test_a_run_stays_on_a_channel_that_the_new_version_has_not():
    chain = {"fallback": [{"channel": "sms", "after": "1h"}], "until": "bought"}
    before, after = graph(mail("a", **chain), delay("b")), graph(mail("a", until="bought"), delay("b"))
    run = go_on(begin(before), before, NOW_MS, Done("a", 1, -1, result="done"))
    assert run.progress.phase == WAITING
    assert move(run, "a", before, Target(2, after), NOW_MS) is None


def test_what_was_moved_is_taken_back_to_where_it_stood():
    before, after = graph(delay("a"), mail("z")), graph(delay("b", "3d"), mail("z"))
    run = begin(before)
    moved, stand = move(run, "b", before, Target(2, after), NOW_MS + 1) or pytest.fail("not moved")
    waits = go_on(moved.instance, after, NOW_MS + 2)
    assert waits.progress.phase == WAITING

    back = move_back(waits, stand, after, Target(1, before), NOW_MS + 3)

    assert back is not None
    assert (back.instance.version, back.instance.step, back.instance.due_ms) == (1, "a", run.due_ms)
    assert back.instance.progress.visits == run.progress.visits
    assert go_on(back.instance, before, run.due_ms).step == "z"


def test_who_went_on_is_not_told_twice_when_a_migration_is_taken_back():
    before, after = graph(delay("a"), delay("c")), graph(mail("b"), delay("c"), delay("only-new"))
    moved, stand = move(begin(before), "b", before, Target(2, after), NOW_MS) or pytest.fail("not moved")
    asked = go_on(moved.instance, after, NOW_MS)
    assert move_back(asked, stand, after, Target(1, before), NOW_MS) is None

    at_c = go_on(asked, after, NOW_MS, Done("b", 1, -1, result="done"))
    back = move_back(at_c, stand, after, Target(1, before), NOW_MS)
    assert back is not None
    assert (back.instance.version, back.instance.step, back.instance.due_ms) == (1, "c", at_c.due_ms)

    beyond = go_on(at_c, after, at_c.due_ms)
    assert beyond.step == "only-new"
    assert move_back(beyond, stand, after, Target(1, before), NOW_MS) is None


def test_a_share_grows_and_is_about_as_large_as_it_says():
    users = range(4_000)
    some = {user for user in users if is_in_share(b"j" * 16, 2, user, 10)}
    more = {user for user in users if is_in_share(b"j" * 16, 2, user, 50)}
    assert some < more
    assert 300 < len(some) < 500
    assert all(is_in_share(b"j" * 16, 2, user, 100) for user in users)
