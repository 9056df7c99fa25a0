# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 13 · EfficientDet
#
# **Question. Backbone, pyramid and anchors are there: what is still missing, and how does one number turn D0 into D7?**
#
# After this chapter you can
#
# 1. say which anchor and which class a number of a detector's output belongs to (exercises 13.1 and 13.2)
# 2. say what the levels share and what each has for itself, and fold the norms away (exercises 13.3 and 13.4)
# 3. give an untrained detector its first word, and find it where it does not belong (exercise 13.6)
# 4. scale a detector by one number, and say where the paper's rule and its table part (quiz)
# 5. load weights that others published under other names (exercise 13.5)
#
# | study | about 110 min (estimate) |
# |---|---|
# | run | <!-- run -->0.3 min (16 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->687 MB (measured)<!-- /peak --> |
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
import math
import tempfile
from pathlib import Path

import torch

from lib.basics import data, profiling
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
from lib.detection import anchors, efficientdet, efficientnet
from lib.nas import nasnet, search_space

device = setup("13_efficientdet", seed=0)

# %% [markdown] tags=["core"]
# Three parts are on the table.
# EfficientNet turns a picture into three maps (chapter 10).
# BiFPN makes five levels of them that know of each other (chapter 11).
# At every place of every level stand nine anchors (chapter 12).
# Nobody has said yet what is in them.
#
# That is the work of two small networks, the [**heads**](GLOSSARY.md#head).
# With them the detector is complete.
# Then we ask how far one number can stretch it.
#
# Here is D0, the smallest of the family.
# The two heads, which this chapter adds, are drawn heavier.

# %% tags=["core", "slide"]
sides = {f"P{level}": 512 // 2**level for level in range(3, 8)}
words = {"backbone": "EfficientNet-B0", "pyramid": "BiFPN, 3 layers"}
chapters = {"backbone": "10", "pyramid": "11", "anchors": "12", "decoding": "15"}
heads = ["class head", "box head"]
plots.detector(512, sides, words=words, chapters=chapters, highlight=heads)

# %% [markdown] tags=["core"]
# In code it is as short.
# `backbone` is chapter 10's, `fpn` is chapter 11's, and `forward` is the drawing, read from left to right.

# %% tags=["core"]
show(efficientdet.Detector)

# %% [markdown] tags=["core", "slide"]
# ## What does a head say about one place?
#
# Take a toy: 2 anchors at each place, 3 classes.
# The class head gives $2 \cdot 3 = 6$ channels.
# Which of them says how sure anchor 1 is of class 1, both counted from 0?
# It has to be agreed once.
# Here, as in the published weights, all classes of anchor 0 come first, then all of anchor 1:
#
# $$ c = a K + k \tag{13.1} $$
#
# So it is channel $1 \cdot 3 + 1 = 4$.
# The box head does the same with four codes for each anchor: channel $4 a + i$ is code $i$ of anchor $a$.
# There is no channel for "nothing here": that is what remains if all classes are small.

# %% tags=["core", "slide"]
channels = [[a * 4 + k for k in range(4)] for a in range(3)]
says = f"Three anchors, four classes: channel {channels[1][2]} is class 2 of anchor 1."
plots.grid(channels, x_label="class k", y_label="anchor a", says=says)

# %% [markdown] tags=["core"]
# The anchors of chapter 12 come as one long list: level by level, row by row,
# and the anchors of one place next to each other.
# `flatten` brings the maps into that order.
# Then row $i$ of the list belongs to anchor $i$, and nothing needs to be looked up any more.
#
# By hand: one level of two places side by side, 2 anchors, 3 classes, so six channels.
# Channel $c$ of place $x$ holds the number $2c + x$.
# Place 0 comes first: its anchor 0 has the channels 0, 1, 2, so the first row is 0, 2, 4.
# The last row is place 1, anchor 1: channels 3, 4 and 5, so it should be 7, 9, 11.
#
# ### 13.1 · Build · flatten · 15 min · ●●○ · 3 points
#
# The loss of chapter 14 and the boxes of chapter 15 both read the maps through this function.
# Write `flatten(outputs, size)`.
# `outputs` is a list of maps, a tensor (B, A * `size`, H, W) for each level; H and W differ from level to level.
# `size` says how many numbers an anchor has: $K$ for logits, 4 for codes.
# Return one tensor (B, N, `size`) with a row for each of the N anchors: level by level in the order of the list,
# row by row of places, and the anchors of a place next to each other.
#
# A map lies in memory channel by channel, so that a `reshape` alone would mix places.
# `x.permute(0, 2, 3, 1)` has the dimensions 0, 2, 3, 1 of `x`, in this order.


# %% tags=["core"]
def flatten(outputs, size):
    """Maps (B, A * size, H, W) of all levels as one tensor (B, N, size), a row an anchor.

    By hand: the map above, with a size of 3, has the rows 0 2 4, 6 8 10, 1 3 5, 7 9 11.
    """
    # your code, in place of the dots
    ...


build("efficientdet.flatten", flatten)
# hint("efficientdet.flatten")
# solution("efficientdet.flatten")

# %% tags=["core"]
show(anchors.flatten, folded=True)

# %% tags=["core", "slide", "nbval-check-output"]
maps = torch.arange(12.0).reshape(1, 6, 1, 2)
rows = anchors.flatten([maps], 3)[0]
assert rows[3].tolist() == [7, 9, 11]  # by hand, above
rows.tolist()

# %% [markdown] tags=["core"]
# **Break it.**
# Read the channels the other way round, $c = kA + a$.
# The shape is the same.

# %% tags=["core", "nbval-check-output"]
swapped = maps.reshape(1, 3, 2, 1, 2).permute(0, 3, 4, 2, 1).reshape(-1, 3)
print(tuple(swapped.shape) == tuple(rows.shape), swapped.tolist())

# %% [markdown] tags=["core"]
# Row 0 mixes two classes of anchor 0 with one of anchor 1.
# Trained from scratch, nobody would ever notice: the network learns whatever order it is given.
# With published weights every answer is wrong.
#
# So one place says $A$ times $K$ logits and $A$ times 4 codes, and a row of the list is what one anchor says.
# Now the real size.
# D0 takes 512x512, and this is all that it says about one picture:

# %% tags=["core", "slide", "nbval-check-output"]
with torch.device("meta"):  # shapes only
    d0 = efficientdet.efficientdet("d0").eval()
    classes, codes = d0(torch.zeros(1, 3, 512, 512))
pairs = zip(classes, codes, strict=True)
sizes = [(f"P{i}", tuple(c.shape), tuple(b.shape)) for i, (c, b) in enumerate(pairs, 3)]
table(("level", "class map", "box map"), sizes)

# %% [markdown] tags=["core"]
# 49,104 anchors, each with 90 logits and 4 codes: 4.6 million numbers about one picture.

# %% [markdown] tags=["core", "slide"]
# ## Why one filter for five levels?
#
# A head is a short stack: three times a separable convolution, a norm and an activation,
# then one convolution that predicts.
# It runs over P3, then over P4, and so on, *with the same filters*.
# A dog on P3 looks like a dog on P5, only in other pixels.
# So a filter that finds ears on one level should find them on all.
#
# One thing differs between the levels: how large their numbers are.
# So each level $l$ has its own norm $N_{r,l}$ in each repeat $r$, while the filter $f_r$ belongs to all.
# With $\phi$ for the activation,
#
# $$ x_{r+1,\,l} = \phi\big( N_{r,\,l} ( f_r * x_{r,\,l} ) \big) \tag{13.2} $$
#
# By hand: the filter hands on a 5 on two levels.
# On the first the norm has seen mean 1 and variance 1, on the second mean 2 and variance 4.
# What does each make of it?
# $(5 - 1) / 1 = 4$, and $(5 - 2) / 2 = 1.5$.

# %% tags=["core"]
show(efficientdet.Head)

# %% tags=["core", "slide"]
two = anchors.AnchorConfig(levels=(3, 4))
relu6 = torch.nn.ReLU6  # leaves numbers from 0 to 6 as they are
toy = efficientdet.Config(width=1, repeats=1, anchors=two, activation=relu6)
head = efficientdet.Head(toy, outputs=1).eval()
for name, value in head.named_parameters():  # filters that hand on what they get
    torch.nn.init.constant_(value, float(name.endswith("weight")))
for norm, mean in zip(head.norms[0], (1.0, 2.0), strict=True):
    norm.running_mean.fill_(mean)
    norm.running_var.fill_(mean**2)
with torch.no_grad():
    said = [y.item() for y in head([torch.full((1, 1, 1, 1), 5.0)] * 2)]
assert abs(said[0] - 4.0) < 0.01 and abs(said[1] - 1.5) < 0.01  # by hand; eps costs a hair
said

# %% [markdown] tags=["core"]
# Is it true that levels differ so much?
# Send eight scenes of chapter 01 through an untrained D0, and let each norm write down what it sees.

# %% tags=["core"]
scenes = torch.stack([s.image for s in data.scenes("validation", 8)]).float() / 255
torch.manual_seed(0)
model = efficientdet.efficientdet("d0", num_classes=10)
for part in model.modules():
    if isinstance(part, torch.nn.BatchNorm2d):
        part.momentum = 1.0  # the statistics of this batch alone
with torch.no_grad():
    model(scenes)
model = model.eval()

# %% tags=["core", "slide"]
seen = {}
for i, norms in enumerate(model.class_head.norms):
    seen[f"repeat {i}"] = [norm.running_var.mean().item() for norm in norms]
first = seen["repeat 0"]
says = f"Before the first norm the mean variance is {first[0]:.2f} on P3 and "
says += f"{first[-1]:.2f} on P7."
labels = {"x_label": "level", "y_label": "variance before the norm"}
plots.lines(range(3, 8), seen, says=says, **labels)

# %% [markdown] tags=["core"]
# **Break it.**
# The five norms of a repeat have one shape.
# Let P3 and P4 exchange theirs, in the class head only.

# %% tags=["core", "slide"]
other = copy.deepcopy(model)
for norms in other.class_head.norms:
    norms[0], norms[1] = norms[1], norms[0]
with torch.no_grad():
    right, wrong = model(scenes)[0], other(scenes)[0]
pairs = zip(right, wrong, strict=True)
change = [f"{(b - a).abs().max() / a.abs().max():.0%}" for a, b in pairs]
print("largest change, as a share of the largest logit, P3 to P7:", ", ".join(change))

# %% [markdown] tags=["core"]
# No error, no wrong shape, no parameter too many.
# A converter that counts levels first, where the file counts repeats first, makes exactly this mistake.
# Exercise 13.5 is about it.
#
# **What does sharing save?**
# With $W$ channels, $r$ repeats, $L$ levels and $o$ outputs, the convolutions have $r (9W + W^2 + W)$ weights,
# the norms $2 L r W$, and the last layer $9W + W o + o$.
# For D0's class head: $3 \cdot 4736 + 1920 + 53226 = 69354$.
# Five heads would have five times the first and the last number.

# %% tags=["core", "slide", "nbval-check-output"]
parts = {k: profiling.parameters(v) for k, v in d0.named_children()}
assert parts["class_head"] == 3 * 4736 + 1920 + 53226 == 69354  # by hand, above
print(parts, sum(parts.values()))

# %% [markdown] tags=["core", "slide"]
# ## What should it say before it has learned anything?
#
# The last thing a class head does is a sigmoid: $p = 1 / (1 + e^{-z})$.
# With fresh weights $z$ is near the bias.
# If that is 0, the detector opens with the claim that every anchor is every class, with probability one half:
# 4.4 million claims about a picture, and nearly all of them are false.
# The first steps of training would go into taking them back.
#
# So it should open with what is true nearly everywhere: "probably not".
# Say, with probability $\pi = 0.01$.
# Which bias does that need?
# Solve $\pi = 1 / (1 + e^{-b})$:
#
# $$ b = -\ln \frac{1 - \pi}{\pi} \tag{13.3} $$
#
# By hand: $(1 - 0.01) / 0.01 = 99$, and $\ln 99 = 4.595$.
# So $b = -4.595$.

# %% tags=["core", "slide", "nbval-check-output"]
bias = model.class_head.predict.pointwise.bias
assert abs(bias[0].item() + math.log(99)) < 1e-5  # by hand, above
print(f"{bias[0].item():.4f} gives {torch.sigmoid(bias[0]).item():.4f}")

# %% [markdown] tags=["core"]
# **Break it.**
# Set the bias to 0, and compare what the two detectors claim about the eight scenes.

# %% tags=["core", "slide"]
bold = copy.deepcopy(model)
torch.nn.init.zeros_(bold.class_head.predict.pointwise.bias)
claims = {}
with torch.no_grad():
    for name, one in {"bias -4.6": model, "bias 0": bold}.items():
        claims[name] = torch.sigmoid(anchors.flatten(one(scenes)[0], 10)).flatten()
expected = [f"{p.sum() / 8:,.0f}" for p in claims.values()]
loss = [-torch.log1p(-p).mean() for p in claims.values()]  # if nothing were there
says = f"Expected objects a picture: {expected[0]} with the prior, {expected[1]} without; "
says += f"cross-entropy {loss[1] / loss[0]:.0f} times as high."
plots.histogram(claims, bins=40, x_label="probability", y_label="logits", says=says)

# %% [markdown] tags=["core"]
# The scenes hold one to five digits each.
# Neither opening is right, but one is far less wrong, and its first gradients are about objects.
# The box head starts at 0: "the object is where the anchor is".
# Its bias is no probability, and giving it the prior is a bug that you will meet in exercise 13.6.

# %% [markdown] tags=["core", "slide"]
# ## How does one number scale everything?
#
# EfficientNet grows depth, width and resolution together.
# A detector has more that can grow: the backbone, the width of the pyramid and its layers, the depth of the heads,
# the picture.
# The paper ties all of it to one number, the **compound coefficient** $\varphi = 0, 1, 2, \dots$ The backbone is
# B$\varphi$, and
#
# $$ W = 64 \cdot 1.35^{\varphi} \tag{13.4} $$
#
# $$ D = 3 + \varphi \tag{13.5} $$
#
# $$ r = 3 + \lfloor \varphi / 3 \rfloor \tag{13.6} $$
#
# $$ R = 512 + 128\, \varphi \tag{13.7} $$
#
# for the channels $W$ of BiFPN and heads, the BiFPN layers $D$, the repeats $r$ of a head,
# and the side $R$ of the picture.
# By hand, $\varphi = 1$: $W = 86.4$, to a multiple of 8: 88.
# $D = 4$, $r = 3$, $R = 640$.

# %% tags=["core"]
show(efficientdet.from_phi)

# %% tags=["core", "slide", "nbval-check-output"]
one = efficientdet.from_phi(1)
assert (one.width, one.cells, one.repeats) == (88, 4, 3)  # by hand
assert one.image_size == (640, 640)
print(one == efficientdet.CONFIGS["d1"])

# %% [markdown] tags=["core"]
# The rule gives D1 exactly.
# Does it give the rest?
# The same paper prints a table, and the released networks follow the *table*.
# Rule on the left of each arrow, table on the right:

# %% tags=["core", "slide", "nbval-check-output"]
def beside(rule, row):
    return str(rule) if rule == row else f"{rule} → {row}"


lines = []
for phi in range(8):
    rule, row = efficientdet.from_phi(phi), efficientdet.CONFIGS[f"d{phi}"]
    names = ("backbone", "width", "cells", "repeats")
    fields = [beside(getattr(rule, name), getattr(row, name)) for name in names]
    side = beside(rule.image_size[0], row.image_size[0])
    lines.append((f"D{phi}", f"{64 * 1.35**phi:.1f}", *fields, side))
table(("", "64 · 1.35^phi", "backbone", "W", "D", "r", "R"), lines)

# %% [markdown] tags=["core"]
# The heads agree everywhere.
# Some widths were rounded by hand.
# From D5 on the table has fewer BiFPN layers; D5 and D7 have larger pictures.
# D7 is not $\varphi = 7$ at all: it is D6 with larger pictures.
# The rule is a direction, the table is what was trained.

# %% [markdown] tags=["core"]
# **Break it.**
# Build what the rule says for $\varphi = 7$, beside what the authors did.
# What would it have cost?

# %% tags=["core", "nbval-check-output"]
rule = efficientdet.from_phi(7)
pair = []
with torch.device("meta"):
    by_rule = efficientdet.Detector(efficientnet.features(rule.backbone), rule)
    for big in (by_rule, efficientdet.efficientdet("d7")):
        images = torch.zeros(1, 3, *big.config.image_size)
        pair.append((profiling.parameters(big) / 1e6, profiling.macs(big, images) / 1e9))
rows = [(f"{m:.1f}", f"{b:.1f}") for m, b in pair]
table(("", "M parameters", "B mult-adds"), [("rule", *rows[0]), ("D7", *rows[1])])

# %% [markdown] tags=["core", "slide"]
# ## Is it the published family?
#
# Every number on the right is counted from the modules.
# What the paper prints is on the left.

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
family = {}  # counted anew: later cells need nothing else from above
for name in [n for n in efficientdet.CONFIGS if n.startswith("d")]:
    with torch.device("meta"):
        one = efficientdet.efficientdet(name).eval()
        images = torch.zeros(1, 3, *one.config.image_size)
    count = len(anchors.anchors(one.config.image_size, one.config.anchors))
    macs = profiling.macs_by_module(one, images)
    family[name] = (one.config, profiling.parameters(one), macs, count)

# %% tags=["core", "slide", "nbval-check-output"]
paper = {  # millions of parameters, billions of "FLOPs"
    "d0": (3.9, 2.5), "d1": (6.6, 6.1), "d2": (8.1, 11), "d3": (12, 25), "d4": (21, 55),
    "d5": (34, 135), "d6": (52, 226), "d7": (52, 325), "d7x": (77, 410),
}
lines = []
for name, (config, parameters, macs, count) in family.items():
    m, b = paper[name]
    ours = sum(macs.values()) / 1e9
    row = m, f"{parameters:,}", b, f"{ours:.3f}", f"{ours / b - 1:+.1%}", f"{count:,}"
    lines.append((name.replace("d", "D"), config.image_size[0], *row))
head = ("paper, M", "parameters", "paper, B mult-adds", "ours", "gap", "anchors")
table(("", "side", *head), lines)

# %% [markdown] tags=["core"]
# The parameters agree to the unit with the released networks; the paper rounds.
# Our multiply-adds are up to 2 % below the paper's, some of it rounding.
# We count convolutions only.
# How the paper counted, it does not say; a counter that adds norms, activations and pooling would get a little more.
# D6 and D7 have the same parameters: the same network.
# D7x is another one, with B7 and a sixth level.
#
# **What did they reach?**
# AP is the score of chapter 16, here on COCO's photographs (*test-dev*), typed from the paper's table 2 (its seventh
# version): one network, one look at each picture, soft-NMS.
# The rings are those that were there before; the authors trained the two RetinaNets again themselves.

# %% tags=["core", "slide"]
scores = (34.6, 40.5, 43.9, 47.2, 49.7, 51.5, 52.6, 53.7, 55.1)
reached = {f"D{n[1:]}": (paper[n][1], s) for n, s in zip(paper, scores, strict=True)}
reached |= {"YOLOv3": (71, 33.0), "RetinaNet R50": (97, 39.2)}
reached |= {"RetinaNet R101": (127, 39.9), "R50, NAS-FPN": (360, 44.2)}
price, precision = zip(*reached.values(), strict=True)
times = reached["RetinaNet R50"][0] / reached["D1"][0]
says = f"D1 reaches more AP than RetinaNet with ResNet-50, {reached['D1'][1]} against "
says += f"{reached['RetinaNet R50'][1]}, with {times:.0f} times fewer multiply-adds."
labels = {"x_label": "billion multiply-adds", "y_label": "AP on COCO, %"}
names, front = list(reached), range(len(scores))
plots.scatter(price, precision, names=names, front=front, log_x=True, says=says, **labels)

# %% [markdown] tags=["core"]
# From D0 to D7x 20 points of AP for 164 times the price.
# What BiFPN alone gives was measured in the paper too: [chapter 11](11_bifpn.ipynb) has that table.
# In milliseconds the gain is smaller: on the authors' graphics card D1 took 16 and RetinaNet 25.
# On your machine, measure, as in chapter 03.
#
# Move the slider: from D0 to D7x, which part grows fastest?

# %% jupyter={"source_hidden": true} tags=["core", "catch-up"]
# Catch-up: draws what each part of one model of the family costs.
names = {"fpn": "BiFPN", "class_head": "class head", "box_head": "box head"}


def member(name):
    config, parameters, macs, _ = family[name]
    values = {names.get(part, part): cost / 1e9 for part, cost in macs.items()}
    total = sum(values.values())
    says = f"{name.replace('d', 'D')}: {config.image_size[0]} pixels a side, "
    says += f"{parameters / 1e6:.1f} M parameters, {total:.1f} billion multiply-adds, "
    says += f"{values['backbone'] / total:.0%} in the backbone."
    return plots.bars(values, y_label="billion multiply-adds", says=says)


# %% tags=["core", "slide"]
widgets.slider(member, name="name", values=list(family), label="D0 to D7x")

# %% [markdown] tags=["core"]
# In D0 three quarters of the work is the backbone's.
# Width counts squared and the heads run over the finest level, so in D7 it is less than half.
#
# From D6 on the fusion is a plain sum.
# The authors' note says *for stability*.
# And there is a side branch, **Lite**: made for phones and eight bits.
# ReLU6 in place of SiLU, no squeeze-excite, plain sums, smaller pictures.
# Part IV will show what that buys.

# %% tags=["deep", "nbval-check-output"]
lines = []
for name in [n for n in efficientdet.CONFIGS if n.startswith("lite")]:
    with torch.device("meta"):
        one = efficientdet.efficientdet(name)
    c, count = one.config, f"{profiling.parameters(one):,}"
    lines.append((name, c.image_size[0], c.width, c.cells, c.anchors.scale, count))
table(("", "side", "W", "D", "anchor scale", "parameters"), lines)

# %% [markdown] tags=["core", "slide"]
# ## Can you use the weights of others?
#
# Nobody trains D7 on a laptop.
# Trained weights exist, and `load_official` reads those of effdet.
# Nothing is downloaded here, so this is where they are:
#
# - **D0 to D7x**: release v0.1 of rwightman/efficientdet-pytorch; the names of the files are folded below.
#   Licence: the repository is Apache-2.0; no licence of the weights apart from it was seen.
# - **the originals**: google/automl, Cloud Storage `cloud-tpu-checkpoints/efficientdet/coco2/`, TensorFlow.
#   Licence: the repository is Apache-2.0; no licence of the weights was seen.
#   Our loader does not read these.
#
# <details><summary>The nine files</summary>
#
# `tf_efficientdet_d0_34-f153e0cf.pth`, and with the same beginning and end: `d1_40-a30f94af`, `d2_43-8107aa99`,
# `d3_47-0b525f35`, `d4_49-f56376d9`, `d5_51-c79f9be6`, `d6_52-4eda3773`, `d7_53-6d1d7a95`, `d7x-f390b87c`.
#
# </details>
#
# They were trained on COCO, whose pictures have terms of their own: read them before you pass weights on.
# None of these files was at hand when this was written.
# The loader is tested on the networks of effdet itself, with random weights: for D0, D3,
# D7x and Lite0 the outputs agree to a hundred-thousandth.

# %% tags=["core"]
show(efficientdet.official_names)

# %% [markdown] tags=["core"]
# Two people gave names to the same 784 tensors.
# A converter is the dictionary between them.
# Let us pretend: write our own weights down under the published names, and read them into a fresh detector.

# %% tags=["core", "slide"]
theirs = efficientdet.official_names(model)
published = {theirs[key]: value for key, value in model.state_dict().items()}
temporary = tempfile.TemporaryDirectory()  # goes when the kernel goes
folder = Path(temporary.name)
torch.save(published, folder / "d0.pth")
fresh = efficientdet.efficientdet("d0", num_classes=10).eval()
efficientdet.load_official(fresh, folder / "d0.pth")
with torch.no_grad():
    assert torch.equal(fresh(scenes)[0][0], model(scenes)[0][0])
print(len(published), "tensors, for example", list(published)[-1])

# %% [markdown] tags=["core"]
# **Break it.**
# One name wrong, one tensor for another number of classes, half a file.
# All or nothing: what does not fit is named, and then nothing has been copied.

# %% tags=["core"]
renamed = {k.replace("bn_rep.2.4.bn", "bn_rep.4.2"): v for k, v in published.items()}
(folder / "half.pth").write_bytes((folder / "d0.pth").read_bytes()[:1_000_000])
cases = {"renamed": renamed, "90 classes": published, "half": folder / "half.pth"}
for name, source in cases.items():
    target = efficientdet.efficientdet("d0", 90 if name == "90 classes" else 10)
    try:
        efficientdet.load_official(target, source)
    except ValueError as error:
        print(f"{name}: {str(error).replace(str(folder), '')[:145]}")

# %% [markdown] tags=["core", "slide"]
# ## Does it have to be an EfficientNet?
#
# Nothing above asks what the backbone is.
# A `Detector` wants two things from it: `channels`, and a list of maps, finest first,
# each half as fine as the one before.
# Chapters 04 to 09 searched for a cell.
# `nasnet.NasnetLevels` stacks it until it gives levels: a 3x3 convolution with stride 2,
# then for each level a reduction cell and some normal ones.

# %% tags=["core"]
show(nasnet.NasnetLevels)

# %% [markdown] tags=["core"]
# Our scenes have 128 pixels a side, and the boxes of their digits are 5 to 56 wide and 11 to 68 high.
# So the finest level has stride 4, not 8, and four levels are enough: P2 to P5.

# %% tags=["core", "slide", "nbval-check-output"]
course = efficientdet.Config(
    image_size=(128, 128), width=32, cells=2, repeats=2, num_classes=10,
    anchors=anchors.AnchorConfig(scale=3, levels=(2, 5)),
)
torch.manual_seed(0)
found = nasnet.NasnetLevels(search_space.FOUND, filters=12)
detector = efficientdet.Detector(found, course).eval()
with torch.no_grad():
    classes, codes = detector(scenes)
grid = anchors.anchors((128, 128), course.anchors)
assert anchors.flatten(classes, 10).shape[1] == len(grid)
print(search_space.FOUND)
print([tuple(c.shape[2:]) for c in classes], profiling.parameters(detector), "parameters")

# %% [markdown] tags=["core"]
# The same pyramid and heads on three backbones.
# The third is EfficientNet-B0 at half its width, with a tap at stride 4 as well.

# %% tags=["core", "slide"]
with torch.device("meta"):
    backbones = {
        "found cell": nasnet.NasnetLevels(search_space.FOUND, filters=12),
        "NASNet-A": nasnet.NasnetLevels(search_space.NASNET_A, filters=8),
        "B0, half as wide": efficientnet.features("b0", levels=4, width=0.5),
    }
    picture = torch.zeros(1, 3, 128, 128)
    whole, inside = {}, {}
    for name, backbone in backbones.items():
        macs = profiling.macs_by_module(efficientdet.Detector(backbone, course), picture)
        whole[name], inside[name] = sum(macs.values()) / 1e6, macs["backbone"] / 1e6
shares = ", ".join(f"{inside[name] / whole[name]:.0%}" for name in whole)
says = f"Of these the backbone takes {shares}; the rest costs nearly the same in all."
plots.bars(whole, y_label="million multiply-adds", says=says)

# %% [markdown] tags=["core"]
# Cheap is not good.
# Which of them finds digits, at equal cost and over three seeds, is measured in chapter 16.
#
# **Break it.**
# A backbone whose first map has stride 8, and a configuration that says 4.
# The pyramid takes any maps.
# Who notices?

# %% tags=["core", "nbval-check-output"]
three = efficientnet.features("b0", levels=3, width=0.5)  # strides 8, 16, 32
late = efficientdet.Detector(three, course).eval()
with torch.no_grad():
    rows = anchors.flatten(late(scenes)[0], 10).shape[1]
print(rows, "rows of logits for", len(grid), "anchors")

# %% [markdown] tags=["core"]
# Only the count.
# Compare the two numbers once, before you train.
#
# If you built `flatten`, then it was yours that counted; chapters 14 to 16 run on it too.

# %% tags=["core"]
yours()

# %% [markdown] tags=["deep"]
# **Out of Python.**
# `torch.export` writes a network down as a graph, without its Python.
# It works for the network.
# It fails for effdet's wrapper with boxes and suppression in it, since how many boxes survive depends on the data.
# So export the network, and decode outside.
# Chapter 22 goes on from here.

# %% tags=["deep"]
exported = torch.export.export(detector, (scenes[:1],)).module()
with torch.no_grad():
    pairs = zip(exported(scenes[:1])[0], detector(scenes[:1])[0], strict=True)
    gap = max((a - b).abs().max().item() for a, b in pairs)
f"largest difference {gap:.1e}"

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **"D7 uses B7."** rwightman/efficientdet-pytorch#47, zylo117/Yet-Another-EfficientDet-Pytorch#20 and #355.
#   It uses B6, and is the network of D6.
#   B7 is in D7x.
# - **Numbers with a slip.** google/automl#702: 13.0B for D5, where 130B was meant;
#   and 130B is not what the network has either: the paper says 135, we count 134.1.
# - **Twice the multiply-adds.** google/automl#51: 271 billion against 135.
#   A multiplication and an addition, counted as two.
#   The papers of this family count one.
# - **90 or 80 classes?** google/automl#83, rwightman/efficientdet-pytorch#9:
#   COCO numbers its categories up to 90 and uses 80 of them.
#   90 logits follow the numbers.
#   There is no logit for the background.
# - **An indent.** rwightman/efficientdet-pytorch, f9aeb96: an indent in the initialisation was wrong.
#   Such a line runs, and layers start from values that were meant for others.
#   Exercise 13.6 has one of the kind.
# - **The other momentum.** toandaominh1997/EfficientDet.Pytorch#33: TensorFlow's decay 0.99 is PyTorch's momentum 0.01.
#   With 0.99 the statistics are those of the last batch.
# - **The wrong taps.**
#   The read-me of zylo117/Yet-Another-EfficientDet-Pytorch: other ports took features from inside the next block.
#   The taps are the outputs of blocks, before the picture is halved.
# - **"P6 and P7 come from EfficientNet."** zylo117/Yet-Another-EfficientDet-Pytorch#703.
#   They are made from C5: a 1x1 convolution, then pooling.
# - **Export with suppression inside.** rwightman/efficientdet-pytorch#89, #155 and #93,
#   zylo117/Yet-Another-EfficientDet-Pytorch#29: it fails, or gives a file for one size.
#   Export the network alone.
# - **Months without the published score.** zylo117/Yet-Another-EfficientDet-Pytorch#217, 220 runs; google/automl#227.
#   First compare outputs with copied weights, then train.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - A head gives $K$ logits and 4 codes for every anchor.
#   Channel $aK + k$ is class $k$ of anchor $a$.
# - Filters are shared by all levels, norms are not: one for each repeat and level.
#   Exchanged norms raise no error.
# - The last bias of the class head says 0.01 everywhere.
#   A detector that starts at 0 starts with millions of false claims.
# - D0 to D7x reach 34.6 to 55.1 AP on COCO; D1 beats RetinaNet at a sixteenth of its multiply-adds.
# - One number scales it all.
#   The rule is a direction, the published table is what was trained; they part from D2 on.
# - Parameters agree with the released networks to the unit, and so do the outputs with copied weights, up to rounding.
# - Any backbone that gives levels will do, also the cell that we found.

# %% [markdown] tags=["core"]
# ## Exercises
#
# ### 13.2 · Predict · logits · 5 min · ●○○ · 1 point
#
# D1 takes pictures of 640x640, with levels P3 to P7, nine anchors a place and 90 classes.
# How many logits does it give for one picture?
# On paper, then:
#
# <details><summary>Answer</summary>
#
# $80^2 + 40^2 + 20^2 + 10^2 + 5^2 = 8525$ places, $8525 \cdot 9 = 76{,}725$ anchors, and 90 logits for each: 6,905,250.
#
# </details>

# %% tags=["core"]
answer = ...  # your number

check("efficientdet.logits", answer)
# hint("efficientdet.logits")
# solution("efficientdet.logits")

# %% [markdown] tags=["core"]
# ### 13.3 · Measure · digits · 5 min · ●○○ · 1 point
#
# How many parameters has D0 if it is to tell ten classes apart?

# %% tags=["core"]
answer = ...  # your number

check("efficientdet.digits", answer)
# hint("efficientdet.digits")
# solution("efficientdet.digits")

# %% [markdown] tags=["core"]
# ### 13.4 · Build · fold_levels · 20 min · ●●○ · 3 points
#
# In use a norm is a fixed multiplication and addition for each channel,
# and can be taken into the convolution before it.
# A shared filter with five norms then becomes five filters.
# Write `fold_levels(weight, bias, norms, eps)`: `weight` (O, I) and `bias` (O,) are those of a 1x1 convolution,
# `norms` is a list with one (gain, shift, mean, variance) for each level, all (O,).
# Return a list of pairs (weight, bias), one for each level, of the same shapes as those of the convolution.
#
# By hand, one channel: weight 2, bias 5, gain 3, shift 1, mean 4, variance 3, eps 1.
# The norm divides by $\sqrt{3 + 1} = 2$, so its factor is $3/2$: weight 3, bias $(5 - 4) \cdot 1.5 + 1 = 2.5$.
#
# Before you write: by how much does D0's class head grow?


# %% tags=["core"]
def fold_levels(weight, bias, norms, eps):
    ...  # your code


check("efficientdet.fold_levels", fold_levels)
# hint("efficientdet.fold_levels")
# solution("efficientdet.fold_levels")

# %% [markdown] tags=["core"]
# ### 13.5 · Build · repeat_first · 15 min · ●●○ · 3 points
#
# effdet has a switch, `head_bn_level_first`.
# With it, the norm of level 4 in repeat 2 is called `class_net.bn_rep.4.2.running_mean`; without it,
# and in all published files, `class_net.bn_rep.2.4.bn.running_mean`.
# Somebody hands you a file that was saved with the switch on.
# Write `repeat_first(names)`: a list of names in, the list of published names out, in the same order.
# The names of norms begin with `class_net.bn_rep.` or `box_net.bn_rep.`, and nothing stands before that.
# Behind it come level, repeat and one word more, such as `weight` or `num_batches_tracked`.
# All other names stay as they are, in the list too: `backbone.blocks.3.1.bn1.weight`, say.
# A number may have more than one digit.


# %% tags=["core"]
def repeat_first(names):
    ...  # your code


check("efficientdet.repeat_first", repeat_first)
# hint("efficientdet.repeat_first")
# solution("efficientdet.repeat_first")

# %% [markdown] tags=["core"]
# ### 13.6 · Build · first_biases · 15 min · ●●○ · 3 points
#
# A bug to find.
# The function below gives the first biases of all layers of two heads: zeros, but for the last layer of the class head,
# which gets the prior.
# It has run for weeks and nobody complained.
# But the boxes of the untrained detector are strange.
# Run the cell: the code that a box starts with should be 0, so that the box is its anchor.


# %% tags=["core"]
def broken_biases(sizes, prior):
    biases, value = {}, 0.0
    for name, outputs in sizes.items():
        if name == "class.predict":
            value = -math.log((1 - prior) / prior)
        biases[name] = torch.full((outputs,), value)
    return biases


layers = {"class.conv0": 64, "class.predict": 810, "box.conv0": 64, "box.predict": 36}
broken = broken_biases(layers, 0.01)
anchor = torch.tensor([[100.0, 100.0, 132.0, 132.0]])
anchors.decode(broken["box.predict"][None, :4], anchor)  # should be the anchor

# %% [markdown] tags=["core"]
# The box of an anchor at (100, 100) lies outside the picture, and is a third of a pixel wide.
# Say why, then write `first_biases(sizes, prior)` without the bug:
# `sizes` maps the names of layers to their numbers of outputs, in any order;
# return a dictionary from each name to its float32 tensor.
# The layer that gets the prior is always called `class.predict`.
# All other names get zeros, whatever they are: `class.conv0`, `box.conv1`, `box.predict` or `regress.predict`.


# %% tags=["core"]
def first_biases(sizes, prior):
    ...  # your code


check("efficientdet.first_biases", first_biases)
# hint("efficientdet.first_biases")
# solution("efficientdet.first_biases")

# %% [markdown] tags=["optional"]
# ### 13.7 · Further · 120 min · ●●● · 0 points
#
# [RetinaNet](https://arxiv.org/abs/1708.02002) is the older cousin: a ResNet-50, FPN with 256 channels,
# two heads of four dense 3x3 convolutions, without norms, P3 to P7.
# How near do you get with `Detector`, `Config(topology=bifpn.fpn, conv=bifpn.Dense, ...)` and a backbone of your own
# around `torchvision.models.resnet50`?
# Compare the parameters with `torchvision.models.detection.retinanet_resnet50_fpn`, part by part,
# and explain each difference.

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("efficientdet")
# yours()            whose functions are at work now
# restore()          the course's own again
# submit()           your answers in one small file

# %% [markdown] tags=["core"]
# ## Where next
#
# The detector is complete and knows nothing.
# Chapter 14 says what it is punished for, chapter 15 turns its millions of numbers into a few boxes,
# and chapter 16 trains it.

# %% [markdown] tags=["core"]
# ## References
#
# - Tan, Pang, Le, [EfficientDet](https://arxiv.org/abs/1911.09070), 2019.
#   Heads, compound scaling, D0 to D7x.
# - Tan, Le, [EfficientNet](https://arxiv.org/abs/1905.11946), 2019.
#   Backbones and compound scaling.
# - Lin, Goyal, Girshick, He, Dollár, [Focal Loss for Dense Object Detection](https://arxiv.org/abs/1708.02002), 2017.
#   Shared heads, the prior in the bias.
# - Zoph, Vasudevan, Shlens, Le, [Learning Transferable Architectures for Scalable Image
#   Recognition](https://arxiv.org/abs/1707.07012), 2017.
#   Cells as backbones of detectors.
# - Tan and others, [MnasNet](https://arxiv.org/abs/1807.11626), 2018.
#   The search behind the backbone.
