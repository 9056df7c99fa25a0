# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 16 · COCO eval
#
# **Question. Is this detector better than that one, and by how much?**
#
# After this chapter you can
#
# 1. match detections to objects by hand, and say which are right (exercises 16.1 and 16.4)
# 2. draw precision over recall, and work out an average precision on paper (exercises 16.2, 16.3 and 16.5)
# 3. read the twelve numbers of COCO, and say what moves each of them (quiz)
# 4. choose the score threshold for a product (exercise 16.6)
# 5. say whether one detector is better than another, with an interval, and what it does wrong (quiz)
#
# | study | about 120 min (estimate) |
# |---|---|
# | run | <!-- run -->1.4 min (86 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->1020 MB (measured)<!-- /peak --> |
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

import numpy as np
import torch

from lib.basics import data, training
from lib.book import plots, widgets
from lib.book.notebook import (
    build,
    check,
    hint,
    milestone,
    quiz,
    restore,
    setup,
    show,
    solution,
    submit,
    table,
    yours,
)
from lib.detection import (
    anchors,
    coco_eval,
    decoding,
    detection_loss,
    detectors,
    efficientnet,
    mistakes,
)
from lib.nas import one_shot

device = setup("16_coco_eval", seed=0)

# %% [markdown] tags=["core"]
# A classifier is right or wrong.
# A detector gives a list of boxes, each a bit off, each more or less sure, for an unknown number of objects.
# This chapter makes one number of that, the one that all detection papers report.
# Then it trains a detector and watches the number, and asks of two detectors which one is better.

# %% [markdown] tags=["core", "slide"]
# ## Which detections are right?
#
# One picture, two objects of one class, three detections.
# Boxes are written as COCO writes them: $x$, $y$, width, height.
#
# | | box | score | overlap with G | overlap with H |
# |---|---|---|---|---|
# | G | (0, 0, 10, 10) | | | |
# | H | (0, 0, 10, 8) | | | |
# | first | (0, 0, 10, 9) | 0.9 | 90/100 | 80/90 |
# | second | (0, 0, 10, 10) | 0.8 | 100/100 | 80/100 |
# | third | (50, 50, 10, 10) | 0.7 | 0 | 0 |
#
# Which of the three are right?
# The second fits G perfectly.
# But the first is surer, chooses before it, and takes G. Each object can be found once.
# So the second gets what is free and fits best, H, with 0.8.
# The third finds nothing.
#
# Best score first, a detection $d$ takes the free object of its class that it overlaps most, if that is enough:
#
# $$ m(d) = \underset{g \text{ free}}{\arg\max}\ \mathrm{IoU}(d, g), \qquad
#    d \text{ is right} \iff \mathrm{IoU}(d, m(d)) \ge t \tag{16.1} $$
#
# With $t = 0.5$: right, right, false.
#
# A right detection is called a [**true positive**](GLOSSARY.md#right-detection), a false one a **false positive**.
#
# ### 16.1 · Build · choose · 20 min · ●●○ · 3 points
#
# All twelve numbers of COCO rest on this rule.
# Write `choose(overlap, threshold)` for one image and one class.
# `overlap` is an array with a row for each detection, best score first, and a column for each object.
# Return a list with a number for each detection: the object that it takes, or -1 if it takes nothing.
# Each object is taken once, and an overlap of exactly the threshold is enough.
# Of equal overlaps the last object is taken, as in COCO's own program.
# A picture may hold no object: then each detection takes nothing.
# By hand, for the table above and $t = 0.5$: `[0, 1, -1]`.
#
# Once it is right, the library itself calls *your* function, for each picture, class, threshold and range of size.
# If you leave it, the chapter goes on with the course's own.


# %% tags=["core"]
def choose(overlap, threshold):
    """The object that each detection takes, a list; -1 for nothing.

    By hand: rows (0.9, 0.89), (1.0, 0.8), (0, 0), threshold 0.5: [0, 1, -1].
    """
    # your code, in place of the dots
    ...


build("coco_eval.choose", choose)
# hint("coco_eval.choose")
# solution("coco_eval.choose")

# %% [markdown] tags=["core"]
# Some objects do not count, and some are crowds; both come later.
# `match_one_image` sees to them, and asks `choose` for the rest.

# %% tags=["core"]
show(coco_eval.choose, folded=True)
show(coco_eval.match_one_image, folded=True)

# %% tags=["core", "slide", "nbval-check-output"]
overlap = np.array([[90 / 100, 80 / 90], [100 / 100, 80 / 100], [0, 0]])  # the table above
assert coco_eval.match_one_image(overlap, threshold=0.5) == [0, 1, -1]  # G, H, nothing
{t: coco_eval.match_one_image(overlap, t) for t in (0.5, 0.85, 0.95)}

# %% [markdown] tags=["core"]
# A stricter threshold can change who takes what: at 0.95 the first box is not good enough for anybody,
# so the second one gets G.

# %% [markdown] tags=["deep"]
# COCO asks this for every image and class, at ten thresholds and four ranges of size.
# One after the other that is slow in Python.
# So `match`, which `evaluate` calls, lets the first detections of *all* images choose at once, then all second ones,
# and so on.
# It does so while the course's own `choose` stands in its place; yours is asked image by image.
# The tests compare the two ways on random images.

# %% tags=["deep"]
show(coco_eval.match)

# %% [markdown] tags=["core"]
# To judge whole images we need COCO's own form: dictionaries, as they stand in the json files.

# %% tags=["core", "slide", "catch-up", "nbval-check-output"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
def one_picture(objects, found):
    """COCO dictionaries: boxes of class 1, and detections (box, score)."""
    here = {"image_id": 1, "category_id": 1}
    boxes = [here | {"id": i, "bbox": box} for i, box in enumerate(objects, start=1)]
    truth = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": boxes}
    return truth, [here | {"bbox": box, "score": score} for box, score in found]


G, H = [0, 0, 10, 10], [0, 0, 10, 8]
three = [([0, 0, 10, 9], 0.9), (G, 0.8), ([50, 50, 10, 10], 0.7)]
numbers = coco_eval.evaluate(*one_picture([G, H], three))
assert abs(numbers.ar100 - (7 * 1 + 3 * 1 / 2) / 10) < 1e-9  # by hand, below
numbers.ar100

# %% [markdown] tags=["core"]
# `ar100` is the share of objects found, averaged over the ten thresholds 0.50, 0.55, ...
# 0.95.
# Up to 0.80 both objects are found: seven thresholds.
# At 0.85 and 0.90 the first box still has G, and the second does not fit H well enough: one of two.
# At 0.95 the first box is not good enough for anybody, so the second gets G: one of two again.
# $(7 \cdot 1 + 3 \cdot \tfrac12) / 10 = 0.85$.

# %% [markdown] tags=["core"]
# Now real boxes.
# Only a digit of the same class can be taken: all other overlaps are set to 0.

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
model = detectors.shipped("plain")
scenes = detectors.scenes("validation", 124)
names = scenes.names


def verdicts(found, sample, least=0.5):
    iou = anchors.box_iou(found.boxes, sample.boxes)  # D G
    same = found.labels[:, None] == sample.labels
    taken = coco_eval.match_one_image((iou * same).numpy(), least)
    return [g != coco_eval.NOTHING for g in taken]


# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
sample = scenes[123]
found = decoding.detect(model, sample.image, threshold=0.2)
right = verdicts(found, sample)
tags = [f"{names[k]} {score:.2f} {'right' if ok else 'false'}"
        for k, score, ok in zip(found.labels, found.scores, right, strict=True)]  # fmt: skip
both = {"digits": sample.boxes, "detections": found.boxes.flip(0)}  # the surest on top
tags = {"digits": [names[k] for k in sample.labels], "detections": tags[::-1]}
says = f"{sum(right)} right, {len(right) - sum(right)} false, {len(sample.labels)} digits."
plots.boxes(dict.fromkeys(both, sample.image), both, tags, says=says)

# %% [markdown] tags=["core"]
# **Break it.**
# Forget that an object can be taken: let every detection choose its best object, taken or not.
# What would you gain by saying everything three times?

# %% tags=["core", "slide", "nbval-check-output"]
again = [(G, 0.9), (G, 0.8), (G, 0.7)]
honest = coco_eval.evaluate(*one_picture([G, [90, 90, 9, 9]], again))
sloppy = [True, True, True]  # each of them overlaps G
precision = coco_eval.interpolated_precision(np.array(sloppy), ~np.array(sloppy), objects=2)
round(honest.ap50, 3), precision.mean().item()

# %% [markdown] tags=["core"]
# The sloppy count says 1.0, although the second object was never found: three hits for two objects.
# The honest one says 0.505, for one of two.
# Where that number comes from is next.
#
# So a detection is right if it fits an object of its class that no surer one has taken.

# %% [markdown] tags=["core", "slide"]
# ## How many are right, and how many are found?
#
# Take the detections best first: right, false, right.
# There are four objects.
# After one detection, 1 of 1 is right and 1 of 4 is found.
# After two: 1 of 2, 1 of 4.
# After three: 2 of 3, 2 of 4.
#
# $$ \text{precision} = \frac{\mathrm{TP}}{\mathrm{TP} + \mathrm{FP}}, \qquad
#    \text{recall} = \frac{\mathrm{TP}}{N} \tag{16.2} $$
#
# $\mathrm{TP}$ counts right detections so far, $\mathrm{FP}$ false ones, $N$ is the number of objects.
# Recall only grows as we walk down the list.
# Precision jumps about: 1, 1/2, 2/3.
# To have one value for each recall, COCO takes the best precision at that recall *or more*:
#
# $$ P(r) = \max_{r' \ge r} \text{precision}(r') \tag{16.3} $$
#
# ### 16.2 · Build · interpolated_precision · 20 min · ●●● · 3 points
#
# (For those who want to write all of this chapter; it goes on without it.)
# Write `interpolated_precision(right, false, objects)`: $P(r)$ at the 101 recalls `RECALLS`, 0.00, 0.01, ... 1.00.
# `right` and `false` are arrays of True and False, best score first; a detection that is neither is ignored.
# `objects` is $N$, 1 or more.
# A recall that is never reached has precision 0, and before the first right or false one the precision is 0 as well.
# There may be no detection at all.
# By hand, for the three of above: 26 times 1, 25 times 2/3, 50 times 0.


# %% tags=["core"]
RECALLS = coco_eval.RECALLS


def interpolated_precision(right, false, objects):
    """The best precision at each of RECALLS or more, an array of 101 numbers.

    By hand: right, false, right, and 4 objects: 26 times 1, 25 times 2/3, 50 times 0.
    """
    # your code, in place of the dots
    ...


build("coco_eval.interpolated_precision", interpolated_precision)
# hint("coco_eval.interpolated_precision")
# solution("coco_eval.interpolated_precision")

# %% tags=["core", "slide", "nbval-check-output"]
show(coco_eval.interpolated_precision, folded=True)
right = np.array([True, False, True])
precision = coco_eval.interpolated_precision(right, ~right, objects=4)
assert np.allclose(precision[[0, 25, 26, 50, 51]], [1, 1, 2 / 3, 2 / 3, 0])
precision[[0, 25, 26, 50, 51]].round(3).tolist()  # at recall 0, .25, .26, .5, .51

# %% [markdown] tags=["core"]
# Now a dozen verdicts, best first, and six objects:
# right, false, right, right, false, right, false, false, false, right, false, false.
# Five of the six are found.
# Walk with a pencil: each right one goes a sixth to the right, and up; each false one goes straight down.
#
# | detections | 1 | 2 | 3 | 4 | 5 | 6 | 10 | 12 |
# |---|---|---|---|---|---|---|---|---|
# | recall | 1/6 | 1/6 | 2/6 | 3/6 | 3/6 | 4/6 | 5/6 | 5/6 |
# | precision | 1 | 1/2 | 2/3 | 3/4 | 3/5 | 4/6 | 5/10 | 5/12 |

# %% tags=["core", "slide"]
dozen = np.array([letter == "R" for letter in "RFRRFRFFFRFF"])
stairs = coco_eval.interpolated_precision(dozen, ~dozen, objects=6)
assert np.allclose(stairs[[16, 33, 50, 66, 83, 84]], [1, 3 / 4, 3 / 4, 4 / 6, 1 / 2, 0])
hits, shown = np.cumsum(dozen), np.arange(1, 13)
says = "Each false one moves the curve down, each right one to the right and up. "
says += "The stairs over it are what COCO reads."
plots.staircase(hits / 6, hits / shown, dozen, coco_eval.RECALLS, stairs, says=says)

# %% [markdown] tags=["core"]
# At recall 2/6 the precision is 2/3, and yet the stair there is 3/4 high: the next hit is better, so nobody would stop
# before it.
#
# And for our detector, over 30 scenes, all classes in one list.
# We ask for an IoU of 0.85, so that something can go wrong.
# Each point of the curve belongs to a threshold on the score.
# Move it, and watch one scene and the two numbers.

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
some = [scenes[i] for i in range(30)]
results = decoding.detect_all(model, [s.image for s in some], threshold=0.01)
scores = np.concatenate([each.scores.numpy() for each in results])
right = [verdicts(*pair, least=0.85) for pair in zip(results, some, strict=True)]
right = np.concatenate(right).astype(bool)[np.argsort(-scores, kind="stable")]
scores, total = np.sort(scores)[::-1], sum(len(s.labels) for s in some)
envelope = coco_eval.interpolated_precision(right, ~right, total)
hits = np.cumsum(right)
f"{len(right)} detections, {hits[-1]} of {total} digits found"

# %% jupyter={"source_hidden": true} tags=["core", "slide"]
# Draws the boxes above a threshold, with precision and recall there.
def at_threshold(cut):
    n = max((scores >= cut).sum(), 1)
    keep = all_found.scores >= cut
    says = f"30 scenes, IoU 0.85: precision {hits[n - 1] / n:.2f}, recall {hits[n - 1] / total:.2f}."
    shown = all_found.boxes[keep], all_found.labels[keep], all_found.scores[keep]
    return plots.boxes(sample.image, *shown, names=names, says=says)


all_found = decoding.detect(model, sample.image, threshold=0.05)
cuts = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9]
widgets.slider(at_threshold, name="cut", values=cuts, start=3, label="score threshold")

# %% [markdown] tags=["core"]
# Low threshold: few digits are missed, many boxes are false.
# High threshold: the other way round.
# Which point is best depends on what a false box costs you, and what a missed object costs.
# So the metric should not choose a point at all: it takes the whole curve.
#
# **Break it.**
# Sort the list the wrong way, least sure first.

# %% tags=["core", "slide"]
backwards = coco_eval.interpolated_precision(right[::-1], ~right[::-1], total)
says = f"The mean height, AP, falls from {envelope.mean():.2f} to {backwards.mean():.2f}."
plots.lines(coco_eval.RECALLS, {"best first": envelope, "worst first": backwards},
            x_label="recall", y_label="precision", says=says)  # fmt: skip

# %% [markdown] tags=["core"]
# The same boxes, and nearly all of the curve is gone.
# Average precision is about *order*.
# Add 10 to all scores, or square them: nothing changes.
# A detector can be good by AP and still have scores that mean nothing as probabilities.

# %% [markdown] tags=["core", "slide"]
# ## How does a curve become one number?
#
# Two objects, one found, nothing else said.
# Precision is 1 up to recall 0.5, and 0 beyond.
# COCO reads the curve at 101 recalls, 0.00, 0.01, ...
# 1.00.
# How many of them are reached?
#
# 51: both ends of 0.00 to 0.50 belong to it.
# So it says $51/101 = 0.505$, and not a half.
#
# $$ \mathrm{AP} = \frac{1}{101} \sum_{i=0}^{100} P\!\left(\tfrac{i}{100}\right) \tag{16.4} $$
#
# For the dozen of above, 17 recalls stand at 1, 34 at 3/4, 16 at 2/3 and 17 at 1/2:
# $(17 + 34 \cdot \tfrac34 + 16 \cdot \tfrac23 + 17 \cdot \tfrac12) / 101 = 0.611$.
#
# Here are toys that you can work out on paper, with the AP over all ten overlaps.
# The right column is what pycocotools 2.0.11, the official program, answers to them; the tests ask it again.

# %% tags=["core", "slide", "nbval-check-output"]
A, B, C = [0, 0, 40, 40], [100, 0, 40, 40], [200, 0, 40, 40]
toys = {
    "the box has IoU 0.6": ([G], [([0, 0, 10, 6], 0.9)], 0.3),
    "the box has IoU 0.5": ([G], [([0, 0, 10, 5], 0.9)], 0.1),
    "one false box above the right one": ([A], [(C, 0.9), (A, 0.8)], 0.5),
    "one false box below it": ([A], [(A, 0.9), (C, 0.8)], 1.0),
    "said twice": ([A], [(A, 0.9), (A, 0.8)], 1.0),
    "one of two found": ([A, B], [(A, 0.9)], 51 / 101),
    "one of three found": ([A, B, C], [(A, 0.9)], 34 / 101),
    "101 false boxes above it": ([A], [(C, 0.9)] * 101 + [(A, 0.8)], 0.0),
    "nothing found": ([A], [], 0.0),
    "nothing there": ([], [(A, 0.9)], -1.0),
}
assert abs(stairs.mean() - 0.611) < 5e-4  # the dozen, by hand
rows = []
for what, (objects, answers, theirs) in toys.items():
    ours = coco_eval.evaluate(*one_picture(objects, answers)).ap
    assert abs(ours - theirs) < 1e-9, what
    rows.append((what, f"{ours:.4f}", f"{theirs:.4f}"))
table(("case", "ours", "pycocotools"), rows)

# %% [markdown] tags=["core"]
# Look at the two lines with one false box.
# *Above* the right one it costs half of everything, *below* it costs nothing.
# And the 101 false boxes: COCO looks at 100 detections of a class in a picture, so the right one was not even read.
#
# **Break it.**
# Clean the list up before it is judged: drop all detections below a threshold, as one would for a picture.
# What happens to AP?

# %% tags=["core", "slide"]
truth, results = scenes.coco(), coco_eval.detections(model, scenes)
cuts = [0.001, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
cleaned = [[d for d in results if d["score"] >= cut] for cut in cuts]
aps = [coco_eval.evaluate(truth, some).ap for some in cleaned]
says = f"AP falls from {aps[0]:.3f} to {aps[-1]:.3f}, the more is dropped."
plots.lines(cuts, {"AP": aps}, x_label="detections below this are dropped", y_label="AP", says=says)

# %% [markdown] tags=["core"]
# It only falls.
# A false box at the end of the list is free, a right one down there is worth something.
# So a list for the metric and a list for the eye are two different lists:
# `coco_eval.detections` keeps everything above 0.001, and `decoding.detect` asks for 0.3.

# %% [markdown] tags=["core", "slide"]
# ## Why are there twelve numbers?
#
# Average precision has been defined for one class and one threshold $t$.
# COCO's AP is the mean over ten thresholds and all $K$ classes that have objects.
# (In other places the mean over classes is called **mAP**, and AP is that of one class. COCO calls both AP.)
#
# $$ \mathrm{AP} = \frac{1}{10 K} \sum_{k=1}^{K} \sum_{t \in \{0.50, \ldots, 0.95\}} \mathrm{AP}_{k,t} \tag{16.5} $$
#
# By hand: class 1 is found with IoU 0.6, so it has AP 0.3.
# Class 2 is found perfectly, 1.0.
# Class 3 has no objects and does not count, whatever is claimed of it.
# Together 0.65.
# A class with objects that is never found counts as 0.

# %% tags=["core", "slide", "nbval-check-output"]
truth_2, found_2 = one_picture([G, B], [([0, 0, 10, 6], 0.9), (B, 0.8), (A, 0.7)])
truth_2["categories"] = [{"id": 1}, {"id": 2}, {"id": 3}]
truth_2["annotations"][1]["category_id"] = found_2[1]["category_id"] = 2
found_2[2]["category_id"] = 3
numbers = coco_eval.evaluate(truth_2, found_2)
assert abs(numbers.ap - 0.65) < 1e-9
round(numbers.ap, 3), round(numbers.ap50, 3), round(numbers.ap75, 3)

# %% [markdown] tags=["core"]
# The other eleven look from other sides: at one overlap (`ap50`, `ap75`), at one size (`small` up to 32 x 32 pixels,
# `medium` up to 96 x 96, `large` beyond), and at recall alone with 1, 10 or 100 detections a picture (`ar`).
#
# A size is a matter of the *object*.
# For `ap_small` all larger objects are ignored, as crowds are: whoever finds one is neither right nor false.
# And so is a box outside of the range that has taken nothing.
# So `ap_small` does not see a large false box at all.
# In COCO an object's size is the area of its outline (its mask), not of its box.
# An `ar` is a mean of the recalls that are reached, over the same ten thresholds and classes.
#
# Here they are for the shipped detector, on 124 scenes. -1 means that there is nothing to judge:
# no digit is larger than 96 x 96.

# %% tags=["core", "slide"]
numbers = coco_eval.evaluate(truth, results)
table(("number", "value"), [(k, f"{v:.3f}") for k, v in numbers._asdict().items()])

# %% [markdown] tags=["core"]
# How strict can one be before it breaks?
# AP at each of the ten overlaps, for small and for medium digits:

# %% tags=["core", "slide"]
curves = coco_eval.precision_recall(truth, results)
by_iou = {}
for place, size in ((1, "small"), (2, "medium")):
    part = curves.precision[..., place]  # overlaps, recalls, classes
    by_iou[size] = [float(p[p > -1].mean()) for p in part]
says = "; ".join(f"{size}: AP {a[0]:.2f} at an IoU of 0.5, {a[-1]:.2f} at 0.95" for size, a in by_iou.items())
plots.lines(coco_eval.IOUS, by_iou, x_label="least IoU", y_label="AP", says=f"{says}.")

# %% [markdown] tags=["core"]
# At 0.95 hardly anything is left: a digit of 20 pixels may then be off by half a pixel, in one direction only,
# and its box was drawn in whole pixels.
# The mean over ten overlaps rewards a detector that places its boxes well,
# where the older AP50 of the VOC challenge asked only whether it was about there.
#
# And which digits are hard?

# %% tags=["core", "slide"]
each = {names[k - 1]: ap for k, ap in curves.ap().items()}
plots.bars(each, x_label="digit", y_label="AP")

# %% [markdown] tags=["core"]
# **Break it.**
# Category ids of COCO begin at 1, labels at 0.
# Forget the difference.

# %% tags=["core", "slide"]
shifted = [d | {"category_id": max(1, d["category_id"] - 1)} for d in results]
broken = coco_eval.evaluate(truth, shifted)
f"AP {numbers.ap:.3f} becomes {broken.ap:.3f}"

# %% [markdown] tags=["core"]
# The boxes are as good as before.
# If a detector that you have just trained scores 0.00, look at a picture with its boxes before you look at the learning
# rate.

# %% [markdown] tags=["deep", "slide"]
# ## What is a crowd?
#
# Photographs have heaps of apples and rows of spectators.
# COCO's annotators draw one outline round all of it, `iscrowd: 1`.
# Nobody is asked to find it, and nobody is punished for boxes inside.
# So such boxes are *ignored*: neither right nor false.
#
# But IoU would be tiny for one apple in a heap.
# A box of 10 x 10, half of it inside a [crowd](GLOSSARY.md#crowd) of 100 x 100: what number should say that it belongs
# there?
# Half of *the box* is inside, so 1/2:
#
# $$ \mathrm{overlap}(d, g) = \frac{|d \cap g|}{|d|} \qquad \text{if } g \text{ is a crowd} \tag{16.6} $$

# %% tags=["deep"]
show(coco_eval.overlaps)

# %% tags=["deep", "slide", "nbval-check-output"]
apple, heap = np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 100, 100]])
as_crowd = coco_eval.overlaps(apple, heap, np.array([True]))
as_object = coco_eval.overlaps(apple, heap, np.array([False]))
assert as_crowd[0] == 0.5  # by hand
as_crowd.tolist(), as_object.round(4).tolist()

# %% [markdown] tags=["deep"]
# **Break it.**
# Read the annotations, and forget the flag.
# One object is found.
# Three sure boxes lie inside a crowd.

# %% tags=["deep", "slide", "nbval-check-output"]
inside = [([300 + 9 * i, 300, 30, 30], 0.9) for i in range(3)]
truth_3, found_3 = one_picture([A, [290, 290, 80, 80]], [*inside, (A, 0.5)])
truth_3["annotations"][1]["iscrowd"] = 1
with_flag = coco_eval.evaluate(truth_3, found_3).ap
truth_3["annotations"][1]["iscrowd"] = 0
round(with_flag, 4), round(coco_eval.evaluate(truth_3, found_3).ap, 4)

# %% [markdown] tags=["deep"]
# 1.0 becomes 0.13: the three boxes stand false above the right one, and the heap counts as an object that was missed.
# The annotation format knows an `ignore` key as well. pycocotools overwrites it with `iscrowd`,
# so it has no effect there, nor here.

# %% [markdown] tags=["core", "slide"]
# ## What does it do wrong?
#
# AP says how much is wrong, not what.
# TIDE, 2020, puts every false detection down to one cause, at an overlap of 0.5:
#
# | kind | the box |
# |---|---|
# | class | is on an object (0.5 or more) of another class |
# | place | is near an object of its class (0.1 to 0.5), but not on it |
# | both | is near an object of another class |
# | duplicate | is on an object of its class, which a surer box has taken |
# | background | is near nothing |
# | missed | (no box: an object that no right box and no mistake of class or place is about) |
#
# One object of class 1, one of class 2.
# Six boxes all say "class 1".
# Which kind is each?

# %% tags=["core", "slide", "nbval-check-output"]
show(mistakes.kinds)
overlap = np.array([[0.9, 0], [0.8, 0], [0.3, 0], [0, 0.7], [0, 0.2], [0, 0]])
same_class = np.array([[True, False]] * 6)
sorted_out, _ = mistakes.kinds(overlap, same_class, taken=[0, -1, -1, -1, -1, -1])
print(", ".join(sorted_out))

# %% [markdown] tags=["core"]
# How often is one question, how expensive another.
# A kind *costs* what AP50 would gain if it had not happened: a wrong class or place is put right,
# other false boxes go, and missed objects are not asked for.
# Which kind costs the shipped detector most?

# %% tags=["core", "slide"]
wrong = mistakes.find(truth, results)
costs = {kind: round(cost, 4) for kind, cost in wrong.costs().items()}
shown = wrong.count(least=0.3)
worst = max(costs, key=costs.get)
says = f"AP50 is {wrong.ap50():.3f}. The kind {worst!r} costs most, {costs[worst]:.3f}. Among what is shown "
says += "from a score of 0.3 on: " + ", ".join(f"{n} {kind}" for kind, n in shown.items()) + "."
plots.bars(costs, y_label="AP50 lost by it", x_label="kind of mistake", says=says)

# %% [markdown] tags=["core"]
# It finds the digits, and misreads some.
# So a finer pyramid would help this detector less than a better reader: more crops for the backbone, for example.
# On COCO's photographs the paper finds other profiles: there missed objects and places cost much more.

# %% [markdown] tags=["core", "slide"]
# ## Can we train one, here?
#
# Yes, if we begin with a backbone that has read digits.
# That is NASNet's own argument: what is learned on small pictures is worth something on large ones.
# The shipped backbone has been trained on crops (chapter 01).
# The levels and the heads above it start from random numbers.
# What AP do you expect after two minutes of one thread?
#
# One thing differs from chapter 14.
# Huber's elbow, where the curve becomes a straight line, is at 0.02 instead of 0.1,
# and the weight of the boxes is 250 instead of 50.
# Their product is 5 as before, so a box that is far off is pulled as hard.
# But a small mistake keeps that pull for longer, and eight of the ten overlaps of AP are about small mistakes.

# %% tags=["core"]
QUICK = True  # False: the steps of the shipped detector, seven times as long
steps = 600 if QUICK else 4200
learner = detectors.shipped("plain", weights="backbone")
places = anchors.anchors((128, 128), learner.config.anchors)
sharp = {"delta": 0.02, "box_weight": 250}


def loss_of(net, batch):
    outputs = net(training.normalise(batch.images))
    loss = detection_loss.detection_loss(*outputs, batch, places, **sharp)
    return loss.total, {"classes": loss.classes.item(), "boxes": loss.boxes.item()}


# %% [markdown] tags=["core"]
# Before we train: is the loss itself all right?
# Run it on one batch.
# The class head begins by saying 1 % everywhere (chapter 14), and the boxes are their anchors.
# By hand: an anchor that should say yes and says 1 % costs $0.25 \cdot 0.99^{1.5} \cdot \ln 100 = 1.13$.
# The thousands that rightly say no add a little.
# A box that is its anchor is off by a code of about 0.2.
# Beyond the elbow $\delta$ a code that is off by $t$ costs $\delta (t - \delta / 2)$, here 0.004.

# %% tags=["core"]
pictures = detectors.scenes("train", 3000)  # drawn once, then read from a file
first = data.collate([pictures[i] for i in range(16)])
loss, parts = loss_of(learner.train(), first)
assert 1.13 < parts["classes"] < 1.25 and 0.002 < parts["boxes"] < 0.006, "not what it should be"
parts

# %% [markdown] tags=["core"]
# Now the training.
# The score is read a few times on the way, from the moving average of the weights (chapter 02),
# on 60 scenes that are not trained on.
# This is the longest cell of the course: one to two minutes, and more on a busy machine.
# A bar shows how far it is.

# %% tags=["core"]
groups = training.parameter_groups(learner, 1e-2)
optimizer, average = torch.optim.AdamW(groups, lr=7e-3), training.EMA(learner, 0.995)
watched, log = detectors.scenes("validation", 60), {}


def read_score(step, logs):
    if (step + 1) % (steps // 6) == 0:
        results = coco_eval.detections(average.model, watched)
        log[step + 1] = coco_eval.evaluate(watched.coco(), results)


history = training.fit(
    learner, pictures, loss_of, steps=steps, batch_size=16, optimizer=optimizer,
    ema=average, clip=10.0, warmup=0.05, collate=data.collate, on_step=read_score,
)  # fmt: skip

# %% tags=["core", "slide"]
lines = {"AP": [n.ap for n in log.values()], "AP50": [n.ap50 for n in log.values()]}
plots.lines(list(log), lines, x_label="step", y_label="on 60 validation scenes")

# %% [markdown] tags=["core"]
# AP50 comes first: the digits are found.
# The other nine thresholds follow, as the boxes settle.
# And the verdict, on scenes of the test set: neither training nor any choice of ours has looked at them.
# Beside it stands the shipped detector, which trained for longer in the same way.
# The last row is the shipped detector with soft-NMS (chapter 15), as the EfficientDet paper reports its own numbers.
# Three times 200 scenes take about a quarter of a minute:

# %% tags=["core", "slide"]
held_out = detectors.scenes("test", 200)
true_200, said, soft = held_out.coco(), {}, {"suppress": decoding.soft_nms}
nets = {"trained here": (average.model, {}), "shipped": (model, {}), "shipped, soft": (model, soft)}
for kind, (net, how) in nets.items():
    said[kind] = coco_eval.detections(net, held_out, **how)
final = {kind: coco_eval.evaluate(true_200, found) for kind, found in said.items()}
rows = [(k, f"{n.ap:.3f}", f"{n.ap50:.3f}", f"{n.ap75:.3f}") for k, n in final.items()]
table(("detector", "AP", "AP50", "AP75"), rows)

# %% tags=["core", "slide"]
four = {f"scene {i}": held_out[i] for i in range(4)}
found = {k: decoding.detect(average.model, s.image) for k, s in four.items()}
plots.boxes({k: s.image for k, s in four.items()},
            *({k: getattr(f, part) for k, f in found.items()}
              for part in ("boxes", "labels", "scores")), names=names)  # fmt: skip

# %% [markdown] tags=["core", "slide"]
# ## Is one better than the other?
#
# Soft-NMS is ahead by less than a hundredth.
# Is it better, or was it lucky with the pictures?
# A test set is a sample.
# Cut ours into pieces of 20 scenes, and let the same detector be judged on each.
# How far apart will the ten numbers be?


# %% tags=["core", "slide"]
def on_part(first):
    ids = range(first + 1, first + 21)
    part = [d for d in said["shipped"] if d["image_id"] in ids]
    boxes = [a for a in true_200["annotations"] if a["image_id"] in ids]
    some = true_200 | {"annotations": boxes}
    return coco_eval.evaluate(some, part).ap


pieces = [on_part(first) for first in range(0, 200, 20)]
says = f"The same detector: from {min(pieces):.2f} to {max(pieces):.2f}."
plots.points({"20 scenes each": pieces}, y_label="AP", says=says)

# %% [markdown] tags=["core"]
# Nothing changed but the pictures, and AP moved by far more than a hundredth.
# How much would it move for 200 scenes?
# We have no other 200.
# But we can draw 200 from ours, with repeats, as from a hat into which each scene is put back: some come twice,
# some not at all.
# Do that a thousand times, work out AP each time, and leave out the lowest and the highest 25.
# What is left is a 95 % interval.
# This is the [**bootstrap**](GLOSSARY.md#bootstrap) (Efron, 1979).
#
# Now two detectors.
# Draw the scenes once, and judge *both* on them.
# A draw of hard scenes is hard for both, and their difference does not notice: a **paired** comparison.
# Nothing has to be matched again, since a scene that is drawn twice counts its detections and its objects twice.
# Guess before you run the cell: do the intervals of hard and soft overlap, and does that of the difference contain 0?

# %% tags=["core", "slide"]
show(coco_eval.compare)
it = coco_eval.compare(true_200, said["shipped"], said["shipped, soft"])
mine = coco_eval.compare(true_200, said["trained here"], said["shipped"])
overlap = it.a.high > it.b.low
zero = it.difference.low <= 0 <= it.difference.high
says = f"Hard {it.a:.3f}, soft {it.b:.3f}: the two intervals {'overlap' if overlap else 'do not overlap'}. "
says += f"Soft less hard, pair by pair: {it.difference:+.3f}, which "
says += "contains 0: they are not told apart." if zero else "does not contain 0: they are told apart."
print(f"shipped less trained here: {mine.difference:+.3f}")
plots.intervals({"hard NMS": it.a, "soft-NMS": it.b}, y_label="AP on 200 scenes", says=says)

# %% [markdown] tags=["core"]
# Two intervals that overlap do not say that two detectors are alike.
# Most of their width is the pictures', and that both have in common.
# So this is the answer to the question of this chapter: a detector is better than another if the interval of the
# *difference*, on the same pictures, does not contain 0; and it is better by that interval.
# The line above the figure says the same of the detector that you have just trained: the seven times as many steps of
# the shipped one are worth something.
#
# One thing the pictures cannot say: would another training of the same network be ahead, too?
# That is a second kind of chance, and only several seeds tell it.
# COCO's test set is far larger than ours, and still a comparison should be made on the same pictures,
# with several trainings of each.
# That is how the next figures were made.

# %% [markdown] tags=["core", "slide"]
# ## Which of the three is the course's detector?
#
# Three detectors are shipped: `plain` is made of dense 3x3 convolutions,
# `course` has the cell that was searched in part II and BiFPN, `lite` is built as EfficientDet-Lite.
# Each got the same time, about 13 minutes of one thread, with three seeds (`python data/weights/prepare.py`).
# Here is what 1,000 test scenes say, as it was recorded.
# Which one do you bet on?

# %% tags=["core", "slide"]
lines = (data.FOLDER / "weights" / "detectors.jsonl").read_text("utf-8").splitlines()
rows = [json.loads(line) for line in lines if '"part": "detector"' in line]
rows = [row for row in rows if row["settings"].get("box_weight") == sharp["box_weight"]]
kinds = {name: [row["test"][0] for row in rows if row["model"] == name]
         for name in detectors.CONFIGS}  # fmt: skip
plots.points(kinds, y_label="AP on 1,000 test scenes (recorded)")

# %% [markdown] tags=["core"]
# The searched cell does not win.
# It has a seventh of the parameters and far fewer multiply-adds, but the clock of a CPU counts neither (chapter 03):
# many small operations cost more than a few dense ones.
# At equal time `plain` sees more scenes in its minutes, so `plain` is the course's default from here on.
# The searched cell keeps its place in the comparison below, where parameters are equal too.

# %% [markdown] tags=["deep", "slide"]
# ## Which backbone, which neck, which fusion?
#
# Chapters 04 to 09 searched a cell, chapter 11 went from FPN to BiFPN, and chapter 13 lets any of them be a detector.
# Which parts matter *here*?
# Everything below starts from one detector: the found cell, BiFPN, fast fusion.
# One thing is changed at a time.
# Parameters agree within a few per cent, and there are three seeds.
# The time of training is equal and *short*, two minutes after 30 seconds on crops: the figure shows who starts fast,
# not who ends best.
# Recorded by `python data/ablations/detectors.py`, in about 80 minutes.

# %% tags=["deep", "slide"]
lines = (data.FOLDER / "ablations" / "detectors.jsonl").read_text("utf-8").splitlines()
record = [json.loads(line) for line in lines]
words = {"course": "cell, BiFPN, fast", "mbconv": "MBConv backbone", "fpn": "FPN",
         "panet": "PANet", "softmax": "softmax fusion", "sum": "sum fusion"}  # fmt: skip
aps = {}
for row in record:
    if row.get("variant") in words:
        aps.setdefault(words[row["variant"]], {})[row["seed"]] = row["ap"]
base = aps[words["course"]]
rows = [
    (name, *(f"{seeds[s] - base[s]:+.3f}" for s in sorted(base)))
    for name, seeds in aps.items() if name != words["course"]
]  # fmt: skip
table(("less cell, BiFPN, fast", *(f"seed {s}" for s in sorted(base))), rows)
plots.points({k: list(v.values()) for k, v in aps.items()}, y_label="AP (recorded)")

# %% [markdown] tags=["deep"]
# Each point is a training, the bar their median.
# Where the points of two kinds overlap, three seeds have not told them apart.
# Seeds share their first weights where they can, so the table gives the differences seed by seed:
# pairs again, of trainings this time.
#
# The searched cell loses, clearly: MBConv is ahead with every seed.
# The cell was chosen for reading crops with a few thousand weights, not for giving levels to a detector.
# It stays in the course as what it is, an honest search result.
# PANet is behind BiFPN with every seed.
# Three equal signs are little, by chance alone they come one time in four;
# but here the three differences are nearly equal, too.
# FPN, softmax and the plain sum are a tie with the course's own choice: who is ahead depends on the seed.
# COCO's hundred thousand pictures may part what our few hundred steps cannot.

# %% [markdown] tags=["deep"]
# And the question of chapter 09 once more.
# Twelve cells from the worst to the best of the table become backbones of detectors.
# Does the table know which detector will be good?

# %% tags=["deep", "slide"]
cells = [row for row in record if row["question"] == "transfer"]
before, after = zip(*[(row["table_validation"], row["ap"]) for row in cells], strict=True)
tau, low, high = one_shot.agreement(before, after)
says = f"{len(cells)} cells, tau {tau:.2f} ({low:.2f} to {high:.2f})."
plots.scatter(before, after, x_label="validation accuracy in the table",
              y_label="AP as a detector (recorded)", says=says)  # fmt: skip

# %% [markdown] tags=["deep"]
# Tau is 1 if both orders agree and 0 if they have nothing to do with each other.
# The two numbers behind it are a 95 % interval, from drawing the twelve cells again and again.
# If 0 lies inside, twelve cells cannot tell.

# %% [markdown] tags=["core", "slide"]
# ## Does the whole detector run on yours?
#
# This is the milestone of part III.
# The shipped `course` detector, with BiFPN and fast fusion, finds the digits of 40 scenes, and COCO's rule judges it.
# The loss of chapter 14 looks at 16 of them too: it needs what you wrote about anchors.
# And B0 is built once, without weights, by the rule of chapter 10.
# (No weight is changed.)
# First comes a picture as the detector sees it now.
# Then `yours(load=True)` brings in all that you have kept from earlier chapters, and the machine runs:
# whatever you wrote in chapters 10 to 16 is called, and counted.
# If it is right, the picture stays the same.

# %% tags=["core", "slide"]
net, forty = detectors.shipped("course"), detectors.scenes("test", 40)
picture, batch = forty[4], data.collate([forty[i] for i in range(16)])
before = decoding.detect(net, picture.image)
yours(load=True)
with milestone(10, 16) as run, torch.no_grad():
    with torch.device("meta"):
        efficientnet.efficientnet("b0")
    net = detectors.shipped("course")  # built anew: its neck begins with the table of 11.1
    loss, _ = loss_of(net, batch)
    ap, ap_soft = (
        coco_eval.evaluate(forty.coco(), coco_eval.detections(net, forty, suppress=rule)).ap
        for rule in (decoding.hard_nms, decoding.soft_nms)
    )
    after = decoding.detect(net, picture.image)
moved = "another number of boxes"
if len(before.boxes) == len(after.boxes):
    most = (before.boxes - after.boxes).abs().max().item()
    moved = f"no side of a box differs by more than {most:.3f} pixels"
print(f"AP {ap:.3f} on 40 scenes, {ap_soft:.3f} with soft-NMS; loss {loss.item():.3f} on 16 of them")
both = {"before": before, "after": after}
says = f"AP {ap:.3f}. {run.says()} Before and after: {moved}."
plots.boxes(dict.fromkeys(both, picture.image),
            *({k: getattr(f, part) for k, f in both.items()}
              for part in ("boxes", "labels", "scores")), names=names, says=says)  # fmt: skip

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **AP does not reach the paper.** zylo117/Yet-Another-EfficientDet-Pytorch#217 tells of 220 runs;
#   google/automl#227, #310 and #932 and rwightman/efficientdet-pytorch#92 ask the same.
#   First compare the network with the released one, number by number, then the recipe.
#   A tenth or two of a point is soft-NMS (chapter 15), and weights were released more than once.
# - **90 classes or 80?**
#   COCO uses 80 ids between 1 and 90. google/automl#83, rwightman/efficientdet-pytorch#9 and
#   zylo117/Yet-Another-EfficientDet-Pytorch#344 are about what happens if the map between labels and ids is guessed.
#   Ours is written down: a detector carries the id and the name of each output (`config.categories`),
#   and `coco_eval.detections` goes by the names, or says which lists do not agree.
# - **Pictures without objects.** rwightman/efficientdet-pytorch#71 and #44,
#   zylo117/Yet-Another-EfficientDet-Pytorch#12 and #575, google/automl#695:
#   an empty picture crashed the training or the evaluation.
#   It has no object to find, but its false boxes count.
# - **`== 0.9` finds nothing.**
#   The ten thresholds are floats, and the ninth is 0.8999999999999999.
#   Ask by place, not by value.
# - **Cut at 10 instead of 100.** pycocotools looks for the entry "100" when it makes its summary.
#   Change `maxDets`, and its AP says -1.
# - **An evaluator that died of age.** effdet's VOC evaluator uses `np.float_`, which NumPy 2 does not have.
#   The COCO path works.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - Best score first, each detection takes the free object that it overlaps most.
#   One object, one hit.
# - Precision over recall, made monotone from the right, read at 101 recalls: average precision.
# - COCO's AP is the mean over ten overlaps and all classes that have objects.
# - AP judges the order of the list.
#   Do not cut the list before it is judged.
# - Crowds are ignored, and overlap with them is the share of the detection.
# - A detector is better if the interval of the difference, on the same pictures, does not contain 0.
#   Chance in training is told by several seeds, all points shown.
# - Six kinds of mistake say what to mend first.

# %% [markdown] tags=["core"]
# ## Exercises
#
# 16.1 and 16.2 (`choose`, `interpolated_precision`) stand above, where the ideas stand.

# %% [markdown] tags=["core"]
# ### 16.3 · Predict · ap_on_paper · 8 min · ●●○ · 2 points
#
# Four objects, three detections, best first: right, false, right.
# What is AP50, to three digits?
# The precision at each recall stands above; the mean of 101 points is yours.
#
# <details><summary>Answer</summary>
#
# Recalls 0.00 to 0.25 are 26 points at precision 1.
# Recalls 0.26 to 0.50 are 25 points at 2/3.
# The other 50 are at 0.
# $(26 + 25 \cdot \tfrac23) / 101 = 0.422$.
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("coco_eval.ap_on_paper", answer)
# hint("coco_eval.ap_on_paper")
# solution("coco_eval.ap_on_paper")

# %% [markdown] tags=["core"]
# ### 16.4 · Measure · largest_shift · 8 min · ●○○ · 2 points
#
# An object of 40 x 40 pixels is found, but the box stands some whole pixels too far to the right.
# What is the largest shift with an AP above 0?

# %% tags=["core"]
shift = 4  # change me
numbers = coco_eval.evaluate(*one_picture([[0, 0, 40, 40]], [([shift, 0, 40, 40], 1.0)]))
print(f"shift {shift}: AP {numbers.ap:.2f}")

answer = ...  # the shift you found
check("coco_eval.largest_shift", answer)
# hint("coco_eval.largest_shift")
# solution("coco_eval.largest_shift")

# %% [markdown] tags=["core"]
# ### 16.5 · Build · envelope_area · 15 min · ●●○ · 3 points
#
# The VOC challenge (since 2010) takes the area under the curve instead of 101 points.
# `right` is a list of True and False, best score first, and `objects` the number of objects.
# Recall moves by 1 / `objects` at each hit and stands still at the others.
# The height at a recall is the best precision at that recall or more, as in Eq. 16.3.
# Return the area, a number; without detections (an empty list) it is 0.
# By hand: `[True, False, True]` and 4 objects give $\tfrac14 \cdot 1 + \tfrac14 \cdot \tfrac23 = 0.4167$.

# %% tags=["core"]
def envelope_area(right, objects):
    ...  # your code


check("coco_eval.envelope_area", envelope_area)
# hint("coco_eval.envelope_area")
# solution("coco_eval.envelope_area")

# %% [markdown] tags=["core"]
# ### 16.6 · Build · best_cut · 15 min · ●●○ · 3 points
#
# A product needs one threshold.
# F1 weighs both mistakes alike: $F_1 = 2\,\mathrm{TP} / (\text{shown} + N)$,
# where a detection is shown if its score is at least the threshold, $\mathrm{TP}$ of those are right,
# and $N$ is the number of objects.
# `scores` (a list of one or more, no ties, in any order) and `right` (a list of True and False) belong together.
# Return the score that is the best threshold; of equally good ones the highest.
# By hand: scores 0.9, 0.8, 0.7, of which the second is false, and two objects.
# Thresholds 0.9, 0.8 and 0.7 have an F1 of 2/3, 2/4 and 4/5: the answer is 0.7.

# %% tags=["core"]
def best_cut(scores, right, objects):
    ...  # your code


check("coco_eval.best_cut", best_cut)
# hint("coco_eval.best_cut")
# solution("coco_eval.best_cut")

# %% [markdown] tags=["optional"]
# ### 16.7 · Further · 60 min · ●●● · 0 points
#
# Which digits does the shipped detector take for which?
# `mistakes.find` knows it: `kind`, `category`, `about` and `object_category`.
# Count the mistakes of class in a table of 10 x 10, draw it with `plots.grid`, and say what a better reader should be
# shown.
# Then the same for the detector that you have trained: which kind of mistake went away with longer training?

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("coco_eval")
# yours()            whose functions are at work now
# restore()          the course's own again
# submit()           your answers in one small file

# %% [markdown] tags=["core"]
# ## Where next
#
# Part III is done: a detector that is trained, decoded and measured.
# Part IV makes it smaller: chapter 17 sets weights to zero, and asks whether anyone but a table notices.

# %% [markdown] tags=["core"]
# ## References
#
# - Lin and others, [Microsoft COCO](https://arxiv.org/abs/1405.0312), 2014: the annotations, crowds among them.
# - Everingham and others, the PASCAL VOC challenge, 2010: average precision of detections, IoU 0.5.
# - Bolya and others, [TIDE](https://arxiv.org/abs/2008.08115), 2020: what kinds of mistakes there are.
# - Efron and Tibshirani, An Introduction to the Bootstrap, 1993: intervals from drawing again, and pairs.
# - Tan, Pang and Le, [EfficientDet](https://arxiv.org/abs/1911.09070), 2019: AP of the family, and the recipe.
