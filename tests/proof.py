"""The numbers behind the exercises, on one page: `python -m tests.proof`.

Writes chapters/PROOF.md: points, answers, mutants, which machine calls each core
function and how often, what a wrong one does to its machine, and what graders said to
readers who saw only the task texts. Run `python -m tests.filled` first: its counts are
taken from build/filled.json.
"""

import dataclasses
import json
import sys
from concurrent.futures import ProcessPoolExecutor

from lib.book import course, publish
from lib.exercises import building, core, deadline, every, grading, places
from tests import held_out
from tests.mutants import mutants

PAGE = course.CHAPTERS / "PROOF.md"
FILLED = course.BUILD / "filled.json"
HEAD = """# What the exercises are worth

This page is made by `make proof`; nothing on it is typed. It covers the chapters that
are finished. A *core function* is one that `lib` itself calls, so that the machine runs
on what a learner wrote. A *mutant* is a reference with one operator, comparison,
constant, axis or line changed.
"""


@dataclasses.dataclass
class Forced:
    """What a machine does with each named wrong answer in its place."""

    changed: list[str]  # named wrong answers that change its result, or stop it
    same: dict[str, str]  # those that do not, and why


def forced(identifier: str) -> Forced:
    """Put every named wrong answer into its machine and compare what comes out."""
    exercise = core()[identifier]
    own = building.run_machine(exercise, places.ours(exercise.place), lambda: 0.0)
    found = Forced([], {})
    for wrong in exercise.wrong:
        name = wrong.answer.__name__
        if _changes(exercise, wrong.answer, own.value):
            found.changed.append(name)
        else:
            found.same[name] = exercise.unchanged.get(name, "")
    return found


def _changes(exercise, answer, own) -> bool:
    try:
        run = building.run_machine(exercise, answer, lambda: 0.0)
    except (Exception, deadline.OutOfTime):  # it stops, or has no end: a change
        return True
    return grading.difference(own, run.value, exercise.tolerance) is not None


def mutated(identifier: str) -> tuple[int, int]:
    """Mutants of a reference, and how many of them are refused."""
    exercise = every()[identifier]
    if exercise.kind != "build":
        return 0, 0
    # Whether, not why: no word is looked for. `/` for `//` gives another kind.
    plain = dataclasses.replace(exercise, wrong=(), exact_type=True)
    results = [
        grading.grade(plain, mutant, seconds=2.0).status
        for label, mutant in mutants(exercise.reference)
        if label not in exercise.survivors
    ]
    return len(results), sum(status != "passed" for status in results)


def judged(chapter: str) -> held_out.Counts:
    """What the grader said to the answers of a chapter of a set."""
    return held_out.judge(held_out.read(chapter)).counts()


def rows(header: list[str], lines: list[list]) -> str:
    """A Markdown table."""
    body = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in body) + "\n"


def chapters_part(filled: list[dict]) -> str:
    """Exercises, points and the two runs, a line a chapter."""
    empty = empty_points()
    lines, total = [], [0, 0, 0, 0]
    for chapter in filled:
        name = chapter["chapter"]
        asked = len(chapter["asked"])
        numbers = [asked, chapter["of"], empty[name], chapter["points"]]
        total = [a + b for a, b in zip(total, numbers, strict=True)]
        lines.append([name, *numbers])
    lines.append(["**all**", *total])
    header = ["chapter", "exercises", "points", "stubs empty", "stubs filled"]
    return rows(header, lines)


def empty_points() -> dict[str, int]:
    """Points in the shipped notebooks, whose stubs are empty, by chapter."""
    from lib.book.answers import RESULT_MIME

    points = {}
    for name in course.names():
        file = course.CHAPTERS / f"{name}.ipynb"
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        outputs = [o for c in cells for o in c.get("outputs", ())]
        records = [o.get("data", {}).get(RESULT_MIME) for o in outputs]
        points[name] = sum(r["points"] for r in records if r)
    return points


def core_part(filled: list[dict]) -> str:
    """Each core function, its machine, calls, and what wrong ones do to it."""
    calls = {
        identifier: count
        for chapter in filled
        for identifier, count in chapter["calls"].items()
        if identifier.partition(".")[0] == chapter["chapter"][3:]
    }
    lines, reasons = [], []
    for identifier, exercise in core().items():
        found = forced(identifier)
        count = len(found.changed) + len(found.same)
        kind = "required" if exercise.required else "optional"
        lines.append([
            exercise.number, f"`{identifier}`", kind, exercise.machine,
            f"{calls.get(identifier, 0):,}", f"{len(found.changed)} of {count}",
        ])  # fmt: skip
        for name, why in found.same.items():
            reasons.append(f"- `{identifier}`, `{name}`: {why}")
    header = ["no.", "core function", "", "machine", "calls", "wrong ones change it"]
    text = rows(header, lines)
    if reasons:
        text += "\nWrong answers that their machine does not notice, and why:\n\n"
        text += "\n".join(reasons) + "\n"
    return text


def answers_part(pool) -> str:
    """Named wrong answers and mutants, a line a chapter."""
    lines, total = {}, [0, 0, 0, 0]
    counted = pool.map(mutated, every())
    pairs = zip(every().items(), counted, strict=True)
    for (identifier, exercise), (made, refused) in pairs:
        name = identifier.partition(".")[0]
        numbers = [len(exercise.wrong), made, refused, len(exercise.survivors)]
        old = lines.get(name, [0, 0, 0, 0])
        lines[name] = [a + b for a, b in zip(old, numbers, strict=True)]
        total = [a + b for a, b in zip(total, numbers, strict=True)]
    header = ["chapter", "named wrong answers", "mutants", "refused", "equal, listed"]
    table = [[name, *numbers] for name, numbers in lines.items()]
    return rows(header, [*table, ["**all**", *total]])


def held_out_part(pool) -> str:
    """What the grader said to answers that nobody tuned it to."""
    lines = []
    for name in held_out.SETS:
        counts = pool.map(judged, held_out.chapters(name))
        total = sum(counts, start=held_out.Counts())
        lines.append(f"- Set `{name}`: {total}.")
    return "\n".join(lines) + "\n"


def page(pool) -> str:
    """The whole page; `pool` maps what takes minutes."""
    filled = json.loads(FILLED.read_text(encoding="utf-8"))
    return "\n".join([
        HEAD,
        "## Empty and filled\n",
        "Every chapter run to its end, once with all stubs empty and once with the\n"
        "sources of the references in them.\n",
        chapters_part(filled),
        "## Who calls what\n",
        "Calls are those of one filled run of the function's own chapter.\n",
        core_part(filled),
        "## Wrong answers and mutants\n",
        answers_part(pool),
        "## Answers of readers\n",
        "Written from the task texts alone, by readers who saw neither references nor\n"
        "messages. The kinds of fault that they showed were mended afterwards, so\n"
        "this is the state after that. The second file says what was before.\n"
        "A slip counts as told if a named wrong answer or a general diagnosis was\n"
        "said, and not only expected and given numbers.\n",
        held_out_part(pool),
    ])  # fmt: skip


def main() -> int:
    """Write the page; 2 if the filled run is missing."""
    if not FILLED.exists():
        print("no build/filled.json: run python -m tests.filled first")
        return 2
    with ProcessPoolExecutor(2) as pool:
        publish.write(PAGE, page(pool))
    return 0


if __name__ == "__main__":
    sys.exit(main())
