# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 11 · BiFPN
#
# **Question. A detector looks at five maps of five sizes.
# How should they talk to each other?**
#
# After this chapter you can
#
# 1. bring a map to the size of another level, and say which pixels it saw (exercise 11.5)
# 2. write a pyramid as a table of nodes, and count its ways (exercises 11.1 and 11.6)
# 3. name the three steps from FPN to BiFPN, and what each costs (exercise 11.3)
# 4. write the fusion of a node, and say what its weights learn and when they cannot (exercises 11.2, 11.4 and 11.7)
# 5. tell a right pyramid from one that only has the right shapes (quiz)
#
# | study | about 120 min (estimate) |
# |---|---|
# | run | <!-- run -->0.2 min (10 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->629 MB (measured)<!-- /peak --> |
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
import torch
from torch.nn import functional as F

from lib.basics import profiling
from lib.book import plots, widgets
from lib.book.notebook import (
    build,
    check,
    hint,
    quiz,
    restore,
    setup,
    show,
    solution,
    submit,
    table,
    yours,
)

# All but the first belong to later chapters; the milestone runs them.
from lib.detection import bifpn, coco_eval, decoding, detectors

device = setup("11_bifpn", seed=0)

# %% [markdown] tags=["core"]
# A backbone looks at a picture at several scales.
# Its early maps are large and know where things are: an edge, a corner, to the pixel.
# Its late maps are small and know what things are.
# A detector needs both, at every size of object.
# So something has to stand between backbone and detector, and carry knowledge from map to map.
# It is called a [*neck*](GLOSSARY.md#neck), or a **feature pyramid**.
#
# Chapter 10 ended with three maps: $C_3$, $C_4$, $C_5$.
# This chapter turns them into five, lets them talk, and follows the road that was taken between 2016 and 2019: FPN,
# PANet, BiFPN.
# Each step is a few lines, and two of them you write yourself: exercises 11.1 and 11.2 stand where the idea stands.
# `build` checks such an answer as `check` does.
# Once it is right, the library itself calls *your* function, here and in the detector further down.
# If you leave it, the chapter goes on with the course's own.

# %% [markdown] tags=["core", "slide"]
# ## How large is each level?
#
# [Level](GLOSSARY.md#level) $l$ is $2^l$ times smaller than the picture, so a picture of 320 has maps of 40, 20,
# 10 and 5 pixels at levels 3 to 6.
# And at level 7?
# Half of 5 is 2.5.
# The convolutions of the backbone round up, so we do as well: 3.
# With $s_0$ a side of the picture, and $s_l$ that of level $l$,
#
# $$ s_l = \lceil s_{l-1} / 2 \rceil \tag{11.1} $$

# %% tags=["core", "slide", "nbval-check-output"]
show(bifpn.level_sizes)
sizes = bifpn.level_sizes((320, 320), 3, 7)
assert [h for h, _ in sizes] == [40, 20, 10, 5, 3]  # by hand, above
print(bifpn.level_sizes((375, 500), 3, 7))

# %% [markdown] tags=["core"]
# So a level is half as large as the one below it, rounded up, and no size has to be a multiple of anything.
# But it is worth seeing where the places are.
# A detector asks its questions at every pixel of every level; this is D0's picture, 512 a side:

# %% tags=["core", "slide"]
sizes = enumerate(bifpn.level_sizes((512, 512), 3, 7), 3)
places = {f"P{level}": h * w for level, (h, w) in sizes}
share = places["P3"] / sum(places.values())
says = f"{sum(places.values())} places in all; {share:.0%} of them are in the finest level."
plots.bars(places, y_label="places (pixels of the map)", says=says)

# %% [markdown] tags=["core"]
# **Break it.**
# Divide and round down, as a shape is often computed:

# %% tags=["core", "nbval-check-output"]
for side in (512, 320, 300):
    down = [side // 2**level for level in range(3, 8)]
    print(side, down, "should be", [h for h, _ in bifpn.level_sizes((side, side), 3, 7)])

# %% [markdown] tags=["core"]
# At 512 nobody notices.
# At 300 the map of the backbone and the size that was computed for it differ, and the addition fails.
# Some ports therefore demand sides that divide by 128.

# %% [markdown] tags=["core", "slide"]
# ## How does a map change its size?
#
# To be added, two maps must have one size.
# Take a row of three pixels, 1, 2, 3, and make it five wide.
# The cheapest way repeats pixels: output $i$ reads input $\lfloor i \cdot 3 / 5 \rfloor$, which is 0, 0, 1, 1, 2.
# So 1, 1, 2, 2, 3.
#
# Now the other way: 0, 1, 2, 3 to two pixels.
# Take maxima, over windows that overlap a little: the stride is 2, the window 3.
# The first one sees 0, 1, 2, the second 2, 3 and nothing.
# So 2, 3.
# From a side of $h$ to a side of $H$:
#
# $$ t = \lceil h / H \rceil, \qquad k = t + 1 \tag{11.2} $$
#
# for stride $t$ and window $k$ if $H < h$.
# Padding is minus infinity and goes where chapter 05 put it: half in front, an odd pixel behind.
# If $H > h$, pixel $i$ of the output $y$ is one of the input $x$:
#
# $$ y_i = x_{\lfloor i h / H \rfloor} \tag{11.3} $$

# %% tags=["core"]
show(bifpn.resample)

# %% tags=["core", "slide", "nbval-check-output"]
row = torch.tensor([[[[1.0, 2, 3]]]])
longer = bifpn.resample(row, (1, 5)).flatten().tolist()
shorter = bifpn.resample(torch.arange(4.0).reshape(1, 1, 1, 4), (1, 2)).flatten().tolist()
assert longer == [1, 1, 2, 2, 3] and shorter == [2, 3]  # by hand, above
longer, shorter

# %% tags=["core"]
picture = torch.tensor([[0.0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 3, 0], [4, 0, 0, 0]])
picture = picture[None, None]  # 1 1 4 4
half = bifpn.resample(picture, (2, 2))
steps = {"P3": picture, "to P4": half, "back to P3": bifpn.resample(half, (4, 4))}
says = f"Down and up again: {half.numel()} of {picture.numel()} numbers are left, "
says += "each the largest of its window."
plots.grid({k: v[0, 0] for k, v in steps.items()}, says=says)

# %% [markdown] tags=["core"]
# **Break it.**
# PyTorch's `padding=1` pads in front as well, even where one pixel behind is enough.
# It gives the same shapes.
# Let a ramp of 64 pixels go down four levels, and see what the pixels of the last map have seen.

# %% tags=["core", "slide"]
ours = theirs = torch.arange(64.0).reshape(1, 1, 1, 64)
for side in (32, 16, 8, 4):
    ours = bifpn.resample(ours, (1, side))
    theirs = F.max_pool2d(theirs, (1, 3), (1, 2), (0, 1))
both = {"padded behind": ours.flatten(), "padded on both sides": theirs.flatten()}
gap = (ours - theirs).max().item()
says = f"After four levels the two disagree by up to {gap:.0f} pixels of the picture."
labels = {"x_label": "pixel of the last map", "y_label": "largest pixel it saw"}
plots.lines(range(4), both, says=says, **labels)

# %% [markdown] tags=["core"]
# The first level is off by one pixel, the next by three, then seven, then fifteen: it doubles, and one more is added.
# Trained weights expect the one way or the other, and the coarsest map, that of the largest objects, is moved most.
#
# So a map changes its size by rules alone: maxima of overlapping windows on the way to a coarser level, repeated pixels
# on the way to a finer one, and the padding behind.
# Nothing is learned here.

# %% [markdown] tags=["core", "slide"]
# ## Why from the top down?
#
# An edge in $P_3$: is it a wheel or a wedding ring?
# $P_3$ cannot know, its pixels have seen too little of the picture.
# What a pixel has seen is called its **receptive field**.
# One 3x3 convolution makes it wider by two pixels of its own map.
# At $P_3$ these are $2 \cdot 8 = 16$ pixels of the picture, at $P_7$ they are $2 \cdot 128 = 256$.
# To see a picture of 512, $P_3$ needs 32 such convolutions in a row, and $P_7$ needs two.
# So let the coarse levels tell the fine ones what they have seen.
# To follow who told whom, we give the levels digits: $P_3$ ones, $P_4$ tens, $P_5$ hundreds.
#
# $$ P_3 = (1, 2, 3, 4), \qquad P_4 = (10, 20), \qquad P_5 = (100) $$
#
# Top-down, every level adds what the one above says, brought to its size.
# $P_5$ stays 100.
# $P_4$ is $(110, 120)$.
# $P_3$ is $(1, 2, 3, 4) + (110, 110, 120, 120) = (111, 112, 123, 124)$.
# This is FPN, 2016:
#
# $$ P_l^{out} = f_l\big(P_l + R(P_{l+1}^{out})\big), \qquad P_{\max}^{out} = f_{\max}(P_{\max}) \tag{11.4} $$
#
# with $R$ for resampling, *max* for the coarsest level, and $f_l$ for a small convolution,
# which we leave out for the moment.
# Here are the digits, and a pyramid that does nothing but add:


# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
def nothing(*channels):
    return torch.nn.Identity()


def bare(topology):
    """A pyramid of three levels that only adds."""
    parts = dict(fusion=bifpn.SumFusion, activation=nothing, conv=nothing, norm=nothing)
    return bifpn.BiFPN((1, 1, 1), 1, 1, 3, topology=topology, **parts)


digits = [torch.arange(1.0, 5), torch.tensor([10.0, 20]), torch.tensor([100.0])]
levels = [d.reshape(1, 1, 1, -1) for d in digits]

# %% [markdown] tags=["core", "slide"]
# As a value, a pyramid is a table of *nodes*.
# A node stands at a level, 0 for the finest, and reads maps by their numbers, the **ids**.
# First come the inputs, then the nodes in their order.
# Three levels by hand:
#
# | id | what it is | level | reads |
# |---|---|---|---|
# | 0, 1, 2 | the inputs $P_3$, $P_4$, $P_5$ | 0, 1, 2 | |
# | 3 | the first node, $P_5$ | 2 | 2 |
# | 4 | the second node, $P_4$ | 1 | 1 and 3 |
# | 5 | the third node, $P_3$ | 0 | 0 and 4 |
#
# So the second node is `Node(level=1, inputs=(1, 3))`: it stands at $P_4$, and reads $P_4$'s input (id 1)
# and the node before it (id 3), which is $P_5$'s.
#
# ### 11.1 · Build · fpn · 15 min · ●●○ · 2 points
#
# Write `fpn(levels)`, this table for any number of levels.
# The coarsest level comes first, and each later node reads its own level's input first, then the node before it.
# Return `bifpn.Topology(levels, nodes)`, where `nodes` is a list of pairs (level, ids); a pair becomes a `Node`.


# %% tags=["core"]
def fpn(levels):
    """FPN's table for a number of levels, a `bifpn.Topology`.

    By hand: fpn(3) has the nodes (2, (2,)), (1, (1, 3)), (0, (0, 4)).
    """
    # your code, in place of the dots
    ...


build("bifpn.fpn", fpn)
# hint("bifpn.fpn")
# solution("bifpn.fpn")

# %% tags=["core", "slide", "nbval-check-output"]
show(bifpn.fpn, folded=True)
out = [x.flatten().tolist() for x in bare(bifpn.fpn)(levels)]
assert out == [[111, 112, 123, 124], [110, 120], [100]]  # by hand, above
for node in bifpn.fpn(3).nodes:
    print(node)

# %% tags=["core", "slide"]
says = f"The first pixel of P3 holds {out[0][0]:g}: it has heard all three levels. "
says += f"P5 holds {out[2][0]:g}: it has heard nobody but itself."
plots.levels({"FPN": bifpn.fpn(3).nodes}, says=says)

# %% [markdown] tags=["core"]
# An arrow within a row keeps the size of a map; one that goes up or down changes it.
#
# Why from the top down: the fine levels need to know what the coarse ones have seen, and now every output has its
# hundreds.
# But the coarse levels have learned nothing in return.

# %% [markdown] tags=["core", "slide"]
# ## Why back up again?
#
# The place of a large object is known best by its edges, and those are sharp in $P_3$.
# The backbone does lead from $C_3$ up to $C_5$, but through eleven blocks, in B0.
# PANet, 2018, adds a short way: after the road down, one up.
#
# $$ P_l^{out} = f_l'\big(P_l^{td} + R(P_{l-1}^{out})\big) \tag{11.5} $$
#
# where $P^{td}$ (*td* for top-down) is what FPN called $P^{out}$.
# With our digits: $P_3^{out} = (111, 112, 123, 124)$ as before.
# Down to two pixels that is $(123, 124)$, so $P_4^{out} = (110 + 123, 120 + 124) = (233, 244)$.
# And $P_5^{out} = 100 + 244 = 344$.

# %% tags=["core", "slide"]
show(bifpn.panet)
out = [x.flatten().tolist() for x in bare(bifpn.panet)(levels)]
assert out == [[111, 112, 123, 124], [233, 244], [344]]  # by hand, above
plots.levels({"FPN": bifpn.fpn(3).nodes, "PANet": bifpn.panet(3).nodes})

# %% [markdown] tags=["core"]
# Which output hears which input?
# The gradient tells: where it is zero, nothing was heard.


# %% tags=["core", "slide"]
def heard(topology):
    inputs = [x.clone().requires_grad_() for x in levels]
    outputs = bare(topology)(inputs)
    keep = dict(retain_graph=True, allow_unused=True)
    grads = [torch.autograd.grad(y.sum(), inputs, **keep) for y in outputs]
    return [[float(g is not None and bool(g.any())) for g in row] for row in grads]


who = {"FPN": heard(bifpn.fpn), "PANet": heard(bifpn.panet)}
few, many = (int(sum(map(sum, m))) for m in who.values())
names = ("P3", "P4", "P5")
says = f"Of 9 pairs of output and input, FPN joins {few} and PANet {many}: only with "
says += "the road back up does every output hear every input."
plots.grid(who, x_label="input", y_label="output", columns=names, rows=names, says=says)

# %% [markdown] tags=["core"]
# Between PANet and BiFPN stands **NAS-FPN**, 2019: such a table found by search, as in part II of this course.
# A controller, the kind that chapter 08 built, chose seven times which two maps to join, at which level,
# and whether by a sum or by a gate.
# The result was better than FPN, and it is repeated like a layer, which BiFPN has taken over.
# But its arrows follow no rule that one could read, and the search takes thousands of GPU hours,
# as the authors of BiFPN remark.
# They went on by hand.

# %% [markdown] tags=["core", "slide"]
# ## Which nodes earn their place?
#
# Look at PANet's drawing again.
# `P5` on the way down reads one map.
# It fuses nothing: it is one more convolution of $P_5$.
# `P3` on the way up reads one map, too.
# (In PANet's paper that node does not exist, there the finest map is handed on as it is.
# Our table follows the code of EfficientDet's authors, which gives each level a node on the way up.)
# BiFPN's first step takes both out, and whoever read them reads their input.
#
# The second step adds something.
# Call the node of $P_4$ on the way down `P4 td`, and the one on the way up `P4 out`.
# `P4 out` reads `P4 td`, in which $P_4$ is already mixed with what came from above.
# A [**short cut**](GLOSSARY.md#short-cut) lets it read the untouched $P_4$ as well; it costs an addition.
# By hand: $P_4^{out} = (10 + 110 + 123,\; 20 + 120 + 124) = (243, 264)$, and $P_5^{out} = 100 + 264 = 364$.
#
# $$ P_l^{out} = f_l'\big(P_l + P_l^{td} + R(P_{l-1}^{out})\big), \qquad
#    P_{\max}^{out} = f_{\max}'\big(P_{\max} + R(P_{\max-1}^{out})\big) \tag{11.6} $$
#
# The way down is Eq. 11.4 as before, but it begins with $P_{\max}$ itself.
# The finest level has one node only, on the way down, and that is its output.

# %% tags=["core"]
show(bifpn.without_single_inputs)
show(bifpn.with_shortcuts)

# %% tags=["core", "slide"]
out = [x.flatten().tolist() for x in bare(bifpn.bifpn)(levels)]
assert out == [[111, 112, 123, 124], [243, 264], [364]]  # by hand, above
plots.levels({"PANet": bifpn.panet(3).nodes, "BiFPN": bifpn.bifpn(3).nodes})

# %% [markdown] tags=["core"]
# The dashed rings are the two nodes that were taken out.
# So a node earns its place by fusing: those that read one map go, the others stay and read their level's input as well.
# With all five levels of the detector, the three pyramids look like this:

# %% tags=["core", "slide"]
three = {"FPN": bifpn.fpn, "PANet": bifpn.panet, "BiFPN": bifpn.bifpn}
plots.levels({name: topology(5).nodes for name, topology in three.items()})

# %% [markdown] tags=["core"]
# The third step is the shortest: do the whole thing again.
# PANet went down and up once.
# The nodes of one such pass are a **BiFPN layer**, and D0 stacks three of them, D7 eight.
#
# Here is the whole road.
# The first slider chooses a step, which is drawn beside the one before; the second chooses the number of levels.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
road = {
    "1 FPN": bifpn.fpn,
    "2 PANet": bifpn.panet,
    "3 without single inputs": lambda n: bifpn.without_single_inputs(bifpn.panet(n)),
    "4 BiFPN": bifpn.bifpn,
}


def drawn(step, levels, road=road):
    names = [name for name in road if name <= step][-2:]  # the step and the one before
    return plots.levels({name[2:]: road[name](levels).nodes for name in names})


start = {"step": 3, "levels": 2}
widgets.sliders(drawn, step=list(road), levels=[3, 4, 5], start=start)

# %% [markdown] tags=["core"]
# **Break it.**
# A level's output is its *last* node.
# To find it, somebody walks through the nodes from the end.
# One word is missing below.
# Which, and what will the function hand out in place of `P4 out`?
# Say it before you run the cell.


# %% tags=["core", "slide", "nbval-check-output"]
def output_of(layer, level):
    for n in reversed(range(len(layer.nodes))):
        if layer.nodes[n].level == level:
            output = layer.levels + n
    return output


layer = bifpn.bifpn(5)
print([output_of(layer, level) for level in range(5)], "should be", layer.outputs)

# %% [markdown] tags=["core"]
# A `break` behind the last assignment.
# Without it levels 1 to 3 hand out their *first* node, the top-down one.
# The shapes are right, the number of parameters is right, every parameter even gets a gradient,
# because `P7 out` still hears the others.
# So nothing stops the training.
# It is FPN with a detour, and it happened in the authors' own code: see "What goes wrong in practice".

# %% [markdown] tags=["core", "slide"]
# ## Which input should a node trust?
#
# `P4 td` adds $P_4$, which is sharp, and what comes from $P_5$, which is blurred but has seen more of the picture.
# A sum says that both are worth the same, at every node, for ever.
# Let the network find out what they are worth.
# Take one pixel: the backbone says $x_1 = 2$, the way from above says $x_2 = 6$,
# and the learned numbers are $w_1 = 1$ and $w_2 = 3$.
# What comes out?
#
# The weighted mean is $(1 \cdot 2 + 3 \cdot 6) / (1 + 3) = 5$.
# For a mean the weights must not be negative.
# The paper clips them, and guards the division.
# With $O$ for the fused map and $x_i$ for its inputs:
#
# $$ O = \sum_i \frac{w_i}{\epsilon + \sum_j w_j}\, x_i, \qquad w_i \leftarrow \max(0, w_i), \qquad \epsilon = 10^{-4}
#    \tag{11.7} $$
#
# So it is $20 / 4.0001 = 4.999875$.
# The paper calls that **fast normalized fusion**, and we say [*fast fusion*](GLOSSARY.md#fast-fusion).
#
# ### 11.2 · Build · fast_fusion · 15 min · ●●○ · 3 points
#
# This is the heart of BiFPN: every node of every detector in this course that has learned weights calls it.
# Write `fast_fusion(x, weights, eps)` by Eq. 11.7.
# `x` is a list of tensors of one shape, with any number of dimensions (the two numbers above have none).
# `weights` is a tensor with one raw number for each of them, and `eps` is $\epsilon$.
# Return the fused tensor, of the same shape.
# Compute with tensors, without `.item()` and without an `if` that asks for their values.
# Else no gradient reaches the weights, and the network can neither be counted without numbers nor written to a file.
# Four lines are enough.


# %% tags=["core"]
def fast_fusion(x, weights, eps=1e-4):
    """The mean of n maps by clipped weights, a tensor of their shape.

    By hand: maps 2 and 6, weights 1 and 3: (1 * 2 + 3 * 6) / 4.0001 = 4.999875.
    """
    # your code, in place of the dots
    ...


build("bifpn.fast_fusion", fast_fusion)
# hint("bifpn.fast_fusion")
# solution("bifpn.fast_fusion")

# %% [markdown] tags=["core", "slide"]
# The natural choice would have been softmax.
# On the authors' GPUs detectors with softmax took 1.26 to 1.31 times as long (table 6 of the paper).
# Their AP, the score of a detector (chapter 16), was nearly the same.
#
# $$ O = \sum_i \frac{e^{w_i}}{\sum_j e^{w_j}}\, x_i \tag{11.8} $$

# %% tags=["core", "slide"]
show(bifpn.fast_fusion, folded=True)
show(bifpn.softmax_fusion)
x = [torch.tensor(2.0), torch.tensor(6.0)]
fused = bifpn.fast_fusion(x, torch.tensor([1.0, 3.0])).item()
assert abs(fused - 20 / 4.0001) < 1e-6  # by hand, above
soft = bifpn.softmax_fusion(x, torch.tensor([1.0, 3.0]).log()).item()
assert abs(soft - 5) < 1e-6  # e^(log 1) : e^(log 3) is 1 : 3
fused, soft

# %% [markdown] tags=["core"]
# Is clipping a loss?
# The figure moves $w_1$ and keeps $w_2 = 1$.
# To read a share off, fuse a one with a zero.

# %% tags=["core", "slide"]
one_zero = [torch.tensor(1.0), torch.tensor(0.0)]
ws = [i / 4 for i in range(-8, 17)]
pairs = [torch.tensor([w, 1.0]) for w in ws]
shares = {
    "fast": [bifpn.fast_fusion(one_zero, p).item() for p in pairs],
    "softmax": [bifpn.softmax_fusion(one_zero, p).item() for p in pairs],
}
zero = ws.index(0.0)
says = "At w1 = 0 fast fusion has shut input 1 out; softmax still gives it "
says += f"{shares['softmax'][zero]:.0%}."
plots.lines(ws, shares, x_label="raw weight w1", y_label="share of input 1", says=says)

# %% [markdown] tags=["core"]
# Fast fusion can shut an input out, which softmax cannot.
#
# **Break it.**
# Start both weights at $-1$.
# What is the output, and what can the weights learn from it?

# %% tags=["core", "slide"]
w = torch.tensor([-1.0, -1.0], requires_grad=True)
fused = bifpn.fast_fusion(x, w)
fused.backward()
fused.item(), w.grad.tolist()

# %% [markdown] tags=["core"]
# Output 0, gradient 0.
# This node is dead, and stays dead.
# Weights that begin at 1, as in the paper's code, are far from 0.
#
# So which input should a node trust?
# Nobody has to say.
# A node has one number for each input, the numbers become shares, and gradients move them.

# %% [markdown] tags=["core", "slide"]
# ## What does a fusion weight learn?
#
# Two inputs show the same map, each with noise of its own, of variance 1 and 3.
# What is the best mean?
# Half and half has a noise of $(1 + 3) / 4 = 1$, no better than the first alone.
# With shares of 3/4 and 1/4 it is $\tfrac{9}{16} \cdot 1 + \tfrac{1}{16} \cdot 3 = 0.75$.
# In general the share $s_i$ should go with the inverse of the variance $\sigma_i^2$ (**inverse-variance weighting**):
#
# $$ s_i = \frac{1 / \sigma_i^2}{\sum_j 1 / \sigma_j^2} \tag{11.9} $$
#
# Nobody tells the node.
# Does gradient descent find 3/4?
# The layer is `fast_fusion` with its weights; it learns from pictures whose clean version is known.

# %% tags=["core"]
show(bifpn.FastFusion)

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
clean = torch.randn(1, 1, 100, 100)


def noisy(variances):
    return [clean + v**0.5 * torch.randn(1, 1, 100, 100) for v in variances]


def learn(fusion, x, steps=150):
    optimizer, shares = torch.optim.Adam(fusion.parameters(), lr=0.05), []
    for _ in range(steps):
        optimizer.zero_grad()
        (fusion(x) - clean).square().mean().backward()
        optimizer.step()
        shares.append(fusion(list(torch.eye(len(x)))).tolist())
    return shares


# %% tags=["core", "slide"]
inputs = noisy([1.0, 3.0])
curves = {
    "fast": [s[0] for s in learn(bifpn.FastFusion(2), inputs)],
    "softmax": [s[0] for s in learn(bifpn.SoftmaxFusion(2), inputs)],
}
assert all(abs(c[-1] - 0.75) < 0.05 for c in curves.values())  # by hand, above
says = ", ".join(f"{name} {curve[-1]:.2f}" for name, curve in curves.items())
says = f"A weight learns whom to trust. Share of the cleaner input: {says}."
plots.lines(range(1, 151), curves, x_label="step", y_label="share of input 1", says=says)

# %% [markdown] tags=["core"]
# Both do, from 1/2 to 3/4.
# A sum could not: its shares are fixed.
#
# **Break it.**
# Make the weights where they are used:


# %% tags=["core", "slide", "nbval-check-output"]
class Forgetful(torch.nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.inputs = inputs

    def forward(self, x):
        weights = torch.nn.Parameter(torch.ones(self.inputs))  # new ones at every call
        return bifpn.fast_fusion(x, weights)


for fusion in (bifpn.FastFusion, Forgetful):
    print(profiling.parameters(bifpn.BiFPN((40, 112, 320), 64, 3, fusion=fusion)))

# %% [markdown] tags=["core"]
# This trains without a word of complaint, with plain means for ever.
# The count gives it away: 57 parameters are missing, one for each of the 19 maps that a layer reads, in three layers.

# %% [markdown] tags=["core", "slide"]
# ## Does a real detector run on your functions?
#
# A detector of digits is shipped with this course.
# Its neck is two BiFPN layers with fast fusion, over three levels, $P_2$ to $P_4$.
# The chapters from here to 16 build the rest of it; here it only has to run.
# `yours(load=True)` brings back what you built on another day.
# `yours()` says whose functions are at work and how often each was called; `restore()` puts the course's own back.
# The mark is **AP**, which chapter 16 builds: 0 if nothing is found, 1 if every digit is found with a perfect box.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
yours(load=True)
model = detectors.shipped("course")
scenes = detectors.scenes("test", 100)


def score(model):
    found = coco_eval.detections(model, scenes)
    return coco_eval.evaluate(scenes.coco(), found).ap


ap = score(model)
print(f"AP {ap:.3f} on {len(scenes)} scenes that it has never seen")
yours()

# %% tags=["core", "slide"]
picture, digits_there = scenes[4].image, scenes[4].boxes
found = decoding.detect(model, picture)
near = (found.boxes[:, None] - digits_there).abs().amax(dim=2) <= 5  # box digit
same = found.labels[:, None] == scenes[4].labels
right = int((near & same).any(dim=1).sum())
says = f"{len(found.boxes)} boxes, where {len(digits_there)} digits stand; {right} have the right class, "
says += "and each side within 5 pixels of the true one."
plots.boxes(picture, found.boxes, found.labels, found.scores, says=says)

# %% [markdown] tags=["core"]
# A box on a scrap of clutter is a false alarm, a digit without a box is a miss: AP counts both.
# With your function or the course's, the boxes are the same.
#
# Now ask this network the question of the last two sections.
# Its fusion weights were learned from scenes of digits.
# Whom do its nodes trust?
# A plain mean would give each of $n$ inputs a share of $1/n$.
# How many times as much does a node give to the input of its own level, which is the first that it reads?

# %% tags=["core", "slide"]
trust, smallest = {}, []
for number, layer in enumerate(model.fpn.cells, 1):
    for place, (node, fuse) in enumerate(zip(layer.table.nodes, layer.nodes, strict=True)):
        count = len(node.inputs)
        shares = fuse.fusion(list(torch.eye(count)))  # a one, and zeros: a share each
        smallest.append(fuse.fusion.weights.min().item())
        way = "down" if place < len(model.fpn.cells[0].nodes) / 2 else "up"
        trust[f"{number}: P{2 + node.level} {way}"] = count * shares[0].item()
more = sum(share > 1 for share in trust.values())
says = f"{more} of {len(trust)} nodes trust the input of their own level more than a "
says += f"mean would; the smallest of all weights is {min(smallest):.2f}."
plots.bars(trust, y_label="share of the own input, times n", x_label="layer: node", says=says)

# %% [markdown] tags=["core"]
# **Break it.**
# Are these shares worth anything, or would any do?
# Leave every other weight as it was trained, and change only the way in which the nodes fuse.
# Which change hurts most, and which one least?
# (This takes some ten seconds.)


# %% tags=["core", "slide"]
def swapped(new):
    changed = detectors.shipped("course")
    for fuse in [part for part in changed.modules() if isinstance(part, bifpn.Fuse)]:
        learned, fuse.fusion = fuse.fusion, new(len(fuse.fusion.weights))
        if isinstance(fuse.fusion, bifpn.SoftmaxFusion):
            fuse.fusion.weights = learned.weights
    return changed


kinds = {"softmax of the same weights": bifpn.SoftmaxFusion, "plain mean": bifpn.FastFusion,
         "plain sum": bifpn.SumFusion}  # fmt: skip
aps = {"as trained": ap} | {name: score(swapped(new)) for name, new in kinds.items()}
loss = aps["as trained"] - aps["plain mean"]
says = f"Equal shares cost {loss:.3f} AP, softmax of the same weights "
says += f"{abs(ap - aps['softmax of the same weights']):.3f}, the plain sum {ap - aps['plain sum']:.3f}."
plots.bars(aps, y_label="AP on 100 scenes", says=says)

# %% [markdown] tags=["core"]
# A new `FastFusion` has weights of 1, so it is the plain mean.
# The rest of the network was trained with other shares and misses them.
# The sum is twice or three times as large as a mean, at each of eight nodes, and nothing after it expects that.
# Softmax of these weights gives nearly the same shares, for they all lie near 1.
# The smallest one is told under the figure before: where none is negative, even a fusion that forgets to clip finds
# the digits.
# So a machine that works does not prove a function right, and `build` tries other weights as well.
#
# A network that is *trained* with a sum does well, as chapter 16 shows: it gets used to it.

# %% [markdown] tags=["core", "slide"]
# ## How far does a mistake move the answers?
#
# With D0 at 128x128, filled with fixed numbers, the largest change of a class output, as a share of the largest output:
#
# | mistake | change |
# |---|---|
# | no $\epsilon$ in the fusion | 0.04 % |
# | max-pool padded on both sides | 3.4 % |
# | bilinear upsampling | 3.4 % |
# | 2x2 max-pool | 5.2 % |
# | softmax fusion | 7.6 % |
# | no norm after the 1x1 | 22 % |
# | weights in reverse order | 35 % |
# | activation last, and no bias before the norm | 40 % |
# | plain sum | 6500 times |
#
# Six of these nine leave the number of parameters as it is, and none changes a shape.
# So neither proves a pyramid right.
# Copied weights and equal outputs do.
# The tests measure all of them again.

# %% [markdown] tags=["core", "slide"]
# ## What was it worth, in the paper?
#
# The authors took their detector and changed only the neck (COCO, AP in per cent; table 5 of the paper).
# For a fair race every neck is repeated and has separable convolutions.
#
# | neck | AP | parameters | multiply-adds |
# |---|---|---|---|
# | FPN, repeated | 42.29 | 1.00 | 1.00 |
# | FPN and PANet, repeated | 44.08 | 1.00 | 1.00 |
# | NAS-FPN | 43.16 | 0.71 | 0.72 |
# | fully connected FPN | 43.06 | 1.24 | 1.21 |
# | BiFPN, without weights | 43.94 | 0.88 | 0.67 |
# | BiFPN, with weights | 44.39 | 0.88 | 0.68 |
#
# The last two columns are shares of the first row.
# The road back up is worth most: 1.8 AP.
# Taking out nodes and adding short cuts costs 0.1 AP, and saves a third of the work.
# The learned weights give 0.45 AP for next to nothing.
# In table 4 an older detector changes its backbone and then its neck:
# ResNet-50 with FPN 37.0, EfficientNet-B3 with FPN 40.3, with BiFPN 44.4, at 24 in place of 75 billion multiply-adds.
#
# The paper does not say how far two trainings of one neck lie apart.
# Chapter 16 has ours, on digits, with three seeds each.

# %% [markdown] tags=["deep", "slide"]
# ## What does a node cost? (deep)
#
# After fusion comes $f$: SiLU, a 3x3 convolution, batch norm.
# (In this order: the activation stands *before* the convolution, though the paper's sentence reads otherwise.)
# BiFPN's convolution is separable, a depthwise 3x3 without bias and a pointwise 1x1 with one.
# At a width of $W = 64$: $9 \cdot 64 = 576$, $64 \cdot 64 + 64 = 4160$, and the norm has $2 \cdot 64 = 128$.
# In all 4864:
#
# $$ n = 9 W + (W^2 + W) + 2 W \tag{11.10} $$
#
# A dense 3x3 has $9 W^2 + W + 2 W = 37056$, 7.6 times as many.


# %% tags=["deep"]
show(bifpn.Fuse)


# %% tags=["deep", "slide", "nbval-check-output"]
def node(conv):
    parts = dict(fusion=bifpn.SumFusion, activation=torch.nn.SiLU, norm=bifpn.BatchNorm)
    return bifpn.Fuse({0: 64, 1: 64}, 64, conv=conv, **parts)


counts = [profiling.parameters(node(c)) for c in (bifpn.SeparableConv, bifpn.Dense)]
assert counts == [4864, 37056]  # by hand, above
counts

# %% [markdown] tags=["deep"]
# Nearly eight times fewer weights, and as many times fewer multiply-adds.
# Is it eight times as fast?
# Count what has to be fetched and put back: about one number in and one number out, for every number of the output map.
# For these two a dense 3x3 does $9 \cdot 64 = 576$ multiply-adds, 288 for each number that it moves.
# A depthwise 3x3 does 9, or 4.5 for each.
# If moving a number takes as long as many multiply-adds, a depthwise convolution mostly waits.
# Does it, here?
# Measure, in turns, as in chapter 03: a dense and a separable convolution on P3 and on P5 of D0.

# %% tags=["deep", "slide"]
pair = {"dense": bifpn.Dense(64, 64), "separable": bifpn.SeparableConv(64, 64)}
gains = {"by arithmetic": 9 * 64 / (9 + 64)}
for name, side in {"measured on P3": 64, "measured on P5": 16}.items():
    maps = torch.randn(1, 64, side, side)
    work = {k: lambda conv=conv, maps=maps: conv(maps) for k, conv in pair.items()}
    with torch.no_grad():
        clock = profiling.interleave(work, repeats=9)
    gains[name] = clock["dense"].median / clock["separable"].median
says = ", ".join(f"{gain:.1f} {name}" for name, gain in gains.items())
says = f"A dense convolution takes so many times as long as a separable one: {says}."
plots.bars(gains, y_label="dense / separable", says=says)

# %% [markdown] tags=["deep"]
# The estimate is one number.
# The measurement depends on the size of the map, the machine, its cache and what else it is doing;
# the dense one may even win.
# So a node costs what its convolution costs, and a separable one saves more on paper than in milliseconds.
# Part IV comes back to this: the dense convolution gains more from quantization.

# %% [markdown] tags=["deep", "slide"]
# ## Is it the pyramid of EfficientDet-D0? (deep)
#
# The published D0 has 196,281 parameters between backbone and heads.
# Do we get there by hand?
# $W = 64$; the backbone gives 40, 112 and 320 channels.
#
# - 3 BiFPN layers of 8 nodes: $24 \cdot 4864 = 116{,}736$.
# - fusion weights: $3 \cdot 19 = 57$.
# - A 1x1 from $C$ channels to $W$, with bias and norm, has $C W + 3 W$.
#   $P_3$: 2752.
#   $P_4$: 7360, and $P_5$: 20,672, but each *twice*: two nodes read them, and each node has its own.
# - $P_6$ is made from $C_5$, by a 1x1 of its own, 20,672, and a max-pool.
#   $P_7$ is a max-pool of $P_6$ and costs nothing.

# %% tags=["deep", "slide", "nbval-check-output"]
show(bifpn.BiFPNLayer)
by_hand = 24 * 4864 + 57 + 2752 + 2 * 7360 + 2 * 20672 + 20672
d0 = bifpn.BiFPN((40, 112, 320), width=64, cells=3).eval()
assert profiling.parameters(d0) == by_hand == 196281
sides = bifpn.level_sizes((512, 512), 3, 5)
features = [torch.randn(1, c, *s) for c, s in zip((40, 112, 320), sides, strict=True)]
with torch.no_grad():
    print([tuple(p.shape) for p in d0(features)])

# %% [markdown] tags=["deep"]
# And the larger ones.
# On the device `meta` a network has shapes, and no numbers, so that D7x fits everywhere.
# D6 and above take the plain sum, "for stability", and D7x a sixth level.

# %% tags=["deep", "slide", "nbval-check-output"]
published = {
    "D0": ((40, 112, 320), 64, 3, 5, 196281), "D1": ((40, 112, 320), 88, 4, 5, 390972),
    "D2": ((48, 120, 352), 112, 5, 5, 708159), "D3": ((48, 136, 384), 160, 6, 5, 1559474),
    "D4": ((56, 160, 448), 224, 7, 5, 3349829), "D5": ((64, 176, 512), 288, 7, 5, 5405893),
    "D6": ((72, 200, 576), 384, 8, 5, 10583808),
    "D7x": ((80, 224, 640), 384, 8, 6, 13112064),
}
rows = []
for name, (channels, width, depth, n, count) in published.items():
    fusion = bifpn.SumFusion if name >= "D6" else bifpn.FastFusion
    with torch.device("meta"):
        ours = profiling.parameters(bifpn.BiFPN(channels, width, depth, n, fusion))
    rows.append((name, width, depth, n, f"{count:,}", f"{ours:,}"))
table(("model", "width", "layers", "levels", "published", "ours"), rows)

# %% [markdown] tags=["deep"]
# **Break it.**
# One 1x1 for both readers of $P_4$, and one for those of $P_5$, seems tidy.
# Here it is, made from the right one:

# %% tags=["deep", "slide"]
tidy = bifpn.BiFPN((40, 112, 320), width=64, cells=3).eval()
tidy.load_state_dict(d0.state_dict())
down, up = tidy.cells[0].nodes[:4], tidy.cells[0].nodes[4:]
up[0].project["1"] = down[2].project["1"]  # P4, id 1: on the way up as on the way down
up[1].project["2"] = down[1].project["2"]  # P5, id 2
missing = profiling.parameters(d0) - profiling.parameters(tidy)
assert missing == 7360 + 20672  # by hand, above
with torch.no_grad():
    right, wrong = d0(features), tidy(features)
gaps = [(a - b).abs().max() / a.abs().max() for a, b in zip(right, wrong, strict=True)]
says = f"{missing:,} parameters too few; the largest difference is {max(gaps):.0%} "
says += "of the largest value."
gaps = {f"P{3 + i}": 100 * gap.item() for i, gap in enumerate(gaps)}
plots.bars(gaps, y_label="largest difference, % of largest value", says=says)

# %% [markdown] tags=["deep"]
# The official weights do not fit such a pyramid, and cutting them to fit gives other outputs.
#
# What does each step of the road cost?
# One layer, five levels, one width:

# %% tags=["deep", "slide", "nbval-check-output"]
rows = []
for name, topology in road.items():
    with torch.device("meta"):
        parts = dict(topology=topology, fusion=bifpn.SumFusion)
        one = bifpn.BiFPN((64, 64, 64), 64, 1, **parts)
        macs = profiling.macs(one, [torch.zeros(1, 64, *s) for s in sides])
    nodes = topology(5).nodes
    edges, count = sum(len(node.inputs) for node in nodes), profiling.parameters(one)
    rows.append((name[2:], len(nodes), edges, f"{count:,}", f"{macs / 1e6:.1f}"))
table(("layer", "nodes", "maps read", "parameters", "million multiply-adds"), rows)

# %% [markdown] tags=["deep"]
# A BiFPN layer has a fifth fewer parameters than PANet's and more than a third fewer multiply-adds,
# for one of the two nodes that went stood at $P_3$, where three quarters of the work is.
# And it reads more.
# Whether it also *detects* better is a matter for measurement, at equal time: chapter 16 does that.

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **A missing `break`.** google/automl#9: "we take the last feature for each resolution", a reader asks,
#   is there no `break` missing?
#   It was, in the authors' own code; mended in 278d176.
# - **Weights made on every call.** google/automl, f245b1b: fusion weights were created at each call, not once.
# - **The top-down nodes handed out.** xuannianz/EfficientDet#246 and #147: $P_4$ to $P_6$ came from the road down.
#   Shapes and counts were right.
# - **Dense convolutions where separable ones belong.** toandaominh1997/EfficientDet.Pytorch#124 and
#   signatrix/efficientdet#44.
#   The count gives it away.
# - **A whole list.**
#   The read-me of zylo117/Yet-Another-EfficientDet-Pytorch names what was wrong in other ports, among it:
#   TensorFlow's momentum copied as it is, a bias on the depthwise convolution, the size of a pool taken for its stride,
#   no norm after the 1x1, no SAME padding, one 1x1 shared by two readers.
# - **Sizes that must divide by 128.** zylo117/Yet-Another-EfficientDet-Pytorch#307, signatrix/efficientdet#8.
#   Nothing in the design asks for that: bring maps to the exact size.
# - **Few multiply-adds, little speed.** zylo117/Yet-Another-EfficientDet-Pytorch#77, rwightman/efficientdet-pytorch#8:
#   on a GPU, depthwise convolutions and SiLU take longer than the count promises.
#   The advice there is plain convolutions and ReLU.
# - **"The pyramid prunes nodes, so EfficientDet is pruned."**
#   It is graph design, before training.
#   No weight is removed from anything.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# How should five maps of five sizes talk to each other?
#
# - **At one size.**
#   Sizes of levels are halved and rounded up.
#   A map is brought to the exact size of its reader: overlapping maxima down, repeated pixels up.
# - **Both ways.**
#   FPN tells fine levels what coarse ones know, PANet also goes back up, so that every output hears every input.
#   In the paper that is worth most.
# - **Only where something is fused.**
#   BiFPN takes out nodes that read one map, adds short cuts from the inputs, and repeats the whole.
#   A pyramid is a table of nodes: a value that can be drawn, counted and changed.
# - **With weights that each node learns.**
#   Fast fusion is a mean with clipped weights.
#   It learns whom to trust, can shut an input out, and can die.
#
# Shapes and counts do not prove a pyramid right; copied weights and equal outputs do.

# %% [markdown] tags=["core"]
# ## Exercises
#
# 11.1 (`fpn`) and 11.2 (`fast_fusion`) stand above, where the ideas stand.
#
# ### 11.3 · Predict · fusion_weights · 5 min · ●○○ · 1 point
#
# D7x has six levels and eight BiFPN layers.
# It takes the plain sum.
# If it had fast fusion instead, how many fusion weights would there be?
# Answer before you build anything.
#
# <details><summary>Answer</summary>
#
# Five nodes down that read 2 maps, four nodes up that read 3, and the last one reads 2: $10 + 12 + 2 = 24$.
# Eight layers: 192.
#
# </details>

# %% tags=["core"]
answer = ...  # your number

check("bifpn.fusion_weights", answer)
# hint("bifpn.fusion_weights")
# solution("bifpn.fusion_weights")

# %% [markdown] tags=["core"]
# ### 11.4 · Measure · best_share · 15 min · ●●○ · 2 points
#
# Three inputs: the same clean map three times, each with noise of its own, of variance 1, 2 and 4.
# Let a `bifpn.FastFusion(3)` learn for 300 steps to give the clean map back, with `noisy` and `learn` from above:
# Adam with a learning rate of 0.05, and the mean squared error as the loss.
# `learn(...)` returns the shares after each step.
# Which share does the first input end with?
# Two digits are enough.

# %% tags=["core"]
answer = ...  # your number

check("bifpn.best_share", answer)
# hint("bifpn.best_share")
# solution("bifpn.best_share")

# %% [markdown] tags=["core"]
# ### 11.5 · Build · window · 20 min · ●●○ · 3 points
#
# A side of `old` pixels is max-pooled to `new` by Eq. 11.2, padded as SAME pads: no more than the windows need,
# one half in front, and an odd pixel behind.
# Write `window(i, old, new)`: the list of the rows of the longer side that row `i` of the shorter one sees.
# By hand: `window(0, 4, 2)` is `[0, 1, 2]` and `window(1, 4, 2)` is `[2, 3]`.
# Rows that do not exist are not listed.


# %% tags=["core"]
def window(i, old, new):
    ...  # your code


check("bifpn.window", window)
# hint("bifpn.window")
# solution("bifpn.window")

# %% [markdown] tags=["core"]
# ### 11.6 · Build · ways · 20 min · ●●○ · 3 points
#
# In how many ways does each input reach each output?
# Write `ways(levels, nodes)`: `nodes` is a list of pairs (level, inputs), as in our tables.
# Each level has a node at least.
# Return a list with a row for each output, the finest first, and in it a number for each input: lists of whole numbers.
# An output is the last node of its level.
# By hand, for two levels and `[(0, [0, 1]), (1, [1, 2])]`: `[[1, 1], [1, 2]]`,
# since level 1 reaches itself directly and by way of node 2.


# %% tags=["core"]
def ways(levels, nodes):
    ...  # your code


check("bifpn.ways", ways)
# hint("bifpn.ways")
# solution("bifpn.ways")

# %% [markdown] tags=["core"]
# ### 11.7 · Build · softmax_gradient · 20 min · ●●● · 3 points
#
# One pixel, $n$ inputs `x` of shape $(n,)$, raw `weights` of the same shape, fused by Eq. 11.8.
# Write `softmax_gradient(x, weights)`, the derivative of the fused number by each weight, as a formula.
# Autograd may tell you whether it is right.
# By hand, for `x` = (2, 6) and shares of 1/4 and 3/4: $(-0.75, 0.75)$.


# %% tags=["core"]
def softmax_gradient(x, weights):
    ...  # your code


check("bifpn.softmax_gradient", softmax_gradient)
# hint("bifpn.softmax_gradient")
# solution("bifpn.softmax_gradient")

# %% [markdown] tags=["optional"]
# ### 11.8 · Further · 120 min · ●●● · 0 points
#
# [NAS-FPN](https://arxiv.org/abs/1904.07392) found its pyramid by search: seven nodes that may read any two maps,
# sums or a gate.
# Write its table as a `Topology`, and a fusion class for its gate.
# Then do what chapter 07 did with cells: sample random tables of eight nodes,
# and count how many of them let every output hear every input.

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("bifpn")
# yours()            whose functions are at work now
# restore()          the course's own again
# submit()           your answers in one small file

# %% [markdown] tags=["core"]
# ## Where next
#
# Five maps, all of one width, all having heard of each other.
# Chapter 12 asks at each of their pixels: is there a box here, and whose?

# %% [markdown] tags=["core"]
# ## References
#
# - Lin and others, [Feature Pyramid Networks for Object Detection](https://arxiv.org/abs/1612.03144), 2016.
#   The road down.
# - Liu and others, [Path Aggregation Network for Instance Segmentation](https://arxiv.org/abs/1803.01534), 2018.
#   And up again.
# - Tan, Pang, Le, [EfficientDet: Scalable and Efficient Object Detection](https://arxiv.org/abs/1911.09070), 2019.
#   BiFPN, fast fusion, compound scaling of detectors; tables 4 to 6 for the numbers quoted here.
# - Ghiasi, Lin, Pang, Le, [NAS-FPN](https://arxiv.org/abs/1904.07392), 2019.
#   A searched pyramid.
