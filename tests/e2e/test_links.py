"""The story of a newsletter: signed, followed, and stopped by one click before the next one leaves."""

from __future__ import annotations

import base64
import importlib
import re
from html import unescape
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from clarion.testing.http import HttpAnswer, HttpClient
from clarion.testing.smtp import SinkMessage, SmtpSink
from clarion.testing.waiting import eventually
from tests.live.support import Person, at_noon, letter

DKIM: Any = importlib.import_module("dkim")  # it has no types
KEY: Final = generate_private_key(65537, 2048)
BROWSER: Final = {"user-agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_6) Safari/605.1.15"}
NEWS: Final = {
    "subject": "News",
    "html": '<p>Hello</p><a href="https://shop.example/tea?a=1&amp;b=2">Tea</a> '
    '<a href="https://shop.example/reset" data-no-track>Reset</a> <a href="{{ links.unsubscribe }}">Stop</a>',
    "text": "Tea: https://shop.example/tea Stop: {{ links.unsubscribe }} Choose: {{ links.preferences }}",
}


async def publish(sender: Person, sink: SmtpSink) -> None:
    """A user who wants news, an account that signs, a category that is followed."""
    await sender.users(1, timezone=at_noon())
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {
        "kind": "smtp",
        "channel": "email",
        "settings": sink.provider_settings("News <news@example.com>")
        | {"dkim": {"domain": "example.com", "selector": "k1"}},
        "credentials": {"dkim_key": pem},
    }
    await sender.get("PUT /providers/smtp", account)
    tracking = {"clicks": True, "opens": True}
    await sender.get("PUT /categories/news", {"class": "marketing", "tracking": tracking})
    await sender.get("PUT /templates/news", {"category": "news", "channels": {"email": NEWS}})
    word = {"user_id": "user-0", "channel": "email", "category": "news", "consented": True, "source": "form"}
    await sender.get("POST /compliance/consent", word)


async def send_news(sender: Person, sink: SmtpSink) -> tuple[str, SinkMessage]:
    """One newsletter: its notification, and what the server got."""
    ident = (await sender.notify(category="news", template="news"))["notification_id"]
    assert await sender.ends(ident) == "sent"
    return ident, (await sink.messages())[-1]


async def visit(sender: Person, method: str, url: str, body: bytes | None = None) -> HttpAnswer:
    """Follow a link as a browser does, or press a button as a mail program does."""
    assert url.startswith(sender.instance.url)
    headers = {**BROWSER, "content-type": "application/x-www-form-urlencoded"} if body else BROWSER
    client = HttpClient(*sender.instance.address)
    return await client.request(f"{method} {urlsplit(url).path}", body=body, headers=headers)


def is_signed(message: SinkMessage) -> bool:
    """Whether dkimpy finds the signature to be that of KEY."""
    public = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        del timeout
        return record if name == b"k1._domainkey.example.com." else b""

    return bool(DKIM.verify(message.content, dnsfunc=look_up))


def links_of(message: SinkMessage) -> tuple[str, str, str, str, str]:
    """Of a newsletter's HTML: the links to the tea, to the reset, to stop; the picture; and the header's link."""
    mail = letter(message)
    body = mail.get_body(("html",))
    assert body is not None
    tea, reset, stop = (unescape(url) for url in re.findall(r'href="([^"]*)"', str(body.get_content())))
    (pixel,) = re.findall(r'<img src="([^"]*)"', str(body.get_content()))
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    return tea, reset, stop, pixel, str(mail["List-Unsubscribe"]).strip("<>")


async def test_a_newsletter_is_signed_followed_and_stopped_by_one_click(sender: Person, sink: SmtpSink):
    await publish(sender, sink)
    ident, message = await send_news(sender, sink)
    assert is_signed(message)
    tea, reset, stop, pixel, one_click = links_of(message)

    assert (await visit(sender, "GET", tea)).headers["location"] == "https://shop.example/tea?a=1&b=2"
    assert reset == "https://shop.example/reset"
    assert (await visit(sender, "GET", pixel)).status == 200

    async def status() -> str:
        return await sender.status(ident)

    assert await eventually(status, "engaged".__eq__) == "engaged"

    assert urlsplit(stop).path == urlsplit(one_click).path
    waiting = await sender.in_seconds(1, category="news", template="news")
    assert waiting["status"] == "scheduled"
    assert (await visit(sender, "GET", one_click)).status == 200
    assert (await visit(sender, "POST", one_click, b"List-Unsubscribe=One-Click")).status == 200

    assert await sender.ends(waiting["notification_id"]) == "blocked"
    after = await sender.notify(category="news", template="news")
    assert after["status"] == "blocked"
    assert (await sink.report()).received == 1


async def test_codes_carry_no_unsubscribe_and_nobody_follows_them(sender: Person, sink: SmtpSink):
    await sender.users(1)
    name = await sender.template(html='<a href="https://shop.example/reset">Reset</a>')
    ident = (await sender.notify(category="security", template=name))["notification_id"]
    assert await sender.ends(ident) == "sent"
    mail = letter((await sink.messages())[-1])
    body = mail.get_body(("html",))
    assert body is not None
    assert "List-Unsubscribe" not in mail
    assert 'href="https://shop.example/reset"' in str(body.get_content())
    assert "<img" not in str(body.get_content())


async def test_a_tenant_may_switch_following_off_and_use_a_host_of_its_own(sender: Person, sink: SmtpSink):
    await publish(sender, sink)
    own = "https://links.shop.example"
    await sender.get("PUT /links", {"public_url": own, "tracking": False})

    async def unsubscribe_link() -> str:
        _, message = await send_news(sender, sink)
        return str(letter(message)["List-Unsubscribe"])

    link = await eventually(unsubscribe_link, lambda link: link.startswith(f"<{own}/u/"), within_s=30)
    assert link.endswith(">")
    content = (await sink.messages())[-1].content
    assert b"https://shop.example/tea" in content
    assert b"<img" not in content
