"""Trees upon the formulas: they shift odds, name themselves, and stop nobody when they cannot."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import pytest

from clarion.adapters.models.gbdt import LightGbm
from clarion.adapters.models.opening import OpenedTrees
from clarion.intelligence.features import RecordArray, empty_records
from clarion.intelligence.models import DEFAULTS
from clarion.intelligence.models.model import GrownTrees
from clarion.intelligence.models.trees import INPUTS, STALE_MS, DoubleArray, FloatArray, Trees
from clarion.intelligence.serving import EVERY_FEATURE, Forecast, Question, Subject
from clarion.intelligence.serving.predict import LearnedPredictor
from clarion.intelligence.serving.rerank import PATIENCE, PORTION, Reranker
from clarion.kernel.clock import StoreClock
from clarion.testing.waiting import eventually

NOW: Final = 1_795_608_000_000
TENANT, OTHER = b"t" * 16, b"o" * 16
GROWN: Final = GrownTrees("gbdt-20261101", NOW, b"trees", serves=True)


class Says:
    """Trees that say the same of everybody."""

    def __init__(self, chance: float, hold: threading.Event | None = None) -> None:
        self._chance = chance
        self._hold = hold
        self.rows: list[int] = []

    def expect(self, inputs: FloatArray) -> DoubleArray:
        assert inputs.shape[1] == len(INPUTS)
        self.rows.append(len(inputs))
        if self._hold is not None:
            self._hold.wait(10)
        return np.full(len(inputs), self._chance)


class Opened:
    """A `TreesSource` of these trees."""

    def __init__(self, trees: Trees | None) -> None:
        self.trees = trees

    def opened(self, grown: bytes) -> Trees | None:
        assert grown == GROWN.artefact
        return self.trees


class Trial:
    """A reranker upon the formulas, and what it told."""

    def __init__(self, trees: Trees | None) -> None:
        self.told: list[str] = []
        self.source = Opened(trees)
        self.reranker = Reranker(self.source, StoreClock(), self.told.append)

    async def ask(
        self, subjects: Sequence[Subject], trees: GrownTrees | None = GROWN, *, known: bool = True
    ) -> Forecast:
        model = msgspec.structs.replace(DEFAULTS, name="eb-7", trees=trees)
        models = [model if subject.tenant_id == TENANT else DEFAULTS for subject in subjects]
        records = records_of(subjects, known=known)
        plain = LearnedPredictor(subjects, records, models, NOW)
        best = await self.reranker.rerank(plain, (subjects, records), models, NOW)
        return best.predict(question(subjects))


def records_of(subjects: Sequence[Subject], *, known: bool) -> RecordArray:
    records = empty_records([subject.user_id for subject in subjects])
    if known:
        records["as_of_ms"] = NOW
        records["sent"][:] = 5
    return records


def question(subjects: Sequence[Subject]) -> Question:
    rows = len(subjects)
    return Question(
        user_id=np.array([subject.user_id for subject in subjects]),
        preferred=np.full(rows, -1),
        hour=np.tile(np.array([8, 20], np.int8), (rows, 1)),
        weekday=np.zeros((rows, 2), np.int8),
        at_ms=np.full((rows, 2), NOW),
        class_=np.zeros(rows, np.int64),
    )


def odds(forecast: Forecast) -> FloatArray:
    return forecast.engagement / (1 - forecast.engagement)


async def test_trees_shift_the_odds_at_all_hours_alike_and_are_named():
    subjects = [Subject(TENANT, 3), Subject(TENANT, 1), Subject(TENANT, 2)]
    plain = await Trial(None).ask(subjects, None)
    told = await Trial(Says(0.8)).ask(subjects)
    assert odds(told) / odds(plain) == pytest.approx(np.full((3, 3, 2), 4.0), rel=1e-3)
    assert told.models == ["eb-7+gbdt-20261101"] * 3
    assert not told.fallback.any()
    assert told.fatigue.tolist() == plain.fatigue.tolist()


@pytest.mark.parametrize(
    ("subject", "trees", "known"),
    [
        (Subject(OTHER, 1), GROWN, True),
        (Subject(TENANT, 1, EVERY_FEATURE), GROWN, True),
        (Subject(TENANT, 1), msgspec.structs.replace(GROWN, serves=False), True),
        (Subject(TENANT, 1), msgspec.structs.replace(GROWN, grown_ms=NOW - STALE_MS - 1), True),
        (Subject(TENANT, 1), GROWN, False),
        (Subject(TENANT, 1), None, True),
    ],
    ids=["another tenant", "held out", "in shadow", "too old", "nothing is known of her", "no trees"],
)
async def test_who_is_not_asked_about_is_not_flagged(
    subject: Subject, trees: GrownTrees | None, *, known: bool
):
    says = Says(0.8)
    told = await Trial(says).ask([subject], trees, known=known)
    assert says.rows == []
    assert told.models == ["eb-0" if subject.tenant_id == OTHER else "eb-7"]
    assert not told.fallback.any()


@pytest.mark.parametrize("chance", [float("nan"), 1.5, -0.1])
async def test_what_is_no_probability_is_not_used_and_said(chance: float):
    subjects = [Subject(TENANT, 1)]
    trial = Trial(Says(chance))
    told = await trial.ask(subjects)
    assert told.engagement.tolist() == (await Trial(None).ask(subjects, None)).engagement.tolist()
    assert told.fallback.tolist() == [True]
    assert told.models == ["eb-7"]
    assert trial.told == ["nonsense"]


async def test_trees_that_are_late_keep_nobody_waiting_and_are_left_alone_after_some_tries():
    hold = threading.Event()
    trial = Trial(Says(0.8, hold))
    try:
        for _ in range(PATIENCE):
            told = await trial.ask([Subject(TENANT, 1)])
            assert told.fallback.tolist() == [True]
        await trial.ask([Subject(TENANT, 1)])
    finally:
        hold.set()
    assert trial.told == ["late"] * PATIENCE + ["resting"]


async def test_trees_that_are_not_open_are_no_reason_to_leave_others_alone():
    """They may be a tenant's that cannot be opened at all: others share the breaker."""
    trial = Trial(None)
    for _ in range(PATIENCE + 1):
        assert (await trial.ask([Subject(TENANT, 1)])).fallback.all()
    trial.source.trees = Says(0.8)
    assert not (await trial.ask([Subject(TENANT, 1)])).fallback.any()
    assert trial.told == []


class Several:
    """A `TreesSource` of several tenants' trees, by artefact."""

    def __init__(self, trees: dict[bytes, Says]) -> None:
        self._trees = trees

    def opened(self, grown: bytes) -> Trees | None:
        return self._trees[grown]


async def ask_tenants(reranker: Reranker, tenants: Sequence[int]) -> Forecast:
    """The forecast of one user of each of these tenants, whose trees are told apart by their artefacts."""
    subjects = [Subject(bytes([tenant]) * 16, tenant) for tenant in tenants]
    models = [
        msgspec.structs.replace(
            DEFAULTS, trees=msgspec.structs.replace(GROWN, artefact=b"trees of %d" % tenant)
        )
        for tenant in tenants
    ]
    records = records_of(subjects, known=True)
    plain = LearnedPredictor(subjects, records, models, NOW)
    best = await reranker.rerank(plain, (subjects, records), models, NOW)
    return best.predict(question(subjects))


async def test_nonsense_of_one_tenants_trees_rests_them_alone():
    mad, sound = Says(float("nan")), Says(0.8)
    told: list[str] = []
    reranker = Reranker(Several({b"trees of 1": mad, b"trees of 2": sound}), StoreClock(), told.append)
    for _ in range(PATIENCE + 1):
        assert (await ask_tenants(reranker, [1])).fallback.tolist() == [True]
    assert len(mad.rows) == 1, "asked once, and left alone"
    assert (await ask_tenants(reranker, [1, 2])).fallback.tolist() == [True, False]
    assert told == ["nonsense"] + ["resting"] * (PATIENCE + 1)


async def test_hung_trees_of_many_tenants_cost_a_batch_one_deadline():
    hold = threading.Event()
    tenants = range(1, 61)
    told: list[str] = []
    hung = Several({b"trees of %d" % tenant: Says(0.8, hold) for tenant in tenants})
    try:
        found = await ask_tenants(Reranker(hung, StoreClock(), told.append), tenants)
    finally:
        hold.set()
    assert told == ["late"]
    assert found.fallback.all()


async def test_a_large_batch_is_asked_in_portions():
    says = Says(0.6)
    told = await Trial(says).ask([Subject(TENANT, number) for number in range(1, 2 * PORTION + 2)])
    assert says.rows == [3 * PORTION, 3 * PORTION, 3]
    assert not told.fallback.any()


async def test_real_trees_are_opened_beside_and_answer_from_then_on():
    chance = np.random.default_rng(1)
    inputs = chance.random((1_000, len(INPUTS)), np.float32)
    artefact = LightGbm().grow(inputs, inputs[:, 3] > 0.5, np.full(1_000, 0.5))
    refused: list[str] = []
    source = OpenedTrees(refused.append)
    assert source.opened(artefact) is None
    await eventually(lambda: asyncio.to_thread(source.opened, artefact))
    assert source.opened(artefact[:500]) is None
    await eventually(lambda: asyncio.to_thread(list, refused))
    assert source.opened(artefact[:500]) is None
    assert len(refused) == 1, "told once"


async def test_a_graph_that_takes_something_else_is_told_and_not_tried_again():
    onnx: Any = importlib.import_module("onnx")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    values: list[Any] = [helper.make_tensor_value_info(name, number, [None, 3]) for name in ("a", "b", "c")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "sum", values[:2], values[2:])
    foreign = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    refused: list[str] = []
    source = OpenedTrees(refused.append)
    assert source.opened(foreign.SerializeToString()) is None
    await eventually(lambda: asyncio.to_thread(list, refused))
    assert "something else than rows" in refused[0]
