"""`clarion simulate` and `clarion journey test`: rehearsals of files, without an instance."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from clarion.entrypoints.cli.journey_files import TEST_ENDINGS, read_journeys
from clarion.entrypoints.cli.rehearsal_files import ScenarioFile, read_events, read_scenario, read_tests
from clarion.entrypoints.cli.rehearsal_page import draw_page
from clarion.entrypoints.cli.rehearsal_text import show_result, show_user
from clarion.journeys.graph import Graph
from clarion.journeys.rehearsal import Result, rehearse
from clarion.journeys.rehearsal.expect import CaseWords, find_failures
from clarion.journeys.rehearsal.stage import make_config, set_stage, told_prices
from clarion.journeys.rehearsal.words import RehearsalWords, TenantWords
from clarion.kernel.errors import Invalid

USERS: Final = 1_000
TOLD: Final = 3
"""Users whose runs are told in full where nobody is named."""


class SimulateOptions(msgspec.Struct, frozen=True):
    """What `clarion simulate` was asked for; None: as the scenario has it."""

    journey: Path
    scenario: Path | None = None
    events: Path | None = None
    users: int | None = None
    days: float | None = None
    seed: int | None = None
    start: str = ""
    show: Sequence[str] = ()
    json: bool = False
    html: Path | None = None


def run_simulate(options: SimulateOptions) -> int:
    """Rehearse one journey, and print what came of it; the process's exit status. Raises Invalid on a wrong file."""
    (file,) = read_journeys([options.journey])
    graph = file.compiled.graph
    if graph is None:
        sys.stderr.writelines(f"{line}\n" for line in file.lines(notes=False))
        return 1
    words = _words(options)
    begun = time.monotonic()
    result = _rehearse(graph, words, words.tenant)
    took_s = time.monotonic() - begun
    if options.html is not None:
        options.html.write_text(draw_page(graph.name, result), "utf-8")
    if options.json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        return 0
    sys.stdout.writelines(f"{line}\n" for line in show_result(graph.name, result))
    for story in result.users if options.show else ():
        sys.stdout.writelines(f"{line}\n" for line in show_user(story))
    sys.stdout.write(f"rehearsed in {took_s:.1f} s\n")
    return 0


def run_tests(places: Sequence[Path]) -> int:
    """Run the test files of folders, or some of them, and say what is not as expected; the exit status."""
    paths = sorted({path for place in places for path in _tests_of(place)})
    cases = failed = 0
    for path in paths:
        for name, failures in _run_file(path):
            cases += 1
            failed += bool(failures)
            sys.stdout.write(f"{'FAILED' if failures else 'ok':<7}{path}: {name}\n")
            sys.stdout.writelines(f"       {failure}\n" for failure in failures)
    sys.stdout.write(f"{cases} cases in {len(paths)} files, {failed} failed\n")
    return 1 if failed or not cases else 0


def _run_file(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Each case of a file with what is not as expected. A journey with errors, or none, is a failure by itself."""
    try:
        tests = read_tests(path)
        (file,) = read_journeys([_journey_of(path, tests.journey)])
    except Invalid as error:
        yield "the file", [error.detail]
        return
    graph = file.compiled.graph
    if graph is None:
        yield file.path.name, file.lines(notes=False)
        return
    for case in tests.cases:
        yield case.name, _run_case(graph, case, tests.tenant)


def _run_case(graph: Graph, case: CaseWords, tenant: TenantWords) -> list[str]:
    named = replace(case, details=[*case.details, *case.expect.users] or [NOBODY])
    try:
        return find_failures(case.expect, _rehearse(graph, named, tenant))
    except Invalid as error:
        return [f"{error.path}: {error.detail}" if error.path else error.detail]


NOBODY: Final = "-"
"""The name of no user."""


def _rehearse(graph: Graph, words: RehearsalWords, tenant: TenantWords) -> Result:
    scenario = set_stage(graph, make_config(graph, tenant), words, time.time_ns() // 1_000_000)
    return rehearse(told_prices(scenario, tenant))


def _words(options: SimulateOptions) -> ScenarioFile:
    """The scenario with what the options say of it."""
    words = ScenarioFile(users=USERS) if options.scenario is None else read_scenario(options.scenario)
    changes = {
        "users": options.users,
        "days": options.days,
        "seed": options.seed,
        "start": options.start or None,
        "events": None if options.events is None else read_events(options.events),
        "details": list(options.show) or None,
    }
    words = replace(words, **{name: value for name, value in changes.items() if value is not None})
    if isinstance(words.users, int) and not words.details:
        return replace(words, details=[f"user-{number}" for number in range(1, TOLD + 1)])
    return words


def _tests_of(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    return [path for path in place.rglob("*") if path.name.endswith(TEST_ENDINGS) and path.is_file()]


def _journey_of(path: Path, named: str) -> Path:
    """The definition that a test file is about."""
    if named:
        return path.parent / named
    name = path.name.rpartition(".test.")[0]
    found = [path.parent / f"{name}{ending}" for ending in (".yaml", ".yml", ".json")]
    return next((one for one in found if one.is_file()), found[0])
