"""Fitting, judging and choosing; drift; what was kept of a model."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest

from clarion.intelligence.features.signs import SignKind, Signs
from clarion.intelligence.models import DEFAULTS, TenantModel, encode_model
from clarion.intelligence.models.registered import (
    Band,
    Figure,
    Metrics,
    Registered,
    checksum_of,
    open_artefact,
)
from clarion.intelligence.serving.models import STALE_MS, CurrentModels
from clarion.intelligence.training.card import draw_calibration, write_card
from clarion.intelligence.training.compare import HOURS, judge
from clarion.intelligence.training.pipeline import find_drift, fit_and_judge, thin_out
from clarion.kernel.errors import Permanent
from clarion.kernel.local_time import DAY_MS, HOUR_MS
from clarion.testing.clock import ManualClock

NOW: Final = 20_000 * DAY_MS


def signs_of(users: int, days: int, *, seed: int = 3, shift_h: int = 0) -> Signs:
    """People who are there most days around an hour of their own, at night more than others are."""
    chance = np.random.default_rng(seed)
    own = (chance.integers(18, 30, users) + shift_h) % 24
    who, day = np.nonzero(chance.random((users, days)) < 0.8)
    hour = (own[who] + chance.normal(0, 1.0, len(who))) % 24
    at_ms = NOW - days * DAY_MS + day * DAY_MS + (hour * HOUR_MS).astype(np.int64)
    order = np.argsort(at_ms, kind="stable")
    count = len(who)
    return Signs(
        user_id=who[order] + 1,
        kind=np.full(count, SignKind.ACTIVE, np.int64),
        channel=(who[order] % 2).astype(np.int64),
        at_ms=at_ms[order],
        offset_ms=np.zeros(count, np.int64),
        ident=np.zeros(count, np.uint64),
    )


def test_people_unlike_the_defaults_make_a_better_model_that_serves():
    fitted = fit_and_judge(signs_of(200, 90), DEFAULTS, NOW)
    assert fitted is not None
    assert fitted.choice == "promote"
    assert fitted.reason.startswith("better than eb-0")
    assert fitted.metrics.figures[HOURS].low > 0
    assert (fitted.model.from_ms, fitted.model.to_ms) == (fitted.model.from_ms, NOW)
    assert fitted.metrics.users == 200


def test_a_model_of_newer_data_serves_unless_it_is_worse():
    first = fit_and_judge(signs_of(200, 90), DEFAULTS, NOW)
    assert first is not None
    again = fit_and_judge(signs_of(200, 90), first.model, NOW)
    assert again is not None
    assert again.choice == "promote"
    assert again.reason.startswith("no worse")


@pytest.mark.parametrize(("users", "days"), [(5, 90), (200, 5), (0, 0)])
def test_too_little_history_fits_nothing(users: int, days: int):
    assert fit_and_judge(signs_of(users, days), DEFAULTS, NOW) is None


def test_one_figure_that_is_surely_worse_is_enough_to_refuse():
    better = Figure(1.0, 0.5, 0.3, 0.7, 100)
    worse = Figure(0.1, 0.5, -0.5, -0.3, 100)
    unsure = Figure(0.5, 0.5, -0.1, 0.1, 100)
    assert judge({"log score of hours": better}) == "better"
    assert judge({"log score of hours": better, "log score of answers to sends": worse}) == "worse"
    assert judge({"log score of hours": unsure}) == "no worse"
    assert judge({}) == "too little"


def test_thinning_leaves_whole_users_and_the_same_ones():
    signs = signs_of(400, 10)
    half, quarter = thin_out(signs, 2), thin_out(signs, 4)
    kept = set(half.user_id.tolist())
    assert 120 < len(kept) < 280
    assert set(quarter.user_id.tolist()) < kept
    assert all(np.sum(half.user_id == one) == np.sum(signs.user_id == one) for one in list(kept)[:20])


def test_drift_is_seen_where_hours_change_and_not_where_they_stay():
    still, moved = signs_of(300, 97), signs_of(300, 97, seed=4, shift_h=12)
    late = moved.at_ms >= NOW - 7 * DAY_MS
    early = still.at_ms < NOW - 7 * DAY_MS
    both = Signs(
        *(
            np.concatenate([getattr(still, name)[early], getattr(moved, name)[late]])
            for name in ("user_id", "kind", "channel", "at_ms", "offset_ms", "ident")
        )
    )
    assert not any(found.alarm for found in find_drift(still, NOW).values())
    assert find_drift(both, NOW)["hours"].alarm
    assert not find_drift(both, NOW)["channels"].alarm


class Live(msgspec.Struct, frozen=True):
    tenant_id: bytes
    name: str
    artefact: bytes
    checksum: bytes
    live_ms: int


def ignore(tenant_id: bytes, name: str, reason: str) -> None:
    del tenant_id, name, reason


def live(model: TenantModel, live_ms: int, *, damage: bool = False) -> Live:
    artefact = encode_model(model)
    return Live(b"t", model.name, artefact[:-9] if damage else artefact, checksum_of(artefact), live_ms)


def test_a_damaged_artefact_is_refused_and_the_one_before_goes_on():
    told: list[tuple[bytes, str, str]] = []

    def tell(tenant_id: bytes, name: str, reason: str) -> None:
        told.append((tenant_id, name, reason))

    models = CurrentModels(ManualClock(NOW), tell)
    fine = msgspec.structs.replace(DEFAULTS, name="eb-1", trained_ms=NOW)
    newer = msgspec.structs.replace(DEFAULTS, name="eb-2", trained_ms=NOW)
    assert models.take([live(fine, NOW)]) == 1
    assert models.take([live(newer, NOW + 1, damage=True)]) == 0
    assert models.current(b"t").name == "eb-1"
    assert told[0][:2] == (b"t", "eb-2")
    assert "checksum" in told[0][2]
    assert models.take([live(newer, NOW + 2)]) == 1
    assert models.current(b"t").name == "eb-2"
    assert models.current(b"another") is DEFAULTS


def test_an_artefact_of_a_newer_release_is_refused_by_its_layout():
    artefact = encode_model(msgspec.structs.replace(DEFAULTS, layout=99))
    with pytest.raises(Permanent, match="newer release"):
        open_artefact(artefact, checksum_of(artefact))


def test_a_model_of_more_than_a_week_is_not_used():
    clock = ManualClock(NOW)
    models = CurrentModels(clock, ignore)
    models.take([live(msgspec.structs.replace(DEFAULTS, name="eb-3", trained_ms=NOW - STALE_MS), NOW)])
    assert models.current(b"t").name == "eb-3"
    clock.advance(0.001)
    assert models.current(b"t") is DEFAULTS
    assert models.is_stale(b"t", clock.now_ms())
    assert not models.is_stale(b"another", clock.now_ms())


def test_the_card_tells_what_the_registry_knows():
    metrics = Metrics({HOURS: Figure(-2.8, -2.9, 0.05, 0.15, 812)}, 0.703, 900, 120_000, 4.2)
    model = Registered("eb-7", 7, "live", "eb-6", "better", NOW - DAY_MS, NOW, metrics, b"\x01" * 32, NOW)
    card = write_card("Acme", model)
    assert "eb-7 of Acme" in card
    assert "+0.1000 (+0.0500 to +0.1500)" in card
    assert "70.3%" in card
    assert "01" * 32 in card
    assert "Calibration" not in card
    assert draw_calibration(()) == ""


def test_the_card_shows_whether_predictions_come_true():
    bands = (Band(0.01, 0.02, 0.5), Band(0.10, 0.08, 0.5))
    metrics = Metrics(
        {HOURS: Figure(-2.8, -2.9, 0.05, 0.15, 812)}, 0.703, 900, 120_000, 4.2, calibration=bands
    )
    model = Registered("eb-7", 7, "live", "eb-6", "better", NOW - DAY_MS, NOW, metrics, b"\x01" * 32, NOW)
    card = write_card("Acme", model, "eb-7.svg")
    assert "off by 1.50 points on average" in card
    assert "| 1.00% | 2.00% | 50.0% |" in card
    assert "(eb-7.svg)" in card
    picture = ET.fromstring(draw_calibration(bands))  # noqa: S314  our own
    assert len(picture.findall("{http://www.w3.org/2000/svg}circle")) == 2
