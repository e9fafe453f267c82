"""Roles: what the people of a tenant may do, as scopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from clarion.tenancy.api_keys import EVERYTHING, RESOURCES, SCOPES
from clarion.tenancy.model import Role


def _rights(read: str, write: str = "") -> frozenset[str]:
    """Scopes of resources, given as words; who writes may read."""
    written = write.split()
    return frozenset(
        [f"{name}:read" for name in (*read.split(), *written)] + [f"{name}:write" for name in written]
    )


_ALL_READ: Final = frozenset(f"{name}:read" for name in RESOURCES)

ROLES: Final[Mapping[Role, frozenset[str]]] = {
    "owner": frozenset({EVERYTHING}),
    "admin": SCOPES - {EVERYTHING, "tenant:write"},
    "developer": _rights(
        "analytics broadcasts compliance ml tenant",
        "categories events journeys keys links notifications personalization providers segments templates users",
    ),
    "marketer": _rights(
        "analytics categories compliance events links ml notifications personalization tenant users",
        "broadcasts journeys segments templates",
    ),
    "analyst": _rights("analytics broadcasts categories journeys ml notifications segments templates tenant"),
    "auditor": _ALL_READ,
}
"""What each role may do. An owner may do everything, and only she deletes the tenant."""


def narrow(scopes: frozenset[str], bound: frozenset[str]) -> frozenset[str]:
    """What both allow."""
    if EVERYTHING in scopes:
        return bound
    return scopes if EVERYTHING in bound else scopes & bound


def covers(holder: frozenset[str], wanted: frozenset[str]) -> bool:
    """Whether who has `holder` has all of `wanted`, and may so give it away."""
    return EVERYTHING in holder or holder >= wanted
