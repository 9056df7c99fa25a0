"""The export tests on an x86 without VNNI, which qemu plays: `python -m tests.haswell`.

There onnxruntime adds pairs of products in 16 bits (Eq. 22.5); most machines that
tests run on today do not. More names of test files or options of pytest may follow.
An emulator is slow (an hour or more for all of test_export.py): so this is no part
of `make test`; README says when it was run last.
"""

import os
import platform
import shutil
import sys

from tests import offline

# What qemu cannot play is left out by name: else it says so at each start.
CPU = "Haswell,-pcid,-x2apic,-tsc-deadline,-hle,-invpcid,-rtm"
# NumPy's AVX2 loops crash in qemu 7.2 (np.minimum), which is qemu's fault; torch and
# onnxruntime, which are tested here, keep theirs.
NUMPY = {"NPY_DISABLE_CPU_FEATURES": "X86_V3"}
MISSING = """qemu-x86_64 is missing. It comes with the package qemu-user:
  Debian, Ubuntu   apt-get install qemu-user
  Fedora           dnf install qemu-user"""


def main(arguments: list[str]) -> int:
    """Run pytest under the emulator; its exit status, or 2 where that cannot be."""
    if not shutil.which("qemu-x86_64"):
        print(MISSING)
        return 2
    if sys.platform != "linux" or platform.machine() != "x86_64":
        print("only a Python for x86-64 Linux can be run as on a Haswell")
        return 2
    os.environ.update(NUMPY)
    emulated = [shutil.which("qemu-x86_64"), "-cpu", CPU, sys.executable]
    pytest = [*emulated, "-m", "pytest", "-v", "-p", "no:cacheprovider"]
    return offline.run([*pytest, *(arguments or ["tests/test_export.py"])])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
