"""The end of a tenant: at once nobody can act for it and nothing of it is sent, then all that it had is removed.

    asked ─▶ its credentials and accounts are gone (one transaction) ─▶ rows by the batch ─▶ its settings and its name

What a process had in hand when it was asked may still write for a moment; a tenant is finished only when nothing came
for SETTLED_MS. Its queued work finds no row and does nothing. The audit log stays for its own time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from clarion.kernel.errors import Invalid

SETTLED_MS: Final = 15_000
"""How long after it was asked something may still be written: credentials are believed for 2 s, and a call has ended
10 s later."""

USERS: Final = 500
"""Users that are removed together: short transactions, so that other tenants wait for none."""

ROWS: Final = 5_000
"""Rows of one table that are removed together."""


class Deletion(msgspec.Struct, frozen=True):
    """A tenant that is being deleted. `asked_ms` by the store's clock. `removed`: rows so far."""

    tenant_id: bytes
    name: str
    asked_ms: int
    removed: int = 0


class DyingUser(msgspec.Struct, frozen=True):
    """A user who goes with her tenant."""

    user_id: int
    external_id: str


class TenantRows(Protocol):
    """What the region's database holds of tenants that are being deleted."""

    async def begin(self, tenant_id: bytes, name: str) -> Deletion:
        """End all credentials and accounts with providers, and note that the tenant goes: one transaction.

        Asked again it is the same deletion. Raises NotFound where there is no tenant of this id and name.
        """
        ...

    async def under_way(self) -> list[Deletion]:
        """Those that are not finished, the oldest first."""
        ...

    async def users(self, tenant_id: bytes, most: int) -> list[DyingUser]:
        """Some of the tenant's users who are left."""
        ...

    async def remove_users(self, users: Sequence[DyingUser]) -> None:
        """Remove their profiles."""
        ...

    async def remove_rows(self, tenant_id: bytes, most: int) -> int:
        """Remove at most `most` rows of each table, but for users' profiles; how many in all."""
        ...

    async def note(self, tenant_id: bytes, removed: int, *, finished: bool) -> None:
        """Keep how far it is. What is finished loses its settings and, here, its name."""
        ...


class TenantRemains(Protocol):
    """What is held of tenants elsewhere."""

    async def forget_users(self, tenant_id: bytes, users: Sequence[DyingUser]) -> None:
        """Destroy the users' data keys, and what is cached of them. Again it finds nothing more."""
        ...

    async def release(self, tenant_id: bytes) -> None:
        """Destroy what opens the tenant's secrets, give its name free, and forget how its accounts did."""
        ...


def check_confirmation(name: str, confirmed: str) -> None:
    """Pass where who deletes a tenant has named it. Raises Invalid."""
    if confirmed != name:
        raise Invalid("is not the name of this tenant: say it, to delete all that it has", "confirm")


async def sweep(deletion: Deletion, rows: TenantRows, remains: TenantRemains, now_ms: int) -> bool:
    """Remove one portion; whether the tenant is gone. Again after a crash it goes on where it was."""
    tenant_id = deletion.tenant_id
    users = await rows.users(tenant_id, USERS)
    if users:
        # First what opens the data, then what names it: a crash between leaves nothing that can be read.
        await remains.forget_users(tenant_id, users)
        await rows.remove_users(users)
    removed = len(users) + await rows.remove_rows(tenant_id, ROWS)
    is_gone = not removed and now_ms - deletion.asked_ms >= SETTLED_MS
    if is_gone:
        await remains.release(tenant_id)
    if removed or is_gone:
        await rows.note(tenant_id, removed, finished=is_gone)
    return is_gone
