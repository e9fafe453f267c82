"""What a caller may ask of a broadcast: the body of `POST /api/v1/broadcasts`."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from clarion.contracts.commands import AwareTime, Name, Optimization, Personalization

MAX_LIST: Final = 100_000
"""Most users that one request may name; a larger audience is a segment, or everybody."""

FIRST_PRIORITY: Final = 3
"""Priorities 0 to 2 have places of their own in the queue, which a broadcast would fill."""


SEND_AT: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?$"
"""ISO 8601, to the minute at least; with an offset or, on purpose, without one."""


class BroadcastRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/broadcasts`. The audience is one of `segment`, `user_ids` and `audience`.

    `send_at` with an offset is an instant; without one it is what the clock of each recipient shows when she gets it.
    `rate_per_s`: members a second at most; as fast as it goes where it is left out. `dry_run`: the audience is
    collected and every decision is made, and nothing is sent.
    """

    category: Name
    segment: Name | None = None
    user_ids: Annotated[list[Name], Meta(min_length=1, max_length=MAX_LIST)] | None = None
    audience: Literal["all"] | None = None
    template: Name | None = None
    data: dict[str, Any] = {}
    priority: Annotated[int, Meta(ge=FIRST_PRIORITY, le=10)] = 7
    optimization: Optimization = Optimization()
    personalization: Personalization = Personalization()
    metadata: dict[str, Any] = {}
    expires_at: AwareTime | None = None
    send_at: Annotated[str, Meta(pattern=SEND_AT)] | None = None
    rate_per_s: Annotated[float, Meta(ge=0.1, le=100_000)] | None = None
    name: Annotated[str, Meta(max_length=200)] = ""
    dry_run: bool = False
