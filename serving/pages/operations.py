"""What the OpenAPI document says of each route, in the order in which it is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from serving import binary_tensors
from serving.annotate import AnnotateRequest
from serving.description import Description
from serving.errors import (
    AnnotationFailed,
    AnnotatorError,
    BodyTooLarge,
    DeadlineExceeded,
    HeadersTooLarge,
    InvalidField,
    KeyMissing,
    MalformedHttp,
    MalformedJson,
    NoSuchPath,
    Overloaded,
    TooLong,
    TooSlow,
    Unavailable,
)
from serving.inference_request import INPUT, InferenceRequest
from serving.observability import exposition
from serving.pages import docs, page, schemas

TAGS = {
    "annotate": "Chosen tasks at full precision.",
    "original": "Paths and bodies of the original annotator.",
    "open inference protocol": "Also known as KServe V2.",
    "health": "For whatever watches over the service.",
    "pages": "For people.",
}

EXAMPLE = "i love you"
READING = (MalformedJson, TooSlow, BodyTooLarge, InvalidField)
COMPUTING = (AnnotationFailed, Overloaded, Unavailable, DeadlineExceeded)
EVERYWHERE: tuple[type[AnnotatorError], ...] = (MalformedHttp, KeyMissing, HeadersTooLarge)
JSON = "application/json"


@dataclass(frozen=True)
class Operation:
    """A route with one method.

    Attributes:
        method: in capitals.
        path: as Starlette and OpenAPI both write it.
        tag: one of `TAGS`.
        summary: one line.
        answer: model of the JSON that is answered.
        media: what is answered instead of JSON, or besides.
        request: model of the JSON that is asked.
        request_media: what may be asked besides JSON.
        asked: an example of that; its answer, and those of `mistakes`, go into the document.
        mistakes: by name: a body that gets an error.
        errors: that are possible, besides those that are everywhere.
        values: by name of a path's parameter: what it may be; empty for anything.
        description: more than the summary.
    """

    method: str
    path: str
    tag: str
    summary: str
    answer: type[BaseModel] | None = None
    media: Sequence[str] = ()
    request: type[BaseModel] | None = None
    request_media: Sequence[str] = ()
    asked: Any = None
    mistakes: Mapping[str, Any] = field(default_factory=dict)
    errors: Sequence[type[AnnotatorError]] = ()
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    description: str = ""


def operations(model: Description, task: str) -> list[Operation]:
    """All of them.

    Args:
        model: that is served.
        task: name of one of its tasks, for examples.
    """
    return [*_annotate(model, task), *_original(), *_protocol(model, task), *_health(), *_pages()]


def _annotate(model: Description, task: str) -> list[Operation]:
    return [
        Operation(
            "POST",
            "/v1/annotate",
            "annotate",
            "Annotate utterances by chosen tasks",
            answer=schemas.AnnotateAnswer,
            request=AnnotateRequest,
            asked={"inputs": EXAMPLE, "tasks": [task], "top_k": 3},
            mistakes={
                "no JSON": b"{",
                "wrong type": {"inputs": [EXAMPLE, 5]},
                "too long": {"inputs": "word " * model.max_tokens, "truncate": False},
            },
            errors=[*READING, TooLong, *COMPUTING],
        ),
        Operation("GET", "/v1/tasks", "annotate", "Tasks, labels and rules", answer=schemas.TasksAnswer),
        Operation(
            "GET", "/v1/model", "annotate", "Name, version and scores of the weights", answer=schemas.ModelDescription
        ),
    ]


def _original() -> list[Operation]:
    return [
        Operation(
            "POST",
            "/model",
            "original",
            "Annotate sentences by all tasks",
            answer=schemas.ModelAnswer,
            request=schemas.ModelRequest,
            asked={"sentences": [EXAMPLE]},
            mistakes={"no JSON": b"{", "wrong type": {"sentences": EXAMPLE}},
            errors=[*READING, *COMPUTING],
        ),
        Operation(
            "POST",
            "/batch_model",
            "original",
            "Annotate the last utterances of dialogs by all tasks",
            answer=schemas.BatchModelAnswer,
            request=schemas.BatchModelRequest,
            asked={"utterances_with_histories": [["hello", EXAMPLE]]},
            mistakes={"no JSON": b"{", "no utterance": {"utterances_with_histories": [[]]}},
            errors=[*READING, *COMPUTING],
        ),
    ]


def _protocol(model: Description, task: str) -> list[Operation]:
    tag = "open inference protocol"
    text = {"name": INPUT, "datatype": "BYTES", "shape": [1], "data": [EXAMPLE]}
    asked = {"id": "7", "inputs": [text], "outputs": [{"name": task}]}
    common = [
        Operation("GET", "/v2", tag, "The server and its extensions", answer=schemas.ServerMetadata),
        Operation("GET", "/v2/health/live", tag, "Whether the process lives", answer=schemas.ServerLive),
        Operation(
            "GET",
            "/v2/health/ready",
            tag,
            "Whether an utterance goes through the whole graph",
            answer=schemas.ServerReady,
            errors=COMPUTING,
        ),
    ]
    paths: dict[str, dict[str, list[str]]] = {
        "/v2/models/{name}": {"name": [model.name]},
        "/v2/models/{name}/versions/{version}": {"name": [model.name], "version": [model.version]},
    }
    of_model = [
        operation
        for path, values in paths.items()
        for operation in (
            Operation(
                "GET",
                path,
                tag,
                "Input and outputs of the model, with labels",
                answer=schemas.ModelMetadata,
                errors=[NoSuchPath],
                values=values,
            ),
            Operation(
                "GET",
                f"{path}/ready",
                tag,
                "Whether an utterance goes through the whole graph",
                answer=schemas.ModelReady,
                errors=[NoSuchPath, *COMPUTING],
                values=values,
            ),
            Operation(
                "POST",
                f"{path}/infer",
                tag,
                "Scores of utterances, a tensor a task",
                answer=schemas.InferenceAnswer,
                media=[binary_tensors.MEDIA_TYPE],
                request=InferenceRequest,
                request_media=[binary_tensors.MEDIA_TYPE],
                asked=asked,
                mistakes={"no JSON": b"{", "wrong shape": {"inputs": [text | {"shape": [2]}]}},
                errors=[*READING, TooLong, NoSuchPath, *COMPUTING],
                values=values,
                description=(
                    "Tensors may stand behind the JSON, in the request and in the answer, which then are "
                    f"`{binary_tensors.MEDIA_TYPE}` with the header `{binary_tensors.JSON_LENGTH}`."
                ),
            ),
        )
    ]
    return common + of_model


def _health() -> list[Operation]:
    return [
        Operation("GET", "/health", "health", "Whether the process lives", answer=schemas.Alive),
        Operation(
            "GET",
            "/ready",
            "health",
            "Whether an utterance goes through the whole graph",
            answer=schemas.Ready,
            errors=COMPUTING,
        ),
        Operation(
            "GET",
            "/metrics",
            "health",
            "Metrics of all replicas, for Prometheus",
            media=[exposition.MEDIA_TYPE],
            errors=[Unavailable],
        ),
    ]


def _page_assets() -> list[str]:
    return sorted(path.name for path in page.FOLDER.iterdir() if path.suffix in page.TYPES and path.name != page.INDEX)


def _pages() -> list[Operation]:
    html, css, javascript = "text/html", "text/css", "text/javascript"
    return [
        Operation("GET", "/", "pages", "Type and see charts", media=[html]),
        Operation(
            "GET",
            "/page/{version}/{name}",
            "pages",
            "What that page loads",
            media=[css, javascript, "image/svg+xml"],
            errors=[NoSuchPath],
            values={"version": [], "name": _page_assets()},
        ),
        Operation("GET", "/docs", "pages", "This document to read and to try", media=[html]),
        Operation(
            "GET",
            "/docs/{name}",
            "pages",
            "What that page loads",
            media=[css, javascript],
            errors=[NoSuchPath],
            values={"name": list(docs.ASSETS)},
        ),
        Operation("GET", "/openapi.json", "pages", "This document", media=[JSON]),
    ]
