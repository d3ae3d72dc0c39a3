"""The README says what is there."""

import json
import re
from pathlib import Path

import pytest
import yaml

from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
from graph.tasks import load_tasks
from serving.annotate import AnnotateRequest, annotations
from serving.annotator import Annotator
from serving.inference_request import parse
from serving.lifecycle.launch import EXAMPLE, example
from serving.settings import PROJECT, Settings
from serving.trips import FusedTrip
from serving.tuning import Tuning, tune

README = (PROJECT / "README.md").read_text("utf-8")


def test_the_command_is_the_one_that_make_serve_prints() -> None:
    assert example(8000) in README


def test_the_answer_is_what_the_shipped_model_answers() -> None:
    block = re.search(r"^    (\[\{.*?\}\]$)", README, re.MULTILINE | re.DOTALL)
    assert block is not None
    pipeline = load_pipeline(ModelDirectory.open(Settings().model_path, Settings().tasks_path))
    (annotation,) = pipeline(EXAMPLE["sentences"])
    (told,) = json.loads(block[1])
    assert [(task, list(scores)) for task, scores in told.items()] == [(t, list(s)) for t, s in annotation.items()]
    for task, scores in annotation.items():
        # On another processor the last digit of a probability may fall on the other side of a rounding step.
        assert told[task] == pytest.approx(scores, abs=0.0101)


async def test_the_modern_answer_is_what_the_shipped_model_answers() -> None:
    block = re.search(r"/v1/annotate .*? -d '(.*?)'\n\n    (\{.*?\}\]\}$)", README, re.MULTILINE | re.DOTALL)
    assert block is not None
    asked, told = json.loads(block[1]), json.loads(block[2])
    model = ModelDirectory.open(Settings().model_path, Settings().tasks_path)
    assert told["model"] == {"name": Settings().name, "version": model.version}
    annotator = Annotator(model.tasks, FusedTrip(load_pipeline(model)), Settings())
    request = AnnotateRequest.model_validate(asked)
    (annotation,) = annotations(await annotator(request.inputs, request.tasks), request)
    assert request.tasks is not None
    (task,) = request.tasks
    shown = told["annotations"][0]
    assert shown["tasks"][task].pop("scores") == pytest.approx(annotation["tasks"][task].pop("scores"), abs=0.01)
    assert shown == annotation


def test_the_answer_of_the_open_inference_protocol_is_what_the_shipped_model_answers() -> None:
    block = re.search(r"/infer -d '(.*?)'\n\n    (\{.*?\}\]\}$)", README, re.MULTILINE | re.DOTALL)
    assert block is not None
    asked, told = json.loads(block[1]), json.loads(block[2])
    model = ModelDirectory.open(Settings().model_path, Settings().tasks_path)
    assert (told["model_name"], told["model_version"]) == (Settings().name, model.version)
    inference = parse(block[1].encode(), None, model.tasks)
    ((task, _),) = inference.outputs
    scores = load_pipeline(model).probabilities(inference.texts)[task.name]
    (output,) = told["outputs"]
    assert output["name"] == asked["outputs"][0]["name"]
    assert output["shape"] == list(scores.shape)
    assert output["data"] == pytest.approx(scores.ravel().tolist(), abs=0.01)


def test_every_setting_stands_in_the_table_with_its_default() -> None:
    for name, field in Settings.model_fields.items():
        # What has no value by default has an empty cell, in which no secret could show either.
        default = f"`{field.default}`" if isinstance(field.default, str | int | float | Path) else ""
        assert f"| `{name}` | {default} | {field.description} |".replace("|  |", "| |") in README


def test_every_key_of_user_config_stands_in_the_table_and_the_example_is_one_that_is_accepted() -> None:
    for name, field in Tuning.model_fields.items():
        assert f"| `{name}` | {field.description} |" in README
    block = re.search(r"^    - name: Ingress\n(?:      .*\n)+", README, re.MULTILINE)
    assert block is not None
    (deployment,) = yaml.safe_load(block[0])
    assert set(deployment["user_config"]) == set(Tuning.model_fields)
    tune(load_tasks(Settings().tasks_path), Settings(), deployment["user_config"])


def test_every_file_of_the_map_is_there() -> None:
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_.]+)*(?:\.py|\.yaml|\.md))`", README))
    assert len(named) > 15
    for name in named:
        assert any((PROJECT / folder / name).is_file() for folder in ("", "graph", "serving", "models")), name


def test_the_map_leaves_out_no_file_and_no_folder_of_serving() -> None:
    for path in (PROJECT / "serving").iterdir():
        if path.is_dir() and path.name != "__pycache__":
            assert f"| `serving/{path.name}/` |" in README
        elif path.suffix == ".py" and path.name != "__init__.py":
            assert re.search(rf"`(serving/)?{path.name}`", README), path.name
