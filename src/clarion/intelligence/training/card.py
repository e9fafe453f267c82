"""The card of a model: what it is, what it was fitted on, and how it did on time that it had not seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from clarion.intelligence.models.registered import Band, Figure, Registered
from clarion.intelligence.training.calibration import error_of

SIDE: Final = 360
"""Of the picture, in pixels, without its margin."""

MARGIN: Final = 44
_LOOK: Final = (
    'font-family="sans-serif" font-size="12" text-anchor="middle" role="img" '
    'aria-label="Predicted and found shares of presence by hour"'
)

USE: Final = """\
## What it is for, and what it is not

It chooses when and on which channel a message that may wait is sent, among what consent, quiet hours and caps allow;
those are not its to decide. It predicts when and where people are met, and what share of messages they answer. It says
nothing about why, and where all messages went out at one hour it does not know how they would be answered at another.
It is no basis for deciding anything else about a person: what she may buy, pay or be told.

## Limits

* It is judged on people who were there in the newest part of the history. Of who stayed away nothing is shown here.
* Somebody of whom little is known is met at her population's hours, until she shows her own.
* It goes by the past. After an abrupt change it takes days until drift is seen and the model fitted anew.
* It is used for at most seven days; then the defaults serve until there is a newer one.

## People

* It was fitted on times, channels and kinds of acts, by number: on no names, addresses or contents, and on nothing of
  age, sex, health or belief. Hours of the day may still tell of shifts, worship or illness, so predictions of one user
  need a scope of their own (`ml:read`).
* Erasure removes a user's features and history, and the next training, within a day, is without her. A model holds
  curves of the population and of kinds of people, and nobody's own.
* A share of users is held out from it by default, so that what it brings is known. A feature that harms is switched
  off by itself, and all of it by `clarion ml off`.
"""


def write_card(tenant: str, model: Registered, picture: str = "") -> str:
    """Markdown, of nothing but the registry's own figures. `picture`: where that of its calibration is; "": nowhere."""
    return "\n".join([*_head(tenant, model), *_results(model, picture), *_kinds(model)]) + "\n" + USE


def draw_calibration(bands: Sequence[Band]) -> str:
    """An SVG: predicted shares of hours against what came; on the diagonal, predictions come true. "" without bands."""
    if not bands:
        return ""
    most = max(max(band.predicted, band.found) for band in bands) * 1.1
    size, marks = SIDE + 2 * MARGIN, [_mark(band, most) for band in bands]
    low, high = MARGIN, MARGIN + SIDE
    middle = size / 2
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" {_LOOK}>',
            f'<rect width="{size}" height="{size}" fill="#fff"/>',
            f'<path d="M{low} {high}L{high} {low}" stroke="#a0aec0" stroke-dasharray="4"/>',
            f'<path d="M{low} {low}V{high}H{high}" stroke="#2d3748" fill="none"/>',
            *marks,
            f'<text x="{middle}" y="{size - 12}">predicted share of a day, up to {most:.0%}</text>',
            f'<text x="14" y="{middle}" transform="rotate(-90 14 {middle})">found</text>',
            "</svg>",
            "",
        ]
    )


def _mark(band: Band, most: float) -> str:
    x, y = (MARGIN + SIDE * band.predicted / most, MARGIN + SIDE * (1 - band.found / most))
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{3 + 12 * band.weight**0.5:.1f}" fill="#2b6cb0" fill-opacity="0.7"/>'


def _head(tenant: str, model: Registered) -> Iterator[str]:
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
    if metrics.seconds:
        yield f"| Took | {metrics.seconds:g} s |"
    yield ""


def _results(model: Registered, picture: str) -> Iterator[str]:
    metrics = model.metrics
    yield "## On later time"
    yield ""
    yield (
        "Means over people, of the newest part of the history, which neither model was fitted on; the interval is of "
        f"95 %, over people. The baseline is {model.parent or 'the defaults'}, with the population's hours of the same "
        "history."
    )
    yield ""
    yield "| Figure | this model | baseline | difference | people |"
    yield "|---|---|---|---|---|"
    for name, figure in metrics.figures.items():
        yield f"| {name} | {figure.candidate:.4f} | {figure.incumbent:.4f} | {_interval(figure)} | {figure.people:,} |"
    if metrics.coverage is not None:
        yield f"| hours inside the 70 % set | {metrics.coverage:.1%} | | | |"
    if not metrics.calibration:
        return
    yield ""
    yield "## Calibration"
    yield ""
    yield (
        "Hours by the share of a user's day that they were given, and the share that they got; off by "
        f"{100 * error_of(metrics.calibration):.2f} points on average."
    )
    yield ""
    if picture:
        yield f"![Predicted and found shares]({picture})"
        yield ""
    yield "| predicted | found | of the hours |"
    yield "|---|---|---|"
    for band in metrics.calibration:
        yield f"| {band.predicted:.2%} | {band.found:.2%} | {band.weight:.1%} |"


def _kinds(model: Registered) -> Iterator[str]:
    yield ""
    if model.metrics.clusters:
        yield "## Kinds of people"
        yield ""
        yield from (f"* `{name}`: {meaning}" for name, meaning in model.metrics.clusters.items())
        yield ""


def _interval(figure: Figure) -> str:
    return f"{figure.candidate - figure.incumbent:+.4f} ({figure.low:+.4f} to {figure.high:+.4f})"


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()
