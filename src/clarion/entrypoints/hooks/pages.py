"""Pages for people: plain HTML that needs no script, no picture and nothing from elsewhere.

Each is one column of text that follows the reader's colours and size, with a heading, a language and labelled controls,
as WCAG 2.2 (AA) asks. Whatever is not ours (names of tenants and categories) is escaped here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

from clarion.compliance.model import ANY_CATEGORY
from clarion.compliance.subscriptions import Choice
from clarion.contracts.channels import CHANNELS
from clarion.entrypoints.api.replies import Header, Reply
from clarion.entrypoints.hooks.phrases import RIGHT_TO_LEFT, Speech
from clarion.tenancy.model import Category, CategoryWords

HTML: Final = b"text/html; charset=utf-8"

NAMED: Final = frozenset({"marketing", "service"})
"""Categories that every tenant has, and that have titles here until they get others."""

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:10vh auto;padding:0 1.2rem}"
    "h1{font-size:1.5rem;line-height:1.2}"
    "button{font:inherit;padding:.6rem 1.1rem;margin-block:.3rem;margin-inline:0 .5rem;cursor:pointer}"
    "table{border-collapse:collapse;margin:1rem 0}"
    "th,td{padding:.5rem .8rem;text-align:center;border-bottom:1px solid}"
    "th[scope=row]{text-align:start}"
    "small{display:block;font-weight:normal}"
    "input{width:1.5rem;height:1.5rem}"
    ":focus-visible{outline:3px solid;outline-offset:2px}"
    ".unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest())
_HEADERS: Final[tuple[Header, ...]] = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'sha256-%b'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        % _STYLE_HASH,
    ),
    (b"referrer-policy", b"no-referrer"),  # the address of the page is a credential
    (b"x-robots-tag", b"noindex, nofollow"),
)


def page(speech: Speech, title: str, body: str, status: int = 200, headers: tuple[Header, ...] = ()) -> Reply:
    """A page in a language. `title` is one of its phrases, `body` is HTML."""
    head = escape(speech.text(title))
    direction = ' dir="rtl"' if speech.language in RIGHT_TO_LEFT else ""
    text = (
        f'<!doctype html><html lang="{speech.language}"{direction}><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{head}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{head}</h1>{body}</main></body></html>"
    )
    said = (b"content-language", speech.language.encode())
    return Reply(status, text.encode(), (*_HEADERS, said, *headers), HTML)


def no_such_link(speech: Speech) -> Reply:
    """The answer to whatever is no link of ours, or no longer one. It does not say which."""
    return page(speech, "broken_title", f"<p>{speech.html('broken')}</p>", 404)


def come_back_later(speech: Speech) -> Reply:
    """The answer while what was asked cannot be kept: nothing was changed."""
    return page(speech, "later_title", f"<p>{speech.html('later')}</p>", 503, ((b"retry-after", b"30"),))


def ask_to_unsubscribe(speech: Speech, sender: str, kind: str, channel: str, *, can_stop: bool) -> Reply:
    """What somebody sees who follows an unsubscribe link. Only its buttons act: mail scanners follow links, too."""
    said = {"kind": kind, "channel": speech.text(channel), "sender": sender}
    asked = speech.html("ask" if can_stop else "cannot", **said)
    stop_one = f'<button name="scope" value="category">{speech.html("stop_one")}</button>' if can_stop else ""
    stop_all = f'<button name="scope" value="all">{speech.html("stop_all", sender=sender)}</button>'
    return page(speech, "unsubscribe", f'<p>{asked}</p><form method="post">{stop_one}{stop_all}</form>')


def say_unsubscribed(
    speech: Speech, sender: str, stopped: tuple[str, str] | None, preferences_url: str
) -> Reply:
    """What somebody sees who unsubscribed: from a kind on a channel, or (None) from all that can be stopped."""
    if stopped is None:
        done = speech.html("done_all", sender=sender)
    else:
        kind, channel = stopped
        done = speech.html("done", sender=sender, kind=kind, channel=speech.text(channel))
    change = f'<a href="{escape(preferences_url)}">{speech.html("change")}</a>'
    return page(speech, "done_title", f'<p role="status">{done}</p><p>{change}</p>')


def ask_to_confirm(speech: Speech, sender: str, kind: str, channel: str) -> Reply:
    """What somebody sees who follows a link to confirm what she asked for. Only its button is her word."""
    asked = speech.html("confirm_ask", kind=kind, channel=speech.text(channel), sender=sender)
    button = f"<button>{speech.html('confirm')}</button>"
    return page(speech, "confirm_title", f'<p>{asked}</p><form method="post">{button}</form>')


def say_confirmed(speech: Speech, sender: str, kind: str, channel: str) -> Reply:
    """What somebody sees who confirmed."""
    done = speech.html("confirmed", kind=kind, channel=speech.text(channel), sender=sender)
    return page(speech, "confirmed_title", f'<p role="status">{done}</p>')


def show_preferences(
    speech: Speech,
    sender: str,
    choices: Sequence[Choice],
    categories: Mapping[str, Category],
    *,
    is_saved: bool,
) -> Reply:
    """A box per category and channel. `kind` names the lines that were shown: what comes back touches no others."""
    columns = "".join(f'<th scope="col">{speech.html(channel)}</th>' for channel in CHANNELS)
    rows = "".join(_row(speech, choice, categories) for choice in choices)
    saved = f'<p role="status"><strong>{speech.html("saved")}</strong></p>' if is_saved else ""
    intro = speech.html("intro", sender=sender, anything=speech.text("anything"))
    said = (
        f'{saved}<p>{intro}</p><form method="post"><table><caption class="unseen">{speech.html("title")}</caption>'
        f'<thead><tr><th scope="col">{speech.html("kind")}</th>{columns}</tr></thead><tbody>{rows}</tbody></table>'
        f"<button>{speech.html('save')}</button>"
        f'<button name="everything" value="off">{speech.html("off")}</button></form>'
    )
    return page(speech, "title", said)


def words_of(speech: Speech, name: str, categories: Mapping[str, Category]) -> tuple[CategoryWords, str]:
    """How a category is called, and in which language ("": none that is known): the reader's, English, any, its name.

    A tag like `pt-BR` serves who reads `pt`.
    """
    category = categories.get(name)
    words = category.words if category else {}
    for language in (speech.language, "en"):
        for tag in sorted(words):
            if tag.partition("-")[0].lower() == language:
                return words[tag], tag
        if not words and name in NAMED:
            return CategoryWords(speech.text(name)), speech.language
    tag = min(words, default="")
    return words.get(tag, CategoryWords(name)), tag


def _row(speech: Speech, choice: Choice, categories: Mapping[str, Category]) -> str:
    if choice.category == ANY_CATEGORY:
        words, language = CategoryWords(speech.text("anything")), speech.language
    else:
        words, language = words_of(speech, choice.category, categories)
    cells = "".join(f"<td>{_box(speech, choice, words.title, channel)}</td>" for channel in CHANNELS)
    kind = f'<input type="hidden" name="kind" value="{escape(choice.category)}">'
    tongue = f' lang="{escape(language)}"' if language not in {"", speech.language} else ""
    more = f"<small>{escape(words.description)}</small>" if words.description else ""
    return f'<tr><th scope="row"{tongue}><bdi>{escape(words.title)}</bdi>{more}{kind}</th>{cells}</tr>'


def _box(speech: Speech, choice: Choice, title: str, channel: str) -> str:
    if channel not in choice.offered:
        return ""
    label = f'<span class="unseen">{escape(title)}: {escape(speech.text(channel))}</span>'
    checked = " checked" if channel in choice.received else ""
    value = escape(f"{channel}:{choice.category}")
    return f'<label>{label}<input type="checkbox" name="on" value="{value}"{checked}></label>'


def cells_of(values: Iterable[str]) -> set[tuple[str, str]]:
    """The (category, channel) of boxes that came back ticked."""
    return {(category, channel) for channel, _, category in (value.partition(":") for value in values)}
