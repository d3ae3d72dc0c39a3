"""Every query of the dashboard asks for metrics and labels that the running service exports."""

import threading

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.configs.dashboard import metrics, needed, queries, variables

# Ray gathers what its processes count every ten seconds.
PATIENCE_SECONDS = 60
# So that there is something of everything: an answer, an error, an utterance that is cut.
REQUESTS = [{"sentences": ["i love you", "word " * 100]}, {"sentences": "no list"}]


def exported(client: httpx.Client) -> dict[str, set[str]]:
    """Names of the labels of every metric."""
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


@pytest.fixture(scope="module")
def labels(service: str) -> dict[str, set[str]]:
    """Of a service that has answered something of everything."""
    wanted = {name for query in queries() for name in metrics(query)}
    with httpx.Client(base_url=service, timeout=30) as client:
        for request in REQUESTS:
            client.post("/model", json=request)
        for _ in range(PATIENCE_SECONDS):
            found = exported(client)
            if wanted <= found.keys():
                break
            threading.Event().wait(1)
    return found


@pytest.mark.parametrize("query", queries())
def test_a_query_names_metrics_and_labels_that_are_exported(query: str, labels: dict[str, set[str]]) -> None:
    assert metrics(query) <= labels.keys()
    assert [(metric, label) for metric, label in sorted(needed(query)) if label not in labels[metric]] == []


def test_a_variable_takes_the_values_of_a_label_that_is_exported(labels: dict[str, set[str]]) -> None:
    assert variables()
    for metric, label in variables():
        assert label in labels[metric]
