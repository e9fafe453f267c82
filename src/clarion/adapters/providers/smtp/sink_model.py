"""What the sink and whoever drives it say to one another: one JSON value a line, over a loopback socket."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

TlsMode: TypeAlias = Literal["none", "starttls", "tls"]
FaultStage: TypeAlias = Literal["greeting", "mail", "rcpt", "data", "body", "end"]


class SinkOptions(msgspec.Struct, frozen=True):
    """How a sink is started. Ports 0: any free one. `keep`: the latest messages that it holds in full.

    With `tls` it makes its own certificate, for `localhost` and `127.0.0.1`; with a `username` it wants a login.
    """

    port: int = 0
    tls: TlsMode = "none"
    username: str = ""
    password: str = ""
    keep: int = 100


class Fault(msgspec.Struct, frozen=True):
    """Something that the sink does wrong, at a stage of the dialogue, to `recipient` (a pattern as of `fnmatch`).

    `reply` answers with `text` (`450 4.7.1 Greylisted`); `hang` says no more, and reads no more, until the script is
    replaced; `close` cuts the connection; `delay` goes on after `delay_ms`. Stage `data` is the command, `body` after
    its 354, `end` after the final dot; with `accepted` the message has been taken (and is counted) before the fault at
    `end` happens. `times`: how often, 0 for always.
    """

    stage: FaultStage
    action: Literal["reply", "hang", "close", "delay"] = "reply"
    text: str = ""
    recipient: str = "*"
    accepted: bool = False
    delay_ms: int = 0
    times: int = 0


class SinkReady(msgspec.Struct, frozen=True):
    """The line that a sink prints when it can be used. `ca`: its certificate in PEM, "" without TLS."""

    event: Literal["ready"]
    host: str
    port: int
    control_port: int
    ca: str = ""


class SinkReport(msgspec.Struct, frozen=True):
    """What has arrived. `duplicates` are the messages beyond the first of each Message-ID.

    `connections`: open now; `sessions`: ever. `by_recipient` counts messages, and is empty if it was not asked for.
    """

    received: int
    distinct: int
    duplicates: int
    connections: int
    sessions: int
    by_recipient: dict[str, int] = {}


class SinkMessage(msgspec.Struct, frozen=True):
    """A message as it arrived. `wire` is byte for byte what followed `DATA`, stuffed and final dots included."""

    message_id: str
    mail_from: str
    recipients: list[str]
    wire: bytes

    @property
    def content(self) -> bytes:
        """The message itself, as a mailbox would hold it."""
        return unstuff(self.wire)


class AskReport(msgspec.Struct, frozen=True, tag="report"):
    """Answered by a `SinkReport`."""

    by_recipient: bool = False


class AskWait(msgspec.Struct, frozen=True, tag="wait"):
    """Answered by a `SinkReport` once `distinct` messages and `sessions` sessions were there, or after `timeout_s`."""

    distinct: int
    sessions: int
    timeout_s: float


class AskScript(msgspec.Struct, frozen=True, tag="script"):
    """Replaces the faults; answered by a `SinkReport`."""

    faults: list[Fault]


class AskMessages(msgspec.Struct, frozen=True, tag="messages"):
    """Answered by a list of `SinkMessage`, oldest first."""


class AskReset(msgspec.Struct, frozen=True, tag="reset"):
    """Forgets messages and faults, leaves connections alone; answered by a `SinkReport`."""


Ask: TypeAlias = AskReport | AskWait | AskScript | AskMessages | AskReset


def unstuff(wire: bytes) -> bytes:
    """The content of a DATA transfer: without the final dot's line, each stuffed dot taken out (RFC 5321, 4.5.2)."""
    content = wire.removesuffix(b".\r\n")
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n")[2:]
