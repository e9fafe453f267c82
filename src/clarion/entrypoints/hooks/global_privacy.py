"""`Sec-GPC: 1`: a browser's word that what is known of its user may be neither sold nor shared (CCPA, 11 CCR 7025)."""

from __future__ import annotations

from typing import Final

from clarion.compliance.consent import ConsentPorts, opt_out_of_sharing
from clarion.entrypoints.api.routing import Call

SOURCE: Final = "global_privacy_control"


async def heed_signal(call: Call, tenant_id: bytes, user_id: int) -> None:
    """Count the request's signal, if it has one, as the opt-out of the user whom it is about. Raises Transient."""
    if not _is_signalled(call):
        return
    headers = call.trip.headers
    region = call.services.gateway.region
    evidence = {"sec_gpc": "1", "user_agent": headers.get(b"user-agent", b"").decode("latin-1")[:300]}
    ports = ConsentPorts(region.seals, region.consents)
    await opt_out_of_sharing(tenant_id, user_id, SOURCE, evidence, ports)


async def heed_passed_signal(call: Call, external_id: str) -> None:
    """The same, of a signal that the tenant passes on with what she did; nobody's where there is no such user."""
    if not _is_signalled(call):
        return
    ids = await call.services.gateway.region.seals.find_ids(call.tenant_id, [external_id])
    if external_id in ids:
        await heed_signal(call, call.tenant_id, ids[external_id])


def _is_signalled(call: Call) -> bool:
    return call.trip.headers.get(b"sec-gpc", b"").strip() == b"1"
