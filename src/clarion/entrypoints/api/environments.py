"""What a test credential may change: tests. It reads everything, and what is live goes on whatever it does."""

from __future__ import annotations

from clarion.entrypoints.api.routing import Call
from clarion.kernel.errors import Refused
from clarion.tenancy.model import TEST


def keep_live(call: Call, *, is_test: bool) -> None:
    """Pass where the caller may change something of this environment. Raises Refused."""
    if call.principal.environment == TEST and not is_test:
        raise Refused("a test credential cannot change what is live", "environment")


def changeable(call: Call) -> bool | None:
    """What `is_test` must be of what the caller changes; None: either."""
    return True if call.principal.environment == TEST else None
