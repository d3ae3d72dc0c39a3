"""For whom a batch waits, and for whom not."""

import asyncio
from collections.abc import Sequence

import pytest

from serving.batching import Batcher, Limits

LONG = 99
"""An item whose batch is in flight all the while."""


async def again_and_again(batcher: Batcher[int, int], items: Sequence[int], rounds: int) -> None:
    """Each item is sent again when its answer is there, one a turn of the event loop, as clients do."""

    async def client(item: int) -> None:
        for _ in range(rounds):
            await batcher.submit(item)
            for _ in range(3 * (item + 1)):
                await asyncio.sleep(0)

    await asyncio.gather(*(client(item) for item in items))


def patient(batches: list[list[int]], patience: float) -> Batcher[int, int]:
    async def run_slowly(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        await asyncio.sleep(1 if LONG in items else 0.1)
        return list(items)

    return Batcher(run_slowly, cost=lambda _: 1, limits=Limits(budget=64, slots=2, least_share=5, patience=patience))


@pytest.mark.parametrize("patience", [0.0, 5.0])
async def test_a_patient_batcher_waits_for_the_company_of_before(patience: float) -> None:
    batches: list[list[int]] = []
    batcher = patient(batches, patience)
    long = asyncio.create_task(batcher.submit(LONG))
    await asyncio.sleep(0.01)
    await again_and_again(batcher, range(5), rounds=3)
    await long
    whole = [sorted(batch) for batch in batches] == [[LONG]] + [[0, 1, 2, 3, 4]] * 3
    assert whole == (patience > 0)


async def test_who_does_not_come_back_is_not_waited_for_long_and_one_alone_not_at_all() -> None:
    batcher = patient([], patience=0.5)
    loop = asyncio.get_running_loop()
    long = asyncio.create_task(batcher.submit(LONG))
    await asyncio.sleep(0.01)
    await asyncio.gather(*(batcher.submit(i) for i in range(5)))
    began = loop.time()
    await batcher.submit(6)
    assert loop.time() - began > 0.14, "half the last batch's time for its company, then its own"
    began = loop.time()
    await batcher.submit(7)
    assert loop.time() - began < 0.14, "its own time alone"
    await long


async def test_nobody_waits_while_nothing_is_in_flight() -> None:
    batches: list[list[int]] = []
    batcher = patient(batches, patience=5.0)
    await again_and_again(batcher, range(5), rounds=2)
    assert len(batches[0]) == 5
    assert len(batches[1]) < 5
