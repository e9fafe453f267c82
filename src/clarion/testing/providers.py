"""What every provider promises, as tests: subclass `ProviderConformance` and give it a `harness` fixture.

    class TestAcme(ProviderConformance):
        @pytest_asyncio.fixture
        async def harness(self) -> AsyncIterator[ProviderHarness]:
            ...

The fixture makes a provider on a vendor that works (a simulator, a sandbox), and closes it afterwards.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from clarion.contracts.channels import CHANNELS
from clarion.delivery.model import Message, Outcome, Receipt
from clarion.delivery.ports import Provider
from clarion.kernel.errors import Invalid, Transient

_SOON_S: Final = 5.0
_A_MOMENT_S: Final = 0.2


class ProviderHarness(Protocol):
    """A provider under test, with the other side of it."""

    @property
    def provider(self) -> Provider:
        """The provider; the vendor behind it takes everything."""
        ...

    def message(self) -> Message:
        """A new message that this provider can send."""
        ...

    async def arrived(self) -> Counter[bytes]:
        """How many messages of each delivery id the vendor has taken so far."""
        ...

    async def stalled(self) -> Provider:
        """A provider of this kind (the same, or another) whose vendor does not answer any more."""
        ...

    async def resumed(self) -> Provider:
        """The provider that `stalled` gave, or its like, with the vendor answering again."""
        ...


class ListSink:
    """A `ReceiptSink` in memory. While `is_away` it raises Transient, as a store that cannot be reached."""

    def __init__(self) -> None:
        self.batches: list[list[Receipt]] = []
        self.is_away = False
        self._changed = asyncio.Event()

    @property
    def receipts(self) -> list[Receipt]:
        """All receipts, in the order in which they came."""
        return [receipt for batch in self.batches for receipt in batch]

    async def put(self, receipts: Sequence[Receipt]) -> None:
        """Keep a batch."""
        self._changed.set()
        if self.is_away:
            msg = "the sink is away"
            raise Transient(msg)
        self.batches.append(list(receipts))

    async def offered(self) -> None:
        """Return at the next `put`, whether or not it is taken."""
        self._changed.clear()
        await asyncio.wait_for(self._changed.wait(), _SOON_S)

    async def received(self, count: int) -> list[Receipt]:
        """All receipts, once there are `count`. Raises TimeoutError."""
        while len(self.receipts) < count:
            await self.offered()
        return self.receipts


class ProviderConformance:
    """The promises of the port `Provider`, on which dispatching relies."""

    async def test_a_batch_gives_one_outcome_a_message_in_order(self, harness: ProviderHarness) -> None:
        """Outcomes are matched to deliveries by their place."""
        batch = _batch(harness, min(50, harness.provider.capabilities.max_batch))
        outcomes = await harness.provider.send(batch)
        _check_order(batch, outcomes)
        _check_all(outcomes, "sent")

    async def test_what_is_reported_sent_has_arrived_once(self, harness: ProviderHarness) -> None:
        """`sent` is a statement about the vendor, not about our bytes."""
        batch = _batch(harness, min(50, harness.provider.capabilities.max_batch))
        outcomes = await harness.provider.send(batch)
        _check_all(outcomes, "sent")
        arrived = await harness.arrived()
        _check(
            arrived == Counter(message.delivery_id for message in batch), "sent and arrived messages differ"
        )

    async def test_what_is_sent_has_the_vendors_id_of_it(self, harness: ProviderHarness) -> None:
        """Receipts, and the vendor's support, go by that id."""
        batch = _batch(harness, min(10, harness.provider.capabilities.max_batch))
        ids = {outcome.provider_message_id for outcome in await harness.provider.send(batch)}
        _check("" not in ids, "a sent message has no provider_message_id")
        _check(len(ids) == len(batch), "two messages have the same provider_message_id")

    async def test_an_empty_batch_is_no_work(self, harness: ProviderHarness) -> None:
        """All messages of a sub-batch may have been withdrawn."""
        _check(await harness.provider.send([]) == [], "an empty batch gave outcomes")

    async def test_a_full_batch_is_taken(self, harness: ProviderHarness) -> None:
        """`max_batch` is what the dispatcher cuts its work into."""
        batch = _batch(harness, harness.provider.capabilities.max_batch)
        outcomes = await harness.provider.send(batch)
        _check_order(batch, outcomes)
        _check_all(outcomes, "sent")

    async def test_of_a_batch_that_is_too_large_nothing_is_sent(self, harness: ProviderHarness) -> None:
        """It is a defect of the caller: half a batch sent would hide it."""
        batch = _batch(harness, harness.provider.capabilities.max_batch + 1)
        try:
            await harness.provider.send(batch)
        except Invalid:
            _check(not await harness.arrived(), "a part of a refused batch was sent")
        else:
            _fail("a batch of more than max_batch was taken")

    async def test_what_cannot_be_carried_is_refused_and_its_neighbours_go(
        self, harness: ProviderHarness
    ) -> None:
        """Refused, not dropped; and no message stops another."""
        good, better = _batch(harness, 2)
        channel = next(name for name in CHANNELS if name != harness.provider.capabilities.channel)
        strange = msgspec.structs.replace(harness.message(), channel=channel)
        lost = msgspec.structs.replace(harness.message(), to="", devices=[])
        batch = [good, strange, lost, better]
        outcomes = await _send_in_parts(harness.provider, batch)
        _check_order(batch, outcomes)
        kinds = [outcome.kind for outcome in outcomes]
        _check(kinds == ["sent", "permanent", "permanent", "sent"], f"the kinds are {kinds}")
        _check(outcomes[1].code == "unsupported_channel", f"the code is {outcomes[1].code}")
        _check(set(await harness.arrived()) == {good.delivery_id, better.delivery_id}, "others arrived")

    async def test_outcomes_hold_no_personal_data(self, harness: ProviderHarness) -> None:
        """They go into the trace and the log. Neither an address, nor what somebody smuggled into one."""
        message = harness.message()
        faulty = msgspec.structs.replace(message, to=f"{message.to}\r\nBcc: eve@example.org")
        for outcome in [*await harness.provider.send([message]), *await harness.provider.send([faulty])]:
            said = f"{outcome.code} {outcome.detail}"
            _check("example.org" not in said, f"an address is quoted: {said}")

    async def test_batches_at_the_same_time_get_their_own_outcomes(self, harness: ProviderHarness) -> None:
        """A worker has several sub-batches under way with one provider."""
        batches = [_batch(harness, min(20, harness.provider.capabilities.max_batch)) for _ in range(5)]
        results = await asyncio.gather(*(harness.provider.send(batch) for batch in batches))
        for batch, outcomes in zip(batches, results, strict=True):
            _check_order(batch, outcomes)
            _check_all(outcomes, "sent")

    async def test_a_repeat_is_sent_once_where_that_is_promised(self, harness: ProviderHarness) -> None:
        """After a crash the dispatcher repeats a send, or not, by this promise."""
        message = harness.message()
        outcomes = [(await harness.provider.send([message]))[0] for _ in range(2)]
        _check_all(outcomes, "sent")
        expected = 1 if harness.provider.capabilities.idempotent else 2
        arrived = (await harness.arrived())[message.delivery_id]
        _check(arrived == expected, f"the message arrived {arrived} times, not {expected}")

    async def test_a_cancelled_call_ends_at_once_and_leaves_the_provider_fit(
        self, harness: ProviderHarness
    ) -> None:
        """A worker that stops cancels its calls, and the next call must not meet what they left."""
        stalled = await harness.stalled()
        call = asyncio.create_task(stalled.send(_batch(harness, min(30, stalled.capabilities.max_batch))))
        await asyncio.wait({call}, timeout=_A_MOMENT_S)
        _check(not call.done(), "a call ended although the vendor does not answer")
        call.cancel()
        await asyncio.wait({call}, timeout=_SOON_S)
        _check(call.done() and call.cancelled(), "a cancelled call did not end as cancelled")
        resumed = await harness.resumed()
        _check_all(await resumed.send([harness.message()]), "sent")

    async def test_close_may_be_called_again_and_while_another_close_runs(
        self, harness: ProviderHarness
    ) -> None:
        """A changed configuration and the end of the process may close the same provider."""
        await harness.provider.send([harness.message()])
        await asyncio.gather(harness.provider.close(), harness.provider.close())
        await harness.provider.close()

    async def test_after_close_messages_are_left_for_another_try(self, harness: ProviderHarness) -> None:
        """A call that comes too late loses nothing."""
        await harness.provider.close()
        outcomes = await harness.provider.send(_batch(harness, 1))
        _check_all(outcomes, "transient")
        _check(not await harness.arrived(), "a closed provider sent")


def _batch(harness: ProviderHarness, count: int) -> list[Message]:
    return [harness.message() for _ in range(count)]


async def _send_in_parts(provider: Provider, messages: Sequence[Message]) -> list[Outcome]:
    size = provider.capabilities.max_batch
    parts = [messages[start : start + size] for start in range(0, len(messages), size)]
    return [outcome for part in parts for outcome in await provider.send(part)]


def _check_order(batch: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
    sent = [message.delivery_id for message in batch]
    _check(
        [outcome.delivery_id for outcome in outcomes] == sent, "outcomes do not match the messages one by one"
    )


def _check_all(outcomes: Sequence[Outcome], kind: str) -> None:
    others = [outcome for outcome in outcomes if outcome.kind != kind]
    _check(not others, f"not {kind}: {others[:3]}")


def _check(holds: object, otherwise: str) -> None:
    if not holds:
        _fail(otherwise)


def _fail(message: str) -> None:
    raise AssertionError(message)
