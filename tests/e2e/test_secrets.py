"""Secrets in a whole Clarion: said by nobody, whatever breaks, and still there after the master key was changed."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clarion.adapters.embedded import Credentials, DataDirectory
from clarion.testing.http import HttpAnswer, HttpClient
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.waiting import eventually
from tests.live.canaries import find, search
from tests.live.support import Person, move_in, notification

SERVERS_OWN = "file valkey/valkey.conf"
"""How the server learns its password; for its owner's eyes only."""

EMAIL = {"channel": "email", "enabled": True}


def clarion(instance: Instance, *words: str, **settings: str) -> subprocess.CompletedProcess[bytes]:
    """`clarion WORDS…` at this instance."""
    command = [sys.executable, "-m", "clarion.entrypoints.cli.main", *words, "--data", str(instance.data)]
    return subprocess.run(command, env=os.environ | settings, capture_output=True, timeout=60, check=False)


def accounts(canary: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Accounts whose vendors cannot be reached, or refuse, so that errors are told of each."""
    gone = "http://127.0.0.1:9"
    sid = f"AC{'0' * 32}"
    return {
        "relay": EMAIL
        | {
            "kind": "smtp",
            "settings": {"host": "127.0.0.1", "port": 9, "tls": "none", "from": "a@shop.example"},
            "credentials": {"username": "shop", "password": canary["smtp password"]},
        },
        "grid": EMAIL
        | {
            "kind": "sendgrid",
            "settings": {"from": "a@shop.example", "base_url": gone},
            "credentials": {"api_key": canary["sendgrid key"]},
        },
        "texts": {
            "kind": "twilio",
            "channel": "sms",
            "settings": {"account_sid": sid, "from": "+15005550006", "base_url": gone},
            "credentials": {"auth_token": canary["twilio token"]},
        },
    }


async def use_everything(person: Person, canary: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """Set secrets up, use them, get them wrong; all that was answered, by what was asked."""
    answers: list[tuple[str, bytes]] = []

    async def ask(line: str, json: Any = None) -> bytes:
        answer = await person.call(line, json)
        answers.append((f"answer to {line}", answer.body + repr(answer.headers).encode()))
        return answer.body

    for name, body in accounts(canary).items():
        assert b"error" not in await ask(f"PUT /providers/{name}", body)
        wrong = body | {"credentials": body["credentials"] | {"nonsense": canary["wrong field"]}}
        await ask(f"PUT /providers/{name}", wrong)
        await ask(f"PUT /providers/{name}", body | {"kind": "nothing"})
        await ask(f"PUT /providers/{name}", body | {"credentials": [canary["wrong type"]]})
        await ask(f"GET /providers/{name}")
    shared = {"kty": "oct", "k": canary["shared secret"], "kid": "1", "alg": "HS256"}
    issuer = {
        "issuer": person.name,
        "audience": "us",
        "algorithms": ["HS256"],
        "scopes": ["*"],
        "keys": {"keys": [shared]},
    }
    assert b"shop" in await ask("PUT /token-issuers/shop", issuer)
    await ask("PUT /token-issuers/shop", issuer | {"algorithms": ["none"]})
    await person.get("PUT /users/ada", {"email": "ada@example.org", "phone": "+61491570156"})
    for channel in ("email", "sms"):
        wanted = {"channel_selection": "specified", "channels": [channel]}
        said = notification(user_id="ada", optimization=wanted)
        assert b"notification_id" in await ask("POST /notifications", said)
    await ask("GET /notifications")
    for line in ("/providers", "/token-issuers", "/compliance/audit", "/keys", "/tenant"):
        await ask(f"GET {line}")
    return answers


def logs_in(folder: Path) -> list[Path]:
    """What an instance wrote beside its directory: the supervisor's own log."""
    found = sorted(folder.glob("*.log"))
    assert found
    return found


async def test_no_secret_is_in_any_answer_log_store_or_stream(tmp_path: Path):
    named = ("smtp password", "sendgrid key", "twilio token", "shared secret", "wrong field", "wrong type")
    canary = {name: f"canary{secrets.token_hex(16)}" for name in named}
    canary["shared secret"] = base64.urlsafe_b64encode(secrets.token_bytes(48)).decode()
    data = tmp_path / "data"
    with clarion_up(data, {"CLARION_LOG_LEVEL": "debug"}) as instance:
        person = await move_in(instance)
        answers = await use_everything(person, canary)

        async def tried() -> list[HttpAnswer]:
            found = (await person.get("GET /notifications"))["notifications"]
            return [await person.call(f"GET /notifications/{one['notification_id']}/trace") for one in found]

        def have_failed(traces: list[HttpAnswer]) -> bool:
            return len(traces) == 2 and all(b'"transient"' in trace.body for trace in traces)

        answers += [("trace", trace.body) for trace in await eventually(tried, have_failed)]
        trial = ("provider", "test", "relay", "--to", "a@example.org", "--tenant", person.name)
        for command in (("doctor",), ("secrets", "status"), trial):
            done = clarion(instance, *command, CLARION_EGRESS_ALLOW="127.0.0.0/8")
            answers.append((f"clarion {command[0]}", done.stdout + done.stderr))
        instance.signal("worker", signal.SIGABRT)
        instance.signal("api", signal.SIGABRT)
        credentials = Credentials(DataDirectory.existing(data))
        passwords = [text for name, text in credentials.all().items() if name.endswith("password")]
        words = [*canary.values(), credentials.master_key(), instance.api_key, *passwords]
        assert len(words) >= len(canary) + 3
        told = [place for place in await search(instance, words) if place.store != SERVERS_OWN]
        assert told == []
    files = [(path.name, path.read_bytes()) for path in logs_in(tmp_path)]
    assert find(words, [*answers, *files]) == [], "nor in what was answered, or told when it ended"


def default_tenant(instance: Instance) -> Person:
    """The tenant that an instance begins with: its key outlives a restart."""
    client = HttpClient(*instance.address, {"authorization": f"Bearer {instance.api_key}"})
    return Person(instance, "default", instance.tenant_id, client)


async def test_the_master_key_is_changed_and_everything_still_opens(tmp_path: Path):
    data = tmp_path / "data"
    account = accounts(dict.fromkeys(("smtp password", "sendgrid key", "twilio token"), "t"))["texts"]
    with clarion_up(data) as instance:
        person = default_tenant(instance)
        await person.get("PUT /providers/texts", account)
        await person.get("PUT /users/ada", {"email": "ada@example.org"})
    file = DataDirectory.existing(data).master_key
    old = file.read_text().strip()
    file.write_text(base64.b64encode(secrets.token_bytes(32)).decode())

    between = {"CLARION_MASTER_KEY_PREVIOUS": old}
    with clarion_up(data, between) as instance:
        assert (await default_tenant(instance).get("GET /users/ada"))["email"] == "ada@example.org"
        assert clarion(instance, "secrets", "status", **between).returncode == 1
        done = clarion(instance, "secrets", "rotate", **between)
        assert done.returncode == 0, done.stderr
        assert clarion(instance, "secrets", "status").returncode == 0, "the new key opens it by itself"
        changed = clarion(instance, "secrets", "rotate", "--tenant", "default")
        assert b"seals with key 2: 1 secrets" in changed.stdout, changed.stderr

    with clarion_up(data) as instance:
        person = default_tenant(instance)
        assert (await person.get("GET /users/ada"))["email"] == "ada@example.org"
        assert (await person.get("GET /providers/texts"))["credentials_set"] == ["auth_token"]
        again = await person.notify(user_id="ada")
        assert await person.ends(again["notification_id"]) == "sent", (
            "its link was signed, her address opened"
        )
