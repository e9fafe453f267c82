"""The engine: `(runs, what reached them, now) -> new states and what to do`. Pure; see `model` for its words.

    inputs ─▶ exits and goals ─▶ delay ─▶ condition ─▶ step ─▶ next step ─▶ … until it asks, waits or ends

A visit of a step goes through phases (`model.ARRIVED` …). An effect is asked for once its phase is durable, so a run
that is found in ASKED is simply asked for again, with the ids that it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clarion.journeys.graph import Step
from clarion.journeys.heed import heed
from clarion.journeys.model import ARRIVED, ASKED, DELAYED, RETRYING, WAITING, Due, Ended, Moved, Turn
from clarion.journeys.moments import moment, reads_of
from clarion.journeys.run import Run
from clarion.journeys.take import DELAY_ROOTS, PUT_OFF_MS, again, goes_on, put_off, request, resume, take

MOST_MS: Final = 400 * 86_400_000
"""How long a run may last where its journey does not say."""


def advance(turns: Sequence[Turn], now_ms: int) -> list[Moved]:
    """Take each run as far as it goes now; a `Moved` per turn, in order. Same arguments, same answer.

    A run stops where an effect is asked for (its answer comes as `Done`), where it has to wait, or at its end.
    Raises nothing: what goes wrong in a run is in its state.
    """
    return [_turn(turn, now_ms) for turn in turns]


def _turn(turn: Turn, now_ms: int) -> Moved:
    if turn.instance.status != "active":
        return Moved(turn.instance, changed=False)
    run = Run(turn, now_ms)
    if not run.progress.moves:
        run.note("entered")
        run.tell("entered")
        run.arrive(run.graph.first)
    for reached in turn.inputs:
        if run.is_active:
            heed(run, reached)
    if run.is_active:
        _keep_bounds(run)
    if run.is_active and not turn.held:
        _walk(run, asks_again=any(isinstance(reached, Due) for reached in turn.inputs))
    return run.freeze()


def _keep_bounds(run: Run) -> None:
    """End a run that an exit condition is true for, or that has lasted too long."""
    for rule in run.graph.exits:
        if rule.condition is not None and not run.lacks(rule.condition.roots) and run.holds(rule.condition):
            run.end("exited", rule.name, recall=True)
            return
    if run.now_ms - run.before.entered_ms > (run.graph.max_run_ms or MOST_MS):
        heed(run, Ended("max_duration", "exited"))


def _walk(run: Run, *, asks_again: bool) -> None:
    """Take steps until the run asks for something, waits, or ends. `moves` bounds it: see `Run.arrive`."""
    stands = (run.step, run.progress.visit, run.progress.phase)
    while run.is_active:
        step = run.graph.steps.get(run.step)
        if step is None:
            run.end("failed", f"there is no step {run.step} in this version")
            return
        phase = run.progress.phase
        if phase == ASKED:
            if asks_again and stands == (run.step, run.progress.visit, ASKED) and not run.commands:
                request(run, step)
            return
        if phase in {WAITING, RETRYING, DELAYED} and run.now_ms < run.progress.until_ms:
            run.due_ms = run.progress.until_ms
            return
        before = (run.step, run.progress.visit, phase, run.progress.rung)
        _step(run, step, phase)
        if before == (run.step, run.progress.visit, run.progress.phase, run.progress.rung):
            return


def _step(run: Run, step: Step, phase: int) -> None:
    if phase == WAITING:
        resume(run, step)
    elif phase == RETRYING:
        again(run, step)
    elif phase == ARRIVED and _is_delayed(run, step):
        return
    elif _may_be_taken(run, step):
        take(step.spec, run, step)


def _is_delayed(run: Run, step: Step) -> bool:
    """Begin the step's own delay, if it has one that is not over; while its end cannot be told, look again soon."""
    if step.delay is None:
        return False
    if run.lacks(reads_of(step.delay)):
        run.note("put_off")
        run.due_ms = run.now_ms + PUT_OFF_MS
        return True
    until = moment(step.delay, run.now_ms, run.facts.timezone, run.scope(DELAY_ROOTS))
    if until is None:
        run.note("unset", step.delay.attribute)
        return False
    if until <= run.now_ms:
        return False
    run.progress.phase = DELAYED
    run.progress.until_ms = run.due_ms = until
    run.note("delayed")
    return True


def _may_be_taken(run: Run, step: Step) -> bool:
    """Whether the step's condition holds; where it does not, the run goes past it."""
    condition = step.condition
    if condition is None:
        return True
    if run.lacks(condition.roots):
        put_off(run)
        return False
    verdict = run.judge(condition)
    if verdict.holds:
        return True
    if verdict.error and not goes_on(run, step, "condition"):
        return False
    run.note("skipped", condition.text[:100])
    run.leave(step, "skipped", kind="step_skipped")
    return False
