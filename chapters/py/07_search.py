# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 07 · Search
#
# **Question. With two hundred questions to ask, does being clever beat being lucky?**
#
# After this chapter you can
#
# 1. work out what blind draws find, and why the winner looks better than it is (exercise 07.3)
# 2. write a cycle of regularized evolution, and say what its tournaments and its ageing do (exercises 07.1, 07.4 and
#    07.5)
# 3. plan the rungs of successive halving and count what they cost (exercises 07.2 and 07.6)
# 4. search for accuracy and price at once, and compare fronts (exercise 07.7)
# 5. compare two searches seed by seed, and call a tie a tie (quiz)
#
# | study | about 100 min (estimate) |
# |---|---|
# | run | <!-- run -->0.8 min (47 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->681 MB (measured)<!-- /peak --> |
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
import functools
import itertools
import random
import time

import numpy as np

from lib.basics import profiling
from lib.book import plots, widgets
from lib.book.notebook import (
    build,
    check,
    hint,
    quiz,
    setup,
    show,
    solution,
    table,
    yours,
)
from lib.nas import search, search_space, tabular

device = setup("07_search", seed=0)

# %% [markdown] tags=["core"]
# Chapter 04 said which cells there are, chapter 05 made networks of them,
# chapter 06 trained each one and wrote the answers into a table.
# Now somebody has to choose.
# A search asks about one cell after the other.
# It may ask a few hundred times, and in the end it names one cell.
# Nothing else happens in this chapter.
# Parts whose heading ends with *(deep)* can wait.
#
# The question itself is a function, `evaluate(genotype) -> float`, and you pass it in.
# It may look into the table, or train a network for an hour.

# %% [markdown] tags=["core", "slide"]
# ## How long does it take to be lucky?
#
# The simplest search draws cells blindly and keeps the best one.
# Suppose one draw in a hundred is very good.
# You draw a hundred times.
# How sure can you be to have met a very good one?
# Say a number first.
#
# One draw misses with probability 0.99, a hundred in a row with $0.99^{100} = 0.366$.
# So you have one with probability 0.634.
# In general, if a share $p$ of the draws is good, then $P_n$, the probability of at least one among $n$ draws, is
#
# $$ P_n = 1 - (1 - p)^n \tag{7.1} $$
#
# The size of the space is not in it.
# A hundred draws do as well among $10^{16}$ cells as among 735, if the good ones have the same share.

# %% [markdown] tags=["core"]
# What a search gives back is a `History`: every trial with its genotype, the value it got, and what it cost.
# All searches of this chapter and the next return one, so that they can be compared.

# %% tags=["core"]
show(search.random_search)
show(search.History)

# %% [markdown] tags=["core"]
# First a toy: one block, two operations, 16 token sequences.
# Our own `evaluate` likes the cell `identity(0)+sep3(1)`, which two of the 16 write (chapter 04).
# By Eq. 7.1, five draws find it with probability $1 - (14/16)^5 = 0.487$.

# %% tags=["core", "slide", "nbval-check-output"]
toy = search_space.Space(1, ("identity", "sep3"), cells=("normal",))
wanted = search_space.from_text("identity(0)+sep3(1)")


def mine(genotype):
    return float(search_space.same(genotype, wanted))


met = [search.random_search(toy, mine, 5, seed).best.value for seed in range(1000)]
assert abs(sum(met) / 1000 - 0.487) < 0.06  # by hand, above
met[:10]

# %% [markdown] tags=["core"]
# Now the real table.
# Which cells are good, we look up for once: the best twentieth by test accuracy.
# Their share of the 2,916 token sequences is $p$.
# Below: Eq. 7.1, and thirty real searches.
# Say first whether they agree.

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
cells = tabular.load()
SEEDS, BUDGET = 30, 200
test = {g: cells.query(g, split="test") for g in cells.genotypes}
top = max(test.values())
good = set(sorted(test, key=test.get)[-len(cells) // 20 :])


def run(method, budget=BUDGET, seeds=SEEDS, **settings):
    """One history a seed; the table's answers have luck of their own."""
    luck = [random.Random(1000 + seed) for seed in range(seeds)]
    asked = [search.noisy(cells, rng) for rng in luck]
    return [method(cells.space, asked[s], budget, s, **settings) for s in range(seeds)]


# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
blind = run(search.random_search)
options = [range(len(d.options)) for d in search_space.decisions(cells.space)]
every = [search_space.decode(cells.space, t) for t in itertools.product(*options)]
p = np.mean([search_space.canonical(g) in good for g in every])
n = np.arange(1, BUDGET + 1)
met = [[search_space.canonical(t.genotype) in good for t in h.trials] for h in blind]
share = np.maximum.accumulate(met, 1).mean(0)
curves = {"Eq. 7.1": 1 - (1 - p) ** n, "30 searches": share}
y_label = "share that met a cell of the best 5 %"
apart = np.abs(curves["Eq. 7.1"] - share).max()
chance = 2 * np.sqrt(0.25 / SEEDS)  # two standard errors of a share, at most
says = f"The two are at most {apart:.2f} apart; {SEEDS} searches allow {chance:.2f}."
plots.lines(n, curves, x_label="draws", y_label=y_label, says=says)

# %% [markdown] tags=["core"]
# A **random search** (our "blind draws") needs a few dozen, and nearly everyone has *met* a good cell.
# Random search is a strong opponent.
# In the paper's own figure it ends about one percent below the controller.
# But to have met a good cell is not yet to know which one it is.

# %% [markdown] tags=["core", "slide"]
# ## Is the winner as good as it looks?
#
# Two cells, equally good.
# Each is trained once, and luck adds $+1$ or $-1$ to what you measure, with equal chances.
# You keep the one that measured higher.
# How much luck does the winner have on average?
#
# Four cases: $(+,+)$, $(+,-)$, $(-,+)$, $(-,-)$.
# In three of them the winner has $+1$, in one $-1$: on average $(3 - 1)/4 = 0.5$.
# Nobody cheated.
# With measured value $y_i = \mu_i + \varepsilon_i$, where $\mu_i$ is what the cell is worth and $\varepsilon_i$ the
# luck of one training, the winner $w = \arg\max_i y_i$ has
#
# $$ b_n = \mathbb{E}\,[\varepsilon_w] \ge 0 , \qquad \text{equal cells and luck of } \pm 1: \quad b_n = 1 - 2^{1-n}
#    \tag{7.2} $$
#
# for $n$ cells.
# The more you look at, the luckier the winner: the [**winner's curse**](GLOSSARY.md#winners-curse).
# So there are two rules here.
# A search **sees** the validation accuracy of one training, its seed drawn at each question.
# It is **judged** by the mean test accuracy of the cell it names.

# %% tags=["core"]
show(search.noisy)
show(search.incumbent_test_accuracy)

# %% tags=["core", "slide", "nbval-check-output"]
def replay(values):
    """An `evaluate` that gives these values one after the other."""
    values = iter(values)
    return lambda genotype: next(values)


cases = list(itertools.product((-1.0, 1.0), repeat=2))
winners = [search.random_search(toy, replay(c), 2, 0).best.value for c in cases]
assert np.mean(winners) == 0.5  # by hand, above
winners

# %% [markdown] tags=["core"]
# On the table, how far apart are what a random search believes about its best cell and what that cell is worth?
# To see luck alone, we compare with the mean *validation* accuracy of the same cell.

# %% tags=["core", "slide"]
believed = np.array([h.best_so_far() for h in blind])
named = [[cells.query(t.genotype) for t in h.incumbents()] for h in blind]
honest = np.array(named)
worth = np.array([search.incumbent_test_accuracy(h, cells) for h in blind])
curves = {"what it saw": believed.mean(0), "mean over seeds": honest.mean(0)}
curves["test: what it is worth"] = worth.mean(0)
lucky = 100 * (believed - honest)[:, -1].mean()
says = f"After {BUDGET} draws the winner's luck is {lucky:.1f} points of accuracy."
labels = {"x_label": "draws", "y_label": "accuracy of the best so far, mean of 30"}
plots.lines(n, curves, says=says, **labels)

# %% [markdown] tags=["core"]
# **Break it.**
# Report what the search saw, as if it were the result.
# Longer searches then *seem* better even where they are not.
# Here all cells are equal, and only luck is left:

# %% tags=["core"]
measured = np.random.default_rng(0).normal(0.8, 0.01, (SEEDS, 100))
for budget in (1, 10, 100):
    flat = [search.random_search(toy, replay(m), budget, 0) for m in measured]
    seen = np.mean([h.best.value for h in flat])
    print(f"{budget:3} draws: best value seen {seen:.3f}, true value 0.800")

# %% [markdown] tags=["core", "slide"]
# ## What if the best have children?
#
# A [blind search](GLOSSARY.md#blind-search) learns nothing from its answers.
# Evolution does.
# [Regularized evolution](https://arxiv.org/abs/1802.01548) keeps a [**population**](GLOSSARY.md#population) of the
# last $P$ cells.
# Each cycle it draws $S$ of them, the [**tournament**](GLOSSARY.md#tournament).
# The best of these is the parent, a mutation of it is the child, the child joins, and **the oldest dies**.
# That is all.
#
# How strong is the selection?
# Take $P = 4$ and a tournament of $S = 2$, drawn with replacement.
# There are 16 pairs.
# The best is in 7 of them and wins each; the second wins 5, the third 3, the last only if it meets itself: 1.
# In general the $i$-th best becomes the parent with probability
#
# $$ q_i = \frac{(P - i + 1)^S - (P - i)^S}{P^S} \tag{7.3} $$

# %% tags=["core"]
show(search.tournament_winner)

# %% tags=["core", "slide", "catch-up", "nbval-check-output"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
def odds(population, tournament):
    left = np.arange(population, -1, -1.0)
    return -np.diff(left**tournament) / population**tournament


assert odds(4, 2).tolist() == [7 / 16, 5 / 16, 3 / 16, 1 / 16]  # by hand, above
odds(4, 2)

# %% [markdown] tags=["core"]
# Move the slider.
# At $S = 1$ everyone is equal and nothing is selected.
# The paper has $P = 100$ and $S = 25$, for 20,000 children.
# We have 200, so we take $P = 20$ and $S = 5$: the same ratio.

# %% tags=["core", "slide"]
def pressure(tournament):
    q = odds(20, tournament)
    says = f"The best of 20 is the parent with {q[0]:.0%}, the median with {q[10]:.1%}."
    labels = {"x_label": "rank in the population", "y_label": "chance of parenthood"}
    return plots.lines(np.arange(1, 21), {"parent": q}, says=says, **labels)


widgets.slider(pressure, name="tournament", values=[1, 2, 3, 5, 8, 12, 20], start=3)

# %% [markdown] tags=["core"]
# Now the whole cycle, with three cells, oldest first, that measured 0.9, 0.2 and 0.5.
# The tournament's winner is the first, so it is the parent.
# Its child measures 0.4.
# The child joins, the oldest dies: 0.2, 0.5, 0.4.
# The best cell is gone, and only its child is left of it.

# %% [markdown] tags=["core"]
# ### 07.1 · Build · evolution_cycle · 12 min · ●●○ · 4 points
#
# This is the central step of the search, and all evolutions of this chapter run on it.
# Write `evolution_cycle(alive, tournament, rng, child_of)`: the population after one cycle.
# `alive` is a list of trials in order of birth, the oldest first; `trial.value` is what it measured.
# `search.tournament_winner`, above, gives the parent.
# `child_of(parent)` does two things: it mutates the parent's genotype and measures the result.
# It gives the child, a trial, and it costs one query: call it once.
# Return a list in order of birth, as long as before.

# %% tags=["core"]
def evolution_cycle(alive, tournament, rng, child_of):
    """The population after one cycle, oldest first.

    By hand: values 0.9, 0.2, 0.5, and the winner's child measures 0.4: 0.2, 0.5, 0.4.
    """
    # your code, in place of the dots
    ...


build("search.evolution_cycle", evolution_cycle)
# hint("search.evolution_cycle")
# solution("search.evolution_cycle")

# %% [markdown] tags=["core"]
# The search around it draws the first $P$ cells blindly and then turns the cycle until the budget is spent.
# `child_of` is a small function inside it, so that your cycle needs to know nothing of spaces and tables.

# %% tags=["core"]
show(search.evolution_cycle, folded=True)
show(search.regularized_evolution)

# %% [markdown] tags=["core"]
# Thirty searches each.
# From which query on is evolution better than blind draws?
# Not before query 21, since the first 20 are the same blind draws; say a number, then look.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
evolved = run(search.regularized_evolution)


def worths(histories):
    """Mean test accuracy of the best so far: a row a seed."""
    return np.array([search.incumbent_test_accuracy(h, cells) for h in histories])


def against(curves, says=None):
    """Mean curves over the seeds, with the best cell of the table as ceiling."""
    means = {name: rows.mean(0) for name, rows in curves.items()}
    labels = {"x_label": "queries", "y_label": "test accuracy of the best so far"}
    return plots.lines(n, means | {"best there is": 0 * n + top}, says=says, **labels)


result = {"random": worths(blind), "evolution": worths(evolved)}
against(result)

# %% [markdown] tags=["core"]
# What comes after query 20 is what selection is worth.
# Whether a gap is more than luck, the next section asks.
# And if a curve falls somewhere, that is no mistake in the drawing:
# with more noisy looks a luckier cell takes the place of a better one (Eq. 7.2).
#
# **Break it.**
# Why must the oldest die, and not the worst?
# Give one cell luck that it does not deserve, and let the worst die instead.
# All cells are equally good here; the first one measures 1, all others 0.
# How many of the 30 children that follow descend directly from the lucky one?

# %% tags=["core", "slide", "nbval-check-output"]
def worst(population):
    return min(range(len(population)), key=lambda i: population[i].value)


def direct_children(dies):
    lucky = replay([1.0] + 34 * [0.0])
    settings = {"population": 5, "tournament": 25, "dies": dies}
    h = search.regularized_evolution(cells.space, lucky, 35, 0, **settings)
    first, *others = [t.genotype for t in h.trials]
    near = [first, *search.neighbours(cells.space, first)]
    near = {search_space.canonical(genotype) for genotype in near}
    return sum(search_space.canonical(g) in near for g in others[4:])


print("the worst dies: ", direct_children(worst), "of 30")
print("the oldest dies:", direct_children(None), "of 30")

# %% [markdown] tags=["core"]
# If the worst die, a lucky one lives for ever, and everyone is its child.
# With ageing a cell lasts only as long as its line does well *again and again*, since each child is measured afresh.
# That is the sense in which this evolution is regularized.

# %% [markdown] tags=["core", "slide"]
# ## Is the difference more than luck?
#
# Three seeds of search A end at 2, 3 and 4, and the same three seeds of search B at 1, 2 and 3.
# Is A better?
# Side by side the two groups overlap.
# Pair them by seed: the difference is 1, each time.
#
# Take the differences $d_s = a_s - b_s$.
# How sure is their mean?
# With $m$ seeds there are $m$ pairs.
# Draw $m$ of them, with replacement, many times, and look at how much the mean moves:
#
# $$ \bar d^{*} = \frac{1}{m} \sum_{j=1}^{m} d_{s_j}, \quad s_j \text{ drawn from } 1 \dots m; \qquad
#    \text{interval: the middle 95 % of } \bar d^{*} \tag{7.4} $$
#
# If the interval contains 0, these seeds do not tell the two apart.
# Then we say so: [**a tie**](GLOSSARY.md#tie).

# %% tags=["core"]
show(search.paired_interval)

# %% tags=["core", "slide", "nbval-check-output"]
assert search.paired_interval([2, 3, 4], [1, 2, 3]) == (1.0, 1.0, 1.0)  # by hand
search.paired_interval([1, -1], [0, 0])

# %% [markdown] tags=["core"]
# One more opponent first.
# **Local search** asks the neighbours of a cell, all cells one token away, and moves as soon as one is better.
# Where none is, it starts anew.

# %% tags=["core", "slide"]
show(search.local_search, folded=True)
looked = {"random": blind, "evolution": evolved, "local": run(search.local_search)}
result["local"] = worths(looked["local"])


def verdict(a, b):
    """The mean gap of a to b in points, its interval, and what may be said."""
    mean, low, high = (100 * v for v in search.paired_interval(a, b))
    word = "ahead" if low > 0 else "behind" if high < 0 else "a tie"
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]", word


budgets = (20, 50, 100, 200)
names = ("evolution", "local")
rows = []
for name, b in itertools.product(names, budgets):
    pair = (result[k][:, b - 1] for k in (name, "random"))
    rows.append((name, b, *verdict(*pair)))
print(sum(row[3] == "a tie" for row in rows), "of", len(rows), "are ties")
table(("against random search", "queries", "points of test accuracy", "so it is"), rows)
for name, histories in {"random": blind, "evolution": evolved}.items():
    seen = np.mean([h.distinct()[-1] for h in histories])
    print(f"{name:10} {seen:.0f} distinct cells in {BUDGET} queries")
ends = {name: (100 * (top - rows[:, -1])).tolist() for name, rows in result.items()}
plots.points(ends, y_label="points below the best cell")

# %% [markdown] tags=["core"]
# Read the last column, not the curves.
# At 20 queries evolution and random search have asked the very same questions, so a tie there says nothing.
# Of the other rows some say "ahead", some "a tie".
# So what is selection worth?
# Look first at what was compared.
# Each search named the cell that *measured* best, once, and Eq. 7.2 says what that is worth.
# A part of each gap is not what was found, but what luck did with it.
#
# Ask in two other ways.
# **With a final:** the same searches, but the ten cells that measured best are asked again, all seeds of each,
# and the best mean is the answer.
# **No noise:** every question is answered by the mean over all seeds, as if training had no luck.
# Say first: in which of the three is selection worth most?

# %% tags=["core", "slide"]
def after_final(history, queries):
    """What a search is worth that asks its ten best cells again, all seeds of each."""
    ten = search.History(history.trials[:queries]).finalists(10)
    return cells.query(max(ten, key=cells.query), split="test")


methods = (search.random_search, search.regularized_evolution, search.local_search)
clean = {}
for name, method in zip(looked, methods, strict=True):
    quiet = [method(cells.space, cells.query, BUDGET, s) for s in range(SEEDS)]
    clean[name] = worths(quiet)
rows = []
for name, b in itertools.product(names, budgets):
    finals = {k: [after_final(h, b) for h in looked[k]] for k in (name, "random")}
    rows.append((
        name, b, " ".join(verdict(result[name][:, b - 1], result["random"][:, b - 1])),
        " ".join(verdict(finals[name], finals["random"])),
        " ".join(verdict(clean[name][:, b - 1], clean["random"][:, b - 1])),
    ))  # fmt: skip
columns = ("one noisy look", "with a final", "no noise")
for i, column in enumerate(columns, start=2):
    ahead = sum(row[i].endswith("ahead") for row in rows)
    print(f"{column}: ahead of random search in {ahead} of {len(rows)} rows")
table(("against random search", "queries", *columns), rows)

# %% [markdown] tags=["core"]
# All three columns ask the same table, with the same seeds.
# Without noise selection is ahead, by a little: that is what it finds.
# With a final it is ahead by about as much: ten second looks take most of the luck away.
# With one noisy look the intervals are wider, and after 200 queries the gaps are much larger.
# There luck chooses the winner, and it does more harm to blind draws.
# The luckiest of 200 blind looks may fall on a cell that is not so good.
# A population late in its life holds good cells only, so there even the luckiest look falls on one of them.
# (The final is judged by trainings that chose it, for every method alike; the last section does without that.)
#
# A warning from the first table of chapter 06: there the first column held ties only.
# One training of one cell, rank 113 of 735, had measured 0.909, more than any other.
# Half of the evolutions met it and named it.
# They were better than blind draws at finding the highest number, not at finding a better cell.
# One row of a table can make a verdict.
# Look at what was named before you believe a mean.
#
# And one part is the size of the space.
# With 735 cells, 200 blind draws see a good part of it (exercise 04.4), so the gap closes with more queries.
# In the paper's space they see nothing of it.

# %% [markdown] tags=["core"]
# Evolution asks about fewer cells, and some of them again and again.
# Each repeat is one more noisy answer.
# It is two things at once: a query that finds nothing new,
# and a second look at a cell whose first look may have been lucky.
# Move the slider, and see what the size of the population does.
# (Twelve seeds a value, the same twelve for random search, so read large differences only.)

# %% tags=["core", "slide"]
@functools.cache
def of_size(population):
    size = max(1, population // 4)
    settings = {"population": population, "tournament": size, "seeds": 12}
    return worths(run(search.regularized_evolution, **settings)).mean(0)


def grown(population):
    y = of_size(population)
    says = f"Test accuracy {y[49]:.3f} after 50, {y[99]:.3f} after 100, "
    says += f"{y[-1]:.3f} after 200 queries."
    return against({"random": result["random"][:12], "evolution": y[None]}, says)


sizes = [4, 8, 12, 20, 40, 80, 160]
label = "population (tournament: a quarter)"
widgets.slider(grown, name="population", values=sizes, start=3, label=label)

# %% [markdown] tags=["core", "slide"]
# ## Must every child be trained to the end?
#
# A training of four epochs costs four.
# If a cell looks hopeless after the first, why pay for the other three?
# **Successive halving** trains many cells for a little while and keeps the best half.
# It trains these for as many epochs more, keeps the best half of them, and so on.
# The epochs at which it cuts are its [**rungs**](GLOSSARY.md#rung).
#
# Eight cells, rungs at epochs 1, 2 and 4, keep one in $\eta = 2$.
# Eight train for 1 epoch, four for 1 more, two for 2 more: $8 + 4 + 4 = 16$ epochs.
# Training all eight to the end takes 32.
# With rungs $r_0 < r_1 < \dots$, $r_{-1} = 0$, and $n$ cells at the start,
#
# $$ C = \sum_k \left\lfloor \frac{n}{\eta^k} \right\rfloor (r_k - r_{k-1}) \tag{7.5} $$
#
# A survivor goes on where it stopped, so a rung costs the difference.

# %% [markdown] tags=["core"]
# ### 07.2 · Build · survivors · 8 min · ●○○ · 2 points
#
# Who goes on to the next rung?
# Write `survivors(trials, eta)`: the best 1 / `eta` of the trials, rounded down, the best first.
# Of equal trials the one that stands first in the list comes first.
# The search below calls it after each rung.

# %% tags=["core"]
def survivors(trials, eta):
    """The trials that go on, a list, best first.

    By hand: values 0.1, 0.7, 0.4, 0.6, 0.5, 0.2, 0.3 and eta 3 leave 0.7 and 0.6.
    """
    # your code, in place of the dots
    ...


build("search.survivors", survivors)
# hint("search.survivors")
# solution("search.survivors")

# %% tags=["core"]
show(search.survivors, folded=True)
show(search.successive_halving)

# %% tags=["core", "slide", "nbval-check-output"]
assert search.bracket_cost(8, (1, 2, 4), 2) == 16  # by hand, above
rungs = {"rungs": (1, 2, 4), "eta": 2}
history = run(search.successive_halving, 16, 1, **rungs)[0]
[(trial.epoch, trial.cost) for trial in history.trials]

# %% [markdown] tags=["core"]
# The whole idea rests on one thing: early rank must foretell late rank.
# Chapter 06 measured it, as a Kendall tau between one training at an early epoch and the other seeds at the end.

# %% tags=["core", "slide"]
told = cells.accuracy["validation"]
epochs = np.arange(1, cells.epochs + 1)
taus = [tabular.foresight(told[:, :, e - 1], told[:, :, -1]) for e in epochs]
labels = {"x_label": "epochs of training", "y_label": "tau with the final ranking"}
plots.lines(epochs, {"one training": taus}, **labels)

# %% [markdown] tags=["core"]
# Same price for everyone now: so many *epochs*.
# A query of random search costs all four.
# A bracket is planned for its budget, so each point of the halving curve is a search of its own.

# %% tags=["core", "slide"]
spent = (80, 160, 320, 480, 800)
halved = {}
for budget in spent:
    halved[budget] = worths(run(search.successive_halving, budget, **rungs))[:, -1]
price_of = [b // cells.epochs - 1 for b in spent]
paid = {"successive halving": [halved[b] for b in spent]}
for name in ("random", "evolution"):
    paid[name] = [result[name][:, i] for i in price_of]
curves, band = {}, {}
for name, worth_at in paid.items():
    spans = np.array([search.paired_interval(w, 0 * w) for w in worth_at])
    curves[name], band[name] = spans[:, 0], (spans[:, 1], spans[:, 2])
rows = []
for b, i in zip(spent, price_of, strict=True):
    for name in ("random", "evolution"):
        rows.append((b, name, *verdict(halved[b], result[name][:, i])))
table(("epochs", "halving against", "points of test accuracy", "so it is"), rows)
labels = {"x_label": "epochs of training paid", "y_label": "test accuracy, mean of 30"}
ties = sum(row[3] == "a tie" for row in rows)
says = f"{ties} of {len(rows)} comparisons at equal price are ties; shades: 95 % intervals."
plots.lines(spent, curves, band=band, says=says, **labels)

# %% [markdown] tags=["core"]
# Where the shades cover each other, a crossing of the lines says nothing; the table, which compares pairs, decides.
# It has halving ahead of random search at 800 epochs only, and behind evolution from 320 epochs on.
#
# **Break it.**
# Trust the first epoch alone: after it keep one cell in eight, and train that to the end.
# The same budget now pays for many more cells.
# Say first whether that helps; the last word of each line below is the answer.

# %% tags=["core"]
rash = {"rungs": (1, cells.epochs), "eta": 8}
for budget in (160, 800):
    hasty = run(search.successive_halving, budget, **rash)
    tried = np.mean([h.distinct()[-1] for h in hasty])
    gap, word = verdict(worths(hasty)[:, -1], halved[budget])
    print(f"{budget} epochs, {tried:.0f} cells tried: {gap} points, {word}")

# %% [markdown] tags=["deep"]
# **Who else chooses? (deep)**
#
# *ASHA*, asynchronous successive halving (Li and others, 2018), does not wait for a rung to be full:
# a worker that is free promotes a cell that is among the best of its rung so far, or else begins a new one.
# So hundreds of machines always have work, and nobody waits for a slow training.
# Its authors report that the pace grows in step with the number of workers, up to the 500 that they had.
#
# *Bayesian optimisation* fits a model to the cells asked so far, which foretells a value *and* how unsure it is.
# Next it asks where much may be gained: a high forecast, or a very unsure one.
# BOHB (Falkner and others, 2018) lets such a model choose the cells that start the brackets of Hyperband,
# and was many times faster than Hyperband alone on several problems.
#
# A *predictor* learns from the cells that were trained to foretell the accuracy of those that were not.
# PNAS (Liu and others, 2017) grew cells block by block and trained only those that its predictor liked:
# about NASNet's accuracy, with up to 5 times fewer trained cells.
# BANANAS (White and others, 2019) asks a handful of small networks, takes it as a sign of doubt where they disagree,
# and needed fewer queries than evolution on NAS-Bench-101; exercise 07.8 is a small one.
#
# And evolution did not begin with ageing: Real and others (2017) evolved whole networks from one layer up,
# and there the worse of two died.

# %% [markdown] tags=["deep", "slide"]
# ## What is a multiply-add worth? (deep)
#
# Cell $a$ has accuracy 0.80 at 80 ms, cell $b$ 0.84 at 160 ms.
# Which one do you want?
# It depends on your phone.
# [MnasNet](https://arxiv.org/abs/1807.11626) makes one number $r$ of both, with a target price $T$ and an exponent $w$:
#
# $$ r = \text{acc} \cdot \left( \frac{\text{price}}{T} \right)^{w}, \qquad
#    w = \begin{cases} \alpha & \text{price} \le T \\ \beta & \text{else} \end{cases} \tag{7.6} $$
#
# with $\alpha = \beta = -0.07$.
# By hand, $T = 80$: $a$ gets 0.80.
# For $b$, $2^{-0.07} = 0.953$, and $0.84 \cdot 0.953 = 0.800$.
# A tie: to MnasNet, 5 % more accuracy is worth twice the time.
# This reward found the network that [EfficientNet-B0](https://arxiv.org/abs/1905.11946) is;
# there the price was multiply-adds.

# %% tags=["deep", "slide", "nbval-check-output"]
a, b = search.mnasnet_reward(0.80, 80, 80), search.mnasnet_reward(0.84, 160, 80)
assert a == 0.80 and abs(b - 0.800) < 0.001  # by hand, above
round(a, 4), round(b, 4)

# %% [markdown] tags=["deep"]
# The other way keeps both numbers.
# **NSGA-II** evolves a whole front.
# Sort the population into fronts: nothing dominates the first, nothing but the first the second, and so on.
# An earlier front wins.
# Inside a front, the point with more [*room*](GLOSSARY.md#room-on-a-front) around it wins, so that the front stays
# spread out
# (the literature's **crowding distance**).
# With the front sorted by objective $m$, and $i$ for the place in it,
#
# $$ \text{room}_i = \sum_m \frac{f_m(i+1) - f_m(i-1)}{f_m^{\max} - f_m^{\min}}, \qquad \text{the two ends: } \infty
#    \tag{7.7} $$
#
# Take $(0, 10), (1, 6), (4, 5), (10, 0)$.
# The second: $4/10 + 5/10 = 0.9$.
# The third: $9/10 + 6/10 = 1.5$, so it is kept before the second.

# %% tags=["deep"]
show(search.nsga2)

# %% tags=["deep", "slide", "nbval-check-output"]
points = [(0, 10), (1, 6), (4, 5), (10, 0), (5, 6)]
assert search.fronts(points) == [[0, 1, 2, 3], [4]]  # (4, 5) beats (5, 6)
search.crowding(points[:4])

# %% [markdown] tags=["deep"]
# Four searches for a cheap and good cell: blind, evolution that knows accuracy only, evolution on MnasNet's reward,
# and NSGA-II.
# Price: multiply-adds.
# Each is judged by its front: the cells it *believes* undominated, at their test accuracy, as hypervolume (chapter 03),
# in percent of what the true front covers.

# %% tags=["deep", "slide"]
target = float(np.median(cells.macs))


def price(genotype, column=cells.macs):
    return float(column[cells.index(genotype)])


def rewarded(space, evaluate, budget, seed):
    """Evolution that is told MnasNet's reward instead of the accuracy."""
    return search.regularized_evolution(
        space, lambda g: search.mnasnet_reward(evaluate(g), price(g), target), budget, seed
    )


def area(those, paid):
    """Hypervolume of some cells, by price and test accuracy; chance is the floor."""
    most = max(map(paid, cells.genotypes)), 0.1
    worth = [cells.query(g, split="test") for g in those]
    return profiling.hypervolume([paid(g) for g in those], worth, most)


def covered(history, paid=price, factor=lambda g: 1.0):
    """The front that a search believes in, in percent of the true one."""
    tried = [t.genotype for t in history.trials]
    seen = [t.value / factor(t.genotype) for t in history.trials]
    front = profiling.pareto_front([paid(g) for g in tried], seen)
    return 100 * area([tried[i] for i in front], paid) / area(cells.genotypes, paid)

fair = functools.partial(search.mnasnet_reward, 1.0, target=target)
fronts = {
    "random": [covered(h) for h in blind],
    "evolution": [covered(h) for h in evolved],
    "reward": [covered(h, factor=lambda g: fair(price(g))) for h in run(rewarded)],
}
bred = run(search.nsga2, price=price)
fronts["NSGA-II"] = [covered(h) for h in bred]
base = np.divide(fronts["random"], 100)
rows = [(k, *verdict(np.divide(v, 100), base)) for k, v in fronts.items()][1:]
table(("against random search", "percent of hypervolume", "so it is"), rows)
plots.points(fronts, y_label="hypervolume (% of the true front's)")

# %% tags=["deep", "slide"]
trials = bred[0].trials
x = [price(t.genotype) / 1e6 for t in trials]
y = [test[search_space.canonical(t.genotype)] for t in trials]
front = profiling.pareto_front(x, [t.value for t in trials])
labels = {"x_label": "million multiply-adds", "y_label": "test accuracy"}
says = f"One NSGA-II search: it believes in a front of {len(front)} of {len(x)} trials."
plots.scatter(x, y, front=front, says=says, **labels)

# %% [markdown] tags=["deep"]
# The steps may go down: the search chose by what it saw, the figure shows what the cells are worth.
# Its front is full of lucky ones, since a lucky measurement is hard to dominate.
# Eq. 7.2 again.
#
# **Break it.**
# Search with the multiply-adds as the price, although the milliseconds are what you pay in the end.
# NSGA-II searches once with each price; both fronts are judged by the milliseconds.
# The last number in the caption says how alike the two prices rank the cells of this small space;
# where it is near 1, do not expect much of the right price.

# %% tags=["deep", "slide"]
clock = functools.partial(price, column=cells.latency)
timed = run(search.nsga2, price=clock)
by_clock = {
    "told multiply-adds": [covered(h, clock) for h in bred],
    "told milliseconds": [covered(h, clock) for h in timed],
}
gap, word = verdict(*(np.divide(by_clock[k], 100) for k in list(by_clock)[::-1]))
ranks = [np.argsort(np.argsort(c)) for c in (cells.macs, cells.latency)]
says = f"Milliseconds against multiply-adds: {gap} percent, {word}. "
says += f"Rank correlation of the two prices: {np.corrcoef(ranks)[0, 1]:.2f}."
plots.points(by_clock, y_label="hypervolume by latency (%)", says=says)

# %% [markdown] tags=["core", "slide"]
# ## How many children an hour?
#
# Enough of tables.
# Here evolution asks a real question: `search.train_child` builds the network of a cell and trains it,
# as chapter 06 did for its first table: 64 steps, where the shipped one has 384.
# Guess how many children this machine trains in an hour.
# The cell shows its source, and trains twelve, for about a quarter of a minute.

# %% tags=["core", "slide"]
show(search.train_child)
QUICK = True  # False: 60 children, five times as long
first = tabular.load(tabular.FIRST_TABLE)
children, task = 12 if QUICK else 60, first.task
crops = [tabular.crops(task, split) for split in ("train", "validation")]
recipe = {"epochs": task.epochs, "batch_size": task.batch, "lr": task.lr}
recipe["build"] = functools.partial(tabular.network, task)


def really(genotype):
    return search.train_child(genotype, *crops, **recipe)


settings = {"population": 5, "tournament": 2}
began = time.process_time()
live = search.regularized_evolution(first.space, really, children, 0, **settings)
seconds = (time.process_time() - began) / children
print(f"{seconds:.1f} s a child, {3600 / seconds:.0f} children an hour and core")
print(f"best: {live.best.genotype}, {live.best.value:.3f}")
yours()

# %% [markdown] tags=["core"]
# You have run a neural architecture search; the last line says whose cycle it turned.
# Would the first table have said the same?
# The caption has the correlation; at 1 they would put all children in the same order.

# %% tags=["core", "slide"]
x = [first.query(t.genotype) for t in live.trials]
y = [t.value for t in live.trials]
says = f"Trained now against the table: correlation {np.corrcoef(x, y)[0, 1]:.2f}."
labels = {"x_label": "the first table's mean accuracy", "y_label": "trained just now"}
plots.scatter(x, y, says=says, **labels)

# %% [markdown] tags=["core"]
# Each point is one training against the mean of three.
# The numbers differ a little, and a child that is good in one is good in the other.
# So a table can stand in for the trainings.
#
# Part of the speed comes from how it is programmed.
# `nasnet.network` lays its tensors out pixel by pixel, and `train_child` takes the optimizer that updates all weights
# in one call.
# The same cells in PyTorch's default layout, with its default optimizer, reach the same accuracy later;
# `make bench` says how much later on your machine.

# %% [markdown] tags=["core", "slide"]
# ## Who goes to the final?
#
# Every search so far named the cell that *measured* best, once.
# We know since Eq. 7.2 what that is worth.
# NASNet's authors did not do so: after 20,000 short trainings they trained the best 250 children again, to the end,
# and chose among those.
# A second look costs little, as it is for a few cells only.
#
# Here the final has ten places; `History.finalists`, above, names them.
# The final is decided by all four trainings of each finalist: 40 trainings on top of 200 queries.
#
# What is it worth?
# First, judged by the mean of all trainings, as everywhere in this chapter.
# But whoever judges a cell by the trainings that chose it rewards luck again (chapter 06).
# So we also keep one training of every cell back for the judge, each of the four in turn:
# neither search nor final sees it.
# Say first: will the four judges agree?

# %% tags=["core", "slide"]
def kept_back(method, judge):
    """Thirty searches that do not see one seed, judged by it: with a final, and without."""
    others, final, once = [s for s in range(cells.seeds) if s != judge], [], []
    for s in range(SEEDS):
        luck = random.Random(1000 + s)
        found = method(cells.space, lambda g, r=luck: cells.query(g, seed=r.choice(others)), BUDGET, s)
        mean = {g: sum(cells.query(g, seed=o) for o in others) for g in found.finalists(10)}
        final.append(cells.query(max(mean, key=mean.get), seed=judge, split="test"))
        once.append(cells.query(found.best.genotype, seed=judge, split="test"))
    return final, once


rows = []
for name, method in list(zip(looked, methods, strict=True))[:2]:
    with_final = [after_final(h, BUDGET) for h in looked[name]]
    rows.append((name, "mean of all four", *verdict(with_final, result[name][:, -1])))
    for judge in range(cells.seeds):
        rows.append((name, f"training {judge}, kept back", *verdict(*kept_back(method, judge))))
table(("search", "judged by", "the final's worth, points", "so it is"), rows)

# %% [markdown] tags=["core"]
# Judged by all, ten second looks help blind draws, and help evolution not at all:
# its winner is one of the best already.
# (This judge has helped to choose, so it is kind to the final.)
#
# The judges of one training each do not agree.
# Look at the intervals of evolution: narrow, and far apart.
# They are right, and answer another question.
# They say what *other searches on this table* would give.
# All thirty evolutions name the same few cells, and one training of each of these is the whole judge.
# Among the best cells a training is off by a point, and cells differ by half of that (chapter 06).
# Other searches are cheap, another table is not, and no number of searches makes up for the trainings that are missing.
# So what a final is worth, this table cannot say, and no single judge of the four should be believed.

# %% [markdown] tags=["core"]
# One cell goes on from here, through the rest of the course: `search_space.FOUND`,
# `max3(0)+sep3(1) | identity(1)+sep3(1)`.
# Chapter 13 makes a detector's backbone of it.
# Nobody drew it by hand, and you can repeat the search: the same evolution, the same final, asked of the *first* table.
# The detectors were trained before there was a second one.
# Where does the cell stand in that one, and where do the finals on it end?

# %% tags=["core", "slide"]
def rank(genotype):
    return 1 + sum(value > cells.query(genotype, split="test") for value in test.values())


noisy = search.noisy(first, random.Random(1000))
history = search.regularized_evolution(first.space, noisy, BUDGET, 0)
assert search_space.same(max(history.finalists(10), key=first.query), search_space.FOUND)
ends = [rank(max(h.finalists(10), key=cells.query)) for h in evolved]
print(f"30 finals of evolution name cells of rank {min(ends)} to {max(ends)}, the median is {np.median(ends):.0f}.")
best = max(test, key=test.get)
rows = []
for name, genotype in {"FOUND": search_space.FOUND, "best": best}.items():
    four = cells.accuracy["test"][cells.index(genotype), :, -1]
    rows.append((name, rank(genotype), f"{four.mean():.4f}", ", ".join(f"{a:.3f}" for a in four)))
table(("cell", f"rank of {len(cells)}", "mean", "its four trainings, test accuracy"), rows)

# %% [markdown] tags=["core"]
# On trainings that had no part in choosing it, the cell is still among the best two per cent.
# Its trainings and those of the best cell overlap: four of each cannot tell the two apart (chapter 06).
# So it stays, and with it the weights of all detectors that are built on it.
# A search does not find the best; it finds one of those that nobody can tell from the best.

# %% [markdown] tags=["core", "slide"]
# ## What did the papers pay?
#
# 500 GPUs for 4 days: by hand, 2,000 GPU-days.
# The NASNet paper gives both factors, and calls the product "2,000 GPU-*hours*", a slip by a factor of 24.
# (Its appendix has 450 GPUs.)
# Before you cite a cost, multiply it out.

# %% tags=["core", "slide"]
whole = len(cells) * cells.seeds
longer = cells.task.train // first.task.train
asked = sum(len(h) for h in blind + evolved)
ledger = [
    ("NAS, 2016", "800 GPUs, 28 days by NASNet's account", 800 * 28),
    ("NASNet, 2017", "500 GPUs, 4 days; 20,000 children", 500 * 4),
    ("AmoebaNet, 2018", "450 GPUs, 7 days; 20,000 children", 450 * 7),
    ("ENAS, 2018", "1 GPU, less than 16 hours; shared weights", 16 / 24),
    ("DARTS, 2018, first order", "1 GPU, 1.5 days; gradients", 1.5),
    ("DARTS, 2018, second order", "1 GPU, 4 days; gradients", 4),
    ("the table", f"{whole:,} children of {longer} times the steps above", whole * longer * seconds / 86400),
    ("your live search", f"{children} children, one core", children * seconds / 86400),
]
rows = [(*row, f"{d:,.0f}" if d > 9 else f"{d:.2g}") for *row, d in ledger]
table(("search", "what was spent", "GPU-days, or core-days here"), rows)
print(f"NASNet in GPU-hours: {500 * 4 * 24:,}, where the paper prints 2,000")
print(f"20,000 children at your pace: {20_000 * seconds / 86400:.1f} core-days")
print(f"{asked:,} queries of the table for the first two curves: seconds")

# %% [markdown] tags=["core"]
# Two entries need an explanation.
# The NAS paper itself prints 800 GPUs and 12,800 architectures; the 28 days are from the NASNet paper.
# ENAS says "less than 16 hours" in its abstract; tables of later papers quote 0.45 GPU-days, 11 hours.
#
# The children are not alike: NASNet's saw 45,000 pictures of 32x32 pixels for 20 epochs.
# Chapter 09 does what ENAS and DARTS did: it lets all children share one set of weights.

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **One random architecture as the baseline.** quark0/darts#3:
#   a reader asks how the surprisingly strong random baseline was made.
#   It is a single random cell, trained once.
#   One draw has no interval, and Eq. 7.1 says what thirty would have found.
# - **Every cell is fine.** melodyguan/enas#39: low-ranked and random cells retrain to almost the accuracy of the chosen
#   one.
#   If the space is good, the search has little left to do: compare with a blind draw first.
# - **Which split did you search on?**
#   D-X-Y/NATS-Bench#27 and #11: users of a benchmark mix up the validation accuracy a search may see with the test
#   accuracy that judges it, and short trainings with long ones.
# - **Children that never enter.** mit-han-lab/gan-compression#64: crossover makes children,
#   and the population gets only the mutated ones.
#   The search ran and found something, so nobody noticed.
#   An author: "Yes.
#   This is a bug".
# - **A name is not an algorithm.**
#   Some libraries call "regularized" an evolution that keeps the best and lets the worst go:
#   the very thing that ageing replaces.
#   Look for the line that removes a cell, as in exercise 07.1.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - A search asks `evaluate(genotype)` and returns a history.
#   It sees one noisy validation accuracy a query; the mean test accuracy judges it.
# - Blind draws meet a good cell with $1 - (1-p)^n$, whatever the size of the space.
#   Beat that first.
# - The winner of many noisy looks is lucky.
#   Never report what the search saw.
# - Regularized evolution: a tournament chooses the parent, the oldest dies.
#   So one lucky measurement does not stay.
# - Successive halving tries more cells for the same epochs, as far as early ranks can be trusted.
#   Here it is better than blind draws at the largest budget only, and never better than evolution.
# - Two wishes: one number (MnasNet's reward) or a front (NSGA-II).
#   Say which price you mean.
# - Pair by seed, draw the pairs again, look whether 0 is inside.
#   If it is: a tie.
# - Does being clever beat being lucky?
#   Yes, by little: after 200 queries evolution leads blind draws by 0.2 points without noise [0.1, 0.3],
#   by 0.3 [0.2, 0.5] with a final of ten, and by 1.0 [0.6, 1.5] where one noisy look decides.
#   These are gaps between searches that are judged alike, by all trainings of one table.
# - An interval over searches knows nothing of the luck in the trainings that judge.
#   What a final is worth, four judges of one training each say in four ways.
# - The cell that this course goes on with, `FOUND`, is number 11 of 735, and not to be told from the best.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 07.3 · Predict · draws_needed · 4 min · ●○○ · 1 point
#
# One draw in twenty is good.
# How many blind draws make you at least 90 % sure to have met a good one?
# A whole number.
# Guess it before you compute.
#
# <details><summary>Answer</summary>
#
# $1 - 0.95^n \ge 0.9$ means $n \ge \ln 0.1 / \ln 0.95 = 44.9$, so 45.
# Most people say far more, or 20, since "one in twenty".
# But twenty draws miss every third time: $0.95^{20} = 0.36$.
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("search.draws_needed", answer)
# hint("search.draws_needed")
# solution("search.draws_needed")

# %% [markdown] tags=["core"]
# ### 07.4 · Measure · repeats · 8 min · ●●○ · 2 points
#
# Run regularized evolution for 200 queries on `cells.space` with `seed=0`, on a world without noise:
# `evaluate` is the number of `sep3` in the normal cell.
# How many *distinct cells* does it try?
# Two cells count as one if they are the same cell in another spelling; `history.distinct()` counts so.
# Try tournaments of 1 and 20 as well, and watch the number.

# %% tags=["core"]
def separable(genotype):
    return str(genotype.normal).count("sep3")


history = search.regularized_evolution(cells.space, separable, 20, seed=0)  # change me
print(len(history), "queries, best value", history.best.value)

answer = ...  # distinct cells in 200 queries, with the default population and tournament
check("search.repeats", answer)
# hint("search.repeats")
# solution("search.repeats")

# %% [markdown] tags=["core"]
# ### 07.5 · Build · odds_without_return · 12 min · ●●○ · 3 points
#
# Some libraries draw the tournament *without* replacement: nobody can be in it twice.
# Write the odds of that version: a list with the probability that the best, the second best,
# … of `population` cells wins a tournament of `size` different ones.
# With 4 cells and tournaments of 2 it is 3/6, 2/6, 1/6, 0.
# Eq. 7.3 no longer holds; `math.comb` may help.

# %% tags=["core"]
def odds_without_return(population, size):
    """For 4 and 2: [3 / 6, 2 / 6, 1 / 6, 0]."""
    ...  # your code


check("search.odds_without_return", odds_without_return)
# hint("search.odds_without_return")
# solution("search.odds_without_return")

# %% [markdown] tags=["core"]
# ### 07.6 · Build · hyperband · 15 min · ●●● · 3 points
#
# How early should one cut?
# [Hyperband](https://arxiv.org/abs/1603.06560) does not choose.
# It runs one bracket of successive halving for each answer, from bold to careful, all at about the same cost.
# With at most $R = \eta^m$ epochs, bracket $s = m, m - 1, \dots, 0$ starts with
#
# $$ n_s = \left\lceil \frac{m + 1}{s + 1}\, \eta^s \right\rceil \quad
#    \text{cells, trained for } \eta^{m-s} \text{ epochs before the first cut.} $$
#
# Write `hyperband(epochs, eta)`: the list of pairs (cells, first rung), the boldest bracket first.
# `epochs` is a power of `eta`.
# (A bracket draws so many *different* cells; two brackets may draw the same ones, and that is not counted here.)
# For 9 and 3: `[(9, 1), (5, 3), (3, 9)]`.
# Whole numbers only.

# %% tags=["core"]
def hyperband(epochs, eta):
    """For 9 and 3: [(9, 1), (5, 3), (3, 9)]."""
    ...  # your code


check("search.hyperband", hyperband)
# hint("search.hyperband")
# solution("search.hyperband")

# %% [markdown] tags=["deep"]
# ### 07.7 · Build · exclusive_areas · 15 min · ●●● · 3 points
#
# Room is one way to say how much a point matters to its front.
# Another: how much hypervolume is lost without it?
# Write `exclusive_areas(cost, quality, reference)` for a front that stands in order:
# cost and quality both rise strictly, so no two points are alike.
# All points cost less and are better than `reference = (cost, quality)`.
# Draw it: a point covers all that is dearer and worse than itself, so a rectangle to its right and below,
# up to the reference.
# What do the others leave to it alone?
# Return the lost area for each point, a list.
# For costs 1, 2, 4, qualities 5, 7, 8 and the reference (6, 0): `[5, 4, 2]`.

# %% tags=["deep"]
def exclusive_areas(cost, quality, reference):
    """For [1, 2, 4], [5, 7, 8], (6, 0): [5, 4, 2]."""
    ...  # your code


check("search.exclusive_areas", exclusive_areas)
# hint("search.exclusive_areas")
# solution("search.exclusive_areas")

# %% [markdown] tags=["optional"]
# ### 07.8 · Further · 90 min · ●●● · 0 points
#
# [BANANAS](https://arxiv.org/abs/1910.11858) lets a predictor choose whom to ask next.
# Port the idea: after 20 blind draws fit a ridge regression from one-hot tokens to the values seen,
# propose 200 mutations of the best cells, ask the one that is predicted best, and repeat.
# Compare with evolution at 50 queries: 30 seeds, paired, with an interval.
# Is it ahead, or a tie?

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("search")

# %% [markdown] tags=["core"]
# ## Where next
#
# The searches of this chapter remember cells.
# [08 · Controller](08_controller.ipynb) trains a network that remembers *decisions*:
# the controller that found NASNet-A. Does it need fewer questions?
# Keep your table of verdicts.

# %% [markdown] tags=["core"]
# ## References
#
# - Zoph, Vasudevan, Shlens, Le, [Learning Transferable Architectures for Scalable Image
#   Recognition](https://arxiv.org/abs/1707.07012), 2017.
#   Random search in its figure 6; the costs.
# - Zoph, Le, [Neural Architecture Search with Reinforcement Learning](https://arxiv.org/abs/1611.01578), 2016.
#   800 GPUs, 12,800 architectures.
# - Real, Aggarwal, Huang, Le, [Regularized Evolution for Image Classifier Architecture
#   Search](https://arxiv.org/abs/1802.01548), 2018.
#   Ageing; 450 GPUs, 7 days.
# - Pham and others, [Efficient Neural Architecture Search via Parameter Sharing](https://arxiv.org/abs/1802.03268),
#   2018; Liu, Simonyan, Yang, [DARTS](https://arxiv.org/abs/1806.09055), 2018: their costs.
# - Jamieson, Talwalkar, [Non-stochastic Best Arm Identification](https://arxiv.org/abs/1502.07943), 2015;
#   Li and others, [Hyperband](https://arxiv.org/abs/1603.06560), 2016.
# - Li and others, [ASHA](https://arxiv.org/abs/1810.05934), 2018;
#   Falkner, Klein, Hutter, [BOHB](https://arxiv.org/abs/1807.01774), 2018;
#   White, Neiswanger, Savani, [BANANAS](https://arxiv.org/abs/1910.11858), 2019;
#   Liu and others, [Progressive Neural Architecture Search](https://arxiv.org/abs/1712.00559), 2017;
#   Real and others, [Large-Scale Evolution of Image Classifiers](https://arxiv.org/abs/1703.01041), 2017.
# - White, Nolen, Savani, [Local Search is State of the Art for Neural Architecture Search
#   Benchmarks](https://arxiv.org/abs/2005.02960), 2020.
# - Tan and others, [MnasNet](https://arxiv.org/abs/1807.11626), 2018: the reward.
# - Deb, Pratap, Agarwal, Meyarivan, A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II,
#   IEEE Transactions on Evolutionary Computation 6, 2002.
# - Efron, Bootstrap Methods: Another Look at the Jackknife, Annals of Statistics 7, 1979.
