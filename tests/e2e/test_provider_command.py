"""`clarion provider`: an operator looks at an account, and sends one message through it."""

from __future__ import annotations

import asyncio
import os
import sys
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from clarion.adapters.providers.twilio.receipts import signature
from clarion.testing.vendors import TwilioDouble, serve, twilio
from clarion.testing.waiting import eventually
from tests.live.support import Finished, Person


async def run_provider(person: Person, *words: str) -> Finished:
    """`clarion provider WORDS…` of an installation that may reach this machine."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "clarion.entrypoints.cli.main", "provider"),
        *words,
        *("--data", str(person.instance.data)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "CLARION_EGRESS_ALLOW": "127.0.0.0/8"},
    )
    async with asyncio.timeout(60):
        stdout, stderr = await process.communicate()
    assert process.returncode is not None
    return Finished(process.returncode, stdout.decode(), stderr.decode())


async def put_texts(person: Person, url: str, receipts_url: str = "") -> str:
    """An account with Twilio; where its receipts go, after this installation's address."""
    settings = {"account_sid": twilio.ACCOUNT_SID, "from": "+15005550006", "base_url": url}
    body = {
        "kind": "twilio",
        "channel": "sms",
        "settings": settings | ({"receipts_url": receipts_url} if receipts_url else {}),
        "credentials": {"auth_token": twilio.AUTH_TOKEN},
    }
    account = await person.get("PUT /providers/texts", body)
    host, port = person.instance.address
    return f"http://{host}:{port}{account['receipts']['url']}"


async def test_a_trial_tells_each_step_up_to_the_receipt(person: Person):
    async with serve(TwilioDouble()) as vendor:
        receipts_url = await put_texts(person, vendor.url)
        await put_texts(person, vendor.url, receipts_url)
        words = ("test", "texts", "--to", "+15551230001", "--tenant", person.name, "--wait", "30", "--json")
        trial = asyncio.create_task(run_provider(person, *words))

        async def sent() -> bool:
            return bool(vendor.requests)

        await eventually(sent)
        await report(person, dict(parse_qsl(vendor.requests[0].body.decode()))["StatusCallback"])
        finished = await trial
    steps = [msgspec.json.decode(line) for line in finished.stdout.splitlines()]
    told = [(step["step"], step["ok"]) for step in steps]
    assert finished.code == 0, finished.stderr
    assert told[0] == ("settings", True)
    assert told[-2:] == [("verdict", True), ("receipt", True)]
    assert steps[-1]["seen"] == "delivered"


async def report(person: Person, url: str) -> None:
    """Call back as Twilio does: the message has been delivered."""
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    signed = signature(
        twilio.AUTH_TOKEN, url + "".join(name + value for name, value in sorted(fields.items()))
    )
    parts = urlsplit(url)
    answer = await person.client.request(
        f"POST {parts.path}?{parts.query}",
        body=urlencode(fields).encode(),
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "x-twilio-signature": signed,
            "authorization": "",
        },
    )
    assert answer.status == 200, answer.body


async def test_a_trial_that_fails_ends_with_1_and_says_what_to_mend(person: Person):
    async with serve(TwilioDouble()) as vendor:
        await put_texts(person, vendor.url)
        words = ("test", "texts", "--to", "+15005550009", "--tenant", person.name)
        finished = await run_provider(person, *words)
    assert finished.code == 1
    assert "rcpt_21614" in finished.stdout
    assert twilio.AUTH_TOKEN not in finished.stdout


async def test_an_account_that_is_not_there_is_told_with_those_that_are(person: Person):
    finished = await run_provider(person, "test", "fax", "--to", "x", "--tenant", person.name)
    assert finished.code == 1
    assert "sandbox-email" in finished.stderr


async def test_accounts_are_listed_and_shown_with_their_health_and_no_credentials(person: Person):
    listed, shown = await asyncio.gather(
        run_provider(person, "list"), run_provider(person, "show", "sandbox-sms")
    )
    assert listed.code == shown.code == 0, (listed.stderr, shown.stderr)
    assert "sandbox-email" in listed.stdout
    assert "unused" in listed.stdout or "healthy" in listed.stdout
    account = msgspec.json.decode(shown.stdout)
    assert (account["name"], account["credentials_set"]) == ("sandbox-sms", [])
    assert account["health"]["status"] in {"unused", "healthy"}
