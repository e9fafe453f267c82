"""Dashboards and alerts ask for metrics that exist, by labels that they have; no metric is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import yaml

from clarion.adapters.telemetry.metrics import Metrics
from tools.boards.__main__ import BOARDS, FOLDER
from tools.boards.model import Board, Panel, quantile, rendered

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy/prometheus/clarion.rules.yaml"
ALERTS: Final = ROOT / "docs/how-to/alerts.md"

SELECTOR: Final = re.compile(r"\b(clarion_\w+)(?:\{([^}]*)\})?")
GROUPED: Final = re.compile(r"\bby \(([^)]*)\)")
MATCHER: Final = re.compile(r'(\w+)(=|!=|=~)"([^"]*)"')
PART_OF_HISTOGRAM: Final = re.compile(r"_(bucket|count|sum)$")


def labels_of_metrics() -> dict[str, set[str]]:
    """The labels of every metric, as the reference names them (another test holds it to the code)."""
    page = (ROOT / "docs/reference/metrics.md").read_text("utf-8")
    rows = re.findall(r"^\| `(clarion_\w+)` \|([^|]*)\|", page, flags=re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def panels() -> Iterator[Panel]:
    for board in BOARDS:
        for row in board.rows:
            yield from row.panels


def queries() -> list[str]:
    drawn = [expression for panel in panels() for expression, _ in panel.queries]
    return list(dict.fromkeys(drawn + [rule["expr"] for rule in rules()]))


def metrics_in(query: str) -> set[str]:
    return {PART_OF_HISTOGRAM.sub("", name) for name, _ in SELECTOR.findall(query)}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_boards_are_written_as_they_are_described(board: Board):
    assert (FOLDER / f"{board.name}.json").read_text("utf-8") == rendered(board), "run python -m tools.boards"


def test_no_other_board_lies_beside_them():
    assert {path.stem for path in FOLDER.iterdir()} == {board.name for board in BOARDS}
    assert len({board.uid for board in BOARDS}) == len(BOARDS)


@pytest.mark.parametrize("query", queries())
def test_queries_ask_for_what_exists(query: str):
    known, asked = labels_of_metrics(), metrics_in(query)
    assert asked
    assert asked <= known.keys()
    for name, matchers in SELECTOR.findall(query):
        labels = {label for label, _, _ in MATCHER.findall(matchers)}
        assert labels <= known[PART_OF_HISTOGRAM.sub("", name)]
    of_any = set[str]().union(*(known[name] for name in asked))
    for labels in GROUPED.findall(query):
        assert {label.strip() for label in labels.split(",")} <= of_any | {"le"}


@pytest.mark.parametrize("query", queries())
def test_counters_are_asked_for_their_growth_and_nothing_else_is(query: str):
    """A counter by itself says when its process started; the rate of a gauge says nothing."""
    growing = re.findall(r"\b(?:rate|increase)\((clarion_\w+)", query)
    assert all(re.search(r"_(total|bucket|count|sum)$", name) for name in growing)
    counters = [name for name, _ in SELECTOR.findall(query) if re.search(r"_(total|bucket|count)$", name)]
    assert counters == growing


def test_every_metric_is_on_a_board():
    drawn = {name for panel in panels() for expression, _ in panel.queries for name in metrics_in(expression)}
    assert labels_of_metrics().keys() - drawn == set()


def test_legends_name_labels_that_are_left():
    for panel in panels():
        for expression, legend in panel.queries:
            left = {label.strip() for group in GROUPED.findall(expression)[:1] for label in group.split(",")}
            assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= left, panel.title


def test_panels_neither_overlap_nor_share_a_number():
    for board in BOARDS:
        drawn = msgspec.json.decode(rendered(board))["panels"]
        assert len({panel["id"] for panel in drawn}) == len(drawn)
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in drawn)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(set(cells)) == len(cells)
        assert max(x for x, _ in cells) < 24


def test_alerts_say_what_happened_and_how_urgent_it_is():
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "ticket", "info"}
        assert rule["annotations"]["summary"]


def test_the_page_of_alerts_shows_the_rules_themselves():
    shown = re.search(r"```yaml\n(.*?)```", ALERTS.read_text("utf-8"), flags=re.DOTALL)
    assert shown is not None
    assert shown[1] == RULES.read_text("utf-8")


def test_what_rarely_happens_is_counted_from_zero():
    """Prometheus sees no growth in a series whose first value is 1: an alert on it would miss the first time."""
    shown = Metrics().render().decode()
    rare = [rule["expr"] for rule in rules() if "increase(" in rule["expr"]]
    assert rare
    for name, matchers in (found for query in rare for found in SELECTOR.findall(query)):
        series = re.findall(rf"^{name}(?:\{{(.*)\}})? 0\.0$", shown, flags=re.MULTILINE)
        assert series, f"{name} has no series before the first time"
        for label, sign, value in MATCHER.findall(matchers):
            assert sign == "="
            assert any(f'{label}="{value}"' in one for one in series)


def test_quantiles_keep_matchers_and_labels():
    assert quantile(0.99, 'clarion_x{a="b"}', by=("c",), over="1h") == (
        'histogram_quantile(0.99, sum by (le, c) (rate(clarion_x_bucket{a="b"}[1h])))'
    )
