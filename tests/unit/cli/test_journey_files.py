"""Journeys as files: read, checked and told about by file and place."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from clarion.entrypoints.cli.journey_files import read_journeys
from clarion.entrypoints.cli.main import app

SOUND = 'name: "{name}"\nsteps:\n  - {{type: email, template: welcome}}\n'


def run(*words: str) -> tuple[int, str]:
    """Exit code and output of `clarion journey …`."""
    result = CliRunner().invoke(app, ["journey", *words])
    return result.exit_code, result.output


def test_a_folder_is_read_with_what_is_below_it_but_not_the_tests(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.yaml").write_text(SOUND.format(name="b"))
    (tmp_path / "b.test.yaml").write_text("given: {}")
    (tmp_path / "deep" / "a.json").write_text('{"name": "a", "steps": [{"type": "exit"}]}')
    (tmp_path / "readme.md").write_text("no journey")

    assert [file.name for file in read_journeys([tmp_path])] == ["b", "a"]


def test_findings_have_file_and_place(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("name: one\nsteps:\n  - {type: emial, template: a}\n")
    (tmp_path / "two.yml").write_text("name: [")
    (tmp_path / "three.json").write_text("{")
    (tmp_path / "four.yaml").write_text("name: four\nsteps: [{type: exit}]\non: true\n")

    code, output = run("check", str(tmp_path))

    assert code == 1
    assert (
        f"{tmp_path}/one.yaml: steps[0].type: error: there is no step of type 'emial': did you mean email?"
        in output
    )
    assert f"{tmp_path}/two.yml: journey: error: it is no YAML" in output
    assert f"{tmp_path}/three.json: journey: error: it is no JSON" in output
    assert f"{tmp_path}/four.yaml: journey: error: the name true of a field is no text" in output
    assert "4 journeys, 4 with errors" in output


def test_two_files_of_one_journey_are_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(SOUND.format(name="same"))

    code, output = run("check", "-q", str(tmp_path))

    assert code == 1
    assert output.count("another file has a journey 'same' too") == len(["one", "two"])


def test_aliases_that_unfold_to_millions_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    (tmp_path / "bomb.yaml").write_text("\n".join([*lines, "name: bomb", "steps: [{type: exit}]"]))

    code, output = run("check", str(tmp_path))

    assert code == 1
    assert "this definition is too large to be read" in output


def test_a_sound_folder_is_well_and_an_empty_one_is_not(tmp_path: Path) -> None:
    assert run("check", str(tmp_path))[0] == 1
    (tmp_path / "b.yaml").write_text(SOUND.format(name="b"))
    assert run("check", str(tmp_path))[0] == 0
    assert run("check", str(tmp_path / "absent.yaml"))[0] == 1


def test_nothing_is_published_where_one_has_errors(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(SOUND.format(name="b"))
    (tmp_path / "c.yaml").write_text("name: c\n")

    code, output = run("apply", str(tmp_path), "--url", "http://127.0.0.1:9", "--key", "k")

    assert code == 1
    assert "nothing was published" in output


def test_the_schema_is_printed() -> None:
    code, output = run("schema")

    assert code == 0
    assert json.loads(output)["title"] == "Journey"
