import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.body import json_object
from serving.errors import InvalidField
from serving.original import batch_model_utterances, model_utterances


@given(st.lists(st.text()))
def test_any_string_is_an_utterance(sentences: list[str]) -> None:
    assert model_utterances({"sentences": sentences}) == sentences


@given(st.lists(st.lists(st.text(), min_size=1)))
def test_of_a_history_the_last_string_counts(histories: list[list[str]]) -> None:
    request = {"utterances_with_histories": histories}
    assert batch_model_utterances(request) == [history[-1].split(" [SEP] ")[-1] for history in histories]


def test_what_stands_behind_the_last_separator_counts() -> None:
    request = {"utterances_with_histories": [["old", "hi [SEP] how are you [SEP] fine"], ["x [SEP] "]]}
    assert batch_model_utterances(request) == ["fine", ""]


def test_history_is_accepted_and_not_used() -> None:
    assert model_utterances({"sentences": ["a"], "sentences_with_history": ["b [SEP] a"], "other": 1}) == ["a"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
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
        model_utterances(json.loads(body))


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
        batch_model_utterances(json_object(body.encode()))
