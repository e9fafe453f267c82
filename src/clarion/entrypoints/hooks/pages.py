"""Pages for people: plain HTML that needs no script, no picture and nothing from elsewhere.

Each is one column of text that follows the reader's colours and size, with a heading, a language and labelled controls.
Whatever is not ours (names of tenants and categories) is escaped here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from clarion.compliance.model import ANY_CATEGORY
from clarion.compliance.subscriptions import Choice
from clarion.contracts.channels import CHANNELS
from clarion.entrypoints.api.replies import Header, Reply

HTML: Final = b"text/html; charset=utf-8"

CHANNEL_WORDS: Final = {"email": "e-mail", "push": "app", "sms": "text message"}
"""How people call the channels: by …"""

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:10vh auto;padding:0 1.2rem}"
    "h1{font-size:1.5rem;line-height:1.2}"
    "button{font:inherit;padding:.6rem 1.1rem;margin:.3rem .5rem .3rem 0;cursor:pointer}"
    "table{border-collapse:collapse;margin:1rem 0}"
    "th,td{padding:.5rem .8rem;text-align:center;border-bottom:1px solid}"
    "th[scope=row]{text-align:left}"
    "input{width:1.4rem;height:1.4rem}"
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


def page(title: str, body: str, status: int = 200, headers: tuple[Header, ...] = ()) -> Reply:
    """A page. `title` is text, `body` is HTML."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return Reply(status, text.encode(), (*_HEADERS, *headers), HTML)


def no_such_link() -> Reply:
    """The answer to whatever is no link of ours, or no longer one. It does not say which."""
    said = "<p>The link is not complete, or too old. Please take the one from a newer message.</p>"
    return page("This link does not work", said, 404)


def come_back_later() -> Reply:
    """The answer while what was asked cannot be kept: nothing was changed."""
    said = "<p>Nothing was changed. Please try again in a minute.</p>"
    return page("We cannot do this right now", said, 503, ((b"retry-after", b"30"),))


def ask_to_unsubscribe(sender: str, category: str, channel: str, *, can_stop: bool) -> Reply:
    """What somebody sees who follows an unsubscribe link. Only its buttons act: mail scanners follow links, too."""
    by = CHANNEL_WORDS[channel]
    one = (
        f"<p>Do you want no more <strong>{escape(category)}</strong> by {by} from {escape(sender)}?</p>"
        if can_stop
        else f"<p>Messages of the kind <strong>{escape(category)}</strong> belong to your account with "
        f"{escape(sender)} and cannot be stopped here. You can stop all others.</p>"
    )
    stop_one = '<button name="scope" value="category">Unsubscribe</button>' if can_stop else ""
    buttons = f'{stop_one}<button name="scope" value="all">Stop everything from {escape(sender)}</button>'
    return page("Unsubscribe", f'{one}<form method="post">{buttons}</form>')


def say_unsubscribed(sender: str, what: str, preferences_url: str) -> Reply:
    """What somebody sees who unsubscribed. `what` is text: what will not come any more."""
    said = (
        f'<p role="status">You will get no more {escape(what)} from {escape(sender)}.</p>'
        f'<p><a href="{escape(preferences_url)}">Change what you get</a></p>'
    )
    return page("You are unsubscribed", said)


def show_preferences(sender: str, choices: Sequence[Choice], *, is_saved: bool) -> Reply:
    """A box per category and channel. `kind` names the lines that were shown: what comes back touches no others."""
    columns = "".join(f'<th scope="col">By {CHANNEL_WORDS[channel]}</th>' for channel in CHANNELS)
    rows = "".join(_row(choice) for choice in choices)
    saved = '<p role="status"><strong>Saved.</strong></p>' if is_saved else ""
    said = (
        f"{saved}<p>Tick what you want to get from {escape(sender)}. Nothing comes where “Anything at all” is not "
        "ticked, but for what your account needs, like one-time codes. Ticking it again agrees to new kinds, too.</p>"
        '<form method="post"><table><thead><tr><th scope="col">Kind</th>'
        f"{columns}</tr></thead><tbody>{rows}</tbody></table><button>Save</button></form>"
    )
    return page("What you get", said)


def _row(choice: Choice) -> str:
    name = "Anything at all" if choice.category == ANY_CATEGORY else choice.category
    cells = "".join(f"<td>{_box(choice, name, channel)}</td>" for channel in CHANNELS)
    kind = f'<input type="hidden" name="kind" value="{escape(choice.category)}">'
    return f'<tr><th scope="row">{escape(name)}{kind}</th>{cells}</tr>'


def _box(choice: Choice, name: str, channel: str) -> str:
    if channel not in choice.offered:
        return ""
    label = f'<span class="unseen">{escape(name)} by {CHANNEL_WORDS[channel]}</span>'
    checked = " checked" if channel in choice.received else ""
    value = escape(f"{channel}:{choice.category}")
    return f'<label>{label}<input type="checkbox" name="on" value="{value}"{checked}></label>'


def cells_of(values: Iterable[str]) -> set[tuple[str, str]]:
    """The (category, channel) of boxes that came back ticked."""
    return {(category, channel) for channel, _, category in (value.partition(":") for value in values)}
