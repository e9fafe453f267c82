"""Steps that call, change the profile, or start other journeys."""

from __future__ import annotations

import re
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from clarion.journeys.findings import show
from clarion.journeys.graph import FetchSpec, ProfileSpec, Spec, StartSpec, WebhookSpec
from clarion.journeys.reading.fields import MAX_ENTRIES, Fields, Found, check_size, is_object, items, join
from clarion.journeys.reading.ways import Setting

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
"""A name that is filled in when the step is taken (`journeys.fill`)."""


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
    if not entries or len(entries) > MAX_ENTRIES:
        fields.report.error(found.path, f"it maps 1 to {MAX_ENTRIES} names to paths of the answer")
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
    if not attributes or len(attributes) > MAX_ENTRIES:
        fields.report.error(
            fields.path, f"it sets 1 to {MAX_ENTRIES} attributes: add attributes, such as {{...}}"
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
