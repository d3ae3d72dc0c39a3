"""The application with faults on demand: utterances that make a stage raise, take its time, or hang.

Only tests can build it: `import_path: tests.faults.app:build` in a Serve config.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from ray import serve
from ray.serve import Application

import serving.app
from graph.tokenizer import TokenBatch
from serving import stages
from serving.observability.clock import Seconds
from serving.settings import Settings

POISON = "an utterance that makes the tokenizer raise"
SLOW = "an utterance that the tokenizer takes longer for than anybody waits"
HANG = "an utterance that makes the encoder hang " + "again and " * 8
"""Told from others by its first tokens, since an encoder sees no text."""

# What stands behind the deployments, to which the decorator has not told mypy the way.
Tokenizer: Any = getattr(stages.TokenizerStage, "func_or_class")  # noqa: B009
Encoder: Any = getattr(stages.EncoderStage, "func_or_class")  # noqa: B009


@serve.deployment
class FaultyTokenizer(Tokenizer):  # type: ignore[misc]
    """Raises at POISON, and takes its time for SLOW."""

    async def __call__(self, texts: Sequence[str]) -> tuple[TokenBatch, Seconds]:
        if POISON in texts:
            raise ValueError("injected")
        if SLOW in texts:
            await asyncio.sleep(9)  # longer than deadline_seconds, shorter than answer_seconds
        answer: tuple[TokenBatch, Seconds] = await super().__call__(texts)
        return answer


@serve.deployment
class FaultyEncoder(Encoder):  # type: ignore[misc]
    """Blocks its event loop at HANG, so that not even its health check is answered."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._hang = Tokenizer(settings)._tokenizer([HANG]).ids

    async def __call__(self, tokens: TokenBatch) -> tuple[NDArray[np.float32], Seconds]:
        if any(np.array_equal(row, self._hang) for row in np.split(tokens.ids, np.cumsum(tokens.lengths)[:-1])):
            time.sleep(600)
        answer: tuple[NDArray[np.float32], Seconds] = await super().__call__(tokens)
        return answer


def build(settings: Settings) -> Application:
    """The application with the two stages exchanged."""
    with (
        mock.patch.object(stages, "TokenizerStage", FaultyTokenizer),
        mock.patch.object(stages, "EncoderStage", FaultyEncoder),
    ):
        return serving.app.build(settings)
