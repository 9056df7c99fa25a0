"""Guesses: what a reader expects, noted before it is measured, and how far off it was.

A number that one has guessed is remembered. For `notebook`.
"""

import html
import math

from lib.book import pages
from lib.book.records import RECORDS


def _of_chapter() -> tuple[dict, dict]:
    """Guesses and measured values of the chapter that runs."""
    chapter = RECORDS.chapter
    return (
        RECORDS.guesses.setdefault(chapter, {}),
        RECORDS.measured.setdefault(chapter, {}),
    )


def guess(name: str, value) -> None:
    """Note what the reader expects of `name`, before it is measured; None is no guess.

    ValueError for what is no number, and once the answer is known: too late to guess.
    """
    if value is not None and (isinstance(value, bool) or not _is_number(value)):
        raise ValueError(f"the guess of {name!r} is {value!r}; give a number, or None")
    guessed, known = _of_chapter()
    if value is not None and name in known and guessed.get(name) != value:
        raise ValueError(f"{name!r} is measured already; restart to guess again")
    guessed[name] = value
    told = "no guess yet" if value is None else f"your guess is {value:g}"
    pages.put(f"{name}: {told}", f"<p>{html.escape(name)}: {told}</p>")


def measured(name: str, value: float | int, unit: str = "") -> None:
    """Say what came out for `name`, beside the guess. ValueError: nobody was asked."""
    guessed, known = _of_chapter()
    if name not in guessed:
        raise ValueError(f"no guess of {name!r}; asked for: {', '.join(guessed)}")
    known[name] = float(value), unit
    text = f"{name}: measured {_with_unit(value, unit)}; {_verdict(name)}"
    pages.put(text, f"<p>{html.escape(text)}</p>")


def guesses() -> None:
    """Show all guesses of this kernel beside what was measured."""
    rows = []
    guessed, measured_values = _of_chapter()
    for name, mine in guessed.items():
        value, unit = measured_values.get(name, (math.nan, ""))
        known = name in measured_values
        told = "" if mine is None else _with_unit(mine, unit)
        answer = _with_unit(value, unit) if known else "not measured"
        rows.append((name, told, answer, _verdict(name) if known else ""))
    pages.table(("what", "guess", "measured", "verdict"), rows)


def _is_number(value) -> bool:
    try:
        return math.isfinite(value)
    except TypeError:
        return False


def _with_unit(value: float | int, unit: str) -> str:
    return f"{value:.3g} {unit}".rstrip()


def _verdict(name: str) -> str:
    """How far off a guess was: a factor, or a difference where one of them is 0."""
    guessed, known = _of_chapter()
    mine, (value, _) = guessed[name], known[name]
    if mine is None:
        return "no guess"
    if mine * value <= 0:
        return "right" if mine == value else f"off by {abs(mine - value):.2g}"
    ratio = mine / value
    if max(ratio, 1 / ratio) < 1.1:
        return "close: within a tenth"
    side = "too high" if abs(ratio) > 1 else "too low"
    return f"{side} by a factor of {max(ratio, 1 / ratio):.2g}"
