"""The sandbox's webhook: receipts in our own words."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

import msgspec
from msgspec import Meta

from clarion.adapters.providers.base import read_settings
from clarion.adapters.providers.standard_webhooks import check_standard
from clarion.adapters.providers.webhooks import Feedback, FeedbackKind, Fetch, WebhookCall, WebhookRead
from clarion.contracts.commands import AwareTime, Name
from clarion.kernel.errors import Invalid
from clarion.kernel.ids import parse_id
from clarion.kernel.text import check_storable
from clarion.tenancy.config import ProviderConfig

MAX_RECEIPTS: Final = 1000


class ReceiptItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One word on one delivery."""

    receipt_id: Name
    delivery_id: Annotated[str, Meta(min_length=32, max_length=36)]
    kind: FeedbackKind
    at: AwareTime
    detail: Annotated[str, Meta(max_length=500)] = ""


class ReceiptsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a sandbox's webhook."""

    receipts: Annotated[list[ReceiptItem], Meta(min_length=1, max_length=MAX_RECEIPTS)]


async def read_sandbox(call: WebhookCall, account: ProviderConfig, fetch: Fetch, /) -> WebhookRead:
    """Receipts of a sandbox. `WebhookReader`."""
    del account, fetch
    replay_key = check_standard(call)
    return WebhookRead([_feedback(index, item) for index, item in enumerate(_items(call.raw))], replay_key)


def _items(raw: bytes) -> list[ReceiptItem]:
    try:
        body: object = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("the body is no JSON") from error
    if not isinstance(body, dict):
        raise Invalid("the body is no JSON object")
    check_storable(cast("object", body), "")
    return read_settings("", cast("dict[str, Any]", body), ReceiptsRequest).receipts


def _feedback(index: int, item: ReceiptItem) -> Feedback:
    delivery_id = parse_id(item.delivery_id)
    if delivery_id is None:
        raise Invalid("is no UUID", f"receipts[{index}].delivery_id")
    at_ms = int(item.at.timestamp() * 1000)
    return Feedback(item.receipt_id, item.kind, at_ms, delivery_id, detail=item.detail)
