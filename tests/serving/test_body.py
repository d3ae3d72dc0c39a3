import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.body import json_object
from serving.errors import InvalidField, MalformedJson

# Every code point, halves of surrogate pairs too.
ANY_TEXT = st.text(st.characters())


def whole(text: str) -> str:
    """The text with U+FFFD for every half of a surrogate pair that is not followed by its other half."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@given(st.dictionaries(st.text(), st.lists(ANY_TEXT)))
def test_strings_come_through_and_half_a_surrogate_pair_as_the_replacement_character(value: dict[str, Any]) -> None:
    assert json_object(json.dumps(value).encode()) == {k: [whole(text) for text in v] for k, v in value.items()}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'sentences': []}",
        b'{"sentences": [NaN]}',
        b'{"sentences": ["\xff"]}',
        b'\xef\xbb\xbf{"sentences": []}',
        b'{"sentences": []} x',
        b"[" * 100_000,
        b'{"sentences": [' + b"9" * 5000,
        '{"sentences": ["a"]}'.encode("utf-16"),
    ],
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        json_object(body)


@pytest.mark.parametrize("body", [b"null", b"[]", b'"inputs"', b"1"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidField, match="body"):
        json_object(body)
