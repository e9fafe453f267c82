"""What somebody means who answers a text message: stop, start again, or help.

A single word is what carriers and the industry match. The FCC wants any reasonable wording to count: so a word with
politeness around it counts, and a phrase that can mean nothing else. What merely looks like it (a misspelling, a
sentence with the word in it) counts too, and is marked for a person to look at: silence can be taken back, a text that
was sent to somebody who had stopped it cannot.
"""

from __future__ import annotations

import unicodedata
from typing import Final, Literal, TypeAlias

import msgspec

Intent: TypeAlias = Literal["stop", "start", "help"]

MAX_CHARS: Final = 1000
"""Of a text, as far as it is read. Ten messages' worth."""


class Keyword(msgspec.Struct, frozen=True):
    """What was meant. `is_certain`: false where a person should look at it."""

    intent: Intent
    is_certain: bool = True


def normalise(text: str) -> list[str]:
    """The words of a text: without case, accents, punctuation, emoji and what cannot be seen. `S.T.O.P` is one word."""
    plain = "".join(
        char if char.isalnum() else " "
        for char in unicodedata.normalize("NFKD", text).casefold()
        if unicodedata.category(char) not in {"Mn", "Cf"}
    )
    words = plain.split()
    return ["".join(words)] if len(words) > 1 and all(len(word) == 1 for word in words) else words


def _spellings(words: str) -> frozenset[str]:
    """The words of a list, as texts are compared with them."""
    return frozenset(" ".join(normalise(word)) for word in words.split("|"))


STOP: Final = _spellings(
    # The FCC's list, Twilio's and AWS's
    "stop|stopall|stop all|unsubscribe|cancel|end|quit|revoke|optout|opt out|remove|td|"
    # French, German, Spanish, Portuguese, Italian, Dutch, Polish, Swedish, Turkish, Russian, Japanese, Arabic
    "arret|arreter|desabonner|desinscription|stopp|abmelden|abbestellen|alto|parar|pare|cancelar|baja|sair|"
    "basta|annulla|cancella|disiscrivi|afmelden|wypisz|rezygnuje|avsluta|dur|iptal|стоп|停止|配信停止|ストップ|توقف|قف"
)
"""Words that end everything when nothing but politeness stands beside them. Without case and accents."""

START: Final = _spellings("start|unstop|yes|resume|optin|opt in|subscribe|oui|ja|si|sim|tak")
HELP: Final = _spellings("help|info|aide|hilfe|ayuda|ajuda|aiuto|hulp|pomoc|ヘルプ|مساعدة")

_PHRASES: Final = _spellings(
    "stop texting|stop messaging|stop sending|stop contacting|stop bothering|stop these|stop this|stop spamming|"
    "stop it|stop all messages|stop all texts|do not text|don't text|dont text|do not message|don't message|"
    "dont message|do not contact|don't contact|dont contact|no more texts|no more messages|no more sms|"
    "leave me alone|take me off|remove me|remove my number|delete my number|unsubscribe me|opt me out|"
    "opting out|i want to opt out|want to stop|lose my number|wrong number|"
    "keine sms mehr|keine nachrichten mehr|ne m'envoyez plus|ne plus recevoir|plus de sms|"
    "no me envien mas|no mas mensajes|no quiero recibir|nao quero receber|nao me envie|"
    "non voglio piu|niente piu messaggi|geen sms meer|geen berichten meer|nie chce"
)
"""Wording, within any sentence, that can mean nothing else."""

_STRONG: Final = _spellings(
    "stop|stopall|unsubscribe|unsubscribed|optout|stopp|arret|abmelden|abbestellen|desabonner|afmelden|wypisz"
)
"""Words of STOP that make whatever sentence they stand in look like one."""

_FILLERS: Final = _spellings(
    "please|pls|plz|thanks|thank|you|thx|ok|okay|now|me|us|the|this|it|sir|hi|hello|hey|dear|just|immediately|and|"
    "bitte|danke|merci|sil|vous|plait|svp|por|favor|gracias|obrigado|obrigada|per|favore|grazie|alsjeblieft|prosze"
)
_SIGNS: Final = frozenset("🛑⛔🚫✋")
"""Emoji that say it without a word."""

_LOOKALIKES: Final = str.maketrans("ѕтороаесрхіκνυτορα", "stopoaecpxikvutopa")
"""Cyrillic and Greek letters that look like Latin ones, on keyboards that mix them."""

_UNSPACED: Final = ("停止", "やめて", "ストッフ", "退订")
"""As `_STRONG`, of languages that write no spaces. Without marks, as `normalise` leaves them."""

_OTHERS: Final = frozenset({"step", "shop", "atop", "slop", "stow"})
"""Words of one letter's difference that are none misspelt."""

_FUZZY_LENGTH: Final = 4
"""Letters a word has at least that may be misspelt: of shorter ones every second is another's misspelling."""


def read_keyword(text: str) -> Keyword | None:
    """What the answer to a text message means; None where it is about something else.

    Whatever says both stops. The first line counts by itself too: below it people's phones sign.
    """
    text = text[:MAX_CHARS].strip()
    if text and all(char in _SIGNS or not _is_seen(char) for char in text):
        return Keyword("stop")
    lines = [line for line in text.splitlines() if line.strip()]
    readings = [normalise(part) for part in (text, *lines[:1])]
    for words in readings:
        found = _read_exactly(words)
        if found is not None:
            return Keyword(found)
    return _read_sentence(readings[0])


def _is_seen(char: str) -> bool:
    return not char.isspace() and unicodedata.category(char) not in {"Mn", "Cf", "Sk"}


def _read_exactly(words: list[str]) -> Intent | None:
    """What a text means that has nothing in it but a keyword and politeness."""
    core = [word for word in words if word not in _FILLERS] or words
    # Said over and over it is no less said.
    said = [" ".join(core), *(core[:1] if len(set(core)) == 1 else ())]
    known = [one for word in said for one in (word, word.translate(_LOOKALIKES))]
    if not STOP.isdisjoint(known):
        return "stop"
    if not START.isdisjoint(known):
        return "start"
    return None if HELP.isdisjoint(known) else "help"


def _read_sentence(words: list[str]) -> Keyword | None:
    sentence = f" {' '.join(words)} "
    if any(f" {phrase} " in sentence for phrase in _PHRASES):
        return Keyword("stop")
    is_broken = "".join(words) in STOP  # "st op"
    if is_broken or any(part in sentence for part in _UNSPACED):
        return Keyword("stop", is_certain=False)
    if any(word in _STRONG or word.translate(_LOOKALIKES) in _STRONG for word in words):
        return Keyword("stop", is_certain=False)
    core = [word for word in words if word not in _FILLERS]
    if len(core) == 1 and _looks_like_stop(core[0]):
        return Keyword("stop", is_certain=False)
    return None


def _looks_like_stop(word: str) -> bool:
    """Whether a word is one of `_STRONG` with one letter wrong, missing or too many, or two that changed places."""
    return (
        len(word) >= _FUZZY_LENGTH
        and word not in _OTHERS
        and any(_is_close(word, known) for known in _STRONG)
    )


def _is_close(word: str, known: str) -> bool:
    if abs(len(word) - len(known)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(word, known, strict=False)) if a != b), None)
    if start is None:
        return True
    rest, other = word[start:], known[start:]
    swapped = rest[1::-1] + rest[2:]
    return rest[1:] in {other, other[1:]} or rest == other[1:] or swapped == other
