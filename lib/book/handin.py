"""Hand-ins: one small JSON file a chapter, written from the kernel and read back.

A hand-in holds answers as text, results, attempts and guesses; a name or pseudonym; no
login and no path. It needs no notebook file. Read back, in another kernel or on another
machine, it restores what is in it; core functions are graded again first. For
`notebook`.
"""

import dataclasses
import importlib.metadata
import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import lib
from lib.book import publish
from lib.book.records import Answer, Records, folder
from lib.exercises import building, find, kept

SCHEMA = 1
COURSE = "nasnet-to-efficientdet"
LONGEST_NAME = 80
LARGEST = 2_000_000  # bytes of a file that is read


@dataclass
class HandIn:
    """What one file holds."""

    chapter: str
    name: str
    version: str = ""
    commit: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    guesses: dict[str, dict] = field(default_factory=dict)
    quiz: dict[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """The file: JSON, sorted, the same for the same content."""
        value = {"schema": SCHEMA, "course": COURSE, **dataclasses.asdict(self)}
        return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write(records: Records, name: str) -> list[Path]:
    """Write a hand-in for each chapter that this kernel knows; gives the files.

    What an earlier hand-in of the same name holds, and this kernel does not, stays.
    """
    name = checked_name(name)
    files = []
    for chapter in records.chapters():
        new = of_chapter(records, chapter, name)
        file = folder() / f"{chapter}.json"
        if file.exists():
            try:
                old = read(file)
            except ValueError:  # it is damaged: kept beside, not lost
                file.replace(file.with_name(f"{chapter}.damaged.json"))
            else:
                new = merged(old, new) if old.name == name else _set_aside(file, new)
        publish.write(file, new.text())
        files.append(file)
    return files


def _set_aside(file: Path, new: HandIn) -> HandIn:
    """Somebody else's hand-in on the same machine is kept under another name."""
    number = 1
    while (aside := file.with_name(f"{file.stem}.{number}.json")).exists():
        number += 1
    file.replace(aside)
    return new


def of_chapter(records: Records, chapter: str, name: str) -> HandIn:
    """What this kernel knows of one chapter."""
    answers = {
        identifier: answer
        for identifier, answer in records.answers.items()
        if identifier.partition(".")[0] == chapter
    }
    measured = records.measured.get(chapter, {})
    guesses = {}
    for what, guess in records.guesses.get(chapter, {}).items():
        value, unit = measured.get(what, (None, ""))
        guesses[what] = {"guess": guess, "measured": value, "unit": unit}
    quiz = dict(records.choices.get(chapter, {}))
    return HandIn(chapter, name, version(), commit(), answers, guesses, quiz)


def merged(old: HandIn, new: HandIn) -> HandIn:
    """The new with what only the old has; points once reached are kept."""
    answers = dict(old.answers)
    for identifier, answer in new.answers.items():
        before = answers.get(identifier)
        if before is None or answer.attempts and answer.points >= before.points:
            answers[identifier] = answer
    return dataclasses.replace(
        new,
        answers=answers,
        guesses={**old.guesses, **new.guesses},
        quiz={**old.quiz, **new.quiz},
    )


def checked_name(name) -> str:
    """A name or pseudonym; ValueError says what is wrong with one."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise ValueError(f"the name is {name!r}; give a text, as in submit('Ada')")
    if len(name) > LONGEST_NAME:
        raise ValueError(
            f"the name has {len(name)} characters; at most {LONGEST_NAME} are kept"
        )
    return name.strip()


def version() -> str:
    """The version of the installed course, "" where it is not installed."""
    try:
        return importlib.metadata.version("nasnet-to-efficientdet")
    except importlib.metadata.PackageNotFoundError:
        return ""


def commit() -> str:
    """The commit that the course stands at, "" where there is no git."""
    call = ["git", "rev-parse", "--short=12", "HEAD"]
    try:
        run = subprocess.run(call, cwd=lib.ROOT, capture_output=True, text=True)
    except OSError:
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""


# ------------------------------------------------------------------------ reading back


def read(file: Path) -> HandIn:
    """A hand-in from its file. ValueError names the file and what is wrong with it."""
    file = Path(file)
    try:
        if file.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST:,} bytes")
        value = json.loads(file.read_text(encoding="utf-8"))
        return _hand_in(value)
    except RecursionError as error:
        raise ValueError(f"{file.name} is no hand-in: nested too deep") from error
    except (ValueError, OSError) as error:
        words = getattr(error, "strerror", None) or error
        raise ValueError(f"{file.name} is no hand-in: {words}") from error


def _hand_in(value) -> HandIn:
    if not isinstance(value, dict) or value.get("course") != COURSE:
        raise ValueError(f"it is not a file that submit() wrote for {COURSE}")
    if value.get("schema") != SCHEMA:
        raise ValueError(f"its schema is {value.get('schema')!r}; {SCHEMA} is read")
    given = {f.name: value.get(f.name, None) for f in dataclasses.fields(HandIn)}
    for key, kind in (("chapter", str), ("name", str), ("version", str),
                      ("commit", str), ("answers", dict), ("guesses", dict),
                      ("quiz", dict)):  # fmt: skip
        if not isinstance(given[key], kind):
            raise ValueError(f"{key} is {given[key]!r}; a {kind.__name__} is asked")
    if not re.fullmatch(r"[a-z_0-9]+", given["chapter"]):
        raise ValueError(f"chapter is {given['chapter']!r}; one is 'bifpn'")
    given["name"] = checked_name(given["name"])
    given["answers"] = {i: _answer(i, a) for i, a in given["answers"].items()}
    return HandIn(**given)


def _answer(identifier: str, value) -> Answer:
    if not kept.IDENTIFIER.fullmatch(identifier) or not isinstance(value, dict):
        raise ValueError(f"answers[{identifier!r}] is no answer")
    answer = Answer()
    for item in dataclasses.fields(Answer):
        kind = type(getattr(answer, item.name))
        got = value.get(item.name, getattr(answer, item.name))
        if type(got) is not kind:
            raise ValueError(f"answers[{identifier!r}]: {item.name} is {got!r}")
        setattr(answer, item.name, got)
    return answer


def files_in(places) -> list[Path]:
    """Files named one by one, or all of a folder: hand-ins first, then functions."""
    places = [places] if isinstance(places, str | Path) else list(places)
    found = []
    for place in map(Path, places):
        if place.is_dir():
            found += sorted(place.rglob("*.json")) + sorted(place.glob("*.py"))
        elif place.is_file():
            found.append(place)
        else:
            raise ValueError(f"{place.name}: there is no such file or folder")
    return sorted(found, key=lambda file: file.suffix != ".json")


def restore_from(records: Records, places) -> list[str]:
    """Bring back answers, points and guesses from files; a line a file says what.

    Core functions become files of this machine, graded in a fresh process; what fails
    there is told and left out. Nothing of this kernel is overwritten by less.
    """
    lines = []
    for file in files_in(places):
        if file.suffix == ".py":
            if kept.IDENTIFIER.fullmatch(file.stem):
                text = file.read_text(encoding="utf-8")
                lines.append(_take(file.stem, text))
            continue
        hand_in = read(file)
        restored = _answers_back(records, hand_in)
        lines.append(f"{file.name}: {restored} answers, {hand_in.name}")
        for identifier, answer in hand_in.answers.items():
            if answer.points and _is_core(identifier):
                lines.append(_take(identifier, answer.source))
    return lines


def _answers_back(records: Records, hand_in: HandIn) -> int:
    count = 0
    for identifier, answer in hand_in.answers.items():
        mine = records.answers.get(identifier)
        if mine is None or mine.points < answer.points:
            records.answers[identifier] = dataclasses.replace(answer, adopted=False)
            count += 1
    guesses = records.guesses.setdefault(hand_in.chapter, {})
    measured = records.measured.setdefault(hand_in.chapter, {})
    for what, said in hand_in.guesses.items():
        guesses.setdefault(what, said.get("guess"))
        if said.get("measured") is not None:
            measured.setdefault(what, (said["measured"], said.get("unit", "")))
    choices = records.choices.setdefault(hand_in.chapter, {})
    for number, choice in hand_in.quiz.items():
        choices.setdefault(number, choice)
    return count


def _is_core(identifier: str) -> bool:
    try:
        return find(identifier).place is not None
    except ValueError:  # an exercise of another version of the course
        return False


def _take(identifier: str, text: str) -> str:
    try:
        building.core(identifier)
    except ValueError as error:
        return f"{identifier}: {error}"
    saved = kept.keep_text(identifier, text)
    return f"{identifier}: {saved.why or f'kept as version {saved.version}'}"
