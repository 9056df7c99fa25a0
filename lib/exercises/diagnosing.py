"""What is said of a wrong answer that no named one explains.

First whether only exact meetings are wrong, such as ties, which is tried (`nudging`);
then what it is of the asked value, if that is one thing in most failing cases
(`relating`, `scaling`, `arranging`). Else the first difference. The smallest failing
input is shown, with what is asked there and what was given.
"""

import inspect
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from lib.exercises import Exercise, relating, scaling
from lib.exercises.arranging import arranged
from lib.exercises.comparing import difference, short
from lib.exercises.nudging import only_where_they_meet
from lib.exercises.relating import Case, Found, flat, real
from lib.exercises.running import Outcome, own_line

WIDEST = 8  # items of a value that are looked at one by one
LOST = (
    "the gradient is lost on the way: look for .item(), .detach(), torch.tensor(...) or"
    " a loop over Python numbers"
)


def call_text(args: tuple) -> str:
    """The arguments of a call as they are shown."""
    return "(" + ", ".join(short(a, 120) for a in args) + ")"


def _size(args: tuple) -> int:
    return sum(a.numel() if isinstance(a, Tensor) else len(str(a)) for a in args)


def names_of(exercise: Exercise, count: int) -> list[str]:
    """What the arguments of a case are called, as the task calls them."""
    function, first = exercise.reference, 0
    if exercise.probe is not None:
        function, first = exercise.probe, 1  # its own first is the answer
    try:
        names = [f"`{name}`" for name in inspect.signature(function).parameters][first:]
    except (TypeError, ValueError):
        names = []
    return names if len(names) >= count else [f"input {i}" for i in range(count)]


def diagnose(exercise: Exercise, mine, cases, expected, got, same, until) -> str:
    """Words for an answer whose outcomes `got` are not the `expected` ones.

    `same(a, b)` says whether two outcomes agree. After the time `until` (monotonic
    seconds) nothing more is tried with other numbers.
    """
    pairs = list(zip(cases, expected, got, strict=True))
    failing = [p for p in pairs if not same(p[1], p[2])]
    failing.sort(key=lambda p: _size(p[0]))
    raising = [p for p in failing if p[2].error is not None]
    first = raising[0] if 2 * len(raising) > len(failing) else failing[0]
    if said := _plain_words(exercise, mine, first, expected, got):
        return said
    sound = [p for p in failing if p[2].error is None and p[2].changed is None]
    values = [p for p in sound if _value_difference(exercise, p[1], p[2])]
    passing = len(cases) - len(failing)
    if not values:
        return _of_gradients(exercise, sound, passing)
    names = names_of(exercise, max(map(len, cases)))
    meeting = None
    if len(values) == len(failing):
        meeting = only_where_they_meet(exercise, mine, values, names, same, until)
    return _of_values(exercise, values, passing, names, meeting)


def _plain_words(exercise, mine, case, expected, got) -> str | None:
    """An error, a changed input, nothing returned, or always the same."""
    args, _, have = case
    call = call_text(args)
    if have.error is not None:
        said = own_line(mine, have.error, exercise.probe)
        return f"{said}. It was called with {call}"
    if have.changed is not None:
        return (
            f"your function changes its input {have.changed}; work on a copy, since"
            " the caller still needs the original"
        )
    if have.value is None:
        return f"your function returned None for {call}: is a `return` missing?"
    if have.value is Ellipsis:
        return f"your function returned `...` for {call}: a part is left to fill in"
    varied = any(difference(expected[0].value, e.value, 1e-9) for e in expected[1:])
    same = all(difference(got[0].value, g.value, 0.0) is None for g in got[1:])
    if varied and same:
        return (
            f"your function returns the same for every input: {short(have.value)};"
            " does it use its arguments?"
        )
    return None


def exactly(exercise: Exercise) -> bool:
    """Whether the kind of what is returned counts; a gradient needs its tensor."""
    return exercise.exact_type or bool(exercise.gradient)


def _value_difference(exercise, want: Outcome, have: Outcome) -> str | None:
    return difference(want.value, have.value, exercise.tolerance, exactly(exercise))


# ------------------------------------------------------------------------- the value


def _of_values(exercise, values, passing: int, names, meeting: str | None) -> str:
    """The first thing that can be said of the values; `meeting` is what was tried."""
    cases = [Case(args, want.value, have.value) for args, want, have in values]
    shown, found = cases[0], None
    kinds = all(difference(c.want, c.have, exercise.tolerance) is None for c in cases)
    if kinds:  # the numbers are right, but not of the kind that is asked
        said = _value_difference(exercise, values[0][1], values[0][2])
    elif meeting:
        said = f"right but {meeting}"
    elif found := _careful(lambda: _found(cases, names, passing)):
        said = _sentence(found, len(cases), passing)
        shown = cases[found.where[0]]
    elif found := _careful(lambda: relating.near(cases)):
        said = _sentence(found, len(cases), passing)
    else:
        said = _value_difference(exercise, values[0][1], values[0][2])
    shape = difference(shown.want, shown.have, exercise.tolerance)
    if found and shape and shape.startswith("shape"):
        said += f"; {shape}"
    stop = "" if said.endswith("?") else "."
    which = "failing" if shown is cases[0] else "such"
    return (
        f"{said}{stop} The smallest {which} input: {call_text(shown.args)}\n"
        f"  expected {short(shown.want)}\n  yours    {short(shown.have)}"
    )


def _careful(look: Callable[[], Found | None]) -> Found | None:
    """What is found; nothing in a value that cannot be looked at, as in itself."""
    try:
        return look()
    except Exception:
        return None


def _sentence(found: Found, failing: int, passing: int) -> str:
    """Says no more than what holds: always, where it is wrong, or in most cases."""
    if found.against:
        return f"in {len(found.where)} of {failing} failing cases yours is {found.says}"
    if 3 * passing > failing and not found.says.startswith("right"):
        return f"where yours is wrong, it is {found.says}"
    return f"yours is {found.says}"


def _found(cases: list[Case], names: list[str], passing: int) -> Found | None:
    """What the answer is of the asked value, or of that part of it that is wrong."""
    part, label = _part(cases)
    if part:
        if found := _relation(part, names, passing):
            says = f"right but for {label}, which is {found.says}"
            return replace(found, says=says)
        return Found(f"right but for {label}", tuple(range(len(part))))
    return _relation(cases, names, passing)


def _relation(cases: list[Case], names: list[str], passing: int) -> Found | None:
    tries: tuple[Callable[[], Found | None], ...] = (
        lambda: relating.returned(cases, names),
        lambda: relating.opposite(cases, passing),
        lambda: relating.changed(cases, passing),
        lambda: scaling.one_off(cases),
        lambda: scaling.shifted(cases, names),
        lambda: scaling.scaled(cases, names),
        lambda: arranged(cases),
        lambda: relating.rounded(cases),
    )
    for attempt in tries:
        if found := attempt():
            return found
    return None


def _part(cases: list[Case]) -> tuple[list[Case], str]:
    """The one item, key or column that is wrong in all cases, as cases of its own."""
    keys = _keys(cases) if len(cases) >= 3 else []
    wrong = []
    for label, at in keys:
        part = [Case(c.args, _at(c.want, at), _at(c.have, at)) for c in cases]
        differing = [bool(difference(c.want, c.have, 1e-5)) for c in part]
        if any(differing):
            wrong.append((part, label, all(differing)))
    return wrong[0][:2] if len(wrong) == 1 and wrong[0][2] else ([], "")


def _keys(cases: list[Case]) -> list[tuple[str, object]]:
    """Labels and places of the items of a value that has a few, the same each time."""
    values = [value for case in cases for value in (case.want, case.have)]
    if all(isinstance(v, dict) and v.keys() == values[0].keys() for v in values):
        return [(f"key {key!r}", key) for key in values[0]]
    if all(isinstance(v, list | tuple) for v in values):
        if len({len(v) for v in values}) == 1 and 2 <= len(values[0]) <= WIDEST:
            return [(f"item {i}", i) for i in range(len(values[0]))]
    arrays = [real(v) for v in values]
    if any(a is None or a.ndim not in (1, 2) for a in arrays):
        return []
    widths = {a.shape[-1] for a in arrays}
    shaped = all(
        a.shape == b.shape for a, b in zip(arrays[::2], arrays[1::2], strict=True)
    )
    if not shaped or len(widths) > 1 or not 2 <= arrays[0].shape[-1] <= WIDEST:
        return []
    what = "item" if arrays[0].ndim == 1 else "column"
    return [(f"{what} {i}", (..., i)) for i in range(arrays[0].shape[-1])]


def _at(value, place):
    return real(value)[place] if isinstance(place, tuple) else value[place]


# ---------------------------------------------------------------------- the gradient


def _of_gradients(exercise: Exercise, failing, passing: int) -> str:
    """The value is right: what its gradient is of the asked one, and both of them."""
    position, where = _first_wrong(exercise, failing)
    name = names_of(exercise, len(failing[0][0]))[exercise.gradient[position]]
    cases = [
        Case(args, want.gradients[position], have.gradients[position])
        for args, want, have in (failing[i] for i in where)
    ]
    shown = cases[0]
    if shown.have is None:
        said = LOST
    else:
        known = [case for case in cases if case.have is not None]
        names = names_of(exercise, len(shown.args))
        found = _found(known, names, passing)
        said = "the value is right but its gradient is not"
        if found:
            said += f": {_sentence(found, len(known), passing)}"
            shown = known[found.where[0]]
    value = flat(failing[where[0]][1].value)
    weighed = " of 1 y[0] + 2 y[1] + ..., y what is returned," if len(value) > 1 else ""
    yours = "None" if shown.have is None else short(shown.have)
    stop = "" if said.endswith("?") else "."
    return (
        f"{said}{stop} Input: {call_text(shown.args)}\n"
        f"  the gradient{weighed} by {name}:\n"
        f"  expected {short(shown.want)}\n  yours    {yours}"
    )


def _first_wrong(exercise: Exercise, failing) -> tuple[int, list[int]]:
    """The first gradient that differs, by its place, and in which cases it does."""
    for position in range(len(exercise.gradient)):
        where = [
            i
            for i, (_, want, have) in enumerate(failing)
            if gradient_differs(exercise, want, have, position)
        ]
        if where:
            return position, where
    raise AssertionError("an answer that fails differs somewhere")


def gradient_differs(exercise: Exercise, want: Outcome, have: Outcome, at: int) -> bool:
    """Whether one gradient of an answer is not the asked one.

    One that is lost is not, unless zeros are asked: nothing would come back there.
    """
    asked, given = want.gradients[at], have.gradients[at]
    if asked is None:
        return False
    if given is None:
        return bool(asked.any())
    return difference(asked, given, 10 * exercise.tolerance) is not None
