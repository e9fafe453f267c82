"""What carrying out effects and knowing users needs of the outside. One port per duty; every method takes a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from clarion.contracts.work import WorkItem


class KnownUser(msgspec.Struct, frozen=True, gc=False):
    """A user's row as journeys read it. `sealed`: her profile; `features`: JSON; `reachable`: a mask of channels."""

    user_id: int
    tenant_id: bytes
    external_id: str
    timezone: str
    language: str
    country: str
    region: str
    preferred_channel: str
    reachable: int
    created_ms: int
    sealed: bytes
    features: bytes


class KnownUsers(Protocol):
    """Users by our own ids."""

    async def read(self, user_ids: Sequence[int]) -> dict[int, KnownUser]:
        """Those of them who are there. Raises Transient."""
        ...


class Messages(Protocol):
    """Notifications that runs asked for."""

    async def statuses(self, notification_ids: Sequence[bytes]) -> dict[bytes, list[str]]:
        """The statuses of the deliveries of each; absent where there is no such notification. Raises Transient."""
        ...

    async def recall(self, notification_ids: Sequence[bytes], now_ms: int) -> list[WorkItem]:
        """Cancel what nobody has begun to send of them, with their further channels; what the queue may forget.

        After this returns none of those can be sent. Raises Transient.
        """
        ...


class QueueOut(Protocol):
    """The queue, as who cancels sees it."""

    async def remove(self, items: Sequence[WorkItem]) -> None:
        """Forget items. Raises Transient: then they end for want of an open delivery."""
        ...


class Outgoing(msgspec.Struct, frozen=True):
    """A call to a URL of the tenant's. `sign_as`: the message id under which its body is signed ("": it is not)."""

    tenant_id: bytes
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    within_s: float
    sign_as: str = ""


class Incoming(msgspec.Struct, frozen=True):
    """What came of it. `error` "": a reply came, with `status`. `final`: the same call will never succeed.

    `retry_ms`: not before so many ms, where the other side asks for that.
    """

    status: int = 0
    body: bytes = b""
    error: str = ""
    final: bool = False
    retry_ms: int = 0


class Outside(Protocol):
    """Calls to addresses that a tenant chose, none of which leads into our own network."""

    async def call(self, outgoing: Outgoing) -> Incoming:
        """Make a call, once; within the time that it names, whatever the other side does. Raises nothing."""
        ...


class AttributeChange(msgspec.Struct, frozen=True):
    """Attributes to be set of a user; None removes one."""

    tenant_id: bytes
    external_id: str
    attributes: Mapping[str, Any]


class ProfileChanges(Protocol):
    """The users' own write path."""

    async def apply(self, changes: Sequence[AttributeChange]) -> list[str]:
        """Merge attributes into profiles, none of which loses what others write meanwhile; why not, or "", per change.

        Raises Transient.
        """
        ...


class Starting(msgspec.Struct, frozen=True):
    """A run of another journey to be begun. `entry_key`: 16 bytes; a second one under the same key is a repeat."""

    tenant_id: bytes
    journey: str
    external_id: str
    is_test: bool
    entry_key: bytes
    context: Mapping[str, Any]


class Starter(Protocol):
    """The API's own way into journeys."""

    async def start(self, starts: Sequence[Starting]) -> list[str]:
        """Begin runs; why not, or "", per start in order. Raises Transient."""
        ...


class TurnAsk(msgspec.Struct, frozen=True):
    """A place among `limit` in `per_ms`. `key` names what is limited, `ident` who asks: it has one place only.

    `reserves`: where none is free it takes the next that will be.
    """

    key: bytes
    ident: bytes
    limit: int
    per_ms: int
    reserves: bool


class Turns(Protocol):
    """Throttles that all processes share, on the store's clock."""

    async def take(self, asks: Sequence[TurnAsk]) -> list[int]:
        """In how many ms each may pass, in order; 0: now. Raises Transient."""
        ...
