"""Functions that stand twice: written to be read, and fast. Which of the two runs?

A plain function is a place where a learner's own can stand. While ours stands there,
its machine may take a faster way to the same result; another one is called as it is.
"""

from collections.abc import Callable

_ours: set[Callable] = set()


def ours(function: Callable) -> Callable:
    """Remembers a plain function of this library; gives it back as it is."""
    _ours.add(function)
    return function


def is_ours(function: Callable) -> bool:
    """True while a name holds the plain function of this library, nobody else's.

    >>> is_ours(ours(abs)), is_ours(sum)
    (True, False)
    """
    return function in _ours
