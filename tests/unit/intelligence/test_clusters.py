"""Kinds of people: found where there are some, named the same from training to training, and in profiles."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from clarion.intelligence.features.record import RecordArray, empty_records
from clarion.intelligence.models import DEFAULTS
from clarion.intelligence.models.model import ClusterParameters
from clarion.intelligence.models.segments import segments_of
from clarion.intelligence.training.fit_clusters import fit_clusters
from clarion.kernel.local_time import DAY_MS

NOW: Final = 20_000 * DAY_MS
USERS: Final = 600
NONE: Final = ClusterParameters()


def crowd(*, kinds: int, users: int = USERS, seed: int = 3) -> RecordArray:
    """Users of two kinds, or of one: on working days at nine and by e-mail, or on weekend nights and by push."""
    chance = np.random.default_rng(seed)
    records = empty_records(list(range(1, users + 1)))
    records["as_of_ms"] = NOW
    records["seen_ms"] = NOW - DAY_MS
    records["first_ms"] = NOW - 300 * DAY_MS
    owls = np.arange(users) < users // 2 if kinds > 1 else np.zeros(users, np.bool_)
    share = np.where(owls, 0.95, 0.05) + chance.normal(0, 0.005, users)
    records["presence"][:, :, 1, 1] = (30 * share)[:, None]
    records["presence"][:, :, 0, 9] = (30 * (1 - share))[:, None]
    records["touched"][:, :, 1] = (30 * share)[:, None]
    records["touched"][:, :, 0] = (30 * (1 - share))[:, None]
    records["active"][:] = 30
    return records


def test_two_kinds_are_found_told_in_words_and_kept_in_profiles():
    records = crowd(kinds=2)
    found = fit_clusters(records, NONE, NOW)
    assert [round(cluster.share, 1) for cluster in found.clusters] == [0.5, 0.5]
    assert {"cluster_1", "cluster_2"} == {cluster.name for cluster in found.clusters}
    assert any("at weekends" in cluster.meaning for cluster in found.clusters)
    model = msgspec.structs.replace(DEFAULTS, clusters=found)
    names = [
        next(name for name in one if name.startswith("cluster_")) for one in segments_of(records, model, NOW)
    ]
    assert len(set(names[: USERS // 2])) == 1
    assert len(set(names[USERS // 2 :])) == 1
    assert names[0] != names[-1]


def test_names_stay_with_their_people():
    first = fit_clusters(crowd(kinds=2), NONE, NOW)
    renamed = msgspec.structs.replace(first, clusters=first.clusters[::-1])
    again = fit_clusters(crowd(kinds=2, seed=4, users=500), renamed, NOW)
    meanings = {cluster.name: cluster.meaning for cluster in first.clusters}
    assert {cluster.name: cluster.meaning for cluster in again.clusters} == meanings


def test_people_who_are_all_alike_are_of_no_kind():
    assert fit_clusters(crowd(kinds=1), NONE, NOW).clusters == ()


def test_of_few_people_nothing_is_said():
    assert fit_clusters(crowd(kinds=2, users=100), NONE, NOW) == NONE
    assert fit_clusters(empty_records(list(range(1_000))), NONE, NOW) == NONE


def test_somebody_unknown_is_in_no_cluster():
    model = msgspec.structs.replace(DEFAULTS, clusters=fit_clusters(crowd(kinds=2), NONE, NOW))
    assert segments_of(empty_records([1]), model, NOW) == [["unknown"]]


def test_the_same_users_give_the_same_clusters():
    records = crowd(kinds=2)
    assert fit_clusters(records, NONE, NOW) == fit_clusters(records.copy(), NONE, NOW)
