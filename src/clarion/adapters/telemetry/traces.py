"""OpenTelemetry traces of sampled notifications: request, decision, queue, provider call, under one trace id.

Stages work on batches, so a span is not opened and closed around code: a stage reports afterwards, for the sampled
ones of its batch alone, when each began and ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from clarion.delivery.conclude import Closing
from clarion.kernel.ids import format_id

_SAMPLED: Final = "1"
_MS: Final = 1_000_000


class SpanRecord(msgspec.Struct, frozen=True):
    """One stage of one traced notification. Times are UTC ms; attributes hold no PII."""

    traceparent: str
    name: str
    start_ms: int
    end_ms: int
    attributes: dict[str, str | int | float] = {}


def is_sampled(traceparent: str) -> bool:
    """Whether the W3C `traceparent` asks for recording."""
    return traceparent[-1:] in {_SAMPLED, "3", "5", "7", "9", "b", "d", "f"}


class Traces:
    """Exports spans to an OTLP endpoint, or to the exporter given (tests). Without either, it drops them for free."""

    def __init__(self, role: str, endpoint: str | None, exporter: SpanExporter | None = None) -> None:
        self._provider: TracerProvider | None = None
        chosen = exporter or (
            OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces") if endpoint else None
        )
        if chosen is None:
            return
        self._provider = TracerProvider(resource=Resource.create({"service.name": f"clarion-{role}"}))
        self._provider.add_span_processor(BatchSpanProcessor(chosen))
        self._tracer = self._provider.get_tracer("clarion")

    @property
    def enabled(self) -> bool:
        """Whether anything is exported: callers skip building records where not."""
        return self._provider is not None

    def record(self, spans: Iterable[SpanRecord]) -> None:
        """Hand spans over for export; those of traces that are not sampled are dropped."""
        if self._provider is None:
            return
        for span in spans:
            if not is_sampled(span.traceparent):
                continue
            context = extract({"traceparent": span.traceparent})
            made = self._tracer.start_span(
                span.name, context=context, start_time=span.start_ms * _MS, attributes=span.attributes
            )
            made.end(end_time=span.end_ms * _MS)

    def close(self) -> None:
        """Send what is left (up to 5 s)."""
        if self._provider is not None:
            self._provider.force_flush(5_000)
            self._provider.shutdown()


def delivery_spans(closings: Iterable[Closing]) -> list[SpanRecord]:
    """What dispatching did to traced deliveries: the wait in the queue, and the attempt at the provider."""
    spans: list[SpanRecord] = []
    for closing in closings:
        job, entry = closing.job, closing.entry
        if not is_sampled(job.traceparent):
            continue
        began_ms = entry.at_ms - entry.took_ms
        attributes: dict[str, str | int | float] = {
            "clarion.delivery_id": format_id(job.item.delivery_id),
            "clarion.channel": job.item.channel,
        }
        spans.append(SpanRecord(job.traceparent, "queue", min(job.due_ms, began_ms), began_ms, attributes))
        if closing.attempted:
            outcome = attributes | {"clarion.provider": entry.provider, "clarion.outcome": entry.outcome}
            spans.append(SpanRecord(job.traceparent, "provider", began_ms, entry.at_ms, outcome))
    return spans
