"""From a choice to decisions: what happens, why, and what else there was."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from clarion.compliance.rules import Rule
from clarion.compliance.standing import closing_rule
from clarion.contracts.channels import CHANNEL_INDEX, CHANNELS
from clarion.intelligence.serving import FloatArray
from clarion.kernel.local_time import HOUR_MS, MINUTE_MS, IntArray
from clarion.orchestration.board import CLOSED, Board, Choice
from clarion.orchestration.columns import CODE, Columns, Ground
from clarion.orchestration.explore import GREEDY, POLICY, candidates_of, tried_of
from clarion.orchestration.horizon import HORIZON_HOURS
from clarion.orchestration.lots import ChanceArray
from clarion.orchestration.model import Alternative, ChannelChoice, Decision, Reason
from clarion.orchestration.schedule import FIRST_STATUSES, due_ms, first_status

ALTERNATIVES: Final = 3
"""How many of the best cells that were not taken are kept."""

MOVED: Final = "moved"
"""Detail of a reason that did not stop a channel, but moved it to a later hour."""

_BY_LAW: Final = frozenset(
    map(str, (Rule.SUPPRESSED, Rule.CONSENT_DENIED, Rule.CONSENT_MISSING, Rule.QUIET_HOURS))
)
"""Rules that a rule of the rulebook may stand behind."""

_RULE_IDS: Final = ("", *map(str, Rule))
_REASONS: Final = {
    (channel, code + len(Rule) * moved): Reason(name, _RULE_IDS[code], MOVED if moved else "")
    for channel, name in enumerate(CHANNELS)
    for code in CODE.values()
    for moved in (0, 1)
}
"""Every reason there is, by channel and verdict: the code of its rule, plus `len(Rule)` where it only moved it."""


def explain(board: Board, choice: Choice, now_ms: int) -> list[Decision]:
    """The decisions of a batch, one a row."""
    rows = np.arange(len(choice.best))
    top = np.where(choice.taken, choice.best, CLOSED).argmax(1)
    at_ms = np.take_along_axis(board.start_ms, choice.hour, 1)
    status = first_status(at_ms, choice.hour, board.columns.seeks[:, None], now_ms)
    moved = ~board.columns.seeks[:, None] & (choice.hour > 0) & choice.taken
    moved_by = np.where(moved, board.time_rule(np.zeros_like(rows)), 0)
    blocked = len(FIRST_STATUSES)
    leading = np.where(choice.taken, status, blocked).min(1)
    expected = np.where(choice.taken.any(1), choice.best[rows, top] / board.worth[rows, top], 0)
    optimal_ms = np.where(choice.best[rows, top] > CLOSED, board.start_ms[rows, choice.peak], 0)
    candidates = candidates_of(choice, board.columns.preferred)
    tried = tried_of(choice, board.columns.preferred, board.clock_hour)
    return list(
        map(
            Decision,
            [(*FIRST_STATUSES, "blocked")[code] for code in leading.tolist()],
            _choices(choice, status, due_ms(at_ms, now_ms), moved_by),
            _reasons(_verdict(board, choice, moved_by), board.columns),
            zip(*_rounded(choice.scores).T.tolist(), strict=True),
            _rounded(expected).tolist(),
            _rounded(board.confidence).tolist(),
            optimal_ms.tolist(),
            _alternatives(board, choice),
            board.models,
            _rounded(choice.propensity).tolist(),
            [ground.law.version for ground in board.columns.grounds],
            [ground.jurisdictions for ground in board.columns.grounds],
            board.fallback.tolist(),
            [POLICY if cells else GREEDY for cells in candidates],
            choice.explored.tolist(),
            board.columns.lots.holdout.tolist(),
            candidates,
            tried,
        )
    )


def _verdict(board: Board, choice: Choice, moved_by: IntArray) -> IntArray:
    """Why each channel was not taken, or was moved: a key of `_REASONS`, or 0 where there is nothing to say. [B, C]."""
    columns = board.columns
    shut = choice.best == CLOSED
    when = board.time_rule(np.where(columns.seeks, 0, choice.first))
    expiring = columns.expires_ms < board.start_ms[:, 0] + HORIZON_HOURS * HOUR_MS
    when[shut.all(1) & expiring] = CODE[Rule.EXPIRY]
    moved = np.where(moved_by > 0, moved_by + len(Rule), 0)
    # Nested, for `np.select` costs four times as much on a small batch.
    passed = np.where(choice.explored, CODE[Rule.EXPLORED], CODE[Rule.LOWER_SCORE])[:, None]
    open_ = np.where(choice.taken, moved, np.where(shut, when, passed))
    return np.where(board.barred > 0, board.barred, np.where(choice.dropped > 0, choice.dropped, open_))


def _choices(
    choice: Choice, status: IntArray, due: IntArray, rule: IntArray
) -> list[tuple[ChannelChoice, ...]]:
    """The deliveries of each row, best first."""
    by_rank = choice.rank.argsort(1)
    row, place = np.nonzero(np.take_along_axis(choice.taken, by_rank, 1))
    channel = by_rank[row, place]
    cell = (row, channel)
    statuses: list[int] = status[cell].tolist()
    rules: list[int] = rule[cell].tolist()
    every = tuple(
        map(
            ChannelChoice,
            channel.tolist(),
            [FIRST_STATUSES[code] for code in statuses],
            due[cell].tolist(),
            _rounded(choice.best[cell]).tolist(),
            [_RULE_IDS[code] for code in rules],
        )
    )
    ends = accumulate(choice.taken.sum(1).tolist(), initial=0)
    return [every[start:end] for start, end in pairwise(ends)]


def _reasons(verdict: IntArray, columns: Columns) -> list[tuple[Reason, ...]]:
    """The reasons of each row; rows with the same verdict by the same law share one tuple."""
    keys = list(zip(*verdict.T.tolist(), strict=True))
    known = {
        key: tuple(_REASONS[channel, code] for channel, code in enumerate(key) if code) for key in set(keys)
    }
    lawful = {key for key, reasons in known.items() if any(reason.rule in _BY_LAW for reason in reasons)}
    if not lawful:
        return [known[key] for key in keys]
    named: dict[tuple[tuple[int, ...], int, int], tuple[Reason, ...]] = {}
    reasons: list[tuple[Reason, ...]] = []
    clocks: list[int] = columns.clock.tolist()
    for key, ground, clock in zip(keys, columns.grounds, clocks, strict=True):
        if key not in lawful:
            reasons.append(known[key])
            continue
        place = (key, id(ground), clock)
        if place not in named:
            at_ms = columns.clocks[clock].anchor_ms
            named[place] = tuple(_by_law(reason, ground, at_ms) for reason in known[key])
        reasons.append(named[place])
    return reasons


def _by_law(reason: Reason, ground: Ground, at_ms: int) -> Reason:
    """The reason with the rule of the rulebook by which, where it is one that was asked at this instant (UTC ms)."""
    terms = ground.law.terms[CHANNEL_INDEX[reason.channel]]
    match reason.rule:
        case Rule.SUPPRESSED:
            law = terms.suppression_rule
        case Rule.CONSENT_DENIED:
            law = terms.refusal_rule
        case Rule.CONSENT_MISSING:
            law = terms.consent_rule
        case Rule.QUIET_HOURS if ground.hours:
            law = closing_rule(terms.opening, ground.zones, at_ms // MINUTE_MS)
        case _:
            return reason
    return Reason(reason.channel, reason.rule, reason.detail, law)


def _alternatives(board: Board, choice: Choice) -> list[tuple[Alternative, ...]]:
    """The best open cells that were not taken, best first."""
    rows, channels, hours = choice.masked.shape
    row = np.arange(rows, dtype=np.int64)
    cells = choice.masked
    left = np.where(choice.taken, CLOSED, choice.best)
    np.put_along_axis(cells, choice.hour[:, :, None], left[:, :, None], 2)
    cells = cells.reshape(rows, channels * hours)
    count = min(ALTERNATIVES, channels * hours)
    cell = np.empty((rows, count), np.int64)
    score = np.empty((rows, count), np.float32)
    for nth in range(count):
        cell[:, nth] = best = cells.argmax(1)
        score[:, nth] = cells[row, best]
        cells[row, best] = CLOSED
    channel, hour = np.divmod(cell, hours)
    at_ms = np.take_along_axis(board.start_ms, hour, 1)
    every = tuple(
        zip(channel.ravel().tolist(), at_ms.ravel().tolist(), _rounded(score).ravel().tolist(), strict=True)
    )
    found = (score > CLOSED).sum(1).tolist()
    return [every[nth * count : nth * count + some] for nth, some in enumerate(found)]


def _rounded(values: FloatArray | ChanceArray) -> npt.NDArray[np.float64]:
    """Six decimals as doubles: what a float32 holds, without its tail in JSON."""
    return np.round(values.astype(np.float64), 6)
