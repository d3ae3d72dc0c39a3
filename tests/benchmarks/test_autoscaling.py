import asyncio
import math
from pathlib import Path

import yaml
from aiohttp import web

from benchmarks.autoscaling import Phase, Record, Reply, by_second, draw, offer, on_one_node, times_of
from serving.settings import PROJECT

PHASES = [Phase(0, 1), Phase(4, 1), Phase(0, 1)]


def test_requests_are_due_evenly_within_their_phase() -> None:
    assert times_of(PHASES) == [1.0, 1.25, 1.5, 1.75]


def test_each_second_tells_what_came_and_what_became_of_it() -> None:
    replies = [Reply(1.0, 0.1, 200), Reply(1.5, 0.3, 200), Reply(1.9, 0.2, 200), Reply(1.95, 0.5, 503)]
    series = by_second(replies, 3)
    assert series["offered"] == [0, 4, 0]
    assert series["served"] == [0, 2, 1]
    assert round(series["p50"][1]) == 250
    assert math.isnan(series["p99"][0])


def test_a_config_for_several_machines_is_made_to_fit_one_and_scales_as_it_did(tmp_path: Path) -> None:
    default = PROJECT / "serve_config.yaml"
    assert on_one_node(default, tmp_path / "new") == default
    cluster = PROJECT / "configs" / "serve" / "cluster.yaml"
    before, after = (
        yaml.safe_load(path.read_text("utf-8")) for path in (cluster, on_one_node(cluster, tmp_path / "new"))
    )
    assert after["http_options"]["host"] == "127.0.0.1"
    for old, new in zip(*(told["applications"][0]["deployments"] for told in (before, after)), strict=True):
        assert "max_replicas_per_node" not in new
        assert new["ray_actor_options"]["num_cpus"] < 1
        assert new["autoscaling_config"] == old["autoscaling_config"]


async def test_requests_come_at_their_time_and_what_fails_is_lost() -> None:
    seen = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal seen
        assert (await request.json())["sentences"]
        seen += 1
        return web.Response(status=503 if seen == 2 else 200)

    application = web.Application()
    application.router.add_post("/model", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        (address,) = runner.addresses
        record = await offer(f"http://127.0.0.1:{address[1]}/model", PHASES, lambda: {"Ingress": 1})
    finally:
        await runner.cleanup()
    assert sorted(reply.status for reply in record.replies) == [200, 200, 200, 503]
    assert record.lost() == 1
    assert record.replicas[0][1] == {"Ingress": 1}
    assert len(record.replicas) >= 3


async def test_who_does_not_answer_at_all_is_lost() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        record = await offer(f"http://127.0.0.1:{port}/model", PHASES, dict)
    assert [reply.status for reply in record.replies] == [0, 0, 0, 0]


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    record = Record([Reply(1.0, 0.1, 200)], [(0.0, {"Ingress": 1, "Encoder": 1}), (1.0, {"Ingress": 1, "Encoder": 2})])
    draw(record, PHASES, "a config", tmp_path / "autoscaling.png")
    assert (tmp_path / "autoscaling.png").read_bytes().startswith(b"\x89PNG")
