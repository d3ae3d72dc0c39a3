"""Faults against the real service, a figure each."""

import asyncio
import json
import os
import random
import signal
import socket
import time
from collections import Counter

import httpx
import pytest

from serving.lifecycle.processes import our_processes
from tests.e2e.conftest import URL, Service
from tests.e2e.contract import assert_contract, chat_lines
from tests.e2e.processes import commands
from tests.faults.app import HANG, POISON
from tests.faults.conftest import Count, Figure
from tests.faults.load import PORT, Record, percentile, post, put_load, send_once
from tests.faults.usage import memory_mb, open_files, processes, pss_mb

LINES = chat_lines()
REQUESTS = [post([line]) for line in LINES]
ROUTES = [
    "/model", "/batch_model", "/v1/annotate", "/v1/tasks", "/v1/model", "/v2", "/v2/health/live", "/v2/health/ready",
    "/v2/models/annotator", "/v2/models/annotator/ready", "/v2/models/annotator/infer", "/health", "/ready", "/metrics",
    "/", "/page/1/page.js", "/docs", "/docs/x", "/openapi.json",
]  # fmt: skip
HEADERS = [
    "A: b", "Content-Type: text/x", "X-Request-Timeout-Seconds: -1", "X-Request-Id: \xff", "Expect: 200-maybe",
    "Inference-Header-Content-Length: 7", "Inference-Header-Content-Length: -1", "Accept-Encoding: \x01",
]  # fmt: skip


def seconds_until_answers(client: httpx.Client, least: int = 10, patience: float = 120) -> float:
    """Until so many requests in a row are answered, without the time of those."""
    began = good_since = time.monotonic()
    good = 0
    while good < least:
        assert time.monotonic() - began < patience
        try:
            status = client.post("/model", json={"sentences": ["hello"]}, timeout=15).status_code
        except httpx.TransportError:
            status = 0
        if status != 200:
            good, good_since = 0, time.monotonic()
        else:
            good += 1
    return good_since - began


def test_poison_fails_alone(client: httpx.Client, figure: Figure, wrong_answers: Count) -> None:
    async def ask() -> tuple[list[int], Record]:
        load = asyncio.create_task(put_load(REQUESTS, 16, 5))
        poisoned = []
        async with httpx.AsyncClient(base_url=URL, timeout=60) as asking:
            for _ in range(20):
                poisoned.append((await asking.post("/model", json={"sentences": ["fine", POISON]})).status_code)
        return poisoned, await load

    poisoned, record = asyncio.run(ask())
    assert set(poisoned) == {500}
    assert set(record.statuses()) == {200}
    assert wrong_answers(record) == 0
    figure("poison", f"{len(poisoned)} poisoned requests: 500 each; {len(record.replies)} batchmates: 200, 0 wrong")


def fuzzed(count: int) -> list[bytes]:
    """Requests that are wrong in many ways, always the same ones."""
    chance = random.Random(8)
    paths = [*ROUTES, "/nothing", "/%ff", "/model?a=%00", "/v2/models/x/infer", "/page/../serve_config.yaml"]
    seeds = [
        b'{"sentences": ["hi"]}', b'{"inputs": "hi", "top_k": 2}', b'{"utterances_with_histories": [["a"]]}',
        b"[" * 2000, b'{"a":' * 2000, b"\xff\xfe\x00", '{"sentences": ["ü"]}'.encode("utf-16"), b"NaN", b"1e999",
        b'{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["hi"]}], "outputs": []}',
        b'{"sentences": ["\\ud800"]}', b'{"sentences": [1, null, {}]}', b'{"inputs": ["hi"], "threshold": "x"}', b"",
    ]  # fmt: skip
    requests = []
    for _ in range(count):
        body = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(4)):
            if body:
                body[chance.randrange(len(body))] = chance.randrange(256)
        body *= chance.choice((1, 1, 1, 50))
        method = chance.choice(("POST", "POST", "POST", "PUT", "GET", "GET", "DELETE", "PATCH", "OPTIONS"))
        header = chance.choice(HEADERS)
        head = f"{method} {chance.choice(paths)} HTTP/1.1\r\nHost: a\r\n{header}\r\nContent-Length: {len(body)}\r\n\r\n"
        requests.append(head.encode("latin-1") + body)
    return requests


def test_bad_input(service: Service, figure: Figure, long: bool, wrong_answers: Count) -> None:
    count = 6000 if long else 600
    bad = fuzzed(count)

    async def ask() -> tuple[Record, Record]:
        good = asyncio.create_task(put_load(REQUESTS, 1, 5, pause=0.1))
        sent = Record()
        for start in range(0, count, 40):
            sent.replies += (await send_once(bad, range(start, start + 40))).replies
        return sent, await good

    record, good = asyncio.run(ask())
    statuses = record.statuses()
    assert len(record.replies) == count
    assert all(0 < status < 500 for status in statuses), statuses
    assert set(good.statuses()) == {200}
    assert wrong_answers(good) == 0
    figure("bad input", f"{count} bodies: {dict(sorted(statuses.items()))}; 0 5xx, 0 dropped; good ones right")


@pytest.mark.parametrize(
    "smuggled",
    [
        b"POST /model HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /",
        b"POST /model HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}    ",
        b"POST /model HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        b"POST /model HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}",
        b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
    ],
    ids=["both lengths", "two lengths", "two encodings", "signed length", "large head"],
)
def test_smuggling_and_large_heads_are_refused(service: Service, smuggled: bytes) -> None:
    with socket.create_connection(("127.0.0.1", PORT), timeout=30) as connection:
        connection.sendall(smuggled)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501"))


def test_clients_gone(client: httpx.Client, figure: Figure, long: bool) -> None:
    count = 10_000 if long else 1_000
    assert seconds_until_answers(client) < 60
    watched = processes("ray::ServeReplica") + processes("haproxy")
    before, files = memory_mb(watched), open_files(watched)
    body = post(["a line that nobody waits for " * 3] * 8)
    for start in range(0, count, 100):
        connections = [socket.create_connection(("127.0.0.1", PORT), timeout=30) for _ in range(100)]
        for i, connection in enumerate(connections):
            connection.sendall(body if (start + i) % 2 else body[: len(body) // 2])
        for connection in connections:
            connection.close()
    recovered = seconds_until_answers(client)
    time.sleep(3)
    grown, more_files = memory_mb(watched) - before, open_files(watched) - files
    assert recovered < 60
    assert more_files < 100
    assert grown < 0.2 * before + 50
    figure(
        "clients gone",
        f"{count} dropped: normal after {recovered:.1f} s, {more_files:+d} files, {grown:+.0f} MB of {before:.0f} MB",
    )


def test_overload(client: httpx.Client, figure: Figure, long: bool) -> None:
    seconds = 60 if long else 10
    service = processes("ray::ServeReplica") + processes("haproxy")
    # Of eight utterances each, so that asking costs little beside answering.
    requests = [post([line] * 8) for line in LINES]
    full = asyncio.run(put_load(requests, 64, 10 if long else 5))
    assert set(full.statuses()) <= {200, 503}
    capacity = full.statuses()[200] / (10 if long else 5)
    before = memory_mb(service)
    # Each connection asks again 1 / rate after an answer: together four times what the service can do.
    over = asyncio.run(put_load(requests, 256, seconds, pause=256 / (4 * capacity)))
    recovered = seconds_until_answers(client)
    grown = memory_mb(service) - before
    refused = [reply for reply in over.replies if reply.status == 503]
    assert set(over.statuses()) <= {200, 503}
    assert over.statuses()[200]
    for reply in refused:
        assert "retry-after: " in reply.head
        assert json.loads(reply.body)["error"]["type"] == "overloaded"
    calm, admitted, turned_away = (
        percentile(ordered, 0.99) for ordered in (full.seconds(200), over.seconds(200), over.seconds(503))
    )
    assert recovered < 60
    assert grown < 0.5 * before + 100
    figure(
        "overload",
        f"capacity {capacity:.0f}/s; {seconds} s of 4 x: {over.statuses()[200]} admitted, {len(refused)} refused; "
        f"p99 {1000 * calm:.0f} ms at full load, {1000 * admitted:.0f} ms admitted; refused within "
        f"{1000 * percentile(over.seconds(503), 0.5):.0f} ms (p50), {1000 * turned_away:.0f} ms (p99); "
        f"normal after {recovered:.1f} s; {grown:+.0f} MB",
    )


KILLED = {
    "ingress": "ray::ServeReplica:annotator:Ingress",
    "tokenizer": "ray::ServeReplica:annotator:Tokenizer",
    "encoder": "ray::ServeReplica:annotator:Encoder",
    "head": "ray::ServeReplica:annotator:Head_",
    "controller": "ray::ServeController",
    "proxy": "haproxy",
}


@pytest.mark.parametrize(
    "kind", [kind if kind == "encoder" else pytest.param(kind, marks=pytest.mark.long_faults) for kind in KILLED]
)
def test_kill_9(client: httpx.Client, figure: Figure, wrong_answers: Count, kind: str) -> None:
    assert seconds_until_answers(client) < 60

    async def ask() -> tuple[float, Record]:
        load = asyncio.create_task(put_load(REQUESTS, 8, 12))
        await asyncio.sleep(2)
        killed = time.monotonic()
        os.kill(processes(KILLED[kind])[0], signal.SIGKILL)
        return killed, await load

    killed, record = asyncio.run(ask())
    assert seconds_until_answers(client, patience=180) < 180
    lost = [reply for reply in record.replies if reply.status != 200]
    back = max((reply.sent + reply.seconds - killed for reply in lost), default=0.0)
    assert wrong_answers(record) == 0
    assert len(lost) < len(record.replies)
    how = f" ({dict(Counter(reply.status for reply in lost))})" if lost else ""
    figure(
        f"kill -9 {kind}", f"{len(record.replies)} requests, 0 wrong, {len(lost)} lost{how}; again after {back:.1f} s"
    )


@pytest.mark.long_faults
def test_a_replica_that_hangs_is_replaced(client: httpx.Client, figure: Figure) -> None:
    before = set(processes(KILLED["encoder"]))
    began = time.monotonic()
    assert client.post("/model", json={"sentences": [HANG]}).status_code == 504
    while set(processes(KILLED["encoder"])) & before == before:
        assert time.monotonic() - began < 120
        time.sleep(0.2)
    ended = time.monotonic() - began
    recovered = seconds_until_answers(client, patience=180)
    figure("hang", f"ended after {ended:.1f} s, all well {recovered:.1f} s later")


def test_soak(service: Service, figure: Figure, long: bool, wrong_answers: Count) -> None:
    # What is filled once, such as Ray's tables of metrics, is full after some minutes.
    warm_up, seconds = (180, 1200) if long else (10, 120)
    asyncio.run(put_load(REQUESTS, 8, warm_up, pause=0.02))
    before = pss_mb(our_processes())
    record = asyncio.run(put_load(REQUESTS, 8, seconds, pause=0.02))
    after = pss_mb(our_processes())
    growth = {pid: after[pid] / before[pid] - 1 for pid in before.keys() & after.keys() if before[pid] > 20}
    names = commands()
    most = sorted(growth, key=lambda pid: -growth[pid])[:3]
    assert set(record.statuses()) == {200}
    assert wrong_answers(record) == 0
    assert growth[most[0]] < 0.1
    told = ", ".join(f"{names[pid].split()[0]} {100 * growth[pid]:+.1f} % of {before[pid]:.0f} MB" for pid in most)
    figure(
        "soak",
        f"{seconds} s, {len(record.replies)} requests, 0 wrong; PSS of {len(growth)} processes, all together "
        f"{100 * (sum(after.values()) / sum(before.values()) - 1):+.1f} %, most: {told}",
    )


def test_drain(service: Service, figure: Figure) -> None:
    """Last, for it ends the service."""

    async def ask() -> tuple[float, float, Record]:
        load = asyncio.create_task(put_load([post([line] * 8) for line in LINES], 16, 8))
        await asyncio.sleep(2)
        asked = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(service.wait) == 0
        return asked, time.monotonic() - asked, await load

    asked, ended, record = asyncio.run(ask())
    assert our_processes() == []
    in_flight = [reply for reply in record.replies if reply.sent < asked]
    later = [reply.status for reply in record.replies if reply.sent >= asked]
    assert {reply.status for reply in in_flight} == {200}
    assert set(later) <= {200, 503, 0}
    for reply in record.replies:
        if reply.status == 200:
            for annotation in json.loads(reply.body):
                assert_contract(annotation)
    finished = sum(reply.sent + reply.seconds > asked for reply in in_flight)
    figure(
        "drain",
        f"{finished} in flight answered, 0 lost; {later.count(503)} then refused (503), exit 0 after {ended:.1f} s",
    )
