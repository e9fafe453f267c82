"""What a profile may hold, and what is said where it is wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clarion.audience.model import DeviceToken
from clarion.audience.profile import DailyWindow, UserItem, UserProfile, check_profile, write_profile
from clarion.kernel.errors import Invalid


@pytest.mark.parametrize(
    ("profile", "path"),
    [
        (UserProfile(email="nobody"), "email"),
        (UserProfile(email="a@localhost"), "email"),
        (UserProfile(email="a b@example.com"), "email"),
        (UserProfile(email="a@example.com\nBcc: b@example.com"), "email"),
        (UserProfile(email="a\0@example.com"), "email"),
        (UserProfile(phone="0170 1234567"), "phone"),
        (UserProfile(phone="+1"), "phone"),
        (UserProfile(phone="+491701234567890123"), "phone"),
        (UserProfile(phone="call me"), "phone"),
        (UserProfile(timezone="Mars/Olympus"), "timezone"),
        (UserProfile(timezone="localtime"), "timezone"),
        (UserProfile(timezone="../../etc/passwd"), "timezone"),
        (UserProfile(timezone="Europe"), "timezone"),
        (UserProfile(language="german please"), "language"),
        (UserProfile(country="XX"), "country"),
        (UserProfile(region="\ud800"), "region"),
        (UserProfile(quiet_hours=DailyWindow("24:00", "07:00")), "quiet_hours.start"),
        (UserProfile(quiet_hours=DailyWindow("22:00", "7:00")), "quiet_hours.end"),
        (
            UserProfile(device_tokens=[DeviceToken("web", "ok"), DeviceToken("web", "\0")]),
            "device_tokens[1].token",
        ),
        (UserProfile(attributes={"a": {"b": ["\0"]}}), "attributes.a.b[0]"),
        (UserProfile(attributes={"a": "x" * 40_000}), "attributes"),
        (UserProfile(preferences={"\0": ["sms"]}), "preferences"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(profile: UserProfile, path: str):
    with pytest.raises(Invalid) as caught:
        check_profile("ada", profile)
    assert caught.value.path == path


def test_what_is_said_of_an_address_does_not_repeat_it():
    for email in ("secret-name", "secret-name@exa mple.com", "secret(name)@example.com", "secret@-name-.com"):
        with pytest.raises(Invalid) as caught:
            check_profile("ada", UserProfile(email=email))
        assert "secret" not in caught.value.detail
        assert "name" not in caught.value.detail.replace("name@example.com", "")


def test_nesting_has_an_end():
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(9):
        inner["a"] = {}
        inner = inner["a"]
    with pytest.raises(Invalid, match="deeply"):
        check_profile("ada", UserProfile(attributes=deep))


@pytest.mark.parametrize(
    ("phone", "country", "expected"),
    [
        ("+49 170 1234567", None, "+491701234567"),
        ("0170/1234567", "de", "+491701234567"),
        ("(415) 555-0123", "US", "+14155550123"),
        ("+1 415 555 0123", "DE", "+14155550123"),
        ("+15551234567", None, "+15551234567"),
    ],
)
def test_numbers_become_e164(phone: str, country: str | None, expected: str):
    checked = check_profile("ada", UserProfile(phone=phone, country=country))
    assert checked.personal.phone == expected


def test_reachable_is_where_there_is_an_address():
    assert check_profile("ada", UserProfile()).reachable == 0
    assert check_profile("ada", UserProfile(email="a@example.com")).reachable == 0b001
    assert check_profile("ada", UserProfile(device_tokens=[DeviceToken("web", "t")])).reachable == 0b010
    assert check_profile("ada", UserProfile(phone="+14155550123")).reachable == 0b100
    assert check_profile("ada", UserProfile(email="", phone="")).reachable == 0


def test_a_profile_written_again_is_the_same():
    profile = UserProfile(
        email="ada@example.com",
        device_tokens=[DeviceToken("web", "t")],
        timezone="Asia/Kathmandu",
        language="pt-BR",
        country="NP",
        preferred_channel="email",
        attributes={"a": 1},
        preferences={"*": ["email", "sms"]},
        quiet_hours=DailyWindow("00:00", "23:59"),
    )
    checked = check_profile("ada", profile)
    again = write_profile("ada", checked)
    assert check_profile("ada", again) == checked
    assert check_profile("ada", UserProfile()).devices is None
    assert again == UserItem(user_id="ada", **msgspec.structs.asdict(profile))


def test_unknown_fields_are_refused_with_their_name():
    with pytest.raises(msgspec.ValidationError, match="emial"):
        msgspec.json.decode(b'{"emial": "a@example.com"}', type=UserProfile)
