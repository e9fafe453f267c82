"""A folder of journeys and an account's: published, and published again only where a file changed."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clarion.entrypoints.cli.main import app
from clarion.journeys.schema import journey_schema
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

WELCOME = """\
name: Welcome
trigger: {type: event, event: signed_up}
steps:
  - {id: hello, type: email, template: hello, category: transactional}
"""


async def run(api: Api, caller: Caller, *words: str) -> tuple[int, list[str]]:
    """Exit code and lines of `clarion journey …`."""
    env = {"CLARION_API_URL": f"http://127.0.0.1:{api.port}", "CLARION_API_KEY": caller.key}
    result = await asyncio.to_thread(CliRunner().invoke, app, ["journey", *words], env=env)
    return result.exit_code, result.output.splitlines()


async def test_a_folder_is_published_once_and_again_where_it_changed(
    api: Api, caller: Caller, tmp_path: Path
):
    file = tmp_path / "welcome.yaml"
    file.write_text(WELCOME)

    _, planned = await run(api, caller, "apply", str(tmp_path), "--dry-run")
    _, created = await run(api, caller, "apply", str(tmp_path))
    _, unchanged = await run(api, caller, "apply", str(tmp_path))
    file.write_text(WELCOME + "  - {type: delay, delay: 1d}\n")
    code, published = await run(api, caller, "apply", str(tmp_path))

    assert planned[-1] == f"{file}: Welcome: would be created"
    assert created[-1] == f"{file}: Welcome: created as version 1"
    assert unchanged[-1] == f"{file}: Welcome: unchanged, version 1 is live"
    assert published[-1] == f"{file}: Welcome: published as version 2"
    assert code == 0


async def test_the_schema_is_public(caller: Caller):
    answer = await caller.call("GET /journeys/schema")

    assert answer.status == HTTPStatus.OK
    assert answer.json() == journey_schema()
