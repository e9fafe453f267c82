"""Consent: what users said may be sent to them, and what follows from all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from clarion.compliance.model import ANY_CATEGORY, ConsentState
from clarion.compliance.ports import Basis, ConsentRecord, ConsentStore, ConsentWord, Subjects
from clarion.contracts.channels import CHANNEL_INDEX, CHANNELS, Channel
from clarion.contracts.commands import AwareTime, Name
from clarion.kernel.errors import Invalid, NotFound, Permanent, Unknown
from clarion.kernel.text import check_storable

ALL: Final = "all"
"""On the wire, every channel or every category."""

SHARING: Final = "sharing"
"""What is no channel: selling or sharing what is known of her (CCPA). A word on it gates no message of ours."""

REQUEST: Final = "request"
"""The detail that a double opt-in's request and its confirmation have in common: the request's id in hexadecimal."""

EXPRESS: Final = frozenset(("express", "written"))
"""Bases that are the user's own word."""

MAX_EVIDENCE_BYTES: Final = 16_384

Short: TypeAlias = Annotated[str, Meta(max_length=500)]
GdprStatus: TypeAlias = Literal["consented", "withdrawn", "none"]
CcpaStatus: TypeAlias = Literal["opted_in", "opted_out", "none"]

_json = msgspec.json.Encoder()


class ConsentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/compliance/consent`.

    `timestamp` is when she said it, for words gathered elsewhere; without it, now. `basis` is what a grant rests on;
    what stands for her word ends by itself (`implied_purchase` after 24 months, `implied_inquiry` after 6), or at
    `expires_at`. `double_opt_in`: this is only her request, and grants nothing until she confirms it.

    `method`, `language` (BCP 47), `jurisdiction` (where she was: `DE`, `US-CA`) and `wording_version` stay readable,
    and so does the hash of `wording`. The rest is evidence, kept sealed with her key.
    """

    user_id: Name
    channel: Channel | Literal["all"]
    category: Name
    consented: bool
    source: Annotated[str, Meta(min_length=1, max_length=100)]
    timestamp: AwareTime | None = None
    basis: Basis = "express"
    expires_at: AwareTime | None = None
    double_opt_in: bool = False
    method: Annotated[str, Meta(max_length=100)] = ""
    language: Annotated[str, Meta(max_length=35)] = ""
    jurisdiction: Annotated[str, Meta(max_length=10)] = ""
    wording_version: Annotated[str, Meta(max_length=100)] = ""
    ip_address: Short = ""
    user_agent: Short = ""
    url: Short = ""
    wording: Annotated[str, Meta(max_length=4000)] = ""
    evidence: dict[str, Any] = {}


class ConsentPorts(msgspec.Struct, frozen=True):
    """What words are recorded with. `new_id` makes the ids (16 bytes) of double opt-ins; None: none are taken."""

    subjects: Subjects
    store: ConsentStore
    new_id: Callable[[], bytes] | None = None


class Pending(msgspec.Struct, frozen=True):
    """A double opt-in that waits for her to confirm it. `category`: `*` for all."""

    request_id: bytes
    user_id: int
    channel: str
    category: str


class ConsentEntry(msgspec.Struct, frozen=True):
    """One line of the answer. `category` is `all` for every category; `timestamp` is UTC, ISO 8601."""

    channel: str
    category: str
    consented: bool
    source: str
    timestamp: str


class ConsentView(msgspec.Struct, frozen=True):
    """Answer of `GET /api/v1/compliance/consent/{user_id}`: the latest word per channel and category, newest first.

    `gdpr_status`: `consented` with any grant in force; `withdrawn` with none but a refusal; `none` without a word.
    `ccpa_status`: `opted_out` where she opted out of sale or sharing, or refused all categories on any channel; else
    `opted_in` with any grant in force; else `none`.
    """

    user_id: str
    consents: list[ConsentEntry]
    gdpr_status: GdprStatus
    ccpa_status: CcpaStatus


async def record_consents(
    tenant_id: bytes,
    requests: Sequence[ConsentRequest],
    categories: Collection[str],
    ports: ConsentPorts,
) -> list[Permanent | Pending | None]:
    """Record what users said; per request in order, None, what is to be confirmed, or what is wrong with it.

    A wrong one stops no other. `categories` are the tenant's. When this returns, no later send of the region disregards
    what was said.
    """
    subjects = ports.subjects
    errors = [_find_error(request, categories, ports) for request in requests]
    named = {request.user_id for request, error in zip(requests, errors, strict=True) if error is None}
    ids = await subjects.find_ids(tenant_id, list(named)) if named else {}
    known: list[ConsentRequest] = []
    pending: list[Pending | None] = []
    outcomes: list[Permanent | Pending | None] = []
    for request, error in zip(requests, errors, strict=True):
        if error is None and request.user_id not in ids:
            detail = "names an unknown user: PUT the user first"
            outcomes.append(Unknown(detail, "user_id"))
            continue
        outcomes.append(error)
        if error is None:
            known.append(request)
            pending.append(_pending(request, ids[request.user_id], ports.new_id))
            outcomes[-1] = pending[-1]
    if known:
        evidence = [(ids[request.user_id], _evidence(request)) for request in known]
        sealed = await subjects.seal_evidence(tenant_id, evidence)
        heard = zip(known, pending, sealed, strict=True)
        words = [_words(request, ids[request.user_id], asked, seal) for request, asked, seal in heard]
        await ports.store.record(tenant_id, [word for group in words for word in group])
    return outcomes


def _pending(request: ConsentRequest, user_id: int, new_id: Callable[[], bytes] | None) -> Pending | None:
    if not request.double_opt_in or new_id is None:
        return None
    return Pending(new_id(), user_id, request.channel, _stored(request.category))


async def opt_out_of_sharing(
    tenant_id: bytes, user_id: int, source: str, evidence: Mapping[str, Any], ports: ConsentPorts
) -> bool:
    """Record that what is known of her may be neither sold nor shared (CCPA); False: it stands already.

    It stops no message. Her browser may say so each time it asks for a page: only the first time is a word.
    """
    records = await ports.store.records(tenant_id, user_id)
    if any(record.channel == SHARING and not record.consented for record in records):
        return False
    clear = _json.encode(evidence) if evidence else b""
    (sealed,) = await ports.subjects.seal_evidence(tenant_id, [(user_id, clear)])
    word = ConsentWord(user_id, SHARING, ANY_CATEGORY, False, source, express=False, evidence=sealed)  # noqa: FBT003  a record's field
    await ports.store.record(tenant_id, [word])
    return True


async def read_consent(
    tenant_id: bytes, external_id: str, subjects: Subjects, store: ConsentStore
) -> ConsentView:
    """What one user said. Raises NotFound where the tenant has no such user."""
    user_id = (await subjects.find_ids(tenant_id, [external_id])).get(external_id)
    if user_id is None:
        detail = "there is no such user"
        raise NotFound(detail)
    records = await store.records(tenant_id, user_id)
    gdpr, ccpa = _statuses(fold(records, ()))
    if any(record.channel == SHARING and not record.consented for record in records):
        ccpa = "opted_out"
    entries = [entry_of(record) for record in records if record.channel != SHARING]
    return ConsentView(external_id, entries, gdpr, ccpa)


def fold(records: Iterable[ConsentRecord], suppressed: Iterable[str]) -> ConsentState:
    """The state that follows from these words, in any order, and the suppressed channels. Pure.

    `records` are words that hold: what has expired is not among them. Words on what is no channel (`SHARING`) gate no
    message. Per channel and category the latest word counts; of two in the same millisecond, the refusal. A word on all
    categories (`*`) takes back every earlier word on its channel: it means them too. A later word on one category
    stands beside it; how the two weigh is for the rules to say.
    """
    latest: dict[tuple[str, str], ConsentRecord] = {}
    for record in records:
        key = (record.channel, record.category)
        if key not in latest or _rank(latest[key]) <= _rank(record):
            latest[key] = record
    granted: dict[str, int] = {}
    denied: dict[str, int] = {}
    implied: dict[str, int] = {}
    proven: dict[str, int] = {}
    bases: dict[str, dict[str, int]] = {}
    for (channel, category), record in latest.items():
        on_all = latest.get((channel, ANY_CATEGORY))
        overruled = on_all is not None and on_all is not record and _rank(on_all) >= _rank(record)
        if overruled or channel not in CHANNEL_INDEX:
            continue
        bit = 1 << CHANNEL_INDEX[channel]
        _add(granted if record.consented else denied, category, bit)
        if record.consented and record.basis not in EXPRESS:
            _add(implied, category, bit)
            _add(bases.setdefault(record.basis, {}), category, bit)
        if record.consented and record.proven:
            _add(proven, category, bit)
    mask = 0
    for channel in suppressed:
        mask |= 1 << CHANNEL_INDEX[channel]
    return ConsentState(granted, denied, mask, implied, proven, bases)


def _add(masks: dict[str, int], category: str, bit: int) -> None:
    masks[category] = masks.get(category, 0) | bit


def _rank(record: ConsentRecord) -> tuple[int, bool]:
    return record.at_ms, not record.consented


def _find_error(
    request: ConsentRequest, categories: Collection[str], ports: ConsentPorts
) -> Permanent | None:
    try:
        check_storable(request.user_id, "user_id")
        check_storable(request.source, "source")
        if request.category != ALL and request.category not in categories:
            detail = f"names an unknown category; there are {', '.join(sorted(categories))} and {ALL}"
            raise Unknown(detail, "category")
        for name, value in (_named_evidence(request) | _details(request)).items():
            check_storable(value, name)
        if request.double_opt_in and not (request.consented and request.channel != ALL):
            detail = "asks a user to confirm what she agrees to, on a channel by its name"
            raise Invalid(detail, "double_opt_in")
        if request.double_opt_in and request.basis not in EXPRESS:
            detail = "is what a user confirms, and so her own word: express or written"
            raise Invalid(detail, "basis")
        if request.double_opt_in and ports.new_id is None:
            detail = "cannot be asked for here"
            raise Invalid(detail, "double_opt_in")
        check_storable(request.evidence, "evidence")
        if len(_evidence(request)) > MAX_EVIDENCE_BYTES:
            detail = f"has more than {MAX_EVIDENCE_BYTES} bytes as JSON: keep a reference instead"
            raise Invalid(detail, "evidence")
    except Permanent as exc:
        return exc
    return None


def _evidence(request: ConsentRequest) -> bytes:
    """The evidence as JSON; b"" where there is none."""
    kept = request.evidence | _named_evidence(request)
    return _json.encode(kept) if kept else b""


def _named_evidence(request: ConsentRequest) -> dict[str, str]:
    named = {
        "ip_address": request.ip_address,
        "user_agent": request.user_agent,
        "url": request.url,
        "wording": request.wording,
    }
    return {name: value for name, value in named.items() if value}


def _words(
    request: ConsentRequest, user_id: int, asked: Pending | None, evidence: bytes
) -> list[ConsentWord]:
    channels = CHANNELS if request.channel == ALL else (request.channel,)
    details = _details(request) | ({REQUEST: asked.request_id.hex()} if asked else {})
    is_grant = request.consented and not request.double_opt_in
    express = is_grant and request.channel != ALL and request.basis in EXPRESS
    return [
        ConsentWord(
            user_id,
            channel,
            _stored(request.category),
            request.consented,
            request.source,
            express=express,
            given_ms=_to_ms(request.timestamp),
            evidence=evidence,
            state="requested" if request.double_opt_in else "said",
            basis=request.basis,
            details=details,
            expires_ms=_to_ms(request.expires_at),
        )
        for channel in channels
    ]


def _stored(category: str) -> str:
    return ANY_CATEGORY if category == ALL else category


def _details(request: ConsentRequest) -> dict[str, str]:
    """What is not personal about how she said it."""
    wording = hashlib.sha256(request.wording.encode()).hexdigest() if request.wording else ""
    found = {
        "method": request.method,
        "language": request.language,
        "jurisdiction": request.jurisdiction,
        "wording_version": request.wording_version,
        "wording_hash": wording,
    }
    return {name: value for name, value in found.items() if value}


def _to_ms(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)


def entry_of(record: ConsentRecord) -> ConsentEntry:
    """A word as it is shown."""
    category = ALL if record.category == ANY_CATEGORY else record.category
    at = datetime.fromtimestamp(record.at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return ConsentEntry(record.channel, category, record.consented, record.source, at.replace("+00:00", "Z"))


def _statuses(state: ConsentState) -> tuple[GdprStatus, CcpaStatus]:
    is_granted, is_denied = any(state.granted.values()), any(state.denied.values())
    gdpr: GdprStatus = "consented" if is_granted else "withdrawn" if is_denied else "none"
    if state.denied.get(ANY_CATEGORY):
        return gdpr, "opted_out"
    return gdpr, "opted_in" if is_granted else "none"
