"""Effects other than messages, as a rehearsal answers them: at once, and without telling anybody outside."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping
from typing import Any, Final

from clarion.journeys.fill import fill, scope_of
from clarion.journeys.graph import FetchSpec, ProfileSpec, StartSpec, ThrottleSpec, WebhookSpec
from clarion.journeys.model import Ask, Context, Done

_DONE: Final = "done"


class Answers:
    """What comes of effects. `fetched`: what each fetch step (by its id) maps into the context."""

    def __init__(self, fetched: Mapping[str, Mapping[str, Any]]) -> None:
        self._fetched = fetched
        self._turns: dict[tuple[str, int], list[int]] = {}
        self._taken: dict[bytes, int] = {}
        self.assumed: set[str] = set()
        """What was taken for granted, for the reader."""

    def answer(self, ask: Ask, context: Context | None, user: dict[str, Any], now_ms: int) -> Done:
        """What came of one effect; `user` gets the attributes that a step sets."""
        result, data, wait_ms = _DONE, {}, 0
        match ask.spec:
            case FetchSpec():
                result, data = "http_200", dict(self._fetched.get(ask.step, {}))
                if ask.step not in self._fetched:
                    self.assumed.add(f"{ask.step}: the document that it fetches has nothing for it")
            case WebhookSpec():
                result = "http_200"
                self.assumed.add(f"{ask.step}: its webhook is answered at once, and nobody is called")
            case StartSpec(journey=journey):
                self.assumed.add(f"{ask.step}: {journey} is not rehearsed with it")
            case ProfileSpec(attributes=attributes):
                _set(user, fill(attributes, scope_of(ask.instance, context, user)))
            case ThrottleSpec() as spec:
                wait_ms = self._take_turn(ask, spec, now_ms)
            case _:
                pass
        return Done(ask.step, ask.visit, ask.rung, result=result, data=data, retry_ms=wait_ms)

    def _take_turn(self, ask: Ask, spec: ThrottleSpec, now_ms: int) -> int:
        """In how many ms the turn is; one that is to come is kept where the run waits for it."""
        key = (ask.step, ask.instance.user_id if spec.scope == "user" else 0)
        turns = self._turns.setdefault(key, [])
        del turns[: bisect_right(turns, now_ms - spec.per_ms)]
        at_ms = self._taken.get(ask.effect_id)
        if at_ms is None:
            at_ms = now_ms if len(turns) < spec.limit else max(now_ms, turns[-spec.limit] + spec.per_ms)
            if at_ms <= now_ms or spec.on_limit is None:
                insort(turns, at_ms)
                self._taken[ask.effect_id] = at_ms
        return max(0, at_ms - now_ms)


def _set(user: dict[str, Any], attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        if value is None:
            user.pop(name, None)
        else:
            user[name] = value
