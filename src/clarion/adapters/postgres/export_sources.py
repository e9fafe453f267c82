"""What the regional database holds of a user, as sources of her export: read as her tenant, who sees no other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from clarion.adapters.postgres.journey_contexts import context_name
from clarion.adapters.postgres.queries import load_queries
from clarion.audience.keyring import Keyring
from clarion.audience.model import SealedProfile
from clarion.audience.ports import Sealer
from clarion.audience.seals import device_context, evidence_context, profile_context
from clarion.compliance.ports import DataSubject, Held
from clarion.intelligence.features import NAMES, compute, unpack
from clarion.journeys.model import Context
from clarion.journeys.ports import ContextKey
from clarion.kernel.errors import Permanent

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

PORTION: Final = 500
"""Records that are fetched, and handed on, at once."""

_record: Final = msgspec.json.Decoder(dict[str, Any]).decode
_profile: Final = msgspec.msgpack.Decoder(SealedProfile).decode
_journey: Final = msgspec.msgpack.Decoder(Context).decode
_HEX: Final = "\\x"
"""How PostgreSQL's JSON begins what is bytes."""

Opener: TypeAlias = Callable[[dict[str, Any], DataSubject, "Unseal"], dict[str, Any]]
"""Makes a record with what was sealed in it in clear."""

Unseal: TypeAlias = Callable[[str, bytes], bytes | None]
"""Opens hexadecimal sealed bytes in their context; None where they do not open, or there is nothing."""


class Reading(msgspec.Struct, frozen=True):
    """A file of the export, by the name of its statement; what opens its records, where something in them is sealed."""

    name: str
    open: Opener | None = None


class TableSource:
    """Tables of one erasure target, each a file."""

    def __init__(
        self, pools: Pools, keyring: Keyring, sealer: Sealer, named: tuple[str, tuple[Reading, ...]]
    ) -> None:
        self._pools = pools
        self._keyring = keyring
        self._sealer = sealer
        self._name, self._readings = named
        self._sql = load_queries("export_sources")

    @property
    def name(self) -> str:
        """As the certificate of an erasure names the store."""
        return self._name

    async def export(self, subject: DataSubject) -> AsyncIterator[Held]:
        """All records, some at a time; see `ExportSource.export`. A kind of which there is none is an empty file."""
        key = (await self._keyring.refetch([subject.user_id])).get(subject.user_id)

        def unseal(text: str, context: bytes) -> bytes | None:
            if key is None or len(text) <= len(_HEX):
                return None
            try:
                return self._sealer.unseal(key, bytes.fromhex(text[len(_HEX) :]), context)
            except Permanent:
                return None

        for reading in self._readings:
            yield Held(reading.name, [])
            async for records in self._read(reading.name, subject):
                opened = (
                    [reading.open(record, subject, unseal) for record in records] if reading.open else records
                )
                yield Held(reading.name, opened)

    async def _read(self, name: str, subject: DataSubject) -> AsyncIterator[list[dict[str, Any]]]:
        who = subject.tenant_id, subject.user_id, subject.external_id
        async with self._pools.reader(subject.tenant_id) as connection:
            cursor = await connection.cursor(self._sql[name], *who)
            while records := await cursor.fetch(PORTION):
                yield [_record(record["record"]) for record in records]


def _open_profile(record: dict[str, Any], subject: DataSubject, unseal: Unseal) -> dict[str, Any]:
    clear = unseal(record.pop("sealed"), profile_context(subject.user_id, subject.tenant_id))
    personal = SealedProfile() if clear is None else _profile(clear)
    return {
        "user_id": record.pop("user_id"),
        "email": personal.email or None,
        "phone": personal.phone or None,
        "attributes": personal.attributes,
        **record,
    }


def _open_device(record: dict[str, Any], subject: DataSubject, unseal: Unseal) -> dict[str, Any]:
    clear = unseal(record.pop("sealed"), device_context(subject.user_id, subject.tenant_id))
    return {**record, "token": None if clear is None else clear.decode()}


def _open_evidence(record: dict[str, Any], subject: DataSubject, unseal: Unseal) -> dict[str, Any]:
    """Whatever of a word is sealed, in clear; a hash stays what it is, and evidence that does not open is gone."""
    context = evidence_context(subject.user_id, subject.tenant_id)
    for name, value in record.items():
        if isinstance(value, str) and value.startswith(_HEX):
            clear = unseal(value, context)
            if clear is not None:
                record[name] = _plain(clear)
            elif name == "evidence":
                record[name] = None
    return record


def _open_event(record: dict[str, Any], subject: DataSubject, unseal: Unseal) -> dict[str, Any]:
    # As `audience.events.event_context`, of what is left of the event here.
    ident = bytes.fromhex(str(record["event_id"]).replace("-", ""))
    context = b"event" + subject.tenant_id + subject.user_id.to_bytes(8, "big") + ident
    clear = unseal(record.pop("properties"), context)
    return {**record, "properties": None if clear is None else _plain(clear)}


def _open_features(record: dict[str, Any], subject: DataSubject, unseal: Unseal) -> dict[str, Any]:
    del subject, unseal
    records = unpack([record.pop("user_id")], [bytes.fromhex(str(record.pop("record")).removeprefix(_HEX))])
    (values,) = compute(records, records["as_of_ms"]).tolist()
    hours: list[float] = records["presence"][0, -1].sum(axis=0).tolist()
    named = {name: round(value, 4) for name, value in zip(NAMES, values, strict=True)}
    return {**record, "features": named, "presence_by_local_hour": [round(hour, 2) for hour in hours]}


def _open_journey(record: dict[str, Any], subject: DataSubject, unseal: Unseal) -> dict[str, Any]:
    ident = bytes.fromhex(str(record.pop("instance_id")).replace("-", ""))
    key = ContextKey(ident, record.pop("version"), subject.tenant_id, subject.user_id)
    clear = unseal(record.pop("sealed"), context_name(key))
    known = Context() if clear is None else _journey(clear)
    return {"data": known.data, "events": known.events, "collected": known.items, **record}


def _plain(clear: bytes) -> object:
    """What was sealed as JSON; as text where it is none."""
    try:
        return msgspec.json.decode(clear)
    except msgspec.DecodeError:
        return clear.decode(errors="replace")


READINGS: Final[Mapping[str, tuple[Reading, ...]]] = {
    "postgres.profile": (
        Reading("profile", _open_profile),
        Reading("devices", _open_device),
        Reading("former_devices"),
        Reading("consent", _open_evidence),
        Reading("consent_events", _open_evidence),
        Reading("suppressions"),
    ),
    "postgres.activity": (
        Reading("events", _open_event),
        Reading("event_counts"),
        Reading("segments"),
        Reading("features", _open_features),
    ),
    "postgres.journeys": (Reading("journey_contexts", _open_journey),),
    "postgres.deliveries": (Reading("open_deliveries"), Reading("fallbacks")),
    "postgres.notifications": (Reading("notifications"), Reading("provider_ids")),
    "postgres.dead_letters": (Reading("dead_letters"), Reading("suspicions")),
    "postgres.broadcasts": (Reading("broadcasts"),),
    "postgres.exports": (Reading("exports"),),
}
"""The sources by the names of the erasure targets that remove the same."""


def table_sources(pools: Pools, keyring: Keyring, sealer: Sealer) -> list[TableSource]:
    """All sources of the regional database."""
    return [TableSource(pools, keyring, sealer, named) for named in READINGS.items()]
