"""`python -m tests.benchmarks`: every `bench_*.py` in turn, a process each."""

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run all; the exit status says how many did not finish, not how fast they are."""
    failed = 0
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        print(f"\n{path.stem}", flush=True)
        failed += subprocess.call([sys.executable, str(path)]) != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
