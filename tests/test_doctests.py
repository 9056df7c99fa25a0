"""Every `>>>` example of lib says the truth: a number worked by hand.

In a process of its own, because the types that pytest checks wrap the functions, and a
wrapped function hides its examples.
"""

import json
import subprocess
import sys

import pytest

from tests.test_layout import LIB, ROOT, WING

RUN = """
import doctest, importlib, inspect, json, sys
class Finder(doctest.DocTestFinder):  # what a decorator wraps has examples too
    def _from_module(self, module, thing):
        return super()._from_module(module, inspect.unwrap(thing))
for name in sys.argv[1:]:
    said = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in Finder().find(importlib.import_module(name)):
        runner.run(test, out=said.append)
    print(json.dumps([name, runner.tries, "".join(said)]))
"""
# Wings where core functions have examples so far; a new one joins once it has some.
WITH_EXAMPLES = {"basics", "nas", "detection", "compression"}


@pytest.fixture(scope="module")
def examples() -> dict[str, tuple[int, str]]:
    """By module: how many examples were run, and what was wrong with them."""
    names = [f"lib.{WING[p.stem]}.{p.stem}" for p in LIB]
    run = subprocess.run(
        [sys.executable, "-c", RUN, *names], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    rows = map(json.loads, run.stdout.splitlines())
    return {name: (count, said) for name, count, said in rows}


@pytest.mark.parametrize("path", LIB, ids=lambda p: p.stem)
def test_examples_give_what_they_say(examples, path):
    _, said = examples[f"lib.{WING[path.stem]}.{path.stem}"]
    assert not said, said


def test_wings_have_examples(examples):
    counts = dict.fromkeys(WITH_EXAMPLES, 0)
    for name, (count, _) in examples.items():
        if (wing := name.split(".")[1]) in counts:
            counts[wing] += count
    assert all(counts.values()), counts
