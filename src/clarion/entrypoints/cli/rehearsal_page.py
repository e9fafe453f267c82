"""A rehearsal's result as one HTML file, with drawings and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from clarion.contracts.channels import CHANNELS
from clarion.entrypoints.cli.rehearsal_text import show_result, show_user
from clarion.journeys.rehearsal import Result

COLOURS: Final = {"email": "#2b6cb0", "push": "#2f855a", "sms": "#b7791f"}

_WIDTH: Final = 960
_HEIGHT: Final = 180
_ROW: Final = 26
_NAMES: Final = 220
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:#1a202c}"
    "svg{width:100%;height:auto}svg text{font-size:12px;fill:currentColor}pre{overflow:auto;font-size:13px}"
    "@media(prefers-color-scheme:dark){body{background:#171923;color:#e2e8f0}}"
)


def draw_page(name: str, result: Result) -> str:
    """The page: volumes by hour, the way through the steps, all figures, and the users who are told of."""
    key = " ".join(f'<span style="color:{COLOURS[channel]}">■ {channel}</span>' for channel in CHANNELS)
    told = "".join(
        f"<details><summary>{escape(story.user)}</summary><pre>{_lines(show_user(story))}</pre></details>"
        for story in result.users
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(name)}: rehearsal</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(name)}</h1><h2>Messages by hour</h2><p>{key}</p>{_draw_volumes(result)}"
        f"<h2>Steps</h2>{_draw_steps(result)}<h2>Figures</h2><pre>{_lines(show_result(name, result))}</pre>"
        + (f"<h2>Users</h2>{told}" if told else "")
        + "</body></html>\n"
    )


def _draw_volumes(result: Result) -> str:
    channels = [(COLOURS[name], figures.by_hour) for name, figures in result.channels.items()]
    hours = len(channels[0][1])
    most = max((sum(counts[hour] for _, counts in channels) for hour in range(hours)), default=0)
    if not most:
        return "<p>No message went out.</p>"
    width = _WIDTH / hours
    bars: list[str] = []
    for hour in range(hours):
        top = float(_HEIGHT)
        for colour, counts in channels:
            height = _HEIGHT * counts[hour] / most
            top -= height
            if height:
                bars.append(
                    f'<rect x="{hour * width:.2f}" y="{top:.2f}" width="{width:.2f}" '
                    f'height="{height:.2f}" fill="{colour}"/>'
                )
    days = "".join(
        f'<text x="{hour * width:.1f}" y="{_HEIGHT + 16}">{hour // 24 + 1}</text>'
        for hour in range(0, hours, 24 * max(1, hours // 24 // 30))
    )
    label = f"Messages by hour over {result.days:g} days, {most:,} in the fullest"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 20}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{''.join(bars)}{days}</svg><p>Days; {most:,} in the fullest hour.</p>"
    )


def _draw_steps(result: Result) -> str:
    most = max((figures.entered for figures in result.steps.values()), default=0) or 1
    rows: list[str] = []
    for place, (name, figures) in enumerate(result.steps.items()):
        top = place * _ROW
        width = (_WIDTH - _NAMES - 120) * figures.entered / most
        rows.append(
            f'<text x="0" y="{top + 17}">{escape(name[:34])}</text>'
            f'<rect x="{_NAMES}" y="{top + 4}" width="{width:.1f}" height="{_ROW - 8}" fill="#718096"/>'
            f'<text x="{_NAMES + width + 6:.1f}" y="{top + 17}">{figures.entered:,}</text>'
        )
    height = max(_ROW, _ROW * len(rows))
    label = "Runs that came to each step"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}"><title>{label}</title>'
        f"{''.join(rows)}</svg>"
    )


def _lines(lines: Iterator[str]) -> str:
    return escape("\n".join(lines))
