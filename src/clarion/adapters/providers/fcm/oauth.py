"""The bearer token of a service account: asked for with a signed assertion (RFC 7523), kept, renewed in time."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlencode

import msgspec
from joserfc import jwt

from clarion.adapters.providers.base import CALL_DEADLINE_S, Cut, Unavailable
from clarion.adapters.providers.fcm.account import FcmAccount
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest, HttpTransport
from clarion.adapters.providers.http.statuses import peek_body
from clarion.delivery.model import AUTH_CODE
from clarion.kernel.clock import Clock

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_S: Final = 3600
_EARLY_S: Final = 300
"""A token is renewed that long before it ends, so that none ends on its way."""
_FORM: Final = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
_OK: Final = 200
_OUR_FAULT: Final = frozenset({400, 401, 403})
_LONGEST_REASON: Final = 60
"""Of an error's name that is told. RFC 6749's are words such as `invalid_grant`; what is none may hold anything."""


class _Grant(msgspec.Struct):
    access_token: str
    expires_in: float = 3600.0


class _Refusal(msgspec.Struct):
    error: str = ""


class BearerTokens:
    """The current token of one account. Whoever needs one while it is asked for waits for the same answer."""

    def __init__(self, account: FcmAccount, transport: HttpTransport, clock: Clock) -> None:
        self._account = account
        self._transport = transport
        self._clock = clock
        self._asking = asyncio.Lock()
        self._token = ""
        self._renew_at = 0.0

    @property
    def authorization(self) -> str:
        """The header of a request; `ensure` comes before it."""
        return f"Bearer {self._token}"

    async def ensure(self) -> None:
        """Have a token that lasts. Raises Unavailable: with AUTH_CODE where Google refuses the account."""
        if self._is_fresh():
            return
        async with self._asking:
            if not self._is_fresh():
                await self._ask()

    def discard(self, authorization: str) -> None:
        """Forget the token of a request that was refused for it; not one that has replaced it since."""
        if authorization == self.authorization:
            self._renew_at = 0.0

    def _is_fresh(self) -> bool:
        return self._clock.monotonic() < self._renew_at

    async def _ask(self) -> None:
        form = urlencode({"grant_type": _GRANT, "assertion": self._assertion()})
        request = HttpRequest("POST", self._account.token_url, _FORM, form.encode())
        try:
            reply = await self._transport.exchange(request, _nothing, CALL_DEADLINE_S)
        except (Unavailable, Cut) as error:
            # Of the messages nothing has left, whatever became of the question.
            raise Unavailable(f"no access token from Google: {error.detail}", "token_unavailable") from error
        grant = _read_grant(reply)
        self._token = grant.access_token
        # What lives for less than that is used for half its life.
        lasts_s = max(grant.expires_in - _EARLY_S, grant.expires_in / 2)
        self._renew_at = self._clock.monotonic() + lasts_s

    def _assertion(self) -> str:
        owner, now_s = self._account.owner, self._clock.now_ms() // 1000
        header = {"alg": "RS256", "typ": "JWT"}
        if owner.private_key_id:
            header["kid"] = owner.private_key_id
        claims = {
            "iss": owner.client_email,
            "scope": SCOPE,
            "aud": owner.token_uri,
            "iat": now_s,
            "exp": now_s + _ASSERTION_S,
        }
        return jwt.encode(header, claims, self._account.key)


def _read_grant(reply: HttpReply) -> _Grant:
    if reply.status == _OK:
        grant = peek_body(reply, _Grant)
        if grant is None:
            raise Unavailable("what came in place of an access token is none", "token_unavailable")
        return grant
    if reply.status in _OUR_FAULT:
        reason = _reason(reply)
        raise Unavailable(f"Google refuses the service account{reason}", AUTH_CODE)
    raise Unavailable(f"no access token from Google: status {reply.status}", "token_unavailable")


def _reason(reply: HttpReply) -> str:
    refusal = peek_body(reply, _Refusal)
    error = refusal.error if refusal else ""
    is_word = error.replace("_", "").isalnum() and len(error) <= _LONGEST_REASON
    return f": {error}" if is_word else ""


def _nothing() -> None:
    """No message leaves with the question."""
