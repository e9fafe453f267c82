"""The people of a tenant: who is invited, who acts with which role, and who must stay."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Final, Literal, Protocol, TypeAlias

import msgspec
from msgspec import Meta

from clarion.kernel.errors import Invalid
from clarion.kernel.text import check_storable
from clarion.tenancy.model import Role
from clarion.tenancy.ports import StoredKey

Status: TypeAlias = Literal["invited", "active", "suspended"]

INVITED_S: Final = 7 * 86_400
"""Seconds for which an invitation can be accepted."""

TOKEN_BYTES: Final = 32
"""Random bytes of an invitation: as with keys, only its hash is kept."""

MAX_EMAIL: Final = 254

Email = Annotated[str, Meta(min_length=3, max_length=MAX_EMAIL)]

_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}")


class Member(msgspec.Struct, frozen=True):
    """A person who acts for a tenant, or is asked to. Times are UTC ms."""

    member_id: str
    email: str
    role: Role
    status: Status
    created_ms: int
    invited_until_ms: int | None = None


class Invited(msgspec.Struct, frozen=True):
    """An open invitation, and whose it is."""

    tenant_id: bytes
    member: Member


class MemberFinder(Protocol):
    """Who may act by the name that a token gives."""

    async def find_active(self, tenant_id: bytes, email: str) -> tuple[str, Role] | None:
        """An active member's id and role, by her e-mail in lower case; None: there is none. Raises Transient."""
        ...


class MemberStore(MemberFinder, Protocol):
    """The members of a region's tenants."""

    async def list_members(self, tenant_id: bytes) -> list[Member]:
        """All members of a tenant, by e-mail."""
        ...

    async def invite(self, tenant_id: bytes, email: str, role: Role, token_hash: bytes) -> Member:
        """Ask somebody in, or once more: the earlier token is worth nothing then. Raises Conflict where she is in."""
        ...

    async def find_invitation(self, token_hash: bytes) -> Invited | None:
        """Whose open invitation has a token of this hash."""
        ...

    async def accept(self, invited: Invited, token_hash: bytes, key: StoredKey) -> bool:
        """Make a member of the invited, with a first key, in one transaction. False where it is not open any more."""
        ...

    async def update(self, tenant_id: bytes, member_id: str, role: Role, status: Status) -> Member:
        """Give another role or status. Raises NotFound, Conflict where no active owner would be left."""
        ...

    async def remove(self, tenant_id: bytes, member_id: str) -> None:
        """Let her go, and end her keys, in one transaction. Raises NotFound, Conflict on the last owner."""
        ...


def clean_email(text: str) -> str:
    """An e-mail address as members have it, in lower case. Raises Invalid."""
    check_storable(text, "email")
    if not _EMAIL.fullmatch(text):
        raise Invalid("is no e-mail address", "email")
    return text.lower()


def hash_token(token: str) -> bytes:
    """What is kept of an invitation's token."""
    return hashlib.sha256(token.encode()).digest()


def loses_owner(member: Member, role: Role, status: Status) -> bool:
    """Whether an owner who can act would be one no more."""
    is_owner = member.role == "owner" and member.status == "active"
    return is_owner and not (role == "owner" and status == "active")
