"""Users' contexts: `user_context:{user_id}` is a HASH of field name to JSON."""

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

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


class ValkeyContexts:
    """`orchestration.ports.ContextStore` on Valkey."""

    def __init__(self, clients: ValkeyClients) -> None:
        self._clients = clients
        self._merge = load_script("context_merge")
        self._read = KeyedScript(load_script("context_read"))
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
            [TTL_MS, MAX_FIELDS, MAX_BYTES, len(pairs) // 2, *pairs, *removed],
        )
        if not fits:
            detail = f"a user's context holds at most {MAX_FIELDS} fields and {MAX_BYTES} bytes"
            raise Invalid(detail, "context")

    async def read(self, user_ids: Sequence[int]) -> list[dict[str, Any]]:
        """One script call; on a cluster, where each user has a slot of her own, one pipeline."""
        calls = [KeyedCall(user_id, _key(user_id)) for user_id in user_ids]
        if self._clients.is_cluster:
            return [decode_fields(found) for found in await self._read_each(calls)]
        flat: list[list[bytes]] = await run_keyed(self._clients.read, self._read, calls, is_cluster=False)
        return [decode_fields(dict(zip(found[::2], found[1::2], strict=True))) for found in flat]

    async def drop(self, user_ids: Sequence[int]) -> None:
        """One script call; on a cluster one a user."""
        calls = [KeyedCall(user_id, _key(user_id)) for user_id in user_ids]
        await run_keyed(self._clients.write, self._unlink, calls, is_cluster=self._clients.is_cluster)

    async def _read_each(self, calls: Sequence[KeyedCall]) -> list[dict[bytes, bytes]]:
        if not calls:
            return []
        async with guarded():
            pipeline = self._clients.read.pipeline()
            for call in calls:
                pipeline.execute_command("HGETALL", call.key)
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


def decode_fields(fields: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Inverse of `encode_fields`. A value that is no JSON (nobody of ours wrote it) is left out."""
    context: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            context[name.decode()] = _decoder.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return context


def _key(user_id: int) -> bytes:
    return b"user_context:{%d}" % user_id
