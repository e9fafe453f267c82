"""Who we are, said to each push service by itself (RFC 8292)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec
from joserfc import jwt

from clarion.adapters.providers.webpush.account import WebPushAccount
from clarion.kernel.clock import Clock

LIFE_S: Final = 12 * 3600
"""How long a claim is good. RFC 8292 allows a day; clocks differ."""
RENEW_S: Final = 6 * 3600
ORIGINS: Final = 256
"""Push services that are remembered. Browsers use four; whoever subscribes can name any."""


class _Claim(msgspec.Struct):
    authorization: str
    renew_at: float
    is_proven: bool = False


class Vapid:
    """The signed claims of one account, one for each origin, and which origins have taken a message of it."""

    def __init__(self, account: WebPushAccount, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._claims: OrderedDict[str, _Claim] = OrderedDict()

    def authorization(self, origin: str) -> str:
        """The header of a request to that push service."""
        claim = self._claims.get(origin)
        now = self._clock.monotonic()
        if claim is None or claim.renew_at <= now:
            claim = _Claim(self._sign(origin), now + RENEW_S, claim is not None and claim.is_proven)
            self._claims[origin] = claim
        self._claims.move_to_end(origin)
        if len(self._claims) > ORIGINS:
            self._claims.popitem(last=False)
        return claim.authorization

    def prove(self, origin: str) -> None:
        """Note that this push service took a message."""
        if claim := self._claims.get(origin):
            claim.is_proven = True

    def is_proven(self, origin: str) -> bool:
        """Whether it took one: what goes wrong there now is not for want of a push service, nor of a key."""
        claim = self._claims.get(origin)
        return claim is not None and claim.is_proven

    def _sign(self, origin: str) -> str:
        account = self._account
        expires_s = self._clock.now_ms() // 1000 + LIFE_S
        claims = {"aud": origin, "exp": expires_s, "sub": account.settings.subject}
        token = jwt.encode({"alg": "ES256", "typ": "JWT"}, claims, account.key)
        return f"vapid t={token}, k={account.public_key}"
