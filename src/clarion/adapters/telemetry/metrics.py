"""Prometheus metrics: one object a process, counted by the batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_STAGE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

_log = structlog.get_logger("models")


def _rare(registry: CollectorRegistry, name: str, about: str, label: str, values: Sequence[str]) -> Counter:
    """A counter by one label, whose values are all there from the start, at 0.

    A series that begins at 1 has not grown, for Prometheus: an alert on its increase would miss the first time.
    """
    counter = Counter(name, about, [label], registry=registry)
    for value in values:
        counter.labels(value)
    return counter


class SetAside:
    """What could not be worked on: dead letters, and parked messages between our own parts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.died = Counter(
            "clarion_dead_letters", "Deliveries given up because of ourselves", ["reason"], registry=registry
        )
        self.depth = Gauge(
            "clarion_dead_letter_depth", "Dead letters that nobody has redriven", registry=registry
        )
        self.age = Gauge("clarion_dead_letter_age_seconds", "Age of the oldest of them", registry=registry)
        self.parked = Gauge(
            "clarion_parked_messages",
            "Messages between our own parts that cannot be worked on",
            ["source"],
            registry=registry,
        )


class SpendingMetrics:
    """Money: budgets that alarmed, and floods of text messages that were stopped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.alarms = _rare(
            registry,
            "clarion_budget_alarms",
            "Budgets that came near their limit (`soft`) or to it (`spent`)",
            "state",
            ("soft", "spent"),
        )
        self.blocks = Counter(
            "clarion_number_blocks_stopped",
            "Blocks of numbers that text messages were pumped to",
            registry=registry,
        )


class JourneyMetrics:
    """Runs of journeys: how many there are, whether they are on time, and what came of what they asked for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.moves = Counter(
            "clarion_journey_transitions",
            "Transitions of runs of journeys: committed, or lost to somebody who was faster",
            ["outcome"],
            registry=registry,
        )
        self.active = Gauge(
            "clarion_journey_runs", "Runs of journeys that are under way, in this region", registry=registry
        )
        self.lag = Gauge(
            "clarion_journey_lag_seconds",
            "How long the run that has waited longest has been due",
            registry=registry,
        )
        self.events = Counter(
            "clarion_journey_events", "Journey events put on the log", ["type"], registry=registry
        )
        self.waiting_events = Gauge(
            "clarion_journey_outbox_events", "Journey events not yet on the log", registry=registry
        )
        self.effects = Counter(
            "clarion_journey_effects",
            "What came of what runs asked for, by kind of step",
            ["kind", "result"],
            registry=registry,
        )


class Breakers:
    """The circuit breakers of a delivering process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.changes = Counter(
            "clarion_breaker_changes",
            "Circuit breakers that came into another state",
            ["state", "reason"],
            registry=registry,
        )
        self.now = Gauge(
            "clarion_breakers",
            "Circuit breakers that are not closed, of accounts that this process uses",
            ["state", "reason"],
            registry=registry,
        )


class QueueMetrics:
    """The queue, and what had to be put into it again."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.depth = Gauge(
            "clarion_queue_depth", "Deliveries by place", ["channel", "place"], registry=registry
        )
        self.age = Gauge(
            "clarion_queue_age_seconds",
            "How long the oldest due delivery has waited",
            ["channel"],
            registry=registry,
        )
        self.swept = Counter("clarion_swept", "Deliveries that the sweeper queued again", registry=registry)
        self.reaped = Counter(
            "clarion_reaped", "Leases that ended without an ack", ["channel"], registry=registry
        )


class FeatureMetrics:
    """What is known of users: how much is heard of them, and how soon."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.signs = Counter(
            "clarion_features_signs", "Sends and acts of users, as folded into features", registry=registry
        )
        self.behind = Gauge(
            "clarion_features_behind_seconds", "Age of the latest sign when it was folded", registry=registry
        )
        self.unarchived = Gauge(
            "clarion_features_unarchived", "Users whose features are not archived yet", registry=registry
        )

    def heard(self, signs: int, behind_s: float) -> None:
        """Count signs that were folded; `behind_s`: how old the latest of them was by then."""
        self.signs.inc(signs)
        self.behind.set(behind_s)


class LearningMetrics:
    """Models of users: decisions without them, their training, and how good they are."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.fallbacks = _rare(
            registry,
            "clarion_ml_fallbacks",
            "Batches that were decided with less than should have been known",
            "reason",
            ("late", "away", "resting", "nonsense", "stale"),
        )
        self.trainings = _rare(
            registry,
            "clarion_ml_trainings",
            "Trainings of tenants' models that came to an end",
            "outcome",
            ("live", "refused", "too_little", "failed"),
        )
        self.training_seconds = Histogram(
            "clarion_ml_training_seconds",
            "What a training took",
            buckets=(0.1, 1, 5, 15, 60, 300, 900),
            registry=registry,
        )
        self.oldest_model = Gauge(
            "clarion_ml_oldest_model_seconds",
            "Age of the oldest model in force, 0 without any",
            registry=registry,
        )
        self.bad_artefacts = Counter(
            "clarion_ml_bad_artefacts",
            "Models that were not taken up: damaged, or of a newer release",
            registry=registry,
        )
        self.drift = _rare(
            registry,
            "clarion_ml_drift_alarms",
            "Times that what users do had changed abruptly",
            "of",
            ("hours", "channels", "kinds"),
        )
        self.psi = Gauge(
            "clarion_ml_drift_psi",
            "Stability index of the tenant that changed most, as this process saw it last",
            ["of"],
            registry=registry,
        )
        self.calibration = Gauge(
            "clarion_ml_calibration_error",
            "How far the 70 % sets of newest models are from 70 %, at the worst tenant that this process trained",
            registry=registry,
        )
        self._psi: dict[str, dict[bytes, float]] = {}
        self._errors: dict[bytes, float] = {}
        self.returns = _rare(
            registry,
            "clarion_ml_returns_to_baseline",
            "Features that were switched off at a tenant because they harmed",
            "feature",
            ("send_time", "channel"),
        )

    def saw_psi(self, tenant_id: bytes, of: str, psi: float) -> None:
        """Take note of a tenant's stability index. Tenants are no label: there are any number of them."""
        seen = self._psi.setdefault(of, {})
        seen[tenant_id] = psi
        self.psi.labels(of).set(max(seen.values()))

    def saw_coverage(self, tenant_id: bytes, error: float) -> None:
        """Take note of how far from its promise a tenant's newest model is."""
        self._errors[tenant_id] = error
        self.calibration.set(max(self._errors.values()))

    def keep_tenants(self, tenant_ids: Collection[bytes]) -> None:
        """Forget what was seen of others: tenants that were deleted are nobody's worst case."""
        for of, seen in self._psi.items():
            kept = self._psi[of] = {one: psi for one, psi in seen.items() if one in tenant_ids}
            self.psi.labels(of).set(max(kept.values(), default=0))
        self._errors = {one: error for one, error in self._errors.items() if one in tenant_ids}
        self.calibration.set(max(self._errors.values(), default=0))

    def refused_artefact(self, tenant_id: bytes, name: str, reason: str) -> None:
        """Count, and tell, a model that was not taken up."""
        self.bad_artefacts.inc()
        _log.error("model_not_taken", tenant_id=tenant_id.hex(), model=name, reason=reason)

    def refused_trees(self, reason: str) -> None:
        """Count, and tell, trees of a model that could not be opened: the formulas alone go on."""
        self.bad_artefacts.inc()
        _log.error("trees_not_opened", reason=reason)

    def fell_back(self, reason: str) -> None:
        """Count a batch that was decided with less than should have been known."""
        self.fallbacks.labels(reason).inc()


class Metrics:
    """Every metric of a role. Label values are names that a tenant cannot choose freely (no unbounded series)."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "clarion_http_requests", "HTTP requests", ["route", "method", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "clarion_http_request_seconds",
            "HTTP latency",
            ["route", "method"],
            registry=registry,
            buckets=_STAGE_BUCKETS,
        )
        self.accepts = Counter("clarion_accepts", "Notifications accepted (durable)", registry=registry)
        self.decisions = Counter(
            "clarion_decisions", "Channels not taken or moved, by rule", ["rule"], registry=registry
        )
        self.attempts = Counter(
            "clarion_attempts",
            "Attempts by provider kind and outcome",
            ["provider", "outcome"],
            registry=registry,
        )
        self.conclusions = Counter(
            "clarion_conclusions",
            "Deliveries by the status they reached",
            ["channel", "status"],
            registry=registry,
        )
        self.fenced = Counter(
            "clarion_fenced", "Outcomes refused because their lease epoch was old", registry=registry
        )
        self.stage_seconds = Histogram(
            "clarion_stage_seconds",
            "Time a batch spends in a stage",
            ["stage"],
            registry=registry,
            buckets=_STAGE_BUCKETS,
        )
        self.journeys = JourneyMetrics(registry)
        self.queue = QueueMetrics(registry)
        self.outbox_events = Gauge("clarion_outbox_events", "Events not yet on the log", registry=registry)
        self.outbox_age = Gauge("clarion_outbox_age_seconds", "Age of the oldest of them", registry=registry)
        self.aside = SetAside(registry)
        self.breakers = Breakers(registry)
        self.spending = SpendingMetrics(registry)
        self.features = FeatureMetrics(registry)
        self.learning = LearningMetrics(registry)
        self.receipts = Counter(
            "clarion_receipts", "Receipts of providers and links, as folded", ["kind"], registry=registry
        )
        self.receipts_unknown = Counter(
            "clarion_receipts_unknown", "Receipts put off, about deliveries not known yet", registry=registry
        )
        self.visits_lost = Counter(
            "clarion_visits_lost", "Clicks and opens that were answered and not counted", registry=registry
        )
        self.clock_drift = Gauge(
            "clarion_clock_drift_seconds", "This machine's clock against the store's", registry=registry
        )

    def count(self, counter: Counter, amounts: Mapping[tuple[str, ...], int]) -> None:
        """Add a batch's amounts, by label values in the counter's order."""
        for labels, amount in amounts.items():
            counter.labels(*labels).inc(amount)

    def render(self) -> bytes:
        """The text exposition of all metrics."""
        return generate_latest(self._registry)
