"""A Feast repository in a folder: `feature_store.yaml`, `definitions.py`, `requirements.txt`, `data/features.parquet`.

It needs no Clarion where it is used, and Clarion needs no Feast: what is written are the same 48 numbers that decisions
are made by, computed here, so that there is one definition. Feast asks for redis-py < 8 and Clarion for 8.1: the two
never share an environment.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from clarion.intelligence.features import FEATURES, NAMES, RecordArray, compute
from clarion.kernel.errors import Invalid, Permanent

FEAST: Final = "0.67.0"
"""The release of Feast that the repository is written for, and tested with."""

VIEW: Final = "user_features"
KEPT_DAYS: Final = 400
"""As long as records are kept: a row that is older is nobody's."""

DATA: Final = Path("data") / "features.parquet"

_HEAD: Final = '''"""Clarion's features of users, as Feast has them. Written by Clarion: changes are lost."""

from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float32

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)

history = FileSource(
    name="history",
    path=str(Path(__file__).parent / "data" / "features.parquet"),
    timestamp_field="event_timestamp",
)
'''


def definitions() -> str:
    """The text of `definitions.py`: one entity, one view, a field for each of our features with its sentence."""
    fields = "".join(
        f"        Field(name={json.dumps(one.name)}, dtype=Float32, description={json.dumps(one.says)}),\n"
        for one in FEATURES
    )
    return (
        f"{_HEAD}\n{VIEW} = FeatureView(\n    name={json.dumps(VIEW)},\n    entities=[user],\n"
        f"    ttl=timedelta(days={KEPT_DAYS}),\n    schema=[\n{fields}    ],\n"
        "    source=history,\n    online=True,\n)\n"
    )


def configuration(project: str, redis: str) -> str:
    """The text of `feature_store.yaml`. `redis`: as Feast writes it, for example `localhost:6379,db=1`."""
    return (
        f"project: {project}\nprovider: local\nregistry: data/registry.db\n"
        f"online_store:\n  type: redis\n  connection_string: {json.dumps(redis)}\n"
        "offline_store:\n  type: file\nentity_key_serialization_version: 3\n"
    )


def write_repository(
    folder: Path, project: str, redis: str, snapshots: Iterable[tuple[int, RecordArray]]
) -> int:
    """Write a repository whose history are records at instants (UTC ms, any order); how many rows it has.

    Each row is what was known at its instant, and nothing later: Feast's point-in-time joins stay free of leaks. Raises
    Invalid where `project` is no name for Feast, Permanent without `pyarrow`.
    """
    if not (project.isascii() and project.replace("_", "").isalnum()):
        raise Invalid("a Feast project is named by letters, digits and underscores", "project")
    (folder / DATA).parent.mkdir(parents=True, exist_ok=True)
    (folder / "definitions.py").write_text(definitions(), "utf-8")
    (folder / "feature_store.yaml").write_text(configuration(project, redis), "utf-8")
    (folder / "requirements.txt").write_text(f"feast[redis]=={FEAST}\n", "utf-8")
    return _write_rows(folder / DATA, snapshots)


def _write_rows(path: Path, snapshots: Iterable[tuple[int, RecordArray]]) -> int:
    arrow, parquet = _load("pyarrow"), _load("pyarrow.parquet")
    instant = arrow.timestamp("ms", tz="UTC")
    schema = arrow.schema(
        [
            ("user_id", arrow.int64()),
            ("event_timestamp", instant),
            *((name, arrow.float32()) for name in NAMES),
        ]
    )
    rows = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for at_ms, records in snapshots:
            columns = [
                arrow.array(records["user_id"]),
                arrow.array(np.full(len(records), at_ms, np.int64)).cast(instant),
                *(arrow.array(column) for column in compute(records, at_ms).T),
            ]
            writer.write_table(arrow.table(columns, schema=schema))
            rows += len(records)
    return rows


def _load(name: str) -> Any:  # noqa: ANN401  it has no types of its own
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Permanent("writing Parquet needs pyarrow: pip install 'clarion[ml]'") from None
