# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 19 · Quantize
#
# **Question. How few bits does a number need, and who decides where they go?**
#
# After this chapter you can
#
# 1. say what a bit is worth in decibels, and how many bits you need (exercise 19.4)
# 2. say what one outlier costs, and which observer pays less (exercise 19.5, quiz)
# 3. choose scale and zero point, also under a rule of your own (exercises 19.1, 19.2 and 19.6, quiz)
# 4. fold a norm into the layer after or before it (exercises 19.3 and 19.7)
# 5. choose a granularity for a layer, and say what it costs in the file (quiz)
#
# | study | about 150 min (estimate); the core, without *(deep)* parts and exercises 19.1 and 19.3, about 60 |
# |---|---|
# | run | <!-- run -->0.3 min (21 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->941 MB (measured)<!-- /peak --> |
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
import math

import torch
from torch import nn

from lib.basics import data, training  # fmt: skip
from lib.book import plots, widgets  # fmt: skip
from lib.book.notebook import (
    build,
    check,
    guess,
    guesses,
    hint,
    measured,
    quiz,
    restore,
    setup,
    show,
    solution,
    submit,
    table,
    yours,
)  # fmt: skip
from lib.compression import deployed, histograms, quantize  # fmt: skip
from lib.detection import coco_eval, detectors  # fmt: skip

device = setup("19_quantize", seed=0)

# %% [markdown] tags=["core"]
# A weight of the detector takes 32 bits, and so does every pixel of every map inside.
# Thirty-two bits can tell four billion numbers apart.
# A digit scene has a few dozen things worth telling apart.
# This chapter asks how far one can go, with the weights first.
# Nothing is trained: we only round, with care.
# Three pieces you can write yourself, where the idea stands: exercises 19.1, 19.2 and 19.3.
# The second is the one that this chapter is about.
# `build` checks them as `check` does; once one is right, the chapter rounds, or folds, with *your* function.
# If you leave one, the chapter goes on with the course's own.
#
# The core road has four questions: what is an integer, where does its [grid](GLOSSARY.md#grid) lie, what is a bit
# worth, and how many grids does a layer need.
# What is marked *(deep)* can wait for a second reading; nothing in the core needs it.
#
# Guess before you read.
# AP is the score of chapter 16, between 0 and 1; the detector is `lite`.
# A decibel (dB) is explained below, so that one may be a wild guess.
# Write your numbers in place of `None`; the end of the chapter comes back to them.

# %% tags=["core"]
guess("one bit more, in dB", None)  # your number instead of None
guess("an outlier of 100 among numbers up to 4: dB lost", None)
guess("AP lost: 4-bit weights, one grid for each layer", None)
guess("AP lost: 4-bit weights, one grid for each filter", None)
guess("file of 4-bit weights: times smaller", None)

# %% [markdown] tags=["core", "slide"]
# ## What does an integer mean?
#
# Five numbers, and four bits for each: $-1,\ -0.33,\ 0,\ 0.65,\ 2$.
# Four bits count from 0 to 15.
# Lay a grid over the range from $-1$ to 2 with 16 points: between them are 15 steps, so a [step](GLOSSARY.md#step) is
# $3 / 15 = 0.2$.
# Point 0 is $-1$, and zero stands five steps further.
#
# | | $-1$ | $-0.33$ | 0 | 0.65 | 2 |
# |---|---|---|---|---|---|
# | in steps of 0.2 | $-5$ | $-1.65$ | 0 | 3.25 | 10 |
# | nearest, plus 5 | 0 | 3 | 5 | 8 | 15 |
# | back again | $-1$ | $-0.4$ | 0 | 0.6 | 2 |
#
# That is all of it.
# With the step or *scale* $s$ and the [*zero point*](GLOSSARY.md#zero-point) $z$, the integer that means zero:
#
# $$ q = \mathrm{clamp}\!\left(\mathrm{round}\!\left(\frac{x}{s}\right) + z,\ q_{\min},\ q_{\max}\right) \tag{19.1} $$
#
# $$ \hat{x} = s\,(q - z) \tag{19.2} $$
#
# Ties go to the even neighbour: 2.5 steps become 2, 3.5 become 4.
# That is what processors do, and it favours neither side.
#
# ### 19.1 · Build · onto_grid · 10 min · ●●○ · 3 points
#
# Write `onto_grid(x, scale, zero_point, low, high)`: there and back, $\hat x$ for each number of `x`.
# `x`, `scale` and `zero_point` are tensors, and the last two are one number or broadcast to `x`;
# `low` and `high` are $q_{\min}$ and $q_{\max}$.
# `torch.round` takes a half to the even neighbour, and `.clamp(low, high)` cuts off.


# %% tags=["core"]
def onto_grid(x, scale, zero_point, low, high):
    """Each number as the nearest point of a grid, in real numbers, shaped as x.

    By hand: -0.33 and 0.65, with 0.2, 5, 0 and 15, come back as -0.4 and 0.6.
    """
    # your code, in place of the dots
    ...


build("quantize.onto_grid", onto_grid)
# hint("quantize.onto_grid")
# solution("quantize.onto_grid")

# %% [markdown] tags=["core"]
# `choose_qparams` lays the grid over what it is given, and `rounded` calls `onto_grid` with it:

# %% tags=["core", "slide", "nbval-check-output"]
show(quantize.onto_grid, folded=True)
five = torch.tensor([-1.0, -0.33, 0.0, 0.65, 2.0])
grid = quantize.choose_qparams(five, bits=4, signed=False)
q = quantize.quantize(five, grid)  # the way there alone
assert q.tolist() == [0, 3, 5, 8, 15]  # the table above
back = quantize.rounded(five, grid)
assert (back - torch.tensor([-1.0, -0.4, 0.0, 0.6, 2.0])).abs().max() < 1e-6
[round(value, 3) for value in back.tolist()]

# %% [markdown] tags=["core"]
# Which numbers come back as themselves?
# Only those on the grid.
# A number between is moved by half a step at most; one outside is moved to the end.
# Read both from the staircase.

# %% tags=["core", "slide"]
x = torch.linspace(-2, 3, 501)
steps = {"as it was": x}
for bits in (2, 4):
    steps[f"{bits} bits"] = quantize.rounded(x, quantize.from_range(-1.0, 2.0, bits))
far = {k: (v - x)[(x >= -1) & (x <= 2)].abs().max().item() for k, v in steps.items()}
says = f"Inside [-1, 2] the error is {far['2 bits']:.2f} at most with 2 bits (step 1), "
says += f"{far['4 bits']:.2f} with 4 (step 0.2); outside it grows without end."
plots.lines(x, steps, x_label="number", y_label="what comes back", says=says)

# %% [markdown] tags=["core"]
# **Break it.**
# Leave out the clamp.
# Four bits hold 0 to 15; what is larger loses its upper bits, as in any counter that runs over.
# What does 2.3 become, just a little beyond the range?

# %% tags=["core", "slide", "nbval-check-output"]
beyond = torch.tensor([2.3])
integer = torch.round(beyond / grid.scale) + grid.zero_point  # 16.5 steps from the start
wrapped = integer % 16  # four bits
clamped = quantize.rounded(beyond, grid)
round(quantize.dequantize(wrapped, grid).item(), 3), round(clamped.item(), 3)

# %% [markdown] tags=["core"]
# $2.3 / 0.2 = 11.5$, to the even neighbour 12, plus 5 is 17, and 17 is 1 when only four bits are left: $-0.8$.
# A bright pixel has become a dark one.
# Clamped it is 2.
# This is why every integer kernel *saturates*, and why chapter 21 takes care of the sums, which run over much sooner.

# %% [markdown] tags=["core", "slide"]
# ## Who chooses the grid, and where must zero stand?
#
# A border is padded with zeros, and a ReLU writes zeros.
# So the range from $l$ to $u$ is first made wider, until zero is in it:
#
# $$ l \leftarrow \min(l, 0), \qquad u \leftarrow \max(u, 0) $$
#
# Then, with $q_{\min}$ to $q_{\max}$ as the integers:
#
# $$ s = \frac{u - l}{q_{\max} - q_{\min}} \tag{19.3} $$
#
# $$ z = q_{\min} - \mathrm{round}\!\left(\frac{l}{s}\right) \tag{19.4} $$
#
# By hand, as before: $s = 3 / 15 = 0.2$ and $z = 0 - \mathrm{round}(-1 / 0.2) = 5$.
# For numbers from 1 to 4 the wider range throws away a quarter of the grid.
# Would you do that?
# Write it first; the figure after it shows what happens without.
#
# ### 19.2 · Build · scale_and_zero_point · 15 min · ●●○ · 3 points
#
# Write `scale_and_zero_point(least, most, low, high)`: $s$ and $z$ of Eq. 19.3 and 19.4, as a pair.
# `least` and `most` are float tensors, $l$ and $u$: one number each, of shape `[]`, or one for each of many grids.
# `low` and `high` are the integers $q_{\min}$ and $q_{\max}$.
# They need not begin at 0: signed bytes go from $-128$ to 127.
# Both results are tensors of the shape of the range; `torch.round` takes a half to the even neighbour.
# `x.clamp(max=0)` and `x.clamp(min=0)` are the minimum and the maximum of each number and 0.


# %% tags=["core"]
def scale_and_zero_point(least, most, low, high):
    """The step of a grid over a range widened to hold 0, and the integer that means 0.

    By hand: -1 to 2 with 0 to 15 gives (0.2, 5); 1 to 4 with 0 to 3 gives (4 / 3, 0).
    """
    # your code, in place of the dots
    ...


build("quantize.scale_and_zero_point", scale_and_zero_point)
# hint("quantize.scale_and_zero_point")
# solution("quantize.scale_and_zero_point")

# %% tags=["core", "nbval-check-output"]
show(quantize.scale_and_zero_point, folded=True)
ends = torch.tensor([-1.0, 1.0]), torch.tensor([2.0, 4.0])  # two ranges at once
steps, zeros = quantize.scale_and_zero_point(*ends, 0, 15)
assert zeros.tolist() == [5, 0] and abs(steps[1] - 4 / 15) < 1e-6  # by hand
[round(step, 3) for step in steps.tolist()], zeros.tolist()

# %% [markdown] tags=["core"]
# `from_range` calls it for every affine grid, and refuses a range without width, with an end at infinity,
# or with its ends in the wrong order.
#
# **Break it.**
# A picture of constant brightness 2.4, and a convolution that takes the mean of 3 x 3 pixels.
# At the border it sees padding: zeros.
# One grid runs from 0 to 4, the other from 1 to 4, finer, and without a zero.
# Predict the corner: the true value is $4 \cdot 2.4 / 9 = 1.07$.

# %% tags=["core", "slide"]
picture = nn.functional.pad(torch.full((1, 1, 6, 6), 2.4), (1, 1, 1, 1))
careful = quantize.choose_qparams(torch.tensor([1.0, 4.0]), bits=4, signed=False)
careless = quantize.QParams(torch.tensor(0.2), torch.tensor(-5), 0, 15)  # 1 to 4
seen = {}
for name, some in {"0 to 4": careful, "1 to 4, no zero": careless}.items():
    rounded = quantize.rounded(picture, some)
    seen[name] = nn.functional.avg_pool2d(rounded, 3, 1)[0, 0]
corner = [m[0, 0].item() for m in seen.values()]
says = f"The corner: {corner[0]:.2f} with an exact zero, {corner[1]:.2f} without."
plots.grid(seen, says=says, x_label="column", y_label="row")

# %% [markdown] tags=["core"]
# Without a zero the padding becomes 1, the nearest point that there is.
# Every border of every map is then wrong, always in the same direction.
# An error of rounding is as often up as down, and sums average it out.
# This one adds up.
# So who chooses the grid?
# The range does, widened to hold zero: its two ends are the first and the last integer.
# And zero must stand on a point: then a ReLU, a padded pixel and a pruned weight stay exact.
#
# Weights lie on both sides of zero, about evenly.
# For them one sets $z = 0$.
# A product of integers is $(q_x - z_x)\,(q_w - z_w)$, and with $z_w = 0$ one term is gone: $z_w$ times the sum of the
# pixels in each window, which nobody can compute before the picture is there.
# *Symmetric* means
#
# $$ s = \frac{\max(|l|, |u|)}{q_{\max}}, \qquad z = 0 \tag{19.5} $$
#
# with $-127$ to 127 for eight bits.
# And for what comes out of a ReLU, never negative?
# How much does a symmetric grid waste there?

# %% tags=["core", "slide"]
positive = torch.randn(10_000).relu()
quality = {}
for name, symmetric in {"affine": False, "symmetric": True}.items():
    some = quantize.choose_qparams(positive, 8, symmetric)
    quality[name] = quantize.sqnr(positive, quantize.rounded(positive, some))
gap = quality["affine"] - quality["symmetric"]
assert 5.5 < gap < 6.5  # half of the grid is not used
{name: f"{value:.1f} dB" for name, value in quality.items()}

# %% [markdown] tags=["core", "slide"]
# ## What is a bit worth?
#
# Half of the grid was wasted, and that came to 6 dB.
# Why six?
# Compare the power of what we wanted with the power of the error:
#
# $$ \mathrm{SQNR} = 10 \log_{10} \frac{\sum_i x_i^2}{\sum_i (x_i - \hat{x}_i)^2} \ \mathrm{dB} \tag{19.6} $$
#
# By hand: $(3, 4)$ comes back as $(3.5, 4)$.
# Powers 25 and 0.25: a factor of 100, so 20 dB.
# Ten decibels are a factor of ten.
#
# Now suppose that errors fill a step evenly, from $-s/2$ to $s/2$.
# Their mean square is $s^2 / 12$.
# One bit more halves $s$ and quarters the noise: $10 \log_{10} 4 = 6.02$ dB.
#
# $$ \mathrm{SQNR} \approx 10 \log_{10} \frac{12\, \overline{x^2}}{s^2} \;=\; 6.02\, b + \mathrm{const} \tag{19.7} $$
#
# The constant says how well the numbers fill their range: 0 for numbers spread evenly over all of it,
# less for a bell curve, which spends most of its steps where few numbers are.

# %% tags=["core", "slide", "catch-up", "nbval-check-output"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
assert quantize.sqnr(torch.tensor([3.0, 4.0]), torch.tensor([3.5, 4.0])) == 20


def decibels(x, bits, **how):
    some = quantize.choose_qparams(x, bits, **how)
    return quantize.sqnr(x, quantize.rounded(x, some))


even = torch.linspace(-1, 1, 100_001)
[round(decibels(even, bits), 1) for bits in (4, 6, 8)]

# %% [markdown] tags=["core"]
# Predicted: 24, 36 and 48, or a little less, since $b$ bits make $2^b - 1$ steps.
# How do real weights do?
# We take those of a convolution in the middle of the `lite` detector.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
lite = detectors.shipped("lite")
weight = lite.backbone.stages[2][1].project[0].weight.detach()
kinds = {"evenly spread": even, "bell curve": torch.randn(100_000), "weights": weight}
bits = list(range(2, 13))
curves = {name: [decibels(x, b) for b in bits] for name, x in kinds.items()}
curves["6.02 a bit"] = [6.02 * b for b in bits]
slope = (curves["weights"][-1] - curves["weights"][2]) / (bits[-1] - bits[2])
says = f"All run in parallel: {slope:.2f} dB for each bit, measured on the weights."
plots.lines(bits, curves, x_label="bits", y_label="SQNR, dB", says=says)

# %% tags=["core"]
measured("one bit more, in dB", slope, "dB")

# %% [markdown] tags=["core"]
# **Break it.**
# One number is wrong: an error of a sensor, a dead pixel.
# 10,000 numbers of a bell curve, up to about 4, and among them a single 100.
# What do the *others* lose, with eight bits?

# %% tags=["core", "slide"]
bell = torch.randn(10_000, generator=torch.Generator().manual_seed(0))
spoiled = quantize.choose_qparams(torch.cat([bell, torch.tensor([100.0])]))
rounded = quantize.rounded(bell, spoiled)
lost = decibels(bell, 8) - quantize.sqnr(bell, rounded)
measured("an outlier of 100 among numbers up to 4: dB lost", lost, "dB")

# %% [markdown] tags=["core"]
# The range went from about 8 wide to 104 wide, a factor of 13, and $20 \log_{10} 13 \approx 22$ dB:
# nearly four of the eight bits, for the sake of one number.
# Remember it for the last section.

# %% [markdown] tags=["core", "slide"]
# ## Where does a batch norm go?
#
# Before we round the detector's weights: are they the weights that a device multiplies with?
# In evaluation mode a batch norm is a scale and a shift of each channel, and a convolution can do both by itself.
# By hand, for one channel: $w = 2$, $b = 1$, then a norm with mean 3, variance 4, $\gamma = 6$ and $\beta = 5$.
# It divides by $\sqrt 4$ and multiplies by 6, a factor of 3:
#
# $$ 3\,(2x + 1 - 3) + 5 = 6x - 1. $$
#
# One multiplication instead of two.
# In general, with $\epsilon$ as the norm has it:
#
# $$ a = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}}, \qquad t = \beta - a\,\mu \tag{19.8} $$
#
# $$ w' = a\, w, \qquad b' = a\, b + t \tag{19.9} $$
#
# Each filter of $w$ has its own $a$.
#
# ### 19.3 · Build · fold · 10 min · ●●○ · 3 points
#
# Write `fold(weight, bias, scale, shift)`: the pair $w'$, $b'$ of Eq. 19.9; `scale` is $a$, `shift` is $t$.
# The first side of `weight` counts the filters; a linear layer has one more side, a convolution three.
# `scale`, `shift` and `bias` have a number for each filter.
# Many layers before a norm have no bias: then `bias` is `None`.


# %% tags=["core"]
def fold(weight, bias, scale, shift):
    """Weight and bias of one layer that does its own work, then `scale` and `shift`.

    By hand: (2 x + 1) * 3 - 4 is 6 x - 1.
    """
    # your code, in place of the dots
    ...


build("quantize.fold", fold)
# hint("quantize.fold")
# solution("quantize.fold")

# %% tags=["core", "slide", "nbval-check-output"]
show(deployed.fold, folded=True)
norm = [torch.tensor([v]) for v in (6.0, 5.0, 3.0, 4.0)]  # gamma, beta, mean, variance
scale, shift = deployed.affine(*norm, eps=0.0)  # Eq. 19.8
assert (scale.item(), shift.item()) == (3, -4)
w, b = deployed.fold(torch.tensor([[2.0]]), torch.tensor([1.0]), scale, shift)
assert (w.item(), b.item()) == (6, -1)
w.item(), b.item()

# %% [markdown] tags=["core"]
# `deployed.deployed` does this to a whole network: `torch.export` writes down every operation,
# and the norms go into the layers before them.
# Chapters 20 to 22 all begin with it.
# One count is odd.
# Heads run the *same* convolution over three levels, but each level has norms of its own.
# What must happen to the convolution?

# %% tags=["core", "slide", "catch-up", "nbval-check-output"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
graph = deployed.deployed(lite, torch.zeros(2, 3, 128, 128))
parts = {"model": lite, "deployed": graph}
for name, part in parts.items():
    convs = [n for n, m in part.named_modules() if isinstance(m, nn.Conv2d)]
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in part.modules())
    heads = sum("class_head" in n for n in convs)
    print(f"{name}: {len(convs)} convolutions ({heads} in the class head), {norms} norms")

# %% [markdown] tags=["core"]
# It becomes three.
# The file grows by a few filters, and the network is a little faster and otherwise the same.
# Is it?
# Same picture, both networks; and the AP on 100 scenes.

# %% tags=["core"]
scenes = detectors.scenes("test", 100)


def ap(model):
    detections = coco_eval.detections(model, scenes)
    return round(coco_eval.evaluate(scenes.coco(), detections).ap, 3)


images = training.normalise(torch.stack([scenes[i].image for i in range(8)]))
with torch.no_grad():
    pairs = zip(lite(images)[0], graph(images)[0], strict=True)
    gap = max((a - b).abs().max().item() for a, b in pairs)
start = ap(graph)
assert gap < 1e-3 and abs(start - ap(lite)) <= 0.005
f"largest difference of a logit {gap:.1e}, AP {start:.3f}"

# %% [markdown] tags=["deep"]
# **Break it. (deep)**
# A converter that folds each convolution once meets the shared head three times,
# and keeps what it knew from the first level.
# Here is its network.
# What do you expect: nothing, a little less, or ruins?

# %% tags=["deep", "slide"]
folded_once = copy.deepcopy(lite)
for head in (folded_once.class_head, folded_once.box_head):
    for norms in head.norms:
        norms[1] = norms[2] = norms[0]
found = [coco_eval.detections(model, scenes) for model in (graph, folded_once)]
it = coco_eval.compare(scenes.coco(), *found)
says = f"One folding for all, less three: AP {it.difference:+.3f}, 95 % (chapter 16)."
plots.bars({"three": it.a.value, "one": it.b.value}, y_label="AP on 100 scenes", says=says)

# %% [markdown] tags=["deep"]
# Nothing crashes, every shape fits, and boxes are still found.
# Only the score is lower, and on the same pictures its interval does not hold 0.
# If nobody had measured, this detector would have been shipped.
# So `deployed` compares its answers with the model's before it returns, and so should every converter.

# %% [markdown] tags=["core", "slide"]
# ## One grid, or one for each filter?
#
# One grid for a whole layer is called **per-tensor**, one for each filter [**per-channel**](GLOSSARY.md#per-channel).
#
# Folding multiplied each filter by a number of its own.
# Look at what that means for two filters, $(1, -0.5)$ and $(0.01, -0.02)$, with three bits and a symmetric grid:
# integers from $-3$ to 3.
# One grid for both has the step $1/3$.
# The second filter: $0.01 / 0.33$ rounds to 0, and so does the other.
# The whole filter is gone.
# With a grid of its own its step is $0.02 / 3$, and it comes back as $(0.013, -0.02)$.

# %% tags=["core", "slide", "nbval-check-output"]
two = torch.tensor([[1.0, -0.5], [0.01, -0.02]])
integers = []
for axis in (None, 0):
    some = quantize.choose_qparams(two, 3, symmetric=True, axis=axis)
    integers.append(quantize.quantize(two, some).tolist())
assert integers[0][1] == [0, 0] and integers[1][1] == [2, -3]
integers

# %% [markdown] tags=["core"]
# (0.01 is 1.5 steps of its own grid, a tie; it went to 2, the even one.
# And $-0.5$ is $-1.5$ steps, so $-2$.)
#
# The price: one scale for each filter.
# `axis=0` says which axis has grids of its own, `group=` cuts a filter into pieces with grids of their own.
#
# Which layers need it most?
# In a dense convolution a filter has hundreds of weights, and some large one is among them.
# In a depthwise one it has nine.
# Here is what a grid for each filter gains in every layer of `lite`, with four bits.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
layers = {n: m for n, m in graph.named_children() if isinstance(m, nn.Conv2d)}
four = {"bits": 4, "symmetric": True}
gains = {}
for name, layer in layers.items():
    weight = layer.weight.detach()
    gains[name] = decibels(weight, axis=0, **four) - decibels(weight, **four)
worst = max(gains, key=gains.get)
groups = {"depthwise": [], "others": []}
for name, gain in gains.items():
    groups["depthwise" if layers[name].groups > 1 else "others"].append(round(gain, 1))
plots.points(groups, y_label="dB gained, 4 bits")

# %% [markdown] tags=["core"]
# The layers at the top are depthwise, in the backbone, with norms folded into them.

# %% [markdown] tags=["deep"]
# **Finer still? (deep)**
# Take the layer that gains most.
# The largest weights of its filters differ by the factor below.
# And now cut its filters as well: nine weights make three rows of three, each with a grid of its own.
# What does it cost?
# The bits of a weight, and 32 more for each grid, divided by the number of weights that share it.

# %% tags=["deep", "slide"]
weight = layers[worst].weight.detach()
ways = {"one for the layer": ({}, weight.numel()), "one a filter": ({"axis": 0}, 9)}
ways["one a row"] = {"axis": 0, "group": 3}, 3
quality = {}
for name, (how, sharing) in ways.items():
    label = f"{name}, {4 + 32 / sharing:.2f} bits a weight"
    quality[label] = round(decibels(weight, **four, **how), 1)
largest = weight.abs().amax((1, 2, 3))
ratio = (largest.max() / largest.min()).item()
print(f"{worst}: {len(weight)} filters, largest to smallest {ratio:.0f}")
plots.bars(quality, y_label="SQNR with 4 bits, dB")

# %% [markdown] tags=["deep"]
# By Eq. 19.7, how many bits is a grid for each filter worth in this layer?
# A float32 scale for three weights costs more than the weights.
# (Large language models share one scale among 32 or 128 weights, and give the scale 16 bits or 8.)

# %% [markdown] tags=["core"]
# **At scale.**
# All 78 convolutions of the deployed `lite`, weights rounded to 8, 6, 4 and 3 bits, maps left alone.

# %% tags=["core", "slide"]
def with_weights(bits, **how):
    twin = copy.deepcopy(graph)
    for name in layers:
        values = twin.get_submodule(name).weight.data
        some = quantize.choose_qparams(values, bits, symmetric=True, **how)
        values.copy_(quantize.rounded(values, some))
    return twin


bits = [8, 6, 4, 3]
ways = {"one grid for each layer": {}, "one for each filter": {"axis": 0}}
scores = {}
for name, how in ways.items():
    scores[name] = [ap(with_weights(b, **how)) for b in bits]
scores["float32"] = [start] * len(bits)
for name, words in zip(ways, ("each layer", "each filter"), strict=True):
    measured(f"AP lost: 4-bit weights, one grid for {words}", start - scores[name][2])
filters = sum(len(m.weight) for m in layers.values())
every = sum(p.numel() for p in graph.parameters())
biases = every - sum(m.weight.numel() for m in layers.values())
small = 4 * (every - biases) + 32 * (biases + filters)  # a scale for each filter
measured("file of 4-bit weights: times smaller", 32 * every / small, "x")
says = "; ".join(f"{k}: {', '.join(f'{v:.3f}' for v in vs)}" for k, vs in scores.items())
plots.lines(bits, scores, x_label="bits of a weight", y_label="AP", says=says)

# %% [markdown] tags=["core"]
# Not eight times: biases stay wide, and depthwise filters pay a scale for nine weights.
# Eight bits cost little, whatever the grid.
# At four the grids decide, and at three even the better one is far below float32.
# What training can win back is the question of chapter 20.

# %% [markdown] tags=["deep", "slide"]
# **What can be had without training? (deep)**
# Rounding moves each weight of a filter, and the moves do not cancel: its output is shifted, for every picture.
# The mean shift is known, if the mean input is: error of the weights times mean of the inputs.
# *Bias correction* takes it off the bias.
# Whose inputs?
# *Once*: all means are taken in the network as it was.
# *Layer by layer*: each layer's mean input is taken in the rounded network, whose earlier layers are corrected already,
# and its mean output is made what it was in the network without rounding.
# With four bits, how much of the loss does each win back?

# %% tags=["deep"]
def mean_output(layer, mean):  # without its bias, and as if there were no border
    weight = layer.weight.detach().sum((2, 3))  # a row a filter
    inputs = mean.reshape(layer.groups, -1)
    return (weight * inputs.repeat_interleave(len(weight) // layer.groups, 0)).sum(1)


def correct(net, name, before, now):  # mean inputs, without rounding and with it
    old, new = layers[name], net.get_submodule(name)
    bias = 0 if old.bias is None else old.bias.detach()
    new.bias = nn.Parameter(bias + mean_output(old, before) - mean_output(new, now))


def tell_means(net, tell):  # to each layer before it runs: the means of its input's channels
    hooks = []
    for name in layers:
        told = lambda layer, x, name=name: tell(name, x[0].mean((0, 2, 3)))  # noqa: E731
        hooks.append(net.get_submodule(name).register_forward_pre_hook(told))
    net(training.normalise(torch.from_numpy(detectors.scenes("train", 16).images)))
    for hook in hooks:
        hook.remove()


# %% tags=["deep", "slide"]
means, rows = {}, []
with torch.no_grad():
    tell_means(graph, means.__setitem__)
    for words, how in (("each layer", {}), ("each filter", {"axis": 0})):
        nets = [with_weights(4, **how) for _ in range(3)]
        for name in layers:
            correct(nets[1], name, means[name], means[name])
        tell_means(nets[2], lambda name, now, net=nets[2]: correct(net, name, means[name], now))
        found = [coco_eval.detections(net, scenes) for net in nets]
        pairs = [coco_eval.compare(scenes.coco(), found[0], f) for f in found[1:]]
        gained = [f"{it.b.value:.3f} ({it.difference:+.3f})" for it in pairs]
        rows.append((words, f"{pairs[0].a.value:.3f}", *gained))
table(("one grid for", "AP, 4 bits", "corrected once", "layer by layer"), rows)

# %% [markdown] tags=["deep"]
# With a grid for each filter both win back a little, for nothing.
# With one grid for each layer the moves are large.
# Corrected once, the detector is *worse* than before: the inputs of later layers are no longer those that were
# averaged.
# Layer by layer the same idea helps.

# %% [markdown] tags=["deep", "slide"]
# **Must a grid be even? (deep)**
# Most weights are small, and an even grid spends most of its points where few weights are.
# *k-means* puts the points where the weights are: each weight goes to its nearest point, each point to the mean of its
# weights, again and again.
# By hand: 0, 0, 1, 10 and two points that begin at 0 and 10.
# The first three go to 0, and it moves to their mean, 1/3; the other stays at 10.

# %% tags=["deep", "nbval-check-output"]
def k_means(values, count):
    points = torch.linspace(values.min(), values.max(), count)
    for _ in range(30):
        nearest = (values[:, None] - points).abs().argmin(1)
        sums = torch.zeros(count).index_add(0, nearest, values)
        counts = torch.bincount(nearest, minlength=count)
        points = torch.where(counts > 0, sums / counts.clamp(min=1), points)
    return points, points[nearest]


points, _ = k_means(torch.tensor([0.0, 0, 1, 10]), 2)
assert torch.allclose(points, torch.tensor([1 / 3, 10]))  # by hand
points.tolist()

# %% tags=["deep", "slide"]
plenty = max((m.weight for m in layers.values()), key=torch.numel).detach().flatten()
tried = {"even, 16 points": quantize.rounded(plenty, quantize.choose_qparams(plenty, 4))}
tried["k-means, 16 points"] = k_means(plenty, 16)[1]
for name, back in tried.items():
    error = (plenty - back).square().mean().item()
    print(f"{name}: mean squared error {error:.2e}, {quantize.sqnr(plenty, back):.1f} dB")
nets = [with_weights(4), copy.deepcopy(graph)]
for name in layers:
    values = nets[1].get_submodule(name).weight.data
    values.copy_(k_means(values.flatten(), 16)[1].view_as(values))
it = coco_eval.compare(scenes.coco(), *(coco_eval.detections(n, scenes) for n in nets))
print(f"one grid for each layer, AP {it.a.value:.3f}; k-means {it.b.value:.3f}: {it.difference:+.3f}")

# %% [markdown] tags=["deep"]
# On this layer sixteen uneven points leave about a third of the squared error that sixteen even ones leave,
# and in the whole network they win back about two thirds of what one grid for each layer lost.
# The price: a weight is now the number of a point, and the points are real numbers.
# A sum of such numbers means nothing, so a device looks the weights up first and multiplies in floats.
# Even steps are what makes the integer sums of chapter 21 possible.

# %% [markdown] tags=["deep"]
# **The same in the literature. (deep)**
#
# - *Uneven grids.* k-means, as above, gives a *codebook* (Deep Compression,
#   [1510.00149](https://arxiv.org/abs/1510.00149)); NF4 takes the quantiles of a bell curve.
#   Only the file gets smaller: weights are looked up before they are used (**weight-only**).
# - *Short floats.* bf16 keeps the range of float32 with 8 bits of precision, fp8 (E4M3, E5M2) has 4 or 3 of them.
#   Their steps grow with the numbers, so an outlier costs less.
# - *Bias correction*, both ways: [1906.04721](https://arxiv.org/abs/1906.04721), section 4.2 and its appendix.
# - *Better than to the nearest.* AdaRound ([2004.10568](https://arxiv.org/abs/2004.10568)) decides for each weight,
#   up or down, by the output of its layer; GPTQ ([2210.17323](https://arxiv.org/abs/2210.17323)) rounds weight
#   by weight and lets the rest make up for it.
# - *Outliers of maps.* SmoothQuant ([2211.10438](https://arxiv.org/abs/2211.10438)) divides a map by a factor for each
#   channel and multiplies the weights by it; AWQ ([2306.00978](https://arxiv.org/abs/2306.00978)) scales up the few
#   weights that meet large inputs.
# - *When are maps' ranges found?* Before (**static**, as below) or for each picture anew (**dynamic**).

# %% [markdown] tags=["core"]
# Now by eye: the largest layer on its grid, and what the whole network makes of such grids.
# The APs are recorded, on three sets of 100 scenes (`python data/ablations/weight_bits.py`).

# %% jupyter={"source_hidden": true} tags=["core", "catch-up"]
# Catch-up: reads the recorded AP at each number of bits.
file = data.FOLDER / "ablations" / "weight_bits.jsonl"
recorded = {}
for row in map(json.loads, file.read_text("utf-8").splitlines()):
    if row["model"] == "lite" and row["range"] == "min-max":
        recorded.setdefault((row["bits"], row["axis"]), []).append(row["ap"])
plenty = max((m.weight for m in layers.values()), key=torch.numel).detach().flatten()
bins = (torch.linspace(-1, 1, 81) * plenty.abs().max()).tolist()

# %% jupyter={"source_hidden": true} tags=["core", "slide"]
# Draws the weights rounded to some bits, with the recorded AP.
def at_bits(bits):
    some = quantize.choose_qparams(plenty, bits, symmetric=True)
    rounded = quantize.rounded(plenty, some)
    says = f"{bits} bits: {len(rounded.unique())} different values are left"
    for axis, words in (("tensor", "layer"), ("channel", "filter")):
        told = ", ".join(f"{v:.3f}" for v in recorded[bits, axis])
        says += f"; AP, one grid for each {words}: {told}"
    both = {"float32": plenty, "rounded": rounded}
    return plots.histogram(both, bins=bins, x_label="weight", says=says)


widgets.slider(at_bits, name="bits", values=[8, 6, 5, 4, 3, 2], start=3)

# %% [markdown] tags=["core", "slide"]
# ## Who watches the activations?
#
# Weights lie in a file; their range is known.
# Maps are different for every picture.
# So one shows the network some pictures, *observes* each map, and proposes a range.
# The largest and the smallest value are the obvious choice.
# The outlier above says why they may be a bad one.
#
# Let us watch two kinds of activation: SiLU in `course`, and ReLU6 in `lite`.
# Before the next cell: which of the two is harder to quantize?

# %% tags=["core"]
def watch(model, kind, images):
    kept = {}
    for name, layer in model.named_modules():
        if isinstance(layer, kind):
            kept[name] = []
            keep = kept[name].append
            layer.register_forward_hook(lambda _, x, y, keep=keep: keep(y.clone()))
    with torch.no_grad():
        model(images)
    return {name: torch.cat([y.flatten() for y in ys]) for name, ys in kept.items()}


pictures = detectors.scenes("train", 16)
images = training.normalise(torch.stack([pictures[i].image for i in range(16)]))
silu = watch(detectors.shipped("course"), nn.SiLU, images)
relu6 = watch(copy.deepcopy(lite), nn.ReLU6, images)

# %% tags=["core", "slide"]
maps = {"SiLU": silu["class_head.activation"], "ReLU6": relu6["class_head.activation"]}
edges = torch.linspace(-1, 13, 141)
counts = {k: torch.histc(v, 140, -1, 13) + 1 for k, v in maps.items()}
ends = [f"{k} goes from {v.min():.2f} to {v.max():.2f}" for k, v in maps.items()]
labels = {"x_label": "value in the class head", "y_label": "count + 1", "log_y": True}
plots.lines(edges[1:], counts, says="; ".join(ends) + ".", **labels)

# %% [markdown] tags=["core"]
# ReLU6 ends at 6, and some values pile up there.
# SiLU has a long, thin tail to the right, and on the left a dip to $-0.28$, which an affine grid has to pay steps for.
# Here is the SQNR (Eq. 19.6) of all activations of both networks, with eight bits for the whole range:

# %% tags=["core", "slide"]
groups = {"SiLU (course)": silu, "ReLU6 (lite)": relu6}
quality, middle = {}, {}
for name, many in groups.items():
    quality[name] = [round(decibels(v, 8, signed=False), 1) for v in many.values()]
    middle[name] = torch.tensor(quality[name]).median()
assert middle["SiLU (course)"] + 3 < middle["ReLU6 (lite)"]
plots.points(quality, y_label="SQNR with 8 bits, dB")

# %% [markdown] tags=["core"]
# By the rule of 6 dB, how many bits lie between the two middles?
# And this is a small network that was trained gently.
# What a tail can do to a large one stands further down, under what goes wrong in practice.
#
# So give up the tail.
# But how much of it?
# *Percentile*: keep all but one in 10,000 at each end.
# *MSE*: count what it costs.
# With a histogram of counts $n_i$ at values $x_i$, try many ranges, and take the one with
#
# $$ \min_{l, u} \sum_i n_i \left(x_i - \hat{x}_i\right)^2 \tag{19.10} $$
#
# *Entropy* asks something else; how, is told next.

# %% [markdown] tags=["deep"]
# **How does Entropy choose? (deep)**
# As TensorRT does it, it compares two histograms for each range that it tries.
# $P$ is what came in: what the range cuts off is counted in the last bar.
# $Q$ is what the grid makes of it: bars that fall on the same point of the grid share their counts evenly.
# (There are as many points as the grid has on the longer side of zero.)
# Take the range where the two are most alike, by
#
# $$ D(P \,\|\, Q) = \sum_i P_i \ln \frac{P_i}{Q_i} \tag{19.11} $$
#
# By hand: counts 4, 2, 1, 1, all kept, two values.
# Neighbours share: 3, 3, 1, 1.
# Divided by 8, $D = \tfrac12 \ln \tfrac43 + \tfrac14 \ln \tfrac23 = 0.042$.

# %% tags=["deep", "slide", "nbval-check-output"]
show(histograms.divergence)
counts = torch.tensor([4.0, 2.0, 1.0, 1.0], dtype=torch.float64)
distance = histograms.divergence(counts, end=4, levels=2).item()
assert abs(distance - (math.log(4 / 3) / 2 + math.log(2 / 3) / 4)) < 1e-12
round(distance, 3)

# %% [markdown] tags=["core"]
# Four observers see the two maps.
# Each proposes a range for 8 and for 4 bits.

# %% tags=["core", "slide"]
observers = [quantize.MinMax, quantize.Percentile, quantize.MSE, quantize.Entropy]


def judged(kind, shown, values, bits=8):
    watching = kind()
    watching.observe(shown)
    some = watching.qparams(bits, signed=False)
    rounded = quantize.rounded(values, some)
    return quantize.sqnr(values, rounded)


matrix = {}
for bits in (8, 4):
    matrix[f"{bits} bits"] = [
        [round(judged(kind, v, v, bits), 1) for v in maps.values()] for kind in observers
    ]
names = {"rows": [kind.__name__ for kind in observers], "columns": list(maps)}
says = "SQNR in dB, of two maps, by four observers."
plots.grid(matrix, x_label="map", y_label="observer", says=says, **names)

# %% [markdown] tags=["core"]
# MSE asks for just what SQNR measures, so it should be ahead.
# With 8 bits there is little to gain; with 4 bits a good range is worth more than half a bit behind the SiLU.
# SQNR has the last word here, but a detector is not judged in decibels: compare observers on the network, by its score.
# The recorded runs of `data/ablations/quantization.py` do, and find far smaller differences than these.

# %% [markdown] tags=["deep"]
# **Which observer can be trusted? (deep)**
# Look at Entropy with 8 bits, above.
# Is that map an exception?
# All maps behind a SiLU, and what each observer gains or loses against the plain extremes:

# %% tags=["deep", "slide"]
plain = [judged(observers[0], v, v) for v in silu.values()]
gains = {}
for kind in observers[1:]:
    pairs = zip(silu.values(), plain, strict=True)
    gains[kind.__name__] = [round(judged(kind, v, v) - old, 2) for v, old in pairs]
plots.points(gains, y_label="dB gained over MinMax, 8 bits")

# %% [markdown] tags=["deep"]
# Divergence asks how many values are cut, not how far they are moved.
# A calibrator with a good name can do worse than the plain extremes, on one map, and not on the next.
#
# **Break it.**
# A driver fails for a moment, and 20 of a million values say 1000.
# Which of the four would you trust with the rest?

# %% tags=["deep", "slide"]
sound = maps["ReLU6"]
spoiled = torch.cat([sound, torch.full((20,), 1000.0)])
quality = {kind.__name__: round(judged(kind, spoiled, sound), 1) for kind in observers}
plots.bars(quality, y_label="SQNR of the sound values, dB")

# %% [markdown] tags=["deep"]
# MSE keeps the huge values: twenty errors of a thousand, squared, outweigh a million small ones.
# Percentile only counts, and twenty are few.
# So the observer that was ahead now keeps no more than the plain extremes do: both are last.
# Which one is right depends on whether large values *mean* something, and no histogram knows that.
#
# And observers that were shown nothing, or nothing of use?
# A grid made of such a range would be silent nonsense.

# %% tags=["deep", "nbval-check-output"]
bad = {"nothing": [], "NaN": [math.nan, 1.0], "a constant": [3.0, 3.0]}
for name, values in bad.items():
    watching = quantize.MinMax()
    try:
        if values:
            watching.observe(torch.tensor(values))
        watching.qparams()
    except ValueError as error:
        print(f"{name}: {error}")

# %% [markdown] tags=["core"]
# That is what this chapter has to say about single tensors.
# If you built `onto_grid`, every weight that was rounded above went through it; if you built `fold`, the network did.
# How were your guesses?

# %% tags=["core"]
guesses()

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **Eight bits, and a score near chance.**
#   Min-max ranges, symmetric and one for each map, took torchvision's EfficientNet-B0 from 85.6 % to 2.1 %
#   on the ten classes of Imagenette (FasterAI-Labs/fasterai#55): every picture got the same class.
#   Observers that clip repaired most of it. tensorflow/tpu#549 reports B0 more than 15 % down after quantization.
# - **The same network, the same bits, another graph.**
#   NVIDIA/TensorRT#1114: with SiLU written as two operations, each with a grid of its own,
#   a detector fell from an mAP of 0.362 to 0.054; with SiLU as one operation it kept 0.316.
#   A grid in the wrong place costs more than a bit.
# - **One grid for a depthwise layer.**
#   With 4-bit weights EfficientNet-Lite lost 4.2 % with one grid a layer,
#   and 1.4 % with one a filter ([2106.08295](https://arxiv.org/abs/2106.08295)).
#   Our figure of what a grid for each filter gains says why.
# - **Folded once, used three times.**
#   Heads with a norm for each level need a folding for each level.
#   We made that bug above.
# - **Calibrated on what nobody sends.**
#   Pictures in the wrong colour order, or from 0 to 255 instead of normalised: every range is off,
#   and nothing complains.
#   Observe what the network will see.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - Eight bits cost `lite` next to nothing.
#   At four the choice of the grids decides, and three are too few without training.
# - An integer and a grid: $x \approx s\,(q - z)$, to the nearest step, clamped, zero exact.
# - A bit is worth 6 dB; an outlier that doubles the range costs one bit.
# - Batch norms go into the convolutions first: what is rounded is what is deployed.
# - Weights: symmetric, a grid for each filter.
#   Depthwise layers need it most.
# - Maps: affine, one grid, from an observer.
#   Min-max trusts every value, MSE weighs them, Percentile counts them.
# - `lite` is built so that rounding is easy: ReLU6, no gates, sums.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 19.4 · Predict · bits_for_sixty · 5 min · ●○○ · 1 point
#
# Numbers lie evenly between $-1$ and 1, and the grid runs from $-1$ to 1 in $2^b - 1$ steps.
# What is the smallest number of bits that gives them 60 dB or more?
#
# <details><summary>Answer</summary>
#
# $60 / 6.02 = 9.97$, so ten.
# (1023 steps: $20 \log_{10} 1023 = 60.2$.)
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("quantize.bits_for_sixty", answer)
# hint("quantize.bits_for_sixty")
# solution("quantize.bits_for_sixty")

# %% [markdown] tags=["core"]
# ### 19.5 · Measure · spoiler · 8 min · ●●○ · 2 points
#
# Evenly spread numbers from $-1$ to 1, eight bits, and one outlier.
# From which power of two on (1, 2, 4, and so on) does the outlier push the others down to what *five* bits gave without
# it?

# %% tags=["core"]
outlier = 2.0  # change me
even = torch.linspace(-1, 1, 20_001)
some = quantize.choose_qparams(torch.cat([even, torch.tensor([outlier])]), bits=8)
rounded = quantize.rounded(even, some)
print(f"{quantize.sqnr(even, rounded):.2f} dB; five bits alone: {decibels(even, 5):.2f} dB")

answer = ...  # the outlier you found
check("quantize.spoiler", answer)
# hint("quantize.spoiler")
# solution("quantize.spoiler")

# %% [markdown] tags=["deep"]
# ### 19.6 · Build · power_of_two_scale · 15 min · ●●○ · 3 points
#
# Small processors have no fast multiplication, but they can shift.
# If the scale is a power of two, a shift is all it takes.
# Write `power_of_two_scale(x, bits)`: the finest scale $2^n$, as a float,
# at which a symmetric grid of that many bits (Eq. 19.5) still holds all of `x`.
# `x` is a tensor of any shape, and not all zeros; nothing may be cut off.
# By hand: $(1, -7)$ with 4 bits needs 1, since the grid ends at 7; $(1, -7.5)$ needs 2.

# %% tags=["deep"]
def power_of_two_scale(x, bits):
    ...  # your code


check("quantize.power_of_two_scale", power_of_two_scale)
# hint("quantize.power_of_two_scale")
# solution("quantize.power_of_two_scale")

# %% [markdown] tags=["deep"]
# ### 19.7 · Build · fold_before · 15 min · ●●○ · 3 points
#
# Some networks put the norm *before* the layer.
# Write `fold_before(weight, bias, gamma, beta, mean, variance)`:
# weight and bias of one linear layer that answers for `x` as norm and layer did,
# one after the other ($\epsilon$ is 0 here).
# `weight` is (filters, inputs), `bias` (filters,), the others (inputs,); return the pair (weight, bias).
# Gradients have to pass.
# By hand, weights $(1, 2)$ and bias 3; a norm whose Eq. 19.8 comes to $a = (10, 100)$ and $t = (5, -1)$.
# Then the weights are $(10, 200)$, and the bias is $3 + 5 - 2 = 6$.
#
# And then think: why does this not work for a convolution that pads with zeros?

# %% tags=["deep"]
def fold_before(weight, bias, gamma, beta, mean, variance):
    ...  # your code


check("quantize.fold_before", fold_before)
# hint("quantize.fold_before")
# solution("quantize.fold_before")

# %% [markdown] tags=["optional"]
# ### 19.8 · Further · 60 min · ●●● · 0 points
#
# If the filters of a depthwise layer differ by a factor of a hundred, make them equal:
# multiply filter $i$ by $c_i$ and divide what the next layer does with it by $c_i$.
# With ReLU in between nothing changes, with ReLU6 almost nothing.
# Port cross-layer equalization from [1906.04721](https://arxiv.org/abs/1906.04721), section 4.1,
# to the deployed `lite`, and draw the AP of one grid for each layer again.
# How many bits did it win?

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("quantize")
# yours()            whose functions are at work now
# restore()          the course's own again
# submit()           your answers in one small file

# %% [markdown] tags=["core"]
# ## Where next
#
# Weights are rounded, maps were only watched.
# Chapter 20 rounds both, inside the network, while it is being trained.
# There the small networks and the four bits come back.
#
# Chapter 18 removed whole filters; what is left after it can be rounded as well (chapter 22).

# %% [markdown] tags=["core"]
# ## References
#
# - Jacob et al.: integer arithmetic, folding, zero points.
#   [1712.05877](https://arxiv.org/abs/1712.05877)
# - Krishnamoorthi: granularity and what it is worth.
#   [1806.08342](https://arxiv.org/abs/1806.08342)
# - Wu et al.: observers compared, entropy and percentile.
#   [2004.09602](https://arxiv.org/abs/2004.09602)
# - Nagel et al.: a white paper with recipes.
#   [2106.08295](https://arxiv.org/abs/2106.08295)
# - Nagel et al.: cross-layer equalization.
#   [1906.04721](https://arxiv.org/abs/1906.04721)
# - Bhalgat et al.: why SiLU wants an affine grid.
#   [2004.09576](https://arxiv.org/abs/2004.09576)
