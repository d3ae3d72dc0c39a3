"""What can change while the service runs: the `user_config` of the ingress.

Precedence: what a request asks for, then user_config, then the task file, then the manifest of the model directory.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graph.tasks import DropBelow, Rule, Task
from serving.errors import first_problem
from serving.settings import Limits, Settings
from serving.trips import Heads


class TuningError(ValueError):
    """A user_config that cannot be used; the message is one line that names the key."""


class Tuning(BaseModel):
    """A `user_config` as it is written; every key may be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    thresholds: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(
        default={}, description="by task that has a rule: its threshold, in place of the task file's"
    )
    temperatures: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default={}, description="by task: logits are divided by it, in place of the manifest's"
    )
    default_tasks: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="what /v1/annotate computes when a request names no tasks; else all"
    )
    limits: dict[str, float] = Field(
        default={}, description=f"in place of these arguments: {', '.join(Limits.model_fields)}"
    )


@dataclass(frozen=True)
class Tuned:
    """What is in force.

    Attributes:
        tasks: in contract order, with their rules.
        heads: by task name, in contract order: the temperature of its head, None for the weights' own.
        default_tasks: names of those computed for a request that names none.
        settings: with the limits.
    """

    tasks: tuple[Task, ...]
    heads: Heads
    default_tasks: tuple[str, ...]
    settings: Settings


def tune(tasks: Sequence[Task], settings: Settings, user_config: Mapping[str, Any]) -> Tuned:
    """Lay a user_config over the task file and the settings.

    Args:
        tasks: of the task file.
        settings: arguments of the application.
        user_config: as Serve hands it over; empty for none.

    Raises:
        TuningError: an unknown key, task or limit, a value out of range, or a threshold for a task without a rule.
    """
    try:
        tuning = Tuning.model_validate(user_config)
        _check_names("limits", tuning.limits, Limits.model_fields)
        limits = Limits.model_validate(settings.model_dump(include=set(Limits.model_fields)) | tuning.limits)
    except ValidationError as error:
        raise TuningError(first_problem(error)) from None
    names = {task.name for task in tasks}
    _check_names("thresholds", tuning.thresholds, {task.name for task in tasks if task.rule})
    _check_names("temperatures", tuning.temperatures, names)
    _check_names("default_tasks", tuning.default_tasks or (), names)
    return Tuned(
        tasks=tuple(_with_threshold(task, tuning.thresholds.get(task.name)) for task in tasks),
        heads={task.name: tuning.temperatures.get(task.name) for task in tasks},
        default_tasks=tuple(task.name for task in tasks if task.name in (tuning.default_tasks or names)),
        settings=settings.model_copy(update=limits.model_dump()),
    )


def _with_threshold(task: Task, threshold: float | None) -> Task:
    if threshold is None or task.rule is None:
        return task
    rule = Rule(drop_below=DropBelow(label=task.rule.drop_below.label, threshold=threshold))
    return task.model_copy(update={"rule": rule})


def _check_names(key: str, given: Iterable[str], known: Iterable[str]) -> None:
    unknown = set(given) - set(known)
    if unknown:
        raise TuningError(f"{key}: {min(unknown)} is none of {', '.join(sorted(known))}")
