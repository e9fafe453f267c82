"""A template's parts, one by one."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.contracts.channels import CHANNELS, Channel, mask_of
from clarion.templates.model import ChannelParts


class Part(msgspec.Struct, frozen=True):
    """One source of a template: `field` of `channel` (`html`, `subject`, `data.url`)."""

    channel: Channel
    field: str
    source: str

    @property
    def label(self) -> str:
        """How a failure names it: `email.html`."""
        return f"{self.channel}.{self.field}"

    @property
    def path(self) -> str:
        """Where it stands in the body of the request."""
        return f"channels.{self.channel}.{self.field}"

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


def parts_of(channels: ChannelParts) -> list[Part]:
    """The parts that are there, in the order of the channels. Empty sources are no parts."""
    parts: list[Part] = []
    if (email := channels.email) is not None:
        parts += [
            Part("email", "subject", email.subject),
            Part("email", "html", email.html),
            Part("email", "text", email.text),
        ]
    if (push := channels.push) is not None:
        parts += [Part("push", "title", push.title), Part("push", "body", push.body)]
        parts += [Part("push", DATA_PREFIX + key, source) for key, source in push.data.items()]
        parts.append(Part("push", COLLAPSE_KEY, push.collapse_key))
    if channels.sms is not None:
        parts.append(Part("sms", "body", channels.sms.body))
    return [part for part in parts if part.source or part.field.startswith(DATA_PREFIX)]


def channels_of(channels: ChannelParts) -> int:
    """Mask of the channels that a template has parts for."""
    return mask_of([name for name in CHANNELS if getattr(channels, name) is not None])
