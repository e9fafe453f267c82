"""Words that nobody else says, and where in a whole Clarion they stand."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from clarion.adapters.embedded import DataDirectory, store_urls
from clarion.adapters.embedded.binaries import postgres_binary
from clarion.adapters.postgres.migrate import Databases, database_url
from clarion.adapters.valkey.client import connect
from clarion.testing.instance import Instance

DATABASES: Final = (Databases().regional, Databases().keys, Databases().global_)


@dataclass(frozen=True)
class Place:
    """Where a canary was found."""

    store: str
    canary: str


def spellings(canary: str) -> list[bytes]:
    """How a word may be written: as it is, in hexadecimal (as dumps have bytes), in base64 at any offset."""
    raw = canary.encode()
    encoded = [
        base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 :].rstrip(b"=")[:-2] for shift in (0, 1, 2)
    ]
    return [raw, raw.hex().encode(), *encoded]


def find(canaries: Iterable[str], stores: Iterable[tuple[str, bytes]]) -> list[Place]:
    """Which canaries are in which of these stores, however they are spelled."""
    words = [(canary, spellings(canary)) for canary in canaries]
    return [
        Place(name, canary)
        for name, content in stores
        for canary, spelled in words
        if any(spelling.lower() in content.lower() for spelling in spelled)
    ]


async def search(instance: Instance, canaries: Sequence[str]) -> list[Place]:
    """Where in databases, keyspace, files of Valkey and logs these words stand."""
    stores = [(f"database {name}", dump(instance, name)) for name in DATABASES]
    stores.append(("valkey", await keyspace(instance)))
    stores.extend(files(instance))
    return find(canaries, stores)


def admin_url(instance: Instance, database: str) -> str:
    """A database as its server's owner."""
    url = store_urls(DataDirectory.existing(instance.data)).postgres
    assert url is not None
    return database_url(url, database)


def dump(instance: Instance, database: str, *options: str) -> bytes:
    """What `pg_dump` writes of a database."""
    command = [postgres_binary("pg_dump"), *options, admin_url(instance, database)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def restore(instance: Instance, database: str, dumped: bytes) -> None:
    """Put a database in the place of what is there, as an operator does it: from `dump(…, "-Fc")`."""
    command = [postgres_binary("psql"), "-qX", "-v", "ON_ERROR_STOP=1", admin_url(instance, "postgres")]
    for statement in (
        f'DROP DATABASE "{database}" WITH (FORCE)',
        f'CREATE DATABASE "{database}" TEMPLATE template0',
    ):
        subprocess.run([*command, "-c", statement], check=True, capture_output=True, timeout=60)
    load = [postgres_binary("pg_restore"), "-d", admin_url(instance, database)]
    subprocess.run(load, input=dumped, check=True, capture_output=True, timeout=60)


def files(instance: Instance) -> Iterator[tuple[str, bytes]]:
    """Valkey's files and all logs."""
    directory = DataDirectory.existing(instance.data)
    for folder in (directory.valkey, directory.logs):
        for path in folder.rglob("*"):
            if path.is_file():
                yield f"file {path.relative_to(instance.data)}", path.read_bytes()


async def keyspace(instance: Instance) -> bytes:
    """All names and values that Valkey holds, one after another."""
    url = store_urls(DataDirectory.existing(instance.data)).valkey
    assert url is not None
    readers: dict[bytes, tuple[str, tuple[str | int, ...]]] = {
        b"string": ("GET", ()),
        b"hash": ("HGETALL", ()),
        b"list": ("LRANGE", (0, -1)),
        b"set": ("SMEMBERS", ()),
        b"zset": ("ZRANGE", (0, -1)),
        b"stream": ("XRANGE", ("-", "+")),
    }
    parts: list[bytes] = []
    clients = await connect(url)
    ask = clients.read.execute_command
    try:
        for key in await ask("KEYS", "*"):
            kind: bytes = await ask("TYPE", key)
            if kind != b"none":  # it has expired meanwhile
                command, rest = readers[kind]
                parts += [key, repr(await ask(command, key, *rest)).encode()]
    finally:
        await clients.close()
    return b"\n".join(parts)
