"""Setting some attributes of users, and leaving the rest of their profiles as it is, whoever else writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
from msgspec.structs import replace

from clarion.audience.keyring import Keyring
from clarion.audience.model import SealedProfile
from clarion.audience.ports import Sealer
from clarion.audience.profile import UserProfile, check_profile
from clarion.audience.seals import SealedOf, Seals, encode_profile, profile_context
from clarion.audience.traits import TraitBlinder
from clarion.kernel.errors import Invalid, Transient

ROUNDS: Final = 5
"""How often a user is read anew whom somebody else writes in between."""


class VersionedProfile(msgspec.Struct, frozen=True, gc=False):
    """A user's sealed profile as of `version`. `traits`: the terms of the blind index; written, never read back."""

    user_id: int
    external_id: str
    version: int
    sealed: bytes
    traits: Sequence[bytes] = ()


class AttributeStore(Protocol):
    """Profiles with their versions."""

    async def read_profiles(self, tenant_id: bytes, external_ids: Sequence[str]) -> list[VersionedProfile]:
        """Those of them who are there. Raises Transient."""
        ...

    async def write_profiles(self, tenant_id: bytes, rows: Sequence[VersionedProfile]) -> set[int]:
        """Replace those that still are of their version, which moves; whose were. Raises Transient."""
        ...


class AttributePorts(msgspec.Struct, frozen=True):
    """What setting attributes uses."""

    store: AttributeStore
    seals: Seals
    keyring: Keyring
    sealer: Sealer


async def set_attributes(
    tenant_id: bytes, changes: Sequence[tuple[str, Mapping[str, Any]]], ports: AttributePorts
) -> dict[str, str]:
    """Merge attributes into users' profiles, by external id; None removes one. Why not, or "", by external id.

    Several changes of one user are made in their order. What is set already changes nothing, so all of it may be
    repeated. Raises Transient where a store is away, or others write the same users without end.
    """
    wanted: dict[str, dict[str, Any]] = {}
    for external_id, attributes in changes:
        wanted.setdefault(external_id, {}).update(attributes)
    found = dict.fromkeys(wanted, "unknown_user")
    left = sorted(wanted)
    for _ in range(ROUNDS):
        known = await ports.store.read_profiles(tenant_id, left)
        if not known:
            return found
        rows: list[VersionedProfile] = []
        for row, merged in await _merge(tenant_id, known, wanted, ports):
            if isinstance(merged, str):
                found[row.external_id] = merged
            else:
                rows.append(merged)
        if not rows:
            return found
        written = await ports.store.write_profiles(tenant_id, rows)
        found |= {row.external_id: "" for row in rows if row.user_id in written}
        left = [row.external_id for row in rows if row.user_id not in written]
        if not left:
            return found
    raise Transient("these users are being written elsewhere; try again")


async def _merge(
    tenant_id: bytes,
    known: Sequence[VersionedProfile],
    wanted: Mapping[str, Mapping[str, Any]],
    ports: AttributePorts,
) -> list[tuple[VersionedProfile, VersionedProfile | str]]:
    """Each profile with what it becomes, or why it stays as it is ("": it says so already)."""
    profiles = await ports.seals.open_profiles(
        [SealedOf(row.user_id, tenant_id, row.sealed) for row in known]
    )
    keys = await ports.keyring.refetch([row.user_id for row in known])
    blinder = TraitBlinder(tenant_id, ports.sealer)
    merged: list[tuple[VersionedProfile, VersionedProfile | str]] = []
    for row, profile in zip(known, profiles, strict=True):
        if profile is None or row.user_id not in keys:
            merged.append((row, "unknown_user"))
            continue
        attributes = _apply(profile.attributes, wanted[row.external_id])
        if attributes == profile.attributes:
            merged.append((row, ""))
            continue
        try:
            personal = _check(row.external_id, profile, attributes)
            clear = encode_profile(personal)
        except Invalid as error:
            merged.append((row, f"invalid: {error.path}"))
            continue
        except OverflowError:
            merged.append((row, "invalid: attributes"))
            continue
        sealed = ports.sealer.seal(keys[row.user_id], clear, profile_context(row.user_id, tenant_id))
        merged.append((row, replace(row, sealed=sealed, traits=blinder.terms(personal.attributes))))
    return merged


def _apply(attributes: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**attributes, **changes}.items() if value is not None}


def _check(external_id: str, profile: SealedProfile, attributes: dict[str, Any]) -> SealedProfile:
    checked = check_profile(external_id, UserProfile(attributes=attributes))
    return replace(profile, attributes=checked.personal.attributes)
