"""The record of processing, and where data may be: both follow from what is known, and are closed where nothing is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from clarion.compliance.register import make_register
from clarion.compliance.residency import EEA_AND_UK, residency_of
from clarion.compliance.retention import KEPT, REGION_DAYS
from clarion.tenancy.config import ProviderConfig, TenantConfig
from clarion.tenancy.model import DEFAULT_CATEGORIES, ComplianceSettings, Sender, Tenant

TENANT = bytes(16)


def config(settings: ComplianceSettings, *providers: ProviderConfig) -> TenantConfig:
    categories = {one.name: one for one in DEFAULT_CATEGORIES}
    return TenantConfig(Tenant(TENANT, "shop", compliance=settings), 1, categories, {}, list(providers))


def account(name: str, kind: str, *, enabled: bool = True) -> ProviderConfig:
    return ProviderConfig(
        name, TENANT, kind, "email", {"host": "secret-host"}, {"key": "secret-key"}, enabled=enabled
    )


def test_it_names_purposes_recipients_and_times():
    sender = Sender("Shop Ltd", "1 High Street", "privacy@shop.example")
    settings = ComplianceSettings(sender=sender, retention_days={"marketing": 7, "service": 900})
    providers = account("mail", "ses"), account("old", "smtp", enabled=False), account("toy", "sandbox")
    record = make_register(config(settings, *providers), "eu-west-1", 30)
    days = {purpose.category: purpose.retention_days for purpose in record.purposes}
    assert days == {"marketing": 7, "security": 30, "service": 30, "transactional": 30}
    assert [one.provider for one in record.recipients] == ["mail"]
    assert record.controller.legal_name == "Shop Ltd"
    assert record.gaps == []
    assert record.home_region == "eu-west-1"
    assert len(record.retention) == len(KEPT)
    assert all(line.days is None or line.days > 0 for line in record.retention)
    assert b"secret" not in msgspec.json.encode(record)


def test_it_says_what_is_missing():
    record = make_register(config(ComplianceSettings()), "us-east-1", 30)
    assert len(record.gaps) == 3
    assert record.controller.contact is None


@pytest.mark.parametrize(
    ("asked", "country", "expected"),
    [
        ("", "", "pinned"),
        ("", "DE", "pinned"),
        ("", "GB", "pinned"),
        ("", "NO", "pinned"),
        ("", "US", "portable"),
        ("pinned", "US", "pinned"),
        ("portable", "DE", "portable"),
        ("portable", "", "portable"),
    ],
)
def test_residency_is_asked_for_or_follows_from_the_country(asked: str, country: str, expected: str):
    assert residency_of(asked, country) == expected


def test_the_countries_are_the_thirty_of_the_eea_and_the_uk():
    assert len(EEA_AND_UK) == 31


def test_the_page_on_retention_says_what_is_kept():
    page = Path(__file__).parents[3] / "docs" / "how-to" / "retention.md"
    cells = [line.strip("| ").split(" | ") for line in page.read_text().splitlines() if line.startswith("| ")]
    days = {None: "–", REGION_DAYS: "`CLARION_RETENTION_DAYS`"}
    assert cells[1:] == [[one.what, days.get(one.days, str(one.days)), one.until] for one in KEPT]
