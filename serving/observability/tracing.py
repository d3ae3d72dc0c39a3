"""OpenTelemetry: a span of every request with its stages below, and where spans go.

Off unless the config has a `tracing_config`; then Serve makes spans of its own calls, and hands all of them to what
`exporter_import_path` names: a file by default, or `serving.observability.tracing:otlp` for a collector. Spans hold
names and times, and nothing of what was asked. Serve's own span of a request ignores the client's `traceparent` when
HAProxy is in front; ours follows it.
"""

import time

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import Scope

from serving.observability.clock import Clock

_propagator = TraceContextTextMapPropagator()


def add_request(scope: Scope, clock: Clock) -> None:
    """Trace a request that is being answered, if Serve has turned tracing on in this process.

    The stages, which are those of its batch, stand one behind the other.
    """
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        return
    tracer = trace.get_tracer("annotator")
    began = time.time_ns() - int(1e9 * clock.total)
    client = _propagator.extract(Headers(scope=scope))
    request = tracer.start_span("annotator.request", client, trace.SpanKind.SERVER, start_time=began)
    below = trace.set_span_in_context(request)
    for stage, seconds in clock.seconds.items():
        ended = began + int(1e9 * seconds)
        tracer.start_span(f"annotator.{stage}", below, start_time=began).end(ended)
        began = ended
    request.end()


def otlp(_: str) -> list[SpanProcessor]:
    """Called by Serve in every replica: to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names, over HTTP.

    Raises:
        ImportError: the extra `tracing` is not installed.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return [BatchSpanProcessor(OTLPSpanExporter())]
