# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 08 · Controller
#
# **Question. Can one network learn to design another, and is it worth it?**
#
# After this chapter you can
#
# 1. give a chain of choices its probability, and work out a policy gradient by hand (exercises 08.1 and 08.4)
# 2. choose a baseline, and say what it may not depend on (exercises 08.5 and 08.6)
# 3. write REINFORCE with a baseline, and run a search on it (exercise 08.2)
# 4. write the clipped loss of PPO, and say which samples it leaves alone (exercises 08.3 and 08.7)
# 5. compare a controller with random search in a way that is fair to both (quiz, exercise 08.8)
#
# | study | about 95 min (estimate) |
# |---|---|
# | run | <!-- run -->0.6 min (36 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->648 MB (measured)<!-- /peak --> |
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
import itertools
import json
import math
import random
import statistics
import time

import torch
from torch.nn import utils

from lib.basics import data
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
from lib.nas import controller, search, search_space, tabular

device = setup("08_controller", seed=0)

# %% [markdown] tags=["core"]
# Chapter 07 searched by drawing, keeping and changing.
# None of its methods had an idea of what makes a cell good.
# NASNet's search has one: a second network, the **controller**, that writes cells and is told how well they did.
#
# There is a difficulty.
# A cell is a row of choices, and you cannot take the derivative of an accuracy with respect to a choice.
# This chapter shows what can be done all the same.
# Then it asks what every search must answer: is it worth what it costs?
#
# Three pieces of it you write yourself, where the idea stands: exercises 08.1 to 08.3.
# `build` checks such an answer as `check` does.
# Once it is right, the library itself calls *your* function, here and in the search at the end of the chapter.
# What you leave, the course does with its own.
#
# Half an hour only?
# Read "Which way is uphill?" and the part after it, move the sliders, and write 08.2, the most important one.

# %% [markdown] tags=["core", "slide"]
# ## What is the probability of a cell?
#
# Two choices make a small cell.
# First the input: state 0 with probability 3/4.
# Then, *knowing the input was state 0*, the operation: a pool with probability 1/2.
# What is the probability of "state 0, pool"?
#
# $3/4 \cdot 1/2 = 3/8$.
# Each choice is made knowing those before it, and the probabilities multiply.
# Logarithms turn the product into a sum.
# With $a = (a_1, \dots, a_T)$ the tokens of a cell and $\theta$ the weights of the controller:
#
# $$ \log \pi_\theta(a) = \sum_{t=1}^{T} \log \pi_\theta(a_t \mid a_1, \dots, a_{t-1}) \tag{8.1} $$
#
# $\pi_\theta$ is called the [**policy**](GLOSSARY.md#policy).
# Each factor is a softmax over the options of one decision.

# %% [markdown] tags=["core"]
# ### 08.1 · Build · sequence_log_prob · 10 min · ●●○ · 3 points
#
# The controller calls this for every cell that it draws or learns from.
# Write `sequence_log_prob(log_probs, chosen)`, the sum of Eq. 8.1, for $B$ cells at once.
# `log_probs` is a list with one tensor for each decision: row $i$ holds the log-softmax for cell $i$, shape `(B, K)`.
# `K`, the number of options, differs from one decision to the next.
# `chosen` is a list too: for each decision the token of each cell, shape `(B,)`.
# Return one number for each cell, shape `(B,)`.
# Gradients must flow through it.

# %% tags=["core"]
def sequence_log_prob(log_probs, chosen):
    """Log-probability of each row of choices, (B,).

    By hand: chosen with probability 3/4, then with 1/2: the log of 3/8.
    """
    # your code, in place of the dots
    ...


build("controller.sequence_log_prob", sequence_log_prob)
# hint("controller.sequence_log_prob")
# solution("controller.sequence_log_prob")

# %% tags=["core"]
show(controller.sequence_log_prob, folded=True)

# %% [markdown] tags=["core"]
# What knows "those before it" is an **LSTM** with 100 units, a network for sequences.
# At each step it reads the last choice and its own *state*, numbers that carry what came before, and gives a new state.
# In `_walk`, at the end, look for the call of the function above.

# %% tags=["core"]
show(controller.Controller)

# %% [markdown] tags=["core"]
# We need a space so small that nothing about it stays hidden.
# Two blocks, two operations: eight decisions that are open, and two combinations with a single option.
# How many token sequences?
# Inputs of 2, 2, 3 and 3 options, four operations of 2: multiply.

# %% tags=["core", "slide", "nbval-check-output"]
TOY = search_space.Space(2, ("max3", "sep3"), cells=("normal",))
policy = controller.Controller(TOY, seed=0)
every = controller.all_tokens(TOY)
assert len(every) == 2 * 2 * 3 * 3 * 2**4  # by hand, above
log_p, entropy = policy(every)
print(
    len(every),
    "sequences; their probabilities sum to",
    round(log_p.exp().sum().item(), 4),
)

# %% [markdown] tags=["core"]
# Here is the controller at work on the first block of one cell: the same LSTM four times, once for each decision.
# What it has chosen is what it reads next (the dashed arrows).

# %% tags=["core", "slide"]
chance, steps, alive = log_p.exp().detach(), [], torch.ones(len(every), dtype=torch.bool)
for t, decision in enumerate(search_space.decisions(TOY)[:4]):
    agree = [alive & (every[:, t] == k) for k in range(len(decision.options))]
    odds = [(chance[a].sum() / chance[alive].sum()).item() for a in agree]
    steps.append((decision.what, decision.options, odds, every[200, t].item()))
    alive = agree[every[200, t]]  # the sequences that begin with the choices so far
plots.unrolled(steps, total=8)

# %% [markdown] tags=["core"]
# The weights start between -0.1 and 0.1, as in the paper.
# What does such a controller prefer, before anyone has told it anything?

# %% tags=["core", "slide"]
share = 576 * log_p.exp().detach()
says = f"Every sequence is within a factor {share.max():.2f} of an even 1/576."
plots.histogram(share, bins=24, x_label="probability times 576", says=says)

# %% [markdown] tags=["core"]
# Hardly anything.
# That is what small weights are for.
#
# **Break it.**
# Make all weights twenty times as large.
# Nothing has been learned, and yet:

# %% tags=["core"]
rash = controller.Controller(TOY, seed=0)
for weight in rash.parameters():
    weight.data.mul_(20)
top = rash(every)[0].exp().sort(descending=True).values.detach()
print(f"the 10 likeliest of 576 sequences now share {top[:10].sum():.0%}")

# %% [markdown] tags=["core"]
# This controller strongly prefers a few cells, and it has no reason to.
# It would first have to unlearn them, from samples that mostly show the same few cells.

# %% [markdown] tags=["core", "slide"]
# ## Which way is uphill?
#
# One decision, two choices, A and B. A leads to accuracy 0.8, B to 0.6.
# The policy is even.
# Its expected reward is 0.7.
# It has two logits, $\theta_A = \theta_B = 0$.
# Which change of $\theta_A$ helps, and by how much?
#
# The softmax answers: $\partial p_A / \partial \theta_A = p_A (1 - p_A) = 1/4$, and $p_B$ loses what $p_A$ gains.
# So the expected reward rises at the rate $1/4 \cdot 0.8 - 1/4 \cdot 0.6 = 0.05$.
# In general, with $R(a)$ the reward of a sequence and $J$ the expected reward:
#
# $$ J(\theta) = \sum_a \pi_\theta(a)\, R(a), \qquad \nabla J = \sum_a \pi_\theta(a)\, R(a)\, \nabla \log \pi_\theta(a)
#    \tag{8.2} $$
#
# The second form uses $\nabla \pi = \pi\, \nabla \log \pi$.
# The reward itself is never differentiated.
# So the difficulty is gone.
# This is known as the *log-derivative trick*, or the score function estimator.

# %% tags=["core", "slide", "nbval-check-output"]
theta = torch.zeros(2, requires_grad=True)
expected = (theta.softmax(dim=0) * torch.tensor([0.8, 0.6])).sum()
expected.backward()
assert torch.allclose(theta.grad, torch.tensor([0.05, -0.05]))  # by hand, above
theta.grad

# %% tags=["core"]
show(controller.expected_reward)

# %% [markdown] tags=["core"]
# For the toy space we make rewards up: a random weight for each option of each decision, added,
# and scaled to look like accuracies.
# Mean 0.75, standard deviation 0.05.
# A real reward is not a sum like this; it will do to learn from.
#
# (The cell begins with `yours(load=True)`: on another day it takes back what you have built.)

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
yours(load=True)
TOY = search_space.Space(2, ("max3", "sep3"), cells=("normal",))
policy, every = controller.Controller(TOY, seed=0), controller.all_tokens(TOY)
index = {tuple(row): i for i, row in enumerate(every.tolist())}
weights = torch.randn(10, 3, generator=torch.Generator().manual_seed(8))
total = weights.gather(1, every.T).sum(dim=0)
rewards = 0.75 + 0.05 * (total - total.mean()) / total.std()
print(f"rewards from {rewards.min():.3f} to {rewards.max():.3f}")

# %% [markdown] tags=["core"]
# All 576 terms of Eq. 8.2, and no sampling.
# The LSTM has some 85,000 weights, so the gradient is an arrow in 85,000 dimensions.
# Walk along it, and, for comparison, along an arrow of the same length in a random direction.

# %% tags=["core", "slide"]
gradient = controller.exact_gradient(policy, every, rewards)
uphill = gradient / gradient.norm()
blind = torch.randn(len(uphill), generator=torch.Generator().manual_seed(1))
start = utils.parameters_to_vector(policy.parameters()).detach()
steps = [0.25 * k for k in range(9)]
curves = {"uphill": [], "random direction": []}
for way, curve in zip((uphill, blind / blind.norm()), curves.values(), strict=True):
    for step in steps:
        utils.vector_to_parameters(start + step * way, policy.parameters())
        curve.append(controller.expected_reward(policy, every, rewards).item())
utils.vector_to_parameters(start, policy.parameters())
plots.lines(steps, curves, x_label="length of the step", y_label="expected reward")

# %% [markdown] tags=["core"]
# In 85,000 dimensions a step in a random direction changes next to nothing.
# If we could list all cells we would need nothing else in this chapter.
# But then we would not need a search either: we would read off the best one.

# %% [markdown] tags=["core", "slide"]
# ## What if you cannot list them all?
#
# Then draw.
# Eq. 8.2 is a mean under the policy, and means can be estimated from samples.
# Back to A and B, even odds, and one sample.
# What does it say about $\theta_A$?
#
# The [**score**](GLOSSARY.md#score-of-a-sample) $\partial \log \pi / \partial \theta_A$ is $1 - p_A = 1/2$ if A was
# drawn, and $-p_A = -1/2$ if B was.
# Times the reward:
#
# | drawn | reward | score | estimate | with 0.7 subtracted |
# |---|---|---|---|---|
# | A | 0.8 | 1/2 | 0.40 | $0.1 \cdot 1/2 = 0.05$ |
# | B | 0.6 | -1/2 | -0.30 | $-0.1 \cdot -1/2 = 0.05$ |
#
# The mean of 0.40 and -0.30 is 0.05: correct.
# But no sample says so.
# One says "up, strongly", the other "down, strongly".
# Now subtract 0.7 from both rewards.
# **Each sample alone gives the exact answer.**
# In symbols, with a [**baseline**](GLOSSARY.md#baseline) $b$, the number that is subtracted, and $n$ samples
# $a_1, \dots, a_n$:
#
# $$ \hat g = \frac{1}{n} \sum_{i=1}^{n} \big(R(a_i) - b\big)\, \nabla \log \pi_\theta(a_i) \tag{8.3} $$
#
# $\hat g$ is the estimate of $\nabla J$.
# This is **REINFORCE** (Williams, 1992).
# Note who gets the credit: every choice in a cell is multiplied by the same $R - b$.
# Nobody knows which of them made the cell good; only over many cells does it show.
# (The literature calls this the problem of *credit assignment*.)
#
# The mean is the same for any $b$ that does not depend on the sample: $b$ multiplies $\sum_a \nabla \pi(a)$,
# the gradient of "all probabilities together".
# They are always 1 together, so this gradient is 0.
# An estimate whose mean is right is called **unbiased**.
#
# In the next cell `controller.moments` gives the mean and the variance of the estimate from one sample.
# It draws nothing: each choice counts with its probability.

# %% tags=["core", "slide", "nbval-check-output"]
odds, score = torch.tensor([0.5, 0.5]), torch.tensor([0.5, -0.5])
for b in (0.0, 0.7):
    mean, variance = controller.moments(odds, score, torch.tensor([0.8, 0.6]), b)
    assert abs(mean - 0.05) < 1e-6  # by hand, above
    print(f"baseline {b}: mean {mean:.2f}, standard deviation {variance**0.5:.2f}")

# %% [markdown] tags=["core"]
# Without the baseline the noise is 0.35, seven times the signal of 0.05.
# With 0.7 it is 0.
#
# `backward` needs one number to differentiate.
# So we look for an objective whose gradient is Eq. 8.3:
#
# $$ \frac{1}{n} \sum_{i=1}^{n} \big(R(a_i) - b\big)\, \log \pi_\theta(a_i) $$
#
# Its value means nothing, only its gradient does.

# %% [markdown] tags=["core"]
# ### 08.2 · Build · reinforce_objective · 12 min · ●●○ · 4 points
#
# This is what the controller climbs, and the search at the end of the chapter runs on it.
# Write `reinforce_objective(log_p, rewards, baseline)`: one number, the objective above, to be made **larger**.
# `log_p` holds $\log \pi_\theta(a_i)$ of each sample, `rewards` what it earned: both of shape `(B,)`.
# `baseline` is a number.
# Its gradient must flow back through `log_p`.
# By hand: log-probabilities -0.5 and -2.5, rewards 1 and 3, baseline 2.
# $(-1 \cdot -0.5 + 1 \cdot -2.5) / 2 = -1$.

# %% tags=["core"]
def reinforce_objective(log_p, rewards, baseline=0.0):
    """What REINFORCE climbs: a number whose gradient is Eq. 8.3.

    By hand: log_p -0.5 and -2.5, rewards 1 and 3, baseline 2 give -1.
    """
    # your code, in place of the dots
    ...


build("controller.reinforce_objective", reinforce_objective)
# hint("controller.reinforce_objective")
# solution("controller.reinforce_objective")

# %% tags=["core", "slide"]
show(controller.reinforce_objective, folded=True)

# %% [markdown] tags=["core"]
# Now with the real thing, the LSTM on 576 sequences.
# The gradient has 85,000 numbers; we look at one: its part along the exact gradient.
# If that is negative, the step goes downhill.
#
# For a single sample this number is $(R - b)$ times a score: how fast the log-probability of that cell grows
# along the exact gradient.
# `controller.scores` computes it for all 576 cells at once.
# Then 40,000 cells are drawn, and the figure takes as many of them as it needs: 400 estimates of 1 to 100 samples.
#
# Move the sliders.
# Batch first: which share of the steps goes downhill with 1 sample, and with 100?
# Then put the batch back to 1, and move the baseline.

# %% tags=["core", "slide", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
probability = policy(every)[0].exp().detach()
gradient = controller.exact_gradient(policy, every, rewards)
score = controller.scores(policy, every, gradient / gradient.norm())
luck = torch.Generator().manual_seed(0)
drawn = torch.multinomial(probability, 400 * 100, replacement=True, generator=luck)

# %% tags=["core", "slide"]
def estimates(batch, baseline, rewards=rewards, score=score, drawn=drawn):
    one = ((rewards - baseline) * score)[drawn[: 400 * batch]]
    steps = one.reshape(400, batch).mean(dim=1)
    says = f"Batch {batch}, baseline {baseline}: standard deviation {steps.std():.3f}"
    says += f", {(steps < 0).float().mean():.0%} of 400 steps go downhill."
    bins = [b / 10 for b in range(-20, 21)]
    x_label = f"estimate along the gradient (exact: {gradient.norm():.3f})"
    return plots.histogram(steps, bins=bins, x_label=x_label, says=says)


batches, levels = [1, 2, 5, 10, 20, 50, 100], [0.0, 0.25, 0.5, 0.7, 0.75, 0.8, 1.0]
widgets.sliders(estimates, batch=batches, baseline=levels)

# %% [markdown] tags=["core"]
# With a batch of one and no baseline nearly half of the steps go downhill.
# One hundred times the samples divide the spread by ten, and still about a quarter of the steps go down.
# A baseline near the mean reward does that too, and a little more, for one subtraction.
# A sample costs a training; a subtraction costs nothing.
#
# The picture is made of luck.
# The variance is not: over 576 sequences `controller.moments` can add it up.

# %% tags=["core", "slide"]
grid = [b / 40 for b in range(41)]
spread = [controller.moments(probability, score, rewards, b)[1] ** 0.5 for b in grid]
low = spread.index(min(spread))
says = f"Least at {grid[low]:.3f}: {spread[low]:.3f}, against {spread[0]:.3f} at 0."
labels = {"x_label": "baseline", "y_label": "standard deviation, batch of one"}
plots.lines(grid, {"exact": spread}, says=says, **labels)

# %% [markdown] tags=["core"]
# So which number should be subtracted?
# NASNet's takes a moving average of the rewards it has seen:
#
# $$ b \leftarrow 0.95\, b + 0.05\, R \tag{8.4} $$
#
# By hand: $b = 0.5$, then rewards 1 and 0.
# After the first $0.475 + 0.05 = 0.525$, after the second $0.49875$.
# It lags behind, but it is made of *earlier* samples.
# (The first batch has none.
# There the code uses its own mean; what that costs comes next.)
#
# **Break it.**
# Why not the mean of the batch itself?
# It is fresher.
# Take batches of two from A and B, and list all four of them.

# %% tags=["core", "slide", "nbval-check-output"]
R, half = {"A": 0.8, "B": 0.6}, {"A": 0.5, "B": -0.5}
estimates_of_two = []
for pair in ("AA", "AB", "BA", "BB"):
    own = (R[pair[0]] + R[pair[1]]) / 2
    estimates_of_two.append(sum((R[x] - own) * half[x] for x in pair) / 2)
mean = statistics.mean(estimates_of_two)
print([round(g, 3) for g in estimates_of_two], "mean", round(mean, 3))

# %% [markdown] tags=["core"]
# 0.025, half of the truth.
# Each sample is half of its own baseline, so half of it is subtracted from itself.
# With $n$ samples a share of $1/n$ is lost.
# The direction survives.
# Exercise 08.6 repairs the length.

# %% [markdown] tags=["core", "slide"]
# ## How often may one batch be used?
#
# Twenty trainings for one step is expensive.
# Why not take five steps on the same twenty?
# After the first step the samples are no longer the policy's own: some have become likelier, some rarer.
# The [**ratio**](GLOSSARY.md#ratio) $\rho = \pi_\theta(a) / \pi_{old}(a)$ says how much, and it corrects the mean:
# each sample counts $\rho$ times (**importance sampling**).
# But with a ratio of 10, one lucky sample counts more than all the others together.
#
# **PPO**, *proximal policy optimization* (Schulman and others, 2017), gives no more reward once a sample has moved
# far enough.
# With the **advantage** $A = R - b$ and $\epsilon = 0.2$ it climbs
#
# $$ L = \frac{1}{n} \sum_i \min\big(\rho_i A_i,\; \operatorname{clip}(\rho_i, 1 - \epsilon, 1 + \epsilon)\, A_i\big)
#    \tag{8.5} $$
#
# where $\operatorname{clip}(\rho, l, h)$ is $\rho$, but never less than $l$ and never more than $h$.
#
# By hand.
# A good sample, $A = 1$, has become 1.5 times as likely: $\min(1.5, 1.2) = 1.2$.
# A little more of $\rho$ changes nothing, so its gradient is zero.
# A bad sample, $A = -1$, has become 1.5 times as likely: $\min(-1.5, -1.2) = -1.5$.
# It went the wrong way, and keeps its gradient.

# %% [markdown] tags=["core"]
# ### 08.3 · Build · ppo_loss · 12 min · ●●● · 4 points
#
# A search that uses each batch five times calls this five times.
# Write `ppo_loss(log_p, old, advantage, clip)`, **minus** Eq. 8.5, since an optimizer makes a loss smaller.
# All three are of shape `(B,)`: the log-probabilities of now, those of the moment when the cells were drawn,
# and $A = R - b$.
# `clip` is $\epsilon$, a number.

# %% tags=["core"]
def ppo_loss(log_p, old, advantage, clip):
    """Minus the clipped objective of Eq. 8.5, one number.

    By hand: from 0.2 to 0.3, so a ratio of 1.5, with advantage 1 and clip 0.2: -1.2.
    """
    # your code, in place of the dots
    ...


build("controller.ppo_loss", ppo_loss)
# hint("controller.ppo_loss")
# solution("controller.ppo_loss")

# %% tags=["core"]
show(controller.ppo_loss, folded=True)

# %% tags=["core", "slide", "nbval-check-output"]
ratio, advantage = torch.tensor([1.5, 1.5]), torch.tensor([1.0, -1.0])
terms = [
    -controller.ppo_loss(r.log()[None], torch.zeros(1), a[None], 0.2).item()
    for r, a in zip(ratio, advantage, strict=True)
]
assert [round(v, 4) for v in terms] == [1.2, -1.5]  # by hand, above
[round(v, 4) for v in terms]

# %% tags=["core", "slide"]
ratios = [0.05 * k for k in range(10, 31)]
objective = {"A = 1": [], "A = -1": []}
for sign, curve in zip((1.0, -1.0), objective.values(), strict=True):
    for r in ratios:
        log_r, a = torch.tensor([math.log(r)]), torch.tensor([sign])
        curve.append(-controller.ppo_loss(log_r, torch.zeros(1), a, 0.2).item())
labels = {"x_label": "ratio: how much likelier than when drawn", "y_label": "objective"}
says = "Flat where enough has been done: above 1.2 for A = 1, below 0.8 for A = -1."
plots.lines(ratios, objective, says=says, **labels)

# %% [markdown] tags=["core"]
# NASNet's controller is trained this way, with batches of 20.
# The paper adds a small bonus for the [**entropy**](GLOSSARY.md#entropy), the number of nats by which the policy is
# still undecided:
#
# $$ H = -\sum_a \pi_\theta(a) \log \pi_\theta(a) = \mathbb{E}_a \Big[ -\sum_t \sum_k \pi(k \mid a_{<t}) \log \pi(k
#    \mid a_{<t}) \Big] \tag{8.6} $$
#
# $a_{<t}$ stands for the choices before $t$, and $k$ goes through the options of decision $t$.
# The right side adds up the entropies of the softmaxes met on the way, so samples suffice.
# An even policy on our toy has $\log 576 = 6.36$.
#
# Now all pieces are there.
# Here is the loop that learns:
# the cells are drawn, the rewards come in, `passes` steps are taken, and the baseline moves on by Eq. 8.4.

# %% tags=["core", "slide"]
show(controller.Learner)

# %% [markdown] tags=["core"]
# Look at `loss`: with one pass and no clip it is minus `reinforce_objective`, else it is `ppo_loss`.
# Both are yours if you built them.
#
# **Break it.**
# One batch of 20, thirty passes.
# Once with the clip, once without.
# How undecided is the policy afterwards?

# %% tags=["core", "slide"]
left = {}
for name, clip in {"clip 0.2": 0.2, "no clip": math.inf}.items():
    settings = controller.Settings(lr=0.005, passes=30, clip=clip)
    learner = controller.Learner(TOY, 0, settings)
    tokens = learner.sample(20)
    learner.update(tokens, [rewards[index[tuple(t)]].item() for t in tokens.tolist()])
    log_p, entropy = learner.policy(every)
    left[name] = (log_p.exp() * entropy).sum().item()
    print(f"{name}: likeliest sequence {log_p.exp().max():.1%}")
plots.bars({"at the start": math.log(576), **left}, y_label="entropy (nats)")

# %% [markdown] tags=["core"]
# Without the clip twenty samples decide everything.
# One sequence has all the probability, and the search is over, though all it ever saw were 20 random cells.
# With the clip the policy prefers some cells, and can still draw the others.
#
# And the entropy bonus?
# Give it more weight, and draw 400 samples in batches of 20.

# %% tags=["deep"]
def learned(settings, samples):
    learner, curve, left = controller.Learner(TOY, 0, settings), [], math.log(576)
    for _ in range(0, samples + 1, 20):
        with torch.no_grad():
            log_p, entropy = learner.policy(every)
        curve.append((log_p.exp() * rewards).sum().item())  # expected reward
        left = (log_p.exp() * entropy).sum().item()
        tokens = learner.sample(20)
        learner.update(tokens, [rewards[index[tuple(t)]].item() for t in tokens.tolist()])
    return curve, left


open_still = {}
for weight in (0.0, 0.00001, 0.01, 0.1):
    settings = controller.Settings(lr=0.005, passes=5, entropy=weight)
    open_still[f"{weight:g}"] = learned(settings, 400)[1]
says = f"Entropy after 400 samples: {open_still['0']:.2f} without a bonus, "
says += f"{open_still['1e-05']:.2f} with the paper's weight, {open_still['0.1']:.2f} with 0.1; even: 6.36."
plots.bars(open_still, x_label="weight of the bonus", y_label="entropy (nats)", says=says)

# %% [markdown] tags=["deep"]
# The paper's weight changes next to nothing here, where a few hundred samples are drawn.
# Ten thousand times as much keeps the policy open, and then it also earns less:
# a bonus is a reward for not deciding.

# %% [markdown] tags=["deep", "slide"]
# ## Do the published settings fit a small space? (deep)
#
# The paper prints: learning rate 0.00035, entropy weight 0.00001, moving average 0.95, batches of 20.
# It trained 20,000 children: 1,000 batches.
# We can afford about 200 samples: ten batches.
# Before you run the next cell, guess how far ten steps of 0.00035 get.

# %% tags=["deep", "slide"]
show(controller.Settings)
kinds = {"published": controller.PUBLISHED, "for few samples": controller.FEW}
kinds["REINFORCE"] = controller.REINFORCE
curves = {name: learned(s, 200)[0] for name, s in kinds.items()}
labels = {"x_label": "samples", "y_label": "expected reward"}
plots.lines(list(range(0, 201, 20)), curves, **labels)

# %% [markdown] tags=["deep"]
# Nowhere, as published.
# That is no fault of the paper's: its settings are for a hundred times as many samples.
# Give them 4,000:

# %% tags=["deep"]
patient, _ = learned(controller.PUBLISHED, 4000)
says = f"Published settings: {patient[10]:.3f} after 200 samples, {patient[-1]:.3f} after"
says += f" 4,000; the best sequence has {rewards.max():.3f}."
plots.lines(list(range(0, 4001, 20)), {"published": patient}, says=says, **labels)

# %% [markdown] tags=["deep"]
# So two things are changed, and only two: the learning rate, to 0.005, and the passes over a batch, to 5.
# The paper prints, as far as we can find, neither the number of passes nor the clip nor the optimizer;
# we take the clip of the PPO paper, and Adam.
# How were the two chosen?
# **On made-up rewards, never on the table.**
# Settings chosen on the table would make the comparison below worthless.
#
# The figure is recorded, not run here: 24 settings, 30 seeds, 200 samples each,
# by [data/ablations/controller.py](../data/ablations/controller.py).
# The rise of the expected reward is given in standard deviations between sequences.

# %% jupyter={"source_hidden": true} tags=["deep", "slide"]
# This cell reads recorded rows and draws their medians.
recorded = (data.FOLDER / "ablations" / "controller.jsonl").read_text()
rows = [json.loads(line) for line in recorded.splitlines()]
rates, passes = (sorted({r[key] for r in rows}) for key in ("lr", "passes"))
rise = {(lr, n): [] for n in passes for lr in rates}
for r in rows:
    rise[r["lr"], r["passes"]].append(r["rise"])
middle = [[round(statistics.median(rise[lr, n]), 2) for lr in rates] for n in passes]
says = f"Recorded. Published rate, one pass: {middle[0][0]}; 0.005 and 5 passes: "
says += f"{statistics.median(rise[0.005, 5]):.2f} (least of 30: {min(rise[0.005, 5]):.2f})."
names = {"columns": [f"{lr:g}" for lr in rates], "rows": [str(n) for n in passes]}
plots.grid(middle, x_label="learning rate", y_label="passes", says=says, **names)

# %% [markdown] tags=["deep"]
# On the left the numbers rise, on the right they stay at one height.
# We take a setting where they have just stopped rising: no more speed than needed.
# REINFORCE, one pass and no clip, needs a higher learning rate to get as far.

# %% [markdown] tags=["core", "slide"]
# ## Does a search learn on your REINFORCE?
#
# Now the table of chapter 06: every cell of `SMALL`, really trained.
# A search sees the validation accuracy of one seed, drawn anew for each question.
# `controller.search` draws a batch of 20, asks, learns, and draws again.

# %% tags=["core"]
show(controller.search)

# %% [markdown] tags=["core"]
# Thirty searches of 400 samples each, with the settings `REINFORCE`: one pass, no clip.
# So each of their 600 updates calls `reinforce_objective` once: yours, if you built it, else the course's.
# `yours()` says whose functions are at work, and how often each was called.
# The cell takes some ten seconds and tells how far it is.

# %% tags=["core", "slide"]
QUICK = True  # False: three times as many samples
samples, seeds = (400 if QUICK else 1200), range(30)
cells, began = tabular.load(), time.process_time()


def searches(method, samples=samples, **settings):
    histories = []
    for seed in seeds:
        noisy = search.noisy(cells, random.Random(1000 + seed))
        histories.append(method(cells.space, noisy, samples, seed, **settings))
        if seed % 10 == 9:
            print(f"{seed + 1} of {len(seeds)} searches are done")
    return histories


by_reinforce = searches(controller.search, settings=controller.REINFORCE)
yours()

# %% [markdown] tags=["core"]
# What does it *draw*?
# The figure shows the mean validation accuracy of each batch of 20, over all thirty searches:
# the learning curve of the controller.
# Random search, which learns nothing, stands beside it.

# %% tags=["core", "slide"]
histories = {"random": searches(search.random_search)}
drawn_at = list(range(20, samples + 1, 20))


def drawn_means(runs):
    return [
        statistics.mean(t.value for h in runs for t in h.trials[end - 20 : end])
        for end in drawn_at
    ]


means_drawn = {"REINFORCE": drawn_means(by_reinforce), "random": drawn_means(histories["random"])}
first, last = (means_drawn["REINFORCE"][i] for i in (0, -1))
says = f"REINFORCE draws cells of {first:.3f} at first and of {last:.3f} at last; "
says += f"random search of {means_drawn['random'][-1]:.3f} at last."
labels = {"x_label": "samples", "y_label": "mean accuracy of what is drawn"}
plots.lines(drawn_at, means_drawn, says=says, **labels)

# %% [markdown] tags=["core"]
# It learns: the cells that it draws become better and better.
# That is what Eq. 8.2 asks for, the *mean* of what is drawn.
# A search is paid for the *best*.

# %% [markdown] tags=["core", "slide"]
# ## Is it better than random search?
#
# A search returns the cell that looked best.
# It is judged by that cell's mean **test** accuracy: the **regret** is what it lacks to the best cell of the table.
#
# And the count?
# Chapter 04 showed that one cell has up to eight token sequences,
# and a controller that has decided draws the same cell again and again.
# Who trains each sample pays for **samples**.
# Who remembers what was trained pays for **distinct cells**.
# We show both, since each of them makes another search look good.
#
# The seeds are those of chapter 07, so random search and evolution repeat its numbers.
# The controller now has the settings `FEW`, with five passes and the clip.
# (This takes about half a minute.)

# %% tags=["core", "slide"]
histories["evolution"] = searches(search.regularized_evolution)
histories["controller"] = searches(controller.search)
spent = time.process_time() - began
best = max(cells.query(g, split="test") for g in cells.genotypes)
budgets = list(range(10, 201, 10))


def regret(history, counts):
    accuracy = search.incumbent_test_accuracy(history, cells)
    last = dict(zip(counts, accuracy, strict=True))  # the last trial with that count
    return [best - last[n] for n in budgets if n <= counts[-1]]


by_samples, by_cells = {}, {}
for name, runs in histories.items():
    by_samples[name] = [regret(h, list(range(1, len(h) + 1))) for h in runs]
    by_cells[name] = [regret(h, h.distinct()) for h in runs]

# %% tags=["core", "slide"]
def means(regrets, budgets):
    return {
        name: [statistics.mean(r[i] for r in runs) for i in range(len(budgets))]
        for name, runs in regrets.items()
    }


y_label = "regret (test accuracy), mean of 30"
plots.lines(budgets, means(by_samples, budgets), x_label="samples drawn", y_label=y_label)

# %% [markdown] tags=["core"]
# The regret can *rise* with more samples, which looks like a fault.
# It is the **winner's curse** of chapter 07: each question is answered by one training, and the search keeps the cell
# that looked best.
# The more questions, the more often the luckiest training wins, and not the best cell.
#
# By distinct cells the curves end where the first of the 30 runs has no more new cells to show.

# %% tags=["core", "slide"]
shown = [n for i, n in enumerate(budgets) if all(len(r) > i for runs in by_cells.values() for r in runs)]
says = f"All runs of all three reach {shown[-1]} distinct cells, within {samples} samples."
plots.lines(shown, means(by_cells, shown), x_label="distinct cells", y_label=y_label, says=says)

# %% [markdown] tags=["core"]
# Which of these distances are more than luck?
# Pair the runs by seed, take the difference, and ask for its 95 % interval.
# Negative: the controller has less regret.
# An interval that holds zero is a **tie**: these 30 seeds cannot tell the two apart.

# %% tags=["core", "slide"]
lines = []
kinds = {"samples": (by_samples, (50, 100, 200)), "distinct cells": (by_cells, (shown[-1],))}
for count, (regrets, at) in kinds.items():
    for rival, n in itertools.product(("random", "evolution"), at):
        i = budgets.index(n)
        pair = [[run[i] for run in regrets[name]] for name in ("controller", rival)]
        mean, low, high = search.paired_interval(*pair)
        word = "tie" if low <= 0 <= high else "controller" if high < 0 else rival
        lines.append((n, count, rival, f"{mean:+.4f}", f"{low:+.4f} to {high:+.4f}", word))
for rival in ("random", "evolution"):
    words = [line[5] for line in lines if line[2] == rival]
    print(f"against {rival}: {words.count('controller')} of {len(words)} won by the controller,", end=" ")
    print(f"{words.count('tie')} ties, {words.count(rival)} lost")
table(("budget", "of", "against", "difference", "95 % interval", "ahead"), lines)

# %% [markdown] tags=["core"]
# So learning is not winning.
# The controller draws better and better cells, and the lines above say how often that beat a rival.
# Read them with three things in mind.
#
# - Of eight intervals at 95 %, one may well leave zero out by luck.
# - The space is small and random search sees a good part of it.
#   In a space of $10^{16}$ cells it does not.
#   The paper's own comparison there: its controller ends about one percent above random search.
# - The settings come from additive rewards without noise.
#   Tuned on this table the controller would do better, and so would the others.

# %% [markdown] tags=["core"]
# **Break it.**
# Run the published settings on the table, unchanged, for 200 samples.
# Do they learn anything?
# The mean of the last batch less that of the first says how much better the draws became.
# But a first batch may be unlucky, so random search has to stand beside it, on the same seeds.

# %% tags=["core"]
def gain(history):
    values = [t.value for t in history.trials[:200]]
    return statistics.mean(values[-20:]) - statistics.mean(values[:20])


published = searches(controller.search, 200, settings=controller.PUBLISHED)
runs = {"published": published, "random": histories["random"], "for few samples": histories["controller"]}
gains = {name: [gain(h) for h in some] for name, some in runs.items()}
rises = {}
for name in ("published", "for few samples"):
    rises[f"{name}, less random"] = search.paired_interval(gains[name], gains["random"])
middle, low, high = rises["published, less random"]
alone, lucky = (statistics.mean(gains[name]) for name in ("published", "random"))
says = f"Published settings gain {alone:+.3f}, random search {lucky:+.3f}. "
says += f"The difference of {middle:+.3f} ({low:+.3f} to {high:+.3f}) is "
says += "a tie." if low <= 0 <= high else "more than luck." if low > 0 else "a loss."
plots.intervals(rises, y_label="gain in ten batches, less random search's", says=says)

# %% [markdown] tags=["core"]
# Alone, the gain of the published settings says nothing.
# Random search, which learns nothing, shows what luck does: only the difference can be learning.
# Ten steps of 0.00035 hardly move this controller, so it is small beside that of the settings for few samples.
# (And an interval that only just leaves zero out is weak evidence: of twenty such, one does so by luck.)
# And nobody would notice from a figure of the best cell so far: that curve rises all the same,
# because the best of many draws always does.
# Hence the rule: look at what is *drawn*, and put random search beside it, before you say that something has learned.

# %% [markdown] tags=["core", "slide"]
# ## What did the paper pay?
#
# The real search had 13 operations and 5 blocks in each of two cells: 50 decisions, where our toy has 8.
# It trained 20,000 of these cells, each for 20 epochs on CIFAR-10, on 500 GPUs for four days.
# How many GPU-hours?
# The paper says "2,000 GPU-hours".
# Multiply yourself, and look at the unit.

# %% tags=["core", "slide"]
gpu_days = 500 * 4
rows = [("NASNet", f"{gpu_days:,} GPU-days", f"{gpu_days * 24:,} GPU-hours")]
rows.append(("a child of it", "", f"{gpu_days * 24 / 20_000:.1f} GPU-hours"))
nas = 800 * 28  # GPUs, days
rows.append(("NAS (2016)", f"{nas:,} GPU-days", f"{nas * 24:,} GPU-hours"))
rows.append(("your searches", "", f"{spent / 3600:.3f} core-hours, of a table"))
table(("search", "days", "hours"), rows)

# %% [markdown] tags=["core"]
# 2,000 GPU-*days*.
# The paper's 22,400 GPU-hours for its predecessor are days too.
# The slip makes the search look 24 times cheaper than it was.
# The body of the paper has 500 GPUs, its appendix 450: so the total is known to about ten percent.
#
# Our searches spend seconds, because the table answers at once.
# Chapter 06 says what the table cost.

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **Numbers in the wrong unit.**
#   [NASNet](https://arxiv.org/abs/1707.07012) prints GPU-hours and means GPU-days, as above.
#   Check units by multiplying.
# - **The sign.**
#   (Exercises 08.2 and 08.3 know this one.)
#   The quantity called "loss" in many controllers is the negative of what rises.
#   An optimizer minimises; a forgotten minus makes good cells rare, and the curve looks beautiful: it falls.
# - **A gradient through the baseline.**
#   A learned baseline that is not detached is pushed to make the advantage small, instead of being right.
#   Nothing crashes.
# - **No random search beside it.**
#   [Li and Talwalkar](https://arxiv.org/abs/1902.07638) put random search beside published searches,
#   and much of their advantage was gone.
#   Run it first: it is six lines.
# - **Software that no longer runs.** automl/NASLib#138: somebody installs a benchmark for searches in both ways
#   offered, and its own test fails in both.
#   Code around searches ages fast, so this controller needs nothing but torch.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# **Can one network learn to design another?**
# Yes: what it draws becomes better, batch by batch, and the reward is never differentiated.
# **Is it worth it?**
# Here it learns, but that alone does not decide it: the table of intervals above says where it beat random search
# and evolution, and where they tie.
# In the paper's space, with $10^{16}$ cells of each kind in place of 735, it ended about one percent above random
# search, for 48,000 GPU-hours.
#
# - A cell is a chain of softmaxes; its log-probability is a sum.
# - $\nabla J = \mathbb{E}[R\, \nabla \log \pi]$, the log-derivative trick.
# - A baseline changes the noise and not the mean, if it does not depend on the sample.
# - PPO uses a batch several times, and gives no more reward once a sample has moved enough.
# - Published settings belong to a published budget.
#   Change them on something other than what you report.
# - The policy gradient raises the mean of what is drawn.
#   Count samples and distinct cells, and put random search beside it.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 08.4 · Predict · too_high · 5 min · ●○○ · 1 point
#
# A and B again, rewards 0.8 and 0.6, even odds, one sample.
# Somebody sets the baseline to 1.0, far too high.
# What is the **standard deviation** of the estimate for $\theta_A$?
# Work it out on paper, with two lines like those of the table above.
#
# <details><summary>Answer</summary>
#
# A drawn: $(0.8 - 1) \cdot 1/2 = -0.1$.
# B drawn: $(0.6 - 1) \cdot (-1/2) = 0.2$.
# Their mean is 0.05, as always.
# Each lies 0.15 from it: the standard deviation is 0.15.
# Worse than with 0.7, better than with 0.
# And the first step, if A is drawn, makes the better choice *rarer*.
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("controller.too_high", answer)
# hint("controller.too_high")
# solution("controller.too_high")

# %% [markdown] tags=["core"]
# ### 08.5 · Measure · calmest · 8 min · ●●○ · 2 points
#
# The policy has learned something: A now has 90 percent.
# The scores are then $1 - 0.9 = 0.1$ for A and $-0.9$ for B. Which baseline, in steps of 0.01,
# gives the least variance?
# Is it the mean reward?

# %% tags=["core"]
odds, two_scores = torch.tensor([0.9, 0.1]), torch.tensor([0.1, -0.9])
baseline = 0.5  # change me, or write a loop
mean, variance = controller.moments(odds, two_scores, torch.tensor([0.8, 0.6]), baseline)
print(f"baseline {baseline}: standard deviation {variance**0.5:.4f}")

answer = ...  # the baseline you found
check("controller.calmest", answer)
# hint("controller.calmest")
# solution("controller.calmest")

# %% [markdown] tags=["core"]
# ### 08.6 · Build · leave_one_out · 8 min · ●●○ · 3 points
#
# The batch's own mean shortens the gradient.
# So give each sample another baseline: the mean of all the *other* rewards of the batch.
# Write `leave_one_out(rewards)`: `rewards` is a tensor of shape `(B,)`, with at least two numbers.
# Return the advantages, a tensor of the same shape.
# By hand: rewards 0.8 and 0.6 give 0.2 and -0.2.

# %% tags=["core"]
def leave_one_out(rewards):
    ...  # your code


check("controller.leave_one_out", leave_one_out)
# hint("controller.leave_one_out")
# solution("controller.leave_one_out")

# %% [markdown] tags=["deep"]
# ### 08.7 · Build · silenced · 10 min · ●●● · 3 points
#
# In Eq. 8.5 some samples get no gradient any more, because the minimum takes the clipped product and it is smaller than
# the other.
# Write `silenced(ratio, advantage, clip)`: two tensors of shape `(B,)` and a number.
# Return a tensor of truth values, shape `(B,)`: which samples?
# Where both products are equal the answer is False.

# %% tags=["deep"]
def silenced(ratio, advantage, clip):
    ...  # your code


check("controller.silenced", silenced)
# hint("controller.silenced")
# solution("controller.silenced")

# %% [markdown] tags=["optional"]
# ### 08.8 · Further · 60 min · ●●● · 0 points
#
# Figure 6 of [the paper](https://arxiv.org/abs/1707.07012) compares the controller with random search by the best cell
# found so far, and by the mean of the best 5 and of the best 25.
# Draw the three curves from `histories`, judged by test accuracy, with intervals over the 30 seeds.
# Does the answer depend on how many cells you would go on to train?
# Which of the three would you report?
# Decide that before you look at the curves, and say why.

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("controller")
# yours()            whose functions are at work now
# restore()          the course's own again
# submit()           your answers in one small file

# %% [markdown] tags=["core"]
# ## Where next
#
# Every sample of this chapter stands for a training.
# [09 · One-shot](09_one_shot.ipynb) asks whether one network can stand in for all of them: shared weights,
# searched by gradient.

# %% [markdown] tags=["core"]
# ## References
#
# - Zoph, Vasudevan, Shlens and Le, [NASNet](https://arxiv.org/abs/1707.07012), 2017: the controller in appendix A.1,
#   random search in Figure 6.
# - Williams, *Simple statistical gradient-following algorithms*, Machine Learning 8, 1992: REINFORCE and the baseline.
# - Schulman and others, [Proximal Policy Optimization](https://arxiv.org/abs/1707.06347), 2017: the clipped objective,
#   Eq. 7.
# - Pham and others, [ENAS](https://arxiv.org/abs/1802.03268), 2018: a controller and shared weights,
#   by its abstract a thousand times cheaper.
# - Li and Talwalkar, [Random search and reproducibility](https://arxiv.org/abs/1902.07638), 2019.
