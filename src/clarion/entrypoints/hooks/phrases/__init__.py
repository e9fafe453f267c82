"""What readers are told on pages and in answers to texts: one file a language, all with the same phrases."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

import msgspec

LANGUAGES: Final = ("en", "de", "fr", "es", "pt", "it", "nl", "pl", "ja", "ar")
"""The languages there are, by their subtags; the first is that of whoever reads none of them."""

RIGHT_TO_LEFT: Final = frozenset({"ar"})
MAX_PREFERENCES: Final = 20
"""Of an `Accept-Language`, as far as it is read."""


class Speech(msgspec.Struct, frozen=True):
    """A language, and what is said in it."""

    language: str
    phrases: Mapping[str, str]

    def text(self, key: str, **values: str) -> str:
        """A phrase as text; `values` stand where it says `{name}`."""
        said = self.phrases[key]
        for name, value in values.items():
            said = said.replace(f"{{{name}}}", value)
        return said

    def html(self, key: str, **values: str) -> str:
        """A phrase as HTML. `values` are text: they are escaped, and keep their own direction of writing."""
        said = escape(self.phrases[key])
        for name, value in values.items():
            said = said.replace(f"{{{name}}}", f"<bdi>{escape(value)}</bdi>")
        return said


@cache
def speak(language: str) -> Speech:
    """The phrases of one of `LANGUAGES`."""
    text = (files("clarion.entrypoints.hooks.phrases") / f"{language}.toml").read_text("utf-8")
    return Speech(language, tomllib.loads(text))


def choose_speech(*tags: str, accepted: str = "") -> Speech:
    """The first language that is one of ours: of a user's own tag, of what her browser accepts, of further tags.

    `tags`: the user's language first, her tenant's after it; `accepted`: an `Accept-Language`, which stands between.
    """
    own, *others = tags or ("",)
    for tag in (own, *read_accepted(accepted), *others):
        language = tag.partition("-")[0].lower()
        if language in LANGUAGES:
            return speak(language)
    return speak(LANGUAGES[0])


def read_accepted(header: str) -> list[str]:
    """The tags of an `Accept-Language`, the most wanted first; without those that are refused (`q=0`)."""
    wanted: list[tuple[float, str]] = []
    for part in header.split(",")[:MAX_PREFERENCES]:
        tag, _, parameter = part.strip().partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            quality = 0.0
        if tag and 0 < quality <= 1:
            wanted.append((quality, tag.strip()))
    return [tag for _, tag in sorted(wanted, key=lambda one: -one[0])]
