"""For whom a batch waits, and for whom not."""

import asyncio
from collections.abc import Sequence

import pytest

from serving.batching import Batcher, Limits
from serving.errors import Unavailable

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


async def test_company_that_got_no_answer_is_not_waited_for() -> None:
    async def run(items: Sequence[int]) -> list[int]:
        await asyncio.sleep(1 if LONG in items else 0.2)
        if len(items) > 1:
            raise Unavailable("nobody there")
        return list(items)

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=64, slots=2, least_share=5, patience=5.0))
    long = asyncio.create_task(batcher.submit(LONG))
    await asyncio.sleep(0.01)
    await asyncio.gather(*(batcher.submit(i) for i in range(3)), return_exceptions=True)
    assert await asyncio.wait_for(batcher.submit(7), timeout=0.5) == 7
    await long


async def test_the_company_of_one_batch_does_not_keep_back_the_share_of_a_slot() -> None:
    batches: list[list[int]] = []
    release = asyncio.Event()

    async def run(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        await (asyncio.sleep(0.1) if min(items) < 40 else release.wait())
        return list(items)

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=64, slots=6, least_share=20, patience=20.0))
    long = []
    for items in (range(40, 60), range(60, 80), range(80, 100), range(100, 120)):
        long += [asyncio.create_task(batcher.submit(i)) for i in items]
        await asyncio.sleep(0.01)
    first = [asyncio.create_task(batcher.submit(i)) for i in range(40)]
    await asyncio.gather(*first)
    before = len(batches)
    again = [asyncio.create_task(batcher.submit(i)) for i in range(30)]
    await asyncio.sleep(0.05)
    assert [len(batch) for batch in batches[before:]] == [20]
    release.set()
    await asyncio.gather(*long, *again)


async def test_who_waits_for_a_batch_that_is_cancelled_from_below_is_told() -> None:
    async def run(items: Sequence[int]) -> list[int]:
        raise asyncio.CancelledError

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=64, slots=2))
    with pytest.raises(Unavailable):
        await asyncio.wait_for(batcher.submit(1), timeout=5)


@pytest.mark.parametrize(("cost", "whole"), [(16, True), (15, False)])
async def test_large_items_wait_for_each_other_though_nothing_is_in_flight(cost: int, whole: bool) -> None:
    batches: list[list[int]] = []

    async def run(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        await asyncio.sleep(0.05)
        return list(items)

    batcher = Batcher(run, cost=lambda _: cost, limits=Limits(budget=64, slots=1, patience=5.0))
    first = asyncio.create_task(again_and_again(batcher, [0], rounds=4))
    await asyncio.sleep(0.01)
    await asyncio.gather(first, again_and_again(batcher, [1], rounds=4))
    assert ([sorted(batch) for batch in batches] == [[0], [0, 1], [0, 1], [0, 1], [1]]) == whole


@pytest.mark.parametrize(
    ("before", "waiting", "after"),
    [([32], [1], []), ([32, 32], [], [1]), ([40], [40], []), ([40], [], [40])],
    ids=["small, waiting", "small, later", "without room for both, waiting", "without room for both, later"],
)
async def test_nobody_waits_for_a_large_item_without_need(
    before: list[int], waiting: list[int], after: list[int]
) -> None:
    """Items that are computed, those that wait meanwhile, and those that come when both are done, by their cost."""
    batcher: Batcher[int, int] = Batcher(
        lambda items: asyncio.sleep(0.05, list(items)),
        cost=lambda item: item,
        limits=Limits(budget=64, slots=1, patience=20.0),
    )
    loop = asyncio.get_running_loop()
    large = [asyncio.create_task(batcher.submit(item)) for item in before]
    await asyncio.sleep(0.01)
    began = loop.time()
    await asyncio.gather(*large, *(batcher.submit(item) for item in waiting))
    await asyncio.gather(*(batcher.submit(item) for item in after))
    assert loop.time() - began < 0.5
