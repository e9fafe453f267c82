"""`Idempotency-Key`: a repeat of a POST is answered with the first answer, and does nothing."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from clarion.kernel.errors import Invalid
from clarion.orchestration.model import IdempotencyClaim

REPLAYED: Final = (b"idempotent-replayed", b"true")

_BARE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_QUOTED: Final = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"')
_ESCAPED: Final = re.compile(r"\\(.)")


def read_claim(headers: dict[bytes, bytes], route: str, target: bytes, raw: bytes) -> IdempotencyClaim | None:
    """What the caller claims of this request; None without the header.

    `route` is method and path template: the scope of a key. `target` is what was really asked for. The header's value
    is 1 to 255 printable characters, bare or as a quoted string (RFC 9651). Raises Invalid on another one.
    """
    given = headers.get(b"idempotency-key")
    if given is None:
        return None
    digest = hashlib.sha256(route.encode())
    digest.update(b"\n%s\n" % target)
    digest.update(raw)
    return IdempotencyClaim(_parse(given.decode("latin-1").strip()), route, digest.digest())


def _parse(text: str) -> str:
    if text.startswith('"'):
        quoted = _QUOTED.fullmatch(text)
        if quoted is not None:
            return _ESCAPED.sub(r"\1", quoted[1])
    elif _BARE.fullmatch(text):
        return text
    raise Invalid("has 1 to 255 printable ASCII characters, bare or in double quotes", "Idempotency-Key")
