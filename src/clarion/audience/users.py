"""Users: written by the batch, read, deleted. What is personal goes to the store sealed, and only sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET

from clarion.audience.devices import seal_devices
from clarion.audience.keyring import Keyring
from clarion.audience.model import SealedProfile
from clarion.audience.ports import Place, Sealer, UserRow, UserStore
from clarion.audience.profile import CheckedProfile, UserItem, UserProfile, check_profile, write_profile
from clarion.audience.seals import SealedOf, Seals, encode_profile, profile_context
from clarion.audience.traits import TraitBlinder
from clarion.kernel.errors import ClarionError, Invalid, NotFound, Permanent, Transient

ROUNDS: Final = 4
"""How often a write is tried again for users whom somebody else made or deleted in between."""

Change: TypeAlias = Literal["created", "updated", "unchanged"]

_encoder = msgspec.msgpack.Encoder()


class Upserted(msgspec.Struct, frozen=True):
    """A user as she is stored now. `version` moves with each change; a card of an older one is stale."""

    external_id: str
    user_id: int
    version: int
    change: Change


class _Item(msgspec.Struct, frozen=True):
    """A checked profile on its way into the store, with what tells it from other profiles."""

    external_id: str
    checked: CheckedProfile
    clear: bytes
    fingerprint: bytes


async def upsert_users(
    tenant_id: bytes,
    items: Sequence[tuple[str, UserProfile]],
    users: UserStore,
    keyring: Keyring,
    sealer: Sealer,
) -> list[Upserted | ClarionError]:
    """Write profiles, each under the tenant's own id; per item in order, the stored user or why she was not stored.

    A wrong item stops no other. Of two with one id the later counts, and both answer for it. A profile that is as
    stored changes nothing. New users' keys are durable before their rows are. Raises Transient where a store is away;
    then some users may have been written: writing again settles it.
    """
    checked = [_check(tenant_id, external_id, profile, sealer) for external_id, profile in items]
    latest = {item.external_id: item for item in checked if isinstance(item, _Item)}
    done: dict[str, Upserted] = {}
    for _ in range(ROUNDS):
        waiting = [item for item in latest.values() if item.external_id not in done]
        if not waiting:
            break
        # One order for everybody: two batches that hold the same users in turn cannot wait for each other.
        waiting.sort(key=lambda item: item.external_id)
        done |= await _write(tenant_id, waiting, users, keyring, sealer)
    busy = Transient("this user is being written and deleted elsewhere; try again")
    return [done.get(item.external_id, busy) if isinstance(item, _Item) else item for item in checked]


async def get_user(tenant_id: bytes, external_id: str, users: UserStore, seals: Seals) -> UserItem:
    """One user as the tenant wrote her, normalised. Raises NotFound."""
    row = await users.read(tenant_id, external_id)
    items = await open_users(tenant_id, [row], seals) if row else []
    if not items:
        raise _not_found()
    return items[0]


async def open_users(tenant_id: bytes, rows: Sequence[UserRow], seals: Seals) -> list[UserItem]:
    """Users as their tenant may write them again, in order; without those whose key is gone. Raises Transient."""
    sealed = [SealedOf(row.user_id, tenant_id, row.sealed, row.devices or ()) for row in rows]
    opened = zip(rows, await seals.open_profiles(sealed), strict=True)
    return [_write_out(row, personal) for row, personal in opened if personal is not None]


def _write_out(row: UserRow, personal: SealedProfile) -> UserItem:
    checked = CheckedProfile(
        personal,
        personal.device_tokens,
        row.reachable,
        row.timezone,
        row.language,
        row.country,
        row.region,
        row.preferred_channel,
        row.preferences or {},
        row.quiet_hours or None,
    )
    return write_profile(row.external_id, checked)


async def delete_user(tenant_id: bytes, external_id: str, users: UserStore, keyring: Keyring) -> int:
    """Remove a user and her key; her user id. Deliveries that are open then end for want of an address.

    The key goes first: when a crash leaves the row, nobody can read it, and deleting again finishes. Raises NotFound.
    """
    user_id = (await users.find_ids(tenant_id, [external_id])).get(external_id)
    if user_id is None:
        raise _not_found()
    await keyring.destroy([user_id])
    await users.delete(tenant_id, user_id)
    return user_id


def _not_found() -> NotFound:
    return NotFound("there is no such user")


def _check(tenant_id: bytes, external_id: str, profile: UserProfile, sealer: Sealer) -> _Item | Permanent:
    try:
        checked = check_profile(external_id, profile)
        clear = encode_profile(checked.personal)
    except Invalid as exc:
        return exc
    except OverflowError:
        return Invalid("has a number beyond 64 bits: send it as text", "attributes")
    fingerprint = sealer.blind(tenant_id, external_id.encode() + b"\0" + _encoder.encode(checked))
    return _Item(external_id, checked, clear, fingerprint)


async def _write(
    tenant_id: bytes, items: Sequence[_Item], users: UserStore, keyring: Keyring, sealer: Sealer
) -> dict[str, Upserted]:
    """One round: what could be written, by external id. Four queries at most, whatever the number of items."""
    places = await users.locate(tenant_id, [item.external_id for item in items])
    placed = list(zip(items, places, strict=True))
    done = {
        item.external_id: Upserted(item.external_id, place.user_id, place.version, "unchanged")
        for item, place in placed
        if place.version and place.fingerprint == item.fingerprint
    }
    fresh = [(item, place) for item, place in placed if not place.version]
    known = [(item, place) for item, place in placed if place.version and item.external_id not in done]
    blinder = TraitBlinder(tenant_id, sealer)
    if fresh:
        keys = await keyring.create([place.user_id for _, place in fresh])
        rows = [_row(item, place, keys, blinder, sealer) for item, place in fresh if place.user_id in keys]
        versions = await users.insert(tenant_id, rows)
        lost = [place.user_id for _, place in fresh if place.user_id not in versions]
        if lost:
            await keyring.destroy(lost)  # somebody else made these users first, with keys of their own
        done |= _done(fresh, versions, "created")
    if known:
        keys = await keyring.ensure([place.user_id for _, place in known])
        rows = [_row(item, place, keys, blinder, sealer) for item, place in known if place.user_id in keys]
        done |= _done(known, await users.update(tenant_id, rows), "updated")
    return done


def _done(
    placed: Sequence[tuple[_Item, Place]], versions: dict[int, int], change: Change
) -> dict[str, Upserted]:
    return {
        item.external_id: Upserted(item.external_id, place.user_id, versions[place.user_id], change)
        for item, place in placed
        if place.user_id in versions
    }


def address_hmac(tenant_id: bytes, channel: str, address: str, sealer: Sealer) -> bytes:
    """What finds an e-mail address or a number (E.164) without telling it; b"" for none, and on other channels."""
    if not address or channel not in _BLINDED:
        return b""
    # Addresses are found whatever their case, though only the domain's has no meaning.
    return sealer.blind(tenant_id, _BLINDED[channel] + address.casefold().encode())


_BLINDED: Final = {"email": b"email:", "sms": b"phone:"}


def _row(item: _Item, place: Place, keys: dict[int, bytes], blinder: TraitBlinder, sealer: Sealer) -> UserRow:
    tenant_id = blinder.tenant_id
    checked = item.checked
    personal = checked.personal
    return UserRow(
        user_id=place.user_id,
        external_id=item.external_id,
        sealed=sealer.seal(keys[place.user_id], item.clear, profile_context(place.user_id, tenant_id)),
        fingerprint=item.fingerprint,
        email_hmac=address_hmac(tenant_id, "email", personal.email, sealer),
        phone_hmac=address_hmac(tenant_id, "sms", personal.phone, sealer),
        reachable=checked.reachable,
        timezone=checked.timezone,
        language=checked.language,
        country=checked.country,
        region=checked.region,
        preferred_channel=checked.preferred_channel,
        preferences=checked.preferences,
        quiet_hours=UNSET if checked.keeps_quiet_hours else checked.quiet_hours,
        traits=blinder.terms(personal.attributes),
        devices=None
        if checked.devices is None
        else seal_devices((tenant_id, place.user_id), checked.devices, keys[place.user_id], sealer),
        phone_country=checked.origin.country,
        phone_zones=checked.origin.zones,
    )
