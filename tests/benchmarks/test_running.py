import pytest

from benchmarks.contestants import CONTESTANTS
from benchmarks.running import NotStarted, running


def test_a_service_that_would_want_a_key_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOTATOR_API_KEYS", "secret")
    with pytest.raises(NotStarted, match="bench asks without a key"), running(CONTESTANTS["fused"]):
        pass
