"""Consent: what users said may be sent to them, and the proof of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from clarion.adapters.sealing.signatures import Ed25519Signer
from clarion.bootstrap import public_url_of
from clarion.compliance.consent import (
    ConsentPorts,
    ConsentRequest,
    ConsentView,
    Pending,
    opt_out_of_sharing,
    read_consent,
    record_consents,
)
from clarion.compliance.ledger import PURPOSE, Proof, Whose, make_proof
from clarion.contracts.commands import AwareTime, Name
from clarion.contracts.responses import ItemError
from clarion.entrypoints.api import examples
from clarion.entrypoints.api.body import MAX_BATCH_BYTES, MAX_ITEMS, JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.hooks.confirmations import confirmation_url
from clarion.entrypoints.hooks.global_privacy import heed_passed_signal
from clarion.kernel.errors import ClarionError, Invalid, NotFound, Permanent, Unknown
from clarion.kernel.ids import format_id, make_ids
from clarion.kernel.text import check_storable
from clarion.orchestration.rows import describe_error


class ConsentRecorded(msgspec.Struct, frozen=True, omit_defaults=True):
    """The word is durable, and no later send of this region disregards it.

    `confirmation_url`, of a double opt-in only: send it to her in a transactional message. It works for 30 days.
    """

    recorded: bool
    confirmation_url: str = ""


class ConsentsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a batch with its items as they came, to be read one by one."""

    consents: list[msgspec.Raw]


class ConsentBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/compliance/consent/batch`: up to 1000 words."""

    consents: Annotated[list[ConsentRequest], Meta(min_length=1, max_length=MAX_ITEMS)]


class ConsentResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one word of a batch; `confirmation_url` as in the answer to a single one."""

    index: int
    recorded: bool
    confirmation_url: str = ""
    error: ItemError | None = None


class ConsentResults(msgspec.Struct, frozen=True):
    """Answer to a batch of words, one entry per item in order."""

    results: list[ConsentResult]


class SharingOptOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/compliance/ccpa/opt-out`. `source`: how she said it; the rest is kept sealed."""

    user_id: Name
    source: Annotated[str, Meta(min_length=1, max_length=100)]
    ip_address: Annotated[str, Meta(max_length=500)] = ""
    user_agent: Annotated[str, Meta(max_length=500)] = ""


class SharingOptedOut(msgspec.Struct, frozen=True):
    """It stands in the ledger, and `ccpa_status` says so."""

    opted_out: bool


class ProofQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of a proof. `as_of`: what she had said by then; now by default."""

    as_of: AwareTime | None = None


_CONSENT: Final = JsonBody(ConsentRequest)
_BATCH: Final = JsonBody(ConsentsRequest, max_bytes=MAX_BATCH_BYTES, envelope=True, shown=ConsentBatch)
_OPT_OUT: Final = JsonBody(SharingOptOut)


@route(
    "POST /api/v1/compliance/consent",
    Spec(
        tag="compliance",
        scope="compliance:write",
        body=_CONSENT,
        answers={200: ConsentRecorded},
        examples={"body": examples.CONSENT, "answer": {"recorded": True}},
    ),
)
async def record_consent(call: Call) -> Reply:
    """Record a user's word on a channel and a category.

    `channel` and `category` may be `all`. Its address, browser, page, wording and `evidence` are kept sealed. With
    `Sec-GPC: 1`, passed on from her browser, it is her opt-out of sale and sharing, too.
    """
    word = await call.read(_CONSENT)
    (outcome,) = await _record(call, [word])
    if isinstance(outcome, Permanent):
        raise outcome
    await heed_passed_signal(call, word.user_id)
    return json_reply(ConsentRecorded(recorded=True, confirmation_url=await _link(call, outcome)))


@route(
    "POST /api/v1/compliance/consent/batch",
    Spec(
        tag="compliance",
        scope="compliance:write",
        body=_BATCH,
        answers={200: ConsentResults},
        examples={
            "body": {"consents": [examples.CONSENT]},
            "answer": {"results": [{"index": 0, "recorded": True}]},
        },
    ),
)
async def record_consents_batch(call: Call) -> Reply:
    """Record up to 1000 words. A wrong one stops no other."""
    raw_items = (await call.read(_BATCH)).consents
    if not 1 <= len(raw_items) <= MAX_ITEMS:
        raise Invalid(f"has {len(raw_items)} items, where 1 to {MAX_ITEMS} can be taken at once", "consents")
    await call.charge(len(raw_items) - 1)
    items = [_decode(bytes(raw)) for raw in raw_items]
    recorded = iter(await _record(call, [item for item in items if isinstance(item, ConsentRequest)]))
    outcomes = [next(recorded) if isinstance(item, ConsentRequest) else item for item in items]
    return json_reply(ConsentResults([await _result(call, i, outcome) for i, outcome in enumerate(outcomes)]))


@route(
    "GET /api/v1/compliance/consent/{user_id}",
    Spec(tag="compliance", scope="compliance:read", rate="read", answers={200: ConsentView}),
)
async def show_consent(call: Call) -> Reply:
    """What a user said: the latest word per channel and category, newest first."""
    region = call.services.gateway.region
    view = await read_consent(call.tenant_id, call.param("user_id"), region.seals, region.consents)
    return json_reply(view)


@route(
    "GET /api/v1/compliance/consent/{user_id}/proof",
    Spec(
        tag="compliance",
        scope="compliance:read",
        rate="read",
        query=ProofQuery,
        answers={200: Proof},
    ),
)
async def prove_consent(call: Call) -> Reply:
    """All that a user had said by an instant, with its evidence in clear and its place in the chain, signed.

    `clarion audit verify --proof FILE` checks it, on any machine.
    """
    region = call.services.gateway.region
    now_ms = await region.pools.now_ms()
    as_of = call.query(ProofQuery).as_of
    as_of_ms = now_ms if as_of is None else int(as_of.timestamp() * 1000)
    if as_of_ms > now_ms:
        raise Invalid("lies ahead: nobody can prove what will be said", "as_of")
    name = call.param("user_id")
    user_id = await _find(call, name)
    end = await region.consents.chain_head(call.tenant_id) or (0, b"")
    events = await region.consents.events(call.tenant_id, user_id, as_of_ms)
    clear = await region.seals.unseal_evidence(call.tenant_id, user_id, [event.evidence for event in events])
    whose = Whose(format_id(call.tenant_id), name, as_of_ms, end)
    evidence = [msgspec.json.decode(one) if one else None for one in clear]
    return json_reply(make_proof(whose, events, evidence, Ed25519Signer(region.root, PURPOSE)))


@route(
    "POST /api/v1/compliance/ccpa/opt-out",
    Spec(
        tag="compliance",
        scope="compliance:write",
        body=_OPT_OUT,
        answers={200: SharingOptedOut},
        examples={"body": {"user_id": "ada", "source": "privacy page"}, "answer": {"opted_out": True}},
    ),
)
async def opt_out_of_sale(call: Call) -> Reply:
    """Record that a consumer wants nothing of hers sold or shared (CCPA). It stops no message; again is no error."""
    body = await call.read(_OPT_OUT)
    for name in ("user_id", "source", "ip_address", "user_agent"):
        check_storable(getattr(body, name), name)
    said = {"ip_address": body.ip_address, "user_agent": body.user_agent}
    evidence: dict[str, Any] = {name: value for name, value in said.items() if value}
    ids = await call.services.gateway.region.seals.find_ids(call.tenant_id, [body.user_id])
    if body.user_id not in ids:
        raise Unknown("names an unknown user: PUT the user first", "user_id")
    await opt_out_of_sharing(call.tenant_id, ids[body.user_id], body.source, evidence, _ports(call))
    return json_reply(SharingOptedOut(opted_out=True))


async def _record(call: Call, requests: Sequence[ConsentRequest]) -> Sequence[Permanent | Pending | None]:
    if not requests:
        return []
    config = await call.services.gateway.region.configs.get(call.tenant_id)
    outcomes = await record_consents(call.tenant_id, requests, config.categories, _ports(call))
    heard = zip(requests, outcomes, strict=True)
    changed = {request.user_id for request, outcome in heard if not isinstance(outcome, Permanent)}
    if changed:
        await call.services.cards.refresh(call.tenant_id, sorted(changed))
    return outcomes


def _ports(call: Call) -> ConsentPorts:
    region = call.services.gateway.region
    return ConsentPorts(region.seals, region.consents, lambda: make_ids(1, region.clock.now_ms()))


async def _find(call: Call, external_id: str) -> int:
    ids = await call.services.gateway.region.seals.find_ids(call.tenant_id, [external_id])
    if external_id not in ids:
        raise NotFound("there is no such user")
    return ids[external_id]


async def _link(call: Call, outcome: Permanent | Pending | None) -> str:
    if not isinstance(outcome, Pending):
        return ""
    config = await call.services.gateway.region.configs.get(call.tenant_id)
    base_url = config.tenant.public_url or public_url_of(call.services.gateway.region.settings)
    return confirmation_url(call, outcome, base_url)


def _decode(raw: bytes) -> ConsentRequest | Invalid:
    try:
        return _CONSENT.decode(raw)
    except Invalid as error:
        return error


async def _result(call: Call, index: int, outcome: Permanent | Pending | None) -> ConsentResult:
    if isinstance(outcome, ClarionError):
        return ConsentResult(index, recorded=False, error=describe_error(outcome))
    return ConsentResult(index, recorded=True, confirmation_url=await _link(call, outcome))


ROUTES: Final[tuple[Route, ...]] = (
    record_consent,
    record_consents_batch,
    show_consent,
    prove_consent,
    opt_out_of_sale,
)
