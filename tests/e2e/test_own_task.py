"""A tenth task of one's own, without code: trained, served and asked for as a user does it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from annotator.client import Client
from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
from tests.e2e.browser import chromium
from tests.e2e.command_line import annotator, served, served_scores
from tests.e2e.conftest import URL
from tests.e2e.contract import TASKS as NINE
from tests.e2e.page.visit import annotations, ask, assert_bars_are, charts, labels, top, visiting

WISHES = {
    "order": ["i would like a large coffee", "can i get two slices of cake", "one pizza with olives please"],
    "book": ["book a table for two at eight", "is there a room free on sunday", "reserve two seats by the window"],
    "complain": ["my soup is cold", "nobody has served us for an hour", "this bill is wrong"],
}
WAYS = ("{}", "hello, {}", "{} thanks", "well, {}", "ok so {}")
ROWS = [(way.format(text), label) for label, texts in WISHES.items() for text in texts for way in WAYS]
TEXT = "please bring me one large coffee"


@dataclass(frozen=True)
class Grown:
    """A model directory with the task `wish` behind the nine, and its task file."""

    model: Path
    tasks: Path


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    """Trained and served."""
    folder = tmp_path_factory.mktemp("own")
    table, model, tasks = folder / "wishes.tsv", folder / "lite-wish", folder / "lite-wish.tasks.yaml"
    table.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS), "utf-8")
    last = annotator("train", "--head", "wish", table, "--out", model).splitlines()[-1]
    assert last == f"annotator serve --model {model} --tasks {tasks}"
    with served("--model", model, "--tasks", tasks):
        yield Grown(model, tasks)


def test_a_head_of_ones_own_is_served_in_every_route(grown: Grown) -> None:
    expected = load_pipeline(ModelDirectory.open(grown.model, grown.tasks))([TEXT])[0]["wish"]
    scores = served_scores(TEXT)
    assert list(scores) == [*(task.name for task in NINE), "wish"]
    assert scores["wish"] == pytest.approx(expected, abs=0.01)
    assert max(scores["wish"], key=lambda label: scores["wish"][label]) == "order"
    told = json.loads(annotator("status", "--json"))
    assert told["tasks"]["wish"] == 3
    (turn,) = httpx.post(f"{URL}/batch_model", json={"utterances_with_histories": [[TEXT]]}, timeout=30).json()
    assert turn["batch"][0]["wish"] == scores["wish"]
    infer = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]}]}
    outputs = httpx.post(f"{URL}/v2/models/annotator/infer", json=infer, timeout=30).json()["outputs"]
    (output,) = (output for output in outputs if output["name"] == "wish")
    assert output["shape"] == [1, 3]
    assert output["data"] == pytest.approx([*expected.values()], abs=1e-4)
    with Client(URL) as client:
        (annotation,) = client.annotate([TEXT], tasks=["wish"])
        assert client.tasks()[-1].labels == ("book", "complain", "order")
    assert annotation.tasks["wish"].label == "order"
    assert annotation.model.version == told["version"]


def test_texts_in_bulk_have_the_same_wishes_by_the_service_and_in_one_process(grown: Grown) -> None:
    texts = "\n".join(text for text, _ in ROWS)
    lines = [
        [json.loads(line) for line in annotator("annotate", "-", "--task", "wish", *way, stdin=texts).splitlines()]
        for way in (["--url", URL], ["--model", grown.model, "--tasks", grown.tasks])
    ]
    assert [line["text"] for line in lines[0]] == [text for text, _ in ROWS]
    for one, other in zip(*lines, strict=True):
        assert one["tasks"]["wish"]["label"] == other["tasks"]["wish"]["label"]
        assert one["tasks"]["wish"]["score"] == pytest.approx(other["tasks"]["wish"]["score"], abs=1e-4)


@pytest.mark.usefixtures("grown")
def test_the_page_shows_a_chart_of_the_tenth_task_that_can_be_chosen() -> None:
    with chromium() as browser, visiting(browser, URL) as visit:
        page = visit()
        expect(charts(page)).to_have_count(len(NINE) + 1)
        ask(page, TEXT)
        assert top(page) == labels(URL, TEXT)
        page.locator("summary").click()
        page.get_by_role("button", name="None").click()
        page.get_by_role("checkbox", name="Wish").check()
        another = "the soup was cold"
        answer = ask(page, another)
        assert answer.request.post_data_json == {"inputs": [another], "tasks": ["wish"]}
        expect(charts(page).get_by_role("heading")).to_have_text(["Wish"])
        expect(page.locator("summary")).to_have_text(f"Tasks 1 of {len(NINE) + 1}")
        assert_bars_are(charts(page), annotations(URL, [another])[0]["wish"]["scores"])
