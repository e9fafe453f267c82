"""Mail about mail: what a bounce, a warning or a complaint says, and of which delivery.

Well-formed reports have a part for machines (RFC 3464; complaints RFC 5965). Many servers write prose instead; from
that only a status code, or one of a few phrases that all of them use, is believed, and only in mail that servers send.
Automatic replies of people say nothing.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import re
from collections.abc import Iterator, Sequence
from email.message import Message as Mail
from email.utils import parsedate_to_datetime
from typing import Final, cast

from clarion.adapters.providers.smtp.verp import returned_to
from clarion.adapters.providers.webhooks import Feedback, FeedbackKind
from clarion.kernel.errors import Invalid

MAX_TEXT: Final = 65_536
"""Characters of prose that are looked at: what a server says comes before the mail that it gives back."""

MAX_PARTS: Final = 50

_STATUS: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_MESSAGE_ID: Final = re.compile(r"<([0-9a-f]{32})@", re.IGNORECASE)
_ENVELOPE_ID: Final = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"rfc822\s*;\s*<?([^\s<>;]+@[^\s<>;]+)>?", re.IGNORECASE)
_SERVERS: Final = re.compile(r"mailer-daemon|postmaster|mail delivery (?:sub)?system|<>", re.IGNORECASE)
_NO_SUCH_USER: Final = re.compile(
    r"(?:user|recipient|mailbox|address|account)s?(?: is| was)? (?:unknown|not found|does(?: no|n')t exist|disabled)"
    r"|(?:unknown|no such|invalid|inactive) (?:user|recipient|mailbox|address|account)"
    r"|no mailbox here by that name|RecipNotFound",
    re.IGNORECASE,
)
_PUT_OFF: Final = re.compile(
    r"delayed|warning|will (?:be )?(?:retr|try|keep)|not yet been delivered", re.IGNORECASE
)

_DEAD: Final = frozenset({"1.0", "1.1", "1.2", "1.3", "1.4", "1.6", "1.10", "2.1"})
"""Subject and detail of a permanent status (RFC 3463) that says that the address is no more; 1.10: takes no mail."""

_COMPLAINTS: Final[dict[str, FeedbackKind]] = {"not-spam": "delivered", "opt-out": "unsubscribed"}
"""Feedback types that are no complaint; `auth-failure` is about us, and not here."""

_PLAIN_COMPLAINTS: Final = frozenset({"abuse", "fraud", "virus", "other", "complaint"})

_WORDS: Final = {
    "1": "address",
    "2": "mailbox",
    "3": "mail system",
    "4": "network",
    "5": "protocol",
    "6": "content",
    "7": "policy",
}
"""Subjects of RFC 3463. The server's own words quote the address, as a rule, and are not kept."""


def read_report(raw: bytes, now_ms: int) -> list[Feedback]:
    """What a mail says about a delivery of ours: nothing or one thing.

    Dated by the mail itself, so that a repeat is known; at most `now_ms` (UTC). Raises Invalid where it is no mail.
    """
    try:
        mail = email.message_from_bytes(raw, policy=email.policy.compat32)
        parts = _parts(mail)
        delivery_id = _delivery_of(mail, parts)
        said = _complaint(mail, parts) or _status_report(parts) or _prose(mail, parts)
    except (RecursionError, LookupError, ValueError, AssertionError) as error:
        raise Invalid("the body is no mail that can be read") from error
    if not delivery_id or said is None:
        return []
    kind, status, address = said
    event_id = hashlib.blake2b(raw, digest_size=16).hexdigest()
    return [
        Feedback(
            event_id,
            kind,
            _dated(mail, now_ms),
            delivery_id,
            code=status,
            detail=_WORDS.get(status.split(".")[1], "") if "." in status else "",
            address=address,
        )
    ]


def is_dead(status: str) -> bool:
    """Whether an enhanced status code says that the address is no more."""
    return status.startswith("5.") and status[2:] in _DEAD


def _parts(mail: Mail) -> list[Mail]:
    """The mail and its parts, from the outside in. Raises Invalid where there are too many."""
    parts: list[Mail] = []
    for part in mail.walk():
        parts.append(part)
        if len(parts) > MAX_PARTS:
            raise Invalid("the mail has too many parts")
    return parts


def _header(mail: Mail, name: str) -> str:
    return " ".join(str(value) for value in mail.get_all(name, []))


def _delivery_of(mail: Mail, parts: Sequence[Mail]) -> bytes:
    """The delivery: by the address that the report came to, the envelope's id, or the mail that it gives back."""
    for name in ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To"):
        if found := returned_to(_header(mail, name)):
            return found
    for part in parts:
        envelope_id = _header(part, "Original-Envelope-Id").strip()
        if _ENVELOPE_ID.fullmatch(envelope_id):
            return bytes.fromhex(envelope_id)
    for part in parts[1:]:
        returned = f"{_header(part, 'Return-Path')} {_header(part, 'Original-Mail-From')}"
        if found := returned_to(returned) or _message_id(_header(part, "Message-ID")):
            return found
    text = _text(parts)
    return returned_to(text) or _message_id(text)


def _message_id(text: str) -> bytes:
    match = _MESSAGE_ID.search(text)
    return bytes.fromhex(match[1]) if match else b""


def _complaint(mail: Mail, parts: Sequence[Mail]) -> tuple[FeedbackKind, str, str] | None:
    """What a feedback loop says; None where this is not from one, or is about us."""
    if str(mail.get_param("report-type", "")).lower() != "feedback-report":
        return None
    for part in parts:
        if part.get_content_type() == "message/feedback-report":
            fields = _fields(part)
            kind = _header(fields, "Feedback-Type").strip().lower()
            if kind in _PLAIN_COMPLAINTS:
                return "complained", kind, ""
            if kind in _COMPLAINTS:
                return _COMPLAINTS[kind], kind, ""
    return None


def _fields(part: Mail) -> Mail:
    """The fields of a part that consists of them: parsed as a message by some, left as text by others."""
    return _blocks(part)[0]


def _blocks(part: Mail) -> list[Mail]:
    """The groups of fields in a part; one at least."""
    if part.is_multipart():
        return cast("list[Mail]", part.get_payload())
    return [email.message_from_string(cast("str", part.get_payload()))]


def _status_report(parts: Sequence[Mail]) -> tuple[FeedbackKind, str, str] | None:
    """What the part for machines says; of several recipients the first that is told, as ours have one."""
    for part in parts:
        if part.get_content_type() in {"message/delivery-status", "message/global-delivery-status"}:
            for fields in _recipients(part):
                action = _header(fields, "Action").strip().lower()
                diagnosis = _header(fields, "Diagnostic-Code")
                match = _STATUS.search(_header(fields, "Status")) or _STATUS.search(diagnosis)
                if match is not None:
                    kind = _kind(action, match[0], diagnosis)
                    return kind, match[0], _address(_header(fields, "Original-Recipient"))
    return None


def _recipients(part: Mail) -> Iterator[Mail]:
    for block in _blocks(part):
        # Some servers leave out the blank line before the recipient's fields.
        if block.get("Action") or block.get("Status"):
            yield block


def _address(text: str) -> str:
    match = _ADDRESS.search(text)
    return match[1] if match else ""


def _kind(action: str, status: str, diagnosis: str) -> FeedbackKind:
    if action == "delivered":
        return "delivered"
    if action in {"relayed", "expanded"} or status.startswith("2"):
        return "sent"
    if action == "delayed" or (status.startswith("4") and action != "failed"):
        return "deferred"
    if is_dead(status) or (status.startswith("5") and _NO_SUCH_USER.search(diagnosis)):
        return "bounced"
    return "failed"


def _prose(mail: Mail, parts: Sequence[Mail]) -> tuple[FeedbackKind, str, str] | None:
    """What a server says in words; None where no server speaks, or nothing can be made of it."""
    if _header(mail, "Auto-Submitted").strip().lower().startswith("auto-replied"):
        return None
    if not _SERVERS.search(f"{_header(mail, 'From')} {_header(mail, 'Return-Path')}"):
        return None
    text = f"{_header(mail, 'Subject')}\n{_text(parts)}"
    match = _STATUS.search(text)
    status = match[0] if match else ""
    if status.startswith("4") or (not status.startswith("5") and _PUT_OFF.search(text)):
        return "deferred", status, ""
    if is_dead(status) or _NO_SUCH_USER.search(text):
        return "bounced", status, ""
    return ("failed", status, "") if status.startswith("5") else None


def _text(parts: Sequence[Mail]) -> str:
    """The prose of a mail, without that of the mail it gives back."""
    found: list[str] = []
    for part in parts:
        if part.get_content_type() == "message/rfc822":
            break
        if part.get_content_maintype() == "text":
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                found.append(payload.decode("utf-8", "replace"))
    return "\n".join(found)[:MAX_TEXT]


def _dated(mail: Mail, now_ms: int) -> int:
    try:
        return min(int(parsedate_to_datetime(_header(mail, "Date")).timestamp() * 1000), now_ms)
    except (ValueError, TypeError, OverflowError):
        return now_ms
