"""The users of a region: rows whose personal part is sealed before it comes here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec
import numpy as np
from msgspec import UNSET

from clarion.adapters.postgres.copy_encoder import (
    CopyLayout,
    encode_bigint_arrays,
    encode_bytes,
    encode_jsonb,
    encode_text,
    stream,
)
from clarion.adapters.postgres.devices import devices_of, put_with_profiles, replace_with_profiles
from clarion.adapters.postgres.queries import load_queries
from clarion.audience.attributes import VersionedProfile
from clarion.audience.model import Card
from clarion.audience.ports import Place, UserRow
from clarion.audience.traits import term_number
from clarion.compliance.consent import fold
from clarion.compliance.model import NO_CONSENT
from clarion.compliance.ports import ConsentRecord
from clarion.compliance.suppression import ENDED_BY_NEW_ADDRESS
from clarion.contracts.channels import CHANNEL_INDEX
from clarion.tenancy.model import QuietHours

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools

SEQUENCE_BITS: Final = 48
"""A user id is region number << 48 | sequence: unique in the world without asking it, for 2^48 users a region."""

FIRST_VERSION: Final = 1
"""Of a row that nobody changed yet: the column's default."""

COPY_FROM: Final = 20
"""Users for whom it pays to COPY: a COPY that fails is a line in the server's log."""

_COPIED: Final = CopyLayout(
    fixed=(("user_id", ">i8"), ("tenant_id", "V16"), ("reachable", ">i2")),
    variable=(
        "external_id",
        "home_region",
        "sealed",
        "fingerprint",
        "email_hmac",
        "phone_hmac",
        "timezone",
        "language",
        "country",
        "region",
        "preferred_channel",
        "preferences",
        "quiet_hours",
        "traits",
        "phone_country",
        "phone_zones",
    ),
)

_json = msgspec.json.Encoder()
_masks = msgspec.json.Decoder(dict[str, int])
_window = msgspec.json.Decoder(QuietHours)
_words = msgspec.json.Decoder(list[ConsentRecord])


class PostgresUserStore:
    """`audience.ports.UserStore`: writes and cards on the pipeline pool, single reads under row-level security."""

    def __init__(self, pools: Pools, *, region: str, region_number: int) -> None:
        self._pools = pools
        self._region = region
        self._base = region_number << SEQUENCE_BITS
        self._sql = load_queries("users")

    async def locate(self, tenant_id: bytes, external_ids: Sequence[str]) -> list[Place]:
        """The place of each id, in order; see `UserStore.locate`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["locate_users"], tenant_id, external_ids)
        return [
            Place(self._base | record["fresh"], 0, b"")
            if record["user_id"] is None
            else Place(record["user_id"], record["version"], record["fingerprint"])
            for record in records
        ]

    async def insert(self, tenant_id: bytes, rows: Sequence[UserRow]) -> dict[int, int]:
        """Add users; see `UserStore.insert`. One COPY, and where somebody else made one of them, a slower statement."""
        async with self._pools.pipeline() as connection, connection.transaction():
            versions = await self._insert(connection, tenant_id, rows)
            if any(row.devices for row in rows):
                placed = [row for row in rows if row.user_id in versions]
                await put_with_profiles(connection, tenant_id, placed)
            await self._silence(connection, tenant_id, list(versions))
        return versions

    async def update(self, tenant_id: bytes, rows: Sequence[UserRow]) -> dict[int, int]:
        """Replace what the tenant wrote; see `UserStore.update`."""
        ids = [row.user_id for row in rows]
        async with self._pools.pipeline() as connection, connection.transaction():
            await replace_with_profiles(connection, tenant_id, rows)
            records = await connection.fetch(
                self._sql["update_users"],
                tenant_id,
                ids,
                *_columns(rows),
                ENDED_BY_NEW_ADDRESS,
                CHANNEL_INDEX["push"],
            )
            await self._silence(connection, tenant_id, ids)
        return {record["user_id"]: record["version"] for record in records}

    async def _silence(
        self, connection: PoolConnectionProxy, tenant_id: bytes, user_ids: Sequence[int]
    ) -> None:
        """Whoever has an address that is known to be dead or unwilling is not written to there."""
        await connection.execute(self._sql["silence_addresses"], tenant_id, user_ids)

    async def page(self, tenant_id: bytes, after_user_id: int, limit: int) -> list[UserRow]:
        """The next users of this tenant; see `UserPages.page`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["page_users"], tenant_id, after_user_id, limit)
        return [_row(record) for record in records]

    async def set_preferences(
        self, tenant_id: bytes, external_id: str, preferences: dict[str, int], quiet_hours: QuietHours | None
    ) -> bool:
        """Replace what a user chose; see `PreferenceStore.set_preferences`."""
        chosen = _json.encode(preferences), quiet_hours and _json.encode(quiet_hours)
        async with self._pools.pipeline() as connection:
            user_id = await connection.fetchval(self._sql["set_preferences"], tenant_id, external_id, *chosen)
        return user_id is not None

    async def read(self, tenant_id: bytes, external_id: str) -> UserRow | None:
        """One user of this tenant; see `UserStore.read`."""
        async with self._pools.reader(tenant_id) as connection:
            record = await connection.fetchrow(self._sql["read_user"], external_id)
        return None if record is None else _row(record)

    async def read_cards(self, tenant_id: bytes, external_ids: Sequence[str]) -> list[Card | None]:
        """A card per id, in order, with one query; see `UserStore.read_cards`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["read_cards"], tenant_id, external_ids)
        cards: list[Card | None] = [None] * len(external_ids)
        for record in records:
            cards[record["i"] - 1] = _card(record)
        return cards

    async def find_ids(self, tenant_id: bytes, external_ids: Sequence[str]) -> dict[str, int]:
        """User ids by external id; see `UserStore.find_ids`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["find_user_ids"], tenant_id, external_ids)
        return {record["external_id"]: record["user_id"] for record in records}

    async def delete(self, tenant_id: bytes, user_id: int) -> bool:
        """Remove a user with her present consent; see `UserStore.delete`."""
        async with self._pools.pipeline() as connection:
            return bool(await connection.fetchval(self._sql["delete_user"], tenant_id, user_id))

    async def read_profiles(self, tenant_id: bytes, external_ids: Sequence[str]) -> list[VersionedProfile]:
        """Those of them who are there; see `AttributeStore.read_profiles`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["read_profiles"], tenant_id, external_ids)
        return [VersionedProfile(*record.values()) for record in records]

    async def write_profiles(self, tenant_id: bytes, rows: Sequence[VersionedProfile]) -> set[int]:
        """Replace those that still are of their version; see `AttributeStore.write_profiles`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(
                self._sql["write_profiles"],
                tenant_id,
                [row.user_id for row in rows],
                [row.version for row in rows],
                [row.sealed for row in rows],
                [_array_text(row.traits) for row in rows],
            )
        return {record["user_id"] for record in records}

    async def _insert(
        self, connection: PoolConnectionProxy, tenant_id: bytes, rows: Sequence[UserRow]
    ) -> dict[int, int]:
        ids, names = [row.user_id for row in rows], [row.external_id for row in rows]
        if len(rows) >= COPY_FROM:
            encoded = _encode(tenant_id, self._region, rows)
            with suppress(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    await connection.copy_to_table(
                        "user_profiles", source=stream(encoded), columns=_COPIED.columns, format="binary"
                    )
                return dict.fromkeys(ids, FIRST_VERSION)
        records = await connection.fetch(
            self._sql["insert_users"], tenant_id, self._region, ids, names, *_columns(rows)
        )
        return {record["user_id"]: record["version"] for record in records}


def _encode(tenant_id: bytes, region: str, rows: Sequence[UserRow]) -> bytes:
    """The COPY stream of new users."""
    return _COPIED.encode(
        {
            "user_id": np.array([row.user_id for row in rows], np.int64),
            "tenant_id": tenant_id * len(rows),
            "reachable": np.array([row.reachable for row in rows], np.int16),
        },
        (
            encode_text([row.external_id for row in rows]),
            encode_text([region] * len(rows)),
            encode_bytes([row.sealed for row in rows]),
            encode_bytes([row.fingerprint for row in rows]),
            encode_bytes([row.email_hmac or None for row in rows]),
            encode_bytes([row.phone_hmac or None for row in rows]),
            encode_text([row.timezone for row in rows]),
            encode_text([row.language for row in rows]),
            encode_text([row.country for row in rows]),
            encode_text([row.region for row in rows]),
            encode_text([row.preferred_channel for row in rows]),
            encode_jsonb([_json.encode(row.preferences or {}) for row in rows]),
            encode_jsonb([_json.encode(row.quiet_hours) if row.quiet_hours else None for row in rows]),
            encode_bigint_arrays([row.traits for row in rows]),
            encode_text([row.phone_country for row in rows]),
            encode_text([" ".join(row.phone_zones) for row in rows]),
        ),
    )


def _columns(rows: Sequence[UserRow]) -> tuple[list[Any], ...]:
    """The columns that insert and update share, in their order."""
    return (
        [row.sealed for row in rows],
        [row.fingerprint for row in rows],
        [row.email_hmac for row in rows],
        [row.phone_hmac for row in rows],
        [row.reachable for row in rows],
        [row.timezone for row in rows],
        [row.language for row in rows],
        [row.country for row in rows],
        [row.region for row in rows],
        [row.preferred_channel for row in rows],
        [None if row.preferences is None else _json.encode(row.preferences) for row in rows],
        [None if row.quiet_hours is UNSET else _json.encode(row.quiet_hours) for row in rows],
        [_array_text(row.traits) for row in rows],
        [row.phone_country for row in rows],
        [" ".join(row.phone_zones) for row in rows],
    )


def _array_text(terms: Sequence[bytes]) -> str:
    """A bigint[] as PostgreSQL reads it from text: arrays of arrays of different lengths do not cross otherwise."""
    return f"{{{','.join([str(term_number(term)) for term in terms])}}}"


def _row(record: asyncpg.Record) -> UserRow:
    return UserRow(
        user_id=record["user_id"],
        external_id=record["external_id"],
        sealed=record["sealed"],
        fingerprint=record["fingerprint"],
        email_hmac=record["email_hmac"] or b"",
        phone_hmac=record["phone_hmac"] or b"",
        reachable=record["reachable"],
        timezone=record["timezone"],
        language=record["language"],
        country=record["country"],
        region=record["region"],
        preferred_channel=record["preferred_channel"],
        preferences=_masks.decode(record["preferences"]),
        quiet_hours=_quiet_hours(record["quiet_hours"]),
        version=record["version"],
        devices=devices_of(record),
    )


def _card(record: asyncpg.Record) -> Card:
    words: bytes | None = record["words"]
    suppressed: list[str] | None = record["suppressed"]
    has_consent = words is not None or suppressed is not None
    return Card(
        user_id=record["user_id"],
        version=record["version"],
        external_id=record["external_id"],
        timezone=record["timezone"],
        language=record["language"],
        country=record["country"],
        preferred_channel=record["preferred_channel"],
        reachable=record["reachable"],
        consent=fold(_words.decode(words) if words else (), suppressed or ()) if has_consent else NO_CONSENT,
        preferences=_masks.decode(record["preferences"]),
        quiet_hours=_quiet_hours(record["quiet_hours"]),
        region=record["region"],
        phone_country=record["phone_country"],
        phone_zones=tuple(record["phone_zones"].split()),
    )


def _quiet_hours(raw: bytes | None) -> QuietHours | None:
    return None if raw is None else _window.decode(raw)
