"""A learner's answers: graded, adopted into the machine, kept, and handed in.

`check` grades in words. `build` does so for a core function, and a right one runs from
then on wherever `lib` calls it; `yours` says what does, `restore` puts the course's own
back, `submit` writes one small file a chapter. Every exercise leaves a JSON result in
the notebook that a collector can read. For `notebook`.
"""

import base64
import html
import json

from lib.book import handin, pages, publish
from lib.book.records import RECORDS, folder
from lib.exercises import building, core, find, grading, kept, places
from lib.exercises.grading import Result

RESULT_MIME = "application/vnd.nasnet-to-efficientdet.check+json"
CHILDREN = "Processes that are started from here (loader workers) run the course's own."


def check(identifier: str, mine) -> None:
    """Grade an answer to the exercise `identifier` and say in words what it lacks.

    Also emits one JSON result under `RESULT_MIME`: schema, id, status, passed, the
    named wrong answer it matched (or null), attempts in this kernel, points.
    """
    exercise = find(identifier)
    if exercise.place is not None:
        result = building.judge(exercise, mine)
    else:
        with places.own():
            result = grading.grade(exercise, mine)
    _say(identifier, mine, result)


def build(identifier: str, mine, slow: bool = False) -> None:
    """Grade a core function; from this cell on `lib` itself calls one that is right.

    Not attempted, or refused: the course's own stands there. Running the cell again
    replaces or takes back. `slow=True` adopts one that is far slower than ours.
    ValueError if the exercise is no core function: then `check` is meant.
    """
    built = building.build(identifier, mine, slow)
    machine = find(identifier).machine or "its machine"
    name = identifier.partition(".")[2]
    more = ""
    if built.adopted:
        more = f"From now on {machine} runs on your {name}."
        if built.only_here:
            more += f" It is not kept: {built.only_here}."
        elif built.version:
            more += f" Kept as version {built.version}."
        if built.slower:
            more += f" It is {built.slower:.0f} times slower than the course's own."
    elif built.result.status == "not attempted":
        more = f"The chapter goes on with the course's own {name}."
    _say(identifier, mine, built.result, more, built.adopted)


def _say(identifier: str, mine, result: Result, more="", adopted=False) -> None:
    """Show a verdict, with its record, and note the attempt."""
    exercise = find(identifier)
    answer = RECORDS.attempt(identifier, exercise, result, mine)
    answer.adopted = adopted
    passed = result.status == "passed"
    record = {
        "schema": 1,
        "id": identifier,
        "status": result.status,
        "passed": passed,
        "wrong": result.wrong,
        "attempts": answer.attempts,
        "points": exercise.points if passed else 0,
        "max_points": exercise.points,
    }
    if exercise.place is not None:
        record["adopted"] = adopted
    about = f"{exercise.number} {exercise.name}"
    message = f"{result.message}\n{more}" if more else result.message
    text, page = pages.verdict(result.status, about, message)
    pages.put(text, page, **{RESULT_MIME: record})


def hint(identifier: str) -> None:
    """Show the next hint of an exercise; each call goes one step further."""
    exercise = find(identifier)
    answer = RECORDS.answer(identifier, exercise)
    step = min(answer.hints, len(exercise.hints) - 1)
    answer.hints = step + 1
    last = (
        " That was the last: then comes solution(...)."
        if step + 1 == len(exercise.hints)
        else ""
    )
    text = f"Hint {step + 1} of {len(exercise.hints)}: {exercise.hints[step]}{last}"
    pages.put(text, f"<p>{html.escape(text)}</p>")


def solution(identifier: str) -> None:
    """Show the reference answer of an exercise, and how else it could be done."""
    exercise = find(identifier)
    RECORDS.answer(identifier, exercise).solution = True
    pages.put(*pages.source(exercise.reference))
    if exercise.alternative is not None:
        pages.put("Another right way:", "<p>Another right way:</p>")
        pages.put(*pages.source(exercise.alternative))


# --------------------------------------------------------------- whose function it is


def yours(load=False, undo: str | None = None, version: int | None = None) -> None:
    """Show which core functions are the learner's, and how often each was called.

    `load=True` adopts what is kept in work/yours and is still right; `load` may also
    name hand-ins, kept functions, or a folder of them, on a machine that has none yet.
    `undo` names a function to go back to its version before, or to `version`.
    """
    if undo is not None:
        _lines([_undone(undo, version)])
    elif load:
        _lines(_loaded(load))
    else:
        _parts()


def restore(identifier: str | None = None) -> None:
    """Put the course's own functions back: one, or all. The files stay."""
    if identifier is not None:
        building.core(identifier)
    back = places.restore(identifier)
    said = f"the course's own again: {', '.join(back)}" if back else "nothing was yours"
    _lines([said])


def _parts() -> None:
    rows = []
    files = kept.identifiers()
    for identifier, exercise in core().items():
        standing = places.adopted(identifier)
        where = "waits in work/yours" if identifier in files else ""
        if standing is None:
            whose, calls = "the course's", ""
        else:
            whose, calls = "yours", f"{standing.calls:,}"
            known = kept.versions(identifier)
            where = f"version {len(known)}" if known else ""
            where = f"this kernel only: {standing.kept}" if standing.kept else where
        rows.append((exercise.number, identifier, whose, calls, where))
    pages.table(("no.", "core function", "runs on", "calls", "kept"), rows)
    count = len(places.adopted())
    said = [f"{count} of {len(rows)} core functions are yours."]
    said += [CHILDREN] if count else []
    if any(row[4].startswith("waits") for row in rows):
        said.append("yours(load=True) adopts what waits.")
    _lines([" ".join(said)])


def _loaded(load) -> list[str]:
    lines = [] if load is True else handin.restore_from(RECORDS, load)
    first = f"{RECORDS.chapter}."
    for identifier in sorted(kept.identifiers(), key=lambda i: not i.startswith(first)):
        lines.append(_adopted(identifier, kept.path(identifier)))
    return lines or ["Nothing of yours is kept yet: build(...) keeps what is right."]


def _adopted(identifier: str, file) -> str:
    try:
        built = building.load(identifier, file)
    except ValueError as error:
        return f"{identifier}: {error}"
    if built.adopted:
        return f"{identifier}: yours"
    return f"{identifier}: the course's own. {file.name}: {built.result.message}"


def _undone(identifier: str, version: int | None) -> str:
    building.core(identifier)
    files = {kept.number(file): file for file in kept.versions(identifier)}
    known = ", ".join(map(str, files)) or "none"
    if version is None:
        earlier = sorted(files)[:-1]
        if not earlier:
            raise ValueError(f"{identifier} has no earlier version; there are: {known}")
        version = earlier[-1]
    if version not in files:
        raise ValueError(f"{identifier} has no version {version}; there are: {known}")
    text = files[version].read_text(encoding="utf-8")
    saved = kept.keep_text(identifier, text)
    if saved.why:
        return f"{identifier}: version {version} is not adopted: {saved.why}"
    said = _adopted(identifier, kept.path(identifier))
    return f"{said}, as in version {version}; kept as version {saved.version}"


def _lines(lines: list[str]) -> None:
    page = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    pages.put("\n".join(lines), page)


# ---------------------------------------------------------------------------- hand-in


def submit(name: str | None = None) -> None:
    """Write this kernel's answers into work/hand-in, one small JSON file a chapter.

    `name` is a name or a pseudonym; it is asked for once and then remembered. The file
    holds answers, results, attempts, guesses and quiz choices, and no path. On Colab
    and Binder, where `work/` dies with the machine, download it.
    """
    if not RECORDS.chapters():
        _lines(["Nothing to hand in yet: no answer was checked in this kernel."])
        return
    for file in handin.write(RECORDS, _name(name)):
        text = file.read_text(encoding="utf-8")
        points = [a for a in json.loads(text)["answers"].values()]
        reached = sum(a["points"] for a in points)
        possible = sum(a["max_points"] for a in points)
        said = (
            f"{file.parent.name}/{file.name}: {len(points)} answers, {reached} of"
            f" {possible} points, {len(text) / 1000:.1f} kB"
        )
        data = base64.b64encode(text.encode("utf-8")).decode("ascii")
        link = (
            f'<a download="{file.name}" href="data:application/json;base64,{data}">'
            "download</a>"
        )
        pages.put(said, f"<p>{html.escape(said)} · {link}</p>")
        _download_on_colab(file)


def _name(name: str | None) -> str:
    """The name that is given, else the one of before, else what is typed now."""
    remembered = folder() / "name.txt"
    if name is None and remembered.exists():
        name = remembered.read_text(encoding="utf-8").strip()
    if name is None:
        try:
            name = input("Your name or a pseudonym: ")
        except (EOFError, OSError, RuntimeError) as error:  # a run without a reader
            raise ValueError("nobody is here to ask: submit('a name')") from error
    name = handin.checked_name(name)
    publish.write(remembered, name + "\n")
    return name


def _download_on_colab(file) -> None:
    try:
        from google.colab import files
    except ImportError:
        return
    files.download(str(file))
