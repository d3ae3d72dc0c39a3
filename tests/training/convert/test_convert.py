"""Each published format on a small sample, made up here in its shape."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from graph.tasks import load_tasks
from tests import TASKS_FILE
from training.convert.__main__ import convert, main
from training.convert.examples import Example, split_examples
from training.convert.form import form_names, load_form
from training.data import Row, Split, read_rows

TASKS = {task.name: task for task in load_tasks(TASKS_FILE)}


def write(folder: Path, name: str, *lines: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n", "utf-8")


def converted(name: str, source: Path, out: Path, split: Split = "train") -> list[tuple[str, str, str]]:
    """Text, label and origin of the rows of a split, as the trainer reads them."""
    if not out.exists():
        convert(name, source, out, TASKS_FILE)
    task = TASKS[load_form(name).task]
    rows: Sequence[Row] = read_rows(out, task, split)
    return [(row.text, task.labels[row.label], row.origin) for row in rows]


def texts(rows: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    return {text: label for text, label, _ in rows}


@pytest.mark.parametrize("name", form_names())
def test_a_format_has_labels_of_its_task_and_each_of_theirs_once(name: str) -> None:
    form = load_form(name)
    form.check(TASKS[form.task])
    theirs = [label for group in form.labels.values() for label in group]
    assert len(theirs) == len(set(theirs))
    assert set(form.names) <= set(theirs)


def test_goemotions_from_numbers(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(
        source, "train.tsv", 'so "good"\t17\tid1', "what a mess\t3,9\tid2", "love it, thanks\t18,15\tid3", "ok\t27\tid4"
    )
    write(source, "dev.tsv", "oh no\t14\tid5")
    write(source, "test.tsv", "is it\t7\tid6", "ok\t27\tid7")
    out = tmp_path / "out"
    # Two labels of ours leave no single one; two of theirs that are one of ours do.
    assert texts(converted("goemotions", source, out)) == {'so "good"': "joy", "love it, thanks": "joy"}
    assert texts(converted("goemotions", source, out, "valid")) == {"oh no": "fear"}
    assert converted("goemotions", source, out, "test") == [
        ("is it", "surprise", "goemotions"),
        ("ok", "neutral", "goemotions"),
    ]


def test_goemotions_from_a_row_a_rater(tmp_path: Path) -> None:
    names = load_form("goemotions").names

    def row(text: str, key: str, *chosen: str) -> str:
        return ",".join([text, key, "author", *("1" if name in chosen else "0" for name in names)])

    write(
        tmp_path / "source",
        "goemotions_1.csv",
        ",".join(["text", "id", "author", *names]),
        row("so sad", "a", "grief"),
        row("so sad", "a", "grief", "love"),
        row("split", "b", "joy"),
        row("split", "b", "anger"),
        *(row(f"fine {i}", f"c{i}", "neutral") for i in range(60) for _ in range(2)),
    )
    found = {
        text: label
        for split in ("train", "valid", "test")
        for text, label, _ in converted("goemotions", tmp_path / "source", tmp_path / "out", split)
    }
    assert len(found) == 61
    assert found["so sad"] == "sadness"
    assert "split" not in found


def test_dynasent_of_both_rounds(tmp_path: Path) -> None:
    def line(text: str, label: str | None) -> str:
        return json.dumps({"hit_ids": ["x"], "sentence": text, "gold_label": label, "text_id": "r1"})

    source = tmp_path / "source"
    write(source, "dynasent-v1.1-round01-yelp-train.jsonl", line("good\nfood", "positive"), line("so so", "mixed"))
    write(source, "dynasent-v1.1-round02-dynabench-train.jsonl", line("bad food", "negative"), line("hm", None))
    write(source, "dynasent-v1.1-round01-yelp-dev.jsonl", line("it is food", "neutral"))
    write(source, "dynasent-v1.1-round02-dynabench-test.jsonl", line("food came late", "negative"))
    out = tmp_path / "out"
    assert converted("dynasent", source, out) == [
        ("good food", "positive", "dynasent"),
        ("bad food", "negative", "dynasent"),
    ]
    assert texts(converted("dynasent", source, out, "valid")) == {"it is food": "neutral"}
    assert texts(converted("dynasent", source, out, "test")) == {"food came late": "negative"}


def everything(name: str, source: Path, out: Path) -> dict[str, str]:
    splits: tuple[Split, ...] = ("train", "valid", "test")
    return {text: label for split in splits for text, label, _ in converted(name, source, out, split)}


def marks(out: Path, task: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for path in sorted((out / task).glob("*_multilabel.tsv.gz")):
        header, *rows = gzip.decompress(path.read_bytes()).decode().splitlines()
        for row in rows:
            fields = dict(zip(header.split("\t"), row.split("\t"), strict=True))
            found[fields.pop("text")] = fields
    return found


def test_jigsaw_with_yes_and_no(tmp_path: Path) -> None:
    write(
        tmp_path / "source",
        "train.csv",
        "id,comment_text,toxic,severe_toxic,obscene,threat,insult,identity_hate",
        '1,"you ""fool"", you\nreally",1,0,0,0,1,0',
        "2,i will find you,1,0,0,1,0,0",
        "3,nice page,0,0,0,0,0,0",
        "4,thanks for the help,0,0,0,0,0,0",
    )
    assert everything("jigsaw", tmp_path / "source", tmp_path / "out") == {
        'you "fool", you really': "insult",
        "i will find you": "threat",
        "nice page": "not_toxic",
        "thanks for the help": "not_toxic",
    }
    asked = marks(tmp_path / "out", load_form("jigsaw").task)
    assert asked["i will find you"] == {
        "identity_hate": "0",
        "insult": "0",
        "obscene": "0",
        "severe_toxic": "0",
        "threat": "1",
        "toxic": "1",
        "origin": "jigsaw_wikipedia",
    }


def test_jigsaw_with_shares_of_raters(tmp_path: Path) -> None:
    write(
        tmp_path / "source",
        "train.csv",
        "id,target,comment_text,severe_toxicity,obscene,identity_attack,insult,threat,sexual_explicit,male",
        "1,0.8,dirty talk,0.0,0.2,0.0,0.1,0.0,0.5,",
        "2,0.49,hm,0.0,0.2,0.0,0.4,0.0,0.0,0.0",
        "3,0.7,those people,0.0,0.0,0.9,0.6,0.1,0.0,0.0",
    )
    assert everything("jigsaw_unintended_bias", tmp_path / "source", tmp_path / "out") == {
        "dirty talk": "sexual_explicit",
        "hm": "not_toxic",
        "those people": "identity_hate",
    }
    asked = marks(tmp_path / "out", load_form("jigsaw").task)
    assert [asked["those people"][label] for label in ("identity_hate", "insult", "toxic", "threat")] == list("1110")


def test_midas(tmp_path: Path) -> None:
    source = tmp_path / "source" / "da_data"
    write(
        source,
        "train.txt",
        "did you know that : yes > i did ## pos_answer;",
        "do you like cats : EMPTY > yes tell me more ## pos_answer;command;",
        "hi : EMPTY > um ## abandon;",
        "is a > b : well > who is that ## open_question_factual",
    )
    write(source, "dev.txt", "hello : EMPTY > play music ## command;")
    found = everything("midas", source.parent, tmp_path / "out")
    assert found == {"i did": "pos_answer", "who is that": "open_question_factual", "play music": "command"}


def test_yahoo(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write(
        source, "train_sber.csv", "Title,Label", "who was nero?,informational", '"do you, like, dream?",conversational'
    )
    write(source, "valid_sber.csv", "Title,Label", "am i odd?,conv")
    write(source, "test_sber.csv", "Title,Label", "when is easter?,info", "and this?,other")
    out = tmp_path / "out"
    assert texts(converted("yahoo", source, out)) == {
        "who was nero?": "is_factoid",
        "do you, like, dream?": "is_conversational",
    }
    assert texts(converted("yahoo", source, out, "valid")) == {"am i odd?": "is_conversational"}
    assert texts(converted("yahoo", source, out, "test")) == {"when is easter?": "is_factoid"}


def test_topics(tmp_path: Path) -> None:
    source = tmp_path / "source" / "dp_topics_downsampled_data"
    write(source, "train.csv", "text,topic", "my cake sank,Food", "a book on mars,Books&Literature;Space")
    write(source, "valid.csv", "text,topic", "mars is near,Space")
    out = tmp_path / "out"
    assert texts(converted("topics", source.parent, out)) == {"my cake sank": "Food"}
    assert texts(converted("topics", source.parent, out, "valid")) == {"mars is near": "Space"}
    assert converted("topics", source.parent, out, "test") == []


def test_missing_splits_are_a_tenth_of_train_each_and_no_text_stands_in_two() -> None:
    examples: list[tuple[Split, Example]] = [("train", Example(f"line {i}", "x")) for i in range(2000)]
    splits = split_examples([*examples, *(("train", Example(f"LINE {i}!", "y")) for i in range(2000))])
    assert sum(len(group) for group in splits.values()) == 2000
    assert len({example.text for group in splits.values() for example in group}) == 2000
    assert all(150 < len(splits[split]) < 250 for split in ("valid", "test"))
    again = split_examples(reversed(examples))
    assert {e.text for e in again["test"]} == {e.text for e in splits["test"]}


def test_a_text_that_is_held_out_is_not_trained_on() -> None:
    splits = split_examples(
        [("train", Example("A dog.", "x")), ("train", Example("a cat", "x")), ("test", Example("a dog", "y"))]
    )
    assert [e.text for e in splits["test"]] == ["a dog"]
    assert "A dog." not in {e.text for e in splits["train"] + splits["valid"]}


def test_the_program_says_what_it_wrote_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "source", "train.csv", "text,topic", *(f"cake {i},Food" for i in range(40)))
    arguments = ["topics", str(tmp_path / "source"), str(tmp_path / "out"), "--tasks", str(TASKS_FILE)]
    main(arguments)
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in printed] == ["train", "valid", "test"]
    assert printed[0].endswith(f"Food {printed[0].split()[1]}")
    with pytest.raises(SystemExit, match=r"^cannot convert: .*train\.tsv\.gz is there already$"):
        main(arguments)


@pytest.mark.parametrize(
    ("name", "file", "content", "says"),
    [
        ("topics", "other.csv", "text,topic", "has no train.csv"),
        ("topics", "train.csv", "text,label\na,Food", "no column topic"),
        ("topics", "train.csv", "text,topic\na,Food,b", "line 2: not as many fields"),
        ("topics", "train.csv", "text,topic\na,Fud", "no row with a label"),
        ("midas", "train.txt", "no shape", "line 1: not of the shape"),
        ("goemotions", "train.tsv", "text\t99\tid", "line 1: not a text and numbers"),
        ("dynasent", "dynasent-v1-train.jsonl", '{"sentence": "a"}', "line 1: no JSON with"),
        ("jigsaw_unintended_bias", "train.csv", "id,comment_text\n1,a", "no column"),
    ],
)
def test_a_source_of_another_shape_is_one_line(tmp_path: Path, name: str, file: str, content: str, says: str) -> None:
    write(tmp_path / "source", file, content)
    with pytest.raises(SystemExit) as caught:
        main([name, str(tmp_path / "source"), str(tmp_path / "out"), "--tasks", str(TASKS_FILE)])
    assert str(caught.value.code).startswith("cannot convert: ")
    assert says in str(caught.value.code)
    assert "\n" not in str(caught.value.code)
    assert not (tmp_path / "out").exists()


def test_labels_that_the_task_file_lacks_are_refused(tmp_path: Path) -> None:
    tasks_file = tmp_path / "tasks.yaml"
    name = load_form("topics").task
    tasks_file.write_text(f"tasks: [{{name: {name}, kind: single, labels: [Food, Rest]}}]", "utf-8")
    write(tmp_path / "source", "train.csv", "text,topic", "cake,Food")
    with pytest.raises(ValueError, match=f"task {name} has no label"):
        convert("topics", tmp_path / "source", tmp_path / "out", tasks_file)
    with pytest.raises(ValueError, match="has no task"):
        convert("dynasent", tmp_path / "source", tmp_path / "out", tasks_file)
