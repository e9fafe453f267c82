"""Steps that do something: notifications with their further channels, calls, changes of the profile, other journeys."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

import msgspec

from clarion.contracts.channels import CHANNELS, Channel
from clarion.contracts.commands import Optimization
from clarion.journeys.findings import show
from clarion.journeys.graph import (
    EventMatch,
    FetchSpec,
    NotificationSpec,
    ProfileSpec,
    Rung,
    Spec,
    StartSpec,
    WebhookSpec,
)
from clarion.journeys.reading.fields import (
    DEFAULT_STEP_MS,
    LONGEST_STEP_MS,
    Fields,
    Found,
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
PLACEHOLDER: Final = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}")
"""A name in a text that is filled in when the step is taken (`fill`)."""

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_FORBIDDEN_HEADERS: Final = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "proxy-authorization",
    }
)
_MAX_URL: Final = 2_000
_PLACE: Final = re.compile(r"\{\{[^{}]*\}\}")
"""A name that is filled in when the step is taken (`journeys.fill`)."""
_MAX_BODY_BYTES: Final = 65_536
_MAX_ENTRIES: Final = 100


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
    if len(rungs) > _MAX_ENTRIES:
        fields.report.error(found.path, f"a fallback has {_MAX_ENTRIES} channels at most")
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


def read_fetch(fields: Fields, setting: Setting) -> Spec | None:
    """Read a JSON document into the context."""
    del setting
    url = _read_url(fields)
    method = fields.text("method", default="GET").upper()
    body = fields.mapping("body", "json", "payload") if fields.has("body", "json", "payload") else None
    into = fields.take(
        "into", "map", "mapping", "response_mapping", "save_as", "output", "store", "as", "result"
    )
    if method not in {"GET", "POST"}:
        fields.report.error(fields.path, f"there is no method {show(method)} here: there are GET and POST")
        return None
    check_size(body, fields, "body")
    headers = _read_headers(fields)
    return (
        FetchSpec(url, cast('Literal["GET", "POST"]', method), headers, body, _read_into(into, fields))
        if url
        else None
    )


def _read_into(found: Found | None, fields: Fields) -> dict[str, str]:
    if found is None:
        return {}
    if isinstance(found.value, str) and found.value.isidentifier():
        return {found.value: ""}
    into: dict[str, str] = {}
    entries = found.value if is_object(found.value) else {}
    for name, path in entries.items():
        if not name.isidentifier() or not isinstance(path, str):
            fields.report.error(
                join(found.path, name),
                'it maps a name to a path of the answer, such as {"plan": "data.plan"}',
            )
            continue
        into[name] = path.removeprefix("$.").removeprefix("response.").removeprefix("$")
    if not entries or len(entries) > _MAX_ENTRIES:
        fields.report.error(found.path, f"it maps 1 to {_MAX_ENTRIES} names to paths of the answer")
    return into


def read_webhook(fields: Fields, setting: Setting) -> Spec | None:
    """Tell a URL."""
    del setting
    url = _read_url(fields)
    method = fields.text("method", default="POST").upper()
    body = (
        fields.mapping("body", "payload", "data", "json")
        if fields.has("body", "payload", "data", "json")
        else None
    )
    if method != "POST":
        fields.report.error(fields.path, "a webhook is a POST: leave method out, or use a fetch")
    check_size(body, fields, "body")
    headers = _read_headers(fields)
    return WebhookSpec(url, body, headers) if url else None


def read_profile(fields: Fields, setting: Setting) -> Spec | None:
    """Set attributes of the user."""
    del setting
    attributes = fields.mapping(
        "attributes", "set", "profile", "properties", "traits", "updates", "values", "data"
    )
    removed = fields.take("unset", "remove")
    attributes = {**attributes}
    for item in [] if removed is None else items(removed):
        if isinstance(item.value, str):
            attributes[item.value] = None
    name, value = fields.text("attribute", "key", "field"), fields.take("value")
    if name:
        attributes[name] = None if value is None else value.value
    if not attributes or len(attributes) > _MAX_ENTRIES:
        fields.report.error(
            fields.path, f"it sets 1 to {_MAX_ENTRIES} attributes: add attributes, such as {{...}}"
        )
        return None
    check_size(attributes, fields, "attributes")
    return ProfileSpec(attributes)


def read_start(fields: Fields, setting: Setting) -> Spec | None:
    """Let the user enter another journey."""
    del setting
    journey = fields.text("journey", "journey_id", "journey_name", "start", "start_journey", "target")
    context = fields.mapping("context", "data", "variables")
    if not journey:
        fields.report.error(fields.path, "it does not say which journey: add journey, its name or id")
        return None
    check_size(context, fields, "context")
    return StartSpec(journey, context)


def _read_url(fields: Fields) -> str:
    url = fields.text("url", "endpoint", "uri", "href")
    plain = PLACEHOLDER.sub("x", url)
    try:
        parts = urlsplit(plain)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.username
    except ValueError:
        is_url = False
    if not is_url or len(url) > _MAX_URL or not plain.isprintable() or " " in plain:
        fields.report.error(
            fields.path, f"{show(url)} is no address: add url, such as https://api.example.com/plans"
        )
        return ""
    if PLACEHOLDER.search(url.split("://", 1)[-1].split("/", 1)[0]):
        fields.report.error(
            fields.path, "the host of an address is the same for everybody: fill in what comes after it"
        )
        return ""
    return url


def _read_headers(fields: Fields) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in fields.mapping("headers").items():
        is_text = isinstance(value, str) and value.isprintable() and len(value) <= _MAX_URL
        if not _HEADER.fullmatch(name) or name.lower() in _FORBIDDEN_HEADERS or not is_text:
            fields.report.error(
                fields.path,
                f"the header {show(name)} cannot be sent: take another name, or a text of one line",
            )
            continue
        headers[name] = value
    return headers


def check_size(values: dict[str, Any] | None, fields: Fields, name: str) -> None:
    """Say where a free object is larger than can be carried."""
    if values and len(msgspec.json.encode(values)) > _MAX_BODY_BYTES:
        fields.report.error(fields.path, f"its {name} is larger than 64 KB: make it smaller")


def _is_plain(value: object) -> bool:
    return isinstance(value, str | bool)


def _channels() -> str:
    return ", ".join(CHANNELS)
