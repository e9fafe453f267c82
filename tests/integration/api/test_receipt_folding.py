"""What receipts make of deliveries, and of the people they went to."""

from __future__ import annotations

from typing import Any

import pytest

from clarion.adapters.postgres.housekeeping import Housekeeping
from clarion.adapters.postgres.ledger import PostgresLedger
from clarion.contracts.events import NotificationEvent, decode_events
from clarion.kernel.ids import format_id
from clarion.testing.waiting import eventually
from tests.integration.api.receipts_support import (
    PLIVO,
    Delivery,
    Teller,
    plivo_calls,
    queued,
    sent,
)
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

BY_MAIL = {"channel_selection": "specified", "channels": ["email"]}
LATER = "2026-01-02T00:00:00Z"


@pytest.fixture
def teller(api: Api, caller: Caller) -> Teller:
    return Teller(api, caller)


async def suppressed(delivery: Delivery) -> list[str]:
    """The channels that are silent for whom a delivery was for, and why."""
    rows = await delivery.query(
        "SELECT s.channel || ':' || s.reason AS text FROM suppressions s JOIN notifications n USING (user_id) "
        "WHERE n.global_id = $1"
    )
    return [row["text"] for row in rows]


async def events(delivery: Delivery) -> list[NotificationEvent]:
    """What the log was told of a delivery, in order."""
    async with delivery.api.gateway.region.pools.pipeline() as connection:
        rows = await connection.fetch(
            "SELECT payload FROM outbox WHERE topic = 'notification-events' ORDER BY outbox_id"
        )
    said = [event for row in rows for event in decode_events(row["payload"])]
    return [event for event in said if event.delivery_id == delivery.ident]


async def ruled(caller: Caller, rule: str, user_id: str = "ada", **fields: Any) -> bool:
    """Whether this rule keeps a message to a user from going by e-mail ("": none does), as soon as it is known."""

    async def ask() -> str:
        answer = await caller.notify(user_id=user_id, optimization=BY_MAIL, **fields)
        return "" if answer["channels"] else answer["reasons"][0]["rule"]

    # Whoever folds drops the card a moment after it.
    return await eventually(ask, lambda found: found == rule, within_s=5.0) == rule


# ----------------------------------------------------------------------------------------------- in whose hand it is


async def test_a_receipt_that_beats_the_answer_waits_for_it(api: Api, caller: Caller, teller: Teller):
    await caller.user()
    delivery = await queued(api, caller)
    epoch = await delivery.begin()
    await teller.say(delivery, "delivered")
    assert (await delivery.shown())["status"] == "sending"
    assert await delivery.conclude(epoch, provider_message_id="m-1")
    await teller.fold(again=True)
    shown = await delivery.shown()
    assert (shown["status"], shown["provider_message_id"], shown["attempts"]) == ("delivered", "m-1", 1)


@pytest.mark.parametrize(
    ("kind", "status"), [("delivered", "delivered"), ("bounced", "failed"), ("sent", "sent")]
)
async def test_a_receipt_settles_what_a_dead_worker_left(
    api: Api, caller: Caller, teller: Teller, kind: str, status: str
):
    await caller.user()
    delivery = await queued(api, caller)
    epoch = await delivery.begin("sandbox-email")
    await delivery.lose_worker()
    await teller.say(delivery, kind)
    shown = await delivery.shown()
    assert (shown["status"], shown["attempts"], shown["provider"]) == (status, 1, "sandbox-email")
    assert not await delivery.is_open()
    first = (await delivery.log())[0]
    assert (first["outcome"], first["rule"]) == ("sent", "receipt")
    assert not await delivery.conclude(epoch), "a worker that was only slow comes too late"
    report = await PostgresLedger(api.gateway.region.pools).report(60)
    assert delivery.ident not in {one.delivery_id for one in report.contradictions}


async def test_a_delivery_that_waits_to_be_tried_again_is_over_once_it_is_known_to_have_arrived(
    api: Api, caller: Caller, teller: Teller
):
    await caller.user()
    delivery = await queued(api, caller)
    due_ms = api.gateway.region.clock.now_ms() + 60_000
    assert await delivery.conclude(await delivery.begin(), "retrying", due_ms=due_ms)
    await teller.say(delivery, "failed")
    assert ((await delivery.shown())["status"], await delivery.is_open()) == ("retrying", True)
    await teller.say(delivery, "delivered")
    assert ((await delivery.shown())["status"], await delivery.is_open()) == ("delivered", False)


async def test_what_was_never_tried_is_no_matter_of_receipts(api: Api, caller: Caller, teller: Teller):
    await caller.user()
    delivery = await queued(api, caller)
    await teller.say(delivery, "delivered", "bounced")
    assert ((await delivery.shown())["status"], await delivery.is_open()) == ("queued", True)
    assert await suppressed(delivery) == []


async def test_nobody_settles_the_open_deliveries_of_others(api: Api, caller: Caller, other: Caller):
    await caller.user()
    delivery = await queued(api, caller)
    await delivery.begin()
    await delivery.lose_worker()
    await Teller(api, other).say(delivery, "delivered", "complained")
    assert ((await delivery.shown())["status"], await delivery.is_open()) == ("sending", True)
    assert await suppressed(delivery) == []


# ---------------------------------------------------------------------------------------------- by the provider's id


async def account_of_plivo(caller: Caller) -> str:
    """Where the receipts of her account with Plivo go."""
    answer = await caller.call("PUT /providers/plivo", PLIVO)
    assert answer.status == 200, answer.body
    return answer.json()["receipts"]["url"]


async def text_message(api: Api, caller: Caller, message_id: str = "") -> Delivery:
    """A text message that went out through Plivo, which called it `message_id`; "": that is not recorded yet."""
    await caller.user(phone="+14155550123")
    channels = {"channel_selection": "specified", "channels": ["sms"]}
    delivery = await queued(api, caller, category="security", optimization=channels)
    if message_id:
        await record(delivery, message_id)
    return delivery


async def record(delivery: Delivery, message_id: str) -> None:
    epoch = await delivery.begin("plivo")
    assert await delivery.conclude(
        epoch, provider="plivo", provider_message_id=message_id, by_message_id=True, cost_micros=7_000
    )


async def test_a_provider_that_cannot_echo_our_id_is_understood_by_its_own(
    api: Api, caller: Caller, teller: Teller
):
    url = await account_of_plivo(caller)
    delivery = await text_message(api, caller, "uuid-1")
    said = {"MessageUUID": "uuid-1", "Status": "delivered", "TotalAmount": "0.0079", "To": "14155550123"}
    answer = await plivo_calls(api, url, "n-1", said)
    assert (answer.status, answer.json()) == (200, {"received": 1})
    counts = await teller.fold()
    shown = await delivery.shown()
    assert (shown["status"], shown["provider_cost"]) == ("delivered", 0.0079)
    for line in counts.costs.drain():
        if line.key.tenant_id == caller.tenant_id:
            assert (line.key.provider, line.key.category) == ("plivo", "security")
            assert (line.sent, line.micros) == (0, 900)
    assert [(said.type, said.cost_micros) for said in await events(delivery)][-1] == ("repriced", 900)


async def test_a_receipt_for_a_message_that_is_not_recorded_yet_waits_for_it(
    api: Api, caller: Caller, teller: Teller
):
    url = await account_of_plivo(caller)
    delivery = await text_message(api, caller)
    await plivo_calls(api, url, "n-2", {"MessageUUID": "uuid-2", "Status": "delivered"})
    await teller.fold()
    await record(delivery, "uuid-2")
    await teller.fold(again=True)
    assert (await delivery.shown())["status"] == "delivered"


async def test_what_is_of_nobody_after_an_hour_is_forgotten(api: Api, caller: Caller, teller: Teller):
    url = await account_of_plivo(caller)
    await plivo_calls(api, url, "n-3", {"MessageUUID": "of-nobody", "Status": "delivered"})
    await teller.fold()
    waiting = "SELECT retry_at - now() > interval '1 s' AS waits FROM receipt_inbox WHERE tenant_id = $1"
    async with api.gateway.region.pools.pipeline() as connection:
        assert [row["waits"] for row in await connection.fetch(waiting, caller.tenant_id)] == [True]
        await connection.execute(
            "UPDATE receipt_inbox SET received_at = now() - interval '61 minutes' WHERE tenant_id = $1",
            caller.tenant_id,
        )
    await teller.fold(again=True)
    async with api.gateway.region.pools.pipeline() as connection:
        assert await connection.fetch(waiting, caller.tenant_id) == []


async def test_what_providers_called_messages_is_kept_for_four_days(api: Api, caller: Caller, teller: Teller):
    url = await account_of_plivo(caller)
    delivery = await text_message(api, caller, "uuid-7")
    keeping = Housekeeping(api.gateway.region.pools)
    known = "SELECT message_id FROM provider_message_ids WHERE global_id = $1"
    await keeping.drop_old_keys()
    assert len(await delivery.query(known)) == 1
    await delivery.query(
        "UPDATE provider_message_ids SET noted_at = now() - interval '4.1 days' WHERE global_id = $1"
    )
    await keeping.drop_old_keys()
    assert await delivery.query(known) == []
    await plivo_calls(api, url, "n-7", {"MessageUUID": "uuid-7", "Status": "delivered"})
    await teller.fold()
    assert (await delivery.shown())["status"] == "sent"


async def test_a_call_that_comes_again_is_answered_and_changes_nothing(
    api: Api, caller: Caller, teller: Teller
):
    url = await account_of_plivo(caller)
    delivery = await text_message(api, caller, "uuid-4")
    await plivo_calls(api, url, "n-4", {"MessageUUID": "uuid-4", "Status": "sent"})
    # V2 does not sign the body: whoever overhears a call could say anything with its nonce.
    answer = await plivo_calls(
        api, url, "n-4", {"MessageUUID": "uuid-4", "Status": "failed", "ErrorCode": "50"}
    )
    assert (answer.status, answer.json()) == (200, {"received": 1})
    await teller.fold()
    assert (await delivery.shown())["status"] == "sent"


async def test_calls_that_nobody_of_theirs_made_are_refused(api: Api, caller: Caller, other: Caller):
    url = await account_of_plivo(caller)
    said = {"MessageUUID": "uuid-5", "Status": "failed"}
    assert (await plivo_calls(api, url, "n-5", said, token="guessed")).status == 401
    without_token = url.partition("&token=")[0]
    assert (await plivo_calls(api, without_token, "n-5", said)).status == 404
    assert (await plivo_calls(api, without_token + "&token=" + "A" * 24, "n-5", said)).status == 404
    of_other = url.replace(format_id(caller.tenant_id), format_id(other.tenant_id))
    assert (await plivo_calls(api, of_other, "n-5", said)).status == 404


# ------------------------------------------------------------------------------------------------ whom it is all about


async def test_a_bounce_silences_whoever_has_the_address(api: Api, caller: Caller, teller: Teller):
    await caller.user()
    await caller.user("twin")
    await caller.user("bob", email="bob@example.com")
    delivery = await sent(api, caller)
    await teller.say(delivery, "bounced")
    assert (await delivery.shown())["status"] == "failed"
    assert await suppressed(delivery) == ["email:hard_bounce"]
    assert await ruled(caller, "suppressed")
    assert await ruled(caller, "suppressed", "twin")
    assert await ruled(caller, "", "bob")
    assert [(one["outcome"], one["rule"]) for one in await delivery.log()][1:] == [("bounced", "receipt")]


async def test_a_dead_address_stays_dead_with_whoever_gets_it_next(api: Api, caller: Caller, teller: Teller):
    await caller.user()
    await teller.say(await sent(api, caller), "bounced")
    assert (await caller.call("DELETE /users/ada")).status == 204
    await caller.user("ada")
    assert await ruled(caller, "suppressed")
    await caller.user("ada", email="ada@new.example.com")
    assert await ruled(caller, "")
    await caller.user("ada")
    assert await ruled(caller, "suppressed")


async def test_a_late_bounce_leaves_the_new_address_alone(api: Api, caller: Caller, teller: Teller):
    await caller.user(phone="+14155550123")
    url = await account_of_plivo(caller)
    delivery = await text_message(api, caller, "uuid-6")
    await caller.user(phone="+14155550199")
    said = {"MessageUUID": "uuid-6", "Status": "failed", "ErrorCode": "50", "To": "14155550123"}
    await plivo_calls(api, url, "n-6", said)
    await teller.fold()
    assert (await delivery.shown())["status"] == "failed"
    assert await suppressed(delivery) == []
    await caller.user("eve", phone="+14155550123")
    answer = await caller.notify(
        user_id="eve", optimization={"channel_selection": "specified", "channels": ["sms"]}
    )
    assert [reason["rule"] for reason in answer["reasons"] if reason["channel"] == "sms"] == ["suppressed"]


async def test_a_complaint_holds_until_she_herself_asks_again_and_no_repeat_brings_it_back(
    api: Api, caller: Caller, teller: Teller
):
    await caller.user()
    delivery = await sent(api, caller)
    await teller.say(delivery, "complained")
    assert (await delivery.shown())["status"] == "delivered"
    assert await ruled(caller, "suppressed")
    opt_in = {"user_id": "ada", "channel": "email", "category": "all", "consented": True, "source": "form"}
    assert (await caller.call("POST /compliance/consent", opt_in)).status == 200
    await teller.say(delivery, "complained")
    assert await suppressed(delivery) == []
    await caller.user("twin")
    assert await ruled(caller, "", "twin")
    await teller.say(delivery, "complained", at=LATER)
    assert await suppressed(delivery) == ["email:complaint"]


async def test_unsubscribing_at_the_vendors_stops_what_can_be_refused(
    api: Api, caller: Caller, teller: Teller
):
    await caller.user()
    opt_in = {
        "user_id": "ada",
        "channel": "email",
        "category": "marketing",
        "consented": True,
        "source": "form",
    }
    await caller.call("POST /compliance/consent", opt_in)
    delivery = await sent(api, caller)
    await teller.say(delivery, "unsubscribed", at="2027-01-01T00:00:00Z")
    assert (await delivery.shown())["status"] == "sent"
    assert await ruled(caller, "consent_denied", category="marketing")
    assert await ruled(caller, "", category="transactional")
    consents = (await caller.call("GET /compliance/consent/ada")).json()["consents"]
    assert consents[0]["source"] == "provider:sandbox-email"


async def test_deliveries_of_tests_silence_nobody(api: Api, caller: Caller, teller: Teller):
    await caller.user()
    delivery = await sent(api, caller)
    await delivery.query("UPDATE notifications SET is_test = true WHERE global_id = $1")
    await teller.say(delivery, "bounced")
    assert ((await delivery.shown())["status"], await suppressed(delivery)) == ("failed", [])


async def test_a_machine_that_opens_proves_the_arrival_alone(api: Api, caller: Caller, teller: Teller):
    await caller.user()
    delivery = await sent(api, caller)
    await teller.say(delivery, "deferred", "opened")
    assert (await delivery.shown())["status"] == "engaged"
    assert [one["outcome"] for one in await delivery.log()] == ["sent", "deferred"]
