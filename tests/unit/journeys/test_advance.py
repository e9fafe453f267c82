"""Turns of runs: what the state machine of the properties does not draw."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clarion.journeys.advance import advance
from clarion.journeys.compile import compile_journey
from clarion.journeys.graph import Graph
from clarion.journeys.model import (
    NEVER,
    Ask,
    Context,
    Done,
    Due,
    Ended,
    Facts,
    Input,
    Instance,
    Moved,
    Occurred,
    Progress,
    Recall,
    Reported,
    Send,
    Turn,
)

BEGAN = 1_793_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def message(ident: str = "hello", **more: Any) -> dict[str, Any]:
    return {"id": ident, "type": "notification", "channels": ["email"], "template": "t", **more}


class Running:
    """One run that a test moves."""

    def __init__(self, *steps: dict[str, Any], facts: Facts | None = None, **more: Any) -> None:
        compiled = compile_journey({"name": "j", "steps": list(steps), **more})
        assert compiled.graph is not None, compiled.findings
        self.graph: Graph = compiled.graph
        self.facts = facts or Facts()
        self.context = Context()
        self.instance = Instance(
            instance_id=b"i" * 16,
            tenant_id=b"t" * 16,
            journey_id=b"j" * 16,
            version=1,
            user_id=7,
            region="here",
            is_test=False,
            status="active",
            seq=0,
            step="",
            due_ms=BEGAN,
            progress=Progress(),
            context_version=0,
            entered_ms=BEGAN,
        )

    def move(self, at_ms: int, *inputs: Input) -> Moved:
        turn = Turn(self.instance, self.graph, inputs or (Due(),), self.facts, self.context)
        (moved,) = advance([turn], at_ms)
        self.instance = moved.instance
        self.context = moved.context or self.context
        return moved

    @property
    def words(self) -> list[str]:
        return [f"{one.step} {one.what} {one.detail}".strip() for one in self.instance.progress.trail]


def done(step: str = "hello", result: str = "queued", *, visit: int = 1, rung: int = -1, **more: Any) -> Done:
    return Done(step, visit, rung, result=result, **more)


def did(name: str, at_ms: int, number: int = 1, **properties: Any) -> Occurred:
    return Occurred(number.to_bytes(16, "big"), name, at_ms, at_ms, properties)


def test_a_run_that_is_found_asking_asks_again_by_the_same_id():
    run = Running(message())
    first, again = run.move(BEGAN), run.move(BEGAN + HOUR)
    assert not again.changed
    assert first.commands == again.commands
    assert isinstance(first.commands[0], Send)


def test_an_answer_that_comes_twice_counts_once():
    run = Running(message(), message("more"))
    run.move(BEGAN)
    run.move(BEGAN + 1, done())
    assert not run.move(BEGAN + 2, done()).changed


def test_what_could_not_be_read_is_put_off_and_not_guessed():
    run = Running(message(condition="user.vip"), facts=Facts(missing=frozenset({"user"})))
    moved = run.move(BEGAN)
    assert moved.commands == ()
    assert BEGAN < run.instance.due_ms <= BEGAN + MINUTE
    run.facts = Facts(user={"vip": True})
    assert run.move(run.instance.due_ms).commands


def test_a_branch_waits_for_what_could_not_be_read():
    cases = [{"if": "user.vip", "goto": "hello"}, {"else": "end"}]
    run = Running({"id": "b", "type": "branch", "conditions": cases}, message())
    run.facts = Facts(missing=frozenset({"user"}))
    run.move(BEGAN)
    assert run.instance.step == "b"
    run.facts = Facts(user={"vip": True})
    run.move(run.instance.due_ms)
    assert run.instance.step == "hello"


@pytest.mark.parametrize(
    ("policy", "status", "step"),
    [("skip", "active", "hello"), ("exit", "exited", "odd"), ("retry", "active", "odd")],
)
def test_a_condition_that_cannot_be_evaluated_is_told_and_its_policy_kept(
    policy: str, status: str, step: str
):
    odd = {"id": "odd", "type": "goal", "name": "g", "condition": "10 / user.zero > 1", "on_error": policy}
    run = Running(odd, message(), facts=Facts(user={"zero": 0}))
    run.move(BEGAN)
    assert (run.instance.status, run.instance.step) == (status, step)
    assert "odd error it divides by zero (user.zero)" in run.words


def test_a_text_compared_with_a_number_is_told_without_its_value():
    run = Running(message(condition="user.plan > 3"), facts=Facts(user={"plan": "secret"}))
    run.move(BEGAN)
    assert "hello error user.plan is a text, and is compared with a number" in run.words
    assert not any("secret" in word for word in run.words)


def test_a_name_that_is_not_set_is_noted_once_and_false():
    run = Running(message(condition="nobody > 1 || nobody > 2"), message("more", condition="!nobody"))
    run.move(BEGAN)
    assert run.instance.step == "more"
    assert [word for word in run.words if "unset" in word] == ["hello unset nobody"]


def test_a_throttle_that_has_no_turn_waits_for_it():
    run = Running({"id": "t", "type": "throttle", "limit": 1, "per": "1h"}, message())
    run.move(BEGAN)
    run.move(BEGAN + 1, done("t", "limited", retry_ms=HOUR))
    assert run.instance.due_ms == BEGAN + 1 + HOUR
    assert run.move(run.instance.due_ms).commands
    run.move(run.instance.due_ms + 1, done("t", "passed"))
    assert run.instance.step == "hello"


def test_an_effect_that_fails_is_tried_again_ever_more_slowly_by_the_same_id():
    run = Running({"id": "h", "type": "webhook", "url": "https://example.com/", "retries": 3}, message())
    asked = [run.move(BEGAN).commands]
    pauses: list[int] = []
    for _ in range(3):
        now_ms = run.instance.due_ms + 1
        run.move(now_ms, done("h", "", error="status 500"))
        pauses.append(run.instance.due_ms - now_ms)
        asked.append(run.move(run.instance.due_ms).commands)
    assert pauses == sorted(pauses)
    assert len(set(pauses)) == 3
    ids = {command.effect_id for commands in asked for command in commands if isinstance(command, Ask)}
    assert len(ids) == 1
    run.move(run.instance.due_ms + 1, done("h", "", error="status 500"))
    assert run.instance.step == "hello"


def test_an_effect_that_asks_to_wait_is_waited_for():
    run = Running({"id": "h", "type": "webhook", "url": "https://example.com/"})
    run.move(BEGAN)
    run.move(BEGAN + 1, done("h", "", error="status 429", retry_ms=HOUR))
    assert run.instance.due_ms == BEGAN + 1 + HOUR


def test_a_run_that_goes_in_circles_is_ended_by_its_guard():
    run = Running({"id": "a", "type": "goal", "name": "g"}, {"id": "b", "type": "goto", "goto": "a"})
    run.move(BEGAN)
    assert (run.instance.status, run.instance.reason) == ("failed", "loop_guard")
    assert len(run.instance.progress.trail) <= 200
    assert run.instance.progress.trail_dropped > 0


def test_a_run_asks_for_so_many_messages_a_day():
    steps = [message(), {"id": "back", "type": "goto", "goto": "hello"}]
    run = Running(*steps, settings={"sends_per_day": 3})
    moved, sent = run.move(BEGAN), 0
    while run.instance.status == "active" and moved.commands:
        sent += 1
        moved = run.move(BEGAN + sent, done(visit=run.instance.progress.visit))
    assert sent == 3


def test_a_run_that_lasts_too_long_is_left():
    run = Running({"id": "w", "type": "wait", "event": "never"}, settings={"max_duration": "10d"})
    run.move(BEGAN)
    assert run.instance.due_ms <= NEVER
    run.move(BEGAN + 11 * DAY)
    assert (run.instance.status, run.instance.reason) == ("exited", "max_duration")


def test_an_exit_takes_back_what_was_asked_for():
    run = Running(message(), {"id": "w", "type": "wait", "delay": "7d"}, exit_conditions=["gone"])
    (send,) = run.move(BEGAN).commands
    assert isinstance(send, Send)
    run.move(BEGAN + 1, done())
    (recall,) = run.move(BEGAN + HOUR, did("gone", BEGAN + HOUR)).commands
    assert isinstance(recall, Recall)
    assert recall.notification_ids == (send.notification_id,)
    assert run.instance.status == "exited"


def test_an_exit_while_an_effect_is_under_way_heeds_no_answer():
    run = Running(message(), message("more"), exit_conditions=["gone"])
    run.move(BEGAN)
    run.move(BEGAN + 1, did("gone", BEGAN + 1))
    moved = run.move(BEGAN + 2, done())
    assert not moved.changed
    assert moved.commands == ()


def test_an_exit_condition_on_the_profile_is_looked_at_whenever_the_run_moves():
    run = Running(
        {"id": "w", "type": "wait", "delay": "1h"}, message(), exit_conditions=[{"condition": "user.done"}]
    )
    run.move(BEGAN)
    run.facts = Facts(user={"done": True})
    run.move(BEGAN + HOUR)
    assert run.instance.status == "exited"


def test_an_event_between_two_steps_is_not_lost():
    run = Running(
        message(), {"id": "w", "type": "wait", "event": "clicked", "timeout": "1d"}, message("more")
    )
    run.move(BEGAN)
    run.move(BEGAN + 1, did("clicked", BEGAN + 1))
    run.move(BEGAN + 2, done())
    assert run.instance.step == "more"


def test_an_event_that_comes_late_counts_when_it_is_heard():
    run = Running({"id": "w", "type": "wait", "event": "clicked", "timeout": "1d"}, message())
    run.move(BEGAN)
    late = Occurred(bytes(16), "clicked", BEGAN - DAY, BEGAN + HOUR)
    run.move(BEGAN + HOUR, late)
    assert run.instance.step == "hello"


def test_a_match_on_properties_waits_for_the_right_event():
    wait = {"id": "w", "type": "wait", "event": "paid", "match": "amount > 10", "timeout": "1d"}
    run = Running(wait, message())
    run.move(BEGAN)
    run.move(BEGAN + 1, did("paid", BEGAN + 1, 1, amount=3))
    assert run.instance.step == "w"
    run.move(BEGAN + 2, did("paid", BEGAN + 2, 2, amount=30))
    assert run.instance.step == "hello"


WAIT_FOR_HELLO = {
    "id": "w",
    "type": "wait",
    "event": "engaged",
    "of_step": "hello",
    "timeout": "1d",
    "on_timeout": "end",
}


def waiting_for_hello() -> Running:
    """A run that waits for its first message to be engaged with, until `BEGAN + 1 + DAY`."""
    run = Running(message(), WAIT_FOR_HELLO, message("more"))
    run.move(BEGAN)
    run.move(BEGAN + 1, done())
    return run


def test_a_wait_for_a_message_ends_when_it_is_engaged_with():
    run = waiting_for_hello()
    run.move(BEGAN + 2, Reported(b"r" * 16, "hello", 1, "engaged", BEGAN + 2))
    assert run.instance.step == "more"


def test_a_wait_for_a_message_that_nobody_engages_with_times_out():
    run = waiting_for_hello()
    run.facts = Facts(messages={("hello", 1): "delivered"})
    run.move(BEGAN + DAY + 1)
    assert run.instance.status == "completed"


def test_a_wait_for_a_message_whose_news_was_lost_looks_before_it_gives_up():
    run = waiting_for_hello()
    run.facts = Facts(missing=frozenset({"steps"}))
    run.move(BEGAN + DAY + 1)
    assert run.instance.step == "w"
    run.facts = Facts(messages={("hello", 1): "engaged"})
    run.move(run.instance.due_ms)
    assert run.instance.step == "more"


def test_a_further_channel_is_not_taken_while_nobody_knows_how_the_first_did():
    run = Running(message(fallback=[{"channel": "sms", "after": "5m"}], until="delivered"))
    run.move(BEGAN)
    run.move(BEGAN + 1, done())
    run.facts = Facts(missing=frozenset({"steps"}))
    assert run.move(BEGAN + HOUR).commands == ()
    run.facts = Facts(messages={("hello", 1): "delivered"})
    assert run.move(run.instance.due_ms).commands == ()
    assert run.instance.status == "completed"


@pytest.mark.parametrize(
    "step",
    [
        {"id": "d", "type": "delay", "delay": {"until": "user.trial_ends_at"}},
        {"id": "d", "type": "delay", "delay": {"until": "09:00"}},
        message("d", delay={"until": "user.trial_ends_at"}),
    ],
)
def test_a_delay_whose_end_cannot_be_told_is_put_off(step: dict[str, Any]):
    run = Running(step, message(), facts=Facts(missing=frozenset({"user"})))
    assert run.move(BEGAN).commands == ()
    assert (run.instance.step, run.instance.due_ms <= BEGAN + MINUTE) == ("d", True)
    run.facts = Facts("Europe/Rome", {"trial_ends_at": "2027-01-01"})
    run.move(run.instance.due_ms)
    assert (run.instance.step, run.instance.due_ms > BEGAN + MINUTE) == ("d", True)


def test_a_digest_hands_over_what_it_collected():
    run = Running({"id": "d", "type": "digest", "event": "comment", "window": "1h"}, message())
    run.move(BEGAN)
    for number in (1, 2, 2, 3):
        run.move(BEGAN + number, did("comment", BEGAN + number, number, text=f"no {number}"))
    run.move(BEGAN + HOUR)
    assert [item["text"] for item in run.context.items["d"]] == ["no 1", "no 2", "no 3"]
    assert run.instance.step == "hello"


def test_a_run_of_a_paused_journey_heeds_and_takes_no_step():
    run = Running(
        {"id": "w", "type": "wait", "event": "clicked", "timeout": "1d"}, message(), exit_conditions=["gone"]
    )
    run.move(BEGAN)
    (moved,) = advance([Turn(run.instance, run.graph, (did("clicked", BEGAN + 1),), held=True)], BEGAN + 1)
    assert (moved.instance.step, moved.commands) == ("hello", ())
    (ended,) = advance([Turn(moved.instance, run.graph, (did("gone", BEGAN + 2, 2),), held=True)], BEGAN + 2)
    assert ended.instance.status == "exited"
    (resumed,) = advance([Turn(moved.instance, run.graph, (Due(),))], BEGAN + 3)
    assert [type(command) for command in resumed.commands] == [Send]


def test_an_erased_user_ends_at_once_with_nothing_left_to_send():
    run = Running(message(), {"id": "w", "type": "wait", "delay": "7d"})
    run.move(BEGAN)
    moved = run.move(BEGAN + 1, Ended("erased"))
    assert run.instance.status == "stopped"
    assert [type(command) for command in moved.commands] == [Recall]


def test_a_run_whose_step_is_gone_cannot_go_on():
    run = Running(message())
    run.move(BEGAN)
    run.instance = msgspec.structs.replace(run.instance, step="nowhere")
    run.move(BEGAN + 1)
    assert run.instance.status == "failed"


def test_ten_thousand_runs_that_are_due_in_one_second_are_one_batch():
    run = Running({"id": "w", "type": "wait", "delay": "1h"}, message())
    run.move(BEGAN)
    turns = [
        Turn(msgspec.structs.replace(run.instance, instance_id=n.to_bytes(16, "big")), run.graph, (Due(),))
        for n in range(10_000)
    ]
    moves = advance(turns, BEGAN + HOUR)
    ids = {send.notification_id for move in moves for send in move.commands if isinstance(send, Send)}
    assert len(ids) == 10_000


def test_nothing_that_comes_in_is_changed():
    run = Running(message(), {"id": "w", "type": "wait", "event": "clicked"})
    run.move(BEGAN)
    before = msgspec.msgpack.encode(run.instance)
    turn = Turn(run.instance, run.graph, (done(), did("clicked", BEGAN + 1)), run.facts, run.context)
    advance([turn], BEGAN + 1)
    assert msgspec.msgpack.encode(run.instance) == before
