"""What a tenant writes as a template, one version of it, and what comes out of rendering."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from clarion.contracts.channels import Channel
from clarion.contracts.commands import Name

MAX_SOURCE_BYTES: Final = 64 * 1024
"""Largest source of one part, in UTF-8. Far above what mail clients show (Gmail cuts a message at 102 KB)."""

MAX_TAG_CHARS: Final = 2048
"""Largest tag. The engine dies by a signal on a tag of 60 KB with 30 000 operators."""

MAX_OUTPUT_BYTES: Final = 256 * 1024
"""Largest rendered part, in UTF-8."""

MAX_SUBJECT_CHARS: Final = 998
"""Longest line of a message by RFC 5322, section 2.1.1."""

MAX_SMS_CHARS: Final = 1600
"""Ten concatenated segments of plain GSM text: what gateways take."""

MAX_PUSH_BYTES: Final = 3800
"""Title, body and data as JSON. FCM and APNs take 4 096 bytes; the rest is for their own envelope."""

MAX_PUSH_DATA: Final = 50
"""Most entries of a push message's `data`."""


class EmailParts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sources of an e-mail. `html` is escaped for HTML, the others are plain; a missing `text` is made of `html`."""

    subject: str = ""
    html: str = ""
    mjml: str = ""
    text: str = ""


class PushParts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sources of a push message. The values of `data` are templates, its keys are not.

    Of messages with one `collapse_key`, a device shows the latest only.
    """

    title: str = ""
    body: str = ""
    data: dict[Name, str] = {}
    collapse_key: str = ""


class SmsParts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Source of a text message."""

    body: str = ""


class ChannelParts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a template says on each channel; None where it says nothing there."""

    email: EmailParts | None = None
    push: PushParts | None = None
    sms: SmsParts | None = None


class TemplateContent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /api/v1/templates/{name}`, and the stored content of one version."""

    category: Name
    channels: ChannelParts
    locales: dict[str, Any] = {}


class CheckedTemplate(msgspec.Struct, frozen=True):
    """Content that passed `check_template`.

    `channels` is the mask of the channels it has parts for; `variables` are the names it asks for, sorted, with their
    attributes (`user.first_name`); `uses_context` says whether a delivery has to read the user's stored context.
    """

    content: TemplateContent
    channels: int
    uses_context: bool
    variables: tuple[str, ...]


class TemplateVersion(msgspec.Struct, frozen=True):
    """One version of a tenant's template, immutable once stored. Version 0 is a draft: it is never cached."""

    name: str
    version: int
    content: TemplateContent
    channels: int
    uses_context: bool
    uses_links: bool = True


class InlineContent(msgspec.Struct, frozen=True):
    """What a request without a template says in its `data`. Taken literally, never rendered."""

    subject: str = ""
    html: str = ""
    text: str = ""
    title: str = ""
    body: str = ""


class RenderItem(msgspec.Struct, frozen=True, gc=False):
    """One message to make. `variables` come from `build_variables`: plain JSON values; they are not changed."""

    tenant_id: bytes
    source: TemplateVersion | InlineContent
    channel: Channel
    variables: dict[str, Any]


class Rendered(msgspec.Struct, frozen=True, gc=False):
    """What a message says: `subject`, `html`, `text` (email); `title`, `body`, `data` (push); `body` (sms). All PII."""

    subject: str = ""
    html: str = ""
    text: str = ""
    title: str = ""
    body: str = ""
    data: dict[str, str] = {}
    collapse_key: str = ""


FailureKind: TypeAlias = Literal[
    "undefined",
    "null",
    "operation",
    "bad_value",
    "too_much_work",
    "too_long",
    "line_break",
    "unsafe_link",
    "empty",
    "missing_part",
    "syntax",
    "engine",
]
"""Why a message could not be made.

`undefined`: a variable is missing or null. `null`: null was printed (an element of a list, mostly). `operation`: a
value was used in a way its type has not. `bad_value`: a variable is no JSON value. `too_much_work`, `too_long`: a
limit. `line_break`: one came out of a variable into a subject. `unsafe_link`: a link would run a script. `empty`:
nothing to say. `missing_part`: the template has nothing for the channel. `syntax`, `engine`: the version cannot be
compiled, or the engine broke.
"""


class RenderFailure(msgspec.Struct, frozen=True, gc=False):
    """Why one message could not be made. Holds no value of any variable: names and template text only.

    `part` is the path inside the template (`email.html`), `line` counts from 1 (0: unknown), `variable` is the missing
    one (`user.first_name`; "" where there is none or its name is not certain), `detail` a sentence for the tenant.
    """

    kind: FailureKind
    part: str
    detail: str
    variable: str = ""
    line: int = 0
