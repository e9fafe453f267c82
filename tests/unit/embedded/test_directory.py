from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from clarion.adapters.embedded import Credentials, DataDirectory, DirectoryUnusable


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_directory_is_closed_to_others(tmp_path: Path):
    directory = DataDirectory.open(tmp_path / "far" / "data")
    Credentials(directory).password("postgres")

    assert mode(directory.root) == 0o700
    assert mode(directory.logs) == 0o700
    assert [mode(path) for path in (directory.credentials, directory.master_key)] == [0o600, 0o600]


def test_opened_again_it_holds_the_same_secrets(tmp_path: Path):
    first = Credentials(DataDirectory.open(tmp_path / "data"))
    key, password = first.master_key(), first.password("postgres")

    second = Credentials(DataDirectory.open(tmp_path / "data"))

    assert (second.master_key(), second.password("postgres")) == (key, password)
    assert len(base64.b64decode(key)) == 32


def test_somebody_elses_directory_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "thesis.tex").touch()

    with pytest.raises(DirectoryUnusable, match=r"not empty .* \(it holds thesis.tex\)"):
        DataDirectory.open(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["lost+found", "master.key", ".clarion.json.k2x", ".master.key.k2x"])
def test_a_fresh_file_system_and_a_first_start_that_was_cut_short_are_accepted(tmp_path: Path, name: str):
    (tmp_path / name).touch()

    DataDirectory.open(tmp_path)


def test_a_file_in_the_way_is_named(tmp_path: Path):
    (tmp_path / "file").touch()

    with pytest.raises(DirectoryUnusable, match="file: it is a file, not a directory"):
        DataDirectory.open(tmp_path / "file")
    with pytest.raises(DirectoryUnusable, match="a part of the path is a file"):
        DataDirectory.open(tmp_path / "file" / "data")


def test_a_directory_of_a_newer_release_is_refused(tmp_path: Path):
    directory = DataDirectory.open(tmp_path)
    (directory.root / "clarion.json").write_text('{"layout": 99}')

    with pytest.raises(DirectoryUnusable, match=r"newer Clarion \(layout 99"):
        DataDirectory.open(tmp_path)


def test_a_damaged_mark_is_told(tmp_path: Path):
    directory = DataDirectory.open(tmp_path)
    (directory.root / "clarion.json").write_text("{")

    with pytest.raises(DirectoryUnusable, match=r"clarion\.json is damaged"):
        DataDirectory.open(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="others cannot give files away")
def test_root_does_not_lock_the_owner_out(tmp_path: Path):
    directory = DataDirectory.open(tmp_path)
    os.chown(directory.root / "clarion.json", 1000, 1000)

    for door in (DataDirectory.open, DataDirectory.existing):
        with pytest.raises(DirectoryUnusable, match="belongs to the user with id 1000; run as that user"):
            door(tmp_path)


def test_another_command_needs_a_directory_that_exists(tmp_path: Path):
    with pytest.raises(DirectoryUnusable, match="is not a Clarion data directory"):
        DataDirectory.existing(tmp_path / "nowhere")

    DataDirectory.open(tmp_path / "data")
    assert DataDirectory.existing(tmp_path / "data").root == tmp_path / "data"


def test_credentials_are_added_without_losing_others(tmp_path: Path):
    directory = DataDirectory.open(tmp_path)
    credentials = Credentials(directory)
    password = credentials.password("postgres")

    credentials.keep(tenant_id="t", api_key="k")
    credentials.keep(api_key="k2")

    assert json.loads(directory.credentials.read_text()) == {
        "postgres": password,
        "tenant_id": "t",
        "api_key": "k2",
    }


def test_damaged_credentials_are_told_and_not_overwritten(tmp_path: Path):
    directory = DataDirectory.open(tmp_path)
    directory.credentials.write_text('{"postgres": ')

    with pytest.raises(DirectoryUnusable, match=r"credentials\.json is damaged"):
        Credentials(directory).password("postgres")

    assert directory.credentials.read_text() == '{"postgres": '


def test_a_lost_master_key_is_never_replaced(tmp_path: Path):
    directory = DataDirectory.open(tmp_path)
    directory.master_key.unlink()

    with pytest.raises(DirectoryUnusable, match=r"master\.key is missing; restore it"):
        Credentials(DataDirectory.open(tmp_path)).master_key()


def test_a_log_that_has_grown_is_put_aside(tmp_path: Path):
    directory = DataDirectory.open(tmp_path)
    log = directory.log("api")
    log.touch()
    with log.open("r+b") as file:
        file.truncate(17 * 1024 * 1024)

    assert directory.log("api") == log
    assert not log.exists()
    assert log.with_suffix(".log.1").stat().st_size == 17 * 1024 * 1024
