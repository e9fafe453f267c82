"""Two tenants, and requests of the one that name what the other has.

`settle` gives the victim one of everything, with a secret in every text of it. `Forger` makes requests: any operation
of `/openapi.json`, its example changed so that ids, names and references are the victim's. `Shore` is all that the
stores hold of the victim: what it was before, it must be afterwards.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, cast
from urllib.parse import quote

import msgspec

from clarion.bootstrap import Region
from clarion.kernel.ids import format_id
from tests.integration.api.support import Api, Caller

SECRET: Final = "canary-7f3e9b"
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_PLACE: Final = re.compile(r"\{(\w+)\}")

NAMES: Final[Mapping[str, str]] = {
    "user_id": "victims-user",
    "template": "victims-template",
    "category": "victims-category",
    "segment": "victims-segment",
    "journey_id": "victims-journey",
    "provider": "victims-provider",
    "provider_name": "victims-provider",
    "partial": "victims-partial",
    "name": "victims-template",
    "target": "victims-user",
    "actor": "victims-key",
}
"""What the victim calls its things. None of these names is a secret: whoever asks for them knows them."""

Request = tuple[str, str, bytes, dict[str, str]]
"""Method, path with query, body, headers."""


async def settle(victim: Caller) -> list[str]:
    """Give the victim one of everything. Every id and name by which it can be asked for."""
    answers: list[bytes] = []

    async def make(line: str, body: Any = None, *, may_fail: bool = False) -> Any:
        made = await victim.call(line, body, headers={"idempotency-key": "victims-idempotency"})
        assert may_fail or made.status < 300, (line, made.status, made.body)
        answers.append(made.body)
        return msgspec.json.decode(made.body) if made.body else None

    profile = {
        "email": f"{SECRET}@example.com",
        "phone": "+442071838750",
        "attributes": {"first_name": SECRET},
        "device_tokens": [{"platform": "ios", "token": SECRET}],
    }
    await make("PUT /users/victims-user", profile)
    await make("PUT /users/victims-user/devices", {"platform": "android", "token": f"{SECRET}-2"})
    await make("POST /personalization/context", {"user_id": "victims-user", "context": {"cart": SECRET}})
    await make("POST /events", {"user_id": "victims-user", "event": "bought", "properties": {"what": SECRET}})
    await make("PUT /categories/victims-category", {"class": "marketing"})
    await make("PUT /partials/victims-partial", {"html": f"<p>{SECRET}</p>", "text": SECRET})
    content = {"category": "victims-category", "channels": {"email": {"subject": SECRET, "text": SECRET}}}
    await make("PUT /templates/victims-template", content)
    await make(
        "PUT /segments/victims-segment",
        {"expression": f"user.first_name == '{SECRET}'", "description": SECRET},
    )
    await make("PUT /providers/victims-provider", {"kind": "sandbox", "channel": "email", "settings": {}})
    consent = {
        "user_id": "victims-user",
        "channel": "email",
        "category": "victims-category",
        "consented": True,
        "source": "form",
        "wording": SECRET,
    }
    await make("POST /compliance/consent", consent)
    said = {
        "user_id": "victims-user",
        "category": "transactional",
        "data": {"subject": SECRET, "body": SECRET},
    }
    await make("POST /notifications", {**said, "metadata": {"note": SECRET}})
    await make(
        "POST /broadcasts",
        {"user_ids": ["victims-user"], "category": "transactional", "template": "victims-template"},
    )
    await make("POST /keys", {"name": f"{SECRET}-key", "scopes": ["users:read"]})
    await make("POST /suppressions", {"user_id": "victims-user", "channel": "sms", "reason": "manual"})
    await make("PUT /users/victims-user/residency", {"residency": "pinned"})
    await make("POST /compliance/exports", {"user_id": "victims-user"})
    await make("PUT /users/victims-past", {"attributes": {"first_name": SECRET}})
    await make("POST /compliance/erasures", {"user_id": "victims-past"})
    await _draw(make)
    await make("POST /members", {"email": f"{SECRET}@example.org", "role": "analyst"}, may_fail=True)
    shown = ("GET /users/victims-user/devices", "GET /notifications", "GET /keys", "GET /broadcasts")
    answers += [(await victim.call(line)).body for line in shown]
    found = {text for body in answers for text in _UUID.findall(body.decode())}
    return sorted({*found, *NAMES.values(), format_id(victim.tenant_id)})


async def _draw(make: Callable[..., Awaitable[Any]]) -> None:
    """A journey of two versions with a run in it that is to be moved."""
    drawn = {"name": "victims-journey", "trigger": {"type": "api"}, "description": SECRET}
    wait = {"id": "wait", "type": "delay", "duration": "1d"}
    await make("POST /journeys", {**drawn, "steps": [wait]})
    entry = {"user_id": "victims-user", "context": {"cart": SECRET}}
    await make("POST /journeys/victims-journey/trigger", entry)
    await make("PUT /journeys/victims-journey", {**drawn, "steps": [wait, {**wait, "id": "more"}]})
    await make("POST /journeys/victims-journey/migrations", {"from_version": 1, "note": SECRET})


class Forger:
    """Requests that a tenant may send, about what another one has. The same seed makes the same requests."""

    def __init__(self, description: Mapping[str, Any], ids: list[str], seed: int) -> None:
        self._random = random.Random(seed)
        self._ids = ids
        self._operations = list(_operations(description))

    @property
    def operations(self) -> int:
        """How many operations there are."""
        return len(self._operations)

    def requests(self, count: int) -> Iterator[tuple[str, Request]]:
        """As many requests, all operations in turn, each with its operation."""
        for nth in range(count):
            method, path, operation = self._operations[nth % len(self._operations)]
            yield f"{method} {path}", self._forge(method, path, operation)

    def _forge(self, method: str, path: str, operation: Mapping[str, Any]) -> Request:
        target = _PLACE.sub(lambda match: quote(self._named(match[1], path), safe=""), path)
        query = [
            f"{parameter['name']}={quote(self._named(parameter['name'], path), safe='')}"
            for parameter in operation.get("parameters", ())
            if parameter["in"] == "query" and self._random.random() < 0.5
        ]
        headers = {"content-type": "application/json"}
        if self._random.random() < 0.1:
            headers["idempotency-key"] = "victims-idempotency"
        if self._random.random() < 0.1:
            headers[self._random.choice(("x-tenant", "x-tenant-id", "x-clarion-tenant"))] = self._ids[0]
        body = self._body(operation)
        return method, target + ("?" + "&".join(query) if query else ""), body, headers

    def _body(self, operation: Mapping[str, Any]) -> bytes:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        example = content.get("example")
        if example is None:
            examples = list(content.get("examples", {}).values())
            example = examples[0].get("value") if examples else None
        return b"" if example is None else msgspec.json.encode(self._turned(example, ""))

    def _turned(self, value: Any, name: str) -> Any:
        """An example whose ids and names are, mostly, the victim's."""
        if isinstance(value, dict):
            return {key: self._turned(item, key) for key, item in cast("dict[str, Any]", value).items()}
        if isinstance(value, list):
            return [self._turned(item, name.removesuffix("s")) for item in cast("list[Any]", value)]
        known = name in NAMES or name.endswith("_id")
        if isinstance(value, str) and self._random.random() < (0.8 if known else 0.1):
            return self._named(name, "")
        return value

    def _named(self, name: str, path: str) -> str:
        for kind in ("segment", "provider", "partial", "template", "categor"):
            if name == "name" and kind in path and self._random.random() < 0.7:
                return NAMES.get(kind, "victims-category")
        if name in NAMES and self._random.random() < 0.7:
            return NAMES[name]
        return self._random.choice(self._ids)


def _operations(description: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in sorted(description["paths"].items()):
        for method, operation in sorted(item.items()):
            if method in {"get", "put", "post", "patch", "delete", "head"}:
                yield method.upper(), path, operation


class Shore:
    """All that the stores hold of one tenant, and nothing that ages by itself."""

    def __init__(self, region: Region, tenant_id: bytes) -> None:
        self._region = region
        self._tenant_id = tenant_id

    async def look(self) -> dict[str, str]:
        """By place, the hash of what is there."""
        return {**await self._tables(), **await self._keys()}

    async def strangers(self) -> dict[str, int]:
        """Rows of other tenants that name a user of this one, by table."""
        found: dict[str, int] = {}
        async with self._region.pools.pipeline() as connection:
            for table in await _tables_with(connection, "user_id"):
                query = (
                    f"SELECT count(*) FROM {table} t JOIN user_profiles p USING (user_id) "  # noqa: S608  from the catalogue
                    "WHERE p.tenant_id = $1 AND t.tenant_id <> $1"
                )
                if count := await connection.fetchval(query, self._tenant_id):
                    found[table] = count
        return found

    async def _tables(self) -> dict[str, str]:
        async with self._region.pools.pipeline() as connection:
            return {
                table: _hash(
                    sorted(
                        record["row"]
                        for record in await connection.fetch(
                            f"SELECT t::text AS row FROM {table} t WHERE tenant_id = $1",  # noqa: S608  from the catalogue
                            self._tenant_id,
                        )
                    )
                )
                for table in await _tables_with(connection, "tenant_id")
            }

    async def _keys(self) -> dict[str, str]:
        client = self._region.valkey.read
        async with self._region.pools.pipeline() as connection:
            numbers = [
                str(record["user_id"]).encode()
                for record in await connection.fetch(
                    "SELECT user_id FROM user_profiles WHERE tenant_id = $1", self._tenant_id
                )
            ]
        # Not the id as people write it: that may be what somebody else calls a user.
        marks = (self._tenant_id.hex().encode(), self._tenant_id, *numbers)
        found: dict[str, str] = {}
        keys: list[bytes] = await client.execute_command("KEYS", "*")
        for key in keys:
            if any(mark in key for mark in marks) and not key.startswith(b"rate:"):
                found[key.decode("latin-1")] = _hash([str(await client.execute_command("DUMP", key))])
        return found


async def _tables_with(connection: Any, column: str) -> list[str]:
    """Tables (not partitions) of the tenants that have a column, and that we may read."""
    records = await connection.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $1 "
        "JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'tenant_id' "
        "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace "
        "AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1",
        column,
    )
    return [record["relname"] for record in records]


def _hash(rows: list[str]) -> str:
    return f"{len(rows)}:{hashlib.sha256(chr(0).join(rows).encode()).hexdigest()[:16]}"


async def describe(api: Api) -> Mapping[str, Any]:
    """`/openapi.json`."""
    return (await api.client().request("GET /openapi.json")).json()
