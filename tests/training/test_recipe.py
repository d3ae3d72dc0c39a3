import hashlib
import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests import ROOT
from tests.tiny import WRITTEN, tiny_recipe, write_recipe
from training.recipe import Base, load_recipe

RECIPES = sorted(set((ROOT / "configs" / "training").glob("*.yaml")) - {ROOT / "configs/training/licences.yaml"})


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_every_recipe_that_is_shipped_can_be_read(path: Path) -> None:
    assert load_recipe(path).name


def test_a_recipe_comes_back_as_it_was_written(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, layers=[1, 0], pooling="cls", leave_out=["made_up"])
    write_recipe(tmp_path / "recipe.yaml", recipe)
    assert load_recipe(tmp_path / "recipe.yaml") == recipe


def test_a_try_changes_settings_of_the_file(tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipe.yaml", tiny_recipe(tmp_path))
    tried = load_recipe(tmp_path / "recipe.yaml", ["layers=[0]", "noise_share=0.5", "name=a try"])
    assert tried == tiny_recipe(tmp_path, layers=[0], noise_share=0.5, name="a try")
    with pytest.raises(ValidationError, match="colour"):
        load_recipe(tmp_path / "recipe.yaml", ["colour=red"])
    with pytest.raises(ValueError, match="setting=value"):
        load_recipe(tmp_path / "recipe.yaml", ["epochs"])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"learning_rate": 1e-3}, "learning_rate"),
        ({"base": {"directory": "base", "licence": "own", "colour": "red"}}, "base.colour"),
        ({"epochs": 0}, "epochs"),
        ({"checkpoint_every": 0}, "checkpoint_every"),
        ({"plain_share": 1.5}, "plain_share"),
        ({"pooling": "max"}, "pooling"),
        ({"precision": "float16"}, "precision"),
        ({"repeat": {WRITTEN: 2}, "leave_out": [WRITTEN]}, "both repeated and left out"),
        ({"mean_with": {"models/lite": 0.5, "models/full": 0.5}}, "nothing for the run itself"),
        ({"mean_with": {"models/lite": 0}}, "mean_with.models/lite"),
    ],
)
def test_a_setting_that_does_not_exist_or_cannot_be_is_refused(
    tmp_path: Path, settings: dict[str, object], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        tiny_recipe(tmp_path, **settings)


def test_a_base_is_found_by_its_path(tiny_base: Path) -> None:
    assert Base(directory=tiny_base, licence="own").locate() == tiny_base


def test_a_base_is_found_inside_an_installed_package(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package_with_a_base"
    shutil.copytree(tiny_base, package / "model")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert Base(package=package.name, directory=Path("model"), licence="own").locate() == package / "model"


def test_a_package_that_is_not_installed_is_an_error_with_its_name() -> None:
    with pytest.raises(FileNotFoundError, match="no_such_package"):
        Base(package="no_such_package", directory=Path("model"), licence="own").locate()


def test_a_base_without_weights_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model.safetensors"):
        Base(directory=tmp_path, licence="own").locate()


def test_only_the_weights_that_the_recipe_names_are_trained_on(tiny_base: Path) -> None:
    digest = hashlib.sha256((tiny_base / "model.safetensors").read_bytes()).hexdigest()
    assert Base(directory=tiny_base, licence="own", sha256=digest).locate() == tiny_base
    with pytest.raises(ValueError, match="its sha256 differs"):
        Base(directory=tiny_base, licence="own", sha256=digest[::-1]).locate()
