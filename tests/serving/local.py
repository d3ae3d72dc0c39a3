"""A graph in this process, in place of the one that Serve places."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from ray.exceptions import ActorDiedError

from graph.pipeline import Pipeline
from graph.tokenizer import TokenBatch
from serving.trips import FusedTrip, Heads, Outcome

POISON = "poison"
BODY_BYTES = 1000


class LocalTrip:
    """A trip through a pipeline in this process, with faults on demand."""

    least: ClassVar[int] = FusedTrip.least

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.batches: list[list[str]] = []
        self.heads: list[list[str]] = []
        self.deaths = 0  # trips during which a replica dies
        self.hang = False
        self.error: Exception | None = None  # raised by every trip

    async def __call__(self, texts: Sequence[str], heads: Heads) -> Outcome:
        self.batches.append(list(texts))
        self.heads.append(list(heads))
        await self._fail(texts)
        return await FusedTrip(self.pipeline)(texts, heads)

    async def tokenize(self, texts: Sequence[str]) -> TokenBatch:
        await self._fail(texts)
        return await FusedTrip(self.pipeline).tokenize(texts)

    async def _fail(self, texts: Sequence[str]) -> None:
        if self.hang:
            await asyncio.sleep(3600)
        if self.deaths:
            self.deaths -= 1
            raise ActorDiedError
        if self.error:
            raise self.error
        if POISON in texts:
            raise ValueError(f"cannot be tokenized: {texts}")
        await asyncio.sleep(0)
