"""Whose token a device has, and what several sends of one message come to."""

from __future__ import annotations

import pytest

from clarion.audience.model import DeviceToken, Platform
from clarion.delivery.model import DeadToken, Outcome, OutcomeKind
from clarion.delivery.push import merge_outcomes, served, service_of

APPLE = "ab" * 32
FIREBASE = "cXyz:APA91bF-abc"
BROWSER = '{"endpoint":"https://push.example/1"}'


@pytest.mark.parametrize(
    ("platform", "token", "service"),
    [
        ("ios", APPLE, "apns"),
        ("ios", APPLE.upper() * 2, "apns"),
        ("ios", FIREBASE, "fcm"),
        ("ios", "abc", "fcm"),
        ("android", FIREBASE, "fcm"),
        ("android", APPLE, "fcm"),
        ("web", FIREBASE, "fcm"),
        ("web", BROWSER, "webpush"),
        ("android", BROWSER, "webpush"),
    ],
)
def test_a_token_tells_its_service(platform: Platform, token: str, service: str) -> None:
    assert service_of(DeviceToken(platform, token)) == service


def test_an_account_serves_the_devices_of_its_services_in_order() -> None:
    devices = [DeviceToken("ios", APPLE), DeviceToken("web", BROWSER), DeviceToken("android", FIREBASE)]
    assert served(devices, {"fcm", "apns"}) == [devices[0], devices[2]]
    assert served(devices, frozenset()) == devices


@pytest.mark.parametrize(
    ("kinds", "merged"),
    [
        (["permanent", "sent"], "sent"),
        (["ambiguous", "sent"], "sent"),
        (["ambiguous", "transient"], "ambiguous"),
        (["throttled", "permanent"], "throttled"),
        (["throttled", "transient"], "transient"),
        (["permanent", "permanent"], "permanent"),
    ],
)
def test_what_may_have_arrived_counts_first(kinds: list[OutcomeKind], merged: OutcomeKind) -> None:
    outcomes = [Outcome(b"d", kind, cost_micros=1) for kind in kinds]
    for order in (outcomes, outcomes[::-1]):
        assert merge_outcomes(order).kind == merged
        assert merge_outcomes(order).cost_micros == 2


def test_no_dead_device_is_forgotten_in_merging() -> None:
    outcomes = [
        Outcome(b"d", "sent", "id"),
        Outcome(b"d", "permanent", dead_tokens=[DeadToken("a")]),
        Outcome(b"d", "permanent", dead_tokens=[DeadToken("b", 5)]),
    ]
    merged = merge_outcomes(outcomes)
    assert merged.provider_message_id == "id"
    assert list(merged.dead_tokens) == [DeadToken("a"), DeadToken("b", 5)]
