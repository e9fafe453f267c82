"""Where a message goes, as far as it matters to who carries it: a country, a mail domain, or push services.

An account can be good for one country and bad for another, so figures and prices are kept by these names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import phonenumbers

from clarion.delivery.model import Message
from clarion.delivery.push import service_of

ANYWHERE: Final = "*"
"""All destinations of an account together; also where nothing can be told of an address."""

OTHER: Final = "other"
"""In traces: a mail domain of so few people that it could name one."""

SERVICES_JOIN: Final = "+"
"""Between the push services of a message's devices."""

MAX_DOMAIN: Final = 100
"""Longer mail domains are not worth a name of their own."""

_FAMILIES: Final[Mapping[str, str]] = {
    "googlemail.com": "gmail.com",
    "hotmail.com": "outlook.com",
    "hotmail.co.uk": "outlook.com",
    "hotmail.fr": "outlook.com",
    "live.com": "outlook.com",
    "msn.com": "outlook.com",
    "ymail.com": "yahoo.com",
    "yahoo.co.uk": "yahoo.com",
    "yahoo.fr": "yahoo.com",
    "yahoo.de": "yahoo.com",
    "aol.com": "yahoo.com",
    "me.com": "icloud.com",
    "mac.com": "icloud.com",
    "gmx.net": "gmx.de",
    "pm.me": "proton.me",
    "protonmail.com": "proton.me",
}
"""Domains whose mail the same servers take: they accept and refuse alike."""

_MAILBOXES: Final = frozenset(
    {
        *_FAMILIES.values(),
        *("163.com", "bluewin.ch", "comcast.net", "fastmail.com", "free.fr", "freenet.de", "laposte.net"),
        *("libero.it", "mail.ru", "naver.com", "orange.fr", "qq.com", "seznam.cz", "t-online.de"),
        *("web.de", "wp.pl", "yandex.ru", "zoho.com"),
    }
)
"""Where so many people have their mail that the domain says nothing of any of them."""

_PREFIX_DIGITS: Final = 7
"""Of a number behind the `+`: more than any country needs to be told from its neighbours in one calling code."""

_NO_REGION: Final = "001"
_FILLERS: Final = ("2345678", "5555555", "0000000", "1234567")


def destination_of(message: Message) -> str:
    """`DE` for a number, `gmail.com` for an address, `apns+fcm` for devices; ANYWHERE where it cannot be told."""
    if message.channel == "email":
        return mail_domain_of(message.to)
    if message.channel == "sms":
        return country_of(message.to)
    return SERVICES_JOIN.join(sorted({service_of(device) for device in message.devices})) or ANYWHERE


def public_name_of(channel: str, destination: str) -> str:
    """A destination as a trace may name it: of mail domains only those that say nothing of a person, else OTHER."""
    if channel != "email" or destination == ANYWHERE or destination in _MAILBOXES:
        return destination
    return OTHER


def mail_domain_of(address: str) -> str:
    """The domain of an e-mail address, or that of the family it belongs to; ANYWHERE where it has none."""
    domain = address.rpartition("@")[2].lower()
    if not domain or len(domain) > MAX_DOMAIN or len(domain) == len(address):
        return ANYWHERE
    return _FAMILIES.get(domain, domain)


def country_of(number: str) -> str:
    """The country (ISO 3166-1) of a number in E.164; ANYWHERE for one of no country. A look-up, nothing is parsed."""
    return _country_behind(number[1 : 1 + _PREFIX_DIGITS]) if number[:1] == "+" else ANYWHERE


@lru_cache(maxsize=65_536)
def _country_behind(prefix: str) -> str:
    for digits in (1, 2, 3):
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(_number(prefix[:digits]))
        if regions:
            return _among(tuple(regions), prefix[digits:])
    return ANYWHERE


def _among(regions: tuple[str, ...], national: str) -> str:
    """The country of a calling code's that has numbers which begin so; the main one of the code where none says so."""
    main = ANYWHERE if regions[0] == _NO_REGION else regions[0]
    if len(regions) == 1:
        return main
    return next((region for region in regions if _has_numbers(region, national)), main)


def _has_numbers(region: str, national: str) -> bool:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if metadata is None:
        return False
    if metadata.leading_digits is not None:
        return re.match(metadata.leading_digits, national) is not None
    kinds = (metadata.mobile, metadata.fixed_line, metadata.personal_number, metadata.toll_free)
    patterns = [kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern]
    samples = {(national + filler)[:length] for filler in _FILLERS for length in range(len(national) + 1, 12)}
    return any(re.fullmatch(pattern, sample) for pattern in patterns for sample in samples)


def _number(digits: str) -> int:
    return int(digits) if digits.isascii() and digits.isdigit() else 0
