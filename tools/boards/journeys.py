"""The board of journeys: whether runs are on time, and what came of what they asked for."""

from __future__ import annotations

from typing import Final

from tools.boards.model import Board, Panel, Row

_RUNS: Final = Row(
    "Runs",
    (
        Panel(
            title="Under way",
            about="Runs of all journeys, in this region.",
            queries=(("max(clarion_journey_runs)", "runs"),),
        ),
        Panel(
            title="How late",
            about="How long the run that has waited longest has been due. Further workers of the role share the work.",
            queries=(("max(clarion_journey_lag_seconds)", "late"),),
            unit="s",
            limit=60,
        ),
        Panel(
            title="Transitions",
            about="Lost ones are safe: somebody else was faster, and the run is read anew.",
            queries=(("sum by (outcome) (rate(clarion_journey_transitions_total[5m]))", "{{outcome}}"),),
            unit="ops",
        ),
    ),
)

_EFFECTS: Final = Row(
    "Effects and events",
    (
        Panel(
            title="Effects by result",
            about="What came of what runs asked for.",
            queries=(("sum by (result) (rate(clarion_journey_effects_total[5m]))", "{{result}}"),),
            unit="ops",
        ),
        Panel(
            title="Effects that failed for good",
            about="By kind of step.",
            queries=(
                ('sum by (kind) (rate(clarion_journey_effects_total{result="failed"}[15m]))', "{{kind}}"),
            ),
            unit="ops",
            limit=0.1,
        ),
        Panel(
            title="Events",
            about="Put on the log, a second, and those that wait for it.",
            queries=(
                ("sum by (type) (rate(clarion_journey_events_total[5m]))", "{{type}}"),
                ("max(clarion_journey_outbox_events)", "waiting"),
            ),
        ),
    ),
)

JOURNEYS: Final = Board("journeys", "clarion-journeys", "Clarion: journeys", (_RUNS, _EFFECTS))
