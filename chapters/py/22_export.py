# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 22 · Export
#
# **Question. How does a network leave Python, and what do eight bits buy there?**
#
# After this chapter you can
#
# 1. write the pairs Q and DQ of a graph, and say what a runtime computes with (exercises 22.1 and 22.4)
# 2. predict the size of an int8 file from its layers (exercise 22.2)
# 3. say where two products overflow, and what a bit less costs (exercise 22.3)
# 4. carry a pooling window from one framework's rules to another's (exercise 22.5)
# 5. judge what somebody claims about int8 and speed (quiz)
#
# | study | about 130 min (estimate); the core, without the parts that are marked *(deep)*, about 65 |
# |---|---|
# | run | <!-- run -->0.9 min (55 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->891 MB (measured)<!-- /peak --> |
# | needs | no download; starts alone; `onnx` and `onnxruntime`, which `make lab` installs |
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
import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn

from lib.basics import data, profiling, training
from lib.book import costs, plots
from lib.book.notebook import (
    build,
    check,
    guess,
    guesses,
    hint,
    measured,
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
from lib.compression import (
    channel_pruning,
    clocked,
    deployed,
    elsewhere,
    export,
    following,
    grids,
    integer,
    pairs,
    pooling,
    qat,
    quantize,
)
from lib.detection import coco_eval, decoding, detectors

device = setup("22_export", seed=0)

# %% [markdown] tags=["core"]
# So far our detector needs Python, PyTorch and this repository: gigabytes, for 2.4 MB of weights.
# A phone, a camera or a server in another language wants a *file*: the operators in order, the weights, nothing else.
# ONNX is such a format, and `onnxruntime` is a program that runs it.
# Here the small numbers of chapters 19 to 21 are shipped, and the clock decides.
# At the end your own quantizer, as far as you have built it, writes the int8 file.
# What is marked *(deep)* can wait for a second reading.
#
# Guess first: a number for each `None`.

# %% tags=["core", "slide"]
guess("floats: times faster in onnxruntime than in eager PyTorch", None)  # your numbers
guess("int8, plain: times smaller than the float file", None)
guess("int8, plain: times faster than floats in onnxruntime", None)
guess("int8, lite: times faster than floats in onnxruntime", None)
guess("AP that int8 loses", None)

# %% [markdown] tags=["core", "slide"]
# ## What stands in the file?
#
# `export.to_onnx` takes the flat graph of chapter 19 (batch norms folded) and writes one ONNX node for each of its
# nodes.
# Here is the shipped `plain` detector.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
holder = tempfile.TemporaryDirectory()  # gone when the kernel stops
folder = Path(holder.name)
model = detectors.shipped("plain")
scenes = detectors.scenes("test", 100)
truth = scenes.coco()
images = training.normalise(torch.from_numpy(scenes.images[:5]))
floats = export.to_onnx(model, images[:1], folder / "plain.onnx")

# %% tags=["core", "slide", "nbval-check-output"]
show(export.to_onnx)
export.operator_counts(floats)

# %% [markdown] tags=["core"]
# Twenty-seven convolutions, and little else.
# Is it the same function?
# `export.Network` runs a file as if it were the model.
# We ask for $10^{-4}$, for batches of 1, 2 and 5, although the example had one picture:
# the file says "batch" where a number could stand.
# (`to_onnx` itself asks the same of three pictures of noise, before it writes.)

# %% tags=["core", "slide"]
runner = export.Network(floats)
with torch.no_grad():
    for batch in (1, 2, 5):
        levels = zip(runner(images[:batch])[0], model(images[:batch])[0], strict=True)
        worst = max((x - y).abs().max().item() for x, y in levels)
        assert worst < 1e-4
        print(f"batch {batch}: logits differ by {worst:.1e} at most")

# %% [markdown] tags=["core"]
# Not by 0: two programs add the same products in another order.

# %% [markdown] tags=["core", "slide"]
# ## What do Q and DQ say?
#
# ONNX has no "int8 network".
# It has two small operators.
# *QuantizeLinear* (Q) makes integers of a map, *DequantizeLinear* (DQ) makes real numbers again:
#
# $$ q = \mathrm{clamp}\bigl(\mathrm{round}(x / s) + z,\ 0,\ 255\bigr), \qquad \hat x = (q - z)\, s \tag{22.1} $$
#
# with the step $s$ and the zero point $z$ of chapter 19.
# By hand, $s = 0.5$, $z = 2$, $x = 0.6$: 1.2 steps, rounded 1, byte 3, and $\hat x = 0.5$.
# What becomes of $x = 500$?
# 255 is the largest byte: $253 \cdot 0.5 = 126.5$.
#
# [A pair Q, DQ](GLOSSARY.md#pair-q-dq) is exactly what `FakeQuantize` computes in chapter 20.
# So we write a pair wherever the trained graph rounds, with *its* step and zero point.
# Nothing is calibrated a second time.
#
# ### 22.1 · Build · pair · 10 min · ●○○ · 2 points
#
# Write `pair(x, scale, zero, name)`: the two nodes behind a value, in order, as a list.
# A node is a triple: the operator (`"QuantizeLinear"` or `"DequantizeLinear"`), a list of the *names* that it reads,
# and the name of what it gives.
# `x`, `scale` and `zero` are names, too; ONNX goes by position: what is rounded, then the step, then the zero point.
# The integers are called `name` with `.q` behind it, the real numbers `name` with `.dq`.


# %% tags=["core"]
def pair(x, scale, zero, name):
    """Q and DQ behind a value, as nodes.

    By hand: pair("map", "s", "z", "7") is two nodes; the second one reads ["7.q", "s", "z"] and gives "7.dq".
    """
    # your code, in place of the dots
    ...


build("export.pair", pair)
# hint("export.pair")
# solution("export.pair")

# %% tags=["core"]
show(pairs.pair, folded=True)

# %% tags=["core", "slide", "nbval-check-output"]
toy = nn.Conv2d(1, 1, 1)
toy.weight.data.fill_(0.75)
toy.bias.data.fill_(0.625)
one = torch.ones(1, 1, 1, 1)
toy_fake = qat.prepare(deployed.deployed(toy, one))
for module, z in zip(qat.maps(toy_fake).values(), (4, 1), strict=True):
    z = torch.tensor(z, dtype=torch.int32)
    module.set(quantize.QParams(torch.tensor(0.5), z, 0, 255))
z = torch.tensor([0], dtype=torch.int32)
(toy_layer,) = qat.layers(toy_fake).values()
toy_layer.weight_quantizer.set(quantize.QParams(torch.tensor([0.25]), z, -127, 127, 0))
toy_file = export.to_qdq_onnx(toy_fake, one, folder / "toy.onnx")
export.operator_counts(toy_file)

# %% [markdown] tags=["core"]
# `to_qdq_onnx` called `pairs.pair` for each value that the graph rounds.
# One convolution, and around it: Q and DQ for the input, Q and DQ for the output,
# a DQ for the weight (stored as int8) and one for the bias (int32).
# As it is written, everything between DQ and Q is float.

# %% [markdown] tags=["core", "slide"]
# ## Who computes with integers, then?
#
# The runtime, if it wants to.
# It sees DQ, convolution, Q and knows that sums of integers give the same:
#
# $$ q_y = \mathrm{clamp}\Bigl(\mathrm{round}\Bigl(\frac{s_x s_w}{s_y} \Bigl(\sum (q_x - z_x)\, q_w + q_b\Bigr)\Bigr) +
#    z_y\Bigr) \tag{22.2} $$
#
# The bias has to count in the steps of the sum:
#
# $$ q_b = \mathrm{round}\bigl(b / (s_x s_w)\bigr) \tag{22.3} $$
#
# Our toy: $s_x = 0.5$, $z_x = 4$, $s_w = 0.25$, $w = 0.75$, so $q_w = 3$; $b = 0.625$, so $q_b = 0.625 / 0.125 = 5$.
# The byte 10 comes in.
# $(10 - 4) \cdot 3 + 5 = 23$ small steps of 0.125 are 2.875, that is 5.75 steps of $s_y = 0.5$: rounded 6,
# plus $z_y = 1$ is byte 7, which means 3.0.

# %% tags=["core", "slide", "nbval-check-output"]
x = torch.full((1, 1, 1, 1), (10 - 4) * 0.5)
assert export.Network(toy_file)(x).item() == (7 - 1) * 0.5
export.operator_counts(toy_file, optimized=True)

# %% [markdown] tags=["core"]
# That is what onnxruntime made of the file on this machine: `QLinearConv`, Eq. 22.2 in one step.
# The float convolution is gone.
# To join nodes like this is called *fusion*.
#
# Now the detector: prepared and calibrated as in chapter 20, with 64 validation scenes.
# Weights get 7 bits; a later section says why.
# Last, `grids.settle` moves each bias to the whole steps of Eq. 22.3.
# So the model in PyTorch adds what the file adds.

# %% tags=["core", "slide"]
def rounded(graph, batches=None, keep=()):
    how = {"observer": quantize.MSE}
    maps = qat.Scheme(symmetric=False, signed=False, axis=None, **how)
    fake = qat.prepare(graph, qat.Scheme(bits=7, **how), maps, keep_float=keep)
    if batches is None:
        seen = torch.from_numpy(detectors.scenes("validation", 64).images)
        batches = training.normalise(seen).split(8)
    return grids.settle(qat.calibrate(fake, batches))


fake = rounded(deployed.deployed(model, images[:1]))
integers = export.to_qdq_onnx(fake, images[:1], folder / "plain_int8.onnx")

# %% tags=["core", "slide"]
before = export.operator_counts(integers)
after = export.operator_counts(integers, optimized=True)
kinds = sorted(before.keys() | after.keys())
counts = [(kind, before.get(kind, 0), after.get(kind, 0)) for kind in kinds]
table(("operator", "in the file", "after fusion"), counts)

# %% [markdown] tags=["core"]
# One Q at the input, one DQ for each of the six outputs.
# Inside, maps are bytes.
# And the ReLUs?
# They are not even in the file: byte 0 means 0.0, so the clamp of Q already is the ReLU.
# Pooling and resizing only move values: they get a pair with the step they were given.
#
# **Break it.**
# The full `course` detector has SiLU and weighted fusion.
# onnxruntime has no integer kernel for either.
# How many pairs stay behind?

# %% tags=["core", "slide"]
files = {"plain": {"fp32": floats, "int8": integers}}


def both_files(name):
    graph = deployed.deployed(detectors.shipped(name), images[:1])
    return {
        "fp32": export.to_onnx(graph, images[:1], folder / f"{name}.onnx"),
        "int8": export.to_qdq_onnx(rounded(graph), images[:1], folder / f"{name}_int8.onnx"),
    }


files["course"] = both_files("course")
left = export.operator_counts(files["course"]["int8"], optimized=True)
both = ("QuantizeLinear", "DequantizeLinear")
stay = {kind: left[kind] for kind in ("QLinearConv", *both, "Mul", "Sigmoid")}
says = "course keeps {} Q and {} DQ; plain keeps {} and {}."
says = says.format(*(n[kind] for n in (left, after) for kind in both))
plots.bars(stay, y_label="nodes after fusion, course", says=says)

# %% [markdown] tags=["core"]
# Each pair that stays reads and writes a whole map once more, which the float network does not do.

# %% [markdown] tags=["deep", "slide"]
# ## Do two frameworks mean the same by the same word? (deep)
#
# A file is read by somebody else's rules.
# Take a max pool with windows of 3, every second pixel, one pad, `ceil_mode`: the last window may hang over the edge.
# Six pixels.
# By hand: windows begin at $-1, 1, 3, 5$; the last one covers pixel 5 and two pads, though the layer asked for one.
# Without `ceil_mode` there would be three windows.
#
# ONNX knows `ceil_mode` too, but PyTorch leaves out a window that would begin behind the picture,
# and ONNX counted it for years (the end of this chapter says what came of that).
# So our file holds no `ceil_mode`.
# It says how many pads $e$ stand behind:
#
# $$ e = \max\bigl(0,\ (o - 1)\, s + k - n - b\bigr) \tag{22.4} $$
#
# for $o$ windows of $k$ pixels, stride $s$, $n$ pixels and $b$ pads before.
# Here $(4 - 1) \cdot 2 + 3 - 6 - 1 = 2$.

# %% tags=["deep"]
show(pooling.pool)

# %% tags=["deep", "slide", "nbval-check-output"]
pool = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
square = torch.arange(36.0).reshape(1, 1, 6, 6)
pool_file = export.to_onnx(pool, square, folder / "pool.onnx")
assert torch.equal(export.Network(pool_file)(square), pool(square))
export.Network(pool_file)(square)[0, 0, 0].tolist()

# %% [markdown] tags=["deep", "slide"]
# ## Why seven bits, when a byte has eight? (deep)
#
# Before VNNI (newer x86 instructions, which add up in 32 bits), an x86 processor multiplied bytes by int8 in pairs,
# and added the two products in 16 bits [*with saturation*](GLOSSARY.md#saturation):
#
# $$ p = \mathrm{clamp}\bigl(q_{x,1}\, q_{w,1} + q_{x,2}\, q_{w,2},\ -2^{15},\ 2^{15} - 1\bigr) \tag{22.5} $$
#
# By hand: $255 \cdot 127 + 255 \cdot 127 = 64{,}770$, but 16 bits end at 32,767.
# Half of the sum is lost, and nothing says so.
# With weights up to 63, that is 7 bits, the worst is $32{,}130$.
# It fits.

# %% tags=["deep", "slide", "nbval-check-output"]
bytes_in = torch.tensor([255, 255])
for largest in (127, 63):
    pair = int((bytes_in * largest).sum())
    print(f"weights up to {largest}: {pair} becomes {min(pair, 2**15 - 1)}")

# %% [markdown] tags=["deep", "slide"]
# Does your machine do that?
# Its name does not tell, and what it says of itself need not be true in an emulator.
# So we ask the kernel.
# Take 64 channels of ones and a filter of ones, so the sum is 64.
# In bytes there are 64 products $255 \cdot 127$.
# A kernel that adds pairs in 16 bits makes $32 \cdot 32{,}767$ of them, and with that
# $32 \cdot 32{,}767 / (255 \cdot 127) = 32.4$.
# With weights of 7 bits, every machine has to find 64.

# %% tags=["deep", "slide"]
ones = torch.ones(1, 64, 1, 1)
sums = nn.Conv2d(64, 1, 1, bias=False)
nn.init.ones_(sums.weight)
flat, answers = deployed.deployed(sums, ones), {}
for bits in (8, 7):
    fake_sums = qat.prepare(flat, qat.Scheme(bits=bits))
    qat.calibrate(fake_sums, [ones, 0 * ones])
    with warnings.catch_warnings(record=True) as told:  # of weights of 8 bits
        warnings.simplefilter("always")
        path = export.to_qdq_onnx(fake_sums, ones, folder / f"sums_{bits}.onnx")
    answers[bits] = export.Network(path)(ones).item()
    print(f"weights of {bits} bits: {answers[bits]:.1f}, warnings: {len(told)}")
assert round(answers[7]) == 64
assert round(answers[8]) == (32 if export.saturates() else 64)

# %% [markdown] tags=["deep"]
# `export.saturates()` asks in the same way, once for each run of Python.
# If you read 64 twice, your machine adds in 32 bits; the next one, which gets your file, may not.
# One file has to serve every machine.
# So `qat.prepare` takes 7 bits for weights unless you ask for 8, `to_qdq_onnx` warns of 8,
# and the files in `data/weights` hold 7.
# What the bit costs in AP stands in a figure below.

# %% [markdown] tags=["core", "slide"]
# ## How small is the file?
#
# A float has 4 bytes.
# In the int8 file a weight has one.
# But each filter also has its step $s_w$ (4 bytes), its bias (4) and the step of the bias (4):
#
# $$ \mathrm{bytes} \approx \sum_{\text{layers}} F \,(C k^2 / g + 12) \tag{22.6} $$
#
# for $F$ filters over $C$ channels, $k \times k$ pixels, in $g$ groups.
# By hand, for a dense 3x3 of 32 on 32 channels: $32 \cdot (288 + 12) = 9600$,
# against $32 \cdot (4 \cdot 288 + 4) = 36{,}992$ in floats: 3.85 times.
# And depthwise: $32 \cdot (9 + 12) = 672$ against $32 \cdot 40 = 1280$, only 1.9 times.

# %% tags=["core", "slide"]
layers = qat.layers(fake).values()
expected = sum(len(m.weight) * (m.weight[0].numel() + 12) for m in layers)
sizes = integers.stat().st_size, floats.stat().st_size
print(f"by hand {expected / 1000:.0f} kB, on disk {sizes[0] / 1000:.0f} kB")
measured("int8, plain: times smaller than the float file", sizes[1] / sizes[0], "x")

# %% [markdown] tags=["core"]
# The rest is the graph itself: names, and what each operator needs to know.

# %% [markdown] tags=["core", "slide"]
# ## Does it still see?
#
# These boxes come from the int8 file, which also carries the size of the picture, the mean and the anchors.
# NMS stays in Python: how many boxes survive depends on the picture, and a graph has fixed shapes (chapter 15).

# %% tags=["core", "slide"]
int8_network = export.Network(integers)
sample = scenes[3]
found = decoding.detect(int8_network, sample.image, threshold=0.3)
plots.boxes(sample.image, **found._asdict(), names=data.Scenes.names)

# %% [markdown] tags=["core"]
# And in numbers: 100 test scenes, with floats, with our fake-quantized model in PyTorch, and with the file.

# %% tags=["core", "slide"]
def detected(network):
    return coco_eval.detections(network, scenes, batch_size=8)


def score(network):
    return coco_eval.evaluate(truth, detected(network)).ap


runners = {"floats, file": export.Network(floats), "fake-quantized, PyTorch": fake, "int8, file": int8_network}
answers = {name: detected(network) for name, network in runners.items()}
aps = {name: coco_eval.evaluate(truth, each).ap for name, each in answers.items()}
it = coco_eval.compare(truth, answers["floats, file"], answers["int8, file"])
measured("AP that int8 loses", -it.difference.value)
says = f"int8 less floats: {it.difference:+.4f}, the paired interval of chapter 16."
plots.bars(aps, y_label="AP on 100 test scenes", says=says)

# %% [markdown] tags=["core", "slide"]
# ## Where do two programs part?
#
# The last two bars should be close.
# They need not be equal: a sum of floats is a little off, near a tie it rounds the other way,
# and one step early in the network moves others later.
# But what if they are *not* close?
# AP does not tell why.
# Send one picture through all four forms of the network: real numbers, rounded in PyTorch,
# integers (chapter 21), and the file.
# Compare them tensor by tensor, in the order they run.
# `following.follow` does it: noise of rounding in dB (Eq. 19.6),
# and how many of its own steps integers and file are away from what PyTorch has.

# %% tags=["core", "slide"]
rows = following.follow(fake, images[:2], integers)
noisiest = sorted(rows, key=lambda row: row.decibels)[:4]
head = ("behind", "noise, dB", "integers: steps off", "file: steps off", "file: share off")
table(head, [(r.name.replace("after_", ""), f"{r.decibels:.1f}", f"{r.integer:.0f}", f"{r.file:.0f}", f"{r.off:.1%}")
             for r in [*rows[:3], *noisiest]])  # fmt: skip

# %% [markdown] tags=["core"]
# The integers of chapter 21 are given the same input at each operator, and are a step off at most.
# In the file differences travel, so a few steps off far behind are no fault.
# The last four rows have the most noise, and it is that of *rounding*, the same in all programs: see chapter 20.
#
# **Break it.**
# Somebody's converter loses the bias of one layer in the middle.
# Every shape fits, and the file runs.
# Which name comes first where the file is off by more than 10 steps?

# %% tags=["core", "slide", "nbval-check-output"]
broken = qat.layers(fake)["conv_8_backbone_stages_2_1_first_0"]
bias = broken.bias.detach().clone()
broken.bias.data.zero_()
lost = export.to_qdq_onnx(fake, images[:1], folder / "lost.onnx")
broken.bias.data.copy_(bias)
spoiled = following.follow(fake, images[:2], lost)
following.first_apart(rows, steps=10), following.first_apart(spoiled, steps=10)

# %% [markdown] tags=["core"]
# In the sound file there is none (`None`); in the spoiled one the layer without its bias is named.
# All maps behind it are off as well, so only the *first* one counts.
# Such a table answers most questions of the kind "PyTorch says 0.81 and my file 0.31".

# %% [markdown] tags=["deep"]
# **And on other scenes? (deep)**
# Recorded: three sets of 200 test scenes, and from each AP we subtract that of the floats *on the same scenes*.

# %% jupyter={"source_hidden": true} tags=["deep", "catch-up"]
# Catch-up: reads the recorded scores and times.
recorded = lib.ROOT / "data" / "ablations" / "deployment.jsonl"
rows = [json.loads(line) for line in recorded.read_text("utf-8").splitlines()]
judged = [row for row in rows if row["kind"] == "accuracy"]
scored = {(row["model"], row["form"], row["seed"]): row["ap"] for row in judged}

# %% tags=["deep", "slide"]
forms = {"8 bits": "int8", "weights of 7": "int8, weights of 7 bits"}
change = {
    f"{name}, {bits}": [scored[name, form, i] - scored[name, "fp32", i] for i in range(3)]
    for name in ("plain", "lite", "course") for bits, form in forms.items()
}  # fmt: skip
lowest = min(min(points) for points in change.values())
says = f"Recorded: the worst of all {3 * len(change)} changes is {lowest:+.4f}."
plots.points(change, y_label="AP minus that of the floats", says=says)

# %% [markdown] tags=["deep"]
# **Do they find the same things? (deep)**
# Two detectors can have one AP and find different things.
# Of the detections above 0.3 that our fake-quantized model has in PyTorch,
# which share has one of the same class in its place (IoU of 0.9 or more) from the file?

# %% tags=["deep"]
shares = {}
for row in judged:
    if "matched" in row:
        shares.setdefault(row["model"], []).append(f"{row['matched']:.1%}")
head = ("found again by the file", *(f"set {i}" for i in range(3)))
table(head, [(name, *values) for name, values in shares.items()])

# %% [markdown] tags=["core", "slide"]
# ## And is it faster?
#
# Eager PyTorch asks Python what to do before each operator; onnxruntime has read the whole graph and fused it.
# So floats alone get faster, and whoever compares int8 in onnxruntime with floats in PyTorch reports that as a gain
# of int8.
# We change one thing at a time, one thread, in turns.

# %% tags=["core", "slide"]
picture = torch.randn(1, 3, 128, 128)


def race(model, files):
    runners = {name: export.Network(path) for name, path in files.items()}
    return profiling.compare(runners | {"eager": model}, picture, repeats=15)


times = race(model, {"fp32": floats, "int8": integers})
eager, int8 = times["eager"].ratio, times["int8"].ratio  # time over that of fp32
measured("floats: times faster in onnxruntime than in eager PyTorch", eager, "x")
measured("int8, plain: times faster than floats in onnxruntime", 1 / int8, "x")
medians = {name: each.latency.median for name, each in times.items()}
plots.bars(medians, y_label="milliseconds, one thread")

# %% [markdown] tags=["core"]
# And `lite`, which was made for small devices, with far fewer multiply-adds?

# %% tags=["core", "slide"]
lite = detectors.shipped("lite")
files["lite"] = lite_files = both_files("lite")
lite_times = race(lite, lite_files)
few, many = (profiling.macs(m, images[:1]) for m in (lite, model))
print(f"{many / few:.1f} times fewer multiply-adds than plain")
gain = 1 / lite_times["int8"].ratio
measured("int8, lite: times faster than floats in onnxruntime", gain, "x")
both = {f"{name}, {form}": t[form].latency.median for form in ("fp32", "int8")
        for name, t in (("plain", times), ("lite", lite_times))}  # fmt: skip
plots.bars(both, y_label="milliseconds, one thread")

# %% [markdown] tags=["core"]
# Your machine may be busy, so here are recorded times too: three runs of each on an idle machine, one thread.
# Which of them gain nothing, at the line of 1?
# `b0` is EfficientNet-B0 with SiLU and squeeze-excite, `b0 lite` is the same without.

# %% jupyter={"source_hidden": true} tags=["core", "slide", "catch-up"]
# Catch-up: draws the recorded times of all models, as ratios.
recorded = lib.ROOT / "data" / "ablations" / "deployment.jsonl"
speeds, peaks = {}, []
for row in map(json.loads, recorded.read_text("utf-8").splitlines()):
    if row["kind"] == "latency":
        speeds.setdefault(f"{row['model']}, {row['size']} px", []).append(row["int8"]["times faster"])
    if row["kind"] == "peak":
        peaks.append(row["macs a second, int8"] / row["macs a second, fp32"])
middles = {name: statistics.median(points) for name, points in speeds.items()}
slower = [f"{name} {value:.2f}" for name, value in middles.items() if value < 1.1]
best = max(middles, key=middles.get)
says = f"Recorded: {best} gains most, {middles[best]:.2f} times; next to nothing or less: {', '.join(slower)}."
says += f" In a large product of matrices this CPU's integers are {statistics.median(peaks):.1f} times as fast."
plots.points(speeds, y_label="int8: times faster than fp32 in onnxruntime", says=says)

# %% [markdown] tags=["core"]
# What has dense 3x3 layers and plain ReLUs gains; SiLU, gates and depthwise layers do not.
# No network can gain much more than a large product of matrices does, and that differs from CPU to CPU:
# one with wide units for floats has less to gain from integers.
# A depthwise layer does few multiply-adds for each byte that it moves and each value that it rounds,
# so faster arithmetic does not help it.
# Count multiply-adds to plan, and measure time to decide.

# %% [markdown] tags=["deep", "slide"]
# ## Why does the small network gain so little? (deep)
#
# A layer takes at least the time of its arithmetic, and at least the time of its traffic with memory.
# This is the *roofline*:
#
# $$ t \ge \max\Bigl(\frac{\text{multiply-adds}}{\text{peak rate}},\ \frac{\text{bytes}}{\text{bandwidth}}\Bigr)
#    \tag{22.7} $$
#
# What counts is the number of multiply-adds for each byte.
# By hand, 32 channels on $32 \times 32$ pixels in floats.
# Dense 3x3: $9{,}437{,}184$ multiply-adds, and maps in and out and weights are $4 \cdot (65{,}536 + 9216) = 299{,}008$
# bytes: 31.6 a byte.
# Depthwise 3x3: $294{,}912$ over $263{,}296$ bytes: 1.1 a byte.
# Eight bits make arithmetic several times faster; where arithmetic takes little of the time, that helps less.
#
# onnxruntime can write down how long each operator took: `export.profile`.
# Which kind gains?

# %% tags=["deep", "slide"]
spent = {form: export.profile(path, picture) for form, path in lite_files.items()}
shown = {}
for kind in ("conv 1x1", "conv depthwise", "conv 3x3"):
    shown |= {f"{kind}, {form}": each[kind] for form, each in spent.items()}
for form, each in spent.items():
    rest = (ms for kind, ms in each.items() if "conv" not in kind)
    shown[f"all else, {form}"] = sum(rest)
plots.bars(shown, y_label="milliseconds, lite")

# %% [markdown] tags=["deep"]
# Now the roof itself.
# How many multiply-adds a second a wide dense layer reaches is taken for the peak, of floats and of integers;
# the bandwidth is that of a copy of one of their maps, 1 MB.
# Under the two roofs stand three large layers: which of them reach it?

# %% tags=["deep", "slide"]
def timed(layer, example, kind):
    graph = deployed.deployed(layer, example)
    with_grids = qat.calibrate(qat.prepare(graph), example)
    path = export.to_onnx(graph, example, folder / "layer.onnx")
    ms = {"fp32": export.profile(path, example)[f"conv {kind}"]}
    path = export.to_qdq_onnx(with_grids, example, folder / "layer_int8.onnx")
    return ms | {"int8": export.profile(path, example)[f"conv {kind}"]}


example = torch.randn(1, 64, 64, 64)
three = {"3x3": nn.Conv2d(64, 64, 3, 1, 1), "1x1": nn.Conv2d(64, 64, 1)}
three["depthwise"] = nn.Conv2d(64, 64, 3, 1, 1, groups=64)
wide, maps = nn.Conv2d(128, 128, 3, 1, 1), torch.randn(1, 128, 32, 32)
copied = min(profiling.interleave({"copy": lambda: example.clone()})["copy"].times)
bandwidth = 2 * example.nbytes / copied / 1e6  # 10^9 bytes a second
roofs = {f: (profiling.macs(wide, maps) / ms / 1e6, bandwidth) for f, ms in timed(wide, maps, "3x3").items()}
spots = {}
for name, layer in three.items():
    numbers = 2 * example.numel() + layer.weight.numel()  # map in, map out, weights
    for form, ms in timed(layer, example, name).items():
        work = profiling.macs(layer, example)
        spots[f"{name}, {form}"] = work / numbers / (4 if form == "fp32" else 1), work / ms / 1e6, form
costs.roofline(spots, roofs, x_label="multiply-adds a byte", y_label="billion multiply-adds a second")

# %% [markdown] tags=["deep"]
# (Above 100 %? Some maps stay in a faster cache than the copy met.)
# Dense and 1x1 layers spend their time on arithmetic, and gain.
# A depthwise layer does few multiply-adds in the time it takes.
# In int8 it moves a quarter of the bytes, so by Eq. 22.7 it should still gain.
# It does not: it is far from both limits.
# (**Arithmetic intensity** is the name of what stands on the horizontal axis.)
# Eq. 22.7 says "at least", and an integer layer has one more thing to do.
# Eq. 22.2 multiplies, rounds and clamps every value that it writes,
# and here there are only nine products to share that.
# So `lite` saved multiply-adds where they had become cheap.
# Starting many small convolutions is not the reason: at 512 x 512 pixels starts hardly count,
# and `lite` still gains far less than `plain` (see the recorded times above).

# %% [markdown] tags=["deep", "slide"]
# **Do 30 channels cost less than 32? (deep)**
# Multiply-adds do not tell all in one more way.
# Kernels take channels in blocks of a fixed size:
# onnxruntime's fast int8 kernel four at a time, its float layout up to 16.
# What would you expect of 30 channels instead of 32, 12 % fewer multiply-adds?

# %% tags=["deep", "slide"]
widths = {}
for channels in (28, 30, 32):
    layer, maps = nn.Conv2d(channels, channels, 3, 1, 1), torch.randn(1, channels, 64, 64)
    widths |= {f"{channels}, {form}": ms for form, ms in timed(layer, maps, "3x3").items()}
plots.bars(widths, y_label="milliseconds of a 3x3 layer")

# %% [markdown] tags=["deep"]
# A width between two multiples can take longer than the next multiple above it.
# So prune channels to multiples (`multiple=` in chapter 18), or pruning may save no time.

# %% [markdown] tags=["deep", "slide"]
# **Which layers should stay real, if milliseconds count? (deep)**
# Chapter 20 spent bits; `qat.allocate` spends any cost.
# `clocked.layer_times` takes the time of each convolution in the float file and in the int8 file,
# in turns in one run; a clock is noisy, so medians count.
# The damage of a layer is the error of the outputs when its weight and its map alone are rounded.
# Is every layer faster in integers?

# %% tags=["deep", "slide"]
times = clocked.layer_times({"fp32": floats, "int8": integers}, picture)
pairs_of_ms = zip(*times.values(), strict=True)
cost = {n: dict(zip((32, 8), ms, strict=True)) for n, ms in zip(qat.layers(fake), pairs_of_ms, strict=True)}
quantizers = [m for m in fake.modules() if isinstance(m, qat.FakeQuantize)]


def outputs(*at_work):
    for quantizer in quantizers:
        quantizer.state = "quantize" if quantizer in at_work else "off"
    with torch.no_grad():
        return [level / level.std() for head in fake(images) for level in head]


real, damage = outputs(), {}
for name, layer in qat.layers(fake).items():
    rounded_alone = outputs(layer.weight_quantizer, qat.maps(fake)[f"after_{name}"])
    errors = [(a - b).square().mean().item() for a, b in zip(rounded_alone, real, strict=True)]
    damage[name] = {32: 0.0, 8: sum(errors)}  # 32: real numbers
outputs(*quantizers)
print("slower in integers:", *(n for n, ms in cost.items() if ms[8] > ms[32]))

# %% [markdown] tags=["deep"]
# Three budgets: half of what integers save, nine tenths of it, and all.
# Each choice is written as a file, and the whole file is timed and judged.

# %% tags=["deep", "slide"]
least, most = (sum(pick(ms.values()) for ms in cost.values()) for pick in (min, max))
made, planned = {"all real": floats, "all int8": integers}, {}
for share in (0.5, 0.9, 1.0):
    bits = qat.allocate(damage, None, most - share * (most - least) + 1e-9, cost=cost)
    keep = [n for n in bits if bits[n] == 32]
    name = f"{len(keep)} of {len(bits)} real"
    planned[name] = sum(cost[n][bits[n]] for n in bits)
    graph = rounded(deployed.deployed(model, images[:1]), keep=keep)
    made[name] = export.to_qdq_onnx(graph, images[:1], folder / f"mixed_{len(keep)}.onnx")
runs = {name: export.Network(path) for name, path in made.items()}
turns = profiling.compare(runs, picture, repeats=300, block=0)
rows = []
for name, network in runs.items():
    plan = f"{planned[name]:.2f}" if name in planned else ""
    rows.append((name, plan, f"{min(turns[name].latency.times):.2f}", f"{score(network):.3f}"))
del runs, network  # sessions hold memory
table(("layers", "convolutions, planned, ms", "whole file, fastest, ms", "AP on 100 scenes"), rows)

# %% [markdown] tags=["deep"]
# Where the first layer is slower in integers, it is because the kernel wants multiples of four channels,
# and a picture has three (exercise 22.6).
# A layer that stays real between two in integers also needs a DQ and a Q, which the plan does not count:
# compare the cheapest plan with "all int8".
# So measure the file that is planned.

# %% [markdown] tags=["core", "slide"]
# ## What did part IV reach?
#
# `data/weights` holds two int8 files: `plain`, and `plain` with half of its multiply-adds pruned away (chapter 18).
# Their grids were chosen as above, with 128 scenes instead of 64.
# Here they stand beside all that this chapter wrote: how good, how fast, how large.
# All times are from one run, in turns; of 150 turns the fastest counts, since other programs only slow down.
# Before you look: which of the eight would you ship?

# %% tags=["core", "slide"]
pruned = channel_pruning.load(detectors.detector("plain"), "detector_pruned", images[:1])
pruned = export.to_onnx(pruned, images[:1], folder / "pruned.onnx")
files["pruned"] = {"fp32": pruned}
for name in ("plain", "pruned"):
    files[name]["int8"] = data.FOLDER / "weights" / f"detector_{name}_int8.onnx"
paths = {f"{name}, {form}": path for name, both in files.items() for form, path in both.items()}
runners = {name: export.Network(path) for name, path in paths.items()}
reached = {name: score(network) for name, network in runners.items()}
turns = profiling.compare(runners, picture, repeats=150)
fastest = {name: min(each.latency.times) for name, each in turns.items()}
places = {n: (fastest[n], reached[n], path.stat().st_size / 1000) for n, path in paths.items()}
fast = "pruned, int8"
says = f"{fast}: {fastest['plain, fp32'] / fastest[fast]:.1f} times as fast as plain in floats, "
says += f"{places['plain, fp32'][2] / places[fast][2]:.0f} times smaller, AP {reached[fast]:.3f}"
costs.discs(places, x_label="milliseconds, fastest of 150 turns, one thread, onnxruntime", y_label="AP on 100 scenes",
            area_label="kB of the file", says=f"{says} against {reached['plain, fp32']:.3f}.")  # fmt: skip

# %% [markdown] tags=["core"]
# Small discs at the upper left are what one wants.
# Integers move `plain` far to the left at nearly the same height; pruning moves it on, for a little AP.
# `course`, the full EfficientDet, becomes smaller and slower.

# %% [markdown] tags=["deep", "slide"]
# ## What do you type in your own project? (deep)
#
# We wrote our files by hand, to see what stands in them.
# In a project you will use the tools of others:
#
# - `torch.onnx.export` writes the float file.
#   Since 2.9 it does so through `torch.export` (`dynamo=True`), and needs the package onnxscript for that.
# - `onnxruntime.quantization.quantize_static` makes a Q/DQ file of it, from batches of your pictures.
#   `nodes_to_exclude` is chapter 20's `keep_float`.
# - torchao's PT2E (`prepare_pt2e`, `convert_pt2e`) rounds inside PyTorch; `torch.compile` makes integers of it.
# - OpenVINO and TensorRT read a Q/DQ file as it is, ours too.
#   (LiteRT and ExecuTorch have converters of their own.)
#
# Here they get the same detector, and 32 validation scenes to choose ranges from.
# What is not installed is left out and named.

# %% tags=["deep"]
show(elsewhere.static)

# %% tags=["deep", "slide"]
del runners, answers
theirs = elsewhere.torch_onnx(model, images[:2], folder / "theirs.onnx")
seen = training.normalise(torch.from_numpy(detectors.scenes("validation", 32).images)).split(4)
made = {"torch.onnx.export": theirs}
ways = {"as it comes": {}, "bytes for maps": elsewhere.bytes_for_maps()}
for name, how in ways.items():
    path = folder / f"static_{len(made)}.onnx"
    made[f"quantize_static, {name}"] = elsewhere.static(theirs, seen, path, **how)
made["ours, int8"] = integers
runs = {name: elsewhere.Outside(export.Network(path), model.config) for name, path in made.items()}
if not elsewhere.missing("openvino"):
    runs["ours, int8, in OpenVINO"] = elsewhere.Outside(elsewhere.openvino(integers), model.config)
if not elsewhere.missing("torchao"):
    flat = deployed.deployed(model, images[:1])
    runs["PT2E, not compiled"] = elsewhere.Outside(elsewhere.pt2e(flat, seen), model.config)
turns = profiling.compare(runs, picture, repeats=150)
fastest = {name: min(one.latency.times) for name, one in turns.items()}
each = []
for name, network in runs.items():
    kernels = export.operator_counts(made[name], optimized=True).get("QLinearConv", "") if name in made else ""
    each.append((name, f"{score(network):.3f}", kernels, f"{fastest[name] / fastest['torch.onnx.export']:.2f}"))
print("not installed here:", *(elsewhere.missing("openvino", "torchao") or ["nothing"]))
table(("", "AP", "integer convolutions, of 27", "time, theirs in floats being 1"), each)

# %% [markdown] tags=["deep"]
# Look at the third column before the last one.
# `quantize_static` as it comes gives maps *signed* bytes.
# Then onnxruntime leaves most of these convolutions as floats between a DQ and a Q,
# and the file is slower than the one it came from.
# One option, bytes from 0 to 255 for maps, and all of them run in integers.
# AP says nothing about it.
# OpenVINO and torchao are not installed with this course.
# So these numbers are typed here, from one run in November 2026 (openvino 2026.4.1, torchao 0.18.0):
# our file had AP 0.800 in OpenVINO and 0.799 in onnxruntime, and PT2E reached 0.805.
# Before PT2E was compiled it took about five times as long as floats there,
# since it rounds in real numbers as chapter 20 does.
# Other versions may give other numbers; install both, and the table has rows for them.
# PT2E got the flat graph; the model itself it refused, for a head that runs on three levels.
# `make demo` puts the int8 file into a web page that needs no server: the [README](../README.md) says how.

# %% [markdown] tags=["core", "slide"]
# ## Milestone: whose quantizer wrote this file?
#
# The recipe of the shipped `plain` file once more: 128 validation scenes choose the grids, and the file is written.
# Scale and zero point (chapter 19) and the pairs (22.1) are called while it is written, wherever they are yours.
# Then onnxruntime runs it.
# The network of chapter 21 computes the same grids in PyTorch, with its own requantization, on a few scenes.
# `yours(load=True)` takes back what you built in other chapters.

# %% tags=["core", "slide"]
yours(load=True)
with milestone(19, 22) as run:
    seen = torch.from_numpy(detectors.scenes("validation", 128, seed=1).images)
    batches = training.normalise(seen).split(32)
    graph = deployed.deployed(model, batches[0][:1])
    written = rounded(graph, batches=batches)
    file = export.to_qdq_onnx(written, batches[0][:1], folder / "milestone.onnx")
    in_integers = integer.convert(written)
    with torch.no_grad():
        maps_of_ours = in_integers(images[:4])[0]

# %% tags=["core", "slide"]
shipped_file = data.FOLDER / "weights" / "detector_plain_int8.onnx"
contents = file.read_bytes(), shipped_file.read_bytes()
other = sum(a != b for a, b in zip(*contents, strict=False))
runner = export.Network(file)
step = max(grid.scale.item() for grid in in_integers.outputs)
levels = zip(runner(images[:4])[0], maps_of_ours, strict=True)
apart = max((x - y).abs().max().item() for x, y in levels) / step
table(
    ("", "kB", "AP on 100 scenes"),
    [("written just now", f"{len(contents[0]) / 1000:.1f}", f"{score(runner):.3f}"),
     ("shipped", f"{len(contents[1]) / 1000:.1f}", f"{reached['plain, int8']:.3f}")],
)  # fmt: skip
print(f"{other:,} bytes differ; chapter 21's integers are {apart:.0f} steps away at most")

# %% [markdown] tags=["core"]
# If your zero points were wrong, bytes would differ in every layer.
# A few bytes may differ all the same: sums of floats choose the grids,
# and another processor adds them in another order.
# What four chapters made is now one file that needs no Python; the table says how large it is.

# %% tags=["core", "slide"]
guesses()

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **The runtime does not know your operator.**
#   NVIDIA/TensorRT#1114: YOLOv5s in int8 fell from mAP 0.362 to 0.054,
#   with SiLU in the file as a sigmoid and a product; as one operator of its own, to 0.316.
# - **A window more, or one less.** pytorch/pytorch#71549 and #131272:
#   average pools with `ceil_mode` came out with another size in ONNX; #183528: with another divisor.
#   Write pads, not modes.
# - **The batch is a constant.** pytorch/pytorch#157621 and #149065: exported with a dynamic batch, and the file says 1.
#   Test with a batch that the example did not have.
# - **Quantized, and slower.** microsoft/onnxruntime#12854, #16009: `quantize_dynamic` on convolutions. #17389:
#   a file too old for fusion.
#   Count the operators after fusion first.
# - **NMS in the graph.** rwightman/efficientdet-pytorch#89, zylo117/Yet-Another-EfficientDet-Pytorch#425:
#   the export fails on it.
#   Export the network, decode outside.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - A file holds operators and weights.
#   Ours come from the flat graph, one rule for each operator, with pads and sizes written out.
# - Q and DQ say where values are rounded (Eq. 22.1), with the scales that were trained.
#   A runtime turns DQ, convolution, Q into integers (Eq. 22.2).
# - int8 is nearly four times smaller where filters are large (Eq. 22.6),
#   and faster where arithmetic took the time.
#   It costs about 0.01 of AP or less here.
# - Compare int8 with floats *in the same runtime*.
# - What has no integer kernel (SiLU, gates, weighted fusion) leaves pairs behind, and they cost time.
# - If two programs differ, follow one picture tensor by tensor, and look at the first that parts.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 22.2 · Predict · kilobytes · 5 min · ●○○ · 1 point
#
# A convolution has 64 filters over 32 channels, 3 x 3 pixels, each with a bias.
# How many kB (of 1,000 bytes) does Eq. 22.6 give for it in int8, biases and steps included?
#
# <details><summary>Answer</summary>
#
# $64 \cdot (32 \cdot 9 + 12) = 64 \cdot 300 = 19{,}200$ bytes: 19.2 kB.
# In floats: 74.0 kB.
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("export.kilobytes", answer)
# hint("export.kilobytes")
# solution("export.kilobytes")

# %% [markdown] tags=["core"]
# ### 22.3 · Measure · first_bits · 8 min · ●●○ · 2 points
#
# Another kernel adds *four* products with bytes in 16 bits, where Eq. 22.5 adds two.
# How many bits can weights have at most, if the sum must never overflow?
# Change `bits` and look.
# Weights are signed and symmetric, as in chapter 19 (8 bits: -127 to 127); bytes are unsigned, 0 to 255.

# %% tags=["core"]
bits = 8  # change me
largest = 2 ** (bits - 1) - 1
print(f"{bits} bits: weights up to {largest}, the largest sum is {4 * 255 * largest}")

answer = ...  # the most bits that are safe
check("export.first_bits", answer)
# hint("export.first_bits")
# solution("export.first_bits")

# %% [markdown] tags=["deep"]
# ### 22.4 · Build · requantize · 15 min · ●●○ · 3 points
#
# The last step of Eq. 22.2.
# `total` holds integer sums, one row for each filter (C, N); `x_scale` and `y_scale` are numbers,
# `w_scale` has one value for each filter (C,), `y_zero` is an integer.
# Round as `torch.round` does: a half goes to the even neighbour.
# Then add the zero point, then clamp.
# Return the bytes as whole numbers in a float32 tensor (C, N).
# By hand: scales 0.5, (0.25) and 0.5, zero 1: sums 23, -40 and 4000 give 7, 0 and 255, and 10 gives 3 (2.5 goes to 2).

# %% tags=["deep"]
def requantize(total, x_scale, w_scale, y_scale, y_zero):
    ...  # your code


check("export.requantize", requantize)
# hint("export.requantize")
# solution("export.requantize")

# %% [markdown] tags=["deep"]
# ### 22.5 · Build · pads_behind · 15 min · ●●○ · 3 points
#
# Eq. 22.4 needs the number of windows.
# PyTorch's `ceil_mode` counts $\lceil (n + 2b - k) / s \rceil + 1$ of them,
# less the last one if it would begin at $n + b$ or later, counted from the first pad.
# Return the pads behind, at least 0.
# By hand: `pads_behind(9, 2, 2, 0)` is 1, and `pads_behind(5, 2, 2, 1)` is 0:
# its fourth window would begin in the pads.

# %% tags=["deep"]
def pads_behind(size, kernel, stride, before):
    ...  # your code


check("export.pads_behind", pads_behind)
# hint("export.pads_behind")
# solution("export.pads_behind")

# %% [markdown] tags=["optional"]
# ### 22.6 · Further · 60 min · ●●● · 0 points
#
# The first convolution has 3 channels, and onnxruntime's fast int8 kernel wants multiples of 4.
# Give the quantized input a fourth channel of zeros (a `Pad` behind the first Q) and the filters a fourth slice of
# zeros, check that nothing changes, and measure what it buys.
# Then read [the paper that made int8 inference common](https://arxiv.org/abs/1712.05877), section 2,
# with Eq. 22.2 beside it.

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("export")
# yours()            whose functions are at work now
# restore()          the course's own again
# submit()           your answers in one small file

# %% [markdown] tags=["core"]
# ## Where next
#
# Every tool has been tried alone.
# Chapter 23 takes one model all the way: searched, scaled, trained, pruned, quantized, shipped.
# The integer file also runs in a browser: `make demo` puts it into a web page, where you draw the digits.

# %% [markdown] tags=["core"]
# ## References
#
# - [ONNX operators](https://onnx.ai/onnx/operators/): Q, DQ, and the rules of every other one.
# - Jacob and others, [Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
#   Inference](https://arxiv.org/abs/1712.05877), 2017: Eq. 22.2 and 22.3.
# - Nagel and others, [A White Paper on Neural Network Quantization](https://arxiv.org/abs/2106.08295), 2021:
#   where to put the roundings.
