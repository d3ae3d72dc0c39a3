"""What the shipped weights must get right. The lines were labelled before they were first scored."""

import csv
import functools
from pathlib import Path

import numpy as np
import pytest

from graph.encoder import chosen_runtime
from graph.model_directory import INT8_ENCODER, ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from serving.settings import PROJECT, Settings
from tests.models import own_sets
from training.data import read_seen, text_hash
from training.recipe import Recipe

LINES = Path(__file__).parent / "chat_lines.tsv"

OBVIOUS = [
    ("i love you", "sentiment_classification", {"positive"}),
    ("i love you", "emotion_classification", {"joy"}),
    ("i hate you", "sentiment_classification", {"negative"}),
    ("where is montreal", "factoid_classification", {"is_factoid"}),
    ("let's talk about movies", "deeppavlov_topics", {"Movies&Tv"}),
    ("let's talk about movies", "cobot_topics", {"Movies_TV"}),
    ("let's talk about movies", "cobot_dialogact_topics", {"Entertainment_Movies"}),
    ("why are you such a fool", "emotion_classification", {"anger", "disgust"}),
    ("do you like dogs", "midas_classification", {"yes_no_question"}),
    ("what is the capital of france", "midas_classification", {"open_question_factual"}),
    ("tell me a joke about cats", "midas_classification", {"command"}),
]


@functools.cache
def shipped() -> Pipeline:
    model = ModelDirectory.open(Settings().model_path, Settings().tasks_path)
    model.verify()
    return load_pipeline(model)


@functools.cache
def seen() -> set[bytes]:
    return read_seen(PROJECT / f"{Settings().model}.seen")


def answer(text: str, task: str) -> str:
    scores = shipped()([text])[0][task]
    return max(scores, key=lambda label: scores[label])


def chat_lines() -> list[dict[str, str]]:
    with LINES.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.mark.parametrize(("text", "task", "labels"), OBVIOUS)
def test_an_obvious_case_is_right(text: str, task: str, labels: set[str]) -> None:
    assert answer(text, task) in labels


def test_an_insult_is_toxic_and_not_toxic_is_dropped() -> None:
    scores = shipped()(["why are you such a fool"])[0]["toxic_classification"]
    assert scores["not_toxic"] == 0
    assert sum(scores.values()) == pytest.approx(1, abs=1e-5)


def test_chat_lines_cover_every_task_and_none_was_trained_on() -> None:
    lines = chat_lines()
    labels = {task.name: task.labels for task in shipped().tasks}
    assert {line["task"] for line in lines} == set(labels)
    assert len(lines) >= 30
    assert all(line["label"] in labels[line["task"]] for line in lines)
    assert [line["text"] for line in lines if text_hash(line["text"]) in seen()] == []


def test_the_list_of_seen_lines_knows_a_training_line() -> None:
    assert len(seen()) > 100_000
    assert text_hash("Tell me a funny joke!") in seen()


def test_four_of_five_chat_lines_are_right() -> None:
    lines = chat_lines()
    wrong = [line for line in lines if answer(line["text"], line["task"]) != line["label"]]
    assert 1 - len(wrong) / len(lines) >= 0.8, wrong


def test_scores_do_not_depend_on_company() -> None:
    texts = [line["text"] for line in chat_lines()]
    pooled = shipped().pooled(texts)
    for row, text in enumerate(texts):
        alone = shipped().pooled([text])
        for head in shipped().heads.values():
            assert head.probabilities(alone)[0] == pytest.approx(head.probabilities(pooled)[row], abs=1e-5)


def test_the_shipped_model_says_where_it_comes_from() -> None:
    manifest = ModelDirectory.open(Settings().model_path, Settings().tasks_path).manifest
    assert {record["licence"] for record in manifest.data} - {""}
    for task in manifest.tasks:
        for split in ("valid", "test"):
            score = manifest.scores[split][task.name]["all"]
            assert score["rows"] > 500
            assert 0.5 < score["accuracy"] <= 1
    assert manifest.base_model["sha256"]


def test_weights_that_are_worse_than_those_before_are_noticed() -> None:
    manifest = ModelDirectory.open(Settings().model_path, Settings().tasks_path).manifest
    scores = [manifest.scores["test"][task.name] for task in manifest.tasks]
    assert np.mean([score["all"]["accuracy"] for score in scores]) >= 0.815
    assert np.mean([score["all"]["macro_f1"] for score in scores]) >= 0.785
    assert np.mean([score["written"]["accuracy"] for score in scores]) >= 0.89


def test_the_shipped_model_is_small() -> None:
    sizes = {file.name: file.stat().st_size for file in (PROJECT / Settings().model).iterdir()}
    assert sum(sizes.values()) <= 64_000_000
    assert sum(size for name, size in sizes.items() if name != INT8_ENCODER) <= 40_000_000


def test_eight_bits_answer_as_float32_does() -> None:
    texts = sorted({line["text"] for line in own_sets.read("chat.tsv")})
    model = ModelDirectory.open(Settings().model_path, Settings().tasks_path)
    assert chosen_runtime("auto", model) == "onnx-int8"
    exact, served = load_pipeline(model, "onnx").probabilities(texts), shipped().probabilities(texts)
    same = [np.mean(exact[task].argmax(axis=1) == served[task].argmax(axis=1)) for task in exact]
    assert np.mean(same) >= 0.98


@functools.cache
def own_results() -> dict[str, own_sets.Result]:
    return own_sets.results_of(shipped())


def test_no_line_of_the_own_sets_was_trained_on() -> None:
    lines = [line["text"] for name in ("chat", "toxicity", "everyday") for line in own_sets.read(f"{name}.tsv")]
    assert len(lines) > 1300
    assert [text for text in lines if text_hash(text) in seen()] == []


def test_the_own_sets_are_as_large_as_they_must_be() -> None:
    results = own_results()
    assert results["chat, all"].lines >= 400
    assert all(results[f"chat, {task.name}"].lines >= 40 for task in shipped().tasks)
    for task in shipped().tasks:
        assert {line["label"] for line in own_sets.read("chat.tsv") if line["task"] == task.name} == set(task.labels)
    assert sum(results[f"toxicity, {group}"].lines for group in own_sets.GROUPS) >= 400
    assert results["everyday"].lines >= 300
    assert len(own_sets.read("identity_terms.tsv")) >= 40


def test_own_chat_lines_are_right() -> None:
    assert own_results()["chat, all"].share >= 0.95


@pytest.mark.parametrize("group", own_sets.GROUPS)
def test_abuse_is_found_and_everything_else_left_alone(group: str) -> None:
    result = own_results()[f"toxicity, {group}"]
    assert result.share >= 0.9, result.wrong


@pytest.mark.parametrize(("part", "least"), [("everyday", 0.98), ("identity terms", 0.995)])
def test_harmless_lines_are_seldom_called_toxic(part: str, least: float) -> None:
    result = own_results()[part]
    assert result.share >= least, result.wrong


@pytest.mark.parametrize("name", ["full", "lite"])
def test_a_manifest_has_a_recipe_that_can_be_trained_by(name: str) -> None:
    manifest = ModelDirectory.open(PROJECT / "models" / name, Settings().tasks_path).manifest
    assert Recipe.model_validate(manifest.training).name == name
