"""The routes of the original, with its bodies.

    POST /model        {"sentences": [...], "sentences_with_history"?: [...]}   ->  [annotation, ...]
    POST /batch_model  {"utterances_with_histories": [["...", ...], ...]}       ->  [{"batch": [annotation, ...]}]

Any string is an utterance, also an empty one. Every task is answered, in contract order, rounded as the original
rounds.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.annotator import Annotator
from serving.body import json_object, read_body
from serving.errors import InvalidField
from serving.observability.clock import clock_of

# What the original's clients put between the turns of a history.
TURN_SEPARATOR = " [SEP] "


def routes(annotator: Annotator) -> list[Route]:
    """The two routes over what annotates."""

    async def model(request: Request) -> Response:
        utterances = model_utterances(json_object(await read_body(request, annotator.tuned.settings)))
        answer = await annotator(utterances)
        clock = clock_of(request)
        clock.add(*answer.seconds)
        with clock.stage("merge"):
            return _json(answer.rounded())

    async def batch_model(request: Request) -> Response:
        utterances = batch_model_utterances(json_object(await read_body(request, annotator.tuned.settings)))
        answer = await annotator(utterances)
        clock = clock_of(request)
        clock.add(*answer.seconds)
        with clock.stage("merge"):
            return _json(f'[{{"batch":{answer.rounded()}}}]')

    return [Route("/model", model, methods=["POST"]), Route("/batch_model", batch_model, methods=["POST"])]


def model_utterances(request: dict[str, Any]) -> list[str]:
    """The utterances of a `/model` request; history is accepted and not used.

    Raises:
        InvalidField: the body is JSON of another shape.
    """
    history = request.get("sentences_with_history")
    if history is not None and not isinstance(history, list):
        raise InvalidField("sentences_with_history must be a list")
    return _strings(_field(request, "sentences"), "sentences")


def batch_model_utterances(request: dict[str, Any]) -> list[str]:
    """The utterances of a `/batch_model` request: of each inner list the last string, behind its last separator.

    Raises:
        InvalidField: the body is JSON of another shape.
    """
    name = "utterances_with_histories"
    histories = _field(request, name)
    if not isinstance(histories, list):
        raise InvalidField(f"{name} must be a list of lists of strings")
    utterances: list[str] = []
    for i, history in enumerate(histories):
        turns = _strings(history, f"{name}[{i}]")
        if not turns:
            raise InvalidField(f"{name}[{i}] must hold at least one string")
        utterances.append(turns[-1].rsplit(TURN_SEPARATOR, 1)[-1])
    return utterances


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


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
