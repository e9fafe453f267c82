"""`inference`: predictions of one core. One is a user and a message: 72 hours by 3 channels.

From records that were read to P(engage | user, channel, hour), everything included: decay to the present, posteriors,
calibration. Batches are as large as those that are accepted, of users that are all different. The baseline computes the
same formulas for one user at a time.
"""

from __future__ import annotations

import os
import time
from typing import Final

from bench.harness import Result, finish, median, run_in_process, say
from bench.learned import HOURS, NOW_MS, ask, make_users
from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features import RecordArray
from clarion.intelligence.models import DEFAULTS
from clarion.intelligence.serving import LearnedPredictor, Subject

BAR: Final = 200_000.0
AIM: Final = 600_000.0
BATCH: Final = 500
USERS: Final = 20_000
ALONE: Final = 500
ROUNDS: Final = 15
TENANT: Final = bytes(15) + b"\x07"


def run(users: int = USERS, rounds: int = ROUNDS) -> Result:
    """The median rate of some rounds over all users, in a process of its own with one thread."""
    os.environ.update(
        OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"
    )  # read when the fresh process loads numpy
    rate, alone = run_in_process(_rates, users, rounds)
    say(f"{rate:,.0f} predictions/s in batches of {BATCH}, {alone:,.0f}/s one by one")
    return finish(
        Result(
            "inference",
            round(rate),
            "predictions/s",
            f">= {BAR:,.0f} predictions/s on one core, aim {AIM:,.0f}",
            rate >= BAR,
            baseline=round(alone),
            ratio=round(rate / alone, 1),
            detail={"cells": HOURS * len(CHANNELS), "batch": BATCH, "users": users},
        )
    )


def _rates(users: int, rounds: int) -> tuple[float, float]:
    records = make_users(users)
    _predict(records[:BATCH], BATCH)
    together = [users / _predict(records, BATCH) for _ in range(rounds)]
    return median(together), ALONE / _predict(records[:ALONE], 1)


def _predict(records: RecordArray, batch: int) -> float:
    """Seconds of the processor for predictions about all users, `batch` at a time."""
    work = [
        (
            [Subject(TENANT, number) for number in range(start + 1, start + batch + 1)],
            records[start : start + batch],
            ask(start + 1, batch),
        )
        for start in range(0, len(records), batch)
    ]
    models = [DEFAULTS] * batch
    began = time.process_time()
    for subjects, known, question in work:
        LearnedPredictor(subjects, known, models, NOW_MS).predict(question)
    return time.process_time() - began
