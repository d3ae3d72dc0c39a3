import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from annotator.cli import main
from annotator.results import best
from graph.merge import merge
from graph.pipeline import Pipeline
from tests import TASKS_FILE

VERSION = "0123456789ab"


@dataclass
class Stub:
    """What stands in for the service: its address, what it was asked, and what it is to answer first."""

    url: str
    asked: list[Any] = field(default_factory=list)
    failures: list[tuple[int, str, str]] = field(default_factory=list)  # status, type, message


@pytest.fixture
def stub(tiny_pipeline: Pipeline) -> Iterator[Stub]:
    """A service on a free port of this machine that answers by `tiny_pipeline`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tasks = [{"name": t.name, "labels": t.labels, "kind": t.kind, "rule": None} for t in tiny_pipeline.tasks]
            self.answer({"name": "annotator", "version": VERSION, "tasks": tasks, "status": "ready"})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            service.asked.append(body | {"key": self.headers.get("Authorization")})
            tasks = [task for task in tiny_pipeline.tasks if task.name in body["tasks"]]
            annotations = [
                {
                    "tokens": 3,
                    "truncated": False,
                    "tasks": {task: {"label": best(s), "scores": s} for task, s in row.items()},
                }
                for row in merge(tasks, tiny_pipeline.probabilities(body["inputs"]))
            ]
            self.answer({"model": {"name": "annotator", "version": VERSION}, "annotations": annotations})

        def answer(self, content: dict[str, Any]) -> None:
            status = 200
            if service.failures:
                status, kind, message = service.failures.pop(0)
                content = {"error": {"type": kind, "message": message}}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service = Stub(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield service
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process."""

    def run_(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        code = ended.value.code
        if isinstance(code, str):  # what Python itself would print
            return Ended(1, printed.out, f"{printed.err}{code}\n")
        return Ended(int(code or 0), printed.out, printed.err)

    return run_


@pytest.fixture
def annotate(run: Run, tiny_model: Path) -> Run:
    """Runs `annotator annotate` with the weights of `tiny_model`, unless a service is to be asked."""

    def annotate_(*arguments: object) -> Ended:
        weights = ["--model", tiny_model, "--tasks", TASKS_FILE, "--threads", 1]
        return run("annotate", *arguments, *([] if "--url" in arguments else weights))

    return annotate_
