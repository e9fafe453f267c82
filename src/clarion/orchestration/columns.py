"""From structs to columns: the facts of a batch of candidates as arrays, which is how `decide` reads them.

Whatever no hour can change is settled here, with the rule that did it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from clarion.audience.model import Card
from clarion.compliance.frequency_caps import UNLIMITED, allowances
from clarion.compliance.opening_hours import OpenHours
from clarion.compliance.quiet_hours import BoolArray, windows_of
from clarion.compliance.rulebook import Law, bundled_rulebook, refusals
from clarion.compliance.rules import Rule, switched_off
from clarion.contracts.channels import CHANNEL_INDEX, CHANNELS
from clarion.contracts.work import URGENT_PRIORITY
from clarion.intelligence.serving import CLASSES
from clarion.kernel.local_time import IntArray
from clarion.orchestration.horizon import Clock
from clarion.orchestration.limits import Accounts, Limits, open_accounts
from clarion.orchestration.lots import Lots, no_lots
from clarion.orchestration.model import Candidate, Draft
from clarion.tenancy.model import QuietHours

CODE: Final[dict[Rule, int]] = {rule: code for code, rule in enumerate(Rule, start=1)}
"""Rules as numbers, for arrays. 0: no rule."""

NEVER_MS: Final = 2**62

_OPEN: Final = (None,) * len(CHANNELS)

CountArray: TypeAlias = npt.NDArray[np.int32]
"""Messages a day; `UNLIMITED` is its largest."""

_Hours: TypeAlias = tuple[OpenHours | None, ...]
_ClockKey: TypeAlias = tuple[str, str, int, QuietHours | None, QuietHours | None, _Hours, tuple[str, ...]]
_PlaceKey: TypeAlias = tuple[int, int, str, str, str, str, str, str, tuple[str, ...]]


class Ground(NamedTuple):
    """What rows share who may be in the same places: the law, and its hours by channel on the clocks of `zones`.

    `hours`, `zones`: () where the law has none.
    """

    law: Law
    jurisdictions: tuple[str, ...]
    hours: _Hours
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """One row a candidate. B rows, C channels, U clocks; times in UTC ms.

    `grounds` [B]: the law that each row stands on; rows in the same places share it. `barred` [B, C]: code of the rule
    that forbids the channel at any hour, 0 where none does. `clock` [B]: index in `clocks`. `seeks` [B]: the row takes
    its best hour; the others go at their anchor, or as soon after it as allowed. `every` [B]: takes all channels, not
    the best; `most` [B]: how many at most. `limit`, `used` [B, 1 + C]: places a day, and those taken on the present
    local day (all channels, then each); `person`: by capped row, whose places these are (user and category).
    `contested`: rows, ascending, that draw on what other rows, or their own second channel, draw on too. `lots`: what
    chance has for them.
    """

    grounds: list[Ground]
    barred: IntArray
    clocks: list[Clock]
    clock: IntArray
    seeks: BoolArray
    every: BoolArray
    most: IntArray
    expires_ms: IntArray
    user_id: IntArray
    preferred: IntArray
    class_: IntArray
    limit: CountArray
    used: CountArray
    person: dict[int, tuple[int, str]]
    accounts: Accounts
    contested: list[int]
    lots: Lots


def gather(candidates: Sequence[Candidate], limits: Limits, now_ms: int, lots: Lots | None = None) -> Columns:
    """The columns of a batch, whose rows may be of any users, tenants and zones."""
    drafts = [candidate.draft for candidate in candidates]
    cards = [candidate.card for candidate in candidates]
    accounts = open_accounts(limits, len(drafts))
    grounds = _find_grounds(drafts, cards, now_ms)
    clocks, clock = _clocks(drafts, cards, grounds, now_ms)
    limit, used, capped = _places(drafts)
    person = {row: (cards[row].user_id, drafts[row].category.name) for row in capped}
    rows_of = Counter(person.values())
    every = np.array([draft.selection != "optimal" for draft in drafts], np.bool_)
    most = np.where(every, len(CHANNELS), [draft.category.max_channels for draft in drafts])
    scarce = np.isfinite(accounts.budget) | np.isfinite(accounts.quota).any(1)
    crowded = (most > 1) & (used[:, 0] + most > limit[:, 0])
    contested = {row for row in capped if crowded[row] or rows_of[person[row]] > 1}
    contested.update(np.flatnonzero(scarce[accounts.account]).tolist())
    return Columns(
        grounds=grounds,
        barred=_barred(drafts, cards, grounds, accounts),
        clocks=clocks,
        clock=clock,
        seeks=np.array([d.send_time == "optimal" and d.priority > URGENT_PRIORITY for d in drafts], np.bool_),
        every=every,
        most=most,
        expires_ms=np.array([draft.expires_ms or NEVER_MS for draft in drafts]),
        user_id=np.array([card.user_id for card in cards]),
        preferred=np.array([CHANNEL_INDEX.get(card.preferred_channel, -1) for card in cards]),
        class_=np.array([CLASSES.index(draft.category.class_) for draft in drafts]),
        limit=limit,
        used=used,
        person=person,
        accounts=accounts,
        contested=sorted(contested),
        lots=_lots(drafts, lots),
    )


def _lots(drafts: Sequence[Draft], lots: Lots | None) -> Lots:
    """The lots of the rows; nothing is tried with what is urgent or transactional."""
    if lots is None:
        return no_lots(len(drafts))
    may_try = [d.priority > URGENT_PRIORITY and d.category.class_ != "transactional" for d in drafts]
    return replace(lots, rate=lots.rate * may_try)


def _find_grounds(drafts: Sequence[Draft], cards: Sequence[Card], now_ms: int) -> list[Ground]:
    """What each row stands on by the laws in force now; a message that waits is asked again when it is claimed."""
    known: dict[_PlaceKey, Ground] = {}
    grounds: list[Ground] = []
    for draft, card in zip(drafts, cards, strict=True):
        # A batch has few categories and settings, which live as long as the drafts do.
        key = (
            id(draft.category),
            id(draft.compliance),
            draft.tenant_country,
            draft.fallback_timezone,
            card.timezone,
            card.country,
            card.region,
            card.phone_country,
            card.phone_zones,
        )
        ground = known.get(key)
        if ground is None:
            ground = known[key] = _find_ground(draft, card, now_ms)
        grounds.append(ground)
    return grounds


def _find_ground(draft: Draft, card: Card, now_ms: int) -> Ground:
    book = bundled_rulebook()
    places = book.atlas.plausible(card.whereabouts, draft.tenant_country, draft.fallback_timezone)
    law = book.law(places, draft.category, draft.compliance, now_ms)
    hours = tuple(terms.hours for terms in law.terms)
    if hours == _OPEN:
        return Ground(law, places.jurisdictions, (), ())
    return Ground(law, places.jurisdictions, hours, places.zones)


def _barred(
    drafts: Sequence[Draft], cards: Sequence[Card], grounds: Sequence[Ground], accounts: Accounts
) -> IntArray:
    rows = zip(drafts, cards, grounds, strict=True)
    barred = np.array([_first_rules(_forbidding(*row)) for row in rows])
    used_up = accounts.quota[accounts.account] < 1
    too_dear = accounts.cost > accounts.budget[accounts.account, None]
    by_limits = np.where(used_up, CODE[Rule.QUOTA], np.where(too_dear, CODE[Rule.BUDGET], 0))
    return np.where(barred > 0, barred, by_limits)


def _forbidding(draft: Draft, card: Card, ground: Ground) -> tuple[int, ...]:
    """Channel masks of what each rule forbids whatever the hour, in the order of `Rule` (and so of its codes)."""
    category = draft.category
    return (
        ~draft.requested,
        ~category.channels,
        ~card.reachable,
        ~draft.rendered,
        *refusals(ground.law, category.name, card.consent),
        switched_off(category.class_, category.name, card.preferences),
    )


@lru_cache(maxsize=4096)
def _first_rules(masks: tuple[int, ...]) -> tuple[int, ...]:
    """By channel, the code of the first rule whose mask has it, or 0. Few sets of masks come again and again."""
    return tuple(
        next((code for code, mask in enumerate(masks, start=1) if mask >> channel & 1), 0)
        for channel in range(len(CHANNELS))
    )


def _clocks(
    drafts: Sequence[Draft], cards: Sequence[Card], grounds: Sequence[Ground], now_ms: int
) -> tuple[list[Clock], IntArray]:
    """The distinct clocks of a batch, and each row's index among them. Transactional rows know no quiet hours."""
    index: dict[_ClockKey, int] = {}
    clock: list[int] = []
    for draft, card, ground in zip(drafts, cards, grounds, strict=True):
        anchor_ms = max(draft.scheduled_ms, now_ms) if draft.send_time == "scheduled" else now_ms
        zones = (card.timezone, draft.fallback_timezone)
        if draft.category.class_ == "transactional":
            key = (*zones, anchor_ms, None, None, ground.hours, ground.zones)
        else:
            quiet = (draft.tenant_quiet_hours, card.quiet_hours)
            key = (*zones, anchor_ms, *quiet, ground.hours, ground.zones)
        clock.append(index.setdefault(key, len(index)))
    clocks = [Clock(*key[:3], windows_of(*key[3:5]), *key[5:]) for key in index]
    return clocks, np.array(clock)


def _places(drafts: Sequence[Draft]) -> tuple[CountArray, CountArray, list[int]]:
    """Daily limits and today's counts, [B, 1 + C], and the rows that have limits."""
    limit = np.full((len(drafts), 1 + len(CHANNELS)), UNLIMITED, np.int32)
    used = np.zeros_like(limit)
    # A batch has few categories: its requests share these objects, which live as long as the drafts do.
    categories = {id(draft.category): draft.category for draft in drafts}
    places = {key: [a.limit for a in allowances(category)] for key, category in categories.items()}
    limited = {key for key, limits in places.items() if min(limits) < UNLIMITED}
    capped = [row for row, draft in enumerate(drafts) if id(draft.category) in limited] if limited else []
    if capped:
        limit[capped] = [places[id(drafts[row].category)] for row in capped]
        # Half of the range, so that the batch's own choices can be added to it.
        used[capped] = np.minimum([drafts[row].caps_used for row in capped], UNLIMITED // 2)
    return limit, used, capped
