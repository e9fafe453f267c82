"""Pages for readers, without a browser: what WCAG asks of their structure, in every language that they are in."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from clarion.compliance.subscriptions import Choice
from clarion.contracts.channels import CHANNELS
from clarion.entrypoints.api.replies import Reply
from clarion.entrypoints.hooks import pages
from clarion.entrypoints.hooks.phrases import LANGUAGES, RIGHT_TO_LEFT, choose_speech, read_accepted, speak
from clarion.tenancy.model import Category, CategoryWords

CATEGORIES = {
    "news": Category("news", "marketing", words={"en": CategoryWords("Tea news", "Once a week.")}),
    "marketing": Category("marketing", "marketing"),
}
CHOICES = [
    Choice("*", CHANNELS, CHANNELS),
    Choice("news", ("email",), ()),
    Choice("marketing", CHANNELS, ("sms",)),
]
VOID = {"meta", "input", "br"}


class Structure(HTMLParser):
    """The elements of a page, each with where it stands."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.texts: list[tuple[str, list[str]]] = []
        self.feed(reply.body.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), list(self.stack)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag, f"{tag} closes what is not open"

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((data.strip(), list(self.stack)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs, _ in self.elements if name == tag]

    def said_in(self, tag: str) -> list[str]:
        return [text for text, stack in self.texts if tag in stack]


def every_page(language: str) -> list[Reply]:
    speech = speak(language)
    return [
        pages.no_such_link(speech),
        pages.come_back_later(speech),
        pages.ask_to_unsubscribe(speech, "Shop", "news", "email", can_stop=True),
        pages.ask_to_unsubscribe(speech, "Shop", "news", "sms", can_stop=False),
        pages.say_unsubscribed(speech, "Shop", ("news", "push"), "../p/x"),
        pages.say_unsubscribed(speech, "Shop", None, "../p/x"),
        pages.show_preferences(speech, "Shop", CHOICES, CATEGORIES, is_saved=True),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_are_built_as_assistive_technology_expects(language: str):
    for reply in every_page(language):
        found = Structure(reply)
        (html,) = found.all("html")
        assert html["lang"] == language
        assert (html.get("dir") == "rtl") is (language in RIGHT_TO_LEFT)
        assert len(found.all("main")) == len(found.all("h1")) == 1
        assert found.said_in("title") == found.said_in("h1") != []
        (viewport,) = (meta for meta in found.all("meta") if meta.get("name") == "viewport")
        assert "user-scalable" not in str(viewport)
        assert "maximum-scale" not in str(viewport)
        # Whatever can be used has a name, and nothing depends on script, picture, pointer or order.
        boxes = [(attrs, stack) for tag, attrs, stack in found.elements if tag == "input"]
        assert all("label" in stack for attrs, stack in boxes if attrs["type"] != "hidden")
        assert len(found.said_in("label")) == len(found.all("label"))
        assert len(set(found.said_in("label"))) == len(found.all("label")), (
            "each name is told from the others"
        )
        assert len([text for text in found.said_in("button") if text]) >= len(found.all("button"))
        assert not any(found.all(tag) for tag in ("script", "img", "link", "iframe"))
        for _, attrs, _ in found.elements:
            assert not {"style", "onclick", "tabindex", "autofocus"} & attrs.keys()
        assert all(th.get("scope") in {"col", "row"} for th in found.all("th"))
        assert not found.stack
        assert b"{" not in reply.body.partition(b"</style>")[2], "nothing is left to fill in"


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_say_the_same_things(language: str):
    ours, theirs = speak("en").phrases, speak(language).phrases
    assert ours.keys() == theirs.keys()
    for key, phrase in ours.items():
        assert Counter(re.findall(r"{\w+}", phrase)) == Counter(re.findall(r"{\w+}", theirs[key])), key
        assert theirs[key].strip()
    if language != "en":
        same = {key for key in ours if ours[key] == theirs[key]}
        assert same <= {"email", "push", "sms"}
    assert "STOP" in theirs["sms_help"]


def test_a_saved_page_says_so_to_those_who_do_not_see_it():
    found = Structure(pages.show_preferences(speak("en"), "Shop", CHOICES, CATEGORIES, is_saved=True))
    assert next(attrs.get("role") for tag, attrs, _ in found.elements if tag == "p") == "status"


@pytest.mark.parametrize(
    ("name", "language", "title"),
    [
        ("news", "en", "Tea news"),
        ("news", "de", "Tea news"),
        ("marketing", "de", "Angebote und Neuigkeiten"),
        ("gone", "de", "gone"),
    ],
)
def test_categories_are_called_as_their_tenant_says(name: str, language: str, title: str):
    assert pages.words_of(speak(language), name, CATEGORIES)[0].title == title


def test_a_name_in_another_language_is_marked_as_such():
    reply = pages.show_preferences(speak("de"), "Shop", CHOICES, CATEGORIES, is_saved=False)
    assert b'<th scope="row" lang="en"><bdi>Tea news</bdi><small>Once a week.</small>' in reply.body


def test_a_tag_of_a_country_serves_its_language():
    words = {"pt-BR": CategoryWords("Novidades"), "en": CategoryWords("News")}
    known = {"news": Category("news", "marketing", words=words)}
    assert pages.words_of(speak("pt"), "news", known) == (CategoryWords("Novidades"), "pt-BR")


@pytest.mark.parametrize(
    ("own", "accepted", "tenant", "chosen"),
    [
        ("de-AT", "fr", "es", "de"),
        ("", "xx, fr;q=0.5, it;q=0.8", "es", "it"),
        ("xx", "yy;q=1", "es-419", "es"),
        ("", "de;q=0, *;q=0.1", "", "en"),
        ("", "de;q=nan, fr;q=2, nl;q=x", "", "en"),
        ("", "", "", "en"),
        ("AR", "", "", "ar"),
    ],
)
def test_the_language_is_hers_then_her_browsers_then_her_tenants(
    own: str, accepted: str, tenant: str, chosen: str
):
    assert choose_speech(own, tenant, accepted=accepted).language == chosen


def test_an_endless_header_is_read_as_far_as_it_is_sensible():
    assert len(read_accepted(",".join(f"a{i}" for i in range(10_000)))) == 20


def test_names_from_elsewhere_are_text_and_no_markup():
    evil = "<script>\"'&{kind}"
    for language in LANGUAGES:
        speech = speak(language)
        words = {language: CategoryWords(evil, evil)}
        replies = [
            pages.ask_to_unsubscribe(speech, evil, evil, "email", can_stop=True),
            pages.say_unsubscribed(speech, evil, (evil, "sms"), '"><script>'),
            pages.show_preferences(
                speech,
                evil,
                [Choice(evil, CHANNELS, ())],
                {evil: Category(evil, "marketing", words=words)},
                is_saved=False,
            ),
        ]
        for reply in replies:
            assert b"<script" not in reply.body
            assert Structure(reply).stack == []
