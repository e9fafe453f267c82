"""Today's costs, as Valkey shows them: the newest sums, in whatever order they come."""

from __future__ import annotations

import secrets

from clarion.adapters.valkey.client import ValkeyClients
from clarion.adapters.valkey.spending import ValkeyLiveCosts
from clarion.delivery.costs import CostKey, CostLine

DAY = 20261122


async def shown(clients: ValkeyClients, tenant_id: bytes, field: bytes) -> bytes:
    name = b"cost_tracking:{%s}:%d" % (tenant_id.hex().encode(), DAY)
    return await clients.read.execute_command("HGET", name, field)


async def test_the_newest_sum_of_each_key_is_shown_even_if_it_is_less(clients: ValkeyClients):
    tenant_id, costs = secrets.token_bytes(16), ValkeyLiveCosts(clients)
    key = CostKey(tenant_id, DAY, "texts", "sms", "marketing", "FR", is_test=False)
    other = key._replace(country="DE", is_test=True)
    newest = CostLine(key, 3, 3, 140, 150, as_of_us=1_795_348_800_000_002)
    late = CostLine(key, 2, 2, 160, 100, as_of_us=1_795_348_800_000_001)
    await costs.show([newest, CostLine(other, 1, 2, 30, 30, as_of_us=5)])
    await costs.show([late])
    assert await shown(clients, tenant_id, b"texts|sms|marketing|FR|live|micros") == b"140"
    assert await shown(clients, tenant_id, b"texts|sms|marketing|FR|live|sent") == b"3"
    assert await shown(clients, tenant_id, b"texts|sms|marketing|DE|test|segments") == b"2"
    # A vendor's word that it cost less than the price book said.
    await costs.show([CostLine(key, 3, 3, 100, 110, as_of_us=1_795_348_800_000_003)])
    assert await shown(clients, tenant_id, b"texts|sms|marketing|FR|live|micros") == b"100"
