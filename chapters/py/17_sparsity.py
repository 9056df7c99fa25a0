# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 17 · Sparsity
#
# **Question. Nine weights of ten are zero.
# What have we saved?**
#
# After this chapter you can
#
# 1. remove weights by size, in each layer or over all layers, and say which layer loses most (exercises 17.1, 17.2)
# 2. remove them along a schedule while the network goes on learning (exercise 17.4)
# 3. say from which share of zeros a file gets smaller, and why a product with a sparse matrix can be slow
#    (exercises 17.5 and 17.6)
# 4. test a lottery ticket against the control that it has to beat (quiz)
# 5. choose and pack 2:4 weights, and say who needs them so (exercise 17.3, quiz)
#
# | study | about 150 min (estimate) |
# |---|---|
# | run | <!-- run -->0.8 min (51 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->709 MB (measured)<!-- /peak --> |
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
import statistics
import warnings

import torch

from lib.basics import data, profiling, training
from lib.book import plots, widgets
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
from lib.compression import sparsity
from lib.detection import coco_eval, detectors

device = setup("17_sparsity", seed=0)

# %% [markdown] tags=["core"]
# Part IV makes the detector of chapter 16 smaller and faster.
# The first idea is the oldest one: many weights are tiny.
# Set them to zero one by one (**unstructured pruning**; whole channels, chapter 18, are **structured** pruning),
# and a network with nine zeros among ten weights should be ten times smaller and ten times faster.
# Should it?
# Each chapter of this part asks you first.
# Write a number instead of `None`, even a wild one; at the end you see where intuition failed.

# %% tags=["core", "slide"]
# Half of each layer's weights are set to zero. Which share of its AP has a detector left?
guess("AP left with half of the weights zero, of 1", None)  # your number, 0 to 1
# Nine weights of ten are zero. How many times faster does the detector run?
guess("speed-up by 90 % zeros", None)
# Its file is zipped. Which share of the bytes is left?
guess("file with 90 % zeros, zipped, of 1", None)  # 0 to 1
# One layer as a product of a sparse matrix: from which share of zeros is it faster?
guess("a sparse product is faster from sparsity", None)  # 0 to 1

# %% [markdown] tags=["core", "slide"]
# ## Which weights can go?
#
# Six weights, and three of them have to go:
#
# $$ W = \begin{pmatrix} 0.5 & -0.1 & 0.05 \\ -0.4 & 0.2 & -0.8 \end{pmatrix} $$
#
# Which ones?
# A layer computes $y = \sum_i w_i x_i$.
# Remove $w_i$, and the output is off by $w_i x_i$.
# If all inputs are of the same size and are independent of each other, with mean 0,
# the squared error is the sum of the $w_i^2$ that went.
# So the smallest magnitudes go: $0.05$, $-0.1$ and $0.2$ ([**magnitude pruning**](GLOSSARY.md#magnitude-pruning)).
# With $n$ weights, a sparsity $s$, and $\operatorname{rank}$ counting magnitudes from the smallest, the mask is
#
# $$ m_i = \begin{cases} 0 & \operatorname{rank}(|w_i|) \le \operatorname{round}(s\,n) \\
#    1 & \text{else} \end{cases} \qquad\qquad w_i \leftarrow m_i\, w_i \tag{17.1} $$

# %% [markdown] tags=["core"]
# The inputs are not of the same size, of course.
# We come back to them as soon as something has been pruned.
#
# Every rule of this chapter ends in this one function.
# Write it first.
#
# ### 17.1 · Build · magnitude_mask · 10 min · ●○○ · 3 points
#
# Write `magnitude_mask(weight, sparsity)`: a tensor of bool in the shape of `weight`, which has any number of
# dimensions.
# False means that a weight goes.
# `round(sparsity * n)` of the `n` go, by Python's `round`, but one always stays.
# Among equal magnitudes the first goes first, so a threshold alone is not enough.


# %% tags=["core"]
def magnitude_mask(weight, sparsity):
    """False at the smallest magnitudes, `sparsity` of all, rounded; one always stays.

    By hand: 0.5, -0.1, 0.2, -0.8 with half of them gone: True, False, False, True.
    """
    # your code, in place of the dots
    ...


build("sparsity.magnitude_mask", magnitude_mask)
# hint("sparsity.magnitude_mask")
# solution("sparsity.magnitude_mask")

# %% tags=["core", "slide", "nbval-check-output"]
show(sparsity.magnitude_mask, folded=True)
toy = torch.tensor([[0.5, -0.1, 0.05], [-0.4, 0.2, -0.8]])
mask = sparsity.magnitude_mask(toy, 0.5)
assert mask.tolist() == [[True, False, False], [True, False, True]]  # by hand
toy * mask

# %% [markdown] tags=["core"]
# And a real layer, the largest of the shipped `plain` detector.
# How much of its squared sum is in the smaller half of its weights?

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
model = detectors.shipped("plain")
weights = sparsity.prunable(model)
largest = max(weights.values(), key=torch.numel).detach().flatten()
small = largest[~sparsity.magnitude_mask(largest, 0.5)]
share = (small**2).sum() / (largest**2).sum()
says = f"The smaller half of {len(largest):,} weights has {share:.1%} of the squares."
plots.histogram(largest, bins=61, x_label="weight", says=says)

# %% [markdown] tags=["core"]
# Half of the weights, and hardly anything of the sum.
# That looks cheap.
# Let us do it in every layer, and ask for AP (chapter 16) on 100 scenes that the detector has never seen.

# %% tags=["core", "slide"]
scenes = detectors.scenes("test", 100)


def ap(model):
    detections = coco_eval.detections(model, scenes)
    return round(coco_eval.evaluate(scenes.coco(), detections).ap, 3)


def pruned(model, masks):
    return sparsity.apply(copy.deepcopy(model), masks)


shares = [0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
at_once = [ap(pruned(model, sparsity.layer_masks(model, s))) for s in shares]
half = at_once[shares.index(0.5)] / at_once[0]
measured("AP left with half of the weights zero, of 1", half)
axes = {"x_label": "share of zeros in each layer", "y_label": "AP, 100 test scenes"}
plots.lines(shares, {"AP": at_once}, **axes)

# %% [markdown] tags=["core"]
# The first zeros cost almost nothing, and then AP falls steeply.
# Is the detector too small for so many zeros?
# Or did the zeros go to the wrong layers?
# Keep both questions: the section after next answers them.
#
# **Where does the loss come from?**
# Behind each convolution stands a batch norm.
# It subtracts a mean and divides by a spread that it saw *before* the weights went.
# Now the sums are smaller, and it does not know.
# Nothing has to be trained to tell it: show it some pictures, and let it measure anew.

# %% tags=["core", "slide"]
known = detectors.scenes("train", 96)
pictures = training.normalise(torch.stack([known[i].image for i in range(96)]))


@torch.no_grad()
def refreshed(model):
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.reset_running_stats()
        norm.momentum = None  # a mean over all that comes, instead of a moving one
    model.train()(pictures)
    return model.eval()


anew = [ap(refreshed(pruned(model, sparsity.layer_masks(model, s)))) for s in shares]
i = shares.index(0.6)
says = f"60 % zeros: AP {at_once[i]:.2f} as trained, {anew[i]:.2f} with statistics anew."
axes = {"x_label": "share of zeros in each layer", "y_label": "AP, 100 test scenes"}
plots.lines(shares, {"as trained": at_once, "statistics anew": anew}, **axes, says=says)

# %% [markdown] tags=["core"]
# Much of the damage was not in the weights at all.
# Remember this cell.
# A report of what pruning costs that leaves it out measures old statistics as well.
# And it needs no labels and no training step.
#
# **And the inputs?**
# The derivation of Eq. 17.1 took all of them to be of the same size.
# The scenes can say how large they are.
# [Wanda](https://arxiv.org/abs/2306.11695) lets $|w_i| \cdot \lVert x_i \rVert$ take the place of $|w_i|$:
# once the norms are collected, it is three lines.
# Better?

# %% tags=["core", "slide"]
def watch(layer, given):
    if isinstance(layer, torch.nn.Conv2d):
        squares[layer] = squares.get(layer, 0) + given[0].square().sum((0, 2, 3))


squares = {}
hook = torch.nn.modules.module.register_module_forward_pre_hook(watch)
with torch.no_grad():
    model(pictures)
hook.remove()
names = {f"{name}.weight": layer for name, layer in model.named_modules()}
norms = {name: squares[names[name]].sqrt()[:, None, None] for name in weights}

# %% tags=["core", "slide"]
masks = {}
for name, weight in weights.items():
    score = weight.detach().abs() * norms[name]  # O I k k, times I 1 1
    masks[name] = sparsity.magnitude_mask(score, 0.6)
by_inputs = pruned(model, masks)
lines = [("|w|", at_once[i], anew[i])]
lines += [("|w| times the norm of its input", ap(by_inputs), ap(refreshed(by_inputs)))]
spread = max((norm.max() / norm.median()).item() for norm in norms.values())
print(f"largest input of a layer, over the middle one: {spread:.1f} at most")
table(("60 % zeros in each layer, by", "AP as trained", "statistics anew"), lines)

# %% [markdown] tags=["core"]
# Not here: at this share of zeros it costs more AP than magnitudes do.
# It was made for large language models, where a few inputs are a hundred times larger than the others,
# and where nobody wants to train again.
# So we stay with magnitudes, for which nothing has to be run.

# %% [markdown] tags=["core", "slide"]
# ## One threshold for all layers?
#
# Must every layer lose the same share?
# Two layers, of four weights and of two:
#
# $$ W^1 = \begin{pmatrix} 1 & -2 \\ 3 & 4 \end{pmatrix} \qquad W^2 = \begin{pmatrix} 0.1 & -0.5 \end{pmatrix} $$
#
# Half of each layer: $1$ and $-2$ go, and $0.1$.
# Half of all six together: $0.1$, $-0.5$ and $1$ go, and the second layer is left with nothing.
# One threshold $\tau$ decides, and each layer $l$ gets its own sparsity:
#
# $$ m^l_i = \big[\, |w^l_i| > \tau \,\big], \qquad
#    \sum_l \sum_i (1 - m^l_i) = \operatorname{round}\Big(s \sum_l n_l\Big) \tag{17.2} $$

# %% tags=["core", "slide", "nbval-check-output"]
show(sparsity.global_masks)
two = torch.nn.Sequential(*(torch.nn.Linear(2, n, bias=False) for n in (2, 1)))
two[0].weight.data = torch.tensor([[1.0, -2], [3, 4]])
two[1].weight.data = torch.tensor([[0.1, -0.5]])
stay = sparsity.global_masks(two, 0.5)
assert stay["0.weight"].tolist() == [[False, True], [True, True]]  # by hand
assert stay["1.weight"].tolist() == [[False, False]]
sparsity.share_of_zeros(sparsity.apply(two, stay))

# %% [markdown] tags=["core"]
# A layer with much to spare can give more, so one threshold should be better.
# Is it?
# Decide before you run the cell.

# %% tags=["core", "slide"]
together = [ap(pruned(model, sparsity.global_masks(model, s))) for s in shares]
i = shares.index(0.5)
says = f"50 % zeros: AP {at_once[i]:.2f} by each layer, {together[i]:.2f} by one threshold."
axes = {"x_label": "share of zeros", "y_label": "AP as trained, 100 test scenes"}
plots.lines(shares, {"each layer": at_once, "one threshold": together}, **axes, says=says)

# %% [markdown] tags=["core"]
# It is much worse, as long as the detector still finds anything.
# Which layer lost most of its weights?

# %% tags=["core", "slide"]
def short(name):
    return name.removesuffix(".weight").replace("backbone.", "").replace("cells.0.", "")


stay = sparsity.global_masks(model, 0.5)
gone = {short(k): round(1 - m.float().mean().item(), 2) for k, m in stay.items()}
worst = max(gone, key=gone.get)
plots.bars(gone, y_label="share of zeros", says=f"{worst} loses {gone[worst]:.0%}; all lose 50 %.")

# %% [markdown] tags=["core"]
# The layer that predicts boxes.
# Its outputs are small numbers, offsets of an anchor, and so are its weights.
# One threshold takes small for unimportant.
# Is it this layer alone?
# Leave it whole, and take from all others what the threshold takes:

# %% tags=["core", "slide"]
spared = {name: mask for name, mask in stay.items() if short(name) != worst}
rules = {"each layer": sparsity.layer_masks(model, 0.5), "one threshold": stay}
rules[f"one threshold, {worst} whole"] = spared
lines = []
for rule, masks in rules.items():
    thinned = pruned(model, masks)
    zeros = sparsity.share_of_zeros(thinned)
    lines.append((rule, f"{zeros:.1%}", f"{ap(thinned):.3f}"))
    lines[-1] += (f"{ap(refreshed(thinned)):.3f}",)
table(("rule", "zeros", "AP as trained", "with statistics anew"), lines)

# %% [markdown] tags=["core"]
# Nearly all of the loss came from it.
# Without that mistake one threshold is ahead as trained, for a layer with much to spare does give more;
# with statistics anew each layer by itself stays a little ahead.
# Whoever compares two rules has to say what was done about the statistics.
#
# **Break it.**
# It can be made as wrong as we like.
# Divide the weights of one convolution by 100.
# The batch norm behind it, given new statistics, multiplies by 100: the detector computes what it did before (nearly:
# a batch norm adds a tiny number to the variance, to be safe from zero).
# Now prune.

# %% tags=["core", "slide"]
scaled = copy.deepcopy(model)
name = "backbone.stages.0.0.0.weight"
sparsity.prunable(scaled)[name].data /= 100
lost = 1 - sparsity.global_masks(scaled, 0.3)[name].float().mean().item()
scores = {}
for word, net in {"as it was": copy.deepcopy(model), "divided": scaled}.items():
    scores[word] = ap(refreshed(net))
    thinned = pruned(net, sparsity.global_masks(net, 0.3))
    scores[f"{word}, 30 % zeros"] = ap(refreshed(thinned))
print(f"One threshold at 30 % takes {lost:.0%} of the layer that was divided by 100.")
table(("detector", "AP, 100 test scenes"), [(k, f"{v:.3f}") for k, v in scores.items()])

# %% [markdown] tags=["core", "slide"]
# ## Who pays?
#
# Zeros have to come from somewhere: a layer *pays* when it gives its weights.
# Which layers should pay?
#
# The size of a weight means something beside its neighbours in the same layer.
# Between layers it means nothing, until somebody makes it mean something.
# [LAMP](https://arxiv.org/abs/2010.07611) asks of each weight: of all that is at least as large in its layer,
# how much is this one?
#
# $$ \operatorname{score}(w_i) = \frac{w_i^2}{\sum_{j:\, |w_j| \ge |w_i|} w_j^2} \tag{17.7} $$
#
# By hand: the weights 1, -2, 3, -4 score 1/30, 4/29, 9/25 and 1.
# The largest weight of every layer scores 1, whatever the scale; and in a large layer there is much to divide by.
#
# ### 17.2 · Build · lamp · 20 min · ●●● · 4 points
#
# Write `lamp(weight)`: the scores, in the shape of `weight`, a tensor of any shape, without ties.
# A bias has one dimension, a convolution four.


# %% tags=["core"]
def lamp(weight):
    """Each square over the sum of all squares of the layer that are at least as large.

    By hand: 1, -2, 3, -4 give 1/30, 4/29, 9/25 and 1.
    """
    # your code, in place of the dots
    ...


build("sparsity.lamp", lamp)
# hint("sparsity.lamp")
# solution("sparsity.lamp")

# %% tags=["core", "nbval-check-output"]
show(sparsity.lamp, folded=True)
by_hand = [1 / 30, 4 / 29, 9 / 25, 1.0]
assert torch.allclose(sparsity.lamp(torch.tensor([1.0, -2, 3, -4])), torch.tensor(by_hand))
shared = sparsity.lamp_masks(model, 0.7)
paid = {short(k): round(1 - m.float().mean().item(), 2) for k, m in shared.items()}
least, most = min(paid, key=paid.get), max(paid, key=paid.get)
says = f"Of 70 % zeros, {least} gives {paid[least]:.0%} of its weights, {most} {paid[most]:.0%}."
plots.bars(paid, y_label="share of zeros, by LAMP", says=says)

# %% [markdown] tags=["core"]
# The first layers are small and stay nearly whole; the last stage has most of the weights, and gives most.
# Does it help?
# The same zeros, counted over the whole network, by three rules:

# %% tags=["core", "slide"]
by_lamp = [ap(pruned(model, sparsity.lamp_masks(model, s))) for s in shares]
rules = {"each layer": at_once, "each layer, statistics anew": anew}
rules |= {"one threshold": together, "one threshold on LAMP": by_lamp}
i = shares.index(0.7)
says = f"70 % zeros: AP {at_once[i]:.2f} by each layer, {anew[i]:.2f} with statistics anew, "
says += f"{by_lamp[i]:.2f} by LAMP as trained."
nets = [refreshed(pruned(model, sparsity.layer_masks(model, 0.7)))]
nets += [pruned(model, sparsity.lamp_masks(model, 0.7))]
found = [coco_eval.detections(net, scenes) for net in nets]
apart = coco_eval.compare(scenes.coco(), *found).difference
print(f"70 %: LAMP as trained, less each layer with statistics anew: AP {apart:+.3f}")
plots.lines(shares, rules, x_label="share of zeros", y_label="AP, 100 test scenes", says=says)

# %% [markdown] tags=["core"]
# So the steep fall came from the rule, and not from the detector.
# With the zeros where there is room for them AP falls much later, and that without new statistics.
# The line above the figure is a paired interval (chapter 16): `coco_eval.compare` draws the pictures again and again,
# the same ones for both detectors.

# %% [markdown] tags=["deep"]
# **Ask the layers one by one (deep).**
# A [*sensitivity scan*](GLOSSARY.md#sensitivity-scan) prunes one layer, leaves all others whole, and reads the score.
# It finds what must be left alone, by AP itself.
# Does LAMP, which never looked at a picture, spare the same layers?

# %% tags=["deep", "slide"]
show(sparsity.sensitivity)
few = detectors.scenes("validation", 40)


def quick(model):
    return coco_eval.evaluate(few.coco(), coco_eval.detections(model, few)).ap


whole, scan = quick(model), sparsity.sensitivity(model, [0.8], quick)
drop = {short(name): round(whole - values[0], 3) for name, values in scan.items()}
worst = max(drop, key=drop.get)
says = f"With 80 % zeros in {worst} alone, AP falls by {drop[worst]:.2f}; LAMP takes "
says += f"{paid[worst]:.0%} of it. All drops add up to {sum(drop.values()):.2f}."
plots.bars(drop, y_label="AP lost, 40 validation scenes", says=says)

# %% [markdown] tags=["deep"]
# The scan is cheap and honest, and it does not add up: the drops together can be more than there is to lose,
# and layers that can each be pruned alone can still fail together.

# %% [markdown] tags=["core", "slide"]
# ## How fast may weights go?
#
# Take some weights, train on a little, take some more: what is left can take over the work of what went.
# At first there is plenty to take.
# Towards the end each weight that goes is one of the last.
# So, be quick first and slow later.
# With $t$ running from $t_0$ to $t_1$:
#
# $$ s_t = s_f + (s_0 - s_f) \Big( 1 - \frac{t - t_0}{t_1 - t_0} \Big)^3 \tag{17.3} $$
#
# By hand, from $s_0 = 0$ to $s_f = 0.8$: after a quarter of the time $0.8\,(1 - 0.75^3) = 0.4625$.
# More than half of the way.

# %% tags=["core", "slide"]
assert abs(sparsity.cubic(20, 10, 50, 0.8) - 0.4625) < 1e-12
steps = list(range(301))
cubic = [sparsity.cubic(t, 0, 200, 0.95) for t in steps]
straight = [0.95 * min(t / 200, 1) for t in steps]
says = f"At step 50 the cubic has {cubic[50]:.0%} zeros, the line {straight[50]:.0%}."
axes = {"x_label": "step", "y_label": "share of zeros", "says": says}
plots.lines(steps, {"cubic": cubic, "straight": straight}, **axes)

# %% tags=["core"]
show(sparsity.Gradual)

# %% [markdown] tags=["core"]
# A small classifier of digits is enough to try it (chapter 02), 300 steps at a time, to 95 % zeros in three ways:
# at once and nothing else; at once and then trained; along the cubic, within the same 300 steps.

# %% tags=["core", "slide"]
crops, test = data.crops("train", 4000), data.crops("test", 2000)
reader = training.load_weights(training.small_cnn(), "digits_cnn")


def fit(network, on_step, lr=0.05):
    training.fit(network, crops, training.classification_loss(), steps=300, batch_size=64,
                 lr=lr, on_step=on_step, progress=False)  # fmt: skip
    return network


def right(network):
    return training.accuracy(network, *test)


keep = sparsity.global_masks(reader, 0.95)
cut = pruned(reader, keep)
accuracy = {"whole": right(reader), "at once": right(cut)}
fit(cut, lambda step, logs: sparsity.apply(cut, keep))
slow = copy.deepcopy(reader)
gradual = sparsity.Gradual(slow, lambda step: sparsity.cubic(step, 0, 200, 0.95))
fit(slow, gradual)
accuracy |= {"at once, then trained": right(cut), "along the cubic": right(slow)}
plots.bars(accuracy, y_label="accuracy, 2,000 test crops")

# %% [markdown] tags=["core"]
# With a twentieth of the weights much of the accuracy is back.
# Here the schedule is ahead, with the same zeros in the end and the same number of steps; it is one seed.
# Note what `Gradual` and the little function for `cut` do after *each* step: they put the zeros back.
#
# **Break it.**
# Forget that, as real projects have.
# Prune, train on, and count.

# %% tags=["core", "slide"]
careless = pruned(reader, keep)
before = sparsity.share_of_zeros(careless)
fit(careless, None)
after = sparsity.share_of_zeros(careless)
zeros = [w.detach().flatten(1) == 0 for w in sparsity.prunable(careless).values()]
dead = sum(z[z.all(1)].sum() for z in zeros) / sum(z.sum() for z in zeros)
print(f"zeros: {before:.1%}, after 300 steps {after:.1%}; {dead:.0%} of these in dead filters")
assert after < 0.6

# %% [markdown] tags=["core"]
# The gradient of a weight does not vanish because the weight is zero.
# And masking the gradient is not enough where there is momentum.
# Some zeros do stay, nearly all of them in dead filters, which are zeros from end to end:
# nothing comes from such a channel any more, so nothing flows back.
# Such a channel need not be there at all (chapter 18).
#
# **At scale.**
# The detector, along the cubic to 70, 80, 90 and 95 % zeros, in 300 steps of 8 scenes, three seeds.
# Once every layer gives the same share, once LAMP says who pays, asked anew each time that weights go.
# That takes minutes, so it has been recorded: `python data/ablations/sparsity.py`.
# The cells below read the file.
# Training mends much: will the rule still matter?

# %% jupyter={"source_hidden": true} tags=["core", "catch-up"]
# Catch-up: reads the recorded runs.
path = data.FOLDER / "ablations" / "sparsity.jsonl"
rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def recorded(question, **about):
    return [r for r in rows if r["question"] == question and about.items() <= r.items()]


def seeds(question, scope, share):
    scope = scope if share else "layer"  # without zeros all rules are one
    about = {"statistics": "anew"} if question == "one-shot" else {}
    return [r["ap"] for r in recorded(question, scope=scope, sparsity=share, **about)]


payers = {"each layer": "layer", "LAMP": "lamp"}

# %% tags=["core", "slide"]
ways = {"at once": "one-shot", "tuned": "tuned"}
tried = [0.0, 0.7, 0.8, 0.9, 0.95]
runs = {
    f"{payer}, {way}": [seeds(ways[way], payers[payer], s) for s in tried]
    for payer in payers for way in ways
}
mean = {k: [statistics.mean(aps) for aps in each] for k, each in runs.items()}
band = {k: ([*map(min, each)], [*map(max, each)]) for k, each in runs.items()}
says = "90 % zeros: AP " + ", ".join(f"{aps[3]:.2f} ({k})" for k, aps in mean.items()) + "."
axes = {"x_label": "share of zeros (recorded)", "y_label": "AP, 200 test scenes"}
plots.lines(tried, mean, band=band, **axes, says=says)

# %% [markdown] tags=["core"]
# Lines are means of three seeds, the shade goes from the lowest to the highest: seeds of training for "tuned",
# of the choice of scenes for "at once" (with statistics measured anew).
# At 0 % stands the control.
# It shows what 300 more steps do when nothing is pruned.
#
# The rule matters more than the training: LAMP at once is ahead of equal shares that were trained.
# Nine weights of ten are gone, and with LAMP most of the AP is left; with equal shares most of it is lost,
# whatever training mends.
#
# And one threshold on plain magnitudes, when training may repair what it did?
# The layers' sizes change with training, so this need not end as it began:

# %% tags=["deep"]
some = [("one threshold", "global", 0.9), ("each layer", "layer", 0.9)]
some += [("one threshold on LAMP", "lamp", 0.9), ("2:4", "2:4", 0.5)]
lines = []
for name, scope, s in some:
    aps = [f"{r['ap']:.3f}" for r in recorded("tuned", scope=scope, sparsity=s)]
    lines.append((name, f"{s:.0%}", *aps))
table(("masks", "zeros", "seed 0", "seed 1", "seed 2"), lines)

# %% [markdown] tags=["deep"]
# One threshold on plain magnitudes stays behind, whatever training repairs.
# The pattern of the last row comes further down; it ends near the control above.

# %% [markdown] tags=["deep", "slide"]
# ## Was the small network there from the beginning?
#
# If a twentieth of the weights can do so much, why train the others at all?
# The [*lottery ticket hypothesis*](GLOSSARY.md#lottery-ticket) says: a large network holds a small one that, **from
# its own first weights**,
# trains as well as the whole.
# Find it like this: keep the first weights $\theta_0$, train, make a mask $m$ from the trained weights, go back,
# and train again what the mask leaves:
#
# $$ \theta \leftarrow m \odot \theta_0 \tag{17.4} $$
#
# By hand: first weights $(0.3, -0.2)$, trained to $(0.1, -0.9)$.
# Half has to go: the mask is $(0, 1)$, and the ticket starts at $(0, -0.2)$, not at $(0, -0.9)$.

# %% tags=["deep", "slide"]
tiny = torch.nn.Linear(2, 1, bias=False)
tiny.weight.data = torch.tensor([[0.1, -0.9]])  # trained
first = {"weight": torch.tensor([[0.3, -0.2]])}
ticket = sparsity.rewind(tiny, first, sparsity.layer_masks(tiny, 0.5))
assert (ticket.weight == torch.tensor([[0.0, -0.2]])).all()
show(sparsity.rewind)

# %% [markdown] tags=["deep"]
# A ticket that does well proves nothing by itself.
# Perhaps *any* weights do well under this mask.
# So there is a control: the same mask, other first weights.
# And a rival: do not go back at all.

# %% tags=["deep", "slide"]
network = training.small_cnn(seed=0)
first, other = (copy.deepcopy(training.small_cnn(seed=s).state_dict()) for s in (0, 1000))
lottery = {"whole": right(fit(network, None, lr=0.2))}
sieve = sparsity.global_masks(network, 0.95)
starts = {"ticket": first, "redrawn": other, "not rewound": network.state_dict()}
for name, state in starts.items():
    start = sparsity.rewind(network, state, sieve)
    fit(start, lambda step, logs, start=start: sparsity.apply(start, sieve), lr=0.2)
    lottery[name] = right(start)
plots.bars(lottery, y_label="accuracy, 2,000 test crops")

# %% [markdown] tags=["deep"]
# One seed says little.
# Five were recorded:

# %% tags=["deep", "slide"]
runs = [r["accuracy"] for r in recorded("lottery")]
groups = {"whole": [r["whole"] for r in runs]}
words = {"ticket": "ticket", "redrawn": "redrawn", "tuned": "not rewound"}
for s in ("0.8", "0.95"):
    groups |= {f"{float(s):.0%} {words[k]}": [r[s][k] for r in runs] for k in words}
    gaps = [r[s]["ticket"] - r[s]["redrawn"] for r in runs]
    wins = sum(gap > 0 for gap in gaps)
    print(f"{float(s):.0%} zeros: ticket above redrawn in {wins} of {len(gaps)} seeds,"
          f" median difference {statistics.median(gaps):+.3f}")  # fmt: skip
plots.points(groups, y_label="accuracy, 2,000 test crops")

# %% [markdown] tags=["deep"]
# The ticket beats its control in every seed.
# That is the claim: the *difference* of ticket and redrawn at equal training.
# And not going back beats the ticket, though it has had 300 steps more in all.
#
# 300 steps are few.
# A ticket may be no better in the end and still learn faster.
# [Frankle and Carbin](https://arxiv.org/abs/1803.03635) found tickets in small networks, with small learning rates.
# [Liu and others](https://arxiv.org/abs/1810.05270) found that the gain goes away with a usual, larger rate,
# and that for whole channels new weights do as well.
# Whoever wants the best small network does not rewind at all, or only to an early step.

# %% [markdown] tags=["core", "slide"]
# ## Does the file get smaller?
#
# Save the detector with 90 % zeros.
# How large is the file?
# A float takes 4 bytes, and zero is a float.
# To save anything, the file has to leave the zeros out, and then it must say where the others stood.
# The usual form is CSR (compressed sparse rows): for each value its column, and for each row where it starts.
# With $v$ bytes a value, $c$ a column, $n$ weights in $R$ rows:
#
# $$ B_\text{CSR} = (1 - s)\, n\, (v + c) + c\,(R + 1) \qquad < \qquad v\,n = B_\text{dense} \quad
#    \text{if about} \quad s > \frac{c}{v + c} \tag{17.5} $$
#
# By hand: with 4 bytes each, from one half on.
# Take 40 weights in 4 rows, 3 of them not zero: $3 \cdot 8 + 4 \cdot 5 = 44$ bytes instead of 160.
# A *bitmap* says with one bit for each place whether something stands there: $40 / 8 + 3 \cdot 4 = 17$.

# %% tags=["core"]
show(sparsity.file_sizes)

# %% tags=["core", "slide", "nbval-check-output"]
toy = torch.zeros(4, 10)
toy[0, 0], toy[2, 5], toy[3, 9] = 1.0, -2.0, 3.5
sizes = sparsity.file_sizes(toy)
assert (sizes.dense, sizes.csr, sizes.bitmap) == (160, 44, 17)  # by hand
sizes

# %% tags=["core", "slide"]
def kilobytes(s):
    small = sparsity.prunable(pruned(model, sparsity.layer_masks(model, s)))
    each = [sparsity.file_sizes(w) for w in small.values()]
    return [sum(form) / 1000 for form in zip(*each, strict=True)]


grid = [0.0, 0.25, 0.5, 0.75, 0.9, 0.95]
rows_of = [kilobytes(s) for s in grid]
forms = {k: [row[i] for row in rows_of] for i, k in enumerate(sparsity.FileSizes._fields)}
measured("file with 90 % zeros, zipped, of 1", forms["zip"][4] / forms["dense"][4])
plots.lines(grid, forms, x_label="share of zeros", y_label="kB, all weights")

# %% [markdown] tags=["core"]
# So a file *can* gain, and any zip program does it for you, without a new format.
# Of the two simple forms the bitmap is the smaller one here.
# But a file on a disk does not compute.
# Once it is loaded, the zeros are back in memory, four bytes each.

# %% [markdown] tags=["core", "slide"]
# ## Does it run faster?
#
# The same detector, whole and with 90 % zeros, in turns:

# %% tags=["core", "slide"]
picture = training.normalise(scenes[0].image[None])
ninety = pruned(model, sparsity.layer_masks(model, 0.9))
turns = profiling.compare({"whole": model, "90 % zeros": ninety}, picture, repeats=45)
measured("speed-up by 90 % zeros", 1 / turns["90 % zeros"].ratio, "x")
lines = [(k, f"{c.latency.median:.2f}", f"{c.ratio:.2f}") for k, c in turns.items()]
table(("detector", "milliseconds a picture", "of the whole, in pairs"), lines)

# %% [markdown] tags=["core"]
# Nothing, but for noise.
# (The last column compares each turn with the turn of the whole detector beside it,
# so that what else the machine does falls out.)
# A product takes as long with zero as with anything else, and nobody looks first.
# Looking would cost more than it saves: the processor multiplies 8 or 16 weights with one instruction,
# and cannot leave out three in the middle.
#
# Then let us give it a form that has no zeros.
# A convolution is a product of its matrix, here 128 x 1152, with the patches of the picture.
# We take that product dense, dense with zeros, and as CSR.

# %% tags=["core", "slide"]
warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
torch.manual_seed(0)
matrix, patches = torch.randn(128, 1152), torch.randn(1152, 64)
points = [0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99]
holes = {s: matrix * sparsity.magnitude_mask(matrix, s) for s in points}
calls = {"dense": lambda: matrix @ patches}
calls |= {f"zeros {s}": lambda s=s: holes[s] @ patches for s in points}
csr = {s: w.to_sparse_csr() for s, w in holes.items()}
calls |= {f"csr {s}": lambda s=s: csr[s] @ patches for s in points}
clock = profiling.interleave(calls, repeats=21)

# %% tags=["core", "slide"]
def of_dense(name):
    rounds = zip(clock[name].times, clock["dense"].times, strict=True)
    return statistics.median(one / dense for one, dense in rounds)


times = {"dense, with zeros": [of_dense(f"zeros {s}") for s in points]}
times["CSR"] = [of_dense(f"csr {s}") for s in points]
faster = next((s for s, t in zip(points, times["CSR"], strict=True) if t < 1), 1.0)
measured("a sparse product is faster from sparsity", faster)
says = f"From {faster:.0%} zeros on, of those that were tried, CSR is faster."
axes = {"x_label": "share of zeros", "y_label": "time, of the whole matrix"}
plots.lines(points, times, **axes, log_y=True, says=says)

# %% [markdown] tags=["core"]
# At half the weights CSR is much *slower*, though it multiplies half as often.
# For each value it reads a column, and fetches a row of patches from wherever that points.
# Only from some higher share of zeros on does it win: the sentence at the figure says which.
# The detector bears nine zeros of ten where the right layers pay, and not many more.
#
# **At scale.**
# The whole detector, each convolution as such a product: how long does it take?
# All of it recorded, in per cent of the whole detector; the sentence under the bars says how much AP is left after
# training.
# The times are those of equal shares; LAMP spares the first layers, which have the largest maps,
# so that more multiply-adds are left with it.
# "unrolled" is the detour that CSR takes, with a dense matrix: the patches are written out, then comes one product.

# %% jupyter={"source_hidden": true} tags=["core", "slide"]
# Draws recorded times at one share of zeros, and says what AP is left.
def middle(chosen, kind):
    return round(100 * statistics.median(r[kind]["ratio"] for r in chosen), 1)


def outlook(s):
    base = statistics.median(seeds("one-shot", "layer", 0.0))
    left = {k: seeds("tuned", scope, s) for k, scope in payers.items()}
    said = [f"{statistics.median(aps) / base:.0%} ({k})" for k, aps in left.items() if aps]
    kinds = {"PyTorch's own, zeros inside": "zeros"}
    kinds |= {"unrolled, dense": "unrolled", "unrolled, CSR": "csr"}
    times = {k: middle(recorded("latency", sparsity=s), kind) for k, kind in kinds.items()}
    says = f"{s:.0%} zeros. AP left after training: {', '.join(said) or 'not recorded'}."
    return plots.bars(times, y_label="time, % of the whole detector (recorded)", says=says)


last = middle(recorded("latency", sparsity=0.99), "csr")
print(f"CSR at 99 % zeros takes {last:.0f} % of the time of the whole detector.")
widgets.slider(outlook, name="zeros", values=[0.0, 0.5, 0.7, 0.8, 0.9, 0.95], start=4,
               label="share of zeros (recorded)")  # fmt: skip

# %% [markdown] tags=["core"]
# So in the whole detector CSR loses at every share of zeros, though the product alone won at high shares.
# The detour through patches alone takes about twice the time of PyTorch's own convolution.
# A sparse kernel has to beat the best dense one, not the one that it resembles.

# %% [markdown] tags=["core", "slide"]
# ## Which zeros does a kernel like?
#
# Zeros anywhere are too free.
# Zeros in whole channels are no zeros at all: the channel is cut out, and a smaller dense network is left (chapter 18).
# Between the two there is a compromise: in every group of $M$ neighbours $N$ stay.
#
# $$ m_i = \Big[\, |w_i| \text{ is among the } N \text{ largest of } |w_{gM}|, \ldots, |w_{gM + M - 1}| \,\Big], \qquad
#    g = \lfloor i / M \rfloor \tag{17.6} $$
#
# By hand, 2:4: of $(0.1, -0.9, 0.5, 0.2)$ the second and the third stay.
# Each row then has the same number of values, and a place in a group of four needs two bits, not four bytes.
#
# ### 17.3 · Build · nm_mask · 12 min · ●●○ · 3 points
#
# Write `nm_mask(weight, n=2, m=4)` for a weight of two dimensions or more.
# The neighbours are input channels, dimension 1, for a kernel adds up over these; each filter and each tap has groups
# of its own.
# $M$ divides the number of input channels.
# False means that a weight goes; among equal magnitudes the first stays.


# %% tags=["core"]
def nm_mask(weight, n=2, m=4):
    """True at the n largest of every m neighbours along the input channels.

    By hand, 2:4: 0.1, -0.9, 0.5, 0.2 give False, True, True, False.
    """
    # your code, in place of the dots
    ...


build("sparsity.nm_mask", nm_mask)
# hint("sparsity.nm_mask")
# solution("sparsity.nm_mask")

# %% tags=["core", "slide", "nbval-check-output"]
show(sparsity.nm_mask, folded=True)
show(sparsity.pack)
row = torch.tensor([[0.1, -0.9, 0.5, 0.2, 3.0, 2.0, -1.0, -4.0]])
assert sparsity.nm_mask(row)[0, :4].tolist() == [False, True, True, False]  # by hand
packed = sparsity.pack(row * sparsity.nm_mask(row))
assert torch.equal(sparsity.unpack(packed), row * sparsity.nm_mask(row))
packed.values.tolist(), [f"{byte:08b}" for byte in packed.places.tolist()]

# %% [markdown] tags=["core"]
# Read the byte from the right: 01, 10 (the second and the third of the first group), 00,
# 11 (the first and the last of the second).
# The values take a half of the dense floats, the places one byte where those take 32.
#
# Is the pattern too strict for the detector?
# The first layer has three input channels and stays whole; all others give half of their weights.

# %% tags=["core", "slide"]
pattern = pruned(model, sparsity.pattern_masks(model))
scores = {"whole": at_once[0], "2:4": ap(pattern)}
scores["2:4, statistics anew"] = ap(refreshed(pattern))
free = shares.index(0.5)
scores |= {"free, 50 %": at_once[free], "free, 50 %, anew": anew[free]}
plots.bars(scores, y_label="AP, 100 test scenes")

# %% [markdown] tags=["core"]
# The strict pattern costs some AP more than free zeros do, before any training;
# the table above has what 300 steps make of it.
#
# NVIDIA's GPUs since 2020 have instructions for 2:4 (in half precision, bfloat16, TF32 and int8),
# and `sparsity.semi_structured` hands a matrix to them.
# No CPU that we know of has, and the function says so instead of being quietly slow.

# %% tags=["core", "slide"]
half_weight = torch.randn(128, 128).half()
half_weight = (half_weight * sparsity.nm_mask(half_weight)).to(device)
try:
    sparse = sparsity.semi_structured(half_weight)
    print("a GPU that can:", type(sparse).__name__)
except ValueError as error:
    print(error)

# %% [markdown] tags=["core"]
# What does it gain there?
# At best a factor of two, in large products only.
# We have not measured it: nothing here was recorded on such a GPU.
# On one, `data/ablations/sparsity.py` adds rows under "gpu".

# %% [markdown] tags=["core"]
# Now your guesses.
# Which one was furthest off?

# %% tags=["core", "slide"]
guesses()

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **"Pruning doesn't affect speed nor memory usage."** pytorch/pytorch#36214 and #43552 say so of
#   `torch.nn.utils.prune`, and the answer is: correct, it does not.
#   In microsoft/nni#2225 the pruned model was even slower, with its masks multiplied in each forward pass.
# - **The pruned file is twice as large.** microsoft/nni#3094: weights and masks were saved, both.
#   `torch.nn.utils.prune` keeps `weight_orig` and `weight_mask` too, until `prune.remove`.
# - **Zeros come back.** ruihangdu/PyTorch-Deep-Compression#2 and he-y/filter-pruning-geometric-median#47:
#   momentum moves weights whose gradient is masked.
#   IntelLabs/distiller#63 masks the weights at the end of each batch instead, as we do.
# - **Channels last cannot be pruned.** pytorch/pytorch#96743: torch's pruning takes a `view` of the weights,
#   which another layout in memory does not allow.
#   Our masks take `flatten`.
# - **2:4, and no speed-up.** pytorch/pytorch#111339: 4096 x 4096 times one vector is nine times *slower* packed than
#   dense.
#   NVIDIA/TensorRT#3849: the packed kernel is chosen only where it wins, with more than 256 channels or so.

# %% [markdown] tags=["core"]
# **The same in the literature.**
#
# - **Optimal Brain Damage** and **Optimal Brain Surgeon** (LeCun 1990, Hassibi 1993): second derivatives of the loss
#   say what a weight is worth; the Surgeon also moves the others, to make up for it.
# - **[Deep Compression](https://arxiv.org/abs/1510.00149)** (Han 2015): prune, let weights share values by k-means,
#   then give the file Huffman's code.
# - **Iterative magnitude pruning**: a fifth goes, train, again.
#   This is how [lottery tickets](https://arxiv.org/abs/1803.03635) were found; ours are cut once.
# - **Late rewinding** ([2019](https://arxiv.org/abs/1903.01611), [2020](https://arxiv.org/abs/2003.02389)):
#   in large networks one goes back to an early step of training, not to the first weights.
# - **[SparseGPT](https://arxiv.org/abs/2301.00774)** and **[Wanda](https://arxiv.org/abs/2306.11695)** (2023):
#   language models without new training, by second moments of the inputs, or by magnitude times input norm
#   (within each row of the weights; above it was the whole layer).

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - Nine weights of ten are zero, and we have saved bytes in a file, but no time in the usual kernels.
# - The smallest magnitudes go: in each layer, or under one threshold.
#   Between layers, sizes do not compare by themselves: one layer can lose nearly all its weights.
#   LAMP makes them comparable: nine weights of ten can go, for about a tenth of the AP after a short training.
#   First ask who pays, then how much.
# - Measure batch-norm statistics anew before you judge a pruned network.
# - Remove along a cubic while training goes on, and put the zeros back after each step.
# - A lottery ticket has to beat the same mask on other first weights.
# - A file gains by zeros if it leaves them out; zip does.
# - A dense kernel gains nothing.
#   A sparse product wins only at high shares of zeros, and the whole detector may still lose.
# - What does save time: whole channels (chapter 18), fewer bits (chapter 19), and N:M on hardware that knows it.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 17.4 · Predict · halfway · 5 min · ●○○ · 1 point
#
# The cubic schedule goes from 0 to 0.9 in 100 steps.
# What is the sparsity after 50?
# A number between 0 and 1, to four places.
#
# <details><summary>Answer</summary>
#
# Half of the time is left, and an eighth of the way: $0.9 - 0.9 / 8 = 0.7875$.
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("sparsity.halfway", answer)
# hint("sparsity.halfway")
# solution("sparsity.halfway")

# %% [markdown] tags=["core"]
# ### 17.5 · Measure · cheaper_from · 8 min · ●●○ · 2 points
#
# Chapter 19 stores a weight in one byte.
# Columns still take four.
# For a matrix of 128 x 128 such weights, what is the smallest sparsity at which CSR is smaller than dense?
# Go in steps of 0.01, and answer with a number between 0 and 1.

# %% tags=["core"]
share = 0.5  # change me
eight = torch.ones(128, 128, dtype=torch.int8)
eight.flatten()[: round(128 * 128 * share)] = 0
print(f"share {share:.2f}: {sparsity.file_sizes(eight)}")
answer = ...  # the share you found
check("sparsity.cheaper_from", answer)
# hint("sparsity.cheaper_from")
# solution("sparsity.cheaper_from")

# %% [markdown] tags=["core"]
# ### 17.6 · Build · csr_product · 15 min · ●●○ · 3 points
#
# Multiply a CSR matrix by a vector, to see what such a kernel has to do for each value.
# All four arguments are lists: `values` and their `columns`, row after row; `starts`, one entry more than rows:
# row `i` owns the values from `starts[i]` up to, and not including, `starts[i + 1]`; and the vector `x`.
# Return a list of floats.
# By hand: values 2, 3, 5 in columns 0, 2, 1, with starts `[0, 2, 2, 3]` and $x = (1, 10, 100)$,
# give `[302.0, 0.0, 50.0]`.

# %% tags=["core"]
def csr_product(values, columns, starts, x):
    ...  # your code


check("sparsity.csr_product", csr_product)
# hint("sparsity.csr_product")
# solution("sparsity.csr_product")

# %% [markdown] tags=["optional"]
# ### 17.7 · Further · 120 min · ●●● · 0 points
#
# [RigL](https://arxiv.org/abs/1911.11134) never trains the whole network: it begins with random zeros,
# and every hundred steps it drops the smallest weights and grows those whose gradient is largest.
# Write it as an `on_step` like `Gradual`, and train `training.small_cnn()` with 95 % zeros from first to last.
# Does it reach the network that was pruned along the cubic?

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("sparsity")

# %% [markdown] tags=["core"]
# ## Where next
#
# Zeros that nobody skips save no time.
# Chapter 18 removes whole channels, and what is left is a smaller dense network that every kernel runs
# faster.

# %% [markdown] tags=["core"]
# ## References
#
# - Zhu and Gupta, [To Prune, or Not to Prune](https://arxiv.org/abs/1710.01878), 2017: the cubic schedule, Eq. 17.3.
# - Frankle and Carbin, [The Lottery Ticket Hypothesis](https://arxiv.org/abs/1803.03635), 2018: rewinding, Eq. 17.4.
# - Liu and others, [Rethinking the Value of Network Pruning](https://arxiv.org/abs/1810.05270), 2018:
#   when first weights do not matter.
# - Mishra and others, [Accelerating Sparse Deep Neural Networks](https://arxiv.org/abs/2104.08378), 2021: 2:4 on GPUs.
# - Lee and others, [Layer-Adaptive Sparsity for Magnitude-Based Pruning](https://arxiv.org/abs/2010.07611), 2020: LAMP.
# - Evci and others, [Rigging the Lottery](https://arxiv.org/abs/1911.11134), 2019: RigL.
