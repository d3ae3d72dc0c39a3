import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import running as running_module
from benchmarks.answers import Examination, WrongAnswers
from benchmarks.compare import parse
from benchmarks.contestants import CONTESTANTS, OURS, SAME_FILE, Contestant, surroundings
from benchmarks.dialects import INFERENCE_PROTOCOL, ORIGINAL
from benchmarks.environments import PEERS, pinned
from benchmarks.processes import marked
from benchmarks.running import NotStarted, Running, running
from graph.pipeline import Pipeline
from serving.settings import PROJECT
from tests import TASKS_FILE

# Answers as the original does, with the pipeline of a model directory; a mistake, if asked for.
SERVER = """
import http.server, json, sys
from pathlib import Path
from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline

port, model, tasks, mistake = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])
pipeline = load_pipeline(ModelDirectory.open(model, tasks))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        sentences = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["sentences"]
        annotations = [
            {task: {label: round(p, 2) + mistake for label, p in scores.items()} for task, scores in one.items()}
            for one in pipeline(sentences)
        ]
        body = json.dumps(annotations).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
TEXTS = ["i love you", "who painted it", ""]


def contestant(model: Path, port: int, mistake: float = 0) -> Contestant:
    command = (sys.executable, "-c", SERVER, str(port), model, TASKS_FILE, str(mistake))
    variables = {"PYTHONPATH": str(PROJECT)}
    return Contestant("test", "a test", command, f"http://127.0.0.1:{port}/model", variables=variables, model=model)


@pytest.fixture(scope="module")
def service(tiny_model: Path) -> Iterator[Running]:
    with running(contestant(tiny_model, free_port())) as started:
        yield started


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_every_peer_has_a_server_and_every_package_a_version() -> None:
    for one in CONTESTANTS.values():
        if one.environment is not None:
            assert pinned(one.environment).is_file()
    for path in PEERS.glob("*/requirements.txt"):
        for line in path.read_text("utf-8").splitlines():
            assert re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", line), (path, line)


def test_ours_are_started_as_a_user_does_it() -> None:
    for name in OURS:
        make, serve, config = CONTESTANTS[name].command
        assert (make, serve) == ("make", "serve")
        assert (PROJECT / str(config).removeprefix("CONFIG=")).is_file()


def test_groups_name_contestants() -> None:
    assert {*OURS, *SAME_FILE} <= CONTESTANTS.keys()
    assert parse([]).contestants == [*CONTESTANTS, "floor"]


def test_a_peer_sees_no_python_but_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    found = surroundings(CONTESTANTS["litserve"])
    assert "PYTHONHOME" not in found
    assert found["PYTHONPATH"] == str(PROJECT)
    assert found["PATH"].split(os.pathsep)[0].endswith("runs/peers/litserve/bin")


def test_tensors_are_read_row_by_row(tiny_pipeline: Pipeline) -> None:
    expected = tiny_pipeline(TEXTS)
    outputs = [
        {"name": name, "shape": list(scores.shape), "data": scores.ravel().tolist()}
        for name, scores in tiny_pipeline.probabilities(TEXTS).items()
    ]
    assert INFERENCE_PROTOCOL.read({"outputs": outputs}, tiny_pipeline.tasks) == expected
    (text,) = json.loads(INFERENCE_PROTOCOL.body(TEXTS))["inputs"]
    assert (text["shape"], text["data"]) == ([3, 1], TEXTS)
    assert ORIGINAL.read(expected, tiny_pipeline.tasks) == expected


def test_right_answers_pass(service: Running) -> None:
    assert 0 < Examination(service.contestant, TEXTS).hold() <= 0.0051
    assert service.started_s > 0
    assert sum(used.processes for used in service.usage().values()) == 1


def test_a_score_that_is_off_is_found(tiny_model: Path) -> None:
    with (
        running(contestant(tiny_model, free_port(), mistake=0.02)) as started,
        pytest.raises(WrongAnswers, match=r"differs by 0\.0[12]"),
    ):
        Examination(started.contestant, TEXTS).hold()


def test_nothing_of_a_contestant_is_left(tiny_model: Path) -> None:
    with running(contestant(tiny_model, free_port())) as started:
        assert len(marked(started.mark)) == 1
    assert marked(started.mark) == []


def test_one_that_ends_by_itself_is_told_with_its_log() -> None:
    broken = Contestant("broken", "broken", (sys.executable, "-c", "print('no'); exit(3)"))
    with pytest.raises(NotStarted, match="broken ended with status 3; see"), running(broken):
        pass
    assert (running_module.LOGS / "broken.log").read_text() == "no\n"


def test_answers_of_somebody_else_are_not_measured(service: Running) -> None:
    with pytest.raises(NotStarted, match="somebody listens at"), running(service.contestant):
        pass
