"""The ways out of a provider that is only built to be checked: none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clarion.adapters.providers.base import Unavailable
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.kernel.errors import Refused


class Unconnected:
    """An `HttpTransport` that reaches nobody."""

    async def exchange(
        self, request: HttpRequest, on_leaving: Callable[[], None], within_s: float
    ) -> HttpReply:
        """Raise Unavailable, whatever is asked."""
        del request, on_leaving, within_s
        raise Unavailable("this provider was built without a way out", "unconnected")

    async def close(self) -> None:
        """Nothing."""


async def resolve_nothing(host: str, *, encrypted: bool) -> Sequence[str]:
    """A `Resolve` that lets nobody be reached."""
    del host, encrypted
    raise Refused("this provider was built without a way out", "egress")
