"""What a published data set looks like: one YAML file under configs/convert/."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from graph.tasks import Task
from training.data import Split

FORMS = Path(__file__).parent.parent.parent / "configs" / "convert"

ReaderName = Literal["goemotions", "dynasent", "jigsaw", "midas", "table"]


class Form(BaseModel):
    """One format. `labels` leads from our labels to theirs; what is on neither side is dropped, row and all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reader: ReaderName = Field(description="module of this package")
    task: str
    origin: str = Field(description="what the rows' third column says")
    files: dict[Split, tuple[str, ...]] = Field(description="patterns of file names; missing splits are taken of train")
    text: str = Field(default="text", description="column or key of the text")
    label: str = Field(default="label", description="column or key of the label")
    separator: str | None = Field(default=None, description="between several labels in one field")
    names: tuple[str, ...] = Field(default=(), description="their labels in the order of their numbers")
    labels: dict[str, tuple[str, ...]]
    threshold: float = Field(default=0.5, description="share of raters from which on a label holds")
    otherwise: str | None = Field(default=None, description="our label where none of the others holds")

    def ours(self) -> dict[str, str]:
        """Their labels to ours."""
        return {theirs: ours for ours, group in self.labels.items() for theirs in group}

    def check(self, task: Task) -> None:
        """Hold the labels against the task file.

        Raises:
            ValueError: the task has no such label.
        """
        unknown = {*self.labels, *([self.otherwise] if self.otherwise else [])} - set(task.labels)
        if unknown:
            raise ValueError(f"task {task.name} has no label {min(unknown)}")


def form_names() -> list[str]:
    """All formats there are."""
    return sorted(path.stem for path in FORMS.glob("*.yaml"))


def load_form(name: str) -> Form:
    """Read one format."""
    return Form.model_validate(yaml.safe_load((FORMS / f"{name}.yaml").read_text("utf-8")))
