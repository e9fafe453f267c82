"""One real message through one account, with an account of every step: settings, way, credentials, verdict, receipt."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import urlsplit

import msgspec

from clarion.adapters.providers.base import Outside
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest, HttpTransport, Resolve
from clarion.adapters.providers.registry import build_provider
from clarion.adapters.providers.smtp.account import read_account
from clarion.audience.model import DeviceToken, Platform
from clarion.delivery.model import AUTH_CODE, Message, Outcome, Receipt
from clarion.kernel.clock import Clock
from clarion.kernel.errors import ClarionError, Invalid
from clarion.kernel.ids import make_ids
from clarion.tenancy.config import ProviderConfig

PROBE_S: Final = 5.0
"""For looking up a name, connecting, and for agreeing on encryption, each."""

StepName: TypeAlias = Literal[
    "settings", "address", "connection", "encryption", "request", "credentials", "verdict", "receipt"
]

_PORTS: Final = {"https": 443, "http": 80}
_MOST_OK: Final = 299


class Step(msgspec.Struct, frozen=True):
    """One thing that was looked at. `ok` None: it could not be told. `advice`: what to do where it is not `ok`."""

    step: StepName
    ok: bool | None
    seen: str
    advice: str = ""
    took_ms: float = 0.0


Tell: TypeAlias = Callable[[Step], None]


class Addressee(msgspec.Struct, frozen=True):
    """Whom to send to: an e-mail address, a number, or a device's token with its platform."""

    to: str
    platform: Platform = "android"


class Surroundings(msgspec.Struct, frozen=True):
    """What a trial is made with. `resolve`: where hosts are, and which of them may be reached."""

    clock: Clock
    transport: HttpTransport
    resolve: Resolve


class Trial(msgspec.Struct, frozen=True):
    """What a trial came to; without `outcome` the account could not be built. `message` is what was sent."""

    steps: list[Step]
    message: Message
    outcome: Outcome | None
    receipts: list[Receipt]

    @property
    def is_sent(self) -> bool:
        """Whether the vendor took the message."""
        return self.outcome is not None and self.outcome.kind == "sent"


async def try_account(
    config: ProviderConfig, addressee: Addressee, around: Surroundings, tell: Tell
) -> Trial:
    """Send one message through an account, telling each step as it is made. Raises nothing for the account's sake."""
    steps: list[Step] = []

    def note(step: Step) -> None:
        steps.append(step)
        tell(step)

    message = _message(config, addressee, around.clock.now_ms())
    receipts = _Receipts()
    traced = _Traced(around, note)
    try:
        provider = build_provider(config, Outside(around.clock, receipts, traced, around.resolve))
    except Invalid as error:
        note(Step("settings", ok=False, seen=f"{error.path}: {error.detail}", advice=_mend(config)))
        return Trial(steps, message, None, [])
    note(Step("settings", ok=True, seen=_described(config)))
    if config.kind == "smtp":
        account = read_account(config)
        await _probe(around.resolve, _Place(account.settings.host, account.port, "smtp"), note)
    try:
        started = time.perf_counter()
        (outcome,) = await provider.send([message])
        took_ms = _ms_since(started)
    finally:
        await provider.close()
    note(_credentials_step(config, outcome, traced.replies))
    note(_verdict_step(config, outcome, took_ms))
    return Trial(steps, message, outcome, receipts.all)


def _message(config: ProviderConfig, addressee: Addressee, now_ms: int) -> Message:
    said = f"This is a test of the account {config.name}, sent by clarion provider test."
    common = Message(make_ids(1, now_ms), config.tenant_id, config.channel, 1)
    match config.channel:
        case "email":
            words = {"subject": "A test by Clarion", "text": said, "html": f"<p>{said}</p>"}
            return msgspec.structs.replace(common, to=addressee.to, **words)
        case "sms":
            return msgspec.structs.replace(common, to=addressee.to, body=said)
        case _:
            device = DeviceToken(addressee.platform, addressee.to)
            return msgspec.structs.replace(common, devices=[device], title="A test by Clarion", body=said)


def _described(config: ProviderConfig) -> str:
    state = "" if config.enabled else ", switched off: nothing else is sent through it"
    return f"{config.kind} for {config.channel}{state}"


def _mend(config: ProviderConfig) -> str:
    return f"PUT /api/v1/providers/{config.name} with what is right"


def _credentials_step(config: ProviderConfig, outcome: Outcome, replies: Sequence[int]) -> Step:
    if outcome.code == AUTH_CODE:
        return Step("credentials", ok=False, seen=outcome.detail, advice=_mend(config))
    if outcome.kind == "sent":
        return Step("credentials", ok=True, seen="the vendor took them")
    if any(status <= _MOST_OK for status in replies):
        return Step("credentials", ok=True, seen="the vendor did not refuse them")
    return Step("credentials", ok=None, seen="the vendor did not say")


def _verdict_step(config: ProviderConfig, outcome: Outcome, took_ms: float) -> Step:
    if outcome.kind == "sent":
        seen = f"sent: the vendor calls it {outcome.provider_message_id}"
        return Step("verdict", ok=True, seen=seen, took_ms=took_ms)
    advice = {
        "transient": _mend(config) if outcome.code == AUTH_CODE else "messages are kept and tried again",
        "throttled": f"messages wait, here for {outcome.retry_after_s:g} s",
        "ambiguous": "look into the vendor's log whether it came: nobody here knows",
        "permanent": "messages like this fail: see the code in docs/how-to/test-a-provider.md",
    }[outcome.kind]
    seen = f"{outcome.kind} ({outcome.code}): {outcome.detail}"
    return Step("verdict", ok=False, seen=seen, advice=advice, took_ms=took_ms)


class _Receipts:
    """`ReceiptSink` of kinds that bring their own receipts (the sandbox)."""

    def __init__(self) -> None:
        self.all: list[Receipt] = []

    async def put(self, receipts: Sequence[Receipt]) -> None:
        """Keep them."""
        self.all.extend(receipts)


class _Place(msgspec.Struct, frozen=True):
    host: str
    port: int
    scheme: str


class _Traced:
    """An `HttpTransport` that tells how each host is reached, and what each request came to."""

    def __init__(self, around: Surroundings, note: Tell) -> None:
        self._around = around
        self._note = note
        self._known: set[_Place] = set()
        self.replies: list[int] = []

    async def exchange(
        self, request: HttpRequest, on_leaving: Callable[[], None], within_s: float
    ) -> HttpReply:
        """The reply, with the steps to it told; see `HttpTransport.exchange`."""
        place = _place_of(request.url)
        if place not in self._known:
            self._known.add(place)
            await _probe(self._around.resolve, place, self._note)
        started = time.perf_counter()
        # Neither the path nor the query: a push service's path is the device, an url may hold a secret.
        what = f"{request.method} {place.host}, {len(request.body):,} bytes"
        try:
            reply = await self._around.transport.exchange(request, on_leaving, within_s)
        except ClarionError as error:
            self._note(Step("request", ok=False, seen=f"{what}: {error.detail}", took_ms=_ms_since(started)))
            raise
        self.replies.append(reply.status)
        is_ok = reply.status <= _MOST_OK
        self._note(Step("request", is_ok, f"{what}: status {reply.status}", took_ms=_ms_since(started)))
        return reply

    async def close(self) -> None:
        """Nothing: whoever made the transport closes it."""


def _place_of(url: str) -> _Place:
    parts = urlsplit(url)
    return _Place(parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443), parts.scheme)


async def _probe(resolve: Resolve, place: _Place, note: Tell) -> None:
    """Tell how far one gets towards a place, on a connection of its own that is closed again."""
    started = time.perf_counter()
    is_encrypted = place.scheme != "http"
    try:
        async with asyncio.timeout(PROBE_S):
            addresses = await resolve(place.host, encrypted=is_encrypted)
    except (ClarionError, TimeoutError) as error:
        note(_failed("address", f"{place.host}: {_said(error)}", "is the host right, and may it be reached?"))
        return
    note(Step("address", ok=True, seen=f"{place.host} is {addresses[0]}", took_ms=_ms_since(started)))
    started = time.perf_counter()
    try:
        async with asyncio.timeout(PROBE_S):
            _, writer = await asyncio.open_connection(addresses[0], place.port)
    except (OSError, TimeoutError) as error:
        seen = f"{addresses[0]} port {place.port}: {_said(error)}"
        note(_failed("connection", seen, "does a firewall stand between?"))
        return
    try:
        note(Step("connection", ok=True, seen=f"to port {place.port}", took_ms=_ms_since(started)))
        if place.scheme == "https":
            await _probe_encryption(writer, place.host, note)
    finally:
        writer.transport.abort()


async def _probe_encryption(writer: asyncio.StreamWriter, host: str, note: Tell) -> None:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(PROBE_S):
            await writer.start_tls(ssl.create_default_context(), server_hostname=host)
    except (OSError, TimeoutError) as error:
        note(_failed("encryption", _said(error), "whose certificate is it? It is verified always"))
        return
    certificate = cast("dict[str, str]", writer.get_extra_info("peercert") or {})
    version = cast("ssl.SSLObject", writer.get_extra_info("ssl_object")).version()
    seen = f"{version}, certificate until {_date_of(certificate.get('notAfter', ''))}"
    note(Step("encryption", ok=True, seen=seen, took_ms=_ms_since(started)))


def _date_of(text: str) -> str:
    """The day of a certificate's time (`Jan  5 09:34:43 2030 GMT`)."""
    try:
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC).date().isoformat()
    except ValueError:
        return "an unknown day"


def _failed(step: StepName, seen: str, advice: str) -> Step:
    return Step(step, ok=False, seen=seen, advice=advice)


def _said(error: BaseException) -> str:
    if isinstance(error, ClarionError):
        return error.detail
    if isinstance(error, TimeoutError):
        return f"no answer within {PROBE_S:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
