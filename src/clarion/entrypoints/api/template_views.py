"""Templates as the API shows them."""

from __future__ import annotations

from typing import Any

import msgspec

from clarion.adapters.postgres.templates import Promotion, TemplateRecord, VersionRecord
from clarion.contracts.channels import names_of
from clarion.orchestration.rows import format_time
from clarion.templates import ChannelParts, Finding, Rendered, RenderFailure, TemplateVersion


class TemplateSaved(msgspec.Struct, frozen=True):
    """A version that is kept. `live`: the version that is sent now, null where none is. `new`: it was not there before.

    `variables` are the names that it asks for, `findings` what could be better about it.
    """

    name: str
    version: int
    live: int | None
    new: bool
    category: str
    channels: list[str]
    variables: list[str]
    findings: list[Finding] = []


class VersionLine(msgspec.Struct, frozen=True):
    """One version: its number, and when it was saved."""

    version: int
    created_at: str


class TemplateView(msgspec.Struct, frozen=True):
    """One version of a template with its sources; which is live, and which versions there are, newest first."""

    name: str
    version: int
    live: int | None
    category: str
    channels: ChannelParts
    locales: dict[str, ChannelParts]
    locale: str
    fallbacks: dict[str, str]
    data_schema: dict[str, Any] | None
    versions: list[VersionLine]


class TemplateLine(msgspec.Struct, frozen=True):
    """One template of a list, as its latest version has it. `live`: what is sent now, null where nothing is."""

    name: str
    version: int
    live: int | None
    category: str
    channels: list[str]
    data_schema: bool


class TemplateList(msgspec.Struct, frozen=True):
    """All templates of the tenant, by name."""

    templates: list[TemplateLine]


class VersionView(msgspec.Struct, frozen=True):
    """One version of a list. `created_by`: the id of the key that saved it; "" for one of an older release."""

    version: int
    live: bool
    category: str
    channels: list[str]
    data_schema: bool
    created_at: str
    created_by: str


class PromotionView(msgspec.Struct, frozen=True):
    """When `version` became the live one, in place of which, and by which key."""

    version: int
    previous: int | None
    promoted_at: str
    promoted_by: str


class VersionList(msgspec.Struct, frozen=True):
    """Versions, newest first, and the last hundred changes of what is live.

    `next_before` asks for the next page; null: this is the last.
    """

    name: str
    versions: list[VersionView]
    promotions: list[PromotionView]
    next_before: int | None


class Promoted(msgspec.Struct, frozen=True):
    """What is live now, and what was before."""

    name: str
    version: int
    previous: int | None
    promoted_at: str
    promoted_by: str


class PreviewFailure(msgspec.Struct, frozen=True):
    """Why a channel could not be rendered: in which part and line, and for want of which variable."""

    kind: str
    part: str
    line: int
    variable: str
    detail: str


class PreviewPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a channel would say; or why it cannot."""

    subject: str = ""
    html: str = ""
    text: str = ""
    title: str = ""
    body: str = ""
    data: dict[str, str] = {}
    collapse_key: str = ""
    error: PreviewFailure | None = None


class DataFault(msgspec.Struct, frozen=True):
    """What the template's schema has against `data`: such a notification would be refused."""

    path: str
    detail: str


class PreviewView(msgspec.Struct, frozen=True):
    """A version, rendered on each of its channels, and what could be better about it. Nothing was sent.

    `locale`: in which of its languages (`default`: its own); "" where it has one only.
    """

    name: str
    version: int
    locale: str
    channels: dict[str, PreviewPart]
    data_fault: DataFault | None
    findings: list[Finding]


def as_template(template: TemplateVersion, versions: list[VersionRecord], live: int | None) -> TemplateView:
    """One version with its sources."""
    content = template.content
    return TemplateView(
        template.name,
        template.version,
        live,
        content.category,
        content.channels,
        content.locales,
        content.locale,
        content.fallbacks,
        content.data_schema,
        [VersionLine(record.version, format_time(record.created_ms)) for record in versions],
    )


def as_line(record: TemplateRecord) -> TemplateLine:
    """One template of a list."""
    return TemplateLine(
        record.name,
        record.version,
        record.live,
        record.category,
        names_of(record.channels),
        record.has_schema,
    )


def as_version(record: VersionRecord) -> VersionView:
    """One version of a list."""
    return VersionView(
        record.version,
        record.is_live,
        record.category,
        names_of(record.channels),
        record.has_schema,
        format_time(record.created_ms),
        record.created_by,
    )


def as_promotion(promotion: Promotion) -> PromotionView:
    """One change of what is live."""
    return PromotionView(promotion.version, promotion.previous, format_time(promotion.at_ms), promotion.by)


def as_part(result: Rendered | RenderFailure) -> PreviewPart:
    """What one channel came to."""
    if isinstance(result, RenderFailure):
        failure = PreviewFailure(result.kind, result.part, result.line, result.variable, result.detail)
        return PreviewPart(error=failure)
    return PreviewPart(
        result.subject, result.html, result.text, result.title, result.body, result.data, result.collapse_key
    )
