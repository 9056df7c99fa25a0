"""A call that ends: an answer that runs too long is stopped, on any platform.

The answer runs in a thread of its own, so that whoever asked can go on whatever the
answer does. One that is late has an exception raised inside it, again and again: a
loop may swallow some, but between two turns it stands outside of its own `try`.
Support for `grading`; needs nothing but Python.
"""

import contextvars
import ctypes
import sys
import threading
import time

BUSY = 6  # times as long by the clock, where others hold the processor
TURN = 0.2  # seconds between two looks
GRACE = 3.0  # seconds in which exceptions are raised before a thread is left behind


class OutOfTime(BaseException):
    """Raised inside an answer that ran too long; not an Exception, so that a
    learner's own `except Exception` does not swallow it.

    Raised to the caller, `left_behind` says whether the answer still runs.
    """

    left_behind = False


class _Settled(BaseException):
    """Raised and caught at once: see `_settle`."""


class _Worker(threading.Thread):
    """Runs a call, and keeps what it returns or raises."""

    def __init__(self, call):
        super().__init__(daemon=True)  # one left behind must not hold up the exit
        context = contextvars.copy_context()
        self.call = lambda: context.run(call)
        self.value, self.error, self.ended = None, None, False
        self.begun, self.clock = time.monotonic(), None

    def run(self):
        if hasattr(time, "pthread_getcpuclockid"):  # asked here: it is surely alive
            self.clock = time.pthread_getcpuclockid(threading.get_ident())
        try:
            self._keep()
        except OutOfTime:  # one more, raised while the first was being kept
            pass

    def worked(self) -> float:
        """Seconds of processor time that it has had; of the clock, where unknown."""
        try:
            return time.clock_gettime(self.clock)
        except (TypeError, OSError):  # it has not begun, or has ended by now; Windows
            return time.monotonic() - self.begun

    def _keep(self):
        try:
            self.value = self.call()
        except BaseException as error:  # whatever it is, it is the caller's to judge
            self.ended = True
            self.error = error


def within(seconds: float, call):
    """What `call()` returns, or raises, if that takes at most `seconds`.

    They are seconds of its own thread's work, so that a busy machine refuses no answer;
    one that only waits is ended after `BUSY` times as long. Else `OutOfTime`. A call
    inside C code that gives no sign cannot be ended by anyone; it is left behind, ends
    when that code returns, and `left_behind` is True.
    """
    worker = _Worker(call)
    worker.start()
    try:
        _wait(worker, seconds)
    except BaseException:  # the stop button: nobody waits for the answer any more
        _end(worker)
        raise
    if worker.is_alive():
        _end(worker)
        late = OutOfTime()
        late.left_behind = worker.is_alive()
        raise late
    if worker.error is not None:
        raise worker.error
    return worker.value


def _wait(worker: _Worker, seconds: float) -> None:
    """Return when the thread has ended, or has had its time."""
    until = time.monotonic() + BUSY * seconds
    while worker.is_alive() and time.monotonic() < until:
        left = seconds - worker.worked()
        if left <= 0:
            return
        worker.join(min(left, TURN))


def _raise_in(thread: int, kind: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(kind)
    )


def _end(worker: _Worker) -> None:
    """Raise `OutOfTime` in the thread until it ends, or is left behind."""
    for _ in range(4):  # one is enough for most, and gives them time to put back
        _raise_in(worker.ident, OutOfTime)
        worker.join(0.1)
        if not worker.is_alive():
            return _settle()
    _insist(worker, GRACE)
    if worker.is_alive():
        threading.Thread(target=_follow, args=(worker,), daemon=True).start()
    else:
        _settle()


def _insist(worker: _Worker, seconds: float) -> None:
    """Raise as often as threads can change places.

    A loop whose body is `try: ... except: pass` swallows what meets it inside. With
    threads that change at every turn, one meets it between two bodies.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        until = time.monotonic() + seconds
        while not worker.ended and worker.is_alive() and time.monotonic() < until:
            _raise_in(worker.ident, OutOfTime)
    finally:
        sys.setswitchinterval(before)
    worker.join(0.1)


def _follow(worker: _Worker) -> None:
    """End a thread that was left behind, at the latest when its C code returns."""
    while worker.is_alive():
        _insist(worker, 0.02)
        worker.join(0.2)
    _settle()


def _settle() -> None:
    """Take down the sign "an exception is waiting" that CPython 3.11 may leave up.

    A thread that ended before it met its exception leaves it, and then the next traced
    call of any debugger never returns. One that is delivered takes it down.
    """
    try:
        _raise_in(threading.get_ident(), _Settled)
        while True:
            time.sleep(0)
    except _Settled:
        pass
