"""What the API refuses, as exceptions: one class for each thing that a caller does differently.

ApiError
├── InvalidRequest      mend the request: `errors` says where (400, 405, 408, 413, 415, 422)
├── Unauthenticated     no live key (401)
├── Forbidden           the key may not do that (403)
├── NotFound            no such thing for this tenant (404)
├── StateConflict       it contradicts what is there (409)
├── Throttled           too many requests, for longer than the client was willing to wait (429)
└── Unavailable         the API was away or failed for longer than that; the same call may be made again
"""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.contracts.responses import ItemError


class Place(msgspec.Struct, frozen=True):
    """Where in a request something is wrong, and what."""

    path: str = ""
    detail: str = ""


class Problem(msgspec.Struct, frozen=True):
    """The body of a refusal (RFC 9457). `type` is for programs and does not change."""

    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    errors: list[Place] = []
    request_id: str = ""


class ApiError(Exception):
    """The API refused a request. `problem` is what it said."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title or f"the API answered {problem.status}")
        self.problem = problem

    @property
    def kind(self) -> str:
        """The last part of the problem's type, such as `key-mismatch`."""
        return self.problem.type.rpartition(":")[2]

    @property
    def errors(self) -> list[Place]:
        """Where the request is wrong."""
        return self.problem.errors


class InvalidRequest(ApiError):  # noqa: N818  the tree's names say what to do, not that it is an error
    """The request is wrong; the same one will never succeed."""


class Unauthenticated(ApiError):  # noqa: N818  see InvalidRequest
    """The key is not a live one."""


class Forbidden(ApiError):  # noqa: N818  see InvalidRequest
    """The key lacks the scope."""


class NotFound(ApiError):  # noqa: N818  see InvalidRequest
    """There is no such thing, for this tenant."""


class StateConflict(ApiError):  # noqa: N818  see InvalidRequest
    """The request contradicts what is there."""


class Throttled(ApiError):  # noqa: N818  see InvalidRequest
    """The tenant's bucket stayed empty for as long as the client was willing to wait."""


class Unavailable(ApiError):  # noqa: N818  see InvalidRequest
    """The API stayed away. Whether the last attempt had its effect is unknown: repeat it under the same key."""


class ItemRefused(Exception):  # noqa: N818  see InvalidRequest
    """One item of a batch was refused; the others were not. `error` says why."""

    def __init__(self, error: ItemError) -> None:
        super().__init__(f"{error.path}: {error.detail}" if error.path else error.detail)
        self.error = error


_BY_STATUS: Final[dict[int, type[ApiError]]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: StateConflict,
    429: Throttled,
}
_SERVER_ERRORS: Final = 500


def error_of(status: int, body: bytes) -> ApiError:
    """The error that an answer stands for. What is no problem of ours (a proxy's page) is told by its status."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.MsgspecError:
        problem = Problem()
    problem = msgspec.structs.replace(problem, status=status)
    fallback = Unavailable if status >= _SERVER_ERRORS else InvalidRequest
    return _BY_STATUS.get(status, fallback)(problem)
