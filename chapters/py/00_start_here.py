# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 00 · Start here
#
# **Question. What will you build, and what of all that is said about it is true?**
#
# After this chapter you can
#
# 1. say what NASNet, EfficientNet and EfficientDet each contributed, and what they did not (quiz)
# 2. tell a number of parameters from the bytes it takes in a file (exercise 00.1)
# 3. check a formula of a paper against the table beside it (exercise 00.2)
# 4. fill in a stub, read what a check says, and ask for a hint (exercise 00.3)
#
# | study | about 40 min (estimate) |
# |---|---|
# | run | <!-- run -->0.1 min (4 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->438 MB (measured)<!-- /peak --> |
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
from lib.basics import data
from lib.book import course, plots, widgets
from lib.book.notebook import (
    check,
    environment,
    hint,
    quiz,
    setup,
    show,
    solution,
    table,
)

device = setup("00_start_here", seed=0)

# %% [markdown] tags=["core", "slide"]
# ## What will you build?
#
# A program that looks at a picture and answers: which digits are there, and where?
# These are its parts, from the picture on the left to the answer on the right.
# The black tags are chapters: you will build every part yourself.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
scene = data.scenes("test", 24)[20]
levels = {"P3": 16, "P4": 8, "P5": 4, "P6": 2, "P7": 1}  # the side of each map
chapters = {"picture": "01", "backbone": "10", "pyramid": "11", "anchors": "12",
            "class head": "13", "box head": "13", "decoding": "15", "boxes": "16"}  # fmt: skip
plots.detector(128, levels, chapters=chapters, image=scene.image, boxes=scene.boxes,
               title="The detector, and where each part is built")  # fmt: skip

# %% [markdown] tags=["core"]
# You need not know the words yet.
# Here is the same picture, larger.

# %% tags=["core"]
plots.boxes(scene.image, scene.boxes, scene.labels)

# %% [markdown] tags=["core"]
# The strokes are real handwriting.
# The boxes are the answer that we want.
# The faint scraps are [clutter](GLOSSARY.md#clutter), cut from other digits to mislead: no box for them.
# Before you read on, guess: if the program tried every possible box with whole-pixel corners in this picture of 128 by
# 128, how many would it try?
#
# There are 129 grid lines in each direction.
# A box takes two of the upright ones, which gives $129 \cdot 128 / 2 = 8256$ pairs, and two of the level ones,
# which gives as many again: $8256 \cdot 8256$, about 68 million.
# No network looks at 68 million boxes.
# In a picture of this size EfficientDet looks at 3,069, chosen well, and chapter 12 says how.

# %% tags=["core", "nbval-check-output"]
lines = 129
pairs = lines * (lines - 1) // 2
assert pairs == 8256  # by hand, above
pairs**2

# %% [markdown] tags=["core", "slide"]
# To answer well in few multiplications, such networks were *searched*, *scaled* and *connected*: three papers did that.
# To *shrink* one as well is your own work, in part IV: none of the three papers does it.
#
# | part | chapters | what you build | the idea comes from |
# |---|---|---|---|
# | I Tools | 01-03 | pictures, training that survives a kill, honest measurement | |
# | II Search | 04-09 | a search space, NASNet, a table of trained cells, a controller | [NASNet][1] |
# | III Detection | 10-16 | backbones, BiFPN, anchors, heads, loss, score | [EfficientNet][2], [EfficientDet][3] |
# | IV Compress and ship | 17-22 | pruning, quantization, integers only, ONNX | a craft of its own |
# | V | 23-24 | one model all the way, and where the field went | |
#
# [1]: https://arxiv.org/abs/1707.07012
# [2]: https://arxiv.org/abs/1905.11946
# [3]: https://arxiv.org/abs/1911.09070
#
# These are the chapters that this copy of the course holds:

# %% tags=["core"]
course.names()

# %% tags=["core"]
parts = {"data": "data 01", "train": "train 02", "measure": "measure 03", "search": "search 04-09",
         "scale": "scale 10", "connect": "connect 11-16", "shrink": "shrink 17-21", "ship": "ship 22"}
order = [("data", "train"), ("train", "measure"), ("measure", "search"), ("measure", "scale"),
         ("search", "connect"), ("scale", "connect"), ("connect", "shrink"), ("shrink", "ship")]  # fmt: skip
plots.graph(parts, order, title="What builds on what, and in which chapters")

# %% [markdown] tags=["core"]
# ## Who is this for, and how far will you go?
#
# You need Python, and a first course on neural networks: you have trained one in PyTorch before,
# and *convolution*, *loss* and *gradient* are words that you have met.
# Chapter 02 goes through them once more.
# You need no GPU, and nothing is downloaded.
#
# | you have | read |
# |---|---|
# | 45 minutes | this chapter |
# | an afternoon | this one; then 11, how BiFPN connects a detector's levels, and 15, how boxes come out of it |
# | a weekend | those, and 06 and 07 (search), 10 (scaling), 19 (quantization) |
# | a course of 13 weeks | all of them in order, about two chapters a week |
#
# Every chapter starts alone, from what the course ships.
# Sections whose heading ends with *(deep)* can be left out on a first reading.

# %% [markdown] tags=["core", "slide"]
# ## Searched: how many cells are there to choose from?
#
# The authors of NASNet did not draw their network by hand.
# It is a stack of small [*cells*](GLOSSARY.md#cell), each made of five [*blocks*](GLOSSARY.md#block),
# and a second network, the [*controller*](GLOSSARY.md#controller), chooses the blocks by trial and error.
# Here is the smallest such stack, from below.
# Each cell reads what the two cells before it have made: one arrow comes straight up, one goes around.

# %% tags=["core", "slide"]
normal, reduction = "normal", "reduction"  # a reduction cell halves the side
cells = [(normal, 32, None), (reduction, 64, 0), (normal, 64, 1),
         (reduction, 128, 2), (normal, 128, 3)]  # fmt: skip
plots.stack(cells, first="picture", sides=[32, 32, 16, 16, 8, 8])

# %% [markdown] tags=["core"]
# Now look inside a cell, and take one block.
# It picks two inputs, an operation for each, and a way to combine the two results.
#
# Count the first block.
# There are 2 inputs to pick from, 13 operations, 2 combinations: $2 \cdot 2 \cdot 13 \cdot 13 \cdot 2 = 1352$ choices.
# Each later block may also read the blocks before it, so it has one input more to choose from.
# For a cell of $B$ blocks, numbered $k = 0, 1, \dots, B-1$, with $O$ operations and $C$ combinations that gives
# ($\prod$ multiplies the terms for all $k$)
#
# $$ N = \prod_{k=0}^{B-1} (k+2)^2 \, O^2 \, C \tag{0.1} $$

# %% tags=["core", "nbval-check-output"]
one_block = 2**2 * 13**2 * 2
assert one_block == 1352  # by hand, above
cell = 1
for k in range(5):
    cell *= (k + 2) ** 2 * 13**2 * 2
cell

# %% [markdown] tags=["core"]
# Two billion billion, and NASNet needs two such cells: one that keeps the size of the picture and one that halves it.
# The figure shows how fast the number grows.

# %% tags=["core"]
counts, total = [], 1
for k in range(5):
    total *= (k + 2) ** 2 * 13**2 * 2
    counts.append(total)
labels = {"x_label": "blocks in a cell", "y_label": "choices (log scale)"}
grows = ", ".join(f"{b / a:,.0f}" for a, b in zip(counts, counts[1:], strict=False))
says = f"Each further block multiplies the number of cells: by {grows}."
plots.lines(range(1, 6), {"choices": counts}, log_y=True, says=says, **labels)

# %% [markdown] tags=["core"]
# **Break it.**
# Forget that later blocks have more inputs to read, and take the first block five times.
# How far off is the count?

# %% tags=["core", "nbval-check-output"]
cell / one_block**5

# %% [markdown] tags=["core"]
# More than 500 times too few.
# Which block may read which is a large part of the choice.

# %% [markdown] tags=["deep"]
# The number counts what is *written down*.
# Swap the two halves of a block and it is the same block.
# Chapter 04 counts the cells that really differ, exactly.
# It is still far too many to train, and that is why there is something to search.

# %% [markdown] tags=["core", "slide"]
# ## Scaled: does the paper's formula give the paper's table?
#
# EfficientDet comes in eight sizes, D0 to D7 (a ninth, D7x, came later).
# One number, the [*compound coefficient*](GLOSSARY.md#compound-coefficient) $\phi$, is to set everything: how large
# the picture is, how deep the network,
# and how wide.
# Inside a network a picture becomes a stack of maps, one number for each place, and each map is called a
# [*channel*](GLOSSARY.md#channel).
# BiFPN, the part that mixes the maps for small and for large objects (chapter 11), has $W$ channels on every level.
# $W$ is said to be
#
# $$ W = 64 \cdot 1.35^{\,\phi} \tag{0.2} $$
#
# For $\phi = 1$ that is $64 \cdot 1.35 = 86.4$.
# The table in the same paper says 88.
# Rounding?
# Look at all eight.

# %% tags=["core"]
GROWTH = 1.35
paper = [64, 88, 112, 160, 224, 288, 384, 384]
formula = [64 * GROWTH**phi for phi in range(8)]
assert abs(64 * 1.35**1 - 86.4) < 1e-9  # by hand, above
gaps = [round(100 * (f / p - 1), 1) for f, p in zip(formula, paper, strict=True)]
gaps

# %% tags=["core", "slide"]
says = f"The formula misses the table by {gaps[7]} % at phi = 7; before that by at most "
says += f"{max(map(abs, gaps[:7]))} %."
labels = {"x_label": "compound coefficient phi", "y_label": "channels W"}
plots.lines(range(8), {"formula": formula, "table": paper}, says=says, **labels)

# %% [markdown] tags=["core"]
# The last row does not follow the rule at all: D7 is the network of D6, on larger pictures.
# So we use the table and teach the difference.
# This is the habit of the course: **a claim stands beside a check**.
#
# The paper has two more formulas: $512 + 128\,\phi$ for the side of the picture,
# and $3 + \phi$ for the number of BiFPN layers $D$.
# Move the slider.
# Each position is one of the eight models as the formulas would have it.
# Which of the three grows fastest?

# %% tags=["core"]
def sizes(phi):
    side, channels, layers = 512 + 128 * phi, 64 * 1.35**phi, 3 + phi
    said = f"By the formulas: {side} pixels a side, {channels:.1f} channels, {layers} layers."
    grown = {"side of the picture": side / 512, "channels W": channels / 64}
    return plots.bars(grown | {"layers D": layers / 3}, y_label="times D0", says=said)


widgets.slider(sizes, name="phi", values=range(8), start=6)

# %% [markdown] tags=["core"]
# The channels: at $\phi = 6$ they are six times those of D0.
# The layers are then three times as many, and the side is 2.5 times as long.
# The channels are multiplied at every step, the other two only have something added.

# %% [markdown] tags=["core", "slide"]
# ## Is it true that EfficientDet is based on pruning and quantization?
#
# A popular article says so, and other errors are handed on in forums and tables.
# Here is what is said, beside what is so: first what the papers say, at the end what has to be measured.
# The last column names the chapter in which you see it for yourself.

# %% [markdown] tags=["core", "slide"]
# | what is said | what the papers and the measurements say | where the course shows it |
# |---|---|---|
# | EfficientDet is based on pruning and quantization | It contains neither (see below) | 10-13, 17-21 |
# | BiFPN prunes nodes with one input | They are left out before any training; no weight is removed | 11 |
# | NASNet compresses a network | It searches for one. It removes nothing | 04-08 |
# | D7 uses the B7 backbone | B6. Only D7x uses B7 | 13 |
# | P6 and P7 come from EfficientNet | A 1x1 convolution and max-pooling make them from the last level | 11 |
# | The scaling formulas give the table of sizes | Not width D7, depth D5-D7, resolution D5, D7 | above, and 13 |
# | D0 needs 2.5 billion FLOPs | 2.5 billion multiply-adds: twice as many operations | 03 |
# | NASNet's search took 2,000 GPU-hours | So the paper; 500 GPUs for 4 days are 2,000 GPU-*days* | below, and 08 |
# | Fewer multiply-adds are faster | Not in proportion, and on some machines not at all | 03, 22 |
# | int8 makes a detector four times faster | Four times smaller. Speed and score have to be measured | 19-22 |
#
# EfficientDet is EfficientNet backbones, BiFPN, weighted fusion and compound scaling: chapters 10-13 build it.
# Chapters 17-21 prune and quantize it, as a separate craft.

# %% [markdown] tags=["core"]
# **Break it.**
# Take the GPU row.
# The paper writes 2,000 GPU-hours.
# Multiply it out: how many hours do 500 GPUs work in four days?

# %% tags=["core", "nbval-check-output"]
gpus, days = 500, 4
gpu_hours = gpus * days * 24
assert gpu_hours == 48_000
told = f"{gpus * days:,} GPU-days are {gpu_hours:,} GPU-hours"
print(f"{told}, {gpu_hours // 2000} times what is written")

# %% [markdown] tags=["core", "slide"]
# ## Is this machine ready?
#
# No chapter of the main road downloads anything.
# What has to be there is checked here.
# Every line should end with "ok"; if one does not, it says what to do.

# %% tags=["core"]
table(("what", "found", "verdict"), environment())

# %% [markdown] tags=["core"]
# The first code cell of every chapter begins with `import lib`, before torch.
# It decides how torch's threads wait; chapter 03 says why that matters.

# %% [markdown] tags=["core", "slide"]
# ## How do you read a chapter?
#
# Each idea comes in the same steps: a number by hand, an equation, the live source, a call, a figure,
# and one thing broken on purpose.
# `show` prints the source as it is in `lib/` now, so the page cannot fall behind the code.
# Here is the mirror of chapter 01: the picture is turned round, and its boxes have to follow.

# %% tags=["core"]
show(data.hflip)

# %% [markdown] tags=["core"]
# Under each figure stands what it says, in one sentence, and the picture carries a longer text for those who cannot see
# it.
# Both are computed from the plotted numbers:

# %% tags=["core"]
looked_at = {"all boxes": pairs**2, "EfficientDet's boxes": 3069}
figure = plots.bars(looked_at, y_label="boxes in a picture of 128 by 128", log=True)
print(figure.alt)
figure

# %% [markdown] tags=["core"]
# A word that is linked like [*cell*](GLOSSARY.md#cell) stands in the [glossary](GLOSSARY.md),
# beside the word that papers use.
# What each symbol of the numbered equations means stands on [a page of its own](SYMBOLS.md).
#
# You work on copies.
# `make lab` copies the chapters into the folder `work/`, and you fill in their stubs there.
# Nothing overwrites your copy.
# In most chapters one function is yours to write *before* you see ours.
# Once it is right, `build` puts it into the library, and the search, the detector or the integer file runs on it.
# What you leave out, the course's own function does.
#
# A check reads your answer and replies in words.
# Give it a typical slip on purpose.
# Exercise 00.2 below will ask how many of the eight widths a *slower* growth meets within 10 %; above, 1.35 met seven.
# Answer with that seven:

# %% tags=["core"]
check("start_here.widths_at_130", 7)

# %% [markdown] tags=["core"]
# You stop in the middle and come back the next day.
# Run the first two code cells of the chapter, then those that begin with `# Catch-up`: they load what the earlier ones
# would have made.
# Now the exercises run, and you can go on.
# The same helps where a cell says `NameError: name 'check' is not defined`: then the kernel is a new one.

# %% [markdown] tags=["optional"]
# Cells are marked too: *core* is the road, *deep* the reasons, *optional* the view.
# Lecturers take their slides from the cells marked *slide*.

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **The environment moved.**
#   Courses pin a version, Colab moves on, and the import fails: d2l-ai/d2l-en#2067, #2250 and #2659.
#   Here only lower bounds are set, and the check above names what is too old.
# - **The download is gone.**
#   A lab on pruning and quantization starts from a checkpoint whose link died (mit-han-lab/6s965-fall2022#75);
#   CIFAR-10 took 57 minutes for 162 MB (pytorch/vision#9536).
#   Here the pixels come with a package and the weights with the course.
# - **Two builds of one library.**
#   A CPU torch with PyPI's torchvision imports and then says `operator torchvision::nms does not exist`.
#   The row "torch with torchvision" above runs that operator.
# - **The number is twice the other one.** google/automl#51 asks why 135 billion became 270:
#   one tool counts multiply-adds, the other operations.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# **What will you build?**
# A detector, each of its parts, the search for its cells, and a small integer file of it.
# **What of all that is said is true?**
# Less than is written: see the table of claims, each with the chapter that shows it.
#
# - NASNet searches for cells.
#   EfficientNet scales a network with one number.
#   EfficientDet connects its levels with BiFPN.
#   None of them prunes or quantizes.
# - A cell of five blocks can be written down in more than $10^{18}$ ways.
# - The paper's formula for the width and its own table part at D7.
#   A claim stands beside a check.
# - You work on copies.
#   A check answers in words.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 00.1 · Predict · int8_megabytes · 2 min · ●○○ · 1 point
#
# EfficientDet-D0 has 3,880,067 parameters.
# As float32 each takes four bytes.
# How many megabytes ($10^6$ bytes) are left if each takes one byte?
# Write your guess before you open the answer.
#
# <details><summary>Answer</summary>3,880,067 bytes, so 3.9 MB.
# A real int8 file is a little larger: it also stores scales (exercise 00.3).</details>

# %% tags=["core"]
answer = ...  # your guess, in megabytes

check("start_here.int8_megabytes", answer)
# hint("start_here.int8_megabytes")
# solution("start_here.int8_megabytes")

# %% [markdown] tags=["core"]
# ### 00.2 · Measure · widths_at_130 · 5 min · ●○○ · 1 point
#
# Go back to the cell with `GROWTH = 1.35`, set it to 1.30 and run it.
# How many of the eight widths are then met within 10 %, above or below?
# (Set it back to 1.35 afterwards.)

# %% tags=["core"]
answer = ...  # a whole number

check("start_here.widths_at_130", answer)
# hint("start_here.widths_at_130")
# solution("start_here.widths_at_130")

# %% [markdown] tags=["core"]
# ### 00.3 · Build · weight_bytes · 8 min · ●○○ · 2 points
#
# A quantized layer stores all its weights in one row, `bits` bits each, without gaps,
# and one float32 scale for each output channel.
# A file holds whole bytes of eight bits only.
# Write `weight_bytes(weights, bits, channels)`, where `weights` is how many weights the layer has in all;
# return a whole number.
# By hand: 3 weights of 3 bits are 9 bits, so 2 bytes; with one channel that is $2 + 4 = 6$.

# %% tags=["core"]
def weight_bytes(weights, bits, channels):
    """Bytes of a quantized layer in a file, a whole number.

    By hand: weight_bytes(3, 3, 1) is 6.
    """
    # your code, in place of the dots
    ...


check("start_here.weight_bytes", weight_bytes)
# hint("start_here.weight_bytes")
# solution("start_here.weight_bytes")

# %% [markdown] tags=["optional"]
# ### 00.4 · Further · 30 min · ●●○ · 0 points
#
# Read the abstract and section 3 of [EfficientDet](https://arxiv.org/abs/1911.09070).
# Find the sentence about nodes with only one input edge.
# Which word in it could have made a reader think of pruning?

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("start_here")

# %% [markdown] tags=["core"]
# ## Where next
#
# [Chapter 01](01_data.ipynb) draws the pictures and says what can be wrong with a box.
# If you know your way around PyTorch and only want to measure, go to [chapter 03](03_profiling.ipynb).

# %% [markdown] tags=["core"]
# ## References
#
# - B. Zoph, V. Vasudevan, J. Shlens, Q. V. Le.
#   Learning Transferable Architectures for Scalable Image Recognition. 2018.
#   [arxiv.org/abs/1707.07012](https://arxiv.org/abs/1707.07012)
# - M. Tan, Q. V. Le.
#   EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. 2019.
#   [arxiv.org/abs/1905.11946](https://arxiv.org/abs/1905.11946)
# - M. Tan, R. Pang, Q. V. Le.
#   EfficientDet: Scalable and Efficient Object Detection. 2020.
#   [arxiv.org/abs/1911.09070](https://arxiv.org/abs/1911.09070)
