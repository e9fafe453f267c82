"""Double opt-in: what was asked for in somebody's name is her word once she confirms it, by a link that only she gets.

The request grants nothing. Following the link shows a page, and the page's button is her confirmation. One request is
confirmed once: who opted out since is not opted in by an old link.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from clarion.compliance.consent import REQUEST, Pending
from clarion.compliance.ports import ConsentEvent, ConsentLedger, ConsentStore, ConsentWord, Subjects

SOURCE: Final = "double_opt_in"

_json: Final = msgspec.json.Encoder()


class ConfirmationPorts(msgspec.Struct, frozen=True):
    """What confirming takes. `until_ms` (UTC ms) lies after every word of the ledger."""

    subjects: Subjects
    store: ConsentStore
    ledger: ConsentLedger
    until_ms: int


async def is_pending_or_done(tenant_id: bytes, asked: Pending, ports: ConfirmationPorts) -> bool:
    """Whether this was asked for, confirmed or not. Reads only."""
    return bool(await _events(tenant_id, asked, ports))


async def confirm(
    tenant_id: bytes, asked: Pending, evidence: Mapping[str, Any], ports: ConfirmationPorts
) -> bool:
    """Record her confirmation, as it was asked for; again: nothing more. False: nobody asked. Raises Transient."""
    events = await _events(tenant_id, asked, ports)
    requested = next((event for event in events if event.state == "requested"), None)
    if requested is None:
        return False
    if any(event.state == "confirmed" for event in events):
        return True
    (sealed,) = await ports.subjects.seal_evidence(tenant_id, [(asked.user_id, _json.encode(evidence))])
    word = ConsentWord(
        asked.user_id,
        asked.channel,
        asked.category,
        consented=True,
        source=SOURCE,
        express=True,
        evidence=sealed,
        state="confirmed",
        basis="written" if requested.basis == "written" else "express",
        details=requested.details,
        expires_ms=requested.expires_ms,
    )
    await ports.store.record(tenant_id, [word])
    return True


async def _events(tenant_id: bytes, asked: Pending, ports: ConfirmationPorts) -> list[ConsentEvent]:
    """The words of this request."""
    said = await ports.ledger.events(tenant_id, asked.user_id, ports.until_ms)
    wanted = (asked.channel, asked.category, asked.request_id.hex())
    return [
        event for event in said if (event.channel, event.category, event.details.get(REQUEST, "")) == wanted
    ]
