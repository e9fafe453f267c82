"""What vendors call us with: the request as it came, and its events in our words.

Each vendor's folder has a `receipts.py` with one `WebhookReader`. It proves who is calling, over the raw bytes, before
it reads any of them; it knows nothing of stores and deliveries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from clarion.tenancy.config import ProviderConfig

FeedbackKind: TypeAlias = Literal[
    "sent",
    "deferred",
    "delivered",
    "opened",
    "clicked",
    "engaged",
    "bounced",
    "failed",
    "complained",
    "unsubscribed",
    "resubscribed",
]
"""`bounced`: the address is dead. `failed`: this message was not delivered, the address may be well.
`engaged`: opened or clicked, where nobody says which.

`complained`, `unsubscribed` and `resubscribed` are what the addressee wants from now on. Only a complaint proves that
this message arrived: a vendor that refused to deliver it, because she had opted out, says `failed` beside it.
"""

Fetch: TypeAlias = Callable[[str], Awaitable[bytes]]
"""Reads a small document from a vendor's host (a certificate, a confirmation). Raises Refused, Transient."""


class WebhookCall(msgspec.Struct, frozen=True):
    """A request as it came. `url` is the public one, with its query; `headers` by name in lower case.

    `secret`: what signs the webhooks of kinds for which we choose it ourselves.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    raw: bytes
    now_ms: int
    secret: bytes = b""


class Feedback(msgspec.Struct, frozen=True, gc=False):
    """One event of a vendor. It is about `delivery_id`, where the vendor echoes it, else about `provider_message_id`.

    `event_id` is the vendor's own, the same for each repeat of an event. `code` and `detail` hold no PII. `is_machine`:
    an open or click that nobody made (a scanner, a privacy proxy). `cost_micros`: what the vendor says it really cost.
    `address`: to which address or number it was sent, where the vendor says so; kept as a keyed hash only. Without it a
    bounce is about the address that the user has now.
    """

    event_id: str
    kind: FeedbackKind
    at_ms: int
    delivery_id: bytes = b""
    provider_message_id: str = ""
    code: str = ""
    detail: str = ""
    is_machine: bool = False
    cost_micros: int | None = None
    address: str = ""


class Inbound(msgspec.Struct, frozen=True):
    """A text message from somebody. Numbers are E.164.

    `intent`: what the vendor took it for, where it says so. `is_answered`: the vendor confirms it itself.
    """

    sender: str
    recipient: str
    text: str
    message_id: str
    intent: Literal["stop", "start", "help"] | None = None
    is_answered: bool = False


class WebhookRead(msgspec.Struct, frozen=True):
    """What a call came to. `replay_key` is used up by it ("": repeats are told by their events alone).

    `inbound`: None unless the call brings a text message.
    """

    feedback: Sequence[Feedback]
    replay_key: str = ""
    inbound: Inbound | None = None


TextAnswer: TypeAlias = Callable[[Inbound, str], bytes]
"""The XML that answers the call which brought a text message with one ("": with none)."""


class WebhookReader(Protocol):
    """Proves and reads the webhooks of one kind of provider."""

    async def __call__(self, call: WebhookCall, account: ProviderConfig, fetch: Fetch, /) -> WebhookRead:
        """The call's events. Raises Refused where it is not proven to be the vendor's, Invalid where it is none.

        Raises Transient where that cannot be told now: the vendor is asked to call again.
        """
        ...
