"""The Open Inference Protocol over HTTP, also known as KServe V2, with its extensions for binary tensors and labels.

    GET  /v2                               name, version, extensions
    GET  /v2/health/live, /v2/health/ready
    GET  /v2/models/<name>                 input and outputs; the labels of an output are among its parameters
    GET  /v2/models/<name>/ready
    POST /v2/models/<name>/infer           BYTES `text` of shape `[n]` or `[n, 1]`  ->  FP32 `(n, classes)` a task

The last three also with /versions/<version> behind the name. Errors are `{"error": "..."}`, see errors.py.
"""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.annotate import refuse_too_long
from serving.annotator import Annotator
from serving.binary_tensors import JSON_LENGTH, MEDIA_TYPE
from serving.body import read_body
from serving.description import Description
from serving.errors import LONGEST_NAME, NoSuchPath
from serving.inference_request import INPUT, Inference, parse
from serving.observability.clock import clock_of
from serving.observability.readiness import check_ready
from serving.output_tensors import OutputTensor, output_tensor

EXTENSIONS = ["binary_tensor_data", "classification"]


def routes(annotator: Annotator, description: Description) -> list[Route]:
    """The routes.

    Args:
        annotator: what annotates.
        description: of the model.
    """
    protocol = _Protocol(annotator, description)
    model = [
        Route(f"/v2/models/{{name}}{version}{path}", endpoint, methods=[method])
        for version in ("", "/versions/{version}")
        for method, path, endpoint in (
            ("GET", "", protocol.model),
            ("GET", "/ready", protocol.model_ready),
            ("POST", "/infer", protocol.infer),
        )
    ]
    return [
        Route("/v2", protocol.server),
        Route("/v2/health/live", protocol.live),
        Route("/v2/health/ready", protocol.ready),
        *model,
    ]


class _Protocol:
    def __init__(self, annotator: Annotator, description: Description) -> None:
        self._annotator = annotator
        self._description = description

    async def server(self, _: Request) -> Response:
        about = self._description
        return _json({"name": about.name, "version": about.version, "extensions": EXTENSIONS})

    async def live(self, _: Request) -> Response:
        return _json({"live": True})

    async def ready(self, _: Request) -> Response:
        await check_ready(self._annotator)
        return _json({"ready": True})

    async def model(self, request: Request) -> Response:
        self._check_model(request)
        outputs = [
            {
                "name": task.name,
                "datatype": "FP32",
                "shape": [-1, len(task.labels)],
                "parameters": {"labels": task.labels, "kind": task.kind},
            }
            for task in self._annotator.tuned.tasks
        ]
        return _json(
            {
                "name": self._description.name,
                "versions": [self._description.version],
                "platform": f"annotator_{self._description.runtime}",
                "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
                "outputs": outputs,
            }
        )

    async def model_ready(self, request: Request) -> Response:
        self._check_model(request)
        await check_ready(self._annotator)
        return _json({"name": self._description.name, "ready": True})

    async def infer(self, request: Request) -> Response:
        self._check_model(request)
        tuned = self._annotator.tuned
        body = await read_body(request, tuned.settings)
        asked = parse(body, request.headers.get(JSON_LENGTH), tuned.tasks)
        clock = clock_of(request)
        async with self._annotator.deadline():
            if not asked.parameters.truncate:
                with clock.stage("check"):
                    await refuse_too_long(self._annotator, INPUT, asked.texts, self._description.max_tokens)
            answer = await self._annotator(asked.texts, [task.name for task, _ in asked.outputs])
        clock.add(*answer.seconds)
        with clock.stage("merge"):
            raw = asked.parameters.raw_scores
            tensors = [
                output_tensor(task, answer.scores(task, raw), parameters.classification)
                for task, parameters in asked.outputs
            ]
            return self._answer(asked, tensors)

    def _answer(self, asked: Inference, tensors: list[OutputTensor]) -> Response:
        outputs: list[dict[str, Any]] = []
        behind: list[bytes] = []
        for tensor, (_, parameters) in zip(tensors, asked.outputs, strict=True):
            binary = parameters.binary_data
            if asked.parameters.binary_data_output if binary is None else binary:
                behind.append(tensor.binary())
                outputs.append({**tensor.head(), "parameters": {"binary_data_size": len(behind[-1])}})
            else:
                outputs.append({**tensor.head(), "data": tensor.json()})
        identity = {} if asked.id is None else {"id": asked.id}
        model = {"model_name": self._description.name, "model_version": self._description.version}
        response = _json({**model, **identity, "outputs": outputs})
        if not behind:
            return response
        text = bytes(response.body)
        return Response(b"".join([text, *behind]), media_type=MEDIA_TYPE, headers={JSON_LENGTH: str(len(text))})

    def _check_model(self, request: Request) -> None:
        """Raise NoSuchPath for another model or version than the one that there is."""
        about = self._description
        name, version = request.path_params["name"], request.path_params.get("version", about.version)
        if (name, version) != (about.name, about.version):
            asked = f"{name[:LONGEST_NAME]} of version {version[:LONGEST_NAME]}"
            raise NoSuchPath(f"there is no model {asked}; here is {about.name} of version {about.version}")


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
