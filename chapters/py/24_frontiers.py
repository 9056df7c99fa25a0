# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 24 · Frontiers
#
# **Question. An article asked where search, detectors and compression would go: what came of it, and what are the
# answers to its questions?**
#
# After this chapter you can
#
# 1. say why a program that names the four steps need not take any of them (24.1, quiz)
# 2. tell from how many devices on a network for all pays (24.2, quiz)
# 3. train without anchors: say how central a point lies in its box (24.3)
# 4. train without suppression: match objects and predictions one to one (24.4, quiz)
# 5. say what an outlier does to 8 bits, and how it is moved away (24.5, quiz)
#
# | study | about 90 min (estimate) |
# |---|---|
# | run | <!-- run -->0.1 min (7 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->715 MB (measured)<!-- /peak --> |
# | needs | no download; starts alone; chapters 04, 07, 12, 15, 18, 19 and 22 are used |
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
import itertools
import json
import math
import os
import random
import tempfile

import torch

from lib.basics import profiling, training
from lib.book import listings, plots
from lib.book.notebook import check, hint, quiz, setup, show, solution, table
from lib.compression import channel_pruning, deployed, export, qat, quantize, sparsity
from lib.detection import coco_eval, detectors
from lib.nas import nasnet, search, search_space, tabular

device = setup("24_frontiers", seed=0)

# %% [markdown] tags=["core"]
# This course began with an article that goes from NASNet to EfficientDet (chapter 00).
# It prints two programs, asks four questions, and looks into the future twice.
# Here are the programs, repaired; the questions, answered; and the future, which has come.

# %% [markdown] tags=["core", "slide"]
# ## Why does the article's NASNet program not run?
#
# It announces four steps: define a space, define a criterion, search, build.
# A function then makes a list of five layers: a 3x3 convolution with 32 filters, 2x2 pooling, flatten,
# a dense layer of 128 and one of 10.
# The list is called the search space.
# It goes into a model as its *outputs*, and the model is trained on data that nobody has made.
# These are the layers, in our words and in PyTorch:

# %% tags=["core", "slide"]
show(listings.fixed)

# %% [markdown] tags=["core"]
# Join them first, as was meant, and count by hand.
# The picture has 224 pixels a side.
# A 3x3 convolution without padding leaves 222, pooling halves that to 111.
# So $32 \cdot 111 \cdot 111 = 394{,}272$ numbers are flattened, and each of the 128 outputs reads all of them:
#
# $$ P = (H\,W\,C + 1)\,D \tag{24.1} $$
#
# $H$, $W$ and $C$ are the sides and channels before flattening, $D$ is the number of outputs.
# That is $394{,}273 \cdot 128 = 50{,}466{,}944$ weights in one layer.

# %% tags=["core", "nbval-check-output"]
dense = (111 * 111 * 32 + 1) * 128  # Eq. 24.1
assert dense == 50_466_944  # by hand, above
whole = profiling.parameters(listings.joined())
whole, f"{dense / whole:.2%} of them in one layer"

# %% [markdown] tags=["core"]
# Fifty million: more than EfficientNet-B6 has, which takes pictures of 528 pixels a side (chapter 10).
#
# Now run what was printed.
# A small stand-in for the library knows which layer was called on what.
# There are three faults, one behind the other.

# %% tags=["core", "slide", "nbval-check-output"]
faults = {
    "a variable takes the name of the function that makes it": listings.name_taken,
    "layers are handed over, none is called": listings.not_connected,
    "pictures and labels are never made": listings.no_data,
    "each layer called on the one before": listings.joined,
}
table(("what is written", "what Python says"), [(k, listings.said(f)) for k, f in faults.items()])

# %% tags=["deep"]
show(listings.name_taken)
show(listings.not_connected)
show(listings.model)

# %% [markdown] tags=["core"]
# A fourth fault no program tells: the loss expects probabilities, and the last layer gives plain numbers (chapter 02).
#
# **Break it.**
# Suppose that all is mended.
# Ask the space a thousand times: how many different networks does it hold?

# %% tags=["core", "nbval-check-output"]
answers = {str(listings.fixed()) for _ in range(1000)}
len(answers)

# %% [markdown] tags=["core"]
# One.
# There is nothing to choose, no score, and no search.
# That is the fault that matters: the words of the four steps are there, and none of the steps.
# Here they are with what this course has built, a line or two each.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell. The four steps of chapters 04 to 07.
cells = tabular.load()  # every cell of a small space, trained
space = cells.space  # 1. what may be chosen
judge = search.noisy(cells, random.Random(0))  # 2. the criterion: one training, one score
history = search.regularized_evolution(space, judge, 100, seed=0)  # 3. the algorithm
found = history.best.genotype
network = tabular.network(cells.task, found)  # 4. the network, built
str(found.normal)

# %% tags=["core", "slide"]
test = search.incumbent_test_accuracy(history, cells)
ceiling = max(cells.query(genotype, split="test") for genotype in cells.genotypes)
best = {"the best so far": test, "best cell of the space": [ceiling] * len(test)}
plots.lines(range(1, 101), best, x_label="trainings", y_label="test accuracy")

# %% [markdown] tags=["core", "slide"]
# ## And why is the other program no EfficientDet?
#
# It is the same program.
# The function is called a pruning policy now, and it returns the same five layers.
# The three faults are the same.
# And what do its names promise?
# A detector gives boxes; pruning leaves zeros or takes channels; quantization stores integers.

# %% tags=["core", "slide", "nbval-check-output"]
printed = training.small_cnn((32,))  # small, of the same kinds of layers
kinds = {str(weight.dtype) for weight in printed.parameters()}
promised = [
    ("pruning", "share of zeros", f"{sparsity.share_of_zeros(printed):.0%}"),
    ("quantization", "kinds of numbers", ", ".join(kinds)),
    ("a detector", "outputs with boxes", "none: ten numbers a picture"),
    ("BiFPN", "levels", "one"),
]
table(("the name says", "look at", "found"), promised)

# %% [markdown] tags=["core"]
# EfficientDet itself prunes and quantizes nothing (chapter 00), so these are four steps that come *after* it.
# Again they are short, because the chapters hold them: prune (18), quantize (19), both (22), build the file (22).

# %% tags=["core", "slide"]
plain = detectors.shipped("plain")
scenes = detectors.scenes("test", 40)
seen = training.normalise(torch.from_numpy(detectors.scenes("validation", 16).images))
one = seen[:1]
half = channel_pruning.prune(plain, one, 0.25)  # 1. which channels go
maps = qat.Scheme(symmetric=False, signed=False, axis=None)


def rounded(model):  # 2. which grid each layer gets
    return qat.calibrate(qat.prepare(deployed.deployed(model, one), qat.Scheme(7), maps), [seen])


forms = {"as it was": plain, "8 bits": rounded(plain), "a quarter of the channels less": half}
forms["both"] = rounded(half)  # 3. both at once
folder = tempfile.TemporaryDirectory()
file = export.to_qdq_onnx(forms["both"], one, os.path.join(folder.name, "both.onnx"))  # 4. a file
f"{file.stat().st_size / 1000:.0f} kB in the file"

# %% tags=["core", "slide"]
def score(model):
    return coco_eval.evaluate(scenes.coco(), coco_eval.detections(model, scenes)).ap


aps = {name: score(model) for name, model in forms.items()}
plots.bars(aps, y_label="AP on 40 scenes", says="Without any training after it, pruning costs most.")

# %% [markdown] tags=["core"]
# The program runs, and it tells the truth: cut channels and train no more, and the detector is lost.
# Chapter 18 trains it again, and chapter 22 ships it.
# A step that a program only names cannot fail; a step that it takes can, and then one sees it.

# %% [markdown] tags=["core", "slide"]
# ## What do the article's four questions deserve as answers?
#
# **Why is NASNet's search space so large?**
# Because choices multiply.
# Five blocks, each with two inputs, two operations and a combination, are counted in chapters 00 and 04:

# %% tags=["core", "nbval-check-output"]
written = math.prod((k + 2) ** 2 * 13**2 * 2 for k in range(5))
f"{written:.2g} cells as written, {len(cells)} in the space of this chapter"

# %% [markdown] tags=["core"]
# It is large on paper.
# Many spellings are one cell (chapter 04), and many cells are equally good.
#
# **How does the search find the best structure?**
# It does not.
# It finds a good one, and it cannot know that no better one is there.
# In a space where every cell was trained we can look: where does the cell that was found above stand?

# %% tags=["core", "slide"]
truth = sorted((cells.query(g, split="test") for g in cells.genotypes), reverse=True)
value = cells.query(found, split="test")
place = truth.index(value) + 1
print(f"place {place} of {len(cells)}: {value:.3f}, the best has {truth[0]:.3f}")
says = f"The cell that 100 trainings found is number {place} of {len(cells)}."
ranks = {"all cells, from best to worst": truth, "the cell found": [value] * len(truth)}
plots.lines(range(1, len(truth) + 1), ranks, x_label="place", y_label="test accuracy", says=says)

# %% [markdown] tags=["core"]
# **Why is EfficientDet's pruning strategy so complex?**
# It has none.
# What is hard when one prunes a detector is which channels belong together: an addition ties the channels of both its
# inputs.
# Chapter 18 finds these groups by following the picture through the network.

# %% tags=["core", "nbval-check-output"]
groups = channel_pruning.groups(plain, one)
sizes = sorted(len(group.members) for group in groups)
f"{len(groups)} groups; the largest ties {sizes[-1]} tensors, the smallest {sizes[0]}"

# %% [markdown] tags=["core"]
# **How does EfficientDet's quantization round the parameters?**
# It has none, either.
# When one rounds a detector, every layer gets a step, and its weights are counted in steps (chapter 19).
# One convolution, one step for each output channel:

# %% tags=["core"]
weight = next(w for w in plain.parameters() if w.dim() == 4)
grid = quantize.choose_qparams(weight, 8, axis=0)
steps = quantize.quantize(weight, grid)
f"{grid.scale.numel()} steps, integers from {int(steps.min())} to {int(steps.max())}"

# %% [markdown] tags=["core", "slide"]
# ## What became of search?
#
# The article hoped for *more efficient algorithms* and *richer spaces*.
# The first came quickly.
# These are costs that papers report for a search on CIFAR-10, with the test error of the cell that was found
# (as compared in the DARTS paper; cells trained alike, with cutout, but for PNAS).

# %% tags=["core", "slide"]
published = {  # GPU-days of the search, test error in percent; arxiv.org/abs/1806.09055, table 1
    "AmoebaNet-A": (3150, 3.34),
    "NASNet-A": (2000, 2.65),
    "PNAS": (225, 3.41),
    "DARTS, second order": (4, 2.76),
    "random, same space": (4, 3.29),
    "ENAS": (0.5, 2.89),
}
days, errors = zip(*published.values(), strict=True)
labels = {"x_label": "GPU-days of the search (log scale)", "y_label": "test error (%)"}
cheaper = published["NASNet-A"][0] / published["ENAS"][0]
says = f"From NASNet's search to that of ENAS: {cheaper:,.0f} times cheaper."
plots.scatter(days, errors, names=list(published), log_x=True, says=says, **labels)

# %% [markdown] tags=["core"]
# ENAS came half a year after NASNet, and the error is hardly another one.
# Now look at the random cells: drawn from DARTS' space and trained in the same way, they reach 3.29.
# What all these searches bought is less than one percent.
# Most of what makes these networks good is in the space and in how they are trained.
# This is what our own small tables said, too (chapters 07 to 09).
#
# - **One-shot** methods (ENAS, DARTS; chapter 09) share weights, so a search costs as much as one training.
#   The ranking that shared weights give is a weak one.
# - **Zero-cost** scores (2020 on; chapter 09) take seconds.
#   Many of them hardly beat the number of parameters.
# - **Hardware-aware** search puts milliseconds into the score (MnasNet; chapter 07's reward).
# - **Once-for-All** (2020) trains one network whose parts are networks, and searches in it for each device.
#
# The last idea changes the bill.
# A search with training costs $e$ for each device.
# A network for all costs $F$ once and $s$ for each device.
# It pays for
#
# $$ N > \frac{F}{e - s} \tag{24.2} $$
#
# devices.
# By hand, with numbers of that paper: $F = 1200 + 40$ GPU-hours and nothing more for a device, against
# $e = 200 + 300$ for ProxylessNAS.
# $1240 / 500 = 2.48$, so from three devices on.

# %% tags=["core", "nbval-check-output"]
once, each = 1200 + 40, 200 + 300  # arxiv.org/abs/1908.09791: training, search
assert round(once / each, 2) == 2.48  # by hand, above
math.floor(once / each) + 1

# %% tags=["core", "slide"]
devices = list(range(1, 41))
bills = {"a search for each device": [each * n for n in devices], "one network for all": [once] * 40}
ratio = each * 40 / once
says = f"For 40 devices, the paper's number, one network for all is {ratio:.0f} times cheaper."
plots.lines(devices, bills, x_label="devices", y_label="GPU-hours", says=says)

# %% [markdown] tags=["core"]
# **Richer spaces** came, too: whole networks in place of cells, training recipes, and loss functions.
# **Interpretability**, the article's other challenge, is where it was: we can say that a cell is good, and seldom why.

# %% [markdown] tags=["core", "slide"]
# ## What became of detectors?
#
# Two parts of EfficientDet are made by hand: anchors (chapter 12) and non-maximum suppression (chapter 15).
# Both can go.
#
# **Without anchors.**
# FCOS (2019) lets each place of a map say four distances: to the left, right, top and bottom of its box.
# Places near the edge of a box tell bad boxes, so each also says how central it lies, its
# [*centre-ness*](GLOSSARY.md#centre-ness):
#
# $$ c = \sqrt{\frac{\min(l, r)}{\max(l, r)} \cdot \frac{\min(t, b)}{\max(t, b)}} \tag{24.3} $$
#
# By hand: the point (2, 2) in a box from (0, 0) to (10, 10) has $l = t = 2$ and $r = b = 8$.
# Each share is $1/4$, and the root of $1/16$ is $1/4$.

# %% tags=["core", "nbval-check-output"]
left, right, top, bottom = 2, 8, 2, 8
share = min(left, right) / max(left, right) * min(top, bottom) / max(top, bottom)
assert math.sqrt(share) == 0.25  # by hand, above; Eq. 24.3
math.sqrt(share)

# %% tags=["core"]
at = torch.arange(0.5, 20)  # the middles of 20 places
near, far = torch.minimum(at, 20 - at), torch.maximum(at, 20 - at)
central = ((near / far)[:, None] * (near / far)[None]).sqrt()
half_box = float((central > 0.5).float().mean())
says = f"{half_box:.0%} of the places in a square box have a centre-ness above 0.5."
plots.grid(central, title="centre-ness of places in one box", says=says)

# %% [markdown] tags=["core"]
# **Without suppression.**
# An anchor detector has several anchors on one object, and all are trained to say "here".
# NMS then throws all but one away.
# DETR (2020) has 100 predictions, and in training each object is given to *one* of them: the way with the least
# total cost,
#
# $$ \hat\sigma = \arg\min_{\sigma} \sum_i C_{i,\sigma(i)} \tag{24.4} $$
#
# $C_{ij}$ says how badly prediction $j$ fits object $i$, and $\sigma$ gives each object another prediction.
# By hand: object 1 pays 1 or 2, object 2 pays 1 or 9.
# Both like the first prediction best.
# If object 1 takes it, the sum is $1 + 9 = 10$; if object 2 takes it, $2 + 1 = 3$.

# %% tags=["core", "nbval-check-output"]
cost = [[1, 2], [1, 9]]
sums = {}
for ways in itertools.permutations(range(2)):
    sums[ways] = sum(row[j] for row, j in zip(cost, ways, strict=True))
assert sums == {(0, 1): 10, (1, 0): 3}  # by hand, above
min(sums, key=sums.get)  # Eq. 24.4

# %% [markdown] tags=["core"]
# **Break it.**
# Let each object take what it likes best, as an assignment by IoU does.
# Both take the same prediction, and one object is never learned:

# %% tags=["core", "nbval-check-output"]
greedy = [min(range(2), key=row.__getitem__) for row in cost]
greedy, f"{len(set(greedy))} prediction for {len(cost)} objects"

# %% tags=["core", "slide"]
later = {  # AP on COCO test-dev or val as each paper reports it, in percent, and the year
    "D0": (2020, 34.6), "D7x": (2020, 55.1), "FCOS": (2019, 44.7), "DETR-R50": (2020, 42.0),
    "YOLOv4": (2020, 43.5), "YOLOX-L": (2021, 50.0), "RT-DETR-R50": (2023, 53.1),
}  # fmt: skip
years, reached = zip(*later.values(), strict=True)
labels = {"x_label": "year", "y_label": "AP on COCO (%)"}
says = "D7x has the highest AP of these; the newer ones reach nearly as much in real time."
plots.scatter(years, reached, names=list(later), says=says, **labels)

# %% [markdown] tags=["core"]
# A year says nothing of cost, so take care: D7x needs 410 billion multiply-adds a picture.
# RT-DETR-R50 is told to reach 108 pictures a second on a T4.
# The YOLO line dropped its anchors (YOLOX, 2021) and then its NMS (YOLOv10, 2024).
# What is left of EfficientDet in all of them is the pyramid: levels that are fused both ways (chapter 11).

# %% [markdown] tags=["core", "slide"]
# ## What became of compression?
#
# The article hoped for *more efficient and more complex strategies*.
# They came where nobody looked in 2020: for language models, whose weights fill whole machines.
# Two finds are worth knowing for vision, too.
#
# **Outliers.**
# In large transformers a few channels are many times larger than all others.
# One step for the whole map then serves nobody.
# By hand: 127 steps up to 100 make a step of $100/127 = 0.787$.
# Half a step is 0.394, so every value between -0.394 and 0.394 becomes 0.

# %% tags=["core", "nbval-check-output"]
OUTLIER = 100.0
values = torch.linspace(-1, 1, 64, dtype=torch.float64)
step = OUTLIER / 127
zeros = int((values / step).round().eq(0).sum())
zeros, f"of 64 values between -1 and 1 become 0; the step is {step:.3f}"

# %% [markdown] tags=["core"]
# SmoothQuant (2022) moves the size from the map into the weights.
# A product does not change if a channel is divided by $s_j$ and its weights are multiplied by $s_j$:
#
# $$ \sum_j x_j w_j = \sum_j \frac{x_j}{s_j}\,(s_j w_j), \qquad s_j = \sqrt{\max |x_j| / \max |w_j|} \tag{24.5} $$
#
# It is the rule of chapter 19 that equalizes two layers, used between a map and a layer.

# %% tags=["core", "slide"]
x = torch.randn(256, 64)
x[:, 3] *= OUTLIER  # one channel is large
w = torch.randn(64, 32) / 8
s = (x.abs().amax(0) / w.abs().amax(1)).sqrt()  # Eq. 24.5
moved_x, moved_w = x / s, w * s[:, None]


def eight_bits(tensor, axis=None):
    grid = quantize.choose_qparams(tensor, 8, axis=axis)
    return quantize.dequantize(quantize.quantize(tensor, grid), grid)


wanted = x @ w
assert torch.allclose(moved_x @ moved_w, wanted, atol=1e-2)  # the same product
small = torch.arange(64) != 3  # what the other channels add
errors_by_way = {
    "as it is": quantize.sqnr(x[:, small] @ w[small], eight_bits(x)[:, small] @ eight_bits(w, 1)[small]),
    "moved": quantize.sqnr(x[:, small] @ w[small],
                           eight_bits(moved_x)[:, small] @ eight_bits(moved_w, 1)[small]),
}  # fmt: skip
plots.bars(errors_by_way, y_label="signal over error of the 63 small channels (dB)")

# %% [markdown] tags=["core"]
# **Small groups.**
# Below 8 bits, a step for each channel is too coarse, and one for each group of $g$ weights is taken.
# Its scale has 16 bits, so a weight of $b$ bits costs
#
# $$ b + \frac{16}{g} \tag{24.6} $$
#
# bits: $4 + 16/32 = 4.5$ for groups of 32.

# %% tags=["core", "nbval-check-output"]
bits_each = {f"groups of {g}": 4 + 16 / g for g in (16, 32, 64, 128)}
assert bits_each["groups of 32"] == 4.5  # by hand, above; Eq. 24.6
bits_each

# %% [markdown] tags=["core"]
# GPTQ (2022) rounds one column after the other and lets the later ones make up for the error; AWQ (2023) protects the
# weights that large inputs meet.
# For zeros, Wanda (2023) multiplies each weight's size by that of its input, which chapter 17 tries in three lines.
# All of them need a few hundred examples and no training: post-training methods have come back, because training again
# costs too much.

# %% [markdown] tags=["core", "slide"]
# ## What would you do with one GPU, and what with a thousand?
#
# First what was spent here.
# The recorded runs tell their own processor time.

# %% tags=["core", "slide"]
def hours(path):
    lines = (lib.ROOT / "data" / path).read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return sum(row.get("cpu_seconds", row.get("seconds", 0)) for row in rows) / 3600


spent = {
    "detectors that ship, and their seeds": hours("weights/detectors.jsonl"),
    "what each part of the pyramid brings": hours("ablations/detectors.jsonl"),
    "pruning of weights": hours("ablations/sparsity.jsonl"),
    "pruning of channels": hours("ablations/channel_pruning.jsonl"),
    "quantization": hours("ablations/quantization.jsonl"),
}
plots.bars(spent, y_label="CPU-hours on one core, recorded")

# %% tags=["core", "slide"]
plans = [
    ("one core, a day", "this course's tables again, other seeds, one question of your own"),
    ("one GPU, a week", "train D0 on your own pictures from official weights (recipes), prune, quantize, ship"),
    ("one GPU, a month", "DARTS' or ENAS' search (0.5 to 4 GPU-days) ten times: does it beat random search?"),
    ("a thousand GPUs, a week", "7,000 GPU-days: NASNet's search three times over, with other seeds each time"),
]
table(("with", "what we would do"), plans)

# %% [markdown] tags=["core"]
# With a thousand GPUs one is tempted to search larger.
# The papers of ten years seldom did what the last row says: the same search again, with other seeds, beside random
# search at the same cost.
# Chapter 07 does it for a small space, and there it decides what may be said.

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **A program that names its steps is taken for one that takes them.**
#   Ask of each step: what would change in the output if it were left out?
# - **A cost is quoted without its training.**
#   ENAS' half a GPU-day is the search alone; the cell is then trained for 630 epochs like the others.
# - **Two APs are compared that were counted on two sets.**
#   test-dev and val differ by some tenths, soft-NMS against hard NMS by as much (chapter 16).
# - **An outlier is clipped away.**
#   In some networks it carries the answer.
#   Move it (Eq. 24.5), or keep its channel in float.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - The article's programs name four steps and take none; in this package each takes a line or two, and can fail.
# - Search became a thousand times cheaper; what it buys over random search stayed small.
# - Detectors lost anchors and NMS.
#   They kept the pyramid that is fused both ways.
# - Compression came back for models too large to train again: outliers are moved, groups are small, zeros are chosen
#   by weight times input.
# - So the answers to the article's questions: the space is large because choices multiply; no search finds the best
#   structure, good ones find a good one; EfficientDet has neither a pruning nor a quantization strategy, and both are
#   worth learning.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 24.1 · Predict · padded_parameters · 6 min · ●○○ · 1 point
#
# Let the convolution of the article's program keep the side of 224 (padding 1).
# How many million parameters do its five layers have then, two digits after the point?
#
# <details><summary>Answer</summary>Pooling leaves 112, so the dense layer of 128 has
# (112 · 112 · 32 + 1) · 128 = 51,380,352; with 896 and 1,290 that is 51.38 million.</details>

# %% tags=["core"]
answer = ...  # your guess, in millions

check("frontiers.padded_parameters", answer)
# hint("frontiers.padded_parameters")
# solution("frontiers.padded_parameters")

# %% [markdown] tags=["core"]
# ### 24.2 · Build · pays_from · 8 min · ●○○ · 2 points
#
# A network for all costs `once` and then `small` for each device; a search for each device costs `each`.
# From how many devices on does the first way cost less?
# "Less" is not "the same".
# If it never does, return `None`.

# %% tags=["core"]
def pays_from(once, each, small):
    """The smallest number of devices, 1 or more; None for never.

    By hand: pays_from(1000, 500, 0) is 3, since two devices cost the same.
    """
    # your code, in place of the dots
    ...


check("frontiers.pays_from", pays_from)
# hint("frontiers.pays_from")
# solution("frontiers.pays_from")

# %% [markdown] tags=["core"]
# ### 24.3 · Build · centerness · 10 min · ●●○ · 2 points
#
# Write Eq. 24.3 for one point and one box.
# A point on the edge or outside of the box has 0.

# %% tags=["core"]
def centerness(point, box):
    """How central (x, y) lies in (x1, y1, x2, y2): 1.0 in the middle, 0.0 outside.

    By hand: centerness((2, 2), (0, 0, 10, 10)) is 0.25.
    """
    # your code, in place of the dots
    ...


check("frontiers.centerness", centerness)
# hint("frontiers.centerness")
# solution("frontiers.centerness")

# %% [markdown] tags=["core"]
# ### 24.4 · Build · match · 12 min · ●●○ · 2 points
#
# Give each object its own prediction, so that the sum of the costs is the least possible (Eq. 24.4).
# There are at most 4 objects and 6 predictions, so you may try all ways; one of them is the best.

# %% tags=["core"]
def match(cost):
    """For each object (row of cost) the number of its prediction (column), from 0.

    By hand: match([[1, 2], [1, 9]]) is [1, 0].
    """
    # your code, in place of the dots
    ...


check("frontiers.match", match)
# hint("frontiers.match")
# solution("frontiers.match")

# %% [markdown] tags=["core"]
# ### 24.5 · Measure · zeros_beside_30 · 4 min · ●○○ · 1 point
#
# Go back to the cell with `OUTLIER = 100.0`, set it to 30.0 and run it.
# How many of the 64 values become 0 now?
# (Set it back to 100.0 afterwards.)

# %% tags=["core"]
answer = ...  # a whole number

check("frontiers.zeros_beside_30", answer)
# hint("frontiers.zeros_beside_30")
# solution("frontiers.zeros_beside_30")

# %% [markdown] tags=["optional"]
# ### 24.6 · Further · 120 min · ●●● · 0 points
#
# Replace the anchors of our small detector by FCOS' four distances.
# What has to change in chapters 12, 13, 14 and 15, and what stays?
# Train it with the recipe of chapter 16 and compare the two APs, paired by picture.

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("frontiers")

# %% [markdown] tags=["core"]
# ## Where next
#
# Back to [chapter 00](00_start_here.ipynb): read its table of claims again.
# Say for each row what you have measured.
# Or take a paper of the list below, and ask of it what this course asks: a number by hand, a comparison with seeds, and
# one thing broken on purpose.

# %% [markdown] tags=["core"]
# ## References
#
# - H. Liu, K. Simonyan, Y. Yang.
#   DARTS: Differentiable Architecture Search. 2019.
#   [arxiv.org/abs/1806.09055](https://arxiv.org/abs/1806.09055)
# - H. Pham and others.
#   Efficient Neural Architecture Search via Parameter Sharing. 2018.
#   [arxiv.org/abs/1802.03268](https://arxiv.org/abs/1802.03268)
# - H. Cai and others.
#   Once-for-All: Train One Network and Specialize it for Efficient Deployment. 2020.
#   [arxiv.org/abs/1908.09791](https://arxiv.org/abs/1908.09791)
# - Z. Tian and others.
#   FCOS: Fully Convolutional One-Stage Object Detection. 2019.
#   [arxiv.org/abs/1904.01355](https://arxiv.org/abs/1904.01355)
# - N. Carion and others.
#   End-to-End Object Detection with Transformers. 2020.
#   [arxiv.org/abs/2005.12872](https://arxiv.org/abs/2005.12872)
# - A. Bochkovskiy and others.
#   YOLOv4. 2020.
#   [arxiv.org/abs/2004.10934](https://arxiv.org/abs/2004.10934)
# - Z. Ge and others.
#   YOLOX. 2021.
#   [arxiv.org/abs/2107.08430](https://arxiv.org/abs/2107.08430)
# - Y. Zhao and others.
#   DETRs Beat YOLOs on Real-time Object Detection. 2023.
#   [arxiv.org/abs/2304.08069](https://arxiv.org/abs/2304.08069)
# - A. Wang and others.
#   YOLOv10: Real-Time End-to-End Object Detection. 2024.
#   [arxiv.org/abs/2405.14458](https://arxiv.org/abs/2405.14458)
# - G. Xiao and others.
#   SmoothQuant. 2022.
#   [arxiv.org/abs/2211.10438](https://arxiv.org/abs/2211.10438)
# - E. Frantar and others.
#   GPTQ. 2022.
#   [arxiv.org/abs/2210.17323](https://arxiv.org/abs/2210.17323)
# - J. Lin and others.
#   AWQ. 2023.
#   [arxiv.org/abs/2306.00978](https://arxiv.org/abs/2306.00978)
# - M. Sun and others.
#   A Simple and Effective Pruning Approach for Large Language Models. 2023.
#   [arxiv.org/abs/2306.11695](https://arxiv.org/abs/2306.11695)
