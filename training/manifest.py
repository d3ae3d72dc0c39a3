"""What the writers of model directories share: the manifest's file, and licences of origins."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from graph.model_directory import Manifest

LICENCES = Path(__file__).parent.parent / "configs" / "training" / "licences.yaml"
NO_LICENCE = "not stated"


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `manifest.json`, whole or not at all."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, ensure_ascii=False)
    unfinished = folder / ".manifest.unfinished"
    unfinished.write_text(text + "\n", "utf-8")
    os.replace(unfinished, folder / "manifest.json")


def sha256_of(path: Path) -> str:
    """As the manifest has it, for each file of the directory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def data_records(task: str, origins: Iterable[str]) -> list[dict[str, Any]]:
    """What the manifest says of a task's data: a record an origin, with its rows and licence.

    Args:
        task: its name.
        origins: one a row.
    """
    licences: dict[str, str] = yaml.safe_load(LICENCES.read_text("utf-8"))
    return [
        {"task": task, "origin": origin, "rows": rows, "licence": licences.get(origin, NO_LICENCE)}
        for origin, rows in sorted(Counter(origins).items())
    ]
