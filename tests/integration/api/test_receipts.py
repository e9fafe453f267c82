"""A provider's receipts: signed, durable, of one's own deliveries only."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clarion.adapters.providers.proof import TOLERANCE_MS
from clarion.adapters.providers.standard_webhooks import sign
from clarion.testing.http import HttpAnswer
from tests.integration.api.receipts_support import Teller
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

AT = "2026-01-01T00:00:00Z"


async def address(caller: Caller, name: str = "sandbox-email") -> tuple[str, str]:
    """Where receipts of an account go, and its secret."""
    shown = (await caller.call(f"GET /providers/{name}")).json()["receipts"]
    return shown["url"], shown["signing_secret"]


async def sent_delivery(api: Api, caller: Caller) -> tuple[str, str]:
    """A notification whose delivery is said to be sent, and the delivery's id."""
    await caller.user()
    ident = (await caller.notify())["notification_id"]
    async with api.gateway.region.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE notifications SET status = 'sent' WHERE tenant_id = $1", caller.tenant_id
        )
        await connection.execute("DELETE FROM open_deliveries WHERE tenant_id = $1", caller.tenant_id)
    shown = (await caller.call(f"GET /notifications/{ident}")).json()
    return ident, shown["deliveries"][0]["delivery_id"]


def receipts(*delivery_ids: str, kind: str = "delivered", **fields: Any) -> dict[str, Any]:
    items = [
        {"receipt_id": f"{ident}-{kind}", "delivery_id": ident, "kind": kind, "at": AT, **fields}
        for ident in delivery_ids
    ]
    return {"receipts": items}


async def post(api: Api, url: str, secret: str, body: Any, *, age_s: int = 0) -> HttpAnswer:
    raw = msgspec.json.encode(body)
    at_s = api.gateway.region.clock.now_ms() // 1000 - age_s
    headers = {
        "content-type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,AAAA {sign(secret, 'msg_1', at_s, raw)}",
    }
    return await api.client().request(f"POST {url}", body=raw, headers=headers)


async def test_a_signed_receipt_moves_its_delivery_on_and_never_back(api: Api, caller: Caller):
    ident, delivery_id = await sent_delivery(api, caller)
    url, secret = await address(caller)
    for kind in ("engaged", "delivered", "delivered"):
        answer = await post(api, url, secret, receipts(delivery_id, kind=kind))
        assert (answer.status, answer.json()) == (200, {"received": 1})
        await Teller(api, caller).fold()
    shown = (await caller.call(f"GET /notifications/{ident}")).json()["deliveries"][0]
    assert (shown["status"], shown["delivered_at"]) == ("engaged", "2026-01-01T00:00:00.000Z")


async def test_a_forged_late_or_altered_receipt_is_refused(api: Api, caller: Caller, other: Caller):
    _, delivery_id = await sent_delivery(api, caller)
    url, secret = await address(caller)
    _, their_secret = await address(other)
    _, sms_secret = await address(caller, "sandbox-sms")
    body = receipts(delivery_id)
    assert (await post(api, url, their_secret, body)).status == 401
    assert (await post(api, url, sms_secret, body)).status == 401
    assert (await post(api, url, secret, body, age_s=TOLERANCE_MS // 1000 + 5)).status == 401
    assert (await post(api, url, secret, body, age_s=-TOLERANCE_MS // 1000 - 5)).status == 401
    assert (await api.client().request(f"POST {url}", body)).status == 401
    signed = {"webhook-id": "a", "webhook-timestamp": "soon", "webhook-signature": "v1,x"}
    assert (await api.client().request(f"POST {url}", body, headers=signed)).status == 401


async def test_receipts_of_other_tenants_deliveries_change_nothing(api: Api, caller: Caller, other: Caller):
    _, delivery_id = await sent_delivery(api, caller)
    ident, own_id = await sent_delivery(api, other)
    url, secret = await address(other)
    assert (await post(api, url, secret, receipts(delivery_id, kind="engaged"))).json() == {"received": 1}
    assert (await post(api, url, secret, receipts(delivery_id, own_id))).json() == {"received": 2}
    await Teller(api, other).fold()
    assert (await other.call(f"GET /notifications/{ident}")).json()["status"] == "delivered"
    listed = (await caller.call("GET /notifications")).json()["notifications"]
    assert listed[0]["deliveries"][0]["status"] == "sent"


async def test_accounts_without_a_webhook_are_not_there(api: Api, caller: Caller):
    url, secret = await address(caller)
    assert (await post(api, url.partition("?")[0], secret, receipts("0" * 32))).status == 404
    assert (await post(api, url[:-1] + "~", secret, receipts("0" * 32))).status == 404
    assert (await caller.call("DELETE /providers/sandbox-email")).status == 204
    assert (await post(api, url, secret, receipts("0" * 32))).status == 404


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"receipts": []}, "receipts"),
        (receipts("not-a-uuid-but-of-its-length-really!"), "receipts[0].delivery_id"),
        (receipts("0" * 32, kind="eaten"), "receipts[0].kind"),
        (receipts("0" * 32, at="yesterday"), "receipts[0].at"),
        (receipts(*["0" * 32] * 1001), "receipts"),
    ],
)
async def test_receipts_that_cannot_be(api: Api, caller: Caller, body: Any, path: str):
    answer = await post(api, *await address(caller), body)
    assert answer.status == 400
    assert answer.json()["errors"][0]["path"] == path


async def test_only_who_may_write_the_account_reads_its_secret(api: Api, caller: Caller):
    reader = api.client(await api.key(caller.tenant_id, ["providers:read"]))
    shown = (await reader.request("GET /api/v1/providers/sandbox-email")).json()["receipts"]
    assert shown["signing_secret"] is None
    assert shown["url"].startswith("/api/v1/receipts/sandbox-email?tenant=")


async def test_a_flood_of_receipts_is_told_to_come_back(api: Api):
    caller = await api.tenant(rate_per_s=0.01, rate_burst=3)
    url, secret = await address(caller)
    body = receipts("0" * 32)
    statuses = [(await post(api, url, secret, body)).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
