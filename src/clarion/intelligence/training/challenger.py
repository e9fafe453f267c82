"""A challenger to the formulas: trees that see what they do not look at, and have to beat them, twice.

    cuts ─▶ rows: a send, the features of its user before it, what the formulas expect of it
         ─▶ trees grown upon that on all cuts but the last ─▶ both judged on the last, person by person
         ─▶ surely better: in shadow ─▶ a week and more of sends after that ─▶ surely better again: they serve
         ─▶ each week anew on what came since: not surely better any more: gone

Another kind of model has to be **surely better** (its interval over people lies above zero): being no worse is not
worth what it costs. That it was chosen for how it did on some weeks is why it has to do it again on others. Channel is
a column, not a class, so that a new one can be scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from clarion.intelligence.features.signs import Signs
from clarion.intelligence.models import TenantModel, channel, send_time
from clarion.intelligence.models.model import GrownTrees
from clarion.intelligence.models.registered import Figure
from clarion.intelligence.models.trees import INPUTS, MOST_BYTES, Trees, added_by, inputs_of
from clarion.intelligence.training.compare import LEAST_PEOPLE, figure_of
from clarion.intelligence.training.cuts import SOON_MS, Cut, cut, cut_and_hold
from clarion.kernel.errors import Permanent
from clarion.kernel.local_time import DAY_MS

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LEAST_SENDS: Final = 2_000
"""Sends with a known outcome without which trees are not grown: they lose to the formulas on little data."""

SHADOW_MS: Final = 7 * DAY_MS
"""So long trees are in shadow at least: what they are promoted by came after they were grown."""

REGROWN_MS: Final = 28 * DAY_MS
"""Older ones are grown anew; see `ml.md` C6 on trees that are not."""

ADDED: Final = "log score of answers to sends, with trees"

_LEAST: Final = 1e-4


class Grower(Protocol):
    """What grows trees, and opens what was grown before."""

    def grow(self, inputs: FloatArray, answered: BoolArray, expected: DoubleArray) -> bytes:
        """An artefact that others can open too, grown upon what was expected of each row, P inside (0, 1).

        Raises Permanent where the library is missing.
        """
        ...

    def open(self, artefact: bytes) -> Trees:
        """What an artefact holds. Raises Permanent where it is truncated, foreign, or has other inputs."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """N sends: what was known before each, [N, len(INPUTS)], whether it was answered, by whom, the formulas' word."""

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


class Reviewed(NamedTuple):
    """What becomes of a tenant's trees: those that it has from now on, why, and by which figure."""

    trees: GrownTrees | None
    reason: str
    figure: Figure | None = None


def table_of(cut: Cut, model: TenantModel) -> Table:
    """The sends of a cut's future, with what was known of their users at its instant."""
    sends = cut.sends
    user = channel.known(cut.records, model.channel, cut.at_ms)
    rate = channel.rates(user, model.channel)[sends.row, sends.channel].astype(np.float64)
    curves = send_time.curves(cut.records, model.send_time, cut.at_ms)
    times = send_time.answer_odds(cut.records, curves, model.send_time, cut.at_ms)
    added = send_time.added_by_message(model.send_time, sends.channel, sends.class_, sends.hour)
    odds = rate / (1 - rate) * times[sends.row, sends.day_type, sends.hour].astype(np.float64) * np.exp(added)
    expected = np.clip(odds / (1 + odds), _LEAST, 1 - _LEAST)
    inputs = inputs_of(cut.records, model.channel, cut.at_ms)[sends.row, sends.channel]
    person = cut.records["user_id"][sends.row].astype(np.int64)
    return Table(inputs, sends.answered, person, expected)


def review_trees(
    signs: Signs, model: TenantModel, grower: Grower, now_ms: int, *, may_grow: bool
) -> Reviewed:
    """What becomes of the trees of `model`: judged on what came after them, or grown where there are none.

    `signs`: the tenant's history in the order of time. Without `may_grow` nothing is grown. Takes seconds. Raises
    Permanent where a library is missing.
    """
    trees = model.trees
    if trees is not None and now_ms - trees.grown_ms < REGROWN_MS:
        return _judge_again(signs, model, trees, grower, now_ms)
    if not may_grow:
        return Reviewed(trees, "")
    fitting, held = cut_and_hold(signs, int(signs.at_ms[0]), now_ms)
    found = challenge(fitting, held, model, grower)
    if not found.is_better:
        return Reviewed(None, f"trees refused: {found.reason}", found.figure)
    name = f"gbdt-{datetime.fromtimestamp(now_ms / 1000, UTC):%Y%m%d}"
    serves = trees is not None and trees.serves
    grown = GrownTrees(name, now_ms, found.artefact, serves)
    stands = "in place of older ones" if serves else "in shadow until it holds of what comes"
    return Reviewed(grown, f"{name} {stands}: {found.reason}", found.figure)


def _judge_again(
    signs: Signs, model: TenantModel, trees: GrownTrees, grower: Grower, now_ms: int
) -> Reviewed:
    """By sends that came after the trees were grown."""
    if now_ms - trees.grown_ms < SHADOW_MS:
        return Reviewed(trees, f"{trees.name} {'serves' if trees.serves else 'is in shadow'}")
    (later,) = cut(signs, [max(trees.grown_ms, now_ms - SOON_MS)], SOON_MS)
    table = table_of(later, model)
    if len(np.unique(table.person)) < LEAST_PEOPLE:
        return Reviewed(None, f"{trees.name} dropped: too few were sent to since to say that it helps")
    try:
        figure = _compare(grower.open(trees.artefact), table)
    except Permanent as error:
        return Reviewed(None, f"{trees.name} dropped: {error.detail}")
    told = _say(figure, model)
    if figure.low <= 0:
        return Reviewed(None, f"{trees.name} dropped: on sends since, not surely better: {told}", figure)
    serving = msgspec.structs.replace(trees, serves=True)
    return Reviewed(serving, f"{trees.name} serves: on sends since, {told}", figure)


def challenge(fitting: Sequence[Cut], held: Cut, model: TenantModel, grower: Grower) -> Challenge:
    """Grow trees on the sends of `fitting`, and judge them and the formulas on those of `held`, which came later.

    Raises Permanent where the library that grows them is missing.
    """
    seen, later = joined_tables([table_of(cut, model) for cut in fitting]), table_of(held, model)
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
    artefact = grower.grow(seen.inputs, seen.answered, seen.expected)
    if len(artefact) > MOST_BYTES:
        raise Permanent(f"the trees have {len(artefact)} bytes: more than {MOST_BYTES}")
    figure = _compare(grower.open(artefact), later)
    word = "better" if figure.low > 0 else "not surely better"
    return Challenge(figure.low > 0, f"{word} than {_say(figure, model)}", artefact, figure)


def _compare(trees: Trees, later: Table) -> Figure:
    """The formulas with trees against the formulas alone. Raises Permanent where trees say what is no probability."""
    chance = with_trees(later, trees)
    if chance.shape != later.expected.shape or not np.isfinite(chance).all():
        raise Permanent("the trees answered with something else than a probability for each row")
    return figure_of(_told(later, chance), _told(later, later.expected))


def with_trees(table: Table, trees: Trees) -> DoubleArray:
    """P(answer) of each row by the formulas and what trees add to them."""
    odds = table.expected / (1 - table.expected) * np.exp(added_by(trees.expect(table.inputs)))
    return np.clip(odds / (1 + odds), _LEAST, 1 - _LEAST)


def _say(figure: Figure, model: TenantModel) -> str:
    gain = figure.candidate - figure.incumbent
    return (
        f"{model.name}: log score of answers {gain:+.4f} "
        f"({figure.low:+.4f} to {figure.high:+.4f}, {figure.people} people)"
    )


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
