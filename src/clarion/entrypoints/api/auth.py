"""Who calls. The tenant comes from the credential and from nowhere else."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final

import msgspec

from clarion.entrypoints.api.errors import HttpError
from clarion.entrypoints.api.tokens import TokenVerifier
from clarion.tenancy.api_keys import parse_key
from clarion.tenancy.model import Principal
from clarion.tenancy.ports import ApiKeyStore
from clarion.tenancy.tokens import MAX_TOKEN_BYTES, TokenRefused, looks_like_token

TRUSTED_S: Final = 2.0
"""How long what the store said about a key is believed: a revoked key works no longer than this."""

MAX_KNOWN: Final = 10_000

_BEARER: Final = b"bearer "
_CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="clarion"'),)
_NO_KEY: Final = "the API key is unknown, expired or revoked"


class _Entry(msgspec.Struct, frozen=True, gc=False):
    """What was found out about a credential: whose it is, or why it is nobody's; believed until `until_s`."""

    principal: Principal | None
    until_s: float
    refusal: str = ""


class Authenticator:
    """Finds the principal of a request, asking the store at most once per credential and `TRUSTED_S` seconds."""

    def __init__(self, store: ApiKeyStore, tokens: TokenVerifier, monotonic: Callable[[], float]) -> None:
        self.tokens = tokens
        self._store = store
        self._monotonic = monotonic
        self._known: dict[bytes, _Entry] = {}
        self._asking: dict[bytes, asyncio.Task[_Entry]] = {}

    async def identify(self, headers: dict[bytes, bytes]) -> Principal:
        """Who the caller is. Raises HttpError (401) without a live credential, Transient with the store away."""
        text = _credential(headers)
        # The same hash that the store looks for: what is known needs no parsing.
        digest = hashlib.sha256(text).digest()
        entry = self._known.get(digest)
        if entry is None or self._monotonic() >= entry.until_s:
            if not looks_like_token(text) and not parse_key(text.decode("latin-1")):
                raise HttpError(401, _NO_KEY, _CHALLENGE)
            entry = await self._ask(digest, text)
        if entry.principal is None:
            raise HttpError(401, entry.refusal, _CHALLENGE)
        return entry.principal

    def forget(self, key_id: str) -> None:
        """Believe nothing about a key or an issuer's tokens any more: it was just revoked or changed."""
        self.tokens.forget()
        self._known = {
            digest: entry
            for digest, entry in self._known.items()
            if entry.principal is not None and entry.principal.key_id != key_id
        }

    def forget_all(self) -> None:
        """Believe nothing any more: what people may has just changed."""
        self.tokens.forget()
        self._known = {}

    async def _ask(self, digest: bytes, text: bytes) -> _Entry:
        """One look-up for all who wait for the same credential."""
        task = self._asking.get(digest)
        if task is None:
            task = self._asking[digest] = asyncio.get_running_loop().create_task(self._look_up(digest, text))
            task.add_done_callback(lambda done: self._settle(digest, done))
        return await asyncio.shield(task)

    async def _look_up(self, digest: bytes, text: bytes) -> _Entry:
        asked_s = self._monotonic()
        find = self._find_bearer(text, asked_s) if looks_like_token(text) else self._find_key(digest, asked_s)
        entry = await find
        if len(self._known) >= MAX_KNOWN:
            self._known = {key: known for key, known in self._known.items() if known.until_s > asked_s}
        if len(self._known) < MAX_KNOWN:
            self._known[digest] = entry
        return entry

    async def _find_key(self, digest: bytes, asked_s: float) -> _Entry:
        return _Entry(await self._store.find_key(digest), asked_s + TRUSTED_S, _NO_KEY)

    async def _find_bearer(self, text: bytes, asked_s: float) -> _Entry:
        try:
            verified = await self.tokens.verify(text)
        except TokenRefused as error:
            return _Entry(None, asked_s + TRUSTED_S, error.detail)
        return _Entry(verified.principal, asked_s + min(TRUSTED_S, verified.for_s))

    def _settle(self, digest: bytes, task: asyncio.Task[_Entry]) -> None:
        del self._asking[digest]
        if not task.cancelled():
            task.exception()  # told to those who wait; if all of them left, it is nobody's any more


def _credential(headers: dict[bytes, bytes]) -> bytes:
    bearer = headers.get(b"authorization")
    if bearer is None:
        key = headers.get(b"x-api-key", b"")
        if not key:
            raise HttpError(
                401, "send an API key: `Authorization: Bearer KEY` or `X-API-Key: KEY`", _CHALLENGE
            )
        return _bounded(key.strip())
    if not bearer[: len(_BEARER)].lower() == _BEARER:
        raise HttpError(401, "Authorization takes `Bearer KEY` or `Bearer TOKEN` only", _CHALLENGE)
    return _bounded(bearer[len(_BEARER) :].strip())


def _bounded(text: bytes) -> bytes:
    """The credential, if it is one that we would read: a larger one is not worth its hash."""
    if len(text) > MAX_TOKEN_BYTES:
        raise HttpError(401, f"the credential has more than {MAX_TOKEN_BYTES} bytes", _CHALLENGE)
    return text
