from pathlib import Path

import pytest
import torch

from training.checkpoint import Checkpoint


def make_checkpoint(step: int) -> Checkpoint:
    return Checkpoint(
        recipe={"name": "tiny", "layers": [0, 1]},
        read_models={"models/lite": "0123456789ab"},
        step=step,
        model={"weight": torch.arange(4.0)},
        optimizer={"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        random=torch.get_rng_state(),
        standing={"best": 0.5, "cuts": 1},
        best_model={},
    )


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "tiny" / "checkpoint.pt"
    saved = make_checkpoint(step=7)
    saved.save(path)
    loaded = Checkpoint.load(path)
    assert loaded.read_models == saved.read_models
    assert (loaded.recipe, loaded.step, loaded.standing, loaded.best_model) == (saved.recipe, 7, saved.standing, {})
    assert torch.equal(loaded.model["weight"], saved.model["weight"])
    assert torch.equal(loaded.random, saved.random)
    assert loaded.optimizer == saved.optimizer
    assert [found.name for found in path.parent.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    torch.save({"recipe": {}, "step": 7}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match=r"checkpoint.pt was written by another version"):
        Checkpoint.load(tmp_path / "checkpoint.pt")


def test_a_save_that_is_broken_off_leaves_the_checkpoint_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    make_checkpoint(step=1).save(path)

    def full_disk(content: object, target: Path) -> None:
        target.write_bytes(b"half a checkpoint")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="no space left"):
        make_checkpoint(step=2).save(path)
    assert Checkpoint.load(path).step == 1
