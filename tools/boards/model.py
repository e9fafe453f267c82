"""Boards, rows and panels, and the JSON in which Grafana reads them: its classic model, which all releases import."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

Unit: TypeAlias = Literal["short", "s", "ops", "percentunit"]
"""As Grafana names them: a number, seconds, per second, and a share of 1."""

PANELS_A_ROW: Final = 3
WIDTH: Final = 24
"""Columns of Grafana's grid."""

PANEL_HEIGHT: Final = 8

SCHEMA_VERSION: Final = 39
"""Of the classic model, as Grafana 11 writes it; later releases read it and bring it up to date."""

_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One picture: what it shows, and which queries draw it.

    `queries`: expressions of PromQL, each with its legend (`{{label}}` stands for a label's value). `limit`: where the
    alert of the same name begins; a red line is drawn there.
    """

    title: str
    about: str
    queries: tuple[tuple[str, str], ...]
    unit: Unit = "short"
    limit: float | None = None


class Row(msgspec.Struct, frozen=True):
    """Panels that are read together."""

    title: str
    panels: tuple[Panel, ...]


class Board(msgspec.Struct, frozen=True):
    """A dashboard. `uid` is its address in Grafana and never changes; `name` is that of its file."""

    name: str
    uid: str
    title: str
    rows: tuple[Row, ...]


def quantile(share: float, histogram: str, *, by: tuple[str, ...] = (), over: str = "5m") -> str:
    """The query for what `share` of a histogram's observations stay under. `histogram` may be followed by matchers."""
    name, brace, matchers = histogram.partition("{")
    return (
        f"histogram_quantile({share:g}, sum by ({', '.join(('le', *by))})"
        f" (rate({name}_bucket{brace}{matchers}[{over}])))"
    )


def rendered(board: Board) -> str:
    """The board as Grafana's JSON, the same text each time."""
    data = {
        "uid": board.uid,
        "title": board.title,
        "tags": ["clarion"],
        "timezone": "browser",
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_choice_of_source()]},
        "panels": _laid_out(board.rows),
    }
    return msgspec.json.format(msgspec.json.encode(data), indent=1).decode() + "\n"


def _choice_of_source() -> dict[str, object]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _laid_out(rows: tuple[Row, ...]) -> list[dict[str, object]]:
    """Rows and panels from the top, numbered from 1."""
    panels: list[dict[str, object]] = []
    top = 0
    for row in rows:
        place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": row.title, "gridPos": place, "panels": []}
        )
        top += 1
        width = WIDTH // PANELS_A_ROW
        for number, panel in enumerate(row.panels):
            line, column = divmod(number, PANELS_A_ROW)
            place = {"x": column * width, "y": top + line * PANEL_HEIGHT, "w": width, "h": PANEL_HEIGHT}
            panels.append(_picture(panel, len(panels) + 1) | {"gridPos": place})
        top += -(-len(row.panels) // PANELS_A_ROW) * PANEL_HEIGHT
    return panels


def _picture(panel: Panel, number: int) -> dict[str, object]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "targets": [
            {"refId": chr(ord("A") + i), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for i, (expression, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _drawn(panel), "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    }


def _drawn(panel: Panel) -> dict[str, object]:
    steps: list[dict[str, object]] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    style = {"mode": "line" if panel.limit is not None else "off"}
    return {
        "unit": panel.unit,
        "min": 0,
        "custom": {"fillOpacity": 10, "showPoints": "never", "thresholdsStyle": style},
        "thresholds": {"mode": "absolute", "steps": steps},
    }
