"""Mail by SMTP as somebody else's server reads it: maildev, which parses what it takes and shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest

from clarion.adapters.providers.registry import build_provider
from clarion.kernel.clock import StoreClock
from clarion.tenancy.config import ProviderConfig
from clarion.testing.outside import outside
from tests.integration.providers.mail import SENDER, TENANT, kinds_of, newsletter
from tests.oracles.npm import free_port, require, started

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def ports() -> Generator[tuple[int, int]]:
    """Those of SMTP and of its pages."""
    package, smtp, web = require("maildev"), free_port(), free_port()
    words = ["--ip", "127.0.0.1", "-s", str(smtp), "--web-ip", "127.0.0.1", "-w", str(web)]
    with started([str(package / "dist" / "bin" / "maildev.js"), *words], "Press Ctrl+C to stop"):
        yield smtp, web


async def test_what_arrives_is_what_was_sent(ports: tuple[int, int]):
    smtp, web = ports
    settings = {"host": "127.0.0.1", "port": smtp, "tls": "none", "from": SENDER}
    provider = build_provider(
        ProviderConfig("relay", TENANT, "smtp", "email", settings, {}), outside(StoreClock())
    )
    messages = [newsletter(name) for name in ("Ada", "Grüße & <Söhne>", "O'Neil", "x" * 300)]
    assert kinds_of(await provider.send(messages)) == ["sent"] * len(messages)
    await provider.close()
    arrived = {mail["to"][0]["address"]: mail for mail in await asyncio.to_thread(_mail, web)}
    for message in messages:
        mail = arrived[message.to]
        assert mail["subject"] == message.subject
        assert mail["text"].strip() == message.text.strip()
        assert mail["html"].strip() == message.html.strip()
        assert mail["from"][0] == {"address": "news@shop.example", "name": "Shop"}


def _mail(port: int) -> list[dict[str, Any]]:
    with urlopen(f"http://127.0.0.1:{port}/api/email") as answer:
        return msgspec.json.decode(answer.read())
