from pathlib import Path

import pytest

from benchmarks.capacity import REPLICA, TooFast, answer, choose, main, points
from benchmarks.load import LOADS, Load, Served
from benchmarks.processes import Usage
from benchmarks.results import Results, Round, UnderLoad
from tests.benchmarks.results import ABOUT

INGRESS, ENCODER = f"{REPLICA}Ingress", f"{REPLICA}Encoder"


def measured() -> Results:
    """100 requests/s in 10 ms at one connection, ten times that in 100 ms at 128; two encoders of 0.8 cores each."""
    loads = {}
    for load in LOADS:
        rate, p99 = {1: (100, 10), 8: (400, 30), 32: (800, 50), 128: (1000, 100), 4: (50, 90)}[load.connections]
        served = Served(p99 / 2, p99, rate, rate * load.utterances, errors=0)
        cpu = {ENCODER: 5 * 1.6 * rate / 1000, INGRESS: 5 * 0.2 * rate / 1000, "raylet": 5 * 0.1 * rate / 1000}
        loads[load.name] = UnderLoad(served, cpu, {ENCODER: 2, INGRESS: 1, "raylet": 1}, 5.0)
    usage = {ENCODER: Usage(2, 300, 9), INGRESS: Usage(1, 100, 1), "raylet": Usage(1, 400, 1)}
    return Results(ABOUT, {"packed": "ours"}, {"packed": [Round(5, usage, 0.0, loads)]}, {})


def test_the_load_that_served_most_within_the_time_counts() -> None:
    each = points(measured(), "packed")
    assert [point.load for point in each] == [Load(1, 1), Load(8, 1), Load(32, 1), Load(128, 1)]
    assert choose(each, 1000).load == Load(128, 1)
    assert choose(each, 60).load == Load(32, 1)
    with pytest.raises(TooFast, match=r"the fastest had a p99 of 10\.0 ms"):
        choose(each, 5)


def test_no_replica_gets_busier_than_the_busiest_was() -> None:
    point = choose(points(measured(), "packed"), 100)
    assert point.busy_cores == pytest.approx(1.9)
    assert point.replicas_for(1000) == {"Encoder": 2, "Ingress": 1}
    assert point.replicas_for(5000) == {"Encoder": 10, "Ingress": 2}  # 1 core of ingress, and none fills more than 0.8
    assert point.cores_for(5000) == 10


def test_the_answer_names_replicas_cores_and_memory_and_is_held_against_the_other_loads() -> None:
    each = points(measured(), "packed")
    text = "\n".join(answer(choose(each, 100), each, 5000, node_cores=4))
    assert "Encoder: 10 replicas" in text
    assert "in all: 10 cores, 3 nodes of 4 cores, 2.9 GB" in text  # 3 x 400 + 10 x 150 + 2 x 100 MB
    assert (
        "held against 32 connections of 1 utterance: 1.52 busy cores reckoned for 800 requests/s, 1.52 measured" in text
    )


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    asked = ["--rps", "5", "--p99-ms", "5", "--figures", str(tmp_path / "compare.json")]
    with pytest.raises(SystemExit, match="no figures of packed"):
        main(asked)
    (tmp_path / "compare.json").write_text("# not JSON")
    with pytest.raises(SystemExit, match="no figures of packed"):
        main(asked)
    measured().write(tmp_path / "compare.json")
    with pytest.raises(SystemExit, match="no measured load was within 5 ms"):
        main(asked)
    with pytest.raises(SystemExit, match="no figures of split"):
        main([*asked, "--placement", "split"])
