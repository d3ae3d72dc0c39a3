import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidField, MalformedJson
from serving.wire import batch_model_answer, batch_model_utterances, model_answer, model_utterances

# Every code point, halves of surrogate pairs too.
ANY_TEXT = st.text(st.characters())


@given(st.lists(ANY_TEXT))
def test_any_string_is_an_utterance(sentences: list[str]) -> None:
    assert model_utterances(json.dumps({"sentences": sentences}).encode()) == sentences


@given(st.lists(st.lists(st.text(), min_size=1)))
def test_of_a_history_the_last_string_counts(histories: list[list[str]]) -> None:
    body = json.dumps({"utterances_with_histories": histories}, ensure_ascii=False).encode()
    assert batch_model_utterances(body) == [history[-1].split(" [SEP] ")[-1] for history in histories]


def test_what_stands_behind_the_last_separator_counts() -> None:
    body = json.dumps({"utterances_with_histories": [["old", "hi [SEP] how are you [SEP] fine"], ["x [SEP] "]]})
    assert batch_model_utterances(body.encode()) == ["fine", ""]


def test_history_is_accepted_and_not_used() -> None:
    body = json.dumps({"sentences": ["a"], "sentences_with_history": ["b [SEP] a"], "other": 1})
    assert model_utterances(body.encode()) == ["a"]


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
        model_utterances(body)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("null", "body"),
        ("[]", "body"),
        ('"sentences"', "body"),
        ("{}", "sentences"),
        ('{"sentences": null}', "sentences"),
        ('{"sentences": "hello"}', "sentences"),
        ('{"sentences": {"0": "a"}}', "sentences"),
        ('{"sentences": ["a", 1]}', r"sentences\[1\]"),
        ('{"sentences": [["a"]]}', r"sentences\[0\]"),
        ('{"sentences": [null]}', r"sentences\[0\]"),
        ('{"sentences": ["a"], "sentences_with_history": "a"}', "sentences_with_history"),
    ],
)
def test_the_error_names_the_field_of_a_model_request(body: str, field: str) -> None:
    with pytest.raises(InvalidField, match=field):
        model_utterances(body.encode())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{}", "utterances_with_histories"),
        ('{"utterances_with_histories": "a"}', "utterances_with_histories"),
        ('{"utterances_with_histories": ["a"]}', r"utterances_with_histories\[0\]"),
        ('{"utterances_with_histories": [["a"], []]}', r"utterances_with_histories\[1\]"),
        ('{"utterances_with_histories": [["a", 5]]}', r"utterances_with_histories\[0\]\[1\]"),
        ('{"utterances_with_histories": [[null]]}', r"utterances_with_histories\[0\]\[0\]"),
    ],
)
def test_the_error_names_the_field_of_a_batch_model_request(body: str, field: str) -> None:
    with pytest.raises(InvalidField, match=field):
        batch_model_utterances(body.encode())


def test_answers_have_the_shape_of_the_original() -> None:
    annotation = {"task": {"a": 0.25, "b": 0.75}}
    assert json.loads(model_answer([annotation, annotation])) == [annotation, annotation]
    assert json.loads(batch_model_answer([annotation])) == [{"batch": [annotation]}]
    assert model_answer([]) == b"[]"
