"""What `clarion import users` can be told, and what it refuses to be told."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from clarion.entrypoints.cli.main import app
from clarion.kernel.errors import Invalid


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("import", "users", "FILE", "--map", "user_id"), "is not COLUMN=FIELD"),
        (("import", "users", "FILE", "--format", "xml"), "there are: csv, ndjson"),
        (("import", "users", "FILE", "--delimiter", "::"), "one character"),
        (("import", "users", "FILE", "--encoding", "klingon"), "klingon"),
        (("import", "users", "FILE.gone"), "No such file"),
        (("export", "users", "--format", "xml"), "there are: ndjson, csv"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_opened(
    tmp_path: Path, words: tuple[str, ...], says: str
):
    file = tmp_path / "FILE"
    file.write_bytes(b"user_id\nada\n")
    given = [word.replace("FILE", str(file)) for word in words]
    error = CliRunner().invoke(app, given).exception
    assert isinstance(error, Invalid)
    assert says in error.detail
