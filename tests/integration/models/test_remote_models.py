"""Remote models over real HTTP, by both protocols: in place of ours where they answer, and never in the way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence

import numpy as np
import pytest

from clarion.adapters.models.asking import forecasting
from clarion.adapters.models.remote import open_remote_model
from clarion.adapters.models.server import LARGEST_ANSWER
from clarion.intelligence.features import NAMES
from clarion.intelligence.serving import EVERY_FEATURE, NeutralPrior, Predictor, Question, Subject
from clarion.intelligence.serving.forecasts import PATIENCE, REST_S
from clarion.intelligence.serving.ports import FloatArray
from clarion.intelligence.serving.remote import PORTION, RemoteForecasts, RemoteModel, Tables
from clarion.kernel.errors import Invalid, Permanent, Transient
from clarion.testing.clock import ManualClock
from clarion.testing.features import InMemoryFeatures
from clarion.testing.model_servers import ModelServerDouble, fresh_at_nine, running_model_server

TENANT = b"t" * 16
MORNING, NOON = 9, 12
SMS = 2
PATHS = {"open_inference": "/v2/models/nightly/versions/7", "tf_serving": "/v1/models/nightly/versions/7"}
TICK_S = 0.001


class Local:
    """`Forecasts` by the neutral prior."""

    async def prepare(self, subjects: Sequence[Subject]) -> Predictor:
        del subjects
        return NeutralPrior()


class Ticking(ManualClock):
    """A clock that moves whenever somebody looks at it, so that waiting comes to its end."""

    def monotonic(self) -> float:
        self.advance(TICK_S)
        return super().monotonic()


@pytest.fixture
async def server() -> AsyncGenerator[ModelServerDouble]:
    async with running_model_server() as double:
        yield double


@pytest.fixture(params=PATHS.values(), ids=list(PATHS))
async def model(server: ModelServerDouble, request: pytest.FixtureRequest) -> AsyncGenerator[RemoteModel]:
    async with open_remote_model(server.url + str(request.param)) as opened:
        yield opened


def question(user_ids: Sequence[int]) -> Question:
    """At 9 h and 12 h, of a Wednesday and a Saturday."""
    rows = len(user_ids)
    return Question(
        user_id=np.array(user_ids, np.int64),
        preferred=np.full(rows, -1, np.int64),
        hour=np.tile(np.array([MORNING, NOON, MORNING, NOON], np.int8), (rows, 1)),
        weekday=np.tile(np.array([2, 2, 5, 5], np.int8), (rows, 1)),
        at_ms=np.zeros((rows, 4), np.int64),
        class_=np.zeros(rows, np.int64),
    )


class Asker:
    """Forecasts of a model, and what they told of their fall-backs."""

    def __init__(self, model: RemoteModel, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.told: list[str] = []
        store = InMemoryFeatures(self.clock)
        self._forecasts = RemoteForecasts(Local(), store, model, self.clock, self.told.append)

    async def ask(self, user_ids: Sequence[int], hidden: int = 0) -> tuple[FloatArray, list[str], list[bool]]:
        """P(engage by SMS) [B, 4], the models, and what is flagged."""
        predictor = await self._forecasts.prepare([Subject(TENANT, user, hidden) for user in user_ids])
        forecast = predictor.predict(question(user_ids))
        return forecast.engagement[:, SMS], list(forecast.models), forecast.fallback.tolist()


def prior(user_ids: Sequence[int]) -> FloatArray:
    return NeutralPrior().predict(question(user_ids)).engagement[:, SMS]


async def test_the_servers_hours_and_channels_are_used(server: ModelServerDouble, model: RemoteModel) -> None:
    sms, models, flagged = await Asker(model).ask([5, 3, 5])
    np.testing.assert_allclose(sms, [[0.9, 0.1, 0.9, 0.1]] * 3, rtol=1e-6)
    assert models == ["remote:nightly@7"] * 3
    assert flagged == [False] * 3
    assert server.asked == [(2, len(NAMES))]  # each user once, and no id


async def test_working_days_are_told_from_weekends_and_users_from_one_another(
    server: ModelServerDouble, model: RemoteModel
) -> None:
    def by_row(features: FloatArray) -> Tables:
        tables = fresh_at_nine(features)
        tables[1, SMS, 1] = 0.5
        return tables

    server.formula = by_row
    sms, _, _ = await Asker(model).ask([9, 4])
    np.testing.assert_allclose(sms, [[0.9, 0.1, 0.5, 0.5], [0.9, 0.1, 0.9, 0.1]], rtol=1e-6)


async def test_those_in_a_hold_out_are_not_asked_about(server: ModelServerDouble, model: RemoteModel) -> None:
    sms, models, flagged = await Asker(model).ask([1, 2], hidden=EVERY_FEATURE)
    np.testing.assert_array_equal(sms, prior([1, 2]))
    assert server.asked == []
    assert not any(flagged)
    assert models == ["prior-1"] * 2


@pytest.mark.parametrize("odd", [np.nan, np.inf, -0.1, 1.5], ids=str)
async def test_a_row_of_nonsense_costs_only_itself(
    server: ModelServerDouble, model: RemoteModel, odd: float
) -> None:
    def torn(features: FloatArray) -> Tables:
        tables = fresh_at_nine(features)
        tables[0, 1, 1, 23] = odd
        return tables

    server.formula = torn
    asker = Asker(model)
    sms, _, flagged = await asker.ask([1, 2])
    np.testing.assert_array_equal(sms[0], prior([1])[0])
    np.testing.assert_allclose(sms[1], [0.9, 0.1, 0.9, 0.1], rtol=1e-6)
    assert flagged == [True, False]
    assert asker.told == ["nonsense"]


def _without_one(features: FloatArray) -> Tables:
    return fresh_at_nine(features)[1:]


def _flat(features: FloatArray) -> Tables:
    return fresh_at_nine(features)[:, 0]


@pytest.mark.parametrize("formula", [_without_one, _flat])
async def test_tables_of_another_shape_are_nonsense(
    server: ModelServerDouble, model: RemoteModel, formula: Callable[[FloatArray], Tables]
) -> None:
    server.formula = formula
    asker = Asker(model)
    sms, _, flagged = await asker.ask([1, 2])
    np.testing.assert_array_equal(sms, prior([1, 2]))
    assert flagged == [True, True]
    assert asker.told == ["nonsense"]


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, "{}", "away"),
        (503, "", "away"),
        (429, "", "away"),
        (404, '{"error": "no such model"}', "nonsense"),
        (302, "", "nonsense"),
        (200, "<html>", "nonsense"),
        (200, "[]", "nonsense"),
        (200, '{"outputs": [], "predictions": "x"}', "nonsense"),
        (200, '{"outputs": [{"name": "engagement"}], "predictions": [{}]}', "nonsense"),
        (200, '"' + "x" * LARGEST_ANSWER + '"', "nonsense"),
    ],
    ids=["500", "503", "429", "404", "redirect", "html", "list", "empty", "no data", "too large"],
)
async def test_a_server_that_fails_is_done_without(
    server: ModelServerDouble, model: RemoteModel, status: int, body: str, why: str
) -> None:
    server.status, server.body = status, body
    asker = Asker(model)
    sms, models, flagged = await asker.ask([1])
    np.testing.assert_array_equal(sms, prior([1]))
    assert (models, flagged, asker.told) == (["prior-1"], [True], [why])


async def test_a_silent_server_is_waited_for_no_longer_than_the_deadline(
    server: ModelServerDouble, model: RemoteModel
) -> None:
    server.gate.clear()
    asker = Asker(model, Ticking())
    sms, _, flagged = await asker.ask([1])
    np.testing.assert_array_equal(sms, prior([1]))
    assert (flagged, asker.told) == ([True], ["late"])


async def test_a_server_that_keeps_failing_is_left_alone_for_a_while(
    server: ModelServerDouble, model: RemoteModel
) -> None:
    asker = Asker(model)
    server.status = 500
    for _ in range(PATIENCE + 2):
        await asker.ask([1])
    assert asker.told == ["away"] * PATIENCE + ["resting"] * 2
    assert len(server.asked) == PATIENCE
    server.status = 200
    asker.clock.advance(REST_S)
    _, _, flagged = await asker.ask([1])
    assert flagged == [False]


async def test_many_users_are_asked_about_in_portions(server: ModelServerDouble, model: RemoteModel) -> None:
    _, _, flagged = await Asker(model).ask(range(1, 2 * PORTION + 2))
    assert not any(flagged)
    assert sorted(shape[0] for shape in server.asked) == [1, PORTION, PORTION]


async def test_a_server_that_is_not_there_is_away() -> None:
    async with open_remote_model("http://127.0.0.1:1/v2/models/nightly") as model:
        asker = Asker(model)
        assert (await asker.ask([1]))[2] == [True]
        assert asker.told == ["away"]
        with pytest.raises(Transient):
            await model.ask(np.zeros((1, len(NAMES)), np.float32))


async def test_what_the_server_says_is_wrong_is_told(server: ModelServerDouble) -> None:
    async with open_remote_model(f"{server.url}/v2/models/nightly") as model:
        with pytest.raises(Permanent, match="wrong shape"):
            await model.ask(np.zeros((1, 3), np.float32))


@pytest.mark.parametrize(
    "url",
    ["", "ftp://a/v2/models/x", "http://a/v3/models/x", "http://a/v2/models/", "http://a/v2/models/x?y=1"],
)
async def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Invalid, match="/v2/models/<name>"):
        async with open_remote_model(url):
            pass


async def test_a_region_asks_the_model_that_its_operator_names(server: ModelServerDouble) -> None:
    clock, local = ManualClock(), Local()
    told: list[str] = []
    store = InMemoryFeatures(clock)
    url = f"{server.url}/v2/models/nightly"
    async with forecasting(url, local, store, clock, told.append) as forecasts:
        predictor = await forecasts.prepare([Subject(TENANT, 1)])
    assert list(predictor.predict(question([1])).models) == ["remote:nightly"]
    async with forecasting(None, local, store, clock, told.append) as forecasts:
        assert forecasts is local
