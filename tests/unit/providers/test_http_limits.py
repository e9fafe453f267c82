"""What replies say of a vendor's limits, in the spellings that vendors have for it."""

from __future__ import annotations

import pytest

from clarion.adapters.providers.http.limits import limits_of

DATE = "Sun, 22 Nov 2026 12:00:00 GMT"
NOON_S = 1_795_348_800


@pytest.mark.parametrize(
    ("headers", "per_s", "remaining", "reset_s"),
    [
        (
            {"x-ratelimit-limit": "600", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"},
            None,
            0,
            30.0,
        ),
        ({"x-ratelimit-remaining": "7", "x-ratelimit-reset": f"{NOON_S + 60}", "date": DATE}, None, 7, 60.0),
        ({"x-ratelimit-remaining": "7", "x-ratelimit-reset": f"{NOON_S - 60}", "date": DATE}, None, 7, 0.0),
        ({"x-ratelimit-remaining": "7", "x-ratelimit-reset": f"{NOON_S}"}, None, 7, None),
        (
            {"ratelimit-remaining": "3", "ratelimit-reset": "5", "ratelimit-policy": "100;w=60"},
            100 / 60,
            3,
            5.0,
        ),
        ({"ratelimit-policy": "10;w=1, 1000;w=3600"}, 1000 / 3600, None, None),
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "999999"}, None, 1, None),
    ],
)
def test_limits_are_read(
    headers: dict[str, str], per_s: float | None, remaining: int | None, reset_s: float | None
):
    found = limits_of(headers)
    assert found is not None
    assert (found.per_s, found.remaining, found.reset_s) == (per_s, remaining, reset_s)


@pytest.mark.parametrize(
    "headers",
    [{}, {"x-ratelimit-remaining": "many"}, {"ratelimit-policy": "default"}, {"ratelimit-policy": "5;w=0"}],
)
def test_what_says_nothing_is_nothing(headers: dict[str, str]):
    assert limits_of(headers) is None


def test_a_date_that_is_none_spoils_nothing():
    found = limits_of({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "5", "date": "yesterday"})
    assert found is not None
    assert (found.remaining, found.reset_s) == (0, 5.0)
