"""F-15, erasure.

Read as: after one request nothing of a user is in any store, log, stream or file, nor in a backup that was restored
with the ledger; her key is gone, what waited for her is not sent, and a certificate proves it. Looked for with words
that nobody else says, in every field that can hold one. The specification's own text is not in this repository.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from clarion.entrypoints.cli.erase import EraseOptions, erase_user, replay_ledger, verify_certificate
from clarion.kernel.errors import NotFound
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.chaos.support import slow
from tests.live.canaries import dump, restore, search
from tests.live.journeys import draw, enter, stands
from tests.live.support import Person, fetch, move_in, notification


@dataclass
class Canaries:
    """Words that nobody else says, by where they were put."""

    words: dict[str, str] = field(default_factory=dict[str, str])

    def make(self, place: str) -> str:
        """A new one."""
        return self.words.setdefault(place, f"canary{secrets.token_hex(8)}")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Generator[Instance]:
    """An instance of its own: its database is put back to an earlier state."""
    settings = {"CLARION_EGRESS_ALLOW": "127.0.0.0/8"}
    with clarion_up(tmp_path_factory.mktemp("erasure") / "data", settings) as started:
        yield started


@pytest_asyncio.fixture
async def tenant(instance: Instance, sink: SmtpSink) -> AsyncGenerator[Person]:
    person = await move_in(instance)
    await person.mail_through(sink)
    yield person


async def live_through_everything(person: Person, canaries: Canaries) -> str:
    """A user with a canary in every field that takes words, and something of hers in every store; her id."""
    make = canaries.make
    name = make("user_id")
    profile: dict[str, Any] = {
        "email": f"{make('email')}@example.org",
        "phone": f"+4479{secrets.randbelow(10**8):08d}",
        "timezone": "Europe/London",
        "attributes": {"first_name": make("attribute"), make("attribute name"): 7},
        "device_tokens": [{"token": make("device") * 4, "platform": "android"}],
    }
    canaries.words["phone"] = profile["phone"]
    await person.get(f"PUT /users/{name}", profile)
    await person.get("POST /personalization/context", {"user_id": name, "context": {"page": make("context")}})
    deed = {"user_id": name, "event": "bought", "properties": {"what": make("event")}}
    assert (await person.call("POST /events", deed)).status < 300
    word = {"user_id": name, "channel": "email", "category": "all", "consented": True, "source": "form"}
    said = {
        "ip_address": make("ip"),
        "user_agent": make("agent"),
        "url": make("url"),
        "wording": make("wording"),
    }
    await person.get("POST /compliance/consent", {**word, **said, "evidence": {"form": make("evidence")}})
    await person.template("greeting", subject="Hello {{ user.first_name }} {{ data.word }}")
    sent = await person.notify(
        user_id=name, template="greeting", data={"word": make("data")}, metadata={"order": make("metadata")}
    )
    await person.ends(sent["notification_id"])
    await person.in_seconds(3600, user_id=name, data={"subject": make("waiting"), "body": "later"})
    pause = {"id": "pause", "type": "wait", "event": "nothing", "timeout": "1h"}
    journey_id = await draw(person, pause)
    run = await enter(person, journey_id, name, **{make("entry name"): make("entry")})
    await stands(person, journey_id, run, "pause")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    message = {"category": "transactional", "data": {"subject": "Hello", "body": "Hello"}}
    await person.insist("POST /broadcasts", {**message, "user_ids": [name], "send_at": later})
    return name


async def erase(person: Person, name: str) -> dict[str, Any]:
    """Erase a user; the erasure, once it is complete."""
    answer = await person.call("POST /compliance/erasures", {"user_id": name})
    assert answer.status == 202, answer.body
    return await completed(person, answer.json()["erasure_id"])


async def completed(person: Person, erasure_id: str) -> dict[str, Any]:
    async def show() -> dict[str, Any]:
        answer = await person.call(f"GET /compliance/erasures/{erasure_id}")
        return answer.json() if answer.status == 200 else {"status": answer.status}

    return await eventually(show, lambda shown: shown["status"] == "completed", within_s=30)


async def test_F15_nothing_is_left_of_an_erased_user_nor_comes_back_with_a_backup(
    instance: Instance, tenant: Person, tmp_path: Path
):
    canaries = Canaries()
    name = await live_through_everything(tenant, canaries)
    words = list(canaries.words.values())
    backup = dump(instance, "clarion", "-Fc")
    before = {place.canary for place in await search(instance, words)}
    assert {
        canaries.words[place] for place in ("user_id", "data", "metadata", "waiting", "context")
    } <= before

    shown = await erase(tenant, name)

    assert await search(instance, words) == []
    removed = {one["target"]: one["removed"] for one in shown["stores"]}
    assert removed["postgres.keys"]["keys"] == removed["postgres.profile"]["profiles"] == 1
    assert removed["postgres.deliveries"]["deliveries"] == 1
    assert removed["valkey.contexts"]["contexts"] == 1
    assert removed["global.journeys"] == {"runs": 1, "histories": 1}
    assert removed["postgres.journeys"]["contexts"] >= 1
    certificate = tmp_path / "certificate.json"
    certificate.write_bytes(msgspec.json.encode(shown["certificate"]))
    assert await asyncio.to_thread(verify_certificate, certificate, "", instance.data) == 0
    certificate.write_bytes(msgspec.json.encode({**shown["certificate"], "requested_ms": 1}))
    assert await asyncio.to_thread(verify_certificate, certificate, "", instance.data) == 1

    restore(instance, "clarion", backup)
    assert await fetch(instance, "SELECT 1 FROM user_profiles WHERE external_id = $1", name)
    instance.signal("worker")

    again = await completed(tenant, shown["erasure_id"])
    assert again["origin"] == "restore"
    assert await search(instance, words) == []


async def test_F15_nothing_is_sent_to_her_after_the_certificate(tenant: Person, sink: SmtpSink):
    """Forty messages through a slow server: what has begun arrives, what waits does not."""
    await tenant.users(2)
    await sink.script(slow(1000))
    body = {"notifications": [notification(user_id="user-0") for _ in range(40)]}
    accepted = (await tenant.insist("POST /notifications/batch", body))["results"]
    await sink.wait_for(1)

    await erase(tenant, "user-0")

    arrived = (await sink.report()).received
    statuses = Counter([await tenant.status(one["notification_id"]) for one in accepted])
    assert set(statuses) <= {"sent", "cancelled", "blocked"}
    assert statuses["sent"] == arrived < 40
    with pytest.raises(TimeoutError):
        await sink.wait_for(arrived + 1, timeout_s=1.5)
    refused = await tenant.call("POST /notifications", notification(user_id="user-0"))
    assert refused.status == 422
    other = await tenant.notify(user_id="user-1")
    assert await tenant.ends(other["notification_id"]) == "sent"


async def test_F15_the_operator_erases_and_replays_by_command(
    instance: Instance, tenant: Person, tmp_path: Path
):
    """Beside the workers, who may be faster: it is one erasure."""
    await tenant.users(1)
    certificate = tmp_path / "certificate.json"
    options = EraseOptions(instance.data, tenant.name, "user-0", certificate)
    assert await asyncio.to_thread(erase_user, options) == 0
    assert (await tenant.call("GET /users/user-0")).status == 404
    assert await asyncio.to_thread(verify_certificate, certificate, "", instance.data) == 0
    assert await asyncio.to_thread(verify_certificate, certificate, "00" * 32, instance.data) == 1
    assert await asyncio.to_thread(replay_ledger, instance.data, everything=False) == 0
    with pytest.raises(NotFound):
        await asyncio.to_thread(erase_user, EraseOptions(instance.data, tenant.name, "nobody", None))
