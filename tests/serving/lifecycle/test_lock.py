from pathlib import Path

from serving.lifecycle.lock import take_lock


def test_only_one_launcher_a_checkout(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("a+") as first, path.open("a+") as second:
        assert take_lock(first)
        assert not take_lock(second)
