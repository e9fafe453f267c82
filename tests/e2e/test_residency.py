"""A pinned user: what is personal stays at home, and `clarion export user` shows her all of it."""

from __future__ import annotations

import hashlib
import io
import secrets
import zipfile
from pathlib import Path
from typing import Any

from clarion.adapters.embedded import DataDirectory, store_urls
from clarion.adapters.valkey.client import connect
from clarion.compliance.archive import read_manifest
from clarion.testing.instance import Instance
from clarion.testing.waiting import eventually
from tests.live.canaries import dump, files, find
from tests.live.fixtures import Live
from tests.live.journeys import draw, enter, stands
from tests.live.support import Person, run_clarion


async def streams(instance: Instance) -> bytes:
    """All that the event log of an instance holds."""
    url = store_urls(DataDirectory.existing(instance.data)).valkey
    assert url is not None
    clients = await connect(url)
    ask = clients.read.execute_command
    try:
        keys = [key for key in await ask("KEYS", "*") if await ask("TYPE", key) == b"stream"]
        return b"\n".join([repr(await ask("XRANGE", key, "-", "+")).encode() for key in keys])
    finally:
        await clients.close()


async def live_through(person: Person) -> tuple[str, dict[str, str]]:
    """A user in Germany to whom something happens; her id, and the words that nobody else says, by place."""
    places = ("email", "attribute", "device", "context", "event", "wording", "data", "metadata", "entry")
    words = {place: f"canary{secrets.token_hex(8)}" for place in places}
    words["phone"] = f"+49151{secrets.randbelow(10**8):08d}"
    name = f"user-{secrets.token_hex(6)}"
    profile = {
        "email": f"{words['email']}@example.org",
        "phone": words["phone"],
        "country": "DE",
        "timezone": "Europe/Berlin",
        "attributes": {"first_name": words["attribute"]},
        "device_tokens": [{"platform": "android", "token": words["device"]}],
    }
    await person.get(f"PUT /users/{name}", profile)
    context = {"user_id": name, "context": {"page": words["context"]}}
    await person.get("POST /personalization/context", context)
    await person.get(
        "POST /events", {"user_id": name, "event": "bought", "properties": {"what": words["event"]}}
    )
    word = {"user_id": name, "channel": "email", "category": "marketing", "consented": True, "source": "form"}
    await person.get("POST /compliance/consent", {**word, "wording": words["wording"]})
    journey_id = await draw(person, {"id": "pause", "type": "wait", "event": "returned", "timeout": "1h"})
    await stands(person, journey_id, await enter(person, journey_id, name, page=words["entry"]), "pause")
    said = {"subject": words["data"], "body": "Hello"}
    sent = await person.notify(user_id=name, data=said, metadata={"order": words["metadata"]})
    await person.ends(sent["notification_id"])
    return name, words


async def test_what_is_personal_of_a_pinned_user_stays_at_home_and_is_shown_to_her(
    live: Live, sender: Person, tmp_path: Path
):
    instance = live.instance
    name, words = await live_through(sender)
    shown = await sender.get(f"GET /users/{name}/residency")
    assert (shown["residency"], shown["asked"], shown["country"]) == ("pinned", None, "DE")

    async def published() -> bytes:
        return await streams(instance)

    log = await eventually(published, lambda text: len(text) > 0)
    elsewhere = [
        ("global database", dump(instance, "clarion_global")),
        ("database of keys", dump(instance, "clarion_keys")),
        ("event log", log),
        *((path, text) for path, text in files(instance) if path.endswith(".log")),
    ]
    assert len(elsewhere) > 4
    assert find(words.values(), elsewhere) == []

    archive = tmp_path / "her.zip"
    done = await run_clarion(
        "export", "user", name, archive, "--tenant", sender.name, "--data", instance.data
    )
    assert done.code == 0, done.stderr
    assert archive.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as opened:
        whole = b"".join(opened.read(one) for one in opened.namelist())
    assert [place for place, word in words.items() if word.encode() not in whole] == []


async def test_residency_can_be_chosen_and_left_to_the_country(sender: Person):
    await sender.get("PUT /users/ada", {"country": "US"})
    assert (await sender.get("GET /users/ada/residency"))["residency"] == "portable"
    assert (await sender.get("PUT /users/ada/residency", {"residency": "pinned"}))["asked"] == "pinned"
    await sender.get("PUT /users/ada", {"country": "CA"})
    assert (await sender.get("GET /users/ada/residency"))["residency"] == "pinned"
    assert (await sender.get("PUT /users/ada/residency", {"residency": None}))["residency"] == "portable"
    for body in ({}, {"residency": "anywhere"}, {"residency": "pinned", "more": 1}):
        assert (await sender.call("PUT /users/ada/residency", body)).status == 400
    assert (await sender.call("PUT /users/nobody/residency", {"residency": "pinned"})).status == 404
    assert (await sender.call("GET /users/nobody/residency")).status == 404


async def test_the_register_follows_what_the_tenant_set_up(sender: Person):
    await sender.get("PUT /categories/news", {"class": "marketing", "tracking": {"opens": True}})

    async def names() -> set[str]:
        record = await sender.get("GET /compliance/register")
        return {purpose["category"] for purpose in record["purposes"]}

    assert await eventually(names, lambda found: "news" in found)


async def test_a_worker_gathers_what_is_asked_for_by_api(sender: Person):
    await sender.get("PUT /users/ada", {"email": "ada@example.org"})
    asked = await sender.get("POST /compliance/exports", {"user_id": "ada"})

    async def show() -> dict[str, Any]:
        return await sender.get(f"GET /compliance/exports/{asked['export_id']}")

    shown = await eventually(show, lambda found: found["status"] != "running")
    answer = await sender.call(f"GET /compliance/exports/{asked['export_id']}/archive")
    assert (shown["status"], answer.headers["content-type"]) == ("ready", "application/zip")
    assert hashlib.sha256(answer.body).hexdigest() == shown["sha256"]
    assert read_manifest(answer.body).user_id == "ada"
