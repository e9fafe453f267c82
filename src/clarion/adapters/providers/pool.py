"""The providers of a process: built on first use, kept while their configuration stands, closed with it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Protocol

import structlog

from clarion.adapters.providers.base import Outside
from clarion.adapters.providers.http.exchange import HttpTransport, Resolve
from clarion.adapters.providers.registry import build_provider
from clarion.delivery.model import Capabilities, Message, Outcome, Receipt
from clarion.delivery.ports import Provider
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

_log = structlog.get_logger("providers")


class ReceiptInbox(Protocol):
    """Where receipts of all accounts are kept until they are folded."""

    async def put(self, provider: str, receipts: Sequence[Receipt]) -> None:
        """Keep receipts of one account durably. Raises Transient."""
        ...


class _AccountSink:
    """`ReceiptSink` of one account."""

    def __init__(self, name: str, inbox: ReceiptInbox) -> None:
        self._name = name
        self._inbox = inbox

    async def put(self, receipts: Sequence[Receipt]) -> None:
        """Keep receipts durably."""
        await self._inbox.put(self._name, receipts)


class MisconfiguredProvider:
    """Stands for an account that cannot be built. Messages are kept: they fail as transient until it is mended."""

    def __init__(self, config: ProviderConfig, reason: Invalid) -> None:
        self._channel = config.channel
        self._detail = f"provider {config.name} is misconfigured: {reason.path}: {reason.detail}"

    @property
    def capabilities(self) -> Capabilities:
        """As large as any, so that refusing costs little."""
        return Capabilities(self._channel, max_batch=1000)

    @property
    def learned(self) -> None:
        """Nothing: it asks nobody."""

    async def send(self, batch: Sequence[Message], within_s: float = math.inf) -> list[Outcome]:
        """Refuse every message for now, saying what to mend."""
        del within_s
        return [
            Outcome(message.delivery_id, "transient", code="misconfigured", detail=self._detail)
            for message in batch
        ]

    async def close(self) -> None:
        """Nothing."""


class Providers:
    """`ProviderPool`. One whose configuration was replaced is closed: what it still holds is tried again."""

    def __init__(self, inbox: ReceiptInbox, clock: Clock, transport: HttpTransport, resolve: Resolve) -> None:
        self._inbox = inbox
        self._clock = clock
        self._transport = transport
        self._resolve = resolve
        self._built: dict[tuple[bytes, str], tuple[int, Provider]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def get(self, config: ProviderConfig) -> Provider:
        """The provider of an account; see `ProviderPool.get`."""
        key = (config.tenant_id, config.name)
        known = self._built.get(key)
        if known is not None and known[0] == config.version:
            return known[1]
        provider = self._build(config)
        self._built[key] = (config.version, provider)
        if known is not None:
            task = asyncio.get_running_loop().create_task(known[1].close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return provider

    def _build(self, config: ProviderConfig) -> Provider:
        try:
            sink = _AccountSink(config.name, self._inbox)
            return build_provider(config, Outside(self._clock, sink, self._transport, self._resolve))
        except Invalid as error:
            _log.error("provider_misconfigured", provider=config.name, path=error.path, detail=error.detail)
            return MisconfiguredProvider(config, error)

    async def close(self) -> None:
        """Close all of them."""
        providers = [provider for _, provider in self._built.values()]
        self._built.clear()
        await asyncio.gather(*(provider.close() for provider in providers), *self._closing)
