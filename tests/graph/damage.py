"""How tests break a model directory, and what must come of it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graph.errors import ModelError


def assert_refused(act: Callable[[], object], *says: str) -> None:
    with pytest.raises(ModelError) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    for part in says:
        assert part in message


def edit_manifest(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((path / "manifest.json").read_text("utf-8"))
    edit(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def vouch_for(path: Path, name: str) -> None:
    """Make the manifest agree with a file that a test has replaced."""
    digest = hashlib.sha256((path / name).read_bytes()).hexdigest()
    edit_manifest(path, lambda manifest: manifest["files"].update({name: digest}))


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
