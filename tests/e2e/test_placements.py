"""The same answers wherever the stages run."""

import asyncio

import httpx
import pytest

from graph.pipeline import Pipeline
from serving.lifecycle.processes import our_processes
from tests.e2e.conftest import URL, Service
from tests.e2e.contract import annotations_of, assert_contract, chat_lines


@pytest.mark.parametrize("config", ["configs/serve/packed.yaml", "configs/serve/fused.yaml"])
async def test_another_placement_serves_the_numbers_of_the_pipeline(config: str, pipeline: Pipeline) -> None:
    lines = chat_lines()
    served = Service(["make", "serve", f"CONFIG={config}"])
    try:
        served.wait_until_ready()
        with httpx.Client(base_url=URL, timeout=30) as client:
            together = annotations_of(client, lines)
        async with httpx.AsyncClient(base_url=URL, timeout=30) as client:
            alone = await asyncio.gather(*(client.post("/model", json={"sentences": [line]}) for line in lines))
    finally:
        served.press_ctrl_c()
    assert our_processes() == []
    for exact, one, of_many in zip(pipeline(lines), alone, together, strict=True):
        assert_contract(of_many)
        for task, scores in exact.items():
            assert one.json()[0][task] == pytest.approx(scores, abs=0.01)
            assert of_many[task] == pytest.approx(scores, abs=0.01)
