"""What an import keeps, so that a killed one goes on where it was."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from clarion.entrypoints.cli.checkpoint import Checkpoint, checkpoint_of, fingerprint, open_journal
from clarion.entrypoints.cli.user_file import FileShape, Position, Record
from clarion.kernel.errors import Conflict, Invalid


def bad(line: int) -> tuple[Record, Invalid]:
    return Record(line, Invalid("is wrong", "email"), ["x"]), Invalid("is wrong", "email")


def lines_of(rejects: Path) -> list[int]:
    return [msgspec.json.decode(line)["line"] for line in rejects.read_bytes().splitlines()]


def test_what_was_rejected_behind_the_last_checkpoint_is_rejected_again_and_told_once(tmp_path: Path):
    rejects = tmp_path / "rejects"
    with open_journal("f", rejects, restart=False) as journal:
        size = journal.reject([bad(2), bad(3)])
        journal.reach(Checkpoint(file="f", position=Position(10, 3), reject_bytes=size, rejected=2))
        journal.reject([bad(5)])
    with open_journal("f", rejects, restart=False) as journal:
        assert journal.reached == Checkpoint(
            file="f", position=Position(10, 3), reject_bytes=size, rejected=2
        )
        journal.reject([bad(5)])
    assert lines_of(rejects) == [2, 3, 5]


def test_an_import_that_is_over_leaves_no_checkpoint_and_no_empty_rejects(tmp_path: Path):
    for errors, left in (([], []), ([bad(2)], ["rejects"])):
        with open_journal("f", tmp_path / "rejects", restart=False) as journal:
            journal.reach(Checkpoint(file="f", reject_bytes=journal.reject(errors)))
            journal.finish()
        assert [path.name for path in tmp_path.iterdir()] == left


def test_two_imports_of_one_file_do_not_mix(tmp_path: Path):
    with (
        open_journal("f", tmp_path / "rejects", restart=False),
        pytest.raises(Conflict, match="another import"),
        open_journal("f", tmp_path / "rejects", restart=False),
    ):
        pass


def test_a_checkpoint_of_another_file_is_not_gone_on_from_but_begun_anew(tmp_path: Path):
    rejects = tmp_path / "rejects"
    with open_journal("f", rejects, restart=False) as journal:
        journal.reach(Checkpoint(file="f", position=Position(10, 3), reject_bytes=journal.reject([bad(2)])))
    with pytest.raises(Invalid, match="--restart"), open_journal("g", rejects, restart=False):
        pass
    with open_journal("g", rejects, restart=True) as journal:
        assert journal.reached == Checkpoint(file="g")
    assert lines_of(rejects) == []


def test_a_checkpoint_that_is_none_is_told(tmp_path: Path):
    checkpoint_of(tmp_path / "rejects").write_bytes(b"{")
    with (
        pytest.raises(Invalid, match="is no checkpoint"),
        open_journal("f", tmp_path / "rejects", restart=False),
    ):
        pass


def test_a_place_that_takes_no_rejects_is_told(tmp_path: Path):
    gone = tmp_path / "gone" / "rejects"
    with pytest.raises(Invalid, match="--rejects"), open_journal("f", gone, restart=False):
        pass


def test_a_file_is_known_by_its_content_its_size_and_how_it_is_read(tmp_path: Path):
    file = tmp_path / "users.csv"
    file.write_bytes(b"user_id\nada\n")
    before = fingerprint(file, FileShape(), b"t")
    assert fingerprint(file, FileShape(), b"t") == before
    assert fingerprint(file, FileShape(delimiter=";"), b"t") != before
    assert fingerprint(file, FileShape(), b"u") != before
    file.write_bytes(b"user_id\nbob\n")
    assert fingerprint(file, FileShape(), b"t") != before
