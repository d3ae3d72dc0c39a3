import json
from http.client import IncompleteRead
from pathlib import Path

import pytest

from benchmarks import compare
from benchmarks.answers import WrongAnswers
from benchmarks.contestants import Contestant
from benchmarks.load import LOADS, Load, Served
from benchmarks.results import Results, Round
from benchmarks.running import NotStarted
from tests.benchmarks.results import one_round, served


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who is measured, in this order; nothing is started."""
    order: list[str] = []

    def measure(contestant: Contestant, seconds: float, warm_up: float) -> Round:
        order.append(contestant.name)
        if contestant.name == "bentoml" and order.count("bentoml") == 2:
            raise WrongAnswers("bentoml: a score differs by 0.2000 from the pipeline's")
        return one_round(100)

    def floor(load: object, seconds: float) -> object:
        order.append("floor")
        return served(1000)

    monkeypatch.setattr(compare, "prepare", lambda contestants: None)
    monkeypatch.setattr(compare, "measure", measure)
    monkeypatch.setattr("benchmarks.floor.measure", floor)
    return order


def test_rounds_are_interleaved_and_begin_with_another_one_each(turns: list[str], tmp_path: Path) -> None:
    wanted = ["--contestants", "split", "litserve", "floor", "--rounds", "2", "--out", str(tmp_path)]
    assert compare.main(wanted) == 0
    floor = ["floor"] * len(LOADS)
    assert turns == ["split", "litserve", *floor, "litserve", *floor, "split"]
    written = Results.read(tmp_path / "compare.json")
    assert list(written.rounds) == ["split", "litserve"]
    assert {len(rounds) for rounds in written.rounds.values()} == {2}
    assert (tmp_path / "compare.md").read_text("utf-8").count("| LitServe, the same ONNX file |") == 6
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_who_answers_wrongly_has_no_figures_and_the_others_have(turns: list[str], tmp_path: Path) -> None:
    wanted = ["--contestants", "split", "bentoml", "--rounds", "3", "--out", str(tmp_path)]
    assert compare.main(wanted) == 1
    assert turns.count("bentoml") == 2
    written = json.loads((tmp_path / "compare.json").read_text("utf-8"))
    assert list(written["rounds"]) == ["split"]
    assert written["about"]["failed"] == {"bentoml": "bentoml: a score differs by 0.2000 from the pipeline's"}
    assert "Dropped out: BentoML" in (tmp_path / "compare.md").read_text("utf-8")


@pytest.mark.parametrize(
    "death", [ChildProcessError("wrk ended with status 1"), IncompleteRead(b""), ConnectionResetError("reset by peer")]
)
def test_who_dies_costs_its_row_alone(
    turns: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, death: Exception
) -> None:
    measure = compare.measure

    def dies(contestant: Contestant, seconds: float, warm_up: float) -> Round:
        if contestant.name == "litserve":
            raise death
        return measure(contestant, seconds, warm_up)

    monkeypatch.setattr(compare, "measure", dies)
    wanted = ["--contestants", "litserve", "split", "--rounds", "2", "--out", str(tmp_path)]
    assert compare.main(wanted) == 1
    written = json.loads((tmp_path / "compare.json").read_text("utf-8"))
    assert {name: len(rounds) for name, rounds in written["rounds"].items()} == {"split": 2}
    assert written["about"]["failed"] == {"litserve": str(death)}


def test_a_floor_that_fails_costs_its_row_alone(
    turns: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails_in_the_middle(load: Load, seconds: float) -> Served:
        if load == LOADS[-1]:
            raise OSError("no memory")
        return served(1000)

    monkeypatch.setattr("benchmarks.floor.measure", fails_in_the_middle)
    assert compare.main(["--contestants", "split", "floor", "--rounds", "1", "--out", str(tmp_path)]) == 1
    written = Results.read(tmp_path / "compare.json")
    assert (list(written.rounds), written.floor) == (["split"], {})
    assert "Dropped out: the bare encoder in a loop. no memory" in (tmp_path / "compare.md").read_text("utf-8")


def test_where_nobody_can_be_measured_there_is_a_result_all_the_same(
    turns: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def dies(*_: object) -> Round:
        raise NotStarted("it ended")

    monkeypatch.setattr(compare, "measure", dies)
    assert compare.main(["--contestants", "split", "fused", "--out", str(tmp_path)]) == 1
    assert (tmp_path / "compare.md").read_text("utf-8").count("Dropped out: ours") == 2


@pytest.mark.parametrize("variable", ["ANNOTATOR_API_KEYS", "ANNOTATOR_API_KEYS_FILE"])
def test_a_service_that_wants_a_key_is_not_waited_for(
    turns: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    prepared: list[object] = []
    monkeypatch.setattr(compare, "prepare", prepared.append)
    monkeypatch.setenv(variable, "0123456789abcdef")
    with pytest.raises(SystemExit) as ended:
        compare.main(["--contestants", "litserve", "split", "--out", str(tmp_path)])
    assert ended.value.code == "bench asks without a key: unset ANNOTATOR_API_KEYS and ANNOTATOR_API_KEYS_FILE"
    assert (prepared, turns, list(tmp_path.iterdir())) == ([], [], [])
    # Peers have no keys.
    assert compare.main(["--contestants", "litserve", "--rounds", "1", "--out", str(tmp_path)]) == 0


def test_aims_that_were_not_measured_are_in_the_file_alone(
    turns: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compare.main(["--contestants", "split", "--rounds", "1", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "| memory, PSS of all processes | split | 0.80 GB |" in printed
    assert "not measured" not in printed
    assert "not measured" in (tmp_path / "compare.md").read_text("utf-8")


def test_nobody_else_takes_part(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        compare.main(["--contestants", "nobody"])
    assert "invalid choice: 'nobody'" in capsys.readouterr().err


@pytest.mark.slow
def test_the_floor_is_measured_for_real() -> None:
    from benchmarks.floor import measure

    for load in (LOADS[0], LOADS[-1]):
        figures = measure(load, seconds=0.5)
        assert figures.utterances_s == pytest.approx(figures.requests_s * load.utterances)
        assert 0 < figures.p50_ms <= figures.p99_ms
