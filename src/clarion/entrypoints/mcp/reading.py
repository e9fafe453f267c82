"""The tools that read. They change nothing; addresses are masked on their way out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

import msgspec

from clarion.client import Clarion, User
from clarion.client.api import LetterQuery, NotificationQuery

Answer: TypeAlias = dict[str, Any]
LedgerReader: TypeAlias = Callable[[], Awaitable[Answer]]

MOST: Final = 100
"""Entries of a page: more would crowd everything else out of the assistant's view."""


class Reading:
    """What an assistant may look at. The docstrings are what it reads of each tool."""

    def __init__(self, clarion: Clarion) -> None:
        self._clarion = clarion

    async def whoami(self) -> Answer:
        """Say which tenant and environment these tools act for, and what their key may do."""
        return _plain(await self._clarion.me())

    async def find_notifications(
        self,
        user_id: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Answer:
        """Find notifications, newest first: of one user, or of all since a time (24 hours ago without it).

        `status`: queued, ml_scheduled, scheduled, deferred, retrying, sent, delivered, engaged, blocked, expired,
        failed, cancelled or unknown. `cursor` is the `next_cursor` of the page before.
        """
        query = NotificationQuery(user_id, status, since, max(1, min(limit, MOST)))
        return _plain(await self._clarion.notifications.page(query, cursor))

    async def get_notification(self, notification_id: str) -> Answer:
        """Show one notification: its status, and each of its deliveries with provider, attempts and times."""
        return _plain(await self._clarion.notifications.get(notification_id))

    async def explain_notification(self, notification_id: str) -> Answer:
        """Explain why a notification was sent, moved or stopped: the decision, what it knew, and every attempt."""
        return await self._clarion.notifications.trace(notification_id)

    async def get_user(self, user_id: str) -> Answer:
        """Show a user's profile, with masked addresses, and what she has agreed to."""
        profile = mask(await self._clarion.users.get(user_id))
        return {"profile": _plain(profile), "consent": _plain(await self._clarion.users.consent(user_id))}

    async def list_templates(self) -> Answer:
        """List the templates that messages are made of."""
        return {"templates": await self._clarion.templates.list()}

    async def get_template(self, name: str, version: int | None = None) -> Answer:
        """Show a template's parts, in its latest version or another one."""
        return await self._clarion.templates.get(name, version)

    async def list_segments(self, limit: int = 20, cursor: str | None = None) -> Answer:
        """List segments by name, each with its expression and how many users belong to it."""
        return _plain(await self._clarion.segments.page(cursor, max(1, min(limit, MOST))))

    async def get_segment(self, name: str) -> Answer:
        """Show one segment: who belongs to it, and how many they are."""
        return _plain(await self._clarion.segments.get(name))

    async def list_broadcasts(self, limit: int = 20, cursor: str | None = None) -> Answer:
        """List broadcasts, newest first."""
        return _plain(await self._clarion.broadcasts.page(cursor, max(1, min(limit, MOST))))

    async def get_broadcast(self, broadcast_id: str) -> Answer:
        """Show how far a broadcast is. Its balance: audience = sent + blocked + failed + unknown + pending."""
        return _plain(await self._clarion.broadcasts.get(broadcast_id))

    async def list_dead_letters(
        self,
        reason: Literal["crashed_workers", "deliveries"] | None = None,
        state: Literal["dead", "redriven", "all"] = "dead",
        limit: int = 20,
        cursor: str | None = None,
    ) -> Answer:
        """List deliveries that were given up because of Clarion itself, oldest first, with the last error."""
        query = LetterQuery(reason, state=state, limit=max(1, min(limit, MOST)))
        return _plain(await self._clarion.dead_letters.page(query, cursor))


class LedgerTool:
    """The ledger of the instance, for servers that run beside it."""

    def __init__(self, read: LedgerReader) -> None:
        self._read = read

    async def ledger(self) -> Answer:
        """Compare what was promised with what is there, over all tenants: `ok`, counts by status, and each problem."""
        return await self._read()


def mask(user: User) -> User:
    """A profile without what reaches its user: the domain of her e-mail stays, and the end of her number."""
    name, at, domain = (user.email or "").partition("@")
    return msgspec.structs.replace(
        user,
        email=f"{name[:1]}…{at}{domain}" if user.email else None,
        phone=f"…{user.phone[-2:]}" if user.phone else None,
        device_tokens=[msgspec.structs.replace(one, token="…") for one in user.device_tokens],  # noqa: S106  a mask
    )


def _plain(value: msgspec.Struct) -> Answer:
    plain: Answer = msgspec.to_builtins(value)
    return plain
