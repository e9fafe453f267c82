"""What a reply's headers say of a vendor's limits, for every vendor alike.

`X-RateLimit-Limit`, `-Remaining`, `-Reset` as most APIs send them, and `RateLimit-…` as the IETF drafts them, with
`RateLimit-Policy: 100;w=60` where the window is told. A reset that is an instant counts from the vendor's own `Date`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from clarion.delivery.model import RateLimits

LONGEST_RESET_S: Final = 86_400.0
"""What is further away is no rate limit, or no number of seconds."""

_EPOCH_S: Final = 1_000_000_000.0
"""A larger number is an instant: no window lasts for 30 years."""

_NUMBER: Final = re.compile(r"\s*(\d{1,12}(?:\.\d{1,6})?)")
_POLICY: Final = re.compile(r"\s*(\d{1,9})\s*;\s*w\s*=\s*(\d{1,6})")


def limits_of(headers: Mapping[str, str]) -> RateLimits | None:
    """The limits that a reply names, by lower-case header; None where it names none that can be understood."""
    remaining = headers.get("x-ratelimit-remaining") or headers.get("ratelimit-remaining")
    policy = headers.get("ratelimit-policy")
    if remaining is None and policy is None:
        return None
    left, per_s = _number(remaining), _per_s(policy)
    if left is None and per_s is None:
        return None
    reset = _number(headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset"))
    said_s = _instant_s(headers.get("date", ""))
    reset_s = reset
    if reset is not None and reset > _EPOCH_S:
        reset_s = None if said_s is None else max(0.0, reset - said_s)
    if reset_s is not None and reset_s > LONGEST_RESET_S:
        reset_s = None
    return RateLimits(per_s, None if left is None else int(left), reset_s)


def _number(text: str | None) -> float | None:
    found = _NUMBER.match(text or "")
    return None if found is None else float(found[1])


def _per_s(policy: str | None) -> float | None:
    """The rate of a policy: so many in a window of so many seconds. Of several the tightest."""
    rates = [int(limit) / int(window) for limit, window in _POLICY.findall(policy or "") if int(window)]
    return min((rate for rate in rates if rate > 0), default=None)


def _instant_s(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
