from pathlib import Path

import pytest

from tests.tiny import TASKS, tiny_recipe, write_recipe
from training.single_tasks import main


@pytest.mark.slow
def test_every_task_is_trained_alone_and_beside_all_others(
    tiny_base: Path, tiny_data: Path, tiny_tasks_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recipe(tmp_path / "recipe.yaml", tiny_recipe(tiny_base, epochs=1))
    main([str(tiny_data), "--config", str(tmp_path / "recipe.yaml"), "--tasks", str(tiny_tasks_file)])
    printed = capsys.readouterr()
    rows = [line.split("|")[1:-1] for line in printed.out.splitlines()[2:]]
    assert [row[0].strip() for row in rows] == [*(task.name for task in TASKS), "**mean**"]
    for _, alone, together, difference in rows:
        accuracy, shared = (float(cell.split("/")[0]) for cell in (alone, together))
        assert float(difference) == pytest.approx(shared - accuracy, abs=0.11)
    assert printed.err.count("valid after step") == len(TASKS) + 1


def test_data_that_are_not_there_are_told_in_one_line(tiny_base: Path, tiny_tasks_file: Path, tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipe.yaml", tiny_recipe(tiny_base))
    with pytest.raises(SystemExit, match=r"cannot compare: .*nowhere"):
        main([str(tmp_path / "nowhere"), "--config", str(tmp_path / "recipe.yaml"), "--tasks", str(tiny_tasks_file)])
