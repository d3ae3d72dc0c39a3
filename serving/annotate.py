"""The modern route: chosen tasks, full precision, what was cut, and which weights answered.

POST /v1/annotate  {"inputs": "..." | [...], "tasks"?, "top_k"?, "threshold"?, "raw_scores"?, "truncate"?}
    ->  {"model": {"name", "version"}, "annotations": [{"tokens", "truncated", "tasks": {task: {"label", "scores"}}}]}
"""

from collections.abc import Collection, Sequence
from typing import Annotated, Any

import numpy as np
import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from graph.tasks import Task
from serving.annotator import Annotator
from serving.answer import Answer
from serving.body import json_object, read_body
from serving.description import Description
from serving.errors import InvalidField, TooLong, first_problem
from serving.observability.clock import clock_of
from serving.pages.schemas import Positive, TaskName


def _as_list(inputs: Any) -> Any:
    return [inputs] if isinstance(inputs, str) else inputs


class AnnotateRequest(BaseModel):
    """The body of `/v1/annotate`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    inputs: Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])] = Field(
        description="an utterance, or a list of them; any string is one, also an empty one"
    )
    tasks: list[TaskName] | None = Field(
        default=None,
        min_length=1,
        json_schema_extra={"uniqueItems": True},
        description="names of the tasks to compute; all where it is not given",
    )
    top_k: Positive | None = Field(default=None, description="only so many labels a task: the highest, highest first")
    threshold: float | None = Field(default=None, ge=0, le=1, description="only labels with at least this score")
    raw_scores: bool = Field(default=False, description="probabilities before the rule that a task may have")
    truncate: bool = Field(
        default=True, description="cut what is longer than the token limit; when false it is refused instead"
    )


def routes(annotator: Annotator, description: Description) -> list[Route]:
    """The route.

    Args:
        annotator: what annotates.
        description: name and version of the model, and its token limit.
    """

    async def annotate(request: Request) -> Response:
        tuned = annotator.tuned
        asked = parse(await read_body(request, tuned.settings), [task.name for task in tuned.tasks])
        clock = clock_of(request)
        async with annotator.deadline():
            if not asked.truncate:
                with clock.stage("check"):
                    await refuse_too_long(annotator, "inputs", asked.inputs, description.max_tokens)
            answer = await annotator(asked.inputs, tuned.default_tasks if asked.tasks is None else asked.tasks)
        clock.add(*answer.seconds)
        with clock.stage("merge"):
            model = {"name": description.name, "version": description.version}
            body = orjson.dumps({"model": model, "annotations": annotations(answer, asked)})
            return Response(body, media_type="application/json")

    return [Route("/v1/annotate", annotate, methods=["POST"])]


def parse(body: bytes, names: Collection[str]) -> AnnotateRequest:
    """Read a body.

    Args:
        body: JSON.
        names: of the tasks that there are.

    Raises:
        MalformedJson: it is no JSON.
        InvalidField: a field is missing, unknown, of another type or out of range; an unknown or repeated task.
    """
    try:
        asked = AnnotateRequest.model_validate(json_object(body))
    except ValidationError as error:
        raise InvalidField(first_problem(error)) from None
    seen: set[str] = set()
    for i, name in enumerate(asked.tasks or ()):
        if name not in names:
            raise InvalidField(f"tasks[{i}]: no such task; GET /v1/tasks lists them")
        if name in seen:
            raise InvalidField(f"tasks[{i}]: {name} is named twice")
        seen.add(name)
    return asked


async def refuse_too_long(annotator: Annotator, field: str, texts: Sequence[str], limit: int) -> None:
    """Raise TooLong when an utterance of the field would have to be cut; nothing is encoded for that."""
    counts = await annotator.count_tokens(texts)
    for i in np.flatnonzero(counts > limit):
        raise TooLong(f"{field}[{i}] has {counts[i]} tokens, the limit is {limit}; truncate: true cuts it")


def annotations(answer: Answer, asked: AnnotateRequest) -> list[dict[str, Any]]:
    """One object an utterance, tasks in contract order."""
    columns = [_task_scores(answer, task, asked) for task in answer.tasks]
    names = [task.name for task in answer.tasks]
    tokens, uncut = answer.tokens.tolist(), answer.uncut.tolist()
    return [
        {"tokens": kept, "truncated": all_ > kept, "tasks": dict(zip(names, row, strict=True))}
        for kept, all_, *row in zip(tokens, uncut, *columns, strict=True)
    ]


def _task_scores(answer: Answer, task: Task, asked: AnnotateRequest) -> list[dict[str, Any]]:
    scores = answer.scores(task, asked.raw_scores)
    highest = scores.argmax(axis=1).tolist()
    if asked.top_k is None:
        rows = [list(zip(task.labels, row, strict=True)) for row in scores.tolist()]
    else:
        order = np.argsort(-scores, axis=1, kind="stable")[:, : asked.top_k]
        ranked = np.take_along_axis(scores, order, axis=1)
        rows = [
            [(task.labels[i], score) for i, score in zip(indices, row, strict=True)]
            for indices, row in zip(order.tolist(), ranked.tolist(), strict=True)
        ]
    least = -1.0 if asked.threshold is None else asked.threshold
    return [
        {"label": task.labels[best], "scores": {label: score for label, score in row if score >= least}}
        for best, row in zip(highest, rows, strict=True)
    ]
