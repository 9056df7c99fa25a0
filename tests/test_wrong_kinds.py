"""Quantization's public functions refuse wrong kinds in words of ours.

The calls stand in wrong_kinds.py, which runs in a process of its own: under pytest,
jaxtyping would answer in the place of lib.
"""

import json
import subprocess
import sys

import pytest

import lib


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    script = lib.ROOT / "tests" / "wrong_kinds.py"
    command = [sys.executable, str(script)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_each_wrong_argument_is_named(rows):
    faults = {row["name"]: row["faults"] for row in rows if row.get("faults")}
    assert not faults, json.dumps(faults, indent=2)


def test_every_public_function_was_called(rows):
    called = {row["name"].partition(".")[0] for row in rows if "name" in row}
    called |= {row["name"].rpartition(".")[2] for row in rows if "name" in row}
    assert set(rows[-1]["public"]) <= called
