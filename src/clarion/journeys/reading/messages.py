"""Notifications: channels, further channels, and how their time and channels are chosen."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from clarion.contracts.channels import CHANNELS, Channel
from clarion.contracts.commands import Optimization
from clarion.journeys.findings import show
from clarion.journeys.graph import EventMatch, NotificationSpec, Rung, Spec
from clarion.journeys.reading.fields import (
    DEFAULT_STEP_MS,
    LONGEST_STEP_MS,
    MAX_ENTRIES,
    Fields,
    Found,
    check_size,
    is_object,
    items,
    join,
)
from clarion.journeys.reading.rules import read_event, read_match
from clarion.journeys.reading.ways import Setting

CHANNEL_WORDS: Final[dict[str, Channel]] = {
    **dict.fromkeys(("email", "mail", "e-mail", "e_mail"), "email"),
    **dict.fromkeys(("push", "mobile_push", "web_push", "push_notification", "webpush", "browser"), "push"),
    **dict.fromkeys(("sms", "text", "text_message"), "sms"),
}
ABSENT_CHANNELS: Final = frozenset(
    {
        "inapp",
        "in_app",
        "in-app",
        "in_app_message",
        "whatsapp",
        "voice",
        "slack",
        "webhook",
        "messenger",
        "rcs",
    }
)
"""Channels that other platforms have: a definition may name them, and they are passed by."""

CHANNEL_FIELDS: Final = ("channels", "channel")
FALLBACK: Final = (
    "fallback",
    "fallbacks",
    "fallback_chain",
    "fallback_channels",
    "fallback_channel",
    "escalation",
)
OPTIMIZATION: Final = ("optimization", "optimisation", "optimize", "optimise", "delivery")
UNTIL: Final = ("until", "success_metric", "success_event", "unless", "stop_on", "success_criteria")

MESSAGE_WISHES: Final = ("sent", "delivered", "engaged")
_MESSAGE_WORDS: Final = {
    "sent": "sent",
    "delivered": "delivered",
    **dict.fromkeys(("engaged", "opened", "open", "clicked", "click", "read"), "engaged"),
}
_PRIORITIES: Final = {
    **dict.fromkeys(("lowest", "low"), 2),
    **dict.fromkeys(("normal", "medium", "default", "standard"), 5),
    "high": 8,
    **dict.fromkeys(("urgent", "critical", "highest", "immediate"), 10),
}
_SEND_TIMES: Final[dict[str, Literal["now", "optimal", "scheduled"]]] = {
    **dict.fromkeys(("now", "immediate", "immediately", "asap"), "now"),
    **dict.fromkeys(
        ("optimal", "optimized", "optimised", "best", "best_time", "auto", "predicted", "ml"), "optimal"
    ),
    "scheduled": "scheduled",
}
_SELECTIONS: Final[dict[str, Literal["all", "optimal", "specified"]]] = {
    "all": "all",
    **dict.fromkeys(("optimal", "best", "auto", "predicted", "ml"), "optimal"),
    **dict.fromkeys(("specified", "fixed", "manual"), "specified"),
}


def read_notification(fields: Fields, setting: Setting) -> Spec | None:
    """Tell the user."""
    template = fields.text("template", "template_id", "template_name", "message_template")
    wanted = fields.take(*CHANNEL_FIELDS)
    channels = setting_channels(setting) if wanted is None else read_channels(wanted, fields)
    optimization = read_optimization(fields, setting.optimization)
    until = _read_until(fields)
    chain = _read_chain(fields, channels)
    rungs, channels = chain.rungs, chain.channels
    if rungs and until is None:
        until = EventMatch(chain.until)
    if until is not None and not rungs:
        fields.report.note(
            fields.path, "what the message is for is known, but there is no channel to go on to: add fallback"
        )
    data = fields.mapping("data", "variables", "template_data", "context", "payload")
    check_size(data, fields, "data")
    spec = NotificationSpec(
        template=template,
        channels=channels,
        category=fields.text("category", default=setting.category),
        optimization=optimization,
        priority=_read_priority(fields),
        data=data,
        rungs=rungs,
        until=until,
        expires_ms=fields.span("expires", "expires_in", "expires_after", "ttl"),
    )
    if not template and not data:
        fields.report.error(
            fields.path, "it has no template: add template, the name of what is to be sent, or data"
        )
        return None
    return spec


def setting_channels(setting: Setting) -> tuple[Channel, ...]:
    """The channel that the kind of the step names (`type: email`)."""
    return tuple(CHANNEL_WORDS[name] for name in setting.channels)


def read_channels(found: Found, fields: Fields) -> tuple[Channel, ...]:
    """Channels by any of their names, each once, in order; () is as the platform chooses."""
    channels: dict[Channel, None] = {}
    for item in items(found):
        word = item.value.strip().lower() if isinstance(item.value, str) else ""
        if word in {"auto", "optimal", "best", "any", "preferred", "all"}:
            continue
        if word in CHANNEL_WORDS:
            channels[CHANNEL_WORDS[word]] = None
        elif word in ABSENT_CHANNELS:
            fields.report.warn(
                item.path,
                f"there is no channel {show(word)} here, so it is passed by: there are {_channels()}",
            )
        else:
            fields.report.error(item.path, f"{show(item.value)} is no channel: there are {_channels()}")
    return tuple(channels)


def read_optimization(fields: Fields, default: Optimization) -> Optimization:
    """How the send time and the channels are chosen."""
    found = fields.take(*OPTIMIZATION)
    send_time = fields.take("send_time", "optimize_send_time", "send_time_optimization", "timing")
    if send_time is None and (found is None or isinstance(found.value, bool)):
        wanted = None if found is None else found.value
        return (
            default
            if wanted is None
            else msgspec.structs.replace(default, send_time="optimal" if wanted else "now")
        )
    if found is not None and isinstance(found.value, str):
        found, send_time = None, send_time or found
    inner = None if found is None else fields.inner(found)
    if inner is not None:
        send_time = send_time or inner.take(
            "send_time", "time", "timing", "optimize_send_time", "send_time_optimization"
        )
    selection = (
        None
        if inner is None
        else inner.take("channel_selection", "channel", "channels_selection", "strategy")
    )
    optimization = default
    if send_time is not None:
        word = (
            {True: "optimal", False: "now"}.get(send_time.value, str(send_time.value).lower())
            if _is_plain(send_time.value)
            else ""
        )
        if word in _SEND_TIMES:
            optimization = msgspec.structs.replace(optimization, send_time=_SEND_TIMES[word])
        else:
            fields.report.error(
                send_time.path, f"there is no send time {show(send_time.value)}: there are now and optimal"
            )
    if selection is not None:
        word = str(selection.value).lower() if _is_plain(selection.value) else ""
        if word in _SELECTIONS:
            optimization = msgspec.structs.replace(optimization, channel_selection=_SELECTIONS[word])
        elif word in CHANNEL_WORDS:
            chosen = [CHANNEL_WORDS[word]]
            optimization = msgspec.structs.replace(
                optimization, channel_selection="specified", channels=chosen
            )
        else:
            fields.report.error(
                selection.path, f"{show(selection.value)} is no choice: there are all, optimal and specified"
            )
    if inner is not None:
        optimization = _read_rest(inner, optimization)
        inner.close()
    return optimization


def _read_rest(inner: Fields, optimization: Optimization) -> Optimization:
    inner.skip("fallback")
    channels = inner.take("channels")
    if channels is not None:
        chosen = list(read_channels(channels, inner))
        optimization = msgspec.structs.replace(optimization, channels=chosen)
    scheduled = inner.take("scheduled_at")
    if scheduled is not None:
        at = _instant(scheduled.value)
        if at is None:
            inner.report.error(
                scheduled.path,
                f"{show(scheduled.value)} is no instant with an offset, as 2026-12-24T09:00:00Z",
            )
        else:
            optimization = msgspec.structs.replace(optimization, send_time="scheduled", scheduled_at=at)
    return optimization


def _instant(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def _read_priority(fields: Fields) -> int:
    found = fields.peek("priority")
    if found is not None and isinstance(found.value, str) and found.value.strip().lower() in _PRIORITIES:
        fields.take("priority")
        return _PRIORITIES[found.value.strip().lower()]
    return fields.integer("priority", default=5, low=0, high=10)


def _read_until(fields: Fields) -> EventMatch | None:
    found = fields.take(*UNTIL)
    condition = read_match(fields)
    if found is None:
        return None
    match = read_event(found, fields, condition)
    if match is None:
        return None
    return EventMatch(_MESSAGE_WORDS.get(match.event.lower(), match.event), match.condition)


class _Chain(msgspec.Struct, frozen=True):
    """Where a message begins, its further channels, and what stops them where the step does not say."""

    channels: tuple[Channel, ...]
    rungs: tuple[Rung, ...] = ()
    until: str = "delivered"


def _read_chain(fields: Fields, channels: tuple[Channel, ...]) -> _Chain:
    found = fields.take(*FALLBACK) or _of_optimization(fields)
    after_ms = fields.span("fallback_after", "fallback_delay", default=DEFAULT_STEP_MS)
    if found is None or found.value is False:
        return _Chain(channels)
    if is_object(found.value) and (inner := fields.inner(found)) is not None:
        listed = inner.peek("steps", "chain")
        if listed is not None:
            inner.take(listed.name)
            inner.close()
            found = listed
    rungs = _read_rungs(found, channels, after_ms, fields)
    wishes = [item.value.get("unless") for item in items(found) if is_object(item.value)]
    until = next((wish for wish in wishes if wish in MESSAGE_WISHES), "delivered")
    if not channels and found.name == "fallback_chain" and len(rungs) > 1 and not rungs[0].template:
        # A whole chain with no channels beside it begins with its own first.
        return _Chain(rungs[0].channels, rungs[1:], until)
    return _Chain(channels, rungs, until)


def _read_rungs(
    found: Found, channels: tuple[Channel, ...], after_ms: int, fields: Fields
) -> tuple[Rung, ...]:
    rungs: list[Rung] = []
    used = set(channels)
    for item in items(found):
        rung = _read_rung(item, after_ms, fields)
        if rung is None:
            continue
        if set(rung.channels) <= used and not rung.template:
            # A chain that lists the step's own channels first: those are where it begins.
            if not rungs and rung.channels == channels[: len(rung.channels)]:
                continue
            fields.report.warn(
                item.path, "this channel has been taken before: the message would come a second time"
            )
        used.update(rung.channels)
        rungs.append(rung)
    if len(rungs) > MAX_ENTRIES:
        fields.report.error(found.path, f"a fallback has {MAX_ENTRIES} channels at most")
    return tuple(rungs)


def _of_optimization(fields: Fields) -> Found | None:
    """The chain where the API's own requests have it: `optimization.fallback`."""
    held = fields.peek(*OPTIMIZATION)
    chain = held.value.get("fallback") if held is not None and is_object(held.value) else None
    return None if held is None or chain is None else Found(chain, "fallback", join(held.path, "fallback"))


def _read_rung(item: Found, after_ms: int, fields: Fields) -> Rung | None:
    if not is_object(item.value):
        channels = read_channels(item, fields)
        return Rung(channels, after_ms) if channels else None
    inner = fields.inner(item)
    if inner is None:
        return None
    found = inner.take(*CHANNEL_FIELDS, "type")
    channels = () if found is None else read_channels(found, inner)
    wait = inner.span("after", "after_s", "delay", "wait", "timeout", "after_seconds", default=after_ms)
    template = inner.text("template", "template_id")
    inner.skip("unless", "until")
    inner.close()
    if wait > LONGEST_STEP_MS * 30:
        inner.report.error(
            item.path, "a further channel is taken within 30 days: shorten it, or write a wait and a branch"
        )
    if found is None:
        inner.report.error(item.path, "it does not say which channel: add channel")
    return Rung(channels, wait, template) if channels else None


def _is_plain(value: object) -> bool:
    return isinstance(value, str | bool)


def _channels() -> str:
    return ", ".join(CHANNELS)
