"""Trees against the formulas: better where these are wrong, refused where there is nothing more to see."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import pytest

from clarion.adapters.models.gbdt import LightGbm, OnnxTrees
from clarion.adapters.models.growing import SeparateGrower
from clarion.intelligence.features.signs import SignKind, Signs
from clarion.intelligence.models import DEFAULTS, TenantModel, decode_model, encode_model
from clarion.intelligence.models.trees import INPUTS
from clarion.intelligence.training.challenger import (
    SHADOW_MS,
    Reviewed,
    Table,
    challenge,
    review_trees,
    table_of,
    with_trees,
)
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


def test_too_little_grows_nothing(plain: tuple[list[Cut], Cut]):
    _, held = plain
    found = challenge([], held, DEFAULTS, LightGbm())
    assert not found.is_better
    assert found.artefact == b""
    assert "too little" in found.reason


def test_an_artefact_is_the_same_for_the_same_rows_and_says_the_same_everywhere(plain: tuple[list[Cut], Cut]):
    table = table_of(plain[1], DEFAULTS)
    assert table.inputs.shape[1] == len(INPUTS)
    one, other = (LightGbm().grow(table.inputs, table.answered, table.expected) for _ in range(2))
    assert one == other
    chance = with_trees(table, OnnxTrees(one))
    assert ((chance > 0) & (chance < 1)).all()
    assert chance.mean() == pytest.approx(table.answered.mean(), abs=0.03)
    assert OnnxTrees(one).expect(table.inputs[:0]).shape == (0,)


def test_what_is_truncated_foreign_or_of_other_inputs_is_refused(plain: tuple[list[Cut], Cut]):
    table = table_of(plain[1], DEFAULTS)
    artefact = LightGbm().grow(table.inputs, table.answered, table.expected)
    for damaged in (artefact[: len(artefact) // 2], b"", b"no trees"):
        with pytest.raises(Permanent):
            OnnxTrees(damaged)
    narrow = LightGbm().grow(table.inputs[:, :5], table.answered, table.expected)
    with pytest.raises(Permanent, match="5 inputs"):
        OnnxTrees(narrow)


def test_what_decides_is_discovered():
    chance = np.random.default_rng(22)
    inputs = chance.random((4_000, len(INPUTS)), np.float32)
    told = Table(inputs, inputs[:, 7] > 0.6, np.arange(4_000), np.full(4_000, 0.4))
    early, late = (
        Table(told.inputs[part], told.answered[part], told.person[part], told.expected[part])
        for part in (slice(3_000), slice(3_000, None))
    )
    found = discover(LightGbm(), early, late, most=2)
    assert found[0].name == INPUTS[7]
    assert found[0].dropped is not None
    assert found[0].dropped > 0.3
    assert abs(found[-1].shuffled) < 0.05
    assert f"`{INPUTS[7]}`" in write_report(found)


def visitors(users: int = 900) -> Signs:
    """People come and go within two months. Half of them visit of their own accord, and these answer mails; the others
    hardly do. The formulas begin with everybody's rate for each newcomer, and never ask whether she visits."""
    chance = np.random.default_rng(23)
    rows: list[tuple[int, int, int, int]] = []
    for user in range(1, users + 1):
        came_ms = NOW - int(chance.integers(0, DAYS)) * DAY_MS
        visits = user % 2 == 0
        rows += [(user, SignKind.ACTIVE, -1, came_ms + day * DAY_MS) for day in range(0, 60, 3) if visits]
        for day in range(4, 60, 8):
            sent_ms = came_ms + day * DAY_MS + 10 * HOUR_MS
            rows.append((user, SignKind.SENT, 0, sent_ms))
            if chance.random() < (0.5 if visits else 0.05):
                rows.append((user, SignKind.OPENED, 0, sent_ms + HOUR_MS))
    rows = sorted((row for row in rows if row[3] < NOW), key=lambda row: row[3])
    user_id, kind, channel, at = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    nothing = np.zeros(len(rows), np.int64)
    return Signs(user_id, kind, channel, at, nothing, nothing.astype(np.uint64))


@pytest.fixture(scope="module")
def shadow() -> tuple[Signs, TenantModel, Reviewed]:
    """Trees that were grown three weeks ago, and what history knew then and knows now."""
    signs, then_ms = visitors(), NOW - 21 * DAY_MS
    grown = review_trees(before(signs, then_ms), DEFAULTS, LightGbm(), then_ms, may_grow=True)
    return signs, msgspec.structs.replace(DEFAULTS, trees=grown.trees), grown


def before(signs: Signs, at_ms: int) -> Signs:
    return signs.where(signs.at_ms < at_ms)


def test_trees_that_see_more_than_the_formulas_wait_in_shadow(shadow: tuple[Signs, TenantModel, Reviewed]):
    signs, model, grown = shadow
    assert model.trees is not None
    assert not model.trees.serves
    assert "in shadow" in grown.reason
    assert grown.figure is not None
    assert grown.figure.low > 0
    soon_ms = model.trees.grown_ms + SHADOW_MS - 1
    waits = review_trees(before(signs, soon_ms), model, LightGbm(), soon_ms, may_grow=True)
    assert waits.trees == model.trees, "a week's sends say too little"


def test_they_serve_once_they_are_better_on_what_came_later(shadow: tuple[Signs, TenantModel, Reviewed]):
    signs, model, _ = shadow
    found = review_trees(signs, model, LightGbm(), NOW, may_grow=False)
    assert found.trees is not None
    assert found.trees.serves
    assert found.figure is not None
    assert found.figure.low > 0
    serving = msgspec.structs.replace(model, trees=found.trees)
    assert decode_model(encode_model(serving)) == serving


def test_they_are_dropped_where_they_are_not_better_any_more(shadow: tuple[Signs, TenantModel, Reviewed]):
    """From the day on which they were grown, who visits answers no more than others do."""
    signs, model, _ = shadow
    assert model.trees is not None
    turned = (signs.kind != SignKind.OPENED) | (signs.at_ms < model.trees.grown_ms) | (signs.at_ms % 7 == 0)
    serving = msgspec.structs.replace(model, trees=msgspec.structs.replace(model.trees, serves=True))
    found = review_trees(signs.where(turned), serving, LightGbm(), NOW, may_grow=True)
    assert found.trees is None
    assert "not surely better" in found.reason


def test_a_damaged_artefact_is_dropped(shadow: tuple[Signs, TenantModel, Reviewed]):
    signs, model, _ = shadow
    assert model.trees is not None
    cut_off = msgspec.structs.replace(model.trees, artefact=model.trees.artefact[:1000])
    found = review_trees(
        signs, msgspec.structs.replace(model, trees=cut_off), LightGbm(), NOW, may_grow=False
    )
    assert found.trees is None
    assert "cannot be opened" in found.reason


def test_another_process_grows_the_same(plain: tuple[list[Cut], Cut]):
    table = table_of(plain[1], DEFAULTS)
    given = table.inputs, table.answered, table.expected
    ours, others = (OnnxTrees(grower.grow(*given)) for grower in (LightGbm(), SeparateGrower()))
    assert np.array_equal(ours.expect(table.inputs), others.expect(table.inputs))
