"""The error tree. Its first split is what the caller must do next.

    ClarionError
    ├── Transient            try again later; nothing was decided
    │   └── Throttled        try again, not before `retry_after`
    ├── Permanent            the same call will never succeed
    │   ├── Invalid          the input is wrong: `path` says where, `detail` what and how to mend it
    │   ├── NotFound         it names something this tenant does not have
    │   └── Conflict         it contradicts what is already there
    ├── Refused              a policy says no: `rule` says which
    └── Ambiguous            the call may or may not have had its effect

Foreign errors are mapped to these at the edges (adapters), with `raise … from`.
"""

from __future__ import annotations


class ClarionError(Exception):
    """Base of every error that Clarion raises on purpose. `detail` is safe to show to the tenant: it holds no PII."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Transient(ClarionError):  # noqa: N818  the tree's names say what to do, not that it is an error
    """The same call may succeed later: a store is away, a connection was cut before anything happened."""


class Throttled(Transient):
    """Refused for volume. `retry_after` is in seconds, as the other side asked or as we computed."""

    def __init__(self, detail: str, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Permanent(ClarionError):  # noqa: N818  see Transient
    """The same call will never succeed: do not retry it."""


class Invalid(Permanent):
    """The input is wrong. `path`: JSON path of the offending value (`notifications[3].priority`), "" for the whole."""

    def __init__(self, detail: str, path: str = "") -> None:
        super().__init__(detail)
        self.path = path


class NotFound(Permanent):
    """What was named does not exist for this tenant (another tenant's things do not exist either)."""


class Unknown(Invalid):
    """A body names a user, template or category that this tenant does not have (`422` at the HTTP edge)."""


class Conflict(Permanent):
    """The request contradicts stored state, such as an idempotency key used with another body."""


class Refused(ClarionError):  # noqa: N818  see Transient
    """A policy says no. `rule` is the identifier of the rule, as kept in the decision."""

    def __init__(self, detail: str, rule: str) -> None:
        super().__init__(detail)
        self.rule = rule


class Ambiguous(ClarionError):  # noqa: N818  see Transient
    """The effect of the call is unknown: bytes left, no verdict came back. Settled by the category's `on_ambiguity`."""
