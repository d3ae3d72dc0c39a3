import logging
import os
from pathlib import Path

import pytest

from serving.middleware import keys as keys_module
from serving.middleware.keys import BadKeys, Keys, load_keys
from serving.settings import Settings

FIRST, SECOND = "the-first-of-two-keys", "the-second-of-two-keys"


def test_a_file_is_read_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "LOOK_SECONDS", -1)
    file = tmp_path / "keys"
    file.write_text(f"# of the web client\n{FIRST}\n\n")
    keys = Keys([], file)
    assert keys.accept(FIRST.encode())
    assert not keys.accept(SECOND.encode())
    file.write_text(f"{FIRST}\n{SECOND}\n")
    assert keys.accept(FIRST.encode())
    assert keys.accept(SECOND.encode())
    replacement = tmp_path / "new"
    replacement.write_text(f"{SECOND}\n")
    os.replace(replacement, file)
    assert not keys.accept(FIRST.encode())
    assert keys.accept(SECOND.encode())


def test_a_file_that_breaks_leaves_the_keys_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys_module, "LOOK_SECONDS", -1)
    file = tmp_path / "keys"
    file.write_text(FIRST)
    keys = Keys([], file)
    file.write_text("")
    with caplog.at_level(logging.ERROR):
        assert keys.accept(FIRST.encode())
    file.unlink()
    assert keys.accept(FIRST.encode())
    assert FIRST not in caplog.text


@pytest.mark.parametrize("content", ["", "# nothing\n", "short\n", "\udcff"])
def test_a_file_without_usable_keys_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadKeys, match="api_keys_file") as raised:
        Keys([], file)
    assert "short" not in str(raised.value)


def test_without_keys_everybody_may_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_keys(Settings()) is None
    monkeypatch.setenv("ANNOTATOR_API_KEYS", f"{FIRST}, {SECOND}")
    keys = load_keys(Settings())
    assert keys is not None
    assert keys.accept(SECOND.encode())
