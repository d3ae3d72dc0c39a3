"""schemathesis against the real service: what fits its OpenAPI document is answered as that says, all else refused."""

import os
import subprocess
import sys
from pathlib import Path

from serving.settings import PROJECT
from tests.e2e import valid_requests


def test_the_service_does_as_its_document_says(service: str, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{service}/openapi.json"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--generation-deterministic"),
        *("--checks", "all", "--suppress-health-check", "all", "--continue-on-failure", "--no-color"),
    ]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": valid_requests.__name__, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
