"""Templates in one line, as tests want them."""

from __future__ import annotations

from typing import Any

import pytest

from clarion.contracts.channels import Channel
from clarion.kernel.errors import Invalid
from clarion.templates import (
    ChannelParts,
    EmailParts,
    PartialContent,
    Partials,
    PartialVersion,
    PushParts,
    Rendered,
    Renderer,
    RenderFailure,
    RenderItem,
    SmsParts,
    TemplateContent,
    check_template,
    make_version,
)

TENANT = b"t" * 16


def email(subject: str = "Hello", html: str = "", text: str = "") -> TemplateContent:
    return TemplateContent("service", ChannelParts(email=EmailParts(subject, html, "", text)))


def push(title: str = "", body: str = "", data: dict[str, str] | None = None) -> TemplateContent:
    return TemplateContent("service", ChannelParts(push=PushParts(title, body, data or {})))


def sms(body: str) -> TemplateContent:
    return TemplateContent("service", ChannelParts(sms=SmsParts(body)))


def partials(**contents: PartialContent) -> dict[str, PartialVersion]:
    """Partials by name, in their first version."""
    return {name: PartialVersion(name, 1, content) for name, content in contents.items()}


def render(
    content: TemplateContent, variables: dict[str, Any], known: Partials | None = None, locale: str = ""
) -> Rendered | RenderFailure:
    """The first channel of checked content, rendered by a new renderer."""
    checked = check_template(content, known or {})
    channel: Channel = "email" if checked.channels & 1 else "push" if checked.channels & 2 else "sms"
    item = RenderItem(TENANT, make_version("test", 1, content, known or {}), channel, variables, locale)
    (result,) = Renderer().render_batch([item])
    return result


def text_of(source: str, **variables: Any) -> str:
    """What a plain source becomes. Fails the test where it cannot be rendered."""
    result = render(email(text=source), variables)
    assert isinstance(result, Rendered), result
    return result.text


def html_of(source: str, **variables: Any) -> str:
    """What an HTML source becomes. Fails the test where it cannot be rendered."""
    result = render(email(html=source), variables)
    assert isinstance(result, Rendered), result
    return result.html


def failure_of(content: TemplateContent, **variables: Any) -> RenderFailure:
    """Why content cannot be rendered. Fails the test where it can."""
    result = render(content, variables)
    assert isinstance(result, RenderFailure), result
    return result


def refusal_of(content: TemplateContent, known: Partials | None = None) -> Invalid:
    """Why content cannot be stored. Fails the test where it can."""
    with pytest.raises(Invalid) as caught:
        check_template(content, known or {})
    return caught.value
