"""`docs/reference/http.md` tells of every route, and of no other."""

from __future__ import annotations

import re
from pathlib import Path

from clarion.entrypoints.api.app import ROUTES
from clarion.entrypoints.api.errors import KINDS

PAGE = (Path(__file__).parents[3] / "docs/reference/http.md").read_text(encoding="utf-8")


def test_every_route_is_told_and_no_other():
    told = set(re.findall(r"`((?:GET|HEAD|PUT|POST|DELETE|PATCH) /\S*)`", PAGE))
    assert told == {route.line for route in ROUTES} | {"GET /openapi.json"}


def test_every_route_is_told_with_its_scope():
    told = dict(re.findall(r"^\| `(\w+ /\S+)` \| `(\w+:\w+)` \|", PAGE, flags=re.MULTILINE))
    scopes = {route.line: route.spec.scope for route in ROUTES}
    assert told
    assert told == {line: scopes[line] for line in told}


def test_every_kind_of_problem_is_told_with_its_status():
    told = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", PAGE, flags=re.MULTILINE)
    assert sorted((int(status), kind) for status, kind in told) == sorted(KINDS)
