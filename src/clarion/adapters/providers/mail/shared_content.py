"""What many rendered messages have in common, found again after rendering.

Vendors take a thousand recipients a call if the message is one text with gaps, and each recipient has what goes into
them. Clarion renders by itself (with a language that no vendor has, and the same for all), so the text with gaps must
be found again in what came out. It need not be found perfectly: whatever is found, each message is rebuilt from it
byte by byte, or goes alone.

    learn: two messages ─▶ what both have ─▶ less, wherever a further one does not fit ─▶ literals
    split: a message ─▶ literal, value, literal, value, …, literal   (a search for the literals, from left to right)

Learning costs a millisecond a step, and takes few steps: one for each place at which users turn out to differ.
Splitting costs microseconds a message. Taking the leftmost place for each literal finds a way to split if there is any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final

import msgspec

SEPARATOR: Final = "\0"
"""Between the fields of a message (subject, text, …), which are searched as one text. It occurs in none of them."""

SHORTEST_LITERAL: Final = 8
"""Between two gaps; less text than that costs less inside a value than a gap of its own would."""

MOST_STEPS: Final = 24
"""Of learning, for one set of literals: as many places at which users differ. What does not fit then goes elsewhere."""

MOST_FAILURES: Final = 4
"""Of these, steps after which too little was left: the messages are of several kinds, which is tried once more each."""

MOST_TOKENS: Final = 1000
"""Of a field, to look for what moved in it: the time for that grows as the square. Longer ones differ as a whole."""

MOST_SETS: Final = 4
"""Of literals, for the messages of one template. Those that fit in none go alone."""

LEAST_SHARED: Final = 0.25
"""Of the first message, as literals. A message for which less would be left is of another kind."""

_GAP: Final = "\1"
"""Stands for a gap while learning. A text that holds one goes alone."""

_TOKEN: Final = re.compile(r"<[^>]*>|[^<\n]+|\n|<")
_WORD: Final = re.compile(r"[\w-]*")


class SharedContent(msgspec.Struct, frozen=True):
    """Literals that all `members` (places in what was given) have in this order, and what each has between them.

    A member's text is `literals[0] + values[0] + literals[1] + … + literals[-1]`, exactly.
    """

    literals: Sequence[str]
    members: Sequence[int]
    values: Sequence[Sequence[str]]


def find_shared(texts: Sequence[str]) -> tuple[list[SharedContent], list[int]]:
    """What the texts share, at most MOST_SETS times, each by two or more; and the places of those that share nothing.

    Texts have the same number of SEPARATORs; literals have them all. Deterministic; each place is given once.
    """
    found: list[SharedContent] = []
    alone = [place for place, text in enumerate(texts) if _GAP in text]
    left = [place for place, text in enumerate(texts) if _GAP not in text]
    for _ in range(MOST_SETS):
        if len(left) <= 1:
            break
        shared, left = _gather(texts, left)
        if len(shared.members) > 1:
            found.append(shared)
        else:
            alone.extend(shared.members)
    return found, sorted(alone + left)


def split(text: str, literals: Sequence[str]) -> list[str] | None:
    """What stands between the literals in `text`; None where they are not all there, in this order."""
    first, last = literals[0], literals[-1]
    if len(literals) == 1:
        return [] if text == first else None
    if not text.startswith(first):
        return None
    values: list[str] = []
    at = len(first)
    for literal in literals[1:-1]:
        begins = text.find(literal, at)
        if begins < 0:
            return None
        values.append(text[at:begins])
        at = begins + len(literal)
    end = len(text) - len(last)
    if end < at or not text.endswith(last):
        return None
    values.append(text[at:end])
    return values


def _gather(texts: Sequence[str], places: Sequence[int]) -> tuple[SharedContent, list[int]]:
    """What those at `places` share with the first of them, and the places of those that share too little."""
    learning = _Learning(texts[places[0]])
    learned_at = 0
    members: list[int] = []
    values: list[list[str]] = []
    left: list[int] = []
    for place in places:
        found = split(texts[place], learning.literals)
        if found is None:
            found = learning.widen(texts[place])
            learned_at = learned_at if found is None else len(members)
        if found is None:
            left.append(place)
        else:
            members.append(place)
            values.append(found)
    # Those before the last step were split by the literals of then, of which those of now are parts.
    for i in range(learned_at):
        values[i] = split(texts[members[i]], learning.literals) or []
    return SharedContent(learning.literals, members, values), left


class _Learning:
    """Literals on their way from the whole of one message to what many have."""

    def __init__(self, first: str) -> None:
        self.literals = [first]
        self._least = LEAST_SHARED * len(first)
        self._steps = 0
        self._failures = 0

    def widen(self, text: str) -> list[str] | None:
        """The values of `text`, once the literals are without what it does not have; None: too little would be left."""
        if self._steps == MOST_STEPS or self._failures == MOST_FAILURES:
            return None
        self._steps += 1
        fewer = common_literals(self.literals, text)
        if sum(map(len, fewer)) < self._least:
            self._failures += 1
            return None
        self.literals = fewer
        return split(text, fewer)


def common_literals(literals: Sequence[str], text: str) -> list[str]:
    """The parts of `literals` that `text` has too, in order: one more than there are gaps. Loses no SEPARATOR."""
    pieces: list[str | None] = []
    known_fields = _GAP.join(literals).split(SEPARATOR)
    for known, field in zip(known_fields, text.split(SEPARATOR), strict=True):
        for known_token, token in _pairs(_TOKEN.findall(known), _TOKEN.findall(field)):
            pieces.extend(_compared(known_token, token))
        pieces.append(SEPARATOR)
    return _joined(pieces[:-1])


def _pairs(known: Sequence[str], tokens: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Two sequences of tokens side by side; together the pairs are both, in order."""
    if len(known) == len(tokens):
        # Nearly always so, since users differ inside tokens; and a hundred times cheaper.
        yield from zip(known, tokens, strict=True)
        return
    if max(len(known), len(tokens)) > MOST_TOKENS:
        yield "".join(known), "".join(tokens)
        return
    at, at_token = 0, 0
    for block in SequenceMatcher(None, known, tokens).get_matching_blocks():
        yield "".join(known[at : block.a]), "".join(tokens[at_token : block.b])
        at, at_token = block.a + block.size, block.b + block.size
        yield from ((token, token) for token in known[block.a : at])


def _compared(known: str, token: str) -> list[str | None]:
    """Pieces that both have, and None for each gap between them."""
    if known == token:
        return [known]
    parts = known.split(_GAP)
    if split(token, parts) is not None:
        return [piece for part in parts for piece in (part, None)][:-1]
    head = _common_head(parts[0], token)
    head = head[: len(head) - _word_length(head[::-1])]
    last = parts[-1] if len(parts) > 1 else parts[0][len(head) :]
    tail = _common_head(last[::-1], token[len(head) :][::-1])[::-1]
    return [head, None, tail[_word_length(tail) :]]


def _common_head(one: str, other: str) -> str:
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return one[:place]
    return min(one, other, key=len)


def _word_length(text: str) -> int:
    """Of the word that `text` begins with. Gaps take whole words: that two users' names begin alike says nothing."""
    found = _WORD.match(text)
    return found.end() if found else 0


def _joined(pieces: Sequence[str | None]) -> list[str]:
    """Pieces as literals, without those that cost more than they save."""
    literals = [""]
    in_gap = False
    for piece in pieces:
        if piece is None:
            in_gap = True
        elif piece and in_gap:
            literals.append(piece)
            in_gap = False
        elif piece:
            literals[-1] += piece
    if in_gap:
        literals.append("")
    middle = [part for part in literals[1:-1] if len(part) >= SHORTEST_LITERAL or SEPARATOR in part]
    return [literals[0], *middle, literals[-1]] if len(literals) > 1 else literals
