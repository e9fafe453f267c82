"""A tenant who sends a newsletter that is signed and followed, and a reader of it."""

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
