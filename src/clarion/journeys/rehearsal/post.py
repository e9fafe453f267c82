"""The post of a rehearsal: messages are decided by the rules that hold for real ones, go out, and fare by chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from clarion.audience.model import Card
from clarion.compliance.frequency_caps import allowances_of
from clarion.compliance.rules import Rule
from clarion.contracts.channels import CHANNELS, mask_of
from clarion.intelligence.serving import NeutralPrior
from clarion.journeys.calls import Reference
from clarion.journeys.model import Context, Done, Send
from clarion.journeys.rehearsal.chance import draw, span
from clarion.journeys.rehearsal.figures import Books, Posted
from clarion.journeys.rehearsal.world import GRID_MS, Odds, Scenario
from clarion.journeys.requests import Skipped, build_submission
from clarion.kernel.errors import Invalid
from clarion.kernel.local_time import known_zone, local_day, next_midnight_ms
from clarion.orchestration.decide import decide
from clarion.orchestration.draft import Checked, cap_requests, check_request, with_caps_used
from clarion.orchestration.limits import Limits
from clarion.orchestration.model import Candidate, Decision

_QUEUED: Final = "queued"
_FINE_MS: Final = 2 * GRID_MS
"""Where less than this passes, minutes count. (And what is put on the grid stays ahead.)"""


class Letter(msgspec.Struct):
    """A message on its way: whose, of which run, and what was checked of it."""

    run: int
    ident: bytes
    card: Card
    checked: Checked
    posted: Posted


Plan = Callable[[int, "Letter", str], None]
"""Have `post.proceed` called for a letter at an instant: (UTC ms, letter, what is next)."""


class Post:
    """Takes sends, and lets them go out. `plan`: how it asks for the clock to come back to it."""

    def __init__(self, scenario: Scenario, cards: Sequence[Card], books: Books, plan: Plan) -> None:
        self._scenario = scenario
        self._cards = cards
        self._books = books
        self._plan = plan
        self._predictor = NeutralPrior()
        self._used: Counter[tuple[int, str, int]] = Counter()
        self._waiting: dict[bytes, list[Letter]] = {}
        self._prices: Mapping[str, int] = {str(name): price for name, price in scenario.prices.items()}
        self._odds: Mapping[str, Odds] = {channel: scenario.odds.get(channel, Odds()) for channel in CHANNELS}
        self.sent: dict[int, list[Posted]] = {}
        """By user, for those whose story is told; all messages of others are only counted."""
        self._told = {
            card.user_id for card in cards if not scenario.details or card.external_id in scenario.details
        }

    def send(
        self, sends: Sequence[tuple[int, Send, Context | None, Mapping[str, object]]], now_ms: int
    ) -> list[Done]:
        """Decide messages, all at once: (number of the run, send, context, profile) each; answers in order."""
        answers: list[Done | None] = []
        asked: list[tuple[int, Send, Checked]] = []
        for run, send, context, user in sends:
            checked = self._check(send, context, user, now_ms)
            if isinstance(checked, Done):
                answers.append(checked)
            else:
                answers.append(None)
                asked.append((run, send, checked))
        candidates = [Candidate(checked.draft, checked.card) for _, _, checked in asked]
        decisions = iter(decide(candidates, self._predictor, Limits(), now_ms))
        asking = iter(asked)
        return [answer or self._take(*next(asking), next(decisions), now_ms) for answer in answers]

    def recall(self, idents: Sequence[bytes]) -> None:
        """Take back what of these messages has not gone out."""
        for ident in idents:
            for letter in self._waiting.pop(ident, ()):
                if letter.posted.status == _QUEUED:
                    letter.posted.status = "recalled"
                    self._books.recalled += 1

    def proceed(self, letter: Letter, what: str, now_ms: int) -> str:
        """Take a letter one stage further; gives the status that its run hears of ("" for none)."""
        posted = letter.posted
        match what:
            case "out":
                return self._go_out(letter, now_ms) if posted.status == _QUEUED else ""
            case "delivered":
                posted.status = "delivered"
                self._books.channels[posted.channel].delivered += 1
                odds = self._odds[posted.channel]
                if self._draw(letter, "engaged") < odds.engaged:
                    self._later(letter, span(self._draw(letter, "when"), odds.engage_ms), "engaged", now_ms)
            case "engaged":
                posted.status = "engaged"
                self._books.channels[posted.channel].engaged += 1
            case _:
                posted.status = "failed"
                self._books.channels[posted.channel].failed += 1
        return posted.status

    def _check(
        self, send: Send, context: Context | None, user: Mapping[str, object], now_ms: int
    ) -> Checked | Done:
        card = self._cards[send.instance.user_id - 1]
        built = build_submission(send, context, self._scenario.config, Reference(card.external_id, user))
        if isinstance(built, Skipped):
            self._books.skipped[built.why] += 1
            return Done(send.step, send.visit, send.rung, result="skipped", detail=built.why)
        try:
            checked = check_request(built.request, self._scenario.config, card, now_ms)
        except Invalid as error:
            why = f"refused: {error.path or 'its values'}"
            self._books.skipped[why] += 1
            return Done(send.step, send.visit, send.rung, error=why, final=True)
        return self._with_caps(checked, now_ms)

    def _with_caps(self, checked: Checked, now_ms: int) -> Checked:
        asked = cap_requests(checked.draft, checked.card, now_ms, is_test=False)
        if not asked:
            return checked
        return with_caps_used(checked, [self._used[one.user_id, one.scope, one.day] for one in asked])

    def _take(self, run: int, send: Send, checked: Checked, decision: Decision, now_ms: int) -> Done:
        if not decision.choices:
            self._block(send, checked, decision, now_ms)
            why = ", ".join(sorted({reason.rule for reason in decision.reasons}))
            return Done(send.step, send.visit, send.rung, result="blocked", detail=why)
        letters: list[Letter] = []
        for choice in decision.choices:
            posted = self._note(send, checked.card, CHANNELS[choice.channel], now_ms)
            posted.rule, posted.due_ms = choice.rule, max(choice.due_ms, now_ms)
            letters.append(Letter(run, send.notification_id, checked.card, checked, posted))
            if choice.rule:
                self._books.moved[choice.rule] += 1
            self._plan(posted.due_ms, letters[-1], "out")
        self._waiting[send.notification_id] = letters
        return Done(send.step, send.visit, send.rung, result=decision.status)

    def _block(self, send: Send, checked: Checked, decision: Decision, now_ms: int) -> None:
        rules = {
            reason.rule
            for reason in decision.reasons
            if reason.rule not in {Rule.NOT_REQUESTED, Rule.LOWER_SCORE, Rule.TEMPLATE_CHANNEL_MISSING}
        }
        for rule in rules:
            self._books.blocked[rule] += 1
        posted = self._note(send, checked.card, "none", now_ms)
        posted.status, posted.rule = "blocked", ", ".join(sorted(rules))

    def _note(self, send: Send, card: Card, channel: str, now_ms: int) -> Posted:
        posted = Posted(
            card.external_id, send.step, send.visit, channel, send.template, now_ms, _QUEUED, due_ms=now_ms
        )
        if card.user_id in self._told:
            self.sent.setdefault(card.user_id, []).append(posted)
        return posted

    def _go_out(self, letter: Letter, now_ms: int) -> str:
        posted = letter.posted
        places = self._places(letter, now_ms)
        if any(self._used[place] >= limit for place, limit in places):
            return self._wait_for_tomorrow(letter, now_ms)
        for place, _ in places:
            self._used[place] += 1
        self._forget(letter)
        posted.status, posted.out_ms = "sent", now_ms
        posted.cost_micros = self._prices.get(posted.channel, 0)
        self._books.go_out(posted)
        odds = self._odds[posted.channel]
        fate = "delivered" if self._draw(letter, "delivered") < odds.delivered else "failed"
        self._later(letter, odds.deliver_ms, fate, now_ms)
        return "sent"

    def _places(self, letter: Letter, now_ms: int) -> list[tuple[tuple[int, str, int], int]]:
        draft, card = letter.checked.draft, letter.card
        limited = allowances_of(draft.category, letter.posted.channel)
        if not limited:
            return []
        day = local_day(known_zone(card.timezone, draft.fallback_timezone), now_ms)
        return [((card.user_id, allowance.scope, day), allowance.limit) for allowance in limited]

    def _wait_for_tomorrow(self, letter: Letter, now_ms: int) -> str:
        """The day's places are taken: as for real messages, its turn comes with the user's next day, if it lives."""
        posted, draft, card = letter.posted, letter.checked.draft, letter.card
        tomorrow_ms = next_midnight_ms(known_zone(card.timezone, draft.fallback_timezone), now_ms)
        wish = msgspec.structs.replace(
            draft, requested=mask_of([posted.channel]), send_time="now", caps_used=(0,) * 4
        )
        posted.rule = Rule.FREQUENCY_CAP
        decided = decide([Candidate(wish, card)], self._predictor, Limits(), tomorrow_ms)[0]
        if not decided.choices or (draft.expires_ms and tomorrow_ms >= draft.expires_ms):
            posted.status = "blocked"
            self._books.blocked[Rule.FREQUENCY_CAP] += 1
            self._forget(letter)
            return "blocked"
        self._books.moved[Rule.FREQUENCY_CAP] += 1
        posted.due_ms = max(decided.choices[0].due_ms, tomorrow_ms)
        self._plan(posted.due_ms, letter, "out")
        return ""

    def _forget(self, letter: Letter) -> None:
        waiting = self._waiting.get(letter.ident)
        if waiting is not None:
            waiting.remove(letter)
            if not waiting:
                del self._waiting[letter.ident]

    def _draw(self, letter: Letter, what: str) -> float:
        return draw(self._scenario.seed, letter.ident.hex(), letter.posted.channel, what)

    def _later(self, letter: Letter, after_ms: int, what: str, now_ms: int) -> None:
        """News of a message; where minutes do not count, on the grid."""
        at_ms = now_ms + after_ms
        self._plan(at_ms if after_ms < _FINE_MS else at_ms // GRID_MS * GRID_MS, letter, what)
