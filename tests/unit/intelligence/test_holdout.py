"""Who is held out."""

from __future__ import annotations

import numpy as np
import pytest

from clarion.intelligence.serving import EVERY_FEATURE, FEATURES, held_out, names_of_features, switched_off
from clarion.tenancy.model import FeatureSwitches, HoldoutShares, MlSettings

TENANT, OTHER = b"t" * 16, b"o" * 16
USERS = np.arange(1, 100_001)


def settings(send_time: float, channel: float) -> MlSettings:
    return MlSettings(holdout=HoldoutShares(send_time, channel))


def test_a_share_of_the_users_is_held_out_from_each_feature_by_itself():
    masks = held_out(TENANT, USERS, settings(0.1, 0.05))
    times, channels = masks & 1 > 0, masks & 2 > 0
    # Four standard errors.
    assert times.mean() == pytest.approx(0.1, abs=0.004)
    assert channels.mean() == pytest.approx(0.05, abs=0.003)
    assert (times & channels).mean() == pytest.approx(0.005, abs=0.001)


def test_who_is_held_out_stays_so_whatever_the_batch_and_when_the_share_grows():
    few, more = held_out(TENANT, USERS, settings(0.05, 0.05)), held_out(TENANT, USERS, settings(0.2, 0.2))
    assert (few & more == few).all()
    assert held_out(TENANT, USERS[70:73], settings(0.05, 0.05)).tolist() == few[70:73].tolist()


def test_tenants_do_not_share_their_held_out_users():
    mine, hers = held_out(TENANT, USERS, settings(0.1, 0)) > 0, held_out(OTHER, USERS, settings(0.1, 0)) > 0
    assert (mine & hers).mean() == pytest.approx(0.01, abs=0.0013)


def test_nobody_and_half():
    assert not held_out(TENANT, USERS, settings(0, 0)).any()
    assert (held_out(TENANT, USERS, settings(0.5, 0.5)) & 1).mean() == pytest.approx(0.5, abs=0.007)


def test_features_that_are_off_and_their_names():
    off = MlSettings(enabled=FeatureSwitches(send_time=False))
    assert names_of_features(switched_off(off)) == ["send_time"]
    assert switched_off(MlSettings()) == 0
    assert names_of_features(EVERY_FEATURE) == list(FEATURES)
