"""The bodies of the original's HTTP interface: JSON to utterances, annotations to JSON.

    POST /model        {"sentences": [...], "sentences_with_history"?: [...]}   ->  [annotation, ...]
    POST /batch_model  {"utterances_with_histories": [["...", ...], ...]}       ->  [{"batch": [annotation, ...]}]

Any string is an utterance, also an empty one. Knows neither Ray nor Starlette.
"""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

import orjson

from graph.merge import Annotation
from serving.errors import InvalidField, MalformedJson

# What the original's clients put between the turns of a history.
TURN_SEPARATOR = " [SEP] "

# The original rounds its probabilities so.
DECIMALS = 2


def model_utterances(body: bytes) -> list[str]:
    """The utterances of a `/model` request; history is accepted and not used.

    Raises:
        MalformedJson: the body is not JSON.
        InvalidField: it is JSON of another shape.
    """
    request = _object(body)
    history = request.get("sentences_with_history")
    if history is not None and not isinstance(history, list):
        raise InvalidField("sentences_with_history must be a list")
    return _strings(_field(request, "sentences"), "sentences")


def batch_model_utterances(body: bytes) -> list[str]:
    """The utterances of a `/batch_model` request: of each inner list the last string, behind its last separator.

    Raises:
        MalformedJson: the body is not JSON.
        InvalidField: it is JSON of another shape.
    """
    name = "utterances_with_histories"
    histories = _field(_object(body), name)
    if not isinstance(histories, list):
        raise InvalidField(f"{name} must be a list of lists of strings")
    utterances: list[str] = []
    for i, history in enumerate(histories):
        turns = _strings(history, f"{name}[{i}]")
        if not turns:
            raise InvalidField(f"{name}[{i}] must hold at least one string")
        utterances.append(turns[-1].rsplit(TURN_SEPARATOR, 1)[-1])
    return utterances


def model_answer(annotations: Sequence[Annotation]) -> bytes:
    """The answer of `/model`."""
    return orjson.dumps(annotations)


def batch_model_answer(annotations: Sequence[Annotation]) -> bytes:
    """The answer of `/batch_model`."""
    return orjson.dumps([{"batch": annotations}])


def _object(body: bytes) -> dict[str, Any]:
    request = _parse(body)
    if not isinstance(request, dict):
        raise InvalidField("the body must be a JSON object")
    return request


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    # orjson refuses an escaped half of a surrogate pair, which real clients send; the standard library takes it.
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "it cannot be read"
        raise MalformedJson(f"the body is not JSON: {reason}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _field(request: dict[str, Any], name: str) -> Any:
    if name not in request:
        raise InvalidField(f"{name} is missing")
    return request[name]


def _strings(value: Any, name: str) -> list[str]:
    if not isinstance(value, list):
        raise InvalidField(f"{name} must be a list of strings")
    for i, text in enumerate(value):
        if not isinstance(text, str):
            raise InvalidField(f"{name}[{i}] must be a string")
    return value
