"""What providers say later about messages. The caller is known by a signature over the raw body.

The sandbox signs as Standard Webhooks has it: `webhook-id`, `webhook-timestamp` (seconds since 1970), and
`webhook-signature: v1,<base64 of HMAC-SHA256 over "id.timestamp.body">`, several of them separated by spaces. The
secret follows from the master key, the tenant and the account's name; whoever may write the account may read it.
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import Annotated, Final, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta

from clarion.audience.ports import Sealer
from clarion.contracts.commands import AwareTime, Name
from clarion.delivery.model import Receipt
from clarion.entrypoints.api.body import MAX_ITEMS, JsonBody
from clarion.entrypoints.api.errors import HttpError
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import Invalid, NotFound
from clarion.kernel.ids import format_id, parse_id
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.model import Principal
from clarion.tenancy.provision import SANDBOX

TOLERANCE_S: Final = 300
"""How far a signature's time may lie from the store's, either way. A repeat within it changes nothing: receipts only
ever advance a delivery."""

PREFIX: Final = "whsec_"
"""What secrets begin with in Standard Webhooks."""

_TIMESTAMP: Final = re.compile(rb"\d{1,12}")


class ReceiptAddress(msgspec.Struct, frozen=True):
    """Where an account's receipts are sent, and the secret that signs them (null: this key may not read it)."""

    url: str
    signing_secret: str | None


class ReceiptItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One word on one delivery."""

    receipt_id: Name
    delivery_id: Annotated[str, Meta(min_length=32, max_length=36)]
    kind: Literal["delivered", "engaged", "failed", "complained"]
    at: AwareTime
    detail: Annotated[str, Meta(max_length=500)] = ""


class ReceiptsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a sandbox's webhook."""

    receipts: Annotated[list[ReceiptItem], Meta(min_length=1, max_length=MAX_ITEMS)]


class ReceiptsTaken(msgspec.Struct, frozen=True):
    """How many of the receipts are about deliveries of this tenant; they are durable."""

    received: int


class ReceiptParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose account it is, as the account's own `receipts.url` says."""

    tenant: Annotated[str, Meta(max_length=36)] = ""


_RECEIPTS: Final = JsonBody(ReceiptsRequest)


def receipt_address(config: ProviderConfig, sealer: Sealer, *, with_secret: bool) -> ReceiptAddress | None:
    """Where receipts of an account go; None for kinds that have no webhook of ours."""
    if config.kind != SANDBOX:
        return None
    secret = base64.b64encode(_secret(config.tenant_id, config.name, sealer)).decode()
    url = f"/api/v1/receipts/{quote(config.name, safe='')}?tenant={format_id(config.tenant_id)}"
    return ReceiptAddress(url, PREFIX + secret if with_secret else None)


def sign(secret: str, message_id: str, at_s: int, body: bytes) -> str:
    """The `webhook-signature` of a body, with a secret as `ReceiptAddress` has it."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + _signature(key, message_id.encode(), b"%d" % at_s, body).decode()


def _secret(tenant_id: bytes, name: str, sealer: Sealer) -> bytes:
    return sealer.blind(tenant_id, b"receipts:" + name.encode())


def _signature(key: bytes, message_id: bytes, at_s: bytes, body: bytes) -> bytes:
    return base64.b64encode(hmac.digest(key, b"%s.%s.%s" % (message_id, at_s, body), "sha256"))


@route(
    "POST /api/v1/receipts/{provider_name}",
    Spec(
        tag="receipts",
        scope=None,
        body=_RECEIPTS,
        query=ReceiptParameters,
        answers={200: ReceiptsTaken},
        problems=(401, 404, 429),
    ),
)
async def take_receipts(call: Call) -> Reply:
    """Take a provider's receipts.

    The body is the provider's own webhook, and its signature is checked. Receipts may come late, repeated and in any
    order: a delivery's status only advances.
    """
    name = call.param("provider_name")
    tenant_id = parse_id(call.query(ReceiptParameters).tenant)
    if tenant_id is None:
        raise NotFound("there is no such account: take the url that it shows as `receipts.url`")
    region = call.services.gateway.region
    raw = await call.raw()
    # Before any store is asked: a forged call costs one hash.
    _check_signature(call, _secret(tenant_id, name, region.sealer), raw)
    call.principal = Principal(tenant_id, f"receipts:{name}", "live", frozenset())
    await call.charge(1)
    config = await region.configs.get(tenant_id)
    if not any(provider.name == name and provider.kind == SANDBOX for provider in config.providers):
        raise NotFound("there is no such account")
    receipts = _receipts(_RECEIPTS.decode(raw), region.clock.now_ms())
    owned = await region.notifications.owned(tenant_id, {receipt.delivery_id for receipt in receipts})
    taken = [receipt for receipt in receipts if receipt.delivery_id in owned]
    if taken:
        await region.receipts.put(name, taken)
    return json_reply(ReceiptsTaken(len(taken)))


def _check_signature(call: Call, key: bytes, raw: bytes) -> None:
    headers = call.trip.headers
    message_id, at = headers.get(b"webhook-id", b""), headers.get(b"webhook-timestamp", b"")
    now_s = call.services.gateway.region.clock.now_ms() // 1000
    if not message_id or not _TIMESTAMP.fullmatch(at) or abs(int(at) - now_s) > TOLERANCE_S:
        raise HttpError(401, "the webhook's id is missing, or its timestamp is not of these minutes")
    expected = b"v1," + _signature(key, message_id, at, raw)
    given = headers.get(b"webhook-signature", b"").split(b" ")
    if not any(hmac.compare_digest(expected, signature) for signature in given):
        raise HttpError(401, "the webhook's signature is not this account's")


def _receipts(request: ReceiptsRequest, now_ms: int) -> list[Receipt]:
    receipts: list[Receipt] = []
    for index, item in enumerate(request.receipts):
        delivery_id = parse_id(item.delivery_id)
        if delivery_id is None:
            raise Invalid("is no UUID", f"receipts[{index}].delivery_id")
        at_ms = min(int(item.at.timestamp() * 1000), now_ms)
        receipts.append(Receipt(item.receipt_id, delivery_id, item.kind, at_ms, item.detail))
    return receipts


ROUTES: Final[tuple[Route, ...]] = (take_receipts,)
