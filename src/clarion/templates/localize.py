"""Languages: which tags there are, where each falls back to, and what a version says in one of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from clarion.kernel.errors import Invalid
from clarion.templates.model import (
    MAX_LOCALES,
    ChannelParts,
    EmailParts,
    PartialParts,
    PushParts,
    ResolvedContent,
    SmsParts,
    TemplateVersion,
)

Locales: TypeAlias = Mapping[str, ChannelParts] | Mapping[str, PartialParts]

_TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}")
_SCRIPT_CHARS: Final = 4
_REGION_CHARS: Final = 2

MAX_CHAIN: Final = 12
"""Languages that are asked for at most: fall-backs that lead on and on are as harmless as those that form a circle."""


@lru_cache(maxsize=4096)
def canonical(tag: str) -> str:
    """A BCP 47 tag in its usual case: `zh-Hant-TW` for `zh_hant_tw`. What is no tag stays as it is."""
    first, *rest = tag.replace("_", "-").split("-")
    cased = [first.lower()]
    for subtag in rest:
        if len(subtag) == _REGION_CHARS:
            cased.append(subtag.upper())
        elif len(subtag) == _SCRIPT_CHARS and subtag.isalpha():
            cased.append(subtag.title())
        else:
            cased.append(subtag.lower())
    return "-".join(cased)


def fallback_chain(language: str, fallbacks: Mapping[str, str]) -> Iterator[str]:
    """The language and what stands in for it, nearest first: what `fallbacks` says, else the tag without its end.

    Nothing for "". Ends for fall-backs that form a circle, too.
    """
    seen: set[str] = set()
    tag = canonical(language)
    while tag and tag not in seen and len(seen) < MAX_CHAIN:
        seen.add(tag)
        yield tag
        tag = fallbacks.get(tag) or tag.rpartition("-")[0]


def choose_locale(version: TemplateVersion, language: str, tenant_language: str) -> str:
    """Which of the version's locales a user gets; "": what the template says in its own language.

    `language` is hers ("": unknown). It is the first of: her language, what stands in for it, the language that the
    template is written in where it says which, else the tenant's. A language that nobody has is as good as none.
    """
    resolved = version.resolved
    if resolved is None or not resolved.locales:
        return ""
    for tag in fallback_chain(language, resolved.fallbacks):
        if tag in resolved.locales:
            return tag
        if tag == resolved.locale:
            return ""
    if resolved.locale:
        return ""
    return next(
        (tag for tag in fallback_chain(tenant_language, resolved.fallbacks) if tag in resolved.locales), ""
    )


def locale_name(resolved: ResolvedContent | None, locale: str) -> str:
    """What a trace calls a chosen locale: its tag, `default` for a template's own language where it has no name.

    "" for templates that have one language only.
    """
    if resolved is None or not resolved.locales:
        return ""
    return locale or resolved.locale or "default"


def check_locales(locales: Collection[str], path: str) -> None:
    """Raises Invalid at `path` for what is no language tag, for one that is there twice, and for too many."""
    if len(locales) > MAX_LOCALES:
        detail = f"there are {len(locales)} languages; the most is {MAX_LOCALES}"
        raise Invalid(detail, path)
    seen: dict[str, str] = {}
    for tag in locales:
        check_tag(tag, f"{path}.{tag}")
        usual = canonical(tag)
        if usual in seen:
            detail = f"it is the same language as `{seen[usual]}`; leave one out"
            raise Invalid(detail, f"{path}.{tag}")
        seen[usual] = tag


def check_tag(tag: str, path: str) -> None:
    """Raises Invalid at `path` for what is no language tag."""
    if _TAG.fullmatch(tag.replace("_", "-")) is None:
        detail = "it is no language: give a BCP 47 tag such as de or pt-BR"
        raise Invalid(detail, path)


def check_fallbacks(fallbacks: Mapping[str, str], path: str) -> None:
    """Raises Invalid at `path` for a fall-back from or to what is no language tag, and for one that leads back."""
    for tag, following in fallbacks.items():
        check_tag(tag, f"{path}.{tag}")
        check_tag(following, f"{path}.{tag}")
    usual = {canonical(tag): canonical(following) for tag, following in fallbacks.items()}
    for tag in fallbacks:
        *_, last = fallback_chain(tag, usual)
        if usual.get(last) or "-" in last:
            detail = "its fall-backs form a circle, or lead on too far"
            raise Invalid(detail, f"{path}.{tag}")


def merge(base: ChannelParts, over: ChannelParts) -> ChannelParts:
    """What `over` says, and for what it leaves out, what `base` says.

    Part by part; the body of an e-mail is one part, however many forms it has: no German HTML beside an English text.
    """
    return ChannelParts(
        email=_merge_email(base.email, over.email),
        push=_merge_push(base.push, over.push),
        sms=_merge_sms(base.sms, over.sms),
    )


def _merge_email(base: EmailParts | None, over: EmailParts | None) -> EmailParts | None:
    if base is None or over is None:
        return over or base
    body = over if over.html or over.mjml or over.text else base
    return EmailParts(over.subject or base.subject, body.html, body.mjml, body.text)


def _merge_push(base: PushParts | None, over: PushParts | None) -> PushParts | None:
    if base is None or over is None:
        return over or base
    return PushParts(
        over.title or base.title,
        over.body or base.body,
        {**base.data, **over.data},
        over.collapse_key or base.collapse_key,
    )


def _merge_sms(base: SmsParts | None, over: SmsParts | None) -> SmsParts | None:
    if base is None or over is None:
        return over or base
    return SmsParts(over.body or base.body)
