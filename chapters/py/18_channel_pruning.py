# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 18 · Channel pruning
#
# **Question. Which channels can a network do without, what do they take with them, and is it then really faster?**
#
# After this chapter you can
#
# 1. find the channels that have to go together, by hand and by a trace, and take them out (exercises 18.1, 18.5)
# 2. say what a smaller width does to multiply-adds (exercises 18.3, 18.4)
# 3. rank channels in four ways, and say what ranking cannot know (exercise 18.2, quiz)
# 4. check that a pruned network is its masked twin, and repair what is constant but not zero (exercise 18.6)
# 5. say why fewer multiply-adds may bring no time (quiz)
#
# | study | about 150 min (estimate) |
# |---|---|
# | run | <!-- run -->0.5 min (29 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->803 MB (measured)<!-- /peak --> |
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
import copy
import json

import torch
import torchvision
from torch import nn

from lib.basics import profiling, training
from lib.book import course, plots, widgets
from lib.book.notebook import (
    build,
    check,
    guess,
    guesses,
    hint,
    measured,
    quiz,
    setup,
    show,
    solution,
    table,
)
from lib.compression import channel_pruning, coupling
from lib.detection import coco_eval, detectors

device = setup("18_channel_pruning", seed=0)

# %% [markdown] tags=["core"]
# Chapter 17 set weights to zero, and the detector took as long as before: a zero is multiplied as any other number.
# Here whole channels leave (**structured pruning**), so that the tensors really get smaller.
# The hard part is not which channel to take.
# It is what goes with it.
#
# Before anything is measured, write down what you expect.
# Put numbers in place of `None`; leave them if you like to be surprised.

# %% tags=["core", "slide"]
guess("multiply-adds left when every width loses 30 %, in %", None)  # your number
guess("AP left without new training, 30 % of the channels gone", None)  # it had about 0.8
guess("speed-up in onnxruntime at half the multiply-adds", None)

# %% [markdown] tags=["core", "slide"]
# ## What goes with one channel?
#
# A residual block: convolution `a` makes 4 channels, `b` reads them and makes 4 more, the two are added,
# and `c` reads the sum.
#
# Say we do not want channel 2 of `a` any more.
# Take pencil and paper before you read on: which rows and which columns of which weights have to go?

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.b, self.c = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x = torch.relu(self.norm(self.a(x)))
        return self.c(x + self.b(x))


toy, picture = Residual(), torch.zeros(1, 3, 8, 8)
block = ["picture", "a", "norm", "b", "sum", "c"]
arrows = [*zip(block, block[1:], strict=False), ("norm", "sum")]
plots.graph(block, arrows, title="The residual block")

# %% [markdown] tags=["core"]
# - Filter 2 of `a`, and its bias: that is what makes the channel.
# - Place 2 of the norm: scale, shift, mean and variance.
# - Column 2 of `b`, which reads it.
# - Filter 2 of `b`!
#   Its output is added to channel 2, and a sum needs the same channels on both sides.
# - Column 2 of `c`, which reads the sum.
#
# One channel, five places in four layers.
# So we do not ask which channel of a *layer* to prune, but which [*group*](GLOSSARY.md#group) of places.
#
# ### 18.1 · Build · keep_places · 12 min · ●●○ · 3 points
#
# Somebody has listed the places.
# Write the function that takes them out: `keep_places(tensors, kept)`.
# `tensors` are weights, biases and statistics by name; `kept[name, dim]` lists the places that stay along one
# dimension of one of them: 0 for filters and norms, 1 for the columns of a reader.
# The order of the list is the order of the result.
# A tensor may be named for both, and one that is not named stays as it is.
# Return a new dictionary with all names; the one that came stays as it was.


# %% tags=["core"]
def keep_places(tensors, kept):
    """The same tensors with only the places that stay: `kept[name, dim]` lists them.

    By hand: filters 1, 2, 3 and a reader with columns 4, 5, 6; channel 1 goes, so
    {("conv.weight", 0): [0, 2], ("reader.weight", 1): [0, 2]} leaves 1, 3 and 4, 6.
    """
    # your code, in place of the dots
    ...


build("channel_pruning.keep_places", keep_places)
# hint("channel_pruning.keep_places")
# solution("channel_pruning.keep_places")

# %% tags=["core"]
show(channel_pruning.keep_places, folded=True)

# %% [markdown] tags=["core"]
# And who lists them?
# Give every place a label: a number of its own.
# Three rules say which labels are made the same.
#
# 1. **A sum** puts channel $i$ of one map on channel $i$ of the other: their labels become one.
# 2. **A norm**, and a depthwise filter, keep a number or a filter for each channel: these get its label.
# 3. **A convolution** reads each channel with one column of its weight: the column gets the channel's label.
#    What it makes gets new labels, those of its filters.
#
# Labels that are the same are one channel.
# That is the old problem of *union and find*: each label points to an older one of its group, and the oldest,
# the root, stands for all.

# %% tags=["deep"]
show(coupling.UnionFind)

# %% [markdown] tags=["core", "slide"]
# The toy by hand, with labels for 4 places each of: what `a` makes (0 to 3), what the norm holds (4 to 7),
# what `b` reads (8 to 11), what `b` makes (12 to 15), what `c` reads (16 to 19).
# How many groups are left in the end?

# %% tags=["core", "slide", "nbval-check-output"]
same = coupling.UnionFind()
made_a, normed, read_b, made_b, read_c = (same.new(4) for _ in range(5))
for place in (normed, read_b, made_b, read_c):
    for one, other in zip(made_a, place, strict=True):
        same.union(one, other)
roots = [same.find(label) for label in range(20)]
assert len(set(roots)) == 4
roots

# %% [markdown] tags=["core"]
# Four channels that can go one by one, each with five places.
# Nobody wants to do this for a detector.
# So let the network tell: `tracing` runs a copy of it once, on one picture.
# PyTorch announces each operator before it works, and for each kind of operator there is such a rule:
# a concatenation, for one, puts labels in a row.
# (This is what [DepGraph](https://arxiv.org/abs/2301.12900) does for whole layers; here it is done for each channel.)

# %% tags=["deep"]
show(coupling.convolution)  # rule 3, with groups and depthwise filters

# %% [markdown] tags=["core"]
# The rest is looking up:

# %% tags=["core", "slide", "nbval-check-output"]
for group in channel_pruning.groups(toy, picture):
    print(group)

# %% [markdown] tags=["core"]
# What the tracer cannot free it refuses, with the reason: the picture's three channels are no layer's,
# and what comes out at the end has a meaning outside.
# All other channels follow from the operators that ran, so it does not matter how the code is written.

# %% [markdown] tags=["core", "slide"]
# ## Who is coupled in a detector?
#
# `plain` from chapter 16 has residual blocks, a pyramid with sums, and two heads that are shared by three levels.
# Before you run the cell: how many groups has it, and which one has places in the largest number of layers?
# We call that one the knot.

# %% tags=["core", "slide", "catch-up", "nbval-check-output"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
model = detectors.shipped("plain")
x = torch.zeros(1, 3, 128, 128)
whole = profiling.macs(model, x)
groups = channel_pruning.groups(model, x)
free = [group for group in groups if not group.refused]
listed = [
    (i, g.name, len(g), *(len(g.layers(role)) for role in ("out", "norm", "in")))
    for i, g in enumerate(free)
]
table(("", "group, by its first layer", "channels", "made by", "norms", "read by"), listed)

# %% tags=["core", "nbval-check-output"]
knot = max(free, key=lambda group: len(group.members))
print(knot)

# %% [markdown] tags=["core"]
# The knot is BiFPN's and the heads' common width.
# The finest stage of the backbone belongs to it, since its map enters the first sum as it is.
# And look at the heads in the table, with three norms for one layer: a head's filters are the same on all levels,
# but each level has a norm of its own (chapter 13).
# Forget one of them, and one level of the pyramid breaks.
#
# Which layers share a group with which?
# The columns are the groups of the table.

# %% tags=["core", "slide"]
used = [m.layer for g in free for m in g.members if m.role in ("out", "in")]
layers = list(dict.fromkeys(used))
marks = torch.tensor([
    [(layer in g.layers("out")) + 2 * (layer in g.layers("in")) for g in free]
    for layer in layers
])
says = f"{len(layers)} layers, {len(free)} groups: 1 makes channels of the group, "
says += "2 reads them, 3 both."
ticks = {"rows": layers, "columns": range(len(free))}
plots.grid(marks, **ticks, x_label="group", y_label="layer", says=says)

# %% [markdown] tags=["core"]
# The same tracer on the others that this course has built, and on one that nobody here wrote:
# MobileNetV3 from torchvision, with depthwise filters, gates and hard swishes.

# %% tags=["core", "nbval-check-output"]
others = {name: detectors.detector(name) for name in ("course", "lite")}
others["mobilenet_v3_small"] = torchvision.models.mobilenet_v3_small()
for name, network in others.items():
    sizes = [len(g) for g in channel_pruning.groups(network, x) if not g.refused]
    print(f"{name}: {len(sizes)} groups, {sum(sizes)} channels; largest {max(sizes)}")

# %% [markdown] tags=["deep"]
# An operator without a rule is an error, and the error has a name in it.
# Group normalisation mixes the channels of a group in its mean: take one out, and the others change.
# `keep` says that a layer is to be left alone, with all that it touches.

# %% tags=["deep"]
strange = nn.Sequential(nn.Conv2d(3, 8, 1), nn.GroupNorm(2, 8), nn.Conv2d(8, 2, 1))
try:
    channel_pruning.groups(strange, picture)
except ValueError as error:
    print(error)

# %% [markdown] tags=["core", "slide"]
# ## What does a channel cost?
#
# A convolution with $k \times k$ taps that makes $C'$ channels of $C$, on a map of $H \times W$ pixels,
# costs $H W k^2 C C'$ multiply-adds.
# If a share $r$ goes on the one side and $r'$ on the other,
#
# $$ M(r, r') = H W k^2 \, (1 - r) C \, (1 - r') C' \tag{18.1} $$
#
# is left.
# By hand: 30 % on both sides leave $0.7 \cdot 0.7 = 0.49$.
# Layers at the ends lose on one side only.
# The trace knows every product, so what a plan will cost is known before a single weight is moved; `plan` counts,
# and `profiling` confirms.

# %% tags=["core", "slide"]
plan = channel_pruning.plan(model, x, 0.3)
small = channel_pruning.remove_channels(model, x, plan)
assert plan.macs == profiling.macs(small, x)
assert plan.parameters == profiling.parameters(small)
left = 100 * plan.macs / whole
measured("multiply-adds left when every width loses 30 %, in %", left, "%")

# %% tags=["core", "slide"]
shares = [i / 20 for i in range(20)]
left = [channel_pruning.plan(model, x, share).macs / whole for share in shares]
curves = {"counted": left, "(1 - r) squared": [(1 - r) ** 2 for r in shares]}
says = f"Half of the channels gone: {left[10]:.0%} left; three quarters: {left[15]:.0%}."
axes = {"x_label": "share of channels that goes", "y_label": "multiply-adds left"}
plots.lines(shares, curves, **axes, says=says)

# %% [markdown] tags=["core"]
# The curve runs a little above the square: ends lose once, and channels come whole.
# How many stay of a group of $C$ channels, if widths are to be multiples of $m$?
#
# $$ C_{kept} = \min\left(C,\; m \left\lceil \frac{C - \lfloor r C \rfloor}{m} \right\rceil\right) \tag{18.2} $$
#
# By hand: $C = 40$, $r = 0.5$, $m = 16$: $20$ would stay, and the next multiple is $32$.
# Rounding *up* keeps more than was asked for; rounding down would take more than was allowed.

# %% tags=["core", "nbval-check-output"]
assert channel_pruning.kept_channels(40, 0.5, 16) == 32
[channel_pruning.kept_channels(100, 0.29, m) for m in (1, 8, 16, 64)]

# %% [markdown] tags=["core", "slide"]
# ## Which channels do least?
#
# Four answers.
# The first two look at the size of all weights $w$ that make, filter or read channel $c$:
#
# $$ I_p(c) = \Big( \sum_{w \in c} |w|^p \Big)^{1/p}, \qquad p = 1, 2 \tag{18.3} $$
#
# The third asks the batch norms, which multiply a channel by $\gamma$; a channel with $\gamma = 0$ is switched off.
# With $N$ norms in a group (one for each level of a head):
#
# $$ I_{bn}(c) = \frac{1}{N} \sum_{n} |\gamma_{n,c}| \tag{18.4} $$
#
# The fourth asks the loss $L$.
# A reader of channel $c$ has the weights $w$ in its column; setting the channel to 0 is the same as setting them to 0.
# To first order (the first term of a Taylor expansion) the loss changes by
#
# $$ I_{T}(c) = \Big| \sum_{w \text{ reads } c} w \, \frac{\partial L}{\partial w} \Big| \tag{18.5} $$
#
# By hand: filter $(1, -2, 2)$, read with the weight 4.
# Then $I_1 = 1 + 2 + 2 + 4 = 9$ and $I_2 = \sqrt{1 + 4 + 4 + 16} = 5$.
#
# ### 18.2 · Build · taylor · 8 min · ●○○ · 2 points
#
# Write the fourth one: `taylor(weights, gradients)`.
# Both are tensors (C, N): a row for every channel, with the weights that read it, and with their slopes.
# Return a tensor (C,), one number a channel.


# %% tags=["core"]
def taylor(weights, gradients):
    """What the loss changes by, to first order, if a channel is masked; one a row.

    By hand: weights 1, 2 with slopes 0.5, -1 give |0.5 - 2| = 1.5.
    """
    # your code, in place of the dots
    ...


build("channel_pruning.taylor", taylor)
# hint("channel_pruning.taylor")
# solution("channel_pruning.taylor")

# %% tags=["core", "slide", "nbval-check-output"]
show(channel_pruning.taylor, folded=True)
tiny = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
with torch.no_grad():
    tiny[0].weight.copy_(torch.tensor([[1.0, -2, 2], [0, 3, 4]])[:, :, None, None])
    tiny[2].weight.copy_(torch.tensor([[4.0, 12]])[:, :, None, None])
(pair,) = [g for g in channel_pruning.groups(tiny, picture) if not g.refused]
by_hand = {
    kind: channel_pruning.importance(tiny, pair, kind).tolist()
    for kind in ("l1", "l2", "bn")
}
assert by_hand["l1"][0] == 9 and by_hand["l2"][0] == 5
by_hand

# %% [markdown] tags=["core"]
# Do the four agree about the detector?
# The fourth, `taylor`, needs a gradient.
# Any scalar has one; here it is the mean square of all class logits on eight validation scenes,
# which asks what the answers hang on.
# (We do not take test scenes for this: scenes that judge a network must not help to choose it.)
# The loss of a detector (chapter 14) asks what the *right* answers hang on; the recorded rows further down use it.

# %% tags=["core"]
scenes, held = detectors.scenes("test", 100), detectors.scenes("validation", 60)
images = training.normalise(torch.from_numpy(scenes.images))
classes, _ = model(training.normalise(torch.from_numpy(held.images[:8])))
sum(level.square().mean() for level in classes).backward()
inner = next(group for group in free if group.name.endswith("2.1.first.0"))
ranks = {
    kind: channel_pruning.importance(model, inner, kind).argsort().argsort().double()
    for kind in channel_pruning.KINDS
}

# %% tags=["core", "slide"]
agree = torch.corrcoef(torch.stack(list(ranks.values()))).tolist()
pairs = zip(ranks, agree, strict=True)
print(f"rank correlation on the {len(inner)} channels of {inner.name}")
table(("", *ranks), [(kind, *(f"{r:.2f}" for r in row)) for kind, row in pairs])

# %% [markdown] tags=["core"]
# L1 and L2 rank almost alike.
# The slope of the loss (`taylor`) asks another question, and hardly agrees with them.
# None of the four knows what the *other* channels would do once one is gone.
# So what counts is the network after it was [trained again](GLOSSARY.md#trained-again), further down.

# %% [markdown] tags=["core", "slide"]
# ## Is it the same network, only smaller?
#
# There is a strict test.
# Take the whole network and set the removed channels to 0 wherever a layer reads them, after norm and activation.
# This [*masked*](GLOSSARY.md#masked-twin) twin $f_{mask}$ has its full size.
# The pruned network $f_{pruned}$ has to say the same on every picture, in eval mode:
#
# $$ f_{pruned}(x) = f_{mask}(x) \tag{18.6} $$

# %% tags=["core"]
show(channel_pruning.masked)

# %% tags=["core", "slide"]
twin = channel_pruning.masked(model, plan)
with torch.no_grad():
    ours, theirs = small(images[:4])[0], twin(images[:4])[0]
apart = max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True))
assert apart < 1e-4
print(f"largest difference of a logit: {apart:.1e}")

# %% [markdown] tags=["core", "slide"]
# **Break it.**
# The commonest slip: the filters were cut, and the norm behind them kept the wrong places.
# Here one norm of the class head, on one level of three, holds the statistics of its first channels instead of those
# that stayed.
# The shapes are right, nothing complains.

# %% tags=["core", "slide"]
broken = copy.deepcopy(small)
norm, whole_norm = broken.class_head.norms[0][0], model.class_head.norms[0][0]
n = norm.num_features
with torch.no_grad():
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        getattr(norm, leaf).copy_(getattr(whole_norm, leaf)[:n])
    wrong = broken(images[:4])[0]
[f"{(a - b).abs().max().item():.1e}" for a, b in zip(wrong, theirs, strict=True)]

# %% [markdown] tags=["core"]
# The first level is off, the others are right.
# A test that looks at another level, or only at shapes, would pass.
#
# **And functions that are not 0 at 0?**
# The twin's channel is 0 where it is read.
# If a channel is switched off *before* a sigmoid, the next layer reads 0.5 and not 0.
# That constant can be put into the next bias (exercise 18.6).
# `channel_pruning` does not do it; it leaves such a group alone and says so.
# A gate is no obstacle: 0 times a sigmoid is 0.

# %% tags=["core", "nbval-check-output"]
chain = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Sigmoid(), nn.Conv2d(8, 2, 1))
[group.refused for group in channel_pruning.groups(chain, picture)]

# %% [markdown] tags=["core", "slide"]
# ## How good is what is left?
#
# Thirty per cent of all channels are gone, by the L2 norm.
# Nothing was trained.

# %% tags=["core", "slide"]
def score(network, judges=scenes):
    detections = coco_eval.detections(network, judges)
    return round(coco_eval.evaluate(judges.coco(), detections).ap, 3)


scores = {"whole": score(model), "30 % gone": score(small)}
measured("AP left without new training, 30 % of the channels gone", scores["30 % gone"])
print(f"AP on 100 test scenes: {scores['whole']:.3f} whole, {scores['30 % gone']:.3f} pruned")

# %% [markdown] tags=["core"]
# Nearly nothing.
# Part of it is cheap to repair: the statistics of the norms were collected when all channels were there.
# Every layer now gets a smaller sum than its norm expects.
# Let a few scenes run through in training mode, without any step of an optimizer, so that the norms look again.

# %% tags=["core", "slide"]
def looked_again(network):
    network = copy.deepcopy(network)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # the mean of all batches
    with torch.no_grad():
        for batch in looked.split(32):
            network.train()(batch)
    return network.eval()


looked = training.normalise(torch.from_numpy(detectors.scenes("train", 128).images))
anew = looked_again(small)
scores["norms looked again"] = score(anew)
plots.bars(scores, y_label="AP on 100 test scenes")

# %% [markdown] tags=["core", "slide"]
# **Which group can give channels?**
# Chapter 17 asked the same of layers and weights.
# Take a quarter of *one* group, leave all others whole, and let the norms look again.
# Then a half, then three quarters, and so on through the groups.
# This chooses, so it looks at validation scenes; the test scenes judge what is chosen.

# %% tags=["core", "slide"]
before, losses = score(model, held), {}
for group in free:
    each = losses[group.name] = {}
    for share in (0.25, 0.5, 0.75):
        thinner = looked_again(channel_pruning.prune(model, x, {group.name: share}))
        each[share] = round(before - score(thinner, held), 3)
half = {f"{i}": losses[group.name][0.5] for i, group in enumerate(free)}
worst = sorted(half, key=half.get)[-2:]
says = "Half of one group gone, norms looked again. " + " ".join(
    f"Group {i} ({free[int(i)].name}, {len(free[int(i)])} channels) costs {half[i]:.2f}."
    for i in reversed(worst)
)
plots.bars(half, x_label="group", y_label="AP lost, 60 validation scenes", says=says)

# %% [markdown] tags=["core"]
# A few groups cause nearly all of the loss, and the knot, with its places in so many layers, causes most.
# So let each group cost the same: fix a price in AP, and take from each group the share that costs this much
# alone.
# Then raise the price until the multiply-adds are those of the even plan.

# %% tags=["core"]
show(channel_pruning.shares_by_loss)

# %% tags=["core", "slide"]
for price in (k / 500 for k in range(500)):
    own = channel_pruning.shares_by_loss(losses, price)
    priced = channel_pruning.plan(model, x, own)
    if priced.macs <= plan.macs:
        break
uneven = looked_again(channel_pruning.remove_channels(model, x, priced))
found = [coco_eval.detections(network, scenes) for network in (anew, uneven)]
apart = coco_eval.compare(scenes.coco(), *found)
print(f"each group may cost {price:.3f} AP alone; gone, group by group:")
print(*(f"{len(priced.removed[g.name]) / len(g):.0%}" for g in free))
left = f"even {plan.macs / whole:.3f}, by the price {priced.macs / whole:.3f}"
print(f"multiply-adds left: {left}")
print(f"AP, 100 test scenes: even {apart.a:.3f}; by the price {apart.b:.3f}")
print(f"apart {apart.difference:+.3f}")

# %% [markdown] tags=["core"]
# The same work is left, and much more of the AP.
# The line "apart" is a paired interval (chapter 16): the same pictures drawn again and again for both.
# Each group was asked alone; what all of them cost together is another number, and only the whole network says it.
# Asking this automatically, with a latency to meet, is what [AMC](https://arxiv.org/abs/1802.03494) and
# [NetAdapt](https://arxiv.org/abs/1804.03230) do; NetAdapt trains a little after each step, and asks again.
#
# The rest needs training (**fine-tuning**).
# Before that, how much hangs on the choice *within* a group?
# `data/ablations/channel_pruning.py` recorded the AP with fresh statistics and no training, for several shares.
# "random" draws the channels by lot.
# The line is the mean of three seeds, each with its own 200 test scenes, the shade goes from the lowest to the highest.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
path = course.ROOT / "data/ablations/channel_pruning.jsonl"
rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
shot = {}
for row in rows:
    if row["question"] == "one-shot" and row["statistics"] == "anew" and row["ratio"]:
        shot.setdefault(row["kind"], {}).setdefault(row["ratio"], []).append(row["ap"])
mean = {k: [sum(aps) / len(aps) for aps in by.values()] for k, by in shot.items()}
band = {k: ([*map(min, by.values())], [*map(max, by.values())]) for k, by in shot.items()}
ratios = list(shot["random"])
says = "Mean AP. " + ". ".join(
    f"{ratios[i]:.0%} gone: " + ", ".join(f"{k} {ap[i]:.2f}" for k, ap in mean.items())
    for i in (0, 2)
)
axes = {"x_label": "share of channels that went", "y_label": "AP, recorded"}
plots.lines(ratios, mean, band=band, **axes, says=says + ".")

# %% [markdown] tags=["core"]
# While little goes, the size of the weights chooses best.
# With 10 % gone the scale of the norms is worse than channels drawn by lot.
# (That says nothing against the paper where it comes from, which trains for it: below.)
# When 30 % goes, all ways end low: the same share goes from every group, and two groups cannot give so much.
#
# Now 300 steps of training, for widths chosen by hand:
# half of the inner channels of blocks and heads, and half of the coarse stages.
# Which channels go was chosen in several ways; "scratch" has the same widths and random weights.
# ("taylor, validation" took its gradients from validation scenes, "taylor" from training scenes.)
# Beside it stand other widths with the same multiply-adds: one share for all groups ("even"),
# and shares by the price of each group alone, from a scan of 100 validation scenes ("price"),
# also with all widths rounded up to multiples of 16 ("price, by 16").
# Each point is a seed.

# %% tags=["core", "slide"]
tuned = {}
for row in (row for row in rows if row["question"] == "tuned"):
    tuned.setdefault(row["kind"], []).append(round(row["ap"], 3))
names = {"even": "even, l2", "scan": "price, l2", "blocks": "price, by 16"}
for row in (row for row in rows if row["question"] == "shares"):
    tuned.setdefault(names[row["kind"]], []).append(round(row["ap"], 3))
plots.points(tuned, y_label="AP after 300 steps, recorded")

# %% [markdown] tags=["core"]
# The choices end close together: channels drawn by lot are only a little behind, though with every seed.
# Whose pictures the gradients come from makes no difference here.
# What was learned before counts more than who was picked.
# And how many each group gives counts more than which: by the price AP ends about 0.02 above even shares and above the
# widths chosen by hand, with every seed.
# Rounded to multiples of 16, about half of that is left; why one would round so comes with the clock, below.
# "scratch" says what it saves: after 300 steps a network that knew nothing is far behind.
# It does not say that it would stay behind.
# [Liu and others](https://arxiv.org/abs/1810.05270) gave such networks as much training as the large one had,
# and they caught up.
#
# **A network that was told before.**
# [Network Slimming](https://arxiv.org/abs/1708.06519) adds $\lambda \sum |\gamma|$ over all norms to the loss while it
# trains, so that channels nobody needs get a small scale.
# Then one threshold for the whole network says which go.
# Is it the penalty that helps, or the threshold?
# All lines: 300 steps, with $\lambda = 0.01$ or without, then pruned to half of the multiply-adds, then 300 steps more.
# ($\lambda$ is the best of three on validation scenes, with the threshold.)

# %% tags=["core", "slide"]
slimmed = {}
names = {"even": "even, l2", "even, scales": "even, scales", "even, 0.01": "even, scales, penalty",
         "threshold": "threshold", "0.01": "threshold, penalty"}
for row in (row for row in rows if row["question"] == "slimmed"):
    if str(row["kind"]) in names:
        slimmed.setdefault(names[str(row["kind"])], []).append(round(row["ap"], 3))
plots.points(slimmed, y_label="AP after 300 and 300 steps, recorded")

# %% [markdown] tags=["core"]
# The penalty helps: with it the scales choose a little better than L2, without it worse.
# The threshold does not: scales of different layers are not worth the same, so it takes nine tenths and more from a few
# groups and hardly anything from others.
# The paper prunes networks for classification with much wider layers; this one is narrow everywhere.

# %% [markdown] tags=["core", "slide"]
# ## Is it faster?
#
# `data/weights/prune.py` made the shipped one, as "price, by 16" above.
# Blocks, heads and coarse stages lost a quarter to three quarters of their channels, each by its price.
# Taylor's importance chose which, and then it was trained again, for longer than 300 steps.
# The common width of BiFPN and heads, which cannot give any, stayed whole.
# All its widths are multiples of 16.

# %% tags=["core", "slide"]
shipped = channel_pruning.load(detectors.detector("plain"), "detector_pruned", x)
ratio = profiling.macs(shipped, x) / whole
path = course.ROOT / "data/weights/pruned.jsonl"
trained = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
how = trained[-1]["tune"]
tests = [f"{row['test'][0]:.3f}" for row in trained if row["tune"] == how]
print(f"{ratio:.2f} of the multiply-adds, {profiling.parameters(shipped):,} parameters")
print(f"{how['steps']:,} steps; AP on {how['judged']:,} test scenes, seed by seed:", *tests)
found = [coco_eval.detections(network, scenes) for network in (model, shipped)]
apart = coco_eval.compare(scenes.coco(), *found)
print(f"AP on 100 test scenes: whole {apart.a:.3f}; pruned, trained again {apart.b:.3f}")
print(f"apart {apart.difference:+.3f}")

# %% [markdown] tags=["core"]
# And the clock, here and now, in eager PyTorch, one picture and eight at once:

# %% tags=["core", "slide"]
for batch in (1, 8):
    both = {"whole": model, "pruned": shipped}
    timed = profiling.compare(both, images[:batch], repeats=9)
    gain = 1 / timed["pruned"].ratio
    print(f"batch {batch}: {gain:.2f}x faster with {1 / ratio:.2f}x fewer multiply-adds")

# %% [markdown] tags=["core"]
# Less than the multiply-adds promise.
# Norms, activations and sums cost by the number of values, which falls with the width and not with its square.
# And each call of an operator has a price, however small the tensor. onnxruntime (chapter 22) works the norms into the
# filters and calls less.
#
# The recorded times of one picture, one thread, when the same share of every group goes.
# "blocks of 16" is a guess at what happens: the multiply-adds if every width is rounded up to a multiple of 16.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
times = [row for row in rows if row["question"] == "latency"]
keys = [key for key in times[0] if key.replace(".", "").isdigit()]
gains = {"multiply-adds": [], "blocks of 16": []}
for key in keys:
    full = channel_pruning.plan(model, x, float(key), multiple=16)
    gains["multiply-adds"].append(whole / times[0][key]["macs"])
    gains["blocks of 16"].append(whole / full.macs)
for name in ("eager", "onnxruntime"):
    each = [[row["whole"][name] / row[key][name] for row in times] for key in keys]
    gains[name] = [sorted(one)[len(one) // 2] for one in each]
i = keys.index("0.375")
says = "Median of three. Three eighths gone: " + ", ".join(
    f"{name} {values[i]:.2f}x" for name, values in gains.items()
)
axes = {"x_label": "share of channels that goes", "y_label": "times fewer, times faster"}
plots.lines([float(key) for key in keys], gains, **axes, says=says + ".")

# %% [markdown] tags=["core"]
# The multiply-adds fall smoothly; onnxruntime's time falls in steps, as the guess says:
# hardly up to three eighths, and then at a half much at once.
# On the processor of the recording (AVX-512, 16 floats in a register) its kernels work in blocks of 16 channels,
# and 20 fill as many blocks as 32.
# That is why the shipped network has multiples of 16.
# At a half and at five eighths the clock gains less than the guess: not all of the time is arithmetic.
# At three quarters the two meet again: the smallest widths are 4 and 8 by then,
# and evidently not worked in such blocks.

# %% tags=["core", "slide"]
half = [row["whole"]["onnxruntime"] / row["half"]["onnxruntime"] for row in times]
work = times[0]["whole"]["macs"] / times[0]["half"]["macs"]
middle = sorted(half)[len(half) // 2]
measured("speed-up in onnxruntime at half the multiply-adds", middle, "x")
said = ", ".join(f"{gain:.2f}x" for gain in half)
print(f"{work:.2f}x fewer multiply-adds; onnxruntime {said} faster, recorded")

# %% [markdown] tags=["core"]
# Move the share.
# Which widths stay, and was it worth it?

# %% jupyter={"source_hidden": true} tags=["optional"]
# Draws the recorded gains at one share of channels.
def recorded(share):
    at = keys.index(str(share))
    gain = {name: round(values[at], 2) for name, values in gains.items()}
    sizes = dict.fromkeys(len(group) for group in free)
    stay = [f"{channel_pruning.kept_channels(n, share)} of {n}" for n in sizes]
    says = f"{', '.join(stay)} channels stay. Multiply-adds {gain['multiply-adds']}x fewer,"
    says += f" onnxruntime {gain['onnxruntime']}x faster."
    return plots.bars(gain, y_label="times fewer, times faster", says=says)


values = [float(key) for key in keys]
widgets.slider(recorded, name="share", values=values, start=3, label="share that goes")

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **Rounded the wrong way.**
#   VainF/Torch-Pruning be59133: with rounding asked for, channels that go were rounded up instead of down,
#   so more left than the user had allowed.
#   A property finds it: never fewer than $(1 - r) C$ stay (Eq. 18.2).
# - **Just below the number.**
#   $0.29 \cdot 100$ is 28.999999999999996 in floating point.
#   Cut it off, and 28 go instead of 29.
#   `kept_channels` adds a tiny number first.
# - **Half a norm.**
#   Scale and shift lost the right places, mean and variance the first ones or the last.
#   Shapes fit, AP is gone.
#   Only Eq. 18.6 sees it.
# - **A norm for each level.**
#   A head's filters are shared, its norms are not (chapter 13).
#   A tool that follows one level prunes one norm of each.
# - **Groups that are too coarse.**
#   Densely connected networks concatenate; a channel's number changes from reader to reader.
#   Labels for each *channel*, not for each layer, make that no special case.
# - **Fewer multiply-adds, no time.**
#   Widths such as 20 or 40 can cost as much as 32 or 48.
#   Measure on the runtime that will be used.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - A channel is a group of places in many tensors.
#   A trace with union and find tells which.
# - Ask each group alone what it can give, on scenes that do not judge.
#   With an even share a few groups ruin the network, and training does not mend all of it.
# - Multiply-adds fall with the square of the width, and are known before anything is cut.
# - Size of weights, scale of norms, slope of the loss: cheap rankings, and after training they end close together.
# - A pruned network is its masked twin.
#   Test that, level by level.
# - Statistics of the norms first, then training again.
# - It is faster, but time falls in blocks of channels, and often less than the multiply-adds do.
#   Prune to multiples that the kernels like, and report the clock beside the count.

# %% tags=["core", "slide"]
guesses()

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 18.3 · Predict · share_left · 5 min · ●○○ · 1 point
#
# Three 1x1 convolutions in a row: 3 channels come in, 4, 8 and 2 come out, the 2 are the network's output.
# Half of the channels go wherever they can.
# Which share of the multiply-adds is left?
#
# <details><summary>Answer</summary>
#
# A pixel costs $3 \cdot 4 + 4 \cdot 8 + 8 \cdot 2 = 60$.
# Afterwards: $3 \cdot 2 + 2 \cdot 4 + 4 \cdot 2 = 22$.
# The share is $22 / 60 = 0.3667$.
#
# </details>

# %% tags=["core"]
answer = ...  # a number between 0 and 1, to four places or as a division
check("channel_pruning.share_left", answer)
# hint("channel_pruning.share_left")
# solution("channel_pruning.share_left")

# %% [markdown] tags=["core"]
# ### 18.4 · Measure · smallest_share · 8 min · ●○○ · 2 points
#
# The classifier of chapter 02.
# Which is the smallest share of channels that leaves at most half of the multiply-adds?
# Go in steps of 0.01, and answer with a number between 0 and 1.

# %% tags=["core"]
share = 0.5  # change me
classifier, crop = training.small_cnn(), torch.zeros(1, 3, 32, 32)
smaller = channel_pruning.plan(classifier, crop, share)
print(f"{share:.2f}: {smaller.macs / profiling.macs(classifier, crop):.3f} left")

answer = ...  # the share you found
check("channel_pruning.smallest_share", answer)
# hint("channel_pruning.smallest_share")
# solution("channel_pruning.smallest_share")

# %% [markdown] tags=["core"]
# ### 18.5 · Build · places · 12 min · ●●○ · 3 points
#
# Maps with `sizes[i]` channels are concatenated, in order.
# `kept[i]` lists the channels of part `i` that stay, in rising order; it may be empty.
# A layer reads the concatenation: return the list of its columns that stay, in rising order.
# By hand: `kept = [[0, 2], [1]]`, `sizes = [3, 2]` gives `[0, 2, 4]`.

# %% tags=["core"]
def places(kept, sizes):
    ...  # your code


check("channel_pruning.places", places)
# hint("channel_pruning.places")
# solution("channel_pruning.places")

# %% [markdown] tags=["core"]
# ### 18.6 · Build · folded · 18 min · ●●● · 4 points
#
# Channels that were switched off before a sigmoid arrive as one `constant` at every pixel.
# `weight` is (out, in, h, w) of a convolution without padding, `bias` is (out,), `gone` lists the channels.
# `constant` is what this layer reads there, behind the sigmoid.
# Return the pair of the smaller weight and a bias that makes up for what is gone, so that nothing changes.
# By hand: weights $1, 2, 3$ of one 1x1 filter, bias 10, `gone = [0, 2]`, constant 0.5: weight $2$,
# bias $10 + (1 + 3) \cdot 0.5 = 12$.

# %% tags=["core"]
def folded(weight, bias, gone, constant):
    ...  # your code


check("channel_pruning.folded", folded)
# hint("channel_pruning.folded")
# solution("channel_pruning.folded")

# %% [markdown] tags=["optional"]
# ### 18.7 · Further · 90 min · ●●● · 0 points
#
# [Molchanov and others](https://arxiv.org/abs/1906.10771) rank all channels of a network together and remove a few at a
# time, with training in between.
# Give each group's scores a common scale (divide by their mean),
# take away the lowest ones until `plan(..., removed=...)` says that half of the multiply-adds are left,
# and compare with one share for all groups, on `detectors.scenes("validation", 200)`.

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("channel_pruning")

# %% [markdown] tags=["core"]
# ## Where next
#
# Fewer channels, each still 32 bits wide.
# Chapter 19 makes the numbers themselves smaller.
# Both multiply: chapter 22 measures the detector that is pruned *and* has eight bits.

# %% [markdown] tags=["core"]
# ## References
#
# - Li and others, [Pruning Filters for Efficient ConvNets](https://arxiv.org/abs/1608.08710), 2016:
#   the L1 norm of filters.
# - Liu and others, [Network Slimming](https://arxiv.org/abs/1708.06519), 2017: the scale of batch norms.
# - Molchanov and others, [Importance Estimation for Neural Network Pruning](https://arxiv.org/abs/1906.10771), 2019:
#   Taylor expansions.
# - Fang and others, [DepGraph](https://arxiv.org/abs/2301.12900), 2023: coupled layers in any network,
#   and Torch-Pruning.
# - Liu and others, [Rethinking the Value of Network Pruning](https://arxiv.org/abs/1810.05270), 2018:
#   what training from scratch reaches.
