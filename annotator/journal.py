"""A result file that grows batch by batch and survives a break: what was written before goes on where it ended.

While rows are coming they go to `OUT.part`; `OUT.part.json` says how many rows and bytes of it count. That file is
replaced as a whole after each batch, so that a kill at any moment loses a batch at most and doubles none.
"""

import json
import os
from pathlib import Path
from typing import Any

from annotator.exits import Exit, Failure


class Journal:
    """The growing file.

    Args:
        out: where the result will be.
        run: what the rows come from and what is asked; only a run of the same may go on.
        resume: go on where an earlier run was broken off, if there is one.
        overwrite: begin anew whatever is there.

    Attributes:
        rows: how many are written.

    Raises:
        Failure: the result is there already, or an unfinished one that is not to be touched or is of another run.
    """

    def __init__(self, out: Path, run: dict[str, Any], resume: bool, overwrite: bool) -> None:
        self.part = out.with_name(f"{out.name}.part")
        self._state_file = out.with_name(f"{out.name}.part.json")
        self._run = json.loads(json.dumps(run))
        self.rows = size = 0
        if not out.parent.is_dir():
            raise Failure(f"no folder {out.parent}", Exit.USAGE)
        if out.exists() and not overwrite:
            raise Failure(f"{out} exists already: --overwrite replaces it", Exit.USAGE)
        if self._state_file.exists() and not overwrite:
            self.rows, size = self._earlier(resume)
        self._stream = self.part.open("r+b" if size else "wb")
        self._stream.truncate(size)
        self._stream.seek(size)

    def append(self, data: bytes, rows: int) -> None:
        """Write a batch; from here on it counts."""
        self._stream.write(data)
        self._stream.flush()
        # The state may not be on the disk before what it speaks of.
        os.fsync(self._stream.fileno())
        self.rows += rows
        state = {"run": self._run, "rows": self.rows, "bytes": self._stream.tell()}
        unfinished = self._state_file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(state), "utf-8")
        os.replace(unfinished, self._state_file)

    def close(self) -> None:
        """Stop for now."""
        self._stream.close()

    def forget(self) -> None:
        """The result is made: nothing is left to go on with."""
        self.part.unlink(missing_ok=True)
        self._state_file.unlink(missing_ok=True)

    def _earlier(self, resume: bool) -> tuple[int, int]:
        state = json.loads(self._state_file.read_text("utf-8"))
        rows: int = state["rows"]
        size: int = state["bytes"]
        if not resume:
            raise Failure(
                f"{self.part} holds a run that was broken off after {rows:,} rows: --resume goes on, "
                "--overwrite begins anew",
                Exit.USAGE,
            )
        if state["run"] != self._run:
            changed = [name for name, value in self._run.items() if state["run"].get(name) != value]
            raise Failure(
                f"{self.part} was begun otherwise ({', '.join(changed)}): --overwrite begins anew", Exit.USAGE
            )
        if not self.part.exists() or self.part.stat().st_size < size:
            raise Failure(f"{self.part} lacks rows that were written: --overwrite begins anew", Exit.USAGE)
        return rows, size
