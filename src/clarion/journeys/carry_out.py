"""Carrying out what runs ask for. Every effect has an id derived before: asking again does nothing twice."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias, cast

import msgspec

from clarion.audience.model import SealedProfile
from clarion.delivery.ports import ProfileOpener
from clarion.journeys.calls import Reference, build_call, conclude_call, refuse
from clarion.journeys.conditions import Scope
from clarion.journeys.facts import flatten, open_known
from clarion.journeys.fill import fill, reads_user, scope_of
from clarion.journeys.graph import (
    FetchSpec,
    NotificationSpec,
    ProfileSpec,
    StartSpec,
    ThrottleSpec,
    WebhookSpec,
)
from clarion.journeys.model import Ask, Command, Context, Done, Recall, Send
from clarion.journeys.outside import (
    AttributeChange,
    KnownUser,
    KnownUsers,
    Messages,
    Outgoing,
    Outside,
    ProfileChanges,
    QueueOut,
    Starter,
    Starting,
    TurnAsk,
    Turns,
)
from clarion.journeys.places import DayPlaces
from clarion.journeys.requests import Skipped, build_submission
from clarion.journeys.slow import SlowLane
from clarion.kernel.errors import ClarionError, Invalid, Permanent, Transient
from clarion.orchestration import accept as accepting
from clarion.orchestration.ports import RateLimiter
from clarion.tenancy.model import TEST, Tenant

LIVE: Final = "live"
PORTION: Final = 500
"""Messages that are accepted in one transaction."""

UNKNOWN_USER: Final = "unknown_user"

UNFIT: Final = (ValueError, OverflowError, TypeError, RecursionError)
"""What a run's own data may lead to: it ends the step of that run, and must not stop the others of its batch."""

UNFIT_WORD: Final = "its values cannot be written"

NO_QUOTA: Final = "the tenant's day has no places left"

_Asked: TypeAlias = tuple[int, Ask, Context | None]
_Asking: TypeAlias = tuple[int, Send, accepting.Ask]


class EffectPorts(msgspec.Struct, frozen=True):
    """The outside, as effects use it."""

    accept: accepting.AcceptPorts
    users: KnownUsers
    profiles: ProfileOpener
    messages: Messages
    queue: QueueOut
    outside: Outside
    changes: ProfileChanges
    starter: Starter
    turns: Turns
    limiter: RateLimiter


class CarriedOut:
    """`journeys.ports.Effects`. Fetches and webhooks go to `slow`, whose answers come later; all others at once."""

    def __init__(self, ports: EffectPorts, slow: SlowLane) -> None:
        self._ports = ports
        self._slow = slow

    async def carry_out(self, commands: Sequence[tuple[Command, Context | None]]) -> list[Done | None]:
        """What came of each command; see `Effects.carry_out`."""
        done: list[Done | None] = [None] * len(commands)
        sends: list[tuple[int, Send, Context | None]] = []
        asks: defaultdict[type, list[tuple[int, Ask, Context | None]]] = defaultdict(list)
        recalls: list[Recall] = []
        for i, (command, context) in enumerate(commands):
            match command:
                case Send():
                    sends.append((i, command, context))
                case Recall():
                    recalls.append(command)
                case Ask():
                    asks[type(command.spec)].append((i, command, context))
        known = await self._known(commands)
        if recalls:
            await self._recall(recalls)
        if sends:
            await self._send(sends, known, done)
        await self._ask(asks, known, done)
        return done

    async def _known(self, commands: Sequence[tuple[Command, Context | None]]) -> _Known:
        """The users of these commands who are to be named, with the profiles of those of whom more is said."""
        named: set[int] = set()
        told: set[int] = set()
        for command, _ in commands:
            if isinstance(command, Recall) or isinstance(command.spec, ThrottleSpec):
                continue
            named.add(command.instance.user_id)
            if any(reads_user(part) for part in _said(command)):
                told.add(command.instance.user_id)
        if not named:
            return _Known({}, {})
        rows = await self._ports.users.read(sorted(named))
        profiles = await open_known([rows[user_id] for user_id in told & rows.keys()], self._ports.profiles)
        return _Known(rows, profiles)

    async def _recall(self, recalls: Sequence[Recall]) -> None:
        ports = self._ports
        idents = sorted({ident for recall in recalls for ident in recall.notification_ids})
        items = await ports.messages.recall(idents, ports.accept.clock.now_ms())
        if items:
            with contextlib.suppress(Transient):
                await ports.queue.remove(items)

    async def _send(
        self, sends: Sequence[tuple[int, Send, Context | None]], known: _Known, done: list[Done | None]
    ) -> None:
        asking: list[_Asking] = []
        tenants: list[Tenant] = []
        for i, send, context in sends:
            instance = send.instance
            row = known.rows.get(instance.user_id)
            if row is None:
                done[i] = _not_sent(send, UNKNOWN_USER)
                continue
            try:
                config = await self._ports.accept.configs.get(instance.tenant_id)
                built = build_submission(send, context, config, known.reference(row))
            except (Permanent, *UNFIT):
                done[i] = _not_sent(send, UNFIT_WORD)
                continue
            if isinstance(built, Skipped):
                done[i] = Done(send.step, send.visit, send.rung, result="skipped", detail=built.why)
                continue
            environment = TEST if instance.is_test else LIVE
            asking.append((i, send, accepting.Ask(instance.tenant_id, environment, [built])))
            tenants.append(config.tenant)
        for first in range(0, len(asking), PORTION):
            last = first + PORTION
            await self._accept(asking[first:last], tenants[first:last], done)

    async def _accept(
        self, asking: Sequence[_Asking], tenants: Sequence[Tenant], done: list[Done | None]
    ) -> None:
        """Accept messages for whom their tenants' days have places."""
        ports = self._ports
        places = DayPlaces(ports.limiter, ports.accept.clock.now_ms())
        waits = await places.take(tenants)
        for (i, send, _), wait_ms in zip(asking, waits, strict=True):
            if wait_ms:
                done[i] = Done(send.step, send.visit, send.rung, error=NO_QUOTA, retry_ms=wait_ms)
        going = [(one, tenant) for one, tenant, wait in zip(asking, tenants, waits, strict=True) if not wait]
        try:
            answers = await accepting.accept([ask for (_, _, ask), _ in going], ports.accept)
            for ((i, send, _), tenant), answer in zip(going, answers, strict=True):
                done[i] = _tell_sent(send, answer)
                if isinstance(answer, accepting.Answer) and answer.accepted:
                    places.use(tenant)
        finally:
            await places.give_back()

    async def _ask(self, asks: Mapping[type, list[_Asked]], known: _Known, done: list[Done | None]) -> None:
        for kind, asked in asks.items():
            if kind is ThrottleSpec:
                await self._take_turns(asked, done)
                continue
            here = [one for one in asked if one[1].instance.user_id in known.rows]
            for i, ask, _ in asked:
                if ask.instance.user_id not in known.rows:
                    done[i] = refuse(ask, UNKNOWN_USER, final=True)
            if kind is ProfileSpec:
                await self._change_profiles(here, known, done)
            elif kind is StartSpec:
                await self._start(here, known, done)
            else:
                self._call(here, known, done)

    async def _take_turns(self, asked: Sequence[_Asked], done: list[Done | None]) -> None:
        waits = await self._ports.turns.take([_turn_of(ask) for _, ask, _ in asked])
        for (i, ask, _), wait_ms in zip(asked, waits, strict=True):
            done[i] = Done(ask.step, ask.visit, ask.rung, result="passed", retry_ms=wait_ms)

    async def _change_profiles(self, asked: Sequence[_Asked], known: _Known, done: list[Done | None]) -> None:
        changes = [
            AttributeChange(
                ask.instance.tenant_id,
                known.rows[ask.instance.user_id].external_id,
                fill(cast("ProfileSpec", ask.spec).attributes, known.scope(ask, context)),
            )
            for _, ask, context in asked
        ]
        errors = await self._ports.changes.apply(changes)
        for (i, ask, _), error in zip(asked, errors, strict=True):
            done[i] = _told(ask, error)

    async def _start(self, asked: Sequence[_Asked], known: _Known, done: list[Done | None]) -> None:
        starts = [
            Starting(
                ask.instance.tenant_id,
                cast("StartSpec", ask.spec).journey,
                known.rows[ask.instance.user_id].external_id,
                ask.instance.is_test,
                ask.effect_id,
                fill(cast("StartSpec", ask.spec).context, known.scope(ask, context)),
            )
            for _, ask, context in asked
        ]
        errors = await self._ports.starter.start(starts)
        for (i, ask, _), error in zip(asked, errors, strict=True):
            done[i] = _told(ask, error)

    def _call(self, asked: Sequence[_Asked], known: _Known, done: list[Done | None]) -> None:
        """Begin calls to other people's servers; one that does not find a place is asked for again."""
        for i, ask, context in asked:
            try:
                outgoing = build_call(ask, context, known.reference(known.rows[ask.instance.user_id]))
            except UNFIT:
                done[i] = refuse(ask, UNFIT_WORD, final=True)
            else:
                self._slow.begin(ask, partial(self._exchange, ask, outgoing))

    async def _exchange(self, ask: Ask, outgoing: Outgoing) -> Done:
        return conclude_call(ask, await self._ports.outside.call(outgoing))


class _Known(msgspec.Struct, frozen=True):
    """Users of one batch of commands."""

    rows: Mapping[int, KnownUser]
    profiles: Mapping[int, SealedProfile]

    def reference(self, row: KnownUser) -> Reference:
        """How she is named outside."""
        profile = self.profiles.get(row.user_id)
        return Reference(
            row.external_id, {"id": row.external_id} if profile is None else flatten(row, profile)
        )

    def scope(self, ask: Ask, context: Context | None) -> Scope:
        """What names in the step of an effect stand for."""
        about = self.reference(self.rows[ask.instance.user_id])
        return scope_of(ask.instance, context, about.user)


def _said(command: Send | Ask) -> tuple[Any, ...]:
    """What of a step may have names in it."""
    match command.spec:
        case FetchSpec() | WebhookSpec() as spec:
            return spec.url, spec.headers, spec.body
        case ProfileSpec(attributes=attributes):
            return (attributes,)
        case StartSpec(context=context):
            return (context,)
        case NotificationSpec(data=data):
            return (data,)
        case _:
            return ()


def _turn_of(ask: Ask) -> TurnAsk:
    """What a throttle counts: runs at this step of this journey, of one user or of all."""
    spec = cast("ThrottleSpec", ask.spec)
    run = ask.instance
    whose = b"%d" % run.user_id if spec.scope == "user" else b""
    key = b"%b:%b:%b" % (run.journey_id.hex().encode(), ask.step.encode(), whose)
    return TurnAsk(key, ask.effect_id, spec.limit, spec.per_ms, reserves=spec.on_limit is None)


def _told(ask: Ask, error: str) -> Done:
    if error:
        return refuse(ask, error, final=True)
    return Done(ask.step, ask.visit, ask.rung, result="done")


def _not_sent(send: Send, error: str) -> Done:
    return Done(send.step, send.visit, send.rung, error=error, final=True)


def _tell_sent(send: Send, answer: accepting.Answer | ClarionError) -> Done | None:
    """What became of a message. None: somebody else is accepting it at this moment, or nobody could say."""
    match answer:
        case accepting.Answer(status=status, rules=rules):
            return Done(
                send.step,
                send.visit,
                send.rung,
                result=status or "queued",
                detail=", ".join(sorted(set(rules))) if status == "blocked" else "",
            )
        case Transient():
            return None
        case Invalid(path=path):
            return _not_sent(send, UNKNOWN_USER if path == "user_id" else f"refused: {path or 'its values'}")
        case _:
            return _not_sent(send, "refused")
