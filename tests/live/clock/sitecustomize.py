"""A wall clock that is wrong: Python runs this file at its start when the folder is on PYTHONPATH.

`CLARION_TEST_CLOCKS` names a file with the seconds by which the clocks of roles are ahead (`api=30 worker=-30`); a
process keeps what stood there at its start. Monotonic clocks stay right, as they do on a machine whose clock is set.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def _seconds_ahead() -> float:
    clocks = Path(os.environ.get("CLARION_TEST_CLOCKS", os.devnull))
    if not clocks.exists():
        return 0.0
    ahead = dict(word.split("=") for word in clocks.read_text().split())
    roles = [word.partition("clarion-role=")[2] for word in sys.orig_argv if "clarion-role=" in word]
    return float(next((ahead[role] for role in roles if role in ahead), 0.0))


def _set_clock(seconds: float) -> None:
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + seconds
    time.time_ns = lambda: right_ns() + int(seconds * 1e9)


if _ahead := _seconds_ahead():
    _set_clock(_ahead)
