"""A message's whole way with a vendor that cannot echo our id: out through its double, and back by its callback."""

from __future__ import annotations

import asyncio

import pytest

from clarion.bootstrap import open_worker
from clarion.entrypoints.workers.main import Unwatched
from clarion.testing.stores import SharedStores
from clarion.testing.vendors import PlivoDouble, serve
from clarion.testing.vendors.plivo import AUTH_ID, AUTH_TOKEN
from tests.integration.api.receipts_support import Teller, plivo_calls
from tests.integration.api.support import running_api
from tests.integration.workers.support import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMS = {"channel_selection": "specified", "channels": ["sms"]}


async def test_two_texts_of_one_call_are_told_apart_by_what_plivo_calls_them(stores: SharedStores):
    urls = stores.postgres_url, stores.valkey_url
    async with (
        running_api(*urls, egress_allow="127.0.0.0/8") as api,
        open_worker(api.gateway.region.settings, Unwatched(), asyncio.Event().is_set) as worker,
        serve(PlivoDouble()) as plivo,
    ):
        caller = await api.tenant()
        bench = Bench(caller, worker)
        account = {
            "kind": "plivo",
            "channel": "sms",
            "settings": {"auth_id": AUTH_ID, "from": "+15550100", "base_url": plivo.url},
            "credentials": {"auth_token": AUTH_TOKEN},
        }
        shown = (await caller.call("PUT /providers/plivo", account)).json()
        numbers = {"ada": "+14155550123", "bob": "+14155550124"}
        sent: dict[str, str] = {}
        for name, phone in numbers.items():
            await caller.user(name, phone=phone)
            answer = await caller.notify(user_id=name, category="security", optimization=SMS)
            sent[name] = answer["notification_id"]
        await bench.handle()
        assert len(plivo.requests) == 1, "equal texts share a call"

        statuses = {"ada": "delivered", "bob": "undelivered"}
        for number, (name, status) in enumerate(statuses.items(), start=1):
            ids = await bench.query(
                "SELECT provider_message_id AS id FROM notifications WHERE tenant_id = $1 AND notification_id = $2",
                caller.tenant_id,
                bytes.fromhex(sent[name].replace("-", "")),
            )
            said = {"MessageUUID": ids[0]["id"], "Status": status, "To": numbers[name].removeprefix("+")}
            answer = await plivo_calls(api, shown["receipts"]["url"], f"n-{number}", said, AUTH_TOKEN)
            assert answer.status == 200, answer.body
        await Teller(api, caller).fold()
        found = {
            name: (await caller.call(f"GET /notifications/{ident}")).json() for name, ident in sent.items()
        }
        assert {name: one["status"] for name, one in found.items()} == {"ada": "delivered", "bob": "failed"}
        assert found["ada"]["deliveries"][0]["provider"] == "plivo"
