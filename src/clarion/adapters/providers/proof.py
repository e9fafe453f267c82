"""What readers of webhooks do alike: compare in constant time, believe no old call, read back what vendors echo."""

from __future__ import annotations

import hmac
import re
from typing import Final

from msgspec.structs import replace

from clarion.adapters.providers.webhooks import Feedback
from clarion.kernel.errors import Refused
from clarion.tenancy.config import ProviderConfig

FORGED: Final = "webhook_signature"
"""The rule by which an unproven call is refused."""

TOLERANCE_MS: Final = 300_000
"""How far a signed time may lie from ours, either way."""

_DELIVERY: Final = re.compile(r"[0-9a-f]{32}")


def refuse(detail: str) -> Refused:
    """The error for a call that is not proven to be the vendor's."""
    return Refused(detail, FORGED)


def check_same(expected: str, given: str, detail: str) -> None:
    """Raise Refused unless both are the same, in a time that does not tell how far they are."""
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise refuse(detail)


def check_time(at_ms: int, now_ms: int) -> None:
    """Raise Refused where a signed time is not of these minutes: a recorded call may be played again."""
    if abs(at_ms - now_ms) > TOLERANCE_MS:
        raise refuse("the webhook was signed more than five minutes from now")


def secret_of(account: ProviderConfig, name: str) -> str:
    """A credential that proves webhooks. Raises Refused, saying which to set: without it nobody can prove anything."""
    secret = account.credentials.get(name, "")
    if not secret:
        raise refuse(f"the account has no credentials.{name}, by which its webhooks are proven")
    return secret


def delivery_id(text: object) -> bytes:
    """A delivery's id from the 32 hexadecimal digits that vendors echo; b"" for anything else."""
    return bytes.fromhex(text) if isinstance(text, str) and _DELIVERY.fullmatch(text) else b""


def with_opt_out(failure: Feedback) -> list[Feedback]:
    """What a refusal because of an opt-out comes to: the message failed, and the addressee wants no more of them."""
    return [failure, replace(failure, event_id=f"{failure.event_id}:stop", kind="unsubscribed")]
