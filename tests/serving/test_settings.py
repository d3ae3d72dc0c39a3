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


def test_the_environment_goes_before_the_config_and_the_config_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Settings.model_validate({}).batch_utterances == 64
    assert Settings.model_validate({"batch_utterances": 8}).batch_utterances == 8
    monkeypatch.setenv("ANNOTATOR_BATCH_UTTERANCES", "16")
    assert Settings.model_validate({"batch_utterances": 8}).batch_utterances == 16


def test_keys_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOTATOR_API_KEYS", "a-key-of-some-length")
    assert "a-key" not in repr(Settings()) + str(Settings()) + Settings().model_dump_json()
    with pytest.raises(ValidationError) as raised:
        Settings.model_validate({"api_keys_file": 5, "body_bytes": "b-key-of-some-length"})
    assert "b-key" not in str(raised.value)
