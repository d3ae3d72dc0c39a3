"""Train one encoder with a head a task, then export a model directory.

python -m training.train DATA --config configs/training/own.yaml [--resume]
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from graph.errors import GraphError
from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
from graph.tasks import load_tasks
from graph.tokenizer import Tokenizer
from training.checkpoint import Checkpoint
from training.data import Epoch, Row, TrainingBatch, draw, read_training_rows, write_seen
from training.distill import SoftLabels
from training.evaluate import mean_accuracy, score_split, table
from training.export import export
from training.loss import label_loss, teacher_loss
from training.model import MultitaskModel, build_model, mean_weights, same_shape, trained_weights
from training.recipe import Recipe, load_recipe
from training.schedule import Schedule, Standing

# Seconds between two lines of progress.
PROGRESS_SECONDS = 10.0


class Trainer:
    """One run: a model, its optimizer, and where they are.

    Args:
        recipe: every choice of the run.
        tasks_file: the tasks, in contract order.
        data: folder of the tasks' data.
        checkpoint: file to save to and resume from.
        report: takes each line of progress.
    """

    def __init__(
        self, recipe: Recipe, tasks_file: Path, data: Path, checkpoint: Path, report: Callable[[str], None]
    ) -> None:
        torch.manual_seed(recipe.seed)
        torch.set_num_threads(recipe.threads)
        tasks = load_tasks(tasks_file)
        self.recipe = recipe
        self.data = data
        self.checkpoint_path = checkpoint
        self.report = report
        self.rows: list[list[Row]] = read_training_rows(data, tasks, recipe)
        self.tokenizer = Tokenizer(recipe.base.locate() / "tokenizer.json", recipe.max_tokens)
        if recipe.teacher is not None:
            if any(task.kind != "single" for task in tasks):
                raise ValueError("a teacher's answers are learned for tasks of kind single alone")
            known = {row.origin for rows in self.rows for row in rows}
            for origin in set(recipe.teacher.own_task_from_label) - known:
                raise ValueError(f"own_task_from_label: no row that is trained on is of origin {origin}")
        for task in (recipe.rows.keys() | recipe.task_weights.keys()) - {task.name for task in tasks}:
            raise ValueError(f"rows and task_weights: there is no task {task}")
        models = {path: ModelDirectory.open(path, tasks_file) for path in recipe.read_models}
        self.read_models = {str(path): model.version for path, model in models.items()}
        self.soft_labels: SoftLabels | None = None
        if recipe.teacher is not None:
            # In torch, so that teachers compute in the precision of the run: half of it takes half the time or less.
            # And what torch draws before it fills in their weights shall not change what the run begins with.
            with torch.random.fork_rng():
                teachers = [
                    load_pipeline(models[path], "torch", recipe.max_tokens, recipe.threads)
                    for path in recipe.teacher.models
                ]
            self.soft_labels = SoftLabels(teachers, report)
        self.model: MultitaskModel = build_model(tasks, recipe, None if recipe.start is None else models[recipe.start])
        self.others = [(share, trained_weights(models[path])) for path, share in recipe.mean_with.items()]
        for path, (_, other) in zip(recipe.mean_with, self.others, strict=True):
            alike = same_shape(other, self.model.state_dict())
            if not alike or models[path].manifest.pooling != self.model.encoder.pooling:
                raise ValueError(f"{path} has no mean with this run: its layers or its pooling are others")
        self.optimizer = build_optimizer(self.model, recipe)
        self.label_loss = label_loss(tasks, self.rows, recipe)
        self.schedule = Schedule(recipe, Standing())
        self.step = 0
        self.best_model: dict[str, Any] = {}

    def resume(self) -> None:
        """Go back to the last checkpoint.

        Raises:
            ValueError: it was written under another recipe, or with other weights in the models that it names.
        """
        state = Checkpoint.load(self.checkpoint_path)
        if state.recipe != self.recipe.model_dump(mode="json"):
            raise ValueError(f"{self.checkpoint_path} was written under another recipe")
        changed = [path for path, version in state.read_models.items() if self.read_models[path] != version]
        if changed:
            raise ValueError(f"{self.checkpoint_path} was begun with other weights in {', '.join(changed)}")
        self.model.load_state_dict(state.model)
        self.optimizer.load_state_dict(state.optimizer)
        torch.set_rng_state(state.random)
        self.schedule = Schedule(self.recipe, Standing(**state.standing))
        self.step, self.best_model = state.step, state.best_model
        self.report(f"resumed after step {self.step}")

    def run(self) -> None:
        """Train to the end and leave the model with its best weights; see `take_best`."""
        backbone: Any = self.model.encoder.backbone
        fused = backbone.config._attn_implementation
        # The backward pass of the fused attention is slower than the plain one for rows as short as these.
        backbone.set_attn_implementation("eager")
        first = 0  # step at which the epoch begins
        for number in range(self.recipe.epochs):
            epoch = draw(self.rows, self.model.tasks, self.tokenizer, self.recipe, number)
            done = self.step - first
            if done < len(epoch.batches) and not self.schedule.ended:
                # Epochs differ by a batch at most, since as many rows are drawn in each.
                self._run_epoch(epoch, done, len(epoch.batches) * self.recipe.epochs)
            first += len(epoch.batches)
        self.take_best()
        backbone.set_attn_implementation(fused)

    def take_best(self) -> None:
        """Give the model its best weights so far, or their mean with those of other models where the recipe says so."""
        own = 1 - sum(self.recipe.mean_with.values())
        self.model.load_state_dict(mean_weights([(own, self.best_model), *self.others]))

    def _run_epoch(self, epoch: Epoch, done: int, total: int) -> None:
        softened = self.soften(epoch)
        self.model.train()
        began = reported = time.monotonic()
        loss_sum, loss_count = 0.0, 0
        for number in range(done, len(epoch.batches)):
            teacher = None if softened is None else torch.from_numpy(softened[epoch.batches[number]])
            loss_sum += self._learn(epoch.batch(number), teacher, total)
            loss_count += 1
            last = number + 1 == len(epoch.batches)
            now = time.monotonic()
            if now - reported >= PROGRESS_SECONDS or last:
                made = number + 1 - done
                left = (total - self.step) * (now - began) / made
                self.report(
                    f"step {self.step}/{total}  loss {loss_sum / loss_count:.3f}  "
                    f"{made / (now - began):.1f} steps/s  left {clock(left)}"
                )
                reported, loss_sum, loss_count = now, 0.0, 0
            if self._due(self.recipe.validate_every) or last:
                self._validate(total)
                self.save()
                if self.schedule.ended:
                    return
            elif self._due(self.recipe.checkpoint_every):
                self.save()

    def soften(self, epoch: Epoch) -> NDArray[np.float16] | None:
        """What the teacher answers to an epoch's rows, where there is one; see `teacher_loss` for what NaN means.

        Returns:
            Logarithms of probabilities, `(rows, classes of all tasks)`.
        """
        teacher = self.recipe.teacher
        if teacher is None or self.soft_labels is None:
            return None
        with self._precision():
            softened = self.soft_labels([row.text for _, row in epoch.rows])
        starts = np.cumsum([0, *(len(task.labels) for task in self.model.tasks)])
        for of_row, (own, row) in zip(softened, epoch.rows, strict=True):
            if row.origin in teacher.own_task_from_label:
                of_row[starts[own] : starts[own + 1]] = np.nan
        return softened

    def _precision(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.precision == "bfloat16")

    def _due(self, every: int | None) -> bool:
        return every is not None and self.step % every == 0

    def _learn(self, batch: TrainingBatch, teacher: Tensor | None, total: int) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * self.schedule.share(self.step, total)
        with self._precision():
            pooled = self.model(torch.from_numpy(batch.ids), torch.from_numpy(batch.mask))
            truth = (torch.from_numpy(array) for array in (batch.tasks, batch.labels, batch.marks))
            loss = self.label_loss(self.model, pooled, *truth)
            if teacher is not None and self.recipe.teacher is not None:
                distance = teacher_loss(self.model, pooled, teacher, self.recipe.teacher.temperature)
                loss = loss + self.recipe.teacher.weight * distance
        value = loss.item()
        if not math.isfinite(value):
            raise ValueError(f"the loss is {value} at step {self.step}: lower encoder_rate and head_rate")
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return value

    def _validate(self, total: int) -> None:
        random = torch.get_rng_state()
        scores = score_split(self.model.pipeline(self.tokenizer), self.data, "valid", self.recipe.valid_rows)
        self.model.train()
        torch.set_rng_state(random)
        if self.schedule.validated(mean_accuracy(scores)):
            self.best_model = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.report(f"valid after step {self.step}/{total}\n{table(scores, by_origin=False)}")

    def save(self) -> None:
        """Write the checkpoint."""
        Checkpoint(
            recipe=self.recipe.model_dump(mode="json"),
            read_models=self.read_models,
            step=self.step,
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            random=torch.get_rng_state(),
            standing=self.schedule.standing.plain(),
            best_model=self.best_model,
        ).save(self.checkpoint_path)


def build_optimizer(model: MultitaskModel, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with the rates of encoder and heads; parameters that do not learn are left out."""
    rates = [
        (model.encoder.backbone, recipe.encoder_rate),
        (model.encoder.pooler, recipe.head_rate),
        (model.heads, recipe.head_rate),
    ]
    groups = [
        {"params": [p for p in part.parameters() if p.requires_grad], "peak": rate, "lr": rate} for part, rate in rates
    ]
    return torch.optim.AdamW(groups, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True)


def clock(seconds: float) -> str:
    """A duration as minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def recipe_parser(description: str) -> argparse.ArgumentParser:
    """A command line of what every training takes: data, recipe and changes to it, tasks."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", type=Path, help="folder with <task>/<split>.tsv.gz")
    parser.add_argument("--config", type=Path, required=True, help="recipe, such as configs/training/own.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SETTING=VALUE", dest="changes", help="change the recipe"
    )
    parser.add_argument("--tasks", type=Path, default=Path("configs/tasks.yaml"), help="task file (%(default)s)")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, export, and print the scores of what was exported."""
    parser = recipe_parser("Train a model directory on DATA/<task>/{train,valid,test}.tsv.gz.")
    parser.add_argument("--work", type=Path, help="folder for the checkpoint (runs/<name>)")
    parser.add_argument("--out", type=Path, help="model directory to write (models/<name>)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    options = parser.parse_args(arguments)
    try:
        recipe = load_recipe(options.config, options.changes)
        work = options.work or Path("runs") / recipe.name
        out = options.out or Path("models") / recipe.name
        train(recipe, options.tasks, options.data, work, out, resume=options.resume)
    except (GraphError, OSError, ValueError, yaml.YAMLError) as error:
        sys.exit(f"cannot train: {' '.join(str(error).split())}")


def train(recipe: Recipe, tasks_file: Path, data: Path, work: Path, out: Path, resume: bool) -> None:
    """Run a recipe to the end and print the scores of what it exports.

    Raises:
        ValueError: recipe, data or checkpoint do not fit; also when a run is there and `resume` is not wished, and when
            the loss is no number any more.
        FileNotFoundError: data or base encoder are not there.
        GraphError: the task file cannot be used.
    """
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise ValueError(f"{checkpoint} holds a run: add --resume to go on, or remove it to start anew")
    trainer = Trainer(recipe, tasks_file, data, checkpoint, lambda line: print(line, flush=True))
    if checkpoint.exists():
        trainer.resume()
    write_seen(out.with_name(f"{out.name}.seen"), trainer.rows)
    trainer.run()
    scores = export(trainer.model, trainer.rows, recipe, tasks_file, data, out)
    for split, of_split in scores.items():
        print(f"\n{out}, {split}\n{table(of_split)}")


if __name__ == "__main__":
    main()
