import json
from pathlib import Path

import httpx

from graph.tasks import load_tasks
from tests import TASKS_FILE


async def test_tasks_are_told_as_the_task_file_has_them(client: httpx.AsyncClient) -> None:
    told = (await client.get("/v1/tasks")).json()
    assert list(told) == ["tasks"]
    for task, real in zip(told["tasks"], load_tasks(TASKS_FILE), strict=True):
        assert list(task) == ["name", "labels", "kind", "rule"]
        assert task == real.model_dump(mode="json")


async def test_the_model_is_told_as_its_manifest_has_it(client: httpx.AsyncClient, tiny_model: Path) -> None:
    manifest = json.loads((tiny_model / "manifest.json").read_text())
    told = (await client.get("/v1/model")).json()
    assert set(told) == {"name", "version", "runtime", "max_tokens", "scores", "sha256", "tasks", "placement"}
    assert told["sha256"] == manifest["files"]
    assert told["scores"] == manifest["scores"]
    assert told["tasks"] == [task.name for task in load_tasks(TASKS_FILE)]
    assert (told["name"], told["runtime"], told["max_tokens"], told["placement"]) == ("annotator", "onnx", 32, "split")
