"""Mail that came back, by the ways it comes: a mail server's pipe, and the dialogue itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from clarion.entrypoints.cli.bounces import TRY_AGAIN, hand_in
from clarion.kernel.errors import Invalid
from tests.integration.api.receipts_support import Teller, sent
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

RELAY = {
    "kind": "smtp",
    "channel": "email",
    "settings": {
        "host": "127.0.0.1",
        "port": 1,
        "tls": "none",
        "from": "shop@example.org",
        "bounce_address": "bounces@example.org",
    },
}


async def test_a_mail_servers_pipe_hands_it_in(api: Api, caller: Caller, tmp_path: Path):
    await caller.user()
    shown = (await caller.call("PUT /providers/relay", RELAY)).json()["receipts"]
    secret = tmp_path / "secret"
    secret.write_text(shown["signing_secret"] + "\n")
    delivery = await sent(api, caller)
    mail = (
        f"From: MAILER-DAEMON@mx.example.net\nTo: bounces+{delivery.ident.hex()}@example.org\n\n"
        "550 5.1.1 User unknown\n"
    )
    words = [sys.executable, "-m", "clarion.entrypoints.cli.main", "provider", "bounce"]
    where = ["--url", f"http://127.0.0.1:{api.port}{shown['url']}", "--secret-file", str(secret)]
    done = await asyncio.to_thread(subprocess.run, [*words, *where], input=mail.encode(), check=False)
    assert done.returncode == 0
    await Teller(api, caller).fold()
    assert (await delivery.shown())["status"] == "failed"


async def test_what_is_not_taken_now_is_kept_by_the_server_and_what_never_is_is_not(
    api: Api, caller: Caller, tmp_path: Path
):
    shown = (await caller.call("PUT /providers/relay", RELAY)).json()["receipts"]
    secret = tmp_path / "secret"
    secret.write_text(shown["signing_secret"])
    url = f"http://127.0.0.1:{api.port}{shown['url']}"
    unreadable = b"Content-Type: message/rfc822\r\n\r\n" * 5000
    assert await asyncio.to_thread(hand_in, url, secret, unreadable) == 0
    assert await asyncio.to_thread(hand_in, url[:-3] + "xyz", secret, b"x") == TRY_AGAIN
    assert await asyncio.to_thread(hand_in, "http://127.0.0.1:1/x?y", secret, b"x") == TRY_AGAIN


async def test_a_wrong_secret_file_is_named(tmp_path: Path):
    with pytest.raises(Invalid, match="No such file"):
        hand_in("http://127.0.0.1/", tmp_path / "nowhere", b"")
    (tmp_path / "secret").write_text("password")
    with pytest.raises(Invalid, match="whsec_"):
        hand_in("http://127.0.0.1/", tmp_path / "secret", b"")
