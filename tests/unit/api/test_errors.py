from __future__ import annotations

import msgspec
import pytest
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from clarion.entrypoints.api.errors import HttpError, Problem, reply_to_error
from clarion.entrypoints.api.throttle import TooMuch
from clarion.kernel.errors import (
    Ambiguous,
    ClarionError,
    Conflict,
    Invalid,
    NotFound,
    Permanent,
    Refused,
    Throttled,
    Transient,
    Unknown,
)
from clarion.orchestration.errors import KeyInUse, KeyMismatch

STATUSES: list[tuple[Exception, int, str]] = [
    (Invalid("wrong", "a.b"), 400, "invalid"),
    (Permanent("never"), 400, "invalid"),
    (HttpError(401, "who"), 401, "unauthenticated"),
    (Refused("no", "scope"), 403, "forbidden"),
    (NotFound("where"), 404, "not-found"),
    (NotFoundException(), 404, "not-found"),
    (MethodNotAllowedException(headers={"allow": "GET"}), 405, "method-not-allowed"),
    (HttpError(408, "late"), 408, "timeout"),
    (Conflict("but"), 409, "conflict"),
    (KeyInUse(), 409, "key-in-use"),
    (TooMuch("more"), 413, "too-large"),
    (HttpError(415, "what"), 415, "unsupported-media-type"),
    (KeyMismatch(), 422, "key-mismatch"),
    (Unknown("whom", "user_id"), 422, "unknown-reference"),
    (Throttled("slowly", 1.2), 429, "throttled"),
    (RuntimeError("the secret"), 500, "internal"),
    (HTTPException(status_code=418), 500, "internal"),
    (Transient("later"), 503, "unavailable"),
    (Ambiguous("perhaps"), 503, "unavailable"),
]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    STATUSES,
    ids=[f"{type(error).__name__}-{status}" for error, status, _ in STATUSES],
)
def test_every_error_has_its_status_and_kind(error: Exception, status: int, kind: str):
    reply = reply_to_error(error, "the-request")
    told = msgspec.json.decode(reply.body, type=Problem)
    assert (reply.status, told.status, told.type) == (status, status, f"urn:clarion:problem:{kind}")
    assert told.request_id == "the-request"
    assert told.title
    assert (b"content-type", b"application/problem+json") in reply.headers
    if isinstance(error, ClarionError):
        assert error.detail in told.detail


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Throttled("slowly", 1.2), b"2"),
        (Throttled("slowly", 0.01), b"1"),
        (KeyInUse(), b"1"),
        (Transient("x"), b"1"),
    ],
)
def test_what_may_be_repeated_says_when(error: Exception, seconds: bytes):
    assert (b"retry-after", seconds) in reply_to_error(error, "r").headers


def test_the_place_is_told_twice_for_people_and_for_programs():
    told = msgspec.json.decode(reply_to_error(Invalid("is wrong", "a[3].b"), "r").body, type=Problem)
    assert told.detail == "a[3].b: is wrong"
    assert [(error.path, error.detail) for error in told.errors] == [("a[3].b", "is wrong")]


def test_our_mistakes_tell_nothing_of_themselves(capsys: pytest.CaptureFixture[str]):
    reply = reply_to_error(RuntimeError("the secret"), "r")
    assert b"secret" not in reply.body
    assert b"RuntimeError" not in reply.body
    assert "request_failed" in capsys.readouterr().out


def test_a_missing_method_keeps_allow():
    assert (b"allow", b"GET") in reply_to_error(
        MethodNotAllowedException(headers={"allow": "GET"}), "r"
    ).headers
