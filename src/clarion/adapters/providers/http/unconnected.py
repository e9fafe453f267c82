"""The transport of a provider that is only built to be checked."""

from __future__ import annotations

from collections.abc import Callable

from clarion.adapters.providers.base import Unavailable
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest


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
