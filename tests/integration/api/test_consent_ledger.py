"""The consent ledger over HTTP: batches, proofs that hold offline, opt-outs of sharing, and double opt-ins."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from typer.testing import CliRunner

from clarion.adapters.sealing.signatures import is_signed
from clarion.compliance.ledger import Proof, find_flaw, verify_consent_chain
from clarion.delivery.links.tokens import CONFIRM_DAYS, DAY_MS, LinkKind, Recipient
from clarion.entrypoints.cli.main import app
from clarion.entrypoints.hooks.phrases import LANGUAGES
from clarion.kernel.ids import make_ids
from clarion.testing.http import HttpAnswer
from tests.integration.api.support import Api, Caller
from tests.integration.api.test_links import FORM, reader_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

YES = {"user_id": "ada", "channel": "email", "category": "marketing", "consented": True, "source": "web"}
PATH = "POST /compliance/consent"
GPC = {"sec-gpc": "1"}


async def shown(caller: Caller, user_id: str = "ada") -> dict[str, Any]:
    return (await caller.call(f"GET /compliance/consent/{user_id}")).json()


async def proven(caller: Caller, query: str = "") -> Proof:
    answer = await caller.call(f"GET /compliance/consent/ada/proof{query}")
    assert answer.status == 200, answer.body
    return msgspec.json.decode(answer.body, type=Proof)


async def test_a_word_is_answered_as_specified(caller: Caller):
    await caller.user()
    assert (await caller.call(PATH, YES)).json() == {"recorded": True}


async def test_in_a_batch_a_wrong_word_stops_no_other(caller: Caller):
    await caller.user()
    words = [
        YES,
        {**YES, "user_id": "nobody"},
        {**YES, "channel": "pigeon"},
        {**YES, "double_opt_in": True},
        7,
    ]
    answer = await caller.call(f"{PATH}/batch", {"consents": words})
    assert answer.status == 200
    results = answer.json()["results"]
    assert [one["index"] for one in results] == [0, 1, 2, 3, 4]
    assert [one["recorded"] for one in results] == [True, False, False, True, False]
    assert results[0] == {"index": 0, "recorded": True}
    assert results[1]["error"]["path"] == "user_id"
    assert "/c/" in results[3]["confirmation_url"]
    assert [(one["channel"], one["category"]) for one in (await shown(caller))["consents"]] == [
        ("email", "marketing")
    ]


@pytest.mark.parametrize("consents", [[], [YES] * 1001, "x", None])
async def test_a_batch_that_is_none_is_refused(caller: Caller, consents: object):
    assert (await caller.call(f"{PATH}/batch", {"consents": consents})).status == 400


async def test_a_proof_holds_offline_and_shows_what_was_said_by_then(caller: Caller, tmp_path: Path):
    await caller.user()
    past = datetime.now(UTC) - timedelta(days=30)
    first = {**YES, "timestamp": past.isoformat(), "wording": "Yes, offers.", "ip_address": "203.0.113.7"}
    await caller.call(PATH, {**first, "jurisdiction": "DE", "basis": "written", "wording_version": "2"})
    await caller.call(PATH, {**YES, "consented": False})
    proof = await proven(caller)
    assert find_flaw(proof, is_signed) == ""
    assert [(word.consented, word.basis) for word in proof.words] == [(True, "written"), (False, "express")]
    assert proof.words[0].evidence == {"ip_address": "203.0.113.7", "wording": "Yes, offers."}
    assert proof.words[0].details["jurisdiction"] == "DE"
    assert [one.consented for one in proof.consents] == [False]
    assert proof.chain.hash == proof.words[-1].hash
    day_later = (past + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    earlier = await proven(caller, f"?as_of={day_later}")
    assert [one.consented for one in earlier.consents] == [True]
    assert [word.number for word in earlier.words] == [1]

    file = tmp_path / "proof.json"
    file.write_bytes(msgspec.json.encode(proof))
    assert await verify(file, proof.public_key) == (0, "words: 2, in force: 1")
    assert await verify(file, "AAAA") == (1, "it is signed with another key")
    file.write_bytes(msgspec.json.encode(proof).replace(b'"web"', b'"tv"'))
    assert await verify(file, proof.public_key) == (1, "the signature is not that of this document")
    file.write_bytes(b"{}")
    assert await verify(file, proof.public_key) == (1, "it is no proof, or damaged")


async def verify(file: Path, key: str) -> tuple[int, str]:
    """What `clarion audit verify --proof` says, in the end."""
    words = ["audit", "verify", "--proof", str(file), "--key", key]
    result = await asyncio.to_thread(CliRunner().invoke, app, words)
    return result.exit_code, result.output.splitlines()[-1]


async def test_nobody_proves_what_is_to_come_nor_of_a_user_who_is_none(caller: Caller, other: Caller):
    await caller.user()
    ahead = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (await caller.call(f"GET /compliance/consent/ada/proof?as_of={ahead}")).status == 400
    assert (await caller.call("GET /compliance/consent/ada/proof?as_of=yesterday")).status == 400
    assert (await caller.call("GET /compliance/consent/bob/proof")).status == 404
    assert (await other.call("GET /compliance/consent/ada/proof")).status == 404


async def test_an_opt_out_of_sharing_stops_sharing_and_no_message(caller: Caller):
    await caller.user()
    await caller.call(PATH, YES)
    assert (await shown(caller))["ccpa_status"] == "opted_in"
    said = {"user_id": "ada", "source": "privacy page", "ip_address": "203.0.113.7"}
    for _ in range(2):
        answer = await caller.call("POST /compliance/ccpa/opt-out", said)
        assert (answer.status, answer.json()) == (200, {"opted_out": True})
    told = await shown(caller)
    assert (told["gdpr_status"], told["ccpa_status"], len(told["consents"])) == ("consented", "opted_out", 1)
    words = (await proven(caller)).words
    assert [(word.channel, word.source) for word in words] == [("email", "web"), ("sharing", "privacy page")]
    assert (await caller.call("POST /compliance/ccpa/opt-out", {**said, "user_id": "bob"})).status == 422
    assert (await caller.call(PATH, {**YES, "channel": "sharing"})).status == 400


async def test_a_browsers_signal_is_an_opt_out_of_sharing(api: Api, caller: Caller):
    await caller.user()
    await caller.call(PATH, YES, headers={"sec-gpc": "0"})
    assert (await shown(caller))["ccpa_status"] == "opted_in"
    await caller.call(PATH, YES, headers=GPC)
    assert (await shown(caller))["ccpa_status"] == "opted_out"
    await caller.user("dora")
    for user_id, status in (("dora", 202), ("nobody", 422)):
        did = {"user_id": user_id, "event": "purchase"}
        assert (await caller.call("POST /events", did, headers=GPC)).status == status
    assert (await shown(caller, "dora"))["ccpa_status"] == "opted_out"
    for kind, name in ((LinkKind.PREFERENCES, "bea"), (LinkKind.UNSUBSCRIBE, "cleo")):
        await caller.user(name)
        ids = await api.gateway.region.users.find_ids(caller.tenant_id, [name])
        reader = await reader_of(api, caller)
        reader.recipient = Recipient(caller.tenant_id, reader.recipient.delivery_id, ids[name])
        path = reader.link(kind, "marketing")
        await reader.get(path, GPC)
        assert (await shown(caller, name))["ccpa_status"] == "none", "a look is no word"
        assert (await reader.post(path, b"kind=none", {**FORM, **GPC})).status == 200
        assert (await shown(caller, name))["ccpa_status"] == "opted_out"


async def asked(caller: Caller, **fields: Any) -> str:
    """The path of the link of a double opt-in."""
    answer = (await caller.call(PATH, {**YES, "double_opt_in": True, **fields})).json()
    assert answer["recorded"] is True
    url: str = answer["confirmation_url"]
    return urlsplit(url).path


async def visit(api: Api, line: str, **headers: str) -> HttpAnswer:
    fields = FORM if line.startswith("POST") else {}
    return await api.client().request(line, body=b"" if fields else None, headers={**fields, **headers})


async def test_a_double_opt_in_is_hers_once_she_confirms_it(api: Api, caller: Caller):
    await caller.user()
    path = await asked(caller, wording="Yes, offers.", jurisdiction="DE")
    pages = [await visit(api, f"GET {path}") for _ in range(3)]
    assert {page.status for page in pages} == {200}
    page = pages[0]
    assert b"<form" in page.body
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert (await shown(caller))["consents"] == [], "neither asking nor looking is consent"
    for _ in range(2):
        assert (await visit(api, f"POST {path}", **{"user-agent": "Firefox"})).status == 200
    (held,) = (await shown(caller))["consents"]
    assert (held["consented"], held["source"]) == (True, "double_opt_in")
    words = (await proven(caller)).words
    assert [word.state for word in words] == ["requested", "confirmed"]
    assert words[1].details == words[0].details
    assert words[1].evidence["user_agent"] == "Firefox"
    ledger = api.gateway.region.consents
    assert (await verify_consent_chain(ledger, caller.tenant_id)).broken is None
    await caller.call(PATH, {**YES, "consented": False})
    assert (await visit(api, f"POST {path}")).status == 200
    assert (await shown(caller))["consents"][0]["consented"] is False, "an old link takes no opt-out back"


async def test_confirming_is_asked_in_every_language(api: Api, caller: Caller):
    await caller.user()
    path = await asked(caller, category="all", channel="sms")
    told = {(await visit(api, f"GET {path}", **{"accept-language": language})).body for language in LANGUAGES}
    assert len(told) == len(LANGUAGES)


async def test_a_confirmation_that_is_not_quite_one_does_nothing(api: Api, caller: Caller, other: Caller):
    await caller.user()
    await other.user()
    region = api.gateway.region
    token = (await asked(caller)).removeprefix("/c/")
    theirs = (await asked(other)).removeprefix("/c/")
    (user_id,) = (await region.users.find_ids(caller.tenant_id, ["ada"])).values()
    claim = region.links.read(LinkKind.CONFIRM, token, region.clock.now_ms())
    assert claim is not None

    def signed(
        kind: LinkKind, recipient: Recipient, detail: bytes = b"email:marketing", days: int = 0
    ) -> str:
        return region.links.sign(
            kind, region.links.head(recipient, region.clock.now_ms() - days * DAY_MS), detail
        )

    ours = claim.recipient
    assert (await visit(api, f"GET /c/{signed(LinkKind.CONFIRM, ours, days=CONFIRM_DAYS)}")).status == 200
    half = len(token) // 2
    wrong = [
        token[:-1],
        token + "A",
        token.swapcase(),
        token[:half] + theirs[half:],
        signed(LinkKind.CONFIRM, ours, days=CONFIRM_DAYS + 1),
        signed(LinkKind.UNSUBSCRIBE, ours),
        signed(LinkKind.CONFIRM, ours, b"sms:marketing"),
        signed(LinkKind.CONFIRM, ours, b"email:*"),
        signed(LinkKind.CONFIRM, ours, b"nonsense"),
        signed(LinkKind.CONFIRM, Recipient(other.tenant_id, ours.delivery_id, user_id)),
        signed(LinkKind.CONFIRM, Recipient(caller.tenant_id, make_ids(1, region.clock.now_ms()), user_id)),
    ]
    for one in wrong:
        assert (await visit(api, f"GET /c/{one}")).status == 404
        assert (await visit(api, f"POST /c/{one}")).status == 404
    assert (await shown(caller))["consents"] == []
    assert (await visit(api, f"POST /u/{token}")).status == 404


@pytest.mark.parametrize("fields", [{"consented": False}, {"channel": "all"}, {"basis": "implied_purchase"}])
async def test_only_a_grant_on_one_channel_can_be_confirmed(caller: Caller, fields: dict[str, Any]):
    await caller.user()
    assert (await caller.call(PATH, {**YES, "double_opt_in": True, **fields})).status == 400
