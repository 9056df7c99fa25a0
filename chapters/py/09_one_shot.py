# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 09 · One-shot
#
# **Question. Can you rank cells without training each of them?**
#
# After this chapter you can
#
# 1. read a rank correlation, with its interval and its ceiling (quiz)
# 2. say what cells share in a supernet, and how often each part is trained (exercise 09.2)
# 3. turn a choice into a softmax, cool it, and name what is lost when it is cut (exercises 09.1 and 09.3)
# 4. judge a proxy by what it costs the one who trusts it (exercise 09.4)
# 5. build a proxy from its formula (exercise 09.5)
#
# | study | about 90 min (estimate) |
# |---|---|
# | run | <!-- run -->0.9 min (55 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->652 MB (measured)<!-- /peak --> |
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
import dataclasses
import json
import random
import time

import torch
from torch import nn

from lib.basics import training
from lib.book import plots, widgets
from lib.book.notebook import (
    build,
    check,
    hint,
    milestone,
    quiz,
    setup,
    show,
    solution,
    table,
    yours,
)
from lib.nas import one_shot, search_space, tabular

device = setup("09_one_shot", seed=0)

# %% [markdown] tags=["core"]
# So far every cell paid for its own training.
# NASNet's search trained 20,000 of them, and nearly all were thrown away, weights and all.
# Three ideas promise to save that:
#
# - **share** the weights: train one large network, and let every cell be a path through it
# - **relax** the choice: make it a number, and let the gradient choose
# - **skip** the training: look at the untrained network and guess
#
# All three are cheap.
# Chapter 06 left us the truth for a small space, so we can ask what matters: do they *rank* cells as training does?
#
# Half an hour only?
# Read the first two parts and the last but one, and do exercise 09.4.

# %% [markdown] tags=["core", "slide"]
# ## How alike are two rankings?
#
# You know Kendall's tau from Eq. 6.4; here it is again, with the number of pairs written out.
# Four cells, best last: the truth says $1, 2, 3, 4$.
# A cheap score says $1, 3, 2, 4$.
# How good is it?
# Give it a number before you read on.
#
# Four cells make six pairs.
# The score has five of them in the right order and one, the two in the middle, in the wrong one.
# With $n_+$ pairs right and $n_-$ wrong among $n$ cells, **Kendall's tau** is
#
# $$ \tau = \frac{n_+ - n_-}{n (n - 1) / 2} \tag{9.1} $$
#
# Here $(5 - 1) / 6 = 0.67$.
# Equal rankings have 1, opposite ones $-1$, and a coin has 0 on average.
# (Where values tie, the divisor is a little smaller.)

# %% tags=["core"]
show(one_shot.agreement)

# %% tags=["core", "slide"]
tau, low, high = one_shot.agreement([1, 3, 2, 4], [1, 2, 3, 4])
assert abs(tau - 4 / 6) < 1e-12  # by hand, above
print(f"tau {tau:.2f}, 95 % interval {low:.2f} to {high:.2f}")

# %% [markdown] tags=["core"]
# The interval says how little four cells prove.
# It comes from drawing cells anew, with replacement, and computing tau each time.
#
# **Break it.**
# Score cells by dice.
# How large a tau can pure luck show, with 10 cells, 60, or 735?

# %% tags=["core", "slide"]
dice = random.Random(0)


def lucky(n):
    rolls = [[dice.random() for _ in range(n)] for _ in range(2)]
    return one_shot.agreement(*rolls, resamples=2)[0]


luck = {f"{n} cells": [lucky(n) for _ in range(20)] for n in (10, 60, 735)}
plots.points(luck, y_label="Kendall's tau of two rolls of dice")

# %% [markdown] tags=["core"]
# With ten cells, dice look like a discovery now and then.
#
# Now the truth: the table of chapter 06.
# The truth of a cell is its mean **test** accuracy over seeds 1 and 2.
# Seed 0 stays out, because some of the judges below look at it.
# One of them is the full training with seed 0: it shows how well *honest work* ranks, noise included.
# Nobody can be asked for more.
# We take 60 cells, drawn once, for what runs live.

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
QUICK = True  # False: all cells, more steps; about ten times the time
book = tabular.load()
task = book.task
some = random.Random(9).sample(range(len(book)), 60 if QUICK else len(book))
cells = [book.genotypes[i] for i in some]
crops, held_out = tabular.crops(task, "train"), tabular.crops(task, "validation")


def honest(cell):
    return sum(book.query(cell, seed=s, split="test") for s in (1, 2)) / 2


truth = [honest(cell) for cell in cells]
full = [book.query(cell, seed=0) for cell in cells]  # validation accuracy
tau, low, high = one_shot.agreement(full, truth)
print(f"one full training against the truth: tau {tau:.2f} ({low:.2f} to {high:.2f})")

# %% [markdown] tags=["core", "slide"]
# ## Can 735 networks share their weights?
#
# In block 0 a side chooses one of two inputs and one of three operations: 6 pairs.
# In block 1 there are three inputs: 9 pairs.
# Give each pair layers of its own, 15 sets in a cell.
# Every one of the 735 cells is then a **path**: it uses two pairs of each block.
# Two cells that agree on a pair use the same weights there.
#
# Write $w_p$ for how much of pair $p$ a side takes, $o_p$ for its operation and $i_p$ for its input.
# Block $k$ computes
#
# $$ h_{k+2} = \sum_{\text{sides}} \; \sum_{p} \; w_p \; o_p(h_{i_p}) \tag{9.2} $$
#
# On a path each side has one $w_p = 1$, and the rest are 0.
# By hand, rows of three pixels as in chapter 04: the left side takes a quarter of "leave $(0, 1, 0)$ alone" and three
# quarters of its maximum over neighbours, $(1, 1, 1)$.
# What comes out is $(0.75, 1, 0.75)$.
# That is no path.
# We will need it later.

# %% tags=["core"]
show(one_shot.SuperCell)

# %% tags=["core", "slide", "nbval-check-output"]
width = {"filters": task.filters, "stem_filters": task.stem_filters}
supernet = one_shot.Supernet(task.space, cells=1, seed=0, **width)
sets = [len(cell.operations) for cell in supernet.cells]
assert sets == [6 + 9] * 5  # by hand, above; five cells in the network
sets, len(supernet.slots)

# %% [markdown] tags=["core"]
# Is a path really the network that chapter 05 would build?
# `inherit` builds that network and copies the weights of the path into it.
# Same input, same output?

# %% tags=["core", "slide"]
picture = training.normalise(held_out[0][:8])
worst = 0.0
for cell in cells[:20]:
    alone = supernet.inherit(cell).train()
    with torch.no_grad():
        gap = (supernet(picture, cell) - alone(picture)).abs().max().item()
    worst = max(worst, gap)
assert worst < 1e-4
print(f"20 cells, largest difference of a logit: {worst:.1e}")

# %% [markdown] tags=["core"]
# At most rounding.
# So a path *is* its cell, with borrowed weights.
#
# Training is short to say: at every step draw a path, and train it on a batch.
# That is **single-path sampling**.
# The settings were chosen by the supernet's own loss and by the accuracy of eight paths on validation crops,
# before there was a table: 300 steps left it near chance, 1,500 at a learning rate of 0.05 did not.
# A bar shows how far the training is.

# %% tags=["core"]
show(one_shot.path_loss)

# %% tags=["core"]
steps = 1500 if QUICK else 6000
began = time.process_time()
loss_fn = one_shot.path_loss(task.space, seed=0)
history = training.fit(
    supernet, crops, loss_fn, steps=steps, batch_size=task.batch, lr=0.05,
)  # fmt: skip
spent = time.process_time() - began
every_cell = len(book) * task.epochs * (task.train // task.batch)
print(
    f"{steps} steps, {spent:.0f} CPU-seconds; one seed of the table: {every_cell:,} steps"
)

# %% tags=["core", "slide"]
chunks = [history.loss[i : i + 50] for i in range(0, steps, 50)]
mean = [sum(chunk) / len(chunk) for chunk in chunks]
at = [50 * i + 25 for i in range(len(chunks))]
says = f"Mean loss of the paths drawn: {mean[0]:.2f} at first, {mean[-1]:.2f} at the end."
plots.lines(at, {"paths": mean}, x_label="step", y_label="loss, mean of 50", says=says)

# %% [markdown] tags=["core"]
# Each step trains another network, and still the loss goes down.
# Now score our 60 cells.
# Nothing is trained any more: borrow the weights, look at the validation crops, next.

# %% tags=["core"]
began = time.process_time()
scores = [one_shot.accuracy(supernet.inherit(cell), *held_out) for cell in cells]
print(f"{len(cells)} cells scored in {time.process_time() - began:.1f} CPU-seconds")

# %% tags=["core", "slide"]
tau, low, high = one_shot.agreement(scores, truth)
says = f"Borrowed against own weights: tau {tau:.2f} ({low:.2f} to {high:.2f})."
labels = {"x_label": "accuracy with borrowed weights", "y_label": "true test accuracy"}
plots.scatter(scores, truth, says=says, **labels)

# %% [markdown] tags=["core"]
# Each point is a cell.
# On a rising line the supernet would be an oracle.
# How far these points are from one is what you pay for sharing.
#
# **Break it.**
# `accuracy` uses batch norms with the statistics of the crops it is given.
# Use the running averages instead, as we did in every chapter before.
# What do you expect?

# %% tags=["core", "slide"]
usual = [training.accuracy(supernet.inherit(cell), *held_out) for cell in cells[:20]]
groups = {"statistics of the batch": scores[:20], "running averages": usual}
plots.points(groups, y_label="accuracy with borrowed weights")

# %% [markdown] tags=["core"]
# The running averages mix the activations of all paths.
# A few paths happen to be near the mixture and lose nothing; most fall, many to chance.
# Nothing crashes, and the ranking now also says which path is near the average.

# %% [markdown] tags=["core", "slide"]
# ## Can a choice have a slope?
#
# A side takes pair 1 or pair 2.
# Half of each is no cell, but it is a number that can move.
# DARTS gives every pair a number $\alpha_p$, and a softmax makes shares of them,
# with a temperature $T$ (the paper has $T = 1$):
#
# $$ w_p = \frac{e^{\alpha_p / T}}{\sum_q e^{\alpha_q / T}} \tag{9.3} $$
#
# By hand: $\alpha = (0, \ln 3)$.
# At $T = 1$ the exponentials are 1 and 3, the shares 1/4 and 3/4.
# At $T = 1/2$ they are 1 and 9: 1/10 and 9/10.
# Cold means decided.
#
# The output needs care.
# The paper's rule is "blocks that nobody reads".
# If each of two sides of block 1 reads block 0 with probability 1/3,
# block 0 is left unread with probability $(2/3)^2 = 4/9$.
# So in the mixture state $s$ enters the output with the share
#
# $$ u_s = \prod_{\text{later sides}} \Bigl( 1 - \sum_{p \,:\, i_p = s} w_p \Bigr) \tag{9.4} $$
#
# With a share for every pair, Eq. 9.2 is the paper's **mixed operation**.
# A mixed cell has no weights of its own: it uses the layers of the supernet.

# %% [markdown] tags=["core"]
# ### 09.1 · Build · mixed_operation · 12 min · ●●○ · 4 points
#
# Every block of every cell of the mixture calls this, and the search below runs on it.
# Write `mixed_operation(shares, outputs)`: each output times its share, all added up.
# `shares` is a list of numbers: plain ones, or tensors without axes.
# `outputs` gives as many tensors of one shape, **one at a time**: walk through both together with `zip`.
# Both sides of a block are in it, so the shares sum to 2, and that is right.
# The gradient must reach the shares, since $\alpha$ learns through them, and the outputs, since the weights do.

# %% tags=["core"]
def mixed_operation(shares, outputs):
    """The outputs, each weighted by its share: a tensor of the shape of one output.

    By hand: shares 0.25 and 0.75 of (0, 1, 0) and (1, 1, 1) give (0.75, 1, 0.75).
    """
    # your code, in place of the dots
    ...


build("one_shot.mixed_operation", mixed_operation)
# hint("one_shot.mixed_operation")
# solution("one_shot.mixed_operation")

# %% tags=["core"]
show(one_shot.mixed_operation, folded=True)
show(one_shot.Relaxation)
show(one_shot.MixedCell)

# %% tags=["core", "slide", "nbval-check-output"]
relaxation = one_shot.Relaxation(task.space)
third = relaxation.choice()  # all alpha are 0: block 1 reads state 2 with 3 of 9 pairs
share = one_shot.output_shares(third)[0].item()
assert abs(share - 4 / 9) < 1e-6  # by hand, above
[len(row) for row in relaxation.shares()], round(share, 4)

# %% [markdown] tags=["core"]
# Two things learn now, the weights $\theta$ and the numbers $\alpha$.
# If both learned from the same crops, $\alpha$ would prefer what overfits best.
# So the training crops are split, and the two take turns.
# **First order** means that $\alpha$ takes the weights as they are:
#
# $$ \alpha \leftarrow \alpha - \eta \, \nabla_\alpha L_{\text{other half}}(\theta, \alpha), \qquad
# \theta \leftarrow \theta - \eta' \, \nabla_\theta L_{\text{half}}(\theta, \alpha) \tag{9.5} $$
#
# The paper's steps for $\alpha$ are tiny, 3e-4, and there are some 20,000 of them.
# We have 100, so ours are 0.1: enough for an $\alpha$ to travel.
# That was set once, before there was a table.

# %% tags=["core"]
show(one_shot.darts_loss)

# %% tags=["core"]
images, labels = crops
half = len(labels) // 2
mixture = one_shot.Supernet(task.space, cells=1, seed=0, **width)
rest = images[half:], labels[half:]
loss_fn = one_shot.darts_loss(relaxation, rest, lr=0.1)
training.fit(
    mixture, (images[:half], labels[:half]), loss_fn, steps=100 if QUICK else 400,
    batch_size=task.batch, lr=0.05,
)  # fmt: skip
chosen = search_space.canonical(relaxation.genotype())
print(chosen.normal)

# %% tags=["core", "slide"]
options = task.space.operations
matrices = {
    f"block {k}": w.detach().reshape(-1, len(options))
    for k, w in enumerate(relaxation.shares())
}
plots.grid(matrices, columns=options, rows=None, x_label="operation", y_label="input")

# %% [markdown] tags=["core"]
# Some pairs have risen above the 1/6 or 1/9 that all began with.
# A cell, however, has two pairs in a block, not nine.
# The paper keeps the two strongest, and so do we.
#
# **Break it.**
# Score the mixture.
# Then cut: score that cell, with the very same weights.

# %% tags=["core", "slide"]
whole = one_shot.accuracy(mixture, *held_out, relaxation.choice())
cut = one_shot.accuracy(mixture.inherit(chosen), *held_out)
says = f"The mixture is right on {whole:.0%}, its two strongest pairs alone on {cut:.0%}."
bars = {"mixture": whole, "cut to a cell": cut, "cell, trained alone": book.query(chosen)}
plots.bars(bars, y_label="validation accuracy", says=says)

# %% [markdown] tags=["core"]
# That fall is the **discretisation gap**.
# The weights learned to work as a crowd of nine.
# The gradient asked which change helps the *crowd*, and the crowd is not what we build in the end.
#
# Can cooling close the gap?
# Move the slider: the same $\alpha$, the same weights, another temperature.
# **Entropy** counts how undecided the shares are: $-\sum_p w_p \ln w_p$, at most $\ln 9 = 2.2$ for nine pairs.

# %% tags=["core", "slide"]
heats = [8, 4, 2, 1, 0.5, 0.25, 0.12, 0.05, 0.01]
few = held_out[0][:500], held_out[1][:500]
right = {T: one_shot.accuracy(mixture, *few, relaxation.choice(T)) for T in heats}
names = [f"{name}({i})" for i, name in relaxation.pairs[1]]


def at_heat(T):
    w = relaxation.shares(T)[1].detach()
    entropy = torch.special.entr(w).sum().item()
    says = f"T = {T}: entropy {entropy:.2f} of 2.20, the mixture is right on "
    says += f"{right[T]:.0%}."
    named = dict(zip(names, w.tolist(), strict=True))
    return plots.bars(named, y_label="share in block 1", says=says)


widgets.slider(at_heat, name="T", values=heats, start=3, label="temperature T")

# %% [markdown] tags=["core"]
# At T = 0.01 both sides of a block hold the *same*, strongest pair: not the cell of above,
# which keeps the two strongest.
# Both suffer from the same thing.
# Cold decides, and only now the crowd finds out that it cannot do without the rest.
# Later papers cool *while* the weights train, so that they can follow.

# %% [markdown] tags=["core", "slide"]
# ## Can you judge a network that has never been trained?
#
# Look at how much could flow through it.
# Two layers in a row with one weight each, 2 and $-3$.
# Feed in 1, ignore signs: $R = 2 \cdot 3 = 6$ comes out.
# Now ask each weight how much of that depends on it: $|\theta| \cdot \partial R / \partial |\theta|$.
# For the first: $2 \cdot 3 = 6$.
# For the second: $3 \cdot 2 = 6$.
# **Synaptic flow** adds them up:
#
# $$ S = \sum_\theta |\theta| \, \frac{\partial R}{\partial |\theta|}, \qquad
#    R = \mathbf{1}^\top f_{|\theta|}(\mathbf{1}) \tag{9.6} $$
#
# Here 12.
# The input is all ones, so it needs no data at all.
# Batch norms would undo the sizes of the weights; they are taken out (made the identity).

# %% tags=["core"]
show(one_shot.synflow)

# %% tags=["core", "slide", "nbval-check-output"]
chain = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 1, 1, bias=False))
for layer, weight in zip(chain, (2.0, -3.0), strict=True):
    nn.init.constant_(layer.weight, weight)
assert one_shot.synflow(chain, (1, 1, 1)) == 12  # by hand, above
one_shot.synflow(chain, (1, 1, 1)), chain[1].weight.item()

# %% [markdown] tags=["core"]
# The sign is still there: the sum was made on a copy.
#
# The second proxy needs a batch of crops, but no labels.
# Take the gradient of the outputs with respect to each image: which pixels matter here?
# If all images get the same answer, the network treats them alike, and will find it hard to tell them apart.
# With $\lambda$ the eigenvalues of the correlations between these gradients and $\kappa = 10^{-5}$:
#
# $$ J = -\sum_{n} \left( \ln(\lambda_n + \kappa) + \frac{1}{\lambda_n + \kappa} \right) \tag{9.7} $$
#
# By hand, two images.
# Unrelated gradients: $\lambda = 1, 1$ and $J \approx -2$.
# Equal gradients: $\lambda = 2, 0$.
# Then $1 / \kappa$ takes over: $J \approx -10^5$.

# %% tags=["core"]
show(one_shot.jacobian_covariance)

# %% [markdown] tags=["core"]
# **Break it.**
# Sixteen crops, then the same crop sixteen times.

# %% tags=["core", "slide"]
fresh = tabular.network(task, cells[0])
sixteen = held_out[0][:16]
for name, batch in {"16 crops": sixteen, "one crop, 16 times": sixteen[:1]}.items():
    J = one_shot.jacobian_covariance(fresh, batch.repeat(16 // len(batch), 1, 1, 1))
    print(f"{name:18} J = {J:12,.1f}")

# %% [markdown] tags=["core"]
# Fifteen of sixteen eigenvalues vanish, and the score falls off a cliff.
# Now both proxies on the networks that the table started from: seed 0, before the first step.

# %% tags=["core"]
began, shape = time.process_time(), (3, task.size, task.size)
networks = [tabular.network(task, cell) for cell in cells]
flow = [one_shot.synflow(network, shape) for network in networks]
batch = crops[0][:64]
jacobian = [one_shot.jacobian_covariance(network, batch) for network in networks]
print(f"two proxies, {len(cells)} cells: {time.process_time() - began:.1f} CPU-seconds")

# %% [markdown] tags=["core", "slide"]
# ## Who agrees with the table?
#
# A fair list needs its dull members.
# The number of **parameters** and of **multiply-adds** cost nothing.
# **One epoch** of training, seed 0, costs a quarter of the **full training**, the ceiling.
# Write down who you think comes first, and whether any of the clever scores beats the parameters.

# %% tags=["core"]
logs = [
    dict(zip(p, w.log().tolist(), strict=True))
    for p, w in zip(relaxation.pairs, relaxation.shares(), strict=True)
]
darts = [
    sum(
        logs[k][pair.input, pair.operation]
        for k, b in enumerate(cell.normal.blocks)
        for pair in b[:2]
    )
    for cell in cells
]
judges = {
    "parameters": [book.parameters[i] for i in some],
    "multiply-adds": [book.macs[i] for i in some],
    "synaptic flow": flow,
    "Jacobian": jacobian,
    "supernet": scores,
    "DARTS shares": darts,
    "one epoch": [book.query(cell, seed=0, epoch=1) for cell in cells],
    "full training": full,
}
taus = {name: one_shot.agreement(given, truth) for name, given in judges.items()}

# %% tags=["core", "slide"]
untrained = [*judges][:4]
first = max(untrained, key=lambda name: taus[name][0])
says = f"Best without any training: {first}, {taus[first][0]:.2f}; supernet "
says += f"{taus['supernet'][0]:.2f}, full training {taus['full training'][0]:.2f}. "
says += f"{len(cells)} cells; the whiskers are 95 % intervals."
plots.intervals(taus, y_label="Kendall's tau with the table", says=says)

# %% tags=["core"]
epoch = task.train // task.batch
price = {"supernet": f"{steps:,}, once", "one epoch": f"{epoch} a cell"}
price["full training"] = f"{task.epochs * epoch} a cell"
rows = [
    (name, f"{t:.2f}", f"{low:.2f} to {high:.2f}", price.get(name, "none"))
    for name, (t, low, high) in sorted(taus.items(), key=lambda item: -item[1][0])
]
table(("score", "tau", "95 % interval", "training steps"), rows)

# %% [markdown] tags=["core"]
# Read it with the intervals in mind.
# All scores look at the same cells, so overlapping intervals do not prove a tie;
# for a verdict between two of them draw the *cells* again and look at the difference of the two taus.
# And a clever score that does not beat "parameters" has earned nothing: counting is free.
#
# Sixty cells are few.
# The same on **all** cells and three seeds, where somebody has run `python data/ablations/proxies.py`:


# %% tags=["core"]
def record(name):
    path = lib.ROOT / "data" / "ablations" / f"{name}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


settings = task.settings()
long_runs = [row for row in record("proxies") if row["task"] == settings]
everything = [honest(g) for g in book.genotypes]
rows = [
    (r["kind"], r["seed"], *(f"{t:.2f}" for t in one_shot.agreement(r["scores"], everything, 200)))
    for r in sorted(long_runs, key=lambda row: row["kind"])
    if "scores" in r
]  # fmt: skip
if rows:
    table(("score", "seed", "tau", "from", "to"), rows)
else:
    print("Not run yet for this table, so there is nothing to show.")

# %% [markdown] tags=["core"]
# DARTS is made to give one cell; that its shares also rank all cells was our addition to the list.
# Where does its cell stand among all?
# One run, one seed: chapter 07 would not call it a result.
# Of the three runs in proxies.jsonl none found the same cell.

# %% tags=["core", "slide"]
ours = honest(chosen)
better = sum(value > ours for value in everything)
print(f"DARTS found {chosen.normal}")
print(f"test accuracy {ours:.3f}: {better} of {len(book)} cells are better")
draw = random.Random(1).choices(everything, k=1000)
print(
    f"a cell drawn blindly does at least as well in {sum(v >= ours for v in draw) / 10:.0f} of 100 cases"
)

# %% [markdown] tags=["core", "slide"]
# ## Does the ranking survive when the network grows?
#
# NASNet's own claim: a cell found in a small network, on small pictures, is a good cell in a large one.
# It is the claim on which all cheap search rests.
# It can be tested.
# Take twelve cells across the table, from the worst to the best.
# Train each again, twice as wide, with twice the normal cells, for twice as long, three seeds.
# Beside the best stand three cells drawn at random among those with the *same multiply-adds*, 5 % up or down.
# If they do as well, the search has found a size and not a cell.
#
# That is half an hour of training: `python data/ablations/transfer.py`.
# This cell shows what has been recorded, and makes nothing up.
# One thing to watch: a rate that suits the small network need not suit a deeper one.
# A grown network that stands at chance tells about the rate, not about the cell.
# So the script chooses a rate for each network, on validation crops; rows of before have the table's rate.

# %% tags=["core", "slide"]
grown = {}
same = [row for row in record("transfer") if row["settings"]["task"] == settings]
finals = {row["cell"] for row in same if row.get("kind") == "final"}
kind = "final" if len(finals) >= 15 else None  # older rows: all at the table's rate
for row in same:
    g = search_space.from_text(row["cell"])
    if row.get("kind") == kind and row["table_validation"] == book.query(g):
        grown.setdefault((row["group"], g), []).append(row["test"])
after = {key: sum(values) / len(values) for key, values in grown.items()}
across = [key for key in after if key[0] == "quantile"]
print(
    f"{len(across)} cells across the quantiles, {len(after) - len(across)} peers recorded"
)
chance = sum(accuracy < 0.12 for accuracy in after.values())
rates = "a rate of its own each" if kind else f"the table's rate for all, {task.lr}"
print(f"{rates}: {chance} of {len(after)} grown networks stand at chance, 0.10")

# %% tags=["core", "slide"]
figure = None
if len(across) >= 3:
    before, then = [book.query(g) for _, g in across], [after[k] for k in across]
    tau, low, high = one_shot.agreement(before, then)
    says = f"Small against large: tau {tau:.2f} ({low:.2f} to {high:.2f})."
    labels = {"x_label": "validation accuracy in the table", "y_label": "test, grown"}
    figure = plots.scatter(before, then, says=says, **labels)
else:
    print("The transfer has not been run for this table: no claim, either way.")
figure

# %% tags=["core"]
figure = None
peers = [values for (group, _), values in grown.items() if group == "random"]
if across and peers:
    best = max(across, key=lambda key: book.query(key[1]))
    says = f"The best cell beside {len(peers)} random ones with its multiply-adds."
    groups = {"best of the table": grown[best], "random peers": sum(peers, [])}
    figure = plots.points(groups, y_label="test accuracy, grown", says=says)
else:
    print("No peers recorded yet.")
figure

# %% [markdown] tags=["core"]
# Two questions, two answers.
# Does the order survive?
# Look whether the interval of tau excludes 0, and how wide twelve cells leave it.
# Was it the cell or the size?
# If the dots of the peers reach those of the best, size explains much of it.
# And a cell at chance in the table may learn when it is trained for twice as long, or the other way round.

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **The tools age faster than the results.**
#   In automl/NASLib#138 the tests of a published benchmark fail for a user who has installed everything;
#   in microsoft/nni#5537 the first tutorial does not run from the main branch.
#   A benchmark as plain data, with the script that made it, is the part that lasts.
# - **A ranking that is only size.**
#   [Ning and others](https://arxiv.org/abs/2008.03064) and [White and others](https://arxiv.org/abs/2104.01177)
#   compared many predictors and proxies; counting parameters or operations is hard to beat on several spaces.
#   Always print it beside.
# - **A search that was never compared with luck.**
#   [Yang and others](https://arxiv.org/abs/1912.12522) and [Yu and others](https://arxiv.org/abs/1902.08142) put
#   published one-shot methods beside random draws from the same space.
#   Several gained little or nothing.
# - **All skip connections.**
#   [Zela and others](https://arxiv.org/abs/1909.09656) ran DARTS on several spaces;
#   on some it ends in cells of little else than identities, and the mixture's accuracy does not warn.
# - **Batch statistics.**
#   You saw it above: evaluation mode, no error, and most paths far below what they can do.
#   [Guo and others](https://arxiv.org/abs/1904.00420) recompute the statistics for each path before they score it.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - Kendall's tau counts pairs in the right order.
#   It needs an interval, a ceiling, and dull baselines beside it.
# - A supernet trains all cells at once.
#   A path is its cell, with weights that must serve many masters.
# - DARTS gives a choice a slope.
#   What it improves is the mixture, and the cell is what is left when the mixture is cut.
# - Zero-cost proxies look at an untrained network.
#   Always compare them with its size; here both proxies stay below it.
# - A cheap score is worth what it saves the one who trusts it.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 09.2 · Predict · steps_trained · 5 min · ●○○ · 1 point
#
# A supernet of `SMALL` is trained for 1,620 steps.
# At each step both sides of block 1 choose one of its nine pairs, evenly and independently.
# In how many steps, on average, are the layers of `sep3` on state 2 in block 1 on the path?
#
# <details><summary>Answer</summary>
#
# A side misses the pair with probability 8/9, both sides with 64/81.
# In the other 17/81 of the steps it is trained: 340.
# A network trained alone has its layers trained in every step.
# That is why a supernet needs patience.
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("one_shot.steps_trained", answer)
# hint("one_shot.steps_trained")
# solution("one_shot.steps_trained")

# %% [markdown] tags=["core"]
# ### 09.3 · Measure · decided · 6 min · ●○○ · 2 points
#
# Six pairs with $\alpha = (1.5, 1, 0.5, 0, 0, 0)$.
# Find the largest temperature, in steps of 0.05, at which the strongest has a share of **at least 0.9**.

# %% tags=["core"]
temperature = 1.0  # change me
alpha = torch.tensor([1.5, 1.0, 0.5, 0.0, 0.0, 0.0])
print([round(w, 3) for w in torch.softmax(alpha / temperature, 0).tolist()])

answer = ...  # the temperature you found
check("one_shot.decided", answer)
# hint("one_shot.decided")
# solution("one_shot.decided")

# %% [markdown] tags=["core"]
# ### 09.4 · Build · regret_at · 10 min · ●●○ · 3 points
#
# You can afford to train `k` cells, and let a proxy choose them: those with the `k` highest scores.
# Given the lists `scores` and `truth` (all scores differ), return how much the best cell that you will then hold lacks
# to the best of all.
# 0 means that nothing was lost.
# A proxy can have a modest tau and a small regret: only the top counts.

# %% tags=["core"]
def regret_at(scores, truth, k):
    """What the best of the k cells with the highest scores lacks to the best of all.

    By hand: regret_at([3, 1, 2], [0.25, 1.0, 0.5], 2) is 0.5.
    """
    # your code, in place of the dots
    ...


check("one_shot.regret_at", regret_at)
# hint("one_shot.regret_at")
# solution("one_shot.regret_at")

# %% [markdown] tags=["core"]
# ### 09.5 · Build · naswot · 15 min · ●●● · 3 points
#
# The later version of [Mellor and others](https://arxiv.org/abs/2006.04647) needs no gradient.
# Show the untrained network $N$ images.
# Every ReLU is on (1) or off (0), so each image has a code of $A$ zeros and ones.
# Let $K_{ij}$ be the number of units that **agree** for images $i$ and $j$.
# The score is $\ln \det K$.
# Given `codes`, a float32 tensor $(N, A)$ of zeros and ones, return the score as a float64 tensor with no axes.
# It has to be finite for the paper's 128 images too: their determinant is larger than any float.

# %% tags=["core"]
def naswot(codes):
    """The score of codes (N, A): a float64 tensor with no axes.

    By hand: codes 1 0 1 1 and 1 1 0 1 agree twice, and the score is the log of 4 * 4 - 2 * 2.
    """
    # your code, in place of the dots
    ...


check("one_shot.naswot", naswot)
# hint("one_shot.naswot")
# solution("one_shot.naswot")

# %% [markdown] tags=["optional"]
# ### 09.6 · Further · 90 min · ●●● · 0 points
#
# [Wang and others](https://arxiv.org/abs/2108.04392) say that the largest $\alpha$ is the wrong thing to keep.
# Instead they remove one pair at a time from the trained mixture, and keep the pair whose loss hurts accuracy most.
# Port that to `Relaxation.choice`: a removed pair has weight 0, and the others are shared out again.
# Does it find another cell than ours?
# Is that cell better in the table?
# Over five seeds?

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("one_shot")

# %% [markdown] tags=["core"]
# ## Where next
#
# The search half of the course ends here: a space (04), networks (05), a table (06), searches (07, 08),
# and cheap judges (09).
# Chapter 10 leaves the inside of the cell alone and asks how to make a good network larger: wider, deeper,
# or with more pixels?

# %% [markdown] tags=["core"]
# ## References
#
# - Pham and others, [ENAS](https://arxiv.org/abs/1802.03268), 2018: sharing weights inside NASNet's own space.
# - Liu, Simonyan and Yang, [DARTS](https://arxiv.org/abs/1806.09055), 2018: Eqs. 9.3 and 9.5,
#   with a softmax over operations on each edge; ours is over pairs.
# - Guo and others, [Single Path One-Shot](https://arxiv.org/abs/1904.00420), 2019: one uniformly drawn path a step.
# - Tanaka and others, [SynFlow](https://arxiv.org/abs/2006.05467), 2020: made for pruning;
#   as a proxy for search in Abdelfattah and others, [Zero-Cost Proxies](https://arxiv.org/abs/2101.08134), 2021.
# - Mellor and others, [NAS without training](https://arxiv.org/abs/2006.04647), 2020: Eq. 9.7 is its first version,
#   exercise 09.5 its last.
# - Zela and others, [Understanding and Robustifying DARTS](https://arxiv.org/abs/1909.09656), 2019.
#   Yang and others, [NAS evaluation is frustratingly hard](https://arxiv.org/abs/1912.12522), 2019.
