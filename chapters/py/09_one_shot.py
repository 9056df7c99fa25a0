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
# **Question. You can pay for ten trainings. Which cheap judge should choose the ten cells?**
#
# After this chapter you can
#
# 1. say what a judge costs the one who trusts it: its regret after ten trainings (exercise 09.1)
# 2. write the relaxed operation of DARTS, cool it, and name what is lost when it is cut (exercises 09.3 and 09.6)
# 3. say what cells share in a supernet, draw its paths, and say how often a part is trained (exercises 09.2 and 09.5)
# 4. build a proxy from its formula (exercises 09.4 and 09.7)
# 5. read a rank correlation, with its interval and its ceiling (quiz)
#
# | study | about 100 min (estimate) |
# |---|---|
# | run | <!-- run -->1.3 min (77 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->706 MB (measured)<!-- /peak --> |
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
from lib.nas import controller, one_shot, regrets, search, search_space, tabular

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
# Each of them is a [**judge**](GLOSSARY.md#judge): it gives every cell a score, and trains none.
# In the end somebody trains the cells that the judge names, a few of them, and keeps the best.
# So the question is not whether a judge is right, but what it costs to trust it.
# Chapter 06 left us the truth for a small space, so this cost can be measured.
#
# Half an hour only?
# Read the first part, the supernet, and "Ten trainings: which judge loses least?", and write 09.1.

# %% [markdown] tags=["core", "slide"]
# ## What does a judge cost the one who trusts it?
#
# Three cells, and you can pay for two trainings.
# A judge gives the cells the scores 3, 1 and 2, so you train the first and the last.
# They turn out to have an accuracy of 0.25 and 0.5.
# The cell that you did not train would have had 1.0.
# How much did the judge cost you?
#
# You hold 0.5, and 1.0 was there: 0.5 is lost.
# With scores $s_i$, true accuracies $t_i$ and $k$ trainings, the [**regret**](GLOSSARY.md#regret) is
#
# $$ r_k = \max_i t_i - \max_{i \,\in\, \text{top } k \text{ by } s} t_i \tag{9.1} $$
#
# Only the top counts: a judge may put all bad cells in the wrong order, and it costs nothing.

# %% [markdown] tags=["core"]
# ### 09.1 · Build · regret_at · 10 min · ●●○ · 3 points
#
# The comparison of all judges, near the end, runs on it, some ten thousand times.
# Write `regret_at(scores, truth, k)` for two lists over the same cells (all scores differ):
# the cells with the `k` highest scores are trained, and the best of them is kept.
# Return what it lacks to the best of all; 0 if nothing was lost.

# %% tags=["core"]
def regret_at(scores, truth, k):
    """What the best of the k cells with the highest scores lacks to the best of all.

    By hand: regret_at([3, 1, 2], [0.25, 1.0, 0.5], 2) is 0.5.
    """
    # your code, in place of the dots
    ...


build("one_shot.regret_at", regret_at)
# hint("one_shot.regret_at")
# solution("one_shot.regret_at")

# %% tags=["core"]
show(regrets.regret_at, folded=True)
show(regrets.regret)

# %% [markdown] tags=["core"]
# The second listing gives the regret an interval: it draws the cells anew, with replacement, a thousand times.
#
# A second number looks at the whole ranking: Kendall's tau (Eq. 6.4), pairs in the right order less pairs in the
# wrong one, as a share of all.
# `one_shot.agreement` gives it, with the same kind of interval.
#
# Both can come by luck.
#
# **Break it.**
# Score cells by throwing dice.
# How large can tau become by luck alone, with 10 cells, 60, or 735?

# %% tags=["core", "slide"]
tau, low, high = one_shot.agreement([1, 3, 2, 4], [1, 2, 3, 4])
assert abs(tau - (5 - 1) / 6) < 1e-12  # of six pairs one stands in the wrong order
dice = random.Random(0)


def lucky(n):
    rolls = [[dice.random() for _ in range(n)] for _ in range(2)]
    return one_shot.agreement(*rolls, resamples=2)[0]


luck = {f"{n} cells": [lucky(n) for _ in range(20)] for n in (10, 60, 735)}
says = f"With ten cells dice reach a tau of {max(luck['10 cells']):.2f}, with 735 of "
says += f"{max(luck['735 cells']):.2f}."
plots.points(luck, y_label="Kendall's tau of two rolls of dice", says=says)

# %% [markdown] tags=["core"]
# With ten cells, dice sometimes look as if they knew something.
#
# Now the truth: the table of chapter 06.
# The truth of a cell is its mean **test** accuracy over all seeds but 0.
# Seed 0 stays out, because some of the judges below look at it.
# One of them is the full training with seed 0: it shows how well *honest work* ranks, noise included.
# Nobody can be asked for more, so it is the **ceiling**.
# We take 60 cells, drawn once, for what runs live.
#
# The judges themselves learn on the crops of the *first* table's task: fewer, and clean.
# That makes them cheap, and a judge may be as cheap as it likes.
# (On the shipped table's own crops a supernet is still near chance after the same number of steps.)
#
# (The cell begins with `yours(load=True)`: what you have built in earlier chapters is taken back.)

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
yours(load=True)
QUICK = True  # False: all cells, more steps; about ten times the time
book = tabular.load()
task = tabular.Task()  # what the judges learn on; the truth is the shipped table's
some = random.Random(9).sample(range(len(book)), 60 if QUICK else len(book))
cells = [book.genotypes[i] for i in some]
crops, held_out = tabular.crops(task, "train"), tabular.crops(task, "validation")
others = range(1, book.seeds)


def honest(cell):
    return sum(book.query(cell, seed=s, split="test") for s in others) / len(others)


truth = [honest(cell) for cell in cells]
full = [book.query(cell, seed=0) for cell in cells]  # validation accuracy
dice = random.Random(1)
rolls = [regrets.regret_at([dice.random() for _ in cells], truth, 10) for _ in range(500)]
tau, low, high = one_shot.agreement(full, truth)
print(f"one full training against the truth: tau {tau:.2f} ({low:.2f} to {high:.2f})")
print(f"ten cells drawn blindly lose {sum(rolls) / 500:.3f} of accuracy on average")

# %% [markdown] tags=["core"]
# The last line is what a judge has to do better than.

# %% [markdown] tags=["core", "slide"]
# ## Can 735 networks share their weights?
#
# A block adds up two [**sides**](GLOSSARY.md#side), left and right, and each side is a pair: an input, and an
# operation on it.
# In block 0 a side chooses one of two inputs and one of three operations: 6 pairs.
# In block 1 there are three inputs: 9 pairs.
# Give each pair layers of its own, 15 sets in a cell.
# Every one of the 735 cells is then a [**path**](GLOSSARY.md#path): it uses two pairs of each block.
# Two cells that agree on a pair use the same weights there.
#
# Write $w_p$ for how much of pair $p$ a side takes, $o_p$ for its operation and $i_p$ for its input.
# Block $k$ computes
#
# $$ h_{k+2} = \sum_{\text{sides}} \; \sum_{p} \; w_p \; o_p(h_{i_p}) \tag{9.2} $$
#
# On a path each side has one $w_p = 1$, and the rest are 0.
# (Other values of $w_p$ come later: they make DARTS.)
# The listings show how one cell runs its path, and how the network goes from cell to cell.

# %% tags=["core"]
show(one_shot.SuperCell.forward)
show(one_shot.Supernet.forward)

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
        worst = max(worst, (supernet(picture, cell) - alone(picture)).abs().max().item())
assert worst < 1e-4
print(f"20 cells, largest difference of a logit: {worst:.1e}")

# %% [markdown] tags=["core"]
# At most rounding.
# So a path *is* its cell, with borrowed weights.
#
# Training is short to say: at every step draw a path, and train it on a batch.
# That is **single-path sampling** ([Guo and others](https://arxiv.org/abs/1904.00420)).
# Which path?
# Each decision takes one of its options, all with the same probability, so that no layer is left out.
#
# By hand: one block with one operation.
# Each of its two sides reads state 0 or state 1, so there are four paths, with probability 1/4 each.
# But they are three *cells*: "0 and 1" and "1 and 0" are the same one, and it is trained twice as often.

# %% [markdown] tags=["core"]
# ### 09.2 · Build · sample_path · 8 min · ●○○ · 2 points
#
# Every step of the training below begins with it.
# Write `sample_path(decisions, rng)`: the tokens of one path, a list of whole numbers, as in chapter 04.
# `decisions` are those of the space, in order; `decision.options` is what there is to choose from.
# A token is the place of the chosen option: 0 to `len(decision.options) - 1`.
# Draw with `rng`, a `random.Random`: then the same seed trains the same paths.

# %% tags=["core"]
def sample_path(decisions, rng):
    """The tokens of one path: of each decision one option, drawn evenly.

    By hand: decisions with 2, 2, 1, 1 and 1 options have four paths, a quarter each.
    """
    # your code, in place of the dots
    ...


build("one_shot.sample_path", sample_path)
# hint("one_shot.sample_path")
# solution("one_shot.sample_path")

# %% tags=["core", "slide"]
show(one_shot.sample_path, folded=True)
show(one_shot.path_loss)
decisions = search_space.decisions(search_space.Space(1, ("sep3",), cells=("normal",)))
rng = random.Random(0)
drawn = [tuple(one_shot.sample_path(decisions, rng)) for _ in range(400)]
assert len(set(drawn)) == 4  # by hand, above
print({f"inputs {path[:2]}": drawn.count(path) for path in sorted(set(drawn))})

# %% [markdown] tags=["core"]
# `decode` makes a cell of the tokens, and `_loss_of` runs it on the batch.
# With 300 steps most paths stay near chance; 1,500 steps are enough.
# A bar shows how far the training is.

# %% tags=["core", "slide"]
steps = 1500 if QUICK else 6000
began = time.process_time()
loss_fn = one_shot.path_loss(task.space, seed=0)
history = training.fit(
    supernet, crops, loss_fn, steps=steps, batch_size=task.batch, lr=0.05,
)  # fmt: skip
spent = time.process_time() - began
real = book.task
every_cell = len(book) * real.epochs * (real.train // real.batch)
print(f"{steps:,} steps, {spent:.0f} CPU-seconds; one seed of the table: {every_cell:,} steps")
chunks = [history.loss[i : i + 50] for i in range(0, steps, 50)]
mean = [sum(chunk) / len(chunk) for chunk in chunks]
at = [50 * i + 25 for i in range(len(chunks))]
says = f"Mean loss of the paths drawn: {mean[0]:.2f} at first, {mean[-1]:.2f} at the end."
plots.lines(at, {"paths": mean}, x_label="step", y_label="loss, mean of 50", says=says)

# %% [markdown] tags=["core"]
# Each step trains another network, and still the loss goes down.
# Now score our 60 cells.
# Nothing is trained any more: each cell borrows its weights and answers for the validation crops.

# %% tags=["core", "slide"]
began = time.process_time()
scores = [one_shot.accuracy(supernet.inherit(cell), *held_out) for cell in cells]
print(f"{len(cells)} cells scored in {time.process_time() - began:.1f} CPU-seconds")
tau, low, high = one_shot.agreement(scores, truth)
says = f"Borrowed against own weights: tau {tau:.2f} ({low:.2f} to {high:.2f})."
labels = {"x_label": "accuracy with borrowed weights", "y_label": "true test accuracy"}
plots.scatter(scores, truth, says=says, **labels)

# %% [markdown] tags=["core"]
# Each point is a cell.
# If they lay on a rising line, the supernet would put all cells in the right order.
# How far they are from such a line is what you pay for sharing.
#
# Why should sharing disturb the order?
# Take two cells that share a `sep3`.
# The first adds its output to an identity, the second feeds it into a pool.
# A step for the first moves the `sep3` to what suits the first, and the next step moves it back for the second.
# What is left is a compromise, which suits neither, and one cell loses more by it than the other.
# The literature says [*interference*](GLOSSARY.md#interference), or *co-adaptation* where layers have grown used to
# one another.
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
# ## Can a controller search on the supernet?
#
# A supernet answers in a tenth of a second, not after a training.
# So put the controller of chapter 08 in front of it: that is **ENAS** (Pham and others, 2018).
# There the weights and the controller learn in turns, in one run.
# Here the weights are ready, and the controller asks them 200 times, for one line of code.
#
# Its best cells are only *judged* to be good, so ten of them go to a **final**: one real training each, seed 0.
# Random search on the same supernet, with the same final, stands beside it.
# Say first: how many of the ten will be among the best fifty of the table?

# %% tags=["core", "slide"]
few = held_out[0][:400], held_out[1][:400]
known = {}
ranked = sorted(book.genotypes, key=lambda g: -book.query(g, split="test"))
place = {g: n for n, g in enumerate(ranked, 1)}


def borrowed(cell):
    """Accuracy with the supernet's weights; a cell that was asked before is known."""
    cell = search_space.canonical(cell)
    if cell not in known:
        known[cell] = one_shot.accuracy(supernet.inherit(cell), *few)
    return known[cell]


asked = {
    "controller (ENAS)": controller.search(task.space, borrowed, 200, seed=0),
    "random search": search.random_search(task.space, borrowed, 200, seed=0),
}
rows, winner_of = [], {}
for name, found in asked.items():
    ten = [search_space.canonical(g) for g in found.finalists(10)]
    winner = max(ten, key=lambda g: book.query(g, seed=0))
    fifty = sum(place[g] <= 50 for g in ten)
    last = sum(t.value for t in found.trials[-20:]) / 20
    winner_of[name] = winner
    rows.append((name, f"{last:.3f}", f"{fifty} of 10", winner.normal, place[winner]))
columns = ("asks the supernet", "mean of its last 20", "among the best 50", "the final names", "place")
table(columns, rows)
print(f"{len(known)} different cells were judged; place: by test accuracy, of {len(book)}")

# %% [markdown] tags=["core"]
# The first column of numbers shows that the controller learns what the supernet likes.
# Whether what the supernet likes is good, only the final says.
# One run each, so the places are an example and no verdict; the comparison of judges comes below.

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
# With a share for every pair, Eq. 9.2 is the paper's [**mixed operation**](GLOSSARY.md#mixed-operation), also called
# the continuous relaxation.
# By hand, rows of three pixels as in chapter 04: a quarter of "leave $(0, 1, 0)$ alone" and three
# quarters of its maximum over neighbours, $(1, 1, 1)$.
# What comes out is $(0.75, 1, 0.75)$: a cell that nobody could draw.

# %% [markdown] tags=["core"]
# ### 09.3 · Build · mixed_operation · 12 min · ●●○ · 4 points
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
show(one_shot.MixedCell.__call__)

# %% tags=["core", "slide", "nbval-check-output"]
leave, pool = torch.tensor([0.0, 1, 0]), torch.tensor([1.0, 1, 1])
row = one_shot.mixed_operation([0.25, 0.75], [leave, pool])
assert row.tolist() == [0.75, 1, 0.75]  # by hand, above
relaxation = one_shot.Relaxation(task.space)
[len(row) for row in relaxation.shares()], row.tolist()

# %% [markdown] tags=["deep"]
# **What is the output of a mixture? (deep)**
# NASNet's rule is "blocks that nobody reads".
# In a mixture everybody reads a little of everything.
# If each of two sides of block 1 reads block 0 with probability 1/3,
# block 0 is left unread with probability $(2/3)^2 = 4/9$.
# So state $s$ enters the output with the share
#
# $$ u_s = \prod_{\text{later sides}} \Bigl( 1 - \sum_{p \,:\, i_p = s} w_p \Bigr) \tag{9.4} $$
#
# (DARTS itself has no such rule: there every block is output.)

# %% tags=["deep", "nbval-check-output"]
show(one_shot.output_shares)
third = relaxation.choice()  # all alpha are 0: block 1 reads state 2 with 3 of 9 pairs
share = one_shot.output_shares(third)[0].item()
assert abs(share - 4 / 9) < 1e-6  # by hand, above
round(share, 4)

# %% [markdown] tags=["core"]
# Two things learn now, the weights $\theta$ and the numbers $\alpha$.
# If both learned from the same crops, $\alpha$ would prefer what overfits best.
# So the training crops are split, and $\alpha$ is judged on the half that the weights do not see.
# Written out, one problem stands inside the other, a **bilevel** problem:
#
# $$ \min_\alpha L_{\text{other half}}(\theta^{*}(\alpha), \alpha), \qquad
# \theta^{*}(\alpha) = \arg\min_\theta L_{\text{half}}(\theta, \alpha) $$
#
# For each $\alpha$ the weights would have to be trained to the end, and that is what nobody can pay.
# **Second order** DARTS looks one step of the weights ahead and differentiates through that step.
# [**First order**](GLOSSARY.md#first-order), ours, takes the weights as they are, and the two take turns:
#
# $$ \alpha \leftarrow \alpha - \eta \, \nabla_\alpha L_{\text{other half}}(\theta, \alpha), \qquad
# \theta \leftarrow \theta - \eta' \, \nabla_\theta L_{\text{half}}(\theta, \alpha) \tag{9.5} $$
#
# What is left out: how the weights would answer to another $\alpha$.
# The paper's two versions end at 3.00 and 2.76 % test error on CIFAR-10, for 1.5 and 4 GPU-days.
#
# The paper's steps for $\alpha$ are tiny, 3e-4, and there are some 20,000 of them.
# We have 100, so ours are 0.1: enough for an $\alpha$ to change a share.

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
options = task.space.operations
matrices = {
    f"block {k}": w.detach().reshape(-1, len(options))
    for k, w in enumerate(relaxation.shares())
}
plots.grid(matrices, columns=options, rows=None, x_label="operation", y_label="input")

# %% [markdown] tags=["core"]
# Some pairs have risen above the 1/6 or 1/9 that all began with.
# A cell, however, has two pairs in a block, not nine.
# We keep the two strongest.
# The paper does it a little differently: it keeps the strongest operation of each input, and of these the two
# strongest, so that a block always reads two *different* inputs.
# Its space also has a **zero** operation, "no connection", which may take a share but is never kept.
#
# **Break it.**
# Score the mixture.
# Then cut: score that cell, with the very same weights.

# %% tags=["core", "slide"]
whole_right = one_shot.accuracy(mixture, *held_out, relaxation.choice())
cut = one_shot.accuracy(mixture.inherit(chosen), *held_out)
says = f"The mixture is right on {whole_right:.0%}, its two strongest pairs alone on {cut:.0%}."
alone = tabular.load(tabular.FIRST_TABLE).query(chosen)  # on the crops of the mixture
bars = {"mixture": whole_right, "cut to a cell": cut, "cell, trained alone": alone}
plots.bars(bars, y_label="validation accuracy", says=says)

# %% [markdown] tags=["core"]
# That fall is the [**discretisation gap**](GLOSSARY.md#discretisation-gap).
# The weights learned to work together, nine pairs in a block.
# The gradient asked which change helps all nine *together*, and that is not what we build in the end.
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
# Cold means decided, and the mixture falls, just as it did when it was cut:
# the weights find out only now that they cannot do without the rest.
# (At T = 0.01 both sides of a block take the *same*, strongest pair, so this is not quite the cell of above.)
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
# [**Synaptic flow**](GLOSSARY.md#synaptic-flow) adds them up:
#
# $$ S = \sum_\theta |\theta| \, \frac{\partial R}{\partial |\theta|}, \qquad
#    R = \mathbf{1}^\top f_{|\theta|}(\mathbf{1}) \tag{9.6} $$
#
# Here 12.
# The input is all ones, so it needs no data at all.
# Batch norms would undo the sizes of the weights; they are taken out (made the identity).

# %% [markdown] tags=["core"]
# ### 09.4 · Build · carried_flow · 10 min · ●●○ · 3 points
#
# `synflow` makes the weights positive, takes the batch norms out, and sends ones through the network.
# Then it calls this.
# Write `carried_flow(weights, flow)`, the sum of Eq. 9.6, a plain number.
# `weights` is a list of tensors, positive already; `flow` is $R$, one number that was computed from them.
# `torch.autograd.grad(flow, weights, allow_unused=True)` gives $\partial R / \partial |\theta|$ for each tensor.
# It gives `None` for one that $R$ does not depend on: such a weight carries nothing.

# %% tags=["core"]
def carried_flow(weights, flow):
    """What all weights carry of the flow: each times its slope, added up.

    By hand: weights 2 and 3 in a row, so a flow of 6: each carries all of it, 12.
    """
    # your code, in place of the dots
    ...


build("one_shot.carried_flow", carried_flow)
# hint("one_shot.carried_flow")
# solution("one_shot.carried_flow")

# %% tags=["core"]
show(one_shot.carried_flow, folded=True)
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
# So we ask how alike the gradients are: the correlation of every two of them makes a matrix.
# Its **eigenvalues** $\lambda_n$ say how many different answers there are.
# All are 1 where no two gradients are alike, and one falls to 0 for each that only repeats the others.
# The sum of $\ln \lambda + 1 / \lambda$ is least where all are 1.
# Where one goes to 0, its $1 / \lambda$ grows without end: a penalty for every repetition.
# With $\kappa = 10^{-5}$, so that nothing is divided by 0:
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
# Fifteen of sixteen eigenvalues become 0, and each of them takes $1 / \kappa$, 100,000, from the score.
#
# (Others of this kind: *grad norm*, the length of the gradient on one batch; *SNIP*, the sum of $|\theta \, g|$, what
# the loss would change without each weight; *GraSP*, what the gradient itself would lose.)
#
# Now both proxies on networks of the table's size, before the first step.

# %% tags=["core"]
began, shape = time.process_time(), (3, task.size, task.size)
networks = [tabular.network(task, cell) for cell in cells]
flow = [one_shot.synflow(network, shape) for network in networks]
batch = crops[0][:64]
jacobian = [one_shot.jacobian_covariance(network, batch) for network in networks]
print(f"two proxies, {len(cells)} cells: {time.process_time() - began:.1f} CPU-seconds")

# %% [markdown] tags=["core", "slide"]
# ## Ten trainings: which judge loses least?
#
# A fair list needs simple judges as well.
# The number of **parameters** and of **multiply-adds** cost nothing.
# **One epoch** of training, seed 0, costs a quarter of the **full training**, the ceiling.
# Each judge scores the same 60 cells, chooses ten, and the best of the ten is kept.
# Which judge loses least, do you think?
# And does any of the clever scores beat the number of parameters?
# Write your guess down.

# %% tags=["core"]
logs = [
    dict(zip(p, w.log().tolist(), strict=True))
    for p, w in zip(relaxation.pairs, relaxation.shares(), strict=True)
]


def shares_of(cell):
    pairs = [(k, pair) for k, block in enumerate(cell.normal.blocks) for pair in block[:2]]
    return sum(logs[k][pair.input, pair.operation] for k, pair in pairs)


judges = {
    "parameters": [book.parameters[i] for i in some],
    "multiply-adds": [book.macs[i] for i in some],
    "synaptic flow": flow,
    "Jacobian": jacobian,
    "supernet": scores,
    "DARTS shares": [shares_of(cell) for cell in cells],
    "one epoch": [book.query(cell, seed=0, epoch=1) for cell in cells],
    "full training": full,
}
taus = {name: one_shot.agreement(given, truth) for name, given in judges.items()}
lost = {name: regrets.regret(given, truth, 10) for name, given in judges.items()}

# %% tags=["core", "slide"]
order = sorted(taus, key=lambda name: -taus[name][0])
ceiling = taus["full training"][0]
untrained = [name for name in order if name in [*judges][:4]]
says = f"Best without any training: {untrained[0]}, {taus[untrained[0]][0]:.2f}; supernet "
says += f"{taus['supernet'][0]:.2f}; the ceiling, a full training, {ceiling:.2f}."
marked = {name.replace("full training", "full training (ceiling)"): taus[name] for name in order}
plots.intervals(marked, y_label="Kendall's tau", says=says)

# %% tags=["core", "slide"]
cheapest = [name for name in judges if name not in ("one epoch", "full training")]
least = min(lost[name][0] for name in cheapest)
winners = [name for name in cheapest if lost[name][0] == least]
blind = sum(rolls) / len(rolls)
says = f"Ten trainings: least is lost by {' and '.join(winners)}, {least:.3f}; parameters lose "
says += f"{lost['parameters'][0]:.3f}, cells drawn blindly {blind:.3f}, a full training of "
says += f"every cell {lost['full training'][0]:.3f}. {len(cells)} cells; whiskers: 95 %."
plots.intervals({n: lost[n] for n in order}, y_label="regret after ten trainings", says=says)

# %% tags=["core"]
epoch = real.train // real.batch
price = {"supernet": f"{steps:,}, once", "one epoch": f"{epoch} a cell"}
price["full training"] = f"{real.epochs * epoch} a cell"
price["DARTS shares"] = f"{100 if QUICK else 400} of the mixture, once"


def told(estimate, digits):
    middle, low, high = (f"{number:.{digits}f}" for number in estimate)
    return f"{middle} ({low} to {high})"


rows = [(n, told(taus[n], 2), told(lost[n], 3), price.get(n, "none")) for n in order]
table(("judge", "tau", "regret after ten", "training steps"), rows)
clever = [name for name in cheapest if name not in ("parameters", "multiply-adds")]
beat = [name for name in clever if taus[name][0] > taus["parameters"][0]]
print("a higher tau than the number of parameters:", ", ".join(beat) or "no clever judge")
worse = [name for name in judges if lost[name][0] > blind]
print("lose more than ten cells drawn blindly:", ", ".join(worse) or "nobody")

# %% [markdown] tags=["core"]
# The captions answer the question for these 60 cells.
# Read them with the intervals in mind: ten trainings of sixty are many, and a judge that loses nothing here was not
# asked much.
# A judge can also be worse than none: it may send all ten trainings to cells that are alike, and bad.
# All judges look at the same cells, so overlapping intervals do not prove a tie;
# for a verdict between two of them draw the *cells* again and look at the difference.
# And a clever score that does not beat "parameters" is of no use: counting is free.
# A high tau and a small regret need not go together: tau asks about all pairs, regret about the top alone.
#
# Sixty cells are few.
# The same scores for **all** cells, three seeds each, take some ten minutes; they are recorded
# by [data/ablations/proxies.py](../data/ablations/proxies.py).


# %% tags=["core", "slide"]
def record(name):
    path = lib.ROOT / "data" / "ablations" / f"{name}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


everything = [honest(g) for g in book.genotypes]
long_runs = [row for row in record("proxies") if row["task"] == task.settings()]
whole = {f"{r['kind']}, seed {r['seed']}": r["scores"] for r in long_runs if "scores" in r}
whole |= {"parameters": book.parameters, "multiply-adds": book.macs}
whole["DARTS shares"] = [shares_of(g) for g in book.genotypes]
whole["one epoch"] = [book.query(g, seed=0, epoch=1) for g in book.genotypes]
whole["full training"] = [book.query(g, seed=0) for g in book.genotypes]
costs = {n: regrets.regret(scores, everything, 10, resamples=100) for n, scores in whole.items()}
all_taus = {n: one_shot.agreement(scores, everything, 100) for n, scores in whole.items()}
blindly = [regrets.regret_at([dice.random() for _ in everything], everything, 10) for _ in range(300)]
blind = sum(blindly) / len(blindly)
by_cost = sorted(costs, key=lambda n: costs[n][0])
rows = [(n, told(all_taus[n], 2), told(costs[n], 3)) for n in by_cost]
table(("judge, all cells", "tau", "regret after ten trainings"), rows)
by_supernet = [costs[n][0] for n in by_cost if n.startswith("supernet")]
says = f"All {len(book)} cells, ten trainings: supernets lose {min(by_supernet):.3f} to {max(by_supernet):.3f}, "
says += f"parameters {costs['parameters'][0]:.3f}, cells drawn blindly {blind:.3f}."
plots.intervals({n: costs[n] for n in by_cost}, y_label="regret after ten trainings", says=says)

# %% [markdown] tags=["core"]
# Here is the answer, for this table.
# The supernet loses about as little as full trainings of every cell, with each of its three seeds.
# One epoch does as well, but it is paid for each cell.
# Counting comes next, and is free.
# No score of an untrained network is better than counting with all its seeds:
# the Jacobian is with one of three, and loses five times as much with the two others.
# Synaptic flow loses more than cells drawn blindly.
# (The whiskers say what other cells would change, not what another seed would.)
#
# DARTS is made to give one cell; that its shares also rank all cells was our addition to the list.
# Where does its cell stand among all?
# One run, one seed: chapter 07 would not call it a result.
# So the recorded runs, three seeds of 100 steps, are counted beside it.

# %% tags=["core", "slide"]
ours = honest(chosen)
better = sum(value > ours for value in everything)
print(f"DARTS found {chosen.normal}")
print(f"test accuracy {ours:.3f}: {better} of {len(book)} cells are better")
draw = random.Random(1).choices(everything, k=1000)
print(f"blind draws do at least as well in {sum(v >= ours for v in draw) / 10:.0f} of 100 cases")
runs = [search_space.from_text(row["cell"]) for row in long_runs if row["kind"] == "darts"]
places = [place[search_space.canonical(g)] for g in runs]
print(f"recorded runs of DARTS: {len(runs)}, their cells stand at {places} of {len(book)}")

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
# That is an hour or two of training, recorded by [data/ablations/transfer.py](../data/ablations/transfer.py).
# One thing to watch: a rate that suits the small network need not suit a deeper one.
# A grown network that stands at chance tells about the rate, not about the cell.
# So each has a rate of its own, the best of three on the validation crops, by a training that counts for nothing else.

# %% tags=["core", "slide"]
grown, rates = {}, {}
for row in record("transfer"):
    g = search_space.from_text(row["cell"])
    if row["settings"]["task"] == real.settings() and row["table_validation"] == book.query(g):
        if row["kind"] == "final":
            grown.setdefault((row["group"], g), []).append(row["test"])
        else:  # it only chose the rate
            rates.setdefault((row["group"], g), {})[row["lr"]] = row["validation"]
grown = {key: values for key, values in grown.items() if len(values) == 3}
after = {key: sum(values) / len(values) for key, values in grown.items()}
across = [key for key in after if key[0] == "quantile"]
assert len(across) == 12, "another table: run data/ablations/transfer.py again"
print(f"{len(across)} cells across the quantiles, {len(after) - len(across)} random peers of the best")
for lr in sorted({lr for tried in rates.values() for lr in tried}):
    below = sum(tried[lr] < 0.3 for tried in rates.values() if lr in tried)
    print(f"rate {lr}: {below} of {len(rates)} cells stay below 0.3")
chance = sum(accuracy < 0.12 for accuracy in after.values())
print(f"with a rate of its own each: {chance} of {len(after)} stand at chance, 0.10")

# %% tags=["core", "slide"]
before, then = [book.query(g) for _, g in across], [after[k] for k in across]
tau, low, high = one_shot.agreement(before, then)
half = [large for _, large in sorted(zip(before, then, strict=True))[len(then) // 2 :]]
says = f"Small against large: tau {tau:.2f} ({low:.2f} to {high:.2f}); "
says += f"the better half by the table, when grown: {min(half):.3f} to {max(half):.3f}."
labels = {"x_label": "validation accuracy in the table", "y_label": "test, grown"}
plots.scatter(before, then, says=says, **labels)

# %% [markdown] tags=["core"]
# The interval of tau leaves 0 out, so the order survives, in part.
# And the best cell: is it better than others of its size?

# %% tags=["core"]
peers = [values for (group, _), values in grown.items() if group == "random"]
best = grown[max(across, key=lambda key: book.query(key[1]))]
groups = {"best of the table": best, "random peers": sum(peers, [])}
says = f"The best cell {min(best):.3f} to {max(best):.3f}; {len(peers)} random ones with its "
says += f"multiply-adds {min(map(min, peers)):.3f} to {max(map(max, peers)):.3f}."
plots.points(groups, y_label="test accuracy, grown", says=says)

# %% [markdown] tags=["core"]
# The trainings of its peers reach those of the best cell: its size explains much of what a search finds in it.
#
# So NASNet's claim holds here for large differences, and not for small ones.
# The cells that the small network puts at the bottom are at the bottom again.
# The better half all grow into good networks, a few points apart, and among those its order says little.
# A cheap search is good at leaving out what does not work; it does not name the one best cell.
#
# And the rate counts as much as the cell.
# With one rate for all, the highest, some grown networks would have stood near chance,
# and the comparison would have measured who survives that rate.
#
# (Other savers of trainings stand in chapter 07: predictors, Bayesian optimisation, ASHA.
# They learn from cells that were trained; the judges of this chapter begin with none.)

# %% [markdown] tags=["core", "slide"]
# ## The end of Part II: who searches, on whose functions?
#
# You have a space (04), networks (05), a table (06), an evolution (07), a controller (08) and judges (09).
# Now all of it runs once more, on whatever is yours.
# Evolution and two controllers ask the table 200 noisy questions each; successive halving pays for as many epochs.
# The ten best of each go to a final.
# The mixture answers once more, and the cell that evolution names is really trained, for 64 steps.
# The table under it says which functions were yours and how often they were called.

# %% tags=["core", "slide"]
noisy = search.noisy(book, random.Random(1000))
recipe = {"epochs": task.epochs, "batch_size": task.batch, "lr": task.lr}
with milestone(4, 9) as whose:
    evolved = search.regularized_evolution(task.space, noisy, 200, 0)
    climbed = controller.search(task.space, noisy, 200, 0, settings=controller.REINFORCE)
    clipped = controller.search(task.space, noisy, 200, 0, settings=controller.FEW)
    halved = search.successive_halving(task.space, noisy, 800, 0, rungs=(1, 2, 4), eta=2)
    histories = {"evolution": evolved, "REINFORCE": climbed, "PPO": clipped, "halving": halved}
    named = {name: max(h.finalists(10), key=book.query) for name, h in histories.items()}
    again = one_shot.accuracy(mixture, *held_out, relaxation.choice())
    alone = search.train_child(
        named["evolution"], crops, held_out, build=lambda g: tabular.network(task, g), **recipe
    )  # fmt: skip

# %% tags=["core", "slide"]
named |= {"ENAS": winner_of["controller (ENAS)"], "DARTS": chosen}
rows = []
for name, genotype in named.items():
    cell = search_space.canonical(genotype)
    rows.append((name, cell.normal, f"{book.query(cell, split='test'):.3f}", place[cell]))
table(("search", "its cell", "test accuracy", f"place of {len(book)}"), sorted(rows, key=lambda r: r[3]))
assert abs(again - whole_right) < 1e-6  # the mixture says what it said before
print(f"evolution's cell, trained just now: {alone:.3f} on the clean validation crops")
print(whose.says())

# %% [markdown] tags=["core"]
# The last column is what a search is worth, here where somebody has trained every cell.
# One run each, so the order of the rows is an example; chapters 07 and 08 have the intervals.

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
# **Which judge should choose the ten cells?**
# On this table the supernet, if its one training can be paid for: it loses about as little as training every cell.
# Without any training, count parameters or multiply-adds; no score of an untrained network did better with all seeds.
# And in every case a judge needs a final behind it, and counting and blind draws beside it.
#
# - Regret counts what a judge costs at the top of the ranking, Kendall's tau all pairs.
#   Both need an interval, a ceiling, and simple baselines beside them.
# - A supernet trains all cells at once.
#   A path is its cell, with weights that have to suit many cells at once.
#   ENAS puts a controller in front of it, and trains only what it names.
# - DARTS gives a choice a slope: a bilevel problem, solved by taking turns.
#   What it improves is the mixture, and the cell is what is left when the mixture is cut.
# - Zero-cost proxies look at an untrained network.
#   Always compare them with its size.
# - A cheap score is worth what it saves the one who trusts it.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 09.5 · Predict · steps_trained · 5 min · ●○○ · 1 point
#
# A supernet of `SMALL` is trained for 1,620 steps.
# At each step both sides of block 1 choose one of its nine pairs, evenly and independently.
# A pair has one set of layers, and both sides use it.
# In how many steps, on average, is the pair "`sep3` on state 2" of block 1 on the path, by one side or by both?
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
# ### 09.6 · Measure · decided · 6 min · ●○○ · 2 points
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

# %% [markdown] tags=["deep"]
# ### 09.7 · Build · naswot · 15 min · ●●● · 3 points
#
# (Deep: it can wait for a second reading.)
#
# The later version of [Mellor and others](https://arxiv.org/abs/2006.04647) needs no gradient.
# Show the untrained network $N$ images.
# Every ReLU is on (1) or off (0), so each image has a code of $A$ zeros and ones.
# Let $K_{ij}$ be the number of units that **agree** for images $i$ and $j$.
# The score is $\ln \det K$.
# Given `codes`, a float32 tensor $(N, A)$ of zeros and ones, return the score as a float64 tensor with no axes.
# It has to be finite for the paper's 128 images too: their determinant is larger than any float.

# %% tags=["deep"]
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
# ### 09.8 · Further · 90 min · ●●● · 0 points
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
#   exercise 09.7 its last.
# - Lee and others, [SNIP](https://arxiv.org/abs/1810.02340), 2018; Wang and others,
#   [GraSP](https://arxiv.org/abs/2002.07376), 2020: made for pruning, used as proxies.
# - Zela and others, [Understanding and Robustifying DARTS](https://arxiv.org/abs/1909.09656), 2019.
#   Yang and others, [NAS evaluation is frustratingly hard](https://arxiv.org/abs/1912.12522), 2019.
