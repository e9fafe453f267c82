"""The lane that moves runs to other versions."""

from __future__ import annotations

from typing import Final

from clarion.journeys.migrations import MigrationPorts, carry_on

BUSY_S: Final = 0.5
IDLE_S: Final = 2.0


async def move_runs(ports: MigrationPorts) -> float:
    """Take every migration one round further; seconds until the next look."""
    return BUSY_S if await carry_on(ports) else IDLE_S
