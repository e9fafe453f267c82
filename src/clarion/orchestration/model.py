"""A request on its way to a decision, and the decision."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from clarion.audience.model import Card
from clarion.contracts.commands import FallbackStep, NotificationRequest
from clarion.tenancy.config import TemplateInfo
from clarion.tenancy.model import DEFAULT_COMPLIANCE, Category, ComplianceSettings, QuietHours

SendTime: TypeAlias = Literal["now", "optimal", "scheduled"]
Selection: TypeAlias = Literal["all", "optimal", "specified"]


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A checked request: what `decide` weighs. Masks follow `CHANNELS`; times are UTC ms of the store's clock.

    `requested`: channels that the request leaves (`channels`, or all). `rendered`: channels for which there is
    something to say (template parts or data). `expires_ms`: when it loses its worth (0: never). `caps_used`: messages
    of the category that the user already has on her present local day, in all and per channel (canonical order).
    `fallback`: the channels to go on to afterwards; no part of the decision. `tenant_country` serves users of whom
    nothing is known, `compliance` is what the tenant chose where the law leaves it a choice.
    """

    category: Category
    priority: int
    requested: int
    rendered: int
    selection: Selection
    send_time: SendTime
    scheduled_ms: int = 0
    expires_ms: int = 0
    fallback_timezone: str = "UTC"
    tenant_quiet_hours: QuietHours | None = None
    caps_used: tuple[int, ...] = (0, 0, 0, 0)
    fallback: tuple[FallbackStep, ...] = ()
    tenant_country: str = ""
    compliance: ComplianceSettings = DEFAULT_COMPLIANCE


class Reason(msgspec.Struct, frozen=True, gc=False):
    """Why a channel was not taken, or was moved to a later hour (`detail` is then "moved").

    `rule` is an id of `compliance.rules.Rule`, whose `EXPLANATIONS` say it in a sentence. `law`: the rule of the
    rulebook by which, where it is one of its own ("": it is not; `docs/compliance.md` has them all).
    """

    channel: str
    rule: str
    detail: str = ""
    law: str = ""


class ChannelChoice(msgspec.Struct, frozen=True, gc=False):
    """One chosen delivery: channel index, its first status, when it is due (UTC ms, 0: at once), and its score.

    `rule`: what moved it away from the time that was asked for, "" where it was not moved.
    """

    channel: int
    status: str
    due_ms: int
    score: float
    rule: str = ""


Alternative: TypeAlias = tuple[int, int, float]
"""A cell that was open and not taken: channel index, start of the hour (UTC ms), score."""


class Tried(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a row that tried something else had a chance of, so that it can be said what other policies would bring.

    Odds under trying alone, whether or not it would have been tried: `channels` by channel; `bands` by quarter of the
    local day, from midnight; `soon`: of the first `explore.SOON` hours. What was taken: the band, and whether soon.
    """

    channels: tuple[float, ...]
    bands: tuple[float, ...]
    soon: float
    band: int
    was_soon: bool


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What was decided for one draft, and why. `choices`: best first, empty where everything is blocked.

    `status` is that of the most advanced choice, or `blocked`. `reasons`: one for each channel that was not taken or
    was moved, in canonical order. `scores[c]`: the best score of each channel before the expiry, masked or not.
    `engagement`: predicted probability of the best choice, 0 where there is none. `confidence`: the model's own, 0 to
    1. `optimal_ms`: the hour (UTC ms) of the best unmasked cell, 0 where there is none. `alternatives`: the best
    unmasked cells not taken, best first. `model`, `policy`: which model scored, and how it was chosen by the scores;
    `propensity`: how probable the choice was by then. `explored`: something else than the best was tried; `candidates`:
    the cells that had a chance (`explore.read_candidates`), () where nothing but the best had one. `holdout`: mask of
    the features from which the user is held out. `tried`: what might have been tried instead, of a row that tries.
    `ruleset`: the version of the rulebook; `jurisdictions`: whose laws had a say. `ml_fallback`: the model had less to
    go by than it should have had.
    """

    status: str
    choices: tuple[ChannelChoice, ...]
    reasons: tuple[Reason, ...]
    scores: tuple[float, ...]
    engagement: float
    confidence: float
    optimal_ms: int
    alternatives: tuple[Alternative, ...]
    model: str
    propensity: float = 1.0
    ruleset: str = ""
    jurisdictions: tuple[str, ...] = ()
    ml_fallback: bool = False
    policy: str = ""
    explored: bool = False
    holdout: int = 0
    candidates: tuple[str, ...] = ()
    tried: Tried | None = None


class Submission(msgspec.Struct, frozen=True):
    """One request of a tenant as it entered, with the trace it belongs to.

    `template`: the version to send, where that is not to be the live one. `ident`: the notification id to take (a
    UUIDv7 whose last four bits are 0), for one that asks again with the same id where it does not know the answer;
    such a submission is alone in its ask, which is no batch. b"": one is made.
    """

    request: NotificationRequest
    traceparent: str = ""
    template: TemplateInfo | None = None
    ident: bytes = b""


class IdempotencyClaim(msgspec.Struct, frozen=True):
    """A caller's promise that a repeat is a repeat. `fingerprint` is SHA-256 over method, route and raw body."""

    key: str
    route: str
    fingerprint: bytes


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A draft with the card it is decided on."""

    draft: Draft
    card: Card


class Chain(msgspec.Struct, frozen=True, gc=False):
    """The fallback chain of a notification as it is written with its first row. `steps` is UTF-8 JSON.

    `due_ms`: when it is to be looked at, UTC ms of the store's clock.
    """

    notification_id: bytes
    tenant_id: bytes
    created_ms: int
    steps: bytes
    due_ms: int


class Row(msgspec.Struct, frozen=True, gc=False):
    """One delivery as it is written: a row of `notifications`, and one of `open_deliveries` while `open`.

    Ids are 16 bytes; JSON columns are UTF-8 JSON; times are UTC ms of the store's clock.
    `send_ms` is the chosen send time. `is_test`: a test credential asked for it. `chain`: on one row of a notification
    that has one.
    """

    delivery_id: bytes
    notification_id: bytes
    tenant_id: bytes
    user_id: int
    created_ms: int
    category: str
    channel: str
    priority: int
    status: str
    template: str
    template_version: int
    payload: bytes
    personalization: bytes
    metadata: bytes
    decision: bytes
    journey_id: str
    traceparent: str
    send_ms: int
    score: float
    expires_ms: int
    open: bool
    is_test: bool = False
    chain: Chain | None = None


class ChunkRef(msgspec.Struct, frozen=True):
    """One chunk of a broadcast's audience."""

    broadcast_id: bytes
    number: int


class ChunkProgress(msgspec.Struct, frozen=True):
    """What accepting a chunk came to, as the broadcast's books have it: committed with its rows, or not at all.

    `ids`: the range that holds its members' ids and no others, None where nobody got one. `refused` counts members
    without a row by reason; `rules` those whom a rule blocked, once for each rule that took a channel from them.
    `statuses`: of the members with a row, as they begin; `deliveries`: how many of them there are that wait.
    """

    ref: ChunkRef
    accepted_ms: int
    members: int
    ids: tuple[bytes, bytes] | None
    refused: dict[str, int]
    rules: dict[str, int]
    statuses: dict[str, int]
    deliveries: int


class AcceptGroup(msgspec.Struct, frozen=True):
    """Rows that are committed under one idempotency claim (or none), with the answer that a repeat will get.

    `response` b"": a request that failed; its key is looked up, for it may be a repeat, and not kept. `progress`: the
    rows are a broadcast's chunk, and are written only if it was not accepted before and its broadcast runs. `ident`:
    the rows are those of this notification, and are written only if there is none of this id.
    """

    tenant_id: bytes
    environment: str
    rows: list[Row]
    claim: IdempotencyClaim | None
    response: bytes
    progress: ChunkProgress | None = None
    ident: bytes = b""


class Committed(msgspec.Struct, frozen=True):
    """The group's rows are durable."""


class Replayed(msgspec.Struct, frozen=True):
    """The key was used before with the same fingerprint: this is the stored answer; nothing was written."""

    status: int
    body: bytes


class Repeated(msgspec.Struct, frozen=True):
    """A notification of the group's id was accepted before; nothing was written. `status`: as it stands by now."""

    status: str


class KeyBusy(msgspec.Struct, frozen=True):
    """Another transaction holds the key, or the id, at this moment; nothing was written."""


class KeyReused(msgspec.Struct, frozen=True):
    """The key was used before with another fingerprint; nothing was written."""


class Overtaken(msgspec.Struct, frozen=True):
    """The chunk is accepted already, or its broadcast does not run (any more); nothing was written."""


GroupOutcome: TypeAlias = Committed | Replayed | Repeated | KeyBusy | KeyReused | Overtaken
