"""By what factor, or by how much, an answer is not the asked value.

Always the same one, or one that goes with a count or a number among the arguments: a
sum is n times the mean. As in `relating`, it is said only if it holds in most of the
failing cases. Support for `diagnosing`.
"""

import math

import torch

from lib.exercises.comparing import is_number, plain
from lib.exercises.relating import (
    Case,
    Found,
    explains,
    most,
    pair,
    real,
    several,
    truths,
)

# --------------------------------------------------------------- a factor, a difference

CONSTANTS = (
    (math.log(2), "ln 2", "two logarithms, to the bases 2 and e"),
    (1 / math.log(2), "1/ln 2", "two logarithms, to the bases e and 2"),
    (math.log(10), "ln 10", "two logarithms, to the bases 10 and e"),
    (1 / math.log(10), "1/ln 10", "two logarithms, to the bases e and 10"),
    (math.pi / 180, "pi/180", "degrees and radians"),
    (180 / math.pi, "180/pi", "degrees and radians"),
    (math.pi, "pi", ""), (2 * math.pi, "2 pi", ""), (1 / math.pi, "1/pi", ""),
    (math.sqrt(2), "the square root of 2", ""),
    (math.sqrt(0.5), "1 by the square root of 2", ""),
    (100.0, "100", "is it in percent?"), (0.01, "1/100", "is it asked in percent?"),
)  # fmt: skip
FORMS = (
    ("n times what is asked, where n is {}: a sum where a mean is asked?",
     lambda n: n),
    ("what is asked divided by n, where n is {}: a mean where a sum is asked?",
     lambda n: 1 / n),
    ("n/(n - 1) times what is asked, where n is {}: divided by n - 1 and not by n?",
     lambda n: n / (n - 1)),
    ("(n - 1)/n times what is asked, where n is {}: divided by n and not by n - 1?",
     lambda n: (n - 1) / n),
    ("what is asked times the square root of n/(n - 1), where n is {}: divided by"
     " n - 1 and not by n?", lambda n: math.sqrt(n / (n - 1))),
    ("what is asked times the square root of (n - 1)/n, where n is {}: divided by n"
     " and not by n - 1?", lambda n: math.sqrt((n - 1) / n)),
    ("(n + 1)/n times what is asked, where n is {}", lambda n: (n + 1) / n),
    ("n/(n + 1) times what is asked, where n is {}: divided by n + 1?",
     lambda n: n / (n + 1)),
    ("what is asked times n squared, where n is {}", lambda n: n * n),
    ("what is asked divided by n squared, where n is {}", lambda n: 1 / (n * n)),
    ("what is asked times the square root of n, where n is {}", math.sqrt),
    ("what is asked divided by the square root of n, where n is {}",
     lambda n: 1 / math.sqrt(n)),
)  # fmt: skip


def _factor(case: Case) -> float | None:
    """`have / want` if it is one number for the whole of a case."""
    found = pair(case)
    if found is None or truths(case.want) or truths(case.have):
        return None
    want, have = found
    at = want.nan_to_num(0, 0, 0).abs().argmax()
    if want[at] == 0 or have[at] == 0:
        return None
    factor = have[at] / want[at]
    return float(factor) if explains(factor * want, want, have) else None


def _apart(case: Case) -> float | None:
    """`have - want` if it is one number for the whole of a case."""
    found = pair(case)
    if found is None or truths(case.want) or truths(case.have):
        return None
    want, have = found
    apart = float(have[0] - want[0])
    return apart if explains(want + apart, want, have) else None


def _alike(a: float | None, b: int | float) -> bool:
    return a is not None and math.isclose(a, b, rel_tol=1e-4)


def _usual(numbers: list[float | None]) -> float:
    """The middle one of those that there are; not a number if there is none."""
    known = sorted(n for n in numbers if n is not None)
    return known[len(known) // 2] if known else math.nan


def scaled(cases: list[Case], names: list[str]) -> Found | None:
    """The answer is a multiple of what is asked: always the same, or n times."""
    factors = [_factor(case) for case in cases]
    usual = _usual(factors)
    found = most(_times(usual), [_alike(f, usual) for f in factors])
    if several(cases, found):
        return found
    counts = [counts_of(case.args, names) for case in cases]
    for says, form in FORMS:
        for key in counts[0]:
            numbers = [_form(form, count.get(key)) for count in counts]
            verdicts = [
                None if n is None else _alike(f, n)
                for f, n in zip(factors, numbers, strict=True)
            ]
            found = most(says.format(key), verdicts)
            if _no_accident(found, counts, key):
                return found
    return None


def _no_accident(found: Found | None, counts, key: str) -> bool:
    """Whether there are cases enough for one of many counts, and different ones."""
    if found is None or len(found.where) < 5:
        return False
    return len({counts[i][key] for i in found.where}) > 1


def _form(form, count: int | float | None) -> int | float | None:
    try:
        return None if count is None else form(count)
    except (ZeroDivisionError, ValueError, OverflowError):
        return None


def _times(factor: float) -> str:
    """A factor in words: as a small fraction, or a known number, where it is one."""
    if not math.isfinite(factor):
        return ""  # there is none
    for number, text, why in CONSTANTS:
        if math.isclose(factor, number, rel_tol=1e-4):
            return f"{text} times what is asked" + (f": {why}" if why else "")
    for below in range(1, 13):
        above = round(factor * below)
        if above and math.isclose(factor, above / below, rel_tol=1e-4):
            text = f"{above}" if below == 1 else f"{above}/{below}"
            return f"{text} times what is asked"
    return f"{factor:.4g} times what is asked"


def shifted(cases: list[Case], names: list[str]) -> Found | None:
    """The answer is more, or less, by a constant, or by an argument."""
    apart = [_apart(case) for case in cases]
    usual = _usual(apart)
    way = "large" if usual > 0 else "small"
    says = f"too {way}, always by {abs(usual):.4g}"
    found = most(says, [_alike(a, usual) for a in apart])
    if several(cases, found):
        return found
    counts = [counts_of(case.args, names) for case in cases]
    for sign, word in ((1, "plus"), (-1, "minus")):
        for key in counts[0]:
            verdicts = [
                None if key not in count else _alike(a, sign * count[key])
                for a, count in zip(apart, counts, strict=True)
            ]
            found = most(f"what is asked {word} {key}", verdicts)
            if _no_accident(found, counts, key):
                return found
    return None


def one_off(cases: list[Case]) -> Found | None:
    """Whole numbers: all that differ are 1 too large, or all are 1 too small."""
    for off, way in ((1, "large"), (-1, "small")):
        verdicts, entire = [], True
        for case in cases:
            found = pair(case)
            whole = found and all(torch.equal(n, n.round()) for n in found)
            if not whole or truths(case.want) or truths(case.have):
                verdicts.append(False)
                continue
            apart = (found[1] - found[0])[found[0] != found[1]]
            entire &= len(apart) == len(found[0])
            verdicts.append(len(apart) > 0 and bool((apart == off).all()))
        numbers = "off by one" if entire else "in each number that differs"
        says = f"1 too {way}, {numbers}: < or <=, a range, rounding?"
        if found := several(cases, most(says, verdicts)):
            return found
    return None


def counts_of(args: tuple, names: list[str]) -> dict[str, int | float]:
    """Sizes, and single numbers, of the arguments by what they are called."""
    counts: dict[str, int | float] = {}
    for value, name in zip(args, names, strict=False):  # one may be left out
        value = plain(value)
        array = real(value)
        if is_number(value):
            if math.isfinite(value) and value != 0:
                counts[name] = float(value)
        elif array is not None and array.ndim:
            counts[f"the length of {name}"] = array.shape[0]
            for d in range(1, array.ndim):
                counts[f"the size of {name} along axis {d}"] = array.shape[d]
            if array.ndim > 1:
                counts[f"the number of entries of {name}"] = array.numel()
        elif isinstance(value, list | tuple | dict):
            counts[f"the length of {name}"] = len(value)
    return counts


# ---------------------------------------------------------------------- a single value

UNITS = (
    (100, "100 times what is asked: a share is asked, not percent"),
    (0.01, "1/100 of what is asked: percent is asked, not a share"),
    (1e3, "1000 times"), (1e-3, "1/1000 of"), (1e6, "a million times"),
    (1e-6, "a millionth of"), (1e9, "1e9 times"), (1e-9, "1e-9 times"),
    (2**10, "1024 times"), (2**-10, "1/1024 of"), (2**20, "1024 * 1024 times"),
    (10, "10 times"), (0.1, "1/10 of"), (8, "8 times"), (1 / 8, "1/8 of"),
)  # fmt: skip


def of_a_value(expected, mine) -> str | None:
    """What one number is of the asked one, where that can be no accident."""
    expected, mine = plain(expected), plain(mine)
    if not is_number(expected) or not is_number(mine) or not math.isfinite(mine):
        return None
    expected, mine = float(expected), float(mine)
    if expected == int(expected) and abs(mine - expected) == 1 and expected > 3:
        return f"yours is off by one, too {'large' if mine > expected else 'small'}"
    if not expected or expected == int(expected) and abs(expected) < 3:
        return None
    for factor, says in UNITS:
        if math.isclose(mine, factor * expected, rel_tol=1e-6):
            says += "" if "asked" in says else " what is asked: is it the unit?"
            return f"yours is {says}"
    if math.isclose(mine, -expected, rel_tol=1e-6):
        return "yours is the negative of what is asked"
    if expected != int(expected) and math.isclose(mine, 1 - expected, rel_tol=1e-6):
        return "yours is 1 minus what is asked"
    for digits in range(6, 0, -1):
        if mine == round(expected, digits) and mine:
            return (
                f"yours is right to {digits} digits after the point; give more digits"
            )
    return None
