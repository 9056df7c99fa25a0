# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 20 · QAT: a network that learns to be rounded
#
# **Question. Rounding has no slope.
# How can a network learn to live with it?**
#
# After this chapter you can
#
# 1. round with a straight-through gradient, and say which weights it reaches (exercises 20.1 and 20.3)
# 2. train the size of a step, and the range of an activation (exercises 20.2 and 20.5)
# 3. tell post-training quantization from quantization-aware training, and when the first is enough (quiz)
# 4. find the layer that hurts, and spread a budget of bits over a network (exercise 20.4)
# 5. see why a weight between two steps does not come to rest (exercise 20.6)
#
# | study | about 130 min (estimate); the core, without the parts that are marked *(deep)*, about 65 |
# |---|---|
# | run | <!-- run -->0.8 min (45 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->982 MB (measured)<!-- /peak --> |
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
import statistics

import torch
from torch import nn

from lib.basics import data, training
from lib.book import plots
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
)
from lib.compression import deployed, grids, qat, quantize, rounding
from lib.detection import anchors, coco_eval, detection_loss, detectors

device = setup("20_qat", seed=0)

# %% [markdown] tags=["core"]
# Chapter 19 put numbers on a grid: a step $s$, a zero point $z$, integers between a lowest and a highest.
# It looked at a tensor at a time.
# Now a whole network is rounded, and then it is *trained* while it is rounded.
# That is *QAT*, quantization-aware training.
# You write the central function yourself: exercise 20.1.
# Once it is right, every grid below that is not trained runs on yours.
# Four guesses first.
# Write a number instead of `None`.
# What is marked *(deep)* can wait for a second reading.

# %% tags=["core", "slide"]
guess("AP lost by plain with 8 bits everywhere", None)  # 0 to 1
guess("AP lost by plain with weights of 3 bits", None)
guess("share of that loss which 60 steps of training win back", None)  # 0 to 1
guess("layers of plain that suffer from 2 bits, of 27", None)

# %% [markdown] tags=["core", "slide"]
# ## What is the slope of a staircase?
#
# A grid of 3 bits: steps of 0.2, integers from $-3$ to 3.
# A weight $w = 0.29$ lies between two of its points, 0.2 and 0.4, and nearer to the first.
# It becomes 0.2.
# Now move it by 0.005, to 0.295.
# What does the network notice?
#
# Nothing.
# $0.295 / 0.2 = 1.475$ still rounds to 1.
# At 0.3 the value jumps to 0.4 at once.
# So the slope is 0, or it is infinite.
# [*Fake quantization*](GLOSSARY.md#fake-quantization) is this: to the grid and back, in real numbers.
#
# $$ \hat w = s \left( \operatorname{clamp}\!\left( \operatorname{round}\!\left(\tfrac{w}{s}\right) + z,\ l,\ h
#    \right) - z \right) \tag{20.1} $$
#
# $s$ is the step, $z$ the zero point, $l$ and $h$ the lowest and the highest integer.
# "Fake", because integers could hold the result, but no integer is stored.

# %% tags=["core", "slide"]
staircase = qat.FakeQuantize(qat.Scheme(3, axis=None))
staircase.set(quantize.QParams(torch.tensor(0.2), torch.tensor(0), -3, 3))
some = torch.tensor([0.29, 0.295, 0.31, 0.9, -0.9])
assert torch.allclose(staircase(some), torch.tensor([0.2, 0.2, 0.4, 0.6, -0.6]))
staircase(some)

# %% [markdown] tags=["core"]
# **Break it.**
# Let automatic differentiation have a look at the rounding itself.

# %% tags=["core", "slide", "nbval-check-output"]
w = torch.tensor([0.29, 0.31], requires_grad=True)
(torch.round(w / 0.2) * 0.2).sum().backward()
w.grad.tolist()

# %% [markdown] tags=["core"]
# Zero, and rightly so.
# A network that learns from this learns nothing.
# The [*straight-through*](GLOSSARY.md#straight-through) rule answers with something false that works:
# in the backward pass, act as if rounding were not there.
# Only the ends stay: a value that was cut off changes nothing, however it moves.
#
# $$ \frac{\partial \hat w}{\partial w} := \begin{cases} 1 & l \le \operatorname{round}(w/s) + z \le h \\
#    0 & \text{else} \end{cases} \tag{20.2} $$

# By hand: 0.69 rounds to 3 steps, which exist; 0.71 to 4, which do not.
# Note that the *integer* is asked, and not the real number: 0.69 lies above $3 s = 0.6$, and still gets its gradient.
#
# ### 20.1 · Build · straight_through · 15 min · ●●○ · 3 points
#
# Write `straight_through(x, scale, zero, low, high)`: the value of Eq. 20.1, and for `x` the gradient of Eq. 20.2.
# `x` is a float tensor of any shape.
# `scale` ($s$) and `zero` ($z$, whole numbers in float32) are tensors that broadcast to it and get no gradient;
# `low` and `high` are the integers $l$ and $h$.
# `x.detach()` is the same values without a gradient, so `x - x.detach()` is 0 with a slope of 1.
# `torch.round` takes a half to the even neighbour; `torch.where(inside, x, 0.0)` is 0 outside, gradient and all.


# %% tags=["core"]
def straight_through(x, scale, zero, low, high):
    """Onto a grid and back; the gradient of x passes where nothing was cut off.

    By hand: 0.29, 0.69, 0.71 with scale 0.2, zero 0, ends -3 and 3 give 0.2, 0.6, 0.6.
    Their gradients are 1, 1, 0.
    """
    # your code, in place of the dots
    ...


build("qat.straight_through", straight_through)
# hint("qat.straight_through")
# solution("qat.straight_through")

# %% tags=["core", "slide", "nbval-check-output"]
show(rounding.straight_through, folded=True)
w = torch.tensor([0.29, 0.31, 0.69, 0.71], requires_grad=True)
staircase(w).sum().backward()
assert w.grad.tolist() == [1, 1, 1, 0]
w.grad.tolist()

# %% [markdown] tags=["core"]
# `staircase` called it: whoever has a grid that stays calls `rounding.straight_through`.
# (While ours stands there, a second form of it runs, which keeps only `inside` for the way back.)
# Here are the staircase, and the line whose slope is used instead.

# %% tags=["core", "slide"]
x = torch.linspace(-1, 1, 401)
drawn = {"rounded": staircase(x), "believed": x.clamp(-0.7, 0.7)}
says = f"The stairs have {len(staircase(x).unique())} treads; the line cuts through."
plots.lines(x, drawn, x_label="weight", y_label="what the network sees", says=says)

# %% [markdown] tags=["core", "slide"]
# ## Where does a weight come to rest?
#
# One weight, and a loss that wants it at 0.33: $(\hat w - 0.33)^2$.
# The grid offers 0.2 and 0.4.
# We start at 0.1 and follow the straight-through gradient.
# Which of the two will it be?

# %% tags=["core", "slide"]
w, path = torch.tensor(0.1, requires_grad=True), []
for _ in range(60):
    loss = (staircase(w) - 0.33) ** 2
    w.grad = torch.autograd.grad(loss, w)[0]
    w.data -= 0.05 * w.grad
    path.append((w.item(), staircase(w).item()))
real, rounded = (torch.tensor(each) for each in zip(*path, strict=True))
flips = int((rounded[1:] != rounded[:-1]).sum())
says = f"Real: {real[-20:].mean():.2f} at the end. Rounded: changes {flips} times."
plots.lines(range(60), {"real": real, "rounded": rounded, "wanted": [0.33] * 60},
            x_label="step", y_label="weight", says=says)  # fmt: skip

# %% [markdown] tags=["core"]
# Neither.
# At 0.2 the gradient says "up", at 0.4 it says "down", so the real weight walks to the edge between them, 0.3,
# and the rounded one jumps to and fro.
# On average the rounded one *is* about 0.33.
# That is good while training, and bad at the end: after the last step it is one of the two, by chance.
# A learning rate that falls to zero helps (exercise 20.6 counts the turns).
#
# **Break it.**
# Why keep a real weight at all?
# The network only ever sees the rounded one.
# Round the weight itself after each step, and start at 0.

# %% tags=["core", "slide", "nbval-check-output"]
w = torch.tensor(0.0, requires_grad=True)
for _ in range(60):
    w.grad = torch.autograd.grad((staircase(w) - 0.33) ** 2, w)[0]
    w.data = staircase(w.data - 0.05 * w.grad)
w.item()

# %% [markdown] tags=["core"]
# It never moved.
# The first update is $0.05 \cdot 0.66 = 0.033$, less than half a step, and is rounded away, sixty times.
# The real weight is where small updates add up.
#
# So much for one weight.
# From here on there are three detectors of part III, flat, with their norms folded, and 64 pictures to look at.

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
models = {name: detectors.shipped(name) for name in ("plain", "course", "lite")}
flat = {n: deployed.deployed(m, torch.zeros(2, 3, 128, 128)) for n, m in models.items()}
pictures = detectors.scenes("train", 64)
images = training.normalise(torch.stack([pictures[i].image for i in range(64)]))
batches = images.split(16)

# %% [markdown] tags=["deep", "slide"]
# ## How long should a step be? (deep)
#
# A long step rounds coarsely, a short one cuts off what is large.
# Chapter 19 searched for the best length.
# *LSQ* ([learned step size quantization](GLOSSARY.md#learned-step)) trains it, like a weight.
# For that it needs a slope.
#
# By hand, with $s = 0.2$.
# The weight 9 becomes the last point, $3s$.
# Make $s$ larger by a little, and $\hat w$ grows by three times as much: slope 3.
# The weight 0.29 becomes $1 \cdot s$.
# Is the slope 1?
# Not quite: $0.29 / s$ is inside the rounding, and the straight-through rule lets that through,
# with $-0.29 / s = -1.45$.
# Together $1 - 1.45 = -0.45$.
# With $q$ the integer that comes out:
#
# $$ \frac{\partial \hat w}{\partial s} = \begin{cases} (q - z) - w/s & \text{inside} \\
#    q - z & \text{where it was cut off, } q = l \text{ or } h \end{cases} \tag{20.3} $$
#
# ### 20.2 · Build · step_gradient · 10 min · ●●○ · 2 points
#
# Optional.
# Write `step_gradient(x, scale, steps, inside)`: Eq. 20.3 for each value of `x`, a tensor of its shape.
# `steps` are $q - z$, what came out of the rounding, and `inside` is True where nothing was cut off.


# %% tags=["deep"]
def step_gradient(x, scale, steps, inside):
    """How fast each rounded value grows with the step.

    By hand: 0.29 and 9 with scale 0.2 became 1 and 3 steps, the second one cut off: -0.45 and 3.
    """
    # your code, in place of the dots
    ...


build("qat.step_gradient", step_gradient)
# hint("qat.step_gradient")
# solution("qat.step_gradient")

# %% tags=["deep"]
show(rounding.step_gradient, folded=True)
learns = qat.FakeQuantize(qat.Scheme(3, axis=None, learned=True))
learns.set(staircase.qparams())
slopes = []
for value in (0.29, 0.31, 9.0):
    value = torch.tensor(value)
    slope = torch.autograd.grad(learns(value), learns.scale)[0] / learns.gain(value)
    slopes.append(slope.item())
assert all(abs(a - b) < 1e-4 for a, b in zip(slopes, (-0.45, 0.45, 3.0), strict=True))
[round(slope, 3) for slope in slopes]

# %% [markdown] tags=["deep"]
# Near an edge the slope is large, on a point of the grid it is 0:
# a longer step would move those points away that are met exactly.

# %% tags=["deep", "slide"]
x = torch.linspace(-1, 1, 401)
q = (staircase(x) / 0.2).round()
inside = (x / 0.2).round().abs() <= 3
says = "Between -0.7 and 0.7 a saw between -0.5 and 0.5; outside 3 and -3."
drawn = {"slope of the step": q - torch.where(inside, x / 0.2, 0.0)}
plots.lines(x, drawn, x_label="weight", y_label="slope", says=says)

# %% [markdown] tags=["deep"]
# One step is shared by thousands of weights, and all their slopes add up.
# A step would run away from its weights.
# LSQ multiplies the gradient of a step that $N$ values share by
#
# $$ g = \frac{1}{\sqrt{N h}} \tag{20.4} $$
#
# With it an update moves a step by about the same share of its size as it moves a weight.
# By hand for 36 weights on a grid up to 7: $1 / \sqrt{252} = 0.063$.
# Does it find the best step?
# We take one layer of the detector, 4 bits, and let only $s$ learn, from the squared error of rounding.

# %% tags=["deep", "slide"]
four = qat.FakeQuantize(qat.Scheme(4, axis=None))
assert abs(four.gain(torch.zeros(36)) - 252**-0.5) < 1e-9
name = next(n for n in dict(flat["plain"].named_modules()) if "stages_2_1_first" in n)
weights = flat["plain"].get_submodule(name).weight.detach().flatten()
lsq = qat.FakeQuantize(qat.Scheme(4, axis=None, learned=True))
lsq.set(quantize.choose_qparams(weights, 4, symmetric=True))
first, optimizer = lsq.scale.item(), torch.optim.Adam(qat.parameter_groups(lsq, 0.02))
for _ in range(120):
    optimizer.zero_grad()
    (lsq(weights) - weights).square().mean().backward()
    optimizer.step()
tried, errors = [first * k / 50 for k in range(10, 56)], []
for scale in tried:
    staircase4 = quantize.QParams(torch.tensor(scale), torch.tensor(0), -7, 7)
    back = quantize.dequantize(quantize.quantize(weights, staircase4), staircase4)
    errors.append((back - weights).square().mean().item())
best, learned = tried[errors.index(min(errors))], lsq.scale.item()
says = f"Min-max: {first:.4f}. Least error: {best:.4f}. Learned (LSQ): {learned:.4f}."
plots.lines(tried, {"error": errors}, x_label="step", y_label="squared error", says=says)

# %% [markdown] tags=["deep"]
# The largest weights are rare, and min-max wastes steps on them; LSQ gives them up, without a search.
# In a network it follows the loss and not the error of rounding.
#
# Two traps.
# A step can be thrown below zero by one large update: our module lifts it back above.
# And Adam divides every gradient by its usual size, so the factor $g$ does nearly nothing there:
# it would move a step of 0.01 as fast as a weight of 1.
# So `qat.parameter_groups` gives every step a rate in proportion to its own size.
# *LSQ+* also learns the zero point of an asymmetric grid.

# %% [markdown] tags=["core", "slide"]
# ## Which weights are rounded?
#
# Two filters see the same input with the same weights.
# Then a batch norm multiplies the first by 1 and the second by 0.02.
# What is deployed is one convolution with *folded* weights (chapter 19), so those are rounded.
# What happens to the second filter if both share one grid of 4 bits?

# %% tags=["core", "slide", "nbval-check-output"]
filters = torch.tensor([[0.9, -0.4, 0.2]]) * torch.tensor([[1.0], [0.02]])
for axis in (None, 0):
    grid = quantize.choose_qparams(filters, 4, symmetric=True, axis=axis)
    print(quantize.quantize(filters, grid).tolist())

# %% [markdown] tags=["core"]
# With one grid it is gone: all zeros.
# With a grid for each filter the integers are those before the norm.
# That is why weights get a step for each filter.

# %% [markdown] tags=["deep"]
# **Folded with which statistics? (deep)**
# A batch norm in training mode divides by the spread of *this batch*.
# If its factors are folded and then rounded, the weights that are rounded change with every batch.
# How much?
# We fold the first convolution of `plain` with the statistics of small batches,
# and count integers of 4 bits that differ from those of the network as deployed.

# %% tags=["deep", "slide"]
conv, norm = models["plain"].backbone.stages[0][0][:2]
seen = {}
handle = norm.register_forward_hook(lambda _, inputs, __: seen.update(x=inputs[0]))


def folded(variance):
    scale = norm.weight / (variance + norm.eps).sqrt()
    return (conv.weight * scale[:, None, None, None]).detach()


right = folded(norm.running_var)
grid = quantize.choose_qparams(right, 4, symmetric=True, axis=0)
moved = []
for small in images[:32].split(4):
    with torch.no_grad():
        models["plain"](small)
    other = folded(seen["x"].var((0, 2, 3), unbiased=False))
    differ = quantize.quantize(other, grid) != quantize.quantize(right, grid)
    moved.append(differ.float().mean().item())
handle.remove()
says = f"In batches of 4, {min(moved):.0%} to {max(moved):.0%} of the integers differ."
plots.points({"batches of 4": moved}, y_label="share of integers that differ", says=says)

# %% [markdown] tags=["deep"]
# So the network would learn to live with a rounding that is not the one it will get.
# The simplest remedy: fold first, for good, and train the network **as it is deployed**.
# (arXiv 1712.05877 went a longer way round, for trainings from scratch.)

# %% [markdown] tags=["core", "slide"]
# ## Where in a network is something rounded?
#
# After everything that gives values between the steps: convolutions, sums, means.
# A ReLU right behind a convolution is done by the device while it writes, so the grid comes after it.
# A maximum, a resize or a slice only chooses values that stand on a grid already.
# Take $\operatorname{relu}(\operatorname{conv}(x))$: how many roundings of maps do you expect, the input included?

# %% tags=["core"]
show(grids.places)

# %% tags=["core", "slide", "nbval-check-output"]
two = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
two = deployed.deployed(two, torch.zeros(2, 3, 8, 8))
eight_bits = qat.Scheme(bits=8)  # of weights; maps have 8 by default
assert len(qat.maps(qat.prepare(two, eight_bits))) == 2  # the input, and the ReLU's output
prepared = {name: qat.prepare(graph, eight_bits) for name, graph in flat.items()}
for name, network in prepared.items():
    print(name, len(qat.layers(network)), "layers,", len(qat.maps(network)), "maps")

# %% [markdown] tags=["core"]
# Biases stay real here: a device has them in 32 bits, in steps so small that training need not know them.
#
# **Break it.**
# Nobody has told these networks a range yet.

# %% tags=["core", "nbval-check-output"]
try:
    prepared["plain"](images[:1])
except ValueError as error:
    print(error)

# %% [markdown] tags=["core"]
# `calibrate` runs a few batches in real numbers, and each module watches.
# That is [**post-training quantization**](GLOSSARY.md#post-training): no label, no gradient, only a few batches.

# %% tags=["core"]
show(qat.calibrate)

# %% tags=["core", "slide"]
for network in prepared.values():
    qat.calibrate(network, batches)
scenes = detectors.scenes("test", 100)
truth = scenes.coco()


def ap(model):
    return coco_eval.evaluate(truth, coco_eval.detections(model, scenes)).ap


def all_at(network, bits):
    return qat.with_bits(network, dict.fromkeys(qat.layers(network), bits))


# %% tags=["core", "slide"]
rows, less = [], {}
for name, network in prepared.items():
    real = coco_eval.detections(models[name], scenes)
    for bits in (8, 4, 3):
        fewer = network if bits == 8 else all_at(network, bits)
        it = coco_eval.compare(truth, real, coco_eval.detections(fewer, scenes))
        less[name, bits] = it.difference
    told = (f"{less[name, bits]:+.3f}" for bits in (8, 4, 3))
    rows.append((name, f"{it.a.value:.3f}", *told))
table(("AP on 100 scenes", "real", "8 bits less real", "weights of 4", "weights of 3"), rows)
measured("AP lost by plain with 8 bits everywhere", -less["plain", 8].value)
measured("AP lost by plain with weights of 3 bits", -less["plain", 3].value)

# %% [markdown] tags=["core"]
# In brackets stand the paired intervals of chapter 16: both detectors saw the same scenes, drawn again and again.
# Eight bits cost hardly anything.
# The four bits from 8 to 4 together cost less than the one from 4 to 3.
# That gap is what training has to win back.

# %% [markdown] tags=["deep"]
# ### And SiLU? (deep)
#
# A quantized EfficientNet with SiLU has become famous for its collapse: 75 % of ImageNet before, 46 % after,
# with min-max ranges (the EfficientNet-Lite announcement).
# The `course` detector has SiLU, and did not collapse above.
# Why should SiLU be harder at all?
# Its output reaches down to $-0.28$, and has no upper limit.
# By hand: a range from $-0.28$ to 10, in 15 steps of 4 bits.
# How many steps are left below zero?

# %% tags=["deep", "slide", "nbval-check-output"]
low = nn.functional.silu(torch.linspace(-5, 0, 5001)).min().item()
for top in (2, 5, 10, 20):
    step = (top - low) / 15
    print(f"up to {top}: {round(-low / step)} of 15 steps below 0")

# %% [markdown] tags=["deep"]
# None, from a range of 10 on: everything negative becomes zero, and SiLU is a ReLU.
# With 255 steps there are seven left.
# So the danger grows with [*outliers*](GLOSSARY.md#outliers) and with *fewer bits*.
# How wide are the ranges here, against ranges that leave out a value in ten thousand at each end?

# %% tags=["deep", "slide"]
ratios = {}
for name, graph in flat.items():
    clipped = qat.Scheme(8, False, False, None, quantize.Percentile)
    network = qat.prepare(graph, eight_bits, clipped)
    qat.calibrate(network, batches[:1])
    pairs = zip(qat.maps(prepared[name]).values(), qat.maps(network).values(), strict=True)
    ratios[name] = [float(wide.scale / narrow.scale) for wide, narrow in pairs]
says = ", ".join(f"{name}: up to {max(values):.1f}" for name, values in ratios.items())
plots.points(ratios, y_label="range, over that of all but 0.01 %", says=says)

# %% [markdown] tags=["deep"]
# The widest ranges are about twice as wide as what nearly all values need: one bit of eight.
# More bits have to go before SiLU matters here.
# That has been recorded, for a fourth detector too: `mbconv`, with EfficientNet's own blocks,
# SiLU and squeeze-excite (`python data/ablations/quantization.py`, about 20 minutes).
# Weights keep 8 bits.

# %% jupyter={"source_hidden": true} tags=["core", "catch-up"]
# Catch-up: reads the recorded runs.
path = data.FOLDER / "ablations" / "quantization.jsonl"
record = [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def recorded(**about):
    return [r for r in record if about.items() <= r.items()]


def lost_ap(name, **how):
    rows = recorded(model=name, **how)
    aps = [r["ap"] for r in rows if r["experiment"] != "training"]
    return float_ap[name] - statistics.mean(aps)


kinds = "plain", "lite", "course", "mbconv"
float_ap = {r["model"]: r["ap"] for r in recorded(experiment="float")}
print(f"{len(record)} recorded rows")

# %% jupyter={"source_hidden": true} tags=["deep", "slide"]
# Draws the recorded AP that is lost by the bits of the maps.
by_maps = {"weights": 8, "axis": "channel"}
widths = (4, 5, 6, 8)
falls = {
    n: [lost_ap(n, maps=b, observer="min-max", **by_maps) for b in widths] for n in kinds
}
says = "Lost with maps of 4 bits: " + ", ".join(f"{n} {v[0]:.2f}" for n, v in falls.items())
plots.lines(widths, falls, x_label="bits of the maps", y_label="AP lost (recorded)",
            says=says + ".")  # fmt: skip

# %% jupyter={"source_hidden": true} tags=["deep"]
# Lists the recorded AP that is lost, whole range and clipped.
rows = []
for name in kinds:
    pairs = [(b, o) for b in (4, 6) for o in ("min-max", "mse")]
    lost_by = [lost_ap(name, maps=b, observer=o, **by_maps) for b, o in pairs]
    rows.append((name, *(f"{value:.3f}" for value in lost_by)))
heads = "4 bits: whole range", "clipped (MSE)", "6 bits: whole range", "clipped (MSE)"
table(("AP lost (recorded)", *heads), rows)

# %% [markdown] tags=["deep"]
# With 8 bits of SiLU there is nothing to be seen.
# With 4 bits `lite`, made without gates and SiLU for this very purpose, falls least, and `course` most.
# Clipping helps all four with 4 bits, but only `mbconv` with 6.
# (Below 8 bits each point is one run, so small differences say nothing.)
# In the collapse that became famous, maps ran from $-168$ to 204, in a deep network trained for weeks.
# Compare with the ranges of ours above before you carry a result over, in either direction.

# %% [markdown] tags=["deep"]
# And the weights?
# One step for each filter (**per-channel**), or one for the whole layer (**per-tensor**),
# with maps of 8 bits (recorded):

# %% jupyter={"source_hidden": true} tags=["deep", "slide"]
# Draws the recorded AP that is lost by the bits of the weights.
widths, by_weights = (2, 3, 4, 5, 6, 8), {"maps": 8, "observer": "min-max"}
grain = {"one step a filter": "channel", "one for all": "tensor"}
falls = {
    f"{n}, {g}": [lost_ap(n, weights=b, axis=axis, **by_weights) for b in widths]
    for n in ("plain", "lite") for g, axis in grain.items()
}  # fmt: skip
says = "Lost with weights of 4 bits: " + ", ".join(
    f"{n} {v[2]:.2f}" for n, v in falls.items()
)
plots.lines(widths, falls, x_label="bits of the weights", y_label="AP lost (recorded)",
            says=says + ".")  # fmt: skip

# %% [markdown] tags=["deep"]
# Every bit that goes doubles the step, and a depthwise filter (`lite`, `course`,
# `mbconv`) has only nine weights to average the errors over.
# That is where a grid for each filter matters most.

# %% [markdown] tags=["core", "slide"]
# ## Which layer hurts?
#
# It is the question that users of onnxruntime, OpenVINO and TensorRT ask most: the score fell, whose fault is it?
# A *sensitivity scan* asks one at a time.
# Give one weight few bits, leave everything else at eight, and look at the loss.
# Then the same with one map.
# 27 layers, 33 maps, 16 validation scenes.
# Before the next cell: with four bits, is it a weight or a map that hurts most?

# %% tags=["core", "slide"]
places = anchors.anchors((128, 128), models["plain"].config.anchors)
sharp = {"delta": 0.02, "box_weight": 250}  # as the shipped detectors were trained
some = detectors.scenes("validation", 16)
judge_on = data.collate([some[i] for i in range(16)])


def loss_of(model, batch):
    outputs = model(training.normalise(batch.images))
    return detection_loss.detection_loss(*outputs, batch, places, **sharp).total, {}


def judge(model):
    with torch.no_grad():
        return loss_of(model, judge_on)[0].item()


plain, damage = prepared["plain"], {}
base = judge(plain)
for of in ("weights", "maps"):
    scan = qat.sensitivity(plain, judge, (2, 4) if of == "weights" else (4,), of=of)
    damage[of] = {n: {8: 0.0} | {b: v - base for b, v in row.items()} for n, row in scan.items()}
suffer = sum(row[2] > 0.1 * base for row in damage["weights"].values())  # by a tenth or more
measured("layers of plain that suffer from 2 bits, of 27", suffer)

# %% tags=["core", "slide"]
worst = {}
for of, rows in damage.items():
    for name in sorted(rows, key=lambda n: -rows[n][4])[:5]:
        short = name.replace("after_", "").replace("backbone_", "").replace("conv_", "", 1)
        worst[f"{of[:-1]} {short}"] = rows[name][4] / base
first, second = list(worst)[5:7]
says = f"Worst are two maps: {first} adds {worst[first]:.0%} to the loss, {second} {worst[second]:.0%}."
plots.bars(worst, y_label="growth of the loss when this alone has 4 bits", says=says)

# %% [markdown] tags=["core"]
# No weight comes near those two maps.
# They are what the box head gives for two levels: how far the edges of a box move.
# Sixteen values for a distance, and every box is a little out of place.
#
# What does one do with a layer that hurts?
# Leave it alone: `keep_float` names layers that stay in real numbers, each with the map that it gives.
# That is [**mixed precision**](GLOSSARY.md#mixed-precision)
# (`nodes_to_exclude` in onnxruntime, `ignored_scope` in NNCF).
# It costs: 32 bits for each of its weights, and a way out of the integers and back.
# So few layers should do.
# We give all weights *and* all maps of `plain` four bits, and leave 0, 1, 2 or 4 layers real:
# those whose weight and map did most damage together.
# The control: as many layers, drawn by lot, twice.

# %% tags=["core", "slide"]
def four_bits(keep):
    maps = qat.Scheme(4, symmetric=False, signed=False, axis=None)
    prepared_4 = qat.prepare(flat["plain"], qat.Scheme(4), maps, keep_float=keep)
    return coco_eval.detections(qat.calibrate(prepared_4, batches), scenes)


names = list(damage["weights"])
hurts = {n: damage["weights"][n][4] + damage["maps"][f"after_{n}"][4] for n in names}
orders = {"by the scan": sorted(names, key=lambda n: -hurts[n])}
chance = torch.Generator().manual_seed(0)
for i in (1, 2):
    lots = torch.randperm(len(names), generator=chance).tolist()
    orders[f"by lot, {i}"] = [names[k] for k in lots]
counts, none_kept = (0, 1, 2, 4), four_bits([])
found = {how: [none_kept] + [four_bits(o[:k]) for k in counts[1:]] for how, o in orders.items()}

# %% tags=["core", "slide"]
real = coco_eval.detections(models["plain"], scenes)
scores = {k: [coco_eval.evaluate(truth, each) for each in row] for k, row in found.items()}
print("left real:", *orders["by the scan"][:2])
print(f"nothing left real: AP at an overlap of one half {scores['by the scan'][0].ap50:.3f}")
it = coco_eval.compare(truth, real, found["by the scan"][2])
says = f"Two real layers chosen by the scan: AP {it.b.value:.3f}, {it.difference:+.3f} against real numbers."
curves = {how: [each.ap for each in row] for how, row in scores.items()}
curves["real numbers"] = [it.a.value] * len(counts)
plots.lines(counts, curves, x_label="layers left real, of 27", y_label="AP on 100 scenes", says=says)

# %% [markdown] tags=["core"]
# With four bits everywhere AP is halved, while AP at an overlap of one half stays near 0.9:
# digits are found, and their boxes sit badly.
# The scan names two layers, and with them real, more than half of the loss is gone.
#
# Where a device knows other numbers of bits, a layer need not stay real.
# Then there is a budget of bits to spend.
# All layers begin with the most bits.
# Again and again, make the cut that does least damage for each bit it saves.
# With $D_k(b)$ the damage of layer $k$ at $b$ bits and $n_k$ its weights, the price of a cut from $b$ to $b'$ is
#
# $$ p_k = \frac{D_k(b') - D_k(b)}{n_k\,(b - b')} \tag{20.5} $$
#
# By hand: layer A has 10 weights and loses 1 from 8 to 4 bits: $1/40$.
# B has 20 and loses 3: $3/80$.
# A is cut first, though B has more to give.

# %% tags=["core"]
show(qat.allocate)

# %% tags=["core", "slide", "nbval-check-output"]
toy = {"A": {8: 0.0, 4: 1.0}, "B": {8: 0.0, 4: 3.0}}
assert qat.allocate(toy, {"A": 10, "B": 20}, 239) == {"A": 4, "B": 8}
qat.allocate(toy, {"A": 10, "B": 20}, 239)

# %% [markdown] tags=["core"]
# Weights of 2, 4 and 8 bits, *four on average*, and maps of eight:
# chosen by the scan, chosen by damages that are random numbers ("by dice"), and four bits everywhere.

# %% tags=["core", "slide"]
sizes = {n: layer.weight.numel() for n, layer in qat.layers(plain).items()}
dice = {n: {8: 0.0} for n in sizes}
for row in dice.values():
    row |= {bits: torch.rand((), generator=chance).item() / bits for bits in (2, 4)}
ways = {"by the scan": damage["weights"], "by dice": dice}
ways = {k: qat.allocate(each, sizes, 4 * sum(sizes.values())) for k, each in ways.items()}
mixed = {"4 everywhere": all_at(plain, 4)} | {k: qat.with_bits(plain, b) for k, b in ways.items()}
less = {k: coco_eval.compare(truth, real, coco_eval.detections(m, scenes)) for k, m in mixed.items()}
print("layers at 2, 4 and 8 bits:", *(list(ways["by the scan"].values()).count(b) for b in (2, 4, 8)))
whiskers = {k: (v.difference.value, v.difference.low, v.difference.high) for k, v in less.items()}
plots.intervals(whiskers, y_label="AP less that of real numbers, 95 %")

# %% [markdown] tags=["core"]
# The scan has looked at 16 pictures and at one tensor at a time,
# and damages are added as if they did not know of each other.
# It is cheap advice, not an optimum: measure what it proposes.
# A device must also be able to use such bits: eight and four are common, three is not.
# (Chapters 17 and 18 asked the same question of zeros and of channels.
# HAQ and HAWQ, below, answer it with a search and with second derivatives.)

# %% [markdown] tags=["core", "slide"]
# ## Can training win it back?
#
# Weights of 3 bits: seven values.
# We start from the shipped weights, calibrate, and train 60 steps of 8 scenes.
# Weights learn by the straight-through gradient; the size of each step is learned as well (LSQ, Eq. 20.3).
# The learning rate is small: the network is nearly right.
# That is **quantization-aware training** as it is mostly done, a short **fine-tuning**.

# %% tags=["core", "slide"]
QUICK = True  # False: 300 steps
steps = 60 if QUICK else 300
learner = qat.prepare(flat["plain"], qat.Scheme(3, learned=True))
qat.calibrate(learner, batches)
rounded_only = coco_eval.detections(learner, scenes)
lessons = detectors.scenes("train", 8 * steps)
optimizer = torch.optim.AdamW(qat.parameter_groups(learner, lr=3e-4))
history = training.fit(
    learner, lessons, loss_of, steps=steps, batch_size=8, optimizer=optimizer, clip=10.0,
    collate=data.collate,
)  # fmt: skip

# %% tags=["core", "slide"]
it = coco_eval.compare(truth, rounded_only, coco_eval.detections(learner, scenes))
rounded_only, trained = it.a.value, it.b.value
real = coco_eval.evaluate(truth, real).ap
won = (trained - rounded_only) / (real - rounded_only)
measured("share of that loss which 60 steps of training win back", won)
count = sum(p.numel() for p in flat["plain"].parameters())
print(f"{4e-3 * count:.0f} kB of floats, {qat.size(learner) / 1e3:.0f} kB with 3 bits")
print(f"AP won by training: {it.difference:+.3f}")
smooth = [statistics.mean(history.loss[max(0, i - 9) : i + 1]) for i in range(steps)]
says = f"AP: {real:.3f} real, {rounded_only:.3f} rounded, {trained:.3f} trained."
how = {"x_label": "step", "y_label": "loss, mean of 10 steps", "says": says}
plots.lines(range(steps), {"loss": smooth}, **how)

# %% [markdown] tags=["core"]
# A short training wins back a good part of the damage.

# %% [markdown] tags=["deep"]
# **Is it the method's own merit? (deep)**
# One run says little.
# Recorded: 150 steps of 8 scenes from three seeds, for two detectors,
# with steps that stay (STE, for straight-through estimator) and with learned ones (LSQ).
# "More training" is the control: the same steps without any rounding.

# %% tags=["deep", "slide"]
def trained_rows(name):
    groups = {"real weights": [0.0]}
    for r in recorded(experiment="training", model=name):
        bits, how = f"{r['weights']} bits", r["how"]
        key = "more training" if how == "float" else f"{bits}, {how}"
        groups.setdefault(key, []).append(r["ap"] - float_ap[name])
        if how == "LSQ":
            before = groups.setdefault(f"{bits}, not trained", [])
            before.append(r["before"] - float_ap[name])
    return dict(sorted(groups.items()))


label = "AP minus that of real weights (recorded)"
from_shipped = {
    f"{name}, {key}": values
    for name in ("plain", "lite") for key, values in trained_rows(name).items()
}  # fmt: skip
plots.points(from_shipped, y_label=label)

# %% [markdown] tags=["deep"]
# Compare the trained groups with the control, not with zero.
# The control gains nothing, so what is won back here is the method's own.
# And does it pay to learn the step?
# For `plain` the points of STE and LSQ overlap, at 4 bits and at 3: no difference seen.
# For `lite` at 4 bits all three of LSQ lie above all three of STE.
# (STE at 3 bits was not run for `lite`.)

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **A warning instead of an error.** pytorch/pytorch#40278 and #100654:
#   an observer that saw nothing warns and gives scale 1 and zero point 0.
#   Nothing stops until the accuracy is measured.
#   Our modules refuse to run without a grid.
# - **The learned step is negative.**
#   ZouJiu1/LSQplus#12 and OpenPPL/ppq#518: a step passed zero in training.
#   The grid is mirrored, or accuracy is gone.
# - **Rounded, then folded.**
#   IntelLabs/distiller#397: weights were trained on a grid, then the batch norm was folded into them,
#   and they were on no grid any more.
# - **Folded with the statistics of a batch.**
#   AlexeyAB/darknet#5069: weights were folded in place, batch after batch, so the factors multiplied until NaN.
#   And some batches have statistics far from the average.
# - **A network of depthwise convolutions does not train.** microsoft/nni#3084: MobileNetV2, trained with 8 bits,
#   stayed at chance.
#   The user suspects that batch norms were not folded; the thread does not settle it.
# - **Min-max and SiLU.**
#   FasterAI-Labs/fasterai#55: EfficientNet-B0 with one symmetric min-max range for each map went from 85.6 % to 2.1 %,
#   all predictions in one class.
#   An observer that clips ended the collapse; by the title of the fix itself, the model stays degraded.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - Fake quantization rounds to a grid and stays in real numbers: what training sees is what integers will compute.
# - Rounding has no slope.
#   The straight-through gradient passes inside the grid, and stops outside.
# - A real weight stands behind each rounded one, so that small updates add up.
#   Between two steps it does not come to rest.
# - The slope of a step follows from the same rule (LSQ).
#   Under Adam its rate has to be set by hand.
# - Fold batch norms first, and train what is deployed.
#   One step for each filter.
# - Eight bits: calibrate, done.
#   Four and fewer: a scan for what hurts, that in real numbers or more bits, and a short training.

# %% tags=["core"]
guesses()

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 20.3 · Predict · reached · 5 min · ●○○ · 1 point
#
# Eight real weights: 0.1, $-0.59$, 0.65, 0.69, 0.71, $-0.75$, 1.4 and 0.
# The grid is symmetric: steps of 0.2, integers from $-3$ to 3, zero point 0.
# The gradient that arrives is 1 everywhere.
# By Eq. 20.2, how many of the eight get a gradient that is not 0?
# (It asks the integer *before* it is clamped: the weight in steps, rounded.)
#
# <details><summary>Answer</summary>
#
# In steps: 0.5, $-2.95$, 3.25, 3.45, 3.55, $-3.75$, 7, 0.
# Rounded: 0, $-3$, 3, 3, 4, $-4$, 7, 0.
# Three of them are outside.
# Five are reached, among them two that lie above 0.6, the last point.
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("qat.reached", answer)
# hint("qat.reached")
# solution("qat.reached")

# %% [markdown] tags=["core"]
# ### 20.4 · Measure · fewest_bits · 10 min · ●●○ · 2 points
#
# Three layers, and what a scan has found.
# What is the smallest mean of bits, in tenths, at which `allocate` does a damage of 6 or less?

# %% tags=["core"]
mean = 6.0  # change me
damages = {"stem": {8: 0.0, 4: 6.0, 2: 30.0}, "middle": {8: 0.0, 4: 1.0, 2: 8.0}}
damages["head"] = {8: 0.0, 4: 2.0, 2: 5.0}
counts = {"stem": 100, "middle": 400, "head": 500}
bits = qat.allocate(damages, counts, 1000 * mean)
print(bits, "damage", sum(damages[name][b] for name, b in bits.items()))

answer = ...  # the mean you found
check("qat.fewest_bits", answer)
# hint("qat.fewest_bits")
# solution("qat.fewest_bits")

# %% [markdown] tags=["deep"]
# ### 20.5 · Build · pact · 20 min · ●●● · 4 points
#
# LSQ learns a step.
# [PACT](https://arxiv.org/abs/1805.06085), a little older, learns where a map is cut off.
# Values below 0 become 0, values above $\alpha$ become $\alpha$, and $[0, \alpha]$ is rounded to $2^b - 1$ equal steps,
# both ends included.
# Gradients: $x$ gets what arrives where $0 < x < \alpha$ and nothing elsewhere.
# $\alpha$ gets what arrives where $x > \alpha$ and nothing else: the rounding is ignored for both.
# `x` is a tensor of any shape, `alpha` a tensor with one number, `bits` an integer.
# By hand: $-1, 0.4, 0.6, 5$ with $\alpha = 1.5$ and 2 bits give $0, 0.5, 0.5, 1.5$.

# %% tags=["deep"]
def pact(x, alpha, bits):
    ...  # your code


check("qat.pact", pact)
# hint("qat.pact")
# solution("qat.pact")

# %% [markdown] tags=["deep"]
# ### 20.6 · Build · oscillations · 15 min · ●●○ · 3 points
#
# Which weights do not come to rest?
# `history` is an integer tensor (steps, weights): what each weight was rounded to after each step.
# Count for each weight how often it *turned back*: it changed, and its change before that went in the other direction.
# A weight that rests in between still remembers its last direction.
# Return a tensor with one integer for each weight.
# ([arXiv 2203.11086](https://arxiv.org/abs/2203.11086) freezes those that turn too often.)
# By hand: $0, 1, 1, 0$ turns once, $0, 1, 2, 3$ never, $0, -1, 0, -1$ twice.

# %% tags=["deep"]
def oscillations(history):
    ...  # your code


check("qat.oscillations", oscillations)
# hint("qat.oscillations")
# solution("qat.oscillations")

# %% [markdown] tags=["optional"]
# ### 20.7 · Further · 120 min · ●●● · 0 points
#
# Rounding to the nearest point is not always best.
# [AdaRound](https://arxiv.org/abs/2004.10568) decides for each weight whether to go up or down, layer by layer,
# from a few hundred pictures and without labels.
# Write it for one layer of `plain` at 3 bits, and compare the layer's output with that of rounding to the nearest.

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("qat")
# yours()            whose functions are at work now
# restore()          the course's own again
# submit()           your answers in one small file

# %% [markdown] tags=["core"]
# ## Where next
#
# Everything here was still computed in real numbers.
# Chapter 21 takes them away: the same network, in integers only.
# In a library the same road is called PT2E (`prepare_qat_pt2e` in torchao); chapter 22 runs what is installed.

# %% [markdown] tags=["core"]
# ## References
#
# - Bengio, Léonard, Courville: [Estimating or propagating gradients through stochastic
#   neurons](https://arxiv.org/abs/1308.3432), 2013.
#   The straight-through estimator.
# - Jacob and others: [Quantization and training of neural networks for efficient integer-arithmetic-only
#   inference](https://arxiv.org/abs/1712.05877), 2018.
# - Krishnamoorthi: [Quantizing deep convolutional networks for efficient inference](https://arxiv.org/abs/1806.08342),
#   2018.
#   Batch norms in training.
# - Esser and others: [Learned step size quantization](https://arxiv.org/abs/1902.08153), 2020.
# - Bhalgat and others: [LSQ+](https://arxiv.org/abs/2004.09576), 2020.
#   A learned zero point, for SiLU.
# - Wang and others: [HAQ](https://arxiv.org/abs/1811.08886), 2019; Dong and others:
#   [HAWQ](https://arxiv.org/abs/1905.03696), 2019.
#   Mixed precision by a search, and by second derivatives.
# - Nagel and others: [Overcoming oscillations in quantization-aware training](https://arxiv.org/abs/2203.11086), 2022.
# - Nagel and others: [A white paper on neural network quantization](https://arxiv.org/abs/2106.08295), 2021.
#   EfficientDet-D1 among others.
