"""Trying something else: a few messages go where the best was not expected, so that it becomes known what works.

Of the rows that leave a choice of one cell, a share ε (`Lots.rate`) is drawn from all of its open cells, the others
take the best one. Which probability a row's cell had under all of this is known exactly, and kept as its propensity:

    propensity[b] = (1 − ε)·[cell is the best] + ε·q(cell)
    q(c, h)       = p(c) · ((1 − EVEN)·score[c, h] / Σ score[c, ·]  +  EVEN / open hours of c)
    p(c)          = (1 − FLOOR·open channels)·softmax(best score of c / TEMPERATURE)  +  FLOOR

Nothing is tried outside the open cells, nor against a user's word: where the best channel is the one that she named as
hers, only hours are tried. Rows that take several channels, that are urgent or transactional, or that have but one
open cell, are never tried upon; their propensity is 1.

Pure: the dice are an argument, and follow from the notification's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final

import numpy as np

from clarion.compliance.quiet_hours import BoolArray
from clarion.contracts.channels import CHANNELS
from clarion.intelligence.serving import FloatArray
from clarion.kernel.local_time import ClockArray, IntArray
from clarion.orchestration.board import CLOSED, Choice
from clarion.orchestration.lots import ChanceArray, Lots
from clarion.orchestration.model import Tried

EVEN: Final = 0.25
"""Share of what is tried that falls on all open hours alike; the rest follows the scores."""

FLOOR: Final = 0.02
"""Least probability of an open channel when channels are tried."""

_DIGITS: Final = 5
_HOURS_OF_DAY: Final = 24

TEMPERATURE: Final = 0.05
"""Difference in score at which one channel is tried e times as often as another."""

POLICY: Final = "epsilon-1"
"""Name of this way to choose, of rows that may be tried upon; to be changed with any of the numbers above."""

BANDS: Final = 4
"""Parts of the local day whose odds are kept of rows that tried something: six hours each, from midnight."""

SOON: Final = 3
"""Hours from the anchor that count as sending at once."""

GREEDY: Final = "greedy-1"
"""Name of taking the best, with propensity 1."""


def try_out(choice: Choice, lots: Lots, named: IntArray, several: BoolArray) -> None:
    """Let each row take another cell than its best where its lot says so, and say how probable its cell was.

    Writes into `choice`: all of it for rows that try, `propensity` for those that might have. Arguments are of the same
    rows. `named` [B]: the user's own channel, -1 where she named none. `several` [B]: the row may take more than one
    channel.
    """
    open_channels = (choice.best > CLOSED).sum(1)
    row = np.flatnonzero((lots.rate > 0) & (open_channels > 0) & ((open_channels == 1) | ~several))
    if not row.size:
        return
    nth, lead = np.arange(len(row)), choice.lead[row]
    channels = channel_chances(choice.best[row], lead, named[row])
    total, hours = _sums(choice.masked[row, lead])
    at_best = channels[nth, lead] * ((1 - EVEN) * choice.best[row, lead] / total + EVEN / hours)
    rate = lots.rate[row]
    choice.propensity[row] = 1 - rate * (1 - at_best)

    tries = np.flatnonzero((lots.whether[row] < rate) & (at_best < 1))
    if tries.size:
        chances = channels[tries, :, None] * hour_chances(choice.masked[row[tries]])
        _take(choice, row[tries], chances, lots)


def _take(choice: Choice, row: IntArray, chances: ChanceArray, lots: Lots) -> None:
    """Have these rows take the cells on which their dice fall. `chances`: q of the module's text, of these rows."""
    cell = pick(chances, lots.which[row])
    channel, hour = np.divmod(cell, chances.shape[2])
    is_best = (channel == choice.lead[row]) & (hour == choice.hour[row, channel])
    drawn = chances.reshape(len(row), -1)[np.arange(len(row)), cell]
    choice.propensity[row] = lots.rate[row] * drawn + (1 - lots.rate[row]) * is_best
    choice.explored[row] = True
    choice.taken[row] = np.arange(chances.shape[1]) == channel[:, None]
    choice.best[row, channel] = choice.masked[row, channel, hour]
    choice.hour[row, channel] = hour


def channel_chances(best: FloatArray, lead: IntArray, named: IntArray) -> ChanceArray:
    """`p` of the module's text: how probable each channel is where something is tried, [B, C].

    `best` [B, C]: each channel's best score, `CLOSED` where it is shut (at least one is not); `lead` [B]: the channel
    of the highest; `named` [B]: the user's own channel, -1 where she named none.
    """
    heat: ChanceArray = np.exp((best - best.max(1, keepdims=True)) / TEMPERATURE)
    is_open: BoolArray = best > CLOSED
    rest = 1 - FLOOR * is_open.sum(1, keepdims=True)
    chances: ChanceArray = is_open * (rest * heat / heat.sum(1, keepdims=True) + FLOOR)
    only_lead = np.arange(best.shape[1], dtype=np.int64) == lead[:, None]
    return np.where(_is_settled(lead, named), only_lead, chances)


def hour_chances(cells: FloatArray) -> ChanceArray:
    """How probable each hour of a channel is where hours are tried: along the last axis, 0 where all are shut."""
    total, hours = _sums(cells)
    chances = (1 - EVEN) * cells / total[..., None] + (EVEN / hours)[..., None]
    return np.where(cells > CLOSED, chances, 0)


def _sums(cells: FloatArray) -> tuple[ChanceArray, ChanceArray]:
    """Of the open cells along the last axis: the sum of their scores, and how many there are; 1 where there is none."""
    is_open = cells > CLOSED
    hours = is_open.sum(-1)
    total = cells.sum(-1, dtype=np.float64, where=is_open)
    return np.where(hours > 0, total, 1), np.maximum(hours, 1).astype(np.float64)


def pick(chances: ChanceArray, which: ChanceArray) -> IntArray:
    """The cell on which each row's die falls: index in its flattened cells, [B]. One without a chance is never it."""
    edges = chances.reshape(len(chances), -1).cumsum(1)
    return (edges <= (which * edges[:, -1])[:, None]).sum(1)


def candidates_of(choice: Choice, named: IntArray) -> list[tuple[str, ...]]:
    """By row, the cells that had a chance, as `read_candidates` reads them; () where nothing but the best had one."""
    row = np.flatnonzero(choice.propensity < 1)
    found: list[tuple[str, ...]] = [()] * len(choice.lead)
    if not row.size:
        return found
    lead = choice.lead[row]
    tryable = ~_is_settled(lead, named[row]) | (np.arange(len(CHANNELS)) == lead[:, None])
    masked = choice.masked if row.size == len(choice.lead) else choice.masked[row]
    packed = np.packbits((masked > CLOSED) & tryable[:, :, None], axis=2)
    width, digits = packed.shape[2] * 2, packed.tobytes().hex()
    texts = [digits[start : start + width] for start in range(0, len(digits), width)]
    for place, nth in zip(row.tolist(), count(0, len(CHANNELS)), strict=False):
        found[place] = tuple(texts[nth : nth + len(CHANNELS)])
    return found


def tried_of(choice: Choice, named: IntArray, clock_hour: ClockArray) -> list[Tried | None]:
    """By row, the odds of what it tried by channel and by hours; None where the best was taken without trying.

    `clock_hour` [B, H]: the local hour of each of the board's. One row in twenty has it: some 60 bytes each.
    """
    row = np.flatnonzero(choice.explored)
    found: list[Tried | None] = [None] * len(choice.lead)
    if not row.size:
        return found
    masked, clock = choice.masked[row], clock_hour[row]
    channels = channel_chances(masked.max(2), choice.lead[row], named[row])
    hours = (channels[:, :, None] * hour_chances(masked)).sum(1)
    quarter = clock * BANDS // _HOURS_OF_DAY
    bands = np.stack([(hours * (quarter == nth)).sum(1) for nth in range(BANDS)], axis=1)
    taken = choice.hour[row, choice.taken[row].argmax(1)]
    band, soon = quarter[np.arange(len(row)), taken], hours[:, :SOON].sum(1, keepdims=True)
    kept = zip(_kept(channels), _kept(bands), _kept(soon), strict=True)
    for nth, (by_channel, by_band, (at_once,)) in enumerate(kept):
        was_soon = bool(taken[nth] < SOON)
        found[int(row[nth])] = Tried(tuple(by_channel), tuple(by_band), at_once, int(band[nth]), was_soon)
    return found


def _kept(odds: ChanceArray) -> list[list[float]]:
    kept: list[list[float]] = np.round(odds, _DIGITS).tolist()
    return kept


def _is_settled(lead: IntArray, named: IntArray) -> BoolArray:
    """Whether the best channel is the one that the user named as hers, [B, 1]: no other one is tried then."""
    return (lead == named)[:, None]


def read_candidates(candidates: Sequence[str]) -> BoolArray:
    """Which cells had a chance, [C, H], of what `candidates_of` wrote for one row.

    Written by channel in hexadecimal, one bit an hour, the first hour's highest; H is a multiple of 8, and the hours
    that this adds had none.
    """
    rows = [np.frombuffer(bytes.fromhex(text), np.uint8) for text in candidates]
    return np.unpackbits(np.array(rows), axis=1).astype(np.bool_)
