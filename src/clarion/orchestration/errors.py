"""What can be wrong with an accept beyond the kernel's tree."""

from __future__ import annotations

from clarion.kernel.errors import Conflict, Throttled


class KeyInUse(Throttled):
    """The idempotency key's first request is still running: the same request may be repeated shortly."""

    def __init__(self) -> None:
        super().__init__("a request with this Idempotency-Key is still running", retry_after=1)


class KeyMismatch(Conflict):
    """The idempotency key was used before with another request."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used with another body; use a new key for a new request")


class ChunkOvertaken(Conflict):
    """Another worker accepted the chunk first, or its broadcast was paused or cancelled meanwhile."""

    def __init__(self) -> None:
        super().__init__("this chunk of the broadcast is accepted already, or its broadcast does not run")
