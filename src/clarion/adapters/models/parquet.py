"""Parquet files, by column. `pyarrow` comes with `clarion[ml]`, and is loaded by what reads a file only."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clarion.kernel.errors import Invalid, Permanent


def read_columns(
    path: Path, wanted: Sequence[str], optional: Sequence[str] = ()
) -> Mapping[str, Sequence[Any]]:
    """Columns of a Parquet file by name, those of `optional` as far as they are there.

    Texts come as a list, numbers as an array. Raises Invalid where there is no such file, it is no Parquet, or it lacks
    a column; Permanent without `pyarrow`.
    """
    arrow, parquet = _load("pyarrow"), _load("pyarrow.parquet")
    try:
        names: set[str] = set(parquet.read_schema(path).names)
        missing = [name for name in wanted if name not in names]
        if missing:
            raise Invalid(
                f"{path} lacks the column {missing[0]!r}: it has {', '.join(sorted(names)) or 'none'}",
                missing[0],
            )
        chosen = [*wanted, *(name for name in optional if name in names)]
        table = parquet.read_table(path, columns=chosen)
    except FileNotFoundError:
        raise Invalid(f"there is no file {path}") from None
    except (arrow.ArrowException, OSError) as error:
        raise Invalid(f"{path} cannot be read as Parquet: {error}") from None
    found: dict[str, Sequence[Any]] = {}
    for name in chosen:
        column = table[name]
        kind = column.type
        is_number = arrow.types.is_integer(kind) or arrow.types.is_floating(kind)
        found[name] = column.to_numpy() if is_number else column.to_pylist()
    return found


def _load(name: str) -> Any:  # noqa: ANN401  it has no types of its own
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Permanent("reading Parquet needs pyarrow: pip install 'clarion[ml]'") from None
