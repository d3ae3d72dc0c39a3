from pathlib import Path

import pytest
import ray

from serving.lifecycle import cluster
from serving.lifecycle.preflight import StartError


def test_a_cluster_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cluster, "vital_processes", lambda: [1, 2])
    monkeypatch.setattr(cluster, "ADDRESS", tmp_path / "address")
    with pytest.raises(StartError, match=r"^the service is still starting$"):
        cluster.connect()
    (tmp_path / "address").write_text("127.0.0.1:9", "utf-8")

    def refuse(address: str, **_: object) -> None:
        raise ConnectionError(f"nobody\n at {address}")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(StartError, match=r"^the service cannot be reached: nobody at 127\.0\.0\.1:9$"):
        cluster.connect()
