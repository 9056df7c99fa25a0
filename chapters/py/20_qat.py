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
# | study | about 120 min (estimate); the core, without what is marked *(deep)*, about 65 |
# |---|---|
# | run | <!-- run -->0.6 min (38 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->885 MB (measured)<!-- /peak --> |
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

# %% [markdown] tags=["core", "slide"]
# Chapter 19 put single tensors on a grid: a step $s$, a zero point $z$, integers between two ends.
# Now a whole network is rounded, and *trained* while it is rounded: *QAT*, quantization-aware training.
# You write the central function, exercise 20.1.
# Guess first, a number for each `None`.

# %% tags=["core", "slide"]
guess("AP lost by plain with 8 bits everywhere", None)  # 0 to 1
guess("AP lost by plain with weights of 3 bits", None)
guess("share of that loss which 60 steps of training win back", None)  # 0 to 1
guess("layers of plain that suffer from 2 bits, of 27", None)

# %% [markdown] tags=["core", "slide"]
# ## What is the slope of a staircase?
#
# A grid of 3 bits: steps of 0.2, integers from $l = -3$ to $h = 3$.
# The weight $w = 0.29$ is 1.45 steps and becomes one, 0.2.
# At 0.295 it still does; at 0.3 the value jumps to 0.4.
# So the slope is 0, or infinite.
# [*Fake quantization*](GLOSSARY.md#fake-quantization) is this: to the grid and back, in real numbers.
#
# $$ \hat w = s \left( \operatorname{clamp}\!\left( \operatorname{round}\!\left(\tfrac{w}{s}\right) + z,\ l,\ h
#    \right) - z \right) \tag{20.1} $$
#
# What does automatic differentiation say about the rounding?

# %% tags=["core", "slide", "nbval-check-output"]
staircase = qat.FakeQuantize(qat.Scheme(3, axis=None))
staircase.set(quantize.QParams(torch.tensor(0.2), torch.tensor(0), -3, 3))
some, wanted = torch.tensor([0.29, 0.31, 0.9]), torch.tensor([0.2, 0.4, 0.6])
assert torch.allclose(staircase(some), wanted)
w = torch.tensor([0.29, 0.31], requires_grad=True)
(torch.round(w / 0.2) * 0.2).sum().backward()
w.grad.tolist()

# %% [markdown] tags=["core"]
# Zero: a network learns nothing from this.
# The [*straight-through*](GLOSSARY.md#straight-through) rule acts, in the backward pass, as if rounding were not there.
# Only what was cut off gets nothing.
#
# $$ \frac{\partial \hat w}{\partial w} := \begin{cases} 1 & l \le \operatorname{round}(w/s) + z \le h \\
#    0 & \text{else} \end{cases} \tag{20.2} $$
#
# The *integer* is asked: 0.69 lies above $3 s = 0.6$, but rounds to 3 steps, which exist; 0.71 rounds to 4.
#
# ### 20.1 · Build · straight_through · 15 min · ●●○ · 3 points
#
# Write `straight_through(x, scale, zero, low, high)`: the value of Eq. 20.1, and for `x` the gradient of Eq. 20.2.
# `x` is a float tensor of any shape; `scale` ($s$) and `zero` ($z$, whole numbers in float32) are tensors that
# broadcast to it and get no gradient; `low` and `high` are the integers $l$ and $h$.
# `x - x.detach()` is 0 with a slope of 1; `torch.where(inside, x, 0.0)` is 0 outside, gradient and all.


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

# %% tags=["core", "slide"]
show(rounding.straight_through, folded=True)
w = torch.tensor([0.29, 0.31, 0.69, 0.71], requires_grad=True)
staircase(w).sum().backward()
assert w.grad.tolist() == [1, 1, 1, 0]
x = torch.linspace(-1, 1, 401)
drawn = {"rounded": staircase(x), "slope used": x.clamp(-0.7, 0.7)}
says = "Training is told the slope of the line."
plots.lines(x, drawn, x_label="weight", y_label="what the network sees", says=says)

# %% [markdown] tags=["core", "slide"]
# ## Where does a weight come to rest?
#
# One weight, and a loss that wants it at 0.33: $(\hat w - 0.33)^2$.
# The grid offers 0.2 and 0.4.
# We follow the straight-through gradient from 0.1.

# %% tags=["core", "slide"]
w, paths = torch.tensor(0.1, requires_grad=True), {"real": [], "rounded": []}
for _ in range(60):
    w.data -= 0.05 * torch.autograd.grad((staircase(w) - 0.33) ** 2, w)[0]
    paths["real"].append(w.item())
    paths["rounded"].append(staircase(w).item())
says = f"The real weight ends near {statistics.mean(paths['real'][-20:]):.2f}; the rounded one jumps."
plots.lines(range(60), paths, x_label="step", y_label="weight", says=says)

# %% [markdown] tags=["core"]
# At 0.2 the gradient says "up", at 0.4 "down".
# So the real weight walks to the edge between them, 0.3, and the rounded one jumps up and down.
# After the last step it is one of the two, by chance; a learning rate that falls to zero helps.
#
# **Break it.**
# Round the weight itself after each step, from 0.
# Where is it after 60 steps?

# %% tags=["core", "slide", "nbval-check-output"]
w = torch.tensor(0.0, requires_grad=True)
for _ in range(60):
    w.grad = torch.autograd.grad((staircase(w) - 0.33) ** 2, w)[0]
    w.data = staircase(w.data - 0.05 * w.grad)
w.item()

# %% [markdown] tags=["core"]
# An update of $0.05 \cdot 0.66 = 0.033$ is less than half a step: rounded away, sixty times.
# The real weight is where small updates add up.
# From here on: three detectors of part III, norms folded, and 64 pictures.

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
# *LSQ* ([learned step size quantization](GLOSSARY.md#learned-step)) trains the step like a weight.
# By hand, with $s = 0.2$: the weight 9 becomes the last point, $3s$, slope 3.
# The weight 0.29 becomes $1 \cdot s$, but the straight-through rule lets $-0.29 / s = -1.45$ through:
# together $-0.45$.
# With $q$ the integer that comes out:
#
# $$ \frac{\partial \hat w}{\partial s} = \begin{cases} (q - z) - w/s & \text{inside} \\
#    q - z & \text{where it was cut off, } q = l \text{ or } h \end{cases} \tag{20.3} $$
#
# ### 20.2 · Build · step_gradient · 10 min · ●●○ · 2 points
#
# Write `step_gradient(x, scale, steps, inside)`: Eq. 20.3 for each value of `x`, a tensor of its shape.
# `steps` are $q - z$, and `inside` is True where nothing was cut off.


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

# %% [markdown] tags=["deep"]
# Thousands of weights share a step, and their slopes add up.
# So LSQ multiplies the gradient of a step that $N$ values share by
#
# $$ g = \frac{1}{\sqrt{N h}} \tag{20.4} $$
#
# For 36 weights on a grid up to 7: $1 / \sqrt{252} = 0.063$.
# Does it find the best step for one layer at 4 bits, from the squared error of rounding?

# %% tags=["deep", "slide"]
show(rounding.step_gradient, folded=True)
name = next(n for n in dict(flat["plain"].named_modules()) if "stages_2_1_first" in n)
weights = flat["plain"].get_submodule(name).weight.detach().flatten()
lsq = qat.FakeQuantize(qat.Scheme(4, axis=None, learned=True))
assert abs(lsq.gain(torch.zeros(36)) - 252**-0.5) < 1e-9
lsq.set(quantize.choose_qparams(weights, 4, symmetric=True))
first, optimizer = lsq.scale.item(), torch.optim.Adam(qat.parameter_groups(lsq, 0.02))
for _ in range(120):
    optimizer.zero_grad()
    (lsq(weights) - weights).square().mean().backward()
    optimizer.step()
learned, tried, errors = lsq.scale.item(), [first * k / 50 for k in range(10, 56)], []
for scale in tried:
    lsq.scale.data.fill_(scale)
    errors.append((lsq(weights) - weights).square().mean().item())
best = tried[errors.index(min(errors))]
says = f"Min-max: {first:.4f}. Least error: {best:.4f}. Learned (LSQ): {learned:.4f}."
plots.lines(tried, {"error": errors}, x_label="step", y_label="squared error", says=says)

# %% [markdown] tags=["deep"]
# Adam divides every gradient by its usual size, so $g$ does nearly nothing there.
# `qat.parameter_groups` gives every step a rate in proportion to its size.

# %% [markdown] tags=["core", "slide"]
# ## Where in a network is something rounded?
#
# What is deployed are *folded* weights, with a step for each filter (**per-channel**, chapter 19).
# A norm in training divides by the spread of *its batch*: folded so, the weights would change with every batch.
# So fold first, and train the network **as it is deployed**.
#
# Maps are rounded behind whatever computes, and a ReLU belongs to the convolution before it.
# How many roundings of maps has $\operatorname{relu}(\operatorname{conv}(x))$, the input included?

# %% tags=["core", "slide", "nbval-check-output"]
two = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
two = deployed.deployed(two, torch.zeros(2, 3, 8, 8))
eight_bits = qat.Scheme(bits=8)  # of weights; maps have 8 by default
assert len(qat.maps(qat.prepare(two, eight_bits))) == 2  # the input, and the ReLU's output
prepared = {name: qat.prepare(graph, eight_bits) for name, graph in flat.items()}
for name, network in prepared.items():
    print(name, len(qat.layers(network)), "layers,", len(qat.maps(network)), "maps")

# %% tags=["core", "nbval-check-output"]
try:
    prepared["plain"](images[:1])  # nobody has told it a range yet
except ValueError as error:
    print(error)

# %% [markdown] tags=["core"]
# `calibrate` runs a few batches in real numbers, and each module watches.
# That is [**post-training quantization**](GLOSSARY.md#post-training): no label, no gradient.
# What does it cost, with maps of eight bits?

# %% tags=["core", "slide"]
scenes = detectors.scenes("test", 100)
truth = scenes.coco()


def all_at(network, bits):
    return qat.with_bits(network, dict.fromkeys(qat.layers(network), bits))


# %% tags=["core", "slide"]
rows, change = [], {}
for name, network in prepared.items():
    qat.calibrate(network, batches)
    real = coco_eval.detections(models[name], scenes)
    for bits in (8, 4, 3):
        fewer = coco_eval.detections(all_at(network, bits), scenes)
        it = coco_eval.compare(truth, real, fewer)
        change[name, bits] = it.difference
    told = (f"{change[name, bits]:+.3f}" for bits in (8, 4, 3))
    rows.append((name, f"{it.a.value:.3f}", *told))
table(("AP on 100 scenes", "real", "change with 8 bits", "with 4", "with 3"), rows)
measured("AP lost by plain with 8 bits everywhere", -change["plain", 8].value)
measured("AP lost by plain with weights of 3 bits", -change["plain", 3].value)

# %% [markdown] tags=["core"]
# In brackets: the paired intervals of chapter 16.
# Eight bits cost less than 0.01; from 4 to 3 costs more than from 8 to 4.

# %% [markdown] tags=["core", "slide"]
# ## Which layer hurts?
#
# The score fell: which layer is the cause?
# A *sensitivity scan* gives one weight, or one map, few bits, leaves all else at eight, and looks at the loss.
# With four bits, is it a weight or a map that hurts most?

# %% tags=["core", "slide"]
places = anchors.anchors((128, 128), models["plain"].config.anchors)
sharp = {"delta": 0.02, "box_weight": 250}  # as the shipped detectors were trained
some = detectors.scenes("validation", 16)
judge_on = data.collate([some[i] for i in range(16)])


def loss_of(model, batch):
    outputs = model(training.normalise(batch.images))
    return detection_loss.detection_loss(*outputs, batch, places, **sharp).total, {}


# %% tags=["core", "slide"]
def judge(model):
    with torch.no_grad():
        return loss_of(model, judge_on)[0].item()


plain, damage = prepared["plain"], {}
base = judge(plain)
for of in ("weights", "maps"):
    scan = qat.sensitivity(plain, judge, (2, 4) if of == "weights" else (4,), of=of)
    damage[of] = {n: {8: 0.0} | {b: v - base for b, v in row.items()} for n, row in scan.items()}
suffer = sum(row[2] > 0.1 * base for row in damage["weights"].values())  # by a tenth
measured("layers of plain that suffer from 2 bits, of 27", suffer)

# %% tags=["core", "slide"]
growth = {
    f"{of[:-1]} {name.removeprefix('after_').removeprefix('conv_')}": row[4] / base
    for of, rows in damage.items() for name, row in rows.items()
}  # fmt: skip
worst = sorted(growth, key=growth.get)[:-9:-1]
says = f"{worst[0]} adds {growth[worst[0]]:.0%}."
label = "growth of the loss when this alone has 4 bits"
plots.bars({name: growth[name] for name in worst}, y_label=label, says=says)

# %% [markdown] tags=["core"]
# No weight is among the worst.
# Two maps stand out: they say how far the edges of a box move, in sixteen values.
#
# `keep_float` names layers that stay in real numbers, each with the map that it gives: [**mixed
# precision**](GLOSSARY.md#mixed-precision).
# All weights *and* all maps of `plain` get four bits, and 0, 1, 2 or 4 layers stay real:
# those that the scan names, or as many drawn by lot.

# %% tags=["core", "slide"]
def four_bits(keep):
    maps = qat.Scheme(4, symmetric=False, signed=False, axis=None)
    fewer = qat.prepare(flat["plain"], qat.Scheme(4), maps, keep_float=keep)
    return coco_eval.detections(qat.calibrate(fewer, batches), scenes)


names, counts = list(damage["weights"]), (0, 1, 2, 4)
hurts = {n: damage["weights"][n][4] + damage["maps"][f"after_{n}"][4] for n in names}
orders = {"by the scan": sorted(names, key=hurts.get)[::-1]}
orders["by lot"] = [names[k] for k in torch.randperm(len(names)).tolist()]
real = coco_eval.detections(models["plain"], scenes)
found = {how: [four_bits(order[:k]) for k in counts] for how, order in orders.items()}
curves = {how: [coco_eval.evaluate(truth, each).ap for each in row] for how, row in found.items()}
it = coco_eval.compare(truth, real, found["by the scan"][2])
says = f"Two real layers chosen by the scan: AP {it.b.value:.3f}, {it.difference:+.3f} against real numbers."
plots.lines(counts, curves, x_label="layers left real, of 27", y_label="AP on 100 scenes", says=says)

# %% [markdown] tags=["core"]
# With their two layers real, more than half of the loss is gone.
#
# Where a device knows other numbers of bits, there is a *budget* to spend.
# Begin with the most bits; again and again, make the cut that does least damage for each bit saved.
# With $D_k(b)$ the damage of layer $k$ at $b$ bits and $n_k$ its weights, the price of a cut from $b$ to $b'$ is
#
# $$ p_k = \frac{D_k(b') - D_k(b)}{n_k\,(b - b')} \tag{20.5} $$
#
# By hand: A has 10 weights and loses 1 from 8 to 4 bits: $1/40$.
# B has 20 and loses 3: $3/80$.
# A is cut first.
# (The same picker spends milliseconds in chapter 22.)
#
# Weights of 2, 4 and 8 bits, *four on average*, against four everywhere:

# %% tags=["core", "slide"]
show(qat.allocate)
sizes = {n: layer.weight.numel() for n, layer in qat.layers(plain).items()}
bits = qat.allocate(damage["weights"], sizes, budget=4 * sum(sizes.values()))
whiskers = {}
for how, model in {"4 everywhere": all_at(plain, 4), "by the scan": qat.with_bits(plain, bits)}.items():
    it = coco_eval.compare(truth, real, coco_eval.detections(model, scenes)).difference
    whiskers[how] = it.value, it.low, it.high
plots.intervals(whiskers, y_label="change of AP against real numbers, 95 %")

# %% [markdown] tags=["core"]
# The scan is cheap advice, from one tensor at a time: measure what it proposes.
# (Devices use eight or four bits, rarely three.)

# %% [markdown] tags=["core", "slide"]
# ## Can training win it back?
#
# Weights of 3 bits: seven values.
# After calibration, 60 steps of 8 scenes: weights learn by the straight-through gradient, steps by LSQ.
# **Quantization-aware training** is mostly done so, a short **fine-tuning** (torchao: `prepare_qat_pt2e`).

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
real = coco_eval.evaluate(truth, real).ap
won = (it.b.value - it.a.value) / (real - it.a.value)
measured("share of that loss which 60 steps of training win back", won)
print(f"{qat.size(learner) / 1e3:.0f} kB with 3 bits")
print(f"AP: {real:.3f} real, {it.a.value:.3f} rounded, {it.b.value:.3f} trained, {it.difference:+.3f}")

# %% [markdown] tags=["core"]
# A short training wins back a good part of the damage.

# %% [markdown] tags=["deep"]
# **Is it the method's own merit? (deep)**
# Recorded: 150 steps, three seeds, with steps that stay (STE) and learned ones (LSQ).
# The control, "float", is the same training without any rounding.

# %% tags=["deep", "slide"]
lines = (data.FOLDER / "ablations" / "quantization.jsonl").read_text("utf-8").splitlines()
won = {}
for r in map(json.loads, lines):
    if r["experiment"] == "training":
        key = f"{r['model']}, {r['weights']} bits, {r['how']}"
        won.setdefault(key, []).append(r["ap"] - r["before"])
plots.points(dict(sorted(won.items())), y_label="AP won by training (recorded)")

# %% [markdown] tags=["deep"]
# The control gains nothing: what is won back is the method's own.

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - pytorch/pytorch#40278, #100654: an observer that saw nothing only warns, and gives scale 1.
# - ZouJiu1/LSQplus#12, OpenPPL/ppq#518: a learned step became negative, which mirrors the grid.
# - FasterAI-Labs/fasterai#55: EfficientNet-B0 with one min-max range a map fell from 85.6 % to 2.1 %.
#   A few [*outliers*](GLOSSARY.md#outliers) stretch a range, and SiLU has no step left below zero.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - Rounding has no slope; the straight-through gradient passes inside the grid, and stops outside.
# - A real weight behind each rounded one lets small updates add up.
# - Fold batch norms first, and train what is deployed.
# - Eight bits: calibrate, done.
#   Fewer: scan for what hurts, give that more bits, and train shortly.

# %% tags=["core"]
guesses()

# %% [markdown] tags=["core"]
# ## Exercises
#
# ### 20.3 · Predict · reached · 5 min · ●○○ · 1 point
#
# Eight real weights: 0.1, $-0.59$, 0.65, 0.69, 0.71, $-0.75$, 1.4 and 0.
# The grid: steps of 0.2, integers from $-3$ to 3, zero point 0.
# By Eq. 20.2, how many of the eight get a gradient that is not 0?
#
# <details><summary>Answer</summary>
#
# In steps, rounded: 0, $-3$, 3, 3, 4, $-4$, 7, 0.
# Three of them are outside, so five are reached.
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
# [PACT](https://arxiv.org/abs/1805.06085) learns where a map is cut off.
# Values below 0 become 0, above $\alpha$ they become $\alpha$, and $[0, \alpha]$ is rounded to $2^b - 1$ equal steps.
# Gradients ignore the rounding: $x$ gets what arrives where $0 < x < \alpha$, $\alpha$ what arrives where $x > \alpha$,
# and nothing else.
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
# `history` is an integer tensor (steps, weights): what each weight was rounded to after each step.
# Count for each weight how often it *turned back*: it changed, and its change before that went in the other direction.
# A weight that rests in between still remembers its last direction.
# Return a tensor with one integer for each weight.
# ([arXiv 2203.11086](https://arxiv.org/abs/2203.11086) freezes what turns often.)
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
# [AdaRound](https://arxiv.org/abs/2004.10568) decides for each weight whether to go up or down.
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
# Chapter 21 computes the same network in integers only.

# %% [markdown] tags=["core"]
# ## References
#
# - [Straight-through estimator](https://arxiv.org/abs/1308.3432), Bengio and others, 2013.
# - [Integer-only inference](https://arxiv.org/abs/1712.05877), Jacob and others;
#   [a white paper](https://arxiv.org/abs/1806.08342), Krishnamoorthi; both 2018.
# - [LSQ](https://arxiv.org/abs/1902.08153), Esser and others; [LSQ+](https://arxiv.org/abs/2004.09576), which also
#   learns zero points, Bhalgat and others; both 2020.
# - Mixed precision by a search, [HAQ](https://arxiv.org/abs/1811.08886), Wang and others;
#   by second derivatives, [HAWQ](https://arxiv.org/abs/1905.03696), Dong and others; both 2019.
