"""Preferences and quiet hours as the user herself sets them, apart from what her tenant writes of her."""

from __future__ import annotations

import msgspec

from clarion.audience.ports import PreferenceStore, UserStore
from clarion.audience.profile import (
    DailyWindow,
    Preferences,
    check_preferences,
    check_window,
    write_preferences,
    write_window,
)
from clarion.kernel.errors import NotFound


class Choices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /api/v1/users/{user_id}/preferences`: the whole of what a user chose.

    `preferences`: by category (`*`: all), the channels that she switched off. `quiet_hours`: her own, or null.
    """

    preferences: Preferences = {}
    quiet_hours: DailyWindow | None = None


async def choose(tenant_id: bytes, external_id: str, chosen: Choices, store: PreferenceStore) -> Choices:
    """Replace what a user chose; it as it is kept. Raises Invalid, NotFound, Transient."""
    preferences = check_preferences(chosen.preferences)
    quiet_hours = check_window(chosen.quiet_hours)
    if not await store.set_preferences(tenant_id, external_id, preferences, quiet_hours):
        raise NotFound("there is no such user")
    return Choices(write_preferences(preferences), chosen.quiet_hours)


async def read_choices(tenant_id: bytes, external_id: str, users: UserStore) -> Choices:
    """What a user chose. Raises NotFound, Transient."""
    row = await users.read(tenant_id, external_id)
    if row is None:
        raise NotFound("there is no such user")
    return Choices(write_preferences(row.preferences or {}), write_window(row.quiet_hours or None))
