"""Names, help, completion and exit statuses."""

import re
import subprocess
import sys

import pytest

from annotator.cli import STATUSES
from annotator.exits import Exit
from tests import ROOT
from tests.annotator.conftest import Run

COMMANDS = ("annotate", "train", "evaluate", "export", "import-deeppavlov", "serve", "stop", "status", "bench")
PROGRAM = "from annotator.cli import main; main()"


def test_help_names_every_command_and_exit_status(run: Run) -> None:
    for arguments in ([], ["--help"]):
        ended = run(*arguments)
        assert ended.status == 0
        assert all(command in ended.out for command in COMMANDS)
        assert all(f"{status:d}" in ended.out for status in Exit)
    assert set(STATUSES) == set(Exit)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    ended = run(command, "--help")
    assert ended.status == 0
    assert f"annotator {command}" in ended.out.partition("Examples")[2]


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").out[0].isdigit()


def test_what_is_no_command_is_one_line(run: Run) -> None:
    ended = run("anotate")
    assert (ended.status, ended.err.count("\n")) == (Exit.USAGE, 1)
    assert "anotate" in ended.err


@pytest.mark.parametrize(
    ("words", "completed"), [("annotator imp", "import-deeppavlov"), ("annotator annotate --all", "--all-scores")]
)
def test_a_shell_completes_commands_and_options(words: str, completed: str) -> None:
    environment = {
        "_ANNOTATOR_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "PATH": "",
    }
    printed = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert printed.stdout.split() == [completed]


def test_what_is_heavy_is_loaded_by_what_needs_it_alone() -> None:
    heavy = {"torch", "transformers", "ray", "onnxruntime", "sklearn", "matplotlib", "pyarrow", "httpx", "numpy"}
    program = f"import sys, annotator.cli; print({heavy!r} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout == "set()\n"
    program = (
        f"import sys\nfrom annotator.cli import main\ntry:\n    main(['annotate', 'hi', '--json'])\n"
        f"finally:\n    print({heavy!r} & set(sys.modules), file=sys.stderr)"
    )
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(eval(printed.stderr)) == {"numpy", "onnxruntime"}


def test_the_readme_shows_commands_and_options_that_there_are(run: Run) -> None:
    lines = re.findall(
        r"^    (?:.*\| )?annotator ([a-z-]+)(.*)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert {command for command, _ in lines} >= {"annotate", "train", "serve", "evaluate"}
    for command, rest in lines:
        told = run(command, "--help").out
        for option in re.findall(r"(?<= )--[a-z-]+", rest):
            assert option in told, f"annotator {command} {option}"
