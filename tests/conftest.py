"""Every run of the suite happens with the network off; one thread a process."""

import os
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
# No test reads or writes what a learner keeps in work/.
_work = tempfile.TemporaryDirectory(prefix="course-work-")
os.environ["COURSE_WORK"] = _work.name

import pytest  # noqa: E402

from tests import offline  # noqa: E402


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    if not offline.inside():
        return offline.run(
            [sys.executable, "-m", "pytest", *config.invocation_params.args]
        )
    return None


def pytest_report_header():
    return f"network: off ({os.environ[offline.HOW]})"


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"network: off ({os.environ[offline.HOW]})")
