"""A hundred ways to make a tracking link lead elsewhere. None leads anywhere, or to anything but what we signed."""

from __future__ import annotations

import base64
import string
from typing import Final
from urllib.parse import quote

import pytest

from clarion.delivery.links.maker import clean_target
from clarion.delivery.links.tokens import LinkKind, Recipient
from tests.integration.api.support import Api, Caller

SIGNED: Final = "https://shop.example/sale?x=1"
EVIL: Final = "https://evil.example/"

TARGETS: Final = [
    *(
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        " javascript:alert(1)",
        "vbscript:x",
    ),
    *(
        "data:text/html,<script>alert(1)</script>",
        "file:///etc/passwd",
        "ftp://evil.example/",
        "//evil.example/",
    ),
    *("///evil.example/", "/\\evil.example", "\\\\evil.example", "https:evil.example", "https:/evil.example"),
    *(
        "https:///evil.example",
        "http:\\\\evil.example",
        "https://",
        "https://?x",
        "https://#x",
        "https:// evil.example",
    ),
    *(
        "https://shop.example@evil.example/",
        "https://shop.example:pw@evil.example/",
        "https://a\\@evil.example/",
    ),
    *("https://shop.example\r\nlocation: https://evil.example/", "https://shop.example/\r\nset-cookie: a=b"),
    *(
        "https://shop.example/\nx",
        "https://shop.example/\rx",
        "https://shop.example/\0",
        "https://shop.example/\t",
    ),
    *(
        "https://shop.example/\x7f",
        "https://shop.example/ x",
        "mailto:x@evil.example",
        "tel:1",
        "blob:https://x",
    ),
    *(
        "intent://evil#Intent;end",
        "about:blank",
        "view-source:https://evil.example",
        "ws://evil.example",
        "",
        "evil",
    ),
    "https://shop.example/" + "a" * 3000,
]
"""What somebody might get signed: the links of templates are their authors' own."""


def forged(good: str) -> list[str]:
    """Paths made of the path of a signed link, and of nothing but imagination."""
    head, token = good.rsplit("/", 1)[0] + "/", good.rsplit("/", 1)[1]
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    swapped = raw.replace(SIGNED.encode(), EVIL.encode().ljust(len(SIGNED), b"x"))
    encoded = base64.urlsafe_b64encode(swapped).rstrip(b"=").decode()
    longer = base64.urlsafe_b64encode(raw + b"\0" * 16).rstrip(b"=").decode()
    unsigned = base64.urlsafe_b64encode(EVIL.encode()).rstrip(b"=").decode()
    letters = string.ascii_letters + string.digits + "-_"
    changed = [
        f"{head}{token[:at]}{letters[(letters.index(token[at]) + 1) % 64]}{token[at + 1 :]}"
        for at in range(0, len(token), max(1, len(token) // 40))
    ]
    return [
        *changed,
        *(
            head + text
            for text in (encoded, longer, unsigned, token[:-1], token[1:], token + "A", token + "=")
        ),
        *(
            head + text
            for text in (token.swapcase(), token[::-1], token + "%00", token + "/..", "..", ".", "%2e%2e")
        ),
        *(
            head + quote(url, safe="")
            for url in (EVIL, "//evil.example", "javascript:alert(1)", "\\\\evil.example")
        ),
        *(f"{head}?{name}={quote(EVIL)}" for name in ("url", "u", "to", "next", "redirect", "target", "r")),
        f"{head}x?url={EVIL}",
        f"/t/c//{EVIL}",
        f"/t/c/{EVIL}",
        f"//evil.example/t/c/{token}x",
        good.replace("/t/c/", "/t/o/"),
        good.replace("/t/c/", "/u/"),
        good.replace("/t/c/", "/p/"),
    ]


def signed(api: Api, caller: Caller, target: str) -> str:
    region = api.gateway.region
    head = region.links.head(Recipient(caller.tenant_id, b"d" * 16, 1), region.clock.now_ms())
    return "/t/c/" + region.links.sign(LinkKind.CLICK, head, target.encode())


@pytest.mark.asyncio(loop_scope="session")
async def test_none_of_a_hundred_leads_away(api: Api, caller: Caller):
    good = signed(api, caller, SIGNED)
    client = api.client()
    paths = [*forged(good), *(signed(api, caller, target) for target in TARGETS)]
    assert len(paths) >= 100
    for path in paths:
        for method in ("GET", "HEAD"):
            async with client.connect() as connection:
                await connection.send(f"{method} {path} HTTP/1.1\r\nhost: evil.example\r\n\r\n".encode())
                answer = await connection.receive(has_body=method != "HEAD")
            assert not 300 <= answer.status < 400, (method, path, answer.headers)
            assert "location" not in answer.headers
            assert "set-cookie" not in answer.headers
            assert "refresh" not in answer.headers
    followed = await client.request(f"GET {good}")
    assert (followed.status, followed.headers["location"]) == (302, SIGNED)


@pytest.mark.asyncio(loop_scope="session")
async def test_what_is_added_to_a_signed_link_is_not_read(api: Api, caller: Caller):
    good = signed(api, caller, SIGNED)
    for name in ("url", "u", "to", "next", "redirect", "target", "r", "location", "link"):
        followed = await api.client().request(
            f"GET {good}?{name}={quote(EVIL)}", headers={"x-forwarded-host": "evil.example", "referer": EVIL}
        )
        assert followed.headers["location"] == SIGNED


@pytest.mark.parametrize("target", TARGETS)
def test_no_such_target_is_ever_signed(target: str):
    assert clean_target(target) == ""
