from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graph.tokenizer import DEFAULT_MAX_TOKENS, LEAST_MAX_TOKENS, TokenBatch, Tokenizer
from tests.graph.strategies import texts, token_rows
from tests.tiny import VOCABULARY


@pytest.fixture(scope="module")
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return Tokenizer(tokenizer_file)


def _rows(batch: TokenBatch) -> list[list[int]]:
    return [row.tolist() for row in np.split(batch.ids, np.cumsum(batch.lengths)[:-1])] if len(batch) else []


@given(text=texts, limit=st.integers(LEAST_MAX_TOKENS, 64))
@example(text="", limit=DEFAULT_MAX_TOKENS)
@example(text="\ud800", limit=DEFAULT_MAX_TOKENS)
@example(text="a\udfff b\ud83d", limit=DEFAULT_MAX_TOKENS)
@example(text="\x00\x1b\r\n\t\x7f\u200b", limit=DEFAULT_MAX_TOKENS)
@example(text="🎉👩‍👩‍👧‍👧", limit=DEFAULT_MAX_TOKENS)
@example(text="dog " * 2_500, limit=DEFAULT_MAX_TOKENS)
@example(text="x" * 10_000, limit=LEAST_MAX_TOKENS)
def test_any_text_becomes_a_row_within_the_limit(tokenizer_file: Path, text: str, limit: int) -> None:
    batch = Tokenizer(tokenizer_file, limit)([text])
    assert len(batch) == 1
    assert 2 <= batch.lengths[0] <= limit
    assert len(batch.ids) == batch.lengths[0]
    assert batch.ids.dtype == batch.lengths.dtype == np.int32


def test_a_row_is_the_text_between_the_special_tokens(tokenizer: Tokenizer) -> None:
    (row,) = _rows(tokenizer(["Dog, yo?"]))
    assert [VOCABULARY[i] for i in row] == ["[CLS]", "dog", "[UNK]", "y", "##o", "?", "[SEP]"]


def test_a_cut_row_keeps_its_beginning_and_the_special_tokens(tokenizer_file: Path) -> None:
    (row,) = _rows(Tokenizer(tokenizer_file, 4)(["dog eagle fish guitar"]))
    assert [VOCABULARY[i] for i in row] == ["[CLS]", "dog", "eagle", "[SEP]"]


def test_half_a_surrogate_pair_reads_as_the_replacement_character(tokenizer: Tokenizer) -> None:
    assert _rows(tokenizer(["dog \ud83d eagle"])) == _rows(tokenizer(["dog \ufffd eagle"]))


def test_no_utterances_make_an_empty_batch(tokenizer: Tokenizer) -> None:
    assert len(tokenizer([])) == 0


@given(st.lists(texts | st.text("dog eagle?", max_size=80), max_size=8))
def test_an_utterance_has_the_same_tokens_alone_and_in_a_batch(tokenizer: Tokenizer, utterances: list[str]) -> None:
    alone = [_rows(tokenizer([text]))[0] for text in utterances]
    assert _rows(tokenizer(utterances)) == alone


@given(token_rows)
def test_a_batch_holds_the_rows_that_it_was_made_of(rows: list[list[int]]) -> None:
    batch = TokenBatch.from_rows(rows)
    assert _rows(batch) == rows
    assert [int(batch.ids[start]) for start in batch.starts] == [row[0] for row in rows]


@given(st.lists(token_rows, min_size=1, max_size=5))
def test_concatenation_keeps_all_rows_in_order(batches: list[list[list[int]]]) -> None:
    joined = TokenBatch.concatenate([TokenBatch.from_rows(rows) for rows in batches])
    assert _rows(joined) == [row for rows in batches for row in rows]


@given(token_rows.filter(bool), st.data())
def test_padded_rows_are_the_chosen_rows(rows: list[list[int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=len(rows), unique=True))
    ids, mask = TokenBatch.from_rows(rows).padded(np.array(chosen))
    longest = max(len(rows[i]) for i in chosen)
    assert ids.shape == mask.shape == (len(chosen), longest)
    assert ids.tolist() == [rows[i] + [0] * (longest - len(rows[i])) for i in chosen]
    assert mask.tolist() == [[1] * len(rows[i]) + [0] * (longest - len(rows[i])) for i in chosen]


def test_a_limit_without_room_for_a_token_is_refused(tokenizer_file: Path) -> None:
    with pytest.raises(ValueError, match="max_tokens"):
        Tokenizer(tokenizer_file, LEAST_MAX_TOKENS - 1)


@given(text=texts | st.text("dog eagle?", max_size=200), limit=st.integers(LEAST_MAX_TOKENS, 40))
@example(text="dog " * 2_500, limit=DEFAULT_MAX_TOKENS)
def test_a_batch_tells_how_long_its_rows_would_be_uncut(tokenizer_file: Path, text: str, limit: int) -> None:
    batch = Tokenizer(tokenizer_file, limit)([text, "dog"])
    whole = Tokenizer(tokenizer_file, 100_000)([text, "dog"])
    assert batch.uncut.tolist() == whole.lengths.tolist() == whole.uncut.tolist()
    assert batch.uncut.dtype == np.int32
