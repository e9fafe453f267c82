"""What a tenant writes as a template, one version of it, and what comes out of rendering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from clarion.contracts.channels import Channel
from clarion.contracts.commands import Name

MAX_SOURCE_BYTES: Final = 64 * 1024
"""Largest source of one part, in UTF-8. Far above what mail clients show (Gmail cuts a message at 102 KB)."""

MAX_MADE_BYTES: Final = 96 * 1024
"""Largest HTML that is made of MJML, or by inlining style rules, in UTF-8, before it is rendered."""

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

MAX_LOCALES: Final = 50
"""Most languages that a template or partial has besides the one it is written in."""

MAX_RESOLVED_BYTES: Final = 512 * 1024
"""All sources of a version together, in UTF-8, with partials put in and for each locale. Workers keep many of them."""

MAX_PUSH_DATA: Final = 50
"""Most entries of a push message's `data`."""


class EmailParts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sources of an e-mail. `html` is escaped for HTML, the others are plain; a missing `text` is made of `html`.

    `mjml` stands in place of `html`, which is made of it when the template is saved.
    """

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
    """Body of `PUT /api/v1/templates/{name}`, and the stored content of one version, as its author wrote it.

    `channels` says everything in one language: `locale` (BCP 47; "": which one, the template does not say). `locales`
    says parts of it in others, by BCP 47 tag; what one leaves out, its parents (`pt` of `pt-BR`) and then `channels`
    say. `fallbacks` names the next to ask in place of the parent (`{"gsw": "de"}`). See `templates.localize`.

    `data_schema`: JSON Schema of the requests' `data`; None: anything.
    """

    category: Name
    channels: ChannelParts
    locales: dict[str, ChannelParts] = {}
    locale: str = ""
    fallbacks: dict[str, str] = {}
    data_schema: dict[str, Any] | None = None


class PartialParts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sources of a partial: which one an `include` takes, is decided by the part that it stands in.

    `html` goes into `html`, `mjml` into `mjml`, `text` into all others.
    """

    html: str = ""
    mjml: str = ""
    text: str = ""


class PartialContent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece that templates share: something they `include` (a footer), or a layout that they `extend`.

    `locales` says it in other languages, with fall-backs as in templates.
    """

    html: str = ""
    mjml: str = ""
    text: str = ""
    locales: dict[str, PartialParts] = {}


class PartialVersion(msgspec.Struct, frozen=True):
    """One version of a tenant's partial, immutable once stored."""

    name: str
    version: int
    content: PartialContent


Partials: TypeAlias = Mapping[str, PartialVersion]
"""A tenant's partials by name, in the versions that a template saved now would take."""


class ResolvedContent(msgspec.Struct, frozen=True):
    """What a version says, made of its content when it was saved: nothing that changes later changes a stored version.

    `channels` and each of `locales` (by BCP 47 tag in its usual case) are complete, with partials put in, MJML made
    HTML, and style rules inlined as far as they can be beforehand. `partials`: those it took, with their versions.
    """

    channels: ChannelParts
    locales: dict[str, ChannelParts] = {}
    locale: str = ""
    fallbacks: dict[str, str] = {}
    partials: dict[str, int] = {}


def _chars_of(said: ChannelParts) -> int:
    email, push, sms = said.email or EmailParts(), said.push or PushParts(), said.sms or SmsParts()
    texts = (
        email.subject,
        email.html,
        email.mjml,
        email.text,
        push.title,
        push.body,
        *push.data.values(),
        sms.body,
    )
    return sum(map(len, texts))


class CheckedTemplate(msgspec.Struct, frozen=True):
    """Content that passed `check_template`, and what it resolves to.

    `channels` is the mask of the channels it has parts for; `variables` are the names it asks for, sorted, with their
    attributes (`user.first_name`); `uses_context` says whether a delivery has to read the user's stored context.
    """

    content: TemplateContent
    channels: int
    uses_context: bool
    variables: tuple[str, ...]
    resolved: ResolvedContent | None = None
    uses_links: bool = True


class TemplateVersion(msgspec.Struct, frozen=True):
    """One version of a tenant's template, immutable once stored. Version 0 is a draft: it is never cached.

    `resolved` None: the version is older than partials and locales, and says what its content says.
    """

    name: str
    version: int
    content: TemplateContent
    channels: int
    uses_context: bool
    uses_links: bool = True
    resolved: ResolvedContent | None = None

    @property
    def locales(self) -> dict[str, ChannelParts]:
        """What it says in other languages than its own, by BCP 47 tag."""
        return self.resolved.locales if self.resolved is not None else {}

    @property
    def size(self) -> int:
        """Characters of what it keeps in memory, its author's sources included."""
        said = [self.content.channels, *self.content.locales.values()]
        if self.resolved is not None:
            said += [self.resolved.channels, *self.resolved.locales.values()]
        return sum(map(_chars_of, said))

    def parts_in(self, locale: str) -> ChannelParts:
        """What it says in one of its `locales`; "" or another: in its own language."""
        if self.resolved is None:
            return self.content.channels
        return self.resolved.locales.get(locale, self.resolved.channels)


class InlineContent(msgspec.Struct, frozen=True):
    """What a request without a template says in its `data`. Taken literally, never rendered."""

    subject: str = ""
    html: str = ""
    text: str = ""
    title: str = ""
    body: str = ""


class RenderItem(msgspec.Struct, frozen=True, gc=False):
    """One message to make. `variables` come from `build_variables`: plain JSON values; they are not changed.

    `locale`: one of the template's, as `choose_locale` names it; "": the template's own language.
    """

    tenant_id: bytes
    source: TemplateVersion | InlineContent
    channel: Channel
    variables: dict[str, Any]
    locale: str = ""


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
