"""OpenTelemetry: spans of the stages below the span that Serve makes for a request, and where they go.

Off unless the config has a `tracing_config`; then Serve makes spans of requests and of calls between deployments, and
hands them to what `exporter_import_path` names: a file by default, or `serving.tracing:otlp` for a collector. Spans
hold names and times, and nothing of what was asked.
"""

import time

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from serving.clock import Clock


def add_stages(clock: Clock) -> None:
    """Add the stages of a request to its trace, one behind the other, if somebody traces it.

    Each request gets the stages of its batch. The calls that the batch makes belong to no single request: what
    Serve traces of them stands by itself.
    """
    if not trace.get_current_span().is_recording():
        return
    tracer = trace.get_tracer("annotator")
    began = time.time_ns() - int(1e9 * clock.total)
    for stage, seconds in clock.seconds.items():
        ended = began + int(1e9 * seconds)
        tracer.start_span(f"annotator.{stage}", start_time=began).end(ended)
        began = ended


def otlp(_: str) -> list[SpanProcessor]:
    """Called by Serve in every replica: to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names, over HTTP.

    Raises:
        ImportError: the extra `tracing` is not installed.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return [BatchSpanProcessor(OTLPSpanExporter())]
