"""Consent on the real stores: the latest word counts, from the moment it is acknowledged."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from clarion.audience.seals import evidence_context
from clarion.audience.users import delete_user
from clarion.compliance.consent import ConsentRequest, ConsentView, read_consent
from clarion.compliance.model import ConsentState
from clarion.compliance.suppression import Suppression, SuppressionReason
from clarion.kernel.errors import Invalid, NotFound, Unknown
from tests.integration.postgres.support import Tenant, World

WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
YES = ConsentRequest(user_id="ada", channel="email", category="marketing", consented=True, source="web")
NO = msgspec.structs.replace(YES, consented=False)
STOP = ConsentRequest(user_id="ada", channel="sms", category="all", consented=False, source="sms")


async def view(tenant: Tenant, external_id: str = "ada") -> ConsentView:
    return await read_consent(tenant.id, external_id, tenant.world.seals, tenant.world.consent)


async def state(tenant: Tenant, external_id: str = "ada") -> ConsentState:
    (user_id,) = (await tenant.world.users.find_ids(tenant.id, [external_id])).values()
    return (await tenant.world.consent.consents([user_id])).get(user_id, ConsentState())


async def test_what_she_said_is_read_back(tenant: Tenant):
    await tenant.user("ada")
    empty = await view(tenant)
    assert (empty.consents, empty.gdpr_status, empty.ccpa_status) == ([], "none", "none")
    await tenant.say(msgspec.structs.replace(YES, timestamp=WHEN), STOP)
    told = await view(tenant)
    assert [(c.channel, c.category, c.consented, c.source) for c in told.consents] == [
        ("sms", "all", False, "sms"),
        ("email", "marketing", True, "web"),
    ]
    assert told.consents[1].timestamp == "2026-03-01T12:00:00.000Z"
    assert (told.gdpr_status, told.ccpa_status) == ("consented", "opted_out")
    assert await state(tenant) == ConsentState({"marketing": 0b001}, {"*": 0b100})


async def test_the_card_and_the_worker_see_the_same(world: World, tenant: Tenant):
    await tenant.user("ada")
    before = (await world.users.read_cards(tenant.id, ["ada"]))[0]
    await tenant.say(YES, STOP)
    after = (await world.users.read_cards(tenant.id, ["ada"]))[0]
    assert before is not None
    assert after is not None
    assert after.version > before.version, "an older card must not come back"
    assert after.consent == await state(tenant)


async def test_a_word_that_arrives_late_does_not_undo_a_later_one(tenant: Tenant):
    await tenant.user("ada")
    await tenant.say(NO)
    await tenant.say(msgspec.structs.replace(YES, timestamp=WHEN))
    assert await state(tenant) == ConsentState({}, {"marketing": 0b001})


async def test_a_word_from_the_future_counts_as_now(tenant: Tenant):
    """Otherwise a clock that is fast would outweigh the opt-outs of days to come."""
    await tenant.user("ada")
    await tenant.say(msgspec.structs.replace(YES, timestamp=datetime.now(UTC) + timedelta(days=9)))
    await tenant.say(NO)
    assert await state(tenant) == ConsentState({}, {"marketing": 0b001})


async def test_all_channels_and_all_categories(tenant: Tenant):
    await tenant.user("ada")
    await tenant.say(YES, msgspec.structs.replace(NO, channel="all", category="all"))
    assert await state(tenant) == ConsentState({}, {"*": 0b111})
    await tenant.say(msgspec.structs.replace(YES, channel="all", category="all"))
    assert await state(tenant) == ConsentState({"*": 0b111})


async def test_every_word_stays_on_record(world: World, tenant: Tenant):
    user_id = await tenant.user("ada")
    await tenant.say(YES, NO, YES)
    await delete_user(tenant.id, "ada", world.users, world.keyring)
    async with world.pools.reader(tenant.id) as connection:
        words = await connection.fetch(
            "SELECT consented FROM consent_events WHERE user_id = $1 ORDER BY event_id", user_id
        )
    assert [word["consented"] for word in words] == [True, False, True]
    assert await world.consent.consents([user_id]) == {}


async def test_wrong_words_stop_no_others(tenant: Tenant):
    await tenant.user("ada")
    errors = await tenant.try_say(
        YES,
        msgspec.structs.replace(YES, user_id="nobody"),
        msgspec.structs.replace(YES, category="no such category"),
        msgspec.structs.replace(YES, wording="\0"),
        msgspec.structs.replace(YES, evidence={"a": "x" * 20_000}),
    )
    assert errors[0] is None
    unknown = [error for error in errors if isinstance(error, Unknown)]
    assert [error.path for error in unknown] == ["user_id", "category"]
    assert [error.path for error in errors[3:] if isinstance(error, Invalid)] == ["wording", "evidence"]
    assert await state(tenant) == ConsentState({"marketing": 0b001})


async def test_of_words_at_once_the_one_acknowledged_last_counts(tenant: Tenant):
    await tenant.user("ada")
    last: list[bool] = []

    async def say(request: ConsentRequest) -> None:
        await tenant.say(request)
        last.append(request.consented)

    for _ in range(5):
        await asyncio.gather(*(say(request) for request in (YES, NO, YES, NO)))
        await say(NO)
        assert await state(tenant) == ConsentState({}, {"marketing": 0b001})


async def test_many_batches_of_the_same_users_end(tenant: Tenant):
    names = [f"u{i}" for i in range(60)]
    for name in names:
        await tenant.user(name)

    async def say(order: list[str]) -> None:
        await tenant.say(*(msgspec.structs.replace(YES, user_id=name) for name in order))

    await asyncio.gather(say(names), say(names[::-1]), say(names), say(names[30:] + names[:30]))


@pytest.mark.parametrize(
    ("reason", "freed"),
    [("stop", True), ("complaint", True), ("manual", True), ("hard_bounce", False), ("dead_token", False)],
)
async def test_only_an_express_opt_in_frees_a_channel(tenant: Tenant, reason: SuppressionReason, freed: bool):  # noqa: FBT001  a parameter of the test
    user_id = await tenant.user("ada")
    await tenant.world.consent.suppress(tenant.id, [Suppression(user_id, "email", reason)])
    assert (await state(tenant)).suppressed == 0b001
    await tenant.say(msgspec.structs.replace(YES, channel="all"))
    assert (await state(tenant)).suppressed == 0b001, "all channels is not this channel"
    await tenant.say(msgspec.structs.replace(YES, timestamp=WHEN))
    assert (await state(tenant)).suppressed == 0b001, "she said it before"
    await tenant.say(msgspec.structs.replace(YES, channel="sms"))
    assert (await state(tenant)).suppressed == 0b001, "another channel"
    await tenant.say(YES)
    assert (await state(tenant)).suppressed == (0 if freed else 0b001)


async def test_a_new_address_ends_what_was_known_of_the_old(tenant: Tenant):
    user_id = await tenant.user("ada")
    await tenant.world.consent.suppress(
        tenant.id, [Suppression(user_id, "email", "hard_bounce"), Suppression(user_id, "sms", "stop")]
    )
    await tenant.user("ada", await tenant.read("ada"))
    assert (await state(tenant)).suppressed == 0b101
    await tenant.user("ada", msgspec.structs.replace(await tenant.read("ada"), language="de"))
    assert (await state(tenant)).suppressed == 0b101, "the address is the same"
    await tenant.user("ada", msgspec.structs.replace(await tenant.read("ada"), email="new@example.com"))
    assert (await state(tenant)).suppressed == 0b100, "STOP is no matter of addresses"


async def test_a_fact_outweighs_a_wish(tenant: Tenant):
    user_id = await tenant.user("ada")
    for reason in ("stop", "hard_bounce", "complaint"):
        await tenant.world.consent.suppress(tenant.id, [Suppression(user_id, "email", reason)])
    await tenant.say(YES)
    assert (await state(tenant)).suppressed == 0b001


async def test_consent_of_another_tenants_user_can_be_neither_written_nor_read(world: World, tenant: Tenant):
    other = await world.tenant()
    user_id = await other.user("ada")
    assert isinstance((await tenant.try_say(YES))[0], Unknown)
    await world.consent.suppress(tenant.id, [Suppression(user_id, "email", "stop")])
    assert await state(other) == ConsentState()
    await other.say(YES)
    with pytest.raises(NotFound):
        await view(tenant)
    assert await world.consent.records(tenant.id, user_id) == []


async def test_evidence_opens_with_the_users_key(world: World, tenant: Tenant):
    user_id = await tenant.user("ada")
    await tenant.say(msgspec.structs.replace(YES, ip_address="203.0.113.7", evidence={"form": "f1"}))
    async with world.pools.reader(tenant.id) as connection:
        sealed = await connection.fetchval("SELECT evidence FROM consent_events WHERE user_id = $1", user_id)
    key = (await world.keyring.keys([user_id]))[user_id]
    clear = world.sealer.unseal(key, sealed, evidence_context(user_id, tenant.id))
    assert msgspec.json.decode(clear) == {"form": "f1", "ip_address": "203.0.113.7"}


async def test_users_without_a_word_are_absent(world: World, tenant: Tenant):
    user_id = await tenant.user("ada")
    assert await world.consent.consents([]) == {}
    assert await world.consent.consents([user_id, 1]) == {}
