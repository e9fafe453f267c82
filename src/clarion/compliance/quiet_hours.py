"""Quiet hours: daily windows of local time in which nothing deferrable is sent.

A window is [start, end) on the wall clock of the user's zone. It may span midnight; one that ends where it starts is
empty. Where several windows apply (the tenant's and the user's own), each of them forbids. On the night of a clock
change the wall clock governs: a repeated hour inside a window is quiet both times, a skipped one does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from clarion.kernel.local_time import DAY_MINUTES, MINUTE_MS, IntArray, offset_ms, offsets_ms
from clarion.tenancy.model import QuietHours

BoolArray: TypeAlias = npt.NDArray[np.bool_]
Windows: TypeAlias = tuple[QuietHours, ...]

_SEARCH_MINUTES: Final = 2 * DAY_MINUTES
"""Windows repeat daily: a wall clock that shows no allowed minute within two days never will."""


def windows_of(*windows: QuietHours | None) -> Windows:
    """The windows that forbid anything, without repeats: what the functions here take."""
    return tuple(
        {w for w in windows if w is not None and w.start_min % DAY_MINUTES != w.end_min % DAY_MINUTES}
    )


def quiet_spans(minute: IntArray, span: IntArray, windows: Sequence[Windows]) -> BoolArray:
    """Which spans of local time touch a quiet window, [U, H].

    `minute` [U, H] is the local minute of the day at which each span starts, `span` [H] its length in minutes (at most
    a day; 1: an instant), `windows` the windows of each of the U rows.
    """
    quiet = np.zeros(minute.shape, np.bool_)
    for nth in range(max(map(len, windows), default=0)):
        pairs = [(w[nth].start_min, w[nth].end_min) if nth < len(w) else (0, 0) for w in windows]
        start, end = np.array(pairs, np.int64).T[:, :, None]
        length = (end - start) % DAY_MINUTES
        # On a circle two arcs meet exactly where the start of one lies on the other.
        meets = ((minute - start) % DAY_MINUTES < length) | ((start - minute) % DAY_MINUTES < span)
        quiet |= meets & (length > 0)
    return quiet


def is_quiet(zone: str, at_ms: int, windows: Windows) -> bool:
    """Whether an instant (UTC ms) is quiet in `zone`. Raises LookupError on an unknown zone."""
    minute = (at_ms + offset_ms(zone, at_ms)) // MINUTE_MS % DAY_MINUTES
    return any(
        (minute - w.start_min) % DAY_MINUTES < (w.end_min - w.start_min) % DAY_MINUTES for w in windows
    )


def first_allowed_ms(zone: str, at_ms: int, windows: Windows) -> int | None:
    """The first instant from `at_ms` on (UTC ms; itself, or the start of a minute) that is not quiet in `zone`.

    None where the windows together cover the day. Raises LookupError on an unknown zone.
    """
    if not is_quiet(zone, at_ms, windows):
        return at_ms
    next_minute = at_ms // MINUTE_MS + 1
    at = (next_minute + np.arange(_SEARCH_MINUTES, dtype=np.int64)) * MINUTE_MS
    minute = (at + offsets_ms(zone, at)) // MINUTE_MS % DAY_MINUTES
    allowed = ~quiet_spans(minute[None, :], np.ones(1, np.int64), [windows])[0]
    return int(at[allowed.argmax()]) if allowed.any() else None
