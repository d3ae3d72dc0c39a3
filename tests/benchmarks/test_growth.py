from pathlib import Path

import pytest
import yaml

from benchmarks.contestants import CONTESTANTS
from benchmarks.growth import GROWTHS, Step, draw, main, tables, varied, write_replicas
from benchmarks.synthetic import text_of, write_synthetic_tasks
from graph.model_directory import ModelDirectory
from graph.pipeline import load_pipeline
from graph.tokenizer import Tokenizer
from serving.settings import PROJECT, Settings
from tests import TASKS_FILE
from tests.benchmarks.results import served

STEPS = {name: [Step(1, served(100), 900), Step(2, served(50), 950)] for name in GROWTHS}


@pytest.mark.parametrize("tokens", [4, 32, 128])
def test_a_text_has_exactly_so_many_tokens(tokens: int) -> None:
    tokenizer = Tokenizer(Settings().model_path / "tokenizer.json", 128)
    assert tokenizer([text_of(tokens)]).uncut.tolist() == [tokens]


def test_synthetic_tasks_take_the_place_of_the_model_s_own(tiny_model: Path, tmp_path: Path) -> None:
    original = ModelDirectory.open(tiny_model, TASKS_FILE)
    for count in (3, 50):
        tasks_file = write_synthetic_tasks(original, count, tmp_path / "synthetic")
        model = ModelDirectory.open(tmp_path / "synthetic", tasks_file)
        model.verify()
        (annotation,) = load_pipeline(model)(["hello"])
        assert len(annotation) == count
        for scores in annotation.values():
            assert sum(scores.values()) == pytest.approx(1)


def test_replicas_are_fixed_and_all_else_is_packed(tmp_path: Path) -> None:
    config = yaml.safe_load(write_replicas(3, tmp_path / "new" / "replicas.yaml").read_text("utf-8"))
    packed = yaml.safe_load((PROJECT / "configs" / "serve" / "packed.yaml").read_text("utf-8"))
    ingress, encoder = config["applications"][0]["deployments"]
    assert ingress == packed["applications"][0]["deployments"][0]
    assert encoder["num_replicas"] == 3
    assert "autoscaling_config" not in encoder


def test_settings_go_by_the_environment() -> None:
    assert varied(CONTESTANTS["fused"], max_tokens="128").variables == {"ANNOTATOR_MAX_TOKENS": "128"}


def test_every_growth_has_a_table_and_a_panel(tmp_path: Path) -> None:
    text = tables(STEPS, "About.")
    assert text.count("| 2 | 20.0 | 40.0 | 50.0 | 50 | 950 | 0 |") == len(GROWTHS)
    assert text.startswith("About.\n\n### Utterances: 1 connection, so many utterances a request.")
    draw(STEPS, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_what_does_not_grow_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--of", "trees"])
    assert "invalid choice: 'trees'" in capsys.readouterr().err
