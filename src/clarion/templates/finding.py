"""One thing that could be better about a template."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Severity: TypeAlias = Literal["error", "warning", "hint"]
"""`error`: readers would see something broken, or never see it. `warning`: some would. `hint`: could be better."""

FindingCode: TypeAlias = Literal[
    "invalid",
    "broken_link",
    "insecure_link",
    "shortened_link",
    "missing_unsubscribe",
    "oversized",
    "missing_text",
    "text_only_locale",
    "missing_alt",
    "embedded_picture",
    "pictures_only",
    "dropped_element",
    "missing_lang",
    "style_after_rendering",
    "spam_words",
    "shouted_subject",
    "fake_reply",
    "long_text",
    "costly_characters",
    "many_segments",
    "unknown_variable",
    "unused_variable",
    "untranslated",
    "unnamed_language",
]
"""The rules; `docs/reference/template-findings.md` has a line on each."""


class Finding(msgspec.Struct, frozen=True):
    """What the linter says: `code` names the rule, `detail` what is wrong, `remedy` how to mend it.

    `path` is the part's in the body of the request; `line` counts from 1 in that part, or in the partial that is named
    (0: the part as a whole).
    """

    severity: Severity
    code: FindingCode
    path: str
    detail: str
    remedy: str
    line: int = 0
    partial: str = ""
