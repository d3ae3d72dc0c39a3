"""What hypothesis draws from in more than one test of the graph."""

from hypothesis import strategies as st

# Every code point: control characters, emoji, and halves of surrogate pairs, which JSON lets in.
texts = st.text(st.characters())

# Rows of token ids, as a tokenizer answers them: none is empty.
token_rows = st.lists(st.lists(st.integers(1, 1000), min_size=1, max_size=40), max_size=20)
