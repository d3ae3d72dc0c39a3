import json
import re
import shutil
from pathlib import Path

import pytest

from graph.model_directory import INT8_ENCODER, ModelDirectory
from graph.pipeline import load_pipeline
from graph.tasks import load_tasks
from tests import TASKS_FILE
from tests.tiny import write_data
from training.quantize import main


def test_the_program_adds_one_file_and_changes_nothing_else(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, data = shutil.copytree(tiny_model, tmp_path / "model"), tmp_path / "data"
    write_data(data, load_tasks(TASKS_FILE))
    main([str(path), str(data), "--tasks", str(TASKS_FILE)])
    assert {file.name for file in path.iterdir()} == {file.name for file in tiny_model.iterdir()} | {INT8_ENCODER}
    before, after = (json.loads((folder / "manifest.json").read_text("utf-8")) for folder in (tiny_model, path))
    assert after["files"].pop(INT8_ENCODER)
    assert after == before

    model = ModelDirectory.open(path, TASKS_FILE)
    model.verify()
    assert len(load_pipeline(model, "onnx-int8")(["a dog", "the cat"])) == 2
    printed = capsys.readouterr().out
    agreement = r"\d+\.\d MB; the same labels as in float32 on \d+\.\d% of \d+ valid rows"
    assert re.search(f"{INT8_ENCODER}: {agreement}", printed)

    first = (path / INT8_ENCODER).read_bytes()
    main([str(path), str(data), "--tasks", str(TASKS_FILE)])
    assert (path / INT8_ENCODER).read_bytes() == first, "the same model and rows give the same file"


def test_missing_data_are_one_line(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(tiny_model), str(tmp_path), "--tasks", str(TASKS_FILE)])
    assert re.fullmatch(r"cannot quantize: .*train\.tsv\.gz.*", str(caught.value.code))
    assert not (tiny_model / INT8_ENCODER).exists()
