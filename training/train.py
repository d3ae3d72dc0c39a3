"""Train one encoder with a head a task, then export a model directory.

python -m training.train DATA --config configs/training/lite.yaml [--resume]
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from graph.errors import GraphError
from graph.tasks import Task, load_tasks
from graph.tokenizer import Tokenizer
from training.checkpoint import Checkpoint
from training.data import Row, TrainingBatch, epoch_batches, read_training_rows, write_seen
from training.evaluate import mean_accuracy, score_split, table
from training.export import export
from training.model import MultitaskModel, build_model
from training.recipe import Recipe, load_recipe

# Seconds between two lines of progress.
PROGRESS_SECONDS = 10.0


class Trainer:
    """One run: a model, its optimizer, and where they are.

    Args:
        recipe: every choice of the run.
        tasks: in contract order.
        data: folder of the tasks' data.
        checkpoint: file to save to and resume from.
        report: takes each line of progress.
    """

    def __init__(
        self, recipe: Recipe, tasks: Sequence[Task], data: Path, checkpoint: Path, report: Callable[[str], None]
    ) -> None:
        torch.manual_seed(recipe.seed)
        torch.set_num_threads(recipe.threads)
        self.recipe = recipe
        self.data = data
        self.checkpoint_path = checkpoint
        self.report = report
        self.rows: list[list[Row]] = read_training_rows(data, tasks, recipe)
        self.tokenizer = Tokenizer(recipe.base.locate() / "tokenizer.json", recipe.max_tokens)
        self.model: MultitaskModel = build_model(tasks, recipe)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": self.model.encoder.backbone.parameters(), "peak": recipe.encoder_rate},
                {"params": self.model.encoder.pooler.parameters(), "peak": recipe.head_rate},
                {"params": self.model.heads.parameters(), "peak": recipe.head_rate},
            ],
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
        )
        self.step = 0
        self.best_score = -1.0
        self.best_model: dict[str, Any] = {}

    def resume(self) -> None:
        """Go back to the last checkpoint.

        Raises:
            ValueError: it was written under another recipe.
        """
        state = Checkpoint.load(self.checkpoint_path)
        if state.recipe != self.recipe.model_dump(mode="json"):
            raise ValueError(f"{self.checkpoint_path} was written under another recipe")
        self.model.load_state_dict(state.model)
        self.optimizer.load_state_dict(state.optimizer)
        torch.set_rng_state(state.random)
        self.step, self.best_score, self.best_model = state.step, state.best_score, state.best_model
        self.report(f"resumed after step {self.step}")

    def run(self) -> None:
        """Train to the end and leave the model with the weights of its best epoch."""
        first = 0  # step at which the epoch begins
        for epoch in range(self.recipe.epochs):
            batches = epoch_batches(self.rows, self.tokenizer, self.recipe, epoch)
            # Epochs differ by a batch at most, since as many rows are drawn in each.
            total = len(batches) * self.recipe.epochs
            done = self.step - first
            if done < len(batches):
                self._run_epoch(batches[done:], total)
                self._choose_best(epoch)
                self.save()
            first += len(batches)
        self.model.load_state_dict(self.best_model)

    def _run_epoch(self, batches: Sequence[TrainingBatch], total: int) -> None:
        self.model.train()
        began = reported = time.monotonic()
        loss_sum, loss_count = 0.0, 0
        for made, batch in enumerate(batches, start=1):
            loss_sum += self._learn(batch, total)
            loss_count += 1
            # Not behind the last batch: that checkpoint is written when the epoch has been scored.
            if self.step % self.recipe.checkpoint_every == 0 and made < len(batches):
                self.save()
            now = time.monotonic()
            if now - reported >= PROGRESS_SECONDS or made == len(batches):
                left = (total - self.step) * (now - began) / made
                self.report(
                    f"step {self.step}/{total}  loss {loss_sum / loss_count:.3f}  "
                    f"{made / (now - began):.1f} steps/s  left {clock(left)}"
                )
                reported, loss_sum, loss_count = now, 0.0, 0

    def _learn(self, batch: TrainingBatch, total: int) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * rate_factor(self.step, self.recipe.warmup_steps, total)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            loss = self.model.loss(
                torch.from_numpy(batch.ids),
                torch.from_numpy(batch.mask),
                torch.from_numpy(batch.tasks),
                torch.from_numpy(batch.labels),
                self.recipe.label_smoothing,
            )
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {self.step}")
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return value

    def _choose_best(self, epoch: int) -> None:
        random = torch.get_rng_state()
        scores = score_split(self.model.pipeline(self.tokenizer), self.data, "valid", self.recipe.valid_rows)
        torch.set_rng_state(random)
        score = mean_accuracy(scores)
        self.report(f"epoch {epoch + 1} of {self.recipe.epochs}, valid\n{table(scores, by_origin=False)}")
        if score > self.best_score:
            self.best_score = score
            self.best_model = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def save(self) -> None:
        """Write the checkpoint."""
        Checkpoint(
            recipe=self.recipe.model_dump(mode="json"),
            step=self.step,
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            random=torch.get_rng_state(),
            best_score=self.best_score,
            best_model=self.best_model,
        ).save(self.checkpoint_path)


def clock(seconds: float) -> str:
    """A duration as minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def rate_factor(step: int, warmup_steps: int, total: int) -> float:
    """Share of the highest learning rate at a step: linear rise, then linear fall to zero."""
    return min((step + 1) / max(warmup_steps, 1), max(total - step, 0) / max(total - warmup_steps, 1), 1.0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, export, and print the scores of what was exported."""
    parser = argparse.ArgumentParser(description="Train a model directory on DATA/<task>/{train,valid,test}.tsv.gz.")
    parser.add_argument("data", type=Path, help="folder with <task>/<split>.tsv.gz")
    parser.add_argument("--config", type=Path, required=True, help="recipe, such as configs/training/lite.yaml")
    parser.add_argument("--tasks", type=Path, default=Path("configs/tasks.yaml"), help="task file (%(default)s)")
    parser.add_argument("--work", type=Path, help="folder for the checkpoint (runs/<name>)")
    parser.add_argument("--out", type=Path, help="model directory to write (models/<name>)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    options = parser.parse_args(arguments)
    try:
        recipe = load_recipe(options.config)
        work = options.work or Path("runs") / recipe.name
        out = options.out or Path("models") / recipe.name
        train(recipe, options.tasks, options.data, work, out, resume=options.resume)
    except (GraphError, OSError, ValueError, yaml.YAMLError) as error:
        sys.exit(f"cannot train: {' '.join(str(error).split())}")


def train(recipe: Recipe, tasks_file: Path, data: Path, work: Path, out: Path, resume: bool) -> None:
    """Run a recipe to the end and print the scores of what it exports.

    Raises:
        ValueError: recipe, data or checkpoint do not fit; also when a run is there and `resume` is not wished.
        FileNotFoundError: data or base encoder are not there.
        GraphError: the task file cannot be used.
    """
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise ValueError(f"{checkpoint} holds a run: add --resume to go on, or remove it to start anew")
    trainer = Trainer(recipe, load_tasks(tasks_file), data, checkpoint, lambda line: print(line, flush=True))
    if checkpoint.exists():
        trainer.resume()
    write_seen(out.with_name(f"{out.name}.seen"), trainer.rows)
    trainer.run()
    scores = export(trainer.model, recipe, tasks_file, data, out)
    for split, of_split in scores.items():
        print(f"\n{out}, {split}\n{table(of_split)}")


if __name__ == "__main__":
    main()
