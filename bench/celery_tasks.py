"""The baseline of `pipeline`: Celery's empty task, on the same Valkey."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("bench", broker=os.environ.get("BENCH_BROKER", "redis://127.0.0.1:1/0"))
app.conf.task_ignore_result = True
app.conf.worker_prefetch_multiplier = 64
app.conf.broker_connection_retry_on_startup = True


@app.task
def nothing(number: int) -> None:
    """Do nothing with a number."""
