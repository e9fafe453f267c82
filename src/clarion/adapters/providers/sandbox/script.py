"""What a sandbox does when: its settings, or the phase of its script whose time it is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import msgspec

from clarion.adapters.providers.sandbox.fate import Phase, SandboxSettings, check_settings
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Invalid

_LEFT_TO_THE_SETTINGS = frozenset({"for_s"})


class Act:
    """One phase as it is played. `is_steady`: every message is taken."""

    def __init__(self, settings: SandboxSettings, clock: Clock) -> None:
        self.settings = settings
        self.pace = Pace(settings.throttle_per_s, clock)
        self.is_steady = not (
            settings.transient_rate + settings.permanent_rate + settings.ambiguous_rate
            or settings.throttle_per_s
            or settings.idempotent
        )


class Script:
    """The acts of a sandbox in their time. It begins with the first call, or at `script_starts_at`.

    Before it begins and after its end the settings hold; `script_repeats` begins it again instead.
    """

    def __init__(self, settings: SandboxSettings, clock: Clock) -> None:
        self._clock = clock
        self._rest = Act(settings, clock)
        self._acts = [Act(_merged(settings, phase), clock) for phase in settings.script]
        self._ends_s = list(accumulate(phase.for_s for phase in settings.script))
        self._repeats = settings.script_repeats
        begins = settings.script_starts_at
        self._begins_ms = None if begins is None else int(begins.timestamp() * 1000)

    def now(self) -> Act:
        """The act whose time it is."""
        if not self._acts:
            return self._rest
        now_ms = self._clock.now_ms()
        if self._begins_ms is None:
            self._begins_ms = now_ms
        at_s = (now_ms - self._begins_ms) / 1000
        if self._repeats and at_s >= 0:
            at_s %= self._ends_s[-1]
        place = bisect_right(self._ends_s, at_s)
        return self._acts[place] if at_s >= 0 and place < len(self._acts) else self._rest


class Pace:
    """A token bucket that holds one second's worth. `per_s` 0: no limit."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        self._per_s = per_s
        self._clock = clock
        self._tokens = max(1.0, per_s)
        self._filled_at = clock.monotonic()

    def wait_s(self) -> float:
        """Take a token and give 0; or, where there is none, how long until there is."""
        if not self._per_s:
            return 0.0
        now = self._clock.monotonic()
        filled = self._tokens + (now - self._filled_at) * self._per_s
        self._tokens, self._filled_at = min(max(1.0, self._per_s), filled), now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._per_s


def check_script(settings: SandboxSettings) -> None:
    """Raise Invalid with the path of what is wrong in a script (`settings.script[2].error_rate`)."""
    for number, phase in enumerate(settings.script):
        path = f"settings.script[{number}]"
        if not 0 < phase.for_s < float("inf"):
            msg = "must be a number above 0"
            raise Invalid(msg, f"{path}.for_s")
        try:
            check_settings(_merged(settings, phase))
        except Invalid as error:
            raise Invalid(error.detail, error.path.replace("settings", path, 1)) from error


def _merged(settings: SandboxSettings, phase: Phase) -> SandboxSettings:
    """The settings as they are in a phase: what it does not name, it leaves as it is."""
    told: dict[str, Any] = {
        name: value
        for name, value in msgspec.structs.asdict(phase).items()
        if value is not None and name not in _LEFT_TO_THE_SETTINGS
    }
    nothing: Sequence[Phase] = ()
    return msgspec.structs.replace(settings, script=nothing, **told)
