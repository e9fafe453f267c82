"""Opening and closing what is personal, by the batch, with each user's own key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec

from clarion.audience.keyring import Keyring
from clarion.audience.model import DeviceToken, Platform, SealedProfile
from clarion.audience.ports import DeviceRow, Sealer, UserStore
from clarion.kernel.errors import Permanent

_PROFILE: Final = b"profile"
_EVIDENCE: Final = b"evidence"
_DEVICE: Final = b"device"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SealedProfile)


class SealedOf(msgspec.Struct, frozen=True, gc=False):
    """A user's sealed profile as her row has it (b"": she is gone), with those of her devices that are wanted."""

    user_id: int
    tenant_id: bytes
    sealed: bytes
    devices: Sequence[DeviceRow] = ()


def encode_profile(profile: SealedProfile) -> bytes:
    """The clear bytes that are sealed. Raises OverflowError on a number beyond 64 bits."""
    return _encoder.encode(profile)


def profile_context(user_id: int, tenant_id: bytes) -> bytes:
    """What a sealed profile is bound to: moved to another user or tenant, it does not open."""
    return _PROFILE + tenant_id + user_id.to_bytes(8, "big")


def device_context(user_id: int, tenant_id: bytes) -> bytes:
    """What a sealed device token is bound to."""
    return _DEVICE + tenant_id + user_id.to_bytes(8, "big")


def evidence_context(user_id: int, tenant_id: bytes) -> bytes:
    """What sealed evidence of consent is bound to."""
    return _EVIDENCE + tenant_id + user_id.to_bytes(8, "big")


class Seals:
    """The seals of a region's users, for workers (`open_profiles`) and for consent (`Subjects`)."""

    def __init__(self, keyring: Keyring, sealer: Sealer, users: UserStore) -> None:
        self._keyring = keyring
        self._sealer = sealer
        self._users = users

    async def open_profiles(self, requests: Sequence[SealedOf]) -> list[SealedProfile | None]:
        """The clear profiles, in order, with at most one query for keys; None where a user or her key is gone.

        Keep what comes back no longer than the batch, and out of every log. Raises Transient.
        """
        keys = await self._keyring.keys(request.user_id for request in requests)
        opened = [self._open(request, keys) for request in requests]
        stale = [i for i, profile in enumerate(opened) if profile is None and requests[i].user_id in keys]
        if stale:  # a key in memory that was replaced meanwhile, or damage: the store knows
            keys = await self._keyring.refetch([requests[i].user_id for i in stale])
            for i in stale:
                opened[i] = self._open(requests[i], keys)
        return opened

    async def open_devices(
        self, tenant_id: bytes, user_id: int, devices: Sequence[DeviceRow]
    ) -> list[DeviceToken | None]:
        """A user's devices in clear, in order; None where one does not open. Raises Transient."""
        key = (await self._keyring.refetch([user_id])).get(user_id)
        request = SealedOf(user_id, tenant_id, b"", devices)
        return [None if key is None else self._open_device(request, device, key) for device in devices]

    async def find_ids(self, tenant_id: bytes, external_ids: Sequence[str]) -> dict[str, int]:
        """User ids by external id; see `compliance.ports.Subjects`."""
        return await self._users.find_ids(tenant_id, external_ids)

    async def seal_evidence(self, tenant_id: bytes, evidence: Sequence[tuple[int, bytes]]) -> list[bytes]:
        """Each (user, evidence) under the user's own key; see `compliance.ports.Subjects`.

        Evidence of a user whose key is gone is dropped: she is being erased.
        """
        whose = list({user_id for user_id, clear in evidence if clear})
        keys = await self._keyring.refetch(whose) if whose else {}
        return [
            self._sealer.seal(keys[user_id], clear, evidence_context(user_id, tenant_id))
            if clear and user_id in keys
            else b""
            for user_id, clear in evidence
        ]

    async def unseal_evidence(
        self, tenant_id: bytes, user_id: int, sealed: Sequence[bytes]
    ) -> list[bytes | None]:
        """One user's evidence in clear; see `compliance.ports.Subjects`."""
        key = (await self._keyring.refetch([user_id])).get(user_id) if any(sealed) else None
        context = evidence_context(user_id, tenant_id)
        return [self._open_evidence(key, one, context) if one else b"" for one in sealed]

    def _open_evidence(self, key: bytes | None, sealed: bytes, context: bytes) -> bytes | None:
        if key is None:
            return None
        try:
            return self._sealer.unseal(key, sealed, context)
        except Permanent:
            return None

    def _open(self, request: SealedOf, keys: dict[int, bytes]) -> SealedProfile | None:
        key = keys.get(request.user_id)
        if key is None or not request.sealed:
            return None
        try:
            clear = self._sealer.unseal(
                key, request.sealed, profile_context(request.user_id, request.tenant_id)
            )
        except Permanent:
            return None
        profile = _decoder.decode(clear)
        if not request.devices:
            return profile
        opened = [self._open_device(request, device, key) for device in request.devices]
        tokens = [*profile.device_tokens, *(token for token in opened if token is not None)]
        return msgspec.structs.replace(profile, device_tokens=tokens)

    def _open_device(self, request: SealedOf, device: DeviceRow, key: bytes) -> DeviceToken | None:
        context = device_context(request.user_id, request.tenant_id)
        try:
            token = self._sealer.unseal(key, device.sealed, context).decode()
        except Permanent:
            return None
        return DeviceToken(cast("Platform", device.platform), token)
