"""A whole Clarion with an SMTP server behind it, and tenants who use it."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import secrets
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from clarion.contracts.statuses import TERMINAL
from clarion.entrypoints.cli.ledger import VerifyOptions, verify
from clarion.entrypoints.cli.tenants import add_tenant
from clarion.testing.http import HttpAnswer, HttpClient
from clarion.testing.instance import Instance
from clarion.testing.smtp import SinkMessage, SmtpSink
from clarion.testing.waiting import eventually

BATCH: Final = 200
PAGE: Final = 100
GREETING: Final = {
    "subject": "Hello {{ user.first_name }}",
    "html": "<p>Hello {{ user.first_name }}</p>",
    "text": "Hello {{ user.first_name }}",
}
STEADY: Final = """UPDATE tenant_settings SET ml = '{"exploration": 0, "holdout": {"send_time": 0, "channel": 0}}'
WHERE name = $1"""
SENDING: Final = "SELECT count(*) FROM open_deliveries WHERE state = 'sending'"


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str


async def run_clarion(*words: str | Path, within_s: float = 100.0) -> Finished:
    """`clarion WORDS…`, to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "clarion.entrypoints.cli.main"),
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(within_s):
        stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return Finished(process.returncode, stdout.decode(), stderr.decode())


@dataclass(frozen=True)
class Ledger:
    """What `clarion ledger verify --json` said, and by which code it ended."""

    code: int
    said: dict[str, Any]


async def ledger_holds(data: Path, wait_s: int = 60) -> bool:
    """Whether `clarion ledger verify --wait WAIT_S` would exit with 0: asked in this process, 2 s faster."""
    return await asyncio.to_thread(verify, VerifyOptions(data, wait_s, json=True)) == 0


async def verify_ledger(data: Path, wait_s: int = 60) -> Ledger:
    """`clarion ledger verify --data DATA --wait WAIT_S --json`."""
    done = await run_clarion("ledger", "verify", "--data", data, "--wait", str(wait_s), "--json")
    assert done.stdout, done.stderr
    return Ledger(done.code, msgspec.json.decode(done.stdout))


async def fetch(instance: Instance, statement: str, *values: object) -> list[asyncpg.Record]:
    """Rows of an instance's regional database, on a connection of its own."""
    connection = await asyncpg.connect(instance.owner_url)
    try:
        return await connection.fetch(statement, *values)
    finally:
        await connection.close()


async def count(instance: Instance, statement: str, *values: object) -> int:
    """The number that a statement gives."""
    ((number,),) = await fetch(instance, statement, *values)
    return int(number)


async def scrape(port: int, path: str = "/metrics") -> dict[str, float]:
    """The metrics that a process shows, by name and labels as they are written."""
    answer = await HttpClient("127.0.0.1", port).request(f"GET {path}")
    lines = (line for line in answer.body.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@dataclass(frozen=True)
class Person:
    """A tenant, as the public API knows her."""

    instance: Instance
    name: str
    tenant_id: str
    client: HttpClient

    async def call(
        self, line: str, json: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """One request under `/api/v1`."""
        method, _, path = line.partition(" ")
        return await self.client.request(f"{method} /api/v1{path}", json, headers=headers)

    async def get(self, line: str, json: Any = None) -> Any:
        """The body of an answer that must be a success."""
        answer = await self.call(line, json)
        assert answer.status < 300, (line, answer.status, answer.body)
        return answer.json() if answer.body else None

    async def insist(self, line: str, json: Any) -> Any:
        """A POST, repeated under one key for as long as the API is away or says 503; the answer's body."""
        headers = {"idempotency-key": secrets.token_hex(16)}

        async def attempt() -> HttpAnswer | None:
            try:
                answer = await self.call(line, json, headers=headers)
            except (OSError, asyncio.IncompleteReadError):
                return None
            return None if answer.status in {409, 503} else answer

        answer = await eventually(attempt)
        assert answer is not None
        assert answer.status < 300, (line, answer.status, answer.body)
        return answer.json()

    async def mail_through(self, sink: SmtpSink, name: str = "smtp", **settings: Any) -> None:
        """Send e-mail through this server from now on, instead of the sandbox."""
        account = sink.provider_settings("Clarion <hello@example.com>") | settings
        body = {"kind": "smtp", "channel": "email", "settings": account}
        await self.get(f"PUT /providers/{name}", body)

    async def template(self, name: str = "greeting", **parts: str) -> str:
        """A template for e-mail; its name."""
        body = {"category": "transactional", "channels": {"email": {**GREETING, **parts}}}
        await self.get(f"PUT /templates/{name}", body)
        return name

    async def users(self, number: int, **profile: Any) -> list[str]:
        """Users `user-0` and on; their ids."""
        names = [f"user-{i}" for i in range(number)]
        for part in parts_of(names):
            await self.get("POST /users/batch", {"users": [user(name, **profile) for name in part]})
        return names

    async def notify(self, **fields: Any) -> dict[str, Any]:
        """One notification, accepted: the answer."""
        return await self.insist("POST /notifications", notification(**fields))

    async def in_seconds(self, seconds: float, **fields: Any) -> dict[str, Any]:
        """One notification that is due this many seconds from now, by the store's clock: the answer."""
        ((at,),) = await fetch(self.instance, "SELECT clock_timestamp() + $1 * interval '1 second'", seconds)
        wanted = {"send_time": "scheduled", "scheduled_at": at.isoformat()}
        return await self.notify(**fields, optimization=wanted)

    async def campaign(self, users: Iterable[str], **fields: Any) -> list[str]:
        """A notification to each of these users, all accepted; their ids, in order."""
        ids: list[str] = []
        for part in parts_of(list(users)):
            body = {"notifications": [notification(user_id=name, **fields) for name in part]}
            answer = await self.insist("POST /notifications/batch", body)
            ids += [result["notification_id"] for result in answer["results"]]
        return ids

    async def deliveries(self) -> list[dict[str, Any]]:
        """All deliveries of the last day, as the API lists them: newest first, each with its `user_id`."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.get(f"GET /notifications?limit={PAGE}" + (cursor and f"&cursor={cursor}"))
            for one in page["notifications"]:
                found += [{**delivery, "user_id": one["user_id"]} for delivery in one["deliveries"]]
            cursor = page["next_cursor"] or ""
            if not cursor:
                return found

    async def statuses(self) -> Counter[str]:
        """How many deliveries are in which status."""
        return Counter(delivery["status"] for delivery in await self.deliveries())

    async def all_over(self, number: int, within_s: float = 60.0) -> Counter[str]:
        """The statuses, once there are `number` deliveries and each has come to its end."""

        def over(statuses: Counter[str]) -> bool:
            return statuses.total() == number and all(status in TERMINAL for status in statuses)

        return await eventually(self.statuses, over, within_s=within_s, every_s=0.2)

    async def status(self, notification_id: str) -> str:
        """The status of one notification."""
        return str((await self.get(f"GET /notifications/{notification_id}"))["status"])

    async def ends(self, notification_id: str, within_s: float = 60.0) -> str:
        """The status in which a notification comes to its end."""

        async def ask() -> str:
            return await self.status(notification_id)

        return await eventually(ask, TERMINAL.__contains__, within_s=within_s)

    async def attempts(self, notification_id: str) -> list[dict[str, Any]]:
        """What was tried, as `/trace` tells it, of a notification with one delivery."""
        (delivery,) = (await self.get(f"GET /notifications/{notification_id}/trace"))["deliveries"]
        return list(delivery["attempts"])


def at_noon() -> str:
    """A time zone in which it is between 11:30 and 12:30 now: no quiet hours, and none for long."""
    ahead = 12 - round((datetime.now(UTC) - midnight()).total_seconds() / 3600)
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


def midnight() -> datetime:
    """The beginning of this day, UTC."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def move_in(instance: Instance) -> Person:
    """A new tenant of an instance, whose messages take the best way each time: nothing is left to chance."""
    name = f"tenant-{secrets.token_hex(6)}"
    account = await add_tenant(instance.data, name)
    host, port = instance.address
    client = HttpClient(host, port, {"authorization": f"Bearer {account.api_key}"})
    await fetch(instance, STEADY, name)
    return Person(instance, name, account.tenant_id, client)


def parts_of(names: Sequence[str]) -> list[Sequence[str]]:
    """These names, as many at a time as go into one request."""
    return [names[start : start + BATCH] for start in range(0, len(names), BATCH)]


def user(user_id: str, **profile: Any) -> dict[str, Any]:
    """A user with an address of her own."""
    known = {"email": f"{user_id}@example.org", "timezone": "Europe/Paris"}
    return {"user_id": user_id, **known, "attributes": {"first_name": user_id.title()}, **profile}


def notification(**fields: Any) -> dict[str, Any]:
    """A request for a transactional notification; without a template, with words of its own."""
    said = {} if "template" in fields else {"data": {"subject": "Hello", "body": "Hello"}}
    return {"user_id": "user-0", "category": "transactional", **said, **fields}


def letter(message: SinkMessage) -> EmailMessage:
    """A message as its reader's program takes it."""
    return email.message_from_bytes(message.content, policy=email.policy.default)


def words_of(message: SinkMessage) -> str:
    """The plain text of a message."""
    body = letter(message).get_body(("plain",))
    assert body is not None
    return str(body.get_content()).strip()


def sent_to(messages: Iterable[SinkMessage]) -> dict[str, str]:
    """The plain text by user (`user-7` of `user-7@example.org`)."""
    return {re.sub("@.*", "", one.recipients[0]): words_of(one) for one in messages}
