# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 03 · Profiling
#
# **Question. What does a network cost: parameters, multiply-adds, milliseconds, megabytes, and why do they disagree?**
#
# After this chapter you can
#
# 1. count the parameters and multiply-adds of a convolution on paper,
#    and check a tool against them (exercises 03.1 and 03.3)
# 2. say what a latency number must come with, and read a comparison of two (quiz)
# 3. follow the memory of a forward pass from tensor to tensor (exercises 03.4 and 03.6)
# 4. find the networks that no other beats, and pick one within a budget (exercises 03.2 and 03.5)
#
# | study | about 90 min (estimate) |
# |---|---|
# | run | <!-- run -->0.3 min (18 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->606 MB (measured)<!-- /peak --> |
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
import statistics
import time

import torch
import torchvision
from torch import nn
from torch.utils import flop_counter

from lib.basics import data, profiling, training
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
    yours,
)

device = setup("03_profiling", seed=0)

# %% [markdown] tags=["core"]
# Every search in this course asks one question many times: is this network better than that one?
# Better at what is half of the answer.
# The other half is: at what price?
# This chapter builds the price list.
#
# All measurements here run on the CPU, also where there is a GPU.
# Your milliseconds will differ from your neighbour's.
# Your counts will not.
#
# Two pieces you write yourself, where the idea stands: exercises 03.1 and 03.2.
# Once `build` finds one right, the library works with *your* function, here and in every later chapter.
# What you leave, the chapter does with the course's own.
# Sections whose heading ends with *(deep)* can wait.

# %% [markdown] tags=["core", "slide"]
# ## How many numbers does one convolution hold?
#
# Take one layer: 3 channels in, 8 channels out, filters of 3x3, one bias each.
# How many numbers does training have to find?
# Write your answer down before you read on.
#
# One filter looks at all 3 channels at once, so it holds $3 \cdot 3 \cdot 3 = 27$ numbers.
# There are 8 filters: 216.
# With one bias each: 224.
# In symbols, for $C_{in}$ channels in, $C_{out}$ out, a $k \times k$ filter, and $b = 1$ with bias, 0 without:
#
# $$ P = C_{out} \left( C_{in}\, k^2 + b \right) \tag{3.1} $$
#
# The picture's height and width are not in it.
# The same filters slide over any picture.

# %% tags=["core", "slide", "nbval-check-output"]
show(profiling.sizes)
layer = nn.Conv2d(3, 8, 3, padding=1)
assert profiling.parameters(layer) == 224  # by hand, above
profiling.sizes(layer)

# %% [markdown] tags=["core"]
# Now the small network of chapter 02: three convolutions of 16, 32 and 64 channels, each with a batch norm,
# and one linear layer.
# Where do you expect most of its parameters: at the front, where the picture is large, or at the back?

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
net = training.small_cnn((16, 32, 64))
parts = {
    f"{i} {type(m).__name__}": profiling.parameters(m)
    for i, m in net.named_children()
    if profiling.parameters(m)
}
plots.bars(parts, y_label="parameters")

# %% [markdown] tags=["core"]
# At the back.
# Eq. 3.1 multiplies two channel counts, and channels grow from layer to layer.
#
# **Break it.**
# Count what the saved file holds instead, and compare.

# %% tags=["core", "nbval-check-output"]
in_file = sum(t.numel() for t in net.state_dict().values())
in_file - profiling.parameters(net), profiling.sizes(net).buffers

# %% [markdown] tags=["core"]
# The file holds 227 numbers more.
# Each batch norm remembers a mean and a variance for each channel, $2 \cdot (16 + 32 + 64) = 224$,
# and a counter of batches, three in all.
# They are *buffers*: stored, but not learned by gradient.
# Papers do not count them as parameters, and neither do we.

# %% [markdown] tags=["core", "slide"]
# ## How much arithmetic does it do?
#
# The same layer now meets a picture of 16x16 pixels.
# Padding keeps the size, so there are $16 \cdot 16 = 256$ positions.
# At each one, 8 filters multiply 27 numbers and add them up: $256 \cdot 8 \cdot 27 = 55{,}296$ times "multiply,
# then add".
# We call that pair one [*multiply-add*](GLOSSARY.md#multiply-add).
#
# $$ M = H_{out}\, W_{out}\, C_{out}\, C_{in}\, k^2 \tag{3.2} $$
#
# $H_{out}$ and $W_{out}$ are the height and width of the *output*.
# Biases are left out, as papers do.

# %% [markdown] tags=["core"]
# ### 03.1 · Build · grouped_conv_macs · 10 min · ●●○ · 3 points
#
# `macs`, which counts every network of this course, asks this function about each of its convolutions.
# Eq. 3.2 wants to be told the size of the output, and knows no groups.
# Write the count that starts from the input: a square filter of `kernel` pixels on a square picture of `side` pixels,
# with `padding` pixels of zeros on each of the four sides, moving `stride` pixels at a time;
# a place counts only if the whole filter fits.
# With `groups` groups the input channels are divided into that many equal parts, in order, and the outputs too.
# The outputs of the first part read the inputs of the first part only, and so on.
# The padded picture is at least as large as the filter.
# Count the products with padding too, and return a whole number.
# By hand: (3, 8, 3, 1, 1, 1, 16), in the order of the stub, is the layer above: 55,296.

# %% tags=["core"]
def grouped_conv_macs(c_in, c_out, kernel, stride, padding, groups, side):
    """Multiply-adds of one square convolution, a whole number.

    By hand: grouped_conv_macs(8, 8, 3, 1, 1, 8, 16) is 18,432: 256 places, 8 channels, 9 products.
    """
    # your code, in place of the dots
    ...


build("profiling.grouped_conv_macs", grouped_conv_macs)
# hint("profiling.grouped_conv_macs")
# solution("profiling.grouped_conv_macs")

# %% [markdown] tags=["core"]
# `macs` runs the network once and adds up what each of its layers takes.
# (A convolution that is not square, and a linear layer, are counted by PyTorch's own formulas.)

# %% tags=["core", "slide", "nbval-check-output"]
show(profiling.grouped_conv_macs, folded=True)
assert profiling.grouped_conv_macs(3, 8, 3, 1, 1, 1, 16) == 55_296  # by hand, above
show(profiling.macs)
x = torch.zeros(1, 3, 16, 16)
assert profiling.macs(layer, x) == 55_296  # by hand, above
profiling.macs(layer, x)

# %% [markdown] tags=["core"]
# **Break it.**
# Ask PyTorch's counter directly, without halving.
# What will it say?

# %% tags=["core", "slide", "nbval-check-output"]
with flop_counter.FlopCounterMode(display=False) as counter:
    layer(x)
counter.get_total_flops(), counter.get_total_flops() / profiling.macs(layer, x)

# %% [markdown] tags=["core"]
# Twice as much.
# The tool counts the multiplication and the addition as two floating point operations, FLOPs.
# The papers of this course count the pair as one, and call *that* FLOPs.
# Whoever mixes the two is wrong by a factor of two, and nothing crashes.
# So we never say FLOPs: we say multiply-adds.
#
# Does our count agree with the published ones?
# Networks built under `torch.device("meta")` have shapes but no numbers, so the biggest model is counted in a moment.

# %% tags=["core", "slide", "nbval-check-output"]
for name in ("resnet18", "mobilenet_v2", "efficientnet_b0"):
    with torch.device("meta"):
        big = torchvision.models.get_model(name, weights=None)
        image = torch.zeros(1, 3, 224, 224)
    work, held = profiling.macs(big, image) / 1e6, profiling.parameters(big) / 1e6
    print(f"{name:16} {work:7.1f} M multiply-adds {held:6.2f} M parameters")

# %% [markdown] tags=["core"]
# The papers print 1.8 billion multiply-adds for [ResNet-18](https://arxiv.org/abs/1512.03385),
# 300 million and 3.4 million parameters for [MobileNetV2](https://arxiv.org/abs/1801.04381),
# 0.39 billion and 5.3 million for [EfficientNet-B0](https://arxiv.org/abs/1905.11946).
# All agree up to rounding, but one: MobileNetV2 has 3.50 million parameters here and 3.4 in its paper.
# We do not know why.
# Such a gap should be written down, not hidden.
#
# Look at the first two lines again.
# ResNet-18 has about three times the parameters of MobileNetV2 and six times the arithmetic.
# The two numbers measure different things, as the next figure shows for our small network.

# %% tags=["core", "slide"]
work = profiling.macs_by_module(net, torch.zeros(1, 3, 32, 32))
work = {f"{i} {type(net[int(i)]).__name__}": v for i, v in work.items()}
plots.bars(work, y_label="multiply-adds at 32x32")

# %% [markdown] tags=["core"]
# The last convolution holds four times the parameters of the middle one, yet both do the same arithmetic.
# The picture was halved in between: a quarter of the positions, twice the channels in, twice the channels out.
# $\tfrac14 \cdot 2 \cdot 2 = 1$.
#
# Move the slider.
# Parameters stay where they are.
# What shape has the curve?

# %% tags=["core", "slide"]
sides = list(range(16, 129, 16))
grows = [profiling.macs(net, torch.zeros(1, 3, s, s)) / 1e6 for s in sides]


def at_side(side):
    i = max(1, sides.index(side))
    million = grows[sides.index(side)]
    says = f"{million:.2f} million, {million / grows[0]:.1f} times the work at 16x16."
    labels = {"x_label": "side (pixels)", "y_label": "million multiply-adds"}
    curve = {"small_cnn": grows[: i + 1]}
    return plots.lines(sides[: i + 1], curve, says=says, **labels)


widgets.slider(at_side, name="side", values=sides, start=len(sides) - 1, label="side")

# %% [markdown] tags=["core"]
# Twice the side, four times the work: a parabola.

# %% [markdown] tags=["core", "slide"]
# ## What does a depthwise filter save?
#
# A convolution does two jobs at once: it looks around in space, and it mixes channels.
# A *separable* convolution does them one after the other.
# First a *depthwise* filter: each channel is filtered alone.
# Then a 1x1 convolution mixes the channels.
#
# By hand, from 64 to 64 channels on 32x32 positions with 3x3 filters.
# Dense: $1024 \cdot 64 \cdot 64 \cdot 9 = 37{,}748{,}736$.
# Depthwise: $1024 \cdot 64 \cdot 9 = 589{,}824$.
# The 1x1: $1024 \cdot 64 \cdot 64 = 4{,}194{,}304$.
# Divide the sum of the last two by the first:
#
# $$ \frac{M_{separable}}{M_{dense}} = \frac{1}{C_{out}} + \frac{1}{k^2} \tag{3.3} $$
#
# Here $1/64 + 1/9 = 0.127$: one eighth of the arithmetic.

# %% tags=["core", "slide", "nbval-check-output"]
C, K = 64, 3
depthwise = nn.Conv2d(C, C, K, padding=1, groups=C, bias=False)
pointwise = nn.Conv2d(C, C, 1, bias=False)
dense = nn.Conv2d(C, C, K, padding=1, bias=False)
separable = nn.Sequential(depthwise, pointwise)
x = torch.randn(1, C, 32, 32)
assert profiling.macs(dense, x) == 37_748_736
share = profiling.macs(separable, x) / profiling.macs(dense, x)
assert abs(share - (1 / C + 1 / K**2)) < 1e-12
profiling.macs(depthwise, x), profiling.macs(pointwise, x), round(share, 4)

# %% [markdown] tags=["core"]
# The two terms behave differently.
# Wider layers make the first one vanish.
# Then only $1/k^2$ is left.

# %% tags=["core", "slide"]
channels = [4, 8, 16, 32, 64, 128, 256]
curves = {f"{k}x{k}": [1 / c + 1 / k**2 for c in channels] for k in (3, 5, 7)}
labels = {"x_label": "output channels", "y_label": "separable / dense multiply-adds"}
plots.lines(channels, curves, log_x=True, **labels)

# %% [markdown] tags=["core"]
# A wide separable layer can afford larger filters, since most of its work is in the 1x1.
# At 64 channels a separable 5x5 costs $(25 + 64) / (9 + 64) = 1.22$ times as much as a separable 3x3.
# For dense filters it is $25 / 9 = 2.8$ times.
# The best cells of NASNet use separable 5x5 filters, and even 7x7 (chapter 04).
#
# **Break it.**
# Leave the 1x1 out, and only one 64th of the work is left.
# What is lost?

# %% tags=["core", "nbval-check-output"]
poke = torch.zeros(1, C, 5, 5)
poke[0, 0, 2, 2] = 1.0  # one bright pixel, in channel 0 only
kinds = {"depthwise alone": depthwise, "separable": separable, "dense": dense}
for kind, layer in kinds.items():
    touched = (layer(poke) != 0).any(dim=(0, 2, 3))  # one truth value a channel
    print(f"{kind:16} reaches {touched.sum().item():2} of {C} channels")

# %% [markdown] tags=["core"]
# A pixel in channel 0 reaches one channel of 64.
# Nothing mixes.
# The 1x1 is needed: it is where a separable convolution does most of its arithmetic,
# and the only place where channels are mixed.

# %% [markdown] tags=["core", "slide"]
# ## How long is one millisecond?
#
# Counts are the same everywhere.
# Time is not.
# Suppose five calls take 2, 2, 2, 2 and 22 milliseconds.
# The mean is 6, which no call ever took.
# The *median*, the middle one of the sorted times, is 2.
# Which of them would you expect next time?
# Let us first measure it the way most of us have done it at least once: build a network, call it, look at the clock.
# We call it 24 times, and we act as a *neighbour*, another program on the same machine: call 20 has to wait 20 ms.

# %% tags=["core"]
fresh = training.small_cnn((24, 40, 56)).eval()
picture = torch.randn(1, 3, 40, 40)
times = []
for call in range(1, 25):
    begin = time.perf_counter()
    fresh(picture)
    if call == 20:
        time.sleep(0.02)  # the neighbour
    times.append(1000 * (time.perf_counter() - begin))

# %% [markdown] tags=["core"]
# Which number would you put into a table: the first, the mean, or the median?

# %% tags=["core", "slide"]
first, mean, median = times[0], statistics.mean(times), statistics.median(times)
late = [call for call, ms in enumerate(times, 1) if ms > 5 * median]
says = f"First call {first:.2f} ms, mean {mean:.2f} ms, median {median:.2f} ms. "
says += f"More than five times the median: call {', '.join(map(str, late))}."
plots.lines(range(1, 25), {"time": times}, x_label="call", y_label="milliseconds", log_y=True, says=says)

# %% [markdown] tags=["core"]
# The first call also allocates memory and lets the library choose its *kernels*, the routines that do the work:
# what it takes says little about later calls.
# The call that waited makes the mean larger, and so does any other call that had to wait on your machine.
# The median stays nearly the same.
# So the rules are:
#
# 1. Warm up: the first calls do not count.
# 2. Repeat, and give the **median** with the **interquartile range** (IQR):
#    leave out the quarter of the times that is shortest and the quarter that is longest;
#    the IQR is the width of what is left.
# 3. Switch to evaluation mode, without gradients: that is what will run later.
# 4. A GPU puts its work into a queue and does it later.
#    Wait until the queue is empty before you read the clock.
#    Otherwise you time how long it takes to fill the queue, not how long the work takes.
# 5. Say how many threads.

# %% tags=["core", "slide"]
show(profiling.interleave)
profiling.latency(fresh, picture, threads=1)

# %% [markdown] tags=["core"]
# `interleave` holds one more rule, the one people forget.
# To compare two networks, time them [**in turns**](GLOSSARY.md#in-turns).
# A machine that slows down for a second then slows both, and the *ratio* survives.
# `profiling.compare` does that.
# It takes one ratio in each round, and the median of these.
#
# **Break it.**
# Compare a network with itself.
# First in turns, then one after the other while a neighbour is busy in the second half.

# %% tags=["core", "slide"]
twin = {"a": fresh, "b": fresh}
together = profiling.compare(twin, picture)["b"]
alone = profiling.latency(fresh, picture)
wait = alone.median / 1000  # the neighbour takes as long again
late = profiling.interleave({"b": lambda: (fresh(picture), time.sleep(wait))})["b"]
print(f"in turns: b/a = {together.ratio:.2f} (IQR {together.ratio_iqr:.2f})")
print(f"one after the other: b/a = {late.median / alone.median:.2f}")

# %% [markdown] tags=["core"]
# The same network, and the second way says that it has become slower.
# No statistics repair that afterwards.

# %% [markdown] tags=["deep", "slide"]
# ## Why is eight times less work not eight times faster? (deep)
#
# Four layers, all 64 channels wide on 32x32 positions: a dense 3x3, a 1x1, a depthwise 3x3, and a depthwise 7x7.
# You know how to count them.
# Now rank them by *time*, fastest first.
# Write the order down.
# It is fine to be wrong: most people are.

# %% tags=["deep"]
layers = {
    "dense 3x3": dense,
    "1x1": pointwise,
    "depthwise 3x3": depthwise,
    "depthwise 7x7": nn.Conv2d(C, C, 7, padding=3, groups=C, bias=False),
}
timed = profiling.compare(layers, x)
work = {name: profiling.macs(m, x) for name, m in layers.items()}
most = work["dense 3x3"]
for name in sorted(layers, key=lambda n: timed[n].latency.median):
    ms, ratio = timed[name].latency.median, timed[name].ratio
    line = f"{name:14} {ms:7.3f} ms {work[name] / 1e6:7.2f} M multiply-adds"
    print(
        f"{line}  {ratio:6.3f} of the dense time {work[name] / most:6.3f} of its work"
    )

# %% [markdown] tags=["deep"]
# If multiply-adds were time, the last two columns would agree.
# Look at the depthwise 3x3: it has one 64th of the work.
# What share of the time?

# %% tags=["deep", "slide"]
pace = {n: work[n] / timed[n].latency.median / 1e6 for n in layers}  # 10^9 a second
factor = pace["dense 3x3"] / pace["depthwise 3x3"]
says = f"In one second the dense layer does {factor:.0f} times the work of the depthwise 3x3."
labels = {"x_label": "million multiply-adds", "y_label": "milliseconds"}
million, ms = zip(
    *((work[n] / 1e6, timed[n].latency.median) for n in layers), strict=True
)
plots.scatter(
    million, ms, names=list(layers), log_x=True, log_y=True, says=says, **labels
)

# %% [markdown] tags=["deep"]
# Arithmetic needs numbers to work on.
# They have to come from memory, and the results have to go back.
# Divide the work by that traffic and you have the [*arithmetic intensity*](GLOSSARY.md#arithmetic-intensity), in
# multiply-adds a byte:
#
# $$ I = \frac{M}{\text{bytes of input} + \text{bytes of weights} + \text{bytes of output}} \tag{3.4} $$
#
# By hand, on a smaller case: 16 channels on 8x8 positions, 3x3, four bytes a number.
# Dense: $147{,}456$ multiply-adds over $4 \cdot (1024 + 2304 + 1024) = 17{,}408$ bytes, so $I = 8.5$.
# Depthwise: $9{,}216$ over $4 \cdot (1024 + 144 + 1024) = 8{,}768$, so $I = 1.05$.
# The depthwise filter reads and writes as much as the dense one and does a sixteenth of the arithmetic with it.


# %% tags=["deep", "nbval-check-output"]
def intensity(layer, x):
    moved = x.nbytes + profiling.sizes(layer).bytes + layer(x).nbytes
    return profiling.macs(layer, x) / moved


small = torch.zeros(1, 16, 8, 8)
by_hand = {1: 147_456 / 17_408, 16: 9_216 / 8_768}
for groups, value in by_hand.items():
    one = nn.Conv2d(16, 16, 3, padding=1, groups=groups, bias=False)
    assert abs(intensity(one, small) - value) < 1e-9
    print(f"groups {groups:2}: {value:.2f} multiply-adds a byte")

# %% [markdown] tags=["deep"]
# How fast could a layer be at best?
# Two things limit it.
# It cannot compute faster than the machine multiplies: a flat line.
# It cannot compute faster than numbers arrive: bytes a second times multiply-adds a byte, a line that rises.
# Whichever is lower is the roof, and the figure is called the [**roofline**](GLOSSARY.md#roofline).
# Both limits are measured here, in turns with the layers:
# by a product of large matrices, and by a copy of 16 MB, which is more than most caches hold.

# %% tags=["deep", "slide"]
square, long = torch.randn(512, 512), torch.zeros(4 * 2**20)
calls = {"multiply": lambda: square @ square, "copy": lambda: long.clone()}
calls |= {name: lambda layer=layer: layer(x) for name, layer in layers.items()}
with torch.inference_mode():
    taken = {name: t.median for name, t in profiling.interleave(calls).items()}
peak = 512**3 / taken["multiply"] / 1e6  # 10^9 multiply-adds a second
bandwidth = 2 * long.nbytes / taken["copy"] / 1e6  # 10^9 bytes a second: read and written
per_byte = {name: intensity(layer, x) for name, layer in layers.items()}
order = sorted(layers, key=per_byte.get)
roof = [min(peak, bandwidth * per_byte[name]) for name in order]
reached = [work[name] / taken[name] / 1e6 for name in order]
share = [f"{name} {r / top:.0%}" for name, r, top in zip(order, reached, roof, strict=True)]
says = f"From left to right, how much of the roof a layer reaches: {', '.join(share)}."
plots.lines([per_byte[name] for name in order], {"roof": roof, "measured": reached}, log_x=True, log_y=True,
            x_label="multiply-adds a byte", y_label="billion multiply-adds a second", says=says)  # fmt: skip

# %% [markdown] tags=["deep"]
# More than 100 %?
# Then its numbers were still in a cache, which is faster than memory, or the library found a way with fewer products.
# A layer with a low intensity waits mostly for memory, and for the fixed cost of every call.
# A layer with a high one is limited mostly by arithmetic.
# That is one reason why EfficientNet, full of depthwise filters, can be slower than its multiply-adds promise,
# and why later chapters put a measurement beside the estimate.
#
# **Break it.**
# Shrink everything: 16 channels on 16x16 positions.
# How much faster is the separable layer now?

# %% tags=["deep"]
tiny = torch.randn(1, 16, 16, 16)
pair = {
    "dense": nn.Conv2d(16, 16, 3, padding=1, bias=False),
    "separable": nn.Sequential(
        nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False),
        nn.Conv2d(16, 16, 1, bias=False),
    ),
}
result = profiling.compare(pair, tiny)["separable"]
share = profiling.macs(pair["separable"], tiny) / profiling.macs(pair["dense"], tiny)
faster = "slower" if result.ratio > 1 else "faster"
print(f"work: {share:.2f} of the dense layer's; time: {result.ratio:.2f} of it, so here it is {faster}")

# %% [markdown] tags=["deep"]
# The work shrinks to less than a fifth.
# The time does not follow: two calls instead of one, and each has a fixed cost.
# The separable layer can even be the slower one: the line above says which it is on your machine.
# Counting would never have told you.

# %% [markdown] tags=["core", "slide"]
# ## What fills the memory?
#
# While a network runs, memory holds its weights and the *activations*, the numbers that one layer hands to the next.
# A chain of three layers on 16x16 pixels: a 1x1 convolution from 3 to 8 channels, a ReLU,
# a 1x1 convolution from 8 to 4.
# One channel is $256 \cdot 4 = 1024$ bytes.
# While a layer runs, its input and its output exist together:
#
# | layer | reads | writes | alive |
# |---|---|---|---|
# | 1x1, 3 to 8 | the picture (ours already) | 8 channels | 8 |
# | ReLU | 8 | 8 | **16** |
# | 1x1, 8 to 4 | 8 | 4 | 12 |
#
# The peak is 16 channels: 16,384 bytes.
# With $s_i$ the bytes of tensor $i$, and $A_t$ the tensors that are alive at step $t$:
#
# $$ \text{peak} = \max_t \sum_{i \in A_t} s_i \tag{3.5} $$

# %% tags=["core"]
show(profiling.peak_memory)

# %% tags=["core", "slide", "nbval-check-output"]
chain = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1))
picture = torch.zeros(1, 3, 16, 16)
assert profiling.peak_memory(chain, picture) == 16 * 1024  # by hand, above
profiling.peak_memory(chain, picture), profiling.sizes(chain).bytes

# %% [markdown] tags=["core"]
# **Break it.**
# Change one word: let the ReLU write over its input.
# What is the peak now?

# %% tags=["core", "nbval-check-output"]
chain[1].inplace = True
profiling.peak_memory(chain, picture)

# %% [markdown] tags=["core"]
# 12 channels: the row of the ReLU has dropped to 8, and the last row is now the highest.
# In training that trick has limits: the backward pass needs many of these tensors again.
# It keeps them all, from the first layer to the last.

# %% tags=["core", "slide"]
batch = torch.zeros(32, 3, 32, 32)
megabytes = {
    "weights": profiling.sizes(net).bytes / 1e6,
    "input, batch of 32": batch.nbytes / 1e6,
    "peak, inference": profiling.peak_memory(net, batch) / 1e6,
    "kept for backward": profiling.kept_for_backward(net, batch) / 1e6,
}
plots.bars(megabytes, y_label="megabytes")

# %% [markdown] tags=["core"]
# The weights are hardly visible.
# When training runs out of memory, a smaller network helps less than a smaller batch or a smaller picture:
# activations grow with both, weights with neither.

# %% [markdown] tags=["deep", "slide"]
# ## Two threads, half the time? (deep)
#
# Two cores, two threads, half the time: that is the hope.
# A layer is cut into two halves, each thread computes one, and **both wait until the slower one is done**.
# On an idle machine that works for large layers.
# Now a neighbour takes one core.
# One of your threads gets its half of the time slices, the other waits for it at the end of every single layer.
# In the worst way of waiting, it keeps its own core busy with waiting (it *spins*).
#
# One case, measured while this course was designed, on a two-core machine:
# EfficientNet-B0 at 256x256 took 35 ms with one thread, and between 29 and 50 ms with two on the idle machine.
# Beside one busy neighbour two threads took between 230 and 600 ms.
# With `OMP_WAIT_POLICY=PASSIVE`, which lets a waiting thread sleep, it was 43 to 88 ms.
# The variable is read once, when torch is imported.
# That is why every chapter begins with `import lib`.
#
# A machine may also have more cores than you may use.
# The *affinity* of a process says on which cores it may run, a *quota* how much of their time it gets.
# `lib.cpus` reads both.

# %% tags=["deep"]
show(lib.cpus)
print(f"CPUs this process may use: {lib.cpus()}")
for shape in ((1, 3, 16, 16), (8, 3, 64, 64)):
    for threads in (1, 2):
        t = profiling.latency(net, torch.randn(shape), threads=threads, repeats=9)
        print(f"{shape}, {threads} thread(s): {t.median:.2f} ms (IQR {t.iqr:.2f})")

# %% [markdown] tags=["deep"]
# The small picture has too little work to share.
# Whether the large one gains depends on your machine, and on who else is using it this minute.
# So latencies in this course are taken with one thread, unless they say otherwise.

# %% [markdown] tags=["core", "slide"]
# ## Which network would you keep?
#
# Four networks, as (cost, accuracy in %): $a = (1, 60)$, $b = (2, 70)$, $c = (3, 65)$, $d = (4, 71)$.
# Is there one that nobody should ever use?
#
# $c$ costs more than $b$ and is worse: $b$ [*dominates*](GLOSSARY.md#dominates) it.
# Between the other three there is no such verdict.
# $d$ is one point better than $b$, at twice the price.
# In symbols, $i$ with cost $c_i$ and quality $q_i$ dominates $j$ if
#
# $$ c_i \le c_j, \quad q_i \ge q_j, \quad \text{and at least one of the two is strict.} \tag{3.6} $$
#
# Those that nobody dominates are the [**Pareto front**](GLOSSARY.md#pareto-front).

# %% [markdown] tags=["core"]
# ### 03.2 · Build · undominated · 12 min · ●●○ · 3 points
#
# Write `undominated(points)`: which of many points (cost, quality) does no other dominate?
# Return their indices, in the order of the list.
# Less cost is better, more quality is better.
# Two equal points do not dominate each other, as Eq. 3.6 says: both stay, unless a third one beats them.
# The list is in any order, and a quality may be negative.

# %% tags=["core"]
def undominated(points):
    """The indices of the points (cost, quality) that no other dominates, in their order.

    By hand: [(3, 65), (1, 60), (2, 70)] gives [1, 2], since (2, 70) costs less than (3, 65) and is better.
    """
    # your code, in place of the dots
    ...


build("profiling.undominated", undominated)
# hint("profiling.undominated")
# solution("profiling.undominated")

# %% [markdown] tags=["core"]
# `pareto_front` calls it; it takes the costs and the qualities as two lists, and gives the front by rising cost.
# Here are the four networks from above.

# %% tags=["core", "slide", "nbval-check-output"]
show(profiling.undominated, folded=True)
show(profiling.pareto_front)
assert profiling.pareto_front([1, 2, 3, 4], [60, 70, 65, 71]) == [0, 1, 3]  # a, b, d
profiling.pareto_front([1, 2, 3, 4], [60, 70, 65, 71])

# %% [markdown] tags=["core"]
# **At scale**: five small networks, trained briefly on the digit crops of chapter 01, three seeds each.
# *flat* has one convolution less and a wide beginning.
# Which of the five will be off the front?
# Fifteen trainings take some ten seconds.

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
QUICK = True  # False: longer training, about six times the time
steps = 60 if QUICK else 400
widths = {"narrow": (4, 8, 16), "slim": (8, 16, 32), "middle": (16, 32, 64)}
widths |= {"wide": (24, 48, 96), "flat": (64, 16)}
train, validation = data.crops("train", 2000), data.crops("validation", 1000)
picture = torch.zeros(1, 3, 16, 16)

# %% tags=["core"]
scores = {name: [] for name in widths}
loss = training.classification_loss()
for name, seed in [(name, seed) for name in widths for seed in (0, 1, 2)]:
    candidate = training.small_cnn(widths[name], seed=seed)
    training.fit(candidate, train, loss, steps=steps, progress=False, seed=seed)
    scores[name].append(training.accuracy(candidate, *validation))
plots.points(scores, y_label="validation accuracy")

# %% [markdown] tags=["core"]
# Each dot is one seed.
# The training is short, so the numbers are low; chapter 02 shows what longer training brings.
# Now the prices, and the front.

# %% tags=["core", "slide"]
candidates = {name: training.small_cnn(w) for name, w in widths.items()}
names = list(candidates)
quality = [statistics.median(scores[n]) for n in names]
million = [profiling.macs(m, picture) / 1e6 for m in candidates.values()]
front = profiling.pareto_front(million, quality)
y_label = "validation accuracy (median of 3)"
plots.scatter(million, quality, names=names, front=front, y_label=y_label,
              x_label="million multiply-adds")  # fmt: skip

# %% [markdown] tags=["core"]
# Does the clock agree with the count?
# We give each network 32 pictures at once, so that work weighs more than the fixed cost of a call.
# The whiskers hold the middle half of the times, the IQR.

# %% tags=["core", "slide"]
clock = profiling.compare(candidates, torch.zeros(32, 3, 16, 16))
ms = [clock[n].latency.median for n in names]
by_clock = profiling.pareto_front(ms, quality)
halves = {}
for name in sorted(names, key=lambda n: clock[n].latency.median):
    low, middle, high = statistics.quantiles(clock[name].latency.times, n=4, method="inclusive")
    halves[name] = middle, low, high
ranked = list(halves)
close = [f"{a} and {b}" for a, b in zip(ranked, ranked[1:], strict=False) if halves[a][2] >= halves[b][1]]
says = f"Dearest / cheapest: {max(million) / min(million):.0f} in multiply-adds, {max(ms) / min(ms):.1f} by the clock. "
says += f"Front by the clock: {', '.join(names[i] for i in by_clock)}. "
says += f"Neighbours whose whiskers overlap: {', '.join(close) or 'none'}."
plots.intervals(halves, y_label="milliseconds for 32 pictures, one thread", says=says)

# %% [markdown] tags=["core"]
# Two prices, two pictures.
# Where the whiskers of two networks overlap, the clock has not told which of them is cheaper:
# run the cell again, and they may change places.
# A front that depends on such a pair is not certain.
# On a phone, with another library, the order may change again.
# A front belongs to the price it was drawn with.
#
# It also belongs to the seeds.
# Draw it from a single seed each, as if the other two had never been run.

# %% tags=["core"]
fronts = [profiling.pareto_front(million, [scores[n][seed] for n in names]) for seed in range(3)]
for seed, lucky in enumerate(fronts):
    print(f"seed {seed}: {[names[i] for i in lucky]}")
differ = len(set(map(tuple, fronts)))
print("the same front three times" if differ == 1 else f"{differ} different fronts: the seed decides who is on it")

# %% [markdown] tags=["core"]
# Where the lines differ, noise decides who is published.
# Where they agree, the networks stand far enough apart.
# In a search they rarely do: chapter 06 measures by how much.
#
# **Break it.**
# One training diverged, and its accuracy is NaN.
# Here is the definition of the front in one line.
# Whom does it keep?

# %% tags=["core", "slide", "nbval-check-output"]
c, q = [1, 2, 3], [60.0, float("nan"), 70.0]
beaten = [
    [c[i] <= c[j] and q[i] >= q[j] and i != j for i in range(3)] for j in range(3)
]
try:
    profiling.pareto_front(c, q)
except ValueError as error:
    print("kept by the one line:", [j for j in range(3) if not any(beaten[j])])
    print("ours:", error)

# %% [markdown] tags=["core"]
# All three, the dead network among them.
# NaN is not smaller, not larger and not equal to anything, so nobody ever beats it.

# %% [markdown] tags=["optional"]
# One number for a whole front is the **hypervolume**: the area between the front and a point that everyone beats.
# Its unit is price times quality, so it says little alone.
# It is for comparing two fronts under the same point: the one with more area is better.
# Chapter 07 compares searches by it.

# %% tags=["optional"]
dearest, worst = 2 * max(million), 0.1  # everyone is cheaper, and better than guessing
area = profiling.hypervolume(million, quality, reference=(dearest, worst))
most = dearest * (1 - worst)  # all right at no price
print(f"{area:.2f} of {most:.2f} (million multiply-adds times accuracy), so {area / most:.0%} of what there could be")

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **A factor of two.**
#   In google/automl#51 the project's own tool reports 270.77 billion where the paper has 135:
#   operations against multiply-adds.
#   The same confusion is found in tensorflow/tpu#765 and facebookresearch/fvcore#69.
# - **Typing errors survive.** google/automl#702: a table gave D5 13.0 billion where 130 was meant.
#   A count from shapes gives 134, as does the paper within 1 %.
# - **Layers that the counter does not see.**
#   In open-mmlab/mmpretrain#725 a convolution with its own padding was not counted at all.
#   A counter knows what it has a formula for, and is silent about the rest.
# - **Few multiply-adds, slow all the same.**
#   In rwightman/efficientdet-pytorch#8 the author explains why BiFPN is slower on a GPU than its parameters suggest:
#   depthwise filters, and an expensive activation.
# - **The network is fast, the program is not.** google/automl#97: 20 ms for the network,
#   200 ms for what comes after it, and the benchmark mode left the second part out.
#   Measure end to end.
# - **Speed without its conditions.** zylo117/Yet-Another-EfficientDet-Pytorch#77 sets about 2 pictures a second,
#   measured, against 33 worked out from the paper.
#   Which card, which batch, with or without the post-processing?
#   A bare number does not say.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# **What does a network cost?**
# Four numbers: parameters and multiply-adds, which follow from shapes, memory, and time, which has to be measured.
# **Why do they disagree?**
# A filter is stored once and used at every place; and a layer that computes little for each byte waits for memory.
#
# - Parameters: $C_{out}(C_{in}k^2 + b)$.
#   The picture's size is not in it.
# - Multiply-adds: the same, times the output positions.
#   PyTorch's counter says twice as much.
# - Separable filters save all but $1/C_{out} + 1/k^2$ of the arithmetic, and less of the time.
# - A latency needs: warm-up, repeats, median, interquartile range, thread count.
#   A comparison needs turns.
# - Memory is mostly activations: the peak in inference, nearly the sum in training.
# - A Pareto front belongs to one price and one noise level.
#   Name both.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 03.3 · Predict · growth · 4 min · ●○○ · 1 point
#
# A convolution in the middle of a network gets twice the channels, in and out, and a picture with 1.5 times the side.
# The filter stays 3x3.
# By which factor do its multiply-adds grow?
# Say a number before you compute.
# (2 means twice as many.)
#
# <details><summary>Answer</summary>
#
# Both channel counts double: 2 times 2.
# Height and width grow by 1.5 each: 2.25.
# Together 9.
# EfficientNet scales width and resolution like this at once; chapter 10 asks how much of each to buy.
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("profiling.growth", answer)
# hint("profiling.growth")
# solution("profiling.growth")

# %% [markdown] tags=["core"]
# ### 03.4 · Measure · outgrown · 8 min · ●●○ · 2 points
#
# For a tiny picture the weights of `small_cnn((16, 32, 64))` take more bytes than its activations.
# For a large one it is the other way round.
# Find the smallest **even** side at which the peak of activations, for one picture in inference,
# passes the bytes of the weights (`sizes(...).bytes`).

# %% tags=["core"]
side = 8  # change me
net = training.small_cnn((16, 32, 64))
peak = profiling.peak_memory(net, torch.zeros(1, 3, side, side))
print(
    f"side {side}: activations {peak:,} bytes, weights {profiling.sizes(net).bytes:,} bytes"
)

answer = ...  # the side you found
check("profiling.outgrown", answer)
# hint("profiling.outgrown")
# solution("profiling.outgrown")

# %% [markdown] tags=["core"]
# ### 03.5 · Build · best_within · 10 min · ●●○ · 3 points
#
# A phone allows `budget` milliseconds.
# `cost[i]` and `quality[i]` belong to network `i`.
# Return the index of the one with the highest quality among those that the budget allows.
# Of equally good ones take the cheapest; if they cost the same too, the first.
# If nothing fits, return `None`.

# %% tags=["core"]
def best_within(cost, quality, budget):
    """The index of the best that the budget allows, or None.

    By hand: best_within([3, 5, 9], [60, 70, 80], 6) is 1.
    """
    # your code, in place of the dots
    ...


check("profiling.best_within", best_within)
# hint("profiling.best_within")
# solution("profiling.best_within")

# %% [markdown] tags=["deep"]
# ### 03.6 · Build · peak_live · 12 min · ●●● · 3 points
#
# Step `i` of a network makes tensor `i` of `sizes[i]` bytes.
# `last_use[i]` is the last step that reads it (or `i` itself, if nobody does).
# A tensor may be given back once that step has finished, no earlier.
# Return the peak in bytes, as in Eq. 3.5.
# In a chain each tensor is read by the next step, and the last by nobody:
# sizes `[8, 8, 4]` have `last_use = [1, 2, 2]` and a peak of 16, as in the table above.
# A skip connection makes a number of `last_use` larger.

# %% tags=["deep"]
def peak_live(sizes, last_use):
    """The most bytes that exist at one time.

    By hand: peak_live([8, 8, 4], [1, 2, 2]) is 16; peak_live([8, 32, 8], [2, 2, 2]) is 48.
    """
    # your code, in place of the dots
    ...


check("profiling.peak_live", peak_live)
# hint("profiling.peak_live")
# solution("profiling.peak_live")

# %% [markdown] tags=["optional"]
# ### 03.7 · Further · 60 min · ●●● · 0 points
#
# [ShuffleNet V2](https://arxiv.org/abs/1807.11164) gives four guidelines for networks that are fast and not merely
# small.
# The first: at equal multiply-adds, a 1x1 convolution moves the fewest bytes if it has as many channels in as out.
# Test it with `profiling.compare`: fix $C_{in} \cdot C_{out}$, vary their ratio from 1 to 16,
# and plot time against ratio.
# Does it hold on your machine?
# At every picture size?

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("profiling")
# yours()            whose functions are at work now
# restore()          the course's own again
# submit()           your answers in one small file

# %% [markdown] tags=["core"]
# ## Where next
#
# You can train a network (02) and price it (03).
# Chapter 04 makes networks into values that a program can draw, change and count: the search space of NASNet.

# %% [markdown] tags=["core"]
# ## References
#
# - Howard and others, [MobileNets](https://arxiv.org/abs/1704.04861), 2017: Eq. 3.3, in section 3.1.
# - He and others, [Deep Residual Learning](https://arxiv.org/abs/1512.03385), 2015: multiply-adds in Table 1.
# - Sandler and others, [MobileNetV2](https://arxiv.org/abs/1801.04381), 2018: separable filters, counted.
# - Tan and Le, [EfficientNet](https://arxiv.org/abs/1905.11946), 2019; Tan, Pang and Le,
#   [EfficientDet](https://arxiv.org/abs/1911.09070), 2019: "FLOPs" are multiply-adds (caption of Table 2 in the
#   second).
# - Ma and others, [ShuffleNet V2](https://arxiv.org/abs/1807.11164), 2018: why counts and clocks disagree.
