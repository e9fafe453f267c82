"""Every table of the regional database is in the export of a user, or stands here with the reason why not."""

from __future__ import annotations

import re
from typing import Final

from clarion.adapters.postgres.export_sources import READINGS
from clarion.adapters.postgres.queries import load_queries
from tests.integration.postgres.support import World

_TENANTS: Final = "what a tenant set up: nothing of it is about a user"
_IDS: Final = "ids alone, for as long as it takes to hand them on"
_COUNTS: Final = "counts by tenant, of nobody"

NOT_EXPORTED: Final = {
    "accept_batches": _COUNTS,
    "alembic_version": "which migrations ran",
    "api_keys": _TENANTS,
    "categories": _TENANTS,
    "cleared_contents": _COUNTS,
    "cost_days": _COUNTS,
    "export_parts": "archives: what is in them is what is exported",
    "idempotency_keys": "answers of ours to the tenant, sealed, for a day: what they tell is exported from where it is",
    "journey_webhook_keys": _TENANTS,
    "journey_members": "who was in a segment when a journey last looked: segments are exported themselves",
    "ml_models": "curves and rates of all of a tenant's users together",
    "ml_estimates": "what other policies would bring to a tenant: rates of all of its users together",
    "ml_experiments": "what a tenant tries, and rates of all of its users together",
    "ml_settings_history": _TENANTS,
    "ml_proofs": "what models bring to a tenant: rates of all of its users together",
    "ml_proof_turns": "when that was measured",
    "ml_trainings": "when they were fitted",
    "outbox": _IDS,
    "parked_messages": _IDS,
    "partials": _TENANTS,
    "providers": _TENANTS,
    "receipt_inbox": "reports of vendors, folded into messages within seconds",
    "settled_days": _COUNTS,
    "template_promotions": _TENANTS,
    "templates": _TENANTS,
    "tenant_settings": _TENANTS,
    "token_issuers": _TENANTS,
}

OTHERS: Final = {
    "audit_log": "acts of whoever runs the tenant, not of her users; shown by its own API",
    "consent_chains": "the head of a chain: a hash and a number",
    "erasures": "only of users who are gone, by a keyed hash",
    "erasure_ledger": "only of users who are gone, by a keyed hash",
    "former_users": "only of users who are gone, by a keyed hash",
    "invitations": "members: who runs the tenant",
    "member_keys": "members: who runs the tenant",
    "members": "members: who runs the tenant",
    "tenant_deletions": _TENANTS,
    "tenant_keys": _TENANTS,
}
"""Tables of the other parts of compliance, some of which hold nobody."""

_TABLES: Final = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
"""


async def test_no_table_is_forgotten(world: World):
    sql = load_queries("export_sources")
    read = " ".join(sql[reading.name] for readings in READINGS.values() for reading in readings)
    named = set(re.findall(r"\b(?:FROM|JOIN) ([a-z_]+)", read))
    async with world.pools.pipeline() as connection:
        tables = {record["relname"] for record in await connection.fetch(_TABLES)}
    assert named <= tables
    assert set(NOT_EXPORTED) <= tables
    assert not named & set(NOT_EXPORTED)
    assert tables - named - set(NOT_EXPORTED) - set(OTHERS) == set()


def test_every_statement_is_read():
    read = {reading.name for readings in READINGS.values() for reading in readings}
    assert read == set(load_queries("export_sources"))
