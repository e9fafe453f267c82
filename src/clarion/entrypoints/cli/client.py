"""The public API as the command line calls it: one connection, JSON both ways."""

from __future__ import annotations

import http.client
import secrets
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

import msgspec

from clarion.adapters.embedded import Credentials, DataDirectory
from clarion.kernel.errors import Invalid, Permanent, Transient

TIMEOUT_S: Final = 30.0
PATIENCE_S: Final = 60.0
"""How long a call is repeated, with the same key, while the API is away or says 503."""

BUSY: Final = frozenset({429, 503})
KEY_IN_USE: Final = b"key-in-use"
"""Of the conflicts the one that passes: our own first call, whose answer we did not hear, is still running."""


class Account(msgspec.Struct, frozen=True):
    """Where the API is, and the key to call it with."""

    url: str
    api_key: str


def account_of(data: Path) -> Account:
    """The default tenant's account with the instance of a data directory. Raises Invalid where it never ran."""
    known = Credentials(DataDirectory.existing(data)).all()
    if "api_url" not in known or "api_key" not in known:
        raise Invalid(f"no Clarion ever ran at {data}; start one with `clarion up --data {data}`")
    return Account(known["api_url"], known["api_key"])


class _Place(msgspec.Struct, frozen=True):
    path: str = ""
    detail: str = ""


class _Problem(msgspec.Struct, frozen=True):
    title: str = ""
    detail: str = ""
    errors: list[_Place] = []


class ApiRefusal(Permanent):
    """The API says no. `places`: paths in the body, each with what is wrong there."""

    def __init__(self, detail: str, status: int, places: list[tuple[str, str]]) -> None:
        super().__init__(detail)
        self.status = status
        self.places = places


class ApiClient:
    """Calls the API of one account. A context manager; not for several threads."""

    def __init__(self, account: Account) -> None:
        self._account = account
        where = urlsplit(account.url)
        self._host = where.netloc
        self._kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401  JSON in and out
        """The decoded answer. Repeats while the API is away or busy, POSTs under one idempotency key.

        Raises ApiRefusal with what the API says is wrong, Transient where it stays away for PATIENCE_S.
        """
        headers = {"Authorization": f"Bearer {self._account.api_key}", "Content-Type": "application/json"}
        if method == "POST":
            headers["Idempotency-Key"] = secrets.token_hex(16)
        payload = None if body is None else msgspec.json.encode(body)
        give_up = time.monotonic() + PATIENCE_S
        while True:
            try:
                status, answer = self._once(method, path, payload, headers)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                if time.monotonic() > give_up:
                    raise Transient(f"the API at {self._account.url} does not answer: {error}") from error
                status, answer = 503, b""
            is_busy = status in BUSY or (status == http.HTTPStatus.CONFLICT and KEY_IN_USE in answer)
            if not is_busy or time.monotonic() > give_up:
                break
            time.sleep(0.5)
        decoded = msgspec.json.decode(answer) if answer else None
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise _refusal(method, path, status, decoded)
        return decoded

    def _once(
        self, method: str, path: str, payload: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._kind(self._host, timeout=TIMEOUT_S)
        self._connection.request(method, path, payload, headers)
        response = self._connection.getresponse()
        return response.status, response.read()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close the connection."""
        self._drop()


def path_of(resource: str, name: str) -> str:
    """The path of one named resource."""
    return f"/api/v1/{resource}/{quote(name, safe='')}"


def _refusal(method: str, path: str, status: int, problem: Any) -> ApiRefusal:  # noqa: ANN401  any JSON
    try:
        known = msgspec.convert(problem, _Problem)
    except msgspec.ValidationError:
        return ApiRefusal(f"{method} {path}: {status}", status, [])
    places = [(place.path, place.detail) for place in known.errors]
    told = "; ".join(f"{where}: {detail}" for where, detail in places)
    return ApiRefusal(
        f"{method} {path}: {status} {known.detail or known.title} {told}".strip(), status, places
    )
