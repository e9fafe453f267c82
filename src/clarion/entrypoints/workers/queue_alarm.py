"""An alarm for queues that do not move: said when it begins and when it ends, not while it lasts."""

from __future__ import annotations

from typing import Final

import structlog

ALARM_S: Final = 60.0
"""How long the oldest due delivery of a channel may wait. A busy queue is deep; an old one is not being worked on."""

CALM_S: Final = 30.0
"""Below this the alarm is over. Lower, so that a queue at the limit does not ring and stop by turns."""

_log = structlog.get_logger("queue")


class QueueAlarm:
    """Which channels of this process's region are late, as far as was said."""

    def __init__(self) -> None:
        self._late: set[str] = set()

    def see(self, channel: str, oldest_s: float) -> None:
        """Take note of how long the oldest due delivery of a channel has waited."""
        if channel not in self._late and oldest_s >= ALARM_S:
            self._late.add(channel)
            _log.error("queue_late", channel=channel, oldest_s=round(oldest_s))
        elif channel in self._late and oldest_s < CALM_S:
            self._late.discard(channel)
            _log.info("queue_caught_up", channel=channel)
