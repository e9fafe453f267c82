"""A delivery on its way out: the job, the message made of it, and what the provider said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from clarion.audience.model import DeviceToken
from clarion.audience.ports import DeviceRow
from clarion.compliance.jurisdictions import Whereabouts
from clarion.contracts.work import WorkItem
from clarion.tenancy.model import QuietHours

COLLAPSE_BYTES: Final = 64
"""Longest collapse key: what APNs takes, which takes least."""

AUTH_CODE: Final = "auth"
"""The `code` of an outcome whose account was refused: its credentials are wrong or missing. The message is well."""

OutcomeKind: TypeAlias = Literal["sent", "transient", "throttled", "permanent", "ambiguous"]


class Job(msgspec.Struct, frozen=True):
    """An open delivery as Postgres holds it, with what its user's row says at this moment.

    `state` is `ready` or `sending`; with `lease_live` another worker holds it, until `leased_until_ms`. `sealed` is the
    user's sealed profile (b"" where the user is gone). Times are UTC milliseconds of the store's clock; `expires_ms` 0:
    never. `config_version`: that of the tenant's settings as the job was read. `is_test`: a test credential asked for
    it; it goes to a sandbox, whatever else the tenant has. `devices`: the user's, where the channel is push. `tried`:
    providers that failed it, for which others are asked first. `excused`: attempts that do not count against it.
    `region`, `phone_country`, `phone_zones`: see `Whereabouts`.
    """

    item: WorkItem
    user_id: int
    category: str
    template: str
    template_version: int
    payload: bytes
    personalization: bytes
    external_id: str
    timezone: str
    language: str
    country: str
    sealed: bytes
    state: str
    lease_epoch: int
    lease_live: bool
    attempts: int
    provider: str
    expires_ms: int
    due_ms: int
    traceparent: str
    journey_id: str = ""
    quiet_hours: QuietHours | None = None
    preferences: dict[str, int] = {}
    leased_until_ms: int = 0
    devices: Sequence[DeviceRow] = ()
    is_test: bool = False
    config_version: int = 0
    collapse_key: str = ""
    tried: tuple[str, ...] = ()
    excused: int = 0
    region: str = ""
    phone_country: str = ""
    phone_zones: tuple[str, ...] = ()

    @property
    def whereabouts(self) -> Whereabouts:
        """What is known of where its user is."""
        return Whereabouts(self.country, self.region, self.timezone, self.phone_country, self.phone_zones)


class Message(msgspec.Struct, frozen=True):
    """What a provider sends: one delivery, addressed and rendered. Never logged: it is PII throughout.

    `to` is the e-mail address or E.164 number; `devices` serve push. `attempt` starts at 1. The idempotency key is the
    delivery's id: the same for every attempt. Of pushes with one `collapse_key`, at most COLLAPSE_BYTES of ASCII, a
    device shows the latest only ("": all). `locale`: the language of a template that has several, as traces name it.
    Messages of one `shape` were made of the same words, as far as users do not differ ("": of nobody's template).
    `priority`: 0 (most urgent) to 10. `expires_ms`: worthless from then on (UTC; 0: never).
    """

    delivery_id: bytes
    tenant_id: bytes
    channel: str
    attempt: int
    to: str = ""
    devices: list[DeviceToken] = []
    subject: str = ""
    html: str = ""
    text: str = ""
    title: str = ""
    body: str = ""
    data: dict[str, Any] = {}
    headers: dict[str, str] = {}
    collapse_key: str = ""
    locale: str = ""
    shape: str = ""
    priority: int = 5
    expires_ms: int = 0


class DeadToken(msgspec.Struct, frozen=True, gc=False):
    """A device that a push service says is gone. `since_ms`: since when (UTC), 0: it named no time. Never logged."""

    token: str
    since_ms: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """What became of one message. `detail` and `code` hold no PII. `retry_after_s` 0: the provider named none.

    `dead_tokens`: the message's devices that are to be forgotten; PII, and for the device store only.
    `sent`: the provider took responsibility. `transient`/`throttled`: it surely did not; try again. `permanent`: it
    never will. `ambiguous`: nobody knows (bytes left, no verdict). `took_ms`: of this message's call; 0: not measured.
    `cost_micros`: what the vendor says that it cost; 0: it says nothing, and the price book does (`prices`).
    """

    delivery_id: bytes
    kind: OutcomeKind
    provider_message_id: str = ""
    cost_micros: int = 0
    code: str = ""
    detail: str = ""
    retry_after_s: float = 0.0
    dead_tokens: Sequence[DeadToken] = ()
    took_ms: float = 0.0


class RateLimits(msgspec.Struct, frozen=True, gc=False):
    """What a vendor said last of the rate at which it takes messages. None: it did not say.

    `per_s`: the most it takes a second. `remaining`: how many it still takes for `reset_s` seconds.
    """

    per_s: float | None = None
    remaining: int | None = None
    reset_s: float | None = None


class Conclusion(msgspec.Struct, frozen=True):
    """How an attempt (or the decision not to make one) changes a delivery.

    With a terminal `status` the open row goes; otherwise it becomes `ready` again, due at `due_ms`. `epoch` is the
    fencing epoch of the intent (for conclusions without intent: the epoch read with the job). `attempt_entry` is JSON
    appended to the attempt log. `moves_on`: the provider is noted as tried. `excused`: see `Job`.
    `by_message_id`: its receipts will name `provider_message_id` alone.
    """

    delivery_id: bytes
    epoch: int
    status: str
    provider: str = ""
    provider_message_id: str = ""
    cost_micros: int = 0
    attempt_entry: bytes = b""
    consent_snapshot: bytes = b""
    due_ms: int = 0
    attempted: bool = False
    moves_on: bool = False
    excused: bool = False
    by_message_id: bool = False


class Capabilities(msgspec.Struct, frozen=True):
    """What a provider can do. `idempotent`: a repeat of the same delivery id is sent once only.

    `portion`: how many messages to have under way at a time, because those may be doubled by a crash (0: `max_batch`).
    `services`: whose device tokens it can send to (`push.service_of`); none named: every device's.
    `echoes_id`: receipts name our delivery id; else what the provider calls a message is kept to find it by.
    """

    channel: str
    max_batch: int = 1
    idempotent: bool = False
    concurrency: int = 20
    portion: int = 0
    services: frozenset[str] = frozenset()
    echoes_id: bool = True


class Receipt(msgspec.Struct, frozen=True):
    """A provider's later word on a delivery, normalised. `kind`: those of `receipts.RECEIPT_STATUS`.

    `delivery_id` b"": the provider cannot echo it, and names its own `provider_message_id`. `code` and `detail` hold no
    PII. `cost_micros`: what it really cost. `address_hmac`: of the address that it is about, as profiles have it (b"":
    the user's).
    """

    receipt_id: str
    delivery_id: bytes
    kind: str
    at_ms: int
    detail: str = ""
    provider_message_id: str = ""
    code: str = ""
    cost_micros: int | None = None
    address_hmac: bytes = b""
