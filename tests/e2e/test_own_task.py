"""Tasks of one's own, without code: trained, served and asked for as a user does it, all by the command line."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from annotator.client import Client
from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
from serving.lifecycle.processes import our_processes
from serving.settings import PROJECT
from tests.e2e.conftest import URL, Service
from tests.e2e.contract import TASKS as NINE
from tests.tiny import TASKS, tiny_recipe, write_base, write_data, write_recipe, write_tasks

ANNOTATOR = str(Path(sys.executable).with_name("annotator"))
FUSED = str(PROJECT / "configs" / "serve" / "fused.yaml")

WISHES = {
    "order": ["i would like a large coffee", "can i get two slices of cake", "one pizza with olives please"],
    "book": ["book a table for two at eight", "is there a room free on sunday", "reserve two seats by the window"],
    "complain": ["my soup is cold", "nobody has served us for an hour", "this bill is wrong"],
}
WAYS = ("{}", "hello, {}", "{} thanks", "well, {}", "ok so {}")


def annotator(*arguments: object, stdin: str | None = None) -> str:
    """What a command printed; it must end well."""
    command = [ANNOTATOR, *map(str, arguments)]
    ended = subprocess.run(command, cwd=PROJECT, input=stdin, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@contextmanager
def served(*arguments: object) -> Iterator[None]:
    """A service that `annotator serve` started and `annotator stop` ends."""
    service = Service([ANNOTATOR, "serve", *map(str, arguments)])
    try:
        service.wait_until_ready()
        yield
    finally:
        annotator("stop")
        status = service.wait()
    assert status == 0
    assert our_processes() == []


def served_scores(text: str) -> dict[str, dict[str, float]]:
    """What the original's route answers."""
    annotations: list[dict[str, dict[str, float]]] = httpx.post(f"{URL}/model", json={"sentences": [text]}).json()
    return annotations[0]


def test_a_head_of_ones_own_is_served_in_every_route(tmp_path: Path) -> None:
    table, model, tasks = tmp_path / "wishes.tsv", tmp_path / "lite-wish", tmp_path / "lite-wish.tasks.yaml"
    rows = [(way.format(text), label) for label, texts in WISHES.items() for text in texts for way in WAYS]
    table.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows), "utf-8")
    last = annotator("train", "--head", "wish", table, "--out", model).splitlines()[-1]
    assert last == f"annotator serve --model {model} --tasks {tasks}"
    text = "please bring me one large coffee"
    pipeline = load_pipeline(ModelDirectory.open(model, tasks))

    with served("--model", model, "--tasks", tasks):
        scores = served_scores(text)
        assert list(scores) == [*(task.name for task in NINE), "wish"]
        assert scores["wish"] == pytest.approx(pipeline([text])[0]["wish"], abs=0.01)
        assert max(scores["wish"], key=lambda label: scores["wish"][label]) == "order"
        told = json.loads(annotator("status", "--json"))
        assert told["tasks"]["wish"] == 3
        (turn,) = httpx.post(f"{URL}/batch_model", json={"utterances_with_histories": [[text]]}, timeout=30).json()
        assert turn["batch"][0]["wish"] == scores["wish"]
        infer = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}]}
        outputs = httpx.post(f"{URL}/v2/models/annotator/infer", json=infer, timeout=30).json()["outputs"]
        (output,) = (output for output in outputs if output["name"] == "wish")
        assert output["shape"] == [1, 3]
        assert output["data"] == pytest.approx([*pipeline([text])[0]["wish"].values()], abs=1e-4)
        with Client(URL) as client:
            (annotation,) = client.annotate([text], tasks=["wish"])
            assert client.tasks()[-1].labels == ("book", "complain", "order")
        assert annotation.tasks["wish"].label == "order"
        assert annotation.model.version == told["version"]
        # Bulk, through the service and in one process: the same lines.
        texts = "\n".join(text for text, _ in rows)
        lines = [
            [json.loads(line) for line in annotator("annotate", "-", "--task", "wish", *way, stdin=texts).splitlines()]
            for way in (["--url", URL], ["--model", model, "--tasks", tasks])
        ]
        assert [line["text"] for line in lines[0]] == [text for text, _ in rows]
        for one, other in zip(*lines, strict=True):
            assert one["tasks"]["wish"]["label"] == other["tasks"]["wish"]["label"]
            assert one["tasks"]["wish"]["score"] == pytest.approx(other["tasks"]["wish"]["score"], abs=1e-4)


def test_quite_other_tasks_are_trained_and_served(tmp_path: Path) -> None:
    data, tasks, recipe, model = (tmp_path / name for name in ("data", "tasks.yaml", "recipe.yaml", "model"))
    write_base(tmp_path / "base")
    write_data(data)
    write_tasks(tasks)
    write_recipe(recipe, tiny_recipe(tmp_path / "base"))
    annotator("train", data, "--config", recipe, "--tasks", tasks, "--out", model, "--work", tmp_path / "run")
    text = "apple and bread"
    expected: Any = load_pipeline(ModelDirectory.open(model, tasks))([text])[0]

    with served(FUSED, "--model", model, "--tasks", tasks):
        scores = served_scores(text)
        assert list(scores) == [task.name for task in TASKS]
        for task in TASKS:
            assert scores[task.name] == pytest.approx(expected[task.name], abs=0.01)
        with Client(URL) as client:
            (annotation,) = client.annotate([text])
            assert {name: answer.scores for name, answer in annotation.tasks.items()} == {
                name: pytest.approx(scores, abs=1e-4) for name, scores in expected.items()
            }
