from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest

from clarion.audience.model import Member
from clarion.contracts.statuses import Status
from clarion.orchestration.broadcasts import SIDES, Source, Timing, balance, local_ms
from clarion.orchestration.chunks import UNKNOWN_USER
from clarion.orchestration.fan_out import Forecast, add_forecasts, price_list
from clarion.orchestration.snapshot import ChunkDraft, Collecting, Page, cut
from clarion.tenancy.config import ProviderConfig

NINE = datetime(2026, 12, 1, 9)  # noqa: DTZ001  a local time, on purpose


def instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def test_every_status_stands_on_one_side_of_the_equation():
    statuses = {*get_args(Status), "waiting", "refused"}
    books = balance(len(statuses), dict.fromkeys(statuses, 1))
    assert sum(getattr(books, side) for side in SIDES) == books.audience
    assert set(books.detail) == statuses


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Pacific/Kiritimati", "2026-11-30T19:00:00+00:00"),
        ("Asia/Kolkata", "2026-12-01T03:30:00+00:00"),
        ("Etc/GMT+12", "2026-12-01T21:00:00+00:00"),
        ("no/zone", "2026-12-01T09:00:00+00:00"),
    ],
)
def test_nine_oclock_is_when_her_clock_shows_it(zone: str, expected: str):
    assert instant(local_ms(NINE, zone)) == expected


def test_an_hour_that_is_leapt_over_comes_after_the_leap_and_one_that_comes_twice_the_first_time():
    leapt = datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001  see NINE
    twice = datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001  see NINE
    assert instant(local_ms(leapt, "Europe/Paris")) == "2026-03-29T01:30:00+00:00"
    assert instant(local_ms(twice, "Europe/Paris")) == "2026-10-25T00:30:00+00:00"


def test_a_page_is_cut_by_the_hour_and_by_size_and_strangers_lie_apart():
    members = [
        Member(1, "a", "Asia/Tokyo"),
        Member(2, "b", "Europe/Paris"),
        Member(3, "c", "Asia/Tokyo"),
        Member(4, "d", "Asia/Seoul"),
        Member(5, "e", ""),
    ]
    page = Page(members, ["x"], 5, is_last=False)
    collecting = Collecting(bytes(16), bytes(16), Source("all"), Timing(local=NINE), 0, 2, 0)

    drafts = cut(collecting, page, "Europe/Berlin")

    tokyo, paris = local_ms(NINE, "Asia/Tokyo"), local_ms(NINE, "Europe/Paris")
    assert drafts == [
        ChunkDraft(tokyo, ["a", "c"]),
        ChunkDraft(tokyo, ["d"]),
        ChunkDraft(paris, ["b", "e"]),
        ChunkDraft(0, ["x"], UNKNOWN_USER),
    ]


def provider(
    name: str, channel: str, cost_micros: int, weight: int, *, enabled: bool = True
) -> ProviderConfig:
    return ProviderConfig(name, bytes(16), "sandbox", channel, {}, {}, cost_micros, weight, enabled)


def test_a_message_costs_what_its_providers_do_by_their_shares():
    prices = price_list(
        [
            provider("dear", "email", 400, 1),
            provider("cheap", "email", 100, 3),
            provider("off", "email", 9000, 5, enabled=False),
            provider("one", "sms", 7000, 0),
            provider("other", "sms", 9000, 0),
        ],
        at_ms=0,
    )
    assert prices == {"email": 175, "sms": 8000}


def test_forecasts_add_up():
    one = Forecast(10, 7, 1, 2, 1, {"email": 7}, {"email": 700})
    other = Forecast(5, 5, 0, 0, 0, {"email": 3, "sms": 4}, {"email": 300, "sms": 40})
    assert add_forecasts([one, other]) == Forecast(
        15, 12, 1, 2, 1, {"email": 10, "sms": 4}, {"email": 1000, "sms": 40}
    )
