"""`clarion mcp`, started and asked by the SDK's own client over stdio."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from mcp import Client, StdioServerParameters
from mcp.types import TextContent

from tests.live.fixtures import Live
from tests.live.support import Person, run_clarion

READING: Final = {
    "whoami",
    "find_notifications",
    "get_notification",
    "explain_notification",
    "get_user",
    "list_templates",
    "get_template",
    "list_segments",
    "get_segment",
    "list_broadcasts",
    "get_broadcast",
    "list_dead_letters",
}
SENDING: Final = {"plan_notification", "plan_broadcast", "confirm", "cancel_notification"}


class Assistant:
    """What an assistant does with the tools."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> dict[str, Any]:
        """The tools by name."""
        return {tool.name: tool for tool in (await self._client.list_tools()).tools}

    async def use(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """A tool's answer."""
        result = await self._client.call_tool(name, arguments)
        assert not result.is_error, result.content
        assert result.structured_content is not None
        return dict(result.structured_content)

    async def fail(self, name: str, /, **arguments: Any) -> str:
        """What a tool refuses with."""
        result = await self._client.call_tool(name, arguments)
        assert result.is_error
        (content,) = result.content
        assert isinstance(content, TextContent)
        return content.text


@asynccontextmanager
async def assistant(words: list[str], environment: dict[str, str]) -> AsyncGenerator[Assistant]:
    command = ["-m", "clarion.entrypoints.cli.main", "mcp", *words]
    server = StdioServerParameters(command=sys.executable, args=command, env=environment)
    async with Client(server, read_timeout_seconds=60) as client:
        yield Assistant(client)


@asynccontextmanager
async def working_for(person: Person, *words: str) -> AsyncGenerator[Assistant]:
    host, port = person.instance.address
    key = person.client.headers["authorization"].removeprefix("Bearer ")
    account = {"CLARION_URL": f"http://{host}:{port}", "CLARION_API_KEY": key}
    async with assistant(list(words), account) as hers:
        yield hers


async def test_an_assistant_finds_out_what_became_of_a_notification(person: Person):
    await person.users(1, phone="+33123456789")
    told = await person.notify()
    await person.ends(told["notification_id"])
    await person.get("PUT /segments/french", {"expression": "user.country == 'FR'"})

    async with working_for(person) as hers:
        tools = await hers.tools()
        me = await hers.use("whoami")
        found = await hers.use("find_notifications", user_id="user-0", limit=5)
        shown = await hers.use("get_notification", notification_id=told["notification_id"])
        why = await hers.use("explain_notification", notification_id=told["notification_id"])
        user = await hers.use("get_user", user_id="user-0")
        segments = await hers.use("list_segments")
        segment = await hers.use("get_segment", name="french")
        letters = await hers.use("list_dead_letters")
        refused = await hers.fail("get_notification", notification_id="nothing")

    assert set(tools) == READING
    assert all(tool.annotations.read_only_hint for tool in tools.values())
    assert me["tenant"] == person.name
    assert [one["notification_id"] for one in found["notifications"]] == [told["notification_id"]]
    assert shown["status"] == "sent"
    assert why["deliveries"][0]["attempts"]
    assert [one["name"] for one in segments["segments"]] == ["french"]
    assert segment["expression"] == "user.country == 'FR'"
    assert letters["dead_letters"] == []
    assert refused.endswith("there is no such notification")
    assert user["profile"]["email"] == "u…@example.org"
    assert "user-0@example.org" not in json.dumps(user)
    assert "3456" not in json.dumps(user["profile"])


async def test_nothing_is_sent_before_its_plan_is_confirmed(person: Person):
    """One server for all of it: each start of one takes seconds."""
    users = await person.users(3)
    name = await person.template()
    wanted = {"user_id": "user-0", "category": "transactional", "template": name}

    async with working_for(person, "--allow-sending") as hers:
        tools = await hers.tools()
        nobody = await hers.fail("plan_notification", **wanted | {"user_id": "nobody"})
        plan = await hers.use("plan_notification", **wanted)
        many = await hers.use("plan_broadcast", category="transactional", template=name, user_ids=users)
        assert await person.deliveries() == []
        wrong = await hers.fail("confirm", confirmation="yes, please")
        sent = await hers.use("confirm", confirmation=plan["confirmation"])
        again = await hers.fail("confirm", confirmation=plan["confirmation"])
        started = await hers.use("confirm", confirmation=many["confirmation"])
        shown = await hers.use("get_broadcast", broadcast_id=started["broadcast_id"])

    assert set(tools) == READING | SENDING
    assert tools["confirm"].annotations.destructive_hint
    assert nobody.endswith("there is no such user")
    assert "Hello User-0" in json.dumps(plan["would_send"]["message"])
    assert (many["forecast"]["audience"], many["forecast"]["would_send"]) == (3, 3)
    assert "no such plan" in wrong
    assert "no such plan" in again
    assert not shown["dry_run"]
    assert await person.ends(sent["notification_id"]) == "sent"
    assert await person.all_over(1 + 3) == {"sent": 1 + 3}


async def test_beside_the_instance_the_ledger_can_be_read(live: Live, person: Person):
    await person.users(1)
    await person.ends((await person.notify())["notification_id"])

    async with assistant(["--data", str(live.instance.data)], {}) as hers:
        ledger = await hers.use("ledger")
        tools = await hers.tools()

    assert set(tools) == READING | {"ledger"}
    assert ledger["ok"], ledger
    assert ledger["promised"] == ledger["kept"] > 0


async def test_without_an_account_it_says_so_in_a_line(tmp_path: Path):
    done = await run_clarion("mcp", "--data", tmp_path)

    assert (done.code, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
