"""The card of a model: what it is, what it was fitted on, and how it did on time that it had not seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from clarion.intelligence.models.registered import Figure, Registered


def write_card(tenant: str, model: Registered) -> str:
    """Markdown, of nothing but the registry's own figures."""
    return "\n".join(_lines(tenant, model)) + "\n"


def _lines(tenant: str, model: Registered) -> Iterator[str]:
    metrics = model.metrics
    yield f"# {model.name} of {tenant}"
    yield ""
    yield f"**{model.status}**: {model.reason}"
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield "| Kind | empirical Bayes over local hours and channels; each user's own history upon the population's |"
    yield f"| Came after | {model.parent or '–'} |"
    span = f"{_day(model.from_ms)} to {_day(model.to_ms)}"
    yield f"| Fitted on | {metrics.signs:,} signs of {metrics.users:,} users, {span} |"
    yield f"| Artefact | SHA-256 `{model.checksum.hex()}` |"
    yield f"| Took | {metrics.seconds:g} s |"
    yield ""
    yield "## On later time"
    yield ""
    yield (
        "Means over people, of the newest part of the history, which neither model was fitted on; the interval is of "
        "95 %, over people."
    )
    yield ""
    yield "| Figure | this model | the one before | difference | people |"
    yield "|---|---|---|---|---|"
    for name, figure in metrics.figures.items():
        yield f"| {name} | {figure.candidate:.4f} | {figure.incumbent:.4f} | {_interval(figure)} | {figure.people:,} |"
    if metrics.coverage is not None:
        yield f"| hours inside the 70 % set | {metrics.coverage:.1%} | | | |"
    yield ""
    if metrics.clusters:
        yield "## Kinds of people"
        yield ""
        yield from (f"* `{name}`: {meaning}" for name, meaning in metrics.clusters.items())
        yield ""
    yield "## What it is not for"
    yield ""
    yield (
        "It predicts when and where people are met, and what share of messages they answer. It says nothing about why, "
        "and where all messages went out at one hour it does not know how they would be answered at another."
    )


def _interval(figure: Figure) -> str:
    return f"{figure.candidate - figure.incumbent:+.4f} ({figure.low:+.4f} to {figure.high:+.4f})"


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()
