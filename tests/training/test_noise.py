import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.noise import FILLERS, misheard, spoken


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", "hello world"),
        ("I don't know...", "i don't know"),
        ("  two\tspaces  ", "two spaces"),
        ("well-known (sort of)", "well known sort of"),
        ("Größe №1", "größe 1"),
        ("?!", "?!"),
        ("", ""),
    ],
)
def test_spoken_text_has_neither_case_nor_punctuation(text: str, expected: str) -> None:
    assert spoken(text) == expected


@given(st.text())
def test_spoken_text_stays_as_it_is(text: str) -> None:
    assert spoken(spoken(text)) == spoken(text)


def test_a_misheard_text_has_other_words_of_the_same_sound_and_fillers() -> None:
    random = np.random.default_rng(1)
    heard = {misheard("Their dog ate", random) for _ in range(300)}
    assert "There dog ate" not in heard, "a homophone is written in lower case"
    assert {"there dog ate", "Their dog eight"} <= heard
    assert any(text.startswith("um ") for text in heard)
    assert any(text == "Their dog ate" for text in heard)


@given(st.lists(st.sampled_from(["dog", "Cat,", "umbrella!", "(7)", "don't"]), min_size=1), st.integers(0, 100))
def test_words_without_a_homophone_stay_in_order(words: list[str], seed: int) -> None:
    fillers = {word for filler in FILLERS for word in filler.split()}
    heard = misheard(" ".join(words), np.random.default_rng(seed)).split()
    assert [word for word in heard if word not in fillers] == words


def test_mishearing_is_a_function_of_the_generator() -> None:
    text = "would you hear your son here"
    assert misheard(text, np.random.default_rng(3)) == misheard(text, np.random.default_rng(3))
