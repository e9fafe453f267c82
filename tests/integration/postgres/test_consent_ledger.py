"""The consent ledger on the real store: no word is lost or changed unseen, and what has ended is no consent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
import pytest

from clarion.adapters.postgres.erasure_targets import KeyTarget
from clarion.audience.users import delete_user
from clarion.compliance.chain import Break, Verdict
from clarion.compliance.consent import ConsentRequest, Pending
from clarion.compliance.ledger import holding, verify_consent_chain
from clarion.compliance.model import ConsentState
from clarion.compliance.ports import Basis, ConsentWord, DataSubject
from clarion.testing.database import PreparedDatabases
from tests.integration.postgres.support import Tenant, World

YES = ConsentRequest(user_id="ada", channel="email", category="marketing", consented=True, source="web")
NO = msgspec.structs.replace(YES, consented=False)
MARKETING_MAIL = {"marketing": 0b001}


async def verified(tenant: Tenant) -> Verdict:
    return await verify_consent_chain(tenant.world.consent, tenant.id)


async def state(tenant: Tenant, user_id: int) -> ConsentState:
    """Her consent as a worker reads it, which is what her card says, too."""
    found = (await tenant.world.consent.consents([user_id])).get(user_id, ConsentState())
    (card,) = await tenant.world.users.read_cards(tenant.id, ["ada"])
    assert card is not None
    assert card.consent == found
    return found


async def as_superuser(
    url: str, databases: PreparedDatabases, *statements: tuple[str, Sequence[Any]]
) -> None:
    """Who owns the server changes what she likes."""
    name = urlsplit(databases.urls.pipeline).path
    connection = await asyncpg.connect(urlunsplit(urlsplit(url)._replace(path=name)))
    try:
        for statement, values in statements:
            await connection.execute(statement, *values)
    finally:
        await connection.close()


async def test_of_many_writers_at_once_no_word_is_lost(world: World, tenant: Tenant):
    names = [f"user-{number}" for number in range(10)]
    ids = [await tenant.user(name) for name in names]
    other = await world.tenant()
    await other.user("ada")

    async def say(number: int) -> None:
        request = msgspec.structs.replace(
            YES, user_id=names[number % 10], consented=number % 3 > 0, source=f"word {number}"
        )
        await (
            other.say(msgspec.structs.replace(request, user_id="ada"))
            if number % 10 == 0
            else tenant.say(request)
        )

    await asyncio.gather(*(say(number) for number in range(110)))
    assert await verified(tenant) == Verdict(99, 99, (await head(tenant))[1], None)
    assert (await verified(other)).rows == 11, "each tenant has a chain of its own"
    now_ms = await world.pools.now_ms()
    events = [event for user in ids for event in await world.consent.events(tenant.id, user, now_ms + 1)]
    assert {event.source for event in events} == {f"word {n}" for n in range(110) if n % 10}
    assert sorted(event.number for event in events) == list(range(1, 100))
    for user in ids:
        mine = await world.consent.events(tenant.id, user, now_ms + 1)
        assert set(holding(mine, now_ms)) == set(await world.consent.records(tenant.id, user))


async def head(tenant: Tenant) -> tuple[int, bytes]:
    found = await tenant.world.consent.chain_head(tenant.id)
    assert found is not None
    return found


async def test_a_chain_of_nothing_is_whole(tenant: Tenant):
    verdict = await verified(tenant)
    assert (verdict.rows, verdict.number, verdict.broken) == (0, 0, None)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("consented = NOT consented", "does not have the hash"),
        ("recorded_at = recorded_at - interval '1 microsecond'", "does not have the hash"),
        ("evidence = 'forged'", "does not have the hash"),
        ("basis = 'written'", "does not have the hash"),
        ("user_id = user_id + 1", "does not have the hash"),
        ("expires_at = now()", "does not have the hash"),
        ('details = \'{"method": "checkbox"}\'', "does not have the hash"),
        ("number = 99", "is missing"),
    ],
)
async def test_a_tampered_word_is_named(
    admin_url: str, databases: PreparedDatabases, tenant: Tenant, change: str, problem: str
):
    await tenant.user("ada")
    await tenant.say(YES, NO, YES, NO)
    tamper = f"UPDATE consent_events SET {change} WHERE tenant_id = $1::uuid AND number = 3"  # noqa: S608  of a test
    await as_superuser(admin_url, databases, (tamper, [tenant.id.hex()]))
    broken = (await verified(tenant)).broken
    assert broken is not None
    assert broken.number == 3
    assert problem in broken.problem


async def test_a_cut_off_end_is_found_and_so_is_one_that_was_written_anew(
    admin_url: str, databases: PreparedDatabases, tenant: Tenant
):
    await tenant.user("ada")
    await tenant.say(YES, YES, NO)
    last = [tenant.id.hex()]
    before = "(SELECT hash FROM consent_events WHERE tenant_id = $1::uuid AND number = 2)"
    third = "WHERE tenant_id = $1::uuid AND number = 3"
    await as_superuser(
        admin_url,
        databases,
        (f"UPDATE consent_events SET consented = true {third}", last),  # noqa: S608  of a test
        (f"UPDATE consent_events e SET hash = sha256({before} || consent_content(e)) {third}", last),  # noqa: S608  of a test
    )
    broken = (await verified(tenant)).broken
    assert broken is not None
    assert (broken.number, "another" in broken.problem) == (3, True)
    cut = "DELETE FROM consent_events WHERE tenant_id = $1::uuid AND number >= 2"
    await as_superuser(admin_url, databases, (cut, last))
    assert (await verified(tenant)).broken == Break(2, "is missing, and all that follow it")


async def test_our_own_roles_can_neither_change_a_word_nor_the_end_of_the_chain(world: World, tenant: Tenant):
    await tenant.user("ada")
    await tenant.say(YES)
    statements = (
        "UPDATE consent_events SET consented = false",
        "DELETE FROM consent_events",
        "UPDATE consent_chains SET number = 0",
        "DELETE FROM consent_chains",
    )
    for statement in statements:
        async with world.pools.pipeline() as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    assert (await verified(tenant)).broken is None


async def test_the_chain_stays_whole_without_a_user_and_without_her_key(world: World, tenant: Tenant):
    user_id = await tenant.user("ada")
    await tenant.user("bob")
    await tenant.say(
        msgspec.structs.replace(YES, ip_address="203.0.113.7", wording="Yes, please."),
        msgspec.structs.replace(YES, user_id="bob"),
    )
    events = await world.consent.events(tenant.id, user_id, await world.pools.now_ms() + 1)
    sealed = [event.evidence for event in events]
    (clear,) = await world.seals.unseal_evidence(tenant.id, user_id, sealed)
    assert msgspec.json.decode(clear or b"") == {"ip_address": "203.0.113.7", "wording": "Yes, please."}
    await KeyTarget(world.pools).erase(DataSubject(tenant.id, user_id, "ada"))
    assert await world.seals.unseal_evidence(tenant.id, user_id, [*sealed, b""]) == [None, b""]
    await delete_user(tenant.id, "ada", world.users, world.keyring)
    await tenant.say(msgspec.structs.replace(NO, user_id="bob"))
    verdict = await verified(tenant)
    assert (verdict.rows, verdict.broken) == (3, None)


async def test_evidence_moved_to_another_user_does_not_open(world: World, tenant: Tenant):
    ada, bob = await tenant.user("ada"), await tenant.user("bob")
    await tenant.say(msgspec.structs.replace(YES, ip_address="203.0.113.7"))
    (event,) = await world.consent.events(tenant.id, ada, await world.pools.now_ms() + 1)
    assert await world.seals.unseal_evidence(tenant.id, bob, [event.evidence]) == [None]


def months_ago(months: int, days: int) -> datetime:
    """A time of so many months (of 30.44 days) before now, and these days after it."""
    return datetime.now(UTC) - timedelta(days=months * 30.44 - days)


@pytest.mark.parametrize(
    ("basis", "months"),
    [("implied_purchase", 24), ("implied_inquiry", 6)],
)
async def test_what_stands_for_her_word_ends(tenant: Tenant, basis: Basis, months: int):
    user_id = await tenant.user("ada")
    bare = msgspec.structs.replace(YES, basis=basis)
    await tenant.say(msgspec.structs.replace(bare, timestamp=months_ago(months, -3)))
    assert await state(tenant, user_id) == ConsentState()
    assert await tenant.world.consent.records(tenant.id, user_id) == []
    await tenant.say(msgspec.structs.replace(bare, timestamp=months_ago(months, 3)))
    held = await state(tenant, user_id)
    assert (held.granted, held.implied, held.proven) == (MARKETING_MAIL, MARKETING_MAIL, {})


async def test_a_grant_that_has_expired_is_none(tenant: Tenant):
    user_id = await tenant.user("ada")
    soon = datetime.now(UTC) + timedelta(hours=1)
    await tenant.say(msgspec.structs.replace(YES, expires_at=soon))
    assert (await state(tenant, user_id)).granted == MARKETING_MAIL
    await tenant.say(msgspec.structs.replace(YES, expires_at=soon - timedelta(hours=2)))
    assert await state(tenant, user_id) == ConsentState(), "the grant before it does not come back"
    await tenant.say(msgspec.structs.replace(NO, expires_at=soon - timedelta(hours=2)))
    assert (await state(tenant, user_id)).denied == MARKETING_MAIL, "a refusal does not end"


async def test_what_a_grant_rests_on_is_told(tenant: Tenant):
    user_id = await tenant.user("ada")
    await tenant.say(YES)
    held = await state(tenant, user_id)
    assert (held.granted, held.implied, held.proven) == (MARKETING_MAIL, {}, {})
    await tenant.say(msgspec.structs.replace(YES, basis="written"))
    assert (await state(tenant, user_id)).proven == {}, "written, but nobody has what was written"
    await tenant.say(msgspec.structs.replace(YES, basis="written", wording="Yes, send me offers."))
    assert (await state(tenant, user_id)).proven == MARKETING_MAIL
    await tenant.say(msgspec.structs.replace(YES, basis="soft_opt_in"))
    held = await state(tenant, user_id)
    assert (held.implied, held.proven) == (MARKETING_MAIL, {})


async def test_what_is_only_asked_for_grants_nothing(world: World, tenant: Tenant):
    user_id = await tenant.user("ada")
    await tenant.say(NO)
    (asked,) = await tenant.try_say(msgspec.structs.replace(YES, double_opt_in=True))
    assert isinstance(asked, Pending)
    assert (asked.user_id, asked.channel, asked.category) == (user_id, "email", "marketing")
    assert (await state(tenant, user_id)).denied == MARKETING_MAIL
    word = ConsentWord(user_id, "email", "marketing", True, "double_opt_in", True, state="confirmed")  # noqa: FBT003  a record's fields
    await world.consent.record(tenant.id, [word])
    held = await state(tenant, user_id)
    assert (held.granted, held.proven) == (MARKETING_MAIL, MARKETING_MAIL)
    events = await world.consent.events(tenant.id, user_id, await world.pools.now_ms() + 1)
    assert [event.state for event in events] == ["said", "requested", "confirmed"]
    assert events[1].details["request"] == asked.request_id.hex()


async def test_the_ledger_as_of_an_instant(world: World, tenant: Tenant):
    user_id = await tenant.user("ada")
    first, second = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    await tenant.say(
        msgspec.structs.replace(YES, timestamp=first), msgspec.structs.replace(NO, timestamp=second)
    )

    async def held(at: datetime) -> list[bool]:
        at_ms = int(at.timestamp() * 1000)
        return [
            one.consented for one in holding(await world.consent.events(tenant.id, user_id, at_ms), at_ms)
        ]

    assert await held(first - timedelta(milliseconds=1)) == []
    assert await held(first) == await held(second - timedelta(milliseconds=1)) == [True]
    assert await held(second) == [False]


async def test_no_tenant_reads_another_ones_ledger(world: World, tenant: Tenant):
    other = await world.tenant()
    user_id = await other.user("ada")
    await other.say(YES)
    assert await world.consent.events(tenant.id, user_id, await world.pools.now_ms() + 1) == []
    assert await world.consent.chain(tenant.id, 0, 10) == []
    assert await world.consent.chain_head(tenant.id) is None
