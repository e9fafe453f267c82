"""Trees against the formulas: better where these are wrong, refused where there is nothing more to see."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import pytest

from clarion.adapters.models.gbdt import LightGbm, OnnxTrees
from clarion.intelligence.features.signs import SignKind, Signs
from clarion.intelligence.models import DEFAULTS, ChannelParameters
from clarion.intelligence.training.challenger import INPUTS, challenge, table_of
from clarion.intelligence.training.cuts import Cut, cut_and_hold
from clarion.intelligence.training.discovery import discover, write_report
from clarion.kernel.errors import Permanent
from clarion.kernel.local_time import DAY_MS, HOUR_MS

NOW: Final = 20_000 * DAY_MS
DAYS: Final = 240
ANSWERED: Final = 0.3


def history(users: int = 120) -> Signs:
    """A mail on every other day; all answer alike."""
    chance = np.random.default_rng(21)
    rows: list[tuple[int, int, int, int]] = []
    for user in range(1, users + 1):
        for day in np.flatnonzero(chance.random(DAYS) < 0.5).tolist():
            at_ms = NOW - (DAYS - day) * DAY_MS + 10 * HOUR_MS
            rows.append((user, SignKind.SENT, 0, at_ms))
            if chance.random() < ANSWERED:
                rows.append((user, SignKind.OPENED, 0, at_ms + HOUR_MS))
    rows.sort(key=lambda row: row[3])
    user_id, kind, channel, at = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    nothing = np.zeros(len(rows), np.int64)
    return Signs(user_id, kind, channel, at, nothing, nothing.astype(np.uint64))


@pytest.fixture(scope="module")
def plain() -> tuple[list[Cut], Cut]:
    return cut_and_hold(history(), NOW - DAYS * DAY_MS, NOW)


def test_where_there_is_nothing_more_to_see_trees_are_refused(plain: tuple[list[Cut], Cut]):
    fitting, held = plain
    found = challenge(fitting, held, DEFAULTS, LightGbm())
    assert found.artefact
    assert found.figure is not None
    assert found.is_better == (found.figure.low > 0)
    assert found.reason.startswith("better" if found.is_better else "not surely better")


def test_a_formula_that_is_wrong_is_beaten(plain: tuple[list[Cut], Cut]):
    wrong = ChannelParameters(rates=(0.9, 0.9, 0.9), strength=1e6)
    found = challenge(*plain, msgspec.structs.replace(DEFAULTS, channel=wrong), LightGbm())
    assert found.is_better
    assert found.figure is not None
    assert found.figure.low > 0.1


def test_too_little_grows_nothing(plain: tuple[list[Cut], Cut]):
    _, held = plain
    found = challenge([], held, DEFAULTS, LightGbm())
    assert not found.is_better
    assert found.artefact == b""
    assert "too little" in found.reason


def test_an_artefact_is_the_same_for_the_same_rows_and_says_the_same_everywhere(plain: tuple[list[Cut], Cut]):
    table = table_of(plain[1], DEFAULTS)
    assert table.inputs.shape[1] == len(INPUTS)
    one, other = (LightGbm().grow(table.inputs, table.answered) for _ in range(2))
    assert one == other
    chance = OnnxTrees(one).expect(table.inputs)
    assert ((chance > 0) & (chance < 1)).all()
    assert chance.mean() == pytest.approx(table.answered.mean(), abs=0.02)
    assert OnnxTrees(one).expect(table.inputs[:0]).shape == (0,)


def test_what_is_truncated_foreign_or_of_other_inputs_is_refused(plain: tuple[list[Cut], Cut]):
    table = table_of(plain[1], DEFAULTS)
    artefact = LightGbm().grow(table.inputs, table.answered)
    for damaged in (artefact[: len(artefact) // 2], b"", b"no trees"):
        with pytest.raises(Permanent):
            OnnxTrees(damaged)
    narrow = LightGbm().grow(table.inputs[:, :5], table.answered)
    with pytest.raises(Permanent, match="5 inputs"):
        OnnxTrees(narrow)


def test_what_decides_is_discovered():
    chance = np.random.default_rng(22)
    inputs = chance.random((4_000, len(INPUTS)), np.float32)
    answered = inputs[:, 7] > 0.6
    found = discover(
        LightGbm(), (inputs[:3_000], answered[:3_000]), (inputs[3_000:], answered[3_000:]), most=2
    )
    assert found[0].name == INPUTS[7]
    assert found[0].dropped is not None
    assert found[0].dropped > 0.3
    assert abs(found[-1].shuffled) < 0.05
    assert f"`{INPUTS[7]}`" in write_report(found)
