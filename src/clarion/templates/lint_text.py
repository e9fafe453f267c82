"""What the linter says of words: subjects, push, text messages, and the text of a mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from clarion.templates.finding import Finding
from clarion.templates.parts import Part
from clarion.templates.words import Words

SPAM_WORDS: Final = (
    "100% free",
    "act now",
    "additional income",
    "as seen on",
    "be your own boss",
    "buy now",
    "cash bonus",
    "cheap meds",
    "click here",
    "congratulations you",
    "dear friend",
    "double your",
    "earn extra cash",
    "earn money",
    "extra income",
    "fast cash",
    "free access",
    "free gift",
    "free money",
    "get paid",
    "guaranteed winner",
    "limited time only",
    "lose weight",
    "make money",
    "million dollars",
    "miracle",
    "money back guarantee",
    "no catch",
    "no credit check",
    "no obligation",
    "no risk",
    "not spam",
    "once in a lifetime",
    "order now",
    "risk-free",
    "this is an ad",
    "urgent",
    "viagra",
    "while supplies last",
    "winner",
    "work from home",
    "you have been selected",
    "you won",
)
"""What filters and readers have seen too often. None condemns a mail: several in one do."""

_SPAM: Final = re.compile(
    rf"(?<!\w)(?:{'|'.join(map(re.escape, SPAM_WORDS))})(?!\w)|\${{3,}}|!{{3,}}", re.IGNORECASE
)
_FAKE_REPLY: Final = re.compile(r"\s*(?:re|fwd?|aw|wg)\s*:", re.IGNORECASE)
_SHORTENER: Final = re.compile(
    r"https?://(?:bit\.ly|tinyurl\.com|goo\.gl|t\.co|ow\.ly|is\.gd|buff\.ly)/", re.IGNORECASE
)
_GSM: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€\f"
)
"""The alphabet of GSM 03.38, with its extension. One other character halves what a text message holds."""

MAX_SUBJECT: Final = 60
MAX_PUSH_TITLE: Final = 50
MAX_PUSH_BODY: Final = 150
"""Characters that telephones show of a subject and of a push message, about."""

GSM_SEGMENT: Final = 153
UNICODE_SEGMENT: Final = 67
"""Characters of one part of a text message that has several."""

MANY_SEGMENTS: Final = 3
_MIN_SHOUTED: Final = 8


def lint_text(part: Part, words: Words) -> Iterator[Finding]:
    """What is to be said of a plain part. `words`: its source, tags made words."""
    text = words.pattern.sub("", words.text).strip()
    yield from lint_words(part, words, words.text)
    if part.label == "email.subject":
        yield from _lint_subject(part, text)
    elif part.label == "sms.body":
        yield from _lint_sms(part, text)
    elif part.label in {"push.title", "push.body"}:
        most = MAX_PUSH_TITLE if part.label == "push.title" else MAX_PUSH_BODY
        if len(text) > most:
            yield _cut(
                part, f"telephones show about {most} characters of it, and it has {len(text)} of its own"
            )


def lint_words(part: Part, words: Words, text: str) -> Iterator[Finding]:
    """Words that filters do not like. `text` is what readers see of the part."""
    found = dict.fromkeys(match.group().lower() for match in _SPAM.finditer(words.pattern.sub(" ", text)))
    if found:
        listed = ", ".join(f"`{each[:20]}`" for each in list(found)[:5])
        yield Finding(
            "warning",
            "spam_words",
            part.path,
            f"filters have seen these too often: {listed}",
            "say what is in it for this reader, in words of your own",
        )
    if _SHORTENER.search(text):
        yield Finding(
            "warning",
            "shortened_link",
            part.path,
            "it has a link of a public shortener, behind which filters expect the worst",
            "link to your own host",
        )


def _lint_subject(part: Part, text: str) -> Iterator[Finding]:
    letters = [character for character in text if character.isalpha()]
    if len(letters) >= _MIN_SHOUTED and all(character.isupper() for character in letters):
        yield Finding(
            "warning", "shouted_subject", part.path, "it is all in capitals", "write it as you would say it"
        )
    if _FAKE_REPLY.match(text):
        yield Finding(
            "warning",
            "fake_reply",
            part.path,
            "it pretends to be a reply or a forwarded mail; some laws forbid that",
            "leave `Re:` and `Fwd:` out",
        )
    if len(text) > MAX_SUBJECT:
        yield _cut(
            part, f"telephones show about {MAX_SUBJECT} characters of it, and it has {len(text)} of its own"
        )


def _lint_sms(part: Part, text: str) -> Iterator[Finding]:
    strange = sorted(set(text) - _GSM)
    segments = -(-len(text) // (UNICODE_SEGMENT if strange else GSM_SEGMENT))
    if strange and len(text) > UNICODE_SEGMENT:
        shown = ", ".join(f"`{each}`" for each in strange[:5])
        yield Finding(
            "hint",
            "costly_characters",
            part.path,
            f"{shown} make each part of the message hold {UNICODE_SEGMENT} characters instead of {GSM_SEGMENT}",
            "write it without them: straight quotes, `-` for a dash, no emoji",
        )
    if segments > MANY_SEGMENTS:
        yield Finding(
            "hint",
            "many_segments",
            part.path,
            f"it is sent, and paid for, as {segments} messages or more",
            "say it shorter, and link to the rest",
        )


def _cut(part: Part, detail: str) -> Finding:
    return Finding("hint", "long_text", part.path, detail, "say what matters first")
