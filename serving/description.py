"""What the service says of itself.

GET /v1/tasks  ->  {"tasks": [{"name", "labels", "kind", "rule"}, ...]}
GET /v1/model  ->  {"name", "version", "runtime", "max_tokens", "scores", "sha256", "tasks", "placement"}
"""

from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from graph.encoder import chosen_runtime
from graph.model_directory import ModelDirectory
from serving.annotator import Annotator
from serving.settings import Settings


@dataclass(frozen=True)
class Description:
    """The model as clients see it.

    Attributes:
        name: under which it is served.
        version: 12 hexadecimal digits that stand for exactly these weights.
        runtime: what runs the encoder.
        max_tokens: token limit of an utterance, special tokens included.
        scores: accuracy and macro-F1, as the manifest has them.
        sha256: of each file of the model directory.
        placement: which stages have deployments of their own.
    """

    name: str
    version: str
    runtime: str
    max_tokens: int
    scores: dict[str, Any]
    sha256: dict[str, str]
    placement: str


def describe(model: ModelDirectory, settings: Settings) -> Description:
    """Describe a model directory as these settings serve it."""
    return Description(
        name=settings.name,
        version=model.version,
        runtime=chosen_runtime(settings.runtime, model),
        max_tokens=settings.max_tokens,
        scores=model.manifest.scores,
        sha256=model.manifest.files,
        placement=settings.placement,
    )


def routes(annotator: Annotator, description: Description) -> list[Route]:
    """The two routes.

    Args:
        annotator: whose tasks are told, with the rules in force.
        description: of the model.
    """

    async def tasks(_: Request) -> Response:
        return _json({"tasks": [task.model_dump(mode="json") for task in annotator.tuned.tasks]})

    async def model(_: Request) -> Response:
        return _json({**vars(description), "tasks": [task.name for task in annotator.tuned.tasks]})

    return [Route("/v1/tasks", tasks), Route("/v1/model", model)]


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
