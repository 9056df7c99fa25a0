"""What this machine offers the course: versions, the two builds, threads, memory, disk.

Support for chapter 00, which prints it.
"""

import importlib.metadata
import os
import re
import sys
import tomllib

import psutil
import torch

import lib

ROOT = lib.ROOT


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _pair_works() -> bool:
    """True if torch and torchvision come from one build: a mixed pair has no NMS."""
    try:
        from torchvision.ops import nms

        nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
    except (RuntimeError, ImportError):
        return False
    return True


def environment() -> list[tuple[str, str, str]]:
    """What this machine offers the course: rows (what, found, verdict).

    A verdict is "ok", or says in words what is missing and how to get it.
    """
    rows = []
    python = ".".join(map(str, sys.version_info[:3]))
    right = (3, 11) <= sys.version_info[:2] <= (3, 13)
    rows.append(("Python", python, "ok" if right else "3.11 to 3.13 is needed"))
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for need in tomllib.loads(settings)["project"]["dependencies"]:
        package, least = need.split(">=")
        found = _version(package)
        new = found and _numbers(found) >= _numbers(least)
        advice = "ok" if new else f'{least} or newer is needed: pip install "{need}"'
        rows.append((package, found or "missing", advice))
    pair = "ok" if _pair_works() else "two builds: install both from one index again"
    rows.append(
        ("torch with torchvision", "NMS runs" if pair == "ok" else "fails", pair)
    )
    threads = os.environ["OMP_NUM_THREADS"]
    rows.append(("CPUs to use", f"{lib.cpus()}, {threads} threads set", "ok"))
    free = psutil.virtual_memory().available / 1e9
    enough = (
        "ok" if free > 1.5 else "close other notebooks: a chapter takes up to 1.2 GB"
    )
    rows.append(("free memory", f"{free:.1f} GB", enough))
    writable = os.access(ROOT / "data", os.W_OK)
    kept = "ok" if writable else "drawn pictures are not kept, chapters take longer"
    rows.append(("data folder", "writable" if writable else "read-only", kept))
    found = _version("onnxruntime")
    advice = "ok" if found else "only for chapter 22: pip install -e '.[export]'"
    rows.append(("onnxruntime", found or "missing", advice))
    return rows


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])
