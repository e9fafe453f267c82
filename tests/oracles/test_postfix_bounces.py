"""True bounces: our mail through a private Postfix to a server that refuses it, and Postfix's report back to us."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Final

import msgspec
import pytest
import pytest_asyncio

from clarion.adapters.providers.base import Outside
from clarion.adapters.providers.smtp import SmtpProvider, build_smtp, read_smtp
from clarion.adapters.providers.standard_webhooks import PREFIX, sign
from clarion.adapters.providers.webhooks import Feedback, WebhookCall
from clarion.delivery.model import Message
from clarion.kernel.clock import StoreClock
from clarion.kernel.ids import make_ids
from clarion.tenancy.config import ProviderConfig
from clarion.testing.outside import outside
from clarion.testing.smtp import Fault, SinkOptions, SmtpSink

POSTFIX: Final = shutil.which("postfix", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SECRET: Final = b"s" * 32

pytestmark = [
    pytest.mark.skipif(POSTFIX is None, reason="Postfix is not installed: apt-get install postfix"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix is started by root alone"),
]

MAIN: Final = """
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/log
maillog_file_prefixes = {root}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example.test
mydestination =
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
transport_maps = inline:{{ {{example.net=smtp:[127.0.0.1]:{refusing}}}, {{example.org=smtp:[127.0.0.1]:{ours}}} }}
alias_maps =
local_recipient_maps =
recipient_delimiter = +
bounce_queue_lifetime = 1d
"""
MASTER: Final = """
127.0.0.1:{port} inet n - n - - smtpd
pickup  unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr    unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce  unix - - n - 0 bounce
defer   unix - - n - 0 bounce
trace   unix - - n - 0 bounce
smtp    unix - - n - - smtp
error   unix - - n - - error
retry   unix - - n - - error
anvil   unix - - n - 1 anvil
scache  unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def sinks() -> Generator[tuple[SmtpSink, SmtpSink]]:
    """The server that refuses, and ours, where bounces come in."""
    with SmtpSink.start(SinkOptions()) as refusing, SmtpSink.start(SinkOptions()) as ours:
        yield refusing, ours


@pytest.fixture(scope="module")
def relay(sinks: tuple[SmtpSink, SmtpSink]) -> Generator[int]:
    """The port of a Postfix of the test's own."""
    root = Path("/tmp") / f"clarion-postfix-{os.getpid()}"  # noqa: S108  its logger takes no longer path, and no other place
    port = free_port()
    for folder in ("conf", "queue", "data"):
        (root / folder).mkdir(parents=True)
    shutil.chown(root / "data", "postfix")
    main = MAIN.format(root=root, refusing=sinks[0].port, ours=sinks[1].port)
    (root / "conf" / "main.cf").write_text(main)
    (root / "conf" / "master.cf").write_text(MASTER.format(port=port))
    command = [str(POSTFIX), "-c", str(root / "conf")]
    try:
        started = subprocess.run([*command, "start"], capture_output=True, text=True, check=False)
        assert started.returncode == 0, started.stderr
        yield port
    finally:
        subprocess.run([*command, "stop"], capture_output=True, check=False)
        shutil.rmtree(root, ignore_errors=True)


@pytest_asyncio.fixture
async def provider(relay: int) -> AsyncGenerator[SmtpProvider]:
    """Our account on that Postfix."""
    settings = {
        "host": "127.0.0.1",
        "port": relay,
        "tls": "none",
        "from": "Shop <shop@example.org>",
        "bounce_address": "bounces@example.org",
    }
    config = ProviderConfig("relay", bytes(16), "smtp", "email", settings, {})
    around: Outside = outside(StoreClock())
    built = build_smtp(config, around)
    yield built
    await built.close()


async def send(provider: SmtpProvider, to: str) -> bytes:
    """Send to an address; the delivery's id. Postfix takes everything."""
    delivery_id = make_ids(1, 1_800_000_000_000)
    message = Message(delivery_id, bytes(16), "email", 1, to=to, subject="Hello", text="Hello Ada")
    (outcome,) = await provider.send([message])
    assert outcome.kind == "sent", outcome
    return delivery_id


async def bounced(ours: SmtpSink) -> tuple[list[Feedback], bytes]:
    """What the mail that came back says, read as our webhook reads it; and the mail."""
    await ours.wait_for(1, timeout_s=30.0)
    (message,) = await ours.messages()
    now_ms = StoreClock().now_ms()
    headers = {
        "webhook-id": "m-1",
        "webhook-timestamp": str(now_ms // 1000),
        "webhook-signature": sign(PREFIX + _base64(SECRET), "m-1", now_ms // 1000, message.content),
    }
    call = WebhookCall("POST", "http://localhost/", headers, message.content, now_ms, SECRET)
    account = ProviderConfig("relay", bytes(16), "smtp", "email", {}, {})
    return list((await read_smtp(call, account, _fetch)).feedback), message.content


def _base64(raw: bytes) -> str:
    return msgspec.json.encode(raw).decode().strip('"')


async def _fetch(url: str) -> bytes:
    raise AssertionError(url)


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        ("550 5.1.1 <nobody@example.net>: User unknown", "bounced", "5.1.1"),
        ("552 5.2.2 mailbox full", "failed", "5.2.2"),
        ("554 5.7.1 we do not like you", "failed", "5.7.1"),
    ],
)
async def test_what_postfix_reports_is_understood(
    sinks: tuple[SmtpSink, SmtpSink], provider: SmtpProvider, reply: str, kind: str, code: str
):
    refusing, ours = sinks
    await ours.reset()
    await refusing.script(Fault("rcpt", text=reply))
    delivery_id = await asyncio.wait_for(send(provider, "nobody@example.net"), 20)
    (feedback,), mail = await bounced(ours)
    assert (feedback.delivery_id, feedback.kind, feedback.code) == (delivery_id, kind, code)
    assert feedback.address == "nobody@example.net"
    assert f"Original-Envelope-Id: {delivery_id.hex()}".encode() in mail
    assert b"Hello Ada" not in mail, "the text stays with the server"
