"""The tasks: names, labels in wire order, kind and rule, read from one YAML file.

Knows nothing of weights. No other module of the program contains the name of a task.
"""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from graph.errors import TasksError


class DropBelow(BaseModel):
    """When p(label) < threshold, it is set to 0 and the other labels are renormalised to sum to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    threshold: float = Field(gt=0, lt=1)


class Rule(BaseModel):
    """What is done to a task's probabilities after softmax or sigmoid."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drop_below: DropBelow


class Task(BaseModel):
    """One classification task of the wire contract."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_]+$")
    labels: tuple[str, ...] = Field(min_length=2)
    kind: Literal["single", "multi"]
    rule: Rule | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Task":
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"task {self.name} names a label twice")
        if self.rule:
            if self.kind != "single":
                raise ValueError(f"task {self.name}: drop_below needs kind single")
            if self.rule.drop_below.label not in self.labels:
                raise ValueError(f"task {self.name}: drop_below names no label of the task")
        return self


class _TaskFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: tuple[Task, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> "_TaskFile":
        names = [task.name for task in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError("two tasks have the same name")
        return self


def load_tasks(path: Path) -> tuple[Task, ...]:
    """Read the task file.

    Returns:
        The tasks in contract order.

    Raises:
        TasksError: the file cannot be read, is not YAML, or contradicts itself.
    """
    try:
        return _TaskFile.model_validate(yaml.safe_load(path.read_text("utf-8"))).tasks
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TasksError(f"cannot read the task file {path}: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise TasksError(f"task file {path}: {where + ': ' if where else ''}{first['msg']}") from error
