"""SES's events, as a configuration set publishes them to an SNS topic.

| event | feedback |
|---|---|
| Send | sent |
| Delivery | delivered |
| DeliveryDelay | deferred |
| Open, Click | opened, clicked; by a machine where the user agent is one's |
| Bounce | bounced if Permanent, else failed: the address may be well |
| Complaint | complained; nothing where the report says `not-spam` |
| Reject, Rendering Failure | failed |
| Subscription | unsubscribed, where she wants nothing of the list any more |

An identity's feedback notifications (`notificationType`) say the same of bounces, complaints and deliveries, but have
no message tags: those are found by SES's id of the message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

import msgspec

from clarion.adapters.providers.proof import delivery_id
from clarion.adapters.providers.ses.provider import DELIVERY_TAG
from clarion.adapters.providers.ses.sns import (
    Certificates,
    SnsMessage,
    confirm_subscription,
    read_sns,
    verify_sns,
)
from clarion.adapters.providers.webhooks import Feedback, FeedbackKind, Fetch, WebhookCall, WebhookRead
from clarion.delivery.links.visits import visit_kind
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

_KINDS: Final[Mapping[str, FeedbackKind]] = MappingProxyType(
    {
        "Send": "sent",
        "Delivery": "delivered",
        "DeliveryDelay": "deferred",
        "Open": "opened",
        "Click": "clicked",
        "Bounce": "bounced",
        "Complaint": "complained",
        "Reject": "failed",
        "Rendering Failure": "failed",
        "Subscription": "unsubscribed",
    }
)
_STATUS: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_CLASS: Final = re.compile(r"[A-Za-z]{1,40}")
_NOT_SPAM: Final = "not-spam"


class _Mail(msgspec.Struct, rename={"message_id": "messageId"}):
    message_id: str = ""
    tags: Mapping[str, Sequence[str]] = MappingProxyType({})
    destination: Sequence[str] = ()


class _Recipient(msgspec.Struct, rename={"email_address": "emailAddress"}):
    email_address: str = ""
    status: str = ""


class _Preferences(msgspec.Struct, rename={"unsubscribe_all": "unsubscribeAll"}):
    unsubscribe_all: bool = False


class _Details(msgspec.Struct, rename="camel"):
    """What is particular to a kind of event: SES has an object of its own name for each."""

    timestamp: str = ""
    bounce_type: str = ""
    bounce_sub_type: str = ""
    bounced_recipients: Sequence[_Recipient] = ()
    complaint_feedback_type: str | None = None
    complaint_sub_type: str | None = None
    delay_type: str = ""
    user_agent: str | None = None
    reason: str = ""
    new_topic_preferences: _Preferences | None = None


class _Event(msgspec.Struct, rename="camel"):
    event_type: str = ""
    notification_type: str = ""
    mail: _Mail = msgspec.field(default_factory=_Mail)
    bounce: _Details | None = None
    complaint: _Details | None = None
    delivery: _Details | None = None
    delivery_delay: _Details | None = None
    open: _Details | None = None
    click: _Details | None = None
    reject: _Details | None = None
    subscription: _Details | None = None

    @property
    def details(self) -> _Details:
        """Those of its kind; Send and Rendering Failure say nothing of use."""
        several = (
            self.bounce,
            self.complaint,
            self.delivery,
            self.delivery_delay,
            self.open,
            self.click,
            self.reject,
            self.subscription,
        )
        return next((details for details in several if details is not None), _Details())


_decode_event: Final = msgspec.json.Decoder(_Event).decode


class SesReader:
    """`WebhookReader` of SES. Keeps certificates, nothing else."""

    def __init__(self) -> None:
        self._certificates = Certificates()

    async def __call__(self, call: WebhookCall, account: ProviderConfig, fetch: Fetch) -> WebhookRead:
        """The event of a call, or none where it is about the subscription, which is then confirmed."""
        message = read_sns(call.raw)
        topic = str(account.settings.get("topic_arn", ""))
        await verify_sns(message, topic, call.now_ms, (self._certificates, fetch))
        if message.type == "SubscriptionConfirmation":
            await confirm_subscription(message, fetch)
        if message.type != "Notification":
            return WebhookRead([], message.message_id)
        return WebhookRead(_feedback(message, call.now_ms), message.message_id)


read_ses: Final = SesReader()


def _feedback(message: SnsMessage, now_ms: int) -> Sequence[Feedback]:
    try:
        event = _decode_event(message.message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # The first message to a new topic is a sentence: "Successfully validated SNS topic for Amazon SES …".
        if not message.message.startswith("{"):
            return ()
        raise Invalid("the message is no event of SES") from error
    details = event.details
    kind = _kind_of(event, details)
    if kind is None:
        return ()
    tags = event.mail.tags.get(DELIVERY_TAG) or ("",)
    recipient = next(iter(details.bounced_recipients), _Recipient())
    is_visit = kind in {"opened", "clicked"}
    return [
        Feedback(
            event_id=message.message_id,
            kind=kind,
            at_ms=_time_ms(details.timestamp or message.timestamp, now_ms),
            delivery_id=delivery_id(tags[0]),
            provider_message_id=event.mail.message_id,
            code=recipient.status if _STATUS.fullmatch(recipient.status) else "",
            detail=_class_of(details),
            is_machine=is_visit and _is_machine(details.user_agent or ""),
            address=recipient.email_address or next(iter(event.mail.destination), ""),
        )
    ]


def _kind_of(event: _Event, details: _Details) -> FeedbackKind | None:
    kind = _KINDS.get(event.event_type or event.notification_type)
    match kind:
        case "bounced" if details.bounce_type != "Permanent":
            return "failed"
        case "complained" if details.complaint_feedback_type == _NOT_SPAM:
            return None
        case "unsubscribed":
            preferences = details.new_topic_preferences
            return kind if preferences is not None and preferences.unsubscribe_all else None
        case _:
            return kind


def _class_of(details: _Details) -> str:
    """SES's own word for why; what the other server said quotes the address, and stays behind."""
    word = details.bounce_sub_type or details.complaint_sub_type or details.delay_type
    return word if _CLASS.fullmatch(word) else ""


def _is_machine(user_agent: str) -> bool:
    return visit_kind("opened", "GET", {b"user-agent": user_agent.encode()}) == "machine"


def _time_ms(text: str, otherwise_ms: int) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return otherwise_ms
