"""Templates: the catalogue checks what a tenant writes, the renderer makes messages of it."""

from __future__ import annotations

from clarion.templates.catalog import check_template, make_version, try_template
from clarion.templates.data_schema import DataSchema, check_data_schema
from clarion.templates.finding import Finding, Severity
from clarion.templates.inline import inline_channels, inline_content
from clarion.templates.lint import lint_template
from clarion.templates.localize import choose_locale, locale_name
from clarion.templates.model import (
    ChannelParts,
    CheckedTemplate,
    EmailParts,
    FailureKind,
    InlineContent,
    PartialContent,
    PartialParts,
    Partials,
    PartialVersion,
    PushParts,
    Rendered,
    RenderFailure,
    RenderItem,
    ResolvedContent,
    SmsParts,
    TemplateContent,
    TemplateVersion,
)
from clarion.templates.partials import check_partial, needed_by_partial
from clarion.templates.plain_text import html_to_text
from clarion.templates.ports import TrialRenderer, TrialVerdict
from clarion.templates.render import Renderer
from clarion.templates.resolve import needed_partials
from clarion.templates.trial import run_trial
from clarion.templates.variables import build_variables

__all__ = [
    "ChannelParts",
    "CheckedTemplate",
    "DataSchema",
    "EmailParts",
    "FailureKind",
    "Finding",
    "InlineContent",
    "PartialContent",
    "PartialParts",
    "PartialVersion",
    "Partials",
    "PushParts",
    "RenderFailure",
    "RenderItem",
    "Rendered",
    "Renderer",
    "ResolvedContent",
    "Severity",
    "SmsParts",
    "TemplateContent",
    "TemplateVersion",
    "TrialRenderer",
    "TrialVerdict",
    "build_variables",
    "check_data_schema",
    "check_partial",
    "check_template",
    "choose_locale",
    "html_to_text",
    "inline_channels",
    "inline_content",
    "lint_template",
    "locale_name",
    "make_version",
    "needed_by_partial",
    "needed_partials",
    "run_trial",
    "try_template",
]
