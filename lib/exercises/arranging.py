"""What an answer is of the asked array: transposed, reversed, all but the first.

As in `relating`, a relation is said only if it holds in most of the failing cases that
can tell. A case of one row, or one whose rows are equal, cannot tell.
"""

import itertools

import torch
from torch import Tensor

from lib.exercises.relating import Case, Found, explains, gap, most, real

LONG = 3  # items from which "all but the first" says something


def arrays(cases: list[Case]) -> list[tuple[Tensor, Tensor]] | None:
    """What is asked and what is given as arrays; None if one of them is none."""
    found = [(real(case.want), real(case.have)) for case in cases]
    return None if any(w is None or h is None for w, h in found) else found


def coded(cases: list[Case]) -> list[tuple[Tensor, Tensor]] | None:
    """Lists of anything, such as names, with numbers from 1 for the different items."""
    found = []
    for case in cases:
        if not all(isinstance(v, list | tuple) for v in (case.want, case.have)):
            return None
        codes: dict[str, float] = {}
        rows = [
            [codes.setdefault(repr(item), len(codes) + 1.0) for item in value]
            for value in (case.want, case.have)
        ]
        found.append(tuple(torch.tensor(row, dtype=torch.float64) for row in rows))
    return found


def close(a: Tensor, b: Tensor) -> bool:
    """Equal but for rounding."""
    if a.shape != b.shape:
        return False
    finite = a[a.isfinite()]
    size = float(finite.abs().max()) if len(finite) else 1.0
    return a.numel() == 0 or gap(a, b) <= 1e-5 * max(1.0, size)


def _first(found, relations) -> Found | None:
    """The first relation that holds; each is words and a verdict on two arrays."""
    for says, verdict in relations:
        if told := most(says, [verdict(want, have) for want, have in found]):
            return told
    return None


# ------------------------------------------------------------------------ axes, shapes


def every_row(found) -> Found | None:
    """N x N where N is asked: every row has met every row."""

    def square(want, have):
        if want.ndim == 0 or want.shape[0] < 2:
            return None
        n = want.shape[0]
        return have.shape == (n, n, *want.shape[1:]) and want.shape != have.shape

    def on_the_diagonal(want, have):
        if not square(want, have):
            return square(want, have)
        at = torch.arange(len(want))
        return close(want, have[at, at])

    every = "every row against every row, N x N where N are asked"
    relations = ((f"{every}; its diagonal is right", on_the_diagonal), (every, square))
    told = _first(found, relations)
    sizes = {len(found[i][0]) for i in told.where} if told else ()
    return told if len(sizes) > 1 else None


def turned(found) -> Found | None:
    """The axes in another order, or the right numbers in another shape."""
    ndim = found[0][0].ndim
    if any(want.ndim != ndim for want, _ in found):
        return None

    def by(order):
        def verdict(want, have):
            guess = want.permute(order)
            moved = [n for i, n in enumerate(want.shape) if order[i] != i]
            if sum(n > 1 for n in moved) < 2 or close(guess, want):
                return None
            return guess.shape == have.shape and explains(guess, want, have)

        return verdict

    def shape_only(want, have):
        return want.shape != have.shape and close(want.flatten(), have.flatten())

    orders = list(itertools.permutations(range(ndim)))[1:] if 2 <= ndim <= 4 else []
    relations = []
    for order in orders:
        says = "what is asked, transposed"
        says += f": its axes in the order {order}" if ndim > 2 else ""
        relations.append((says, by(order)))
    relations.append(("right but for its shape: the numbers and their order are right",
                      shape_only))  # fmt: skip
    return _first(found, relations)


# ------------------------------------------------------------------------ parts of it


def _wrong_rows(want: Tensor, have: Tensor) -> Tensor:
    """Which items along the first axis differ."""
    pairs = zip(want, have, strict=True)
    return torch.tensor([not close(w, h) for w, h in pairs], dtype=torch.bool)


def _rows(want, have) -> Tensor | None:
    if want.ndim == 0 or want.shape != have.shape or len(want) < LONG:
        return None
    return _wrong_rows(want, have)


def ends(found) -> Found | None:
    """All is right but the first item, or the last; or one is missing, or too many."""

    def only(*at):
        def verdict(want, have):
            if want.ndim and want.shape == have.shape and len(want) < LONG:
                return None
            wrong = _rows(want, have)
            if wrong is None:
                return False
            expected = torch.zeros_like(wrong)
            expected[list(at)] = True
            return torch.equal(wrong, expected)

        return verdict

    def cut(of_want, of_have):
        def verdict(want, have):
            if want.ndim == 0 or have.ndim == 0 or want.shape == have.shape:
                return False
            a, b = want[of_want], have[of_have]
            return None if len(a) < 2 and len(b) < 2 else close(a, b)

        return verdict

    whole, later, earlier = slice(None), slice(1, None), slice(None, -1)
    relations = (
        ("right but for the first item", only(0)),
        ("right but for the last item", only(-1)),
        ("right but for the first and the last item", only(0, -1)),
        ("right but for the first item, which is missing", cut(later, whole)),
        ("right but for the last item, which is missing", cut(earlier, whole)),
        ("right but for one item too many at the beginning", cut(whole, later)),
        ("right but for one item too many at the end", cut(whole, earlier)),
    )
    return _first(found, relations)


def batch(found) -> Found | None:
    """Only the first element of the batch is right, or is used for all."""

    def first_only(want, have):
        if want.ndim and want.shape == have.shape and len(want) < LONG:
            return None
        wrong = _rows(want, have)
        return False if wrong is None else bool(not wrong[0] and wrong[1:].all())

    def first_for_all(want, have):
        right = first_only(want, have)
        return right and all(close(have[0], row) for row in have)

    def nothing_else(want, have):
        if want.ndim == 0 or len(want) < 2:
            return None
        if have.shape == want.shape:
            return False
        return close(want[:1], have) or close(want[0], have)

    relations = (
        ("the right result of the first item, given for all items", first_for_all),
        ("right for the first item only", first_only),
        ("the result of the first item only; one for each is asked", nothing_else),
    )
    return _first(found, relations)


# --------------------------------------------------------------------- another order


def _tells(want: Tensor) -> bool:
    """Whether another order would be seen as one: some zeros and ones say nothing."""
    if want.ndim == 0 or len(want) < 2:
        return False
    different = set(want.flatten().tolist())
    return len(different) > 2 or (want.numel() == 2 and not different <= {0.0, 1.0})


def _telling(change):
    """A verdict by a change of order; a case that it leaves as it is cannot tell."""

    def verdict(want, have):
        guess = change(want) if _tells(want) else want
        if close(guess, want):
            return None
        return close(guess, have)

    return verdict


def _is_order(want: Tensor) -> bool:
    """Whether the numbers are places: each of 0 to n - 1 once."""
    n = want.numel()
    return want.ndim == 1 and torch.equal(want.sort()[0], torch.arange(n).double())


def _in_order(values: Tensor) -> Tensor:
    """Rows in the order of their numbers, so that two orders can be compared."""
    rows = sorted(values.reshape(len(values), -1).tolist())
    return torch.tensor(rows, dtype=torch.float64)


def _another_order(want, have):
    if not _tells(want):
        return None
    if want.shape != have.shape or want.isnan().any() or have.isnan().any():
        return False
    return close(_in_order(want), _in_order(have)) and not close(want, have)


def order(found) -> Found | None:
    """The right items in another order: reversed, moved on, sorted, columns swapped."""
    if all(_is_order(want) for want, _ in found):
        says = (
            "the inverse of what is asked: a place for each item where an item for each"
            " place is asked, or the other way round"
        )
        return _first(found, [(says, _telling(lambda w: w.argsort().double()))])
    relations = [
        ("what is asked in reverse order", _telling(lambda w: w.flip(0))),
        ("what is asked, each row in reverse order",
         _telling(lambda w: w.flip(-1) if w.ndim > 1 else w)),
        ("what is asked, moved on by one place", _telling(lambda w: w.roll(1, 0))),
        ("what is asked, moved back by one place", _telling(lambda w: w.roll(-1, 0))),
        *_columns(found),
        (f"the right items in another order{_sorted(found)}", _another_order),
    ]  # fmt: skip
    return _first(found, relations)


def _sorted(found) -> str:
    """What is said where all answers are sorted."""
    rows = [have for _, have in found if have.ndim == 1]
    if len(rows) == len(found):
        up = [row.sort()[0] for row in rows]
        if all(map(torch.equal, rows, up)):
            return ": yours are sorted, the smallest first"
        if all(torch.equal(r, u.flip(0)) for r, u in zip(rows, up, strict=True)):
            return ": yours are sorted, the largest first"
    return ""


def _columns(found):
    """Relations: one same order of the last axis in all cases."""
    widths = {want.shape[-1] if want.ndim else 0 for want, _ in found}
    width = widths.pop() if len(widths) == 1 else 0
    if not 2 <= width <= 5:
        return
    what = "items" if all(want.ndim == 1 for want, _ in found) else "columns"
    for places in list(itertools.permutations(range(width)))[1:]:
        says = f"what is asked with its {what} in the order {places}"
        yield says, _telling(lambda w, p=list(places): w[..., p])


def arranged(cases: list[Case]) -> Found | None:
    """The first of the relations of this module that holds."""
    found = arrays(cases)
    relations = (every_row, turned, ends, batch, order)
    if found is None:
        found, relations = coded(cases), (ends, batch, order)
    if found is None or all(want.ndim == 0 for want, _ in found):
        return None
    for relation in relations:
        if told := relation(found):
            return told
    return None
