"""`annotator annotate --url`: a service annotates."""

from pathlib import Path

import pytest

from annotator.errors import NoConnection
from annotator.exits import Exit, Failure, told_in_one_line
from graph.pipeline import Pipeline
from graph.tasks import load_tasks
from tests import TASKS_FILE
from tests.annotator.conftest import Run, Stub

FIRST = load_tasks(TASKS_FILE)[0].name


def write_lines(path: Path, count: int) -> list[str]:
    texts = [f"apple number {number}" for number in range(count)]
    path.write_text("\n".join(texts), "utf-8")
    return texts


def test_a_service_annotates_instead(run: Run, stub: Stub, tmp_path: Path, tiny_pipeline: Pipeline) -> None:
    texts = write_lines(tmp_path / "in.txt", 6)
    out = tmp_path / "out.tsv"
    options = ["-t", FIRST, "--url", stub.url, "--key", "k", "--batch", 4]
    ended = run("annotate", "-i", tmp_path / "in.txt", "-o", out, *options)
    assert ended.status == 0, ended.err
    labels = [max(answer[FIRST], key=answer[FIRST].__getitem__) for answer in tiny_pipeline(texts)]
    assert [line.split("\t")[:2] for line in out.read_text("utf-8").splitlines()[1:]] == [
        [text, label] for text, label in zip(texts, labels, strict=True)
    ]
    assert sorted(len(body["inputs"]) for body in stub.asked) == [2, 4]
    assert {body["key"] for body in stub.asked} == {"Bearer k"}
    assert all(body["tasks"] == [FIRST] for body in stub.asked)


@pytest.mark.parametrize(("options", "sent"), [([], [6, 64]), (["--batch", 100], [70])])
def test_a_request_has_as_many_texts_as_are_wished(
    run: Run, stub: Stub, tmp_path: Path, options: list[object], sent: list[int]
) -> None:
    write_lines(tmp_path / "in.txt", 70)
    assert run("annotate", "-i", tmp_path / "in.txt", "--url", stub.url, *options).status == 0
    assert sorted(len(body["inputs"]) for body in stub.asked) == sent


@pytest.mark.parametrize(
    ("status", "kind", "exit_status"), [(401, "unauthorized", 4), (422, "invalid_field", 4), (504, "deadline", 4)]
)
def test_what_a_service_refuses_is_one_line(run: Run, stub: Stub, status: int, kind: str, exit_status: int) -> None:
    stub.failures = [(status, kind, "it is refused")]
    ended = run("annotate", "hi", "--url", stub.url)
    assert (ended.status, ended.err) == (exit_status, "annotator: it is refused\n")


@pytest.mark.parametrize("option", ["--model", "--tasks", "--threads"])
def test_an_option_of_the_other_way_is_refused(run: Run, stub: Stub, tiny_model: Path, option: str) -> None:
    value = {"--model": tiny_model, "--tasks": TASKS_FILE, "--threads": 1}[option]
    ended = run("annotate", "hi", "--url", stub.url, option, value)
    assert (ended.status, ended.err) == (2, f"annotator: {option} goes without --url: the service has its own\n")
    assert stub.asked == []


def test_that_a_service_can_be_started_is_said_of_this_machine_alone(run: Run) -> None:
    ended = run("annotate", "hi", "--url", "http://127.0.0.1:9")
    assert (ended.status, ended.err.count("\n")) == (3, 1)
    assert "no service answers at http://127.0.0.1:9" in ended.err
    assert ended.err.endswith("; annotator serve starts one\n")
    with pytest.raises(Failure) as raised, told_in_one_line():
        raise NoConnection("http://elsewhere:8000", "refused")
    assert str(raised.value) == "no service answers at http://elsewhere:8000: refused"
    assert raised.value.status is Exit.NO_SERVICE
