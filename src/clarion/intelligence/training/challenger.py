"""A challenger to the formulas: trees that see everything the formulas see and what they say, and have to beat them.

    cuts ─▶ rows: a send, the 48 features of its user before it, what the incumbent expects of it
         ─▶ trees grown on all cuts but the last ─▶ both judged on the last, person by person ─▶ better, or refused

Another kind of model has to be **surely better** (its interval over people lies above zero): being no worse is not
worth what it costs. Channel is a column, not a class, so that a new one can be scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features.definitions import NAMES, compute
from clarion.intelligence.models import TenantModel, channel, send_time
from clarion.intelligence.models.registered import Figure
from clarion.intelligence.training.compare import LEAST_PEOPLE, figure_of
from clarion.intelligence.training.cuts import Cut
from clarion.kernel.errors import Permanent

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

INPUTS: Final = (
    *NAMES,
    *(f"on_{name}" for name in CHANNELS),
    "hour",
    "weekend",
    "expected",
    "hour_times",
)
"""Columns of what trees see: the features, the channel and local time of the send, and what the formulas say of it."""

LEAST_SENDS: Final = 2_000
"""Sends with a known outcome without which trees are not grown: they lose to the formulas on little data."""

_LEAST: Final = 1e-4
_WEEKEND: Final = 1


class Trees(Protocol):
    """Something grown."""

    def expect(self, inputs: FloatArray) -> DoubleArray:
        """P(answer) of each row of inputs [N, len(INPUTS)], inside (0, 1)."""
        ...


class Grower(Protocol):
    """What grows trees, and opens what was grown before."""

    def grow(self, inputs: FloatArray, answered: BoolArray) -> bytes:
        """An artefact that others can open too. Raises Permanent where the library is missing."""
        ...

    def open(self, artefact: bytes) -> Trees:
        """What an artefact holds. Raises Permanent where it is truncated, foreign, or has other inputs."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """N sends: what was known before each, [N, len(INPUTS)], whether it was answered, by whom, the incumbent's word."""

    inputs: FloatArray
    answered: BoolArray
    person: npt.NDArray[np.int64]
    expected: DoubleArray


class Challenge(NamedTuple):
    """What came of it. `artefact`: b"" where no trees were grown; `figure`: None where nothing was compared."""

    is_better: bool
    reason: str
    artefact: bytes = b""
    figure: Figure | None = None


def table_of(cut: Cut, model: TenantModel) -> Table:
    """The sends of a cut's future, with what was known of their users at its instant."""
    sends = cut.sends
    user = channel.known(cut.records, model.channel, cut.at_ms)
    rate = channel.rates(user, model.channel)[sends.row, sends.channel].astype(np.float64)
    curves = send_time.curves(cut.records, model.send_time, cut.at_ms)
    times = send_time.answer_odds(cut.records, curves, model.send_time, cut.at_ms)
    times = times[sends.row, sends.day_type, sends.hour].astype(np.float64)
    odds = rate / (1 - rate) * times
    expected = np.clip(odds / (1 + odds), _LEAST, 1 - _LEAST)
    columns = [
        compute(cut.records, cut.at_ms)[sends.row],
        np.eye(len(CHANNELS), dtype=np.float32)[sends.channel],
        np.stack([sends.hour, sends.day_type == _WEEKEND, expected, times], axis=1).astype(np.float32),
    ]
    person = cut.records["user_id"][sends.row].astype(np.int64)
    return Table(np.concatenate(columns, axis=1), sends.answered, person, expected)


def challenge(fitting: Sequence[Cut], held: Cut, model: TenantModel, grower: Grower) -> Challenge:
    """Grow trees on the sends of `fitting`, and judge them and the incumbent on those of `held`, which came later.

    Raises Permanent where the library that grows them is missing.
    """
    tables = [table_of(cut, model) for cut in fitting]
    seen, later = joined_tables(tables), table_of(held, model)
    people = len(np.unique(later.person))
    if len(seen.answered) < LEAST_SENDS or people < LEAST_PEOPLE:
        return Challenge(
            is_better=False,
            reason=f"too little to grow trees on: {len(seen.answered)} sends, and {people} people later",
        )
    if not 0 < float(seen.answered.mean()) < 1:
        return Challenge(
            is_better=False, reason="all sends were answered, or none: there is nothing to tell apart"
        )
    artefact = grower.grow(seen.inputs, seen.answered)
    chance = np.clip(grower.open(artefact).expect(later.inputs), _LEAST, 1 - _LEAST)
    if chance.shape != later.expected.shape or not np.isfinite(chance).all():
        raise Permanent("the trees answered with something else than a probability for each row")
    figure = figure_of(_told(later, chance), _told(later, later.expected))
    word = "better" if figure.low > 0 else "not surely better"
    gain = figure.candidate - figure.incumbent
    reason = (
        f"{word} than {model.name}: log score of answers {gain:+.4f} "
        f"({figure.low:+.4f} to {figure.high:+.4f}, {figure.people} people)"
    )
    return Challenge(figure.low > 0, reason, artefact, figure)


def _told(table: Table, chance: DoubleArray) -> DoubleArray:
    """By person, the mean logarithm of what was given to what she did."""
    told = np.log(np.where(table.answered, chance, 1 - chance))
    _, place = np.unique(table.person, return_inverse=True)
    return np.asarray(np.bincount(place, weights=told) / np.bincount(place), np.float64)


def joined_tables(tables: Sequence[Table]) -> Table:
    """Tables, one after another."""
    if not tables:
        nothing = np.zeros(0)
        return Table(
            np.zeros((0, len(INPUTS)), np.float32),
            nothing.astype(np.bool_),
            nothing.astype(np.int64),
            nothing,
        )
    return Table(
        np.concatenate([table.inputs for table in tables]),
        np.concatenate([table.answered for table in tables]),
        np.concatenate([table.person for table in tables]),
        np.concatenate([table.expected for table in tables]),
    )
