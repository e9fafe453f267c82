"""The board of deliveries: what comes in, what waits, what providers answer, and what lies aside."""

from __future__ import annotations

from typing import Final

from tools.boards.model import Board, Panel, Row, quantile

_IN: Final = Row(
    "Coming in",
    (
        Panel(
            title="Accepted",
            about="Notifications a second, each of them durable.",
            queries=(("sum(rate(clarion_accepts_total[5m]))", "accepted"),),
            unit="ops",
        ),
        Panel(
            title="Requests by status",
            about="Of all routes.",
            queries=(("sum by (status) (rate(clarion_http_requests_total[5m]))", "{{status}}"),),
            unit="ops",
        ),
        Panel(
            title="What requests take",
            about="99 of 100 take less.",
            queries=((quantile(0.99, "clarion_http_request_seconds", by=("route",)), "{{route}}"),),
            unit="s",
        ),
        Panel(
            title="Channels not taken, or moved",
            about="By rule.",
            queries=(("sum by (rule) (rate(clarion_decisions_total[5m]))", "{{rule}}"),),
            unit="ops",
        ),
        Panel(
            title="Stages",
            about="How long a batch spends in each; 99 of 100 spend less.",
            queries=((quantile(0.99, "clarion_stage_seconds", by=("stage",)), "{{stage}}"),),
            unit="s",
        ),
        Panel(
            title="Money",
            about="Alarms of budgets, and blocks of numbers that text messages were pumped to, in an hour.",
            queries=(
                ("sum by (state) (increase(clarion_budget_alarms_total[1h]))", "{{state}}"),
                ("sum(increase(clarion_number_blocks_stopped_total[1h]))", "blocks stopped"),
            ),
        ),
    ),
)

_WAITING: Final = Row(
    "Waiting",
    (
        Panel(
            title="Age of the oldest due delivery",
            about="Look here before the depth: a deep queue that moves is a busy day, an old one is a fault.",
            queries=(("max by (channel) (clarion_queue_age_seconds)", "{{channel}}"),),
            unit="s",
            limit=60,
        ),
        Panel(
            title="Depth",
            about="Deliveries in Valkey, by place.",
            queries=(("sum by (place) (max by (channel, place) (clarion_queue_depth))", "{{place}}"),),
        ),
        Panel(
            title="Outbox",
            about="What reads the log is as late as this.",
            queries=(("max(clarion_outbox_age_seconds)", "oldest event"),),
            unit="s",
        ),
        Panel(
            title="Events not on the log yet",
            about="They are durable in Postgres.",
            queries=(("max(clarion_outbox_events)", "events"),),
        ),
        Panel(
            title="Workers that died, stalled or came back",
            about="All are safe; none should rise for long.",
            queries=(
                ("sum(rate(clarion_swept_total[5m]))", "swept"),
                ("sum(rate(clarion_reaped_total[5m]))", "reaped"),
                ("sum(rate(clarion_fenced_total[5m]))", "fenced"),
            ),
            unit="ops",
        ),
        Panel(
            title="Clocks",
            about="Of machines against their store's.",
            queries=(("max(abs(clarion_clock_drift_seconds))", "furthest"),),
            unit="s",
        ),
    ),
)

_OUT: Final = Row(
    "Going out",
    (
        Panel(
            title="Attempts by outcome",
            about="Calls of providers.",
            queries=(
                (
                    "sum by (provider, outcome) (rate(clarion_attempts_total[5m]))",
                    "{{provider}} {{outcome}}",
                ),
            ),
            unit="ops",
        ),
        Panel(
            title="Deliveries by status",
            about="As they came to an end, by channel.",
            queries=(
                (
                    "sum by (channel, status) (rate(clarion_conclusions_total[5m]))",
                    "{{channel}} {{status}}",
                ),
            ),
            unit="ops",
        ),
        Panel(
            title="Circuit breakers that are not closed",
            about="Each worker counts the accounts that it uses; its log says which.",
            queries=(
                ("sum by (state, reason) (clarion_breakers)", "{{state}}: {{reason}}"),
                (
                    "sum by (state) (increase(clarion_breaker_changes_total[5m]))",
                    "came to {{state}} in 5 minutes",
                ),
            ),
        ),
        Panel(
            title="Receipts",
            about="What providers and our own links said later.",
            queries=(
                ("sum by (kind) (rate(clarion_receipts_total[5m]))", "{{kind}}"),
                ("sum(rate(clarion_receipts_unknown_total[5m]))", "put off: not known yet"),
            ),
            unit="ops",
        ),
        Panel(
            title="Lost visits",
            about="Clicks and opens that were answered and not counted, because Postgres was away for long.",
            queries=(("sum(increase(clarion_visits_lost_total[1h]))", "of an hour"),),
        ),
    ),
)

_ASIDE: Final = Row(
    "Set aside",
    (
        Panel(
            title="Dead letters and parked messages",
            about="Both should be 0: a defect of ours, or of the machine, waits for somebody to look.",
            queries=(
                ("max(clarion_dead_letter_depth)", "dead letters"),
                ("max by (source) (clarion_parked_messages)", "parked: {{source}}"),
            ),
        ),
        Panel(
            title="Age of the oldest dead letter",
            about="Nobody has redriven it.",
            queries=(("max(clarion_dead_letter_age_seconds)", "oldest"),),
            unit="s",
        ),
        Panel(
            title="Given up",
            about="Deliveries that became dead letters in an hour, by reason.",
            queries=(("sum by (reason) (increase(clarion_dead_letters_total[1h]))", "{{reason}}"),),
        ),
    ),
)

DELIVERY: Final = Board("delivery", "clarion-delivery", "Clarion: delivery", (_IN, _WAITING, _OUT, _ASIDE))
