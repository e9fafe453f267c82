"""Finding kinds of people among a tenant's users: k-means over how they act, where there are kinds to be found.

Lloyd's algorithm from seeds that are far apart (Gonzalez 1985: the first nearest to the middle, each further one the
point that is farthest from those before), so that the same users give the same clusters: no chance is needed. There are
as many as other users of the tenant bear out (prediction strength, Tibshirani and Walther 2005): two halves of the
users are clustered apart, and whoever is together in one half has to be put together by the other's centres. What does
not hold of other people of the same tenant would mean something else next month.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from clarion.intelligence.features import RecordArray, compute
from clarion.intelligence.features.decay import FloatArray
from clarion.intelligence.models.model import Cluster, ClusterParameters
from clarion.intelligence.models.segments import MEASURES, is_known, measures, nearest, standardised
from clarion.kernel.local_time import IntArray

LEAST_USERS: Final = 300
"""Users of whom something is known, without whom nothing is fitted."""

LOOKED_AT: Final = 20_000
"""Records of whom the features are computed: 200 bytes each, and a large tenant has a million."""

MOST_USERS: Final = 5_000
MOST_KINDS: Final = 6
LEAST_STRENGTH: Final = 0.8
"""Prediction strength from which clusters are told: the authors' bound."""

LEAST_SHARE: Final = 0.02
"""Of the users: a smaller one is a few odd people, and no kind."""

_ROUNDS: Final = 50
_LEAST_SPREAD: Final = 0.02
"""A measure that differs by less (one sigma) tells nobody apart, and is not blown up until it does."""

_TRAITS: Final = 3
_REMARKABLE: Final = 0.5
"""A trait is named where a centre is half a standard deviation from the middle."""

_SAME: Final = 1.5
"""A cluster is that of the training before if their centres are nearer than this, in standard deviations."""


def fit_clusters(records: RecordArray, base: ClusterParameters, now_ms: int) -> ClusterParameters:
    """The clusters of users as their records [N] tell at `now_ms`; those of `base` keep their names. Pure.

    With too few users, or where none are told apart, there are none.
    """
    # Records are in the order in which users were first heard of, and a part of all ages is wanted.
    features = compute(records[:: -(-len(records) // LOOKED_AT) or 1], now_ms)
    measured = measures(features[is_known(features)])
    if len(measured) < LEAST_USERS:
        return ClusterParameters()
    measured = measured[:: max(1, len(measured) // MOST_USERS)]
    spread = measured.std(axis=0)
    scale = np.where(spread < _LEAST_SPREAD, 1.0, spread)
    fitted = ClusterParameters(tuple(measured.mean(axis=0).tolist()), tuple(scale.tolist()))
    points = np.clip(standardised(measured, fitted), -3, 3)
    kinds, strength = _count_kinds(points, len(base.clusters))
    if kinds == 1:
        return ClusterParameters()
    centres, kind = _split(points, kinds)
    shares = np.bincount(kind, minlength=len(centres)) / len(kind)
    names = _names(centres, base)
    clusters = tuple(
        Cluster(name, _meaning(centre), tuple(centre.round(4).tolist()), round(float(share), 4))
        for name, centre, share in zip(names, centres, shares.tolist(), strict=True)
    )
    return ClusterParameters(fitted.middle, fitted.scale, clusters, round(strength, 4))


def _count_kinds(points: FloatArray, before: int) -> tuple[int, float]:
    """Of how many kinds points are, and how far other people bear that out, 0 to 1.

    As many as `before` (0: there were none) while that holds, so that what is built upon clusters stands.
    """
    halves = points[::2], points[1::2]
    usual = range(MOST_KINDS, 1, -1)
    for kinds in (before, *usual) if before in usual else usual:
        _, kind = _split(points, kinds)
        if np.bincount(kind, minlength=kinds).min() < LEAST_SHARE * len(points):
            continue
        strength = min(_strength(one, other, kinds) for one, other in (halves, halves[::-1]))
        if strength >= LEAST_STRENGTH:
            return kinds, strength
    return 1, 1.0


def _strength(judged: FloatArray, others: FloatArray, kinds: int) -> float:
    """Of the pairs of people in a cluster of `judged`, the share whom the others' centres put together: the worst's."""
    _, own = _split(judged, kinds)
    centres, _ = _split(others, kinds)
    theirs = nearest(judged, centres)
    table = (
        np.bincount(own * kinds + theirs, minlength=kinds * kinds).reshape(kinds, kinds).astype(np.float64)
    )
    sizes = table.sum(axis=1)
    pairs = sizes * (sizes - 1)
    together = (table * (table - 1)).sum(axis=1)
    return float(np.divide(together, pairs, out=np.zeros(kinds), where=pairs > 0).min())


def _split(points: FloatArray, kinds: int) -> tuple[FloatArray, IntArray]:
    """So many centres, and the place of each point's."""
    centres = _seeds(points, kinds)
    kind = nearest(points, centres)
    for _ in range(_ROUNDS):
        counts = np.maximum(np.bincount(kind, minlength=kinds), 1)
        sums = np.stack([np.bincount(kind, column, kinds) for column in points.T], axis=1)
        centres = np.asarray(sums / counts[:, None], np.float32)
        moved = nearest(points, centres)
        if np.array_equal(moved, kind):
            break
        kind = moved
    return centres, kind


def _seeds(points: FloatArray, kinds: int) -> FloatArray:
    """Points far from one another, but no outliers: farthest among those that are usual."""
    norm = (points**2).sum(axis=1)
    usual = points[norm <= np.quantile(norm, 0.9)]
    seeds = [usual[int((usual**2).sum(axis=1).argmin())]]
    while len(seeds) < kinds:
        apart = ((usual[:, None, :] - np.stack(seeds)[None]) ** 2).sum(axis=2).min(axis=1)
        seeds.append(usual[int(apart.argmax())])
    return np.stack(seeds)


def _names(centres: FloatArray, base: ClusterParameters) -> list[str]:
    """A name for each centre: that of the nearest cluster of before, nearest pairs first, or a new one."""
    before = {cluster.name: np.array(cluster.centre, np.float32) for cluster in base.clusters}
    pairs = sorted(
        (float(np.linalg.norm(centre - old)), place, name)
        for place, centre in enumerate(centres)
        for name, old in before.items()
    )
    names: dict[int, str] = {}
    for distance, place, name in pairs:
        if distance < _SAME and place not in names and name not in names.values():
            names[place] = name
    taken = {*names.values(), *before}
    free = (f"cluster_{number}" for number in range(1, 2 * MOST_KINDS + len(taken) + 1))
    unused = (name for name in free if name not in taken)
    return [names.get(place) or next(unused) for place in range(len(centres))]


def _meaning(centre: FloatArray) -> str:
    """What sets a centre apart, in words: its most remarkable traits."""
    order = np.argsort(-np.abs(centre), kind="stable")[:_TRAITS]
    places: list[int] = order.tolist()
    values: list[float] = centre[order].tolist()
    traits = zip(places, values, strict=True)
    told = [MEASURES[place][1 if value > 0 else 2] for place, value in traits if abs(value) >= _REMARKABLE]
    return ", ".join(told) or "like everybody"
