import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.dialects import ORIGINAL
from benchmarks.load import LOADS, Load, put_load, read_result, utterances, write_bodies
from graph.tokenizer import Tokenizer
from serving.settings import Settings

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


def test_there_are_a_thousand_distinct_utterances_of_natural_lengths() -> None:
    texts = utterances()
    assert len(set(texts)) == len(texts) >= 1000
    assert all(text.strip() == text for text in texts)
    lengths = Tokenizer(Settings().model_path / "tokenizer.json", 512)(texts).lengths
    assert lengths.min() <= 5
    assert 8 <= sorted(lengths)[len(lengths) // 2] <= 14
    assert lengths.max() >= 25


def test_the_loads_are_those_of_the_tables() -> None:
    assert [load.name for load in LOADS] == ["1x1", "8x1", "32x1", "128x1", "4x32"]
    assert [str(load) for load in (LOADS[0], LOADS[-1])] == [
        "1 connection of 1 utterance",
        "4 connections of 32 utterances",
    ]


def test_each_text_comes_in_each_place_of_a_request(tmp_path: Path) -> None:
    write_bodies(tmp_path / "bodies", ["a", 'b "', "c"], 2, ORIGINAL.body)
    lines = (tmp_path / "bodies").read_text("utf-8").splitlines()
    assert [json.loads(line)["sentences"] for line in lines] == [["a", 'b "'], ['b "', "c"], ["c", "a"]]


def test_failed_requests_do_not_count_as_served() -> None:
    # Of the 25 errors 5 are broken connections, which are not among the 100 that were answered.
    line = '{"requests": 100, "seconds": 2, "p50_ms": 1.5, "p99_ms": 9, "errors": 25, "refused": 20}'
    served = read_result(f"Running 2s test\n{line}\n", Load(4, 32))
    assert (served.requests_s, served.utterances_s, served.errors) == (40, 1280, 25)
    assert (served.p50_ms, served.p99_ms) == (1.5, 9)


class Handler(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent, and fails where a sentence says so."""

    protocol_version = "HTTP/1.1"
    bodies: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.bodies.append(body)
        self.send_response(500 if "fail" in body else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    Handler.bodies = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as opened:
        thread = threading.Thread(target=opened.serve_forever)
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


@needs_wrk
def test_the_bodies_are_posted_in_turn_and_errors_are_counted(
    server: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    write_bodies(tmp_path / "bodies", ["one", "please fail", "three"], 1, ORIGINAL.body)
    url = f"http://127.0.0.1:{server.server_port}/model"
    served = put_load(url, tmp_path / "bodies", Load(1, 1), seconds=1)
    sent = [json.loads(body)["sentences"][0] for body in Handler.bodies]
    # wrk makes one request more than it sends, and so may begin with the second.
    assert sent[:4] in (["one", "please fail", "three", "one"], ["please fail", "three", "one", "please fail"])
    # wrk leaves a request unanswered when its time is up.
    assert abs(served.errors - sent.count("please fail")) <= 1
    assert served.p50_ms > 0


@needs_wrk
def test_a_load_that_cannot_be_put_says_why(tmp_path: Path) -> None:
    write_bodies(tmp_path / "bodies", ["one"], 1, ORIGINAL.body)
    with pytest.raises(ChildProcessError, match=r"^wrk ended with status 1: unable to connect to 127\.0\.0\.1:9"):
        put_load("http://127.0.0.1:9/model", tmp_path / "bodies", Load(1, 1), seconds=1)
