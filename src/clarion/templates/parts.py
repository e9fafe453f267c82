"""A template's parts, one by one."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.contracts.channels import CHANNELS, Channel, mask_of
from clarion.templates.model import ChannelParts

BASE: Final = "channels"
"""Where the parts of a template's own language stand in the body of the request."""


def locale_root(locale: str) -> str:
    """Where the parts of a locale stand in the body of the request; "": those of the template's own language."""
    return f"locales.{locale}" if locale else BASE


class Part(msgspec.Struct, frozen=True):
    """One source of a template: `field` of `channel` (`html`, `subject`, `data.url`)."""

    channel: Channel
    field: str
    source: str
    root: str = BASE

    @property
    def label(self) -> str:
        """How a failure names it: `email.html`."""
        return f"{self.channel}.{self.field}"

    @property
    def path(self) -> str:
        """Where it stands in the body of the request."""
        return f"{self.root}.{self.channel}.{self.field}"

    @property
    def is_html(self) -> bool:
        """Whether its values are escaped for HTML."""
        return self.field == "html"

    @property
    def is_one_line(self) -> bool:
        """Whether a variable's line break in it could make a header of a message."""
        return self.field == "subject"


DATA_PREFIX: Final = "data."
COLLAPSE_KEY: Final = "collapse_key"


def parts_of(channels: ChannelParts, root: str = BASE) -> list[Part]:
    """The parts that are there, in the order of the channels. Empty sources are no parts. `root`: see `locale_root`."""
    parts: list[Part] = []

    def add(channel: Channel, field: str, source: str) -> None:
        if source or field.startswith(DATA_PREFIX):
            parts.append(Part(channel, field, source, root))

    if (email := channels.email) is not None:
        add("email", "subject", email.subject)
        add("email", "html", email.html)
        add("email", "text", email.text)
    if (push := channels.push) is not None:
        add("push", "title", push.title)
        add("push", "body", push.body)
        for key, source in push.data.items():
            add("push", DATA_PREFIX + key, source)
        add("push", COLLAPSE_KEY, push.collapse_key)
    if channels.sms is not None:
        add("sms", "body", channels.sms.body)
    return parts


def channels_of(channels: ChannelParts) -> int:
    """Mask of the channels that a template has parts for."""
    return mask_of([name for name in CHANNELS if getattr(channels, name) is not None])
