# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 04 · Search space
#
# **Question. Before anything is searched: what is there to be found, and how much of it?**
#
# After this chapter you can
#
# 1. read a cell as a value, write one, and follow the longest way through it (exercise 04.5)
# 2. count the cells of a small space by hand, and say why a blind draw misses many (exercises 04.3 and 04.4)
# 3. say when two genotypes are the same cell, and where the released NASNet-A leaves the paper's rule (quiz)
# 4. read a cell from a controller's numbers, and make a child of it by one small change (exercises 04.1 and 04.2)
# 5. price a cell from its operations, without building it (exercise 04.6)
#
# | study | about 105 min (estimate) |
# |---|---|
# | run | <!-- run -->0.2 min (11 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->445 MB (measured)<!-- /peak --> |
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
import collections
import itertools
import math
import random

import torch

from lib.basics import profiling
from lib.book import plots, widgets
from lib.book.notebook import build, check, hint, quiz, setup, show, solution
from lib.nas import cells, search_space

device = setup("04_search_space", seed=0)

# %% [markdown] tags=["core"]
# In the first three chapters you built networks and counted what they cost.
# Now a program shall build them.
# What may it change?
# If the answer is "everything", it will never finish.
# If it is "the learning rate", it will never find a new network.
#
# NASNet's answer: the network is a stack of copies of two small graphs, and only the inside of the two may change.
# A **normal cell** keeps the size of the picture, a **reduction cell** halves it.
# Here is such a stack, from below.
# All blue boxes are copies of one cell, each with weights of its own; all orange ones are copies of another.

# %% tags=["core", "slide"]
normal, reduction = "normal", "reduction"
stack = [(normal, 32, None), (normal, 32, 0), (reduction, 64, 1), (normal, 64, 2),
         (normal, 64, 3), (reduction, 128, 4), (normal, 128, 5), (normal, 128, 6)]  # fmt: skip
plots.stack(stack, sides=[32, 32, 32, 16, 16, 16, 8, 8, 8])

# %% [markdown] tags=["core"]
# The stack is made by people, and chapter 05 builds it.
# The search decides what is inside the two cells.
# A program that decides is called a **controller** in the paper.
# Each network that is built and trained on the way is a **child**.
#
# Does it matter what is inside?
# In chapter 06 the child of `max3(0)+sep3(1) | identity(1)+sep3(1)` reads 84 % of the test digits.
# The child of `identity(0)+identity(0) | identity(2)+max3(2)`, trained in the same way, reads 11 %, hardly more than by
# chance.
# (The next section explains how such a line is read.)
#
# This chapter is about the set of all such cells, the *search space*.
# Nothing is trained in it.
# When you have read it you know what the searches of the next chapters search.
# Sections whose heading ends with *(deep)* can wait.

# %% [markdown] tags=["core", "slide"]
# ## What is a cell?
#
# A cell is given two inputs, the outputs of the two cells below it.
# Call them state 0, $h_i$, and state 1, $h_{i-1}$.
# A **block** reads two states, does one operation to each, and combines the two results into a new state.
#
# Take rows of three pixels: $h_i = (0, 1, 0)$ and $h_{i-1} = (1, 5, 2)$.
# One block: leave state 0 as it is, take the maximum of each pixel of state 1 and its neighbours, and add.
# What comes out?
#
# The pool makes $(5, 5, 5)$ of state 1, and the sum is $(5, 6, 5)$.
# In symbols, block $k$ with inputs $a$ and $b$, operations $f$ and $g$, and a combination $\oplus$,
# which is addition or concatenation:
#
# $$ h_{k+2} = f(h_a) \oplus g(h_b), \qquad a, b \in \{0, \dots, k + 1\} \tag{4.1} $$
#
# Here $h_0$ stands for $h_i$, the cell just below, and $h_1$ for $h_{i-1}$, the one below that.
# Take care when you read others: DARTS and ENAS number these two the other way round.
# The output of the cell is all block states that no block reads, one behind the other (*concatenated*).

# %% tags=["core"]
show(search_space.Cell)

# %% [markdown] tags=["core"]
# A cell is a value, like a number or a string.
# It holds no tensor and no weight.
# We write it on one line: an operation, the state that it reads, and `+` to add (or `&` to concatenate).
# Let us run ours with two functions in place of layers.

# %% tags=["core", "slide", "nbval-check-output"]
cell = search_space.cell_from_text("identity(0)+max3(1)")
do = {"identity": lambda h: h, "max3": lambda h: torch.max_pool1d(h, 3, 1, 1)}
h = [torch.tensor([[0.0, 1, 0]]), torch.tensor([[1.0, 5, 2]])]
for left, right, _ in cell.blocks:
    h.append(do[left.operation](h[left.input]) + do[right.operation](h[right.input]))
assert h[2].tolist() == [[5, 6, 5]]  # by hand, above
print(cell)
print(cell.blocks)

# %% [markdown] tags=["core"]
# The loop has three lines and would run any cell of these two operations.
# With two blocks it gets interesting: block 1 may read what block 0 wrote.
# Which states reach the output here?

# %% tags=["core", "slide"]
cell = search_space.cell_from_text("identity(0)+sep3(1) | max3(2)+max3(0)")
says = f"Two blocks. Block 1 reads state 2, so only state {cell.output[0]} is output."
plots.graph(*search_space.graph(cell), says=says)

# %% [markdown] tags=["core"]
# **Break it.**
# Let block 0 read state 2, misspell an operation, make a block that neither another block nor the output reads.
# Which of the three is hard to notice without a check?

# %% tags=["core", "slide", "nbval-check-output"]
for text in (
    "identity(2)+sep3(1)",
    "identity(0)+sep4(1)",
    "identity(0)+sep3(1) | max3(0)+max3(0) -> 3",
):
    try:
        search_space.cell_from_text(text)
    except search_space.GenotypeError as error:
        print(str(error).split("; known")[0])

# %% [markdown] tags=["core"]
# The last one.
# It would run, and train, and carry a block that no answer depends on.
# A malformed cell is refused where it is made, with the position, so that no search goes on with it.

# %% [markdown] tags=["core", "slide"]
# ## How does a controller name a cell?
#
# A search does not type text.
# It makes decisions, one after the other, and each is a number: a [*token*](GLOSSARY.md#token).
# The paper's order for a block is: first input, second input, first operation, second operation, combination.
#
# By hand, with the operations (identity, max3, sep3) numbered 0, 1, 2, and addition alone as combination 0.
# The block `identity(0)+sep3(1)` is the tokens 0, 1, 0, 2, 0.
# The block `max3(2)+max3(0)` is 2, 0, 1, 1, 0.
# Five decisions a block, so for $B$ blocks and $n$ cells
#
# $$ T = 5\, B\, n \tag{4.2} $$
#
# tokens.
# The paper has $B = 5$ blocks in each of $n = 2$ cells: 50 decisions make one architecture.

# %% tags=["core"]
show(search_space.decisions)

# %% [markdown] tags=["core"]
# ### 04.1 · Build · blocks_from_tokens · 10 min · ●○○ · 3 points
#
# A controller speaks numbers, and a network is built from blocks.
# Write the way from the one to the other, `blocks_from_tokens(tokens, operations, combinations)`.
# It gives a list with one block for every five tokens.
# A block is `((a, f), (b, g), combination)`: an input and its operation, the other input and its operation, and how
# the two are combined.
# An input's token is the number of the state as it is.
# The token of an operation is its place in `operations`, that of a combination its place in `combinations`.
# The tokens are valid: `decode`, which calls your function, has checked them.

# %% tags=["core"]
def blocks_from_tokens(tokens, operations, combinations):
    """The blocks that the tokens stand for, five tokens each.

    By hand: [0, 1, 0, 2, 0] with the operations ["identity", "max3", "sep3"] and the combinations ["add"]
    is one block, [((0, "identity"), (1, "sep3"), "add")].
    """
    # your code, in place of the dots
    ...


build("search_space.blocks_from_tokens", blocks_from_tokens)
# hint("search_space.blocks_from_tokens")
# solution("search_space.blocks_from_tokens")

# %% [markdown] tags=["core"]
# Here is the way there and back: `encode` makes tokens of a genotype, and `decode` makes the genotype again.

# %% tags=["core", "slide", "nbval-check-output"]
show(search_space.blocks_from_tokens, folded=True)
SMALL, FULL = search_space.SMALL, search_space.FULL
genotype = search_space.Genotype(cell, cell)
tokens = search_space.encode(SMALL, genotype)
assert tokens == [0, 1, 0, 2, 0, 2, 0, 1, 1, 0]  # by hand, above
assert search_space.decode(SMALL, tokens) == genotype
print(SMALL)
print(tokens, "and", len(search_space.decisions(FULL)), "tokens in the full space")

# %% [markdown] tags=["core"]
# `SMALL` is the space of this course: two blocks, three operations,
# and one cell that serves as normal and reduction cell, as [PNASNet](https://arxiv.org/abs/1712.00559) does it.
# It is so small that chapter 06 trains all of it.
# `FULL` is the paper's.
#
# How much does each decision leave open?
# The figure counts the options of the 25 decisions of one full cell.

# %% tags=["core", "slide"]
sizes = [len(d.options) for d in search_space.decisions(FULL)[:25]]
rows = [sizes[i : i + 5] for i in range(0, 25, 5)]
labels = {"columns": ["a", "b", "f", "g", "⊕"], "x_label": "decision, as in Eq. 4.1", "y_label": "block"}
says = f"Options of each decision. Inputs: {sizes[0]} to {sizes[20]}. Operations: {sizes[2]}."
plots.grid(rows, rows=list(range(5)), says=says, **labels)

# %% [markdown] tags=["core"]
# Only the inputs $a$ and $b$ grow, because each block adds a state to read.
#
# **Break it.**
# One token too large.
# What does `decode` say?

# %% tags=["core", "nbval-check-output"]
for wrong in ([0, 1, 0, 2, 0, 3, 0, 1, 1, 0], tokens[:9]):
    try:
        search_space.decode(SMALL, wrong)
    except search_space.GenotypeError as error:
        print(error)

# %% [markdown] tags=["core", "slide"]
# ## How many token sequences are there?
#
# One block, two operations, addition.
# The first input is one of 2, the second one of 2, each operation one of 2: $2^4 = 16$ sequences.
# For the next block the inputs are one of 3, and so on.
# The options multiply.
# With $O$ operations and $C$ combinations, one cell has
#
# $$ R = \prod_{k=0}^{B-1} (k+2)^2\, O^2\, C = \big((B+1)!\big)^2\, O^{2B}\, C^B \tag{4.3} $$
#
# sequences.
# For $B = 1$, $O = 2$, $C = 1$: $2^2 \cdot 2^2 = 16$.

# %% tags=["core"]
show(search_space.raw_count)

# %% tags=["core", "slide", "nbval-check-output"]
two = search_space.Space(1, ("identity", "sep3"))
assert search_space.raw_count(two) == 16  # by hand, above
assert search_space.raw_count(FULL) == math.prod(sizes)
print(f"SMALL {search_space.raw_count(SMALL):,}")
print(f"FULL  {search_space.raw_count(FULL):,}")

# %% [markdown] tags=["core"]
# That is for one cell; a genotype has two, so square it.
# The paper trained 20,000 children.
# How long would a machine need that trains one cell every second?
# Guess the unit before you run the cell.

# %% tags=["core", "nbval-check-output"]
years = search_space.raw_count(FULL) / (3600 * 24 * 365)
print(f"{years / 1e9:.0f} billion years, for one of the two cells")

# %% [markdown] tags=["core"]
# Five times the age of the universe.
# So every search looks at a very small part of such a space.
# It can succeed because the space was chosen well: in the paper's own comparison,
# the best of the blind draws (*random search*) ends only a little more than one percent below the controller's best.
# Chapters 07 and 08 ask how that is on our table.

# %% [markdown] tags=["core", "slide"]
# ## When are two cells the same?
#
# `identity(0)+sep3(1)` and `sep3(1)+identity(0)`: other tokens, same sum.
# Two changes of a sequence do not change the cell (the literature calls such graphs *isomorphic*):
#
# - [**swap**](GLOSSARY.md#swap) the two pairs of a block,
# - **renumber**: list the blocks in another order in which each still reads earlier ones only.
#
# For one block there is only the swap.
# Count by hand with two operations: a pair is one of $2 \cdot 2 = 4$, and a block is two of them without order,
# the same one twice allowed.
# That is $4 \cdot 5 / 2 = 10$ blocks where Eq. 4.3 counts 16 sequences.
# In general
#
# $$ N_1 = C \cdot \frac{2O\,(2O + 1)}{2} = C\, O\, (2O + 1) \tag{4.4} $$
#
# PNASNet's authors use 8 operations and addition: $8 \cdot 17 = 136$.
# Their paper prints 136.

# %% tags=["core", "slide", "nbval-check-output"]
eight = search_space.Space(1, FULL.operations[:8])
assert len(search_space.enumerate_cells(two)) == 10  # by hand, above
assert len(search_space.enumerate_cells(eight)) == 136  # PNASNet, section 3.1
for c in search_space.enumerate_cells(two):
    print(c)

# %% [markdown] tags=["core"]
# To compare cells with more blocks we write each in one agreed way, its
# [**canonical form**](GLOSSARY.md#canonical-form).
# Sort the pairs inside each block: first by the state that is read, then by the name.
# Then list the blocks: of those whose inputs are numbered already, take the smallest.
#
# By hand, for the cell `max3(1)+max3(1) | sep3(0)+sep3(0) | conv1(2)+avg3(3)`, called $b$ below:
#
# 1. The first two blocks read only the inputs, so both are ready.
#    The third one has to wait.
# 2. The smallest is `sep3(0)+sep3(0)`, since it reads state 0.
#    It goes first, and its state gets the new number 2.
# 3. Now `max3(1)+max3(1)` is the only one that is ready.
#    Its state gets the number 3.
# 4. The last block takes `conv1` of the maximum, and `avg3` of the convolution.
#    With the new numbers that is `conv1(3)+avg3(2)`, and with sorted pairs `avg3(2)+conv1(3)`.
#
# If two ready blocks are equal, the function tries each of them first, since those that read them may differ.

# %% tags=["core"]
show(search_space._smallest, folded=True)

# %% tags=["core", "slide", "nbval-check-output"]
read = search_space.cell_from_text
a = read("sep3(0)+sep3(0) | max3(1)+max3(1) | avg3(2)+conv1(3)")
b = read("max3(1)+max3(1) | sep3(0)+sep3(0) | conv1(2)+avg3(3)")
c = read("max3(1)+max3(1) | sep3(0)+sep3(0) | avg3(2)+conv1(3)")
for name, one in {"a": a, "b": b, "c": c}.items():
    print(name, search_space.canonical(one))
by_hand = "sep3(0)+sep3(0) | max3(1)+max3(1) | avg3(2)+conv1(3)"
assert search_space.canonical(b) == read(by_hand)
assert search_space.same(a, b) and not search_space.same(a, c)

# %% [markdown] tags=["core"]
# $b$ is $a$ in another order: blocks 0 and 1 changed places, and block 2 follows.
# $c$ is something else: there the average is taken of the *maximum* pool.
# Two graphs, to see the difference.

# %% tags=["core", "slide"]
says = "In a, avg3 reads what sep3 made; in c, avg3 reads what max3 made."
plots.graph(*search_space.graph(a), title="a", says=says)

# %% tags=["core"]
says = "c has the same three blocks, but the two upper ones have changed roles."
plots.graph(*search_space.graph(c), title="c", says=says)

# %% [markdown] tags=["core"]
# **Break it.**
# A shortcut that looks right: sort the blocks as texts, and compare the two lists.
# What does it say about $a$ and $c$, which differ?


# %% tags=["core", "nbval-check-output"]
def shortcut(cell):
    return sorted(str(cell).split(" -> ")[0].split(" | "))


print("a and c:", shortcut(a) == shortcut(c), " a and b:", shortcut(a) == shortcut(b))

# %% [markdown] tags=["core"]
# Wrong twice.
# It merges $a$ and $c$, and separates $a$ and $b$.
# A state's number means nothing without the order, so it must be rewritten whenever the order changes.
# A search that remembers what it has trained depends on this function: with a wrong one it trains cells twice,
# or returns the accuracy of another cell.

# %% [markdown] tags=["deep", "slide"]
# ## How many cells are there? (deep)
#
# For `SMALL` we count by hand.
# Block 0 is one of $N_1 = 3 \cdot 7 = 21$.
# If block 1 does not read it, the two stand side by side, without order: $21 \cdot 22 / 2 = 231$.
# If it does, its pairs come from $3 \cdot 3 = 9$, at least one on state 2: $9 \cdot 10 / 2 - 21 = 24$,
# and $21 \cdot 24 = 504$.
# Together **735**.
#
# For five blocks and 13 operations the list would be far too long.
# Burnside's lemma counts without listing: the number of different things is the average, over all symmetries,
# of the things that a symmetry leaves as they are.
# First list the [**wirings**](GLOSSARY.md#wiring): cells without names on them.
# For each wiring $w$ let $S_w$ be the renumberings that map it to itself.
# Then
#
# $$ N = \sum_w \frac{1}{|S_w|} \sum_{p \in S_w} \; \prod_{\text{cycles of } p} C \cdot \begin{cases}
# O(O+1)/2 & \text{both inputs are one state} \\ O & \text{the cycle swaps the inputs} \\ O^2 & \text{else} \end{cases}
#    \tag{4.5} $$
#
# By hand: blocks 0 and 1 both read $(0, 1)$, block 2 reads both of them.
# Two symmetries: nothing moves, or the twins change places.
# With $O = 2$, $C = 1$ the first leaves all $4 \cdot 4 \cdot 4 = 64$ labellings.
# The second leaves those with equal twins, 4, and equal operations in block 2, which it swaps: 2.
# So $(64 + 8)/2 = 36$.

# %% tags=["deep"]
show(search_space.labellings)

# %% tags=["deep", "slide", "nbval-check-output"]
twins = read("sep3(0)+sep3(1) | sep3(0)+sep3(1) | sep3(2)+sep3(3)")
assert search_space.labellings(twins, operations=2, combinations=1) == 36  # by hand
assert search_space.count(SMALL) == 231 + 504  # by hand
assert search_space.count(SMALL) == len(search_space.enumerate_cells(SMALL))
print(f"SMALL {search_space.count(SMALL):,} cells")
print(f"FULL  {search_space.count(FULL):,} cells")
print(f"FULL  {search_space.count_genotypes(FULL):.2e} pairs of cells")

# %% tags=["deep", "slide"]
depths = [1, 2, 3, 4, 5]
spaces = [search_space.Space(n, FULL.operations, FULL.combinations) for n in depths]
curves = {
    "sequences": [search_space.raw_count(s) for s in spaces],
    "distinct cells": [search_space.count(s) for s in spaces],
}
share = [n / r for r, n in zip(*curves.values(), strict=True)]
says = (
    f"Distinct: {share[0]:.0%} of the sequences at one block, {share[-1]:.2%} at five."
)
labels = {"x_label": "blocks", "y_label": "number, one cell"}
plots.lines(depths, curves, log_y=True, says=says, **labels)

# %% [markdown] tags=["deep"]
# At five blocks swaps alone make the number nearly $2^5 = 32$ times smaller, and renumbering another six times.
# What is left is still $10^{16}$.
# PNASNet's space, with 8 operations and addition only, has 3,147,356,952,080 cells by our count.
# The DARTS paper gives it $5.6 \cdot 10^{14}$ (appendix C): it counts the sequences.

# %% tags=["deep", "nbval-check-output"]
pnas = search_space.Space(5, FULL.operations[:8])
print(f"{search_space.raw_count(pnas):.1e} sequences")
print(f"{search_space.count(pnas):,} cells")

# %% [markdown] tags=["core", "slide"]
# ## Is a blind draw fair?
#
# A [*blind draw*](GLOSSARY.md#blind-draw) takes every token with equal probability,
# and learns nothing from the draws before.
# Is every cell equally likely?
# With one block and two operations: `identity(0)+identity(0)` is one sequence of 16.
# `identity(0)+sep3(0)` is two, because of the swap.
# A cell that can be written in $m$ ways comes up with probability
#
# $$ P = \frac{m}{R} \tag{4.6} $$
#
# so here 1/16 against 2/16.
# In `SMALL` a cell can have up to $2 \cdot 2 \cdot 2 = 8$ ways: a swap in each block, and two orders.

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
SMALL, FULL = search_space.SMALL, search_space.FULL
read = search_space.cell_from_text
options = [range(len(d.options)) for d in search_space.decisions(SMALL)]
every = [search_space.decode(SMALL, t).normal for t in itertools.product(*options)]
ways = collections.Counter(map(search_space.canonical, every))

# %% tags=["core", "slide", "nbval-check-output"]
assert len(ways) == 735 and sum(ways.values()) == 2916
assert ways[read("identity(0)+identity(0) | sep3(2)+sep3(2)")] == 1  # by hand: no swap
assert ways[read("identity(0)+sep3(0) | identity(0)+sep3(1)")] == 8  # by hand: all
many = dict(sorted(collections.Counter(ways.values()).items()))
many

# %% [markdown] tags=["core"]
# So the 24 most symmetric cells are eight times rarer than the 105 least symmetric ones.
# How many draws until you have seen half of `SMALL`?
# The figure is computed without drawing: it sums, over the cells, the probability of having come up.
# (Drawing until all have come up is the *coupon collector's problem*.)

# %% tags=["core", "slide"]
draws = [1, 100, 200, 400, 735, 1000, 1500, 2000, 3000]
blind = [sum(1 - (1 - m / 2916) ** n for m in ways.values()) / 735 for n in draws]
fair = [1 - (1 - 1 / 735) ** n for n in draws]
says = (
    f"After 735 draws: {blind[4]:.0%} of the cells seen; by a fair draw {fair[4]:.0%}."
)
curves = {"fair draw": fair, "draw of tokens": blind}
plots.lines(draws, curves, x_label="draws", y_label="share of cells seen", says=says)

# %% [markdown] tags=["core"]
# Even a fair draw repeats itself.
# The blind one repeats itself more.
# When chapter 07 says how many cells a search has tried, it counts distinct ones, and now you know why.

# %% [markdown] tags=["core", "slide"]
# ## What did the search find?
#
# The paper's controller had 20,000 children trained.
# The best of them is NASNet-A: two lines, one for each cell.

# %% tags=["core", "slide", "nbval-check-output"]
print(search_space.NASNET_A)

# %% tags=["core", "slide"]
normal = search_space.NASNET_A.normal
says = f"NASNet-A's normal cell: {len(normal.blocks)} blocks, and none reads another."
plots.graph(*search_space.graph(normal), title="NASNet-A, normal cell", says=says)

# %% [markdown] tags=["core"]
# Take your time with it.
# What did the controller choose?
# Separable convolutions, 3x3 and 5x5; no plain convolution, no dilation.
# Everything is added; concatenation could be chosen, and never was.
# The cell is wide and flat.
# One block adds `avg3(1)` to itself, which few people would have drawn.

# %% tags=["core", "slide"]
reduction = search_space.NASNET_A.reduction
reads = [max(left.input, right.input) for left, right, _ in reduction.blocks]
inner = [k for k, state in enumerate(reads, start=2) if state > 1]
says = f"The reduction cell is deeper: states {inner[0]} and {inner[1]} are made from other blocks."
plots.graph(*search_space.graph(reduction), title="NASNet-A, reduction cell", says=says)

# %% [markdown] tags=["core"]
# **Break it.**
# Ask whether the released cell lies in the paper's space.

# %% tags=["core", "slide", "nbval-check-output"]
try:
    search_space.validate(FULL, search_space.NASNET_A)
except search_space.GenotypeError as error:
    print(error)

# %% [markdown] tags=["core"]
# Taken exactly, it does not.
# The paper concatenates what no block reads.
# The released normal cell also passes on state 1, which blocks do read,
# and the released reduction cell passes on state 3.
# This is no detail: the sizes in the paper's tables, 1056 = 6 · 4 · 44 and 4032 = 6 · 4 · 168, need the *six*.
# So a cell carries its output as part of its value.
# Below we want to step through the space from NASNet-A.
# So we leave its own output away: with the output of the paper's rule, its blocks are a cell of the space.

# %% tags=["core"]
by_rule = search_space.Genotype(
    search_space.Cell(normal.blocks), search_space.Cell(reduction.blocks)
)
search_space.validate(FULL, by_rule)
print(by_rule)

# %% [markdown] tags=["core", "slide"]
# ## What is one small step?
#
# Evolution makes a child from a parent by a small change, a *mutation*.
# [Regularized evolution](https://arxiv.org/abs/1802.01548) searched a similar space with two mutations:
# give one side of one block another input, or give it another operation.
# (Its space has 8 operations, and it always adds.)
# In our space there is a third decision, the combination, and so a third kind of mutation.
#
# Take one block and the operations identity and sep3, and the parent `identity(0)+identity(0)`.
# Its tokens are 0, 0, 0, 0, 0.
# Which children can it have?
#
# The combination has only one option, so it cannot change.
# Two kinds are left, input and operation, with two places each, and each place has one other option.
# So there are four children.
# We draw in three steps: the kind, one place of this kind, another option of this place.
# In each step all choices have the same probability; we say that it draws *evenly*.
# Each of the four has the probability $1/2 \cdot 1/2 \cdot 1 = 1/4$.

# %% [markdown] tags=["core"]
# ### 04.2 · Build · one_change · 15 min · ●●○ · 4 points
#
# Write the mutation, `one_change(space, genotype, rng)`: a child that differs from its parent in exactly one token.
# It draws the kind, then one decision of this kind, then another option, each evenly, with `rng`, a `random.Random`.
# A kind is left out if all its decisions have only one option.
# `search_space.decisions(space)` has one entry for each token, with `.kind` (`"input"`, `"operation"` or
# `"combination"`) and `.options`.
# `search_space.encode(space, genotype)` gives the tokens; `search_space.decode(space, tokens)` gives a genotype back.

# %% tags=["core"]
def one_change(space, genotype, rng):
    """A genotype of the space that differs from the given one in exactly one token.

    By hand: identity(0)+identity(0), in a space of one block and two operations, has 4 children, 1/4 each.
    """
    # your code, in place of the dots
    ...


build("search_space.one_change", one_change)
# hint("search_space.one_change")
# solution("search_space.one_change")

# %% [markdown] tags=["core"]
# The machine that calls it is `mutate`: one time in twenty it leaves the child as it is, as in the paper.
# Evolution in chapter 07 makes all its children with it.

# %% tags=["core"]
show(search_space.one_change, folded=True)
show(search_space.mutate)

# %% tags=["core", "slide"]
rng = random.Random(0)
before = search_space.encode(FULL, by_rule)
where = search_space.decisions(FULL)
for _ in range(6):
    after = search_space.encode(FULL, search_space.mutate(FULL, by_rule, rng))
    for d, x, y in zip(where, before, after, strict=True):
        if x != y:
            change = f"{d.options[x]} -> {d.options[y]}"
            print(f"{d.cell} cell, block {d.block}, {d.what}: {change}")

# %% [markdown] tags=["core"]
# One small step changes one token of 50.
# How far away are you after many?
# Guess the height at which the curves level off.

# %% tags=["core", "slide"]
steps, walks = list(range(0, 201, 10)), {}
for seed in (0, 1, 2):
    rng, child, path = random.Random(seed), by_rule, []
    for _ in range(201):
        now = search_space.encode(FULL, child)
        path.append(sum(x != y for x, y in zip(before, now, strict=True)))
        child = search_space.mutate(FULL, child, rng)
    walks[f"walk {seed}"] = [path[s] for s in steps]
ends = ", ".join(str(w[-1]) for w in walks.values())
chance = sum(1 - 1 / len(d.options) for d in where)
says = f"200 mutations: {ends} of 50 tokens differ; by chance alone, {chance:.0f}."
plots.lines(steps, walks, x_label="mutations", y_label="tokens changed", says=says)

# %% [markdown] tags=["core"]
# Each walk ends about as far away as a random genotype is: some tokens agree by chance,
# half of the combinations for instance.
# Mutation alone has no direction.
# Selection is what gives it one, and that is chapter 07.

# %% [markdown] tags=["core", "slide"]
# ## What do the relatives share?
#
# NASNet-A was followed by cells from evolution, from a predictor, from shared weights and from gradients.
# Written as values they are easy to compare.
# Which operation would you expect to be in all of them?

# %% tags=["core", "slide"]
relatives = {
    "NASNet-A": search_space.NASNET_A,
    "AmoebaNet-A": search_space.AMOEBANET_A,
    "PNASNet-5": search_space.PNASNET_5,
    "ENAS": search_space.ENAS,
    "DARTS V2": search_space.DARTS_V2,
}
names = ["identity", "avg3", "conv1x7", "max3", "dilsep3", "sep3", "sep5", "sep7"]
table = []
for genotype in relatives.values():
    blocks = genotype.normal.blocks + genotype.reduction.blocks
    used = collections.Counter(pair.operation for block in blocks for pair in block[:2])
    table.append([used[name] for name in names])
columns = dict(zip(names, zip(*table, strict=True), strict=True))
shared = [name for name in names if all(columns[name])]
most = max(names, key=lambda name: sum(columns[name]))
says = (
    f"In all five: {', '.join(shared)}. Most used: {most}, {sum(columns[most])} times."
)
labels = {"x_label": "operation", "y_label": "cells of"}
plots.grid(table, columns=names, rows=list(relatives), says=says, **labels)

# %% [markdown] tags=["core"]
# NASNet's search had thirteen operations to choose from, PNASNet's 8, DARTS' 7, and that of ENAS 5.
# So do all choose the same few because these are best, or because there was little else to choose?
# Chapter 07 shows how to ask: put a blind draw beside every search.
#
# A space of cells is only one kind of search space.
# Here are some that you will meet in papers:
#
# | space | what the search decides | how many |
# |---|---|---|
# | [NAS][1], 2016 | every layer of a chain: its filters, and which layers it reads | 12,800 were trained |
# | [NASNet][2], 2017 | two cells of 5 blocks, 13 operations, 2 combinations | $1.5 \cdot 10^{32}$, our count |
# | [PNAS][3], 2017 | one cell of 5 blocks, 8 operations | $3.1 \cdot 10^{12}$, our count |
# | [AmoebaNet][4], 2018 | two cells of 5 blocks, 8 operations | $9.9 \cdot 10^{24}$, our count |
# | [DARTS][5], 2018 | two cells of 4 blocks, 7 operations | about $10^{18}$ sequences, $10^9$ for one cell |
# | [MnasNet][6], 2018 | for each stage of a chain: layer, kernel, width, depth, and more | $432^5$, about $10^{13}$ |
# | [NAS-Bench-101][7], 2019 | a graph of at most 7 nodes and 9 edges, 3 operations | 423,624, all trained |
# | [NAS-Bench-201][8], 2020 | one of 5 operations on each of 6 edges | $5^6 = 15{,}625$, all trained |
# | `SMALL`, this course | one cell of 2 blocks, 3 operations | 735, all trained |
#
# [1]: https://arxiv.org/abs/1611.01578
# [2]: https://arxiv.org/abs/1707.07012
# [3]: https://arxiv.org/abs/1712.00559
# [4]: https://arxiv.org/abs/1802.01548
# [5]: https://arxiv.org/abs/1806.09055
# [6]: https://arxiv.org/abs/1807.11626
# [7]: https://arxiv.org/abs/1902.09635
# [8]: https://arxiv.org/abs/2001.00326
#
# NAS-Bench-101, NAS-Bench-201 and ours are small for a reason: somebody trained every cell in them.
#
# Equality of values also finds differences between copies.
# The DARTS repository, which compares with AmoebaNet-A, has this list of its normal cell;
# we only renumbered the inputs.
# Is it the cell that AmoebaNet's authors released?

# %% tags=["core", "nbval-check-output"]
copied = read(
    "avg3(1)+max3(0) | sep3(1)+sep5(2) | sep3(1)+avg3(3)"
    " | sep3(0)+identity(0) | identity(1)+avg3(0) -> 4 5 6"
)
released = search_space.AMOEBANET_A.normal
print("one cell:", search_space.same(copied, released))
for one in (copied, released):
    print(sorted(p.operation for block in one.blocks for p in block[:2]), one.output)

# %% [markdown] tags=["core"]
# The same ten operations, another wiring.
# Early versions of the AmoebaNet paper drew the cell in another way than the code builds it;
# an author called that a drawing mistake (the first case below).
# Since then more than one AmoebaNet-A is in use, and every table that names it should say which.

# %% [markdown] tags=["core", "slide"]
# ## Which cell would you build?
#
# The editor holds one cell of `SMALL`.
# Each slider is one decision.
# The figure says the cell's text, its place among the 735, and in how many ways it can be written.
# It starts at a cell that can be written in eight ways, the one that this course will find in chapter 07.
# Can you find a cell that can be written in one way only?

# %% jupyter={"source_hidden": true} tags=["core", "slide"]
# Draws the cell that the sliders describe, with its number and its price.
place = {c: i for i, c in enumerate(search_space.enumerate_cells(SMALL), start=1)}


def price(cell):
    with torch.device("meta"):
        built, x = cells.NASNetCell(cell, 8, 8, 8), torch.zeros(1, 8, 12, 12)
    macs = profiling.macs(built, x, x)
    return f"{profiling.parameters(built):,} parameters, {macs:,} multiply-adds"


def edit(**chosen):
    v = list(chosen.values())
    pairs = [zip(v[i : i + 2], v[i + 2 : i + 4], strict=True) for i in (0, 4)]
    cell = search_space.Cell([(*two, "add") for two in pairs])
    form = search_space.canonical(cell)
    written = f"{ways[form]} way{'s' * (ways[form] > 1)}"
    says = f"{cell}: cell {place[form]} of 735, written in {written}; "
    return plots.graph(*search_space.graph(cell), says=f"{says}{price(cell)}.")


open_decisions = [d for d in search_space.decisions(SMALL) if len(d.options) > 1]
knobs = {f"{d.what} {d.block}".replace(" ", "_"): d.options for d in open_decisions}
first = search_space.encode(SMALL, search_space.FOUND)
first = [token for token, d in zip(first, search_space.decisions(SMALL), strict=True) if len(d.options) > 1]
widgets.sliders(edit, start=dict(zip(knobs, first, strict=True)), **knobs)

# %% [markdown] tags=["core"]
# The price is that of one normal cell with 8 filters on 12x12 pixels.
# Chapter 06 adds the measured accuracy.
# How the parameters come about: exercise 04.6.

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **The figure and the code differ.** tensorflow/tpu#312: the AmoebaNet-A of the paper's figure is not the one in the
#   code.
#   An author answers that the drawing was wrong, and that a later version of the paper corrects it.
#   Cells should be published as values.
# - **A flag read in two ways.** tensorflow/tpu#130: `used_hiddenstates` marks states that are *not* concatenated,
#   and a reader counts four zeros where the drawing has three outputs.
#   Our cells name the output.
# - **A cell is not a chain.**
#   Cadene/pretrained-models.pytorch#20: taking NASNet's `children()` one after the other does not give the network,
#   since every cell reads two inputs.
# - **State 0 is a convention.**
#   DARTS and ENAS call $h_{i-1}$ state 0, the NASNet release and this course call it state 1.
#   Copy the lists without renaming, and every cell still runs.
# - **Libraries that no longer install.** automl/NASLib#138 and #140, automl/nasbench301#9, microsoft/nni#5537.
#   It is why this space is a few hundred lines of plain Python.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - What is there to be found: the inside of a cell, while people make the stack around it.
#   How much of it: 735 cells in our small space, $1.2 \cdot 10^{16}$ for each cell of the paper's.
# - A cell is a value: blocks of two (input, operation) pairs, a combination, and an output.
#   It is checked where it is made.
# - A controller names it with 5 tokens a block; the paper's space takes 50.
# - $\big((B+1)!\big)^2 O^{2B} C^B$ sequences write far fewer cells: swaps and renumberings do not count.
#   `SMALL` has 735 cells in 2,916 sequences, one cell of `FULL` has 12,188,092,317,750,882.
# - The canonical form writes each cell in one way.
#   Without it a search cannot know what it has seen.
# - Drawing tokens evenly does not draw cells evenly.
# - A mutation changes one token: a kind, a place, another option.
# - The released NASNet-A outputs more than the paper's rule gives, and its published sizes depend on it.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 04.3 · Predict · one_block · 5 min · ●○○ · 1 point
#
# How many distinct cells have exactly one block, with the paper's 13 operations and the choice to add or to
# concatenate?
# *Distinct*: genotypes that differ by a swap of the two pairs only are one cell.
# The block has two inputs to choose from.
# Use paper first.
#
# <details><summary>Answer</summary>
#
# A pair is one of $2 \cdot 13 = 26$.
# Two of them without order, the same one twice allowed: $26 \cdot 27 / 2 = 351$.
# Two combinations: 702.
# It is Eq. 4.4 with $O = 13$ and $C = 2$.
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("search_space.one_block", answer)
# hint("search_space.one_block")
# solution("search_space.one_block")

# %% [markdown] tags=["core"]
# ### 04.4 · Measure · missed · 10 min · ●●○ · 2 points
#
# Draw 735 genotypes of `SMALL` with `search_space.sample` and `random.Random(0)`, as many as there are cells.
# How many of the 735 distinct cells never came up?
# *Distinct*: genotypes with one canonical form (`search_space.canonical`) are one cell.
# Compare with the figure above.

# %% tags=["core"]
rng = random.Random(0)
drawn = [search_space.sample(SMALL, rng).normal for _ in range(5)]  # change me
print(len(drawn), "drawn")

answer = ...  # the number of cells that never came up
check("search_space.missed", answer)
# hint("search_space.missed")
# solution("search_space.missed")

# %% [markdown] tags=["core"]
# ### 04.5 · Build · depth · 15 min · ●●○ · 3 points
#
# Deep cells are slow, since their blocks wait for each other.
# Write `depth(blocks)`: the most operations on a way from one of the two inputs to the output of the cell.
# `blocks` is a tuple of blocks, each two pairs, `((state, operation), (state, operation))`;
# how a block combines them does not matter here, so it is left out.
# States 0 and 1 are the inputs; the first block makes state 2, the next state 3, and so on.
# An identity counts as an operation.
# The output is what no block reads.
# NASNet-A's normal cell has depth 1.
# Its reduction cell has depth 2.


# %% tags=["core"]
def depth(blocks):
    """The most operations on a way from an input to the output, a whole number.

    By hand: (((0, "sep3"), (1, "max3")), ((2, "max3"), (0, "max3"))) has depth 2.
    """
    # your code, in place of the dots
    ...


check("search_space.depth", depth)
# hint("search_space.depth")
# solution("search_space.depth")

# %% [markdown] tags=["core"]
# ### 04.6 · Build · cell_weights · 15 min · ●●○ · 3 points
#
# What does a normal cell cost before it is built?
# Write `cell_weights(blocks, filters)`.
# All states have `filters` channels.
# `sep3`, `sep5` and `sep7` are *depthwise, 1x1, batch norm*, and that **twice**, without biases;
# a batch norm learns two numbers a channel.
# Identity and pools learn nothing.
# By hand: `sep5(0)+sep3(1)` at 32 filters has 6,528 weights.
# (The calibration of the two inputs comes on top; chapter 05.)


# %% tags=["core"]
def cell_weights(blocks, filters):
    """How many numbers training finds inside a normal cell, a whole number.

    By hand: cell_weights((((0, "sep5"), (1, "sep3")),), 32) is 6,528.
    """
    # your code, in place of the dots
    ...


check("search_space.cell_weights", cell_weights)
# hint("search_space.cell_weights")
# solution("search_space.cell_weights")

# %% [markdown] tags=["optional"]
# ### 04.7 · Further · 90 min · ●●● · 0 points
#
# [DARTS](https://arxiv.org/abs/1806.09055) has another space: four blocks, each with two *different* inputs,
# seven operations, all blocks in the output.
# Count its distinct cells exactly.
# Which line of `enumerate_cells` changes, and which case of Eq. 4.5 can no longer occur?
# The paper says $10^9$ for one cell before symmetries are removed.
# Check that first.

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("search_space")

# %% [markdown] tags=["core"]
# ## Where next
#
# Chapter 05 turns any of these values into a network that runs, with the published parameter counts to the last digit.
# Chapter 06 trains all 735 cells of `SMALL`, so that from chapter 07 on a search of 200 cells takes a second.

# %% [markdown] tags=["core"]
# ## References
#
# - Zoph, Vasudevan, Shlens, Le, [Learning Transferable Architectures for Scalable Image
#   Recognition](https://arxiv.org/abs/1707.07012), 2017.
#   The space and NASNet-A.
# - Real, Aggarwal, Huang, Le, [Regularized Evolution for Image Classifier Architecture
#   Search](https://arxiv.org/abs/1802.01548), 2018.
#   Mutations and AmoebaNet-A.
# - Liu and others, [Progressive Neural Architecture Search](https://arxiv.org/abs/1712.00559), 2017.
#   The count 136 for one block.
# - Pham and others, [Efficient Neural Architecture Search via Parameter Sharing](https://arxiv.org/abs/1802.03268),
#   2018.
# - Liu, Simonyan, Yang, [DARTS: Differentiable Architecture Search](https://arxiv.org/abs/1806.09055), 2018.
