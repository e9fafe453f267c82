"""`clarion provider bounce`: a mail that came back, from a mail server's pipe to the account's webhook."""

from __future__ import annotations

import http.client
import os
import sys
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from clarion.adapters.providers.standard_webhooks import PREFIX, sign
from clarion.kernel.errors import Invalid

TIMEOUT_S: Final = 30.0

TRY_AGAIN: Final = os.EX_TEMPFAIL
"""What a mail server's pipe is told by this exit code: keep the mail, and come again."""

USAGE: Final = os.EX_USAGE


def hand_in(url: str, secret_file: Path, mail: bytes) -> int:
    """Post a mail, signed. 0 where it was taken, or never will be; TRY_AGAIN where it may be later.

    `url`: this region's public address and the account's `receipts.url`. `secret_file` holds its `signing_secret`.
    Raises Invalid where either is none.
    """
    secret = _read_secret(secret_file)
    message_id, at_s = os.urandom(16).hex(), int(time.time())
    headers = {
        "Content-Type": "message/rfc822",
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": sign(secret, message_id, at_s, mail),
    }
    try:
        status = _post(url, mail, headers)
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"clarion: {error}\n")
        return TRY_AGAIN
    if status == http.HTTPStatus.BAD_REQUEST:
        # No mail that can be read: it will be none tomorrow either.
        return 0
    if status >= http.HTTPStatus.BAD_REQUEST:
        sys.stderr.write(f"clarion: the API answers {status}\n")
        return TRY_AGAIN
    return 0


def _read_secret(path: Path) -> str:
    try:
        secret = path.read_text().strip()
    except OSError as error:
        raise Invalid(f"{path}: {error.strerror}", "secret-file") from error
    if not secret.startswith(PREFIX):
        raise Invalid(f"{path} holds no secret: it begins with {PREFIX}", "secret-file")
    return secret


def _post(url: str, mail: bytes, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.netloc:
        raise Invalid(f"{url!r} is no address on the web", "url")
    connection = kinds[parts.scheme](parts.netloc, timeout=TIMEOUT_S)
    try:
        connection.request("POST", f"{parts.path}?{parts.query}", mail, headers)
        return connection.getresponse().status
    finally:
        connection.close()
