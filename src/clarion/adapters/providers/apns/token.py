"""The provider token: a claim of who we are, signed with the team's key, of which Apple wants few."""

from __future__ import annotations

from typing import Final

from joserfc import jwt

from clarion.adapters.providers.apns.account import ApnsAccount
from clarion.kernel.clock import Clock

RENEW_S: Final = 40 * 60
"""Apple refuses tokens that are over an hour old, and accounts that bring a new one within 20 minutes."""
_PAST_S: Final = 60
"""Tokens claim to be that much older than they are: to a clock that is a little behind, none is from the future."""


class ProviderTokens:
    """The current token of one account. All workers begin a new one at the same moments, every 40 minutes."""

    def __init__(self, account: ApnsAccount, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._issued_s = 0
        self._authorization = ""

    def authorization(self) -> str:
        """The header of a request."""
        now_s = self._clock.now_ms() // 1000 - _PAST_S
        issued_s = now_s - now_s % RENEW_S
        if issued_s > self._issued_s:
            self._issue(issued_s)
        return self._authorization

    def renew(self, authorization: str) -> None:
        """Replace the token of a request that found it too old; not one that has replaced it since."""
        if authorization == self._authorization:
            self._issue(self._clock.now_ms() // 1000)

    def _issue(self, issued_s: int) -> None:
        account = self._account
        header = {"alg": "ES256", "kid": account.key_id}
        token = jwt.encode(header, {"iss": account.team_id, "iat": issued_s}, account.key)
        self._issued_s = issued_s
        self._authorization = f"bearer {token}"
