"""What the decisions of a batch may use of what was learned of users, and which of them try something else.

Three things keep what is known of a user from her decision: the tenant switched the feature off, she is held out from
it, or there is nothing to choose, so that nothing has to be read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from clarion.audience.model import Card
from clarion.contracts.work import URGENT_PRIORITY
from clarion.intelligence.serving import EVERY_FEATURE, Subject, held_out, switched_off
from clarion.intelligence.serving.assignment import assign, settings_in
from clarion.orchestration.lots import Lots, draw_lots
from clarion.orchestration.model import Draft
from clarion.tenancy.model import Experiment, MlSettings


class Learner(NamedTuple):
    """One row of a batch: who asks, by which settings, and for whom. A test credential tries and holds out nothing."""

    tenant_id: bytes
    settings: MlSettings
    is_test: bool
    draft: Draft
    card: Card


def find_holdouts(rows: Sequence[Learner]) -> list[int]:
    """By row, the mask of the features from which its user is held out."""
    masks = np.zeros(len(rows), np.int64)
    by_tenant: defaultdict[bytes, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if not row.is_test:
            by_tenant[row.tenant_id].append(place)
    for tenant_id, places in by_tenant.items():
        user_ids = np.array([rows[place].card.user_id for place in places])
        masks[places] = held_out(tenant_id, user_ids, rows[places[0]].settings)
    return masks.tolist()


def put_into_arms(rows: Sequence[Learner], experiments: Sequence[Experiment | None]) -> list[Learner]:
    """The rows, each by the settings of its user's arm where its tenant runs an experiment (else None)."""
    found = list(rows)
    by_experiment: defaultdict[bytes, list[int]] = defaultdict(list)
    for place, (row, experiment) in enumerate(zip(rows, experiments, strict=True)):
        if experiment is not None and not row.is_test:
            by_experiment[experiment.experiment_id].append(place)
    for places in by_experiment.values():
        experiment, settings = experiments[places[0]], rows[places[0]].settings
        if experiment is not None:
            arms = assign(experiment, np.array([rows[place].card.user_id for place in places]))
            by_arm = [settings_in(arm, settings) for arm in experiment.arms]
            for place, arm in zip(places, arms.tolist(), strict=True):
                found[place] = rows[place]._replace(settings=by_arm[arm])
    return found


def find_subjects(rows: Sequence[Learner], holdouts: Sequence[int]) -> list[Subject]:
    """Whom to prepare a forecast about, and what must stay hidden of each; `holdouts` as `find_holdouts` says."""
    return [
        Subject(
            row.tenant_id,
            row.card.user_id,
            switched_off(row.settings) | (holdout if leaves_choice(row.draft, row.card) else EVERY_FEATURE),
        )
        for row, holdout in zip(rows, holdouts, strict=True)
    ]


def find_lots(rows: Sequence[Learner], holdouts: Sequence[int], idents: Sequence[bytes]) -> Lots:
    """What chance has for each row, by the id of its notification."""
    rate = [0.0 if row.is_test or row.settings.off else row.settings.exploration for row in rows]
    return draw_lots(b"".join(idents), rate, holdouts)


def leaves_choice(draft: Draft, card: Card) -> bool:
    """Whether a forecast can change anything: there is an hour to choose, or one of several channels."""
    if draft.send_time == "optimal" and draft.priority > URGENT_PRIORITY:
        return True
    channels = draft.requested & draft.rendered & draft.category.channels & card.reachable
    return draft.selection == "optimal" and channels.bit_count() > 1
