from collections.abc import Iterator

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serving import tracing


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is exported; the provider is this test's alone, as it is a replica's alone under Serve."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


async def test_a_traced_request_has_its_stages_as_children_one_behind_the_other(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    with trace.get_tracer("serve").start_as_current_span("request"):
        assert (await client.post("/model", json={"sentences": ["what a user said"]})).status_code == 200
    *stages, request = spans.get_finished_spans()
    assert [span.name for span in stages] == [
        f"annotator.{stage}" for stage in ("queue", "tokenize", "encode", "heads", "merge")
    ]
    for span in stages:
        assert span.parent is not None
        assert request.context is not None
        assert span.parent.span_id == request.context.span_id
    ends = [span.end_time for span in stages]
    assert [span.start_time for span in stages][1:] == ends[:-1]
    assert "what a user said" not in "".join(span.to_json() for span in spans.get_finished_spans())


async def test_without_a_trace_nothing_is_added(client: httpx.AsyncClient, spans: InMemorySpanExporter) -> None:
    assert (await client.post("/model", json={"sentences": ["a"]})).status_code == 200
    assert spans.get_finished_spans() == ()


def test_spans_go_to_a_collector_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    (processor,) = tracing.otlp("replica.json")
    assert "OTLPSpanExporter" in repr(vars(vars(processor)["_batch_processor"])["_exporter"])
    processor.shutdown()
