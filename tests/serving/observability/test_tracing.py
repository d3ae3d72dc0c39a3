from collections.abc import Iterator

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serving.observability import tracing


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is exported; the provider is this test's alone, as it is a replica's alone under Serve."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


async def test_a_request_is_a_span_of_the_client_s_trace_with_its_stages_below(
    client: httpx.AsyncClient, spans: InMemorySpanExporter
) -> None:
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    answer = await client.post("/model", json={"sentences": ["what a user said"]}, headers=headers)
    assert answer.status_code == 200
    *stages, request = spans.get_finished_spans()
    assert request.parent is not None
    assert f"{request.parent.span_id:x}" == "b7ad6b7169203331"
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


async def test_where_tracing_is_off_nothing_is_traced(client: httpx.AsyncClient) -> None:
    assert not isinstance(trace.get_tracer_provider(), TracerProvider)
    assert (await client.post("/model", json={"sentences": ["a"]})).status_code == 200


def test_spans_go_to_a_collector_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    (processor,) = tracing.otlp("replica.json")
    assert "OTLPSpanExporter" in repr(vars(vars(processor)["_batch_processor"])["_exporter"])
    processor.shutdown()
