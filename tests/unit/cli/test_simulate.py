"""`clarion simulate` and `clarion journey test`: rehearsals of files, and what they say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import pytest
from typer.testing import CliRunner

from clarion.entrypoints.cli.main import app
from clarion.entrypoints.cli.rehearsal_files import read_events
from clarion.journeys.rehearsal.words import EventWords
from clarion.kernel.errors import Invalid

EXAMPLES: Final = Path(__file__).parents[3] / "examples" / "journeys"
JOURNEY: Final = """\
name: hello
trigger: {type: event, event: go}
steps:
  - {id: hello, type: email, template: hello, category: service}
"""
SCENARIO: Final = """\
start: 2026-11-23T10:00:00Z
days: 2
users: [{id: ann, country: AU}]
"""
TESTS: Final = """\
cases:
  - name: she is greeted
    start: "2026-11-23T10:00:00Z"
    days: 2
    users: [{id: ann, country: AU}]
    events: [{event: go}]
    expect:
      users:
        ann: {messages: [{step: hello, channel: CHANNEL}], status: completed}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a journey and a scenario."""
    (tmp_path / "hello.yaml").write_text(JOURNEY)
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    return tmp_path


def run(*words: str | Path) -> tuple[int, str]:
    """Exit code and output of `clarion …`."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.test.yaml")), ids=lambda path: path.name)
def test_the_examples_do_what_their_tests_say(path: Path):
    code, output = run("journey", "test", path)

    assert code == 0, output


@pytest.mark.parametrize(
    "path",
    sorted(path for path in EXAMPLES.glob("*.yaml") if not path.name.endswith(".test.yaml")),
    ids=lambda path: path.name,
)
def test_the_examples_have_nothing_doubtful(path: Path):
    code, output = run("journey", "check", path, "--quiet")

    assert code == 0
    assert "warning" not in output


def test_a_test_that_fails_says_what_came_instead(folder: Path):
    (folder / "hello.test.yaml").write_text(TESTS.replace("CHANNEL", "sms"))

    code, output = run("journey", "test", folder)

    assert code == 1
    assert "ann: message 1 is hello by email, delivered, at the start (Mon 2026-11-23 10:00:00 UTC)" in output
    assert "its channel should be sms" in output
    assert output.endswith("1 cases in 1 files, 1 failed\n")


def test_a_test_that_passes_says_so(folder: Path):
    (folder / "hello.test.yaml").write_text(TESTS.replace("CHANNEL", "email"))

    assert run("journey", "test", folder)[0] == 0


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (("name: she is greeted", "nam: x"), "unknown field"),
        (('"2026-11-23T10:00:00Z"', '"soon"'), "start"),
        (("cases:", "journey: elsewhere.yaml\ncases:"), "cannot be read"),
    ],
)
def test_a_wrong_test_file_fails_with_its_place(folder: Path, changed: tuple[str, str], told: str):
    (folder / "hello.test.yaml").write_text(TESTS.replace(*changed))

    code, output = run("journey", "test", folder)

    assert code == 1
    assert told in output


def test_a_folder_without_tests_is_no_success(folder: Path):
    assert run("journey", "test", folder)[0] == 1


def test_simulate_tells_figures_and_users(folder: Path):
    events = folder / "events.csv"
    events.write_text("user_id,event,at,amount\nann,go,+1h,12\nnobody,go,,\n")

    code, output = run(
        "simulate", folder / "hello.yaml", "--scenario", folder / "scenario.yaml", "--events", events,
        "--show", "ann",
    )  # fmt: skip

    assert code == 0, output
    assert "hello: 1 users over 2 days from Mon 2026-11-23 10:00 UTC" in output
    assert "1 runs: 1 completed" in output
    assert "Mon 2026-11-23 11:00 UTC  hello" in output


def test_simulate_gives_json_and_a_page_by_itself(folder: Path):
    page = folder / "page.html"

    code, output = run(
        "simulate", folder / "hello.yaml", "--users", "20", "--days", "3", "--json", "--html", page
    )  # fmt: skip

    result = msgspec.json.decode(output)
    assert code == 0
    assert result["entered"] == 20
    assert "<svg" in page.read_text()
    assert "http" not in page.read_text()


def test_simulate_refuses_a_journey_with_errors(folder: Path):
    (folder / "hello.yaml").write_text("name: hello\nsteps: [{type: nonsense}]\n")

    code, _ = run("simulate", folder / "hello.yaml")

    assert code == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("e.yaml", "events: [{event: go, user: ann, at: 60, properties: {amount: 12, kind: new}}]"),
        ("e.json", '[{"event": "go", "user": "ann", "at": 60, "properties": {"amount": 12, "kind": "new"}}]'),
        (
            "e.ndjson",
            '{"event_name": "go", "user_id": "ann", "timestamp": 60, "properties": {"amount": 12, "kind": "new"}}\n',
        ),
        ("e.csv", "user,event,at,properties.amount,kind\nann,go,60,12,new\n"),
    ],
)
def test_events_are_read_as_people_have_them(tmp_path: Path, name: str, text: str):
    path = tmp_path / name
    path.write_text(text)

    (event,) = read_events(path)

    assert event.properties == {"amount": 12, "kind": "new"}
    assert (event.event, event.user, float(event.at)) == ("go", "ann", 60)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.ndjson", b'{"event": "go"}\n{"event": '),
        ("e.csv", b"user,at\nann,1\n"),
        ("e.yaml", b"events: [1, 2]"),
        ("e.yaml", b"a: [b"),
        ("e.json", b"\xff\xfe"),
    ],
)
def test_a_wrong_file_of_events_is_refused_with_its_name(tmp_path: Path, name: str, content: bytes):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(Invalid) as raised:
        read_events(path)

    assert str(path) in raised.value.detail


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(Invalid):
        read_events(tmp_path / "none.csv")


def test_an_event_without_more_is_everybodys_at_the_start(tmp_path: Path):
    path = tmp_path / "e.yaml"
    path.write_text("[{event: go}]")

    assert read_events(path) == [EventWords("go")]
