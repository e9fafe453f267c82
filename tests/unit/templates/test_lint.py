"""What the linter finds, where, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from clarion.templates import (
    ChannelParts,
    EmailParts,
    Finding,
    PartialContent,
    PushParts,
    SmsParts,
    TemplateContent,
    lint_template,
)
from tests.unit.templates.support import email, partials, push, sms

TEXT = "A text that is long enough not to be taken for the caption of a picture, whatever there is."
PICTURE = '<img src="https://cdn.shop.com/a.png" alt="">'
GOOD = f'<html lang="en"><p>{TEXT}</p>{PICTURE}<a href="{{{{ url }}}}">Go</a></html>'


def mail(html: str, subject: str = "Hello", text: str = "Hello") -> TemplateContent:
    return email(subject, html, text)


def codes(content: TemplateContent, category: Any = "service") -> list[str]:
    return [finding.code for finding in lint_template(content, {}, category)]


def only(content: TemplateContent, category: Any = "service") -> Finding:
    """The one thing that is to be said. Fails the test where there is more or less."""
    (finding,) = lint_template(content, {}, category)
    return finding


def test_a_good_template_gets_no_findings():
    assert lint_template(mail(GOOD)) == []
    assert lint_template(push("Hi", "Your parcel is here")) == []
    assert lint_template(sms("Your parcel is here")) == []


def test_what_cannot_be_saved_is_one_finding():
    finding = only(mail("{{ x"))
    assert (finding.severity, finding.code, finding.path) == ("error", "invalid", "channels.email.html")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "leads nowhere"),
        ("#", "leads nowhere"),
        ("/orders", "relative"),
        ("orders.html", "relative"),
        ("www.shop.com", "relative"),
        ("https://", "malformed"),
        ("https://http://shop.com", "malformed"),
        ("https://shop.com:99999/", "malformed"),
        ("https://[shop.com", "malformed"),
        ("https://shop.com/a b", "has a space"),
        ("https://shop", "without a domain"),
        ("https://localhost:8000/x", "cannot reach"),
        ("https://example.com/x", "cannot reach"),
        ("*|UNSUB|*", "placeholder"),
        ("https://shop.com/[ORDER]", "placeholder"),
        ("https://shop.com/%%id%%", "placeholder"),
        ("https://YOUR-DOMAIN/x", "placeholder"),
        ("https://shop.com/?q=TODO", "placeholder"),
        ("mailto:", "leads nowhere"),
    ],
)
def test_links_that_lead_nowhere_are_errors(url: str, words: str):
    finding = only(mail(f'{TEXT}\n<a href="{url}">x</a>'))
    assert (finding.severity, finding.code, finding.line) == ("error", "broken_link", 2)
    assert words in finding.detail
    assert finding.remedy


@pytest.mark.parametrize(
    "url",
    [
        "{{ url }}",
        "{{ base }}/orders",
        "{% if a %}https://a.com{% else %}https://b.com{% endif %}",
        "https://{{ host }}/x",
        "https://shop.com/{{ path }}?q=1&amp;r=[1]",
        "https://shop.com:8443/x",
        "https://münchen.de/",
        "mailto:help@shop.com",
        "tel:+49301234",
        "myapp://order/1",
        "#top",
    ],
)
def test_links_that_lead_somewhere_are_fine(url: str):
    assert codes(mail(f'{TEXT}<a href="{url}">x</a>')) == []


@pytest.mark.parametrize(
    ("html", "code"),
    [
        (TEXT + '<a href="http://shop.com">x</a>', "insecure_link"),
        (TEXT + "<a>x</a>", "broken_link"),
        (TEXT + '<img src="https://a.com/x.png">', "missing_alt"),
        (TEXT + '<img alt="" src="/x.png">', "broken_link"),
        (TEXT + '<img alt="" src="data:image/png;base64,AA">', "embedded_picture"),
        ('<img alt="All we say" src="https://a.com/x.png">', "pictures_only"),
        (TEXT + '<form action="https://a.com">', "dropped_element"),
        (TEXT + "<script>1</script>", "dropped_element"),
        (f"<html><p>{TEXT}", "missing_lang"),
        (TEXT + "<style>p b{color:red}</style><p><b>x</b></p>", "style_after_rendering"),
        (TEXT + " ACT NOW!!!", "spam_words"),
        (TEXT + " https://bit.ly/x", "shortened_link"),
        (TEXT + "{% set unread = 1 %}", "unused_variable"),
    ],
)
def test_html_that_does_not_look_or_arrive_as_it_should(html: str, code: str):
    assert only(mail(html)).code == code


def test_comments_and_templates_own_words_are_left_alone():
    assert codes(mail(TEXT + "<!-- <a>x</a> -->{{ winner }}{% if urgent %}{% endif %}{# viagra #}")) == []


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ("YOUR PARCEL IS HERE", "shouted_subject"),
        ("Re: your order", "fake_reply"),
        ("You won", "spam_words"),
        ("x" * 61, "long_text"),
    ],
)
def test_subjects(subject: str, code: str):
    assert only(mail(GOOD, subject)).code == code


def test_a_missing_text_is_told_for_each_language():
    content = replace(mail(GOOD, text=""), locale="en", locales={"de": email("x", GOOD + " ").channels})
    found = lint_template(content)
    assert [(finding.code, finding.path) for finding in found] == [
        ("missing_text", "channels.email.text"),
        ("missing_text", "locales.de.email.text"),
    ]


def test_marketing_needs_a_way_out():
    assert "missing_unsubscribe" not in codes(mail(GOOD))
    finding = only(mail(GOOD), "marketing")
    assert (finding.severity, finding.code, finding.path) == (
        "error",
        "missing_unsubscribe",
        "channels.email.html",
    )
    for link in ("{{ links.unsubscribe }}", "{{links.preferences|e}}"):
        assert codes(mail(GOOD + f'<a href="{link}">x</a>'), "marketing") == []
        assert codes(email("x", text=f"x {link}"), "marketing") == []
    assert codes(mail(GOOD + "links.unsubscribe"), "marketing") == ["missing_unsubscribe"]
    assert codes(sms("Buy tea"), "marketing") == ["missing_unsubscribe"]
    assert codes(sms("Buy tea. Reply STOP to opt out"), "marketing") == []


def test_what_gmail_would_clip():
    rows = "{% for r in rows %}" + "<p>" + "x" * 30_000 + "</p>{% endfor %}"
    finding = next(each for each in lint_template(mail(rows)) if each.code == "oversized")
    assert (finding.severity, finding.path) == ("warning", "channels.email.html")
    clipped = next(
        each
        for each in lint_template(mail(rows.replace("x" * 30_000, "x" * 40_000)))
        if each.code == "oversized"
    )
    assert clipped.severity == "error"
    assert "102 KB" in clipped.detail


def test_a_finding_in_a_partial_names_it():
    footer = PartialContent(html="<p>\n<a href='/x'>x</a></p>", text="x")
    (finding,) = lint_template(mail(f"<p>{TEXT}\n</p>{{% include 'footer' %}}\n"), partials(footer=footer))
    assert (finding.partial, finding.line) == ("footer", 2)


def test_mjml_is_told_by_its_own_path():
    source = (
        f"<mjml><mj-body><mj-section><mj-column><mj-text>{TEXT}</mj-text>"
        '<mj-image src="https://a.com/x.png"/></mj-column></mj-section></mj-body></mjml>'
    )
    content = TemplateContent("m", ChannelParts(email=EmailParts("x", mjml=source, text="x")))
    finding = only(content)
    assert (finding.code, finding.path, finding.line) == ("missing_alt", "channels.email.mjml", 0)
    assert {each.path for each in lint_template(content, {}, "marketing")} == {"channels.email.mjml"}


def test_variables_and_schema_are_held_against_each_other():
    schema: dict[str, Any] = {"type": "object", "properties": {"order": {}, "parcel": {}, "old": {}}}
    content = replace(sms("{{ data.order }} {{ parcl.id }} {{ user.name }}"), data_schema=schema)
    found = {(each.code, each.severity): each for each in lint_template(content)}
    unknown = found["unknown_variable", "warning"]
    assert "`parcl`" in unknown.detail
    assert unknown.remedy == "did you mean `parcel`?"
    assert found["unused_variable", "hint"].path in {
        "data_schema.properties.old",
        "data_schema.properties.parcel",
    }
    closed = replace(content, data_schema={**schema, "additionalProperties": False})
    assert ("unknown_variable", "error") in {(each.code, each.severity) for each in lint_template(closed)}
    whole = replace(sms("{% for k in data|items %}{{ k[0] }}{% endfor %}"), data_schema=schema)
    assert codes(whole) == []


def test_languages():
    base = ChannelParts(EmailParts("x", GOOD, "", "x"), PushParts("x"), SmsParts("x"))
    content = TemplateContent("m", base, {"de": ChannelParts(email=EmailParts(text="nur Text"))}, "en")
    found = {each.code: each for each in lint_template(content)}
    assert found["text_only_locale"].path == "locales.de.email"
    assert "push, sms" in found["untranslated"].detail
    assert "unnamed_language" in codes(replace(content, locale=""))


def test_text_messages_and_push():
    assert codes(sms("“Quoted” " * 10)) == ["costly_characters"]
    assert codes(sms("x" * 500)) == ["many_segments"]
    assert codes(push("x" * 51, "y" * 151)) == ["long_text", "long_text"]


def test_errors_come_first_and_there_is_an_end():
    found = lint_template(mail("<a>x</a><img src='/x'>" * 500 + "BUY NOW"))
    assert len(found) == 200
    assert [each.severity for each in found] == sorted(
        (each.severity for each in found), key=["error", "warning", "hint"].index
    )
