from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from graph.encoder import Encoder
from graph.heads import Head
from graph.pipeline import Pipeline
from graph.tasks import load_tasks
from graph.tokenizer import Tokenizer
from tests import TASKS_FILE
from tests.tiny import MARKED, TASKS, VOCABULARY, write_data, write_rows
from training import evaluate
from training.data import Row
from training.evaluate import (
    Score,
    as_plain,
    main,
    mean_accuracy,
    mean_macro_f1,
    score_answers,
    score_rows,
    score_split,
    table,
)

MOOD, DANGER = TASKS
# One word a label: the pipeline below answers the label whose word the text has.
WORDS = ("apple", "bread", "cheese")


class Words:
    """A runtime that answers which of `WORDS` a row has."""

    hidden_size = len(WORDS)

    def run(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.stack([(ids == VOCABULARY.index(word)).any(axis=1) for word in WORDS], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def pipeline(tokenizer_file: Path) -> Pipeline:
    weight, bias = np.eye(len(WORDS), dtype=np.float32), np.zeros(len(WORDS), dtype=np.float32)
    heads = {task.name: Head(task, 5 * weight, bias) for task in TASKS}
    return Pipeline(TASKS, Tokenizer(tokenizer_file), Encoder(Words()), heads)


# Truth: glad glad sad calm. Answers: glad sad sad sad.
ROWS = [
    Row("an apple", 0, "written"),
    Row("bread", 0, "written"),
    Row("no bread", 1, "template"),
    Row("bread again", 2, "template"),
]


def test_scores_are_those_computed_by_hand(pipeline: Pipeline) -> None:
    scores = score_rows(pipeline, MOOD, ROWS)
    assert list(scores) == ["all", "template", "written"]
    assert {score.accuracy for score in scores.values()} == {0.5}
    # F1 of glad: precision 1, recall 1/2; of sad: precision 1/3, recall 1; of calm: 0.
    assert scores["all"].macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    # Of glad, and of sad, which is answered and never right; calm does not occur.
    assert scores["written"].macro_f1 == pytest.approx((2 / 3 + 0) / 2)
    # Of sad, and of calm, which is never answered.
    assert scores["template"].macro_f1 == pytest.approx((2 / 3 + 0) / 2)
    assert [score.rows for score in scores.values()] == [4, 2, 2]


def test_the_label_that_counts_is_the_one_after_the_rule(pipeline: Pipeline) -> None:
    even = Head(DANGER, np.zeros((3, 3), dtype=np.float32), np.log(np.array([0.3, 0.25, 0.45], dtype=np.float32)))
    ruled = Pipeline(TASKS, pipeline.tokenizer, pipeline.encoder, {DANGER.name: even})
    # Without the rule the last label would be on top.
    assert score_rows(ruled, DANGER, [Row("anything", 0, "written")])["all"].accuracy == 1


def test_scores_do_not_depend_on_the_chunks(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = score_rows(pipeline, MOOD, ROWS)
    monkeypatch.setattr(evaluate, "CHUNK_ROWS", 3)
    assert score_rows(pipeline, MOOD, ROWS) == whole


def test_every_task_of_a_split_is_scored_in_contract_order(pipeline: Pipeline, tmp_path: Path) -> None:
    write_data(tmp_path, rows=30)
    scores = score_split(pipeline, tmp_path, "valid")
    assert list(scores) == [task.name for task in TASKS]
    for by_origin in scores.values():
        assert by_origin["all"].rows == 30
        assert sum(score.rows for origin, score in by_origin.items() if origin != "all") == 30


def test_a_limit_picks_rows_from_the_whole_file(pipeline: Pipeline, tmp_path: Path) -> None:
    for task in TASKS:
        # The first half is answered rightly, the second wrongly.
        rows = [(WORDS[0], task.labels[0], "written")] * 50 + [(WORDS[0], task.labels[1], "written")] * 50
        write_rows(tmp_path, task.name, "test", rows)
    for score in (by_origin["all"] for by_origin in score_split(pipeline, tmp_path, "test", limit=10).values()):
        assert (score.rows, score.accuracy) == (10, 0.5)
    for score in (by_origin["all"] for by_origin in score_split(pipeline, tmp_path, "test", limit=1000).values()):
        assert score.rows == 100


SCORES = {
    "mood": {"all": Score(1234, 0.5, 0.25), "written": Score(34, 1.0, 0.123456)},
    "danger": {"all": Score(20, 0.75, 0.5)},
}


def test_means_are_over_tasks_and_not_over_rows() -> None:
    assert mean_accuracy(SCORES) == 0.625
    assert mean_macro_f1(SCORES) == 0.375


def test_the_table_has_a_line_a_task_and_origin_in_percent() -> None:
    assert [line.split() for line in table(SCORES).splitlines()] == [
        ["task", "/", "origin", "rows", "accuracy", "macro-F1"],
        ["mood", "1234", "50.0", "25.0"],
        ["written", "34", "100.0", "12.3"],
        ["danger", "20", "75.0", "50.0"],
        ["mean", "of", "the", "tasks", "62.5", "37.5"],
    ]
    assert len({len(line) for line in table(SCORES).splitlines()}) == 1, "columns are aligned"


def test_the_table_can_leave_the_origins_out() -> None:
    assert "written" not in table(SCORES, by_origin=False)


def test_plain_scores_have_four_decimals() -> None:
    assert as_plain(SCORES)["mood"] == {
        "all": {"rows": 1234, "accuracy": 0.5, "macro_f1": 0.25},
        "written": {"rows": 34, "accuracy": 1.0, "macro_f1": 0.1235},
    }


def test_the_program_prints_the_table_of_a_model_directory(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = load_tasks(TASKS_FILE)
    write_data(tmp_path, tasks)
    main([str(tiny_model), str(tmp_path), "--tasks", str(TASKS_FILE), "--threads", "1"])
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines() if not line.startswith(" ")] == [
        "task",
        *(task.name for task in tasks),
        "mean",
    ]


def test_scores_of_kind_multi_are_those_computed_by_hand() -> None:
    marks = [(1, 0, -1), (1, 1, -1), (0, -1, -1), (1, 0, -1)]
    rows = [Row("x", 0, "written", row) for row in marks]
    yes = np.array([[0.9, 0.7, 0.9], [0.2, 0.6, 0.1], [0.4, 0.9, 0.1], [0.5, 0.1, 0.1]], dtype=np.float32)
    score = score_answers(MARKED, rows, yes)["all"]
    assert score.accuracy == pytest.approx(5 / 7)
    # fire: two of three found, none wrongly; flood: the one found, and one wrongly; storm was never asked for.
    assert score.f1 == pytest.approx({"fire": 0.8, "flood": 2 / 3})
    assert score.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert as_plain({"marks": {"all": score}})["marks"]["all"]["f1"] == {"fire": 0.8, "flood": 0.6667}
    printed = [line.split() for line in table({"marks": {"all": score}}).splitlines()]
    assert printed[1:4] == [["marks", "4", "71.4", "73.3"], ["F1", "of", "fire", "80.0"], ["F1", "of", "flood", "66.7"]]


def test_a_wrong_path_is_told_in_one_line(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="cannot evaluate: no model directory at"):
        main([str(tmp_path / "none"), str(tmp_path)])
    with pytest.raises(SystemExit, match="cannot evaluate: "):
        main([str(tiny_model), str(tmp_path / "none")])
