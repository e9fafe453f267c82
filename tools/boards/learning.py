"""The board of what is learned of users: features, models, and decisions that had to do without."""

from __future__ import annotations

from typing import Final

from tools.boards.model import Board, Panel, Row, quantile

_DAY_S: Final = 86_400

_ACCEPT: Final = 'clarion_stage_seconds{stage="accept"}'
_TRAINING: Final = "clarion_ml_training_seconds"
_FALLBACKS_A_BATCH: Final = (
    'sum(rate(clarion_ml_fallbacks_total[5m])) / sum(rate(clarion_stage_seconds_count{stage="accept"}[5m]))'
)

_DECISIONS: Final = Row(
    "Decisions",
    (
        Panel(
            title="Decided with less than is known",
            about="Batches a second, by what was missing. Nothing waits for it: its rows are flagged ml_fallback.",
            queries=(("sum by (reason) (rate(clarion_ml_fallbacks_total[5m]))", "{{reason}}"),),
            unit="ops",
        ),
        Panel(
            title="The same, of batches",
            about="Fallbacks for each batch that was accepted. A batch of several tenants may count twice.",
            queries=((_FALLBACKS_A_BATCH, "fallbacks"),),
            unit="percentunit",
            limit=0.05,
        ),
        Panel(
            title="What accepting takes",
            about="A batch, decisions included. Models may take 10 ms of it.",
            queries=((quantile(0.5, _ACCEPT), "half"), (quantile(0.99, _ACCEPT), "99 of 100")),
            unit="s",
        ),
    ),
)

_MODELS: Final = Row(
    "Models",
    (
        Panel(
            title="Age of the oldest model in force",
            about="Trained each night, and at once past 48 hours. Past seven days it is not used.",
            queries=(("max(clarion_ml_oldest_model_seconds)", "oldest"),),
            unit="s",
            limit=3 * _DAY_S,
        ),
        Panel(
            title="Trainings of a day",
            about="By what came of them. Refused is no fault: the newer model was surely worse.",
            queries=(("sum by (outcome) (increase(clarion_ml_trainings_total[1d]))", "{{outcome}}"),),
        ),
        Panel(
            title="What a training takes",
            about="One tenant: history, fit and judgement.",
            queries=(
                (quantile(0.5, _TRAINING, over="1d"), "half"),
                (quantile(0.99, _TRAINING, over="1d"), "99 of 100"),
            ),
            unit="s",
        ),
        Panel(
            title="Models not taken up",
            about="Models or trees: damaged, of a newer release, or without the extra ml. The ones before go on.",
            queries=(("sum(increase(clarion_ml_bad_artefacts_total[1h]))", "of an hour"),),
        ),
        Panel(
            title="Drift",
            about="What users do, at the tenant that changed most: 0 is no change, 0.25 a break, which trains anew.",
            queries=(
                ("max by (of) (clarion_ml_drift_psi)", "{{of}}"),
                ("sum by (of) (increase(clarion_ml_drift_alarms_total[1d]))", "alarms of a day: {{of}}"),
            ),
        ),
        Panel(
            title="Calibration",
            about="How far the 70 % sets of hours are from holding 70 %, at the worst tenant. The aim is 0.02.",
            queries=(("max(clarion_ml_calibration_error)", "worst"),),
            unit="percentunit",
        ),
        Panel(
            title="Returns to baseline",
            about="Features that were switched off at a tenant, because its own hold-out showed that they harm.",
            queries=(
                ("sum by (feature) (increase(clarion_ml_returns_to_baseline_total[1d]))", "{{feature}}"),
            ),
        ),
    ),
)

_FEATURES: Final = Row(
    "Features",
    (
        Panel(
            title="Signs folded",
            about="Sends and acts of users, a second.",
            queries=(("sum(rate(clarion_features_signs_total[5m]))", "signs"),),
            unit="ops",
        ),
        Panel(
            title="How far behind",
            about="How old the latest sign was when it was folded. The last value stays where there is no traffic.",
            queries=(("max(clarion_features_behind_seconds)", "behind"),),
            unit="s",
            limit=60,
        ),
        Panel(
            title="Not archived yet",
            about="Users whose features would have to be made from history, if Valkey were lost now.",
            queries=(("sum(clarion_features_unarchived)", "users"),),
        ),
    ),
)

LEARNING: Final = Board("learning", "clarion-learning", "Clarion: learning", (_DECISIONS, _MODELS, _FEATURES))
