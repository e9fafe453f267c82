"""Judging users whom no store can settle: their profiles are opened, and the expression is evaluated on each."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from clarion.audience.model import SealedProfile
from clarion.audience.seals import SealedOf
from clarion.audience.segments.compile import Compiled
from clarion.audience.segments.ports import Candidate, Sources, Tally
from clarion.audience.segments.vocabulary import (
    CHANNELS_FIELD,
    CREATED_FIELD,
    MERGED,
    PROFILE,
    Ref,
    window_ms,
)
from clarion.audience.traits import see
from clarion.contracts.channels import names_of

BREATH: Final = 8
"""Users judged before others of this process get their turn: one takes 10 µs, and at the very most 9 ms."""

_features: Final = msgspec.json.Decoder(dict[str, Any])
_NO_PROFILE: Final = SealedProfile()


class _Needs(msgspec.Struct, frozen=True):
    """What an expression names, by where it comes from: nothing else is fetched, opened or shown to it."""

    user: frozenset[str]
    bare: frozenset[str]
    features: frozenset[str]
    context: frozenset[str]
    events: frozenset[str]
    windows: frozenset[tuple[str, str]]

    @property
    def opens(self) -> bool:
        """Whether sealed profiles are needed."""
        return bool(self.bare or self.user - (PROFILE - {"email", "phone"}))


async def judge_candidates(
    tenant_id: bytes, candidates: Sequence[Candidate], compiled: Compiled, now_ms: int, sources: Sources
) -> list[Candidate]:
    """Those of the candidates who are in, in order; at most one look at each source. Raises Transient."""
    needs = _needs(compiled.refs)
    doubtful = [candidate for candidate in candidates if not candidate.is_sure]
    profiles = await _open(tenant_id, doubtful, needs, sources)
    contexts = await _contexts(doubtful, needs, sources)
    tallies: defaultdict[int, list[Tally]] = defaultdict(list)
    if needs.events and doubtful:
        user_ids = [candidate.user_id for candidate in doubtful]
        for tally in await sources.population.tallies(tenant_id, user_ids, sorted(needs.events)):
            tallies[tally.user_id].append(tally)
    recent = await _recent(tenant_id, doubtful, needs, now_ms, sources)
    now = _instant(now_ms)
    out: set[int] = set()
    for number, (candidate, profile, context) in enumerate(zip(doubtful, profiles, contexts, strict=True)):
        if number % BREATH == 0:
            await asyncio.sleep(0)
        data = _data(candidate, profile or _NO_PROFILE, needs)
        data["now"] = now
        data["context"] = see({name: context[name] for name in needs.context & context.keys()})
        data["events"] = _events(needs, tallies[candidate.user_id])
        for (event, measure), counts in recent.items():
            data["events"][event][measure] = counts.get(candidate.user_id, 0)
        if profile is None or not compiled.judge(data):
            out.add(candidate.user_id)
    return [candidate for candidate in candidates if candidate.user_id not in out]


def _needs(refs: frozenset[Ref]) -> _Needs:
    def first(root: str) -> frozenset[str]:
        return frozenset(ref.path[0] for ref in refs if ref.root == root)

    bare = first("bare")
    windows = {
        (ref.path[0], ref.path[1])
        for ref in refs
        if ref.root == "events" and len(ref.path) > 1 and window_ms(ref.path[1])
    }
    return _Needs(
        user=first("user"),
        bare=bare,
        features=first("features") | bare,
        context=first("context"),
        events=first("events"),
        windows=frozenset(windows),
    )


async def _recent(
    tenant_id: bytes, candidates: Sequence[Candidate], needs: _Needs, now_ms: int, sources: Sources
) -> dict[tuple[str, str], dict[int, int]]:
    """Counts by user for each (event, measure) that goes back for some days only; one query each."""
    user_ids = [candidate.user_id for candidate in candidates]
    if not user_ids:
        return {}
    return {
        (event, measure): await sources.population.recent(
            tenant_id, user_ids, event, now_ms - (window_ms(measure) or 0)
        )
        for event, measure in sorted(needs.windows)
    }


async def _open(
    tenant_id: bytes, candidates: Sequence[Candidate], needs: _Needs, sources: Sources
) -> list[SealedProfile | None]:
    if not needs.opens or not candidates:
        return [_NO_PROFILE] * len(candidates)
    return await sources.profiles.open_profiles(
        [SealedOf(c.user_id, tenant_id, c.sealed) for c in candidates]
    )


async def _contexts(candidates: Sequence[Candidate], needs: _Needs, sources: Sources) -> list[dict[str, Any]]:
    if not needs.context or not candidates:
        return [{} for _ in candidates]
    return await sources.contexts.read([candidate.user_id for candidate in candidates])


def _data(candidate: Candidate, profile: SealedProfile, needs: _Needs) -> dict[str, Any]:
    attributes = profile.attributes
    seen = see({name: attributes[name] for name in (needs.user | needs.bare) & attributes.keys()})
    features: dict[str, Any] = {}
    if needs.features:
        computed = _features.decode(candidate.features)
        features = see({name: computed[name] for name in needs.features & computed.keys()})
    fields = {
        "id": candidate.external_id,
        "email": profile.email,
        "phone": profile.phone,
        "timezone": candidate.timezone,
        "language": candidate.language,
        "country": candidate.country,
        "region": candidate.region,
        "preferred_channel": candidate.preferred_channel,
        CHANNELS_FIELD: names_of(candidate.reachable),
        CREATED_FIELD: _instant(candidate.created_ms),
    }
    own = {name: value for name, value in fields.items() if name in needs.user and value}
    plain = {name: value for name, value in seen.items() if name not in PROFILE}
    return {"user": plain | own, MERGED: features | seen, "features": features}


def _events(needs: _Needs, tallies: Sequence[Tally]) -> dict[str, dict[str, Any]]:
    events: dict[str, dict[str, Any]] = {name: {"count": 0} for name in needs.events}
    for tally in tallies:
        events[tally.event] = {
            "count": tally.count,
            "first_at": _instant(tally.first_ms),
            "last_at": _instant(tally.last_ms),
        }
    return events


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
