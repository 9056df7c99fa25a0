# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 02 · Training
#
# **Question. How does a function $y = f(x; \theta)$ find its $\theta$ from examples,
# and how do you keep it when the machine dies?**
#
# After this chapter you can
#
# 1. compute a convolution, a loss and a gradient by hand (exercise 02.3 and quiz)
# 2. write a training step and a schedule, and train a network on them (exercises 02.1 and 02.2)
# 3. say how much of the picture one number of a network depends on (exercise 02.5)
# 4. keep a run from breaking: rate, clipping, average of weights (exercises 02.4, 02.6 and quiz)
# 5. say which mode batch norm is in, and why a checkpoint holds more than weights (quiz)
#
# | study | about 105 min (estimate) |
# |---|---|
# | run | <!-- run -->0.3 min (21 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->595 MB (measured)<!-- /peak --> |
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
import math
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from lib.basics import data, training
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

device = setup("02_training", seed=0)

# %% [markdown] tags=["core"]
# A neural network is a function.
# It takes a picture $x$ and numbers $\theta$, its *parameters*, and gives an answer $y$:
#
# $$ y = f(x; \theta) $$
#
# Training changes $\theta$ and nothing else.
# This chapter builds $f$ from the smallest piece up, then lets it learn to read digits.
#
# Two pieces you write yourself, where the idea stands: exercises 02.1 and 02.2.
# `build` checks such an answer as `check` does.
# Once it is right, the library itself calls *your* function: whatever you train here or later takes your steps.
# What you leave, the chapter does with the course's own.
#
# If you have trained networks before, write 02.1, read the *Break it* cells and go to the exercises.
# Sections whose heading ends with *(deep)* can wait.

# %% [markdown] tags=["core", "slide"]
# ## What does a filter compute?
#
# Take a scanned zero, 8x8 pixels, each from 0 (paper) to 16 (ink).
# Cut out a patch of 3x3 at its upper left edge.
# Lay a filter over it: nine numbers, $-1$ in the left column, $0$ in the middle, $1$ in the right.
#
# Multiply what lies on top of each other, and add up.
# The right column of the patch is 13, 15, 2; the left one is 0, 0, 3.
# What comes out?

# %% tags=["core", "slide"]
scan = torch.tensor(data.digits().images[0]).float()
edge = torch.tensor([[-1.0, 0, 1], [-1, 0, 1], [-1, 0, 1]])
patch = scan[0:3, 1:4]
plots.grid(
    {"patch x": patch, "filter w": edge, "x times w": patch * edge},
    says=f"The nine products add up to {(patch * edge).sum():g}.",
)

# %% [markdown] tags=["core", "slide"]
# $(13 + 15 + 2) - (0 + 0 + 3) = 27$.
# A large number: ink begins here, from left to right.
# Now slide the filter over every place where it fits:
#
# $$ y_{ij} = \sum_{a=0}^{k-1} \sum_{b=0}^{k-1} w_{ab}\; x_{i+a,\,j+b} \tag{2.1} $$
#
# $x$ is the picture, $w$ the filter of $k \times k$ numbers, $y_{ij}$ the answer at row $i$, column $j$.
# Here $\theta$ is $w$: nine numbers.
# That is a whole $f(x; \theta)$, made concrete.
#
# Below is the library's own function.
# `@arguments.named`, the line above its `def`, names the argument that does not fit if a call fails.

# %% tags=["core"]
show(training.convolve)

# %% tags=["core", "slide"]
edges = training.convolve(scan, edge)
assert edges[0, 1] == 27  # by hand, above
plots.grid(
    {"picture, 8x8": scan, "answer, 6x6": edges},
    says=f"The answer is {edges.max():g} where ink begins and {edges.min():g} where it ends.",
)

# %% [markdown] tags=["core"]
# Where ink begins the answer is positive, where it ends negative, and where nothing changes it is near 0.
# Along a side of 8 pixels a filter of 3 fits in $8 - 3 + 1 = 6$ places.
#
# **Break it.**
# In mathematics a convolution turns the filter by half a turn first.
# Networks do not, and keep the name.
# Turn it, and look at the number at our patch.

# %% tags=["deep", "nbval-check-output"]
turned = edge.rot90(2)
training.convolve(scan, edge)[0, 1].item(), training.convolve(scan, turned)[0, 1].item()

# %% [markdown] tags=["core"]
# Only the sign changes here, for this filter is its own negative after half a turn.
# But a filter learned by one convention and run by the other finds ends where it sought beginnings.
# **At scale**, PyTorch slides many filters over many channels of many pictures at once.
# One filter then holds a $3 \times 3$ piece for each colour, and each filter gives one channel of the answer.

# %% tags=["core", "catch-up", "nbval-check-output"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
images, labels = data.crops("train", 3000)
layer = nn.Conv2d(3, 16, kernel_size=3, padding=1, bias=False)
answer = layer(training.normalise(images[:8]))
tuple(images[:8].shape), tuple(layer.weight.shape), tuple(answer.shape)

# %% [markdown] tags=["core", "slide"]
# ## How far does one number see?
#
# One filter of 3x3 sees 3 pixels across.
# A second one on top sees 3 numbers of the first layer, and each of them saw 3 pixels.
# How many pixels does it see in all?
# Not 9: neighbours overlap.
#
# Ask the gradient, that is, by how much the output changes when one pixel grows by 1.
# With every weight set to 1, that counts the paths by which the pixel reaches the output.
# By hand, for two layers: how many paths lead from the middle pixel to the middle output?
# It reaches each of nine numbers in between, and each of these reaches the output.
# Nine.

# %% tags=["core", "slide"]
def paths(layers):
    x = torch.zeros(1, 1, 9, 9, requires_grad=True)
    y = x
    for _ in range(layers):
        y = F.conv2d(y, torch.ones(1, 1, 3, 3), padding=1)
    y[0, 0, 4, 4].backward()
    return x.grad[0, 0]


assert paths(2)[4, 4] == 9  # by hand: through each number of the middle layer once
counts = {f"{n} layer{'s' * (n > 1)}": paths(n) for n in (1, 2, 3)}
one, two, three = (int((count[4] > 0).sum()) for count in counts.values())
says = f"The middle number depends on {one}, {two} and {three} pixels across."
plots.grid(counts, says=says)

# %% [markdown] tags=["core"]
# The patch that a number depends on is its [**receptive field**](GLOSSARY.md#receptive-field): 3, 5, 7 pixels across.
# The middle counts more than the rim.
# Exercise 02.5 asks for a rule that also handles strides.
#
# **Break it.**
# Between two layers of a real network stands a non-linear function, mostly $\mathrm{ReLU}(y) = \max(0, y)$.
# Leave it out and two layers of 3x3 are one filter of 5x5, with weights that you have just seen:

# %% tags=["deep", "slide", "nbval-check-output"]
x, ones = scan[None, None], torch.ones(1, 1, 3, 3)
five = paths(2)[2:7, 2:7][None, None]
x = x - 8  # so that some sums are negative
straight = F.conv2d(F.conv2d(x, ones), ones)
bent = F.conv2d(F.conv2d(x, ones).relu(), ones)  # with the ReLU in between
torch.equal(straight, F.conv2d(x, five)), torch.equal(bent, F.conv2d(x, five))

# %% [markdown] tags=["core"]
# More layers without a non-linear function between them buy nothing.
# **At scale**, our network for the rest of the chapter: three times convolution, batch norm (explained below), ReLU,
# with the picture halved in between, by the largest of each 2x2 pixels (**max-pooling**);
# then a mean over the picture (*global average pooling*) and one linear layer, ten numbers out.

# %% tags=["core", "nbval-check-output"]
show(training.small_cnn)
model = training.small_cnn()
logits = model(training.normalise(images[:8]))
tuple(logits.shape), sum(p.numel() for p in model.parameters())

# %% [markdown] tags=["core", "slide"]
# ## How wrong is an answer?
#
# The ten numbers are called [**logits**](GLOSSARY.md#logits).
# A **loss** turns them and the true class into one number that says how wrong they are.
#
# Take three classes with logits $0, \ln 2, \ln 5$.
# Exponentials make them positive: 1, 2, 5.
# Divide by their sum, 8, and they are probabilities: 1/8, 2/8, 5/8.
# These two steps together are the **softmax**.
# Suppose the last class is true.
# It got 5/8; all of it would have been perfect.
# The loss is the surprise, $-\ln \frac{5}{8} = 0.470$.
# Its unit, with the natural logarithm, is the *nat*.
# This loss is called [**cross-entropy**](GLOSSARY.md#cross-entropy).
#
# $$ L = -\ln p_t, \qquad p_t = \frac{e^{z_t}}{\sum_{c} e^{z_c}} \tag{2.2} $$
#
# $z_c$ is the logit of class $c$, $t$ the true class, $p_t$ the probability it got; a batch has the mean of its losses.

# %% tags=["core"]
show(training.cross_entropy)

# %% tags=["core", "slide"]
toy = torch.tensor([[0.0, math.log(2), math.log(5)]])
loss = training.cross_entropy(toy, torch.tensor([2]))
assert abs(loss.item() - math.log(8 / 5)) < 1e-6  # 0.470, by hand
p = torch.linspace(0.01, 1, 100)
plots.lines(p, {"loss": -p.log()}, x_label="probability of the true class", y_label="loss (nats)")

# %% [markdown] tags=["core"]
# Being unsure costs little.
# Being sure and wrong costs a lot, without limit.
#
# **Break it.**
# Write equation 2.2 down as it stands, and give it large logits.

# %% tags=["deep", "slide"]
large = torch.tensor([[0.0, 1000.0]])
p = large.exp() / large.exp().sum()
print("as it stands:", -p[0, 1].log().item())
print("in the library:", training.cross_entropy(large, torch.tensor([1])).item())

# %% [markdown] tags=["core"]
# $e^{1000}$ is infinite in float32, and infinite divided by infinite is not a number (NaN).
# `logsumexp` takes the largest logit out first.
# **At scale**: what should the loss of our untrained network be, with ten classes and no idea?
# $-\ln \frac{1}{10} = 2.303$.

# %% tags=["core"]
loss_fn = training.classification_loss()
loss, logs = loss_fn(model, (images[:500], labels[:500]))
assert 2.0 < loss.item() < 2.8
print(f"loss {loss.item():.3f}, right answers {logs['accuracy']:.0%}")

# %% [markdown] tags=["core", "slide"]
# ## Which way is down?
#
# The smallest network there is: $f(x; w, b) = w x + b$.
# It starts at $w = b = 0$.
# One example says $x = 2$, $y = 6$.
# The loss is $(f - y)^2 = 36$.
# How does it change if only $w$ moves a little, or only $b$?
# By the chain rule
#
# $$ \frac{\partial L}{\partial w} = 2 (f - y)\, x = 2 \cdot (-6) \cdot 2 = -24, \qquad
#    \frac{\partial L}{\partial b} = 2 (f - y) = -12 $$
#
# Negative: more $w$, less loss.
# So step against the gradient.
# `backward` does this sum for any number of parameters.

# %% tags=["core", "slide"]
theta = torch.zeros(2, requires_grad=True)  # w and b
loss = (theta[0] * 2 + theta[1] - 6) ** 2
loss.backward()
assert loss.item() == 36 and theta.grad.tolist() == [-24, -12]  # by hand
theta.grad

# %% [markdown] tags=["core", "slide"]
# A step against the gradient goes down as steeply as it can.
# In a long narrow valley that is mostly *across* the valley, and only a little *along* it, where the bottom lies.
# [**Momentum**](GLOSSARY.md#momentum) remembers earlier steps: what goes to and fro cancels, what goes on adds up.
# In Nesterov's form
#
# $$ v \leftarrow \mu v + g, \qquad \theta \leftarrow \theta - \eta\, (g + \mu v) \tag{2.3} $$
#
# $g$ is the gradient, $v$ the velocity, $\mu$ the momentum (0.9), $\eta$ the learning rate.
# Our first step, with $v = 0$ and $\eta = 0.01$: $v = -24$, so $w = 0 + 0.01 \cdot (24 + 0.9 \cdot 24) = 0.456$.

# %% tags=["core"]
show(training.sgd_step)

# %% [markdown] tags=["core"]
# The valley is $\frac{1}{2} x^2 + 5 y^2$, ten times steeper across ($y$) than along ($x$).
# Seen from above, lines join places of equal height.
# Three paths start at the same place, with 20 steps each.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
w, v = training.sgd_step(torch.tensor(0.0), torch.tensor(-24.0), torch.tensor(0.0), lr=0.01)
assert abs(w.item() - 0.456) < 1e-6  # by hand


def valley(x, y):
    return 0.5 * x**2 + 5 * y**2  # ten times steeper across than along


def path(lr, momentum, steps=40):
    theta, v, places = torch.tensor([4.0, 1.0]), torch.zeros(2), []
    for _ in range(steps):
        places.append(theta)
        gradient = theta * torch.tensor([1.0, 10.0])
        theta, v = training.sgd_step(theta, gradient, v, lr, momentum)
    return torch.stack(places)  # steps 2


def heights(lr, momentum, steps=40):
    return [valley(*place).item() for place in path(lr, momentum, steps)]


paths = {"plain, rate 0.02": path(0.02, 0.0, 21), "plain, rate 0.18": path(0.18, 0.0, 21)}
paths["momentum 0.9, rate 0.02"] = path(0.02, 0.9, 21)
ends = "; ".join(f"{name}: {valley(*places[-1]):.2g}" for name, places in paths.items())
says = f"From height 13, the heights after 20 steps: {ends}."
plots.contours(valley, paths, x_label="x, along the valley", y_label="y, across", says=says)

# %% tags=["core", "slide"]
curves = {"plain": heights(0.02, 0.0), "momentum 0.9": heights(0.02, 0.9)}
plots.lines(range(40), curves, x_label="step", y_label="height over the bottom", log_y=True)

# %% [markdown] tags=["core"]
# With a small rate the plain path falls into the valley and creeps along it.
# A large one gets along, but jumps from side to side: a little larger still, and each jump would be wider than the one
# before.
# Momentum has the *small* rate and runs along nearly as fast, with two gentle swings across.
# It even runs past the bottom and has to come back: there its height goes *up* for some steps.
#
# **Break it.**
# Move the slider.
# Plain steps, no momentum: which rate ends lowest, and with which does the height grow without end?
# (Exercise 02.4 looks for the border between the two.)

# %% tags=["core", "slide"]
def descent(lr):
    h = heights(lr, momentum=0.0)
    says = f"The height goes from {h[0]:.3g} to {h[-1]:.3g} in 40 steps."
    return plots.lines(range(40), {"plain": h}, x_label="step", y_label="height", log_y=True, says=says)


rates = [0.01, 0.02, 0.05, 0.1, 0.15, 0.18, 0.22, 0.25, 0.3]
widgets.slider(descent, name="lr", values=rates, start=rates.index(0.22))

# %% [markdown] tags=["core", "slide"]
# ## What is one training step?
#
# Five things, again and again: clear the old gradients, go *forward* from pictures to loss, go *backward* from loss to
# gradients, let the optimizer move the parameters, and write down the loss.
#
# Why clear?
# `backward` *adds* to the gradients that are there already.
# By hand, with $w x + b$ again: `theta.grad` still holds the $-24$ and $-12$ from above.
# What stands there if `backward` is called twice more?
# $-24 - 24 - 24 = -72$, and the step would be three times as long.

# %% tags=["core", "slide", "nbval-check-output"]
for _ in range(2):
    loss = (theta[0] * 2 + theta[1] - 6) ** 2
    loss.backward()
assert theta.grad.tolist() == [-72, -36]  # by hand
theta.grad

# %% [markdown] tags=["core"]
# ### 02.1 · Build · training_step · 12 min · ●○○ · 4 points
#
# `fit`, the training loop of this course, calls this function for every step.
# Write `training_step(model, batch, loss_fn, optimizer)`: one step down the gradient of the batch's loss.
# `loss_fn(model, batch)` goes forward and gives a pair, `loss, logs`: a tensor to call `backward` on,
# and a dictionary of numbers to write down.
# `optimizer` has two methods that you need, `zero_grad()` and `step()`.
# Gradients that somebody left behind must not count.
# Return the same pair, `loss, logs`, as it was before the step.
# By hand, with plain steps of rate 0.01 and $w = b = 0$: the loss is 36, and $w$ becomes 0.24.

# %% tags=["core"]
def training_step(model, batch, loss_fn, optimizer):
    """One step down the gradient; returns the pair (loss, logs) of before the step.

    By hand: f = w x + b from 0, x = 2, y = 6, rate 0.01: loss 36, then w = 0.24.
    """
    # your code, in place of the dots
    ...


build("training.training_step", training_step)
# hint("training.training_step")
# solution("training.training_step")

# %% [markdown] tags=["core"]
# **At scale**: the loop around it, for our network and the 3,000 pictures.
# The optimizer `sgd` does Eq. 2.3 for all parameters at once.
# It also has **weight decay**: in each step every weight shrinks by a small share, the rate times 0.0005,
# so that weights that nothing needs fade away.
# (Biases and batch norms are left alone.)

# %% tags=["core", "slide"]
show(training.training_step, folded=True)
model = training.small_cnn()
loss_fn, losses = training.classification_loss(), []
optimizer = training.sgd(model, lr=0.1)
for _ in range(60):
    chosen = torch.randint(len(images), (128,))
    loss, _ = training.training_step(model, (images[chosen], labels[chosen]), loss_fn, optimizer)
    losses.append(torch.as_tensor(loss).item())
assert losses[-1] < losses[0]
plots.lines(range(60), {"loss": losses}, x_label="step", y_label="loss (nats)")

# %% [markdown] tags=["core"]
# That is a whole training: draw a batch, take a step, write down the loss.
# Each batch is drawn by chance, so this is called **stochastic gradient descent**, SGD.
# It calls `training.training_step`, which is yours if you built it.
# The network began with the loss of a guess, about 2.3, and got well below it.

# %% [markdown] tags=["core", "slide"]
# ## How large a step, and when?
#
# Early on the weights are random and the gradient turns with every step: begin small.
# At the end the steps must shrink, or the weights keep jumping about the bottom.
# So: up along a line for $W$ steps, the [**warm-up**](GLOSSARY.md#warm-up), then down along a cosine until step $T$.
# $\eta$ is the largest rate, $\eta_s$ that of step $s$, and $s$ counts from 0.
# Such a rule is called a **learning rate schedule**.
#
# $$ \eta_s = \eta \cdot \tfrac{1}{2} \left( 1 + \cos \pi\, \frac{s - W}{T - W} \right) \quad
#    \text{for } s \ge W, \qquad \eta_s = \eta\, \frac{s + 1}{W} \text{ before} \tag{2.4} $$
#
# By hand, with $T = 10$ and $W = 2$: the first steps get 1/2 and 1 of the rate.
# Step 6 is half way down: $\cos \frac{\pi}{2} = 0$, so 1/2.
#
# (The paper by Loshchilov and Hutter, which has the cosine, starts it again and again; one fall is what most use.)

# %% [markdown] tags=["core"]
# ### 02.2 · Build · warmup_cosine · 10 min · ●●○ · 3 points
#
# `fit`, the training loop of this course, asks this for the rate before each step.
# Write `warmup_cosine(step, total, warmup)`: the factor on $\eta$ in Eq. 2.4, with $s$, $T$ and $W$, all whole numbers.
# `warmup` may be 0 and is always smaller than `total`; `step` runs from 0 to `total`.
# Return a Python number.

# %% tags=["core"]
def warmup_cosine(step, total, warmup):
    """Factor on the learning rate: up a line, down a cosine.

    By hand, total 10 and warmup 2: step 0 gives 0.5, step 1 gives 1, step 6 gives 0.5.
    """
    # your code, in place of the dots
    ...


build("training.warmup_cosine", warmup_cosine)
# hint("training.warmup_cosine")
# solution("training.warmup_cosine")

# %% [markdown] tags=["core"]
# **Break it**, in one figure: the training code of google/automl leaves out the $-\,W$ above the line.
# Its cosine is counted from the first step of all, and not from the end of the warm-up.

# %% tags=["core", "slide"]
show(training.warmup_cosine, folded=True)
assert [training.warmup_cosine(s, 10, 2) for s in (0, 1)] == [0.5, 1.0]  # by hand
assert abs(training.warmup_cosine(6, 10, 2) - 0.5) < 1e-9
right = [training.warmup_cosine(s, 100, 30) for s in range(100)]
slip = [0.5 * (1 + math.cos(math.pi * s / 70)) if s >= 30 else r for s, r in enumerate(right)]
plots.lines(range(100), {"Eq. 2.4": right, "without - W": slip}, x_label="step", y_label="share of the rate")

# %% [markdown] tags=["core"]
# The slip jumps down after the warm-up, passes $\pi$, and rises again at the end, when it should be at rest.

# %% [markdown] tags=["core", "slide"]
# ## Does it learn to read?
#
# All pieces are there.
# `fit` is the loop above, with what a long run needs besides.
# It sets the rate before each step by `warmup_cosine`, and asks `training_step` for the step.
# It shows every picture once before any comes again (an **epoch**), keeps a record, follows the weights by an average,
# saves a checkpoint now and then, and stops if the loss is not a number.
# It is the only training loop of this course; the NASNet cells and the detector will go through it too.

# %% tags=["core"]
show(training.fit)

# %% tags=["core", "slide"]
picture_titles = [str(n) for n in labels[:16].tolist()]
plots.images(images[:16], titles=picture_titles)

# %% [markdown] tags=["core"]
# The digits are real handwriting; grounds, colours and clutter are drawn (chapter 01).
# How many would you get right?
# Guess the network's share before you run the next cell: 3,000 pictures, 8 epochs, a few seconds.
#
# `QUICK = True` takes 8 epochs, and 5 seeds further below; `False` takes 30 and 10.
# While the network learns, a second model, the `EMA`, follows it; more about that one below.
# After every ten steps both are asked about 1,000 validation pictures, which they never learn from.
#
# `yours(load=True)` takes back what you built on another day; `yours()` counts the calls of your functions.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
yours(load=True)
QUICK = True
epochs, seeds = (8, range(5)) if QUICK else (30, range(10))
validation, test = data.crops("validation", 1000), data.crops("test", 2000)
model, loss_fn = training.small_cnn().to(device), training.classification_loss()
ema, along = training.EMA(model, decay=0.98), {"weights": [], "average": []}


def look(step, logs):
    if step % 10 == 9:
        for name, net in (("weights", model), ("average", ema.model)):
            along[name].append(training.accuracy(net, *validation))


history = training.fit(model, (images, labels), loss_fn, epochs=epochs, lr=0.3, ema=ema, on_step=look)
reached = training.accuracy(model, *test)
print(f"{reached:.1%} of 2,000 test pictures are read right, after {len(history.loss)} steps")
yours()

# %% [markdown] tags=["core"]
# Does it learn the digits, or does it learn these 3,000 pictures by heart?
# Compare the share that it gets right among the pictures of its batches with the share among those it never sees.

# %% tags=["core", "slide"]
ends = range(10, 10 * len(along["weights"]) + 1, 10)
seen = [sum(history.logs["accuracy"][end - 10 : end]) / 10 for end in ends]
curves = {"training batches": seen, "validation": along["weights"]}
says = f"At the end {seen[-1]:.0%} of the training pictures are right, and {along['weights'][-1]:.0%} of the others: "
says += f"a gap of {100 * (seen[-1] - along['weights'][-1]):.0f} points."
plots.lines(ends, curves, x_label="step", y_label="share of right answers", says=says)

# %% [markdown] tags=["core"]
# The gap is real: the network knows its own pictures better than others.
# But the lower curve still rises, so no harm is done yet.
# If it *fell* while the upper one rises, the network would learn its pictures by heart: **overfitting**.
# Then one takes more pictures, more weight decay, or **augmentation**: every time another crop, flip or colour of the
# same picture, as in chapter 01.
# `fit` takes it as `augment=`.
# If both curves stayed low and close together, that would be **underfitting**: more steps, or a wider network.
#
# Another remedy is **label smoothing**: the loss asks for 0.91 at the true class and 0.01 at each of the nine others,
# so that the network is not driven to be ever more sure.
# The least loss is then $-0.91 \ln 0.91 - 0.09 \ln 0.01 = 0.50$, not 0.
# The runs below use it: `smoothing=0.1`.

# %% [markdown] tags=["core"]
# One run is one throw of the dice: the seed decides first weights and the order of pictures.
# So train again with other seeds, and show all of them.
# (Five trainings: some ten seconds, and each says how far it is.)
# Beside the crops, a second question: does it read the clean scans, which it has never seen as they are?

# %% tags=["core", "slide"]
digits = data.digits()
clean = torch.tensor(digits.images[digits.split == "test"])[:, None].float() * 255 / 16
clean = F.interpolate(clean, size=(16, 16), mode="bilinear").byte().expand(-1, 3, -1, -1)
clean_labels = torch.tensor(digits.labels[digits.split == "test"])
scores, smooth = {"test crops": [], "clean scans": []}, training.classification_loss(smoothing=0.1)
for seed in seeds:
    net = training.small_cnn(seed=seed).to(device)
    training.fit(net, (images, labels), smooth, epochs=epochs, lr=0.3, seed=seed)
    scores["test crops"].append(training.accuracy(net, *test))
    scores["clean scans"].append(training.accuracy(net, clean, clean_labels))
worst, best = min(scores["test crops"]), max(scores["test crops"])
assert worst > 0.7  # guessing gets 0.1
says = f"Test crops: {worst:.3f} to {best:.3f} over {len(seeds)} seeds, a spread of {best - worst:.3f}. "
says += f"Clean scans: {min(scores['clean scans']):.3f} to {max(scores['clean scans']):.3f}."
plots.points(scores, y_label="accuracy", says=says)

# %% [markdown] tags=["core"]
# It reads: guessing would be right in one crop of ten.
# The spread, best minus worst, matters for the rest of the course: whoever compares two architectures by one run each,
# and finds a difference smaller than this, has compared seeds.

# %% [markdown] tags=["core", "slide"]
# ## Why keep an average of the weights?
#
# In the middle of training the steps are large and the weights jump about.
# Their average jumps less.
# It is an [**exponential moving average**](GLOSSARY.md#average-of-the-weights), EMA: what lies further back counts
# less and less.
# It is kept on the side, and training does not notice:
#
# $$ \bar\theta \leftarrow d\, \bar\theta + (1 - d)\, \theta, \qquad d = \min\!\left(D,\; \frac{1 + n}{10 + n}\right)
#    \tag{2.5} $$
#
# $\bar\theta$ is the average, $\theta$ the weights after step $n$ (from 0), $D$ the decay, close to 1.
# By hand, for one weight that starts at 1 and then becomes 2 and 3:
# $d = \frac{1}{10}$ gives $0.1 \cdot 1 + 0.9 \cdot 2 = 1.9$,
# and $d = \frac{2}{11}$ gives $\frac{2}{11} \cdot 1.9 + \frac{9}{11} \cdot 3 = 2.8$.

# %% tags=["core"]
show(training.EMA)

# %% tags=["deep"]
one = nn.Linear(1, 1, bias=False)
with torch.no_grad():
    one.weight.fill_(1.0)
    follower = training.EMA(one, decay=0.999)
    for value in (2.0, 3.0):
        one.weight.fill_(value)
        follower.update(one)
assert abs(follower.model.weight.item() - 2.8) < 1e-6  # by hand

# %% tags=["core", "slide"]
better = sum(a > w for w, a in zip(along["weights"], along["average"], strict=True))
says = f"The average is better at {better} of {len(ends)} places; at the end it has "
says += f"{along['average'][-1]:.3f}, the weights {along['weights'][-1]:.3f}."
plots.lines(ends, along, x_label="step", y_label="validation accuracy", says=says)

# %% [markdown] tags=["core"]
# In the middle the average is better nearly every time.
# At the end the cosine has stopped the jumping, and the two agree.

# %% [markdown] tags=["deep"]
# **Break it.**
# Why not $d = D$ from the start?
# Switch the warm-up off, by pretending that very many updates lie behind, and take a decay that is usual for long runs.

# %% tags=["deep", "slide"]
net = training.small_cnn().to(device)
cold = training.EMA(net, decay=0.999)
cold.updates = 10**9
training.fit(net, (images, labels), loss_fn, epochs=4, lr=0.3, ema=cold, progress=False)
left = 0.999 ** (4 * (3000 // 128))
scores = {"weights": training.accuracy(net, *test), "average without warm-up": training.accuracy(cold.model, *test)}
plots.bars(scores, y_label="test accuracy", says=f"{left:.0%} of the average are still the random first weights.")

# %% [markdown] tags=["core"]
# The next cell loads a network that was trained longer, on twice as many pictures.
# Everything below works with it, so whoever skipped the trainings can go on here.

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
model = training.load_weights(training.small_cnn(), "digits_cnn").to(device)
test = data.crops("test", 2000)
print(f"digits_cnn: {training.accuracy(model, *test):.3f} on test crops")

# %% [markdown] tags=["core", "slide"]
# ## Why does the same network give two answers?
#
# **Batch norm** brings each channel $x$ to mean 0 and variance 1.
# Then it learns a scale $\gamma$ and a shift $\beta$ for it:
#
# $$ \hat x = \gamma\, \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta \tag{2.6} $$
#
# In *training mode* the mean $\mu$ and the variance $\sigma^2$ come from the batch at hand.
# In *eval mode* they are the ones that it remembered while training.
# ($\epsilon$ is tiny and prevents a division by 0.)
#
# By hand, with $\gamma = 1$, $\beta = 0$: your picture gives a channel 2, the only other one gives it 4.
# Then $\mu = 3$, $\sigma^2 = 1$, and your 2 becomes $-1$.
# Beside a 0 the same 2 becomes $+1$.
# What does eval mode make of it, if it remembers mean 0 and variance 1?

# %% tags=["core", "nbval-check-output"]
norm = nn.BatchNorm1d(1)  # it remembers mean 0 and variance 1 as long as it has seen nothing
beside = {other: norm(torch.tensor([[2.0], [other]]))[0].item() for other in (4.0, 0.0)}
assert abs(beside[4.0] + 1) < 1e-4 and abs(beside[0.0] - 1) < 1e-4  # by hand
alone = nn.BatchNorm1d(1).eval()(torch.tensor([[2.0]])).item()
{other: round(value) for other, value in beside.items()}, round(alone)

# %% [markdown] tags=["core"]
# In training mode your answer depends on who else is in the batch.
# In eval mode the 2 stays a 2, whoever stands beside it.
#
# **Break it.**
# Sort the test pictures by class, so that each batch holds one digit only, and forget `model.eval()`.

# %% tags=["core", "slide"]
order = test[1].argsort()


def share_right(mode, order, size=100):
    net = training.load_weights(training.small_cnn(), "digits_cnn").train(mode == "train")
    with torch.no_grad():
        answers = [net(training.normalise(test[0][i])).argmax(1) for i in order.split(size)]
    return (torch.cat(answers) == test[1][order]).float().mean().item()


mixed = torch.arange(len(order))
orders = {"mixed": mixed, "sorted": order}
modes = {f"{m}, {how}": share_right(m, o) for m in ("eval", "train") for how, o in orders.items()}
assert modes["eval, mixed"] == modes["eval, sorted"] > modes["train, sorted"]
plots.bars(modes, y_label="test accuracy")

# %% [markdown] tags=["core"]
# Eval mode does not care about the order.
# Training mode falls apart when all pictures of a batch are alike, since what they have in common is subtracted.
# No error is raised: the answers are wrong in silence.

# %% [markdown] tags=["deep", "slide"]
# ## What if the machine dies? (deep)
#
# Binder (a free server for notebooks) stops after some minutes of silence, a laptop is closed, a cluster ends the job.
# With `checkpoint=` the run saves, now and then, *all* that a step changes: weights, velocities, the average,
# the position in the data, the random numbers, the record.
# If one is missing, the run goes on, but as another run.
# The new state is written to a second file first.
# That file takes the name of the old one only when it is complete, so a whole checkpoint is there at any moment.
# Here, 60 steps without a break, and 60 steps that die after step 33:

# %% tags=["deep", "slide"]
folder = Path(tempfile.mkdtemp())


def sixty(name, on_step=None):
    net = training.small_cnn((8, 16))
    record = training.fit(
        net, (images, labels), loss_fn, steps=60, lr=0.3, every=10,
        checkpoint=folder / name, on_step=on_step, progress=False,
    )  # fmt: skip
    return net, record


def die(step, logs):
    if step == 33:
        raise KeyboardInterrupt("the lid is closed")


whole, _ = sixty("whole.pt")
try:
    sixty("broken.pt", on_step=die)
except KeyboardInterrupt as error:
    print(error)

# %% tags=["deep", "slide"]
again, record = sixty("broken.pt")  # the same call: it finds the checkpoint
bits = again.state_dict()
assert all(torch.equal(t, bits[name]) for name, t in whole.state_dict().items())
print(f"went on from step {record.resumed_at}; every weight has the same bits")

# %% [markdown] tags=["deep"]
# Not close: equal.
# The tests kill a process at dozens of moments, also in the middle of writing the file (`SIGKILL`,
# which no program can catch), and ask for the same.
#
# **Break it.**
# Go on with another learning rate.
# Would you want half a run of each, without a word?

# %% tags=["deep"]
try:
    net = training.small_cnn((8, 16))
    training.fit(net, (images, labels), loss_fn, steps=60, lr=0.1, checkpoint=folder / "broken.pt", progress=False)
except ValueError as error:
    print(str(error).replace(str(folder), "..."))

# %% [markdown] tags=["deep", "slide"]
# ## What if the loss is not a number? (deep)
#
# Too high a rate, a broken picture, a division by zero: one infinite number, and a step later all weights are lost.
# `fit` looks at each loss before it takes the step.
# If it is not finite, the run stops, and the model is put back to its last good state.
# Here is the worst rate we could think of.
# At which step will it be noticed?

# %% tags=["deep", "slide"]
net = training.small_cnn((8, 16))
try:
    training.fit(net, (images, labels), loss_fn, steps=60, lr=1e30, every=1, progress=False)
except training.NonFiniteLoss as error:
    print(error)
assert all(t.isfinite().all() for t in net.state_dict().values())

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **The loss becomes NaN.**
#   One of the most frequent complaints about detectors, for instance rwightman/efficientdet-pytorch#113 and #269,
#   google/automl#137 and #213.
#   The learning rate belongs to the batch size: with a quarter of the batch, take about a quarter of the rate.
#   Then a longer warm-up, clipping, and a look at the data.
# - **Batch norm's momentum, the other way round.**
#   TensorFlow's 0.99 is PyTorch's 0.01: one keeps that share, the other replaces it.
#   Ports copied the number (lukemelas/EfficientNet-PyTorch#229, pytorch/vision#8250).
#   What is remembered is then little more than the last batch, and only eval mode shows it.
# - **Batch norm's constants change the score.** google/automl#126:
#   other values of decay and epsilon were worth about half a point of AP, the score of a detector (chapter 16).
# - **The checkpoint's address is dead.** mit-han-lab/6s965-fall2022#75:
#   the file that the labs start from could not be fetched.
#   Ours stands in the repository, with its hash and the script that made it.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# **How does a function $y = f(x; \theta)$ find its $\theta$ from examples?**
# By many small steps: compute the loss of a batch, its gradient for each number of $\theta$, and move against it.
# `training_step` is one of them, and a schedule says how long it is.
# **How do you keep it when the machine dies?**
# By saving, now and then, *all* that a step changes, under a name that a whole file only gets when it is complete.
#
# - A convolution slides the same few numbers of $\theta$ over the whole picture.
#   Stacked filters see further; the non-linear function between them is what makes depth worth anything.
# - Cross-entropy is the surprise at the truth.
#   Its gradient says which way is down, momentum remembers, weight decay shrinks what nothing needs.
# - Compare training with validation: both low is underfitting, a validation curve that falls is overfitting.
# - Report several seeds.
#   A difference smaller than their spread is not a finding.
# - Batch norm has two modes.
#   A loss that is not finite must stop the run.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 02.3 · Predict · first_loss · 5 min · ●○○ · 1 point
#
# COCO has 90 class numbers.
# A new classifier for them has no idea yet and gives each the same probability.
# What is its cross-entropy (equation 2.2), in nats?
# Two decimals are enough.
# Say it before you compute it: whoever knows the first loss sees a broken network at once.
#
# <details><summary>Answer</summary>
#
# $-\ln \frac{1}{90} = \ln 90 = 4.50$.
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("training.first_loss", answer)
# hint("training.first_loss")
# solution("training.first_loss")

# %% [markdown] tags=["core"]
# ### 02.4 · Measure · largest_rate · 10 min · ●●○ · 2 points
#
# In the valley of *Which way is down?*, plain steps without momentum: what is the largest learning rate,
# in steps of 0.01, after which the height, 200 steps later, is not above where it began?
# Use `heights`, change the rate, and compare the last height with the first.

# %% tags=["core"]
h = heights(0.1, momentum=0.0, steps=201)  # change the rate
print(f"from {h[0]:.3g} to {h[-1]:.3g}")
answer = ...  # the largest rate that does not run away
check("training.largest_rate", answer)
# hint("training.largest_rate")
# solution("training.largest_rate")

# %% [markdown] tags=["core"]
# ### 02.5 · Build · receptive_field · 15 min · ●●○ · 3 points
#
# Write `receptive_field(layers)`.
# `layers` is a list of pairs `(kernel, stride)`, first layer first.
# Return how many pixels wide the patch is that one number of the last layer depends on.
# Pooling counts as a layer like any other.
# `stride` is the step of the filter: with 2 it visits every second place.
# Check yourself on paper: `[(3, 1), (3, 1)]` gives 5, as in the figure above; `[(3, 2), (3, 1)]` gives 7.
# An empty list gives 1.

# %% tags=["core"]
def receptive_field(layers):
    ...  # your code


check("training.receptive_field", receptive_field)
# hint("training.receptive_field")
# solution("training.receptive_field")

# %% [markdown] tags=["core"]
# ### 02.6 · Build · clip_by_norm · 15 min · ●●○ · 3 points
#
# `fit(..., clip=1.0)` shortens the gradient when it is too long, and keeps its direction.
# Write it: `clip_by_norm(gradients, limit)` takes a list of tensors, one for each parameter, and a number.
# It returns a new list in which all numbers together, seen as one long vector, have a length of at most `limit`.
# The direction stays; a list that was short enough comes back with the same numbers, one of zeros too.
# By hand: `[3]` and `[4]` with limit 1 give `[0.6]` and `[0.8]`.

# %% tags=["core"]
def clip_by_norm(gradients, limit):
    ...  # your code


check("training.clip_by_norm", clip_by_norm)
# hint("training.clip_by_norm")
# solution("training.clip_by_norm")

# %% [markdown] tags=["optional"]
# ### 02.7 · Further · 60 min · ●●● · 0 points
#
# "Bag of Tricks" ([He et al. 2018](https://arxiv.org/abs/1812.01187)) collects small changes to training.
# Take three of them: label smoothing, no decay on biases, and mixup.
# Turn each on and off on the digit crops, five seeds each, and show all points.
# Which of them is larger than the spread between seeds?
# Say so also if none is.

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("training")
# yours()            whose functions are at work now
# restore()          the course's own again
# submit()           your answers in one small file

# %% [markdown] tags=["core"]
# ## Where next
#
# [Chapter 03](03_profiling.ipynb) asks what a network costs: parameters, multiply-adds, milliseconds, megabytes.
# Then part II begins: who says that three convolutions in a row are the right thing to train at all?

# %% [markdown] tags=["core"]
# ## References
#
# - I. Sutskever et al. On the importance of initialization and momentum in deep learning.
#   ICML 2013.
#   (Nesterov's momentum for networks)
# - R. Pascanu et al. On the difficulty of training recurrent neural networks. 2012.
#   [arxiv.org/abs/1211.5063](https://arxiv.org/abs/1211.5063) (clipping by the norm)
# - S. Ioffe, C. Szegedy.
#   Batch Normalization. 2015. [arxiv.org/abs/1502.03167](https://arxiv.org/abs/1502.03167)
# - C. Szegedy et al. Rethinking the Inception Architecture. 2015.
#   [arxiv.org/abs/1512.00567](https://arxiv.org/abs/1512.00567) (label smoothing)
# - I. Loshchilov, F. Hutter.
#   SGDR: Stochastic Gradient Descent with Warm Restarts. 2016.
#   [arxiv.org/abs/1608.03983](https://arxiv.org/abs/1608.03983) (the cosine)
# - P. Goyal et al. Accurate, Large Minibatch SGD. 2017. [arxiv.org/abs/1706.02677](https://arxiv.org/abs/1706.02677)
#   (warm-up; rate and batch size)
# - T. He et al. Bag of Tricks for Image Classification. 2018.
#   [arxiv.org/abs/1812.01187](https://arxiv.org/abs/1812.01187)
