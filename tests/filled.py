"""The course with every stub filled: `python -m tests.filled [NN ...]`.

The idea: whoever answers everything reaches the end, with all points, on a machine that
calls all of their functions. Each stub is filled with the *source* of its reference,
collected as an answer is that a learner builds. A last cell in each chapter says what
stands in which place and how often it was called.
"""

import ast
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from lib.book import answers, copies, course  # noqa: E402
from lib.exercises import core, find, places, sources  # noqa: E402
from lib.exercises.literals import literal  # noqa: E402
from tests import offline  # noqa: E402

LAST_ROAD = "23_capstone"  # takes up what was built in the chapters before it
LAST_CELL = """
import json
from lib.exercises import places
print(json.dumps({i: [a.calls, a.kept] for i, a in places.adopted().items()}))
"""


@dataclass
class Filled:
    """What a chapter with all stubs filled came to."""

    chapter: str
    result: str  # "passed", or the cell that failed and its error
    cpu_seconds: float
    asked: list[str] = field(default_factory=list)  # ids, in order
    points: int = 0
    of: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # by id: the words
    calls: dict[str, int] = field(default_factory=dict)  # of what is adopted
    not_kept: dict[str, str] = field(default_factory=dict)  # by id: why


def answer(identifier: str, name: str) -> str:
    """Cell text that binds `name` to a right answer, as a learner might write it."""
    exercise = find(identifier)
    if exercise.cases is None:
        return f"{name} = {literal(name, exercise.reference(), set())}"
    title = identifier.partition(".")[2]
    text = sources.collect(exercise.reference, title)
    return text if title == name else f"{text}\n{name} = {title}"


def fill(cell: str) -> tuple[str, list[str]]:
    """A cell with right answers above each line that asks; and the ids it asks for."""
    if not copies.ASKS.search(cell):
        return cell, []
    lines, asked, above = cell.splitlines(), [], {}
    for node in ast.parse(cell).body:
        call = getattr(node, "value", None)
        if isinstance(node, ast.Expr) and isinstance(call, ast.Call):
            if ast.unparse(call.func) in ("check", "build"):
                identifier, mine = call.args[0].value, call.args[1]
                if isinstance(mine, ast.Name):  # else the chapter itself answers
                    asked.append(identifier)
                    above[node.lineno - 1] = answer(identifier, mine.id)
    for line in sorted(above, reverse=True):
        lines[line:line] = [above[line], ""]
    return "\n".join(lines), asked


def run(name: str, folder: Path, work: Path) -> Filled:
    """Run a chapter with its stubs filled, in a clean kernel."""
    asked = []

    def filled(notebook):
        import nbformat

        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.source, ids = fill(cell.source)
                asked.extend(ids)
        notebook.cells.append(nbformat.v4.new_code_cell(LAST_CELL, id="last"))
        return notebook

    notebook, cost = course.run_one(name, folder, work=work, change=filled)
    done = Filled(name, cost.result, round(cost.cpu_seconds, 1), asked)
    best = {}  # chapter 00 shows a refusal before it asks
    for output in (o for cell in notebook.cells for o in cell.get("outputs", ())):
        record = output.get("data", {}).get(answers.RESULT_MIME)
        if record and record["points"] >= best.get(record["id"], (-1,))[0]:
            words = "" if record["passed"] else output["data"]["text/plain"]
            best[record["id"]] = record["points"], record["max_points"], words
    done.points = sum(points for points, _, _ in best.values())
    done.of = sum(most for _, most, _ in best.values())
    done.refused = {i: words for i, (_, _, words) in best.items() if words}
    if cost.result == "passed":
        said = notebook.cells[-1]["outputs"][-1]["text"]
        for identifier, (calls, why) in json.loads(said.splitlines()[-1]).items():
            done.calls[identifier] = calls
            if why:
                done.not_kept[identifier] = why
    return done


def faults(done: list[Filled]) -> list[str]:
    """In words, all that a whole course with right answers must not show."""
    found = []
    for chapter in done:
        where = chapter.chapter
        if chapter.result != "passed":
            found.append(f"{where}: {chapter.result}")
        found += [f"{where}: {said}" for said in chapter.refused.values()]
        if chapter.points != chapter.of:
            found.append(f"{where}: {chapter.points} of {chapter.of} points")
        for identifier, why in chapter.not_kept.items():
            found.append(f"{where}: {identifier} is not kept: {why}")
        here = [i for i in core() if i.partition(".")[0] == where[3:]]
        for identifier in here:
            if chapter.result == "passed" and not chapter.calls.get(identifier):
                found.append(f"{where}: nothing calls {identifier}, or it is not built")
    return found + not_taken_up(done)


def not_taken_up(done: list[Filled]) -> list[str]:
    """The core functions that the last road does not begin with, if all came before.

    Chapter 23 loads what its learner has built in the others, in whichever kernel.
    """
    by_name = {chapter.chapter: chapter for chapter in done}
    if set(by_name) != set(course.names()):
        return []
    last = by_name[LAST_ROAD]
    missing = sorted(set(core()) - set(last.calls)) if last.result == "passed" else []
    return [f"{last.chapter}: {i} was built before, not taken up" for i in missing]


def in_turns(chosen: list[str], run_one: Callable[[str], Filled]) -> list[Filled]:
    """Two chapters at once; the last road begins when all that it takes up is built."""
    before = [name for name in chosen if name < LAST_ROAD]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(run_one, before))
        return done + list(pool.map(run_one, chosen[len(before) :]))


def table(done: list[Filled]) -> str:
    """One line a chapter."""
    lines = [f"{'chapter':22}points    CPU s  core functions, calls"]
    for c in done:
        calls = ", ".join(f"{i.partition('.')[2]} {n:,}" for i, n in c.calls.items())
        points = f"{c.points}/{c.of}"
        lines.append(f"{c.chapter:22}{points:8}{c.cpu_seconds:7.0f}  {calls}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run chapters (all, or numbers), two at once; 0 if all is as it has to be."""
    if not offline.inside():
        return offline.run([sys.executable, "-m", "tests.filled", *arguments])
    begin, chosen = time.time(), course.names(",".join(arguments))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"  # one learner's, for all chapters
        done = in_turns(chosen, lambda name: run(name, Path(folder), work))
    print(table(done))
    wrong = faults(done)
    for line in wrong:
        print("FILLED:", line)
    out = course.BUILD / "filled.json"
    out.parent.mkdir(exist_ok=True)
    rows = {}
    if out.exists():  # chapters that were not run now stay
        rows = {r["chapter"]: r for r in json.loads(out.read_text(encoding="utf-8"))}
    rows |= {d.chapter: asdict(d) for d in done}
    kept = [rows[name] for name in course.names() if name in rows]
    out.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    ours = [i for i in core() if places.adopted(i)]
    assert not ours, "a test adopts in kernels, never here"
    print(
        f"{len(done)} filled chapters, {sum(d.points for d in done)} of"
        f" {sum(d.of for d in done)} points, {time.time() - begin:.0f} s:"
        f" {'FAILED' if wrong else 'passed'}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
