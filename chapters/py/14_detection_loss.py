# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 14 · Detection loss
#
# **Question. What should a detector be punished for, when nearly everything it looks at is nothing?**
#
# After this chapter you can
#
# 1. write focal loss so that it is right at any logit, and say what it does to an easy answer (exercises 14.1 and 14.3)
# 2. compute which anchors a detector hears, and which it does not (exercise 14.4)
# 3. build other answers to the same imbalance (exercises 14.5 and 14.6)
# 4. put Huber loss, the normaliser and the factor 50 in their places (exercise 14.2, quiz)
# 5. recognise a loss without prior bias, without normaliser or in half precision by its first steps (quiz)
#
# | study | about 95 min (estimate) |
# |---|---|
# | run | <!-- run -->0.2 min (15 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->722 MB (measured)<!-- /peak --> |
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
import time

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
    table,
    yours,
)
from lib.detection import anchors, detection_loss

device = setup("14_detection_loss", seed=0)

# %% [markdown] tags=["core"]
# Chapter 12 told every anchor what it should say.
# Chapter 13 has the network that says something.
# What stands between them is one number, the loss.
# Everything that the network ever learns, it learns through this number.
#
# Nine anchors a place on strides 4 to 32 make 12,240 for one scene.
# About fifty of them see a digit.
# How do you hear fifty voices among twelve thousand?

# %% [markdown] tags=["core", "slide"]
# ## What does one question cost?
#
# Each anchor answers ten questions, one for each class: is this a 0?
# Is it a 1?
# Each answer is a logit $z$, and stands for the probability $p = 1 / (1 + e^{-z})$.
# A digit makes one of the ten right answers a yes.
# Background makes all of them no; it is no class of its own, so nobody has to learn what "nothing" looks like.
# (The other way is one softmax over eleven classes, background being the eleventh: then a digit's probability can rise
# only where that of "nothing" falls, and twelve thousand anchors teach mostly the eleventh class.)
#
# Say $z = \log 3$.
# Then $p = 3/4$.
# If yes is right, the answer costs $-\log \tfrac34 = 0.29$.
# If no is right, it costs $-\log \tfrac14 = 1.39$.
# Write $p_t$ for the probability of the *right* answer:
#
# $$ \mathrm{CE} = -\log p_t, \qquad p_t = \begin{cases} p & \text{yes is right} \\
#    1 - p & \text{no is right} \end{cases} \tag{14.1} $$
#
# This is cross entropy.
# `softplus` of $z$ is $\log(1 + e^z)$, and $-\log p$ is $\log(1 + e^{-z})$.
# So $-\log p_t$ is the softplus of the *wrong* answer's logit: $-z$ if yes is right, $z$ if no is.

# %% tags=["core", "slide", "nbval-check-output"]
logits = torch.tensor([math.log(3), math.log(3), 0.0])
yes = torch.tensor([True, False, True])
wrong = torch.where(yes, -logits, logits)
entropy = F.softplus(wrong)
by_hand = torch.tensor([math.log(4 / 3), math.log(4), math.log(2)])
assert torch.allclose(entropy, by_hand)
entropy

# %% [markdown] tags=["core"]
# **Break it.**
# Take the formula at its word, sigmoid first and logarithm after, at a logit of 200 for a question whose answer is no.

# %% tags=["core", "slide", "nbval-check-output"]
sure = torch.tensor([200.0])
literal = -torch.log(1 - torch.sigmoid(sure))
literal, F.softplus(sure)

# %% [markdown] tags=["core"]
# The sigmoid of 200 is 1 to the last bit of a float, and $\log 0$ is minus infinity.
# One such anchor, in one picture, ends a training.
#
# So a question costs $-\log p_t$, and it is computed from the logit, never from a probability.

# %% [markdown] tags=["core", "slide"]
# ## Why do the easy answers drown the others?
#
# Our scene: 12,240 anchors, ten questions each.
# A network that has learned a little says no with 0.99 to nearly all of them.
# That costs $-\log 0.99 = 0.01$ each.
# And 50 anchors with a digit are undecided: $-\log 0.5 = 0.69$ each.
#
# Background: $122{,}350 \cdot 0.01 = 1230$.
# Digits: $50 \cdot 0.69 = 35$.
# So 97 % of the loss comes from answers that are right already.
# The gradient says: be even surer about the background.
#
# [*Focal loss*](GLOSSARY.md#focal-loss) multiplies each answer by how much it lacks, to the power $\gamma$.
# Sure answers lack little:
#
# $$ \mathrm{FL} = \alpha_t\, (1 - p_t)^{\gamma}\, (-\log p_t), \qquad
#    \alpha_t = \alpha \text{ for yes, } 1 - \alpha \text{ for no} \tag{14.2} $$
#
# EfficientDet takes $\gamma = 1.5$, $\alpha = 0.25$.
# The background's factor is $0.01^{1.5} = 0.001$, that of the undecided ones $0.5^{1.5} = 0.35$.
# Now $1230 \cdot 0.001 \cdot 0.75 = 0.92$ stands against $35 \cdot 0.35 \cdot 0.25 = 3.1$.
# The digits are heard.
#
# One answer by hand: $z = 0$, yes is right, so $p_t = \tfrac12$ and the loss is
# $\tfrac14 \cdot (\tfrac12)^{1.5} \cdot \log 2 = 0.0613$.
#
# ### 14.1 · Build · focal_loss · 20 min · ●●● · 4 points
#
# Everything that the class head learns, it learns through this function.
# Write `focal_loss(logits, targets, alpha=0.25, gamma=1.5)` by Eq. 14.2.
# `logits` is a tensor of any shape, `targets` one of True and False of the same shape: True where yes is right.
# Return one number for each logit, in that shape.
# It has to be right at logits of 200 and $-200$ as well, and so has its gradient, also if `gamma` is below 1.
# There $1 - p_t$ may be 0, and a power of 0 has an infinite slope: $a^{\gamma} = e^{\gamma \log a}$ helps,
# if $\log a$ is computed from the logit too.
#
# Once it is right, the trainings of this chapter and of chapter 16 hear *your* loss.
# If you leave it, the chapter goes on with the course's own.


# %% tags=["core"]
def focal_loss(logits, targets, alpha=0.25, gamma=1.5):
    """The focal loss of each logit, a tensor of their shape.

    By hand: a logit of 0 costs 0.0613 if yes is right, and three times that if no is.
    A logit of 200 costs 150 if no is right, and 0 if yes is.
    """
    # your code, in place of the dots
    ...


build("detection_loss.focal_loss", focal_loss)
# hint("detection_loss.focal_loss")
# solution("detection_loss.focal_loss")

# %% tags=["core"]
show(detection_loss.focal_loss, folded=True)

# %% tags=["core", "slide", "nbval-check-output"]
one = detection_loss.focal_loss(torch.tensor([0.0]), torch.tensor([True]))
assert abs(one.item() - 0.25 * 0.5**1.5 * math.log(2)) < 1e-7  # by hand
sure_no, half = torch.tensor([-math.log(99)]), torch.tensor([0.0])
rows = []
ask = [(122_350, sure_no, half > 0), (50, half, half == 0)]
for name, times, *constants in (("cross entropy", 2, 0.5, 0), ("focal loss", 1, 0.25, 1.5)):
    each = [n * detection_loss.focal_loss(z, yes, *constants) for n, z, yes in ask]
    rows.append((name, *(f"{times * cost.item():.2f}" for cost in each)))
table(("loss", "background", "digits"), rows)

# %% tags=["core", "slide"]
p = torch.linspace(0.02, 0.999, 60)
z = torch.log(p / (1 - p))
ask, curves = torch.ones(60, dtype=torch.bool), {}
for gamma in (0, 0.5, 1.5, 5):
    curves[f"gamma {gamma}"] = 4 * detection_loss.focal_loss(z, ask, gamma=gamma)
at = {name: c[48].item() for name, c in curves.items()}
says = f"At p = {p[48]:.2f} an answer costs {at['gamma 0']:.2f} with gamma 0 and "
says += f"{at['gamma 1.5']:.3f} with 1.5."
labels = {"x_label": "probability of the right answer", "y_label": "loss, without alpha"}
plots.lines(p, curves, says=says, **labels)

# %% [markdown] tags=["core"]
# A network does not feel a loss, it feels its *slope*: by how much the loss falls if the logit moves.
# For cross entropy the slope is $1 - p_t$: an undecided answer pulls with 0.5, one of 0.99 with 0.01.
# What does the factor make of that?

# %% tags=["core", "slide"]
slopes = {}
for gamma in (0, 0.5, 1.5, 5):
    z = torch.log(p / (1 - p)).requires_grad_()
    (4 * detection_loss.focal_loss(z, ask, gamma=gamma)).sum().backward()
    slopes[f"gamma {gamma}"] = -z.grad
assert torch.allclose(slopes["gamma 0"], 1 - p, atol=1e-5)  # as said above
heard = {name: (slope[29] / slope[58]).item() for name, slope in slopes.items()}
says = f"An answer of {p[29]:.2f} pulls {heard['gamma 0']:.0f} times as hard as one of "
says += f"{p[58]:.2f} with gamma 0, and {heard['gamma 1.5']:,.0f} times with 1.5."
labels = {"x_label": "probability of the right answer", "y_label": "slope, without alpha"}
plots.lines(p, slopes, says=says, **labels)

# %% [markdown] tags=["core"]
# With $\gamma = 1.5$ nothing is left of the pull at the right end, and what is quite wrong pulls even harder than
# before.
# With $\gamma = 5$ whoever is half right is no longer heard either.
#
# **Why has the rare class the smaller alpha?**
# $\alpha = 0.25$ is the weight of a *yes*, and yes is the rare answer: should it not count more?
# Without $\gamma$ it should: the authors of focal loss found $\alpha = 0.75$ best there.
# But the factor has silenced the background already, so thoroughly that the few objects would now drown *it*,
# and with it the false alarms.
# So the larger $\gamma$ is, the smaller the best $\alpha$: their search went from 0.75 at $\gamma = 0$ to 0.5 at
# 0.5, and to 0.25 from 1 on.
# The two are one choice.
# In numbers, for the answers of above:

# %% tags=["core", "slide", "nbval-check-output"]
rows = []
for gamma in (0, 0.5, 1.5):
    shares = []
    for alpha in (0.25, 0.5, 0.75):
        no = 122_350 * detection_loss.focal_loss(sure_no, half > 0, alpha, gamma)
        digit = 50 * detection_loss.focal_loss(half, half == 0, alpha, gamma)
        shares.append(f"{(digit / (digit + no)).item():.0%}")
    rows.append((gamma, *shares))
table(("digits' share of the loss: gamma", "alpha 0.25", "0.5", "0.75"), rows)

# %% [markdown] tags=["core"]
# How much of the loss belongs to the digits depends on how sure the background is by now.
# Move $\gamma$.

# %% tags=["core", "slide"]
sureness = [0.5, 0.7, 0.9, 0.97, 0.99, 0.997, 0.999]


def share_figure(gamma):
    z = torch.tensor([math.log((1 - s) / s) for s in sureness])
    no = 122_350 * detection_loss.focal_loss(z, z > 99, gamma=gamma)
    digit = 50 * detection_loss.focal_loss(torch.zeros(7), z < 99, gamma=gamma)
    share = 100 * digit / (digit + no)
    says = f"gamma {gamma}: where a wrong yes has 0.01 left, the digits have "
    says += f"{share[4]:.0f}% of the loss; where it has 0.1, {share[2]:.1f}%."
    labels = {"x_label": "probability of a wrong yes", "y_label": "share of the loss, %"}
    x = [1 - s for s in sureness]
    return plots.lines(x, {"digits": share}, log_x=True, says=says, **labels)


widgets.slider(share_figure, name="gamma", values=[0, 0.5, 1, 1.5, 2, 3, 5], start=3)

# %% [markdown] tags=["core"]
# Two things to see.
# Large $\gamma$ gives the digits nearly everything: then the network hears hardly anything of the false alarms that
# remain.
# And where the background is *not* sure, at 0.5, no $\gamma$ helps.
# That is where every training begins.
# Unless...

# %% [markdown] tags=["core", "slide"]
# ## With which answer should the head begin?
#
# A fresh network says $z = 0$, a half, to everything.
# [Chapter 13](13_efficientdet.ipynb) put a prior into the last bias, so that every class looks 1 % likely: $p = 0.01$,
# so $z = \log (0.01 / 0.99) = -4.6$.
#
# $$ b = -\log \frac{1 - \pi}{\pi}, \qquad \pi = 0.01 \tag{14.3} $$
#
# Now there is a loss, and we can count what that is worth.

# %% tags=["core"]
show(detection_loss.prior_bias)

# %% tags=["core", "slide"]
prior = detection_loss.prior_bias()
assert abs(prior - math.log(0.01 / 0.99)) < 1e-12
print(f"{prior:.4f}")
rows = []
for name, bias in {"a half": 0.0, "1 %": prior}.items():
    z = torch.full((122_400,), bias, requires_grad=True)
    loss = detection_loss.focal_loss(z, torch.zeros(122_400, dtype=torch.bool)).sum()
    loss.backward()
    rows.append((name, f"{loss.item():.1f}", f"{z.grad.sum().item():.1f}"))
table(("every answer", "loss of the background", "its slope for a shared bias"), rows)

# %% [markdown] tags=["core"]
# The loss is more than 20,000 times smaller, its slope more than 10,000 times.
# Without the prior the first steps of a training have one message only, *say no*, and they shout it.
# We will hear them at the end of the chapter.

# %% [markdown] tags=["core", "slide"]
# ## What does a wrong box cost?
#
# The code of a box is wrong by 0.05.
# Half its square: $0.5 \cdot 0.05^2 = 0.00125$.
# Another is wrong by 0.5.
# Half its square would be 0.125, a hundred times as much.
# But beyond $\delta = 0.1$ the [**Huber loss**](GLOSSARY.md#huber-loss) goes on in a straight line:
# $0.5 \cdot 0.1^2 + 0.1 \cdot 0.4 = 0.045$.
#
# $$ H(e) = \tfrac12 q^2 + \delta\, (|e| - q), \qquad q = \min(|e|, \delta) \tag{14.4} $$
#
# ### 14.2 · Build · huber_loss · 8 min · ●○○ · 2 points
#
# This one is optional, and short.
# Write `huber_loss(error, delta=0.1)` by Eq. 14.4: one number for each entry of the tensor `error`, in its shape.
# A training asks for its gradient too.


# %% tags=["core"]
def huber_loss(error, delta=0.1):
    """The Huber loss of each error, a tensor of their shape.

    By hand: 0.05 costs 0.00125, and 0.5 and -0.5 cost 0.045.
    """
    # your code, in place of the dots
    ...


build("detection_loss.huber_loss", huber_loss)
# hint("detection_loss.huber_loss")
# solution("detection_loss.huber_loss")

# %% tags=["core"]
show(detection_loss.huber_loss, folded=True)

# %% tags=["core", "slide", "nbval-check-output"]
huber = detection_loss.huber_loss(torch.tensor([0.05, 0.1, 0.5, -0.5]))
assert torch.allclose(huber, torch.tensor([0.00125, 0.005, 0.045, 0.045]))  # by hand
huber

# %% tags=["core", "slide"]
e = torch.linspace(-0.5, 0.5, 61)
curves = {
    "Huber": detection_loss.huber_loss(e),
    "half the square": e**2 / 2,
    "delta times the size": 0.1 * e.abs(),
}
says = f"At an error of 0.5: Huber {curves['Huber'][-1]:.3f}, half the square "
says += f"{curves['half the square'][-1]:.3f}."
plots.lines(e, curves, x_label="error of a code", y_label="loss", says=says)

# %% [markdown] tags=["core"]
# **Break it.**
# Nine annotators say that the code is 0.1.
# The tenth drew a box around something else, and says 5.
# Which code has the least loss, with squares, and with Huber?

# %% tags=["core", "slide", "nbval-check-output"]
said = torch.tensor([0.1] * 9 + [5.0])
tried = torch.linspace(0, 1, 1001)
errors = tried[:, None] - said
print("squares:", round(tried[(errors**2).sum(1).argmin()].item(), 3))
print("Huber:  ", round(tried[detection_loss.huber_loss(errors).sum(1).argmin()].item(), 3))

# %% [markdown] tags=["core"]
# The squares give the mean, 0.59, which is good for nobody.
# Huber moves by a hundredth.
# Near zero it is round, so that a box that is nearly right is not shaken; far away its slope is $\delta$,
# however wrong the box is.
#
# Later detectors judge the box as a whole, by its overlap, in place of four codes one by one: $1 - \mathrm{GIoU}$
# (exercise 12.4) and its successors stand where Huber stood, and exercise 14.7 tries it.

# %% [markdown] tags=["core", "slide"]
# ## By what is it divided?
#
# Two pictures.
# In the first 63 anchors have an object, in the second none.
# Sum the losses of all anchors: a picture with five digits has a larger sum than one with a single digit,
# and a batch of 16 a larger one than a batch of 8.
# The learning rate would have to follow.
# So divide, but by what?
# Not by the number of anchors: nearly all of them cost nothing.
# By the positives, of the *whole batch*, plus one:
#
# $$ N = 1 + \sum_{\text{pictures}} \#\{a : a \text{ positive}\} \tag{14.5} $$
#
# By hand: $63 + 0 + 1 = 64$.
# The plus one is for the batch without any object.
# The box loss is also a mean over the four codes, and only positive anchors have one.
# In the end:
#
# $$ L = \frac1N \sum_{a, k} \mathrm{FL}_{ak} \;+\;
#    50 \cdot \frac{1}{4N} \sum_{a, i\,:\,t_{ai} \ne 0} H(o_{ai} - t_{ai}) \tag{14.6} $$
#
# with the network's codes $o$ and the targets $t$ of chapter 12.

# %% tags=["core"]
show(detection_loss.loss_of_assigned)

# %% [markdown] tags=["core"]
# Two decisions hide in it.
# **Float32, whatever comes in**: you will see why.
# And `target != 0`: the reference leaves out a code that should be exactly 0, even on a positive anchor.
# An anchor that stands exactly over its object never hears that its code should stay 0.
# Is that rare?
# Our boxes and anchors lie on whole pixels, so it is not: of the codes of chapter 12's 200 scenes 3 in 100 are exactly
# 0, and of the $t_x$ alone 7.
# We keep it all the same: our numbers should be those of the reference.
# In photographs, resized to any scale, it hardly happens.
#
# An empty picture, all logits 0, three classes, the paper's 3,069 anchors at 128x128.
# By hand: $3069 \cdot 3 \cdot 0.75 \cdot 0.5^{1.5} \cdot \log 2 = 1692$, divided by $0 + 1$.

# %% tags=["core", "slide", "nbval-check-output"]
paper = anchors.anchors((128, 128))
nothing = anchors.assign(paper, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
flat = torch.zeros(1, len(paper), 3), torch.zeros(1, len(paper), 4)
loss = detection_loss.loss_of_assigned(*flat, nothing.labels[None], nothing.codes[None])
assert abs(loss.total.item() - 3069 * 3 * 0.75 * 0.5**1.5 * math.log(2)) < 1e-3
print(f"{loss.total.item():.1f}, finite, and no box loss: {loss.boxes.item()}")

# %% [markdown] tags=["core"]
# From a detector's outputs, a list of maps, and a batch of `data.collate`, `detection_loss` does the whole way.
# It refuses anchors that do not fit, and a label that has no class.

# %% tags=["core"]
show(detection_loss.detection_loss)

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
config = anchors.AnchorConfig(scale=3, levels=(2, 5))
grid = anchors.anchors((128, 128), config)
scenes = data.scenes("train", 320)
prior = detection_loss.prior_bias()


def fresh(pictures, bias=prior):
    sides = (32, 16, 8, 4)
    classes = [torch.full((pictures, 90, s, s), bias) for s in sides]
    return classes, [torch.zeros(pictures, 36, s, s) for s in sides]


# %% [markdown] tags=["core"]
# **Break it.**
# Take the sum instead.
# Here is a fresh head on scenes with one to five digits, and on batches of two sizes.

# %% tags=["core", "slide"]
rows = []
for name, chosen in {
    "one digit": [next(s for s in scenes if len(s.boxes) == 1)],
    "five digits": [next(s for s in scenes if len(s.boxes) == 5)],
    "8 scenes": [scenes[i] for i in range(8)],
    "32 scenes": [scenes[i] for i in range(32)],
}.items():
    loss = detection_loss.detection_loss(*fresh(len(chosen)), data.collate(chosen), grid)
    n = int(loss.positives) + 1
    rows.append((name, n, f"{loss.total * n:.0f}", f"{loss.total:.2f}"))
table(("batch", "N", "sum", "sum / N"), rows)

# %% [markdown] tags=["core"]
# The sum grows with the batch and with the digits in it.
# Divided, a loss of 1.7 means the same everywhere.
# It is also what published learning rates expect.
#
# And half precision?
# Its largest number is 65,504.
# EfficientDet-D0 has 49,104 anchors and 90 classes; at logit 0 each question costs 0.18.

# %% tags=["core", "nbval-check-output"]
each = detection_loss.focal_loss(torch.zeros(1), torch.zeros(1, dtype=torch.bool))
total = 49_104 * 90 * each
print(f"{total.item():,.0f} in float32, {total.half().item()} in float16")

# %% [markdown] tags=["core", "slide"]
# ## Does the least loss lie where it should?
#
# Before a network is blamed, test the loss alone.
# Let the outputs be free: every logit and every code of one scene is a number that may go where it likes.
# No picture, no convolution.
# If loss and anchors are right, descending the loss must draw the right boxes.

# %% tags=["core"]
scene = data.scenes("validation", 200)[22]
wanted = anchors.assign(grid, scene.boxes, scene.labels)
logits = torch.full((1, len(grid), 10), prior, requires_grad=True)
codes = torch.zeros(1, len(grid), 4, requires_grad=True)
adam = torch.optim.Adam([logits, codes], lr=0.1)
stages, path = {}, []
for step in range(101):
    targets = wanted.labels[None], wanted.codes[None]
    loss = detection_loss.loss_of_assigned(logits, codes, *targets)
    path.append(loss)
    if step in (1, 4, 8, 100):
        score, label = logits[0].detach().sigmoid().max(1)
        best = score.topk(80).indices  # as many as learn an object
        boxes = anchors.decode(codes.detach()[0], grid)
        stages[f"step {step}"] = boxes[best], label[best]
    adam.zero_grad()
    loss.total.backward()
    adam.step()

# %% tags=["core", "slide"]
drawn = {name: boxes for name, (boxes, _) in stages.items()}
fits = [anchors.box_iou(boxes, scene.boxes).max(1) for boxes in drawn.values()]
least = ", ".join(f"{iou.min():.2f}" for iou, _ in fits)
right = (stages["step 100"][1] == scene.labels[fits[-1][1]]).all()
assert right and fits[-1][0].min() > 0.95  # right class, right place
says = f"The 80 best scores; the worst of their boxes has an IoU of {least} with its digit."
plots.boxes(dict.fromkeys(drawn, scene.image), drawn, says=says)

# %% [markdown] tags=["core"]
# The anchors walk to the digits and stop there, every one of them, and the classes are right.
# 80 anchors for five digits: about 16 say the same box.
# To keep one of each is the work of chapter 15.

# %% tags=["core", "slide"]
kinds, places = ([getattr(p, part).item() for p in path] for part in ("classes", "boxes"))
parts = {"classes": kinds, "50 x boxes": [50 * p for p in places]}
says = f"Classes from {kinds[0]:.2f} to {kinds[-1]:.3f}, 50 x boxes from "
says += f"{50 * places[0]:.2f} to {50 * places[-1]:.1g}."
labels = {"x_label": "step", "y_label": "part of the loss", "log_y": True}
plots.lines(range(101), parts, says=says, **labels)

# %% [markdown] tags=["core"]
# With the factor 50 the two parts begin within a factor of two.
# Without it the boxes would be a hundredth of the whole, and hardly count.

# %% [markdown] tags=["core", "slide"]
# ## What do the mistakes look like in a training?
#
# Now a real network, a very small one: four convolutions, one level of stride 8.
# It will not find many digits in 60 steps; chapter 16 trains the real one.
# We only want to see the first steps, three times: as it should be, without the prior,
# and with the sum in place of $L$.

# %% tags=["core"]
QUICK = True  # False: three times as long
steps = 60 if QUICK else 180
coarse = anchors.anchors((128, 128), anchors.AnchorConfig(scale=2, levels=(3, 3)))


def halve(a, b):
    return nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU()


def tiny(bias):
    torch.manual_seed(0)
    body = [*halve(3, 16), *halve(16, 32), *halve(32, 64)]
    head = nn.Conv2d(64, 126, 3, padding=1)  # 9 anchors, 10 logits and 4 codes each
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias).data[:90] = bias
    return nn.Sequential(*body, head)


# %% tags=["core"]
def first_steps(bias, divided=True):
    def loss_fn(model, batch):
        out = model(training.normalise(batch.images))
        loss = detection_loss.detection_loss([out[:, :90]], [out[:, 90:]], batch, coarse)
        factor = 1 if divided else loss.positives + 1
        return factor * loss.total, {"total": loss.total.detach()}

    fit = dict(steps=steps, batch_size=16, lr=0.02, collate=data.collate, progress=False)
    return training.fit(tiny(bias), scenes, loss_fn, **fit).logs["total"]


# %% tags=["core", "slide"]
begin = time.process_time()
runs = {"as it should be": first_steps(prior), "no prior": first_steps(0.0)}
runs["sum"] = first_steps(prior, divided=False)
spent = time.process_time() - begin
worst = {name: f"{max(run):.3g}" for name, run in runs.items()}
says = f"Largest loss: {worst['as it should be']} as it should be, "
says += f"{worst['no prior']} without the prior, {worst['sum']} with the sum. "
says += f"{spent:.0f} CPU-seconds."
labels = {"x_label": "step", "y_label": "loss, divided by N", "log_y": True}
plots.lines(range(1, steps + 1), runs, says=says, **labels)

# %% [markdown] tags=["core"]
# All three losses are drawn divided, so that they can be compared.
# Without the prior the loss begins more than a hundred times too high.
# This network is small and comes back from it; the authors of focal loss report that a deep one did not.
# With the sum, every step is some hundred times too long: already the second leaps.
# Where it comes to rest is luck.
# Try another seed in `tiny`: with some it settles, with others `fit` stops with a `NonFiniteLoss`, chapter 02's guard.
#
# If your own training looks like one of the upper curves, you know now where to look first.
# If you built `focal_loss` or `huber_loss`, it was yours that these three networks heard.

# %% tags=["core"]
yours()

# %% [markdown] tags=["deep"]
# **What does the loss cost?**
# It is computed at every step, so it had better be cheap beside the network.

# %% tags=["deep"]
batch = data.collate([scenes[i] for i in range(16)])
outputs = [[m.requires_grad_() for m in maps] for maps in fresh(16)]
begin = time.process_time()
for _ in range(5):
    detection_loss.detection_loss(*outputs, batch, grid).total.backward()
spent = 200 * (time.process_time() - begin)
print(f"{spent:.0f} ms for 16 scenes, assignment and gradient included")

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **NaN after some steps.** google/automl#137, #213, #921, rwightman/efficientdet-pytorch#113, #269.
#   The usual list: a learning rate for another batch size, no clipping, boxes without area, a loss in half precision.
# - **Never better than noise.** zylo117/Yet-Another-EfficientDet-Pytorch#217, 220 runs:
#   scores of the paper are not reproduced, mostly for wiring and recipe.
#   Test the loss alone first, as above.
# - **Pictures without objects.** rwightman/efficientdet-pytorch#71, google/automl#695.
#   The plus one of Eq. 14.5 is for them; the tests have a batch of nothing else.
# - **Class ids.** google/automl#76, #391, #492, rwightman/efficientdet-pytorch#107: ids that begin at 1,
#   a background that is no class, a last class that is lost.
#   `detection_loss` refuses a label that has no logit, by number.
# - **90 or 80.** google/automl#83, rwightman/efficientdet-pytorch#9: COCO's ids go to 90 with gaps,
#   so the published heads have 90 classes, ten of which never occur.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - Each anchor answers one yes-or-no question for each class.
#   Background is no to all.
# - Easy answers are cheap, but there are a thousand times as many.
#   Focal loss quietens them: 0.99 costs a thousandth with $\gamma = 1.5$.
#   With $\alpha = 0.25$ the rare answer weighs less, because $\gamma$ has raised it so far.
# - At the start nothing is easy.
#   So the head begins at 1 %, with a bias of -4.6.
# - Huber loss is round near zero and straight far away.
#   One bad box does not shout.
# - Everything is divided by the positives of the batch plus one, and boxes count 50 times.
# - Float32, from the logits on.
# - A loss can be tested without a network: free its inputs and descend.

# %% [markdown] tags=["core"]
# ## Exercises
#
# ### 14.3 · Predict · shrunk · 5 min · ●○○ · 1 point
#
# An anchor gives the right answer with $p = 0.99$.
# How many times smaller does $\gamma = 1.5$ make its loss, compared with $\gamma = 0$?
#
# <details><summary>Answer</summary>
#
# $(1 - 0.99)^{1.5} = 0.1^3$, so a thousand times.
#
# </details>

# %% tags=["core"]
answer = ...  # your number

check("detection_loss.shrunk", answer)
# hint("detection_loss.shrunk")
# solution("detection_loss.shrunk")

# %% [markdown] tags=["core"]
# ### 14.4 · Measure · positives_share · 15 min · ●●○ · 2 points
#
# A fresh head with the prior bias, eight scenes, `data.scenes("validation", 8)`,
# and the anchors `grid` of this chapter:
# `anchors.anchors((128, 128), anchors.AnchorConfig(scale=3, levels=(2, 5)))`.
# All 10 questions of all anchors have the same logit.
# Some answers should be yes: the object's class, at each positive anchor.
# Which share of the class loss do these bring, between 0 and 1?
# Give two decimals.
# Then try $\gamma = 0$.

# %% tags=["core"]
answer = ...  # your number

check("detection_loss.positives_share", answer)
# hint("detection_loss.positives_share")
# solution("detection_loss.positives_share")

# %% [markdown] tags=["core"]
# ### 14.5 · Build · hard_examples · 15 min · ●●○ · 3 points
#
# Before focal loss there was *hard example mining*, as in [SSD](https://arxiv.org/abs/1512.02325):
# keep every positive anchor, and of the negatives only the worst, `ratio` times as many.
# Write `hard_examples(losses, positive, ratio)`: `losses` (A,), `positive` (A,) true or false.
# Return the sum of the losses that are kept, a tensor with one number; gradients have to pass.
# Without any positive, keep `ratio` negatives; where there are fewer, all of them.
# By hand: losses 0.1, 0.9, 0.5, 0.2, the first positive, ratio 2: $0.1 + 0.9 + 0.5 = 1.5$.


# %% tags=["core"]
def hard_examples(losses, positive, ratio):
    ...  # your code


check("detection_loss.hard_examples", hard_examples)
# hint("detection_loss.hard_examples")
# solution("detection_loss.hard_examples")

# %% [markdown] tags=["core"]
# ### 14.6 · Build · quality_focal · 20 min · ●●● · 4 points
#
# A score of 0.9 should mean a *good box*, not only a sure class.
# [Quality focal loss](https://arxiv.org/abs/2006.04388) asks for that:
# the target of the right class is no longer 1 but the IoU $q$ of the box,
# and the factor is how far the answer is from it: $|q - p|^{\beta}$ times the cross entropy with the soft target $q$.
# Write `quality_focal(logits, quality, beta)`: `logits` and `quality` are tensors of one shape, and so is the result.
# It has to be right at logits of 200 and $-200$ as well, and so has its gradient.
# By hand: $z = 0$, $q = 1$, $\beta = 2$: $0.25 \log 2$.


# %% tags=["core"]
def quality_focal(logits, quality, beta):
    ...  # your code


check("detection_loss.quality_focal", quality_focal)
# hint("detection_loss.quality_focal")
# solution("detection_loss.quality_focal")

# %% [markdown] tags=["optional"]
# ### 14.7 · Further · 120 min · ●●● · 0 points
#
# Codes are judged one by one; boxes are judged by IoU.
# Replace Huber by $1 - \mathrm{GIoU}$ of the decoded boxes (exercise 12.7),
# or by its successor [CIoU](https://arxiv.org/abs/1911.08287).
# What becomes of the factor 50?
# Use the free numbers of this chapter first, then the training of chapter 16.

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("detection_loss")
# yours()            whose functions are at work now
# restore()          the course's own again
# submit()           your answers in one small file

# %% [markdown] tags=["core"]
# ## Where next
#
# A trained detector says the same box sixteen times.
# Chapter 15 makes one detection of them.

# %% [markdown] tags=["core"]
# ## References
#
# - Lin, Goyal, Girshick, He, Dollár, [Focal Loss for Dense Object Detection](https://arxiv.org/abs/1708.02002), 2017.
#   Focal loss and the prior.
# - Tan, Pang, Le, [EfficientDet](https://arxiv.org/abs/1911.09070), 2019.
#   Its constants.
# - Girshick, [Fast R-CNN](https://arxiv.org/abs/1504.08083), 2015.
#   A smooth loss for boxes.
# - Liu and others, [SSD](https://arxiv.org/abs/1512.02325), 2015.
#   Hard negatives, three to one.
# - Li and others, [Generalized Focal Loss](https://arxiv.org/abs/2006.04388), 2020.
#   Quality focal loss.
# - Zheng and others, [Distance-IoU Loss](https://arxiv.org/abs/1911.08287), 2019.
#   CIoU.
