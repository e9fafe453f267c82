"""Forms as `multipart/form-data`: the only kind of body that Mailgun's own description knows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

_PREFIX: Final = "clarion-"


def encode_form(fields: Iterable[tuple[str, str]]) -> tuple[str, bytes]:
    """The content type and the body of a form. Names are ASCII without quotes; the same fields give the same bytes.

    The boundary is a hash of the fields: whoever could put it into a value would have to know the hash of that value.
    """
    parts = [
        (f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode(), value.encode())
        for name, value in fields
    ]
    digest = hashlib.sha256()
    for head, value in parts:
        digest.update(head)
        digest.update(value)
    boundary = f"{_PREFIX}{digest.hexdigest()[:40]}"
    opening = f"--{boundary}\r\n".encode()
    body = b"".join(b"%s%s%s\r\n" % (opening, head, value) for head, value in parts)
    return f"multipart/form-data; boundary={boundary}", b"%s--%s--\r\n" % (body, boundary.encode())
