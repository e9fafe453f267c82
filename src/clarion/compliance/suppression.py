"""Suppressions: channels that must stay silent whatever the tenant wishes, until the user herself asks again."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from clarion.contracts.channels import Channel

SuppressionReason: TypeAlias = Literal[
    "hard_bounce", "complaint", "unsubscribe", "stop", "provider_block", "dead_token", "manual"
]
"""Why a channel is silent. `provider_block`: the vendor refuses the number, because its owner stopped it there.
`unsubscribe` is a refusal of a category, or of all that can be refused, and lives with the words of consent."""

LIFTED_BY_OPT_IN: Final[tuple[SuppressionReason, ...]] = ("complaint", "stop", "provider_block", "manual")
"""Reasons that were the user's will, which she may change by an express opt-in on that very channel."""

LIFTED_BY_START: Final[tuple[SuppressionReason, ...]] = ("stop", "provider_block")
"""What a text message takes back that says START: what one took that said STOP."""

ENDED_BY_NEW_ADDRESS: Final[tuple[SuppressionReason, ...]] = ("hard_bounce", "dead_token")
"""Reasons that are facts about an address, and end with it."""

REMOVABLE: Final[tuple[SuppressionReason, ...]] = ("hard_bounce", "dead_token", "manual")
"""Reasons that a tenant may find to be wrong. The others are what a person said, and hers to take back."""


class Suppression(msgspec.Struct, frozen=True):
    """Silence one channel of one user."""

    user_id: int
    channel: Channel
    reason: SuppressionReason


class Target(msgspec.Struct, frozen=True):
    """What is silent, or not any more: a channel of a user, or of whoever has an address (its keyed hash).

    `user_id` 0: nobody is named. Without `address_hmac` it is about the address that the user has now.
    """

    channel: str
    user_id: int = 0
    address_hmac: bytes = b""


class Origin(msgspec.Struct, frozen=True):
    """Where a suppression comes from, and whether a person should look at it: it may be a misunderstanding."""

    source: str
    review: bool = False


class Silenced(msgspec.Struct, frozen=True):
    """What silencing came to: whom it changed, as their tenant calls them; `fresh`: how many had not been silent."""

    people: tuple[str, ...]
    fresh: int


class Freed(msgspec.Struct, frozen=True):
    """What freeing came to: whom it changed, how many suppressions ended, and the reasons of those that did not."""

    people: tuple[str, ...]
    count: int
    kept: tuple[str, ...]


class Wanted(msgspec.Struct, frozen=True):
    """Which suppressions to show. None: any. `before`: the place of the last one of the page before."""

    user_id: int | None = None
    address_hmacs: tuple[bytes, ...] | None = None
    channel: str | None = None
    reason: str | None = None
    review: bool | None = None
    before: tuple[int, str] | None = None
    limit: int = 100


class Listed(msgspec.Struct, frozen=True, array_like=True):
    """A suppression as it is listed, newest first. `at_us`: UTC microseconds, with `key` its place in the list.

    `category` is `*` unless the reason is `unsubscribe`. `external_id` is None where no user has the address.
    """

    at_us: int
    key: str
    channel: str
    category: str
    reason: str
    source: str
    review: bool
    external_id: str | None
