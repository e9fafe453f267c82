"""What receipts mean for the people they are about, written in the transaction that folds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from clarion.adapters.postgres.consent import record_words
from clarion.compliance.ports import ConsentWord
from clarion.compliance.suppression import LIFTED_BY_OPT_IN
from clarion.delivery.receipts import Consequences, Silence

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy


async def act_on(
    connection: PoolConnectionProxy, sql: Mapping[str, str], consequences: Mapping[bytes, Consequences]
) -> dict[bytes, set[str]]:
    """Write silences and words, by tenant; whom they changed, as their tenants call them. `sql`: that of consent."""
    changed: dict[bytes, set[str]] = {}
    for tenant_id in sorted(consequences):
        found = consequences[tenant_id]
        names = await _silence(connection, sql, tenant_id, found.silences) if found.silences else set[str]()
        if found.words:
            names |= await _record(connection, sql, tenant_id, found.words)
        changed[tenant_id] = names
    return changed


async def _silence(
    connection: PoolConnectionProxy, sql: Mapping[str, str], tenant_id: bytes, silences: Sequence[Silence]
) -> set[str]:
    records = await connection.fetch(
        sql["find_silenced"],
        tenant_id,
        [silence.user_id for silence in silences],
        [silence.channel for silence in silences],
        [silence.reason for silence in silences],
        [silence.address_hmac for silence in silences],
    )
    addressed = [record for record in records if record["address_hmac"] is not None]
    if addressed:
        await connection.execute(
            sql["remember_addresses"],
            tenant_id,
            [record["channel"] for record in addressed],
            [record["address_hmac"] for record in addressed],
            [record["reason"] for record in addressed],
            LIFTED_BY_OPT_IN,
        )
    people = [record for record in records if record["user_id"] is not None]
    if people:
        await connection.execute(
            sql["suppress"],
            tenant_id,
            [record["user_id"] for record in people],
            [record["channel"] for record in people],
            [record["reason"] for record in people],
            LIFTED_BY_OPT_IN,
        )
    return {record["external_id"] for record in people}


async def _record(
    connection: PoolConnectionProxy, sql: Mapping[str, str], tenant_id: bytes, words: Sequence[ConsentWord]
) -> set[str]:
    await record_words(connection, tenant_id, words)
    users = sorted({word.user_id for word in words})
    records = await connection.fetch(sql["names_of_users"], tenant_id, users)
    return {record["external_id"] for record in records}
