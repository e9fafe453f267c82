"""One connection to a server: opened and authenticated, then one mail transaction after another.

The dialogue is spoken command by command instead of through aiosmtplib's `sendmail`, for three reasons: it must be
known whether the final dot had left when something broke, each recipient's own code decides, and its parsing of
addresses (which are checked here already) takes longer than the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from typing import Final, cast

import aiosmtplib
from aiosmtplib.protocol import PERIOD_REGEX

from clarion.adapters.providers.base import Flight, Unavailable, Unsendable
from clarion.adapters.providers.http.exchange import Resolve
from clarion.adapters.providers.smtp.account import Account
from clarion.adapters.providers.smtp.mime import Letter
from clarion.adapters.providers.smtp.replies import BACK_OFF, UNAUTHORISED, Stage, Verdict
from clarion.adapters.providers.smtp.verp import ReturnPath
from clarion.delivery.model import AUTH_CODE
from clarion.kernel.errors import Refused, Transient

CONNECT_TIMEOUT_S: Final = 10.0
"""For each step of opening: connecting, the greeting, TLS, the login. At most half of what a call may take."""

_XTEXT_AS_IT_IS: Final = re.compile(r"[!-*,-<>-~]+")
"""Addresses that need no encoding as `xtext` (RFC 3461, 4): those with `+` or `=` would, and go without."""

_QUIT_TIMEOUT_S: Final = 1.0
_OK: Final = 250
_WILL_FORWARD: Final = 251
_SEND_DATA: Final = 354


class Connection:
    """An open connection. `sent` counts its transactions; `stage` is where the current one is, or the last one ended.

    Not safe for two transactions at a time. After any exception but Unsendable only `abort` may be called.
    """

    def __init__(self, client: aiosmtplib.SMTP, sender: bytes, return_path: ReturnPath | None = None) -> None:
        self._client = client
        self._sender = sender
        self._return_path = return_path
        self._tells_fate = client.supports_extension("dsn")
        self._sizes_known = client.supports_extension("size")
        self._takes_utf8 = client.supports_extension("smtputf8")
        self._largest = _advertised_size(client)
        self._must_reset = False
        self.sent = 0
        self.stage: Stage = "mail"

    @property
    def is_open(self) -> bool:
        """Whether another transaction can be made, as far as this end knows."""
        return self._client.is_connected

    async def transact(self, letter: Letter, flight: Flight) -> Verdict:
        """Offer a letter to the server. Its verdict, at whatever stage it was final.

        `flight.committed` is set as the message leaves. Raises Unsendable where the server has no means for it;
        aiosmtplib's errors and OSError where the connection broke.
        """
        options = self._options(letter)
        self.stage = "mail"
        self.sent += 1
        if self._must_reset:
            await self._client.rset(timeout=None)
        # From here on the server holds half a transaction, until it takes the message.
        self._must_reset = True
        reply = await self._dialogue(letter, options, flight)
        verdict = Verdict(self.stage, reply.code, reply.message)
        self._must_reset = verdict.stage != "end"
        if verdict.code in BACK_OFF:
            self._client.close()
        return verdict

    def has_unsent_bytes(self) -> bool:
        """Whether bytes wait in this process. The final dot is the last of them: it has not left then."""
        transport = self._client.transport
        return transport is not None and cast("asyncio.WriteTransport", transport).get_write_buffer_size() > 0

    def abort(self) -> None:
        """Drop the connection with everything that waits to be written: a plain close would still send that."""
        transport = self._client.transport
        if transport is not None:
            cast("asyncio.WriteTransport", transport).abort()
        self._client.close()

    async def quit(self) -> None:
        """Take leave politely, within a second. When this returns the socket is closed."""
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await self._client.execute_command(b"QUIT", timeout=_QUIT_TIMEOUT_S)
        # The server has said goodbye: a closing handshake of TLS, which may last 30 s, tells nobody anything more.
        self.abort()
        await asyncio.sleep(0)

    def _options(self, letter: Letter) -> list[bytes]:
        options: list[bytes] = []
        if self._largest and len(letter.text) > self._largest:
            msg = f"the message is larger than the {self._largest} bytes that the server takes"
            raise Unsendable(msg, "too_large")
        if self._sizes_known:
            options.append(b"SIZE=%d" % len(letter.text))
        if letter.recipient.needs_utf8:
            if not self._takes_utf8:
                msg = "the server does not take addresses that are not ASCII"
                raise Unsendable(msg, "smtputf8_unsupported")
            options.append(b"SMTPUTF8")
        return options

    async def _dialogue(
        self, letter: Letter, options: list[bytes], flight: Flight
    ) -> aiosmtplib.SMTPResponse:
        """The reply that decided, given at `stage`."""
        sender = self._envelope(flight.message.delivery_id, options)
        reply = await self._client.execute_command(b"MAIL", sender, *options, timeout=None)
        if reply.code != _OK:
            return reply
        self.stage = "rcpt"
        recipient = b"TO:<%s>" % letter.recipient.wire.encode()
        reply = await self._client.execute_command(b"RCPT", recipient, *self._asked_of(letter), timeout=None)
        if reply.code not in {_OK, _WILL_FORWARD}:
            return reply
        self.stage = "data"
        reply = await self._client.execute_command(b"DATA", timeout=None)
        if reply.code != _SEND_DATA:
            return reply
        self.stage = "end"
        return await self._transfer(letter, flight)

    def _envelope(self, delivery_id: bytes, options: list[bytes]) -> bytes:
        """Whom it comes back to; a server that reports is told to name the delivery, and to keep the text to itself."""
        if self._return_path is None:
            return b"FROM:<%s>" % self._sender
        if self._tells_fate:
            options += [b"RET=HDRS", b"ENVID=" + delivery_id.hex().encode()]
        return b"FROM:<%s>" % self._return_path.of(delivery_id).encode()

    def _asked_of(self, letter: Letter) -> list[bytes]:
        """What a server that reports is told of the recipient: her address, which it may know by another."""
        address = letter.recipient.wire
        if self._return_path is None or not self._tells_fate or not _XTEXT_AS_IT_IS.fullmatch(address):
            return []
        return [b"ORCPT=rfc822;" + address.encode()]

    async def _transfer(self, letter: Letter, flight: Flight) -> aiosmtplib.SMTPResponse:
        protocol = self._client.protocol
        if protocol is None:
            msg = "Connection lost"
            raise aiosmtplib.SMTPServerDisconnected(msg)
        text = letter.text
        if b"\n." in text:
            text = PERIOD_REGEX.sub(b"..", text)
        flight.committed = True
        protocol.write(text + b".\r\n")
        return await protocol.read_response()


async def open_connection(account: Account, resolve: Resolve) -> Connection:
    """Connect, encrypt and log in as the account says. Raises Unavailable, whose code names the step that failed.

    Exactly an address that `resolve` allowed is connected to; the certificate is held against the name.
    """
    credentials, sender = account.credentials, account.letterhead.mailbox
    step_s = min(CONNECT_TIMEOUT_S, account.settings.timeout_s / 2)
    client = aiosmtplib.SMTP(
        hostname=account.settings.host,
        # The default asks the resolver for this machine's full name, which takes seconds where there is none.
        local_hostname=sender.domain,
        timeout=step_s,
        use_tls=account.settings.tls == "tls",
        start_tls=account.settings.tls == "starttls",
        tls_context=account.tls_context,
        username=credentials.username or None,
        password=credentials.password or None,
    )
    try:
        await client.connect(sock=await _dial(account, resolve, step_s))
        await _greet(client)
    except Unavailable:
        client.close()
        raise
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        client.close()
        code = _opening_code(error)
        # The error's own words may hold the server's, and those whatever it likes.
        msg = f"no connection to {account.settings.host}:{account.port} ({code})"
        raise Unavailable(msg, code) from error
    except BaseException:
        client.close()
        raise
    return Connection(client, sender.wire.encode(), account.return_path)


async def _dial(account: Account, resolve: Resolve, within_s: float) -> socket.socket:
    """A socket to the first of the host's addresses that answers; each has `within_s` for it.

    Raises Unavailable (`egress`, `unknown_host`) where it may not be reached or nobody knows it, OSError, TimeoutError.
    """
    host = account.settings.host
    try:
        async with asyncio.timeout(within_s):
            # Whether it is encrypted is the account's business here: mail between servers often is not.
            addresses = await resolve(host, encrypted=True)
    except Refused as error:
        raise Unavailable(error.detail, "egress") from None
    except Transient as error:
        raise Unavailable(error.detail, "unknown_host") from None
    failure = OSError("no address")
    for address in addresses:
        try:
            async with asyncio.timeout(within_s):
                return await _connect((address, account.port))
        except OSError as error:  # a TimeoutError is one
            failure = error
    raise failure


async def _connect(place: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    connected = socket.socket(family, socket.SOCK_STREAM)
    connected.setblocking(False)  # noqa: FBT003  the standard library's
    try:
        await asyncio.get_running_loop().sock_connect(connected, place)
    except BaseException:
        connected.close()
        raise
    return connected


async def _greet(client: aiosmtplib.SMTP) -> None:
    """Say EHLO where opening did not need to; HELO to a server of before 1995 (its successor is still around)."""
    if client.is_ehlo_or_helo_needed:
        try:
            await client.ehlo()
        except aiosmtplib.SMTPHeloError:
            await client.helo()


def _opening_code(error: Exception) -> str:
    """What stopped a connection from opening, as a code of `Outcome`. Certificates first: they hide as OSError."""
    causes = (error, error.__cause__)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return "tls_certificate"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "tls"
    if isinstance(error, aiosmtplib.SMTPResponseException):
        if error.code in UNAUTHORISED:
            return AUTH_CODE
        step = "auth" if isinstance(error, aiosmtplib.SMTPAuthenticationError) else "greeting"
        return f"{step}_{error.code}"
    if isinstance(error, (aiosmtplib.SMTPTimeoutError, TimeoutError)):
        return "connect_timeout"
    # What is left beside OSError: STARTTLS or AUTH is not on offer; or a name that cannot even be looked up.
    return "connect" if isinstance(error, OSError) else "unsupported"


def _advertised_size(client: aiosmtplib.SMTP) -> int:
    """The largest message that the server takes, in bytes; 0: it named none (RFC 1870)."""
    size = client.esmtp_extensions.get("size", "")
    return int(size) if size.isascii() and size.isdigit() else 0
