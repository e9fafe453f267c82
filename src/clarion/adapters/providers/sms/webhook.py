"""What readers of text vendors' webhooks share: forms, JSON, numbers, times and prices."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from clarion.adapters.providers.proof import delivery_id, refuse, secret_of
from clarion.adapters.providers.webhooks import WebhookCall
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

DELIVERY_PARAMETER: Final = "delivery"
"""The query parameter of a receipts url that says which delivery it is about."""

PREVIOUS: Final = "previous_"
"""What the name of a credential begins with that is being replaced."""

OUR_PARAMETERS: Final = frozenset({"tenant", "token", DELIVERY_PARAMETER})
"""What of a receipts url's query is ours, and so nothing that a vendor says."""

_MICROS: Final = 1_000_000
_MOST: Final = 10_000
"""No text message costs as much as this, in any currency that vendors bill in."""

_MOST_FIELDS: Final = 200


def secrets_of(account: ProviderConfig, name: str) -> list[str]:
    """The credentials that prove webhooks: the account's, and the previous one while a change is under way.

    Vendors go on signing with the old secret for a while, or begin with the new one at once. Raises Refused.
    """
    previous = account.credentials.get(f"{PREVIOUS}{name}", "")
    return [secret_of(account, name), *([previous] if previous else [])]


def check_among(expected: Sequence[str], given: str) -> None:
    """Raise Refused unless `given` is one of the signatures that the account's secrets make."""
    if not any(hmac.compare_digest(one.encode(), given.encode()) for one in expected):
        raise refuse("the webhook's signature is not this account's")


def read_form(raw: bytes) -> list[tuple[str, str]]:
    """The fields of an url-encoded body, in order. Raises Invalid."""
    try:
        return parse_qsl(
            raw.decode(), keep_blank_values=True, strict_parsing=bool(raw), max_num_fields=_MOST_FIELDS
        )
    except ValueError as error:
        raise Invalid("the body is no form") from error


def read_json(raw: bytes) -> dict[str, Any]:
    """The fields of a JSON body. Raises Invalid."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("the body is no JSON object") from error


def fields_of(call: WebhookCall) -> dict[str, Any]:
    """The fields of a call, from its body or, for a GET, its query. Raises Invalid."""
    if call.method == "GET":
        query = read_form(urlsplit(call.url).query.encode())
        return {name: value for name, value in query if name not in OUR_PARAMETERS}
    if "json" in call.headers.get("content-type", ""):
        return read_json(call.raw)
    return dict(read_form(call.raw))


def text_field(fields: Mapping[str, Any], name: str) -> str:
    """A field as text; "" where it is missing."""
    value = fields.get(name)
    return "" if value is None else str(value)


def delivery_of(url: str) -> bytes:
    """The delivery that a receipts url names; b"" where it names none."""
    query = dict(parse_qsl(urlsplit(url).query))
    return delivery_id(query.get(DELIVERY_PARAMETER, ""))


def with_delivery(url: str, delivery: bytes) -> str:
    """A receipts url that names a delivery."""
    return f"{url}{'&' if '?' in url else '?'}{DELIVERY_PARAMETER}={delivery.hex()}"


def price_micros(amount: object) -> int | None:
    """What a vendor says that a message cost, in millionths; None where it says nothing. Debits may come negative."""
    if amount in (None, ""):
        return None
    try:
        price = Decimal(str(amount))
    except InvalidOperation:
        return None
    return int(abs(price) * _MICROS) if price.is_finite() and abs(price) < _MOST else None


def time_of(text: str, otherwise_ms: int) -> int:
    """UTC milliseconds of a vendor's time (`2026-01-31T12:00:00Z`, `2026-01-31 12:00:00 +0000`, without a zone: UTC).

    `otherwise_ms` where it is none.
    """
    try:
        at = datetime.fromisoformat(text.strip().replace(" +", "+").replace(" -", "-"))
    except ValueError:
        return otherwise_ms
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def number_from(text: str) -> str:
    """A number as profiles have it, from the digits that a vendor says; "" for anything else."""
    digits = text.removeprefix("+")
    return f"+{digits}" if digits.isascii() and digits.isdecimal() else ""
