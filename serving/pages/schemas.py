"""The bodies of the OpenAPI document: what requests may hold and what is answered, as pydantic models.

The routes write their answers by hand, from arrays, and none of these is built on the way; a test holds the real
service against them. What depends on the tasks is a component that openapi.py fills in.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, RootModel, WithJsonSchema

from graph.tasks import Task

COMPONENT = "x-component"


def _component(name: str) -> WithJsonSchema:
    return WithJsonSchema({COMPONENT: name})


def _whole(number: Any) -> Any:
    return int(number) if isinstance(number, float) and number.is_integer() else number


# JSON has only one kind of number: 3.0 is a whole one.
Whole = Annotated[int, Field(ge=0), BeforeValidator(_whole)]
Positive = Annotated[int, Field(ge=1), BeforeValidator(_whole)]

TaskName = Annotated[str, _component("TaskName")]
Annotation = Annotated[dict[str, dict[str, float]], _component("Annotation")]
ChosenTasks = Annotated[dict[str, Any], _component("ChosenTasks")]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelRequest(BaseModel):
    """The body of `/model`."""

    sentences: list[str] = Field(description="the utterances; any string is one, also an empty one")
    sentences_with_history: list[JsonValue] | None = Field(default=None, description="accepted and not used")


class BatchModelRequest(BaseModel):
    """The body of `/batch_model`."""

    utterances_with_histories: list[Annotated[list[str], Field(min_length=1)]] = Field(
        description="of each inner list the last string counts, behind its last ` [SEP] `"
    )


class ModelAnswer(RootModel[list[Annotation]]):
    """An annotation a sentence, in order."""


class BatchOfAnnotations(_Body):
    """Annotations of one batch."""

    batch: list[Annotation]


class BatchModelAnswer(RootModel[Annotated[list[BatchOfAnnotations], Field(min_length=1, max_length=1)]]):
    """One batch with all of the annotations."""


class ModelIdentity(_Body):
    """Which weights answered."""

    name: str
    version: str = Field(description="12 digits that stand for exactly these weights")


class AnnotatedText(_Body):
    """The answers for one utterance."""

    tokens: int = Field(ge=0, description="special tokens included, after the cut")
    truncated: bool = Field(description="whether there were more")
    tasks: ChosenTasks


class AnnotateAnswer(_Body):
    """The answer of `/v1/annotate`: an entry an utterance, in order."""

    model: ModelIdentity
    annotations: list[AnnotatedText]


class TasksAnswer(_Body):
    """The tasks, in contract order."""

    tasks: list[Task]


class ModelDescription(_Body):
    """The model as it is served."""

    name: str
    version: str = Field(description="12 digits that stand for exactly these weights")
    runtime: str = Field(description="what runs the encoder")
    max_tokens: int = Field(description="most tokens of an utterance, special tokens included")
    scores: dict[str, JsonValue] = Field(description="accuracy and macro-F1, measured after training")
    sha256: dict[str, str] = Field(description="of each file of the model directory")
    tasks: list[TaskName]
    placement: str = Field(description="which stages have deployments of their own")


class Alive(_Body):
    """The process lives."""

    status: Literal["alive"]


class Ready(_Body):
    """An utterance has just gone through the whole graph."""

    status: Literal["ready"]


class ServerMetadata(_Body):
    """The server, as the Open Inference Protocol describes one."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(_Body):
    """The process lives."""

    live: Literal[True]


class ServerReady(_Body):
    """An utterance has just gone through the whole graph."""

    ready: Literal[True]


class ModelReady(_Body):
    """An utterance has just gone through the whole graph."""

    name: str
    ready: Literal[True]


class LabelParameters(_Body):
    """What the numbers of an output stand for."""

    labels: list[str] = Field(description="of the columns, in order")
    kind: Literal["single", "multi"] = Field(description="whether a row sums to 1 or each label stands for itself")


class InputMetadata(_Body):
    """The input."""

    name: Literal["text"]
    datatype: Literal["BYTES"]
    shape: list[int]


class OutputMetadata(_Body):
    """An output: the scores of a task."""

    name: TaskName
    datatype: Literal["FP32"]
    shape: list[int]
    parameters: LabelParameters


class ModelMetadata(_Body):
    """The model, as the Open Inference Protocol describes one."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[InputMetadata]
    outputs: list[OutputMetadata]


class BinarySize(_Body):
    """Where a tensor stands behind the JSON."""

    binary_data_size: int = Field(ge=0, description="its bytes")


class AnsweredOutput(_Body):
    """A tensor: its elements row by row in `data`, or behind the JSON."""

    name: TaskName
    datatype: Literal["FP32", "BYTES"]
    shape: Annotated[list[int], Field(min_length=2, max_length=2)]
    data: list[float] | list[str] = Field(default=[])
    parameters: BinarySize | None = None


class InferenceAnswer(_Body):
    """The answer of `/v2/models/<name>/infer`."""

    model_name: str
    model_version: str
    id: str = Field(default="", description="of the request, if it had one")
    outputs: list[AnsweredOutput]


class Problem(_Body):
    """What is wrong."""

    type: str
    message: str


class Error(_Body):
    """What is answered instead."""

    error: Problem


class ProtocolError(_Body):
    """What is answered instead, as the Open Inference Protocol has it."""

    error: str
