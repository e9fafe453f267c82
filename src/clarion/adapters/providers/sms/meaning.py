"""What a vendor's own error code comes to."""

from __future__ import annotations

import msgspec

from clarion.delivery.model import AUTH_CODE, Message, Outcome, OutcomeKind


class Meaning(msgspec.Struct, frozen=True):
    """A vendor's error in our words. `code` and `detail` as in `Outcome`: the vendor's own words may quote a number."""

    kind: OutcomeKind
    code: str
    detail: str
    retry_after_s: float = 0.0

    def of(self, message: Message) -> Outcome:
        """The outcome of a message that met this error."""
        return Outcome(
            message.delivery_id,
            self.kind,
            code=self.code,
            detail=self.detail,
            retry_after_s=self.retry_after_s,
        )


def account_refused(detail: str) -> Meaning:
    """The account cannot send anything: its messages are kept until somebody mends it."""
    return Meaning("transient", AUTH_CODE, detail)


def addressee_refused(code: str, detail: str) -> Meaning:
    """The number can never be reached by this message, whatever else is sent."""
    return Meaning("permanent", f"rcpt_{code}", detail)


def content_refused(code: str, detail: str) -> Meaning:
    """The message can never be sent as it is."""
    return Meaning("permanent", code, detail)


def try_later(code: str, detail: str) -> Meaning:
    """The vendor has trouble."""
    return Meaning("transient", code, detail)


def too_fast(code: str, detail: str, retry_after_s: float) -> Meaning:
    """More than the account may send at a time."""
    return Meaning("throttled", code, detail, retry_after_s)
