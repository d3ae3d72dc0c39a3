"""How utterances are written into a request, and scores are read from its answer."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graph.merge import Annotation
from graph.tasks import Task

Body = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Dialect:
    """A way to ask.

    Attributes:
        body: utterances to the text of a request, without line breaks.
        read: the JSON of an answer to annotations.
    """

    body: Body
    read: Callable[[Any, Sequence[Task]], list[Annotation]]


def _sentences(texts: Sequence[str]) -> str:
    return json.dumps({"sentences": list(texts)})


def _annotations(answer: Any, _tasks: Sequence[Task]) -> list[Annotation]:
    annotations: list[Annotation] = answer
    return annotations


def _tensors(texts: Sequence[str]) -> str:
    text = {"name": "text", "datatype": "BYTES", "shape": [len(texts), 1], "data": list(texts)}
    return json.dumps({"inputs": [text]})


def _outputs(answer: Any, tasks: Sequence[Task]) -> list[Annotation]:
    outputs = {output["name"]: output for output in answer["outputs"]}
    annotations: list[Annotation] = [{} for _ in range(next(iter(outputs.values()))["shape"][0])]
    for task in tasks:
        scores, width = outputs[task.name]["data"], len(task.labels)
        for i, annotation in enumerate(annotations):
            annotation[task.name] = dict(zip(task.labels, scores[i * width : (i + 1) * width], strict=True))
    return annotations


# {"sentences": [...]} to a list of annotations, as the original's /model.
ORIGINAL = Dialect(_sentences, _annotations)
# The Open Inference Protocol: tensors in, a tensor a task out.
INFERENCE_PROTOCOL = Dialect(_tensors, _outputs)
