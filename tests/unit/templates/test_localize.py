"""Which language a user gets, and what a template says in it."""

from __future__ import annotations

import msgspec
import pytest

from clarion.templates import (
    ChannelParts,
    EmailParts,
    PartialContent,
    PartialParts,
    PushParts,
    Rendered,
    Renderer,
    RenderItem,
    SmsParts,
    TemplateContent,
    check_template,
    choose_locale,
    locale_name,
    make_version,
    run_trial,
)
from tests.unit.templates.support import TENANT, email, partials, push, refusal_of, render, sms


def translated(locale: str = "", fallbacks: dict[str, str] | None = None, **bodies: str) -> TemplateContent:
    """A text message in several languages: `de="Hallo"`, `pt_BR="Olá"`."""
    content = spoken({tag.replace("_", "-"): body for tag, body in bodies.items()})
    return msgspec.structs.replace(content, locale=locale, fallbacks=fallbacks or {})


def spoken(bodies: dict[str, str]) -> TemplateContent:
    """A text message in several languages, by tag."""
    return TemplateContent(
        "service", sms("base").channels, {tag: sms(body).channels for tag, body in bodies.items()}
    )


@pytest.mark.parametrize(
    ("language", "chosen"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE-at", "de"),
        ("pt-BR", "pt-BR"),
        ("pt", ""),
        ("zh-Hant-TW", "zh-Hant"),
        ("zh_hant_hk", "zh-Hant"),
        ("zh", ""),
        ("tlh", ""),
        ("", ""),
        ("nonsense!", ""),
        ("-", ""),
        ("x" * 500, ""),
    ],
)
def test_a_users_language_or_the_nearest_above_it_is_chosen(language: str, chosen: str):
    version = make_version("t", 1, translated(de="Hallo", pt_BR="Olá", zh_Hant="你好"))
    assert choose_locale(version, language, "") == chosen


def test_a_language_that_nobody_has_gets_what_the_template_says_itself():
    version = make_version("t", 1, translated(tlh="nuqneH"))
    for language in ("de", "en", ""):
        assert choose_locale(version, language, "fr") == ""
    (result,) = Renderer().render_batch([RenderItem(TENANT, version, "sms", {}, "xx")])
    assert result == Rendered(body="base")


def test_the_tenants_language_serves_users_of_others_unless_the_template_names_its_own():
    unnamed = make_version("t", 1, translated(de="Hallo", fr="Salut"))
    assert choose_locale(unnamed, "it", "de-CH") == "de"
    assert choose_locale(unnamed, "", "fr") == "fr"
    assert choose_locale(unnamed, "fr-CA", "de") == "fr"
    named = make_version("t", 1, translated("en", de="Hallo"))
    assert choose_locale(named, "it", "de") == ""
    assert choose_locale(named, "en-GB", "de") == ""
    assert choose_locale(named, "de", "en") == "de"


def test_fallbacks_lead_where_the_template_says():
    version = make_version(
        "t", 1, translated(fallbacks={"gsw": "de", "pt-PT": "pt-BR"}, de="Hallo", pt_BR="Olá")
    )
    assert choose_locale(version, "gsw-CH", "") == "de"
    assert choose_locale(version, "pt-PT", "") == "pt-BR"


def test_a_trace_names_the_language():
    resolved = make_version("t", 1, translated(de="Hallo")).resolved
    assert locale_name(resolved, "de") == "de"
    assert locale_name(resolved, "") == "default"
    assert locale_name(make_version("t", 1, translated("en", de="Hallo")).resolved, "") == "en"
    assert locale_name(make_version("t", 1, sms("x")).resolved, "") == ""


def test_what_a_locale_leaves_out_its_parents_and_then_the_template_say():
    content = TemplateContent(
        "service",
        ChannelParts(
            EmailParts("S", "<p>H</p>", "", "T"), PushParts("t", "b", {"u": "v", "w": "x"}), SmsParts("s")
        ),
        {
            "pt": ChannelParts(email=EmailParts("S pt"), push=PushParts(body="b pt", data={"u": "v pt"})),
            "pt-BR": ChannelParts(email=EmailParts(html="<p>H br</p>"), sms=SmsParts("s br")),
        },
    )
    resolved = make_version("t", 1, content).resolved
    assert resolved is not None
    assert resolved.locales["pt"] == ChannelParts(
        EmailParts("S pt", "<p>H</p>", "", "T"),
        PushParts("t", "b pt", {"u": "v pt", "w": "x"}),
        SmsParts("s"),
    )
    # Its HTML is its own, so the text beside it is made of that, and is in no other language.
    assert resolved.locales["pt-BR"] == ChannelParts(
        EmailParts("S pt", "<p>H br</p>"), PushParts("t", "b pt", {"u": "v pt", "w": "x"}), SmsParts("s br")
    )


def test_partials_speak_the_language_of_the_template_that_takes_them():
    bye = PartialContent(
        text="Bye", locales={"de": PartialParts(text="Tschüss"), "de-AT": PartialParts(html="Servus")}
    )
    content = TemplateContent(
        "service", sms("Hi. {% include 'bye' %}").channels, {"de": ChannelParts(), "de-AT": ChannelParts()}
    )
    for locale, body in [("", "Hi. Bye"), ("de", "Hi. Tschüss"), ("de-AT", "Hi. Tschüss")]:
        assert render(content, {}, partials(bye=bye), locale) == Rendered(body=body)


def test_each_language_is_cached_for_itself():
    version = make_version("t", 1, translated(de="Hallo {{ n }}", fr="Salut {{ n }}"))
    renderer = Renderer()
    for _ in range(2):
        items = [RenderItem(TENANT, version, "sms", {"n": 1}, locale) for locale in ("de", "", "fr")]
        assert [getattr(made, "body", made) for made in renderer.render_batch(items)] == [
            "Hallo 1",
            "base",
            "Salut 1",
        ]


@pytest.mark.parametrize(
    ("content", "path", "words"),
    [
        (translated(german="x"), "locales.german", "give a BCP 47 tag"),
        (translated("klingon!"), "locale", "give a BCP 47 tag"),
        (translated(de="x", DE="y"), "locales.DE", "same language as `de`"),
        (translated("de", de="x"), "locales.de", "language of `channels`"),
        (translated(fallbacks={"a": "de"}), "fallbacks.a", "give a BCP 47 tag"),
        (translated(fallbacks={"de": "fr", "fr": "de"}), "fallbacks.de", "circle"),
        (translated(de="{{ x|uper }}"), "locales.de.sms.body", "line 1: no filter"),
        (translated(de="{{ x"), "locales.de.sms.body", "line 1: unexpected end"),
        (
            spoken({f"a{chr(97 + i // 26)}{chr(97 + i % 26)}": "x" for i in range(51)}),
            "locales",
            "the most is 50",
        ),
        (
            TemplateContent("service", sms("x").channels, {"de": email("x", "y").channels}),
            "locales.de",
            "no email",
        ),
        (
            TemplateContent("service", push("x").channels, {"de": push("y", "", {"k": "v"}).channels}),
            "locales.de.push.data",
            "has no `k`",
        ),
    ],
)
def test_what_is_wrong_with_a_language_is_named_with_its_place(
    content: TemplateContent, path: str, words: str
):
    refusal = refusal_of(content)
    assert refusal.path == path
    assert words in refusal.detail


def test_all_languages_together_have_a_bound():
    bodies = {f"a{chr(97 + i)}": "é" * 20_000 for i in range(20)}
    assert "more than 524288 bytes" in refusal_of(spoken(bodies)).detail


def test_variables_and_context_of_all_languages_count():
    checked = check_template(translated(de="{{ user.du }}{{ context.regen }}", fr="{{ tu }}"))
    assert checked.variables == ("context.regen", "tu", "user.du")
    assert checked.uses_context


def test_a_bomb_in_one_language_is_found_in_its_trial():
    greedy = "{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}hi"
    failure = run_trial(translated(de="Hallo", fr=greedy), "sms")
    assert failure is not None
    assert failure.kind == "too_much_work"
    assert failure.detail.startswith("in `fr`: ")


def test_a_version_without_resolved_content_says_what_it_said_when_it_was_stored():
    stored = make_version("old", 1, email("x", "<style>p{color:red}</style><p>y</p>"))
    old = msgspec.structs.replace(stored, resolved=None)
    assert choose_locale(old, "de", "de") == ""
    (result,) = Renderer().render_batch([RenderItem(TENANT, old, "email", {})])
    assert isinstance(result, Rendered)
    assert result.html == "<style>p{color:red}</style><p>y</p>"
