"""Rewriting the links of rendered HTML, and adding the pixel that tells of an open.

Two regular expressions, and not a parser: this runs once a message. Each reads its input once, whatever it is. What
they do not recognise (an attribute without quotes, a `>` inside another attribute) is left as it is: such a link works,
and is not counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape, unescape
from typing import Final

_ANCHOR: Final = re.compile(r"<a\s[^<>]*+>", re.IGNORECASE)
_TARGET: Final = re.compile(r"""\shref\s*=\s*(["'])\s*(https?:[^"'<>]*+)\1""", re.IGNORECASE)
_UNTRACKED: Final = re.compile(r"\sdata-no-track(?=[\s=>/])", re.IGNORECASE)
_BODY_END: Final = re.compile(r"</body\s*>", re.IGNORECASE)


def rewrite_links(html: str, target_of: Callable[[str], str]) -> str:
    """`html` with each link to http(s) leading to what `target_of` gives for its target, or left where it gives "".

    Links with the attribute `data-no-track` stay as they are, as do `mailto:`, `tel:` and `#anchors`.
    """

    def replace(match: re.Match[str]) -> str:
        tag = match.group()
        link = _TARGET.search(tag)
        if link is None or _UNTRACKED.search(tag):
            return tag
        target = target_of(unescape(link[2]).strip())
        return f'{tag[: link.start()]} href="{escape(target)}"{tag[link.end() :]}' if target else tag

    return _ANCHOR.sub(replace, html)


def add_pixel(html: str, url: str) -> str:
    """`html` with an invisible image at its end. Screen readers pass over it."""
    pixel = f'<img src="{escape(url)}" width="1" height="1" alt="" style="border:0">'
    ends = list(_BODY_END.finditer(html))
    at = ends[-1].start() if ends else len(html)
    return html[:at] + pixel + html[at:]
