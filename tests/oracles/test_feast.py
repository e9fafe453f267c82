"""Our features in Feast, from history to online store on Valkey: what it says of users is what we say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.features import ask_feast
from bench.learned import make_users
from clarion.adapters.feast.repository import write_repository
from clarion.intelligence.features import NAMES, compute
from clarion.kernel.errors import Invalid
from clarion.kernel.local_time import DAY_MS
from clarion.testing.valkey_servers import valkey_server
from tests.oracles.pythons import require_python

USERS = 20


@pytest.mark.oracle
@pytest.mark.timeout(180)
def test_feast_says_of_users_what_we_say(tmp_path: Path) -> None:
    require_python("feast")
    records = make_users(USERS)
    at_ms = int(records["as_of_ms"].max())
    with valkey_server(tmp_path) as server:
        said = ask_feast(tmp_path / "repository", server.url, at_ms, records, lookups=40)
    assert sorted(said.names) == sorted(NAMES)  # Feast keeps no order
    theirs = np.array([said.said[user_id] for user_id in records["user_id"].tolist()], np.float32)
    order = [said.names.index(name) for name in NAMES]
    np.testing.assert_array_equal(theirs[:, order], compute(records, at_ms))


def test_history_has_a_row_of_each_user_at_each_instant(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    records = make_users(USERS)
    first_ms = int(records["as_of_ms"].max())
    instants = [first_ms, first_ms + DAY_MS]
    rows = write_repository(tmp_path, "shop", "localhost:6379", [(at_ms, records) for at_ms in instants])
    table = parquet.read_table(tmp_path / "data" / "features.parquet")
    assert table.num_rows == rows == len(instants) * USERS
    assert table.column_names == ["user_id", "event_timestamp", *NAMES]
    later = np.stack([table[name].to_numpy()[USERS:] for name in NAMES], axis=1)
    np.testing.assert_array_equal(later, compute(records, instants[1]))


def test_a_project_that_feast_would_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="project"):
        write_repository(tmp_path, "my shop", "localhost:6379", [])
