"""Adding to the suppression list, and taking from it: by the tenant's hand, one or a thousand at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from clarion.compliance.consent import ALL, ConsentPorts, ConsentRequest, Pending, record_consents
from clarion.compliance.ports import ConsentStore, Subjects, SuppressionStore
from clarion.compliance.suppression import REMOVABLE, Freed, Origin, SuppressionReason, Target
from clarion.contracts.channels import Channel
from clarion.contracts.commands import Name
from clarion.kernel.errors import Conflict, Invalid, NotFound, Permanent, Unknown

SOURCE: Final = "suppression_list"
"""What stands beside what the tenant added itself."""

ImportedReason: TypeAlias = Literal["hard_bounce", "complaint", "unsubscribe", "stop", "manual"]
AddressText: TypeAlias = Annotated[str, Meta(min_length=3, max_length=320)]

DIGITS: Final = range(7, 16)
"""How many a number has, with its country (E.164)."""

Blind: TypeAlias = Callable[[str, str], bytes]
"""(channel, address) → its keyed hash."""


class SuppressionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One who is not to be written to on a channel: a user, or an e-mail address or number (E.164), maybe nobody's.

    `category` other than `all` goes with the reason `unsubscribe`, which is a word of the user's: it leaves her
    receipts and codes. Every other reason silences the channel.
    """

    channel: Channel
    user_id: Name | None = None
    address: AddressText | None = None
    category: Name = ALL
    reason: ImportedReason = "manual"


class SuppressionPorts(msgspec.Struct, frozen=True):
    """What it takes."""

    subjects: Subjects
    words: ConsentStore
    store: SuppressionStore
    blind: Blind


class Added(msgspec.Struct, frozen=True):
    """Per request, in order, None or what is wrong with it (the others hold); and whose cards are old now."""

    errors: list[Permanent | None]
    people: set[str]


async def add_suppressions(
    tenant_id: bytes,
    requests: Sequence[SuppressionRequest],
    categories: Collection[str],
    ports: SuppressionPorts,
) -> Added:
    """Silence what is asked. When this returns, no later send of the region disregards it."""
    errors = [_find_error(request) for request in requests]
    names = {r.user_id for r, error in zip(requests, errors, strict=True) if r.user_id and error is None}
    ids = await ports.subjects.find_ids(tenant_id, sorted(names)) if names else {}
    added = Added(errors, set())
    refusals: list[int] = []
    targets: list[tuple[Target, SuppressionReason]] = []
    for i, request in enumerate(requests):
        if errors[i] is not None:
            continue
        if request.user_id is not None and request.user_id not in ids:
            errors[i] = Unknown("names an unknown user: PUT the user first, or give her address", "user_id")
        elif request.reason == "unsubscribe":
            refusals.append(i)
        else:
            targets.append((_target(request, ids, ports.blind), request.reason))
    if targets:
        silenced = await ports.store.silence(tenant_id, targets, Origin(SOURCE))
        added.people.update(silenced.people)
    if refusals:
        await _refuse(tenant_id, {i: requests[i] for i in refusals}, categories, ports, added)
    return added


async def remove_suppression(tenant_id: bytes, request: SuppressionRequest, ports: SuppressionPorts) -> Freed:
    """End what the tenant may find to be wrong (`REMOVABLE`), and what it was to look at.

    Raises NotFound where the channel is not silent, Conflict where it is for what a person said, Invalid, Unknown.
    """
    error = _find_error(request)
    if error is not None:
        raise error
    names = [request.user_id] if request.user_id else []
    ids = await ports.subjects.find_ids(tenant_id, names) if names else {}
    if request.user_id is not None and request.user_id not in ids:
        raise Unknown("names an unknown user", "user_id")
    freed = await ports.store.free(tenant_id, _target(request, ids, ports.blind), REMOVABLE)
    if not freed.count and freed.kept:
        raise Conflict(
            f"it is silent for what a person said ({', '.join(freed.kept)}): her own express consent on this channel "
            "ends it, recorded by POST /api/v1/compliance/consent"
        )
    if not freed.count:
        raise NotFound("it is not suppressed")
    return freed


def _find_error(request: SuppressionRequest) -> Permanent | None:
    """What is wrong with a request by itself."""
    if (request.user_id is None) == (request.address is None):
        return Invalid("names a user_id or an address, one of the two", "user_id")
    if request.category != ALL and request.reason != "unsubscribe":
        return Invalid("only the reason unsubscribe is about one category", "category")
    if request.address is None:
        return None
    if request.channel == "push":
        return Invalid("devices have no address: name their user", "address")
    return None if _is_address(request.channel, request.address) else Invalid(_WANTED, "address")


_WANTED: Final = "is no address of this channel: an e-mail address, or a number like +15550100"


def _is_address(channel: str, address: str) -> bool:
    if channel == "email":
        local, _, domain = address.rpartition("@")
        return bool(local and domain) and address.isprintable() and " " not in address
    digits = address.removeprefix("+")
    return address != digits and digits.isascii() and digits.isdecimal() and len(digits) in DIGITS


def _target(request: SuppressionRequest, ids: dict[str, int], blind: Blind) -> Target:
    if request.address is not None:
        return Target(request.channel, address_hmac=blind(request.channel, request.address))
    return Target(request.channel, ids[request.user_id or ""])


async def _refuse(
    tenant_id: bytes,
    requests: Mapping[int, SuppressionRequest],
    categories: Collection[str],
    ports: SuppressionPorts,
    added: Added,
) -> None:
    """Record unsubscribes as the words of those whom they are about, or what is wrong with them."""
    people = await _holders(tenant_id, requests, ports)
    words: list[tuple[int, ConsentRequest]] = []
    for i, request in requests.items():
        names = [request.user_id] if request.user_id else people[i]
        if not names:
            detail = "no user has this address, and an unsubscribe is a user's: PUT the user first"
            added.errors[i] = Unknown(detail, "address")
        words += [
            (i, ConsentRequest(name, request.channel, request.category, consented=False, source=SOURCE))
            for name in names
        ]
    said = [word for _, word in words]
    outcomes = await record_consents(tenant_id, said, categories, ConsentPorts(ports.subjects, ports.words))
    for (i, word), outcome in zip(words, outcomes, strict=True):
        added.people.add(word.user_id)
        error = None if isinstance(outcome, Pending) else outcome
        added.errors[i] = added.errors[i] or error


async def _holders(
    tenant_id: bytes, requests: Mapping[int, SuppressionRequest], ports: SuppressionPorts
) -> dict[int, list[str]]:
    """By request that names an address, who has it."""
    asked = {
        i: (str(request.channel), ports.blind(request.channel, request.address))
        for i, request in requests.items()
        if request.address
    }
    found = await ports.store.holders(tenant_id, sorted(set(asked.values()))) if asked else {}
    return {i: [holder.external_id for holder in found.get(key, ())] for i, key in asked.items()}
