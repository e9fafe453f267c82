"""What people write who want to hear no more, and what people write who do not mean that."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.compliance.keywords import HELP, START, STOP, Intent, Keyword, normalise, read_keyword

FORMS: st.SearchStrategy[Literal["NFC", "NFD", "NFKC", "NFKD"]] = st.sampled_from(
    ("NFC", "NFD", "NFKC", "NFKD")
)
CERTAIN = [
    *(
        "STOP",
        "Stop!!",
        "stop please",
        "STOP PLEASE",
        "please stop texting me",
        "S.T.O.P",
        "S T O P",
        "\uff33\uff34\uff2f\uff30",
    ),
    *(
        "STOPALL",
        "stop all",
        "UNSUBSCRIBE",
        "CANCEL",
        "End.",
        "QUIT",
        "REVOKE",
        "OPTOUT",
        "opt out",
        "OPT-OUT",
    ),
    *("REMOVE", "ARRET", "arrêt", "Arrêter svp", "TD", "STOPP bitte", "abmelden", "Parar por favor", "Basta"),
    *(
        "🛑",
        "stop 🛑",
        "✋🏽",
        "⛔️",
        "Stop stop stop",
        "STOP\n\nSent from my iPhone",
        "S\u200bTOP",
        "ST\u041eP",
        "СТОП",
    ),
    *(
        "停止",
        "توقف",
        "remove me from your list",
        "Don't text me again!",
        "no more messages",
        "Take me off this",
    ),
    *("ne m'envoyez plus de SMS", "keine SMS mehr", "wrong number", "\u00a0stop\u00a0", "'STOP'", "<stop>"),
]
DOUBTFUL = [
    *("stpo", "sotp", "sttop", "unsubcribe", "unsuscribe", "st op", "Don't stop believing"),
    *("my bus stop is near", "can I unsubscribe later?", "停止してください", "Reply STOP to unsubscribe"),
]
ELSE = [
    *("", " ", "hello", "ok thanks", "cancel my appointment", "when does it end", "store", "I'll be there"),
    *("step", "shop", "What is the end date?", "remove the first item", "1234", "👍", "?", "start the car"),
]


@pytest.mark.parametrize("text", CERTAIN)
def test_who_says_stop_in_any_form_is_heard(text: str):
    assert read_keyword(text) == Keyword("stop")


@pytest.mark.parametrize("text", DOUBTFUL)
def test_what_looks_like_it_counts_until_somebody_has_looked(text: str):
    assert read_keyword(text) == Keyword("stop", is_certain=False)


@pytest.mark.parametrize("text", ELSE)
def test_what_is_about_something_else_does_not(text: str):
    assert read_keyword(text) is None


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        *((text, "start") for text in ("START", "unstop", "Yes!", "yes please", "Oui")),
        *((text, "help") for text in ("HELP", "help me", "Info?", "ヘルプ", "AIDE")),
    ],
)
def test_start_and_help(text: str, intent: Intent):
    assert read_keyword(text) == Keyword(intent)


def test_a_text_that_says_both_stops():
    assert read_keyword("STOP START") == Keyword("stop", is_certain=False)
    assert read_keyword("STOP\nstart") == Keyword("stop")


def test_no_word_means_two_things():
    assert STOP.isdisjoint(START | HELP)
    assert START.isdisjoint(HELP)


@given(st.sampled_from(sorted(STOP)), st.sampled_from(["", "!", " .", " 🙏", "…", "\n-- \nAda"]), st.data())
def test_case_form_and_punctuation_make_no_difference(word: str, tail: str, data: st.DataObject):
    form = data.draw(FORMS)
    cased = data.draw(st.sampled_from([word, word.upper(), word.title()]))
    assert read_keyword(unicodedata.normalize(form, cased) + tail) == Keyword("stop")


@given(st.text(max_size=2000))
def test_any_text_is_read(text: str):
    found = read_keyword(text)
    assert found is None or found.intent in {"stop", "start", "help"}
    assert all(word == "".join(normalise(word)) for word in normalise(text[:1000]))
