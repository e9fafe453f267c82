"""Every example of `/openapi.json` runs as it is shown: each operation once, on a tenant who has nothing yet.

What is set up comes first (PUT), then what is done (POST) and changed (PATCH), what is looked at (GET), and last what
is removed (DELETE), the newest first. Places of a path without an example of their own hold what an earlier answer
gave.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast
from urllib.parse import quote

from tests.e2e.api.support import ApiProcess
from tests.integration.api.support import Caller

MAKING: Final = ("put", "post")
ORDER: Final = (*MAKING, "patch", "get", "delete")

ELSEWHERE: Final = {
    "take_receipts": "a provider signs it: tests/integration/api/test_receipts.py",
    "take_receipts_by_get": "a provider signs it: tests/integration/api/test_receipts.py",
    "get_dead_letter": "nothing dies here: tests/integration/api/test_dead_letters.py",
    "delete_dead_letter": "nothing dies here: tests/integration/api/test_dead_letters.py",
    "get_export_archive": "a worker gathers it: tests/integration/workers/test_exports.py",
    "accept_invitation": "the inviter gives her token: tests/integration/api/test_members.py",
    "delete_tenant": "it would end the others: tests/integration/workers/test_tenant_deletion.py",
    "show_model": "a training makes it: tests/integration/workers/test_trainer.py",
    "promote_model": "a training makes it: tests/integration/workers/test_trainer.py",
    "list_members": "a worker takes the snapshot: tests/integration/api/test_segments.py",
    "ask_unsubscribe": "a message brings its token: tests/integration/api/test_links.py",
    "unsubscribe": "a message brings its token: tests/integration/api/test_links.py",
    "read_preferences": "a message brings its token: tests/integration/api/test_links.py",
    "write_preferences": "a message brings its token: tests/integration/api/test_links.py",
    "ask_confirmation": "a double opt-in brings its token: tests/integration/api/test_consent_ledger.py",
    "confirm_consent": "a double opt-in brings its token: tests/integration/api/test_consent_ledger.py",
    "get_run": "an entry names it: tests/integration/api/test_journeys.py",
    "stop_run": "an entry names it: tests/integration/api/test_journeys.py",
    "migrate_journey": "it takes two versions: tests/integration/workers/test_journey_migrations.py",
    "get_migration": "it takes two versions: tests/integration/workers/test_journey_migrations.py",
    "roll_back_migration": "it takes two versions: tests/integration/workers/test_journey_migrations.py",
    "explain_rules": "it must be asked about a channel: tests/integration/api/test_rules.py",
    "follow_click": "a message brings its token: tests/integration/api/test_links.py",
    "show_pixel": "a message brings its token: tests/integration/api/test_links.py",
}
"""What cannot be begun by its caller, by operation: what it takes comes from somebody else."""


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path template and description of each operation, in the order in which they run."""
    found = [
        (method, path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
        if method in ORDER and described["operationId"] not in ELSEWHERE
    ]
    removed = [one for one in found if one[0] == "delete"]
    rest = [one for one in found if one[0] != "delete"]
    return [*sorted(rest, key=_rank), *reversed(removed)]


def _rank(one: tuple[str, str, dict[str, Any]]) -> int:
    """When an operation runs. A PUT to what a POST made, whose id it gave, comes among the POSTs."""
    method, path, described = one
    shown = {parameter["name"] for parameter in described.get("parameters", ()) if "example" in parameter}
    is_made = set(re.findall(r"{(\w+)}", path)) <= shown
    return ORDER.index(method if is_made or method != "put" else "post")


def fill(path: str, described: dict[str, Any], answered: dict[str, str]) -> str:
    """The path with its examples, and with what earlier answers gave."""
    shown = {one["name"]: one["example"] for one in described.get("parameters", ()) if "example" in one}

    def place(found: re.Match[str]) -> str:
        name = found[1]
        assert name in shown or name in answered, f"{path}: nothing to put in for {name}"
        return quote(shown.get(name) or answered[name], safe="")

    return re.sub(r"{(\w+)}", place, path)


def remember(answer: Any, answered: dict[str, str]) -> None:
    """Keep the ids of an answer, the newest for each name."""
    members = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
    answered.update(
        {name: value for name, value in members.items() if name.endswith("_id") and isinstance(value, str)}
    )
    for item in members.values() or cast("list[Any]", answer):
        if isinstance(item, dict | list):
            remember(item, answered)


async def test_every_example_runs_as_it_is_shown(process: ApiProcess, caller: Caller):
    client = process.client(caller.key)
    document = (await client.request("GET /openapi.json")).json()
    answered: dict[str, str] = {}
    wrong: list[str] = []
    for method, path, described in operations(document):
        line = f"{method.upper()} {fill(path, described, answered)}"
        body = described.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "requestBody" in described and "example" not in body:
            wrong.append(f"{line}: has no example of its body")
            continue
        answer = await client.request(line, body.get("example"))
        if not 200 <= answer.status < 300:
            wrong.append(f"{line}: {answer.status} {answer.body[:300]!r}")
        elif method in MAKING and answer.headers.get("content-type") == "application/json":
            remember(answer.json(), answered)
    assert not wrong, "\n".join(wrong)


async def test_what_runs_elsewhere_exists(process: ApiProcess):
    document = (await process.client("").request("GET /openapi.json")).json()
    known = {one["operationId"] for methods in document["paths"].values() for one in methods.values()}
    assert set(ELSEWHERE) <= known
