"""Certificates of doubles, signed by an authority of their own (needs `trustme`, from the development extras)."""

from __future__ import annotations

import ssl

import trustme


class Authority:
    """An authority that nobody trusts but who is given its `pem`."""

    def __init__(self) -> None:
        self._authority = trustme.CA()

    @property
    def pem(self) -> str:
        """Its own certificate."""
        return self._authority.cert_pem.bytes().decode()

    def server(self, *names: str) -> ssl.SSLContext:
        """What a server needs that goes by these names and addresses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names).configure_cert(context)
        return context
