"""One script over many keys: one call on a single node, one per hash tag on a cluster.

The scripts that are run so take KEYS[1..n] and as many arguments for each key, after those that hold for all, and
answer with one value per key, in order.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final
from zlib import crc32

import msgspec

from clarion.adapters.valkey.client import (
    COMMAND_TIMEOUT_S,
    Script,
    ScriptArgument,
    ValkeyClient,
    call_script,
)

BUCKETS: Final = 64
"""Into so many hash tags small keys are spread. Every key's name depends on it: it never changes."""


class KeyedCall(msgspec.Struct, frozen=True, gc=False):
    """A script's share of one key: the part of the key in braces, the key, and the arguments that belong to it."""

    tag: bytes | int
    key: bytes
    args: tuple[ScriptArgument, ...] = ()


class KeyedScript(msgspec.Struct, frozen=True):
    """A script with the arguments that hold for all keys, and the seconds it may take."""

    script: Script
    common: tuple[ScriptArgument, ...] = ()
    timeout_s: float = COMMAND_TIMEOUT_S


def bucket_of(tenant_id: bytes, name: bytes) -> int:
    """The bucket (0 to 63) of something that a tenant gave a name; the same in every process and release."""
    return crc32(name, crc32(tenant_id)) % BUCKETS


async def run_keyed(
    client: ValkeyClient, script: KeyedScript, calls: Sequence[KeyedCall], *, is_cluster: bool
) -> list[Any]:
    """The script's answer for each call, in order; a key may come twice. No calls, no talk.

    Raises Transient and Permanent; on a cluster some tags may then have been served, and others not.
    """
    if not calls:
        return []
    if not is_cluster:
        return await _run_once(client, script, calls)
    indexes: defaultdict[bytes | int, list[int]] = defaultdict(list)
    for index, call in enumerate(calls):
        indexes[call.tag].append(index)
    answers = await asyncio.gather(
        *(_run_once(client, script, [calls[index] for index in group]) for group in indexes.values())
    )
    found: list[Any] = [None] * len(calls)
    for group, values in zip(indexes.values(), answers, strict=True):
        for index, value in zip(group, values, strict=True):
            found[index] = value
    return found


async def _run_once(client: ValkeyClient, script: KeyedScript, calls: Sequence[KeyedCall]) -> list[Any]:
    args = [*script.common, *(argument for call in calls for argument in call.args)]
    return await call_script(
        client, script.script, [call.key for call in calls], args, timeout_s=script.timeout_s
    )
