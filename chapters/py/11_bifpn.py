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
# 1. bring a map to the size of another level, and say which pixels it saw (exercise 11.3)
# 2. read and write a pyramid as a table of nodes, and count its ways (exercise 11.4)
# 3. name the three steps from FPN to BiFPN, and what each costs (exercise 11.1)
# 4. say what a fusion weight learns, and when it cannot (exercises 11.2 and 11.5)
# 5. tell a right pyramid from one that only has the right shapes (quiz)
#
# | study | about 75 min (estimate) |
# |---|---|
# | run | <!-- run -->0.1 min (5 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->490 MB (measured)<!-- /peak --> |
# | needs | no download; starts alone |
#
# Open in: <!-- badges -->not published yet: `make badges REPO=owner/name` writes the badges<!-- /badges -->

# %% tags=["core", "colab"]
# On Colab: fetch the course, install what is missing. Elsewhere: no-op.
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
from lib.book.notebook import check, hint, quiz, setup, show, solution, table
from lib.detection import bifpn

device = setup("11_bifpn", seed=0)

# %% [markdown] tags=["core"]
# A backbone looks at a picture at several scales.
# Its early maps are large and know where things are: an edge, a corner, to the pixel.
# Its late maps are small and know what things are.
# A detector needs both, at every size of object.
# So something has to stand between backbone and detector, and carry knowledge from map to map.
# It is called a *neck*, or a **feature pyramid**.
#
# Chapter 10 ended with three maps: $C_3$, $C_4$, $C_5$.
# This chapter turns them into five, lets them talk, and follows the road that was taken between 2016 and 2019: FPN,
# PANet, BiFPN.
# Each step is a few lines.

# %% [markdown] tags=["core", "slide"]
# ## How large is each level?
#
# Level $l$ is $2^l$ times smaller than the picture, so a picture of 320 has maps of 40, 20,
# 10 and 5 pixels at levels 3 to 6.
# And at level 7?
# Half of 5 is 2.5.
# The convolutions of the backbone round up, so we do as well: 3.
# With $s_0$ a side of the picture, and $s_l$ that of level $l$,
#
# $$ s_l = \lceil s_{l-1} / 2 \rceil \tag{11.1} $$

# %% tags=["core"]
show(bifpn.level_sizes)

# %% tags=["core", "slide", "nbval-check-output"]
sizes = bifpn.level_sizes((320, 320), 3, 7)
assert [h for h, _ in sizes] == [40, 20, 10, 5, 3]  # by hand, above
print(bifpn.level_sizes((375, 500), 3, 7))

# %% [markdown] tags=["core"]
# No size has to be a multiple of anything.
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
# If $H > h$,
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

# %% [markdown] tags=["core", "slide"]
# ## Why from the top down?
#
# An edge in $P_3$: is it a wheel or a wedding ring?
# $P_3$ cannot know, its pixels have seen too little of the picture.
# $P_5$ has seen all of it.
# So let it tell.
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
# $$ P_l^{out} = f_l\big(P_l + R(P_{l+1}^{out})\big), \qquad P_{max}^{out} = f_{max}(P_{max}) \tag{11.4} $$
#
# with $R$ for resampling and $f_l$ for a small convolution, which we leave out for the moment.
# As a value, a pyramid is a table of *nodes*.
# A node stands at a level and reads maps by their numbers: first come the inputs, then the nodes in their order.

# %% tags=["core"]
show(bifpn.fpn)


# %% tags=["core"]
def nothing(*channels):
    return torch.nn.Identity()


def bare(topology):
    """A pyramid of three levels that only adds."""
    parts = dict(fusion=bifpn.SumFusion, activation=nothing, conv=nothing, norm=nothing)
    return bifpn.BiFPN((1, 1, 1), 1, 1, 3, topology=topology, **parts)


# %% tags=["core", "slide", "nbval-check-output"]
digits = [torch.arange(1.0, 5), torch.tensor([10.0, 20]), torch.tensor([100.0])]
levels = [d.reshape(1, 1, 1, -1) for d in digits]
out = [x.flatten().tolist() for x in bare(bifpn.fpn)(levels)]
assert out == [[111, 112, 123, 124], [110, 120], [100]]  # by hand, above
bifpn.fpn(3).nodes

# %% tags=["core", "slide"]
plots.levels({"FPN": bifpn.fpn(3).nodes})

# %% [markdown] tags=["core"]
# An arrow within a row keeps the size of a map; one that goes up or down changes it.
#
# Every output has its hundreds, so $P_5$ was heard everywhere.
# And the ones?
# Look at the last map: 100.
# It has learned nothing from $P_3$ or $P_4$.

# %% [markdown] tags=["core", "slide"]
# ## Why back up again?
#
# The place of a large object is known best by its edges, and those are sharp in $P_3$.
# The backbone does lead from $C_3$ up to $C_5$, but through eleven blocks, in B0.
# PANet, 2018, adds a short way: after the road down, one up.
#
# $$ P_l^{out} = f_l'\big(P_l^{td} + R(P_{l-1}^{out})\big) \tag{11.5} $$
#
# where $P^{td}$ is what FPN called $P^{out}$.
# With our digits: $P_3^{out} = (111, 112, 123, 124)$ as before.
# Down to two pixels that is $(123, 124)$, so $P_4^{out} = (110 + 123, 120 + 124) = (233, 244)$.
# And $P_5^{out} = 100 + 244 = 344$.

# %% tags=["core"]
show(bifpn.panet)

# %% tags=["core", "slide", "nbval-check-output"]
out = [x.flatten().tolist() for x in bare(bifpn.panet)(levels)]
assert out == [[111, 112, 123, 124], [233, 244], [344]]  # by hand, above
out

# %% tags=["core", "slide"]
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
says = f"Of 9 pairs of output and input, FPN joins {few} and PANet {many}."
plots.grid(who, x_label="input", y_label="output", columns=names, rows=names, says=says)

# %% [markdown] tags=["core", "slide"]
# ## Which nodes earn their place?
#
# Look at PANet's drawing again.
# `P5` on the way down reads one map.
# It fuses nothing: it is one more convolution of $P_5$.
# `P3` on the way up is another one.
# BiFPN's first step takes both out, and whoever read them reads their input.
#
# The second step adds something.
# `P4 out` reads `P4 td`, in which $P_4$ is already mixed with what came from above.
# A **short cut** lets it read the untouched $P_4$ as well; it costs an addition.
# By hand: $P_4^{out} = (10 + 110 + 123,\; 20 + 120 + 124) = (243, 264)$, and $P_5^{out} = 100 + 264 = 364$.
#
# $$ P_l^{out} = f_l'\big(P_l + P_l^{td} + R(P_{l-1}^{out})\big), \qquad
#    P_{max}^{out} = f_{max}'\big(P_{max} + R(P_{max-1}^{out})\big) \tag{11.6} $$

# %% tags=["core"]
show(bifpn.without_single_inputs)
show(bifpn.with_shortcuts)

# %% tags=["core", "slide", "nbval-check-output"]
out = [x.flatten().tolist() for x in bare(bifpn.bifpn)(levels)]
assert out == [[111, 112, 123, 124], [243, 264], [364]]  # by hand, above
for node in bifpn.bifpn(3).nodes:
    print(node)

# %% tags=["core", "slide"]
plots.levels({"PANet": bifpn.panet(3).nodes, "BiFPN": bifpn.bifpn(3).nodes})

# %% [markdown] tags=["core"]
# The dashed rings are the two nodes that were taken out.
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
# The first slider goes back step by step, each step beside the one before; the second takes fewer levels.

# %% tags=["core", "slide", "catch-up"]
road = {
    "1 FPN": bifpn.fpn,
    "2 PANet": bifpn.panet,
    "3 without single inputs": lambda n: bifpn.without_single_inputs(bifpn.panet(n)),
    "4 BiFPN": bifpn.bifpn,
}


def drawn(step, levels):
    names = [name for name in road if name <= step][-2:]  # the step and the one before
    return plots.levels({name[2:]: road[name](levels).nodes for name in names})


widgets.sliders(drawn, step=list(road)[::-1], levels=[5, 4, 3])

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
# It is FPN with a detour, and it has happened to the best: see below.

# %% [markdown] tags=["core", "slide"]
# ## Which input should a node trust?
#
# `P4 td` adds $P_4$, sharp and shallow, and what comes from $P_5$, blurred and wise.
# A sum says that both are worth the same, at every node, for ever.
# Let the network find out what they are worth.
# Take one pixel: the backbone says $x_1 = 2$, the way from above says $x_2 = 6$,
# and the learned numbers are $w_1 = 1$ and $w_2 = 3$.
# What comes out?
#
# The weighted mean is $(1 \cdot 2 + 3 \cdot 6) / (1 + 3) = 5$.
# For a mean the weights must not be negative.
# The paper clips them, and guards the division:
#
# $$ O = \sum_i \frac{w_i}{\epsilon + \sum_j w_j}\, x_i, \qquad w_i \leftarrow \max(0, w_i), \qquad \epsilon = 10^{-4}
#    \tag{11.7} $$
#
# So it is $20 / 4.0001 = 4.999875$.
# That is called **fast fusion**, because the natural choice, softmax, was slower on the authors' GPUs:
#
# $$ O = \sum_i \frac{e^{w_i}}{\sum_j e^{w_j}}\, x_i \tag{11.8} $$

# %% tags=["core"]
show(bifpn.fast_fusion)

# %% tags=["core", "slide"]
x = [torch.tensor(2.0), torch.tensor(6.0)]
fused = bifpn.fast_fusion(x, torch.tensor([1.0, 3.0])).item()
assert abs(fused - 20 / 4.0001) < 1e-6  # by hand, above
log3 = torch.tensor(3.0).log()
soft = bifpn.softmax_fusion(x, torch.stack([0 * log3, log3])).item()
assert abs(soft - 5) < 1e-6  # e^0 : e^(log 3) is 1 : 3
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
# Weights that begin at 1, as in the paper's code, are far from that cliff.

# %% [markdown] tags=["core", "slide"]
# ## What does a fusion weight learn?
#
# Two inputs show the same map, each with noise of its own, of variance 1 and 3.
# What is the best mean?
# Half and half has a noise of $(1 + 3) / 4 = 1$, no better than the first alone.
# With shares of 3/4 and 1/4 it is $\tfrac{9}{16} \cdot 1 + \tfrac{1}{16} \cdot 3 = 0.75$.
# In general a share should go with the inverse of the variance $\sigma_i^2$:
#
# $$ s_i = \frac{1 / \sigma_i^2}{\sum_j 1 / \sigma_j^2} \tag{11.9} $$
#
# Nobody tells the node.
# Does gradient descent find 3/4?


# %% tags=["core"]
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
clean = torch.randn(1, 1, 100, 100)
inputs = noisy([1.0, 3.0])
curves = {
    "fast": [s[0] for s in learn(bifpn.FastFusion(2), inputs)],
    "softmax": [s[0] for s in learn(bifpn.SoftmaxFusion(2), inputs)],
}
assert all(abs(c[-1] - 0.75) < 0.05 for c in curves.values())  # by hand, above
says = ", ".join(f"{name} {curve[-1]:.2f}" for name, curve in curves.items())
says = f"Share of the cleaner input: {says}."
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
# ## What does a node cost?
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

# %% tags=["core"]
show(bifpn.Fuse)

# %% tags=["core", "slide", "nbval-check-output"]
def node(conv):
    parts = dict(fusion=bifpn.SumFusion, activation=torch.nn.SiLU, norm=bifpn.BatchNorm)
    return bifpn.Fuse({0: 64, 1: 64}, 64, conv=conv, **parts)


counts = [profiling.parameters(node(c)) for c in (bifpn.SeparableConv, bifpn.Dense)]
assert counts == [4864, 37056]  # by hand, above
counts

# %% [markdown] tags=["core"]
# Nearly eight times fewer weights, and as many times fewer multiply-adds.
# Is it eight times as fast?
# Count what has to be fetched and put back: about one number in and one number out, for every number of the output map.
# How much arithmetic is done with these two?

# %% tags=["core", "slide"]
width = 64
work = {"depthwise 3x3": 9, "pointwise 1x1": width, "dense 3x3": 9 * width}
per_number = {name: macs / 2 for name, macs in work.items()}
low, high = per_number["depthwise 3x3"], per_number["dense 3x3"]
says = f"A dense 3x3 does {high:.0f} multiply-adds for each number that it moves, a "
says += f"depthwise one {low}."
plots.bars(per_number, y_label="multiply-adds per number moved", says=says)

# %% [markdown] tags=["core"]
# If moving a number takes as long as many multiply-adds, a depthwise convolution mostly waits.
# Does it, here?
# Measure, in turns, as in chapter 03: a dense and a separable convolution on P3 and on P5 of D0.

# %% tags=["core", "slide"]
pair = {"dense": bifpn.Dense(64, 64), "separable": bifpn.SeparableConv(64, 64)}
gains = {"by arithmetic": 9 * 64 / (9 + 64)}
for name, side in {"measured on P3": 64, "measured on P5": 16}.items():
    maps = torch.randn(1, 64, side, side)
    work = {k: lambda conv=conv, maps=maps: conv(maps) for k, conv in pair.items()}
    with torch.no_grad():
        clock = profiling.interleave(work, repeats=9)
    gains[name] = clock["dense"].median / clock["separable"].median
says = ", ".join(f"{gain:.1f} times {name}" for name, gain in gains.items())
says = f"Separable is cheaper: {says}."
plots.bars(gains, y_label="dense / separable", says=says)

# %% [markdown] tags=["core"]
# The estimate is one number.
# The measurement depends on the size of the map, the machine, its cache and what else it is doing;
# on small maps the dense one may even win.
# Part IV comes back to this: the dense convolution gains more from quantization.

# %% [markdown] tags=["core", "slide"]
# ## Is it the pyramid of EfficientDet-D0?
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

# %% tags=["core", "slide", "nbval-check-output"]
by_hand = 24 * 4864 + 57 + 2752 + 2 * 7360 + 2 * 20672 + 20672
d0 = bifpn.BiFPN((40, 112, 320), width=64, cells=3).eval()
assert profiling.parameters(d0) == by_hand == 196281
sides = bifpn.level_sizes((512, 512), 3, 5)
features = [torch.randn(1, c, *s) for c, s in zip((40, 112, 320), sides, strict=True)]
with torch.no_grad():
    print([tuple(p.shape) for p in d0(features)])

# %% [markdown] tags=["core"]
# And the larger ones.
# On the device `meta` a network has shapes, and no numbers, so that D7x fits everywhere.
# D6 and above take the plain sum, "for stability", and D7x a sixth level.

# %% tags=["core", "slide", "nbval-check-output"]
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

# %% [markdown] tags=["core"]
# **Break it.**
# One 1x1 for both readers of $P_4$, and one for those of $P_5$, seems tidy.
# Here it is, made from the right one:

# %% tags=["core", "slide"]
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

# %% [markdown] tags=["core"]
# The official weights do not fit such a pyramid, and cutting them to fit gives other outputs.
#
# What does each step of the road cost?
# One layer, five levels, one width:

# %% tags=["core", "slide", "nbval-check-output"]
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

# %% [markdown] tags=["core"]
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
#
# How far does each mistake move the answers?
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
# Six of these nine leave the number of parameters as it is.
# The tests measure all of them again.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - Sizes of levels are halved and rounded up.
#   Maps are brought to the exact size: overlapping maxima down, repeated pixels up.
# - FPN tells fine levels what coarse ones know.
#   PANet also goes back up.
#   BiFPN takes out nodes that fuse nothing, adds short cuts, and repeats.
# - A pyramid is a table of nodes: a value that can be drawn, counted and changed.
# - Fast fusion is a weighted mean with clipped weights.
#   It learns whom to trust, can shut an input out, and can die.
# - Shapes and counts do not prove a pyramid right.
#   Copied weights and equal outputs do.

# %% [markdown] tags=["core"]
# ## Exercises
#
# ### 11.1 · Predict · fusion_weights · 5 min · ●○○ · 1 point
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
# ### 11.2 · Measure · best_share · 15 min · ●●○ · 2 points
#
# Three inputs, with noise of variance 1, 2 and 4.
# Let a `FastFusion(3)` learn for 300 steps.
# Which share does the first input end with?
# Two digits are enough.

# %% tags=["core"]
answer = ...  # your number

check("bifpn.best_share", answer)
# hint("bifpn.best_share")
# solution("bifpn.best_share")

# %% [markdown] tags=["core"]
# ### 11.3 · Build · window · 20 min · ●●○ · 3 points
#
# A side of `old` pixels is max-pooled to `new` by Eq. 11.2, padded as SAME pads: no more than the windows need,
# one half in front, and an odd pixel behind.
# Write `window(i, old, new)`: the list of rows of the longer side that row `i` of the shorter one sees.
# By hand: `window(0, 4, 2)` is `[0, 1, 2]` and `window(1, 4, 2)` is `[2, 3]`.
# Rows that do not exist are not listed.


# %% tags=["core"]
def window(i, old, new):
    ...  # your code


check("bifpn.window", window)
# hint("bifpn.window")
# solution("bifpn.window")

# %% [markdown] tags=["core"]
# ### 11.4 · Build · ways · 20 min · ●●○ · 3 points
#
# In how many ways does each input reach each output?
# Write `ways(levels, nodes)`: `nodes` is a list of pairs (level, inputs), as in our tables.
# Return a list with a row for each output, the finest first, and in it a number for each input.
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
# ### 11.5 · Build · softmax_gradient · 20 min · ●●● · 3 points
#
# One pixel, $n$ inputs `x` of shape $(n,)$, raw `weights` of the same shape, fused by Eq. 11.8.
# Write `softmax_gradient(x, weights)`, the derivative of the fused number by each weight, without autograd.
# By hand, for `x` = (2, 6) and shares of 1/4 and 3/4: $(-0.75, 0.75)$.


# %% tags=["core"]
def softmax_gradient(x, weights):
    ...  # your code


check("bifpn.softmax_gradient", softmax_gradient)
# hint("bifpn.softmax_gradient")
# solution("bifpn.softmax_gradient")

# %% [markdown] tags=["optional"]
# ### 11.6 · Further · 120 min · ●●● · 0 points
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
#   BiFPN, fast fusion, compound scaling of detectors.
# - Ghiasi, Lin, Pang, Le, [NAS-FPN](https://arxiv.org/abs/1904.07392), 2019.
#   A searched pyramid.
