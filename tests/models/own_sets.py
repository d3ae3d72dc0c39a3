"""The project's own test sets, and how a model directory stands on them.

    python -m tests.models.own_sets models/lite [--runtime onnx] [--wrong]

    chat        lines of all nine tasks: the top label is right
    toxicity    functional lines in eight groups: abuse is found, everything else left alone
    everyday    lines without any offence: false alarms
    identity    69 terms for groups of people in 12 neutral frames: false alarms

Every line was labelled twice, blind; votes stand beside it. Nothing here is ever trained on.
"""

import argparse
import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from graph.model_directory import ModelDirectory
from graph.pipeline import Pipeline, load_pipeline
from tests import ROOT, TASKS_FILE

FOLDER = Path(__file__).parent / "own"
TOXICITY = "toxic_classification"
HARMLESS = "not_toxic"

# What is right for a group, given the label that is served.
GROUPS: dict[str, Callable[[str], bool]] = {
    "hate": lambda label: label != HARMLESS,
    "insult": lambda label: label != HARMLESS,
    "threat": lambda label: label != HARMLESS,
    "neutral_mention": lambda label: label == HARMLESS,
    "friendly_mention": lambda label: label == HARMLESS,
    "denied": lambda label: label == HARMLESS,
    "quoted_or_countered": lambda label: label == HARMLESS,
    "swearing_at_nobody": lambda label: label in {HARMLESS, "obscene"},
}


@dataclass(frozen=True)
class Result:
    """How many of how many lines of a part are right, and which are not: text, what is served, what was expected."""

    right: int
    lines: int
    wrong: tuple[tuple[str, str, str], ...]

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.right / self.lines


def read(name: str) -> list[dict[str, str]]:
    """The lines of one set."""
    with (FOLDER / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


def identity_lines() -> list[str]:
    """Every term in every frame."""
    frames = (FOLDER / "identity_frames.txt").read_text("utf-8").splitlines()
    return [frame.format(**term) for frame in frames for term in read("identity_terms.tsv")]


def top_labels(pipeline: Pipeline, task: str, texts: Sequence[str]) -> list[str]:
    """The labels that are served."""
    (labels,) = (found.labels for found in pipeline.tasks if found.name == task)
    return [labels[i] for i in pipeline.heads[task](pipeline.pooled(texts)).argmax(axis=1)]


def judge(texts: Sequence[str], served: Sequence[str], expected: Sequence[str], right: Sequence[bool]) -> Result:
    """Count."""
    wrong = tuple((t, s, e) for t, s, e, r in zip(texts, served, expected, right, strict=True) if not r)
    return Result(sum(right), len(texts), wrong)


def chat(pipeline: Pipeline) -> dict[str, Result]:
    """By task."""
    results: dict[str, Result] = {}
    for task in pipeline.tasks:
        lines = [line for line in read("chat.tsv") if line["task"] == task.name]
        texts, labels = [line["text"] for line in lines], [line["label"] for line in lines]
        served = top_labels(pipeline, task.name, texts)
        results[task.name] = judge(texts, served, labels, [s == e for s, e in zip(served, labels, strict=True)])
    return results


def toxicity(pipeline: Pipeline) -> dict[str, Result]:
    """By group."""
    results: dict[str, Result] = {}
    for group, right in GROUPS.items():
        texts = [line["text"] for line in read("toxicity.tsv") if line["group"] == group]
        served = top_labels(pipeline, TOXICITY, texts)
        results[group] = judge(texts, served, [group] * len(texts), [right(label) for label in served])
    return results


def false_alarms(pipeline: Pipeline, texts: Sequence[str]) -> Result:
    """Lines that should all be left alone."""
    served = top_labels(pipeline, TOXICITY, texts)
    return judge(texts, served, [HARMLESS] * len(texts), [label == HARMLESS for label in served])


def results_of(pipeline: Pipeline) -> dict[str, Result]:
    """Every part of every set."""
    by_task = chat(pipeline)
    together = Result(
        sum(r.right for r in by_task.values()),
        sum(r.lines for r in by_task.values()),
        tuple(w for r in by_task.values() for w in r.wrong),
    )
    return {
        **{f"chat, {name}": result for name, result in by_task.items()},
        "chat, all": together,
        **{f"toxicity, {name}": result for name, result in toxicity(pipeline).items()},
        "everyday": false_alarms(pipeline, [line["text"] for line in read("everyday.tsv")]),
        "identity terms": false_alarms(pipeline, identity_lines()),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How a model directory stands on the project's own test sets.")
    parser.add_argument("model", type=Path, help="model directory")
    parser.add_argument("--runtime", default="auto", help="encoder runtime (%(default)s)")
    parser.add_argument("--wrong", action="store_true", help="list the lines that are wrong")
    options = parser.parse_args()
    pipeline = load_pipeline(ModelDirectory.open(ROOT / options.model, TASKS_FILE), options.runtime)
    for part, result in results_of(pipeline).items():
        print(f"{part:40} {result.right:4}/{result.lines:<4} {100 * result.share:6.1f}")
        if options.wrong and not part.endswith(", all"):
            for text, served, expected in result.wrong:
                print(f"      {text}  [{served}, not {expected}]")


if __name__ == "__main__":
    main()
