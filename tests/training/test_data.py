import gzip
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from graph.tokenizer import Tokenizer
from tests.tiny import MARKED, ORIGINS, TASKS, WRITTEN, tiny_recipe, write_data, write_rows
from training.data import (
    NOT_ASKED,
    Row,
    TrainingBatch,
    draw,
    draw_epoch,
    read_rows,
    read_seen,
    read_training_rows,
    text_hash,
    write_seen,
)
from training.recipe import Recipe

TASK = TASKS[0]


def recipe(**settings: object) -> Recipe:
    return tiny_recipe(Path("unused"), **settings)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    written = [("Hello, you!", "sad", "template"), ("", "glad", WRITTEN), ("a\rb\u2028c 🎉", "calm", WRITTEN)]
    write_rows(tmp_path, TASK.name, "valid", written)
    assert read_rows(tmp_path, TASK, "valid") == [
        Row("Hello, you!", 1, "template"),
        Row("", 0, WRITTEN),
        Row("a\rb\u2028c 🎉", 2, WRITTEN),
    ]


def test_a_missing_split_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"{TASK.name}/train.tsv.gz"):
        read_rows(tmp_path, TASK, "train")


@pytest.mark.parametrize(
    "row", [("hello", "angry", WRITTEN), ("hello", "sad"), ("hello", "sad", WRITTEN, "more"), ("", "", ""), ("",)]
)
def test_a_wrong_row_is_an_error_with_file_and_line(tmp_path: Path, row: tuple[str, ...]) -> None:
    write_lines(tmp_path, ["text\tlabel\torigin", "hello\tsad\twritten", "\t".join(row), "hello\tsad\twritten"])
    with pytest.raises(ValueError, match=f"{TASK.name}/train.tsv.gz, line 3: .* a label of {TASK.name}"):
        read_rows(tmp_path, TASK, "train")


@pytest.mark.parametrize("header", ["", "hello\tsad\twritten", "label\ttext\torigin"])
def test_a_wrong_header_is_an_error_with_the_file(tmp_path: Path, header: str) -> None:
    write_lines(tmp_path, [header])
    with pytest.raises(ValueError, match=r"train.tsv.gz: the header must be"):
        read_rows(tmp_path, TASK, "train")


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-12], lambda _: b"plain text", lambda _: gzip.compress(b"text\xff")]
)
def test_a_broken_file_is_an_error_with_the_file(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = write_lines(tmp_path, ["text\tlabel\torigin"] + ["hello\tsad\twritten"] * 50)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"train.tsv.gz: not a whole file of UTF-8 text"):
        read_rows(tmp_path, TASK, "train")


def write_lines(data: Path, lines: Sequence[str]) -> Path:
    path = data / TASK.name / "train.tsv.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def test_rows_of_left_out_origins_are_not_trained_on(tmp_path: Path) -> None:
    write_data(tmp_path)
    rows_by_task = read_training_rows(tmp_path, TASKS, recipe(leave_out=["made_up"]))
    assert len(rows_by_task) == len(TASKS)
    for rows, task in zip(rows_by_task, TASKS, strict=True):
        assert rows == [row for row in read_rows(tmp_path, task, "train") if row.origin != "made_up"]
        assert {row.origin for row in rows} == set(ORIGINS) - {"made_up"}


def make_rows(sizes: Sequence[int], origin: str = "template") -> list[Row]:
    return [Row(f"{origin} {label} {i}", label, origin) for label, size in enumerate(sizes) for i in range(size)]


def test_classes_are_drawn_in_proportion_to_the_root_of_their_size() -> None:
    rows = make_rows([9000, 1000, 250])
    random = np.random.default_rng(1)
    drawn = Counter(row.label for _ in range(40) for row in draw_epoch(rows, 90, recipe(), random))
    assert drawn.total() == 40 * 90
    roots = np.sqrt([9000, 1000, 250])
    shares = np.array([drawn[label] for label in range(3)]) / drawn.total()
    np.testing.assert_allclose(shares, roots / roots.sum(), rtol=0.15)


@pytest.mark.parametrize(("balance", "shares"), [(0.0, [9000, 1000]), (1.0, [1, 1])])
def test_the_balance_of_classes_is_a_setting(balance: float, shares: list[int]) -> None:
    rows = make_rows([9000, 1000])
    random = np.random.default_rng(1)
    drawn = Counter(row.label for _ in range(40) for row in draw_epoch(rows, 90, recipe(class_balance=balance), random))
    assert drawn[0] / drawn.total() == pytest.approx(shares[0] / sum(shares), abs=0.05)


def test_a_task_can_have_a_number_of_rows_of_its_own(rows_by_task: list[list[Row]], tokenizer: Tokenizer) -> None:
    made = recipe(rows_per_task=10, rows={TASKS[1].name: 4}, repeat={})
    tasks = [task for task, _ in draw(rows_by_task, TASKS, tokenizer, made, epoch=0).rows]
    assert (tasks.count(0), tasks.count(1)) == (10, 4)


def test_own_lines_are_read_beside_the_data(tiny_data: Path, tmp_path: Path) -> None:
    (tmp_path / f"{TASKS[0].name}.tsv").write_text("text\tlabel\torigin\na line of my own\tsad\town\n", "utf-8")
    without = read_training_rows(tiny_data, TASKS, recipe())
    rows_by_task = read_training_rows(tiny_data, TASKS, recipe(lines=tmp_path))
    assert rows_by_task[0] == [*without[0], Row("a line of my own", 1, "own")]
    assert rows_by_task[1] == without[1]


def test_no_row_is_drawn_twice_and_few_rows_are_all_taken() -> None:
    rows = make_rows([50, 5])
    random = np.random.default_rng(1)
    few = draw_epoch(rows, 30, recipe(), random)
    assert len(few) == len(set(few)) == 30
    assert Counter(draw_epoch(rows, 100, recipe(), random)) == Counter(rows)


def test_every_row_of_a_repeated_origin_comes_that_often_and_beyond_the_rows_of_the_task() -> None:
    written, others = make_rows([4, 1], WRITTEN), make_rows([90, 10])
    drawn = Counter(draw_epoch(others + written, 20, recipe(repeat={WRITTEN: 3}), np.random.default_rng(1)))
    assert {row: drawn[row] for row in written} == dict.fromkeys(written, 3)
    assert sum(drawn[row] for row in others) == 20


@pytest.fixture(scope="module")
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return Tokenizer(tokenizer_file)


@pytest.fixture(scope="module")
def rows_by_task(tiny_data: Path) -> list[list[Row]]:
    return read_training_rows(tiny_data, TASKS, recipe())


def as_lists(batches: Sequence[TrainingBatch]) -> list[list[list[int]]]:
    return [
        [
            [task, label, *ids[mask == 1]]
            for ids, mask, task, label in zip(b.ids, b.mask, b.tasks, b.labels, strict=True)
        ]
        for b in batches
    ]


def batches_of(rows_by_task: list[list[Row]], tokenizer: Tokenizer, made: Recipe, epoch: int) -> list[TrainingBatch]:
    drawn = draw(rows_by_task, TASKS, tokenizer, made, epoch)
    return [drawn.batch(number) for number in range(len(drawn.batches))]


def test_the_order_of_an_epoch_is_a_function_of_seed_and_epoch_alone(
    rows_by_task: list[list[Row]], tokenizer: Tokenizer
) -> None:
    def order(seed: int, epoch: int) -> list[list[list[int]]]:
        return as_lists(batches_of(rows_by_task, tokenizer, recipe(seed=seed), epoch))

    later = order(seed=1, epoch=1)
    first = order(seed=1, epoch=0)
    assert order(seed=1, epoch=1) == later
    assert order(seed=1, epoch=0) == first
    assert first != later
    assert order(seed=2, epoch=0) != first


def test_an_epoch_has_as_many_batches_as_every_other(rows_by_task: list[list[Row]], tokenizer: Tokenizer) -> None:
    counts = {len(batches_of(rows_by_task, tokenizer, recipe(), epoch)) for epoch in range(5)}
    assert len(counts) == 1


def test_the_batches_of_an_epoch_hold_every_drawn_row_with_its_task_and_label(
    rows_by_task: list[list[Row]], tokenizer: Tokenizer
) -> None:
    everything = recipe(rows_per_task=1000, repeat={}, plain_share=0)
    batches = batches_of(rows_by_task, tokenizer, everything, epoch=0)
    assert {len(batch.tasks) for batch in batches[:-1]} <= {everything.batch_size, *range(1, everything.batch_size)}
    assert max(len(batch.tasks) for batch in batches) == everything.batch_size
    expected = [
        [t, row.label, *tokenizer([row.text]).ids.tolist()] for t, rows in enumerate(rows_by_task) for row in rows
    ]
    assert sorted(row for batch in as_lists(batches) for row in batch) == sorted(expected)


def test_a_batch_mixes_tasks(rows_by_task: list[list[Row]], tokenizer: Tokenizer) -> None:
    batches = batches_of(rows_by_task, tokenizer, recipe(), epoch=0)
    assert max(len(set(batch.tasks.tolist())) for batch in batches) == len(TASKS)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_rows_is_read_as_speech_recognition_would_write_them(tokenizer: Tokenizer, share: float) -> None:
    rows = [[Row("Dog.", 0, "template")] * 400]
    batches = batches_of(rows, tokenizer, recipe(rows_per_task=400, plain_share=share), epoch=0)
    with_full_stop, without = (tokenizer([text]).ids.tolist() for text in ("Dog.", "dog"))
    seen = Counter(tuple(row[2:]) for batch in as_lists(batches) for row in batch)
    assert set(seen) <= {tuple(with_full_stop), tuple(without)}
    assert seen[tuple(without)] / 400 == pytest.approx(share, abs=0.1)


def test_the_hash_of_a_text_ignores_case_and_punctuation() -> None:
    assert len(text_hash("Hello, World!")) == 8
    assert text_hash("Hello, World!") == text_hash("hello world") == text_hash("  HELLO - world?")
    assert text_hash("hello world") != text_hash("hello word")
    assert text_hash("half a pair: \ud83d") == text_hash("Half a pair \ud83d")


def test_a_text_that_was_trained_on_is_found_among_the_seen_ones(tmp_path: Path) -> None:
    path = tmp_path / "models" / "tiny.seen"
    rows = [[Row("Hello, you!", 0, WRITTEN), Row("hello you", 1, WRITTEN)], [Row("the dog", 0, WRITTEN)]]
    write_seen(path, rows)
    seen = read_seen(path)
    assert len(seen) == 2
    assert text_hash("HELLO you.") in seen
    assert text_hash("The dog?") in seen
    assert text_hash("the cat") not in seen


def write_marked(data: Path, *lines: str) -> None:
    path = data / MARKED.name / "train_multilabel.tsv.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress("\n".join(lines).encode()))


def test_rows_of_kind_multi_have_a_mark_a_label_in_the_order_of_the_task(tmp_path: Path) -> None:
    write_marked(
        tmp_path, "text\tstorm\tfire\torigin", "help\t1\t1\twritten", "calm\t0\t\twritten", "hot\t\t1\tmade_up"
    )
    assert read_rows(tmp_path, MARKED, "train") == [
        Row("help", 0, "written", (1, NOT_ASKED, 1)),
        Row("calm", 3, "written", (NOT_ASKED, NOT_ASKED, 0)),
        Row("hot", 0, "made_up", (1, NOT_ASKED, NOT_ASKED)),
    ]


@pytest.mark.parametrize("row", ["help\t2\twritten", "help\t1", "help\t1\t0\twritten", "help\tyes\twritten"])
def test_a_wrong_mark_is_an_error_with_file_and_line(tmp_path: Path, row: str) -> None:
    write_marked(tmp_path, "text\tfire\torigin", row)
    with pytest.raises(ValueError, match=r"train_multilabel.tsv.gz, line 2: .* 1, 0 or nothing for each label"):
        read_rows(tmp_path, MARKED, "train")


@pytest.mark.parametrize("header", ["text\tlabel\torigin", "text\torigin", "text\tfire"])
def test_a_header_without_labels_of_the_task_is_an_error(tmp_path: Path, header: str) -> None:
    write_marked(tmp_path, header)
    with pytest.raises(ValueError, match="the header must be text, labels of tiny_marks, origin"):
        read_rows(tmp_path, MARKED, "train")


def test_a_batch_of_both_kinds_has_marks_where_there_are_any(tokenizer: Tokenizer) -> None:
    rows = [make_rows([3, 3]), [Row("fire", 0, "template", (1, 0, NOT_ASKED))]]
    epoch = draw(rows, (TASK, MARKED), tokenizer, recipe(rows_per_task=100, batch_size=20), 0)
    batch = epoch.batch(0)
    assert batch.marks.shape == (7, 3)
    assert batch.marks[batch.tasks == 1].tolist() == [[1, 0, NOT_ASKED]]
    assert set(batch.marks[batch.tasks == 0].ravel()) == {NOT_ASKED}
