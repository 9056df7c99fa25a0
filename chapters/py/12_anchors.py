# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 12 · Anchors
#
# **Question. Where may a detector look, and who decides which look was right?**
#
# After this chapter you can
#
# 1. place the anchors of a picture of any size, and count them (exercise 12.5)
# 2. compute the overlap of two boxes, and say what it is blind to (exercises 12.1 and 12.7)
# 3. write a box as four numbers seen from its anchor, and read it back (exercises 12.2 and 12.3)
# 4. say which anchor learns which object, and what is done for the one that nobody wants (exercises 12.4 and 12.6)
# 5. measure whether anchors fit your own pictures, and choose better ones (exercise 12.8)
#
# | study | about 105 min (estimate) |
# |---|---|
# | run | <!-- run -->0.2 min (11 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->752 MB (measured)<!-- /peak --> |
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
import math
import time

import torch

from lib.basics import data
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
from lib.detection import anchors, bifpn

device = setup("12_anchors", seed=0)

# %% [markdown] tags=["core"]
# Chapter 11 ended with maps: P3 to P7, each half as fine as the one before.
# A map is no box.
# Between the two stands an old idea: ask the same simple question at very many places.
# "Is there something of about *this* size, about *here*?
# If so, what, and how far off am I?"
#
# The place and the size of each question is an [**anchor**](GLOSSARY.md#anchor).
# This chapter puts them down, measures how well they fit, and says which of them has to learn which object.

# %% [markdown] tags=["core", "slide"]
# ## Where does the detector look?
#
# Level $l$ has one place for every $2^l$ pixels of the picture: the **stride**.
# Take level 3, stride 8.
# Where is the middle of its first place?
# At $(4, 4)$.
# An anchor of four strides has a side of 32.
# Around $(4, 4)$ it reaches from $4 - 16 = -12$ to $4 + 16 = 20$, in both directions.
# Part of it lies outside the picture, and that is fine.
#
# Each place has nine anchors: three sizes, the [**octaves**](GLOSSARY.md#octave) $o = 0, 1, 2$, times three shapes
# $(r_w, r_h)$.
# With the strides $s_x, s_y$, the scale $a$, row $i$ and column $j$, both counted from 0:
#
# $$ (x, y) = \big((j + \tfrac12)\, s_x,\; (i + \tfrac12)\, s_y\big), \qquad (w, h) = a\, 2^{o/3}\, \big(s_x r_w,\;
#    s_y r_h\big) \tag{12.1} $$
#
# EfficientDet takes $a = 4$ and the shapes $(1, 1)$, $(1.4, 0.7)$, $(0.7, 1.4)$.
# Boxes are written as their left, top, right and bottom edge: **xyxy**.

# %% tags=["core"]
show(anchors.AnchorConfig)

# %% tags=["core"]
show(anchors.anchors)

# %% tags=["core", "slide", "nbval-check-output"]
grid = anchors.anchors((512, 512))
assert grid[0].tolist() == [-12, -12, 20, 20]  # by hand, above
print(len(grid), "anchors; number 1 is", [round(v, 1) for v in grid[1].tolist()])

# %% [markdown] tags=["core"]
# Number 1 is the wide one: $32 \cdot 1.4 = 44.8$ across and $32 \cdot 0.7 = 22.4$ down.
# Its area is 0.98 of the square's, a rounding of $\sqrt 2$ that the published weights were trained with.
# Here are the nine anchors of one place, on a scene of chapter 01.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
scenes = data.scenes("validation", 200)
scene = scenes[22]
small = anchors.anchors((128, 128), anchors.AnchorConfig(scale=3, levels=(2, 5)))
first = 9 * (32 * 32 + 8 * 16 + 8)  # level 3 begins behind 32 x 32 places; row 8, column 8
octaves = {f"octave {o}": small[first + 3 * o : first + 3 * o + 3] for o in range(3)}
sides = [f"{b[0, 2] - b[0, 0]:.0f}" for b in octaves.values()]
says = f"Three shapes a size; the squares have sides of {', '.join(sides)} pixels."
shapes, three = ("square", "wide", "tall"), dict.fromkeys(octaves, [0, 1, 2])
plots.boxes(dict.fromkeys(octaves, scene.image), octaves, three, names=shapes, says=says)

# %% [markdown] tags=["core"]
# The next level has places twice as far apart, and anchors of twice the size.
# Between octave 2 and the next level's octave 0 the step is again $2^{1/3}$,
# so all sizes from 32 to 813 pixels are there, 26 % apart.

# %% tags=["core", "slide", "nbval-check-output"]
rows = []
for level, (h, w) in enumerate(bifpn.level_sizes((512, 512), 3, 7), 3):
    sides = [round(4 * 512 / w * 2 ** (o / 3)) for o in range(3)]
    rows.append((f"P{level}", f"{h} x {w}", 512 // w, sides, 9 * h * w))
rows.append(("all", "", "", "", sum(row[-1] for row in rows)))
table(("level", "places", "stride", "sides", "anchors"), rows)

# %% [markdown] tags=["core"]
# Three quarters of all anchors are on the finest level.
# 49,104 questions for one picture, and for most pictures fewer than ten should be answered with yes.
#
# **Break it.**
# A side of 320 does not divide by 128: level 7 would have 2.5 places.
# It has 3, and the stride is $320 / 3 = 106.7$, not 128.
# Use 128 all the same, and see where the last one looks.

# %% tags=["core", "nbval-check-output"]
columns = bifpn.level_sizes((320, 320), 7, 7)[0][0]
for stride in (320 / columns, 2**7):
    centres = [round((j + 0.5) * stride, 1) for j in range(columns)]
    print(f"stride {stride:.1f}: centres at {centres}")

# %% [markdown] tags=["core"]
# With 128 the last centre lies on the edge of the picture, and the middle one is 32 pixels off.
# So a stride is the picture's side over the level's.
#
# So the detector looks at every place of every level, with nine boxes at each, and a picture may have any size.

# %% [markdown] tags=["core", "slide"]
# ## How well do two boxes agree?
#
# Two squares of 10 pixels, the second moved by 5 to the right.
# They share $5 \cdot 10 = 50$ square pixels.
# Together they cover $100 + 100 - 50 = 150$.
# How well do they agree, in one number?
# The share of what they cover that both cover: $50 / 150 = 1/3$.
# For boxes $A$ and $B$, with $|\cdot|$ for the area:
#
# $$ \mathrm{IoU}(A, B) = \frac{|A \cap B|}{|A| + |B| - |A \cap B|} \tag{12.2} $$
#
# [*Intersection over union*](GLOSSARY.md#iou).
# 1 means equal, 0 means that they do not touch.
# Would you have said that half the box in common is only a third?
#
# ### 12.1 · Build · box_iou · 15 min · ●●○ · 3 points
#
# All that follows rests on this number: which anchor learns which object, which box hides which, which box is right.
# Write `box_iou(a, b)` by Eq. 12.2.
# `a` holds N boxes and `b` holds M, tensors (N, 4) and (M, 4) of xyxy.
# Return N rows of M numbers: each box of `a` with each box of `b`.
# What two boxes share is a box too: it begins at the larger left and top edge, and ends at the smaller right and bottom
# edge.
# If a side of it is below 0, they do not touch.
# Two boxes without area give 0, and not 0 / 0.
# A picture has thousands of anchors, so compare all pairs at once, without a loop.
# For that, `a[:, None]` has the shape (N, 1, 4), and a tensor (N, 1) with one (M,) gives (N, M).
#
# Once it is right, the library itself calls *your* function, here and in the training of chapter 16.
# If you leave it, the chapter goes on with the course's own.


# %% tags=["core"]
def box_iou(a, b):
    """IoU of each of N boxes `a` with each of M boxes `b`, a tensor (N, M).

    By hand: (0, 0, 10, 10) with (5, 0, 15, 10) is 50 / 150, and with itself it is 1.
    """
    # your code, in place of the dots
    ...


build("anchors.box_iou", box_iou)
# hint("anchors.box_iou")
# solution("anchors.box_iou")

# %% tags=["core", "slide", "nbval-check-output"]
show(anchors.box_iou, folded=True)
square = torch.tensor([[0.0, 0, 10, 10]])
moved = torch.tensor([[5.0, 0, 15, 10], [5, 5, 15, 15], [0, 0, 10, 10], [20, 0, 30, 10]])
iou = anchors.box_iou(square, moved)
assert torch.allclose(iou[0, 0], torch.tensor(1 / 3))  # by hand, above
iou

# %% [markdown] tags=["core"]
# Now on a real scene.
# The first slider says how far a copy of a digit's box stands to the right of it.
# The second is the threshold from which on we call it a match.
# How far may the copy be at 0.5?

# %% jupyter={"source_hidden": true} tags=["core", "slide"]
# Draws a box and its moved copy, and computes their IoU.
thing = scene.boxes[anchors.box_area(scene.boxes).argmax()]


def overlap_figure(shift, threshold):
    pair = torch.stack([thing, thing + torch.tensor([shift, 0, shift, 0])])
    value = anchors.box_iou(pair[:1], pair[1:]).item()
    verdict = "a match" if value >= threshold else "no match"
    says = f"Moved by {shift} pixels of {pair[0, 2] - pair[0, 0]:.0f}: IoU "
    says += f"{value:.2f}, {verdict} at {threshold}."
    return plots.boxes(scene.image, pair, [0, 1], names=["digit", "copy"], says=says)


widgets.sliders(
    overlap_figure,
    start={"shift": 8, "threshold": 2},
    shift=[0, 2, 4, 6, 8, 9, 10, 11, 12],
    threshold=[0.3, 0.4, 0.5, 0.6, 0.75],
)

# %% [markdown] tags=["core"]
# A third of the width is the most, as Eq. 12.2 says: with a width of 1 and a move of $d$ it is $(1 - d) / (1 + d)$,
# and that is $1/2$ at $d = 1/3$.
# A small object has a small third.

# %% tags=["core", "slide"]
shifts = list(range(0, 33))
curves = {f"side {s}": [max(0, s - d) / (s + d) for d in shifts] for s in (14, 32, 64)}
half = {s: sum(v >= 0.5 for v in curves[f"side {s}"]) for s in (14, 32, 64)}
says = f"IoU falls below 0.5 after {half[14]} pixels for a side of 14, after "
says += f"{half[64]} for 64."
plots.lines(shifts, curves, x_label="move in pixels", y_label="IoU", says=says)

# %% [markdown] tags=["core"]
# Remember the 5 pixels.
# If anchors stand 8 pixels apart, a digit of 14 by 14 pixels lies up to 4 from the next one, in both directions.
# They share $10 \cdot 10$, and the IoU is $100 / (196 + 196 - 100) = 0.34$.
#
# **Break it.**
# The published networks write boxes as yxyx inside, and xyxy where they come out.
# Compare a box with itself in the other order: a square on the diagonal, then a box that is taller than wide.

# %% tags=["core", "slide", "nbval-check-output"]
pair = torch.stack([torch.tensor([30.0, 30, 60, 60]), torch.tensor([50.0, 20, 70, 60])])
other = pair[:, [1, 0, 3, 2]]
print(anchors.box_iou(pair, other).diagonal())

# %% [markdown] tags=["core"]
# The square on the diagonal does not notice.
# A test with square pictures and square boxes passes, and the network learns to find digits where none are.
# So every test here uses boxes that are not square, and everything in the course is xyxy.
#
# So two boxes agree by the share of what they cover that both cover.
# It asks more of small boxes than of large ones, and says 0 for all that do not touch, near or far.

# %% [markdown] tags=["core", "slide"]
# ## What does an anchor have to say?
#
# An anchor of 40 by 40 stands about $(20, 40)$.
# The object is 20 wide and 40 high, about $(30, 30)$.
# What should the network answer?
# Not $(30, 30, 20, 40)$: the same object one place further on should get the same answer.
# So we measure in anchor sides, from the anchor's middle:
#
# to the right: $(30 - 20) / 40 = 0.25$; downwards: $(30 - 40) / 40 = -0.25$; width: half, $\log \tfrac12 = -0.69$;
# height: equal, $\log 1 = 0$.
#
# $$ t_y = \frac{y - y_a}{h_a}, \quad t_x = \frac{x - x_a}{w_a}, \quad t_h = \log \frac{h}{h_a}, \quad
#    t_w = \log \frac{w}{w_a} \tag{12.3} $$
#
# where $a$ marks the anchor, and $x, y$ are middles.
# The order is $y$ before $x$, since published weights have it so.
#
# ### 12.2 · Build · encode · 10 min · ●○○ · 2 points
#
# Write `encode(boxes, anchors)`: two tensors (A, 4) of xyxy come in, and box $i$ is seen from anchor $i$.
# Return the [codes](GLOSSARY.md#codes), a tensor (A, 4) with rows $t_y, t_x, t_h, t_w$.
# A box without a side has no logarithm, so add `EPS`, 1e-7, to all sides first: to width and height of box and anchor.
# Each training calls it: these numbers are what the network learns.
# (This one, 12.3 and 12.4 are for those who want to write all of this chapter; the chapter goes on without them.)


# %% tags=["core"]
EPS = anchors.EPS  # 1e-7


def encode(boxes, anchors):
    """Box i seen from anchor i: rows ty, tx, th, tw, a tensor (A, 4).

    By hand: (20, 10, 40, 50) from (0, 20, 40, 60) is -0.25, 0.25, 0, -0.69.
    """
    # your code, in place of the dots
    ...


build("anchors.encode", encode)
# hint("anchors.encode")
# solution("anchors.encode")

# %% [markdown] tags=["core"]
# And backwards:
#
# $$ y = y_a + t_y h_a, \quad x = x_a + t_x w_a, \quad h = h_a\, e^{t_h}, \quad w = w_a\, e^{t_w} \tag{12.4} $$
#
# One thing more: an untrained network may answer $t_w = 20$, and $e^{20}$ is 485 million.
# So $t_h$ and $t_w$ are at most `MAX_LOG_SIZE`, $\log 62.5 = 4.135$, before the exponential:
# a side is at most 62.5 times the anchor's.
#
# ### 12.3 · Build · decode · 10 min · ●●○ · 2 points
#
# Write `decode(codes, anchors)`, Eq. 12.4 with that limit.
# Two tensors (A, 4) come in, codes and anchors, and the boxes go out, (A, 4), xyxy.
# The detector calls it for all that it finds.


# %% tags=["core"]
MAX_LOG_SIZE = anchors.MAX_LOG_SIZE  # log(62.5)


def decode(codes, anchors):
    """The boxes xyxy that codes ty, tx, th, tw mean, seen from their anchors, (A, 4).

    By hand: -0.25, 0.25, 0, log(1/2) from (0, 20, 40, 60) is (20, 10, 40, 50).
    """
    # your code, in place of the dots
    ...


build("anchors.decode", decode)
# hint("anchors.decode")
# solution("anchors.decode")

# %% tags=["core", "slide", "nbval-check-output"]
show(anchors.encode, folded=True)
show(anchors.decode, folded=True)
anchor = torch.tensor([[0.0, 20, 40, 60]])
box = torch.tensor([[20.0, 10, 40, 50]])
code = anchors.encode(box, anchor)
by_hand = torch.tensor([[-0.25, 0.25, 0.0, math.log(0.5)]])
assert torch.allclose(code, by_hand, atol=1e-6)
assert torch.allclose(anchors.decode(code, anchor), box, atol=1e-4)
[round(v, 4) for v in code[0].tolist()]

# %% [markdown] tags=["core"]
# Why the logarithm?
# Twice as wide and half as wide are $0.69$ and $-0.69$: equally far from the anchor.
# And $e^t$ is positive, whatever the network answers.
#
# **Break it.**
# "Whatever" includes 20.
# An untrained network with a bad learning rate says such things.
# The reference has no limit: it answers with a box of 19 billion pixels, and from 89 on, where float32 ends,
# with infinity.

# %% tags=["core", "slide", "nbval-check-output"]
wild = torch.tensor([[0.0, 0.0, 0.0, 20.0]])
ours = anchors.decode(wild, anchor)[0]
print(f"without a limit {40 * math.exp(20):.3g} pixels, with ours {ours[2] - ours[0]:.0f}")

# %% [markdown] tags=["core"]
# Ours ends at 62.5 times the anchor.
# That is a departure from the reference, and a safe one.
# How large can a code be that the network is *asked* for?
# If an anchor overlaps its object with an IoU of a half, neither is more than twice as wide as the other:
# $|t_w| \le \log 2 = 0.69$.
# Only a forced anchor, which comes next, may be asked for more.
# The limit stands at 4.14.
#
# So an anchor says four small numbers, and the same numbers mean the same thing everywhere in the picture.

# %% [markdown] tags=["core", "slide"]
# ## Which anchor learns which object?
#
# Three anchors of 10 by 10 begin at $x = 0$, 2 and 5.
# The object is exactly the first.
# Its IoUs with them are 1, $8/12 = 0.67$ and $5/15 = 0.33$.
# Two rules decide:
#
# 1. Each anchor looks for its best object.
#    If their IoU is at least $\theta = 0.5$, it learns it and is [**positive**](GLOSSARY.md#positive);
#    otherwise it is **negative** and learns "nothing here".
# 2. Each object takes its best anchor [**by force**](GLOSSARY.md#by-force), whatever the IoU.
#
# By hand: anchors 0 and 1 are positive, anchor 2 is negative.
# In symbols, for anchor $a$ and objects $1..N$:
#
# $$ m(a) = \begin{cases} n & \text{the first } n \text{ with } a = \arg\max_{a'} \mathrm{IoU}(n, a') \text{, if there
#    is one} \\ \arg\max_n \mathrm{IoU}(n, a) & \text{if that IoU is at least } \theta
#    \\ -1 & \text{otherwise} \end{cases} \tag{12.5} $$
#
# ### 12.4 · Build · owners · 15 min · ●●● · 3 points
#
# Write `owners(iou, matched, unmatched)`, both rules.
# `iou` is a tensor (N, A): each of N objects (one or more) with each of A anchors.
# Return a tensor of A whole numbers (int64): the object that each anchor learns, counted from 0, or -1 for nothing.
# An overlap of exactly `matched` is enough.
# Some detectors leave out what is neither good nor bad: from `unmatched` up to `matched` the answer is -2, and -1 only
# below `unmatched`.
# (EfficientDet gives both the same value, so nothing lies between.)
# Of two objects that fit an anchor equally well, and of two that want the same one by force, the first wins.
# No object has two best anchors, and each overlaps one at least.


# %% tags=["core"]
def owners(iou, matched, unmatched):
    """The object that each of A anchors learns, (A,): -1 for nothing, -2 for ignored.

    By hand: overlaps (1, 0.67, 0.33), both thresholds 0.5: 0, 0, -1.
    """
    # your code, in place of the dots
    ...


build("anchors.owners", owners)
# hint("anchors.owners")
# solution("anchors.owners")

# %% [markdown] tags=["core"]
# `assign` asks `owners`, and adds what its anchors have to learn: the class, and the code.

# %% tags=["core", "slide", "nbval-check-output"]
show(anchors.owners, folded=True)
show(anchors.assign)
three = torch.tensor([[0.0, 0, 10, 10], [2, 0, 12, 10], [5, 0, 15, 10]])
object_ = torch.tensor([[0.0, 0, 10, 10]])
assignment = anchors.assign(three, object_, torch.tensor([7]))
assert assignment.labels.tolist() == [7, 7, -1]  # by hand, above
assignment

# %% [markdown] tags=["core"]
# The same on a scene, with anchors that suit it better than the paper's (how they are chosen comes next): its objects,
# then the anchors that learn the largest and the smallest of them.

# %% tags=["core", "slide"]
assignment = anchors.assign(small, scene.boxes, scene.labels)
drawn = {"objects": scene.boxes}
for i in anchors.box_area(scene.boxes).argsort()[[-1, 0]].tolist():
    drawn[f"anchors of the {scene.labels[i]}"] = small[assignment.matched == i]
positive, total = int((assignment.labels >= 0).sum()), len(small)
says = f"{len(scene.boxes)} objects, {positive} of {total:,} anchors learn them."
plots.boxes(dict.fromkeys(drawn, scene.image), drawn, says=says)

# %% [markdown] tags=["core"]
# Each positive anchor has its own code.
# What do they look like, over 200 scenes?
# If coding does its work, small numbers around zero.

# %% tags=["core", "slide"]
every = [anchors.assign(small, s.boxes, s.labels) for s in scenes]
codes = torch.cat([e.codes[e.labels >= 0] for e in every])
parts = {name: codes[:, i] for i, name in enumerate(("ty", "tx", "th", "tw"))}
says = f"{len(codes):,} codes; half of all numbers lie within "
says += f"{codes.abs().median():.2f} of zero, the largest is {codes.abs().max():.2f}."
plots.histogram(parts, bins=25, x_label="code", says=says)

# %% [markdown] tags=["core"]
# **Break it.**
# Leave the second rule out.
# How many objects would nobody learn, with EfficientDet's own anchors on our scenes?

# %% tags=["core", "slide"]
paper = anchors.anchors((128, 128))  # levels 3 to 7, scale 4
best = torch.cat([anchors.box_iou(s.boxes, paper).amax(1) for s in scenes])
lost = int((best < 0.5).sum())
f"{lost} of {len(best)} digits have no anchor of 0.5 or more"

# %% [markdown] tags=["core"]
# Half of them.
# Force gives each of these one anchor, and a poor one.
# Rule 2 keeps a detector from being blind; it does not make the anchors good.
#
# It can also fail.
# Two tiny objects side by side may want the *same* anchor.
# Then the one with the lower index gets it, and the other has nothing at all:

# %% tags=["core", "slide", "nbval-check-output"]
tiny = torch.tensor([[60.0, 60, 64, 64], [61, 61, 65, 65]])
pair = anchors.assign(paper, tiny, torch.tensor([3, 4]))
print([(3, int((pair.matched == 0).sum())), (4, int((pair.matched == 1).sum()))])

# %% [markdown] tags=["core"]
# And a picture may have no object at all.
# Then there is no best object to ask for, and code that asks anyway fails at the first empty picture,
# often hours into a training.
# Ours answers with nothing but background.

# %% tags=["core", "nbval-check-output"]
empty = anchors.assign(paper, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
print(empty.labels.unique().tolist(), tuple(empty.codes.shape))

# %% [markdown] tags=["core"]
# RetinaNet has a third kind of anchor: from 0.4 to 0.5 it is [**ignored**](GLOSSARY.md#ignored), and learns neither
# yes nor no.
# EfficientDet's code leaves that out.
# How many would it be here?

# %% tags=["core"]
zone = [anchors.assign(small, s.boxes, s.labels, unmatched=0.4) for s in scenes]
ignored = sum(int((e.labels == anchors.IGNORED).sum()) for e in zone)
positives = sum(int((e.labels >= 0).sum()) for e in zone)
f"{ignored:,} anchors ignored, beside {positives:,} that learn an object"

# %% [markdown] tags=["core"]
# So an anchor learns the object that it fits best, if it fits well enough.
# And no object goes without an anchor, unless another one took it first.
# That is not the only way.
# FCOS, 2019, has no anchors: each *place* inside an object learns it.
# ATSS, which exercise 12.9 is about, found that what counts is less the anchor than the rule that assigns it.

# %% [markdown] tags=["core", "slide"]
# ## Do the anchors fit my pictures?
#
# The nine anchors were chosen for COCO at 512 pixels and more.
# Our scenes have 128, and their digits are 5 to 56 pixels wide and 11 to 68 high.
# Do not guess: for every object, take the side, the best IoU, and the number of anchors that learn it.

# %% tags=["core"]
show(anchors.coverage)

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
scenes = data.scenes("validation", 200)
boxes = [s.boxes for s in scenes]


def cover(**config):
    config = anchors.AnchorConfig(**config)
    return anchors.coverage(anchors.anchors((128, 128), config), boxes)


# %% tags=["core", "slide"]
def fit_figure(scale):
    seen = cover(scale=scale, levels=(2, 5))
    forced = (seen.ious < 0.5).float().mean()
    says = f"Scale {scale}: {forced:.1%} of the objects by force only, median best "
    says += f"IoU {seen.ious.median():.2f}."
    labels = {"x_label": "side of the object, pixels", "y_label": "IoU of its best anchor"}
    return plots.scatter(seen.sides, seen.ious, says=says, **labels)


widgets.slider(
    fit_figure,
    name="scale",
    values=[1.5, 2, 2.5, 3, 3.5, 4, 5, 6],
    start=5,
    label="anchor scale, strides 4 to 32",
)

# %% [markdown] tags=["core"]
# Move the slider and watch the left edge.
# At scale 4 the smallest anchor has a side of 16 pixels, too large for the narrow small digits.
# At scale 2 every object is reached, by few anchors.
# Two things have to be good at once: nobody by force, and many positives.

# %% tags=["core", "slide"]
scales = [1.5, 2, 2.5, 3, 3.5, 4, 5, 6]
forced = {}
for name, levels in {"strides 4 to 32": (2, 5), "strides 8 to 64": (3, 6)}.items():
    seen = [cover(scale=s, levels=levels) for s in scales]
    forced[name] = [100 * (c.ious < 0.5).float().mean().item() for c in seen]
least = min(forced["strides 4 to 32"]), min(forced["strides 8 to 64"])
says = f"By force only, at the best scale: {least[0]:.1f}% from stride 4, "
says += f"{least[1]:.1f}% from stride 8."
labels = {"x_label": "anchor scale", "y_label": "objects by force only, %"}
plots.lines(scales, forced, says=says, **labels)

# %% [markdown] tags=["core"]
# No scale repairs a stride that is too coarse.
# It is the third of the width again: a narrow digit falls between anchors that stand 8 pixels apart.
# So a detector for our scenes begins at stride 4.
# And the scale?
# Split by size:

# %% tags=["core", "slide"]
bins = [(0, 20), (20, 30), (30, 45), (45, 80)]
rows = []
for scale in (2, 3, 4):
    seen = cover(scale=scale, levels=(2, 5))
    for low, high in bins:
        chosen = (seen.sides >= low) & (seen.sides < high)
        ious, count = seen.ious[chosen], seen.positives[chosen]
        forced = f"{(ious < 0.5).float().mean():.1%}"
        row = forced, f"{ious.mean():.2f}", int(count.median())
        rows.append((scale, f"{low} to {high}", int(chosen.sum()), *row))
fit = ("by force only", "mean best IoU", "positives, median")
table(("scale", "side", "objects", *fit), rows)

# %% [markdown] tags=["core"]
# **Scale 3** it is: nearly nobody by force, and about the same number of positives for small and for large digits.
# With scale 4 the large ones get more anchors and the small ones fewer.
#
# **Break it.**
# Swap width and height of the ratios.
# Before you run the cell: what will happen to the coverage?

# %% tags=["core", "slide"]
sets = {
    "the paper's": ((1, 1), (1.4, 0.7), (0.7, 1.4)),
    "for tall things": ((0.8, 1.2), (0.7, 1.4), (0.6, 1.6)),
}
rows = []
for name, ratios in sets.items():
    swapped = tuple((h, w) for w, h in ratios)
    both = (cover(scale=3, levels=(2, 5), ratios=r).ious for r in (ratios, swapped))
    rows.append((name, *(f"{ious.mean():.3f}" for ious in both)))
table(("ratios", "mean best IoU", "width and height swapped"), rows)

# %% [markdown] tags=["core"]
# With the paper's symmetric ratios, nothing happens: the same nine boxes come out,
# anchors 1 and 2 in each other's place.
# Only somebody who loads published weights would ever notice, and would see slightly bad boxes.
# With ratios for tall things the same slip is costly.
# A mistake that hides behind a symmetric default waits for the first user who changes it.
#
# And do we need nine?
# Digits are tall: of the 606 here none is wider than it is high.
# One tall shape might do, in two octaves instead of three, and without stride 32:

# %% tags=["core", "slide"]
tall = dict(scale=3, octaves=2, ratios=((0.79, 1.27),), levels=(2, 4))
sets = {
    "the paper's, strides 8 to 128": {},
    "nine a place, scale 3, strides 4 to 32": dict(scale=3, levels=(2, 5)),
    "two tall ones a place, strides 4 to 16": tall,
}
rows = []
for name, config in sets.items():
    count = len(anchors.anchors((128, 128), anchors.AnchorConfig(**config)))
    seen = cover(**config)
    forced = f"{(seen.ious < 0.5).float().mean():.1%}"
    row = forced, f"{seen.ious.mean():.2f}", int(seen.positives.median())
    rows.append((name, f"{count:,}", *row))
table(("anchors", "number", *fit), rows)

# %% [markdown] tags=["core"]
# The last row has nearly the fit of the second, with less than a quarter of the questions.
# The head that answers them shrinks alike.
# The detectors that chapter 16 trains on our scenes have these two.
# For photographs of all kinds of things, where some are wide and some tall, the paper's nine are the safer choice.
# Where shapes come from, if nobody tells you, is exercise 12.8.

# %% [markdown] tags=["deep"]
# **What does it cost?**
# Assignment is arithmetic on a matrix of objects by anchors, no loop over either.
# It happens once a picture and a step, so it must be cheap.

# %% tags=["deep"]
begin = time.process_time()
every = [anchors.assign(small, s.boxes, s.labels) for s in scenes]
spent = 1000 * (time.process_time() - begin) / len(every)
share = torch.stack([e.labels >= 0 for e in every]).float().mean()
print(f"{spent:.1f} ms a scene; of its {len(small):,} anchors {share:.2%} are positive")

# %% [markdown] tags=["core"]
# One anchor in some 250 learns an object here.
# The rest see background.
# That imbalance is the subject of chapter 14.
#
# If you built `box_iou`, then all of this rested on it: the matches, the coverage, the choice of the scale.

# %% tags=["core"]
yours()

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **Width and height swapped.** google/automl#303: ratios were read as (width, height) where sizes were (height,
#   width).
#   See above why nobody saw it.
# - **Three orders of four numbers.** rwightman/efficientdet-pytorch#24, #99, #117, #231: yxyx inside, xyxy out,
#   xywh before that.
#   Name the order, convert at one place, test with a box that is not square.
# - **Anchors that do not fit.** zylo117/Yet-Another-EfficientDet-Pytorch#27, #199, #598 ask about anchors for custom
#   and for small objects.
#   Measure coverage first.
# - **Another scale.**
#   D7 has the network of D6, but its anchor scale is 5, not 4.
#   Load its weights with 4 and every box is a fifth too small.
# - **Sizes that do not divide.** zylo117/Yet-Another-EfficientDet-Pytorch#307 asks why sides must divide by 128.
#   They need not, if strides come from the level's size.
# - **Pictures without objects, or with a single one.** rwightman/efficientdet-pytorch#44 and #71,
#   zylo117/Yet-Another-EfficientDet-Pytorch#12.
#   Test both before you train on your own data.
# - **Training that diverges.** rwightman/efficientdet-pytorch#113, #269:
#   boxes without an area are one of the things to look for.
#   Ours are refused by name, before their logarithm is taken.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - An anchor is a question: something of this size, here?
#   Nine for every place of every level.
# - A stride is picture over level.
#   It need not be whole.
# - IoU is the shared area over the covered area.
#   Half the box in common is a third.
# - A code is four small numbers, seen from the anchor, so that the same thing elsewhere has the same code.
# - An anchor learns its best object from an IoU of 0.5.
#   Each object takes its best anchor by force.
#   The first of two rivals wins.
# - Measure coverage before you train.
#   Our scenes need stride 4 and scale 3; and one tall shape does nearly as well as three.

# %% [markdown] tags=["core"]
# ## Exercises
#
# 12.1 to 12.4 (`box_iou`, `encode`, `decode`, `owners`) stand above, where the ideas stand.
#
# ### 12.5 · Predict · anchors_at_320 · 5 min · ●○○ · 1 point
#
# A picture of 320 x 320, levels 3 to 7, nine anchors a place.
# How many anchors?
# Pencil first.
#
# <details><summary>Answer</summary>
#
# 40, 20, 10, 5 and 3 places a side: $9 \cdot (1600 + 400 + 100 + 25 + 9) = 19{,}206$.
#
# </details>

# %% tags=["core"]
answer = ...  # your number

check("anchors.anchors_at_320", answer)
# hint("anchors.anchors_at_320")
# solution("anchors.anchors_at_320")

# %% [markdown] tags=["core"]
# ### 12.6 · Measure · forced_only · 10 min · ●○○ · 2 points
#
# Take `data.scenes("validation", 100)` and the paper's anchors, `AnchorConfig()`.
# How many objects have a best IoU below 0.5, so that only force finds an anchor for them?

# %% tags=["core"]
answer = ...  # your number

check("anchors.forced_only", answer)
# hint("anchors.forced_only")
# solution("anchors.forced_only")

# %% [markdown] tags=["core"]
# ### 12.7 · Build · giou · 20 min · ●●○ · 3 points
#
# IoU is 0 for two boxes that do not touch, near or far.
# A loss made of it would have no slope there.
# [Generalised IoU](https://arxiv.org/abs/1902.09630) repairs that.
# Put a frame around both boxes, the smallest that holds them.
# Subtract from the IoU the share of the frame that neither box covers.
# By hand: two squares of 10, the second 20 to the right.
# IoU 0; the frame is $30 \cdot 10$, of which 100 are empty: $-1/3$.
#
# Write `giou(a, b)` for boxes (N, 4) in xyxy: row $i$ of `a` with row $i$ of `b`, a tensor of N numbers.
# (Not every row with every row, as `box_iou` does.)
# Gradients have to pass.


# %% tags=["core"]
def giou(a, b):
    ...  # your code


check("anchors.giou", giou)
# hint("anchors.giou")
# solution("anchors.giou")

# %% [markdown] tags=["core"]
# ### 12.8 · Build · regroup · 25 min · ●●● · 4 points
#
# Which shapes would suit your objects?
# Let the data say: *k-means* with IoU as nearness, an idea of [YOLO9000](https://arxiv.org/abs/1612.08242).
# Write one round of it, `regroup(sides, shapes)`: `sides` holds (width, height) of N objects,
# `shapes` those of K anchors.
# Each object joins the shape with which it has the highest IoU, both laid with their middles on one point.
# Each shape becomes the mean of the objects that joined it; a shape that nobody joined stays as it was.
# Return the new shapes, a tensor (K, 2); leave `shapes` as it is.
# By hand: objects (10, 20), (12, 24), (40, 20) and shapes (10, 20), (40, 30) give (11, 22), (40, 20).
#
# Then try it: the sides of all digits, nine shapes, twenty rounds.
# Are they tall?


# %% tags=["core"]
def regroup(sides, shapes):
    ...  # your code


check("anchors.regroup", regroup)
# hint("anchors.regroup")
# solution("anchors.regroup")

# %% [markdown] tags=["optional"]
# ### 12.9 · Further · 120 min · ●●● · 0 points
#
# Why 0.5, for a digit of 11 pixels and one of 68 alike?
# [ATSS](https://arxiv.org/abs/1912.02424) lets each object have its own threshold:
# the mean plus the standard deviation of the IoUs of its nearest candidates.
# Port it as a second `assign`, and count positives by size as in our table.
# Are small and large objects treated alike?

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("anchors")
# yours()            whose functions are at work now
# restore()          the course's own again
# submit()           your answers in one small file

# %% [markdown] tags=["core"]
# ## Where next
#
# Chapter 13 puts two heads on the pyramid, one for classes and one for codes, and has the whole detector.
# Chapter 14 says what it is punished for.

# %% [markdown] tags=["core"]
# ## References
#
# - Ren, He, Girshick, Sun, [Faster R-CNN](https://arxiv.org/abs/1506.01497), 2015.
#   Anchors and their code.
# - Lin, Goyal, Girshick, He, Dollár, [Focal Loss for Dense Object Detection](https://arxiv.org/abs/1708.02002), 2017.
#   RetinaNet: nine anchors a place, thresholds 0.5 and 0.4.
# - Tan, Pang, Le, [EfficientDet](https://arxiv.org/abs/1911.09070), 2019.
#   Anchor scale 4.
# - Rezatofighi and others, [Generalized Intersection over Union](https://arxiv.org/abs/1902.09630), 2019.
# - Redmon, Farhadi, [YOLO9000](https://arxiv.org/abs/1612.08242), 2016.
#   Anchors from k-means.
# - Zhang, Chi, Yao, Lei, Li, [Bridging the Gap Between Anchor-based and Anchor-free
#   Detection](https://arxiv.org/abs/1912.02424), 2019.
#   ATSS.
