"""An SMTP server that takes everything and delivers nothing, in a process of its own: for demos and tests.

    python -m clarion.adapters.providers.smtp.sink --port 0

prints one line of JSON (`SinkReady`) and then listens, on loopback only. It counts what arrives by Message-ID and by
recipient, keeps the latest messages, and can be told (`sink_model.Fault`) to refuse, hang, and hang up. The dialogue
is aiosmtpd's; two of its steps are done faster here, for it would take 2,000 messages a second and a core for them.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import fnmatch
import ipaddress
import logging
import re
import signal
import ssl
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clarion.adapters.providers.smtp.sink_model import (
    Ask,
    AskMessages,
    AskReport,
    AskReset,
    AskScript,
    AskWait,
    Fault,
    FaultStage,
    SinkMessage,
    SinkOptions,
    SinkReady,
    SinkReport,
    unstuff,
)

HOST: Final = "127.0.0.1"
_LARGEST_MESSAGE: Final = 32 * 1024 * 1024
_ANGLE: Final = re.compile(r"<([^\s<>@\"]+@[^\s<>@\"]+)>\s*(.*)\Z")
_MESSAGE_ID: Final = re.compile(rb"^Message-ID:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)


class Ledger:
    """What arrived, and who waits for it."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._waiters: list[tuple[Callable[[], bool], asyncio.Event]] = []
        self.sessions = 0
        self.connections = 0
        self.reset()

    def reset(self) -> None:
        """Forget the messages."""
        self.received = 0
        self._by_id: Counter[str] = Counter()
        self._by_recipient: Counter[str] = Counter()
        self.latest: deque[SinkMessage] = deque(maxlen=self._keep)

    def record(self, message: SinkMessage) -> None:
        """Count a message that was taken."""
        self.received += 1
        self._by_id[message.message_id] += 1
        self._by_recipient.update(message.recipients)
        self.latest.append(message)
        self.notify()

    def notify(self) -> None:
        """Let those go on whose condition holds now."""
        for is_met, event in self._waiters:
            if is_met():
                event.set()

    async def wait(self, ask: AskWait) -> None:
        """Return when what was asked for is there, or its time is up."""

        def is_met() -> bool:
            return len(self._by_id) >= ask.distinct and self.sessions >= ask.sessions

        waiter = (is_met, asyncio.Event())
        self._waiters.append(waiter)
        self.notify()
        try:
            await asyncio.wait_for(waiter[1].wait(), ask.timeout_s)
        except TimeoutError:
            pass
        finally:
            self._waiters.remove(waiter)

    def report(self, *, by_recipient: bool = False) -> SinkReport:
        """The counts as they stand."""
        distinct = len(self._by_id)
        return SinkReport(
            self.received,
            distinct,
            self.received - distinct,
            self.connections,
            self.sessions,
            dict(self._by_recipient) if by_recipient else {},
        )


class Faults:
    """The script: which fault comes next, at which stage and for whom."""

    def __init__(self) -> None:
        self._lifted = asyncio.Event()
        self.load([])

    def load(self, faults: Sequence[Fault]) -> None:
        """Replace the script, and cut the connections that hang by the old one."""
        self._pending = [(fault, fault.times) for fault in faults]
        self._lifted.set()
        self._lifted = asyncio.Event()

    def next(self, stage: FaultStage, recipients: Sequence[str]) -> Fault | None:
        """The first fault that fits, counted as having happened."""
        for place, (fault, left) in enumerate(self._pending):
            if fault.stage == stage and _concerns(fault, recipients):
                if left == 1:
                    del self._pending[place]
                elif left:
                    self._pending[place] = (fault, left - 1)
                return fault
        return None

    async def happen(self, fault: Fault, server: SMTP) -> str | None:
        """Let a fault happen: the reply to give, or None to go on as if nothing were wrong."""
        if fault.action == "reply":
            return fault.text
        if fault.action == "delay":
            await asyncio.sleep(fault.delay_ms / 1000)
            return None
        transport = server.transport
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  what asyncio hands to every TCP server
        if fault.action == "hang":
            # A paused transport does not notice that the client has gone: it is cut when the script changes.
            transport.pause_reading()
            await self._lifted.wait()
        transport.abort()
        # Until aiosmtpd cancels this, as it does when the connection is gone.
        await asyncio.Event().wait()
        return None


def _concerns(fault: Fault, recipients: Sequence[str]) -> bool:
    return fault.recipient == "*" or any(fnmatch.fnmatch(one, fault.recipient) for one in recipients)


class Handler:
    """What aiosmtpd calls at each step of a dialogue."""

    def __init__(self, ledger: Ledger, faults: Faults, options: SinkOptions) -> None:
        self.ledger = ledger
        self._faults = faults
        self._options = options

    async def meet(self, stage: FaultStage, server: SMTP, recipients: Sequence[str] = ()) -> str | None:
        """Let the fault that is due happen: the reply to give, or None to go on as if nothing were wrong."""
        fault = self._faults.next(stage, recipients)
        return None if fault is None else await self._faults.happen(fault, server)

    async def handle_MAIL(  # noqa: N802  the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a sender, if logged in where that is asked for."""
        if self._options.username and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if (reply := await self.meet("mail", server)) is not None:
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802  see above
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient."""
        if (reply := await self.meet("rcpt", server, [address])) is not None:
            return reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  see above
        """Take a message."""
        wire = envelope.original_content or b""
        found = _MESSAGE_ID.search(wire)
        message_id = found[1].decode(errors="replace") if found else ""
        message = SinkMessage(message_id, envelope.mail_from or "", list(envelope.rcpt_tos), wire)
        fault = self._faults.next("end", envelope.rcpt_tos)
        if fault is None or fault.accepted:
            self.ledger.record(message)
        if fault is not None and (reply := await self._faults.happen(fault, server)) is not None:
            return reply
        if fault is not None and not fault.accepted:
            self.ledger.record(message)
        return "250 2.0.0 Taken"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object
    ) -> AuthResult:
        """Check a login."""
        expected = LoginPassword(self._options.username.encode(), self._options.password.encode())
        # Not handled: the library is to answer.
        return AuthResult(success=data == expected, handled=False)


class SinkDialogue(SMTP):
    """aiosmtpd's dialogue, with faults, and with the two steps that cost it most done in one go."""

    line_length_limit = _LARGEST_MESSAGE
    """Also the stream's limit, and so what a message may have."""

    def __init__(self, handler: Handler, **options: Any) -> None:
        super().__init__(handler, **options)
        self._sink = handler

    def connection_lost(self, error: Exception | None) -> None:
        """Count the connection off."""
        if self.transport is not None:
            self._sink.ledger.connections -= 1
        super().connection_lost(error)

    async def _handle_client(self) -> None:
        self._sink.ledger.connections += 1
        self._sink.ledger.sessions += 1
        self._sink.ledger.notify()
        reply = await self._sink.meet("greeting", self)
        if reply is None:
            await super()._handle_client()
        else:
            await self.push(reply)
            self._writer.close()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        # The library's parser of addresses takes 100 µs for each.
        plain = _ANGLE.match(arg)
        return (plain[1], plain[2]) if plain else super()._getaddr(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  the name is aiosmtpd's
        """Take a message in a few reads, where the library makes one a line."""
        envelope = self.envelope
        if envelope is None or not envelope.rcpt_tos or arg:
            await super().smtp_DATA(arg)
            return
        if (reply := await self._sink.meet("data", self, envelope.rcpt_tos)) is not None:
            await self.push(reply)
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        await self._sink.meet("body", self, envelope.rcpt_tos)
        wire = b""
        while not (wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"):
            wire += await self._reader.readuntil(b".\r\n")
        envelope.original_content = wire
        envelope.content = unstuff(wire)
        assert self.session is not None  # noqa: S101  aiosmtpd sets it as the connection is made
        reply = await self._sink.handle_DATA(self, self.session, envelope)
        self._set_post_data_state()
        await self.push(reply)


class Control:
    """The loopback socket by which a sink is asked and told."""

    def __init__(self, ledger: Ledger, faults: Faults) -> None:
        self._ledger = ledger
        self._faults = faults
        self._decode = msgspec.json.Decoder(Ask).decode

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer each line of a connection."""
        try:
            while line := await reader.readline():
                answer = await self._answer(self._decode(line))
                writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
        finally:
            writer.close()

    async def _answer(self, ask: Ask) -> SinkReport | list[SinkMessage]:
        match ask:
            case AskMessages():
                return list(self._ledger.latest)
            case AskWait():
                await self._ledger.wait(ask)
            case AskScript():
                self._faults.load(ask.faults)
            case AskReset():
                self._ledger.reset()
                self._faults.load([])
            case AskReport():
                return self._ledger.report(by_recipient=ask.by_recipient)
        return self._ledger.report()


def make_certificate() -> tuple[ssl.SSLContext, str]:
    """A server context with a certificate of its own, and that certificate in PEM, to be trusted by clients."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Clarion's SMTP sink")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # OpenSSL reads a key from a file only; this one has mode 0600 and is gone at once.
    with tempfile.NamedTemporaryFile() as chain:
        Path(chain.name).write_bytes(pem + secret)
        context.load_cert_chain(chain.name)
    return context, pem.decode()


async def serve(options: SinkOptions, *, until_stdin_closes: bool) -> None:
    """Run a sink until SIGTERM, SIGINT, or the end of stdin."""
    loop = asyncio.get_running_loop()
    ledger, faults = Ledger(options.keep), Faults()
    handler = Handler(ledger, faults, options)
    context, ca = (None, "") if options.tls == "none" else make_certificate()

    def dialogue() -> SinkDialogue:
        return SinkDialogue(
            handler,
            loop=loop,
            hostname="sink.invalid",
            data_size_limit=_LARGEST_MESSAGE,
            enable_SMTPUTF8=True,
            tls_context=context if options.tls == "starttls" else None,
            require_starttls=options.tls == "starttls",
            auth_require_tls=options.tls == "starttls",
            authenticator=handler.authenticate,
        )

    implicit = context if options.tls == "tls" else None
    mail = await loop.create_server(dialogue, HOST, options.port, ssl=implicit)
    control = await asyncio.start_server(Control(ledger, faults).serve, HOST, 0)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    ports = [server.sockets[0].getsockname()[1] for server in (mail, control)]
    ready = msgspec.json.encode(SinkReady("ready", HOST, ports[0], ports[1], ca))
    sys.stdout.buffer.write(ready + b"\n")
    sys.stdout.buffer.flush()
    await stop.wait()
    mail.close()
    control.close()


def main(argv: Sequence[str] | None = None) -> None:
    """Start a sink as the command line says."""
    parser = argparse.ArgumentParser(description="An SMTP server that counts what it is sent.")
    parser.add_argument("--port", type=int, default=0, help="0 (the default): any free one")
    parser.add_argument("--tls", choices=("none", "starttls", "tls"), default="none")
    parser.add_argument("--username", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--keep", type=int, default=100, help="messages held in full")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that started it"
    )
    given = parser.parse_args(argv)
    options = SinkOptions(given.port, given.tls, given.username, given.password, given.keep)
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    asyncio.run(serve(options, until_stdin_closes=given.until_stdin_closes))


if __name__ == "__main__":
    main()
