"""Text to token ids, with the Rust tokenizer that the model directory carries.

The result is ragged: no padding travels. How rows are padded is the encoder's business.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as RustTokenizer

DEFAULT_MAX_TOKENS = 32

# [CLS], one token, [SEP]; with fewer the library silently stops cutting.
LEAST_MAX_TOKENS = 3


@dataclass(frozen=True)
class TokenBatch:
    """Token ids of n utterances, one behind the other.

    Attributes:
        ids: int32 `(sum of lengths,)`.
        lengths: int32 `(n,)`, tokens an utterance, special tokens included; each at least 1.
        uncut: int32 `(n,)`, tokens that the utterance would have without the limit; the same object as `lengths`
            where nothing was cut.
    """

    ids: NDArray[np.int32]
    lengths: NDArray[np.int32]
    uncut: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each row begins in `ids`: int64 `(n,)`."""
        return np.cumsum(self.lengths, dtype=np.int64) - self.lengths

    def padded(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The chosen rows as rectangles.

        Returns:
            ids and mask, int64 `(len(rows), longest of them)`; ids are 0 where the mask is 0.
        """
        lengths = self.lengths[rows]
        columns = np.arange(lengths.max())
        mask = columns < lengths[:, None]
        ids = np.zeros(mask.shape, dtype=np.int64)
        ids[mask] = self.ids[(self.starts[rows, None] + columns)[mask]]
        return ids, mask.astype(np.int64)

    @staticmethod
    def concatenate(batches: Sequence["TokenBatch"]) -> "TokenBatch":
        """One batch with the rows of all, in order."""
        return TokenBatch(
            np.concatenate([batch.ids for batch in batches]),
            np.concatenate([batch.lengths for batch in batches]),
            np.concatenate([batch.uncut for batch in batches]),
        )

    @staticmethod
    def from_rows(rows: Iterable[Sequence[int]]) -> "TokenBatch":
        """A batch from lists of ids, none of them cut."""
        kept = list(rows)
        ids = np.fromiter((i for row in kept for i in row), dtype=np.int32)
        lengths = np.fromiter((len(row) for row in kept), dtype=np.int32, count=len(kept))
        return TokenBatch(ids, lengths, lengths)


class Tokenizer:
    """Turns utterances into a `TokenBatch`.

    Args:
        path: a `tokenizer.json`.
        max_tokens: longest row, special tokens included; what lies behind is cut off.

    Raises:
        ValueError: `max_tokens` is less than `LEAST_MAX_TOKENS`.
    """

    def __init__(self, path: Path, max_tokens: int = DEFAULT_MAX_TOKENS) -> None:
        if max_tokens < LEAST_MAX_TOKENS:
            raise ValueError(f"max_tokens is {max_tokens}, the least is {LEAST_MAX_TOKENS}")
        self._tokenizer = RustTokenizer.from_file(str(path))
        # The file may ask for padding and another cut; the ragged contract and our limit come first.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=max_tokens)
        self._max_tokens = max_tokens
        self._specials = self._tokenizer.num_special_tokens_to_add(is_pair=False)

    def __call__(self, texts: Sequence[str]) -> TokenBatch:
        """Tokenize n utterances; any string has an answer."""
        encodings = self._tokenizer.encode_batch_fast([_well_formed(text) for text in texts])
        batch = TokenBatch.from_rows(encoding.ids for encoding in encodings)
        full = np.flatnonzero(batch.lengths == self._max_tokens)
        if not len(full):
            return batch
        uncut = batch.lengths.copy()
        for row in full:
            # What was cut off comes in pieces that have special tokens of their own.
            uncut[row] += sum(len(piece) - self._specials for piece in encodings[row].overflowing)
        return TokenBatch(batch.ids, batch.lengths, uncut)


def _well_formed(text: str) -> str:
    """Half a surrogate pair (JSON lets it in) is no character: U+FFFD in its place."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
