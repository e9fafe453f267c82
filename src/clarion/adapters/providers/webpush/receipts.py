"""What a page's own service worker reports of a message: that it was shown, opened, clicked.

Push services report nothing. Whoever calls proves with each message's own code that a browser decrypted it; the code
says nothing of other messages, and a repeat changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Annotated, Final, Literal

import msgspec
from joserfc.jwk import ECKey
from msgspec import Meta

from clarion.adapters.providers.proof import check_same
from clarion.adapters.providers.webhooks import Feedback, Fetch, WebhookCall, WebhookRead
from clarion.adapters.providers.webpush.account import read_account
from clarion.kernel.errors import Invalid
from clarion.kernel.ids import parse_id
from clarion.tenancy.config import ProviderConfig

_PURPOSE: Final = b"clarion: receipts of web push"
_PROOF_BYTES: Final = 18


class _Report(msgspec.Struct, forbid_unknown_fields=True):
    id: Annotated[str, Meta(max_length=36)]
    kind: Literal["delivered", "opened", "clicked"]
    proof: Annotated[str, Meta(max_length=64)]


_decode: Final = msgspec.json.Decoder(_Report).decode


class Proofs:
    """The codes of one account's messages. They follow from its private key: another key, other codes."""

    def __init__(self, key: ECKey) -> None:
        secret = str(key.as_dict(private=True)["d"]).encode()
        self._key = hmac.digest(secret, _PURPOSE, hashlib.sha256)

    def of(self, delivery_id: bytes) -> str:
        """The code of a message."""
        return urlsafe_b64encode(hmac.digest(self._key, delivery_id, hashlib.sha256)[:_PROOF_BYTES]).decode()


async def read_webpush(call: WebhookCall, account: ProviderConfig, fetch: Fetch) -> WebhookRead:
    """A service worker's report; see `WebhookReader`. It says when by coming: nobody vouches for a browser's clock."""
    del fetch
    try:
        report = _decode(call.raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Invalid("a report is a JSON object with id, kind and proof") from error
    delivery_id = parse_id(report.id)
    if delivery_id is None:
        raise Invalid("this is no id of a message", "id")
    expected = Proofs(read_account(account).key).of(delivery_id)
    check_same(expected, report.proof, "the proof is not of this message")
    event_id = f"{report.id}:{report.kind}"
    return WebhookRead([Feedback(event_id, report.kind, call.now_ms, delivery_id)])
