"""The population stability index, its noise floor, and the alarm."""

from __future__ import annotations

import numpy as np
import pytest

from clarion.intelligence.training.drift import calibration_error, compare, noise_floor, psi, watch


def sample(
    chance: np.random.Generator, size: int, shares: list[float]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return chance.multinomial(size, shares)


def test_the_same_shares_are_no_drift_and_it_is_symmetric():
    one, other = np.array([10, 20, 70]), np.array([30, 30, 40])
    assert psi(one, one) == 0
    assert psi(one, other) == pytest.approx(psi(other, one))


@pytest.mark.parametrize("size", [200, 1_000, 5_000])
def test_the_floor_is_what_chance_makes(size: int):
    chance = np.random.default_rng(size)
    shares = [1 / 24] * 24
    found = [psi(sample(chance, size, shares), sample(chance, size * 10, shares)) for _ in range(300)]
    assert np.mean(found) == pytest.approx(noise_floor(24, size, size * 10), rel=0.15)


def test_small_samples_raise_no_alarm_by_chance():
    chance = np.random.default_rng(3)
    shares = [1 / 24] * 24
    alarms = [compare(sample(chance, 210, shares), sample(chance, 2_000, shares)).alarm for _ in range(500)]
    assert not any(alarms)
    assert not compare(np.array([9, 1]), np.array([1, 9])).alarm, "too few to say"


def test_a_change_is_noticed_within_days_and_nothing_before_it():
    chance = np.random.default_rng(4)
    before = np.stack([sample(chance, 150, [0.8, 0.2, 0.0]) for _ in range(200)])
    after = np.stack([sample(chance, 150, [0.5, 0.15, 0.35]) for _ in range(30)])
    alarms = watch(np.concatenate([before, after]))
    assert not any(alarms[:200])
    assert any(alarms[200:209])


def test_calibration_error():
    predicted = np.repeat([0.1, 0.9], 1_000)
    happened = np.r_[np.arange(1_000) % 10 == 0, np.arange(1_000) % 10 != 0]
    assert calibration_error(predicted, happened, bins=2) == pytest.approx(0, abs=1e-9)
    assert calibration_error(predicted, ~happened, bins=2) == pytest.approx(0.8)
    assert calibration_error(np.zeros(0), np.zeros(0)) == 0
