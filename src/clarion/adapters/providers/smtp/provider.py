"""The provider of kind `smtp`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Final

import aiosmtplib

from clarion.adapters.providers.base import Flight, OneByOneProvider, Outside, Unsendable
from clarion.adapters.providers.smtp.account import Account, read_account
from clarion.adapters.providers.smtp.connection import open_connection
from clarion.adapters.providers.smtp.mime import Letter
from clarion.adapters.providers.smtp.pool import ConnectionPool, PoolLimits
from clarion.adapters.providers.smtp.replies import BACK_OFF, Verdict, outcome_of
from clarion.delivery.model import Capabilities, Message, Outcome, Receipt
from clarion.kernel.errors import ClarionError
from clarion.tenancy.config import ProviderConfig

_ROUNDS: Final = 5
"""Messages a connection in a full batch: enough that the slowest of them does not leave the others waiting."""


class SmtpProvider(OneByOneProvider):
    """One account on one server. A batch is spread over `concurrency` connections, which are kept for the next.

    An address that the server says is no more is reported to `outside.receipts`, as a bounce that came at once.
    """

    carries = frozenset({"subject", "html", "text", "headers"})

    def __init__(
        self,
        config: ProviderConfig,
        account: Account,
        outside: Outside,
        limits: PoolLimits | None = None,
    ) -> None:
        concurrency = account.settings.concurrency
        # What is under way when a worker dies may arrive twice: a portion is one message a connection.
        capabilities = Capabilities(
            "email", max_batch=_ROUNDS * concurrency, concurrency=concurrency, portion=concurrency
        )
        super().__init__(config, capabilities, account.settings.timeout_s)
        self._letterhead = account.letterhead
        self._signer = account.signer
        self._clock = outside.clock
        self._receipts = outside.receipts
        self._dead: set[bytes] = set()
        self._pool = ConnectionPool(
            partial(open_connection, account, outside.resolve),
            limits or PoolLimits(concurrency),
            outside.clock,
        )

    @property
    def connections(self) -> int:
        """Connections that are open or being opened, for metrics."""
        return self._pool.size

    async def _transmit(self, flights: Sequence[Flight]) -> None:
        ids = {flight.message.delivery_id for flight in flights}
        try:
            await super()._transmit(flights)
        finally:
            dead = ids & self._dead
            self._dead -= dead
        if dead:
            now_ms = self._clock.now_ms()
            bounces = [Receipt(f"{ident.hex()}-rcpt", ident, "bounced", now_ms) for ident in sorted(dead)]
            with contextlib.suppress(ClarionError):
                # The message has failed all the same; the next one to this address will tell it again.
                await self._receipts.put(bounces)

    async def _transmit_one(self, flight: Flight) -> Outcome:
        letter = self._write(flight.message)
        verdict = await self._offer(letter, flight)
        if verdict is None:
            verdict = await self._offer(letter, flight, is_last_try=True)
        if verdict is not None and verdict.accepted:
            return self._sent(flight.message, self._letterhead.message_id(flight.message.delivery_id))
        if verdict is None:
            return self._unsettled(flight, "disconnected")
        if verdict.names_dead_address:
            self._dead.add(flight.message.delivery_id)
        return outcome_of(verdict, flight.message)

    def _write(self, message: Message) -> Letter:
        letter = self._letterhead.compose(message, self._clock.now_ms())
        if self._signer is None:
            return letter
        return Letter(letter.recipient, self._signer.sign(letter.text))

    async def _offer(self, letter: Letter, flight: Flight, *, is_last_try: bool = False) -> Verdict | None:
        """The server's verdict; None where a kept connection turned out to be dead before anything was said."""
        connection = await self._pool.acquire()
        was_used = connection.sent > 0
        try:
            verdict = await connection.transact(letter, flight)
        except Unsendable:
            self._pool.release(connection)
            raise
        except BaseException as error:
            if flight.committed and connection.has_unsent_bytes():
                flight.committed = False
            self._pool.discard(connection)
            is_stale = isinstance(error, aiosmtplib.SMTPServerDisconnected) and connection.stage == "mail"
            if is_stale and was_used and not is_last_try:
                return None
            raise
        if verdict.code in BACK_OFF:
            self._pool.back_off()
        self._pool.release(connection)
        return verdict

    async def _release(self) -> None:
        await self._pool.close()

    def _code_of(self, error: Exception) -> str:
        match error:
            case aiosmtplib.SMTPServerDisconnected() | ConnectionError():
                return "disconnected"
            case aiosmtplib.SMTPResponseException():
                return "malformed_reply"
            case _:
                return super()._code_of(error)


def build_smtp(config: ProviderConfig, outside: Outside) -> SmtpProvider:
    """An SMTP account. Raises Invalid with the path of a wrong setting.

    Later failures are reported as mail to the account's bounce address, which comes in as its webhook.
    """
    return SmtpProvider(config, read_account(config), outside)
