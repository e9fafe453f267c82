"""What is known of users at the moment of a turn: their profiles, features, and how their messages did."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from clarion.audience.model import SealedProfile
from clarion.audience.seals import SealedOf
from clarion.contracts.channels import names_of
from clarion.delivery.ports import ProfileOpener
from clarion.journeys.effects import OWN, effect_id
from clarion.journeys.graph import FEATURES, PROFILE, STEPS, Graph, NotificationSpec
from clarion.journeys.model import Facts, Instance
from clarion.journeys.outside import KnownUser, KnownUsers, Messages
from clarion.kernel.errors import ClarionError, Transient
from clarion.orchestration.ports import ConfigSource

Wanted = tuple[Instance, Graph, int]

RANK: Final = (
    "blocked",
    "failed",
    "expired",
    "cancelled",
    "queued",
    "scheduled",
    "sent",
    "delivered",
    "engaged",
)
"""Statuses of deliveries, from nothing said to most heard; those between are as good as `queued`."""

_FURTHEST: Final = {status: place for place, status in enumerate(RANK)}
_WAITS: Final = _FURTHEST["queued"]
_features: Final = msgspec.json.Decoder(dict[str, Any])
_NO_PROFILE: Final = SealedProfile()


class FactPorts(msgspec.Struct, frozen=True):
    """Where facts are read."""

    users: KnownUsers
    profiles: ProfileOpener
    messages: Messages
    configs: ConfigSource


class StoreFacts:
    """`journeys.ports.FactSource` on the region's stores: at most one look at each, whatever the size of the batch."""

    def __init__(self, ports: FactPorts) -> None:
        self._ports = ports

    async def read(self, wanted: Sequence[Wanted]) -> list[Facts]:
        """Facts for (run, graph, needs), in order; see `FactSource.read`."""
        asking = [i for i, (_, _, needs) in enumerate(wanted) if needs & (PROFILE | FEATURES | STEPS)]
        if not asking:
            return [Facts() for _ in wanted]
        users, missing = await self._users([wanted[i] for i in asking])
        statuses, lost = await self._statuses([wanted[i] for i in asking])
        zones = await self._zones({wanted[i][0].tenant_id for i in asking})
        found = [Facts() for _ in wanted]
        for i in asking:
            instance, graph, needs = wanted[i]
            user, features, zone = users.get(instance.user_id, ({}, {}, ""))
            found[i] = Facts(
                timezone=zone or zones.get(instance.tenant_id, "") or "UTC",
                user=user,
                features=features,
                messages=_messages(instance, graph, statuses) if needs & STEPS else {},
                missing=missing | lost,
            )
        return found

    async def _users(
        self, wanted: Sequence[Wanted]
    ) -> tuple[dict[int, tuple[dict[str, Any], dict[str, Any], str]], frozenset[str]]:
        """Fields, features and zone of each user; what could not be read."""
        ids = {run.user_id for run, _, needs in wanted if needs & (PROFILE | FEATURES)}
        if not ids:
            return {}, frozenset()
        opened = {run.user_id for run, _, needs in wanted if needs & PROFILE}
        try:
            rows = await self._ports.users.read(sorted(ids))
            known = [row for row in rows.values() if row.user_id in opened]
            profiles = await open_known(known, self._ports.profiles)
        except Transient:
            return {}, frozenset({"user", "features"})
        return {
            user_id: (
                flatten(row, profiles.get(user_id, _NO_PROFILE)),
                _features.decode(row.features),
                row.timezone,
            )
            for user_id, row in rows.items()
        }, frozenset()

    async def _statuses(self, wanted: Sequence[Wanted]) -> tuple[dict[bytes, list[str]], frozenset[str]]:
        ids = [
            ident
            for run, graph, needs in wanted
            if needs & STEPS
            for _, idents in _asked(run, graph)
            for ident in idents
        ]
        if not ids:
            return {}, frozenset()
        try:
            return await self._ports.messages.statuses(ids), frozenset()
        except Transient:
            return {}, frozenset({"steps"})

    async def _zones(self, tenants: set[bytes]) -> dict[bytes, str]:
        """The zone of each tenant, for users of whom none is known."""
        zones: dict[bytes, str] = {}
        for tenant_id in tenants:
            with contextlib.suppress(
                ClarionError
            ):  # a tenant that is just being deleted stops nobody else's runs
                zones[tenant_id] = (await self._ports.configs.get(tenant_id)).tenant.timezone
        return zones


async def open_known(rows: Sequence[KnownUser], opener: ProfileOpener) -> dict[int, SealedProfile]:
    """The profiles of these users in clear, by user id; absent where a key is gone. Raises Transient."""
    if not rows:
        return {}
    opened = await opener.open_profiles([SealedOf(row.user_id, row.tenant_id, row.sealed) for row in rows])
    return {row.user_id: profile for row, profile in zip(rows, opened, strict=True) if profile is not None}


def flatten(row: KnownUser, profile: SealedProfile) -> dict[str, Any]:
    """A user as conditions name her: attributes, and over them the fields of her profile that are set."""
    fields = {
        "id": row.external_id,
        "email": profile.email,
        "phone": profile.phone,
        "timezone": row.timezone,
        "language": row.language,
        "country": row.country,
        "region": row.region,
        "preferred_channel": row.preferred_channel,
        "channels": names_of(row.reachable),
        "created_at": datetime.fromtimestamp(row.created_ms / 1000, UTC).isoformat(timespec="milliseconds"),
    }
    return profile.attributes | {name: value for name, value in fields.items() if value}


def _asked(run: Instance, graph: Graph) -> list[tuple[tuple[str, int], list[bytes]]]:
    """The messages that the last visit of each step asked for, by (step, visit)."""
    return [
        (
            (name, outcome.visit),
            [
                effect_id(run.instance_id, name, outcome.visit, rung, at_ms)
                for rung, at_ms in enumerate(outcome.asked, OWN)
            ],
        )
        for name, outcome in run.progress.outcomes.items()
        if outcome.asked and (step := graph.steps.get(name)) and isinstance(step.spec, NotificationSpec)
    ]


def _messages(run: Instance, graph: Graph, statuses: Mapping[bytes, list[str]]) -> dict[tuple[str, int], str]:
    found: dict[tuple[str, int], str] = {}
    for place, idents in _asked(run, graph):
        seen = [status for ident in idents for status in statuses.get(ident, ())]
        if seen:
            found[place] = max(seen, key=lambda status: _FURTHEST.get(status, _WAITS))
    return found
