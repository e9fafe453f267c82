"""What a reader can say from inside a message: stop this, stop everything, or these kinds on these channels.

Her words are consent like any other, written with the link that they came by. What she cannot refuse (transactional
categories) is not offered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Literal, TypeAlias

import msgspec

from clarion.compliance.model import ANY_CATEGORY, NO_CONSENT, ConsentState
from clarion.compliance.ports import ConsentStore, ConsentWord, Subjects
from clarion.compliance.rules import refusals
from clarion.contracts.channels import CHANNEL_INDEX, CHANNELS, Channel
from clarion.tenancy.model import Category

Cell: TypeAlias = tuple[str, str]
"""A category (`*`: anything at all) on a channel."""

Via: TypeAlias = Literal["one_click", "unsubscribe_page", "preference_page"]
"""How words come from a message."""

_json: Final = msgspec.json.Encoder()


class Subscriber(msgspec.Struct, frozen=True):
    """Who speaks. `preferences`: by category (`*`: all), the channels she switched off; `language`: a tag, or ""."""

    tenant_id: bytes
    user_id: int
    external_id: str
    preferences: dict[str, int] = {}
    language: str = ""


class Source(msgspec.Struct, frozen=True):
    """How she said it: `via` becomes the word's `source`, the rest its evidence, sealed with her key."""

    via: Via
    delivery_id: str
    user_agent: str = ""


class Choice(msgspec.Struct, frozen=True):
    """One line of the preferences: a category (`*`: anything at all), where it may be sent, where she gets it."""

    category: str
    offered: tuple[Channel, ...]
    received: tuple[Channel, ...]


class Subscriptions:
    """Reads and writes what subscribers want. Whatever it writes is in force for every send that begins afterwards."""

    def __init__(self, subjects: Subjects, store: ConsentStore) -> None:
        self._subjects = subjects
        self._store = store

    async def unsubscribe(self, who: Subscriber, stopped: Cell | None, source: Source) -> bool:
        """Refuse a category on a channel; None: everything, everywhere. False: she had, and nothing was written."""
        cells = [stopped] if stopped else [(ANY_CATEGORY, channel) for channel in CHANNELS]
        state = await self._state(who)
        fresh = {cell: False for cell in cells if not _is_denied(state, cell)}
        await self._record(who, fresh, source)
        return bool(fresh)

    async def choices(self, who: Subscriber, categories: Mapping[str, Category]) -> list[Choice]:
        """What she may choose, and what she gets as it stands: first anything at all, then the categories by name."""
        state = await self._state(who)
        off = who.preferences.get(ANY_CATEGORY, 0) | state.denied.get(ANY_CATEGORY, 0) | state.suppressed
        choices = [Choice(ANY_CATEGORY, CHANNELS, _channels(~off))]
        for name in sorted(categories):
            category = categories[name]
            if category.class_ != "transactional":
                received = _received(category, state, who.preferences)
                choices.append(Choice(name, _channels(category.channels), _channels(received & ~off)))
        return choices

    async def choose(
        self, who: Subscriber, choices: Sequence[Choice], wanted: AbstractSet[Cell], source: Source
    ) -> dict[str, int]:
        """Record how `wanted` differs from `choices`; gives her preferences, less what she wants again.

        Agreeing to anything at all on a channel takes back every earlier refusal there: so all that she leaves out of
        `choices` then is refused by name.
        """
        reopened = {
            channel
            for choice in choices
            for channel in choice.offered
            if choice.category == ANY_CATEGORY
            and channel not in choice.received
            and (ANY_CATEGORY, channel) in wanted
        }
        words: dict[Cell, bool] = {}
        preferences = dict(who.preferences)
        for choice in choices:
            for channel in choice.offered:
                cell = (choice.category, channel)
                is_wanted = cell in wanted
                if is_wanted != (channel in choice.received) or channel in reopened:
                    words[cell] = is_wanted
                if is_wanted:
                    bit = 1 << CHANNEL_INDEX[channel]
                    preferences[choice.category] = preferences.get(choice.category, 0) & ~bit
        await self._record(who, words, source)
        return {category: mask for category, mask in preferences.items() if mask}

    async def _state(self, who: Subscriber) -> ConsentState:
        return (await self._store.consents([who.user_id])).get(who.user_id, NO_CONSENT)

    async def _record(self, who: Subscriber, words: Mapping[Cell, bool], source: Source) -> None:
        if not words:
            return
        evidence = _json.encode({"delivery_id": source.delivery_id, "user_agent": source.user_agent})
        (sealed,) = await self._subjects.seal_evidence(who.tenant_id, [(who.user_id, evidence)])
        said = [
            ConsentWord(
                who.user_id, channel, category, consented, source.via, express=consented, evidence=sealed
            )
            for (category, channel), consented in words.items()
        ]
        await self._store.record(who.tenant_id, said)


def _is_denied(state: ConsentState, cell: Cell) -> bool:
    category, channel = cell
    denied = state.denied.get(category, 0) | state.denied.get(ANY_CATEGORY, 0)
    return bool(denied >> CHANNEL_INDEX[channel] & 1)


def _received(category: Category, state: ConsentState, preferences: Mapping[str, int]) -> int:
    """Mask of the channels on which she gets a category where she gets anything at all."""
    by_name = ConsentState(state.granted, {category.name: state.denied.get(category.name, 0)})
    _, denied, missing = refusals(category.class_, category.name, by_name)
    off = preferences.get(category.name, 0)
    return category.channels & ~(denied | missing | off)


def _channels(mask: int) -> tuple[Channel, ...]:
    return tuple(channel for i, channel in enumerate(CHANNELS) if mask >> i & 1)
