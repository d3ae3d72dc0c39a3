"""Greedy batching: what waits goes out together as soon as a slot is free.

Slots that are free get equal shares of what waits: one batch of everything would leave the others idle.

The one thing that is waited for, and not for long, is the company of before: whoever has just got an answer often asks
again, and a batch that leaves with the first of them alone costs as much as one that takes all.

Used twice: the ingress gathers requests into one trip through the graph, and the encoder coalesces the batches of
several ingress replicas into one run. Knows neither texts nor tokens: an item has a cost, a batch has a budget.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from serving.errors import Overloaded, Unavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Limits:
    """How much a batcher takes on.

    Attributes:
        budget: highest cost of a batch; an item that alone costs more goes alone.
        slots: batches in flight.
        least_share: up to this cost a batch takes what waits, however small its slot's equal share is.
        waiting: highest cost of all that waits, and what comes on top is refused; None where the callers are bounded.
        waiting_seconds: longest wait to be expected, and what would wait longer is refused; a full batch may always
            wait.
        patience: when a batch comes back while another is in flight, how long the next one waits until it is as large,
            as a share of the time that the batch took; 0 to wait for nothing. A batch of one never makes anybody wait.
            Where every item takes a quarter of the budget or more, those that wait already count as company too, and
            they wait for the rest also while nothing is in flight.
    """

    budget: int
    slots: int
    least_share: int = 1
    waiting: int | None = None
    waiting_seconds: float = math.inf
    patience: float = 0.0


@dataclass(frozen=True, eq=False)
class _Waiting(Generic[Item, Answer]):
    item: Item
    cost: int
    answer: "asyncio.Future[Answer]"

    @property
    def answered(self) -> bool:
        return self.answer.done() and not self.answer.cancelled() and self.answer.exception() is None


@dataclass
class _InFlight(Generic[Item, Answer]):
    """A batch.

    Attributes:
        since: when what is computed of it at the moment was begun.
        batch: what it has taken from the queue.
    """

    since: float
    batch: Sequence[_Waiting[Item, Answer]]

    @property
    def cost(self) -> int:
        return sum(waiting.cost for waiting in self.batch)


class Batcher(Generic[Item, Answer]):
    """Gathers single items into batches.

    An item whose batch fails is tried again in ever smaller company until the item that makes it fail stands alone:
    that one gets the error, its batchmates get their answers. Only `Unavailable` fails a batch as a whole, since
    nothing in the batch is to blame for it.

    Args:
        run: computes a batch; answers in the order of the items.
        cost: what an item takes of the budget; at least 1.
        limits: see `Limits`; may be replaced at any time.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        cost: Callable[[Item], int],
        limits: Limits,
    ) -> None:
        self._run = run
        self._cost = cost
        self.limits = limits
        self._queue: deque[_Waiting[Item, Answer]] = deque()
        self._queued_cost = 0
        self._dispatch_due = False
        self._expected_items = 0
        self._expected_cost = 0
        self._patience_ends: asyncio.TimerHandle | None = None
        self._running: dict[asyncio.Task[None], _InFlight[Item, Answer]] = {}
        self._seconds_per_batch = 0.0

    @property
    def waiting(self) -> int:
        """The cost of all that waits."""
        return self._queued_cost

    async def submit(self, item: Item) -> Answer:
        """Queue one item and wait for its answer.

        Cancelling this call takes the item out of the queue, or, when nobody waits for any item of its batch any more,
        cancels the batch.

        Raises:
            Overloaded: too much is waiting.
            Exception: whatever `run` raised for this item.
        """
        cost = self._cost(item)
        self._refuse_excess(cost)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(item, cost, loop.create_future())
        self._queue.append(waiting)
        self._queued_cost += cost
        # Dispatch at the end of this turn of the event loop: requests that arrived together travel together. In a
        # context of its own: what is bound to the request that happens to be first must not decide over the others.
        if not self._dispatch_due:
            self._dispatch_due = True
            loop.call_soon(self._dispatch, context=Context())
        try:
            answer: Answer = await waiting.answer
        except asyncio.CancelledError:
            if waiting in self._queue:
                self._queue.remove(waiting)
                self._queued_cost -= cost
            raise
        return answer

    def _refuse_excess(self, cost: int) -> None:
        queued = self._queued_cost + cost
        limit = self.limits.waiting
        # In full batches, for that is what a queue becomes: small ones cost more an item, and say nothing of a rush.
        seconds = self._queued_cost / self.limits.budget / self.limits.slots * self._seconds_per_batch
        too_many = limit is not None and self._queue and queued > limit
        too_long = queued > self.limits.budget and seconds > self.limits.waiting_seconds
        if too_many or too_long:
            raise Overloaded("too many utterances are waiting; try again shortly")

    def check_progress(self, seconds: float) -> None:
        """Raise RuntimeError when a batch has been in flight for longer than so many seconds."""
        now = time.monotonic()
        if any(now - batch.since > seconds for batch in self._running.values()):
            raise RuntimeError(f"a batch has not come back for {seconds} s")

    def _dispatch(self) -> None:
        self._dispatch_due = False
        while len(self._running) < self.limits.slots:
            if self._worth_waiting():
                return
            batch = self._take()
            if not batch:
                return
            in_flight = _InFlight(time.monotonic(), batch)
            task = asyncio.create_task(self._answer(batch, in_flight))
            self._running[task] = in_flight
            self._expect_fewer(in_flight)
            task.add_done_callback(self._free_slot)
            for waiting in batch:
                waiting.answer.add_done_callback(partial(self._cancel_abandoned, task, batch))

    def _worth_waiting(self) -> bool:
        if len(self._queue) >= self._expected_items:
            return False
        if not self._running and not self._all_large(self._queue):
            return False
        # Whoever comes back must find room beside those that are here.
        return self._queued_cost + self._expected_cost / self._expected_items <= self._share()

    def _all_large(self, company: Iterable[_Waiting[Item, Answer]]) -> bool:
        return all(4 * waiting.cost >= self.limits.budget for waiting in company)

    def _expect(self, company: Sequence[_Waiting[Item, Answer]], seconds: float) -> None:
        if not self._running:
            self._expect_nobody()
            company = [*company, *self._queue]
            # Rather a small batch than none, but where each brings a quarter of a full one: few have to come back for
            # it, and together they save more than is waited for.
            if not self._all_large(company):
                return
        if len(company) < 2 or not self.limits.patience:
            return
        if self._patience_ends is None:
            loop = asyncio.get_running_loop()
            self._patience_ends = loop.call_later(seconds, self._lose_patience, context=Context())
        self._expected_items += len(company)
        self._expected_cost += sum(waiting.cost for waiting in company)

    def _expect_fewer(self, left: _InFlight[Item, Answer]) -> None:
        self._expected_items -= len(left.batch)
        self._expected_cost -= left.cost
        if self._expected_items <= 0 or self._expected_cost <= 0:
            self._expect_nobody()

    def _expect_nobody(self) -> None:
        self._expected_items = 0
        self._expected_cost = 0
        if self._patience_ends is not None:
            self._patience_ends.cancel()
            self._patience_ends = None

    def _lose_patience(self) -> None:
        self._expect_nobody()
        self._dispatch()

    def _free_slot(self, task: "asyncio.Task[None]") -> None:
        back = self._running.pop(task)
        seconds = time.monotonic() - back.since
        self._expect([waiting for waiting in back.batch if waiting.answered], self.limits.patience * seconds)
        # The latest of about ten batches count.
        self._seconds_per_batch += 0.1 * (seconds - self._seconds_per_batch)
        self._dispatch()

    def _cancel_abandoned(
        self, task: "asyncio.Task[None]", batch: Sequence[_Waiting[Item, Answer]], answer: "asyncio.Future[Answer]"
    ) -> None:
        if answer.cancelled() and all(waiting.answer.cancelled() for waiting in batch):
            task.cancel()

    def _share(self) -> int:
        """The cost that the next batch may have while a slot is free: whoever is expected counts as there."""
        free = self.limits.slots - len(self._running)
        waiting = max(self._queued_cost, self._expected_cost)
        return min(self.limits.budget, max(self.limits.least_share, math.ceil(waiting / free)))

    def _take(self) -> list[_Waiting[Item, Answer]]:
        batch: list[_Waiting[Item, Answer]] = []
        cost = 0
        share = self._share()
        while self._queue and (not batch or cost + self._queue[0].cost <= share):
            waiting = self._queue.popleft()
            self._queued_cost -= waiting.cost
            if not waiting.answer.done():  # its client is gone
                batch.append(waiting)
                cost += waiting.cost
        return batch

    async def _answer(self, batch: Sequence[_Waiting[Item, Answer]], in_flight: _InFlight[Item, Answer]) -> None:
        in_flight.since = time.monotonic()
        try:
            answers = await self._run([waiting.item for waiting in batch])
            if len(answers) != len(batch):  # before anybody gets an answer that may be another's
                raise RuntimeError(f"{len(answers)} answers to a batch of {len(batch)}")
            for waiting, answer in zip(batch, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)
        except asyncio.CancelledError:
            # Where it was not for want of clients, they must not wait for their deadline.
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(Unavailable("the service cannot answer at the moment; try again"))
            raise
        except Exception as error:
            if len(batch) == 1 or isinstance(error, Unavailable):
                for waiting in batch:
                    if not waiting.answer.done():
                        waiting.answer.set_exception(error)
            else:
                await self._answer(batch[: len(batch) // 2], in_flight)
                await self._answer(batch[len(batch) // 2 :], in_flight)
