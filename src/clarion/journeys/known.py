"""What a tenant has that a definition may name."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from clarion.contracts.channels import Channel


class KnownTemplate(msgspec.Struct, frozen=True):
    """A template: the channels that it has content for, and its category ("" without one)."""

    channels: frozenset[Channel]
    category: str = ""


class Known(msgspec.Struct, frozen=True):
    """What there is; None: not known, and not looked at.

    `templates`: by name and by the text of their id. `categories`, `journeys`, `segments`: names, and texts of ids.
    """

    templates: Mapping[str, KnownTemplate] | None = None
    categories: frozenset[str] | None = None
    journeys: frozenset[str] | None = None
    segments: frozenset[str] | None = None
