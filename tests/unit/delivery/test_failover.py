"""Which failures another provider may do better, and when it is asked."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.contracts.work import WorkItem
from clarion.delivery.circuits import Circuits
from clarion.delivery.conclude import FAILOVER, Attempt, settle
from clarion.delivery.failover import has_untried, moves_on, untried_first
from clarion.delivery.model import AUTH_CODE, Job, Outcome, OutcomeKind
from clarion.delivery.retry import BACKOFFS
from clarion.tenancy.config import ProviderConfig

TENANT = b"t" * 16
NOW = 1_800_000_000_000


def job(*tried: str, attempts: int = 0, excused: int = 0, expires_ms: int = 0) -> Job:
    return Job(
        item=WorkItem(b"d" * 16, TENANT, "email", 5),
        user_id=1,
        category="transactional",
        template="",
        template_version=0,
        payload=b"{}",
        personalization=b"{}",
        external_id="ada",
        timezone="",
        language="",
        country="",
        sealed=b"s",
        state="ready",
        lease_epoch=0,
        lease_live=False,
        attempts=attempts,
        provider="",
        expires_ms=expires_ms,
        due_ms=NOW,
        traceparent="",
        tried=tried,
        excused=excused,
    )


def account(name: str, channel: str = "email", *, enabled: bool = True) -> ProviderConfig:
    return ProviderConfig(name, TENANT, "sandbox", channel, {}, {}, enabled=enabled)


def outcome(kind: OutcomeKind, code: str = "", retry_after_s: float = 0.0) -> Outcome:
    return Outcome(b"d" * 16, kind, code=code, retry_after_s=retry_after_s)


def attempt(*, moves: bool, fails_over: bool) -> Attempt:
    return Attempt(1, NOW, "a", 3, b"", park=False, random=0.5, moves_on=moves, fails_over=fails_over)


@pytest.mark.parametrize(
    ("kind", "code", "retry_after_s", "priority", "moves"),
    [
        ("sent", "", 0, 5, False),
        ("transient", "http_503", 0, 5, True),
        ("transient", AUTH_CODE, 0, 5, True),
        ("transient", "rcpt_450", 300, 5, False),
        ("throttled", "http_429", 1, 5, False),
        ("throttled", "http_429", 86_400, 5, True),
        ("throttled", "http_429", 1, 0, True),
        ("permanent", "rcpt_550", 0, 5, False),
        ("permanent", "MessageRejected", 0, 5, False),
        ("permanent", "unsupported_content", 0, 5, True),
        ("ambiguous", "deadline", 0, 5, True),
    ],
)
def test_what_moves_on_to_another_provider(
    kind: OutcomeKind, code: str, retry_after_s: float, priority: int, *, moves: bool
):
    assert moves_on(outcome(kind, code, retry_after_s), priority, idempotent=False) is moves


def test_an_ambiguous_one_goes_back_to_the_provider_that_drops_repeats():
    assert not moves_on(outcome("ambiguous"), 5, idempotent=True)


def test_a_provider_that_was_tried_is_switched_off_of_another_channel_or_down_is_none():
    circuits = Circuits()
    circuits.observe((TENANT, "down"), [outcome("transient")] * 5, NOW)
    a = account("a")
    for other in (account("tried"), account("off", enabled=False), account("x", "sms"), account("down")):
        assert not has_untried(job("tried"), a, [a, other], circuits)
    assert has_untried(job("tried"), a, [a, account("b")], circuits)
    assert not has_untried(job("a"), a, [a, account("b")], circuits), "each provider fails over once"


def test_the_next_attempt_is_at_once_where_another_can_be_asked():
    closing = settle(job(), outcome("transient"), attempt(moves=True, fails_over=True))
    assert (closing.status, closing.due_ms, closing.entry.rule) == ("retrying", NOW, FAILOVER)
    assert closing.moves_on


@pytest.mark.parametrize(("priority", "waits"), [(0, False), (2, False), (3, True), (10, True)])
def test_an_ambiguous_one_gives_a_receipt_a_moment_unless_it_is_urgent(priority: int, *, waits: bool):
    of_priority = job()
    item = msgspec.structs.replace(of_priority.item, priority=priority)
    of_priority = msgspec.structs.replace(of_priority, item=item)
    closing = settle(of_priority, outcome("ambiguous"), attempt(moves=True, fails_over=True))
    assert closing.status == "retrying"
    assert closing.due_ms - NOW == (750 if waits else 0)


def test_a_failover_makes_the_schedule_behind_it_no_longer():
    alone = settle(job(), outcome("transient"), attempt(moves=True, fails_over=False))
    after_another = settle(job("b", attempts=1), outcome("transient"), attempt(moves=True, fails_over=False))
    again = settle(job("a", "b", attempts=2), outcome("transient"), attempt(moves=True, fails_over=False))
    assert after_another.due_ms == alone.due_ms
    assert again.due_ms > after_another.due_ms


def test_nothing_fails_over_after_its_expiry():
    closing = settle(job(expires_ms=NOW), outcome("transient"), attempt(moves=True, fails_over=True))
    assert closing.status == "expired"


def test_refused_credentials_use_up_no_attempt():
    most = BACKOFFS["transient"].max_attempts
    refused = settle(
        job(attempts=most * 9), outcome("transient", AUTH_CODE), attempt(moves=True, fails_over=False)
    )
    assert (refused.status, refused.excused) == ("retrying", True)
    mended = settle(
        job(attempts=most, excused=most), outcome("transient"), attempt(moves=True, fails_over=False)
    )
    assert mended.status == "retrying"


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.sets(st.sampled_from("abcdef")))
def test_those_that_were_not_tried_come_first_and_none_is_lost(names: list[str], tried: set[str]):
    ordered = untried_first(names, tried)
    assert sorted(ordered) == sorted(names)
    flags = [name in tried for name in ordered]
    assert flags == sorted(flags)
