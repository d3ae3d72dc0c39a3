"""What the original does: Flask, one model, toxic rule, two decimals. CHAINER and TASKS are of the environment."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from deeppavlov import build_model
from flask import Flask, Response, jsonify, request

TASKS = yaml.safe_load(Path(os.environ["TASKS"]).read_text("utf-8"))["tasks"]

app = Flask(__name__)
app.json.sort_keys = False
annotate = build_model(json.loads(Path(os.environ["CHAINER"]).read_text("utf-8")))


@app.post("/model")
def model() -> Response:
    """Sentences to annotations."""
    sentences: list[str] = request.json["sentences"]
    columns = [[answer(task, row) for row in scores] for task, scores in zip(TASKS, annotate(sentences), strict=True)]
    names = [task["name"] for task in TASKS]
    return jsonify([dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)])


def answer(task: dict[str, Any], scores: np.ndarray) -> dict[str, float]:
    """One utterance's scores of a task, after its rule."""
    if rule := task.get("rule"):
        drop = rule["drop_below"]
        place = task["labels"].index(drop["label"])
        if scores[place] < drop["threshold"]:
            scores = scores.copy()
            scores[place] = 0
            scores /= scores.sum()
    return {label: round(float(score), 2) for label, score in zip(task["labels"], scores, strict=True)}
