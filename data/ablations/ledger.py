"""Append-only rows of JSON: a kill loses the row it cut, and nothing else."""

import json
import subprocess
from pathlib import Path

import torch


def commit() -> str:
    """The commit that is checked out, or "unknown"."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return run.stdout.strip()


def read(path: Path) -> list[dict]:
    """The rows that are there; a line that a kill has cut is left out."""
    rows = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def append(path: Path, row: dict) -> dict:
    """Write a row, with device, torch and commit, in one go; returns it."""
    row = row | {"device": "cpu", "torch": torch.__version__, "commit": commit()}
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n" * torn + json.dumps(row) + "\n")
    return row
