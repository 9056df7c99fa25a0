# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 21 · Integer arithmetic
#
# **Question. How does a network compute when there are only integers?**
#
# After this chapter you can
#
# 1. compute a convolution in integers, zero points and all (exercise 21.1)
# 2. requantize: write a real factor as a multiplier and a shift, round once, clip (exercises 21.2, 21.3, 21.4)
# 3. move a zero point into a bias, and a threshold into an integer (exercises 21.5, 21.6)
# 4. say when an accumulator overflows (quiz)
#
# | study | about 135 min (estimate); the core, without the parts that are marked *(deep)*, about 65 |
# |---|---|
# | run | <!-- run -->0.4 min (25 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->925 MB (measured)<!-- /peak --> |
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

import torch

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
from lib.compression import arithmetic, deployed, integer, qat, quantize
from lib.detection import coco_eval, decoding, detectors

device = setup("21_integer", seed=0)

# %% [markdown] tags=["core"]
# Chapter 20 trained networks that *pretend*: after every operator a value is rounded to a grid of 256 steps,
# and then it goes on as a real number.
# The chip in a camera or in a phone multiplies bytes and adds up integers.
# This chapter computes the pretending network with integers only, from the picture to the logits.
# Is it still the same network?
# You write yourself what takes every sum to the next map: exercise 21.2.
# Once it is right, all integer networks below run on it.
# What is marked *(deep)* can wait for a second reading.
#
# First your guesses: a number for each `None`.

# %% tags=["core"]
guess("bits that any sum of this detector needs", None)
guess("values off by a step after one operator, per cent", None)
guess("values off at the six outputs of the network, per cent", None)
guess("AP lost by computing in integers, of 1", None)
guess("bytes of all integers, one byte a weight being 1", None)

# %% [markdown] tags=["core", "slide"]
# ## What is left of a convolution?
#
# A filter with three taps meets three pixels.
# Everything is on a grid, real = (integer - zero point) times step, as in chapter 19.
# A weight's zero point is 0.
#
# | | integers | zero point | step | real numbers |
# |---|---|---|---|---|
# | pixels $x$ | 250, 20, 200 | 128 | 0.02 | 2.44, -2.16, 1.44 |
# | weights $w$ | 100, -120, 90 | 0 | 0.003 | 0.3, -0.36, 0.27 |
# | bias $\beta$ | | | | 0.06 |
#
# In real numbers: $0.732 + 0.7776 + 0.3888 + 0.06 = 1.9584$.
# Now leave the steps out until the end.
# Each product is a product of integers times $0.02 \cdot 0.003 = 0.00006$, always the same.
# So add up the integers alone:
#
# $$ a_f = b_f + \sum_{c,i,j} w_{f,c,i,j} \, (x_{c,i,j} - z_x) \tag{21.1} $$
#
# $a$ is the [*accumulator*](GLOSSARY.md#accumulator) of filter $f$, and $z_x$ the zero point of $x$;
# $c$ goes through the channels, $i$ and $j$ through rows and columns of the window.
# The bias has to be in the steps of this sum, which are those of input times weight:
#
# $$ b_f = \mathrm{round}\left( \frac{\beta_f}{s_x \, s_{w,f}} \right) \tag{21.2} $$
#
# By hand: $b = 0.06 / 0.00006 = 1000$, and $a = 1000 + 100 \cdot 122 + 120 \cdot 108 + 90 \cdot 72 = 32640$.
# Times 0.00006 that is 1.9584.
# Nothing was lost, because nothing was rounded.

# %% tags=["core"]
show(arithmetic.sum_of_products)
show(arithmetic.slow_convolution)

# %% tags=["core", "slide", "nbval-check-output"]
x, weight = [[[250, 20, 200]] * 3], [[[[100, -120, 90]] + [[0, 0, 0]] * 2]]
assert arithmetic.slow_convolution(x, weight, [1000], 128) == [[[32640]]]
32640 * 0.02 * 0.003

# %% [markdown] tags=["core"]
# Python's integers have any length; a chip has 32 bits for a sum.
# A fast function lets torch do it: `F.conv2d` of int32 tensors adds in int32 from end to end.

# %% [markdown] tags=["deep"]
# **What would a zero point of the weights cost? (deep)**
# With zero point 10 the same filter is stored as 110, -110, 100, and the products add up to too much:
# by ten times the sum of the inputs in the window.

# %% tags=["deep", "nbval-check-output"]
stored, inputs = torch.tensor([110, -110, 100]), torch.tensor([250, 20, 200]) - 128
raw, of_inputs = (stored * inputs).sum(), inputs.sum()
assert 1000 + raw - 10 * of_inputs == 32640  # 32500 less 10 * 86, and the bias
raw.item(), of_inputs.item()

# %% [markdown] tags=["deep"]
# So each place of the picture pays for one more sum, of all its inputs, and each filter for one more product there:
# for 64 filters of 3 x 3 on 64 channels, 576 additions and 64 products beside 36,864 multiply-adds, 1.7 %;
# for a depthwise layer, 9 additions and a product beside 9 multiply-adds.
# With zero point 0 this is saved.

# %% [markdown] tags=["deep"]
# ### 21.1 · Build · accumulate · 10 min · ●●○ · 2 points
#
# Optional.
# Write `accumulate(x, weight, bias, zero_point, stride, padding, dilation, groups)`: Eq. 21.1 for whole maps, in int32.
# `x` (B, C, H, W) holds integers of any kind, `weight` (F, C, k, k) int8 or wider, `bias` (F,) is int32 or None.
# The last four are those of `torch.nn.functional.conv2d`; `dilation` stays 1 here.
# Padding adds what *means* 0.


# %% tags=["deep"]
def accumulate(x, weight, bias, zero_point, stride=1, padding=0, dilation=1, groups=1):
    """The sums of a convolution, int32 (B, F, h, w).

    By hand: pixels 250, 20, 200, zero point 128, weights 100, -120, 90, bias 1000 give 32640.
    """
    # your code, in place of the dots
    ...


build("integer.accumulate", accumulate)
# hint("integer.accumulate")
# solution("integer.accumulate")

# %% [markdown] tags=["core"]
# Are the slow one and the fast one the same, bit for bit?

# %% tags=["core", "nbval-check-output"]
show(arithmetic.accumulate, folded=True)
pixels = torch.randint(0, 256, (1, 3, 8, 8))
filters, biases = torch.randint(-127, 128, (4, 3, 3, 3)), torch.tensor([0, 9, -9, 1000])
fast = arithmetic.accumulate(pixels, filters, biases.int(), 128)
lists = pixels[0].tolist(), filters.tolist(), biases.tolist()
assert fast[0].tolist() == arithmetic.slow_convolution(*lists, 128)
fast.dtype, fast.shape

# %% [markdown] tags=["core", "slide"]
# ## How do you multiply by 0.0003 without a real number?
#
# The next map has steps of its own, say 0.2.
# Our sum of 32640 steps of 0.00006 is how many steps of 0.2?
# Multiply by $M = 0.00006 / 0.2 = 0.0003$.
# That is the one real number that is left.
# It is known before any picture comes, so write it down as an integer and a power of two:
#
# $$ M = \frac{s_x \, s_w}{s_y} \approx \frac{m}{2^n}, \qquad 2^{30} \le m < 2^{31} \tag{21.3} $$
#
# By hand: double 0.0003 until it is at least a half.
# After 11 times it is 0.6144.
# Then $m = \mathrm{round}(0.6144 \cdot 2^{31}) = 1{,}319{,}413{,}953$ and $n = 11 + 31 = 42$.
# A multiplication by $m$, and a shift by $n$ bits: that is all a chip needs.

# %% tags=["core", "slide", "nbval-check-output"]
show(arithmetic.fixed_point)
m, n = arithmetic.fixed_point(0.0003)
assert (m, n) == (1_319_413_953, 42)
(32640 * m / 2**n).item()

# %% [markdown] tags=["deep"]
# **Why 31 bits, and not 8? (deep)**
# Because sums are long: the largest below is 240 steps of the next map, nearly its whole grid.
# How large an error does a short multiplier make in the longest sum?

# %% tags=["deep", "slide"]
longest, widths = 800_000, (4, 6, 8, 10, 12, 16, 20, 31)
errors = [abs(longest * (round(0.0003 * 2 ** (b + 11)) / 2 ** (b + 11) - 0.0003)) for b in widths]
astray = dict(zip(widths, errors, strict=True))
says = f"A sum of {longest:,}: off by {astray[4]:.1f} steps with 4 bits, by {astray[8]:.2g} with 8,"
says += f" by {astray[16]:.0e} with 16."
labels = {"x_label": "bits of the multiplier", "y_label": "error, steps of the next map"}
plots.lines(widths, {"longest sum": errors, "half a step": [0.5] * 8}, says=says, **labels, log_y=True)

# %% [markdown] tags=["deep"]
# The multiplier does not see pixels, it sees sums.
# Exercise 21.4 asks for the fewest bits with which nothing goes wrong.

# %% [markdown] tags=["core", "slide"]
# ## Where does a half go?
#
# A shift by $n$ bits rounds down: $7 / 4 = 1.75$ becomes 1.
# Add half of $2^n$ first, and it rounds to the nearest, with halves going up.
# The network was trained with `torch.round`, where a half goes to the even neighbour: 2.5 to 2, 3.5 to 4.
# For that, add one less than a half, and one more where the result would be odd:
#
# $$ \mathrm{shift}_n(p) = \left\lfloor \frac{p + 2^{n-1} - 1 + o}{2^n} \right\rfloor, \qquad
#    o = \left\lfloor \frac{p}{2^n} \right\rfloor \bmod 2 \tag{21.4} $$
#
# By hand, with $n = 2$: $p = 10$ means 2.5.
# $\lfloor 2.5 \rfloor = 2$ is even, $o = 0$, and $\lfloor (10 + 1) / 4 \rfloor = 2$.
# For $p = 14$, or 3.5, $o = 1$ and $\lfloor (14 + 2) / 4 \rfloor = 4$.

# %% tags=["core"]
show(arithmetic.rounded_shift)

# %% tags=["core", "slide", "nbval-check-output"]
assert arithmetic.rounded_shift(torch.tensor([10, 14]), 2).tolist() == [2, 4]
arithmetic.rounded_shift(torch.tensor([-6, -2, 1, 2, 3, 6]), 2).tolist()  # -1.5, -0.5, ...

# %% [markdown] tags=["core"]
# Two more operations: what do they change?
# Take the mean of four bytes, as pooling does, a hundred thousand times: a quarter of them are halves.
# What does each rule do *on average*?

# %% tags=["core", "slide"]
sums_of_4 = torch.randint(0, 256, (100_000, 4)).sum(1)
rules = {"down": sums_of_4 >> 2, "half up": (sums_of_4 + 2) >> 2}
rules["half to even"] = arithmetic.rounded_shift(sums_of_4, 2)
drift = {rule: (mean - sums_of_4 / 4).mean().item() for rule, mean in rules.items()}
says = ", ".join(f"{rule} {value:+.3f}" for rule, value in drift.items())
plots.bars(drift, y_label="mean error, in steps", says=f"Mean error: {says}.")

# %% [markdown] tags=["core"]
# Half up lifts every pooled map by an eighth of a step.
# Layer after layer such a drift adds up, where errors without a side cancel.
#
# **Break it: round twice.**
# Early libraries first took the upper half of the 64-bit product, rounded, and then shifted, rounded again.
# Take the sum 7984 with $m = 1{,}583{,}594{,}044$ and $n = 40$: the exact result is 11.4991.
# Say what each way gives before you run the cell.

# %% tags=["core", "slide", "nbval-check-output"]
product = torch.tensor(7984 * 1_583_594_044)
upper = arithmetic.rounded_shift(product, 31)  # 5887.55 becomes 5888
arithmetic.rounded_shift(product, 40).item(), ((upper + 2**8) >> 9).item()

# %% [markdown] tags=["core"]
# $5888 / 512$ is 11.5, a half that was not there before, and it goes up.
# That is why we round once.
# The numbers are from a real report, see below.

# %% [markdown] tags=["core", "slide"]
# ## How does a sum become a pixel of the next map?
#
# Multiply, shift, add the zero point, clip:
#
# $$ y = \mathrm{clip}\big( z_y + \mathrm{shift}_n(a \, m + r), \; q_{\min}, \; q_{\max} \big) \tag{21.5} $$
#
# Our sum: $32640 \cdot 0.0003 = 9.79$, so 10, and with a zero point of 3 the integer 13.
# It means $(13 - 3) \cdot 0.2 = 2.0$; the real number was 1.9584.
#
# An activation costs nothing.
# ReLU6 keeps real numbers between 0 and 6, and both ends are integers of the grid:
#
# $$ q_{\min} = \max\big(q_{\text{low}}, z_y + \mathrm{round}(0 / s_y)\big), \qquad
#    q_{\max} = \min\big(q_{\text{high}}, z_y + \mathrm{round}(6 / s_y)\big) \tag{21.6} $$
#
# The clipping is there in any case; it gets other ends.
# Here they are 3 and 33.
#
# What is $r$?
# A bias of 1000.4 becomes 1000 (Eq. 21.2), and 0.4 of a step of the *sum* is lost.
# The product has room for it: $r = \mathrm{round}(0.4 \, m)$.
#
# ### 21.2 · Build · to_next_map · 15 min · ●●○ · 3 points
#
# This step has a name, [**requantization**](GLOSSARY.md#requantization).
# Write `to_next_map(sums, multiplier, shift, offset, zero_point, low, high)`: Eq. 21.5.
# `sums` ($a$) are integers of a whole map, of any shape; `multiplier` ($m$), `shift` ($n$), `offset` ($r$),
# `zero_point` ($z_y$), `low` and `high` are int64 tensors that broadcast to them.
# A half goes to the even side, before the zero point is added; `arithmetic.rounded_shift` above may be called.
# The product needs up to 62 bits; the result is int32.


# %% tags=["core"]
def to_next_map(sums, multiplier, shift, offset, zero_point, low, high):
    """Integers of the next map, int32.

    By hand: 10 and 14 with multiplier 1, shift 2, no offset, zero point 1, -128 to 127 give 3 and 5.
    """
    # your code, in place of the dots
    ...


build("integer.to_next_map", to_next_map)
# hint("integer.to_next_map")
# solution("integer.to_next_map")

# %% tags=["core"]
show(arithmetic.to_next_map, folded=True)
show(arithmetic.requantize)

# %% tags=["core", "slide", "nbval-check-output"]
out = quantize.QParams(torch.tensor(0.2), torch.tensor(3), 0, 255)
stage = arithmetic.choose_output_stage(0.0003, out, lower=0, upper=6)
assert arithmetic.requantize(torch.tensor([32640]), stage).item() == 13
arithmetic.requantize(torch.tensor([32640, -32640, 10**6]), stage).tolist()

# %% [markdown] tags=["core"]
# Now a real network: `lite`, the detector that was made for this, with ReLU6, no gates, plain sums.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
lite = deployed.deployed(detectors.shipped("lite"), torch.zeros(1, 3, 128, 128))
pretending = qat.prepare(lite, qat.Scheme(bits=8)).eval()
seen = detectors.scenes("train", 32)
pictures = training.normalise(torch.stack([seen[i].image for i in range(32)]))
qat.calibrate(pretending, pictures.split(8))
network = integer.convert(pretending)
scenes = detectors.scenes("test", 200)
four = training.normalise(torch.stack([scenes[i].image for i in range(4)]))

# %% [markdown] tags=["core"]
# `qat.prepare` makes the network that pretends, `qat.calibrate` chooses its grids from 32 training scenes,
# and `integer.convert` is this chapter.
# To compare one operator at a time, each one is given the *same* integers, those of the pretending network.
# How many values are a step off?

# %% tags=["core", "slide"]
alone = integer.differences(pretending, network, four)
every = torch.cat([d.flatten() for d in alone.values()])
off = 100 * (every != 0).double().mean().item()
measured("values off by a step after one operator, per cent", off, "%")
assert every.abs().max() <= 1
len(every), every.abs().max().item()

# %% [markdown] tags=["deep"]
# **What does the rest $r$ change? (deep)**
# Adding it costs nothing.
# Without it:

# %% tags=["deep", "slide"]
blunt = copy.deepcopy(network)
for step in blunt.body.modules():
    if isinstance(step, integer.IntegerOperator) and step.rounds:
        step.to_offset.zero_()  # no r: whole steps of bias only
without = integer.differences(pretending, blunt, four)
shares = {"with r": alone, "without r": without}
shares = {
    k: [100 * (d != 0).double().mean().item() for d in v.values()]
    for k, v in shares.items()
}
assert max(shares["with r"]) < 0.1
says = "; ".join(f"worst operator {max(v):.3f} % {k}" for k, v in shares.items())
plots.points(shares, y_label="values that are off, %", says=f"{says}.")

# %% [markdown] tags=["deep"]
# Each point is one operator of `lite`.
# Without $r$ up to some tenths of a per cent are off: too little to hurt, but more than the 0.1 % that we allow.
# Many runtimes have no place for $r$.
# For them the bias itself moves to a whole step before anything is compared (chapter 22).

# %% [markdown] tags=["core", "slide"]
# ## Can a sum overflow?
#
# A byte times a byte fits into 16 bits.
# But how many of them may you add?
# An input is at most $R = \max(q_{\text{high}} - z_x, z_x - q_{\text{low}})$ away from its zero point,
# so for each filter
#
# $$ |a_f| \le |b_f| + R \sum_{c,i,j} |w_{f,c,i,j}| \tag{21.7} $$
#
# and every partial sum obeys that too.
# By hand for the three taps: $1000 + 128 \cdot (100 + 120 + 90) = 40680$.
# It needs 16 bits and one for the sign: 17.
# For int16 that may be too much.

# %% tags=["core", "slide", "nbval-check-output"]
show(arithmetic.accumulator_bound)
taps = torch.tensor([[[[100, -120, 90]]]])
bound = arithmetic.accumulator_bound(taps, torch.tensor([1000]), largest=128)
assert bound.item() == 40680
bound.item(), bound.item().bit_length() + 1

# %% [markdown] tags=["core"]
# Now for each layer of `lite`, from its weights.
# How many bits does the longest sum need?
# No picture can make it longer.

# %% tags=["core", "slide"]
def bits_of(step):
    largest = max(int(step.zero_point), 255 - int(step.zero_point))
    bound = arithmetic.accumulator_bound(step.weight, step.bias, largest)
    return int(bound.max()).bit_length() + 1


steps = [step for step in network.body.modules() if hasattr(step, "weight")]
kinds = {"depthwise": [], "3x3": [], "1x1": []}
for step in steps:
    inputs, side = step.weight.shape[1:3]
    kind = "depthwise" if inputs == 1 else "1x1" if side == 1 else "3x3"
    kinds[kind].append(bits_of(step))
most = max(map(max, kinds.values()))
measured("bits that any sum of this detector needs", most, "bits")
says = f"A layer needs {min(map(min, kinds.values()))} to {most} bits."
plots.points(kinds, y_label="bits, with the sign", says=says)

# %% [markdown] tags=["core"]
# 32 bits are enough for all, 16 for no layer, in the worst case at least.
# `integer.convert` checks the bound and refuses a layer that could overflow.
#
# **Break it.**
# Our three taps just fit into 16 bits: $32640 < 32767$.
# Raise the bias from 1000 to 1200 and add up in int16.

# %% tags=["core", "slide", "nbval-check-output"]
inputs = torch.tensor([250, 20, 200], dtype=torch.int16) - 128
products = inputs * taps.flatten().short()
biases = torch.tensor([1000, 1200], dtype=torch.int16)
(biases + products.sum(dtype=torch.int16)).tolist()

# %% [markdown] tags=["core"]
# A bright pixel becomes a black one.
# (Some processors add pairs of products in 16 bits, but stop at 32767: chapter 22.)

# %% [markdown] tags=["deep", "slide"]
# ## How do you add two maps with different steps? (deep)
#
# An integer 13 of one map and an integer 30 of another: their steps are 0.5 and 0.125, their zero points 10 and 20.
# Real numbers: 1.5 and 1.25, together 2.75.
# The integers $3$ and $10$ must not be added as they are.
# First each map $i$ goes to a common step by a whole factor $w_i$.
# The step is finer than both, with as many bits $k$ as int32 leaves:
#
# $$ a = \sum_i w_i \, (x_i - z_i), \qquad w_i = \mathrm{round}\left( 2^k \frac{c_i s_i}{\max_j |c_j s_j|} \right)
#    \tag{21.8} $$
#
# and then Eq. 21.5 with $M = 2^{-k} \max_j |c_j s_j| / s_y$.
# The $c_i$ are 1 in a plain sum; a weighted fusion of BiFPN has its shares there.
# If the result has step 0.25 and zero point 4, it is $2.75 / 0.25 + 4 = 15$.

# %% tags=["deep"]
show(arithmetic.common_step)

# %% tags=["deep", "slide", "nbval-check-output"]
weights, fine = arithmetic.common_step([0.5, 0.125], largest=[255, 255])
out = quantize.QParams(torch.tensor(0.25), torch.tensor(4), 0, 255)
stage = arithmetic.choose_output_stage(fine / 0.25, out)
maps, zeros = (torch.tensor([13]), torch.tensor([30])), (10, 20)
both = arithmetic.weighted_sum(*maps, zero_points=zeros, weights=weights, stage=stage)
assert both.item() == 15
weights.tolist(), both.item()

# %% [markdown] tags=["deep"]
# The other operators of a detector:
#
# | operator | in integers | exact? |
# |---|---|---|
# | average pooling | the sum of a window, then Eq. 21.5 | rounds once |
# | concatenation | each map to the common grid; those that have it stay | rounds once, or not at all |
# | max pooling, nearest resize, slice | the same integers, moved | yes |
# | ReLU, ReLU6 | the ends of clipping | yes |
# | padding with 0 | padding with the zero point | yes |
# | SiLU, sigmoid | a table of 256 answers | yes |
#
# For a window of $k \times k$ the division goes into the factor:
#
# $$ a = \sum_{i,j} (x_{ij} - z_x), \qquad M = \frac{s_x}{k^2 \, s_y} \tag{21.9} $$
#
# By hand: 11, 12, 13, 15 with zero point 10 and step 0.1.
# The sum is $1 + 2 + 3 + 5 = 11$, the mean 0.275.
# With $s_y = 0.05$ and zero point 7: $11 \cdot 0.1 / (4 \cdot 0.05) = 5.5$, to even 6, and 13.

# %% tags=["deep", "nbval-check-output"]
out = quantize.QParams(torch.tensor(0.05), torch.tensor(7), 0, 255)
stage = arithmetic.choose_output_stage(0.1 / (4 * 0.05), out)
window = torch.tensor([[[[11, 12], [13, 15]]]])
assert arithmetic.average_pool(window, torch.tensor(10), stage, kernel=2).item() == 13
show(arithmetic.average_pool)

# %% [markdown] tags=["core", "slide"]
# ## What pads a map of integers?
#
# What *means* 0, and that is the zero point.
#
# **Break it.**
# Pad with the integer 0.
# In the first convolution of `lite` the picture's zero point is about 127, so 0 does not mean grey, it means black.
# Where in the map will you see it?

# %% tags=["core", "slide"]
framed = copy.deepcopy(network)
for step in framed.body.modules():
    if "value" in getattr(step, "settings", {}):
        step.settings["value"] = 0  # what F.pad does if nobody says more
stem, wrong = next(iter(integer.differences(pretending, framed, four).items()))
edges = wrong.abs().amax(1).to(torch.uint8)  # over the channels
inside = wrong[..., :-1, :-1].abs().max().item()
says = f"Off by up to {wrong.abs().max().item()} steps at the edge, by {inside} at most inside."
framed_maps = torch.nn.functional.pad(255 - edges[:4], (3, 3, 3, 3), value=128)  # grey frame
plots.images(framed_maps, columns=4, says=says)

# %% [markdown] tags=["core"]
# A dark line at two sides of each map, and inside hardly anything.
# Three of the four pads of this network read a map behind a ReLU6, whose zero point *is* 0: there nothing is seen.

# %% [markdown] tags=["core", "slide"]
# ## Is it still the same network?
#
# `integer.convert` walks over the graph of the pretending network.
# Each operator becomes a step of `arithmetic` with its integers in buffers.
# What remains is a graph from integers to integers, with one multiplication at each end to come from real numbers and
# to go back.

# %% tags=["core"]
show(integer.IntegerNetwork)

# %% tags=["core", "slide", "nbval-check-output"]
held = {b.dtype for b in network.body.buffers()}
passed = network.body(network.integers(four[:1]))
assert not any(kind.is_floating_point for kind in held)
sorted(map(str, held)), {str(level.dtype) for head in passed for level in head}

# %% tags=["core"]
one_byte = sum(layer.weight.numel() for layer in qat.layers(pretending).values())
ratio = network.size() / one_byte
measured("bytes of all integers, one byte a weight being 1", ratio, "x")
f"{one_byte:,} weights, {network.size():,} bytes"

# %% [markdown] tags=["core"]
# Every filter also has a bias, a multiplier and its $r$ (4 bytes each) and a shift (1): up to 13 bytes,
# and a depthwise filter has only nine weights.
#
# Now let the differences travel: each step reads what the *integer* network made.
# What was your guess: how many values are off at the six outputs, behind more than seventy layers?

# %% tags=["core", "slide"]
travelled = integer.differences(pretending, network, four, travel=True)
every = torch.cat([d.flatten() for d in travelled.values()])
heads = [node.name for node in network.body.graph.output_node().all_input_nodes]
at_ends = torch.cat([travelled[name].flatten() for name in heads])
share = 100 * (at_ends != 0).double().mean().item()
measured("values off at the six outputs of the network, per cent", share, "%")
by_depth = [100 * (d != 0).double().mean().item() for d in travelled.values()]
says = f"At the outputs {share:.0f} % are off, by {at_ends.abs().max()} steps at most; of all "
says += f"{len(every):,} values inside, {100 * (every != 0).double().mean():.1f} %."
labels = {"x_label": "operator, in order", "y_label": "values that are off, %"}
plots.lines(range(len(by_depth)), {"integers": by_depth}, says=says, **labels)

# %% [markdown] tags=["core"]
# A few values in a million start it, one step off, and the layers behind them spread it.
# So which of the two networks is *right*?
# The integers cannot be wrong: they are exact.
# The pretending network adds in float32, and each of its sums is rounded.
# Run the same pretending network in double precision: how many values are off now?

# %% tags=["core", "slide"]
double = copy.deepcopy(pretending).double()
on_grid = quantize.dequantize(network.integers(four), network.grid)
exact = integer.differences(double, network, on_grid.double(), travel=True)
every = torch.cat([d.flatten() for d in exact.values()])
assert (every == 0).double().mean() > 0.999
(every != 0).sum().item(), len(every)

# %% [markdown] tags=["core"]
# In double precision the two agree on all values, or on all but very few.
# What was off before is the rounding error of float32.
# So compare operator by operator, and ask the whole network for what matters: AP.

# %% tags=["core", "slide"]
def detected(model, scenes):
    return coco_eval.detections(model, scenes, batch_size=4)


models, truth = {"real numbers": lite, "pretending": pretending, "integers": network}, scenes.coco()
answers = {name: detected(model, scenes) for name, model in models.items()}
scores = {name: coco_eval.evaluate(truth, each) for name, each in answers.items()}
of_integers = coco_eval.compare(truth, answers["pretending"], answers["integers"])
of_rounding = coco_eval.compare(truth, answers["real numbers"], answers["pretending"])
print(f"integers less pretending: {of_integers.difference:+.4f}")
print(f"pretending less real numbers: {of_rounding.difference:+.4f}")
rows = [(k, *(f"{v:.4f}" for v in (s.ap, s.ap50, s.ap_small))) for k, s in scores.items()]
table(("200 scenes", "AP", "AP at 0.5", "AP of small ones"), rows)

# %% tags=["core", "slide"]
lost = scores["pretending"].ap - scores["integers"].ap
measured("AP lost by computing in integers, of 1", lost)
assert abs(lost) < 0.005
image = scenes[3].image
boxes = decoding.detect(network, image)._asdict()
plots.boxes(image, **boxes, names=data.Scenes.names)

# %% [markdown] tags=["core"]
# Is a loss below 0 a gain?
# No: the two networks differ by the rounding errors of float32 only, and the paired interval (chapter 16) holds 0.

# %% [markdown] tags=["deep"]
# **Break it, three times. (deep)**
# (1) Pad *every* convolution with the integer 0.
# (2) Round all results down, a shift and nothing else.
# (3) Give the biases the step of the output, as if they were pixels.
# Which one costs most?
# Order them before you run the cell.

# %% tags=["deep"]
def padded_with_0(x, weight, bias, zero_point, stage, padding, **more):
    x = torch.nn.functional.pad(x, (padding[1],) * 2 + (padding[0],) * 2)
    return arithmetic.conv2d(x, weight, bias, zero_point, stage, padding=0, **more)


def broken(change):
    model = copy.deepcopy(network)
    for step in model.body.modules():
        if getattr(step, "run", None) is arithmetic.conv2d:
            change(step)
    return model


def bias_as_pixel(step):
    product = step.bias.long() * step.to_multiplier
    step.bias = arithmetic.rounded_shift(product, step.to_shift.long()).int()


# %% tags=["deep", "slide"]
faults = {"padded with 0": broken(lambda step: setattr(step, "run", padded_with_0))}
faults["rounded down"] = broken(
    lambda step: setattr(step, "to_offset", -(1 << (step.to_shift.long() - 1)))
)
faults["biases as pixels"] = broken(bias_as_pixel)
few = detectors.scenes("test", 40)
answers = {k: detected(model, few) for k, model in {"right": network, **faults}.items()}
apart = {k: coco_eval.compare(few.coco(), answers["right"], answers[k]).difference for k in faults}
says = ", ".join(f"{k} {it:+.3f}" for k, it in apart.items())
whiskers = {k: (it.value, it.low, it.high) for k, it in apart.items()}
plots.intervals(whiskers, y_label="AP on 40 scenes, less that of the right one, 95 %", says=f"{says}.")

# %% [markdown] tags=["deep"]
# Only one of them looks broken.
# The other two lose a little: look whether their intervals hold 0.
# That is why operators are compared one by one, on equal integers, before anyone looks at AP.

# %% [markdown] tags=["deep", "slide"]
# ## Which rounding did nobody look at? (deep)
#
# The very first one.
# Pixels are 0 to 255, and `training.normalise` makes them $p / 127.5 - 1$, from -1 to 1.
# The grid has 256 steps of $2 / 255$ and must hold 0.
# But no grey level is 0: 127 and 128 lie half a step on each side.
# So without float errors *every* pixel lies in the middle between two steps and goes to the even one,
# and every second level is lost.
# How many of the grey levels are left in floats?

# %% tags=["deep", "slide", "nbval-check-output"]
levels = torch.arange(256)
grey, even = training.normalise(levels.to(torch.uint8)), (levels - 128) / 127.5
grids = [quantize.choose_qparams(v, signed=False) for v in (grey, even)]
[len(quantize.quantize(v, g).unique()) for v, g in zip((grey, even), grids, strict=True)]

# %% [markdown] tags=["deep"]
# The first number is what is left of 256 levels: more than half,
# because float errors push most ties to one side or the other.
# The second is what a picture normalised as $(p - 128) / 127.5$ would keep: there a grey level *is* a step,
# and 128 is 0.
# Nothing breaks, since half a step of grey is little.
# But another library, one that divides by the step where we multiply by its inverse, rounds other pixels the other way.
# Two programs that agree on every operator then differ from the first integer on.

# %% [markdown] tags=["core"]
# Your guesses, and what was measured:

# %% tags=["core"]
guesses()

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **Wrong at the edges.** apache/tvm#4807, pytorch/executorch#13576: quantized maps were padded with 0.
#   apache/tvm#13364: wrong at the edges of padded maps only, 897 of 1000 words understood instead of 900.
#   pytorch/pytorch#17026: the zero point goes into the bias, and padding needs it still.
# - **Rounding twice.** tensorflow/tensorflow#25087 found the sum 7984 above; tensorflow/tflite-micro#3252 counts 1.8 %
#   of values that are off between two kernels of one family.
# - **Which half?** microsoft/onnxruntime#25045: one backend rounds halves away from zero, the standard says to even.
# - **A bias that needs more than 32 bits.** microsoft/onnxruntime#22020, #25278, Samsung/ONE#6970:
#   weights near zero have a tiny step, and Eq. 21.2 divides by it (`arithmetic.integer_layer` takes larger ones).
# - **16 bits in between.** microsoft/onnxruntime#12088, openvinotoolkit/nncf#1027:
#   pairs of products stop at 32767.
#   Weights of seven bits avoid it.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - Sums of products of integers are exact.
#   Biases are int32 in steps of input times weight.
# - One real factor remains, and becomes a 31-bit multiplier and a shift.
#   Round once, halves to even, then add the zero point and clip.
# - ReLU6 is a pair of ends.
#   Zero padding pads with the zero point.
# - A bound from the weights says whether a sum can overflow. int32 has room, int16 has not.
# - Maps with different steps are first brought to a finer one.
# - On equal integers each operator agrees with the network that pretends.
#   A whole network agrees with it in double precision; float32 is the one that drifts.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 21.3 · Predict · quarter · 5 min · ●○○ · 1 point
#
# A sum is 50, the factor to the next map exactly a quarter, and its zero point -5.
# There is no offset $r$.
# Which integer of the next map comes out by Eq. 21.5 (the grid is -128 to 127, and a half goes to the even side)?
# Say it before you compute.
#
# <details><summary>Answer</summary>
#
# 50 / 4 is 12.5, a half.
# It goes to the even side, 12, and then the zero point is added: 7.
# Add it first, and 7.5 would go to 8: rounding and adding cannot be swapped.
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("integer.quarter", answer)
# hint("integer.quarter")
# solution("integer.quarter")

# %% [markdown] tags=["core"]
# ### 21.4 · Measure · fewest_bits · 10 min · ●●○ · 2 points
#
# The cell counts how many sums from -40,000 to 40,000 come out wrong when 0.00029 is written with so many bits.
# Change `bits`.
# What is the smallest number of bits from which on nothing is wrong any more?

# %% tags=["core"]
bits = 8
sums = torch.arange(-40_000, 40_001)
right = (sums.double() * 0.00029).round().long()
short = round(0.00029 * 2 ** (bits + 11))  # 0.00029 * 2^11 = 0.594
(arithmetic.rounded_shift(sums * short, bits + 11) != right).sum().item()

# %% tags=["core"]
answer = ...  # your number
check("integer.fewest_bits", answer)
# hint("integer.fewest_bits")
# solution("integer.fewest_bits")

# %% [markdown] tags=["deep"]
# ### 21.5 · Build · fold_zero_point · 12 min · ●●○ · 3 points
#
# To subtract a zero point from every pixel costs time.
# Write `fold_zero_point(weight, bias, zero_point)`: the bias with which the convolution gives the same sums from the
# integers *as they are*.
# `weight` is (F, C, k, k), `bias` (F,), both int64; the result is (F,) and int64, `zero_point` an integer of any sign.
# There is no padding.
# By hand: weights 100, -120, 90, bias 1000, zero point 128 give -7960.

# %% tags=["deep"]
def fold_zero_point(weight, bias, zero_point):
    ...  # your code


check("integer.fold_zero_point", fold_zero_point)
# hint("integer.fold_zero_point")
# solution("integer.fold_zero_point")

# %% [markdown] tags=["deep"]
# ### 21.6 · Build · first_above · 12 min · ●●○ · 3 points
#
# A detector shows boxes whose score is at least a threshold.
# The score is the sigmoid of a logit, and the logit is an integer on a grid.
# Write `first_above(threshold, scale, zero_point)`: the smallest integer whose score is at least `threshold`,
# a Python integer.
# Then a chip can throw away nearly all anchors with one comparison of bytes, and no exponential.
# (Do not clip it to a grid.)
# By hand: threshold 0.75, step 0.25, zero point 10.
# $\ln 3 = 1.0986$ is 4.39 steps, so the fifth one: 15.

# %% tags=["deep"]
def first_above(threshold, scale, zero_point):
    ...  # your code


check("integer.first_above", first_above)
# hint("integer.first_above")
# solution("integer.first_above")

# %% [markdown] tags=["optional"]
# ### 21.7 · Further · 90 min · ●●● · 0 points
#
# Port the two-step rounding of [gemmlowp](https://github.com/google/gemmlowp/blob/master/doc/quantization.md) into a
# copy of `arithmetic.requantize`, give it to the steps of a copy of `network`, and count with `integer.differences`.
# Is 1.8 % what you find?
# Then keep all grey levels: feed `lite` with $(p - 128) / 127.5$,
# and move the half step that this adds into the bias of its first convolution.
# Where in the map is that not exact, and why?

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("integer")
# yours()            whose functions are at work now
# restore()          the course's own again
# submit()           your answers in one small file

# %% [markdown] tags=["core"]
# ## Where next
#
# torch's integer convolutions are made to be right, not to be fast.
# Chapter 22 gives the same grids to a runtime that has fast ones, and measures time.

# %% [markdown] tags=["core"]
# ## References
#
# - Jacob and others, [Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
#   Inference](https://arxiv.org/abs/1712.05877), 2017: Eqs. 21.1 to 21.6.
# - Krishnamoorthi, [Quantizing deep convolutional networks for efficient inference](https://arxiv.org/abs/1806.08342),
#   2018.
# - Google, [gemmlowp: the low-precision paradigm](https://github.com/google/gemmlowp/blob/master/doc/quantization.md):
#   multipliers and shifts, and rounding twice.
