# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 23 · Capstone
#
# **Question. What does the whole road give, and what does each step of it cost?**
#
# After this chapter you can
#
# 1. say what several gains make together (exercise 23.1)
# 2. choose a size that a budget allows (exercise 23.2)
# 3. judge a file by budgets, and choose the cheapest that is good enough (exercises 23.3, 23.4)
# 4. write down why you ship this file and no other (quiz)
#
# | study | about 120 min (estimate) |
# |---|---|
# | run | <!-- run -->0.3 min (18 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->933 MB (measured)<!-- /peak --> |
# | needs | no download; starts alone; `onnx` and `onnxruntime`, which `make lab` installs |
# | open in | JupyterLab (`make lab`)<!-- badges --><!-- /badges --> |

# %% cellView="form" jupyter={"source_hidden": true} tags=["core", "colab"]
# @title On Colab: fetch the course, install what is missing.
import os
import sys

REPO = ""  # owner/name; written by `make badges REPO=owner/name`
if "google.colab" in sys.modules:  # run it again, and a first try that failed is mended
    import subprocess

    assert REPO, "this copy of the course does not know its public address yet"
    address = f"https://github.com/{REPO}"
    if not os.path.exists("course"):
        clone = ["git", "clone", "-q", "--depth=1", address, "course"]
        subprocess.run(clone, check=True)
    sys.path.insert(0, os.path.abspath("course"))
    command = [sys.executable, "-m", "lib.book.course", "colab"]
    subprocess.run(command, cwd="course", check=True)

# %% tags=["core", "setup"]
import lib  # isort: skip  (before torch, so that its threads are set in time)
import tempfile

import torch

from lib.book import architectures, plots
from lib.book.notebook import (
    check,
    hint,
    quiz,
    setup,
    show,
    solution,
    table,
    yours,
)
from lib.compression import export
from lib.detection import decoding
from lib.nas import search_space, tabular
from lib.road import capstone, judging, parts, task

device = setup("23_capstone", seed=0)

# %% [markdown] tags=["core"]
# Twenty-two chapters have each built one thing.
# Here all of it runs in one go: a cell is searched, a network is made of it, a detector is scaled and trained,
# another is pruned and rounded, and files come out that need no Python.
#
# ## On whose functions does it run?
#
# What you have built on the way is kept in `work/yours`.
# `yours(load=True)` adopts it again.
# Nothing kept is no obstacle: then the road runs on the course's own functions.

# %% tags=["core", "slide"]
yours(load=True)

# %% tags=["core"]
mine, all_of_them = parts.yours()
print(f"{mine} of {all_of_them} parts are yours.")

# %% [markdown] tags=["core"]
# The parts of the detector in which a function of yours works are drawn heavier.

# %% tags=["core", "slide"]
levels = {"P2": 32, "P3": 16, "P4": 8}
architectures.detector(128, levels, highlight=parts.highlight())

# %% [markdown] tags=["core", "slide"]
# ## What do the stages do?
#
# Seven stages follow each other:
#
# | stage | chapter | what it leaves |
# |---|---|---|
# | search | 07 | a cell |
# | derive | 05 | a backbone of that cell, which has learned to read digits |
# | scale | 10, 13 | the width and depth of a detector |
# | detect | 14-16 | that detector, trained |
# | prune | 18 | the plain detector at half of its multiply-adds |
# | quantize | 19-21 | the pruned one in bytes |
# | export | 22 | files for `onnxruntime` |
#
# Each stage is *live*, its work done here, or takes what the course ships.
# One switch decides: a stage is live if its name stands in `LIVE`.
# A live `detect` or `prune` trains for `STEPS` batches only.
# Its detector is then a beginner beside the shipped one, which has seen 3,200 to 4,200 batches.

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell. Which stages are done here, and where.
LIVE = ["search", "quantize"]  # or list(capstone.STAGES): all seven
STEPS = 60
folder = tempfile.mkdtemp()  # make capstone uses build/capstone

# %% tags=["core"]
show(capstone.search_stage)

# %% [markdown] tags=["core"]
# A stage writes its result into the folder, and nothing else passes from one to the next.
# The quantizing stage reads weights, chooses grids on 64 validation scenes and writes one file.

# %% tags=["core"]
show(capstone.quantize_stage)

# %% [markdown] tags=["core"]
# ## How far does it come today?
#
# Now all seven, in order.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell; the whole road, mostly from what ships.
road = capstone.walk(LIVE, folder, STEPS, say=print)

# %% [markdown] tags=["core"]
# What if it had been killed in the middle?
# A stage that has ended leaves a note; only then is it skipped.
# We take one note away, as if the machine had stopped before it was written.

# %% tags=["core"]
road.file("quantize.json").unlink()
road = capstone.walk(LIVE, folder, STEPS, say=print)

# %% [markdown] tags=["core"]
# The search asked for 200 cells.
# How good is the one that it found?
# The table knows, and knows all others as well.

# %% tags=["core"]
book = tabular.load()
found = search_space.from_text(road.file("cell.txt").read_text(encoding="utf-8"))
accuracies = sorted(book.query(cell, split="test") for cell in book.genotypes)
reached = book.query(found, split="test")
better = sum(accuracy > reached for accuracy in accuracies)
print(found)
print(f"{better} of {len(book)} cells are better on the test crops")

# %% [markdown] tags=["core"]
# Weights fit one cell only.
# So with a shipped backbone or detector the road goes on with the cell that they were trained for.

# %% tags=["core", "nbval-check-output"]
str(capstone.cell_of(road))

# %% [markdown] tags=["core", "slide"]
# ## What has each stage bought, and what did it cost?
#
# Four files, the same test scenes, and one run in which all are timed in turns.
# The interval of the difference is over the scenes, which both files have seen (chapter 16).

# %% tags=["core", "slide"]
rows = capstone.arrived(road, scenes=100)
table(judging.COLUMNS, [judging.cells(row) for row in rows])

# %% tags=["core", "slide"]
judging.picture(rows)

# %% [markdown] tags=["core"]
# Gains of stages that follow each other multiply, since each acts on what the one before has left:
#
# $$ s = \prod_i s_i \tag{23.1} $$
#
# with $s_i$ the times by which stage $i$ made the file smaller.

# %% tags=["core"]
kilobytes = {row.name: row.kilobytes for row in rows}
by_pruning = kilobytes["plain"] / kilobytes["pruned"]
by_rounding = kilobytes["pruned"] / kilobytes["pruned, int8"]
print(f"{by_pruning:.1f} by pruning, {by_rounding:.1f} by rounding: {by_pruning * by_rounding:.1f}")

# %% [markdown] tags=["core"]
# The road has a fork.
# The searched detector needs the fewest multiply-adds, and yet the plain one was pruned and rounded.
# Why? Read the difference of its AP, and its interval.

# %% tags=["core"]
searched = rows[1]
print(f"searched less plain: AP {searched.difference:+.3f}, {searched.ratio:.1f} of the time")
print(f"multiply-adds: {searched.macs / rows[0].macs:.2f} of plain's")

# %% [markdown] tags=["core"]
# And what did it cost to come here?
# Stages that are shipped cost nothing today; somebody has paid before.

# %% tags=["core"]
spending = ("stage", "how", "CPU-seconds here", "CPU-seconds of the artefact")
table(spending, capstone.spent(road))

# %% [markdown] tags=["core"]
# Training is nearly all of it.
# Search on a table costs nothing, because somebody has trained every cell of the table: chapter 06 counts those hours.

# %% [markdown] tags=["core", "slide"]
# ## What if tomorrow's pictures are other ones?
#
# So far the test scenes came from where the training scenes came from.
# In use they do not.
# Here something has happened to each: darker, noisier, turned by 4 degrees, or striped.

# %% tags=["core"]
other_day = task.hidden(100, seed=1)
names = list(task.SHIFTS)
pictures = {name: torch.from_numpy(other_day.images[i]) for i, name in enumerate(names)}
small = export.Network(road.file("pruned_int8.onnx"))
for name, image in pictures.items():
    print(f"{name}: {len(decoding.detect(small, image, 0.5).boxes)} digits found")

# %% tags=["core", "slide"]
plots.boxes(pictures["darker"], **decoding.detect(small, pictures["darker"], 0.5)._asdict())

# %% tags=["core"]
files = {row.name: road.file(f"{row.name}.onnx") for row in rows[:3]}
files["pruned, int8"] = road.file("pruned_int8.onnx")
macs = {row.name: row.macs for row in rows}
shifted = judging.judge(files, macs, other_day)
table(judging.COLUMNS, [judging.cells(row) for row in shifted])

# %% tags=["core"]
lost = {a.name: a.ap.value - b.ap.value for a, b in zip(rows, shifted, strict=True)}
plots.bars(lost, y_label="AP lost on another day")

# %% [markdown] tags=["core", "slide"]
# ## The task
#
# **Ship one file.**
# It has to keep four budgets on hidden scenes with such shifts, whose seed you do not know:

# %% tags=["core", "slide"]
budgets = task.Budgets()
budgets

# %% [markdown] tags=["core"]
# `ratio` is the time of your file over that of the plain detector in floats, both timed in one run.
# No file of this chapter keeps all four, as the cell below shows for the smallest.
# There are at least three ways: prune more and train again, round the searched detector,
# or train on darker, noisier, turned scenes.

# %% tags=["core"]
table(("budget", "value", "limit", "kept"), task.weigh(shifted[-1]))

# %% [markdown] tags=["core"]
# With your file, name it here, and say how many multiply-adds its network has.

# %% tags=["core"]
YOUR_FILE, YOUR_MACS = None, None  # "work/mine.onnx", 31_000_000
if YOUR_FILE is not None:
    both = {"plain": road.file("plain.onnx"), "mine": YOUR_FILE}
    *_, verdict = judging.judge(both, {"mine": YOUR_MACS}, task.hidden(200, seed=1))
    table(("budget", "value", "limit", "kept"), task.weigh(verdict))

# %% [markdown] tags=["core"]
# **The decision note.**
# With the file comes a note of at most 300 words, for somebody who was not there.
# It answers three questions:
#
# 1. *Which numbers?* AP with its interval, kB, ratio, multiply-adds: of which file, on which scenes, with which seed.
# 2. *Why this one?* Which other files you had, and what ruled them out.
# 3. *What was traded?* What is worse than before, by how much, and who will notice.
#
# | points | numbers | why | traded |
# |---|---|---|---|
# | 2 | all four, with interval and seed: can be measured again | two rivals with their numbers | a loss with its size |
# | 1 | some, or without interval | one rival, or no numbers | a loss without its size |
# | 0 | none that can be checked | "it is the best" | "nothing is lost" |
#
# Six points in all; with four budgets kept and four points the task is passed.

# %% [markdown] tags=["core"]
# **A good note.**
# "We ship `mine.onnx`, the searched detector in integers.
# On 200 hidden scenes (seed 1) it has AP 0.66 [0.63, 0.70]; 140 kB, 0.5 of the time of plain, 31 million multiply-adds.
# The pruned integers were better, 0.73, but have 59 million multiply-adds; pruning them to 48 million cost 0.05
# without training again, and we had no hour for that.
# We gave up about 0.07 of AP, most of it on small digits: whoever reads digits below 20 pixels will notice."
# (The numbers are invented for this sample.)
# *Six points: each number can be measured again, two rivals, a loss with its size and its victim.*
#
# **A weak note.**
# "Our model is small and very fast, it takes 1.2 ms.
# Quantization made it four times smaller with no loss of accuracy, as the literature says.
# We recommend it for all uses."
# *One point: a time without a yardstick, a claim in place of a measurement, no rival, no loss.*

# %% [markdown] tags=["core"]
# ## Challenges
#
# Three numbers to beat, each verified by one command on fresh seeds, with a row in
# [a board](../data/ablations/BOARD.md):
#
# - the fewest trainings until a cell of the best per cent is asked:
#   `python -m lib.road.challenge trainings my_search.py`, with a function `search(ask, space, seed)`
# - the smallest file with AP 0.75: `python -m lib.road.challenge smallest mine.onnx`
# - the fewest CPU-seconds from nothing to AP 0.60:
#   `python -m lib.road.challenge seconds my_training.py`, with a function `train(seed)`
#
# The seconds begin with nothing: pictures are drawn anew, and their drawing counts.
# The board also tells what we tried for our own entries.
# Without crops first, the same training ends 0.10 lower; with the searched cell it costs more and ends 0.20 lower.
# What helped most was smaller batches, and more of them.

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **The wrong baseline.** An int8 file against eager PyTorch flatters int8 (chapter 22): compare files in one runtime.
# - **Tuned on the test.** Whoever tries ten files on the hidden scenes has chosen on them: the seed is kept back.
# - **A shift nobody measured.** [Hendrycks and Dietterich](https://arxiv.org/abs/1903.12261) showed it for ImageNet:
#   noise, blur and weather cost more than one generation of architectures had gained.
# - **Half a file.** A run that was killed leaves something that looks like a result; only a note that comes last tells.

# %% [markdown] tags=["core"]
# ## Summary
#
# The whole road gives a file of a tenth of the size, at nearly the AP of the one that it came from.
# Search and scaling cost least today and gave the fewest multiply-adds; training cost nearly all of the time.
# What counts on another day has to be measured on another day.

# %% [markdown] tags=["core"]
# ## Exercises
#
# ### 23.1 · Predict · times_smaller · 2 min · ●○○ · 1 point
#
# With other shares than above: pruning leaves 0.345 of a file's bytes, rounding 0.278 of what it gets.
# How many times smaller is the file after both, with two digits after the point?

# %% tags=["core"]
answer = ...
check("capstone.times_smaller", answer)
# hint("capstone.times_smaller")
# solution("capstone.times_smaller")

# %% [markdown] tags=["core"]
# ### 23.2 · Measure · sizes_within · 5 min · ●○○ · 1 point
#
# Four sizes of the searched detector: width, cells of BiFPN, repeats of the heads.
# How many of them stay within 45 million multiply-adds?

# %% tags=["core"]
BUDGET = 25e6  # change me
for size in capstone.SIZES:
    price = judging.macs_of(capstone.network(road, size))
    print(size, f"{price / 1e6:.1f} million", "fits" if price <= BUDGET else "")

answer = ...
check("capstone.sizes_within", answer)
# hint("capstone.sizes_within")
# solution("capstone.sizes_within")

# %% [markdown] tags=["core"]
# ### 23.3 · Build · broken · 10 min · ●○○ · 2 points
#
# `values` and `limits` hold kB, time, multiply-adds and AP, in this order.
# The first three may be at most their limit, the AP has to be at least it.
# Return the places of the broken budgets, rising.
# By hand: `broken([230, 0.8, 59, 0.73], [200, 1.0, 50, 0.6])` is `[0, 2]`.

# %% tags=["core"]
def broken(values, limits):
    ...  # your code


check("capstone.broken", broken)
# hint("capstone.broken")
# solution("capstone.broken")

# %% [markdown] tags=["core"]
# ### 23.4 · Build · cheapest · 15 min · ●●○ · 3 points
#
# Return the place of the file with the lowest price among those whose AP is at least `floor`;
# of equal prices the one with the higher AP, then the first; `None` if no file reaches the floor.
# By hand: `cheapest([0.79, 0.73, 0.79], [2402, 230, 628], 0.75)` is 2.

# %% tags=["core"]
def cheapest(aps, prices, floor):
    ...  # your code


check("capstone.cheapest", cheapest)
# hint("capstone.cheapest")
# solution("capstone.cheapest")

# %% [markdown] tags=["optional"]
# ### 23.5 · Further · 180 min · ●●● · 0 points
#
# Make the road your own: `LIVE = list(capstone.STAGES)` and a thousand steps.
# Then build the task's file from your searched cell, and write the note.

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("capstone")

# %% [markdown] tags=["core"]
# ## Where next
#
# `make demo` puts the integer file into a web page: draw digits, and it finds them.
# Chapter 24 tells where the field went since.

# %% [markdown] tags=["core"]
# ## References
#
# - Hendrycks and Dietterich, [Benchmarking Neural Network Robustness to Common Corruptions and
#   Perturbations](https://arxiv.org/abs/1903.12261), 2019.
# - Tan, Pang and Le, [EfficientDet](https://arxiv.org/abs/1911.09070), 2020.
# - Han, Mao and Dally, [Deep Compression](https://arxiv.org/abs/1510.00149), 2016: stages whose gains multiply.
