import subprocess
import sys
from pathlib import Path

from serving.lifecycle.processes import end_processes, marked_environment, our_processes

# Starts a child of its own and leaves it behind, as Ray does with its HAProxy.
PARENT = """
import subprocess
child = subprocess.Popen(["sleep", "60"], start_new_session=True, stdout=-3, stderr=-3)  # DEVNULL
print(child.pid, flush=True)
child.returncode = 0  # so that nobody warns of a child that is left behind
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def test_descendants_are_found_when_their_parents_are_gone(tmp_path: Path) -> None:
    parent = subprocess.run(
        [sys.executable, "-c", PARENT], env=marked_environment(tmp_path), capture_output=True, text=True, check=True
    )
    child = int(parent.stdout)
    assert our_processes(tmp_path) == [child]
    assert end_processes(tmp_path) == [child]
    assert our_processes(tmp_path) == []


def test_who_does_not_listen_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], env=marked_environment(tmp_path), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        end_processes(tmp_path, patience_s=0.5)
        assert process.wait(10) == -9


def test_other_processes_are_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], env=marked_environment(tmp_path / "other")) as process:
        assert end_processes(tmp_path) == []
        assert process.poll() is None
        process.kill()
