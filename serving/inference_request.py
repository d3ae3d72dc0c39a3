"""What the body of an inference request may hold, and the utterances and outputs that it asks for.

What the protocol leaves to servers: names that are not known here are passed over, since clients of other servers send
such.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from graph.tasks import Task
from serving import binary_tensors
from serving.body import json_object
from serving.errors import LONGEST_NAME, InvalidField, first_problem
from serving.pages.schemas import Positive, TaskName, Whole

INPUT = "text"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


_Row = Annotated[list[str], Field(min_length=1, max_length=1)]


def _flat(data: Any) -> Any:
    """The elements row by row, where they are nested as the shape `[n, 1]` is."""
    nested = isinstance(data, list) and all(isinstance(row, list) and len(row) == 1 for row in data)
    return [row[0] for row in data] if nested else data


class InputParameters(_Part):
    """Parameters of an input tensor."""

    binary_data_size: Whole | None = Field(default=None, description="bytes of the tensor behind the JSON")


class InputTensor(_Part):
    """The input: n utterances."""

    name: Literal["text"]
    datatype: Literal["BYTES"]
    shape: list[Whole] = Field(min_length=1, max_length=2, description="[n] or [n, 1]")
    data: Annotated[list[str] | None, BeforeValidator(_flat, json_schema_input_type=list[str] | list[_Row] | None)] = (
        Field(default=None, description="the utterances, unless they stand behind the JSON")
    )
    parameters: InputParameters = InputParameters()


class OutputParameters(_Part):
    """Parameters of an output that is asked for."""

    binary_data: bool | None = Field(default=None, description="answer it behind the JSON")
    classification: Positive | None = Field(
        default=None, description="answer so many labels, the highest first, as BYTES `score:index:label`"
    )


class RequestedOutput(_Part):
    """An output that is asked for."""

    name: TaskName = Field(description="of a task; only the heads that are asked for are computed")
    parameters: OutputParameters = OutputParameters()


class RequestParameters(_Part):
    """Parameters of the request."""

    binary_data_output: bool = Field(default=False, description="answer all outputs behind the JSON")
    raw_scores: bool = Field(default=False, description="probabilities before the rule that a task may have")
    truncate: bool = Field(
        default=True, description="cut what is longer than the token limit; when false it is refused instead"
    )


class InferenceRequest(_Part):
    """The body of `/v2/models/<name>/infer`."""

    id: str | None = Field(default=None, description="comes back in the answer")
    parameters: RequestParameters = RequestParameters()
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[RequestedOutput] = Field(default=[], description="all tasks where none is named")


@dataclass(frozen=True)
class Inference:
    """A request that can be carried out.

    Attributes:
        id: of the request, if it has one.
        texts: the utterances.
        outputs: the tasks that are asked for, in the order of the request, and how each is to be answered.
        parameters: of the request.
    """

    id: str | None
    texts: list[str]
    outputs: list[tuple[Task, OutputParameters]]
    parameters: RequestParameters


def parse(body: bytes, json_length: str | None, tasks: Sequence[Task]) -> Inference:
    """Read a body.

    Args:
        body: JSON, and perhaps a tensor behind it.
        json_length: how much of it is JSON, as the header says; None when there is no such header.
        tasks: those that there are.

    Raises:
        MalformedJson: the JSON is none.
        InvalidField: something is missing, of another type, out of range or contradictory; an unknown output.
    """
    text, tensors = binary_tensors.split(body, json_length)
    try:
        asked = InferenceRequest.model_validate(json_object(text))
    except ValidationError as error:
        raise InvalidField(first_problem(error)) from None
    return Inference(asked.id, _texts(asked.inputs[0], tensors), _outputs(asked.outputs, tasks), asked.parameters)


def _texts(tensor: InputTensor, binary: bytes) -> list[str]:
    size = tensor.parameters.binary_data_size
    if (tensor.data is None) == (size is None):
        raise InvalidField("inputs[0]: either data or the parameter binary_data_size must be given")
    if len(binary) != (size or 0):
        raise InvalidField(f"inputs[0].parameters.binary_data_size: {len(binary)} bytes stand behind the JSON")
    texts = tensor.data if tensor.data is not None else binary_tensors.read_strings(INPUT, binary)
    if tensor.shape[1:] not in ([], [1]) or prod(tensor.shape) != len(texts):
        raise InvalidField(f"inputs[0].shape: must be [n] or [n, 1] for n strings, and there are {len(texts)}")
    return texts


def _outputs(asked: Sequence[RequestedOutput], tasks: Sequence[Task]) -> list[tuple[Task, OutputParameters]]:
    if not asked:
        return [(task, OutputParameters()) for task in tasks]
    known = {task.name: task for task in tasks}
    outputs: dict[str, tuple[Task, OutputParameters]] = {}
    for i, output in enumerate(asked):
        if output.name not in known:
            raise InvalidField(f"outputs[{i}].name: there is no output {output.name[:LONGEST_NAME]}")
        if output.name in outputs:
            raise InvalidField(f"outputs[{i}].name: {output.name} is named twice")
        outputs[output.name] = known[output.name], output.parameters
    return list(outputs.values())
