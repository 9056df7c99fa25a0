"""`python -m tests`: units, layout and exercises, then every chapter, empty and filled.

Chapters run through nbval with empty stubs, then once more with right answers in them
(`tests.filled`). All of it with the network off, two workers of one thread each. Fails
if no test ran, if a chapter executed no cell, or if one costs over twice its budget.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for all children; `lib` would say more

from lib.book import course, publish  # noqa: E402
from tests import offline  # noqa: E402

CPU_BUDGET = 180  # seconds a chapter, user + system, one thread
CPU_BUDGETS = {"07": 360, "16": 360, "23": 360}
PEAK_BUDGET = 1.2e9  # bytes


def over_budget(name: str, usage: Path) -> list[str]:
    """What is wrong with the cost that a chapter's kernel left behind, in words."""
    file = usage / f"{name}.json"
    if not file.exists():
        return [f"{name}: executed no cell"]
    cost = course.read_usage(file)
    wrong = []
    budget = CPU_BUDGETS.get(name[:2], CPU_BUDGET)
    if cost.cpu_seconds > 2 * budget:
        wrong.append(f"{name}: {cost.cpu_seconds:.0f} CPU s, budget {budget}")
    if cost.peak_bytes > PEAK_BUDGET:
        wrong.append(f"{name}: peak {cost.peak_bytes / 1e6:.0f} MB, budget 1200")
    cells = json.loads(
        (publish.CHAPTERS / f"{name}.ipynb").read_text(encoding="utf-8")
    )["cells"]
    code = sum(c["cell_type"] == "code" and bool(c["source"]) for c in cells)
    if cost.cells < code - 1:  # setup counts, the Colab cell before it cannot be
        wrong.append(f"{name}: executed {cost.cells} cells of {code}")
    return wrong


def main() -> int:
    """Run the whole suite; the exit status is 0 only if all of it passed."""
    if not offline.inside():
        return offline.run([sys.executable, "-m", "tests", *sys.argv[1:]])
    pytest = [sys.executable, "-m", "pytest", "-q", "-n", "2"]
    apart = "--ignore=tests/browser"  # it needs a browser: make browser-test
    units = subprocess.call([*pytest, "tests", apart, *sys.argv[1:]])
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **os.environ, "OMP_NUM_THREADS": "1", "COURSE_STATIC": "1",
            "COURSE_USAGE": folder, "COURSE_WORK": str(Path(folder) / "work"),
        }  # fmt: skip
        lax = ["--nbval-lax", "--nbval-current-env", "--dist", "loadfile"]
        limit = ["--nbval-cell-timeout", str(course.WALL_LIMIT)]
        chapters = subprocess.call([*pytest, *lax, *limit, "chapters"], env=env)
        filled = subprocess.call([sys.executable, "-m", "tests.filled"])
        wrong = [w for n in course.names() for w in over_budget(n, Path(folder))]
    for line in wrong:
        print("over budget:", line)
    print(f"network: off ({os.environ[offline.HOW]})")
    print(
        f"units {'passed' if units == 0 else 'FAILED'},"
        f" chapters {'passed' if chapters == 0 and not wrong else 'FAILED'},"
        f" filled chapters {'passed' if filled == 0 else 'FAILED'}"
    )
    return 1 if units or chapters or filled or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
