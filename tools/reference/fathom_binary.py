"""Runs the fathom binary on JSON Lines and reads what it answers."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path


class Fathom:
    """A fathom binary. Every call raises SystemExit with fathom's own message when it fails."""

    def __init__(self, binary: Path):
        self.binary = binary.resolve()

    def run(self, *arguments: str, expected_codes: tuple[int, ...] = (0,)) -> str:
        """Standard output of a command."""
        done = subprocess.run([str(self.binary), *arguments], capture_output=True, text=True)
        if done.returncode not in expected_codes:
            raise SystemExit(f"fathom {' '.join(arguments)}: exit {done.returncode}\n{done.stderr.strip()}")
        return done.stdout

    def lines(self, *arguments: str) -> list[dict]:
        """Standard output of a command that prints JSON Lines."""
        return [json.loads(line) for line in self.run(*arguments).splitlines()]

    def map(self, command: str, rows: list[dict], *arguments: str) -> list[dict]:
        """A command with --input and --output: one answer a row, in the order of the rows."""
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.jsonl", Path(folder) / "out.jsonl"
            source.write_text("".join(json.dumps(row) + "\n" for row in rows))
            self.run(command, "--input", str(source), "--output", str(target), *arguments)
            answers = [json.loads(line) for line in target.read_text().splitlines()]
        if sorted(str(a["id"]) for a in answers) != sorted(str(r["id"]) for r in rows):
            raise SystemExit(f"fathom {command}: the answers' ids are not those of the {len(rows)} questions")
        by_id = {a["id"]: a for a in answers}
        return [by_id[row["id"]] for row in rows]
