"""What a template sees."""

from __future__ import annotations

from typing import Any, Final

RESERVED: Final = ("data", "user", "context", "tenant", "links")
"""Names at the top level that the request's data cannot take."""


def build_variables(
    data: dict[str, Any],
    user: dict[str, Any],
    context: dict[str, Any],
    tenant: dict[str, Any],
    links: dict[str, Any],
) -> dict[str, Any]:
    """The variables of one message: `data` under its name and at the top level, where reserved names win.

    `user` is flat: profile fields and attributes side by side. All are plain JSON values and are not copied; a null
    means the same as a missing key.
    """
    return {**data, "data": data, "user": user, "context": context, "tenant": tenant, "links": links}
