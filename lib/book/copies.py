"""A learner's copies of the chapters: made once, never overwritten, brought up to date.

Learners work in `work/`. `copy_missing` copies what is not there. Where a chapter has
changed since, `update` writes the new one beside the copy, as `11_bifpn.new.ipynb`, and
takes the learner's answers over: an answer is known by the id that its cell checks.
Who wants to begin a chapter again asks `afresh`, which keeps what was there before.
The pages that chapters link to lie beside the copies, so that a link works in both.
"""

import json
import re
from pathlib import Path

import lib
from lib.book import publish
from lib.book.publish import CHAPTERS

WORK = lib.work()
PAGES = ("GLOSSARY.md", "SYMBOLS.md")
# The line that asks: check("bifpn.ways", ways). What stands above it is the answer.
ASKS = re.compile(r"""^(?:check|build)\(\s*["'](\w+\.\w+)["']""", re.MULTILINE)


def copy_missing() -> list[str]:
    """Copy the chapters that `work/` lacks; return their names.

    ValueError, once all others are copied, that names the chapters that are damaged.
    """
    _copy_pages()
    copied, damaged = [], []
    for source in sorted(CHAPTERS.glob("[0-9][0-9]_*.ipynb")):
        target = WORK / source.name
        if target.exists():
            continue
        try:
            cells = sources(_read(source))
        except (ValueError, KeyError, TypeError) as error:
            damaged.append(f"chapters/{source.name} is no readable notebook ({error})")
            continue
        _note_origin(target.stem, cells)
        publish.write(target, source.read_text(encoding="utf-8"))
        copied.append(source.stem)
    if damaged:
        raise ValueError(f"{'; '.join(damaged)}; copied: {', '.join(copied) or 'none'}")
    return copied


def _copy_pages() -> None:
    """Copy the pages that are missing or behind; one that was edited stays."""
    for name in PAGES:
        source, target = CHAPTERS / name, WORK / name
        text = source.read_text(encoding="utf-8") if source.exists() else None
        mine = target.read_text(encoding="utf-8") if target.exists() else None
        if text is None or mine == text:
            continue
        if mine is None or _origins().get(name) == [mine]:
            _note_origin(name, [text])
            publish.write(target, text)


def afresh(names: list[str]) -> list[str]:
    """Begin chapters again; one line a chapter says where its old copies are kept.

    They become `11_bifpn.old.ipynb`, `11_bifpn.old-2.ipynb` and so on. ValueError, and
    nothing is moved, where a chapter itself is damaged.
    """
    for name in names:
        try:
            sources(_read(CHAPTERS / f"{name}.ipynb"))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"chapters/{name}.ipynb is no readable notebook ({error})"
            ) from error
    lines = []
    for name in names:
        kept = []
        for copy in _copies(name):
            number = 1
            while (aside := WORK / f"{name}.old{_suffix(number)}.ipynb").exists():
                number += 1
            copy.rename(aside)
            kept.append(f"work/{aside.name}")
        lines.append(f"{name}: begun again; kept: {', '.join(kept) or 'no copy yet'}")
    copy_missing()
    return lines


def update() -> list[str]:
    """Write new chapters beside copies that are behind; one line a chapter says so."""
    _copy_pages()
    origins, lines = _origins(), []
    for source in sorted(CHAPTERS.glob("[0-9][0-9]_*.ipynb")):
        copies = _copies(source.stem)
        if copies:
            said = _updated(source, copies[-1], origins.get(copies[-1].stem))
        else:
            said = "new; `make lab` copies it"
        lines.append(f"{source.stem}: {said}")
    return lines


def _copies(name: str) -> list[Path]:
    """The copies of a chapter, the oldest first: its own, `.new`, `.new-2`, ..."""
    paths = [WORK / f"{name}.ipynb", WORK / f"{name}.new.ipynb"]
    while paths[-1].exists():
        paths.append(WORK / f"{name}.new-{len(paths)}.ipynb")
    return [path for path in paths if path.exists()]


def _updated(source: Path, mine: Path, origin: list[str] | None) -> str:
    """What is said of the newest copy; a newer chapter is written beside it."""
    chapter = _read(source)
    new, where = sources(chapter), f"work/{mine.name}"
    try:
        notebook = _read(mine)
        own = sources(notebook)
    except (ValueError, KeyError, TypeError) as error:
        renew = f"To get a new one, rename {where} and run `make lab`"
        return f"your copy is no readable notebook ({error}) and is kept. {renew}"
    if own == new:
        return "up to date, without edits"
    edits = "without edits" if own == origin else "with your edits"
    if origin == new:
        return f"up to date, {edits}"
    answers = _answers(own, origin or new)
    left_over = carry_over(answers, chapter)
    beside = _beside(source.stem)
    _note_origin(beside.stem, new)
    publish.write(beside, json.dumps(chapter, indent=1, ensure_ascii=False) + "\n")
    said = [
        f"{_changes(origin, new)}; your copy, {edits}, is kept as {where}.",
        f"The new chapter is work/{beside.name}",
    ]
    taken = [name for name in answers if name not in left_over]
    said.append(f"with your answers to {', '.join(taken)}" if taken else "")
    if left_over:
        said.append(f"; at its end, answers that it has no place for: {left_over}")
    if any(_imports_by_old_names(cell) for cell in own):
        said.append("(the copy imports modules by their old names, which still works)")
    return " ".join(filter(None, said)).replace(" ;", ";")


def _changes(origin: list[str] | None, new: list[str]) -> str:
    if origin is None:  # its record is lost: edits and changes look alike
        return "differs from the chapter"
    changed = max(len(set(new) - set(origin)), len(set(origin) - set(new)))
    what = {0: "the order of cells", 1: "1 cell"}.get(changed, f"{changed} cells")
    return f"{what} changed upstream"


def _beside(name: str) -> Path:
    """A name that no copy of this chapter has yet."""
    return WORK / f"{name}.new{_suffix(len(_copies(name)))}.ipynb"


def _suffix(number: int) -> str:
    return "" if number == 1 else f"-{number}"


# --------------------------------------------------------------------------- answers


def _halves(cell: str) -> tuple[str, str, str] | None:
    """(id, what the learner wrote, the line that asks and all below), or None."""
    asks = ASKS.search(cell)
    if asks is None:
        return None
    return asks[1], cell[: asks.start()], cell[asks.start() :]


def _answers(own: list[str], stubs: list[str]) -> dict[str, str]:
    """Cells that hold an answer, by the id of the exercise; untouched stubs do not."""
    untouched = {half[0]: cell for cell in stubs if (half := _halves(cell))}
    answers = {}
    for cell in own:
        half = _halves(cell)
        if half and cell != untouched.get(half[0]):
            answers[half[0]] = cell
    return answers


def carry_over(answers: dict[str, str], chapter: dict) -> list[str]:
    """Put answers into the stubs of a chapter's notebook, in place.

    `answers` holds whole cells by id. The line that asks stays the chapter's own, so
    that an answer to yesterday's `check` is given to today's. Ids that the chapter does
    not ask for are returned; their cells stand at its end.
    """
    left_over = dict(answers)
    for cell in chapter["cells"]:
        half = _halves("".join(cell["source"]))
        if cell["cell_type"] != "code" or not half or half[0] not in left_over:
            continue
        _, written, _ = _halves(left_over.pop(half[0]))
        cell |= {"source": written + half[2], "outputs": [], "execution_count": None}
    if left_over:
        title = "# Your answers to exercises that this chapter no longer has"
        chapter["cells"].append(_cell("markdown", title, chapter))
    for source in left_over.values():
        chapter["cells"].append(_cell("code", source, chapter))
    return list(left_over)


def _cell(kind: str, source: str, chapter: dict) -> dict:
    cell = {"cell_type": kind, "metadata": {}, "source": source}
    cell["id"] = f"yours-{len(chapter['cells'])}"
    if kind == "code":
        cell |= {"outputs": [], "execution_count": None}
    return cell


def _imports_by_old_names(cell: str) -> bool:
    """True for `from lib import bifpn` and `from lib.notebook import check`."""
    modules = re.findall(r"^from (lib(?:\.\w+)?) import", cell, re.MULTILINE)
    wings = {f"lib.{p.parent.name}" for p in (lib.ROOT / "lib").glob("*/__init__.py")}
    return any(module not in wings for module in modules)


# ---------------------------------------------------------------------------- origins


def _read(path: Path) -> dict:
    """A notebook as it lies on the disk."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError("it holds no list of cells")
    return notebook


def sources(notebook: dict) -> list[str]:
    """The cells' sources, without what `publish` measures and writes into them."""
    measured = re.compile(r"(<!-- (\w+) -->).*?(<!-- /\2 -->)", re.DOTALL)
    address = re.compile(r'^REPO = ".*?"', re.MULTILINE)
    texts = ["".join(cell["source"]) for cell in notebook["cells"]]
    return [address.sub('REPO = ""', measured.sub(r"\1\3", t)) for t in texts]


def _origins() -> dict:
    """What the copies were when they were made; empty if that record is damaged."""
    try:
        known = json.loads((WORK / ".origin.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _note_origin(name: str, cells: list[str]) -> None:
    """Before the copy is made: one whose origin is unknown could not be compared."""
    record = json.dumps({**_origins(), name: cells}, indent=1)
    publish.write(WORK / ".origin.json", record)
