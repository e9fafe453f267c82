"""The one decision: whom to tell on which channel, and when, for a whole batch at once.

Send time, channel, consent, quiet hours, caps, cost and provider limits are one masked maximum:

    score[b, c, h] = engagement[b, c, h] · (1 − 0.3·fatigue[b, c]) · max(0.5, 1 − cost[b, c]/budget[b])
    open [b, c, h] = not barred[b, c] ∧ not late[b, h] ∧ not quiet[b, c, h] ∧ not capped[b, c, h]
    choice[b]      = argmax over (c, h) of score where open

`b` is a row: one request with its user's card. `c` is a channel. `h` is an hour of the user's own clock: 0 is the
present instant (or the scheduled one), 1, 2, … are the whole local hours that follow it.

    candidates ─▶ gather ──▶ weigh ──▶ choose ──▶ settle ─▶ explain ─▶ decisions
                  columns    horizon   the three  tally of  statuses,
                  of facts   and score lines      the rows  reasons,
                                       above      before    runners-up

* `barred` holds whatever the hour: not requested, not in the category, no address, no template part, suppressed, no
  consent, switched off, no quota, no budget. `late`, `quiet` and `capped` are a matter of time. What consent a message
  needs, and which hours are closed to it beside the quiet ones, say the laws of all places where the user may be.
* A row that asked for `optimal` seeks its best hour. `now`, `scheduled` and the urgent ones are held to hour 0; if
  time alone shuts that, the message as a whole moves to its first open hour (`deferred`), or expires (`blocked`).
* The best open channel is always taken. `all` and `specified` take every open one; `optimal` takes further ones where
  the category allows several and their score passes `FURTHER_CHANNEL_SCORE`.
* A small share of what may wait takes another open cell than the best, drawn with known probabilities (`explore`), so
  that it becomes known what works. What chance has for each row is an argument, as everything else.
* Caps, quotas and budgets count the rows before. What is decided here is a plan: the binding act is the reservation
  when the delivery is claimed, and consent, quiet hours and caps are asked again then.

Pure: no I/O, no clock, no dice. The same arguments give the same decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from clarion.compliance.quiet_hours import BoolArray
from clarion.intelligence.serving import FloatArray, Forecast, Predictor, Question
from clarion.kernel.local_time import HOUR_MS, IntArray
from clarion.orchestration.board import CLOSED, Board, Choice
from clarion.orchestration.columns import Columns, CountArray, gather
from clarion.orchestration.explain import explain
from clarion.orchestration.explore import try_out
from clarion.orchestration.horizon import HORIZON_HOURS, Horizon, lay_out, local_days
from clarion.orchestration.limits import Accounts, Limits
from clarion.orchestration.lots import Lots
from clarion.orchestration.model import Candidate, Decision
from clarion.orchestration.tally import Tally

FATIGUE_WEIGHT: Final = 0.3
"""Share of the score that a user who is wholly tired of a channel takes from it."""

THRIFT_FLOOR: Final = 0.5
"""The least that the price leaves of a score: cost tips the balance, it does not silence."""

FURTHER_CHANNEL_SCORE: Final = 0.3
"""Score above which `optimal` takes a second or third channel, where the category allows it."""

NIGHT_HOURS: Final = 12
"""As far as a message that may not go now is first looked after."""

_NOTHING: Final = 1e-9
"""Stands for an empty budget, by which a price can be divided."""

_ALL_ROWS: Final = slice(None)


def decide(
    candidates: Sequence[Candidate],
    predictor: Predictor,
    limits: Limits,
    now_ms: int,
    lots: Lots | None = None,
) -> list[Decision]:
    """One decision per candidate, in order.

    `now_ms`: the present by the store's clock, UTC ms. `lots`: what chance has for each (None: nothing is tried).
    Candidates may be of any tenants, users and time zones (an unknown zone falls back to the draft's). Nothing is
    dropped in silence: each channel that is not taken, or not yet, has its reason, and a message that can go nowhere is
    `blocked` with all of them.
    """
    if not candidates:
        return []
    columns = gather(candidates, limits, now_ms, lots)
    hours, *further = _reaches(columns)
    board = _weigh(columns, predictor, now_ms, hours)
    choice = _settle(board, choose(board))
    while further and _is_stuck(board, choice):
        board = _weigh(columns, predictor, now_ms, further.pop(0))
        choice = _settle(board, choose(board))
    return explain(board, choice, now_ms)


def _reaches(columns: Columns) -> list[int]:
    """How many hours to weigh, and how many more where time shuts these. Never further than the batch lives."""
    anchor_ms = np.array([clock.anchor_ms for clock in columns.clocks])[columns.clock]
    life_ms = int((columns.expires_ms - anchor_ms).max())
    furthest = min(HORIZON_HOURS, max(life_ms // HOUR_MS, 0) + 2)
    # Where no row seeks, the present mostly does, and else the first hour after a night: a sixth of the cells.
    steps = {HORIZON_HOURS} if columns.seeks.any() else {1, NIGHT_HOURS, HORIZON_HOURS}
    return sorted(min(step, furthest) for step in steps)


def _is_stuck(board: Board, choice: Choice) -> bool:
    """Whether time alone shuts all that was weighed to some row which lives longer."""
    shut, lives = choice.best == CLOSED, ~board.late[:, -1]
    if board.by_channel:
        waits = board.columns.every[:, None] & shut & (board.barred == 0) & board.quiet.all(2)
        if (waits.any(1) & lives).any():
            return True
    return bool((shut.all(1) & (board.barred == 0).any(1) & lives).any())


def _weigh(columns: Columns, predictor: Predictor, now_ms: int, hours: int) -> Board:
    """The board of a batch over `hours` hours: the score of every cell, and what the rules say of it."""
    horizon = lay_out(columns.clocks, hours)
    row = columns.clock
    start_ms, clock_hour = horizon.start_ms[row], horizon.hour[row]
    forecast = predictor.predict(
        Question(
            user_id=columns.user_id,
            preferred=columns.preferred,
            hour=clock_hour,
            weekday=horizon.weekday[row],
            at_ms=start_ms,
            class_=columns.class_,
        )
    )
    worth = _worth(forecast, columns.accounts)
    return Board(
        columns=columns,
        start_ms=start_ms,
        first_day=horizon.first_day[row],
        day=horizon.day[row],
        clock_hour=clock_hour,
        quiet=horizon.quiet[row],
        late=start_ms >= columns.expires_ms[:, None],
        barred=columns.barred.copy(),
        used=_used(columns, horizon, now_ms),
        score=np.multiply(forecast.engagement, worth[:, :, None], out=forecast.engagement),
        worth=worth,
        confidence=forecast.confidence,
        models=forecast.models,
        fallback=forecast.fallback,
    )


def _worth(forecast: Forecast, accounts: Accounts) -> FloatArray:
    """What fatigue and price leave of each unit of engagement, [B, C]."""
    budget = np.maximum(accounts.budget[accounts.account], _NOTHING)[:, None]
    thrift = np.maximum(THRIFT_FLOOR, 1 - accounts.cost / budget)
    return ((1 - FATIGUE_WEIGHT * forecast.fatigue) * thrift).astype(np.float32)


def _used(columns: Columns, horizon: Horizon, now_ms: int) -> CountArray:
    """Places taken on each local day of the horizon, [B, 1 + C, D]: today's are known, those of later days none yet."""
    today = local_days(columns.clocks, now_ms) - horizon.first_day
    days = np.arange(int(horizon.day.max()) + 1)
    is_today = today[columns.clock, None] == days
    return columns.used[:, :, None] * is_today[:, None, :]


def choose(board: Board, rows: slice = _ALL_ROWS) -> Choice:
    """The masked maximum, or what is tried in its place, for `rows` of the board as if each stood alone."""
    columns, score = board.columns, board.score[rows]
    shut = _shut_cells(board, rows)
    first: IntArray = shut.all(1).argmin(1)
    weighed = _weighed_hours(board, rows, first[:, None])

    masked = np.where(weighed, score, CLOSED)
    scores = masked.max(2)
    if board.by_channel:
        masked = np.where(_weighed_hours(board, rows, _held(board, rows, shut, first)), score, CLOSED)
    np.copyto(masked, CLOSED, where=shut)
    hour = masked.argmax(2)
    best = np.take_along_axis(masked, hour[:, :, None], 2)[:, :, 0]
    rank = (-best).argsort(1, kind="stable").argsort(1)
    wanted = (rank == 0) | columns.every[rows, None] | (best > FURTHER_CHANNEL_SCORE)
    lead = best.argmax(1)
    choice = Choice(
        first=first,
        scores=scores,
        masked=masked,
        hour=hour,
        best=best,
        rank=rank,
        taken=wanted & (rank < columns.most[rows, None]) & (best > CLOSED),
        dropped=np.zeros_like(rank),
        lead=lead,
        peak=np.take_along_axis(hour, lead[:, None], 1)[:, 0],
        explored=np.zeros(len(rank), np.bool_),
        propensity=np.ones(len(rank)),
    )
    try_out(choice, columns.lots.part(rows), columns.preferred[rows], columns.most[rows] > 1)
    return choice


def _shut_cells(board: Board, rows: slice) -> BoolArray:
    """Where some rule forbids, [B, C, H]."""
    shut = (board.barred[rows, :, None] > 0) | (board.quiet[rows] | board.late[rows, None, :])
    full = board.used[rows] >= board.columns.limit[rows, :, None]
    capped = full[:, :1] | full[:, 1:]
    for day in np.flatnonzero(capped.any((0, 1))):
        shut |= capped[:, :, day, None] & (board.day[rows] == day)[:, None, :]
    return shut


def _weighed_hours(board: Board, rows: slice, held: IntArray) -> BoolArray:
    """The hours among which each row chooses, [B, C, H], or [B, 1, H] where they are the same for all channels.

    A row that seeks has all before its expiry (the present always counts, so that it has a score). The others are
    `held` to one, [B, C] or [B, 1].
    """
    late = board.late[rows, None, :]
    hours = np.arange(late.shape[2], dtype=np.int64)
    seeks = board.columns.seeks[rows, None, None]
    return (seeks & (~late | (hours == 0))) | (~seeks & (hours == held[:, :, None]))


def _held(board: Board, rows: slice, shut: BoolArray, first: IntArray) -> IntArray:
    """The hour to which each channel of a row that does not seek is held, [B, C]: the `first` with any channel open.

    A row that takes every channel lets those wait that the law closes to it then, each for its own first hour.
    """
    quiet = board.quiet[rows]
    barred: BoolArray = shut.all((1, 2)).reshape(-1, 1)
    waits = board.columns.every[rows, None] & ~quiet.all(2) & ~barred
    opening: IntArray = quiet.argmin(2)
    return np.where(waits, np.maximum(first[:, None], opening), first[:, None])


def _settle(board: Board, choice: Choice) -> Choice:
    """Let contested rows take their places in order; who finds them gone chooses again among what is left."""
    tally = Tally(board, choice)
    for row in board.columns.contested:
        if tally.narrow(row):
            alone = slice(row, row + 1)
            choice.put(alone, choose(board, alone))
        tally.take(row)
    return choice
