"""Places: where `lib` calls a core function, and whose function stands there now.

A place is an attribute of a module or a class that the machine looks up at each call,
so a learner's function can stand there from one cell to the next. It is replaced in
this process only: a child process finds the course's own. Support for `building`.
"""

import contextlib
import functools
import inspect
import os
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module


@dataclass
class Adopted:
    """A learner's function that stands in a place, and what it has done there."""

    identifier: str
    mine: Callable
    place: str
    calls: int = 0
    seconds: float = 0.0  # in all calls together, where a clock was given
    kept: str = ""  # why it is not saved; "" if it is
    trial: bool = False  # stands there while grading, when adoption is off
    stand_in: Callable = field(default=None, repr=False)


_adopted: dict[str, Adopted] = {}  # by the id of the exercise, in order of adoption
_ours: dict[str, Callable] = {}  # what stood in a place when it was first looked up
_off = 0  # how many `own` blocks are open


def owner(place: str) -> tuple[object, str]:
    """Module or class that holds a place, and the attribute's name.

    `place` is written as below lib: "detection.bifpn.fast_fusion", or with a class,
    "nas.controller.Learner.update". ValueError if there is nothing.
    """
    wing, module, *classes, name = place.split(".")
    holder = import_module(f"lib.{wing}.{module}")
    for part in classes:
        holder = getattr(holder, part)
    if not isinstance(vars(holder).get(name), types.FunctionType):
        raise ValueError(f"lib.{place} is no function or method")
    return holder, name


def ours(place: str) -> Callable:
    """The course's own function of a place, whoever's stands there now."""
    if place not in _ours:
        holder, name = owner(place)
        _ours[place] = vars(holder)[name]
    return _ours[place]


def _put(place: str, function: Callable) -> None:
    ours(place)  # remembers it before it is replaced
    holder, name = owner(place)
    setattr(holder, name, function)


def stand_in(adopted: Adopted, clock: Callable[[], float] | None = None) -> Callable:
    """The function that is put in the place: it counts, and names whose error it is."""
    mine, own_one = adopted.mine, ours(adopted.place)

    @functools.wraps(own_one)
    def called(*args, **kwargs):
        if _off and not adopted.trial:  # somebody kept a reference to it
            return own_one(*args, **kwargs)
        adopted.calls += 1
        begin = clock() if clock else 0.0
        try:
            return mine(*args, **kwargs)
        except Exception as error:
            if not getattr(error, "__notes__", None):
                error.add_note(_whose(adopted, error))
            raise
        finally:
            if clock:
                adopted.seconds += clock() - begin

    return called


def _whose(adopted: Adopted, error: BaseException) -> str:
    from lib.exercises.grading import own_line  # it grades with `own`, above

    where = own_line(adopted.mine, error)
    return (
        f"This comes from your {adopted.identifier}: {where}. To go on with the"
        f' course\'s own: restore("{adopted.identifier}")'
    )


def adopt(identifier: str, place: str, mine: Callable) -> Adopted:
    """Put a learner's function in its place; one that stood there before is replaced.

    Its calls are counted from 0 again.
    """
    adopted = Adopted(identifier, mine, place)
    adopted.stand_in = stand_in(adopted)
    _adopted.pop(identifier, None)
    _adopted[identifier] = adopted
    if not _off:
        _put(place, adopted.stand_in)
    return adopted


def restore(identifier: str | None = None) -> list[str]:
    """Put the course's own functions back, one or all; gives the ids that were put."""
    chosen = list(_adopted) if identifier is None else [identifier]
    back = [i for i in chosen if i in _adopted]
    for i in back:
        place = _adopted.pop(i).place
        _put(place, ours(place))
    return back


def adopted(identifier: str | None = None):
    """What is adopted: all, by id; or what belongs to one id, None if nothing does."""
    return dict(_adopted) if identifier is None else _adopted.get(identifier)


@contextlib.contextmanager
def own():
    """Inside, every place holds the course's own function: adoption is off."""
    global _off
    if not _off:
        for standing in _adopted.values():
            _put(standing.place, ours(standing.place))
    _off += 1
    try:
        yield
    finally:
        _off -= 1
        if not _off:
            for standing in _adopted.values():
                _put(standing.place, standing.stand_in)


@contextlib.contextmanager
def standing(place: str, mine: Callable, clock=time.perf_counter):
    """Inside, `mine` stands in a place, all others hold the course's own.

    Gives the `Adopted` that counts its calls and seconds.
    """
    trial = Adopted(place, mine, place, trial=True)
    with own():
        _put(place, stand_in(trial, clock))
        try:
            yield trial
        finally:
            _put(place, ours(place))


def of_the_course(thing):
    """The course's own function where `thing` is one that stands in for it."""
    for standing in _adopted.values():
        if thing is standing.stand_in:
            return ours(standing.place)
    return thing


class Reached(BaseException):
    """Raised where an answer calls what it replaces; no Exception, so not caught."""


def reaches(place: str, call: Callable[[], object]) -> bool:
    """True if `call()` runs the course's own function, directly or through a helper.

    What it returns or raises is dropped. Calls in other threads are not seen.
    """
    code = inspect.unwrap(ours(place)).__code__
    seen = False

    def profile(frame, event, _):
        nonlocal seen
        if event == "call" and frame.f_code is code:
            seen = True
            raise Reached

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        call()
    except Reached:
        pass
    except Exception:
        pass
    finally:
        sys.setprofile(before)
    return seen


# A process that is forked off inherits the replaced attributes: loader workers and
# executors run the course's own instead, as they do where processes are spawned.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=restore)
