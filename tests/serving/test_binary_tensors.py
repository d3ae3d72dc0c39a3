import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.binary_tensors import read_strings, split, write_strings
from serving.errors import InvalidField


@given(st.lists(st.text()))
def test_strings_come_back(strings: list[str]) -> None:
    assert read_strings("text", write_strings(strings)) == strings


def test_the_bytes_are_those_of_the_protocol() -> None:
    assert write_strings(["hé", ""]) == b"\x03\x00\x00\x00h\xc3\xa9\x00\x00\x00\x00"


@given(st.binary(max_size=40))
def test_any_bytes_are_strings_or_an_error(tensor: bytes) -> None:
    try:
        strings = read_strings("text", tensor)
    except InvalidField:
        return
    assert write_strings(strings) == tensor


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (b"\x01\x00\x00", "text[0]: its length is cut off"),
        (b"\x01\x00\x00\x00a\x02\x00\x00\x00b", "text[1]: it is cut off"),
        (b"\xff\xff\xff\xffa", "text[0]: it is cut off"),
        (b"\x01\x00\x00\x00\xff", "text[0]: it is not UTF-8"),
    ],
)
def test_broken_bytes_are_refused(tensor: bytes, message: str) -> None:
    with pytest.raises(InvalidField) as raised:
        read_strings("text", tensor)
    assert str(raised.value) == message


def test_the_header_says_where_the_json_ends() -> None:
    assert split(b"{}rest", "2") == (b"{}", b"rest")
    assert split(b"{}", "2") == (b"{}", b"")
    assert split(b"{}", None) == (b"{}", b"")


@pytest.mark.parametrize("length", ["", "3", "-1", "+1", "1.0", "two", "\N{SUPERSCRIPT TWO}", "9" * 5000])
def test_a_header_that_is_no_length_is_refused(length: str) -> None:
    with pytest.raises(InvalidField):
        split(b"{}", length)
