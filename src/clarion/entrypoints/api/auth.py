"""Who calls. The tenant comes from the credential and from nowhere else."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final

import msgspec

from clarion.entrypoints.api.errors import HttpError
from clarion.tenancy.api_keys import parse_key
from clarion.tenancy.model import Principal
from clarion.tenancy.ports import ApiKeyStore

TRUSTED_S: Final = 2.0
"""How long what the store said about a key is believed: a revoked key works no longer than this."""

MAX_KNOWN: Final = 10_000

_BEARER: Final = b"bearer "
_CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="clarion"'),)


class _Entry(msgspec.Struct, frozen=True, gc=False):
    principal: Principal | None
    until_s: float


class Authenticator:
    """Finds the principal of a request, asking the store at most once per key and `TRUSTED_S` seconds."""

    def __init__(self, store: ApiKeyStore, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._known: dict[bytes, _Entry] = {}
        self._asking: dict[bytes, asyncio.Task[Principal | None]] = {}

    async def identify(self, headers: dict[bytes, bytes]) -> Principal:
        """The holder of the request's key. Raises HttpError (401) without a live one, Transient with the store away."""
        text = _credential(headers)
        # The same hash that the store looks for: what is known needs no parsing.
        key_hash = hashlib.sha256(text).digest()
        entry = self._known.get(key_hash)
        if entry is not None and self._monotonic() < entry.until_s:
            principal = entry.principal
        else:
            principal = await self._ask(key_hash) if parse_key(text.decode("latin-1")) else None
        if principal is None:
            raise HttpError(401, "the API key is unknown, expired or revoked", _CHALLENGE)
        return principal

    def forget(self, key_id: str) -> None:
        """Believe nothing about a key any more: it was just revoked."""
        self._known = {
            key_hash: entry
            for key_hash, entry in self._known.items()
            if entry.principal is None or entry.principal.key_id != key_id
        }

    async def _ask(self, key_hash: bytes) -> Principal | None:
        """One look-up for all who wait for the same key."""
        task = self._asking.get(key_hash)
        if task is None:
            task = self._asking[key_hash] = asyncio.get_running_loop().create_task(self._look_up(key_hash))
            task.add_done_callback(lambda done: self._settle(key_hash, done))
        return await asyncio.shield(task)

    async def _look_up(self, key_hash: bytes) -> Principal | None:
        asked_s = self._monotonic()
        principal = await self._store.find_key(key_hash)
        if len(self._known) >= MAX_KNOWN:
            self._known = {k: entry for k, entry in self._known.items() if entry.until_s > asked_s}
        if len(self._known) < MAX_KNOWN:
            self._known[key_hash] = _Entry(principal, asked_s + TRUSTED_S)
        return principal

    def _settle(self, key_hash: bytes, task: asyncio.Task[Principal | None]) -> None:
        del self._asking[key_hash]
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
        return key.strip()
    if not bearer[: len(_BEARER)].lower() == _BEARER:
        raise HttpError(401, "Authorization takes `Bearer KEY` only", _CHALLENGE)
    return bearer[len(_BEARER) :].strip()
