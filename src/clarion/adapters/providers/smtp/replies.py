"""What a server's reply means for a message: one verdict a reply, by its code and by where it was given."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

import msgspec

from clarion.adapters.providers.smtp.dsn import is_dead
from clarion.delivery.model import AUTH_CODE, Message, Outcome, OutcomeKind

Stage: TypeAlias = Literal["mail", "rcpt", "data", "end"]
"""Where in the dialogue: `MAIL FROM`, `RCPT TO`, `DATA`, and the message's final dot."""

GREYLIST_PAUSES_S: Final = (0.0, 60.0, 120.0, 300.0)
"""The least pause after the first, second, … attempt that was greylisted.

Such servers let a message in after a minute to five (RFC 6647, 2.3), some at the second attempt: so that one comes
soon, and the fourth of a one-time code within its five minutes.
"""

BACK_OFF: Final = frozenset({421, 454})
"""The server wants less of us altogether: service closing, or (Amazon SES) "maximum sending rate exceeded"."""

UNAUTHORISED: Final = frozenset({530, 534, 535, 538})
"""Our account's trouble, not the message's: it may be mended before the message expires."""

_SUCCESS, _TRANSIENT, _PERMANENT = 2, 4, 5
"""The first digit of a reply code (RFC 5321, 4.2.1)."""

_GREYLISTING: Final = frozenset({450, 451})
_GREYLISTED: Final = re.compile(r"4\.7\.1\b|gr[ae]y-?list", re.IGNORECASE)
"""How greylisting tells itself apart from a server that is only busy, which answers with the same codes."""

_ENHANCED: Final = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
_SUBJECTS: Final = {
    "1": "address",
    "2": "mailbox",
    "3": "mail system",
    "4": "network",
    "5": "protocol",
    "6": "content",
    "7": "policy",
}
"""The second number of an enhanced status code (RFC 3463)."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """A server's reply. `text` may quote the address and is for no log and no trace."""

    stage: Stage
    code: int
    text: str

    @property
    def accepted(self) -> bool:
        """Whether the server took responsibility for the message."""
        return self.stage == "end" and self.code // 100 == _SUCCESS

    @property
    def names_dead_address(self) -> bool:
        """Whether the server says, with an enhanced status code, that the address is no more."""
        enhanced = _ENHANCED.match(self.text)
        return self.stage == "rcpt" and enhanced is not None and is_dead(enhanced[1])


def outcome_of(verdict: Verdict, message: Message) -> Outcome:
    """The outcome of a message that the server did not accept.

    Its `code` is stage and reply code (`rcpt_550`), `server_421` where the reply is about us and not about this
    message, AUTH_CODE where it is about our credentials. Its `detail` has the enhanced status code in words: never the
    server's own, which as a rule quote the address.
    """
    about = "server" if verdict.code in BACK_OFF else verdict.stage
    return Outcome(
        message.delivery_id,
        _kind_of(verdict),
        code=AUTH_CODE if verdict.code in UNAUTHORISED else f"{about}_{verdict.code}",
        detail=_describe(verdict),
        retry_after_s=_pause_s(message.attempt) if _is_greylisting(verdict) else 0.0,
    )


def _is_greylisting(verdict: Verdict) -> bool:
    return verdict.code in _GREYLISTING and _GREYLISTED.search(verdict.text) is not None


def _pause_s(attempt: int) -> float:
    return GREYLIST_PAUSES_S[min(attempt, len(GREYLIST_PAUSES_S)) - 1]


def _kind_of(verdict: Verdict) -> OutcomeKind:
    if verdict.code in UNAUTHORISED or verdict.code // 100 == _TRANSIENT:
        return "transient"
    if verdict.code // 100 == _PERMANENT:
        return "permanent"
    # 2yz or 3yz where the dialogue has no place for it: the server speaks no SMTP that we know.
    return "ambiguous" if verdict.stage == "end" else "transient"


def _describe(verdict: Verdict) -> str:
    words = f"the server answered {verdict.code} at {verdict.stage.upper()}"
    enhanced = _ENHANCED.match(verdict.text)
    if enhanced is None:
        return words
    subject = _SUBJECTS.get(enhanced[1].split(".")[1], "other")
    return f"{words} ({enhanced[1]}, {subject})"
