"""The client: one object an account, its operations by resource."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from clarion.client import endpoints, model
from clarion.client.batching import Batcher
from clarion.client.transport import Request, RetryPolicy, Transport
from clarion.contracts.channels import Channel
from clarion.contracts.commands import NotificationRequest
from clarion.contracts.responses import BatchAccepted, BatchItem, NotificationAccepted

BATCH_MOST: Final = 1_000
"""Items that one request may have."""

_DEFAULT_POLICY: Final = RetryPolicy()


class NotificationQuery(msgspec.Struct, frozen=True):
    """Which notifications: of a user, or since a time (24 hours ago without it); in a status."""

    user_id: str | None = None
    status: str | None = None
    since: datetime | None = None
    limit: int = 100


class LetterQuery(msgspec.Struct, frozen=True):
    """Which dead letters. `state`: `dead`, `redriven` or `all`."""

    reason: str | None = None
    channel: Channel | None = None
    category: str | None = None
    state: str = "dead"
    limit: int = 100


class Notifications:
    """Telling users things, and what became of it. Every method raises ApiError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def send(self, request: NotificationRequest, *, key: str | None = None) -> NotificationAccepted:
        """Tell one user one thing: it is durable when this returns.

        `key`: an idempotency key of your own, to repeat the call safely from another process; else a fresh one.
        """
        asked = Request(body=_lean(request), key=key)
        return await self._transport.call(endpoints.SEND, asked, NotificationAccepted)

    async def send_many(
        self, requests: Sequence[NotificationRequest], *, key: str | None = None
    ) -> list[BatchItem]:
        """Tell up to BATCH_MOST things: a result per request, in order.

        A wrong one has its `error`, and stops no other. Raises ValueError on more of them.
        """
        if len(requests) > BATCH_MOST:
            raise ValueError(f"{len(requests)} requests, where {BATCH_MOST} fit into a batch")
        asked = Request(body={"notifications": [_lean(one) for one in requests]}, key=key)
        return (await self._transport.call(endpoints.SEND_MANY, asked, BatchAccepted)).results

    def batcher(self, *, limit: int = 500, concurrency: int = 4) -> Batcher:
        """An object that makes batches of concurrent sends."""
        return Batcher(self.send_many, limit=min(limit, BATCH_MOST), concurrency=concurrency)

    async def get(self, notification_id: str) -> model.Notification:
        """A notification with its deliveries."""
        asked = Request(path={"notification_id": notification_id})
        return await self._transport.call(endpoints.READ, asked, model.Notification)

    async def trace(self, notification_id: str) -> dict[str, Any]:
        """Why: the decision with all that it was made on, and every attempt."""
        asked = Request(path={"notification_id": notification_id})
        return await self._transport.call(endpoints.TRACE, asked, dict[str, Any])

    async def cancel(self, notification_id: str) -> model.CancelResult:
        """Stop what nobody has begun to send. Raises StateConflict where nothing is left to stop."""
        asked = Request(path={"notification_id": notification_id})
        return await self._transport.call(endpoints.CANCEL, asked, model.CancelResult)

    async def page(self, query: NotificationQuery, cursor: str | None = None) -> model.NotificationPage:
        """One page, newest first."""
        asked = Request(query={**msgspec.structs.asdict(query), "cursor": cursor})
        return await self._transport.call(endpoints.LIST, asked, model.NotificationPage)

    async def list(self, query: NotificationQuery) -> AsyncGenerator[model.ListedNotification]:
        """All of them, newest first, page by page."""
        cursor: str | None = None
        while True:
            page = await self.page(query, cursor)
            for one in page.notifications:
                yield one
            if (cursor := page.next_cursor) is None:
                return


class Users:
    """Whom to tell, and what they agreed to. Every method raises ApiError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def put(self, user_id: str, profile: model.User) -> model.User:
        """Write the whole profile; as it is kept."""
        body = msgspec.structs.replace(profile, user_id="")
        asked = Request(path={"user_id": user_id}, body=body)
        return await self._transport.call(endpoints.PUT_USER, asked, model.User)

    async def put_many(self, users: Sequence[model.User]) -> list[model.UserResult]:
        """Write up to BATCH_MOST profiles, each with its `user_id`; a result per user, in order."""
        asked = Request(body={"users": users})
        return (await self._transport.call(endpoints.PUT_USERS, asked, model.UserResults)).results

    async def get(self, user_id: str) -> model.User:
        """A user's profile."""
        return await self._transport.call(endpoints.READ_USER, Request(path={"user_id": user_id}), model.User)

    async def delete(self, user_id: str) -> None:
        """Forget a user, her context and her key."""
        await self._transport.raw(endpoints.DELETE_USER, Request(path={"user_id": user_id}))

    async def record_consent(self, request: model.ConsentRequest) -> None:
        """Record a user's word."""
        await self._transport.raw(endpoints.RECORD_CONSENT, Request(body=request))

    async def consent(self, user_id: str) -> model.Consent:
        """A user's latest words."""
        asked = Request(path={"user_id": user_id})
        return await self._transport.call(endpoints.READ_CONSENT, asked, model.Consent)

    async def set_context(self, user_id: str, context: dict[str, Any]) -> None:
        """Merge real-time facts into a user's context; None removes one."""
        await self._transport.raw(
            endpoints.SET_CONTEXT, Request(body={"user_id": user_id, "context": context})
        )

    async def record_events(self, events: Sequence[model.Event]) -> list[model.EventResult]:
        """Record up to BATCH_MOST things that users did; a result per event, in order."""
        asked = Request(body={"events": events})
        return (await self._transport.call(endpoints.RECORD_EVENTS, asked, model.EventResults)).results


class Segments:
    """Users who belong together. Every method raises ApiError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def put(self, name: str, expression: str, description: str = "") -> model.Segment:
        """Create or replace a segment."""
        body = {"expression": expression, "description": description}
        return await self._transport.call(
            endpoints.PUT_SEGMENT, Request(path={"name": name}, body=body), model.Segment
        )

    async def get(self, name: str) -> model.Segment:
        """One segment, with how many belong to it."""
        return await self._transport.call(endpoints.READ_SEGMENT, Request(path={"name": name}), model.Segment)

    async def page(self, cursor: str | None = None, limit: int = 20) -> model.SegmentPage:
        """One page, by name."""
        asked = Request(query={"cursor": cursor, "limit": limit})
        return await self._transport.call(endpoints.LIST_SEGMENTS, asked, model.SegmentPage)


class Broadcasts:
    """One message to many. Every method raises ApiError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def start(
        self, request: model.BroadcastRequest, *, key: str | None = None
    ) -> model.BroadcastStarted:
        """Start a broadcast; with `dry_run` only its forecast."""
        asked = Request(body=request, key=key)
        return await self._transport.call(endpoints.START_BROADCAST, asked, model.BroadcastStarted)

    async def get(self, broadcast_id: str) -> model.Broadcast:
        """How far it is."""
        asked = Request(path={"broadcast_id": broadcast_id})
        return await self._transport.call(endpoints.READ_BROADCAST, asked, model.Broadcast)

    async def page(self, cursor: str | None = None, limit: int = 20) -> model.BroadcastPage:
        """One page, newest first."""
        asked = Request(query={"cursor": cursor, "limit": limit})
        return await self._transport.call(endpoints.LIST_BROADCASTS, asked, model.BroadcastPage)

    async def pause(self, broadcast_id: str) -> model.Broadcast:
        """Expand it no further until it is resumed."""
        asked = Request(path={"broadcast_id": broadcast_id})
        return await self._transport.call(endpoints.PAUSE_BROADCAST, asked, model.Broadcast)

    async def resume(self, broadcast_id: str) -> model.Broadcast:
        """Go on."""
        asked = Request(path={"broadcast_id": broadcast_id})
        return await self._transport.call(endpoints.RESUME_BROADCAST, asked, model.Broadcast)

    async def cancel(self, broadcast_id: str) -> model.Broadcast:
        """Stop it, and what nobody has begun to send of it."""
        asked = Request(path={"broadcast_id": broadcast_id})
        return await self._transport.call(endpoints.CANCEL_BROADCAST, asked, model.Broadcast)


class DeadLetters:
    """Deliveries that were given up because of Clarion itself. Every method raises ApiError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def page(self, query: LetterQuery, cursor: str | None = None) -> model.DeadLetterPage:
        """One page, oldest first."""
        asked = Request(query={**msgspec.structs.asdict(query), "cursor": cursor})
        return await self._transport.call(endpoints.LIST_LETTERS, asked, model.DeadLetterPage)

    async def get(self, delivery_id: str) -> model.DeadLetter:
        """One of them."""
        asked = Request(path={"delivery_id": delivery_id})
        return await self._transport.call(endpoints.READ_LETTER, asked, model.DeadLetter)

    async def redrive(self, request: model.RedriveRequest) -> model.RedriveResult:
        """Open deliveries anew, at a pace."""
        return await self._transport.call(endpoints.REDRIVE, Request(body=request), model.RedriveResult)

    async def drop(self, delivery_id: str) -> None:
        """Forget one. Its notification stays as it ended."""
        await self._transport.raw(endpoints.DROP_LETTER, Request(path={"delivery_id": delivery_id}))


class Templates:
    """What messages are made of. Every method raises ApiError; answers are the API's JSON."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> list[dict[str, Any]]:
        """All templates."""
        answer = await self._transport.call(endpoints.LIST_TEMPLATES, Request(), dict[str, Any])
        return answer["templates"]

    async def get(self, name: str, version: int | None = None) -> dict[str, Any]:
        """A template, in its latest version or the given one."""
        asked = Request(path={"name": name}, query={"version": version})
        return await self._transport.call(endpoints.READ_TEMPLATE, asked, dict[str, Any])

    async def preview(self, name: str, **given: Any) -> dict[str, Any]:
        """A template rendered with `data`, `user`, `context`, `version`, or for a `user_id`."""
        asked = Request(path={"name": name}, body=given)
        return await self._transport.call(endpoints.PREVIEW, asked, dict[str, Any])


class Clarion:
    """One account's client: an asynchronous context manager, for use in one event loop."""

    def __init__(self, base_url: str, api_key: str, policy: RetryPolicy = _DEFAULT_POLICY) -> None:
        self._transport = Transport(base_url, api_key, policy)
        self.notifications = Notifications(self._transport)
        self.users = Users(self._transport)
        self.segments = Segments(self._transport)
        self.broadcasts = Broadcasts(self._transport)
        self.dead_letters = DeadLetters(self._transport)
        self.templates = Templates(self._transport)

    async def me(self) -> model.Identity:
        """Whose key this is. Raises ApiError."""
        return await self._transport.call(endpoints.ME, Request(), model.Identity)

    async def close(self) -> None:
        """End the connections. Idempotent."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close."""
        await self.close()


def _lean(request: NotificationRequest) -> dict[str, Any]:
    """A request without the fields that are as they are by default: half of its bytes."""
    defaults = _DEFAULTS
    return {
        name: value
        for name, value in msgspec.structs.asdict(request).items()
        if name not in defaults or value != defaults[name]
    }


_DEFAULTS: Final = msgspec.structs.asdict(NotificationRequest("x", "x"))
for _required in ("user_id", "category"):
    del _DEFAULTS[_required]
