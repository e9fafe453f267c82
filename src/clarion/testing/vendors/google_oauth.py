"""Google's token endpoint for service accounts: it verifies the assertion, and gives out tokens of FcmDouble's."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.kernel.clock import Clock, StoreClock
from clarion.testing.vendors.double import Rejected, VendorDouble, json_reply
from clarion.testing.vendors.fcm import PROJECT

MAIL: Final = "sender@clarion-test.iam.gserviceaccount.com"
SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@lru_cache(maxsize=1)
def _rsa_key() -> RSAKey:
    """One for the process: making one takes a tenth of a second."""
    return RSAKey.generate_key(2048)


class TokenDouble(VendorDouble):
    """Gives out `ya29.1`, `ya29.2`, … puts them among `tokens`, for `expires_in` seconds. `arrived`: claims."""

    def __init__(self, tokens: set[str], clock: Clock | None = None) -> None:
        super().__init__()
        self._tokens = tokens
        self._clock = clock or StoreClock()
        self.expires_in = 3600

    @staticmethod
    def service_account(url: str) -> str:
        """The file that Google would give out, for a token endpoint at `url`."""
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "key-1",
            "private_key": _rsa_key().as_pem(private=True).decode(),
            "client_email": MAIL,
            "token_uri": f"{url}/token",
        }
        return json.dumps(account)

    def _answer(self, request: HttpRequest) -> HttpReply:
        form = parse_qs(request.body.decode())
        if form.get("grant_type") != [GRANT]:
            raise Rejected(400, "grant", {"error": "unsupported_grant_type"})
        try:
            claims = jwt.decode(form["assertion"][0], _rsa_key(), algorithms=["RS256"]).claims
        except (JoseError, KeyError, ValueError) as error:
            raise Rejected(400, "signature", {"error": "invalid_grant"}) from error
        now_s = self._clock.now_ms() / 1000
        lives = claims["iat"] <= now_s + 300 and now_s < claims["exp"] <= claims["iat"] + 3600
        if claims["iss"] != MAIL or SCOPE not in claims["scope"].split() or not lives:
            raise Rejected(400, "claims", {"error": "invalid_grant"})
        self._take(claims)
        token = f"ya29.{self.taken}"
        self._tokens.add(token)
        return json_reply(200, {"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer"})
