"""An answer ends, and leaves the interpreter as it was: on every supported Python."""

import importlib.util
import shutil
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import lib
from lib.exercises import deadline

FILE = lib.ROOT / "lib" / "exercises" / "deadline.py"
PYTHONS = [sys.executable] + [
    found for name in ("python3.11", "python3.12", "python3.13")
    if (found := shutil.which(name))
]  # fmt: skip


def spin():
    while True:
        pass


def swallow():
    while True:
        try:
            pass
        except:  # noqa: E722
            pass


def in_a_handler():
    try:
        spin()
    except:  # noqa: E722
        spin()


def test_what_ends_by_itself_is_untouched():
    assert deadline.within(60.0, lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        deadline.within(60.0, lambda: 1 / 0)
    with pytest.raises(SystemExit):
        deadline.within(60.0, sys.exit)


@pytest.mark.parametrize("call", [spin, swallow, in_a_handler])
def test_a_loop_is_ended(call):
    threads = threading.active_count()
    with pytest.raises(deadline.OutOfTime) as late:
        deadline.within(0.2, call)
    assert not late.value.left_behind
    assert threading.active_count() == threads


def test_a_call_inside_c_is_left_behind_and_ends_with_it():
    gate = threading.Event()
    with pytest.raises(deadline.OutOfTime) as late:
        deadline.within(0.1, lambda: gate.wait(7))
    assert late.value.left_behind  # the lock gives no sign while it waits
    until = time.monotonic() + 60
    while any(isinstance(t, deadline._Worker) for t in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_stop_button_ends_the_answer_too(monkeypatch):
    def pressed(self, timeout=None):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(deadline._Worker, "join", pressed)
    with pytest.raises(KeyboardInterrupt):
        deadline.within(60.0, spin)
    assert not any(isinstance(t, deadline._Worker) for t in threading.enumerate())


TRACED = """
    import importlib.util, sys, time
    spec = importlib.util.spec_from_file_location("deadline", sys.argv[1])
    deadline = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(deadline)

    def spin():
        while True:
            pass

    assert deadline.within(60.0, lambda: 42) == 42
    try:
        deadline.within(0.1, spin)
    except deadline.OutOfTime:
        pass
    lines = []
    def tracer(frame, event, arg):
        lines.append(event)
        return tracer
    sys.settrace(tracer)
    (lambda: 1)()
    sys.settrace(None)
    assert "call" in lines and "return" in lines
    print(sys.version_info[:2])
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_a_debugger_works_afterwards(python):
    """CPython 3.11 once hung here: `pdb`, %debug and coverage trace calls."""
    version = subprocess.run([python, "-V"], capture_output=True, text=True)
    if version.returncode:  # a name that stands for no Python here
        python = sys.executable
    code = textwrap.dedent(TRACED)
    run = subprocess.run(
        [python, "-c", code, str(FILE)], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert importlib.util.find_spec("lib.exercises.deadline")


def test_a_busy_machine_takes_no_time_from_an_answer(monkeypatch):
    """The clock on the wall runs three times as fast; the thread's own does not."""
    monkeypatch.setattr(deadline, "BUSY", 1000)
    real, begun = time.monotonic, time.monotonic()
    monkeypatch.setattr(
        deadline.time, "monotonic", lambda: begun + 3 * (real() - begun)
    )

    def counts():
        return sum(range(2_000_000))

    assert deadline.within(1.0, counts) == 1_999_999_000_000


def test_one_that_only_waits_is_ended_too():
    with pytest.raises(deadline.OutOfTime):
        deadline.within(0.1, lambda: [time.sleep(0.05) for _ in range(10_000)])


def test_a_loop_is_ended_by_its_own_work(monkeypatch):
    monkeypatch.setattr(deadline, "BUSY", 1000)

    def loop():
        while True:
            pass

    begun = time.process_time()
    with pytest.raises(deadline.OutOfTime):
        deadline.within(0.2, loop)
    assert time.process_time() - begun >= 0.2
