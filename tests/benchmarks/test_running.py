from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import autoscaling, compare, growth, profiles
from benchmarks.contestants import CONTESTANTS
from benchmarks.running import NotStarted, running


def test_a_service_that_would_want_a_key_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOTATOR_API_KEYS", "secret")
    with pytest.raises(NotStarted, match="bench asks without a key"), running(CONTESTANTS["fused"]):
        pass


@pytest.mark.parametrize("main", [autoscaling.main, compare.main, growth.main, profiles.main])
def test_what_does_not_start_is_told_in_one_line(
    main: Callable[[list[str]], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANNOTATOR_API_KEYS", "secret")
    with pytest.raises(SystemExit) as end:
        main(["--out", str(tmp_path)])
    assert isinstance(end.value.code, str)
    assert end.value.code.startswith("bench asks without a key")
    assert "\n" not in end.value.code
