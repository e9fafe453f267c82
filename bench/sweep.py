"""`sweep`: accepts a second, and latency of a request, against batch size and concurrency; draws the docs' plot."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from bench.campaign import batches, prepare
from bench.harness import Result, finish, percentile, post_all, run_in_process, say
from clarion.testing.instance import Instance, clarion_up

SIZES: Final = (1, 5, 20, 100, 250, 500, 1000)
CONNECTIONS: Final = (1, 4, 16)
SECONDS: Final = 2.0
PLOT: Final = Path(__file__).parent.parent / "docs" / "assets" / "throughput.svg"


class Point(msgspec.Struct, frozen=True):
    """One measurement: rates in notifications a second, latencies of one request in milliseconds."""

    size: int
    connections: int
    rate: float
    p50_ms: float
    p99_ms: float


def run() -> Result:
    """Measure every combination, the worker stopped, and draw."""
    points: list[Point] = []
    with clarion_up() as instance:
        prepare(instance)
        os.kill(instance.pid_of("worker"), signal.SIGSTOP)
        try:
            for connections in CONNECTIONS:
                for size in SIZES:
                    points.append(run_in_process(_measure, instance, size, connections))
                    point = points[-1]
                    say(
                        f"{connections:3} connections × {size:4}: {point.rate:8,.0f}/s, "
                        f"p50 {point.p50_ms:.1f} ms, p99 {point.p99_ms:.1f} ms"
                    )
        finally:
            os.kill(instance.pid_of("worker"), signal.SIGCONT)
    _draw(points)
    best = max(points, key=lambda point: point.rate)
    return finish(
        Result(
            "sweep",
            round(best.rate),
            "accepts/s at best",
            "none: a picture",
            ok=True,
            p50_ms=best.p50_ms,
            p99_ms=best.p99_ms,
            detail={"points": msgspec.to_builtins(points), "plot": PLOT.name},
        )
    )


def _measure(instance: Instance, size: int, connections: int) -> Point:
    # As many requests as about SECONDS will take, by a guess that only has to be near.
    guess = {1: 900, 5: 3_500, 20: 7_000}.get(size, 10_000)
    count = max(connections * size * 4, int(guess * SECONDS) // size * size)
    requests = batches(instance, count, size)
    began = time.perf_counter()
    spans = asyncio.run(post_all(instance, requests, connections))
    rate = count / (time.perf_counter() - began)
    return Point(
        size,
        connections,
        round(rate, 1),
        round(percentile(spans, 0.5) * 1000, 2),
        round(percentile(spans, 0.99) * 1000, 2),
    )


def _draw(points: list[Point]) -> None:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasSVG(figure)
    rates, latencies = figure.subplots(1, 2)
    for connections in CONNECTIONS:
        mine = [point for point in points if point.connections == connections]
        sizes = [point.size for point in mine]
        label = f"{connections} connection{'s' if connections > 1 else ''}"
        rates.plot(sizes, [point.rate for point in mine], marker="o", label=label)
        latencies.plot(sizes, [point.p99_ms for point in mine], marker="o", label=label)
    for axes, title in ((rates, "notifications accepted / s"), (latencies, "p99 of one request, ms")):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("notifications a request")
        axes.set_title(title)
        axes.grid(visible=True, which="both", alpha=0.25)
    rates.legend()
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    cast("Any", figure).savefig(PLOT, metadata={"Date": None})
