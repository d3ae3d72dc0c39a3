"""What training makes small: the distance of each row's own head to its label, and of all heads to a teacher."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from graph.tasks import Task
from training.data import NOT_ASKED, Row
from training.model import MultitaskModel
from training.recipe import Recipe


@dataclass(frozen=True)
class LabelLoss:
    """Cross-entropy of a mixed batch, each row by its own task's head; binary, and of what was asked, of kind multi.

    Attributes:
        smoothing: share of the label's weight that is spread over all classes; of kind single.
        task_weights: float32 `(tasks,)`.
        class_weights: float32 `(classes,)` a task, 1 on average over its rows; of kind single.
    """

    smoothing: float
    task_weights: Tensor
    class_weights: Sequence[Tensor]

    def __call__(self, model: MultitaskModel, pooled: Tensor, tasks: Tensor, labels: Tensor, marks: Tensor) -> Tensor:
        """Mean over the rows.

        Args:
            model: its heads are used.
            pooled: `(rows, hidden_size)`.
            tasks: int64 `(rows,)`, position of the row's task.
            labels: int64 `(rows,)`, position of the label in its task.
            marks: int64 `(rows, labels)`, see `TrainingBatch`.
        """
        total = pooled.new_zeros((), dtype=torch.float32)
        for t in set(tasks.tolist()):
            rows = tasks == t
            logits = model.heads[t](pooled[rows]).float()
            if model.tasks[t].kind == "multi":
                loss = marked_loss(logits, marks[rows, : logits.shape[1]])
            else:
                loss = functional.cross_entropy(
                    logits, labels[rows], self.class_weights[t], reduction="sum", label_smoothing=self.smoothing
                )
            total = total + self.task_weights[t] * loss
        return total / len(labels)


def marked_loss(logits: Tensor, marks: Tensor) -> Tensor:
    """Binary cross-entropy: its mean over the marks that were asked for, times the number of rows.

    Args:
        logits: `(rows, labels)`.
        marks: `(rows, labels)` of 1, 0 and `NOT_ASKED`.
    """
    asked = marks != NOT_ASKED
    if not asked.any():
        return logits.sum() * 0
    return functional.binary_cross_entropy_with_logits(logits[asked], marks[asked].float()) * len(logits)


def label_loss(tasks: Sequence[Task], rows_by_task: Sequence[Sequence[Row]], recipe: Recipe) -> LabelLoss:
    """The loss that a recipe asks for, over the rows that it trains on."""
    return LabelLoss(
        recipe.label_smoothing,
        torch.tensor([recipe.task_weights.get(task.name, 1.0) for task in tasks]),
        [_class_weights(task, rows, recipe) for task, rows in zip(tasks, rows_by_task, strict=True)],
    )


def _class_weights(task: Task, rows: Sequence[Row], recipe: Recipe) -> Tensor:
    sizes = Counter(row.label for row in rows)
    counts = torch.tensor([float(sizes[label]) for label in range(len(task.labels))])
    weights = counts.clamp(min=1) ** -recipe.class_weights
    return weights * counts.sum() / (weights * counts).sum()


def teacher_loss(model: MultitaskModel, pooled: Tensor, logarithms: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from the teacher, its mean over rows and tasks; where not asked it is 0.

    Both sides are softened by the temperature; its square keeps the gradient's size, as in Hinton et al. 2015.

    Args:
        model: all of its heads are used.
        pooled: `(rows, hidden_size)`.
        logarithms: of the teacher's probabilities, `(rows, classes of all tasks)`; NaN in all classes of a task that
            the teacher is not asked about.
        temperature: above 0.
    """
    sizes = [len(task.labels) for task in model.tasks]
    total = pooled.new_zeros((), dtype=torch.float32)
    for head, theirs in zip(model.heads, torch.split(logarithms.float(), sizes, dim=1), strict=True):
        asked = ~theirs[:, 0].isnan()
        ours = functional.log_softmax(head(pooled[asked]).float() / temperature, dim=1)
        target = functional.log_softmax(theirs[asked] / temperature, dim=1)
        total = total + functional.kl_div(ours, target, reduction="sum", log_target=True)
    return total * temperature**2 / (len(sizes) * len(pooled))
