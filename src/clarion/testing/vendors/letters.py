"""What vendors of e-mail take: a message as its recipient gets it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clarion.testing.vendors.double import VendorDouble

REFUSED: Final = "@refused.example"
"""Addresses that end like this are none to the doubles."""


class MailDouble(VendorDouble):
    """A vendor of e-mail. `arrived` holds `delivery_id`, `to`, `subject`, `text`, `html`, `headers` of each message."""

    def counts(self) -> Counter[bytes]:
        """How many messages of each delivery have arrived."""
        return Counter(one["delivery_id"] for one in self.arrived)

    def texts(self) -> dict[bytes, tuple[str, str, str]]:
        """Subject, text and html of each delivery."""
        return {one["delivery_id"]: (one["subject"], one["text"], one["html"]) for one in self.arrived}

    def _take_letter(self, delivery: str, to: str, parts: Sequence[str], headers: Mapping[str, str]) -> None:
        subject, text, html = parts
        letter: dict[str, Any] = {"delivery_id": bytes.fromhex(delivery), "to": to, "headers": dict(headers)}
        self._take(letter | {"subject": subject, "text": text, "html": html})
