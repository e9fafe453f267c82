"""Broadcasts: one message to an audience that is fixed when it is asked for, and the books about its members.

    collecting ─▶ sending ─▶ completed        cancelling ─▶ cancelled        failed (no audience could be made)

A snapshot of the audience is taken first, in chunks (`snapshot.py`); the chunks are accepted one by one when their time
has come (`fan_out.py`), like any batch of notifications.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from clarion.audience.model import Card, ResolvedSegment
from clarion.contracts.broadcasts import BroadcastRequest
from clarion.contracts.channels import CHANNELS
from clarion.contracts.commands import NotificationRequest, Optimization, Personalization
from clarion.contracts.statuses import WAITING
from clarion.kernel.errors import Invalid
from clarion.kernel.ids import format_id
from clarion.kernel.local_time import find_zone
from clarion.orchestration.draft import PAST_TOLERANCE_MS, SCHEDULE_HORIZON_MS, Checked, check_request
from clarion.orchestration.model import ChunkRef
from clarion.tenancy.config import TenantConfig

Stage: TypeAlias = Literal["collecting", "sending", "cancelling", "completed", "cancelled", "failed"]

CHUNK_MOST: Final = 500
"""Members that are accepted at a time: design section 2 has its times for this size."""

CHUNKS_PER_S: Final = 2
"""A rate limit is kept by chunks of this part of a second: nobody gets a minute's worth at once."""

WEST_MOST: Final = "Etc/GMT+12"
EAST_MOST: Final = "Pacific/Kiritimati"
"""Where a local time comes last, and first."""

ALL_REACHABLE: Final = (1 << len(CHANNELS)) - 1

NaiveTime = Annotated[datetime, Meta(tz=False)]


class Message(msgspec.Struct, frozen=True):
    """What each member is sent: the fields of a `NotificationRequest` but for who she is."""

    category: str
    template: str | None
    data: dict[str, Any]
    priority: int
    optimization: Optimization
    personalization: Personalization
    metadata: dict[str, Any]
    expires_at: datetime | None


class Source(msgspec.Struct, frozen=True):
    """Whom: `all`, a `list` (kept beside), or a `segment` as it was when the broadcast was asked for."""

    kind: Literal["all", "list", "segment"]
    segment: ResolvedSegment | None = None


class Timing(msgspec.Struct, frozen=True):
    """When: at an instant (UTC ms), or when each recipient's clock shows `local`."""

    at_ms: int = 0
    local: NaiveTime | None = None


class Plan(msgspec.Struct, frozen=True):
    """A broadcast as it is kept from the first moment on. `rate_per_s` 0: no limit. `names`: of a list."""

    broadcast_id: bytes
    tenant_id: bytes
    environment: str
    name: str
    rehearsal: bool
    source: Source
    message: Message
    timing: Timing
    rate_per_s: float
    names: list[str] = []

    @property
    def chunk_size(self) -> int:
        """Members a chunk. A rehearsal keeps no rate."""
        if not self.rate_per_s or self.rehearsal:
            return CHUNK_MOST
        return max(1, min(CHUNK_MOST, int(self.rate_per_s / CHUNKS_PER_S)))


class Chunk(msgspec.Struct, frozen=True):
    """Members of a running broadcast whose turn it is: external ids, and the instant they were due (UTC ms)."""

    ref: ChunkRef
    tenant_id: bytes
    environment: str
    rehearsal: bool
    message: Message
    due_ms: int
    names: list[str]


class Balance(msgspec.Struct, frozen=True):
    """The books: `audience` = sent + blocked + failed + unknown + pending, each counted by itself, as of one instant.

    `detail` has the statuses behind these: `delivered` and `engaged` are sent; `cancelled` is blocked (by the tenant);
    `expired` is failed, and so is `refused` (a member without a notification); `waiting` and whatever is on its way
    is pending.
    """

    audience: int
    sent: int
    blocked: int
    failed: int
    unknown: int
    pending: int
    detail: dict[str, int]


SIDES: Final = ("sent", "blocked", "failed", "unknown", "pending")

PENDING: Final = frozenset({"waiting", "sending", *WAITING})
"""`waiting`: of the snapshot, and not accepted yet."""

_SIDE: Final = {
    **dict.fromkeys(("sent", "delivered", "engaged"), "sent"),
    **dict.fromkeys(("blocked", "cancelled"), "blocked"),
    **dict.fromkeys(("failed", "expired", "refused"), "failed"),
    "unknown": "unknown",
    **dict.fromkeys(PENDING, "pending"),
}
"""On which side of the equation each status stands."""


def balance(audience: int, statuses: Mapping[str, int]) -> Balance:
    """The books of members by status."""
    sides: Counter[str] = Counter()
    for status, members in statuses.items():
        sides[_SIDE[status]] += members
    return Balance(
        audience,
        *(sides[side] for side in SIDES),
        detail={name: members for name, members in sorted(statuses.items()) if members},
    )


def requests_for(broadcast_id: bytes, message: Message, names: Sequence[str]) -> list[NotificationRequest]:
    """The notifications of these members. Each says in its metadata whose it is."""
    metadata = {**message.metadata, "broadcast_id": format_id(broadcast_id)}
    return [
        NotificationRequest(
            user_id=name,
            category=message.category,
            template=message.template,
            data=message.data,
            priority=message.priority,
            optimization=message.optimization,
            personalization=message.personalization,
            metadata=metadata,
            expires_at=message.expires_at,
        )
        for name in names
    ]


def message_of(request: BroadcastRequest) -> Message:
    """What a request says to each member."""
    return Message(
        category=request.category,
        template=request.template,
        data=request.data,
        priority=request.priority,
        optimization=request.optimization,
        personalization=request.personalization,
        metadata=request.metadata,
        expires_at=request.expires_at,
    )


def check_broadcast(request: BroadcastRequest, config: TenantConfig, now_ms: int) -> tuple[Timing, Checked]:
    """When the broadcast begins, and what a member would be sent. Raises Invalid and Unknown for what nobody could."""
    if sum(given is not None for given in (request.segment, request.user_ids, request.audience)) != 1:
        raise Invalid("name exactly one of `segment`, `user_ids` and `audience`", "audience")
    if request.optimization.send_time == "scheduled":
        raise Invalid("a broadcast is scheduled by `send_at`", "optimization.send_time")
    timing = _timing(request.send_at, now_ms)
    (member,) = requests_for(bytes(16), message_of(request), ["somebody"])
    card = Card(0, 0, "somebody", "", "", "", "", ALL_REACHABLE)
    begins_ms = max(now_ms, earliest_ms(timing))
    if request.expires_at is not None and request.expires_at.timestamp() * 1000 <= begins_ms:
        raise Invalid("lies before the broadcast begins", "expires_at")
    return timing, check_request(member, config, card, now_ms)


def earliest_ms(timing: Timing) -> int:
    """When the first recipient may get it (UTC ms), wherever she lives; 0: at once."""
    return timing.at_ms if timing.local is None else local_ms(timing.local, EAST_MOST)


def local_ms(local: datetime, zone: str) -> int:
    """The instant (UTC ms) at which the clocks of `zone` show `local`.

    Of two, the first one; where the clocks leap over it, as long after the leap as it would have been. A zone that is
    none counts as UTC.
    """
    return int(local.replace(tzinfo=find_zone(zone) or UTC).timestamp() * 1000)


def _timing(send_at: str | None, now_ms: int) -> Timing:
    if send_at is None:
        return Timing(at_ms=now_ms)
    try:
        at = datetime.fromisoformat(send_at)
        timing = Timing(local=at) if at.tzinfo is None else Timing(at_ms=int(at.timestamp() * 1000))
        last_ms = timing.at_ms if timing.local is None else local_ms(timing.local, WEST_MOST)
    except (ValueError, OverflowError):
        raise Invalid("is no time that there is", "send_at") from None
    if last_ms < now_ms - PAST_TOLERANCE_MS:
        raise Invalid("lies in the past", "send_at")
    if last_ms > now_ms + SCHEDULE_HORIZON_MS:
        raise Invalid("lies more than 90 days ahead", "send_at")
    return timing
