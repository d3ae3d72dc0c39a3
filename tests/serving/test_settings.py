import pytest
from pydantic import ValidationError

from serving.settings import PROJECT, Settings


def test_the_defaults_are_the_shipped_model() -> None:
    assert (Settings().model_path / "manifest.json").is_file()
    assert Settings().tasks_path.is_file()


def test_an_absolute_path_stays() -> None:
    assert Settings.model_validate({"model": "/elsewhere/model"}).model_path.as_posix() == "/elsewhere/model"
    assert Settings.model_validate({"model": "models/other"}).model_path == PROJECT / "models/other"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().max_tokens = 64


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())
