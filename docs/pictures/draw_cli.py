"""Draws cli.svg: what the command line shows. Run it from the project's folder when weights or tables have changed.

.venv/bin/python docs/pictures/draw_cli.py
"""

import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 110
COMMANDS = (
    ["annotator", "annotate", "i love you", "who painted the mona lisa"],
    ["annotator", "annotate", "you are such a fool", "--task", "toxic"],
)


def main() -> None:
    """Run the commands as on a terminal of this width and write the picture."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    for command in COMMANDS:
        program = Path(sys.executable).with_name(command[0])
        ended = subprocess.run([program, *command[1:]], env=environment, capture_output=True, text=True, check=False)
        console.print(f"[green]$[/green] [bold]{shlex.join(command)}[/bold]", highlight=False)
        console.print(Text.from_ansi((ended.stdout + ended.stderr).rstrip()), end="\n\n")
    # Rich would load a font from elsewhere.
    picture = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="annotator"), flags=re.DOTALL)
    Path(__file__).with_name("cli.svg").write_text(picture, "utf-8")


if __name__ == "__main__":
    main()
