"""Taking a step: what each kind does when a run is at it, and what an effect's answer means to it.

Each function moves the run on, makes it wait, or ends it. An effect is only asked for here: the run then stands in
ASKED until its answer comes, so that the decision is durable before anything happens.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Final

from clarion.journeys.effects import OWN, effect_id
from clarion.journeys.graph import (
    BranchSpec,
    DelaySpec,
    DigestSpec,
    EventMatch,
    ExitSpec,
    GoalSpec,
    GotoSpec,
    NotificationSpec,
    Spec,
    SplitSpec,
    Step,
    ThrottleSpec,
    WaitSpec,
)
from clarion.journeys.model import ASKED, DELAYED, NEVER, RETRYING, WAITING, Ask, Done, Outcome, Send
from clarion.journeys.moments import moment, reads_of
from clarion.journeys.run import RANKS, Run
from clarion.journeys.split import choose_arm

DAY_MS: Final = 86_400_000
PUT_OFF_MS: Final = 15_000
"""How soon a run is looked at again whose facts could not be read."""

PAUSE_MS: Final = 5_000
PAUSE_MOST_MS: Final = 3_600_000
"""Between tries of an effect: doubled each time."""

NOT_SENT: Final = frozenset({"blocked", "skipped", "failed", "refused"})
"""Answers after which a notification's next channel need not wait."""

MESSAGE_WISHES: Final = frozenset({"sent", "delivered", "engaged"})

_STATUSES: Final = frozenset({"steps"})
"""The root under which the statuses of messages are."""


@singledispatch
def take(spec: Spec, run: Run, step: Step) -> None:
    """Do what the step says, its delay and condition being settled. Here: ask for an effect."""
    del spec
    ask(run, step)


@take.register
def _(_: NotificationSpec, run: Run, step: Step) -> None:
    day, sends = run.progress.sends
    today = run.now_ms // DAY_MS
    if day == today and sends >= run.graph.sends_per_day:
        run.note("held", f"{sends} today")
        run.leave(step, "held", kind="step_skipped")
        return
    run.progress.sends = (today, sends + 1 if day == today else 1)
    ask(run, step)


@take.register
def _(spec: DelaySpec, run: Run, step: Step) -> None:
    if run.lacks(reads_of(spec.delay)):
        put_off(run)
        return
    until = moment(spec.delay, run.now_ms, run.facts.timezone, run.scope(DELAY_ROOTS))
    if until is None:
        run.note("unset", spec.delay.attribute)
    if until is None or until <= run.now_ms:
        run.leave(step, "done")
    else:
        wait(run, until)


@take.register
def _(spec: WaitSpec, run: Run, step: Step) -> None:
    if run.lacks(_reads_of_wait(spec)):
        put_off(run)
    elif not has_come(spec, run, step):
        wait(run, run.now_ms + spec.timeout_ms if spec.timeout_ms else NEVER)


def has_come(spec: WaitSpec, run: Run, step: Step) -> bool:
    """Go on where what a step waits for has happened already."""
    for match in spec.match:
        if spec.of_step:
            outcome = run.progress.outcomes.get(spec.of_step)
            status = run.message_status(spec.of_step, outcome.visit) if outcome is not None else ""
            is_met = status in RANKS.get(match.event, frozenset({match.event}))
        else:
            is_met = has_seen(run, match, run.progress.came_ms)
        if is_met:
            run.note("event", match.event)
            run.leave(step, match.event, spec.on_event)
            return True
    return False


def _reads_of_wait(spec: WaitSpec) -> frozenset[str]:
    if spec.of_step:
        return _STATUSES
    return frozenset[str]().union(*(_reads_of_match(match) for match in spec.match))


def _reads_of_match(match: EventMatch) -> frozenset[str]:
    return frozenset() if match.condition is None else match.condition.roots


@take.register
def _(spec: BranchSpec, run: Run, step: Step) -> None:
    for number, case in enumerate(spec.cases):
        if case.condition is None:
            verdict_holds = True
        else:
            if run.lacks(case.condition.roots):
                put_off(run)
                return
            verdict = run.judge(case.condition)
            if verdict.error and not goes_on(run, step, "condition"):
                return
            verdict_holds = verdict.holds
        if verdict_holds:
            label = case.label or ("else" if case.condition is None else f"case {number + 1}")
            run.note("chose", label)
            run.leave(step, label, case.goto)
            return
    run.note("chose", "none")
    run.leave(step, "none")


@take.register
def _(spec: SplitSpec, run: Run, step: Step) -> None:
    arm = choose_arm(spec, run.before.journey_id, run.before.user_id)
    run.note("chose", arm.name)
    run.leave(step, arm.name, arm.goto)


@take.register
def _(spec: DigestSpec, run: Run, step: Step) -> None:
    if run.lacks(reads_of(spec.window)):
        put_off(run)
        return
    until = moment(spec.window, run.now_ms, run.facts.timezone, run.scope(DELAY_ROOTS))
    if step.id in run.context.items:
        run.change_context().items.pop(step.id)
    wait(run, run.now_ms if until is None else until)
    if run.due_ms <= run.now_ms:
        finish_digest(spec, run, step)


@take.register
def _(spec: GoalSpec, run: Run, step: Step) -> None:
    reach_goal(run, spec.name)
    run.leave(step, "done")


@take.register
def _(spec: ExitSpec, run: Run, step: Step) -> None:
    run.tell("step_done", took_ms=run.now_ms - run.progress.arrived_ms)
    run.end("exited", spec.reason or f"step {step.id}")


@take.register
def _(spec: GotoSpec, run: Run, step: Step) -> None:
    run.leave(step, "done", spec.goto)


DELAY_ROOTS: Final = frozenset({"context", "events", "steps"})


def ask(run: Run, step: Step) -> None:
    """Decide an effect now: from here on its ids are fixed."""
    progress = run.progress
    progress.asked_ms = run.now_ms
    progress.tries = 0
    before = progress.outcomes.get(step.id)
    asked = before.asked if before is not None and before.visit == progress.visit else ()
    progress.outcomes[step.id] = Outcome(
        progress.visit, run.now_ms, "asked", progress.rung + 1, (*asked, run.now_ms)
    )
    run.note("asked", "" if not progress.rung else f"channel {progress.rung + 1}")
    again(run, step)


def again(run: Run, step: Step) -> None:
    """Ask for an effect that is decided, under the ids that it has."""
    run.progress.phase = ASKED
    run.due_ms = run.now_ms
    run.changed = True
    request(run, step)


def request(run: Run, step: Step) -> None:
    """The command of the effect that the run stands at."""
    progress, spec = run.progress, step.spec
    rung = progress.rung + OWN
    ident = effect_id(run.before.instance_id, step.id, progress.visit, rung, progress.asked_ms)
    if isinstance(spec, NotificationSpec):
        lower = spec.rungs[rung] if rung >= 0 else None
        run.commands.append(
            Send(
                run.before,
                step.id,
                progress.visit,
                rung,
                progress.asked_ms,
                ident,
                spec,
                spec.channels if lower is None else lower.channels,
                (lower.template if lower is not None else "") or spec.template,
            )
        )
        return
    run.commands.append(
        Ask(run.before, step.id, progress.visit, rung, progress.asked_ms, ident, step.timeout_ms, step.spec)
    )


def answer(run: Run, step: Step, done: Done) -> None:
    """Take in what came of the effect that the run stands at."""
    progress = run.progress
    if done.data:
        run.change_context().data.update(done.data)
    if done.detail:
        run.note("told", done.detail)
    if done.error:
        fail(run, step, done)
        return
    if isinstance(step.spec, ThrottleSpec) and done.retry_ms:
        if step.spec.on_limit is not None:
            run.leave(step, "limited", step.spec.on_limit)
            return
        progress.phase = RETRYING
        progress.until_ms = run.due_ms = run.now_ms + done.retry_ms
        run.note("waiting", "its turn")
        return
    if isinstance(step.spec, NotificationSpec):
        go_down(step.spec, run, step, done.result)
        return
    run.leave(step, done.result or "done")


def go_down(spec: NotificationSpec, run: Run, step: Step, result: str) -> None:
    """After a channel was asked: wait for the metric, go on to the next channel, or be done."""
    progress = run.progress
    if progress.rung >= len(spec.rungs) or metric_met(spec, run, step):
        run.leave(step, result or "done", kind="step_skipped" if result == "skipped" else "step_done")
        return
    if result in NOT_SENT:
        next_rung(run, step)
        return
    wait(run, progress.asked_ms + spec.rungs[progress.rung].after_ms)
    if run.due_ms <= run.now_ms:
        next_rung(run, step)


def next_rung(run: Run, step: Step) -> None:
    """Go on to the next channel of a notification."""
    run.progress.rung += 1
    run.note("next_channel")
    ask(run, step)


def metric_met(spec: NotificationSpec, run: Run, step: Step) -> bool:
    """Whether what the chain of channels is for has happened."""
    if spec.until is None:
        return False
    if spec.until.event in MESSAGE_WISHES:
        return run.message_status(step.id, run.progress.visit) in RANKS[spec.until.event]
    return has_seen(run, spec.until, run.progress.arrived_ms)


def fail(run: Run, step: Step, done: Done) -> None:
    """A try of an effect failed: again later, or what `on_error` says."""
    progress = run.progress
    progress.tries += 1
    run.note("error", done.error)
    if not done.final and (progress.tries <= step.retries or step.on_error == "retry"):
        pause = min(PAUSE_MOST_MS, PAUSE_MS << min(progress.tries - 1, 20))
        progress.phase = RETRYING
        progress.until_ms = run.due_ms = run.now_ms + max(done.retry_ms, pause)
        run.note("retry", f"try {progress.tries + 1}")
        return
    if isinstance(step.spec, NotificationSpec) and progress.rung < len(step.spec.rungs):
        next_rung(run, step)
        return
    give_up(run, step, done.error)


def give_up(run: Run, step: Step, reason: str) -> None:
    """Leave a step that cannot be done: past it, or out of the journey."""
    run.note("failed", reason)
    if step.on_error == "exit":
        run.tell("step_failed", reason, run.now_ms - run.progress.arrived_ms)
        run.end("exited", f"step {step.id}: {reason}", recall=True)
        return
    run.leave(step, "failed", kind="step_failed")


def goes_on(run: Run, step: Step, what: str) -> bool:
    """After a condition that cannot be evaluated: whether it counts as one that does not hold (`skip`)."""
    if step.on_error == "skip":
        return True
    if step.on_error == "exit":
        run.tell("step_failed", what, run.now_ms - run.progress.arrived_ms)
        run.end("exited", f"step {step.id}: {what}", recall=True)
        return False
    run.progress.tries += 1
    run.note("retry", f"try {run.progress.tries + 1}")
    _look_again(run, min(PAUSE_MOST_MS, PAUSE_MS << min(run.progress.tries - 1, 20)))
    return False


def wait(run: Run, until_ms: int) -> None:
    """Stay until an instant."""
    run.progress.phase = WAITING
    run.progress.until_ms = run.due_ms = until_ms
    run.note("waiting")


def put_off(run: Run) -> None:
    """Look again soon: something could not be read."""
    run.note("put_off")
    _look_again(run, PUT_OFF_MS)


def _look_again(run: Run, in_ms: int) -> None:
    """Come back to the step's condition; its own delay is over."""
    run.progress.phase = DELAYED
    run.progress.until_ms = run.due_ms = run.now_ms + in_ms


def resume(run: Run, step: Step) -> None:
    """The wait of a step is over."""
    match step.spec:
        case WaitSpec() as spec:
            _time_out(spec, run, step)
        case DigestSpec() as spec:
            finish_digest(spec, run, step)
        case NotificationSpec() as spec:
            if run.lacks(_reads_of_metric(spec)):
                _stay(run)
            elif metric_met(spec, run, step):
                run.leave(step, "done")
            else:
                next_rung(run, step)
        case _:
            run.leave(step, "done")


def _time_out(spec: WaitSpec, run: Run, step: Step) -> None:
    """End a wait in vain, unless a message got there and the news of it did not reach the run."""
    if spec.of_step and run.lacks(_STATUSES):
        _stay(run)
    elif not (spec.of_step and has_come(spec, run, step)):
        run.note("timeout")
        run.leave(step, "timeout", spec.on_timeout)


def _reads_of_metric(spec: NotificationSpec) -> frozenset[str]:
    if spec.until is None:
        return frozenset()
    return _STATUSES if spec.until.event in MESSAGE_WISHES else _reads_of_match(spec.until)


def _stay(run: Run) -> None:
    """Wait a little longer: whether it was in vain cannot be told now."""
    run.note("put_off")
    run.progress.until_ms = run.due_ms = run.now_ms + PUT_OFF_MS


def finish_digest(spec: DigestSpec, run: Run, step: Step) -> None:
    """Close a digest, with what it holds."""
    count = len(run.context.items.get(step.id, ()))
    run.leave(step, "done" if count else "empty", None if count else spec.on_empty)


def has_seen(run: Run, match: EventMatch, since_ms: int) -> bool:
    """Whether a matching event was received since an instant."""
    seen = run.progress.seen.get(match.event)
    if seen is None or seen.received_ms < since_ms:
        return False
    return (
        match.condition is None or run.judge(match.condition, run.context.events.get(match.event, {})).holds
    )


def reach_goal(run: Run, name: str) -> None:
    """Count a goal, once a run."""
    if name not in run.progress.goals:
        run.progress.goals[name] = run.now_ms
        run.note("goal", name)
        run.tell("goal", name, run.now_ms - run.before.entered_ms)
