"""Which events say something of a person, and by whose clock."""

from __future__ import annotations

import itertools
import string

import numpy as np
import pytest
from msgspec.structs import replace

from clarion.compliance.rulebook import bundled_rulebook
from clarion.contracts.events import NotificationEvent
from clarion.contracts.user_events import UserEvent
from clarion.intelligence.features import SignKind
from clarion.intelligence.features.hear import hear
from clarion.intelligence.features.zones import MOST_PEOPLE, Clocks, Home, at_home
from clarion.kernel.local_time import DAY_MS, HOUR_MS, find_zone

NOW_MS = 20_241 * DAY_MS
TENANT = bytes(16)
SENT = NotificationEvent(bytes(16), "sent", NOW_MS, TENANT, bytes(16), b"d" * 16, 7, "news", "push")
CLOCKS = Clocks(lambda country: sorted(bundled_rulebook().atlas.zones_of(country)))


def kinds(*events: NotificationEvent) -> list[int]:
    return hear(events, [], NOW_MS).kind.tolist()


def test_only_what_says_something_is_heard() -> None:
    silent = ("accepted", "delivered", "failed", "blocked", "repriced", "of a newer release")
    assert kinds(*(replace(SENT, type=kind) for kind in silent)) == []
    assert kinds(replace(SENT, is_test=True)) == []
    assert kinds(replace(SENT, channel="none")) == []
    told = ("sent", "opened", "machine", "unsubscribed", "complained")
    assert kinds(*(replace(SENT, type=kind) for kind in told)) == [0, 1, 3, 4, 4]


def test_one_open_has_one_name_whoever_tells_of_it() -> None:
    told = hear([replace(SENT, type=kind) for kind in ("engaged", "opened", "clicked")], [], NOW_MS)
    assert told.kind.tolist() == [SignKind.OPENED, SignKind.OPENED, SignKind.OPENED, SignKind.CLICKED]
    assert len(set(told.ident.tolist())) == 2
    other = hear([replace(SENT, type="opened", delivery_id=b"e" * 16)], [], NOW_MS)
    assert other.ident[0] not in told.ident


def test_what_users_do_is_on_no_channel() -> None:
    told = hear([], [UserEvent(b"e" * 16, "seen", NOW_MS, TENANT, 7, NOW_MS)], NOW_MS)
    assert (told.kind.tolist(), told.channel.tolist()) == ([SignKind.ACTIVE], [-1])


@pytest.mark.parametrize(
    ("ahead_ms", "heard_ms"), [(-DAY_MS, -DAY_MS), (60_000, 60_000), (300_001, 0), (DAY_MS, 0)]
)
def test_a_clock_may_be_five_minutes_ahead(ahead_ms: int, heard_ms: int) -> None:
    assert hear([replace(SENT, at_ms=NOW_MS + ahead_ms)], [], NOW_MS).at_ms[0] - NOW_MS == heard_ms


@pytest.mark.parametrize(
    ("home", "zone"),
    [
        (Home(TENANT, "Asia/Tokyo", "DE", "Europe/Paris"), "Asia/Tokyo"),
        (Home(TENANT, "", "DE", "Europe/Paris"), "Europe/Paris"),
        (Home(TENANT, "Mars/Olympus", "", "Europe/Paris"), "Europe/Paris"),
        (Home(TENANT, "", "br", "UTC"), "America/Sao_Paulo"),
        (Home(TENANT, "", "DE", "UTC"), "Europe/Berlin"),
        (Home(TENANT, "", "", "UTC", "JP"), "Asia/Tokyo"),
        (Home(TENANT, "UTC", "JP", "Asia/Tokyo"), "UTC"),
        (Home(TENANT, "", "", "UTC"), "UTC"),
        (Home(TENANT, "", "XX", ""), "UTC"),
    ],
)
def test_the_clock_is_hers_or_her_tenants_or_her_countrys(home: Home, zone: str) -> None:
    assert CLOCKS.zone(home) == zone


def test_every_country_with_several_clocks_has_one_where_most_people_live() -> None:
    codes = ("".join(pair) for pair in itertools.product(string.ascii_uppercase, repeat=2))
    several = {code for code in codes if len(bundled_rulebook().atlas.zones_of(code)) > 1}
    assert several == set(MOST_PEOPLE)
    assert all(find_zone(zone) for zone in MOST_PEOPLE.values())


def test_signs_of_the_gone_are_left_out_and_summer_time_counts() -> None:
    summer, winter = NOW_MS, NOW_MS - 150 * DAY_MS
    told = hear([SENT, replace(SENT, user_id=8), replace(SENT, at_ms=winter)], [], NOW_MS)
    found = at_home(told, {7: Home(TENANT, "Europe/Berlin")}, CLOCKS)
    assert found.user_id.tolist() == [7, 7]
    assert found.at_ms.tolist() == [summer, winter]
    np.testing.assert_array_equal(found.offset_ms, [2 * HOUR_MS, HOUR_MS])
