"""From NASNet to EfficientDet: the complete implementation, a wing for each part.

lib.basics        I    tools: data, training, profiling
lib.nas           II   search: the space, NASNet, the table, who finds what
lib.detection     III  detection: EfficientNet, BiFPN, EfficientDet, COCO
lib.compression   IV   compress and ship: zeros, channels, bits, ONNX
lib.exercises          one file a chapter, and the frame that grades them
lib.book               what makes it a course: figures, notebooks, copies
lib.road          V    the end of the road: all of it at once, and in a browser

Each wing stands only on those above it in this list, and its own page says what is in
it, one line a module: `python -m lib` prints them all. Importing `lib` itself imports
none of them. It only prepares the threads, so it has to come before torch.
"""

import importlib
import importlib.util
import math
import os
import sys
import warnings
from pathlib import Path

# The folder that holds the course: data, chapters and a learner's own work.
ROOT = Path(__file__).resolve().parents[1]


def work() -> Path:
    """The folder of a learner's own work: `work/`, or what COURSE_WORK names."""
    return Path(os.environ.get("COURSE_WORK") or ROOT / "work")


# True if torch read its thread settings before this file could make them.
TORCH_CAME_FIRST = "torch" in sys.modules


def cpu_quota() -> float | None:
    """CPUs that the cgroup grants this process, or None where nothing limits it.

    A container on a 64-core machine may own two of them; the affinity mask does not
    say so, the cgroup does. Source: kernel documentation, cgroup v2 `cpu.max`
    ("quota period") and cgroup v1 `cpu.cfs_quota_us`.
    """
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        v1 = Path("/sys/fs/cgroup/cpu")
        quota = int((v1 / "cpu.cfs_quota_us").read_text("ascii"))
        period = int((v1 / "cpu.cfs_period_us").read_text("ascii"))
        return None if quota <= 0 else quota / period
    except (OSError, ValueError):
        return None


def cpus() -> int:
    """Whole CPUs this process may use: affinity mask, cut to the cgroup quota."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no affinity call
        allowed = os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, math.floor(quota)))


# Two OpenMP threads that spin while a neighbour holds their core can make a step ten
# times slower. PASSIVE lets a waiting thread sleep. Both are read once, by torch's
# import, and whoever set them before keeps their own choice.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", str(cpus()))


# -------------------------------------------------------- names from before the wings
# A learner's copy may be older than this: it says `from lib import bifpn` and
# `from lib.notebook import check`. Such a name is answered by the module of today.
_told = False


def _place_of(name: str) -> str | None:
    """Where the module stands that once was `lib.name`: "lib.detection.bifpn"."""
    for wing in ("basics", "nas", "detection", "compression", "book"):
        if Path(__file__).with_name(wing).joinpath(f"{name}.py").is_file():
            return f"lib.{wing}.{name}"
    return None


def _answer(name: str, place: str):
    """The module, with one warning in all that says what to do about the old name."""
    global _told
    if not _told:
        _told = True
        warnings.warn(
            f"lib.{name} is {place} now: this copy of a chapter is older than the"
            " course beside it. It still works. `make update` writes the new chapter"
            " beside it and takes your answers over.",
            FutureWarning,
            stacklevel=3,
        )
    return importlib.import_module(place)


def __getattr__(name: str):
    """Answers `from lib import bifpn`, as chapters said before there were wings."""
    place = _place_of(name)
    if place is None:
        raise AttributeError(f"module 'lib' has no attribute {name!r}")
    return _answer(name, place)


class _OldName:
    """Finds and loads `lib.notebook` and its like: `import lib.notebook`."""

    def __init__(self, name: str = "", place: str = ""):
        self.name, self.place, self.spec = name, place, None

    @classmethod
    def find_spec(cls, fullname: str, path=None, target=None):
        parent, _, name = fullname.rpartition(".")
        place = _place_of(name) if parent == "lib" else None
        if place is None:
            return None
        return importlib.util.spec_from_loader(fullname, cls(name, place))

    def create_module(self, spec):
        module = _answer(self.name, self.place)
        self.spec = module.__spec__  # the import system writes the old name over it
        return module

    def exec_module(self, module):
        module.__spec__ = self.spec

    def get_code(self, fullname: str):
        """For `python -m lib.course`, which yesterday's first cell on Colab calls."""
        real = importlib.util.find_spec(self.place)
        return real.loader.get_code(self.place)


sys.meta_path.append(_OldName)
