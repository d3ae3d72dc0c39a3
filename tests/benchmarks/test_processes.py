import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.processes import MARK, Usage, cpu_between, end, machine_cpu_s, marked, own_cpu_s, usage

# Says that it runs, has a child, and works for as long as its input is open.
PROGRAM = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
sum(range(3_000_000))
print("ready", flush=True)
input()
"""


@pytest.fixture
def family() -> Iterator[str]:
    """The mark of a process and its child."""
    mark = f"test.{os.getpid()}"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=os.environ | {MARK: mark}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield mark
        finally:
            process.kill()


def test_marked_processes_and_their_children_are_found_and_measured(family: str) -> None:
    pids = marked(family)
    assert len(pids) == 2
    (used,) = usage(pids).values()
    assert used.processes == 2
    assert 1 < used.memory_mb < 500
    assert used.cpu_s > 0


def test_all_of_them_are_ended(family: str) -> None:
    end(family)
    assert marked(family) == []


def test_processes_that_have_ended_are_passed_over() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert usage([process.pid]) == {}


def test_the_machine_is_at_least_as_busy_as_this_process() -> None:
    machine, own = machine_cpu_s(), own_cpu_s()
    while own_cpu_s() < own + 0.3:
        pass
    assert machine_cpu_s() - machine > 0.2  # both count in hundredths


def test_cpu_is_what_was_used_in_between_also_by_those_who_came_later() -> None:
    before = {"encoder": Usage(1, 10, 2.0)}
    after = {"encoder": Usage(2, 20, 5.0), "ingress": Usage(1, 10, 1.0)}
    assert cpu_between(before, after) == {"encoder": 3.0, "ingress": 1.0}
