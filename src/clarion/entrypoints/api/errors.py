"""Our errors as HTTP: status, RFC 9457 problem, headers. The only place that knows which status an error has."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import msgspec
import structlog
from litestar.exceptions import HTTPException

from clarion.entrypoints.api.replies import PROBLEM, Header, Reply, encode_json
from clarion.entrypoints.api.throttle import QuotaSpent, TooMuch
from clarion.journeys.findings import Faulty, Finding, Level
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

RETRY_AFTER_S: Final = 1.0
"""What a caller is told to wait where we do not know better."""

TYPE_PREFIX: Final = "urn:clarion:problem:"

_log = structlog.get_logger("api")


class FieldError(msgspec.Struct, frozen=True):
    """One wrong value: where it stands (`optimization.channels[1]`, "" for the whole), and what is wrong with it."""

    path: str
    detail: str


class JourneyFinding(msgspec.Struct, frozen=True):
    """A remark on a journey's definition. `level`: error, warning or note. `step`: the id of its step, or "".

    An error keeps it from being published; a warning says what will happen; a note informs. `message`: how to mend it.
    """

    level: Level
    path: str
    step: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as RFC 9457 has it. `type` is stable and made for programs, `detail` is made for people.

    `findings`: all that is to be said of a journey's definition, where that is what is wrong.
    """

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError]
    request_id: str
    findings: list[JourneyFinding] = []


class HttpError(Exception):
    """What is wrong with a request as HTTP, before it means anything: no credential, too large, not JSON."""

    def __init__(self, status: int, detail: str, headers: tuple[Header, ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


_BY_ERROR: Final[tuple[tuple[type[ClarionError], int, str], ...]] = (
    (KeyInUse, 409, "key-in-use"),
    (KeyMismatch, 422, "key-mismatch"),
    (Unknown, 422, "unknown-reference"),
    (Invalid, 400, "invalid"),
    (NotFound, 404, "not-found"),
    (Conflict, 409, "conflict"),
    (TooMuch, 413, "too-large"),
    (Permanent, 400, "invalid"),
    (QuotaSpent, 429, "quota"),
    (Throttled, 429, "throttled"),
    (Transient, 503, "unavailable"),
    (Ambiguous, 503, "unavailable"),
    (Refused, 403, "forbidden"),
)
"""The most specific first. An ambiguous effect is settled by the same call with the same key: it may be repeated."""

_BY_STATUS: Final = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    408: "timeout",
    413: "too-large",
    415: "unsupported-media-type",
}

KINDS: Final = frozenset(
    {(status, kind) for _, status, kind in _BY_ERROR} | {*_BY_STATUS.items(), (500, "internal")}
)
"""Every status and kind of problem that there is."""

_FRAMEWORK: Final = {
    400: "the request line or its headers are malformed",
    404: "there is no such route",
    405: "this resource does not take this method; Allow names those that it takes",
}
"""What the framework refuses before a route is reached, in our words."""

_TITLES: Final = {
    "conflict": "It contradicts what is there",
    "forbidden": "This key may not do that",
    "internal": "Our mistake",
    "invalid": "The request is wrong",
    "key-in-use": "The first request with this key is still running",
    "key-mismatch": "This key belongs to another request",
    "method-not-allowed": "The method does not exist here",
    "not-acceptable": "It will never be taken",
    "not-found": "There is no such thing",
    "quota": "The day's quota is spent",
    "throttled": "Too many requests",
    "timeout": "The request took too long to arrive",
    "too-large": "The request is too large",
    "unauthenticated": "A valid credential is missing",
    "unavailable": "Try again",
    "unknown-reference": "It names something that does not exist",
    "unsupported-media-type": "The body is not in a format that is read here",
}


def reply_to_error(error: Exception, request_id: str) -> Reply:
    """The answer that tells `error`. What is none of ours is logged, and told without a word about its cause."""
    match error:
        case ClarionError():
            return _reply_to_ours(error, request_id)
        case HttpError(status=status, detail=detail, headers=headers):
            return _reply(Problem(*_head(_BY_STATUS[status], status), detail, [], request_id), headers)
        case HTTPException(status_code=status) if status in _FRAMEWORK:
            headers = tuple(
                (name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()
            )
            problem = Problem(*_head(_BY_STATUS[status], status), _FRAMEWORK[status], [], request_id)
            return _reply(problem, headers)
        case _:
            _log.error("request_failed", request_id=request_id, exc_info=error)
            detail = "something went wrong on our side; tell us the request id"
            return _reply(Problem(*_head("internal", 500), detail, [], request_id))


def classify(error: ClarionError) -> tuple[int, str]:
    """The status and the kind (the end of a problem's `type`) of an error of ours."""
    return next((status, kind) for known, status, kind in _BY_ERROR if isinstance(error, known))


def title_of(status: int) -> str:
    """What a problem of this status says in general, for the description."""
    return " / ".join(dict.fromkeys(_TITLES[kind] for kind in _kinds(status)))


def _kinds(status: int) -> list[str]:
    return [
        *(kind for _, known, kind in _BY_ERROR if known == status),
        *filter(None, [_BY_STATUS.get(status)]),
    ]


def _reply_to_ours(error: ClarionError, request_id: str) -> Reply:
    status, kind = classify(error)
    errors = [FieldError(error.path, error.detail)] if isinstance(error, Invalid) else []
    detail = f"{error.path}: {error.detail}" if isinstance(error, Invalid) and error.path else error.detail
    headers: tuple[Header, ...] = ()
    if isinstance(error, Transient | Ambiguous):
        wait_s = error.retry_after if isinstance(error, Throttled) else RETRY_AFTER_S
        headers = ((b"retry-after", b"%d" % max(1, math.ceil(wait_s))),)
    findings: list[JourneyFinding] = []
    if isinstance(error, Faulty):
        findings = as_findings(error.findings)
        errors = [FieldError(one.path, one.message) for one in findings if one.level == "error"]
    return _reply(Problem(*_head(kind, status), detail, errors, request_id, findings), headers)


def as_findings(findings: Iterable[Finding]) -> list[JourneyFinding]:
    """Findings as the API shows them."""
    return [JourneyFinding(one.level, one.path, one.step, one.message) for one in findings]


def _head(kind: str, status: int) -> tuple[str, str, int]:
    return TYPE_PREFIX + kind, _TITLES[kind], status


def _reply(problem: Problem, headers: tuple[Header, ...] = ()) -> Reply:
    return Reply(problem.status, encode_json(problem), headers, PROBLEM)
