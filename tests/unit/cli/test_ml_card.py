"""The card of a model that was fitted on a file."""

from __future__ import annotations

import importlib
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clarion.entrypoints.cli.ml_card import CardOptions, run_card
from clarion.kernel.errors import Invalid


def write_file(path: Path, people: int, days: int) -> Path:
    """People who are there each day around an hour of their own, from 1 January 2024 on."""
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    chance = np.random.default_rng(5)
    who, day = np.divmod(np.arange(people * days), days)
    hour = (who % 12 + 9 + chance.integers(-1, 2, len(who))) % 24
    table = {
        "person": [f"p{number}" for number in who],
        "ts_utc": 1_704_067_200 + day * 86_400 + hour * 3_600,
        "utc_offset_minutes": np.zeros(len(who), np.int64),
    }
    parquet.write_table(arrow.table(table), path)
    return path


def test_the_same_file_gives_the_same_card_with_a_picture(tmp_path: Path):
    file = write_file(tmp_path / "a.parquet", 60, 60)
    texts: list[str] = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        assert run_card(CardOptions(file, folder, "shop")) == 0
        assert (folder / "shop.svg").read_text("utf-8").startswith("<svg")
        texts.append((folder / "shop.md").read_text("utf-8"))
    assert texts[0] == texts[1]
    assert "3,600 signs of 60 users, 2024-01-01" in texts[0]
    assert "![Predicted and found shares](shop.svg)" in texts[0]


def test_what_comes_later_is_left_out(tmp_path: Path):
    file = write_file(tmp_path / "a.parquet", 60, 60)
    run_card(CardOptions(file, tmp_path, "shop", datetime(2024, 2, 1)))  # noqa: DTZ001  as typer gives it
    assert "1,860 signs of 60 users, 2024-01-01 to 2024-02-01" in (tmp_path / "shop.md").read_text("utf-8")


def test_a_file_with_too_little_in_it_is_refused(tmp_path: Path):
    with pytest.raises(Invalid, match="30 people and 12 days"):
        run_card(CardOptions(write_file(tmp_path / "a.parquet", 20, 60), tmp_path, "shop"))
