"""The OpenAPI 3.1 document at `/openapi.json`: built from operations.py and from the pydantic models of the bodies.

Its examples are real: each request that is shown has been put to this service, and what is shown below it is what came
back. So they fit the weights and the tasks that are served, whichever these are.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx
import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from graph.tasks import Task
from serving.annotator import Annotator
from serving.binary_tensors import JSON_LENGTH
from serving.description import Description
from serving.errors import AnnotatorError
from serving.middleware.clock_header import ClockHeader
from serving.pages.operations import EVERYWHERE, JSON, TAGS, Operation, operations
from serving.pages.schemas import COMPONENT, Error, ProtocolError

# Raised when a route changes.
API_VERSION = "1.0.0"
REFERENCE = "#/components/schemas/{model}"

# See serving/middleware/access.py.
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}

Schema = dict[str, Any]
Examples = Mapping[tuple[str, str], Sequence[tuple[str, httpx.Response]]]
"""By method and path: name of an example, and what it was answered."""


def routes(annotator: Annotator, model: Description) -> list[Route]:
    """The route.

    Args:
        annotator: whose tasks are told, with the rules in force.
        model: that is served.
    """
    written: tuple[object, bytes] | None = None
    writing = asyncio.Lock()

    async def openapi(request: Request) -> Response:
        nonlocal written
        # Whoever comes while it is written waits for that.
        async with writing:
            tuned = annotator.tuned
            if written is not None and written[0] is tuned:
                return Response(written[1], media_type=JSON)
            said = operations(model, tuned.tasks[0].name)
            examples = await put(said, ClockHeader(request.app))
            text = orjson.dumps(document(said, tuned.tasks, examples))
            if all(answer.status_code < 500 for answers in examples.values() for _, answer in answers):
                written = tuned, text
            return Response(text, media_type=JSON)

    return [Route("/openapi.json", openapi)]


async def put(said: Iterable[Operation], app: ASGIApp) -> Examples:
    """Put the examples of the operations to the application."""
    examples: dict[tuple[str, str], list[tuple[str, httpx.Response]]] = {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://annotator") as client:
        for operation in said:
            if operation.answer is None:
                continue
            path = operation.path.format(**{name: values[0] for name, values in operation.values.items()})
            bodies = {"example": operation.asked} | dict(operation.mistakes)
            examples[operation.method, operation.path] = [
                (name, await client.request(operation.method, path, content=_bytes(body)))
                for name, body in bodies.items()
            ]
    return examples


def document(said: Sequence[Operation], tasks: Sequence[Task], examples: Examples) -> dict[str, Any]:
    """The document.

    Args:
        said: every route with each of its methods.
        tasks: in contract order.
        examples: what was answered.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in said:
        answers = examples.get((operation.method, operation.path), ())
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, answers)
    models = {model for operation in said for model in (operation.request, operation.answer) if model}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "annotator",
            "version": API_VERSION,
            "description": "Classifications of a user's utterance. Every answer says in its header `Server-Timing` "
            "where its milliseconds went. A key is needed only where the operator has set some.",
        },
        "tags": [{"name": name, "description": description} for name, description in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": _components({*models, Error, ProtocolError}, tasks),
            "securitySchemes": SECURITY_SCHEMES,
        },
        # Either, and none where the operator has set no keys.
        "security": [{}, *({name: []} for name in SECURITY_SCHEMES)],
    }


def _operation(operation: Operation, answers: Sequence[tuple[str, httpx.Response]]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "tags": [operation.tag],
        "summary": operation.summary,
        "operationId": _identifier(operation),
        "responses": _responses(operation, answers),
    }
    if operation.description:
        told["description"] = operation.description
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"} | ({"enum": values} if values else {}),
        }
        for name, values in operation.values.items()
    ]
    if operation.request:
        bodies: dict[str, Any] = {JSON: {"schema": _reference(operation.request.__name__), "example": operation.asked}}
        bodies |= {media: {} for media in operation.request_media}
        told["requestBody"] = {"required": True, "content": bodies}
    if operation.request_media:
        schema = {"type": "integer", "minimum": 0}
        about = "how many bytes of the body are JSON, where tensors stand behind it"
        parameters.append({"name": JSON_LENGTH, "in": "header", "description": about, "schema": schema})
    return told | ({"parameters": parameters} if parameters else {})


def _responses(operation: Operation, answers: Sequence[tuple[str, httpx.Response]]) -> dict[str, Any]:
    media: dict[str, Any] = {name: {} for name in operation.media}
    if operation.answer:
        media = {JSON: {"schema": _reference(operation.answer.__name__)} | _shown(answers, 200)} | media
    responses: dict[str, Any] = {"200": {"description": "the answer", "content": media}}
    possible: dict[int, list[type[AnnotatorError]]] = {}
    for error in (*operation.errors, *EVERYWHERE):
        possible.setdefault(error.status_at(operation.path), []).append(error)
    for status, errors in sorted(possible.items()):
        responses[str(status)] = {
            "description": "; ".join(f"`{error.type}`: {str(error.__doc__).rstrip('.')}" for error in errors),
            "content": {JSON: {"schema": _error(operation.path, errors)} | _shown(answers, status)},
        }
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            about = "seconds after which to try again"
            responses[str(status)]["headers"] = {"Retry-After": {"description": about, "schema": {"type": "integer"}}}
    return responses


def _error(path: str, errors: Sequence[type[AnnotatorError]]) -> Schema:
    if path.startswith("/v2"):
        return _reference(ProtocolError.__name__)
    types = {"type": {"enum": [error.type for error in errors]}}
    return _reference(Error.__name__) | {"properties": {"error": {"properties": types}}}


def _shown(answers: Sequence[tuple[str, httpx.Response]], status: int) -> dict[str, Any]:
    """What has been answered with this status."""
    examples = {name: {"value": answer.json()} for name, answer in answers if answer.status_code == status}
    return {"examples": examples} if examples else {}


def _components(models: Iterable[type[BaseModel]], tasks: Sequence[Task]) -> dict[str, Schema]:
    named = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in named], ref_template=REFERENCE)
    return {name: _referring(schema) for name, schema in schemas["$defs"].items()} | _of_tasks(tasks)


def _of_tasks(tasks: Sequence[Task]) -> dict[str, Schema]:
    """What depends on the tasks."""
    probability = {"type": "number", "minimum": 0, "maximum": 1}
    scores = {task.name: _object(dict.fromkeys(task.labels, probability)) for task in tasks}
    some = {name: {key: schema[key] for key in schema if key != "required"} for name, schema in scores.items()}
    chosen = {task.name: _object({"label": {"enum": list(task.labels)}, "scores": some[task.name]}) for task in tasks}
    return {
        "TaskName": {"enum": [task.name for task in tasks]},
        "Annotation": _object(scores),
        "ChosenTasks": {"type": "object", "properties": chosen, "additionalProperties": False, "minProperties": 1},
    }


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _referring(schema: Any) -> Any:
    """The schema with references where it has placeholders for what depends on the tasks."""
    if isinstance(schema, dict):
        rest = {key: _referring(value) for key, value in schema.items() if key != COMPONENT}
        return rest | _reference(schema[COMPONENT]) if COMPONENT in schema else rest
    return [_referring(element) for element in schema] if isinstance(schema, list) else schema


def _reference(name: str) -> Schema:
    return {"$ref": REFERENCE.format(model=name)}


def _identifier(operation: Operation) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in operation.path).split()
    return "_".join([operation.method.lower(), *words])


def _bytes(body: Any) -> bytes | None:
    return body if body is None or isinstance(body, bytes) else orjson.dumps(body)
