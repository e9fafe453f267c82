"""`render`: making a personalised e-mail of subject, HTML and text; against sandboxed Jinja2 doing the same."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from jinja2 import DictLoader, StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment

from bench.harness import Result, finish, median, percentile, say
from clarion.templates import (
    ChannelParts,
    EmailParts,
    Rendered,
    Renderer,
    RenderItem,
    TemplateContent,
    TemplateVersion,
    build_variables,
    check_template,
    make_version,
)

BAR_MS: Final = 20.0
BAR_RATIO: Final = 4.0
ROUNDS: Final = 30
"""Rounds of one batch by each engine in turn: a busy moment of the machine hits both."""

BATCH: Final = 500
SINGLES: Final = 5_000
"""E-mails rendered one at a time, for the percentiles."""

SUBJECT: Final = "{{ user.first_name }}, your order {{ order.number }} is on its way"
HTML: Final = """<!doctype html>
<html lang="{{ user.language }}"><head><meta charset="utf-8"><title>Order {{ order.number }}</title>
<style>body { margin: 0; font-family: Helvetica, Arial, sans-serif } .box { padding: 24px }</style></head>
<body><table role="presentation" width="600" cellpadding="0" cellspacing="0"><tr><td class="box">
<h1>Thank you, {{ user.first_name }} {{ user.last_name }}!</h1>
<p>{% if user.tier == "gold" %}As a gold member you get it with free express delivery.{% else %}
It ships with standard delivery.{% endif %}
We expect it in {{ user.city|default("your city") }} on <b>{{ order.eta }}</b>.</p>
<table width="100%" style="border-collapse: collapse">
<tr><th align="left">Item</th><th align="right">Quantity</th><th align="right">Price</th></tr>
{% for line in order.lines %}<tr><td><a href="{{ line.url }}">{{ line.name }}</a><br>{{ line.variant|upper }}</td>
<td align="right">{{ line.quantity }}</td><td align="right">{{ line.price }} {{ order.currency }}</td></tr>
{% endfor %}<tr><td colspan="2">Total</td><td align="right"><b>{{ order.total }} {{ order.currency }}</b></td></tr>
</table>
<p><a href="https://shop.example.com/orders/{{ order.number|urlencode }}?src=mail">Follow your parcel</a></p>
{% if order.note is defined %}<p>You wrote: <i>{{ order.note }}</i></p>{% endif %}
<h2>Picked for you</h2>
<ul>{% for item in context.recommended %}<li><a href="{{ item.url }}">{{ item.name }}</a>,
{{ item.price }} {{ order.currency }}{% if item.is_new %} <b>new</b>{% endif %}</li>{% endfor %}</ul>
<p>{{ tenant.name }}, {{ tenant.address }}: <a href="{{ links.preferences }}">Preferences</a>,
<a href="{{ links.unsubscribe }}">Unsubscribe</a></p>
</td></tr></table></body></html>"""
TEXT: Final = """Thank you, {{ user.first_name }} {{ user.last_name }}!

We expect your order {{ order.number }} in {{ user.city|default("your city") }} on {{ order.eta }}.
{% for line in order.lines %}
{{ line.quantity }} x {{ line.name }} ({{ line.variant|upper }}): {{ line.price }} {{ order.currency }}{% endfor %}

Total: {{ order.total }} {{ order.currency }}
{% for item in context.recommended %}
- {{ item.name }}: {{ item.url }}{% endfor %}

Unsubscribe: {{ links.unsubscribe }}"""


Messages: TypeAlias = Sequence[dict[str, Any]]
Mails: TypeAlias = list[tuple[str, str, str]]


def run() -> Result:
    """Render batches by both engines in turn, compare what they made, then time single e-mails."""
    messages = [_variables(number) for number in range(BATCH)]
    version = _version()
    _check_equal(_by_clarion(version, messages), _by_jinja(_jinja_templates(version), messages))
    spans = _time_batches(version, messages)
    # Each round is a pair that ran side by side: the median of their ratios is what a busy machine changes least.
    ratio = median([slow / quick for quick, slow in zip(spans["clarion"], spans["jinja2"], strict=True)])
    singles_ms = _time_singles(version, messages)
    p99_ms = percentile(singles_ms, 0.99)
    return finish(
        Result(
            "render",
            round(median(spans["clarion"]), 1),
            "µs/e-mail",
            f"p99 < {BAR_MS:g} ms; ≥ {BAR_RATIO:g}× sandboxed Jinja2",
            p99_ms < BAR_MS and ratio >= BAR_RATIO,
            baseline=round(median(spans["jinja2"]), 1),
            ratio=round(ratio, 2),
            p50_ms=round(percentile(singles_ms, 0.5), 4),
            p99_ms=round(p99_ms, 4),
            detail={"batch": BATCH, "rounds": ROUNDS},
        )
    )


def _time_batches(version: TemplateVersion, messages: Messages) -> dict[str, list[float]]:
    """Microseconds for one e-mail, by engine and round."""
    renderer, templates = Renderer(), _jinja_templates(version)
    items = [RenderItem(b"tenant", version, "email", each) for each in messages]
    engines: dict[str, Callable[[], object]] = {
        "clarion": lambda: renderer.render_batch(items),
        "jinja2": lambda: _by_jinja(templates, messages),
    }
    spans: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(ROUNDS):
        for name, render in engines.items():
            began = time.perf_counter()
            render()
            spans[name].append((time.perf_counter() - began) / len(messages) * 1e6)
        if number % 10 == 9:  # noqa: PLR2004  a line of progress every ten rounds
            middle = {name: round(median(times), 1) for name, times in spans.items()}
            say(f"round {number + 1}: {middle} µs an e-mail")
    return spans


def _time_singles(version: TemplateVersion, messages: Messages) -> list[float]:
    """Milliseconds of e-mails that are rendered one at a time."""
    renderer = Renderer()
    spans: list[float] = []
    for number in range(SINGLES):
        items = [RenderItem(b"tenant", version, "email", messages[number % len(messages)])]
        began = time.perf_counter()
        renderer.render_batch(items)
        spans.append((time.perf_counter() - began) * 1e3)
    return spans


def _version() -> TemplateVersion:
    content = TemplateContent("transactional", ChannelParts(email=EmailParts(SUBJECT, HTML, "", TEXT)))
    check_template(content)
    return make_version("order", 1, content)


def _by_clarion(version: TemplateVersion, messages: Messages) -> Mails:
    made = Renderer().render_batch([RenderItem(b"tenant", version, "email", each) for each in messages])
    return [(one.subject, one.html, one.text) for one in made if isinstance(one, Rendered)]


def _jinja_templates(version: TemplateVersion) -> list[Template]:
    """Jinja2 with the same guard: sandbox, strict undefined, HTML escaped, texts cleaned, no null or list printed.

    It gets the sources as a saved version has them, with style rules inlined: both make the same mail.
    """
    parts = version.parts_in("").email or EmailParts()

    def guard(value: object) -> object:
        if isinstance(value, str):
            return value if value.isprintable() else "".join(filter(str.isprintable, value))
        if not isinstance(value, int | float):
            raise TypeError
        return value

    environment = SandboxedEnvironment(
        undefined=StrictUndefined,
        finalize=guard,
        autoescape=_is_html,
        loader=DictLoader({"subject": parts.subject, "html": parts.html, "text": parts.text}),
    )
    return [environment.get_template(name) for name in ("subject", "html", "text")]


def _is_html(name: str | None) -> bool:
    return name == "html"


def _by_jinja(templates: list[Template], messages: Messages) -> Mails:
    subject, body, text = templates
    return [(subject.render(each), body.render(each), text.render(each)) for each in messages]


def _check_equal(ours: Mails, theirs: Mails) -> None:
    """Raises where the engines made different mails. They escape the same characters, in different words."""
    for one, other in zip(ours, theirs, strict=True):
        if (one[0], html.unescape(one[1]), one[2]) != (other[0], html.unescape(other[1]), other[2]):
            detail = "the engines made different mails"
            raise RuntimeError(detail)


def _variables(number: int) -> dict[str, Any]:
    """What a worker knows of one order's mail: five lines, four recommendations, a profile of a dozen fields."""
    lines = [
        {
            "name": f"Oolong & jasmine tea no. {line}",
            "variant": "250 g tin",
            "quantity": line % 3 + 1,
            "price": f"{7 + line}.50",
            "url": f"https://shop.example.com/p/{1000 + line}?v=2&src=mail",
        }
        for line in range(5)
    ]
    recommended = [
        {
            "name": f"Teapot {item}",
            "url": f"https://shop.example.com/p/{item}",
            "price": "19.00",
            "is_new": item % 2 == 0,
        }
        for item in range(4)
    ]
    order = {
        "number": f"A-{100_000 + number}",
        "eta": "12 November",
        "currency": "EUR",
        "total": "61.00",
        "lines": lines,
        "note": "Please ring twice",
    }
    user = {
        "first_name": f"Zoë{number}",
        "last_name": "D'Arc",
        "email": f"user{number}@example.com",
        "city": "Lyon",
        "tier": "gold" if number % 3 else "basic",
        "language": "fr",
        "timezone": "Europe/Paris",
        "country": "FR",
        "birth_year": 1990,
        "orders": 7,
        "newsletter": True,
    }
    links = {
        "unsubscribe": f"https://t.example.com/u/{number:032x}",
        "preferences": f"https://t.example.com/p/{number:032x}",
    }
    tenant = {"name": "Tea House", "address": "1 Rue du Thé, Lyon"}
    return build_variables({"order": order}, user, {"recommended": recommended}, tenant, links)
