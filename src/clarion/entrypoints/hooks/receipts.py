"""What providers say later about messages: `POST /api/v1/receipts/{account}`, for every kind that says anything.

    token in the url ─▶ who it is, and how often ─▶ the kind's reader proves and reads ─▶ durable ─▶ 200

The url says whose account it is, with a token that nobody can guess: whoever makes one up costs a hash. Each kind's
reader proves the call by the vendor's signature over the raw bytes. Where we choose the secret ourselves, it follows
from the master key, the tenant and the account's name; whoever may write the account may read it.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import parse_qsl, quote

import msgspec
import structlog
from msgspec import Meta

from clarion.adapters.providers.registry import find_reader
from clarion.adapters.providers.sandbox.receipts import ReceiptsRequest
from clarion.adapters.providers.standard_webhooks import PREFIX
from clarion.adapters.providers.webhooks import Feedback, WebhookCall, WebhookRead, WebhookReader
from clarion.audience.ports import Sealer
from clarion.audience.users import address_hmac
from clarion.bootstrap import public_url_of
from clarion.delivery.intake import Arrival
from clarion.delivery.model import Receipt
from clarion.delivery.receipts import clipped
from clarion.entrypoints.api.body import JsonBody, read_body
from clarion.entrypoints.api.errors import HttpError
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.hooks.inbound import answer_text, take_text
from clarion.kernel.errors import Invalid, NotFound, Refused, Transient
from clarion.kernel.ids import UUID_BYTES, format_id, parse_id
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.model import Principal

MAX_BYTES: Final = 4 << 20
"""Vendors call with up to 768 kB; a bounced mail comes with the mail."""

PER_ARRIVAL: Final = 1000
"""Receipts that are kept together at most: what cannot be folded is taken apart again."""

SIGNED_BY_US: Final = frozenset({"sandbox", "smtp"})
"""Kinds whose webhooks nobody signs but who has our secret."""

NEVER_AGAIN: Final = frozenset({"mailgun"})
"""Kinds that call again for hours unless they are told 406 where a call can never be taken."""

TOKEN_BYTES: Final = 15

_log = structlog.get_logger("receipts")


class ReceiptAddress(msgspec.Struct, frozen=True):
    """Where an account's receipts are sent, and the secret that signs them.

    `url` goes after this region's public address; for a key that may not write the account it is without its token.
    `signing_secret`: null where the vendor has its own, and for such keys.
    """

    url: str
    signing_secret: str | None


class ReceiptsTaken(msgspec.Struct, frozen=True):
    """How many receipts the call brought; they are durable. Those of other tenants' deliveries change nothing."""

    received: int


class ReceiptParameters(msgspec.Struct, frozen=True):
    """Whose account it is, as the account's own `receipts.url` says. Vendors add what they like."""

    tenant: Annotated[str, Meta(max_length=36)] = ""
    token: Annotated[str, Meta(max_length=64)] = ""


def receipt_address(config: ProviderConfig, sealer: Sealer, *, with_secret: bool) -> ReceiptAddress | None:
    """Where receipts of an account go; None for kinds that send none."""
    if find_reader(config.kind) is None:
        return None
    url = f"/api/v1/receipts/{quote(config.name, safe='')}?tenant={format_id(config.tenant_id)}"
    if not with_secret:
        return ReceiptAddress(url, None)
    secret = None
    if config.kind in SIGNED_BY_US:
        secret = PREFIX + base64.b64encode(_secret(config.tenant_id, config.name, sealer)).decode()
    return ReceiptAddress(f"{url}&token={_token(config.tenant_id, config.name, sealer)}", secret)


def _secret(tenant_id: bytes, name: str, sealer: Sealer) -> bytes:
    return sealer.blind(tenant_id, b"receipts:" + name.encode())


def _token(tenant_id: bytes, name: str, sealer: Sealer) -> str:
    blinded = sealer.blind(tenant_id, b"receipts-url:" + name.encode())
    return base64.urlsafe_b64encode(blinded[:TOKEN_BYTES]).decode()


async def _take(call: Call) -> Reply:
    name = call.param("provider_name")
    region = call.services.gateway.region
    tenant_id = _tenant_of(call, name)
    call.principal = Principal(tenant_id, f"receipts:{name}", "live", frozenset())
    await call.charge(1)
    raw = await read_body(call.request.receive, call.trip.headers, MAX_BYTES, call.services.patience)
    config = await region.configs.get(tenant_id)
    account = next((one for one in config.providers if one.name == name), None)
    reader = None if account is None else find_reader(account.kind)
    if account is None or reader is None:
        raise NotFound("there is no such account")
    read = await _prove(call, account, reader, raw)
    taken = ReceiptsTaken(len(read.feedback) + (read.inbound is not None))
    is_new = not await _is_taken(call, read)
    if read.inbound is not None:
        text = await take_text(call, account, read.inbound) if is_new else ""
        await _note(call, read)
        return answer_text(account, read.inbound, text) or json_reply(taken)
    if is_new:
        await _keep(call, account, read)
    return json_reply(taken)


def _tenant_of(call: Call, name: str) -> bytes:
    """Whose url it is. Raises NotFound where it is none that we gave."""
    given = _query(call)
    tenant_id = parse_id(given.get("tenant", ""))
    if tenant_id is not None:
        expected = _token(tenant_id, name, call.services.gateway.region.sealer)
        if hmac.compare_digest(expected.encode(), given.get("token", "").encode()):
            return tenant_id
    raise NotFound("there is no such account: take the url that it shows as `receipts.url`")


def _query(call: Call) -> Mapping[str, str]:
    query = call.request.scope["query_string"].decode("ascii", "replace")
    try:
        return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=50))
    except ValueError:
        return {}


async def _prove(call: Call, account: ProviderConfig, reader: WebhookReader, raw: bytes) -> WebhookRead:
    """What a proven call says. Raises HttpError where it is not proven, or is none; Transient."""
    region = call.services.gateway.region
    scope = call.request.scope
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    webhook = WebhookCall(
        method=call.route.method,
        url=public_url_of(region.settings) + target.decode("latin-1"),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        raw=raw,
        now_ms=region.clock.now_ms(),
        secret=_secret(account.tenant_id, account.name, region.sealer)
        if account.kind in SIGNED_BY_US
        else b"",
    )
    try:
        return await reader(webhook, account, call.services.fetcher.fetch)
    except Refused as error:
        _log.warning("webhook_refused", provider=account.name, reason=error.detail)
        raise HttpError(_final(account, 401), error.detail) from error
    except Invalid as error:
        _log.warning("webhook_invalid", provider=account.name, path=error.path, reason=error.detail)
        if account.kind in NEVER_AGAIN:
            raise HttpError(406, error.detail) from error
        raise


def _final(account: ProviderConfig, status: int) -> int:
    return 406 if account.kind in NEVER_AGAIN else status


async def _is_taken(call: Call, read: WebhookRead) -> bool:
    """Whether the call was taken before. While Valkey is away: no; what it says again changes nothing."""
    if read.replay_key:
        with contextlib.suppress(Transient):
            return await call.services.replays.is_taken(call.tenant_id, read.replay_key)
    return False


async def _keep(call: Call, account: ProviderConfig, read: WebhookRead) -> None:
    """Keep what a call said, and only then that it was taken. Raises Throttled, Transient."""
    region = call.services.gateway.region
    now_ms = region.clock.now_ms()
    receipts = [
        clipped(_receipt(account, feedback, region.sealer), now_ms)
        for feedback in read.feedback
        if feedback.provider_message_id or len(feedback.delivery_id) == UUID_BYTES
    ]
    for start in range(0, len(receipts), PER_ARRIVAL):
        part = receipts[start : start + PER_ARRIVAL]
        await call.services.intake.take(Arrival(account.tenant_id, account.name, part))
    await _note(call, read)


async def _note(call: Call, read: WebhookRead) -> None:
    """Remember that a call was taken, where that can be told from the call."""
    if read.replay_key:
        with contextlib.suppress(Transient):
            await call.services.replays.note(call.tenant_id, read.replay_key)


def _receipt(account: ProviderConfig, feedback: Feedback, sealer: Sealer) -> Receipt:
    is_visit = feedback.kind in {"opened", "clicked"}
    return Receipt(
        feedback.event_id,
        feedback.delivery_id,
        "machine" if is_visit and feedback.is_machine else feedback.kind,
        feedback.at_ms,
        feedback.detail,
        feedback.provider_message_id,
        feedback.code,
        feedback.cost_micros,
        address_hmac(account.tenant_id, account.channel, feedback.address, sealer),
    )


_ASKED: Final = Spec(
    tag="receipts",
    scope=None,
    rate="receipts",
    body=JsonBody(ReceiptsRequest),
    query=ReceiptParameters,
    answers={200: ReceiptsTaken},
    problems=(401, 404, 406, 429),
)


@route("POST /api/v1/receipts/{provider_name}", _ASKED)
async def take_receipts(call: Call) -> Reply:
    """Take a provider's receipts.

    The body is the provider's own webhook, and its signature is checked; a sandbox's is described here. Receipts may
    come late, repeated and in any order: a delivery's status only advances. Text messages that come in are taken here,
    too: STOP, START and HELP are done, and answered in the vendor's XML.
    """
    return await _take(call)


@route("GET /api/v1/receipts/{provider_name}", msgspec.structs.replace(_ASKED, body=None))
async def take_receipts_by_get(call: Call) -> Reply:
    """Take a receipt of a provider that is set to say it in the query."""
    return await _take(call)


ROUTES: Final[tuple[Route, ...]] = (take_receipts, take_receipts_by_get)
