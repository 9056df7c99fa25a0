# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 05 · NASNet: from genotype to network
#
# **Question. A cell is two lines of text.
# What has to be decided before it is a network with 5,289,978 parameters?**
#
# After this chapter you can
#
# 1. run a cell from its genotype: blocks, states, output (exercise 05.1)
# 2. say how many channels a stack of cells ends with (exercise 05.2)
# 3. halve a picture, and say which pixels were looked at (exercise 05.3)
# 4. pad and average as the released network does, and as one of its ports does not (exercise 05.4)
# 5. find the cells of a stack that nobody reads (exercise 05.5)
#
# | study | about 95 min (estimate) |
# |---|---|
# | run | <!-- run -->0.6 min (33 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->716 MB (measured)<!-- /peak --> |
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
import random
import time

import torch

from lib.basics import data, profiling, training
from lib.book import plots, widgets
from lib.book.notebook import build, check, hint, quiz, setup, show, solution, table
from lib.nas import cells, nasnet, search_space

device = setup("05_nasnet", seed=0)

# %% [markdown] tags=["core"]
# Chapter 04 left us with cells as values.
# `sep5(0)+sep3(1)` says: a separable 5x5 convolution of state 0, plus a separable 3x3 convolution of state 1.
# It does not say with how many channels, what happens if the two inputs differ in size, where the padding goes,
# or what stands before the first cell.
#
# All that is the same for every cell of the space, so the search never touches it.
# It has to be decided once, by people.
# This chapter decides it from the top down: first the stack, then one cell, then each piece of a cell,
# until the numbers are those of the released networks.
# Parts whose heading ends with *(deep)* can wait.
#
# Why should anyone care about this network?
# This is what its authors reached with it in 2017 ([the paper][1], its tables):
#
# | task | NASNet-A | beside it |
# |---|---|---|
# | CIFAR-10, the largest, with *cutout* | 2.40 % error | 2.56 %, the best published |
# | ImageNet, large | 82.7 % top-1 | 81.5 %, the best published network made by people |
# | ImageNet, mobile | 74.0 % top-1 | 70.9 %, the best of that size |
# | COCO, as a Faster R-CNN's backbone | 43.1 AP | the best published had 4 points less |
#
# (*Cutout* covers a square of each training picture.)
# The large network takes 23.8 billion multiply-adds, the one of 81.5 % takes 32.0 billion.
# SENet, not published when the table was made, had 82.7 % too, with 42.3 billion.
# The cells were found on CIFAR-10, on pictures of 32x32 pixels, and then used for all of these.
# Hence the *transferable* in the title of the paper.
# The search took 500 GPUs for four days, by the paper's text (450 GPUs, by its appendix).
#
# [1]: https://arxiv.org/abs/1707.07012

# %% [markdown] tags=["core", "slide"]
# ## What does the whole network look like?
#
# Stack $N$ normal cells, then a reduction cell, $N$ normal cells, another reduction, $N$ normal cells.
# At each reduction the side is halved and the number of channels $F$, the *filters* of a cell, is doubled.
# Each cell reads the two states before it.
#
# ImageNet's pictures are large, so a *stem* comes first: a convolution with stride 2,
# then two reduction cells with $F/4$ and $F/2$ filters.
# The mobile network has $N = 4$ and $F = 44$, for pictures of 224x224.
# How many cells is that, and how large are the maps of the last one?

# %% tags=["core", "slide"]
config = nasnet.CONFIGS["mobile"]
with torch.device("meta"):  # shapes and counts only: no memory, no arithmetic
    mobile = nasnet.nasnet_a("mobile").eval()
    images = torch.zeros(1, 3, config.image_size, config.image_size)
sizes = []
for part in [mobile.stem, *mobile.cells]:
    part.register_forward_hook(lambda m, i, y: sizes.append((y.shape[3], y.shape[1])))
mobile(images)
sides, channels = zip(*sizes, strict=True)
plots.stack(mobile.slots, sides=sides, title="NASNet-A mobile, from below")

# %% [markdown] tags=["core"]
# Sixteen cells: 12 normal ones, and four reductions, two of them in the stem.
# From 224 pixels a side only 7 are left.
# Let us follow one picture upwards, in numbers.
# State 0 is what the convolution of the stem gives, and each row below it adds one state.
# The first cell has only one state to read, so it reads it twice.

# %% tags=["core", "slide", "nbval-check-output"]
rows = [("stem", 32, "images", *sizes[0])]
for i, slot in enumerate(mobile.slots):
    reads = f"{i}, {i if slot.previous is None else slot.previous}"
    rows.append((slot.kind, slot.filters, reads, *sizes[i + 1]))
table(("cell", "F", "reads states", "side", "channels"), rows)

# %% [markdown] tags=["core"]
# The channels are more than $F$: a normal cell gives $6F$, a reduction cell $4F$.
# To see why, we have to look into a cell.

# %% [markdown] tags=["core", "slide"]
# ## What does one block compute?
#
# Now one cell.
# It is given $x_i$, the output of the cell below, and $x_{i-1}$, that of the one before.
# Take one channel and pictures of 2x2:
#
# $$ x_i = \begin{pmatrix} -1 & 2 \\ 0 & 1 \end{pmatrix}, \qquad x_{i-1} = \begin{pmatrix} 4 & 0 \\
#    1 & -1 \end{pmatrix} $$
#
# The cell has one block, `max3(0)+identity(1)`.
# What comes out?
# One thing first: $x_i$ may have any number of channels, and the cell works with $F$.
# So it begins with a [**calibration**](GLOSSARY.md#calibration): ReLU, 1x1 convolution to $F$ channels, batch norm.
# Equations write the batch norm as a function, $N(\dots)$; it has nothing to do with the number of cells, $N$.
# Our 1x1 weight is 1, so only the ReLU shows: $h_0 = (0, 2; 0, 1)$.
# Every 3x3 window sees the whole of such a small picture, so the maximum is 2 everywhere.
# Add $x_{i-1}$: $(6, 2; 3, 1)$.
#
# $$ h_0 = N\big(W_0 * \max(0, x_i)\big), \qquad h_1 = N\big(W_1 * \max(0, x_{i-1})\big), \qquad
#    h_{k+2} = f_k(h_{a_k}) + g_k(h_{b_k}) \tag{5.1} $$
#
# $k$ is the number of the block, $W_0$ and $W_1$ are the 1x1 convolutions.
# If $x_{i-1}$ has $F$ channels already, and the right size, it passes as it is: $h_1 = x_{i-1}$.
# That is why its $-1$ is still there.

# %% [markdown] tags=["core"]
# ### 05.1 · Build · cell_forward · 15 min · ●●○ · 4 points
#
# This is the heart of every network of this chapter: the forward of a cell, read from its genotype.
# Write `cell_forward(cell, current, previous, operations)`: the list of its output states.
# `cell.blocks` are triples `(left, right, combination)`; `left.input` and `right.input` are numbers of states.
# `current` is state 0 and `previous` is state 1, both calibrated already.
# `operations` are functions of a tensor, two a block, the left one first; call each once, in this order.
# `combination` is `"add"`, or else the channels are joined, `torch.cat` with `dim=1`, the left ones first.
# `cell.output` are the numbers of the states that leave the cell.

# %% tags=["core"]
def cell_forward(cell, current, previous, operations):
    """The output states of a cell, each (B, C, H, W), in the order of cell.output.

    By hand: max3(0)+identity(1) of (2, 5) and (1, 3) is one state, (5 + 1, 5 + 3).
    """
    # your code, in place of the dots
    ...


build("nasnet.cell_forward", cell_forward)
# hint("nasnet.cell_forward")
# solution("nasnet.cell_forward")

# %% [markdown] tags=["core"]
# The machine around it calibrates the two inputs, calls your function, and joins the output states.
# An operation in it does more than its layers: a convolution takes the ReLU of its state,
# and a path may be dropped in training (below).
# Your function needs to know nothing of that.

# %% tags=["core"]
show(cells.cell_forward, folded=True)
show(cells.NASNetCell)

# %% tags=["core", "slide"]
read = search_space.cell_from_text
one_block = read("max3(0)+identity(1)")
cell = nasnet.NASNetCell(one_block, filters=1, current=1, previous=1).eval()
torch.nn.init.ones_(cell.current.conv.weight)
x = torch.tensor([[[[-1.0, 2], [0, 1]]]])
x_before = torch.tensor([[[[4.0, 0], [1, -1]]]])
with torch.no_grad():
    out = cell(x, x_before)[0, 0]
by_hand = torch.tensor([[6.0, 2], [3, 1]])
assert torch.allclose(out, by_hand, atol=1e-4)  # the norm's eps makes it a little smaller
out

# %% tags=["core"]
matrices = {"current": x[0, 0], "previous": x_before[0, 0], "output": out}
says = f"The block adds {x.max():.0f}, the largest current pixel, to every pixel of the previous input."
plots.grid(matrices, says=says)

# %% [markdown] tags=["core"]
# The ReLU stands *before* the convolution, here and everywhere in NASNet: ReLU, convolution, batch norm.
# Several convolutions may read one state, and each would begin with the same ReLU.
# Our cell computes it once and hands it to all of them.
# Pools, and identities that change nothing, take the state as it is: hence the -1 above.
#
# **Break it.**
# Forget who comes first: give the cell its two inputs in the wrong order.

# %% tags=["core", "nbval-check-output"]
with torch.no_grad():
    print(cell(x_before, x)[0, 0].round().int().tolist())

# %% [markdown] tags=["core"]
# Nothing complains.
# Two inputs of one shape can be swapped without an error, and the network would even train.
# We will meet this again, at the scale of the whole stack.

# %% [markdown] tags=["core", "slide"]
# ## What does a separable convolution cost?
#
# A dense 3x3 convolution from 4 to 4 channels has $9 \cdot 4 \cdot 4 = 144$ weights.
# A separable one filters each channel alone, $9 \cdot 4 = 36$, and then mixes the channels with a 1x1,
# $4 \cdot 4 = 16$.
# NASNet does that **twice**: $2 \cdot (36 + 16) = 104$.
# For $C$ channels in, $F$ out, and a kernel of side $k$, the number of weights $n$ is
#
# $$ n = k^2 C + C F + k^2 F + F^2 \tag{5.2} $$
#
# The number of channels changes in the first half, and so does the size, if there is a stride.

# %% tags=["core"]
show(cells.SeparableTwice)

# %% tags=["core", "slide", "nbval-check-output"]
twice = cells.SeparableTwice(4, 4, 3)
convs = [p.numel() for p in twice.parameters() if p.dim() == 4]
assert convs == [36, 16, 36, 16]  # by hand, above
print(sum(convs), "weights, where a dense 3x3 has", 9 * 4 * 4)

# %% [markdown] tags=["core"]
# Cheaper, although it is done twice.
# And it sees more.
# How far?
# Put a single bright pixel into the middle, set all weights to one, and look where it arrives.

# %% tags=["core", "slide"]
once, twice = cells.SameConv(1, 1, 3, groups=1), cells.SeparableTwice(1, 1, 3).eval()
spark = torch.zeros(1, 1, 7, 7)
spark[0, 0, 3, 3] = 1
with torch.no_grad():
    for weight in [*once.parameters(), *twice.parameters()]:
        if weight.dim() == 4:
            weight.fill_(1.0)
    reach = {"one 3x3": once(spark)[0, 0], "sep3, twice": twice(spark)[0, 0].round()}
wide = [int((m.sum(0) > 0).sum()) for m in reach.values()]
plots.grid(reach, says=f"One 3x3 reaches {wide[0]} pixels across, a sep3 {wide[1]}.")

# %% [markdown] tags=["core"]
# A `sep3` sees as far as a dense 5x5, a `sep5` 9 pixels, a `sep7` 13.
# At 44 channels, the width of NASNet-A mobile, the prices are these:

# %% tags=["core", "slide"]
names = ("conv1", "conv3", "conv1x7", "sep3", "sep5", "sep7")
price = {n: profiling.parameters(cells.operation(n, 44, 44)) for n in names}
says = f"A sep7 costs {price['sep7'] / price['conv3']:.0%} of a plain 3x3 convolution."
plots.bars(price, y_label="parameters at 44 channels", says=says)

# %% [markdown] tags=["core", "slide"]
# ## Where does the padding go?
#
# A side of 4, a 3x3 window, stride 2.
# We want $\lceil 4/2 \rceil = 2$ outputs.
# Two windows cover $2 \cdot (2 - 1) + 3 = 5$ pixels, one more than there are.
# On which side do we add it?
# *Before* means above and at the left, *behind* (or after) means below and at the right.
# TensorFlow, where NASNet was made, says: behind.
# For a side $s$, a kernel $k$ and a stride $t$
#
# $$ p = \max\big(0, (\lceil s/t \rceil - 1)\, t + k - s\big), \qquad \text{before: } \lfloor p/2 \rfloor, \quad
#    \text{after: } \lceil p/2 \rceil \tag{5.3} $$
#
# By hand: $p = 1$, so 0 before and 1 after.
# With a side of 5 it is $p = 2$, one on each side.
# So with stride 2 the padding depends on the *picture*, and PyTorch's `padding=1` agrees for odd sides only.
# With stride 1 nothing depends on the picture.
# For our side of 4: $p = (4 - 1) \cdot 1 + 3 - 4 = 2$, one on each side, as `padding=1` does it;
# in general $p = k - 1$, and PyTorch needs no help.

# %% tags=["core"]
show(cells.same_padding)

# %% tags=["core", "slide", "nbval-check-output"]
assert cells.same_padding(4, 3, 2) == (0, 1)  # by hand, above
assert cells.same_padding(5, 3, 2) == (1, 1)
assert cells.same_padding(4, 3, 1) == (1, 1)
for side in (224, 112, 111, 56, 28, 7):
    print(side, cells.same_padding(side, 3, 2), cells.same_padding(side, 5, 2))

# %% [markdown] tags=["core"]
# What does the padding do to a pool?
# Average the numbers 0 to 15, row by row, in a 4x4 picture.
# The last window holds 10, 11, 14 and 15 and five pixels of padding.
# Their mean is 12.5, if the padding does not count.
# If it does, it is $50 / 9 = 5.6$: a dark edge on the right and below.

# %% tags=["core", "slide"]
picture = torch.arange(16.0).reshape(1, 1, 4, 4)
right, counting = cells.Pool("avg", 3, 2), cells.Pool("avg", 3, 2)
counting.divisor = 9
both = {"not counted": right(picture)[0, 0], "counted": counting(picture)[0, 0]}
assert both["not counted"].tolist() == [[5, 6.5], [11, 12.5]]  # by hand
low = both["counted"][1, 1].item()
plots.grid(both, says=f"Bottom right: 12.5, or {low:.1f} where padding counts.")

# %% [markdown] tags=["deep"]
# **Does an edge matter? (deep)**
# How much does the padding change in a whole network?
# Here is NASNet-A large, made small: 24 filters and $N = 1$.
# It answers twice, with the same random weights: padding first counted in the averages, then left out.

# %% tags=["deep"]
narrow = dataclasses.replace(nasnet.CONFIGS["large"], filters=24, cells=1)
model = nasnet.NASNet(search_space.NASNET_A, narrow, num_classes=10).eval()
noise = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    one = model(noise)
    for part in model.modules():
        if isinstance(part, cells.Pool):
            part.divisor = None
    other = model(noise)
f"{(one - other).abs().max() / one.abs().max():.1%} of the largest logit"

# %% [markdown] tags=["deep"]
# This difference exists in practice.
# Of the two well-known ports of NASNet-A large, timm counts the padding in strided averages,
# and pretrainedmodels does not, as TensorFlow does not.
# On the same weights their answers differ.
# Our `CONFIGS["large"]` follows timm, because timm's is the one that is maintained;
# the field `average_counts_padding` is the switch.
# The tests compare each setting with its port.

# %% [markdown] tags=["core", "slide"]
# ## How do you halve a picture without losing it?
#
# After a reduction, $x_i$ has half the side of $x_{i-1}$.
# To be added they must agree.
# The cheap way is a 1x1 convolution with stride 2.
# Which pixels of
#
# $$ \begin{pmatrix} 0 & 1 & 2 & 3 \\ 4 & 5 & 6 & 7 \\ 8 & 9 & 10 & 11 \\ 12 & 13 & 14 & 15 \end{pmatrix} $$
#
# does it look at?
# 0, 2, 8 and 10.
# Three of four pixels are never seen.
# A [**factorized reduction**](GLOSSARY.md#factorized-reduction) has two such convolutions with $F/2$ filters each; the
# second is shifted by one pixel,
# down and right, and looks at 5, 7, 13 and 15.
# With $x[i, j]$ the pixel in row $i$, column $j$,
#
# $$ y[i, j] = N\big(W_1\, x[2i, 2j] \;\Vert\; W_2\, x[2i+1, 2j+1]\big) \tag{5.4} $$
#
# where $\Vert$ puts channels behind each other.
# Past the edge of an odd side stands a zero.

# %% tags=["core"]
show(cells.FactorizedReduction)

# %% tags=["core", "slide", "nbval-check-output"]
halve = cells.FactorizedReduction(1, 2).eval()
for conv in (halve.even, halve.odd):
    torch.nn.init.ones_(conv.weight)
with torch.no_grad():
    small = halve(picture)[0].round().int()
assert small[0].tolist() == [[0, 2], [8, 10]]  # by hand, above
assert small[1].tolist() == [[5, 7], [13, 15]]
small.tolist()

# %% [markdown] tags=["core"]
# **Break it.**
# Take the shift away.
# To see what is looked at, ask the gradient: where it is zero, nobody looked.


# %% tags=["core", "slide"]
def looked_at(module):
    probe = torch.ones(1, 1, 8, 8, requires_grad=True)
    module(probe).sum().backward()
    return (probe.grad[0, 0] != 0).float()


strided = cells.ConvNorm(1, 2, kernel=1, stride=2).eval()
maps = {"with the shift": looked_at(halve), "without": looked_at(strided)}
shares = [m.mean().item() for m in maps.values()]
says = f"Looked at: {shares[0]:.0%} of the pixels with the shift, {shares[1]:.0%} without."
plots.grid(maps, says=says)

# %% [markdown] tags=["core"]
# Half of the pixels are still unseen, in the pattern of a chessboard.
# What the shift gains is that no whole row and no whole column is lost.

# %% [markdown] tags=["core", "slide"]
# ## How many channels come out, and who reads whom?
#
# Back to the stack.
# A cell concatenates its $n$ output states, $F$ channels each.
# Two reductions double $F$ twice, so the number of channels $C$ at the end is
#
# $$ C = n \cdot 4 F \tag{5.5} $$
#
# NASNet-A's normal cell has $n = 6$.
# With $F = 44$: $6 \cdot 4 \cdot 44 = 1056$.
# This is what the paper's "4 @ 1056" means: $N = 4$, and 1056 channels before the classifier.

# %% tags=["core"]
show(nasnet.plan)

# %% tags=["core", "slide", "nbval-check-output"]
assert mobile.classifier.in_features == 6 * 4 * 44  # by hand, above
print(config)

# %% [markdown] tags=["core"]
# Now to a difference in the wiring of the stack that nobody notices.
# A normal cell that follows a reduction reads the reduction as $x_i$.
# What is its $x_{i-1}$?
# There are two answers.
# The drawings show both, for a small stack; look at the cell above the lower reduction, "after", and at its arc.
#
# In the mobile network the arc comes from the state just below the reduction.

# %% tags=["core", "slide"]
short = [tuple(slot) for slot in nasnet.plan(nasnet.Config(cells=2, filters=8))]
short[3] = ("after", *short[3][1:])
says = f"Mobile: the cell after the reduction, cell 4, also reads the output of cell {short[3][2]}."
plots.stack(short, highlight=["after"], says=says)

# %% [markdown] tags=["core"]
# In the large network it comes from one state further down, the one that the reduction itself took as $x_{i-1}$.

# %% tags=["core", "slide"]
skips = nasnet.Config(cells=2, filters=8, skip_reduction_layer_input=True)
far = [tuple(slot) for slot in nasnet.plan(skips)]
far[3] = ("after", *far[3][1:])
says = f"Large: the cell after the reduction, cell 4, also reads the output of cell {far[3][2]}."
plots.stack(far, highlight=["after"], says=says)

# %% [markdown] tags=["core"]
# The flag is called `skip_reduction_layer_input` in the authors' code.
# Both versions have exactly the same weights.
#
# **Break it.**
# Load one network's weights into the other.

# %% tags=["core", "slide"]
slim = dataclasses.replace(config, filters=16, cells=2)
wired = [dataclasses.replace(slim, skip_reduction_layer_input=s) for s in (False, True)]
a, b = (nasnet.NASNet(search_space.NASNET_A, c, num_classes=10).eval() for c in wired)
b.load_state_dict(a.state_dict())  # every name and every shape fits
noise = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    one, other = a(noise), b(noise)
f"{(one - other).abs().max() / one.abs().max():.0%} of the largest logit"

# %% [markdown] tags=["core"]
# No key is missing, no shape is wrong, there is no parameter too many, and yet the answers are different.
# Parameter counts prove little about wiring.
# Comparing logits with another implementation, weights copied, is what proves it,
# and that is what this chapter's tests do.

# %% [markdown] tags=["core", "slide"]
# ## From fifty numbers to a network
#
# Move the slider: the tokens of the controller, the two cells they stand for, a small stack of them, and its price.
# The second slider takes other genotypes, drawn blindly from the paper's space.

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
FULL, A = search_space.FULL, search_space.NASNET_A
by_rule = [search_space.Cell(c.blocks) for c in (A.normal, A.reduction)]
genotypes = {"NASNet-A's blocks": search_space.Genotype(*by_rule)}
for seed in (0, 1, 2):
    genotypes[f"draw {seed}"] = search_space.sample(FULL, random.Random(seed))


# %% jupyter={"source_hidden": true} tags=["core", "catch-up"]
# Catch-up: draws the tokens, the stack and the price of a genotype.
def tokens_figure(genotype):
    tokens = search_space.encode(FULL, genotype)
    says = f"{len(tokens)} tokens, the first block is {tokens[:5]}."
    rows = [tokens[i : i + 5] for i in range(0, 50, 5)]
    return plots.grid(rows, x_label="decision", y_label="block", says=says)


def stack_figure(genotype):
    slots = nasnet.plan(nasnet.Config(cells=1, filters=8))
    says = f"{len(slots)} cells; each but the first reads the two states before it."
    return plots.stack(slots, says=says)


def price_figure(genotype):
    with torch.device("meta"):
        model = nasnet.network(genotype, cells=1, filters=8)
        cost = profiling.macs_by_module(model, torch.zeros(1, 3, 16, 16), depth=2)
    cost = {k.replace("cells.", "cell ").removesuffix(".0"): v / 1e6 for k, v in cost.items()}
    says = f"{profiling.parameters(model):,} parameters, {sum(cost.values()):.2f} million multiply-adds."
    return plots.bars(cost, y_label="million multiply-adds", says=says)


# %% jupyter={"source_hidden": true} tags=["core", "catch-up"]
# Catch-up: draws one cell, and lists the five steps of the slider.
def cell_figure(cell, name):
    says = f"{name}: {len(cell.blocks)} blocks, {len(cell.output)} output states."
    return plots.graph(*search_space.graph(cell), title=name, says=says)


steps = {
    "1 tokens": tokens_figure,
    "2 normal cell": lambda g: cell_figure(g.normal, "Normal cell"),
    "3 reduction cell": lambda g: cell_figure(g.reduction, "Reduction cell"),
    "4 stack": stack_figure,
    "5 price": price_figure,
}

# %% tags=["core", "slide"]
widgets.sliders(
    lambda step, genotype: steps[step](genotypes[genotype]),
    start={"step": list(steps).index("2 normal cell")},
    step=list(steps),
    genotype=list(genotypes),
)

# %% [markdown] tags=["core", "slide"]
# ## How does a network learn not to depend on one path?
#
# A cell has ten paths, one for each operation.
# [**Drop path**](GLOSSARY.md#drop-path) switches a path off, for one picture of the batch, with probability $1 - q$,
# and multiplies by $1/q$ if it is kept.
# Take $q = 0.5$ and four pictures whose path carries a 3.
# If pictures 1 and 3 are dropped, the path carries 0, 6, 0, 6.
# Its mean is still 3.
#
# $$ y = \frac{\lfloor q + u \rfloor}{q}\, x, \qquad u \sim \text{uniform}(0, 1) \tag{5.6} $$
#
# The paper found that a fixed $q$ does not help much; a $q$ that falls during training does.
# In the released code $q$ also falls with depth.
# Depth first: cell $c$ of $n$, counted from 0, ends at
#
# $$ q_c = 1 - \frac{c + 1}{n}\, (1 - q) \tag{5.7} $$
#
# and the paper's goes with time, where $s$ is the share of training that is done:
#
# $$ q_c(s) = 1 - s\, (1 - q_c) \tag{5.8} $$
#
# By hand, for the large network, $n = 22$ cells and $q = 0.7$: the last cell ends at 0.7,
# and halfway through training it is at $1 - 0.5 \cdot 0.3 = 0.85$.
# An identity is never dropped.

# %% tags=["core"]
show(cells.drop_path)
show(nasnet.path_keep)

# %% tags=["core", "slide", "nbval-check-output"]
assert abs(nasnet.path_keep(21, 22, 0.7) - 0.7) < 1e-12  # by hand, above
assert abs(nasnet.path_keep(21, 22, 0.7, progress=0.5) - 0.85) < 1e-12
threes = torch.full((8, 1, 1, 1), 3.0)
dropped = cells.drop_path(threes, 0.5, torch.Generator().manual_seed(0))
dropped.flatten().tolist()

# %% tags=["core", "slide"]
shares = (0.25, 0.5, 1.0)
keep = {f"{s:.0%} of training": [nasnet.path_keep(c, 22, 0.7, s) for c in range(22)] for s in shares}
ends = ", ".join(f"{v[-1]:.3g}" for v in keep.values())
says = f"The last of 22 cells keeps a path with probability {ends}."
plots.lines(range(22), keep, x_label="cell", y_label="probability to keep a path", says=says)

# %% [markdown] tags=["core"]
# **Break it.**
# Leave out the $1/q$.
# In training the paths carry less than in use, and every batch norm above has learned the wrong mean.
# Averaged over many pictures:

# %% tags=["core"]
many = torch.full((20000, 1, 1, 1), 3.0)
kept = cells.drop_path(many, 0.6, torch.Generator().manual_seed(1))
f"mean {kept.mean():.2f} with 1/q, {(0.6 * kept).mean():.2f} without; in use it is 3"

# %% [markdown] tags=["deep", "slide"]
# **A second classifier. (deep)**
# Deep stacks get a weak gradient at the bottom.
# So NASNet has an *auxiliary head* two thirds up, on the last state before the second reduction: average pool,
# two convolutions, a classifier of its own.
# Its loss counts 0.4.
# After training it is removed, and no published parameter count includes it.

# %% tags=["deep", "nbval-check-output"]
with torch.device("meta"):
    both = nasnet.nasnet_a("mobile", auxiliary=True)
    outputs = both(torch.zeros(2, 3, 224, 224))
print(len(outputs), "outputs in training,", profiling.parameters(both.aux), "parameters")

# %% [markdown] tags=["core", "slide"]
# ## Is it the published network?
#
# Four sizes of the paper, and of its released code, beside ours.
# Only the published numbers are typed in; all others are computed.

# %% tags=["core", "slide", "nbval-check-output"]
cifar = nasnet.CONFIGS["cifar"]
sizes = {
    "large, 6 @ 4032": (nasnet.CONFIGS["large"], 1000, 88.9, 23800),
    "mobile, 4 @ 1056": (nasnet.CONFIGS["mobile"], 1000, 5.3, 564),
    "CIFAR, 6 @ 768": (cifar, 10, 3.3, None),
    "CIFAR, 7 @ 2304": (
        dataclasses.replace(cifar, cells=7, filters=96, stem_filters=288), 10, 27.6, None,
    ),
}  # fmt: skip
rows = []
for name, (config, classes, millions, published) in sizes.items():
    with torch.device("meta"):
        model = nasnet.NASNet(search_space.NASNET_A, config, classes)
        images = torch.zeros(1, 3, config.image_size, config.image_size)
    n, statistics = profiling.parameters(model), 0
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            statistics += 2 * part.num_features
    macs = f"{profiling.macs(model, images) / 1e6:,.1f}"
    rows.append((name, millions, f"{n:,}", f"{n + statistics:,}", published or "-", macs))
head = ("network", "paper, M", "parameters", "with statistics", "paper, M mult-adds", "ours")
table(head, rows)

# %% [markdown] tags=["core"]
# **The gap in the first row.**
# 88.75 million is not 88.9 million.
# With the running means and variances of the batch norms, two numbers a channel which no gradient ever changes,
# it is 88,949,818, and that rounds to 88.9.
# For mobile both counts round to 5.3.
#
# **The gap in the last row.**
# It stays.
# The paper prints 27.6 million for 7 @ 2304, and the released cell gives more at that size.
# We do not know which cell was counted, so we do not try to reach this number.
#
# The multiply-adds agree with the paper to a tenth of a percent.

# %% [markdown] tags=["deep"]
# **Trained weights. (deep)**
# They exist, and `nasnet.load_official` reads them.
# Nothing is downloaded here, so this is where they are:
#
# - **large**: timm's release v0.1-weights, `nasnetalarge-dc4a7b8b.pth`; on the hub, `timm/nasnetalarge.tf_in1k`.
#   Licence: timm's configuration says Apache-2.0.
# - **mobile**: pretrainedmodels, `nasnetamobile-7e03cead.pth`.
#   Licence: pretrainedmodels is BSD-3-Clause; none was seen for the weights.
# - **both**: TensorFlow, `nasnet-a_large_04_10_2017.tar.gz` and `nasnet-a_mobile_04_10_2017.tar.gz`.
#   Licence: tensorflow/models is Apache-2.0.
#   Our loader does not read these.
#
# We had none of them when this was written: the loader is tested on these libraries' own networks with random weights.
# It copies all or nothing.
# Cut a file short, and it says what is missing:

# %% tags=["deep"]
mobile = nasnet.nasnet_a("mobile", num_classes=10)
theirs = nasnet.official_names(mobile)
published = {theirs[k]: v for k, v in mobile.state_dict().items() if k in theirs}
nasnet.load_official(mobile, published)  # complete: fine
cut = dict(list(published.items())[:500])
try:
    nasnet.load_official(mobile, cut)
except ValueError as error:
    print(error)

# %% [markdown] tags=["core", "slide"]
# ## What does a child of the search look like?
#
# The search did not train networks of 88 million parameters.
# It trained *children*: the same cells, few and narrow.
# The paper's has $N = 2$ and $F = 32$, for 20 epochs.
# How good can one with $N = 1$ and $F = 8$ get on the digits of chapter 01, in 240 steps of 64 pictures?
# By chance it is right one time in ten.
# The training takes about half a minute; a bar shows how far it is.

# %% tags=["core"]
QUICK = True  # False: ten times as long
budget = 240 if QUICK else 2400
train, validation = data.crops("train", 3000), data.crops("validation", 1000)
torch.manual_seed(0)
child = nasnet.network(search_space.NASNET_A, cells=1, filters=8)
begin = time.process_time()
history = training.fit(
    child, train, nasnet.loss_fn, steps=budget, batch_size=64, lr=0.1
)
spent = time.process_time() - begin

# %% tags=["core", "slide"]
score = training.accuracy(child, *validation)
own = training.accuracy(child, *(part[:1000] for part in train))
says = f"{budget} steps: {score:.0%} of the validation digits right, {own:.0%} of its training digits; chance is 10%."
plots.lines(range(1, budget + 1), {"loss": history.loss}, x_label="step", y_label="training loss", says=says)

# %% tags=["core"]
hour = 3600 / spent
print(f"{profiling.parameters(child):,} parameters, {spent:.0f} CPU-seconds")
print(f"{hour:,.0f} such children an hour; 20,000 of them: {20000 / hour:,.0f} hours")

# %% [markdown] tags=["core"]
# The child is right on nearly all of its own training digits, and on far fewer of the others.
# In 240 steps of 64 it has seen each of its 3,000 digits five times, and begins to remember them one by one:
# this is *overfitting* (chapter 02).
# So a search must judge a child by digits that it was not trained on.
#
# The last number printed is why chapter 06 trains every cell of a small space once, and keeps the results in a table.

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **A cell is not a chain.**
#   Cadene/pretrained-models.pytorch#20: someone takes the children of NASNet one after the other and gets an error.
#   A cell reads two states; the order in which its parts are listed says nothing.
# - **One class too many.**
#   Cadene/pretrained-models.pytorch#89: 1001 outputs, because TensorFlow's class 0 is the background.
#   Our loader refuses such a file and names the shape; build the model with `num_classes=1001` and drop the first
#   logit.
# - **No recipe.**
#   Cadene/pretrained-models.pytorch#93: the weights are there, the question how they were trained is asked.
#   The paper names RMSProp, label smoothing, drop path, the auxiliary loss and an average of the weights;
#   a network trained without them is another network.
# - **Momentum the other way round.** pytorch/vision#8250: TensorFlow's decay 0.99 is PyTorch's momentum 0.01.
#   torchvision's MaxViT had 0.99, so its statistics were those of the last batch.
#   Ours are 0.0003 for TensorFlow's 0.9997.
# - **A counter that cannot see.** open-mmlab/mmpretrain#725: a convolution that pads by itself was no known layer,
#   so its multiply-adds were left out.
#   Ours are counted where the arithmetic happens, below the layer.
# - **Asked for, and never added.** pytorch/vision#321 and #454 ask for NASNet in torchvision.
#   The mobile port was never merged.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - The genotype decides what is inside two cells.
#   People decided the rest, and this chapter did: the stem, $N$ and $F$, who reads whom, the calibration,
#   the order inside an operation, the padding, how to halve, and what is dropped in training.
# - A cell calibrates its two inputs to $F$ channels, runs its blocks, and concatenates its output states.
# - Order is ReLU, convolution, batch norm.
#   A separable convolution is applied twice, and sees nearly twice as far.
# - With stride 2 the padding depends on the side of the picture, and an odd pixel of it goes behind.
#   Averages leave the padding out, or do not, depending on the port.
# - A factorized reduction looks at half of the pixels; without its shift, at a quarter.
# - $N$ @ $C$ is a stack of $3N$ normal cells with $C = n \cdot 4F$ channels at the end.
# - The wiring can be wrong although the parameters are the same.
#   Compare logits.
# - Drop path grows with depth and with time, and never drops an identity.

# %% [markdown] tags=["core"]
# ## Exercises
#
# ### 05.2 · Predict · last_channels · 5 min · ●○○ · 1 point
#
# AmoebaNet-A's cells, in the mobile stack: $N = 4$, $F = 44$.
# How many channels reach the classifier?
# Look at `search_space.AMOEBANET_A`, but build nothing before you have answered.
#
# <details><summary>Answer</summary>
#
# Its normal cell outputs states 1, 3, 4 and 6: four states.
# Two reductions double F twice.
# $4 \cdot 4 \cdot 44 = 704$.
#
# </details>

# %% tags=["core"]
answer = ...  # your number

check("nasnet.last_channels", answer)
# hint("nasnet.last_channels")
# solution("nasnet.last_channels")

# %% [markdown] tags=["core"]
# ### 05.3 · Measure · unseen · 10 min · ●●○ · 2 points
#
# Seven is odd.
# How many of the 49 pixels of a 7x7 picture does a factorized reduction never look at?
# Change `looked_at` so that it takes the side, and count.

# %% tags=["core"]
answer = ...  # your number

check("nasnet.unseen", answer)
# hint("nasnet.unseen")
# solution("nasnet.unseen")

# %% [markdown] tags=["core"]
# ### 05.4 · Build · same_average · 20 min · ●●○ · 3 points
#
# Write the average pool of the released network: `same_average(x, kernel, stride)` for pictures `x` of shape (B, C,
# side, side), with the padding of Eq. 5.3, which does not count.
# A kernel is never smaller than its stride.
# Neither `cells.Pool` nor `ceil_mode` is needed; `torch.nn.functional.pad` and a plain `avg_pool2d` are enough.
# By hand: the corner of our 4x4 picture gives 12.5.


# %% tags=["core"]
def same_average(x, kernel, stride):
    """Averages of the windows of x (B, C, side, side): (B, C, side / stride rounded up, the same).

    By hand: torch.arange(16.0).reshape(1, 1, 4, 4), kernel 3, stride 2, gives 5, 6.5 and 11, 12.5.
    """
    # your code, in place of the dots
    ...


check("nasnet.same_average", same_average)
# hint("nasnet.same_average")
# solution("nasnet.same_average")

# %% [markdown] tags=["core"]
# ### 05.5 · Build · alive · 15 min · ●●○ · 3 points
#
# Nothing forces a cell to read both of its inputs.
# Write `alive(reads, cells)` for a stack of `cells` cells, with the numbers 0 (lowest) to `cells - 1` (last).
# Every cell reads the same states, and `reads` is their list:
# for cell $i$, state 0 is the output of cell $i - 1$, and state 1 the output of cell $i - 2$.
# (So cells are counted upwards, and the two states that a cell reads downwards from it.)
# Below cell 0 is the stem, which is no cell.
# Return the sorted list of cells on which the output of the last one depends, the last one among them.
# By hand: with `reads = [1]` and five cells, it is `[0, 2, 4]`.
# The other two get no gradient, ever.


# %% tags=["core"]
def alive(reads, cells):
    """The sorted list of the cells that the last one needs, itself among them.

    By hand: alive([1], 5) is [0, 2, 4].
    """
    # your code, in place of the dots
    ...


check("nasnet.alive", alive)
# hint("nasnet.alive")
# solution("nasnet.alive")

# %% [markdown] tags=["optional"]
# ### 05.6 · Further · 120 min · ●●● · 0 points
#
# [PNASNet-5](https://arxiv.org/abs/1712.00559) has one cell for both kinds,
# and stands in `search_space` as `PNASNET_5`.
# Its paper prints 86.1 million parameters and 25.0 billion multiply-adds for the large network,
# 4 cells and 216 filters, at 331x331.
# How near does `nasnet.network` come with that cell?
# Find out what its stack does differently from NASNet's, and change `plan`.

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("nasnet")

# %% [markdown] tags=["core"]
# ## Where next
#
# Any cell can be built and trained now.
# Chapter 06 takes the 735 cells of `SMALL` and trains them all,
# so that the searches of chapters 07 to 09 can ask a table instead of training.

# %% [markdown] tags=["core"]
# ## References
#
# - Zoph, Vasudevan, Shlens, Le, [Learning Transferable Architectures for Scalable Image
#   Recognition](https://arxiv.org/abs/1707.07012), 2017.
#   The cells, the stack, scheduled drop path.
# - Larsson, Maire, Shakhnarovich, [FractalNet](https://arxiv.org/abs/1605.07648), 2016.
#   Drop path.
# - Szegedy and others, [Going Deeper with Convolutions](https://arxiv.org/abs/1409.4842), 2014.
#   The auxiliary classifier.
# - Liu and others, [Progressive Neural Architecture Search](https://arxiv.org/abs/1712.00559), 2017.
#   PNASNet-5.
# - Real, Aggarwal, Huang, Le, [Regularized Evolution for Image Classifier Architecture
#   Search](https://arxiv.org/abs/1802.01548), 2018.
#   AmoebaNet-A.
