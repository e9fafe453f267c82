"""The hours that a decision weighs, in the user's own time.

Hour 0 is the anchor: the present instant, or the scheduled one. Hours 1, 2, … are the whole hours of the local clock
that follow it. Where clocks change within an hour (Chatham and Lord Howe, twice a year) that hour is left out; a
repeated hour stands there twice, a skipped one not at all.

The law's hours are of a channel, and are read on every clock that the user may have; quiet hours are of all channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from clarion.compliance.opening_hours import OpenHours, forbidden
from clarion.compliance.quiet_hours import BoolArray, Windows, quiet_spans
from clarion.compliance.standing import is_open_at
from clarion.contracts.channels import CHANNELS
from clarion.kernel.local_time import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    ClockArray,
    IntArray,
    known_zone,
    offset_ms,
    offsets_ms,
)

HORIZON_HOURS: Final = 72
"""Hours weighed at most, the anchor among them."""

_QUARTER_MS: Final = 15 * MINUTE_MS
_THURSDAY: Final = 3  # 1970-01-01


class Clock(NamedTuple):
    """What rows must share to see the same hours: zone (and the one to use where it is unknown), anchor, windows.

    `hours`: the law's, by channel, on the clocks of all `zones`; (): there are none on any channel.
    """

    zone: str
    fallback_zone: str
    anchor_ms: int
    quiet: Windows
    hours: tuple[OpenHours | None, ...] = ()
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Horizon:
    """The hours of U clocks, each array [U, H] but `quiet`, which is [U, C, H], or [U, 1, H] where channels are alike.

    `start_ms`: UTC; `hour` (0 to 23) and `weekday` (0 is Monday) of the start, local; `day`: its local day, counted
    from that of the anchor, which is `first_day` [U] since 1970; `quiet`: whether any minute of the hour is, or is
    none of the law's hours.
    """

    start_ms: IntArray
    hour: ClockArray
    weekday: ClockArray
    first_day: IntArray
    day: ClockArray
    quiet: BoolArray


def lay_out(clocks: Sequence[Clock], hours: int) -> Horizon:
    """The first `hours` hours (1: the anchors alone) of each clock."""
    start = np.empty((len(clocks), hours), np.int64)
    local = np.empty_like(start)
    for row, clock in enumerate(clocks):
        zone = known_zone(clock.zone, clock.fallback_zone)
        start[row, 0] = clock.anchor_ms
        local[row, 0] = clock.anchor_ms + offset_ms(zone, clock.anchor_ms)
        if hours > 1:
            start[row, 1:], local[row, 1:] = _whole_hours(zone, clock.anchor_ms // _QUARTER_MS)[
                :, : hours - 1
            ]
    day, in_day = np.divmod(local, DAY_MS)
    span = np.array([1] + [60] * (hours - 1))
    return Horizon(
        start_ms=start,
        hour=(in_day // HOUR_MS).astype(np.int8),
        weekday=((day + _THURSDAY) % 7).astype(np.int8),
        first_day=day[:, 0],
        day=(day - day[:, :1]).astype(np.int8),
        quiet=_quiet(clocks, quiet_spans(in_day // MINUTE_MS, span, [clock.quiet for clock in clocks])),
    )


def _quiet(clocks: Sequence[Clock], quiet: BoolArray) -> BoolArray:
    """What is closed by quiet hours [U, H] or by the law's hours: [U, C, H], or [U, 1, H] where no law has any."""
    if not any(clock.hours for clock in clocks):
        return quiet[:, None, :]
    closed = quiet[:, None, :].repeat(len(CHANNELS), 1)
    further = quiet.shape[1] - 1
    for row, clock in enumerate(clocks):
        for channel, hours in enumerate(clock.hours):
            if hours is None:
                continue
            closed[row, channel, 0] |= not is_open_at(hours, clock.zones, clock.anchor_ms // MINUTE_MS)
            if further:
                zone = known_zone(clock.zone, clock.fallback_zone)
                shut = _closed_hours(hours, clock.zones, zone, clock.anchor_ms // _QUARTER_MS)
                closed[row, channel, 1:] |= shut[:further]
    return closed


def local_days(clocks: Sequence[Clock], at_ms: int) -> IntArray:
    """The local day (since 1970) of one instant on each clock, [U]."""
    zones = [known_zone(clock.zone, clock.fallback_zone) for clock in clocks]
    return np.array([(at_ms + offset_ms(zone, at_ms)) // DAY_MS for zone in zones], np.int64)


@lru_cache(maxsize=1024)
def _whole_hours(zone: str, quarter: int) -> IntArray:
    """Starts of the whole local hours after a quarter of an hour (counted since 1970): UTC ms and local ms, [2, 71].

    Since 1972 every offset is a multiple of a quarter, and so every local hour starts on one.
    """
    ahead = 4 * (HORIZON_HOURS + 2)  # an hour or two of slack for those left out
    at = (quarter + 1 + np.arange(ahead, dtype=np.int64)) * _QUARTER_MS
    offset = offsets_ms(zone, at)
    unbroken = offset == offsets_ms(zone, at + HOUR_MS - 1)
    whole = np.flatnonzero(((at + offset) % HOUR_MS == 0) & unbroken)[: HORIZON_HOURS - 1]
    return np.stack((at[whole], at[whole] + offset[whole]))


@lru_cache(maxsize=4096)
def _closed_hours(hours: OpenHours, zones: tuple[str, ...], zone: str, quarter: int) -> BoolArray:
    """Which of the `_whole_hours` hold a minute that is closed on any clock, [71]."""
    start = _whole_hours(zone, quarter)[:1]
    return forbidden([hours], [zones], start, np.array([60] * start.shape[1]))[0]
