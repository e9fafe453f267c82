from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from clarion.adapters.telemetry.metrics import Metrics
from clarion.compliance.rules import EXPLANATIONS
from clarion.contracts.events import NotificationEvent
from clarion.contracts.journey_events import JourneyEvent
from clarion.contracts.topics import TOPICS
from clarion.contracts.user_events import UserEvent
from clarion.settings import Settings

ROOT = Path(__file__).parents[2]


def page(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_every_dependency_is_explained():
    project = tomllib.loads(page("pyproject.toml"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {match[0] for group in groups for entry in group if (match := re.match(r"[\w.-]+", entry))}
    explained = set(re.findall(r"`([\w.-]+)`", page("docs/dependencies.md")))
    assert names - explained == set()


def test_the_event_format_is_that_of_the_code():
    deliveries, _, others = page("docs/reference/events.md").partition("## What users did")
    deeds, _, runs = others.partition("## What journeys did")
    for text, kind in ((deliveries, NotificationEvent), (deeds, UserEvent), (runs, JourneyEvent)):
        rows = re.findall(r"^\| (\d+) \| `(\w+)`", text, flags=re.MULTILINE)
        fields = [field.name for field in msgspec.structs.fields(kind)]
        assert rows == [(str(i), name) for i, name in enumerate(fields)]


def test_the_documented_topics_exist_as_described():
    pattern = re.compile(r"^\| `([\w-]+)` \| (\d+) \| (\d+) \|", flags=re.MULTILINE)
    day_ms = 24 * 3600 * 1000
    known = {(topic.name, topic.partitions, topic.retention_ms // day_ms) for topic in TOPICS}
    documented = {
        (name, int(n), int(days)) for name, n, days in pattern.findall(page("docs/reference/events.md"))
    }
    assert documented
    assert documented <= known


@pytest.mark.parametrize("target", ["up", "test", "lint", "bench", "docs", "fmt", "lock", "clean", "help"])
def test_make_has_a_target_for_each_job_and_help_lists_it(target: str):
    assert re.search(rf"^{target}:.*## \w", page("Makefile"), flags=re.MULTILINE)


def test_the_readme_begins_with_the_two_commands():
    assert re.search(r"^make up\b.*\nmake test\b", page("README.md"), flags=re.MULTILINE)


def test_every_decision_is_in_the_list_of_decisions():
    listed = set(re.findall(r"\(([\w-]+\.md)\)", page("docs/adr/index.md")))
    written = {path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md")}
    assert listed == written


def test_every_setting_is_documented_and_no_other():
    documented = re.findall(r"^\| `CLARION_(\w+)`", page("docs/reference/settings.md"), flags=re.MULTILINE)
    assert sorted(documented) == sorted(name.upper() for name in Settings.model_fields)


def test_every_metric_is_documented_and_no_other():
    documented = re.findall(r"^\| `(clarion_\w+)`", page("docs/reference/metrics.md"), flags=re.MULTILINE)
    families = re.findall(r"^# TYPE (\w+)", Metrics().render().decode(), flags=re.MULTILINE)
    assert sorted(documented) == sorted(name for name in families if not name.endswith("_created"))


def test_every_rule_is_documented_in_its_order_and_words():
    table = page("docs/reference/rules.md").partition("## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", table, flags=re.MULTILINE)
    assert rows == [(str(rule), sentence) for rule, sentence in EXPLANATIONS.items()]
