"""What passes between a trial renderer and its child: msgpack behind four bytes of length, big endian."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.contracts.channels import Channel
from clarion.templates import RenderFailure, TemplateContent

LENGTH_BYTES: Final = 4


class TrialRequest(msgspec.Struct, frozen=True):
    """One trial to run."""

    content: TemplateContent
    channel: Channel


class TrialReport(msgspec.Struct, frozen=True):
    """How rendering ended, when it did."""

    failure: RenderFailure | None = None


def to_frame(message: TrialRequest | TrialReport) -> bytes:
    """The bytes of a message, with its length before it."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def body_length(head: bytes) -> int:
    """How many bytes follow the first LENGTH_BYTES of a frame."""
    return int.from_bytes(head, "big")
