"""What is too big, too many or too slow for the real service, whatever the client says of it."""

import asyncio
import json
import select
import socket
import time

import httpx
import pytest

from serving.settings import Settings
from tests.e2e.conftest import Service
from tests.e2e.contract import chat_lines
from tests.faults.app import HANG, SLOW
from tests.faults.conftest import ARGUMENTS, Count, Figure
from tests.faults.load import PORT, post, put_load
from tests.faults.usage import memory_mb, processes

CHUNK = b"%x\r\n%b\r\n" % (1 << 16, b" " * (1 << 16))
TOO_MANY = ["a"] * (Settings().request_utterances + 1)
TOO_LONG = ["a" * (Settings().utterance_characters + 1)]


def answer_of(connection: socket.socket) -> tuple[int, str]:
    """Status and error type of an answer; HAProxy still waits for the rest of the request behind it."""
    answer = b""
    while not answer.endswith(b"}}"):
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(body)["error"]["type"]


def test_a_body_that_is_said_to_be_too_large_is_refused_before_it_is_sent(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", PORT), timeout=30) as connection:
        length = Settings().body_bytes + 1
        connection.sendall(b"POST /model HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length)
        assert answer_of(connection) == (413, "body_too_large")


def test_bodies_without_end_are_cut_before_memory_grows(service: Service, figure: Figure) -> None:
    replicas = processes("ray::ServeReplica:annotator:Ingress") + processes("haproxy")
    before = memory_mb(replicas)
    taken = []
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", PORT), timeout=30) as connection:
            connection.sendall(b"POST /model HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            sent = 0
            while sent < 10 * Settings().body_bytes and not select.select([connection], [], [], 0)[0]:
                connection.sendall(CHUNK)
                sent += 1 << 16
            assert connection.recv(12) == b"HTTP/1.1 413"
            taken.append(sent)
    grown = memory_mb(replicas) - before
    assert max(taken) < 2 * Settings().body_bytes
    assert grown < 5 * Settings().body_bytes / 1e6
    figure("too big", f"413 after {max(taken) / 1e6:.1f} MB at most of a body without end; {grown:+.0f} MB after ten")


@pytest.mark.parametrize("sentences", [TOO_MANY, TOO_LONG], ids=["too many", "too long"])
def test_too_many_or_too_long_utterances_are_refused(client: httpx.Client, sentences: list[str]) -> None:
    answer = client.post("/model", json={"sentences": sentences})
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "invalid_field")


def test_a_body_that_does_not_arrive_is_not_waited_for(service: Service, figure: Figure) -> None:
    body = post(chat_lines()[:1])
    with socket.create_connection(("127.0.0.1", PORT), timeout=30) as connection:
        connection.sendall(body[:-5])
        began = time.monotonic()
        assert answer_of(connection) == (408, "too_slow")
    seconds = time.monotonic() - began
    assert ARGUMENTS["body_seconds"] - 0.1 < seconds < ARGUMENTS["body_seconds"] + 5
    figure("too slow", f"408 after {seconds:.1f} s (body_seconds: {ARGUMENTS['body_seconds']})")


def test_the_deadline_is_ours_and_what_nobody_waits_for_is_not_computed(
    client: httpx.Client, figure: Figure, wrong_answers: Count
) -> None:
    # Behind the tokenizer, which takes longer than the deadline, an encoder would hang, and half of the load with it.
    headers = {"X-Request-Timeout-Seconds": "100", "X-Request-Disconnect-Disabled": "1"}
    began = time.monotonic()
    answer = client.post("/model", json={"sentences": [SLOW, HANG]}, headers=headers)
    seconds = time.monotonic() - began
    assert (answer.status_code, answer.json()["error"]["type"]) == (504, "deadline_exceeded")
    assert ARGUMENTS["deadline_seconds"] - 0.1 < seconds < ARGUMENTS["deadline_seconds"] + 5
    time.sleep(3)  # the tokenizer would be done by now
    record = asyncio.run(put_load([post([line]) for line in chat_lines()], 8, 5))
    assert set(record.statuses()) == {200}
    assert wrong_answers(record) == 0
    assert record.seconds(200)[-1] < 5
    figure(
        "deadline",
        f"504 after {seconds:.1f} s (deadline_seconds: {ARGUMENTS['deadline_seconds']}), whatever the client's headers "
        f"say; its utterance, at which an encoder hangs, reached none: {len(record.replies)} requests, 0 wrong",
    )
