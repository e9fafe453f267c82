"""The links of one message: made where a message asks for them, and not before."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

import msgspec

from clarion.delivery.links.rewrite import add_pixel, rewrite_links
from clarion.delivery.links.tokens import MAX_DETAIL_BYTES, LinkKind, Recipient, TokenSigner
from clarion.tenancy.model import TRACK_CLICKS, TRACK_OPENS, Category

CLICK_PATH: Final = "/t/c/"
OPEN_PATH: Final = "/t/o/"
UNSUBSCRIBE_PATH: Final = "/u/"
PREFERENCES_PATH: Final = "/p/"
CONFIRM_PATH: Final = "/c/"

ONE_CLICK: Final = "List-Unsubscribe=One-Click"
"""What a mail program posts (RFC 8058, section 3.1), and the value of `List-Unsubscribe-Post`."""

_WEB_URL: Final = re.compile(r"https?://[^/?#\s\\@]+(?:[/?#]\S*)?", re.IGNORECASE)
"""Absolute, with a host, without a login before it: `https://bank.example@evil.example` leads where nobody expects."""

_URL_SAFE: Final = "%:/?#[]@!$&'()*+,;=-._~|{}^"
"""What `clean_target` leaves as it is: beyond RFC 3986 a few that browsers send as they stand."""


def clean_target(url: str) -> str:
    """The target of a link as it is signed: absolute http(s), ASCII, short enough; "" where it is no such thing.

    What comes out goes into a `Location` header as it is.
    """
    if not url.isascii():
        url = quote(url, safe=_URL_SAFE)
    if len(url) > MAX_DETAIL_BYTES or not url.isprintable() or not _WEB_URL.fullmatch(url):
        return ""
    return url


class LinkMaker:
    """Makes the links of messages. `base_url` has no slash at its end; a tenant's own one goes before it."""

    def __init__(self, signer: TokenSigner, base_url: str) -> None:
        self._signer = signer
        self._base_url = base_url

    def of(self, recipient: Recipient, category: str, tenant_url: str, now_ms: int) -> MessageLinks:
        """The links of one message to `recipient`, sent at `now_ms`."""
        head = self._signer.head(recipient, now_ms)
        return MessageLinks(self._signer, head, tenant_url or self._base_url, category)


class MessageLinks(msgspec.Struct, frozen=True, gc=False):
    """The links of one message."""

    signer: TokenSigner
    head: bytes
    base_url: str
    category: str

    def variables(self) -> dict[str, str]:
        """What a template sees as `links`."""
        preferences = self.signer.sign(LinkKind.PREFERENCES, self.head)
        return {
            "unsubscribe": self._unsubscribe(),
            "preferences": self.base_url + PREFERENCES_PATH + preferences,
        }

    def headers(self) -> dict[str, str]:
        """What lets a mail program unsubscribe her with one click (RFC 8058)."""
        return {"List-Unsubscribe": f"<{self._unsubscribe()}>", "List-Unsubscribe-Post": ONE_CLICK}

    def track(self, html: str, wanted: int) -> str:
        """`html` with what it takes to see clicks and opens, as far as `wanted` (TRACK_CLICKS, TRACK_OPENS)."""
        if not html:
            return html
        if wanted & TRACK_CLICKS:
            html = rewrite_links(html, self._click)
        if wanted & TRACK_OPENS:
            pixel = self.signer.sign(LinkKind.OPEN, self.head)
            html = add_pixel(html, self.base_url + OPEN_PATH + pixel)
        return html

    def _unsubscribe(self) -> str:
        token = self.signer.sign(LinkKind.UNSUBSCRIBE, self.head, self.category.encode())
        return self.base_url + UNSUBSCRIBE_PATH + token

    def _click(self, target: str) -> str:
        """Where a link to `target` leads; "" where it stays as it is: our own links, and what is no web address."""
        clean = clean_target(target)
        own = tuple(self.base_url + path for path in (UNSUBSCRIBE_PATH, PREFERENCES_PATH, CONFIRM_PATH))
        if not clean or clean.startswith(own):
            return ""
        return self.base_url + CLICK_PATH + self.signer.sign(LinkKind.CLICK, self.head, clean.encode())


def has_one_click(category: Category) -> bool:
    """Whether an e-mail says in its headers how to unsubscribe: marketing does, codes and receipts do not."""
    return category.class_ == "marketing"
