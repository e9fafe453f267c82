"""Where a user's data may be: `pinned` to her home region, or `portable`. Closed where nothing is known."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Protocol, TypeAlias

import msgspec
from msgspec import Meta

from clarion.kernel.errors import NotFound

Residency: TypeAlias = Literal["pinned", "portable"]

EEA_AND_UK: Final = frozenset(
    {
        *(
            "AT",
            "BE",
            "BG",
            "HR",
            "CY",
            "CZ",
            "DK",
            "EE",
            "FI",
            "FR",
            "DE",
            "GR",
            "HU",
            "IE",
            "IT",
            "LV",
            "LT",
            "LU",
        ),
        *("MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE", "IS", "LI", "NO", "GB"),
    }
)
"""Countries whose law lets personal data leave only where it is protected as at home (GDPR chapter V, UK GDPR)."""


class Whereabouts(msgspec.Struct, frozen=True):
    """What is stored of where a user is at home. `asked` "": nobody asked for anything."""

    asked: Literal["", "pinned", "portable"]
    country: str
    home_region: str


class ResidencyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /api/v1/users/{user_id}/residency`. null: what follows from her country."""

    residency: Annotated[Residency | None, Meta(description="null: by country")]


class ResidencyView(msgspec.Struct, frozen=True):
    """Where a user's data may be. `asked`: what was asked for, null where it follows from her country."""

    residency: Residency
    asked: Residency | None
    country: str | None
    home_region: str


class ResidencyStore(Protocol):
    """Where users are at home."""

    async def read_residency(self, tenant_id: bytes, external_id: str) -> Whereabouts | None:
        """What is stored; None where the tenant has no such user. Raises Transient."""
        ...

    async def ask_residency(self, tenant_id: bytes, external_id: str, asked: str) -> bool:
        """Keep what was asked for ("": nothing). False: there is no such user. Raises Transient."""
        ...


def residency_of(asked: str, country: str) -> Residency:
    """What was asked for, else `pinned` in the EEA, in the UK and where the country is not known. Pure."""
    if asked == "portable":
        return "portable"
    return "pinned" if asked == "pinned" or not country or country in EEA_AND_UK else "portable"


async def show_residency(tenant_id: bytes, external_id: str, store: ResidencyStore) -> ResidencyView:
    """Where a user's data may be. Raises NotFound, Transient."""
    found = await store.read_residency(tenant_id, external_id)
    if found is None:
        raise NotFound("there is no such user")
    return ResidencyView(
        residency_of(found.asked, found.country),
        found.asked or None,
        found.country or None,
        found.home_region,
    )


async def choose_residency(
    tenant_id: bytes, external_id: str, request: ResidencyRequest, store: ResidencyStore
) -> ResidencyView:
    """Ask for a residency; what holds then. Raises NotFound, Transient."""
    if not await store.ask_residency(tenant_id, external_id, request.residency or ""):
        raise NotFound("there is no such user")
    return await show_residency(tenant_id, external_id, store)
