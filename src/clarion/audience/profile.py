"""A user's profile as a tenant writes it, and what is left of it after checking."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import phonenumbers
from email_validator import EmailNotValidError, validate_email
from msgspec import UNSET, Meta, UnsetType

from clarion.audience.model import DeviceToken, SealedProfile
from clarion.audience.phone import NOWHERE, Origin, origin_of, to_e164
from clarion.contracts.channels import CHANNELS, Channel, mask_of
from clarion.contracts.commands import Name
from clarion.kernel.errors import Invalid
from clarion.kernel.local_time import find_zone
from clarion.kernel.text import check_storable
from clarion.tenancy.model import QuietHours

MAX_ATTRIBUTE_BYTES: Final = 32_768
MAX_DEVICES: Final = 50
MAX_PREFERENCES: Final = 100
ATTRIBUTE_DEPTH: Final = 8
MAX_PLAIN_EMAIL: Final = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets

_OF_THE_MACHINE: Final = frozenset({"localtime", "posixrules", "Factory"})
"""Names in a tz database that stand for no place: each machine understands something else by them."""

_NO_CALLING_CODE: Final = frozenset({"AQ", "BV", "GS", "HM", "PN", "TF", "UM"})
"""Countries (ISO 3166-1) without a telephone region of their own."""

_COUNTRIES: Final = frozenset(phonenumbers.SUPPORTED_REGIONS) | _NO_CALLING_CODE
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}")
_PLAIN_LOCAL: Final = re.compile(
    r"(?=.{1,64}$)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
)
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")

_EMAIL: Final = mask_of(["email"])
_PUSH: Final = mask_of(["push"])
_SMS: Final = mask_of(["sms"])

_ESCAPED_NUL: Final = b"\\u0000"

_json = msgspec.json.Encoder()


class DailyWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Quiet hours on the user's wall clock, `HH:MM` each; may span midnight."""

    start: Annotated[str, Meta(max_length=5)]
    end: Annotated[str, Meta(max_length=5)]


Preferences: TypeAlias = Annotated[dict[Name, list[Channel]], Meta(max_length=MAX_PREFERENCES)]


class UserProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `PUT /api/v1/users/{user_id}`: the whole profile; what is left out is removed.

    `phone` is E.164, or national where `country` (ISO 3166-1 alpha-2) is given. `timezone` is an IANA name, `language`
    a BCP 47 tag. `preferences`: by category (`*`: all), the channels that the user switched off.

    Three things have resources of their own, because the user herself sets them: left out, `preferences` and
    `quiet_hours` stay as they are, and of the devices those that were registered by themselves do.
    """

    email: Annotated[str, Meta(max_length=320)] | None = None
    phone: Annotated[str, Meta(max_length=40)] | None = None
    device_tokens: Annotated[list[DeviceToken], Meta(max_length=MAX_DEVICES)] | UnsetType = UNSET
    timezone: Annotated[str, Meta(max_length=64)] | None = None
    language: Annotated[str, Meta(max_length=35)] | None = None
    country: Annotated[str, Meta(max_length=2)] | None = None
    region: Annotated[str, Meta(max_length=64)] | None = None
    preferred_channel: Channel | None = None
    attributes: dict[str, Any] = {}
    preferences: Preferences | UnsetType = UNSET
    quiet_hours: DailyWindow | UnsetType | None = UNSET


class UserItem(UserProfile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One user of `POST /api/v1/users/batch`, and the answer to `GET /api/v1/users/{user_id}`."""

    user_id: Name


class CheckedProfile(msgspec.Struct, frozen=True, array_like=True):
    """A profile as it is kept: normalised, its personal part apart. `reachable` and `preferences` are channel masks.

    None for `devices` and `preferences`, and `keeps_quiet_hours`: the profile leaves them as they are. `origin`: where
    the number is from.
    """

    personal: SealedProfile
    devices: list[DeviceToken] | None
    reachable: int
    timezone: str
    language: str
    country: str
    region: str
    preferred_channel: str
    preferences: dict[str, int] | None
    quiet_hours: QuietHours | None
    keeps_quiet_hours: bool = False
    origin: Origin = NOWHERE


def check_profile(external_id: str, profile: UserProfile) -> CheckedProfile:
    """The profile, normalised. Raises Invalid with the path of the first wrong value and how to mend it.

    An e-mail address is checked by its form, not by asking anybody; a number by its length, because the lists of ranges
    in use lag behind the ranges in use.
    """
    check_storable(external_id, "user_id")
    country = _country(profile.country)
    email, phone = _email(profile.email), _phone(profile.phone, country)
    devices = None if profile.device_tokens is UNSET else _devices(profile.device_tokens)
    check_storable(profile.region or "", "region")
    return CheckedProfile(
        SealedProfile(email, phone, [], _attributes(profile.attributes)),
        devices,
        (_EMAIL if email else 0) | (_PUSH if devices else 0) | (_SMS if phone else 0),
        _timezone(profile.timezone),
        _language(profile.language),
        country,
        profile.region or "",
        profile.preferred_channel or "",
        None if profile.preferences is UNSET else check_preferences(profile.preferences),
        None if profile.quiet_hours is UNSET else check_window(profile.quiet_hours),
        profile.quiet_hours is UNSET,
        origin_of(phone) if phone else NOWHERE,
    )


def write_profile(external_id: str, checked: CheckedProfile) -> UserItem:
    """Inverse of `check_profile`: the profile as the tenant may write it again."""
    personal = checked.personal
    return UserItem(
        user_id=external_id,
        email=personal.email or None,
        phone=personal.phone or None,
        device_tokens=UNSET if checked.devices is None else checked.devices,
        timezone=checked.timezone or None,
        language=checked.language or None,
        country=checked.country or None,
        region=checked.region or None,
        preferred_channel=_channel(checked.preferred_channel),
        attributes=personal.attributes,
        preferences=UNSET if checked.preferences is None else write_preferences(checked.preferences),
        quiet_hours=UNSET if checked.keeps_quiet_hours else write_window(checked.quiet_hours),
    )


@lru_cache(maxsize=4096)
def _domain(name: str) -> str | None:
    """The domain of a plain address, normalised; None where it takes the validator to say what is wrong.

    Nine tenths of the validator's 31 µs go into the domain, and most users share a few.
    """
    try:
        return validate_email(f"a@{name}", check_deliverability=False).domain
    except EmailNotValidError:
        return None


def _email(text: str | None) -> str:
    if not text:
        return ""
    local, _, name = text.rpartition("@")
    if _PLAIN_LOCAL.fullmatch(local) and len(text) <= MAX_PLAIN_EMAIL and name.isascii():
        domain = _domain(name)
        if domain is not None:
            return f"{local}@{domain}"
    check_storable(text, "email")
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as exc:
        # What stands behind a colon or in brackets quotes the address.
        reason = re.split(r"[:(']", str(exc), maxsplit=1)[0].strip().rstrip(".")
        detail = f"is no e-mail address like name@example.com: {reason}"
        raise Invalid(detail, "email") from None


def _phone(text: str | None, country: str) -> str:
    if not text:
        return ""
    number = to_e164(text, country)
    if number is None:
        detail = (
            "is no telephone number: give it with + and country code (+14155550123), or give `country` too"
        )
        raise Invalid(detail, "phone")
    return number


def _devices(tokens: list[DeviceToken]) -> list[DeviceToken]:
    for index, device in enumerate(tokens):
        check_storable(device.token, f"device_tokens[{index}].token")
    return list(dict.fromkeys(tokens))


def _attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    if not attributes:
        return {}
    try:
        raw = _json.encode(attributes)
    except (UnicodeEncodeError, RecursionError):  # a lone surrogate, or too deep: the check says where
        raw = _ESCAPED_NUL
    # The walk is half of what a profile costs, and only these can make it find something.
    if _ESCAPED_NUL in raw or raw.count(b"{") + raw.count(b"[") >= ATTRIBUTE_DEPTH:
        check_storable(attributes, "attributes", ATTRIBUTE_DEPTH)
    if len(raw) > MAX_ATTRIBUTE_BYTES:
        detail = f"has more than {MAX_ATTRIBUTE_BYTES} bytes as JSON: keep what templates need, no more"
        raise Invalid(detail, "attributes")
    return attributes


def _timezone(name: str | None) -> str:
    if not name:
        return ""
    if name in _OF_THE_MACHINE or find_zone(name) is None:
        detail = "is no time zone: give an IANA name such as Europe/Berlin"
        raise Invalid(detail, "timezone")
    return name


def _language(tag: str | None) -> str:
    if tag and _LANGUAGE.fullmatch(tag) is None:
        detail = "is no language: give a BCP 47 tag such as de or pt-BR"
        raise Invalid(detail, "language")
    return tag or ""


def _country(code: str | None) -> str:
    country = (code or "").upper()
    if country and country not in _COUNTRIES:
        detail = "is no country: give two letters of ISO 3166-1 such as DE"
        raise Invalid(detail, "country")
    return country


def check_preferences(preferences: dict[str, list[Channel]]) -> dict[str, int]:
    """The mask of the channels that are switched off, by category. Raises Invalid."""
    for category in preferences:
        check_storable(category, "preferences")
    return {category: mask_of(channels) for category, channels in preferences.items() if channels}


def write_preferences(preferences: dict[str, int]) -> dict[str, list[Channel]]:
    """Inverse of `check_preferences`."""
    return {
        name: [channel for i, channel in enumerate(CHANNELS) if mask >> i & 1]
        for name, mask in preferences.items()
    }


def check_window(window: DailyWindow | None) -> QuietHours | None:
    """Quiet hours in minutes of the day. Raises Invalid."""
    if window is None:
        return None
    return QuietHours(_minutes(window.start, "quiet_hours.start"), _minutes(window.end, "quiet_hours.end"))


def write_window(window: QuietHours | None) -> DailyWindow | None:
    """Inverse of `check_window`."""
    return DailyWindow(_clock(window.start_min), _clock(window.end_min)) if window else None


def _minutes(text: str, path: str) -> int:
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        detail = "is no time of day: give HH:MM, 00:00 to 23:59"
        raise Invalid(detail, path)
    return int(clock[1]) * 60 + int(clock[2])


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _channel(name: str) -> Channel | None:
    return next((channel for channel in CHANNELS if channel == name), None)
