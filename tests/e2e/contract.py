"""What any placement must answer."""

import csv

import httpx
import pytest

from graph.tasks import load_tasks
from serving.settings import PROJECT, Settings

TASKS = load_tasks(Settings().tasks_path)
CHAT_LINES = PROJECT / "tests" / "models" / "chat_lines.tsv"


def chat_lines() -> list[str]:
    with CHAT_LINES.open(encoding="utf-8", newline="") as stream:
        return [line["text"] for line in csv.DictReader(stream, delimiter="\t")]


def annotations_of(client: httpx.Client, sentences: list[str]) -> list[dict[str, dict[str, float]]]:
    answer = client.post("/model", json={"sentences": sentences})
    assert answer.status_code == 200
    annotations: list[dict[str, dict[str, float]]] = answer.json()
    assert len(annotations) == len(sentences)
    return annotations


def assert_contract(annotation: dict[str, dict[str, float]]) -> None:
    """Tasks and labels in order, probabilities of two decimals, sums as near to 1 as rounding lets them be."""
    assert list(annotation) == [task.name for task in TASKS]
    for task in TASKS:
        scores = annotation[task.name]
        assert list(scores) == list(task.labels)
        assert all(0 <= score <= 1 and round(score, 2) == score for score in scores.values())
        assert sum(scores.values()) == pytest.approx(1, abs=0.005 * len(scores))
