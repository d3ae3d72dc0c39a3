"""Model directories and runtimes side by side: scores, CPU time of the whole pipeline, memory.

    python -m benchmarks.models models/full models/lite [--rounds 5]

Each pair runs in a process of its own with one thread; rounds take turns and medians are printed. Scores are those of
the manifest, mean over tasks on test. Memory is what the process holds more after loading and answering than before.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from graph.encoder import RuntimeChoice
from graph.model_directory import INT8_ENCODER, ModelDirectory
from graph.pipeline import load_pipeline
from training.data import read_file

BULK = 256


@dataclass
class Contestant:
    """A model directory and a runtime.

    Attributes:
        model: its path.
        runtime: its name.
        figures: what each round measured, see `measure`.
    """

    model: Path
    runtime: RuntimeChoice
    figures: list[dict[str, float]] = field(default_factory=list)

    def run(self, tasks: Path, lines: Path) -> None:
        """One round, in a process of its own."""
        command = [sys.executable, "-m", "benchmarks.models", str(self.model), "--tasks", str(tasks)]
        command += ["--lines", str(lines), "--one", self.runtime]
        self.figures.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))

    def median(self, figure: str) -> float:
        """Over the rounds."""
        return statistics.median(figures[figure] for figures in self.figures)


def measure(model: ModelDirectory, runtime: RuntimeChoice, texts: list[str]) -> dict[str, float]:
    """CPU milliseconds of one utterance and of an utterance in bulk, and megabytes of memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipeline = load_pipeline(model, runtime)
    pipeline(texts)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    began = time.thread_time()
    for text in texts:
        pipeline([text])
    alone = time.thread_time() - began
    began = time.thread_time()
    pipeline(texts)
    bulk = time.thread_time() - began
    return {"alone": 1000 * alone / len(texts), "bulk": 1000 * bulk / len(texts), "memory": memory / 1024}


def some_texts(lines: Path, model: ModelDirectory) -> list[str]:
    """`BULK` utterances over all tasks, from the project's own lines."""
    texts = [row.text for task in model.tasks for row in read_file(lines / f"{task.name}.tsv", task)]
    return texts[:: len(texts) // BULK][:BULK]


def mean_scores(model: ModelDirectory) -> str:
    """Mean accuracy and macro-F1 over the tasks on test, in percent, as the manifest has them."""
    scores = [of_task["all"] for of_task in model.manifest.scores["test"].values()]
    return " / ".join(f"{100 * statistics.mean(s[key] for s in scores):.1f}" for key in ("accuracy", "macro_f1"))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Compare model directories and runtimes.")
    parser.add_argument("models", type=Path, nargs="+", help="model directories")
    parser.add_argument("--tasks", type=Path, default=Path("configs/tasks.yaml"), help="task file (%(default)s)")
    parser.add_argument("--lines", type=Path, default=Path("training/lines"), help="utterances (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="%(default)s")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    opened = {path: ModelDirectory.open(path, options.tasks) for path in options.models}
    if options.one:
        (model,) = opened.values()
        print(json.dumps(measure(model, options.one, some_texts(options.lines, model))))
        return
    runtimes: tuple[RuntimeChoice, ...] = ("onnx", "onnx-int8")
    contestants = [
        Contestant(path, runtime)
        for path, model in opened.items()
        for runtime in runtimes
        if runtime == "onnx" or INT8_ENCODER in model.manifest.files
    ]
    for _ in range(options.rounds):
        for contestant in contestants:
            contestant.run(options.tasks, options.lines)
    print("| model | runtime | test accuracy / macro-F1 | ms an utterance, alone | in bulk | memory, MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for c in contestants:
        times = " | ".join(f"{c.median(figure):.2f}" for figure in ("alone", "bulk"))
        print(f"| {c.model} | {c.runtime} | {mean_scores(opened[c.model])} | {times} | {c.median('memory'):.0f} |")


if __name__ == "__main__":
    main()
