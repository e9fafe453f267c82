"""Every operation that the client calls, with what it writes and what it reads.

A test holds this table against the API's own `/openapi.json`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from clarion.client import model
from clarion.client.transport import Endpoint
from clarion.contracts.commands import NotificationRequest
from clarion.contracts.responses import BatchAccepted, NotificationAccepted

SEND: Final = Endpoint("POST", "/api/v1/notifications", "create_notification")
SEND_MANY: Final = Endpoint("POST", "/api/v1/notifications/batch", "create_notifications")
LIST: Final = Endpoint("GET", "/api/v1/notifications", "list_notifications")
READ: Final = Endpoint("GET", "/api/v1/notifications/{notification_id}", "get_notification")
TRACE: Final = Endpoint("GET", "/api/v1/notifications/{notification_id}/trace", "trace_notification")
CANCEL: Final = Endpoint("POST", "/api/v1/notifications/{notification_id}/cancel", "cancel_notification")

PUT_USER: Final = Endpoint("PUT", "/api/v1/users/{user_id}", "put_user")
PUT_USERS: Final = Endpoint("POST", "/api/v1/users/batch", "put_users")
READ_USER: Final = Endpoint("GET", "/api/v1/users/{user_id}", "read_user")
DELETE_USER: Final = Endpoint("DELETE", "/api/v1/users/{user_id}", "remove_user")
RECORD_CONSENT: Final = Endpoint("POST", "/api/v1/compliance/consent", "record_consent")
READ_CONSENT: Final = Endpoint("GET", "/api/v1/compliance/consent/{user_id}", "show_consent")
SET_CONTEXT: Final = Endpoint("POST", "/api/v1/personalization/context", "update_context")

RECORD_EVENTS: Final = Endpoint("POST", "/api/v1/events/batch", "record_batch")

PUT_SEGMENT: Final = Endpoint("PUT", "/api/v1/segments/{name}", "put_segment")
LIST_SEGMENTS: Final = Endpoint("GET", "/api/v1/segments", "list_segments")
READ_SEGMENT: Final = Endpoint("GET", "/api/v1/segments/{name}", "read_segment")

START_BROADCAST: Final = Endpoint("POST", "/api/v1/broadcasts", "create_broadcast")
LIST_BROADCASTS: Final = Endpoint("GET", "/api/v1/broadcasts", "list_broadcasts")
READ_BROADCAST: Final = Endpoint("GET", "/api/v1/broadcasts/{broadcast_id}", "get_broadcast")
PAUSE_BROADCAST: Final = Endpoint("POST", "/api/v1/broadcasts/{broadcast_id}/pause", "pause_broadcast")
RESUME_BROADCAST: Final = Endpoint("POST", "/api/v1/broadcasts/{broadcast_id}/resume", "resume_broadcast")
CANCEL_BROADCAST: Final = Endpoint("POST", "/api/v1/broadcasts/{broadcast_id}/cancel", "cancel_broadcast")

LIST_LETTERS: Final = Endpoint("GET", "/api/v1/dead-letters", "list_dead_letters")
READ_LETTER: Final = Endpoint("GET", "/api/v1/dead-letters/{delivery_id}", "get_dead_letter")
REDRIVE: Final = Endpoint("POST", "/api/v1/dead-letters/redrive", "redrive_dead_letters")
DROP_LETTER: Final = Endpoint("DELETE", "/api/v1/dead-letters/{delivery_id}", "delete_dead_letter")

LIST_TEMPLATES: Final = Endpoint("GET", "/api/v1/templates", "list_templates")
READ_TEMPLATE: Final = Endpoint("GET", "/api/v1/templates/{name}", "get_template")
PREVIEW: Final = Endpoint("POST", "/api/v1/templates/{name}/preview", "preview_template")
ME: Final = Endpoint("GET", "/api/v1/me", "show_me")


class Shape(msgspec.Struct, frozen=True):
    """What an operation reads and writes: structs, or None where it is plain JSON or nothing."""

    endpoint: Endpoint
    body: Any = None
    answer: Any = None


SHAPES: Final = (
    Shape(SEND, NotificationRequest, NotificationAccepted),
    Shape(SEND_MANY, None, BatchAccepted),
    Shape(LIST, None, model.NotificationPage),
    Shape(READ, None, model.Notification),
    Shape(TRACE),
    Shape(CANCEL, None, model.CancelResult),
    Shape(PUT_USER, model.User, model.User),
    Shape(PUT_USERS, None, model.UserResults),
    Shape(READ_USER, None, model.User),
    Shape(DELETE_USER),
    Shape(RECORD_CONSENT, model.ConsentRequest),
    Shape(READ_CONSENT, None, model.Consent),
    Shape(SET_CONTEXT),
    Shape(RECORD_EVENTS, None, model.EventResults),
    Shape(PUT_SEGMENT, None, model.Segment),
    Shape(LIST_SEGMENTS, None, model.SegmentPage),
    Shape(READ_SEGMENT, None, model.Segment),
    Shape(START_BROADCAST, model.BroadcastRequest, model.BroadcastStarted),
    Shape(LIST_BROADCASTS, None, model.BroadcastPage),
    Shape(READ_BROADCAST, None, model.Broadcast),
    Shape(PAUSE_BROADCAST, None, model.Broadcast),
    Shape(RESUME_BROADCAST, None, model.Broadcast),
    Shape(CANCEL_BROADCAST, None, model.Broadcast),
    Shape(LIST_LETTERS, None, model.DeadLetterPage),
    Shape(READ_LETTER, None, model.DeadLetter),
    Shape(REDRIVE, model.RedriveRequest, model.RedriveResult),
    Shape(DROP_LETTER),
    Shape(LIST_TEMPLATES),
    Shape(READ_TEMPLATE),
    Shape(PREVIEW),
    Shape(ME, None, model.Identity),
)
"""All of them."""
