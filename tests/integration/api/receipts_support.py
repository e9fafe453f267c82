"""Deliveries in every state that a receipt can find them in, and receipts about them."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from typing import Any

import msgspec

from clarion.adapters.postgres.deliveries import PostgresDeliveryStore
from clarion.adapters.providers.standard_webhooks import sign
from clarion.delivery.costs import CostMeter
from clarion.delivery.figures import Figures
from clarion.delivery.model import Conclusion
from clarion.delivery.ports import Intent
from clarion.entrypoints.hooks.receipts import receipt_address
from clarion.entrypoints.workers.projector import Counts, project
from clarion.kernel.ids import format_id
from clarion.testing.http import HttpAnswer
from clarion.testing.waiting import eventually
from tests.integration.api.support import Api, Caller

LEASE_MS = 30_000
AT = "2026-01-01T00:00:00Z"

_DUE = "SELECT count(*) FROM receipt_inbox WHERE tenant_id = $1 AND retry_at <= now()"


@dataclass(frozen=True)
class Delivery:
    """One delivery of a notification, as the tests drive it."""

    api: Api
    caller: Caller
    notification_id: str
    ident: bytes

    @property
    def delivery_id(self) -> str:
        """As the API has it."""
        return format_id(self.ident)

    async def begin(self, provider: str = "sandbox-email") -> int:
        """Commit the intent to send it; its epoch. A worker holds it from now on."""
        (epoch,) = (
            await self._store().begin([Intent(self.ident, await self._epoch(), provider)], lease_ms=LEASE_MS)
        ).values()
        return epoch

    async def conclude(self, epoch: int, status: str = "sent", **fields: Any) -> bool:
        """Commit how the attempt ended; False where that came too late."""
        entry = msgspec.json.encode({"n": 1, "at_ms": 1, "outcome": status})
        conclusion = Conclusion(
            self.ident, epoch, status, "sandbox-email", attempt_entry=entry, attempted=True
        )
        return bool(await self._store().conclude([msgspec.structs.replace(conclusion, **fields)], []))

    async def lose_worker(self) -> None:
        """Let the lease of whoever holds it end."""
        await self.query(
            "UPDATE open_deliveries SET leased_until = now() - interval '1 s' WHERE global_id = $1"
        )

    async def is_open(self) -> bool:
        """Whether anybody will still send it."""
        return bool(await self.query("SELECT FROM open_deliveries WHERE global_id = $1"))

    async def query(self, statement: str) -> list[Any]:
        """The rows that a statement about it gives."""
        async with self.api.gateway.region.pools.pipeline() as connection:
            return await connection.fetch(statement, self.ident)

    async def shown(self) -> dict[str, Any]:
        """As `GET /notifications` has it."""
        found = (await self.caller.call(f"GET /notifications/{self.notification_id}")).json()
        return next(one for one in found["deliveries"] if one["delivery_id"] == self.delivery_id)

    async def log(self) -> list[dict[str, Any]]:
        """Its attempts and what was noted, as the trace has them."""
        found = (await self.caller.call(f"GET /notifications/{self.notification_id}/trace")).json()
        traced = next(one for one in found["deliveries"] if one["delivery_id"] == self.delivery_id)
        return traced["attempts"]

    async def _epoch(self) -> int:
        (row,) = await self.query("SELECT lease_epoch FROM open_deliveries WHERE global_id = $1")
        return row["lease_epoch"]

    def _store(self) -> PostgresDeliveryStore:
        return PostgresDeliveryStore(self.api.gateway.region.pools)


async def queued(api: Api, caller: Caller, user_id: str = "ada", **fields: Any) -> Delivery:
    """A delivery that waits to be sent, to a user who is there."""
    ident = (await caller.notify(user_id=user_id, **fields))["notification_id"]
    shown = (await caller.call(f"GET /notifications/{ident}")).json()
    delivery_id = shown["deliveries"][0]["delivery_id"]
    return Delivery(api, caller, ident, bytes.fromhex(delivery_id.replace("-", "")))


async def sent(api: Api, caller: Caller, user_id: str = "ada", **fields: Any) -> Delivery:
    """A delivery that went out."""
    delivery = await queued(api, caller, user_id, **fields)
    assert await delivery.conclude(await delivery.begin())
    return delivery


@dataclass(frozen=True)
class Teller:
    """Says things of deliveries, through the webhook of an account of ours, and has them folded."""

    api: Api
    caller: Caller
    account: str = "sandbox-email"

    async def say(self, delivery: Delivery, *kinds: str, at: str = AT) -> None:
        """One word or several, in this order, each in a call of its own; folded as far as they can be."""
        for kind in kinds:
            answer = await self.post(delivery, kind, at)
            assert (answer.status, answer.json()) == (200, {"received": 1})
            await self.fold()

    async def post(self, delivery: Delivery, kind: str, at: str = AT) -> HttpAnswer:
        """One call with one word."""
        item = {"receipt_id": f"{kind}-{at}", "delivery_id": delivery.delivery_id, "kind": kind, "at": at}
        raw = msgspec.json.encode({"receipts": [item]})
        region = self.api.gateway.region
        config = next(
            one
            for one in (await region.configs.get(self.caller.tenant_id)).providers
            if one.name == self.account
        )
        address = receipt_address(config, region.sealer, with_secret=True)
        assert address is not None
        assert address.signing_secret is not None
        at_s = region.clock.now_ms() // 1000
        headers = {
            "content-type": "application/json",
            "webhook-id": kind,
            "webhook-timestamp": str(at_s),
            "webhook-signature": sign(address.signing_secret, kind, at_s, raw),
        }
        return await self.api.client().request(f"POST {address.url}", body=raw, headers=headers)

    async def fold(self, *, again: bool = False) -> Counts:
        """Fold what is there (`again`: also what was put off); what was counted with it, as far as it was done here."""
        region = self.api.gateway.region
        if again:
            async with region.pools.pipeline() as connection:
                await connection.execute(
                    "UPDATE receipt_inbox SET retry_at = now() WHERE tenant_id = $1", self.caller.tenant_id
                )
        counts = Counts(Figures(), CostMeter())

        async def left() -> int:
            while await project(region, counts):
                pass
            async with region.pools.pipeline() as connection:
                return await connection.fetchval(_DUE, self.caller.tenant_id)

        # Other processes of the session fold too, and may be at it.
        await eventually(left, lambda count: not count)
        return counts


PLIVO_TOKEN = "plivo-token"
PLIVO = {
    "kind": "plivo",
    "channel": "sms",
    "settings": {"auth_id": "MA" + "X" * 18, "from": "+15550100"},
    "credentials": {"auth_token": PLIVO_TOKEN},
}


async def plivo_calls(
    api: Api, url: str, nonce: str, fields: dict[str, str], token: str = PLIVO_TOKEN
) -> HttpAnswer:
    """A callback as Plivo makes it, signed as its messages are (V2: the url without its query, and a nonce)."""
    place = (
        f"http://{api.gateway.region.settings.host}:{api.gateway.region.settings.port}{url.partition('?')[0]}"
    )
    signature = hmac.digest(token.encode(), (place + nonce).encode(), "sha256")
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-plivo-signature-v2": base64.b64encode(signature).decode(),
        "x-plivo-signature-v2-nonce": nonce,
    }
    body = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
    return await api.client().request(f"POST {url}", body=body, headers=headers)
