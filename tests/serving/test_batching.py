import asyncio
import dataclasses
import math
from collections.abc import Sequence
from contextvars import ContextVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.batching import Batcher, Limits
from serving.errors import Overloaded, Unavailable

COSTS = st.lists(st.integers(min_value=1, max_value=12), max_size=40)


@dataclasses.dataclass
class Recorder:
    """Doubles numbers; remembers its batches, and how many ran at once."""

    poison: frozenset[int] = frozenset()
    batches: list[list[int]] = dataclasses.field(default_factory=list)
    running: int = 0
    most_running: int = 0

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        for item in items:
            if item in self.poison:
                raise ValueError(f"poison {item}")
        return [2 * item for item in items]


@given(COSTS, st.integers(1, 10), st.integers(1, 4))
async def test_every_item_gets_its_own_answer(costs: list[int], budget: int, slots: int) -> None:
    run = Recorder()
    batcher = Batcher(run, cost=lambda item: costs[item], limits=Limits(budget, slots))
    answers = await asyncio.gather(*(batcher.submit(i) for i in range(len(costs))))
    assert answers == [2 * i for i in range(len(costs))]
    assert sorted(item for batch in run.batches for item in batch) == list(range(len(costs)))
    assert all(len(batch) == 1 or sum(costs[i] for i in batch) <= budget for batch in run.batches)
    assert run.most_running <= slots


@given(st.integers(0, 60), st.integers(1, 40), st.integers(1, 4), st.integers(1, 12))
async def test_free_slots_get_equal_shares(count: int, budget: int, slots: int, least: int) -> None:
    release = asyncio.Event()
    batches: list[int] = []

    async def run(items: Sequence[int]) -> list[int]:
        batches.append(len(items))
        await release.wait()
        return list(items)

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget, slots, least_share=least))
    answers = asyncio.gather(*(batcher.submit(i) for i in range(count)))
    for _ in range(5):
        await asyncio.sleep(0)
    share = min(budget, max(least, math.ceil(count / slots)))
    assert all(size <= share for size in batches), "no slot takes what is another's"
    if count > sum(batches):
        assert batches == [budget] * slots, "nothing waits while a slot is free, or has room"
    release.set()
    await answers


@settings(max_examples=50)
@given(st.sets(st.integers(0, 19)), st.integers(1, 20))
async def test_a_poisoned_item_fails_alone(poison: set[int], budget: int) -> None:
    batcher = Batcher(Recorder(frozenset(poison)), cost=lambda _: 1, limits=Limits(budget, 2))
    answers = await asyncio.gather(*(batcher.submit(i) for i in range(20)), return_exceptions=True)
    for item, answer in enumerate(answers):
        if item in poison:
            assert isinstance(answer, ValueError)
            assert str(answer) == f"poison {item}"
        else:
            assert answer == 2 * item
    assert await batcher.submit(100) == 200


async def test_what_arrives_together_travels_together_and_what_comes_later_joins_the_next_batch() -> None:
    run = Recorder()
    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=64, slots=1))
    await asyncio.gather(*(batcher.submit(i) for i in range(5)))
    assert run.batches == [[0, 1, 2, 3, 4]]


async def test_a_free_slot_waits_for_nothing() -> None:
    run = Recorder()
    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=64, slots=2))
    assert await asyncio.wait_for(batcher.submit(7), timeout=5) == 14
    assert run.batches == [[7]]


async def test_cancelled_items_are_not_computed_and_free_their_place() -> None:
    release = asyncio.Event()
    seen: list[int] = []

    async def run(items: Sequence[int]) -> list[int]:
        seen.extend(items)
        await release.wait()
        return list(items)

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=1, slots=1, waiting=2))
    first = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0.01)
    gone = asyncio.create_task(batcher.submit(2))
    last = asyncio.create_task(batcher.submit(3))
    await asyncio.sleep(0.01)
    gone.cancel()
    release.set()
    assert [await first, await last] == [1, 3]
    assert seen == [1, 3]


async def test_more_than_may_wait_is_refused_at_once() -> None:
    release = asyncio.Event()

    async def run(items: Sequence[int]) -> list[int]:
        await release.wait()
        return list(items)

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=1, slots=1, waiting=2))
    tasks = [asyncio.create_task(batcher.submit(0))]
    await asyncio.sleep(0.01)  # that one runs, two more may wait
    tasks += [asyncio.create_task(batcher.submit(i)) for i in (1, 2)]
    await asyncio.sleep(0.01)
    with pytest.raises(Overloaded):
        await batcher.submit(9)
    release.set()
    assert await asyncio.gather(*tasks) == [0, 1, 2]


async def test_an_item_larger_than_all_that_may_wait_is_taken_when_nothing_waits() -> None:
    batcher = Batcher(Recorder(), cost=lambda _: 1000, limits=Limits(budget=10, slots=1, waiting=10))
    assert await batcher.submit(1) == 2


async def test_unavailable_is_everybodys_and_is_not_tried_again_in_parts() -> None:
    calls = 0

    async def run(items: Sequence[int]) -> list[int]:
        nonlocal calls
        calls += 1
        raise Unavailable("nobody there")

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=64, slots=1))
    answers = await asyncio.gather(*(batcher.submit(i) for i in range(8)), return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert calls == 1


async def test_a_batch_that_answers_too_few_is_an_error_and_no_mix_up() -> None:
    async def run(items: Sequence[int]) -> list[int]:
        return [0] if len(items) > 1 else [2 * items[0]]

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=64, slots=1))
    answers = await asyncio.gather(*(batcher.submit(i) for i in range(4)))
    assert answers == [0, 2, 4, 6]


async def test_a_batch_that_does_not_come_back_is_found() -> None:
    release = asyncio.Event()

    async def run(items: Sequence[int]) -> list[int]:
        await release.wait()
        return list(items)

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=1, slots=1))
    batcher.check_progress(0)
    task = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0.05)
    batcher.check_progress(60)
    with pytest.raises(RuntimeError, match="not come back"):
        batcher.check_progress(0.01)
    release.set()
    await task
    await asyncio.sleep(0)
    batcher.check_progress(0)


async def test_an_item_that_is_tried_again_is_not_late_for_the_tries_before() -> None:
    sizes: list[int] = []

    async def run(items: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.05)
        batcher.check_progress(0.12)  # four tries take longer together
        sizes.append(len(items))
        raise ValueError

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=4, slots=1))
    answers = await asyncio.gather(*(batcher.submit(i) for i in range(4)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {ValueError}
    assert sizes == [4, 2, 1, 1, 2, 1, 1]


async def test_a_batch_that_nobody_waits_for_any_more_is_cancelled_and_frees_its_slot() -> None:
    cancelled: list[int] = []

    async def run(items: Sequence[int]) -> list[int]:
        try:
            await asyncio.sleep(3600 if 0 in items else 0)
        except asyncio.CancelledError:
            cancelled.extend(items)
            raise
        return list(items)

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=2, slots=1))
    first, second = (asyncio.create_task(batcher.submit(0)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    assert cancelled == []
    second.cancel()
    assert await asyncio.wait_for(batcher.submit(7), timeout=5) == 7
    assert cancelled == [0, 0]


async def test_what_is_cancelled_in_the_queue_leaves_its_place_at_once() -> None:
    release = asyncio.Event()

    async def run(items: Sequence[int]) -> list[int]:
        await release.wait()
        return list(items)

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=1, slots=1, waiting=1))
    first = asyncio.create_task(batcher.submit(0))
    await asyncio.sleep(0.01)
    for _ in range(100):
        gone = asyncio.create_task(batcher.submit(1))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    last = asyncio.create_task(batcher.submit(2))
    await asyncio.sleep(0.01)
    release.set()
    assert [await first, await last] == [0, 2]


async def test_a_batch_does_not_belong_to_the_request_that_happens_to_be_first() -> None:
    request: ContextVar[int | None] = ContextVar("request", default=None)
    seen: list[int | None] = []

    async def run(items: Sequence[int]) -> list[int]:
        seen.append(request.get())
        return list(items)

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=1, slots=1))

    async def ask(number: int) -> int:
        request.set(number)
        return await batcher.submit(number)

    assert await asyncio.gather(*(ask(i) for i in range(3))) == [0, 1, 2]
    assert seen == [None, None, None]


async def test_who_would_wait_too_long_is_refused_at_once() -> None:
    async def run(items: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.05)
        return list(items)

    batcher = Batcher(run, cost=lambda _: 1, limits=Limits(budget=2, slots=1, waiting_seconds=0.1))
    for _ in range(30):  # until it knows how long a batch takes
        await batcher.submit(0)
    answers = await asyncio.gather(*(batcher.submit(i) for i in range(200)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Overloaded)]
    assert 100 < len(refused) < 200
    assert [answer for answer in answers if not isinstance(answer, Overloaded)] == list(range(200 - len(refused)))


async def test_slow_small_batches_do_not_make_a_large_request_look_like_a_rush() -> None:
    async def run(items: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.02)
        return list(items)

    batcher = Batcher(run, cost=lambda item: item, limits=Limits(budget=64, slots=1, waiting_seconds=0.5))
    for _ in range(20):
        await batcher.submit(1)
    # 64 times 0.02 s are more than 0.5 s, but these 64 are one batch.
    assert [*await asyncio.gather(batcher.submit(64), batcher.submit(4))] == [64, 4]
