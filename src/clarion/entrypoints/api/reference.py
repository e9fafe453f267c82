"""The pages of scopes and of roles, made of the routes: `python -m clarion.entrypoints.api.reference scopes|roles`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from clarion.entrypoints.api.app import ROUTES
from clarion.entrypoints.api.routing import ANY_KEY, Route
from clarion.tenancy.api_keys import EVERYTHING, SCOPES
from clarion.tenancy.roles import ROLES, covers

_HEAD: Final = f"""# Scopes

<!-- Made from the routes by `make reference`; a test holds it to them. -->

What a credential may do: each route asks for one scope, and `{EVERYTHING}` is all of them. `/openapi.json` says the
same, in each operation's `security`. How to get them: [how to authenticate](../how-to/authenticate.md).

| Scope | Lets a credential call |
|---|---|
"""

_TAIL: Final = """
Any credential, whatever its scopes, may call {any_key}. No credential is needed for {public}.
"""


def scopes_page(routes: Sequence[Route]) -> str:
    """The page in Markdown: every scope with its routes, in alphabetical order."""
    by_scope: dict[str, list[str]] = {scope: [] for scope in sorted(SCOPES - {EVERYTHING})}
    for route in routes:
        if route.spec.scope:
            by_scope.setdefault(route.spec.scope, []).append(route.line)
    rows = "".join(
        f"| `{scope}` | {_listed(lines) or 'nothing yet'} |\n" for scope, lines in by_scope.items()
    )
    any_key = [route.line for route in routes if route.spec.scope == ANY_KEY]
    public = [route.line for route in routes if route.spec.scope is None]
    return _HEAD + rows + _TAIL.format(any_key=_listed(any_key, ", "), public=_listed(public, ", "))


_ROLES_HEAD: Final = """# Roles

<!-- Made from the routes by `make reference`; a test holds it to them. -->

What a member may do, or a key that was given a role in place of scopes. An `owner` may do everything. How people become
members: [members and roles](../how-to/members.md).

"""


def roles_page(routes: Sequence[Route]) -> str:
    """The page in Markdown: every route that asks for a scope, with the roles that have it."""
    head = f"| Route | Scope | {' | '.join(ROLES)} |\n|---|---|{'---|' * len(ROLES)}\n"
    rows = "".join(
        f"| `{route.line}` | `{route.spec.scope}` | {' | '.join(_marks(route.spec.scope))} |\n"
        for route in sorted(routes, key=lambda route: route.line.split(" ")[::-1])
        if route.spec.scope
    )
    return _ROLES_HEAD + head + rows


def _marks(scope: str) -> list[str]:
    return ["✓" if covers(scopes, frozenset({scope})) else "" for scopes in ROLES.values()]


def _listed(lines: Iterable[str], between: str = "<br>") -> str:
    return between.join(f"`{line}`" for line in sorted(lines, key=lambda line: line.split(" ")[::-1]))


if __name__ == "__main__":
    page = roles_page if "roles" in sys.argv[1:] else scopes_page
    sys.stdout.write(page(ROUTES))
