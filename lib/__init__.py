"""From NASNet to EfficientDet: the complete implementation, one module a chapter.

Support, used by every chapter
    figure           a figure with alt text and a statement, and its parts
    pictures         pictures, boxes on pictures, graphs
    plots            the house's figures, from plain arrays
    widgets          sliders, each with a static twin
    environment      what this machine offers the course
    notebook         setup, show, check, hint, solution, quiz, guesses
    publish          measured headers, badges, the first cell for Colab
    course           the learner's copies, headless runs

I    Tools
    drawing              digits on grounds, in integers: what `data` draws with
    coco                 photographs and boxes from any COCO folder, checked
    data             01  digit crops, digit scenes, letterbox, flips, jitter
    checkpoints          files that survive a kill, weights that are what they say
    training         02  y = f(x; theta), fit, schedules, moving averages
    profiling        03  parameters, multiply-adds, latency, memory, Pareto front

II   Search: NASNet
    genotypes            cells and genotypes as values, their text and their graph
    search_space     04  the space: sample, mutate, tokens, canonical form, count
    cells                operations, factorized reduction, the cell as a module
    official             published weights, loaded whole or not at all
    nasnet           05  cell derivation: genotype to cell to network, NASNet-A
    tabular          06  every cell of a small space trained, then asked
    search           07  random, evolution, local search, halving, two objectives
    controller       08  LSTM controller, REINFORCE, PPO, the exact policy gradient
    one_shot         09  supernet with shared weights, relaxation, zero-cost proxies

III  Detection: EfficientDet
    efficientnet     10  MBConv, squeeze-excite, compound scaling, B0 to B7, Lite
    bifpn            11  the road from FPN to PANet to BiFPN, weighted fusion
    anchors          12  anchors, IoU, box codes, which anchor learns what
    efficientdet     13  heads, D0 to D7x and Lite, official weights, any backbone
    detectors            three small ones, shipped, for everything after this
    detection_loss   14  focal loss, Huber loss, one normaliser for the batch
    decoding         15  top-k, boxes, NMS and soft-NMS, `detect` on any picture
    coco_eval        16  matching, precision and recall, the twelve COCO numbers

IV   Compress and ship
    sparsity         17  masks, schedules, rewinding, N:M, and what a zero is worth
    coupling             what each operator does to channels
    tracing              a network runs once, and tells which channels are one
    channel_pruning  18  groups, importance, a smaller network, equal to its mask
    deployed             a flat graph without batch norms: what 19 to 22 read
    quantize         19  grids for numbers: scale, zero point, granularity, observers
    grids                which value of a flat graph stands on which grid
    qat              20  fake quantization, straight-through, learned steps, mixed bits
    arithmetic           operators on integers: multipliers, shifts, zero points
    integer          21  the rounding network without a real number in it
    operators            what ONNX calls each operator of a flat graph
    export           22  ONNX in floats and in integers, from our own scales

Long runs
    recipes              train a detector on any COCO folder, on many GPUs

A module imports only modules that stand before it in ORDER. Importing `lib` itself
imports nothing; it only prepares the threads, so it has to come before torch.
"""

import math
import os
import sys
from pathlib import Path

# Import no chapter module; any chapter may use them.
SUPPORT = (
    "figure",
    "pictures",
    "plots",
    "widgets",
    "environment",
    "notebook",
    "publish",
    "course",
    "drawing",
    "coco",
    "checkpoints",
    "genotypes",
    "cells",
    "official",
    "deployed",
    "grids",
    "operators",
    "arithmetic",
    "coupling",
    "tracing",
)
ORDER = (
    *SUPPORT,
    "data",
    "training",
    "profiling",
    "search_space",
    "nasnet",
    "tabular",
    "search",
    "controller",
    "one_shot",
    "efficientnet",
    "bifpn",
    "anchors",
    "efficientdet",
    "detectors",
    "detection_loss",
    "decoding",
    "coco_eval",
    "sparsity",
    "channel_pruning",
    "quantize",
    "qat",
    "integer",
    "export",
    "recipes",
)

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
