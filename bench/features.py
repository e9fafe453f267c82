"""`features`: one user's 48 features, read from Valkey; ours, and Feast's from the same Valkey in the same run.

Feast runs in an environment of its own (`.oracles/feast`, see docs/how-to/feast.md); without it, only ours is measured,
and the bench says that it has no baseline. Both say the same of the same users, or the bench fails.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import numpy as np
import uvloop

from bench.feast_side import MANY
from bench.harness import Result, finish, percentile, run_in_process, say
from bench.learned import make_users
from clarion.adapters.feast.repository import write_repository
from clarion.adapters.valkey.client import connect
from clarion.adapters.valkey.features import ValkeyFeatures
from clarion.intelligence.features import NAMES, RecordArray, compute
from clarion.kernel.local_time import DAY_MS
from clarion.testing.valkey_servers import valkey_server

BAR_MS: Final = 5.0
TIMES_FASTER: Final = 20.0
USERS: Final = 200
LOOKUPS: Final = 10_000
OF_FEAST: Final = 2_000
TIMEOUT_S: Final = 300.0

ROOT: Final = Path(__file__).parents[1]
FEAST: Final = Path(os.environ.get("CLARION_ORACLES", ROOT / ".oracles")) / "feast" / "bin" / "python"


class FeastSaid(msgspec.Struct, frozen=True):
    """What `feast_side` prints."""

    feast: str
    names: list[str]
    said: dict[int, list[float]]
    spans: list[float]
    of_many: list[float]
    written_s: float


class OursSaid(msgspec.Struct, frozen=True):
    """How long look-ups of one user took, of which the bare read, and look-ups of `MANY`; ms."""

    spans: list[float]
    reads: list[float]
    of_many: list[float]


def run(lookups: int = LOOKUPS) -> Result:
    """One look-up after another, each of another user."""
    ours, theirs, apart = run_in_process(measure, lookups)
    p50, p99 = percentile(ours.spans, 0.5), percentile(ours.spans, 0.99)
    read, many = percentile(ours.reads, 0.5), percentile(ours.of_many, 0.5)
    say(f"ours: p50 {p50:.3f} ms (read {read:.3f}), p99 {p99:.3f} ms; {MANY} users p50 {many:.3f} ms")
    detail: dict[str, Any] = {"lookups": len(ours.spans), "read_p50_ms": round(read, 4)}
    detail["of_100_p50_ms"] = round(many, 3)
    baseline = ratio = None
    if theirs is not None:
        feast_p50, baseline = percentile(theirs.spans, 0.5), round(percentile(theirs.spans, 0.99), 3)
        feast_many = percentile(theirs.of_many, 0.5)
        ratio = round(feast_p50 / p50, 1)
        say(
            f"feast {theirs.feast}: p50 {feast_p50:.3f} ms, p99 {baseline:.3f} ms; {MANY} users p50 {feast_many:.3f} ms"
        )
        detail |= {"feast": theirs.feast, "feast_p50_ms": round(feast_p50, 3), "apart": apart}
        detail |= {"p99_ratio": round(baseline / p99, 1), "of_100_ratio": round(feast_many / many, 1)}
        detail["feast_of_100_p50_ms"] = round(feast_many, 3)
    reached = p99 < BAR_MS and ratio is not None and ratio >= TIMES_FASTER and apart == 0
    return finish(
        Result(
            "features",
            round(p99, 3),
            "ms (p99)",
            f"p99 < {BAR_MS:g} ms, and {TIMES_FASTER:g} times as fast as Feast on the same Valkey (p50 by p50)",
            reached,
            baseline=baseline,
            ratio=ratio,
            p50_ms=round(p50, 4),
            p99_ms=round(p99, 4),
            detail=detail,
        )
    )


def measure(lookups: int) -> tuple[OursSaid, FeastSaid | None, float]:
    """How long ours took (ms); Feast's side, if there is one; by how much the two differ at most."""
    with tempfile.TemporaryDirectory() as folder, valkey_server(Path(folder)) as server:
        records = make_users(USERS)
        ours = uvloop.run(_measure(server.url, records, lookups))
        if not FEAST.exists():
            say(f"no Feast at {FEAST}: nothing to compare with")
            return ours, None, 0.0
        at_ms = int(records["as_of_ms"].max())
        theirs = ask_feast(Path(folder) / "feast", server.url, at_ms, records, OF_FEAST)
        said = np.array([theirs.said[user_id] for user_id in records["user_id"].tolist()], np.float32)
        order = [theirs.names.index(name) for name in NAMES]
        return ours, theirs, float(np.abs(said[:, order] - compute(records, at_ms)).max())


def measure_ours(lookups: int) -> OursSaid:
    """How long ours took, without Feast."""
    with tempfile.TemporaryDirectory() as folder, valkey_server(Path(folder)) as server:
        return uvloop.run(_measure(server.url, make_users(USERS), lookups))


def ask_feast(folder: Path, url: str, at_ms: int, records: RecordArray, lookups: int) -> FeastSaid:
    """Write a repository of records of users 1, 2, … as of an instant, and let Feast serve it from a Valkey.

    Raises CalledProcessError where Feast fails.
    """
    parts = urlsplit(url)
    secret = f",password={parts.password}" if parts.password else ""
    write_repository(folder, "clarion", f"{parts.hostname}:{parts.port}{secret}", [(at_ms, records)])
    words = [at_ms - DAY_MS, at_ms + DAY_MS, len(records), lookups]
    done = subprocess.run(
        # -P: else Feast would take the benches beside the script for modules that it imports (`click`).
        [str(FEAST), "-P", str(Path(__file__).with_name("feast_side.py")), str(folder), *map(str, words)],
        env={**os.environ, "FEAST_USAGE": "False"},
        stdout=subprocess.PIPE,
        timeout=TIMEOUT_S,
        check=True,
    )
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=FeastSaid)


async def _measure(url: str, records: RecordArray, lookups: int) -> OursSaid:
    valkey = await connect(url)
    store = ValkeyFeatures(valkey)
    await store.write(records)
    now_ms = int(records["as_of_ms"].max())
    spans, reads, of_many = list[float](), list[float](), list[float]()

    async def look_up(user_ids: list[int]) -> tuple[float, float]:
        began = time.perf_counter_ns()
        found = await store.read(user_ids)
        read = time.perf_counter_ns()
        compute(found, now_ms)
        return (time.perf_counter_ns() - began) / 1e6, (read - began) / 1e6

    for number in range(-lookups // 10, lookups):
        span, read = await look_up([number % USERS + 1])
        if number >= 0:
            spans.append(span)
            reads.append(read)
    for number in range(lookups // 40):
        span, _ = await look_up([(number + place) % USERS + 1 for place in range(MANY)])
        of_many.append(span)
    await valkey.close()
    return OursSaid(spans, reads, of_many)
