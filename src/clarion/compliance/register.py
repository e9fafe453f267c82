"""The record of processing that a controller has to keep (GDPR Art. 30), made of what a tenant set up. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from clarion.compliance.residency import EEA_AND_UK
from clarion.compliance.retention import KEPT, kept_days
from clarion.contracts.channels import names_of
from clarion.tenancy.config import ProviderConfig, TenantConfig
from clarion.tenancy.model import Category, CategoryClass, ComplianceSettings

_BASES: Final[Mapping[CategoryClass, str]] = {
    "transactional": "performance of a contract, or a legal duty (GDPR Art. 6(1)(b), (c))",
    "service": "performance of a contract, or legitimate interests (GDPR Art. 6(1)(b), (f))",
    "marketing": "consent (GDPR Art. 6(1)(a)), or the soft opt-in where the law knows one",
}
_DATA: Final = (
    "identity: the tenant's own id of the user, and attributes that it stores",
    "contact: e-mail address, telephone number, push tokens",
    "place and language: country, region, time zone, language",
    "choice: consent with its evidence, objections, preferences, quiet hours",
    "messages: contents, decisions, attempts, what became of them",
    "behaviour: events, opens and clicks where they are followed, real-time context, journeys",
)
_MEASURES: Final = (
    "addresses, attributes, devices, events and evidence are sealed with a key of each user (AES-256-GCM)",
    "tenants are kept apart by forced row-level security",
    "the pipeline's events, logs and traces carry ids only",
    "consent and administrative acts are written in hash chains",
    "erasure destroys the user's key first, and is carried out again after a restore",
)
SANDBOX: Final = "sandbox"


class Purpose(msgspec.Struct, frozen=True):
    """What is sent and why: a category of messages. `retention_days`: for how long their contents are kept."""

    category: str
    kind: CategoryClass
    legal_basis: str
    channels: list[str]
    follows: list[str]
    retention_days: int


class Recipient(msgspec.Struct, frozen=True):
    """To whom addresses and contents go. `regions`: from where it is used; empty: from all."""

    provider: str
    kind: str
    channel: str
    regions: list[str]


class RetentionLine(msgspec.Struct, frozen=True):
    """For how long a kind of data is kept. `days` null: not by the calendar; `until` says what ends it."""

    what: str
    days: int | None
    until: str
    personal: bool


class Controller(msgspec.Struct, frozen=True):
    """Who answers for the processing; null what the tenant has not told."""

    tenant: str
    legal_name: str | None
    postal_address: str | None
    contact: str | None


class Register(msgspec.Struct, frozen=True):
    """The record of one tenant in one region. `gaps`: what it has to tell before the record is complete."""

    controller: Controller
    subjects: str
    data: list[str]
    purposes: list[Purpose]
    recipients: list[Recipient]
    home_region: str
    pinned_countries: list[str]
    retention: list[RetentionLine]
    measures: list[str]
    gaps: list[str]


def make_register(config: TenantConfig, home_region: str, region_days: int) -> Register:
    """The record as the tenant's configuration has it now. `region_days`: for how long the region keeps messages."""
    settings = config.tenant.compliance
    sender = settings.sender
    told = {
        "legal_name": sender.legal_name,
        "postal_address": sender.postal_address,
        "contact": sender.contact,
    }
    return Register(
        controller=Controller(config.tenant.name, *(value or None for value in told.values())),
        subjects="users whom the tenant stores",
        data=list(_DATA),
        purposes=[
            _purpose(category, settings, region_days) for _, category in sorted(config.categories.items())
        ],
        recipients=_recipients(config.providers),
        home_region=home_region,
        pinned_countries=sorted(EEA_AND_UK),
        retention=[
            RetentionLine(kept.what, kept_days(kept, region_days), kept.until, kept.personal) for kept in KEPT
        ],
        measures=list(_MEASURES),
        gaps=[f"compliance.sender.{name} is not told" for name, value in told.items() if not value],
    )


def _purpose(category: Category, settings: ComplianceSettings, region_days: int) -> Purpose:
    follows = [name for bit, name in ((1, "clicks"), (2, "opens")) if category.tracking & bit]
    return Purpose(
        category.name,
        category.class_,
        _BASES[category.class_],
        list(names_of(category.channels)),
        follows,
        min(settings.retention_days.get(category.name, region_days), region_days),
    )


def _recipients(providers: Sequence[ProviderConfig]) -> list[Recipient]:
    """Enabled accounts with vendors; a sandbox is nobody."""
    return [
        Recipient(one.name, one.kind, one.channel, list(one.regions))
        for one in sorted(providers, key=lambda one: one.name)
        if one.enabled and one.kind != SANDBOX
    ]
