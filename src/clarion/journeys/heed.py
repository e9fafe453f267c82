"""Heeding what reaches a run: events of the user, news of its messages, answers to its effects, and its end."""

from __future__ import annotations

from typing import Final

from clarion.journeys.graph import DigestSpec, EventMatch, NotificationSpec, WaitSpec
from clarion.journeys.model import ASKED, WAITING, Done, Due, Ended, Input, Occurred, Reported, Seen
from clarion.journeys.run import KNOWN_EVENTS, RANKS, Run
from clarion.journeys.take import MESSAGE_WISHES, answer, finish_digest, reach_goal

STOPPED: Final = "stopped"


def heed(run: Run, reached: Input) -> None:
    """Take in one input of an active run. A repeat, or what is for another step by now, changes nothing."""
    match reached:
        case Occurred():
            _occur(run, reached)
        case Reported():
            _report(run, reached)
        case Done():
            _conclude(run, reached)
        case Ended():
            run.end(reached.status, reached.reason, recall=True)
        case Due():
            pass


def _conclude(run: Run, done: Done) -> None:
    progress, step = run.progress, run.graph.steps.get(run.step)
    asked = (run.step, progress.visit, progress.rung - 1)
    if step is not None and progress.phase == ASKED and asked == (done.step, done.visit, done.rung):
        answer(run, step, done)


def _occur(run: Run, event: Occurred) -> None:
    progress = run.progress
    if event.event_id in progress.known or event.name not in run.graph.events:
        return
    progress.known.append(event.event_id)
    del progress.known[:-KNOWN_EVENTS]
    _remember(run, event)
    if _leaves(run, event):
        return
    for goal in run.graph.goals:
        if _matches(run, goal.match, event):
            reach_goal(run, goal.name)
            if goal.ends:
                run.end("exited", f"goal {goal.name}", recall=True)
                return
    _wake(run, event)


def _remember(run: Run, event: Occurred) -> None:
    seen = run.progress.seen
    was = seen.get(event.name)
    run.changed = True
    if was is None:
        seen[event.name] = Seen(1, event.at_ms, event.at_ms, event.received_ms)
    else:
        seen[event.name] = Seen(
            was.count + 1,
            min(was.first_ms, event.at_ms),
            max(was.last_ms, event.at_ms),
            max(was.received_ms, event.received_ms),
        )
    if event.properties and (was is None or event.at_ms >= was.last_ms):
        run.change_context().events[event.name] = dict(event.properties)


def _leaves(run: Run, event: Occurred) -> bool:
    for rule in run.graph.exits:
        if rule.match is not None and _matches(run, rule.match, event):
            run.end("exited", rule.name, recall=True)
            return True
    return False


def _matches(run: Run, match: EventMatch, event: Occurred) -> bool:
    return match.event == event.name and (
        match.condition is None or run.judge(match.condition, event.properties).holds
    )


def _wake(run: Run, event: Occurred) -> None:
    """Let the step that waits for it have the event."""
    step = run.graph.steps.get(run.step)
    if step is None or run.progress.phase != WAITING:
        return
    match step.spec:
        case WaitSpec(of_step="") as spec:
            if any(_matches(run, match, event) for match in spec.match):
                run.note("event", event.name)
                run.leave(step, event.name, spec.on_event)
        case DigestSpec() as spec:
            if any(_matches(run, match, event) for match in spec.match):
                items = run.change_context().items.setdefault(step.id, [])
                items.append(dict(event.properties))
                run.note("collected", event.name)
                if len(items) >= spec.most:
                    finish_digest(spec, run, step)
        case NotificationSpec(until=EventMatch() as until):
            if _matches(run, until, event):
                run.note("event", event.name)
                run.leave(step, "done")
        case _:
            pass


def _report(run: Run, report: Reported) -> None:
    progress, step = run.progress, run.graph.steps.get(run.step)
    if step is None or progress.phase != WAITING:
        return
    match step.spec:
        case WaitSpec(of_step=of_step) as spec if of_step == report.step:
            met = next((m.event for m in spec.match if report.status in RANKS.get(m.event, {m.event})), "")
            if met:
                run.note("event", met)
                run.leave(step, met, spec.on_event)
        case NotificationSpec(until=EventMatch(event=wish)) if wish in MESSAGE_WISHES and (
            report.step,
            report.visit,
        ) == (step.id, progress.visit):
            if report.status in RANKS[wish]:
                run.note("event", wish)
                run.leave(step, "done")
        case _:
            pass
