"""A tenant's model of hours and channels, of cuts of its history."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from clarion.intelligence.features.record import RecordArray
from clarion.intelligence.features.signs import Signs
from clarion.intelligence.models import TenantModel
from clarion.intelligence.training.cuts import Cut
from clarion.intelligence.training.fit_answers import fit_answers
from clarion.intelligence.training.fit_channel import fit_channel, refresh_rates
from clarion.intelligence.training.fit_regions import fit_regions
from clarion.intelligence.training.fit_send_time import fit_send_time, refresh_curves
from clarion.intelligence.training.fit_sets import fit_sets, rank_weeks


def fit_times_and_channels(
    cuts: Sequence[Cut], base: TenantModel, now: RecordArray, now_ms: int
) -> TenantModel:
    """`base` with its hours and channels fitted to `cuts`, and its population that of the records `now`.

    Its name and times are the caller's to set. Pure; what there is too little history of stays as it is in `base`.
    """
    by_channel = fit_channel(cuts, base.channel, now, now_ms)
    times = fit_send_time(cuts, base.send_time, now, now_ms)
    return msgspec.structs.replace(base, send_time=fit_answers(cuts, times, by_channel), channel=by_channel)


def fit_likely_hours(model: TenantModel, signs: Signs, until_ms: int) -> TenantModel:
    """The same model, with sets of hours that held 70 % of what people did in the weeks before `until_ms`."""
    ranks = rank_weeks(signs, model.send_time, until_ms)
    return msgspec.structs.replace(model, send_time=fit_sets(ranks, model.send_time))


def refresh_regions(model: TenantModel, signs: Signs, now_ms: int) -> TenantModel:
    """The same model, with what is expected of strangers by part of the world as of `now_ms`."""
    return msgspec.structs.replace(model, send_time=fit_regions(signs, model.send_time, now_ms))


def refresh_population(model: TenantModel, records: RecordArray, now_ms: int) -> TenantModel:
    """The same model for the population of `records` as it is now: curves, rates and shares. Cheap, for each day."""
    return msgspec.structs.replace(
        model,
        send_time=refresh_curves(model.send_time, records, now_ms),
        channel=refresh_rates(model.channel, records, now_ms),
    )
