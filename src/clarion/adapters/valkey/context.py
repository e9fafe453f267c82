"""Users' contexts: `user_context:{user_id}` is a HASH of field name to JSON, and of all fields as one JSON object.

Merges go by the fields, reads by the document: 500 contexts of four fields came in 0.8 ms so, and in 4.3 ms field by
field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from clarion.adapters.valkey.client import ValkeyClients, call_script, guarded, load_script
from clarion.adapters.valkey.keyed import KeyedCall, KeyedScript, run_keyed
from clarion.kernel.errors import Invalid

TTL_MS: Final = 30 * 24 * 3600 * 1000
MAX_FIELDS: Final = 100
MAX_BYTES: Final = 64 * 1024

DOCUMENT: Final = b"\xff"
"""The field of the document. It is no UTF-8, and so no name that a tenant could give."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])


class ValkeyContexts:
    """`orchestration.ports.ContextStore` on Valkey."""

    def __init__(self, clients: ValkeyClients) -> None:
        self._clients = clients
        self._merge = load_script("context_merge")
        self._read = KeyedScript(load_script("context_read"), (DOCUMENT,))
        self._unlink = KeyedScript(load_script("unlink"))

    async def merge(self, user_id: int, context: Mapping[str, Any]) -> None:
        """One script call: it counts what is there before it writes."""
        values = encode_fields(context)
        pairs = [part for name, value in values.items() if value is not None for part in (name, value)]
        removed = [name for name, value in values.items() if value is None]
        fits = await call_script(
            self._clients.write,
            self._merge,
            [_key(user_id)],
            [TTL_MS, MAX_FIELDS, MAX_BYTES, DOCUMENT, len(pairs) // 2, *pairs, *removed],
        )
        if not fits:
            detail = f"a user's context holds at most {MAX_FIELDS} fields and {MAX_BYTES} bytes"
            raise Invalid(detail, "context")

    async def read(self, user_ids: Sequence[int]) -> list[dict[str, Any]]:
        """One script call; on a cluster, where each user has a slot of her own, one pipeline."""
        if self._clients.is_cluster:
            return [_decode(document) for document in await self._read_each(user_ids)]
        calls = [KeyedCall(user_id, _key(user_id)) for user_id in user_ids]
        documents: list[bytes | None] = await run_keyed(
            self._clients.read, self._read, calls, is_cluster=False
        )
        return [_decode(document) for document in documents]

    async def drop(self, user_ids: Sequence[int]) -> None:
        """One script call; on a cluster one a user."""
        calls = [KeyedCall(user_id, _key(user_id)) for user_id in user_ids]
        await run_keyed(self._clients.write, self._unlink, calls, is_cluster=self._clients.is_cluster)

    async def erase(self, user_id: int) -> int:
        """Remove a user's context; 1 where there was one, else 0. Raises Transient."""
        call = KeyedCall(user_id, _key(user_id))
        (found,) = await run_keyed(
            self._clients.write, self._unlink, [call], is_cluster=self._clients.is_cluster
        )
        return int(found)

    async def _read_each(self, user_ids: Sequence[int]) -> list[bytes | None]:
        if not user_ids:
            return []
        async with guarded():
            pipeline = self._clients.read.pipeline()
            for user_id in user_ids:
                pipeline.execute_command("HGET", _key(user_id), DOCUMENT)
            return await pipeline.execute()


def encode_fields(context: Mapping[str, Any]) -> dict[bytes, bytes | None]:
    """UTF-8 names and the JSON of each value; None where the field is to be removed.

    Raises Invalid with the field's path where a name or value cannot be written as JSON.
    """
    fields: dict[bytes, bytes | None] = {}
    for name, value in context.items():
        try:
            fields[name.encode()] = None if value is None else _encoder.encode(value)
        except (TypeError, UnicodeEncodeError, RecursionError) as exc:
            detail = "is not JSON"
            raise Invalid(detail, f"context.{name!a}") from exc
    return fields


def _decode(document: bytes | None) -> dict[str, Any]:
    """The context of a document; empty where there is none, or none of ours."""
    if document is None:
        return {}
    try:
        return _decoder.decode(document)
    except msgspec.DecodeError:
        return {}


def _key(user_id: int) -> bytes:
    return b"user_context:{%d}" % user_id
