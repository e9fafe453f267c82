"""What users did: recorded by the batch, counted for segments, published for journeys."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from clarion.audience.keyring import Keyring
from clarion.audience.ports import Sealer
from clarion.contracts.commands import AwareTime, Name
from clarion.contracts.user_events import UserEvent
from clarion.kernel.clock import Clock
from clarion.kernel.errors import ClarionError, Invalid, Permanent, Unknown
from clarion.kernel.text import check_storable

MAX_PROPERTY_BYTES: Final = 32_768
AHEAD_MS: Final = 300_000
"""How far a caller's clock may be ahead of ours."""

_EVENT: Final = b"event"
_json = msgspec.json.Encoder()
_properties: Final = msgspec.json.Decoder(dict[str, Any]).decode


class EventItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/events`: what a user did, and when (now, where it is left out)."""

    user_id: Name
    event: Name
    properties: dict[str, Any] = {}
    timestamp: AwareTime | None = None


class EventAsk(msgspec.Struct, frozen=True):
    """One event to record, under the id that makes its repeat a repeat."""

    tenant_id: bytes
    event_id: bytes
    item: EventItem
    traceparent: str = ""


class EventRow(msgspec.Struct, frozen=True):
    """One event as stored: properties are sealed with the user's own key (b"": none)."""

    event: UserEvent
    properties: bytes


class EventStore(Protocol):
    """What users of a region did."""

    async def record(self, rows: Sequence[EventRow]) -> None:
        """Keep events durably, fold them into the users' rollups, and have them published, all or nothing.

        An event whose id is there already changes nothing, nor does one of a user who is gone. Raises Transient.
        """
        ...


class SealedProperties(Protocol):
    """Reads what was kept of events."""

    async def read_properties(self, event_ids: Sequence[bytes]) -> dict[bytes, bytes]:
        """The sealed properties of events, by id; absent where there are none (any more). Raises Transient."""
        ...


class UserFinder(Protocol):
    """Finds users (`audience.ports.UserStore`)."""

    async def find_ids(self, tenant_id: bytes, external_ids: Sequence[str]) -> dict[str, int]:
        """User ids by external id; those of unknown users are absent."""
        ...


class EventPorts(msgspec.Struct, frozen=True):
    """The outside, as events use it."""

    store: EventStore
    users: UserFinder
    keyring: Keyring
    sealer: Sealer
    clock: Clock


def derive_event_ids(claim: bytes, count: int) -> list[bytes]:
    """Ids for the events of a request that may be repeated: the same for the same claim. `claim` names the request."""
    return [hashlib.blake2b(b"%s:%d" % (claim, i), digest_size=16).digest() for i in range(count)]


def event_context(event: UserEvent) -> bytes:
    """What sealed properties are bound to: the event and its user."""
    return _EVENT + event.tenant_id + event.user_id.to_bytes(8, "big") + event.event_id


async def record_events(asks: Sequence[EventAsk], ports: EventPorts) -> list[EventAsk | ClarionError]:
    """Record events; per ask in order, the ask itself once it is durable, or why it was refused.

    A wrong event stops no other. Raises Transient where a store is away: then nothing was recorded.
    """
    now_ms = ports.clock.now_ms()
    ids = await _find(asks, ports.users)
    results: list[EventAsk | ClarionError] = []
    taken: list[tuple[UserEvent, bytes]] = []
    for ask in asks:
        try:
            taken.append(_check(ask, ids, now_ms))
        except Invalid as error:
            results.append(error)
        else:
            results.append(ask)
    if taken:
        await ports.store.record(await _seal(taken, ports))
    return results


async def _find(asks: Sequence[EventAsk], users: UserFinder) -> dict[tuple[bytes, str], int]:
    by_tenant: dict[bytes, set[str]] = {}
    for ask in asks:
        by_tenant.setdefault(ask.tenant_id, set()).add(ask.item.user_id)
    found: dict[tuple[bytes, str], int] = {}
    for tenant_id, names in by_tenant.items():
        ids = await users.find_ids(tenant_id, sorted(names))
        found.update({(tenant_id, name): user_id for name, user_id in ids.items()})
    return found


def _check(ask: EventAsk, ids: dict[tuple[bytes, str], int], now_ms: int) -> tuple[UserEvent, bytes]:
    """The event, and its properties in clear (b"": none). Raises Invalid with the path of what is wrong."""
    item = ask.item
    check_storable(item.event, "event")
    check_storable(item.properties, "properties")
    user_id = ids.get((ask.tenant_id, item.user_id))
    if user_id is None:
        raise Unknown("names an unknown user: PUT the user first", "user_id")
    properties = _json.encode(item.properties) if item.properties else b""
    if len(properties) > MAX_PROPERTY_BYTES:
        raise Invalid(f"has more than {MAX_PROPERTY_BYTES} bytes as JSON", "properties")
    at_ms = now_ms if item.timestamp is None else int(item.timestamp.timestamp() * 1000)
    if at_ms > now_ms + AHEAD_MS:
        raise Invalid("lies in the future: leave it out for now, or check the clock it is from", "timestamp")
    if at_ms < 0:
        raise Invalid("lies before 1970", "timestamp")
    event = UserEvent(ask.event_id, item.event, at_ms, ask.tenant_id, user_id, now_ms, ask.traceparent)
    return event, properties


async def _seal(taken: Sequence[tuple[UserEvent, bytes]], ports: EventPorts) -> list[EventRow]:
    """Rows with sealed properties; those of a user whose key is gone are dropped: she is being erased."""
    whose = sorted({event.user_id for event, properties in taken if properties})
    keys = await ports.keyring.refetch(whose) if whose else {}
    return [
        EventRow(
            event,
            ports.sealer.seal(keys[event.user_id], properties, event_context(event))
            if properties and event.user_id in keys
            else b"",
        )
        for event, properties in taken
    ]


class EventProperties:
    """What events said, opened by the batch with their users' keys."""

    def __init__(self, store: SealedProperties, keyring: Keyring, sealer: Sealer) -> None:
        self._store = store
        self._keyring = keyring
        self._sealer = sealer

    async def read(self, events: Sequence[UserEvent]) -> dict[bytes, dict[str, Any]]:
        """The properties of events, by event id; absent where there are none, or a key is gone. Raises Transient."""
        if not events:
            return {}
        sealed = await self._store.read_properties([event.event_id for event in events])
        keys = await self._keyring.keys({event.user_id for event in events if event.event_id in sealed})
        found: dict[bytes, dict[str, Any]] = {}
        for event in events:
            if event.event_id in sealed and event.user_id in keys:
                with contextlib.suppress(Permanent):
                    clear = self._sealer.unseal(
                        keys[event.user_id], sealed[event.event_id], event_context(event)
                    )
                    found[event.event_id] = _properties(clear)
        return found
