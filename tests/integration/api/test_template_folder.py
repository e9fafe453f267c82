"""A folder of templates and a tenant's: pushed, pulled, compared, and what is wrong told by file and line."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import pytest
from typer.testing import CliRunner

from clarion.entrypoints.cli.client import Account, ApiClient
from clarion.entrypoints.cli.main import app
from clarion.entrypoints.cli.template_sync import Report, run_sync
from clarion.kernel.errors import Invalid
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

FILES = {
    "templates/order/template.toml": b"""\
# What we say when a parcel leaves.
category = "transactional"
locale = "en"

[email]
subject = "Order {{ order }}"

[push]
title = "On its way"
data.order = "{{ order }}"
""",
    "templates/order/email.html": b'<p>Order <b>{{ order }}</b></p>\r\n{% include "footer" %}\r\n',
    "templates/order/email.txt": 'Grüße\n{% include "footer" %}'.encode(),
    "templates/order/sms.txt": b"Order {{ order }} left\n",
    "templates/order/schema.json": b'{"type": "object",\n "required": ["order"]}\n',
    "templates/order/locales/de/locale.toml": b'[email]\nsubject = "Bestellung {{ order }}"\n',
    "templates/order/locales/de/email.txt": b"Bestellung {{ order }}\n",
    "partials/footer/partial.html": b'<p>{% include "address" %}</p>\n',
    "partials/footer/partial.txt": b'-- \n{% include "address" %}\n',
    "partials/address/partial.html": b"London",
    "partials/address/partial.txt": b"London",
}


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, raw in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    return root


def read(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


class Desk:
    """The command line of a tenant."""

    def __init__(self, api: Api, caller: Caller) -> None:
        self.account = Account(f"http://127.0.0.1:{api.port}", caller.key)

    async def sync(self, word: Literal["push", "draft", "pull", "diff"], root: Path) -> Report:
        def run() -> Report:
            with ApiClient(self.account) as client:
                return run_sync(client, root, word)

        return await asyncio.to_thread(run)

    async def run(self, *words: str) -> tuple[int, str]:
        env = {"CLARION_API_URL": self.account.url, "CLARION_API_KEY": self.account.api_key}
        result = await asyncio.to_thread(CliRunner().invoke, app, ["template", *words], env=env)
        return result.exit_code, result.output


@pytest.fixture
def desk(api: Api, caller: Caller) -> Desk:
    return Desk(api, caller)


async def test_a_push_saves_everything_and_a_second_one_does_nothing_and_says_so(
    desk: Desk, caller: Caller, tmp_path: Path
):
    root = write(tmp_path, FILES)
    first = await desk.sync("push", root)
    assert first.problems == []
    assert first.lines == [
        "partials/address: saved as version 1",
        "partials/footer: saved as version 1",
        "templates/order: saved as version 1, live",
    ]
    assert [line.partition(": it")[0] for line in first.findings][:1] == [
        "warning: templates/order/locales/de/locale.toml:1: locales.de.email"
    ]
    again = await desk.sync("push", root)
    assert again.changes == 0
    assert again.lines[-1] == "templates/order: unchanged, version 1, live"
    assert (await desk.sync("diff", root)).lines == []
    shown = (await caller.call("POST /templates/order/preview", {"data": {"order": "1815"}})).json()
    assert shown["channels"]["email"]["subject"] == "Order 1815"
    assert "London" in shown["channels"]["email"]["html"]


async def test_what_was_pushed_is_pulled_byte_for_byte(desk: Desk, tmp_path: Path):
    root = write(tmp_path / "mine", FILES)
    await desk.sync("push", root)
    pulled = await desk.sync("pull", root)
    assert pulled.changes == 0
    assert read(root) == FILES, "comments and layout stay, too"
    fresh = tmp_path / "fresh"
    await desk.sync("pull", fresh)
    bodies = {name: raw for name, raw in FILES.items() if not name.endswith((".toml", ".json"))}
    assert {name: read(fresh)[name] for name in bodies} == bodies
    assert read(fresh).keys() == FILES.keys()
    assert (await desk.sync("push", fresh)).changes == 0
    before = read(fresh)
    await desk.sync("pull", fresh)
    assert read(fresh) == before


async def test_a_diff_shows_what_a_push_would_change(desk: Desk, tmp_path: Path):
    root = write(tmp_path, FILES)
    shown = await desk.sync("diff", root)
    assert "+++ folder/templates/order/email.html" in shown.lines
    await desk.sync("push", root)
    write(root, {"templates/order/sms.txt": b"Order {{ order }} has left\n"})
    shown = await desk.sync("diff", root)
    assert shown.lines[:2] == [
        "--- account/templates/order/sms.txt",
        "+++ folder/templates/order/sms.txt",
    ]
    assert shown.lines[-2:] == ["-Order {{ order }} left", "+Order {{ order }} has left"]
    (root / "templates/order/sms.txt").unlink()
    assert "+++ /dev/null" in (await desk.sync("diff", root)).lines


async def test_drafts_are_pushed_shown_and_promoted(desk: Desk, tmp_path: Path):
    root = write(tmp_path, FILES)
    await desk.sync("push", root)
    write(root, {"templates/order/sms.txt": b"new"})
    pushed = await desk.sync("draft", root)
    assert pushed.lines[-1] == "templates/order: saved as version 2, a draft; version 1 is live"
    compared = await desk.sync("diff", root)
    assert compared.lines == ["templates/order: version 2 is a draft; version 1 is live"]
    live = await desk.sync("push", root)
    assert live.lines[-1] == "templates/order: already there, version 2, live"


async def test_a_pull_brings_what_others_changed_and_removes_parts_that_are_gone(
    desk: Desk, caller: Caller, tmp_path: Path
):
    root = write(tmp_path, FILES)
    await desk.sync("push", root)
    content = {"category": "service", "channels": {"sms": {"body": "other"}}}
    await caller.call("PUT /templates/order", content)
    await caller.call("PUT /templates/a%2F..%2F.b", content)
    write(root, {"templates/own/template.toml": b'category = "service"\n', "templates/own/sms.txt": b"x"})
    pulled = await desk.sync("pull", root)
    assert "templates/own: is only here" in pulled.lines
    there = {name: raw for name, raw in read(root).items() if not name.startswith("partials")}
    assert there.keys() == {
        "templates/order/template.toml",
        "templates/order/sms.txt",
        "templates/a%2F..%2F.b/template.toml",
        "templates/a%2F..%2F.b/sms.txt",
        "templates/own/template.toml",
        "templates/own/sms.txt",
    }
    assert there["templates/order/sms.txt"] == b"other"
    assert (await desk.sync("push", root)).lines[-3:] == [
        "templates/a/../.b: unchanged, version 1, live".replace("a/../.b", "a%2F..%2F.b"),
        "templates/order: unchanged, version 2, live",
        "templates/own: saved as version 1, live",
    ]


async def test_a_partial_and_a_template_that_fit_only_together_are_pushed_together(
    desk: Desk, tmp_path: Path
):
    layout = {"partials/layout/partial.txt": b"{% block old %}{% endblock %}"}
    using = {
        "templates/t/template.toml": b'category = "service"\n',
        "templates/t/sms.txt": b'{% extends "layout" %}{% block old %}hi{% endblock %}',
    }
    root = write(tmp_path, {**layout, **using})
    assert (await desk.sync("push", root)).problems == []
    write(root, {name: raw.replace(b"old", b"new") for name, raw in {**layout, **using}.items()})
    both = await desk.sync("push", root)
    assert both.problems == []
    assert both.lines == ["partials/layout: saved as version 2", "templates/t: saved as version 2, live"]


async def test_templates_besides_the_folder_are_named_when_a_partial_of_theirs_changes(
    desk: Desk, caller: Caller, tmp_path: Path
):
    root = write(tmp_path, FILES)
    await desk.sync("push", root)
    sms = {"category": "service", "channels": {"sms": {"body": '{% include "address" %}'}}}
    await caller.call("PUT /templates/besides", sms)
    write(root, {"partials/address/partial.txt": b"Turin"})
    pushed = await desk.sync("push", root)
    assert pushed.lines[-1] == "templates/besides: is not in the folder, and keeps `address` as it was"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"templates/order/email.html": b"<p>\n\n{{ oops"}, "templates/order/email.html:3: "),
        (
            {"templates/order/locales/de/email.txt": b"\n{% for %}"},
            "templates/order/locales/de/email.txt:2: ",
        ),
        ({"templates/order/email.txt": b'{% include "none" %}'}, "templates/order/email.txt:1: "),
        ({"partials/footer/partial.txt": b"\n{{"}, "partials/footer/partial.txt:2: "),
        ({"partials/address/partial.txt": b'{% include "footer" %}'}, "partials/"),
        ({"templates/order/template.toml": b"category = "}, "templates/order/template.toml:1: "),
        (
            {
                "templates/order/template.toml": b'category = "service"\n[email]\nsubject = "{{ a"\n',
            },
            "templates/order/template.toml:3: ",
        ),
        (
            {"templates/order/schema.json": b'{"properties": {"a": {"type": "text"}}}'},
            "templates/order/schema.json: properties.a.type: ",
        ),
    ],
)
async def test_a_folder_with_a_mistake_is_refused_whole_by_file_and_line(
    desk: Desk, caller: Caller, tmp_path: Path, files: dict[str, bytes], said: str
):
    root = write(tmp_path, {**FILES, **files})
    with pytest.raises(Invalid) as refused:
        await desk.sync("push", root)
    head, first, *_ = refused.value.detail.splitlines()
    assert head.startswith("the folder has ")
    assert first.startswith(said)
    assert (await caller.call("GET /partials")).json()["partials"] == [], "nothing was saved"


async def test_what_only_the_api_can_refuse_is_told_by_its_line_and_stops_no_other(
    desk: Desk, tmp_path: Path
):
    root = write(tmp_path, FILES)
    write(
        root,
        {
            "templates/gossip/template.toml": b'\ncategory = "gossip"\n',
            "templates/gossip/sms.txt": b"psst",
        },
    )
    pushed = await desk.sync("push", root)
    assert pushed.problems[0].startswith("templates/gossip/template.toml:2: category: names an unknown")
    assert pushed.lines[-1] == "templates/order: saved as version 1, live"


async def test_a_folder_that_is_not_there_is_named(desk: Desk, tmp_path: Path):
    with pytest.raises(Invalid, match="there is no such folder"):
        await desk.sync("push", tmp_path / "none")


async def test_the_words_of_the_command_line(desk: Desk, caller: Caller, tmp_path: Path):
    await caller.user()
    root = str(write(tmp_path, FILES))
    assert (await desk.run("diff", root, "--check"))[0] == 1
    code, said = await desk.run("push", root)
    assert (code, said.splitlines()[2]) == (0, "templates/order: saved as version 1, live")
    assert (await desk.run("diff", root, "--check")) == (0, "")
    write(tmp_path, {"templates/order/sms.txt": b"new {{ order }}"})
    assert (await desk.run("push", root, "--draft"))[0] == 0
    assert "transactional" in (await desk.run("list"))[1]
    code, said = await desk.run("preview", "order", "-d", "order=1815", "--channel", "sms")
    assert (code, "new 1815" in said) == (0, True)
    assert (await desk.run("preview", "order"))[0] == 1, "the data does not fit"
    code, said = await desk.run("test", "order", "ada", "-d", 'order="1815"', "--channel", "email")
    assert (code, '"queued"' in said) == (0, True)
    assert (await desk.run("promote", "order", "2")) == (
        0,
        "order: version 2 is live in place of version 1\n",
    )
    assert "in place of" in (await desk.run("versions", "order"))[1]
    assert (await desk.run("pull", str(tmp_path / "fresh")))[0] == 0
    assert (tmp_path / "fresh/templates/order/sms.txt").read_bytes() == b"new {{ order }}"
