"""The test tree mirrors the folders of the program."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
TASKS_FILE = ROOT / "configs" / "tasks.yaml"
