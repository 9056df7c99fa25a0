# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 06 · Tabular
#
# **Question. If every cell of a small space has been trained, what does the table know,
# and how far can it be trusted?**
#
# After this chapter you can
#
# 1. ask a table for an accuracy of one seed, one epoch, one split, and say which of them a search may see (quiz)
# 2. tell a difference between cells from a difference between seeds (quiz)
# 3. rank cells by a cheap number and say how good the ranking is (exercises 06.1 and 06.3)
# 4. say exactly how good blind search would be (exercise 06.4)
# 5. build a table that survives a kill at any moment, and say what a torn shard still holds (exercise 06.2)
#
# | study | about 90 min (estimate) |
# |---|---|
# | run | <!-- run -->0.3 min (16 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->579 MB (measured)<!-- /peak --> |
# | needs | no download; starts alone |
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
import concurrent.futures
import dataclasses
import itertools
import json
import pathlib
import random
import tempfile
import time

import numpy as np

from lib.book import plots, widgets
from lib.book.notebook import build, check, hint, quiz, setup, show, solution, table
from lib.nas import search_space, tabular

device = setup("06_tabular", seed=0)

# %% [markdown] tags=["core"]
# NASNet's search trained 20,000 children.
# Nobody repeats that in a classroom.
# So we did the slow part for you: `SMALL` has 735 distinct cells, few enough to train them all.
# From now on a question that would cost a training costs only a look into a list.
# This chapter builds such a list, looks at its noise, and asks what one may conclude from it.
#
# The idea is that of [NAS-Bench-101](https://arxiv.org/abs/1902.09635): all 423,624 cells of at most 7 nodes, 9 edges
# and three operations, each trained three times, at each of four lengths of training, on CIFAR-10.
# With it one could compare searches by hundreds of runs, and it showed three things:
# regularized evolution leads random search, random search is a strong baseline all the same,
# and good cells are neighbours of good cells.
# [NAS-Bench-201](https://arxiv.org/abs/2001.00326) is smaller, 15,625 cells with five operations on four nodes,
# but has three data sets and the whole learning curves.
# For spaces too large to train, [NAS-Bench-301](https://arxiv.org/abs/2008.09777) asks a model that has learned from
# some 60,000 trained cells to predict the others.
# What critics say holds for our table too: the spaces are small, it is one task or a few alike,
# and so many cells are nearly as good as the best that the top is easy to reach and hard to sort.

# %% [markdown] tags=["core", "slide"]
# ## What does one number cost?
#
# A cell gets a small network around it: three stacks with one normal cell each, 8 filters in the first.
# We have made the table twice.
# The *first table* trained each network on 1,024 crops of 12x12 pixels, in batches of 64, for 4 epochs.
# How many steps is that?
# $1024 / 64 = 16$ an epoch, 64 in all.
# The *second table* took 6,144 crops: 96 an epoch, 384 in all.
# It is the one that ships; why there is a second, this chapter will show.
# After every epoch we count how many validation crops the network gets right, and how many test crops.
# With $r$ right answers of $n$, the accuracy $a$ is
#
# $$ a = \frac{r}{n} \tag{6.1} $$
#
# So 640 right answers of 1,000 are an accuracy of 0.64.
# A table keeps $r$, a whole number, which no rounding can change.
#
# Four of the names below need an explanation.
# `difficulty` 0 means clean crops (chapter 01).
# `norm_momentum` is how fast the batch norms' running averages follow; 64 steps are too few for the usual 0.1.
# `stem_filters` is the width of the first convolution.
# `own_seeds` says what seed 1 stands for: the same random numbers in every cell, or each cell's own.

# %% tags=["core", "nbval-check-output"]
TASK = tabular.Task()  # the first table's: short enough to train here
both = [dataclasses.asdict(task) for task in (TASK, tabular.SECOND)]
rows = [(name, *(task[name] for task in both)) for name in both[0]][1:]
table(("setting", "first table", "second table, shipped"), rows)

# %% tags=["core"]
show(tabular.measure)

# %% [markdown] tags=["core"]
# Three cells, with the short training: nothing but identities, nothing but pools, and one with convolutions.
# Before you run it: which one learns fastest?

# %% tags=["core", "slide"]
three = {
    "identities": "identity(0)+identity(1) | identity(0)+identity(2) -> 3",
    "pools": "max3(0)+max3(1) | max3(0)+max3(2) -> 3",
    "convolutions": "sep3(0)+identity(1) | sep3(0)+max3(2) -> 3",
}
live = {name: tabular.measure(TASK, text, seed=0) for name, text in three.items()}
curves = {name: [r / 1000 for r in row["validation"]] for name, row in live.items()}
plots.lines([1, 2, 3, 4], curves, x_label="epoch", y_label="validation accuracy")

# %% [markdown] tags=["core"]
# How many children an hour does *your* machine train, one thread,
# and how long would it work on the whole first table, 735 cells with three seeds?

# %% tags=["core"]
seconds = sum(row["seconds"] for row in live.values()) / 3
trainings = len(tabular.units(TASK))
print(f"{seconds:.1f} CPU-seconds a training, {3600 / seconds:,.0f} trainings an hour")
print(f"{trainings:,} trainings: {trainings * seconds / 3600:.1f} hours of one thread")
steps = [task["epochs"] * task["train"] // task["batch"] for task in both]
longer = len(tabular.units(tabular.SECOND)) * seconds * steps[1] / steps[0] / 3600
print(f"the second table, {steps[1] // steps[0]} times as many steps: {longer:.1f} hours")

# %% [markdown] tags=["core"]
# The second table took less than that: all four trainings of a cell ran side by side, as one network with groups,
# in 37 % of the time that they take one by one ([datasheet](../data/tabular/README.md)).
#
# **Break it.**
# Train the same cell again, first with the same seed, then with another.
# Which of the numbers may change?

# %% tags=["core"]
for seed in (0, 1):
    row = tabular.measure(TASK, three["convolutions"], seed)
    print(f"seed {seed}: validation {row['validation']}, test {row['test']}")
print(f"before: validation {live['convolutions']['validation']}")

# %% [markdown] tags=["core"]
# The same seed gives the same counts, on the same machine with the same number of threads.
# Another seed starts from other weights and sees the crops in another order.
# How much that matters is the question of half this chapter.

# %% [markdown] tags=["core", "slide"]
# ## What can you ask?
#
# A toy first.
# One cell, two seeds, two epochs, 8 validation crops.
# Right answers: seed 0 had 2, then 6; seed 1 had 3, then 8.
# What is its accuracy after the last epoch?
# $6/8 = 0.75$ for seed 0, $8/8 = 1$ for seed 1, and $0.875$ on average.

# %% tags=["core"]
show(tabular.Table)

# %% tags=["core", "slide", "nbval-check-output"]
toy_task = dataclasses.replace(TASK, seeds=2, epochs=2, validation=8, test=8)
counts = {"validation": [[2, 6], [3, 8]], "test": [[1, 4], [2, 4]]}
row = {"cell": three["pools"], "parameters": 0, "macs": 0, **counts}
toy = tabular.Table(toy_task, [row])
cell = toy.genotypes[0]
assert toy.query(cell) == 0.875 and toy.query(cell, seed=0) == 0.75  # by hand
toy.query(cell), toy.query(cell, seed=1, epoch=1), toy.query(cell, split="test")

# %% [markdown] tags=["core"]
# Now the real one.
# It comes with the course; a checksum says that it is the one we made.

# %% tags=["core", "catch-up", "nbval-check-output"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
everything = tabular.load()
cells = everything.genotypes
validation, test = (everything.accuracy[s] for s in tabular.SPLITS)
print(f"{len(everything)} cells, {everything.seeds} seeds, {everything.epochs} epochs")
validation.shape  # cells, seeds, epochs

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
quality = test[:, :, -1].mean(1)  # of each cell: test, last epoch, mean over seeds
best, worst = cells[int(quality.argmax())], cells[int(quality.argmin())]
print(f"best   {quality.max():.3f}  {best}\nworst  {quality.min():.3f}  {worst}")
plots.histogram(quality, bins=20, x_label="mean test accuracy", y_label="cells")

# %% [markdown] tags=["core"]
# How fast is a question?
# A search of 200 queries should take less time than you need to start it.

# %% tags=["core"]
rng = random.Random(0)
asked = [search_space.sample(everything.space, rng) for _ in range(20_000)]
for turn in ("first", "second"):
    began = time.perf_counter()
    for genotype in asked:
        everything.query(genotype, seed=0)
    rate = len(asked) / (time.perf_counter() - began)
    print(f"{turn} time: {rate:,.0f} queries a second")

# %% [markdown] tags=["core"]
# These are random genotypes, most of them not in canonical form.
# The table translates each way of writing a cell the first time, and remembers it.
#
# **Break it.**
# Ask for what is not there.

# %% tags=["core", "nbval-check-output"]
for question in ({"seed": 4}, {"epoch": 0}, {"split": "train"}):
    try:
        everything.query(best, **question)
    except ValueError as error:
        print(error)
try:
    everything.query(search_space.NASNET_A)
except search_space.GenotypeError as error:
    print(error)

# %% [markdown] tags=["core", "slide"]
# ## Is that difference real?
#
# Cell a has 0.64, cell b has 0.62.
# Is a better?
# That depends on how far two trainings of the *same* cell lie apart.
# A toy: three cells, two seeds each.
#
# | cell | seed 0 | seed 1 | mean | deviation of its seeds |
# |---|---|---|---|---|
# | a | 0.2 | 0.4 | 0.3 | $0.2 / \sqrt 2 = 0.141$ |
# | b | 0.5 | 0.5 | 0.5 | 0 |
# | c | 0.9 | 0.5 | 0.7 | $0.4 / \sqrt 2 = 0.283$ |
#
# The means 0.3, 0.5, 0.7 have a standard deviation of 0.2.
# The seeds have one of 0.141 on average.
# With $a_{cs}$ the accuracy of cell $c$ and seed $s$, $\bar a_c$ the mean over its $S$ seeds, $\bar a$ the mean of all,
# and $C$ cells:
#
# $$ \sigma_\text{cells} = \sqrt{\frac{1}{C - 1} \sum_c (\bar a_c - \bar a)^2} \tag{6.2} $$
#
# $$ \bar\sigma_\text{seeds} = \frac{1}{C} \sum_c \sqrt{\frac{1}{S - 1} \sum_s (a_{cs} - \bar a_c)^2} \tag{6.3} $$
#
# A table in which the first is not clearly larger than the second ranks luck.

# %% tags=["core"]
show(tabular.spread)

# %% tags=["core", "slide", "nbval-check-output"]
toy = np.array([[0.2, 0.4], [0.5, 0.5], [0.9, 0.5]])
between, within = tabular.spread(toy)
assert abs(between - 0.2) < 1e-9 and abs(within - 0.2 / 2**0.5) < 1e-9  # by hand
print(f"cells {between:.3f}, seeds {within:.3f}")

# %% tags=["core", "slide"]
for name, accuracy in (("validation", validation), ("test", test)):
    between, within = tabular.spread(accuracy[:, :, -1])
    ratio = f"cells {between:.3f}, seeds {within:.3f}, ratio {between / within:.1f}"
    print(f"{name}: {ratio}")
order = quality.argsort()
nine = order[np.linspace(0, len(order) - 1, 9).round().astype(int)]
groups = {f"rank {1 + len(order) - 1 - int(r)}": test[c, :, -1].tolist()
          for r, c in zip(np.linspace(0, len(order) - 1, 9).round(), nine, strict=True)}  # fmt: skip
plots.points(groups, y_label="test accuracy, last epoch", x_label="cell")

# %% [markdown] tags=["core"]
# Each dot is one training; nine cells, from the worst to the best.
# From one row to the next there are about 92 ranks.
# Where the dots of two rows overlap even so, think of two neighbours in the ranking:
# a single training cannot tell them apart.
#
# **Break it.**
# Shuffle all trainings of the table over its cells, so that a cell means nothing any more.
# What should the ratio be?
# Means of four independent numbers scatter $\sqrt 4$ times less than the numbers themselves,
# so it should fall to about $1/\sqrt 4 = 0.5$.
# A little more, in fact: the standard deviation of four numbers comes out too small on average.
# (By a factor of 0.92 for normal numbers, by more where a few stand far from the rest, as here.)

# %% tags=["core"]
final = test[:, :, -1]
shuffled = np.random.default_rng(0).permutation(final.flatten()).reshape(final.shape)
between, within = tabular.spread(shuffled)
assert between < within  # nothing is left to rank
print(f"shuffled: cells {between:.3f}, seeds {within:.3f}: {between / within:.2f}")

# %% [markdown] tags=["core", "slide"]
# ## Is one seed luckier than another?
#
# A toy first.
# Cell a has 0.5 with seed 0 and 0.4 with seed 1; cell b has 0.7 and 0.6.
# Within a seed b is ahead by $0.7 - 0.5 = 0.6 - 0.4 = 0.2$, both times.
# Now compare across seeds: b with seed 1 against a with seed 0.
# $0.6 - 0.5 = 0.1$, half of it.
# What is missing is the gap between the *seeds*, which both cells share.
#
# So look at the columns of a table too: the mean of all cells, seed by seed.
# First the first table, where a seed is the same random numbers for every cell, then the shipped one.
# Say first what you expect: each column has 735 cells, so how far apart are the means of the columns?

# %% tags=["core", "slide"]
first = tabular.load(tabular.FIRST_TABLE)
for name, accuracy in {"first": first.accuracy["test"], "second": test}.items():
    columns = accuracy[:, :, -1]
    for s, mean in enumerate(columns.mean(0)):
        won = (columns.argmax(1) == s).mean()
        print(f"{name} table, seed {s}: mean {mean:.3f}, the cell's best in {won:.0%} of the cells")

# %% [markdown] tags=["core"]
# In the first table a seed is not noise of one cell alone.
# Where all cells draw the same random numbers, a lucky seed makes all of them better.
# But which of its random numbers?
# A seed draws three things: the first weights of the stem, those of the cells, and the order of the crops.
# So we crossed them.
# For 24 cells from the worst to the best, each of the three came from seed 0 or from seed 1:
# $2 \cdot 2 \cdot 2 = 8$ trainings a cell, every combination once.
# The effect of the stem is the mean of the four trainings with stem 0, less that of the four with stem 1.
# Everything else is the same on both sides, so it cancels.
# That is a *factorial experiment*, recorded by
# [data/ablations/seed_effect.py](../data/ablations/seed_effect.py).

# %% tags=["core", "slide"]
recorded = (lib.ROOT / "data" / "ablations" / "seed_effect.jsonl").read_text("utf-8")
crossed = {}  # cell, then (stem, cells, order): test accuracy
for row in map(json.loads, recorded.splitlines()):
    place = row["stem"], row["cells"], row["order"]
    crossed.setdefault(row["cell"], {})[place] = row["test"] / 1000
effects = {}
for part, name in enumerate(("stem", "cells", "order of the crops")):
    effects[name] = [
        sum(a if place[part] == 0 else -a for place, a in eight.items()) / 4
        for eight in crossed.values()
    ]
rows = []
for name, each in effects.items():
    error = 100 * np.std(each, ddof=1) / len(each) ** 0.5
    rows.append((name, f"{100 * np.mean(each):+.1f}", f"{error:.1f}"))
table(("from seed 0, not 1", "points of test accuracy", "standard error"), rows)

# %% [markdown] tags=["core"]
# Most of it is the order of the crops, and some of it the stem.
# Both are the same numbers for every cell, so their luck is shared.
# First weights of the cells are not: each cell has other layers, and there the luck cancels.
#
# Two lessons, with their names in the literature.
# **Compare within a seed.**
# What two cells share is not in their difference.
# The literature says *common random numbers*, or, in an experiment's plan, a *block* (not the block of a cell).
# Chapter 07 compares two searches in pairs for the same reason.
# **Do not compare across seeds.**
# If you take the best of all answers, you take an answer of the lucky seed, however good the cell is.
# The other way out is to give every cell random numbers of its own; then luck is not shared,
# and averages over cells lose it.
# That is why there is a second table: its training number $s$ of a cell starts from a hash of cell and $s$,
# and the means of its columns agree.
# Its trainings are also longer, six times as many steps at a lower rate, so that fewer of them fail by bad luck.

# %% [markdown] tags=["core", "slide"]
# ## How well can any ranking be known?
#
# A search does not need accuracies.
# It needs the right *order*.
# Four cells, ranked 1 2 3 4 by one training and 2 1 3 4 by another.
# There are six pairs of cells.
# Five stand in the same order both times, one does not: $(5 - 1) / 6 = 0.67$.
# That is **Kendall's tau**.
#
# What if two values are equal?
# Take the lists (1, 2, 2) and (1, 2, 3).
# The first two pairs stand in the same order; the pair (2, 2) has no order, so it counts 0: the sum is 2.
# Of three pairs, 2 differ in the first list and 3 in the second, and we divide by the root of both:
# $2 / \sqrt{2 \cdot 3} = 0.816$.
# With $P$ pairs in the same order, $Q$ in the other one, $n_a$ pairs that differ in list a and $n_b$ in list b:
#
# $$ \tau = \frac{P - Q}{\sqrt{n_a\, n_b}} \tag{6.4} $$
#
# Then 1 is the same ranking, 0 is none, -1 the reverse.
# The literature calls this form *tau-b*; SciPy computes it too, and all of this course does.
# Another form, *tau-a*, divides by all pairs, and so cannot reach 1 where there are equal values.
# Without equal values the two are the same, since then $n_a = n_b = P + Q$.

# %% [markdown] tags=["core"]
# ### 06.1 · Build · kendall · 15 min · ●●○ · 3 points
#
# All rankings of this chapter are judged by it, so build it.
# Write `kendall(a, b)`, the tau-b of Eq. 6.4, for two lists of equal length, at least three long.
# Each pair of places counts 1 if both lists put it in the same order, -1 if they put it in opposite orders,
# and 0 if it is equal in at least one list.
# Neither list holds one value only.

# %% tags=["core"]
def kendall(a, b):
    """The sum over all pairs, divided by the root of (pairs that differ in a) times (pairs that differ in b).

    By hand: kendall([1, 2, 2], [1, 2, 3]) is 2 / sqrt(2 * 3) = 0.816.
    """
    # your code, in place of the dots
    ...


build("tabular.kendall", kendall)
# hint("tabular.kendall")
# solution("tabular.kendall")

# %% [markdown] tags=["core"]
# Now ask what one training knows.
# Take the column of seed 0, one number a cell, as a signal.
# The ranking has to come from **other** trainings: a signal must not look good
# only because it shares the luck of its own seed.
# So set it against the mean of all other seeds.

# %% tags=["core", "slide"]
show(tabular.kendall, folded=True)
others = final[:, 1:].mean(1)
one = tabular.tau(final[:, 0], others)
says = f"Seed 0 against the mean of the other seeds: tau {one:.2f}."
plots.scatter(final[:, 0], others, x_label="test accuracy, seed 0", y_label="mean of the other seeds", says=says)

# %% [markdown] tags=["core"]
# That was one column.
# In general there is a signal $x_{cs}$ of each training, say its accuracy after the first epoch.
# Write $x_{\cdot s}$ for the whole column of seed $s$.
# Set each column against the mean of the *other* columns of the accuracy $a$, and average the $S$ taus:
#
# $$ F = \frac{1}{S} \sum_s \tau\left(x_{\cdot s},\ \frac{1}{S - 1} \sum_{t \ne s} a_{\cdot t}\right) \tag{6.5} $$
#
# Now one step more.
# Use as signal the *whole* training, $x = a$.
# What comes out is the [**noise ceiling**](GLOSSARY.md#noise-ceiling): what a full training, another seed, knows about
# the ranking.
# A cheaper signal that is as noisy may reach it, or come out a little above by chance.
# To pass it clearly, a signal would need less noise than a training and as much knowledge.

# %% tags=["core"]
show(tabular.foresight)

# %% tags=["core", "slide", "nbval-check-output"]
told = np.array([[1, 1], [2, 2], [3, 3], [4, 4]])
toy = np.array([[2, 2], [1, 1], [3, 3], [4, 4]])
assert abs(tabular.foresight(told, toy) - 4 / 6) < 1e-9  # by hand
print(f"{tabular.foresight(told, toy):.3f}")

# %% [markdown] tags=["core"]
# **Break it.**
# Forget the word *other*: rank by the mean of all seeds, the signal's own among them.
# And then look only where a search ends up, at the best tenth.
# Among cells that are all good the true differences are smaller.
# Is the noise smaller too?

# %% tags=["core"]
ceiling = tabular.foresight(final, final)
own = [tabular.tau(seed, final.mean(1)) for seed in final.T]
top = validation[:, :, -1].mean(1).argsort()[-len(order) // 10 :]  # not by test
print(f"ceiling {ceiling:.2f}; with its own seed in the mean {np.mean(own):.2f}")
print(f"among the best tenth {tabular.foresight(final[top], final[top]):.2f}")
noise = final[top].var(1, ddof=1).mean()  # of one training, squared
true = final[top].mean(1).var(ddof=1) - noise / everything.seeds  # what is left of the cells
print(f"best tenth: one training varies by {100 * noise**0.5:.1f} points, cells differ by {100 * true**0.5:.1f}")
needed = noise / true / (1 / np.sin(np.pi / 4) - 1)
print(f"for two rankings with a tau of 0.5 there: {needed:.0f} trainings of each cell, each time")

# %% [markdown] tags=["core"]
# With its own seed in the mean the tau is too high: part of what a column agrees with is itself.
# And among the best tenth one training says nearly nothing about the order.
# The noise is smaller there too, but the differences between the cells have shrunk far more:
# the top of this space is nearly flat.
# (The last line takes both as normal: then two means that correlate by $\rho$ have $\tau = \frac{2}{\pi} \arcsin \rho$,
# and $\tau = 0.5$ asks for $\rho = 0.71$.)
# More trainings would sort it.
# Few people need that: without the noise, the cells of this tenth have a standard deviation of half a point only.
# Whoever quotes a rank correlation should say over which cells.

# %% [markdown] tags=["core", "slide"]
# ## What can you know before the end?
#
# Four epochs for every cell is the price of the full answer.
# Perhaps one epoch ranks as well.
# Perhaps no training is needed at all, and the larger network wins.
# A count has no seeds; the same number stands for each of them.

# %% tags=["core"]
signals = {f"epoch {e}": test[:, :, e - 1] for e in (1, 2, 3)}
signals["4: ceiling"] = final
for name in ("parameters", "macs"):
    price = getattr(everything, name)
    signals[name] = np.repeat(price[:, None], everything.seeds, axis=1)
taus = {name: tabular.foresight(x, final) for name, x in signals.items()}

# %% tags=["core", "slide"]
says = f"Ceiling {ceiling:.2f}. Epoch 1 reaches {taus['epoch 1'] / ceiling:.0%} of it, "
says += f"multiply-adds {taus['macs'] / ceiling:.0%}."
plots.bars(taus, y_label="tau, final rank by other seeds", says=says)

# %% [markdown] tags=["core"]
# After three epochs the order is as good as after four: the last epoch adds nothing to it.
# After one epoch it is not.
# What a search loses by stopping early is the step from an early bar to the ceiling.
# Successive halving, in chapter 07, is built on this figure.
# And whatever a proxy of chapter 09 claims, it has to beat the two bars on the right: counting is free.

# %% tags=["core", "slide"]
million = everything.macs / 1e6
front = [int(i) for i in order if quality[i] >= quality[million <= million[i]].max()]
says = f"From {million.min():.2f} to {million.max():.2f} million multiply-adds; "
says += f"{len(front)} cells have no better one at their price or below."
plots.scatter(
    million, quality, front=front, x_label="million multiply-adds",
    y_label="mean test accuracy", says=says,
)  # fmt: skip

# %% [markdown] tags=["core"]
# **Break it.**
# Many cells cost exactly the same, as columns of points in the figure.
# No count of multiply-adds can tell them apart.
# Is the accuracy in the longest column the same too?

# %% tags=["core"]
price, many = np.unique(everything.macs, return_counts=True)
same = np.flatnonzero(everything.macs == price[many.argmax()])
low, high = quality[same].min(), quality[same].max()
print(f"{len(same)} cells of {price[many.argmax()]:,} multiply-adds: {low:.3f}..{high:.3f}")

# %% [markdown] tags=["core"]
# The table also has `latency`, measured later, one cell after the other on one idle machine.
# Its order agrees with that of the multiply-adds, but not entirely; chapter 07 uses it as a price.
# All cells were trained on one kind of device, see the [datasheet](../data/tabular/README.md).

# %% [markdown] tags=["core", "slide"]
# ## Who wins by luck?
#
# A search tries $n$ cells, sees one validation accuracy each, and keeps the best.
# What it sees of its winner is too good on average, since luck helped to choose it: the **winner's curse**.
# (Eq. 7.2 of the next chapter works it out by hand.)
# The more cells one tries, the more the winner's number owes to luck.
# Here is how much, on this table.

# %% tags=["core"]
rng, tries, sizes = np.random.default_rng(0), 2000, [1, 3, 10, 30, 100]
looks, honest = [], []
for n in sizes:
    drawn = np.stack([rng.choice(len(cells), n, replace=False) for _ in range(tries)])
    seen = validation[drawn, rng.integers(everything.seeds, size=drawn.shape), -1]  # tries n
    winner = drawn[np.arange(tries), seen.argmax(1)]
    looks.append(seen.max(1).mean())
    honest.append(quality[winner].mean())

# %% tags=["core", "slide"]
says = f"Of {sizes[-1]} cells the winner looks like {looks[-1]:.3f} to its search; its "
says += f"mean test accuracy is {honest[-1]:.3f}."
series = {"what the search saw": looks, "mean test accuracy": honest}
plots.lines(sizes, series, x_label="cells tried", y_label="accuracy of the winner", log_x=True,
            says=says)  # fmt: skip

# %% [markdown] tags=["core"]
# This is the rule of the next three chapters.
# **A search sees the validation accuracy of one seed, drawn at each query.
# A method is judged by the mean test accuracy of the cell that it returns.**
# Whoever judges it by what it saw prefers the method that was lucky most often.

# %% [markdown] tags=["core", "slide"]
# ## Which cell would you have built?
#
# The editor of chapter 04, now with the numbers.
# Choose inputs and operations; the price and the measured accuracy of that very cell follow at once.
# Can you beat the best by hand?
# Do you have a rule by now?

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
place = {i: 1 + r for r, i in enumerate(quality.argsort()[::-1].tolist())}


def numbers(genotype):
    i = everything.index(genotype)
    seeds = ", ".join(f"{a:.3f}" for a in test[i, :, -1])
    size = f"{everything.parameters[i]:,} parameters, {everything.macs[i] / 1e6:.2f} M multiply-adds"
    return f"rank {place[i]} of {len(cells)}: {quality[i]:.3f} ({seeds}); {size}."


# %% jupyter={"source_hidden": true} tags=["core", "slide"]
# Draws the cell that the sliders describe, with what the table knows of it.
def edit(**chosen):
    v = list(chosen.values())
    pairs = [zip(v[i : i + 2], v[i + 2 : i + 4], strict=True) for i in (0, 4)]
    cell = search_space.Cell([(*two, "add") for two in pairs])
    says = f"{cell}: {numbers(search_space.Genotype(cell, cell))}"
    return plots.graph(*search_space.graph(cell), says=says)


decisions = search_space.decisions(everything.space)
open_ = [d for d in decisions if len(d.options) > 1]
knobs = {f"{d.what} {d.block}".replace(" ", "_"): d.options for d in open_}
widgets.sliders(edit, **knobs)

# %% tags=["core", "slide"]
says = f"The best of {len(cells)}: {numbers(best)}"
plots.graph(*search_space.graph(best.normal), title="Best by mean test accuracy",
            says=says)  # fmt: skip

# %% [markdown] tags=["core", "slide"]
# ## What if the power fails halfway?
#
# One practical question is left: how is such a table made?
# It takes an hour or more.
# Somebody will close the laptop.
# Two rules make that harmless.
# **What is on the disk is never touched again**: a row is appended,
# and pushed through to the disk before the next one is written.
# **A unit of work has a name**, here (cell, seed), so that whoever comes back can see what is missing.
#
# By hand: three cells and two seeds are six trainings.
# Five rows are there, and of the fifth only the first half.
# Four are done; two are left.

# %% tags=["core"]
show(tabular.build)

# %% [markdown] tags=["core"]
# It takes any executor of Python's `concurrent.futures`: threads, processes, or a cluster.
# We use one thread and a task so small that it learns nothing.

# %% tags=["core", "nbval-check-output"]
tiny = dataclasses.replace(TASK, size=8, train=16, batch=8, epochs=1, seeds=2)
some = search_space.enumerate_cells(TASK.space)[:3]
folder = pathlib.Path(tempfile.mkdtemp())
worker = concurrent.futures.ThreadPoolExecutor(1)
first = tabular.build(tiny, worker, folder, some)
again = tabular.build(tiny, worker, folder, some)
assert (first, again) == (6, 0)  # by hand: three cells, two seeds
first, again

# %% [markdown] tags=["core"]
# **Break it.**
# Cut the shard in the middle of its fifth row, as a power cut would.
# Who notices?

# %% tags=["core", "slide", "nbval-check-output"]
shard = sorted(folder.glob("*.jsonl"))[0]
lines = shard.read_bytes().split(b"\n")  # the header, six rows, an empty end
shard.write_bytes(b"\n".join(lines[:5]) + b"\n" + lines[5][: len(lines[5]) // 2])
left = len(tabular.read_shards(tiny, folder))
assert (left, tabular.build(tiny, worker, folder, some)) == (4, 2)  # by hand
left, len(tabular.read_shards(tiny, folder))

# %% tags=["core"]
show(tabular.read_shards)

# %% [markdown] tags=["core"]
# A last line without its end does not count.
# Each row carries a checksum, so that one flipped digit is seen too.
# Any other damage was not made by a kill, so the function raises an error and does not guess.
# And two settings in one table would be worse than a lost row, because nobody would see it:

# %% tags=["core", "nbval-check-output"]
other = dataclasses.replace(tiny, lr=0.2)
try:
    tabular.build(other, worker, folder, some)
except ValueError as error:
    print(str(error).rpartition("jsonl: ")[2])

# %% [markdown] tags=["optional"]
# The same call on a cluster: `prepare.py` in [data/tabular](../data/tabular/README.md) passes the executor of a Dask
# client, `Client(address).get_executor()`.
# A test kills one of two workers halfway; the table comes out the same, byte for byte.

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **A benchmark that nobody can install.**
#   In automl/NASLib#138 the benchmark's own test fails although package and data are there;
#   in automl/NASLib#140 somebody asks how to use it at all, because its parts need versions that exclude each other.
#   A table is a small file.
#   Ours needs no package of its own.
# - **A number without its recipe.** zylo117/Yet-Another-EfficientDet-Pytorch#217 and #424:
#   hundreds of runs that do not reach the published score.
#   The settings belong in the file, beside the numbers; ours stand in its first line,
#   and a row of another setting is refused.
# - **A table is one task.**
#   Ours says which cells learn quickly, in 384 steps, on small digits.
#   Whether the same cells win when they are wider, deeper and trained longer is a question of its own:
#   NASNet's claim of transfer.
#   Chapter 09 tests it.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - What does the table know: counts of right answers for each seed, epoch and split, on one task.
#   A search queries one seed; the mean over seeds, on test, judges it.
# - How far can it be trusted: it tells good cells from bad ones, and not which of the best is the best.
# - Cells have to lie further apart than seeds, $\sigma_\text{cells}$ against $\bar\sigma_\text{seeds}$,
#   or the ranking is luck.
#   Where all cells share a seed's random numbers, compare within the seed.
# - Kendall's tau counts pairs; tau-b takes equal values into account.
#   The noise ceiling is what a whole training reaches; compare every proxy with it.
# - The best cells lie closer together than one training can tell apart.
# - The winner's own number is too good: the winner's curse.
# - Append, push to the disk, name the unit of work: then a kill costs one training.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 06.2 · Predict · left_over · 4 min · ●○○ · 1 point
#
# Five cells, three seeds.
# A build was killed twice.
# The first shard holds the header, six whole rows and half a seventh; the second the header,
# three whole rows and half a fourth.
# How many trainings does the next build do?
#
# <details><summary>Answer</summary>
#
# Fifteen in all.
# Headers are no trainings.
# A half row says nothing that can be trusted, so it does not count.
# $15 - 6 - 3 = 6$.
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("tabular.left_over", answer)
# hint("tabular.left_over")
# solution("tabular.left_over")

# %% [markdown] tags=["core"]
# ### 06.3 · Measure · macs_tau · 10 min · ●●○ · 2 points
#
# How much does counting alone tell?
# Compute Kendall's tau between the multiply-adds of all cells and their **mean test accuracy** after the last epoch.
# `tabular.tau(a, b)` gives it.
# Then look at the figure of the multiply-adds again: would you have guessed that number?

# %% tags=["core"]
answer = ...  # your number
check("tabular.macs_tau", answer)
# hint("tabular.macs_tau")
# solution("tabular.macs_tau")

# %% [markdown] tags=["core"]
# ### 06.4 · Build · expected_best · 20 min · ●●● · 4 points
#
# With a table one can say how good blind search is, without searching.
# `values` are the accuracies of all cells; a search draws `n` *different* ones, every set of `n` equally likely,
# and returns the best.
# What is its accuracy on average?
# By hand: of 0.3, 0.5, 0.7 draw two.
# The three draws have the best 0.5, 0.7, 0.7: on average $0.633$.
# A loop over all draws is right and would never end for 735 cells.
# Find the sum that needs one term for each cell.

# %% tags=["core"]
def expected_best(values, n):
    """The mean of the best of n different cells, over all ways to draw them.

    By hand: expected_best([0.7, 0.3, 0.5], 2) is (0.5 + 0.7 + 0.7) / 3.
    """
    # your code, in place of the dots
    ...


check("tabular.expected_best", expected_best)
# hint("tabular.expected_best")
# solution("tabular.expected_best")

# %% [markdown] tags=["core"]
# ### 06.5 · Further · 90 min · ●●● · 0 points
#
# Four seeds say little about one cell, but much about the noise of all.
# Suppose the true quality of cells and the noise of a training were both normal, with variances $\sigma^2$ and $s^2$.
# Then two trainings correlate by $\rho = \sigma^2 / (\sigma^2 + s^2)$, and their tau is $\frac{2}{\pi} \arcsin \rho$.
# Estimate both variances from the table (careful: the variance of the cells' means holds a quarter of $s^2$),
# predict the tau of two single seeds, and compare it with the measured one.
# Where the two differ, which of the two assumptions fails?
# Then read how [NAS-Bench-101](https://arxiv.org/abs/1902.09635) treats its noise,
# with three trainings of 423,624 cells.

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("tabular")

# %% [markdown] tags=["core"]
# ## Where next
#
# [07 · Search](07_search.ipynb) runs random search, evolution and successive halving on this table,
# with the rule from above.
# [08 · Controller](08_controller.ipynb) does the same with NASNet's own controller.
# How the table was made, and how to make your own: [data/tabular](../data/tabular/README.md).

# %% [markdown] tags=["core"]
# ## References
#
# - Ying, Klein, Real, Christiansen, Murphy, Hutter, [NAS-Bench-101](https://arxiv.org/abs/1902.09635):
#   the first table of all cells of a space, 423,624 of them.
# - Dong, Yang, [NAS-Bench-201](https://arxiv.org/abs/2001.00326): a smaller space, the whole learning curves.
# - Zela, Siems, Zimmer, Lukasik, Keuper, Hutter, [Surrogate NAS Benchmarks](https://arxiv.org/abs/2008.09777)
#   (NAS-Bench-301), for spaces too large to train all.
# - Kendall, A new measure of rank correlation, Biometrika 30, 1938.
