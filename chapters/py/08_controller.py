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
# 1. give a chain of choices its probability, and work out a policy gradient by hand (exercise 08.1)
# 2. choose a baseline, and say what it may not depend on (exercises 08.2 and 08.4)
# 3. write the loss of REINFORCE, and recognise the usual slips in it (exercise 08.3)
# 4. say which samples PPO leaves alone, and why (exercise 08.5)
# 5. compare a controller with a blind draw in a way that is fair to both (quiz, exercise 08.6)
#
# | study | about 80 min (estimate) |
# |---|---|
# | run | <!-- run -->0.4 min (27 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->607 MB (measured)<!-- /peak --> |
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
import math
import random
import statistics
import time

import torch
from torch.nn import utils

from lib.basics import data
from lib.book import plots, widgets
from lib.book.notebook import check, hint, quiz, setup, show, solution, table
from lib.nas import controller, search, search_space, tabular

device = setup("08_controller", seed=0)

# %% [markdown] tags=["core"]
# Chapter 07 searched by drawing, keeping and changing.
# None of its methods had an idea of what makes a cell good.
# NASNet's search has one: a second network, the **controller**, that writes cells and is told how well they did.
#
# There is a catch.
# A cell is a row of choices, and you cannot take the derivative of an accuracy with respect to a choice.
# This chapter shows the way round, then asks the question that the method must answer: does it pay?
#
# Half an hour only?
# Read "Which way is uphill?" and the part after it, move the sliders, and do exercise 08.3.
# That is the heart.

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
# $\pi_\theta$ is called the **policy**.
# Each factor is a softmax.
# What knows "those before it" is an LSTM with 100 units: it reads the last choice and carries the rest in its state.

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
# A prejudice.
# It would have to be unlearned first, from samples that mostly show the same few cells.

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
# That is the way round.

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

# %% tags=["core", "catch-up"]
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
# In 85,000 dimensions a random step is wasted.
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
# The **score** $\partial \log \pi / \partial \theta_A$ is $1 - p_A = 1/2$ if A was drawn, and $-p_A = -1/2$ if B was.
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
# In symbols, with a baseline $b$ and $n$ samples:
#
# $$ \hat g = \frac{1}{n} \sum_{i=1}^{n} \big(R(a_i) - b\big)\, \nabla \log \pi_\theta(a_i) \tag{8.3} $$
#
# This is REINFORCE (Williams, 1992).
# The mean is the same for any $b$ that does not depend on the sample: $b$ multiplies $\sum_a \nabla \pi(a)$,
# the gradient of "all probabilities together", and that is the gradient of 1.

# %% tags=["core", "slide", "nbval-check-output"]
odds, score = torch.tensor([0.5, 0.5]), torch.tensor([0.5, -0.5])
for b in (0.0, 0.7):
    mean, variance = controller.moments(odds, score, torch.tensor([0.8, 0.6]), b)
    assert abs(mean - 0.05) < 1e-6  # by hand, above
    print(f"baseline {b}: mean {mean:.2f}, standard deviation {variance**0.5:.2f}")

# %% [markdown] tags=["core"]
# Seven times the signal, or none at all.
# Now with the real thing, the LSTM on 576 sequences.
# We look at one number: the component of the estimate along the exact gradient.
# If it is negative, the step goes downhill.
#
# Move the sliders.
# Batch first: how large must it be until nearly all steps go up?
# Then put the batch back to 1, and move the baseline.

# %% tags=["core", "slide"]
probability = policy(every)[0].exp().detach()
score = controller.scores(policy, every, uphill)
luck = torch.Generator().manual_seed(0)
drawn = torch.multinomial(probability, 400 * 100, replacement=True, generator=luck)


def estimates(batch, baseline):
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
# One hundred times the samples divide the spread by ten.
# A baseline near the mean reward does that too, and a little more, for one subtraction.
# A sample costs a training; a subtraction costs nothing.
#
# The picture is made of luck.
# The variance is not: over 576 sequences we can add it up.

# %% tags=["core", "slide"]
grid = [b / 40 for b in range(41)]
spread = [controller.moments(probability, score, rewards, b)[1] ** 0.5 for b in grid]
low = spread.index(min(spread))
says = f"Least at {grid[low]:.3f}: {spread[low]:.3f}, against {spread[0]:.3f} at 0."
labels = {"x_label": "baseline", "y_label": "standard deviation, batch of one"}
plots.lines(grid, {"exact": spread}, says=says, **labels)

# %% [markdown] tags=["core"]
# So which number should one subtract?
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
# Exercise 08.4 repairs the length.

# %% [markdown] tags=["core", "slide"]
# ## How often may one batch be used?
#
# Twenty trainings for one step is a poor rate.
# Take five steps on the same twenty?
# After the first step the samples are no longer the policy's own: some have become likelier, some rarer.
# The **ratio** $\rho = \pi_\theta(a) / \pi_{old}(a)$ says how much, and it corrects the mean.
# But a ratio of 10 on a lucky sample corrects it out of all proportion.
#
# PPO stops paying when a sample has moved far enough.
# With the advantage $A = R - b$ and $\epsilon = 0.2$ it climbs
#
# $$ L = \frac{1}{n} \sum_i \min\big(\rho_i A_i,\; \operatorname{clip}(\rho_i, 1 - \epsilon, 1 + \epsilon)\, A_i\big)
#    \tag{8.5} $$
#
# By hand.
# A good sample, $A = 1$, has become 1.5 times as likely: $\min(1.5, 1.2) = 1.2$.
# A little more of $\rho$ changes nothing, so its gradient is zero.
# A bad sample, $A = -1$, has become 1.5 times as likely: $\min(-1.5, -1.2) = -1.5$.
# It went the wrong way, and keeps its gradient.

# %% tags=["core"]
show(controller.ppo_loss)

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
# The paper adds a small bonus for the **entropy**, the number of nats by which the policy is still undecided:
#
# $$ H = -\sum_a \pi_\theta(a) \log \pi_\theta(a) = \mathbb{E}_a \Big[ -\sum_t \sum_k \pi(k \mid a_{<t}) \log \pi(k
#    \mid a_{<t}) \Big] \tag{8.6} $$
#
# The right side adds up the entropies of the softmaxes met on the way, so samples suffice.
# An even policy on our toy has $\log 576 = 6.36$.
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
# With the clip the policy has leaned over and is still open.

# %% [markdown] tags=["core", "slide"]
# ## Do the published settings fit a small space?
#
# The paper prints: learning rate 0.00035, entropy weight 0.00001, moving average 0.95, batches of 20.
# It trained 20,000 children: 1,000 batches.
# We can afford about 200 samples: ten batches.
# Before you run the next cell, guess how far ten steps of 0.00035 get.

# %% tags=["core"]
show(controller.Settings)

# %% tags=["core", "slide"]
def climb(settings, samples):
    learner, curve = controller.Learner(TOY, 0, settings), []
    for _ in range(0, samples + 1, 20):
        with torch.no_grad():
            j = controller.expected_reward(learner.policy, every, rewards).item()
        curve.append(j)
        tokens = learner.sample(20)
        earned = [rewards[index[tuple(t)]].item() for t in tokens.tolist()]
        learner.update(tokens, earned)
    return curve


kinds = {"published": controller.PUBLISHED, "for few samples": controller.FEW}
kinds["REINFORCE"] = controller.REINFORCE
curves = {name: climb(s, 200) for name, s in kinds.items()}
labels = {"x_label": "samples", "y_label": "expected reward"}
plots.lines(list(range(0, 201, 20)), curves, **labels)

# %% [markdown] tags=["core"]
# Nowhere, as published.
# That is no fault of the paper's: its settings are for a hundred times as many samples.
# Give them 4,000:

# %% tags=["deep"]
patient = climb(controller.PUBLISHED, 4000)
says = f"Published settings: {patient[10]:.3f} after 200 samples, {patient[-1]:.3f} after"
says += f" 4,000; the best sequence has {rewards.max():.3f}."
plots.lines(list(range(0, 4001, 20)), {"published": patient}, says=says, **labels)

# %% [markdown] tags=["core"]
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

# %% tags=["core", "slide"]
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

# %% [markdown] tags=["core"]
# A slope on the left and a plateau on the right.
# We stand on the plateau, near its edge: no more speed than needed.
# REINFORCE, one pass and no clip, needs a higher learning rate to get as far.

# %% [markdown] tags=["core", "slide"]
# ## Is it better than a blind draw, here?
#
# Now the table of chapter 06: every cell of `SMALL`, really trained.
# A search sees the validation accuracy of one seed, drawn anew for each question.
# It returns the cell that looked best.
# It is judged by that cell's mean **test** accuracy: the **regret** is what it lacks to the best cell of the table.
#
# And the count?
# Chapter 04 showed that one cell has up to eight token sequences,
# and a controller that has made up its mind draws the same cell over and over.
# Whoever trains each sample pays for **samples**.
# Whoever keeps a notebook pays for **distinct cells**.
# We show both, since each of them flatters somebody.

# %% tags=["core"]
show(controller.search)

# %% tags=["core", "slide"]
QUICK = True  # False: three times as many samples
cells = tabular.load()
methods = {
    "random": search.random_search,
    "evolution": search.regularized_evolution,
    "controller": controller.search,
}
samples, seeds, histories = (400 if QUICK else 1200), range(30), {}
began = time.process_time()
for name, method in methods.items():
    histories[name] = [
        method(cells.space, search.noisy(cells, random.Random(1000 + seed)), samples, seed)
        for seed in seeds
    ]
spent = time.process_time() - began

# %% [markdown] tags=["core"]
# The seeds are those of chapter 07, so random search and evolution repeat its numbers.
# First, does it learn at all on the real table?
# The figure shows what a method *draws*: the mean validation accuracy of each batch of 20.

# %% tags=["core", "slide"]
drawn_at = list(range(20, 401, 20))
curves = {name: [] for name in methods}
for name, runs in histories.items():
    for end in drawn_at:
        values = [t.value for h in runs for t in h.trials[end - 20 : end]]
        curves[name].append(statistics.mean(values))
labels = {"x_label": "samples", "y_label": "mean accuracy of what is drawn"}
plots.lines(drawn_at, curves, **labels)

# %% [markdown] tags=["core"]
# The policy gradient raises the *mean* of what is drawn; that is what Eq. 8.2 asks for.
# A search is paid for the *best*.
# Is that the same thing?
# Regret, at budgets from 10 to 200.

# %% tags=["core", "catch-up"]
best = max(cells.query(g, split="test") for g in cells.genotypes)
budgets = list(range(10, 201, 10))


def regret(history, counts):
    accuracy = search.incumbent_test_accuracy(history, cells)
    last = dict(zip(counts, accuracy, strict=True))  # the last trial with that count
    return [best - last[min(n, counts[-1])] for n in budgets]


by_samples, by_cells = {}, {}
for name, runs in histories.items():
    by_samples[name] = [regret(h, list(range(1, len(h) + 1))) for h in runs]
    by_cells[name] = [regret(h, h.distinct()) for h in runs]

# %% tags=["core", "slide"]
def means(regrets):
    return {
        name: [statistics.mean(r[i] for r in runs) for i in range(len(budgets))]
        for name, runs in regrets.items()
    }


y_label = "regret (test accuracy), mean of 30"
plots.lines(budgets, means(by_samples), x_label="samples drawn", y_label=y_label)

# %% tags=["core", "slide"]
plots.lines(budgets, means(by_cells), x_label="distinct cells", y_label=y_label)

# %% [markdown] tags=["core"]
# Curves that cross may mean nothing.
# Pair the runs by seed, take the difference, and ask for its 95 % interval.
# Negative: the controller has less regret.
# An interval that holds zero: these 30 seeds cannot tell the two apart.
# The table holds twelve intervals, and of twelve at 95 % one may well leave zero out by luck.

# %% tags=["core", "slide"]
lines = []
for count, regrets in {"samples": by_samples, "distinct cells": by_cells}.items():
    for rival in ("random", "evolution"):
        for n in (50, 100, 200):
            i = budgets.index(n)
            pair = [[run[i] for run in regrets[name]] for name in ("controller", rival)]
            mean, low, high = search.paired_interval(*pair)
            word = "tie" if low <= 0 <= high else "controller" if high < 0 else rival
            row = (n, count, rival, f"{mean:+.4f}", f"{low:+.4f} to {high:+.4f}", word)
            lines.append(row)
for rival in ("random", "evolution"):
    words = [line[5] for line in lines if line[2] == rival]
    print(f"against {rival}: {words.count('tie')} of {len(words)} are ties,", end=" ")
    print(f"{words.count('controller')} won by the controller")
table(("budget", "of", "against", "difference", "95 % interval", "ahead"), lines)

# %% tags=["core"]
reached = {name: [h.distinct()[199] for h in runs] for name, runs in histories.items()}
for name, counts in reached.items():
    full = sum(h.distinct()[-1] >= 200 for h in histories[name])
    middle = statistics.median(counts)
    print(f"{name}: 200 samples are {middle:.0f} cells (median); ", end="")
    print(f"{full} of 30 runs saw 200 cells within {samples} samples")

# %% [markdown] tags=["core"]
# Learning is not winning: the controller draws better and better cells,
# and the lines above say how often that beat a rival.
# Read them with three things in mind.
#
# - A run that stops finding new cells keeps its last regret in the second figure, after up to 400 samples.
#   Where the lines above say "0 of 30", the rows "200 distinct cells" compare whole runs and not equal numbers of
#   cells.
# - The space is small and blind draws see a good part of it.
#   In a space of $10^{16}$ cells they do not.
#   The paper's own comparison there: its controller ends about one percent above random search.
# - The settings come from additive rewards without noise.
#   Tuned on this table the controller would do better, and so would the others.

# %% [markdown] tags=["core"]
# **Break it.**
# Run the published settings on the table, unchanged.
# Which of the two rivals do they become?

# %% tags=["core"]
def batch_means(settings, seed):
    noisy = search.noisy(cells, random.Random(1000 + seed))
    history = controller.search(cells.space, noisy, 200, seed, settings)
    values = [t.value for t in history.trials]
    return statistics.mean(values[:20]), statistics.mean(values[-20:])


pairs = [batch_means(controller.PUBLISHED, seed) for seed in range(10)]
gain = statistics.mean(after - before for before, after in pairs)
print(f"published settings, first to tenth batch: {gain:+.4f}, mean of 10 seeds")

# %% [markdown] tags=["core"]
# Random search, with an LSTM in front of it.
# Nobody would notice from a figure of the best cell so far: that curve rises all the same,
# because the best of many draws always does.
# Hence the rule: look at what is *drawn* before you say that something has learned.

# %% [markdown] tags=["core", "slide"]
# ## What did the paper pay?
#
# 500 GPUs, four days.
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
#   (This and the next from our own tests: exercise 08.3 knows them.)
#   The quantity called "loss" in many controllers is the negative of what rises.
#   An optimizer minimises; a forgotten minus makes good cells rare, and the curve looks beautiful: it falls.
# - **A gradient through the baseline.**
#   A learned baseline that is not detached is pushed to make the advantage small, instead of being right.
#   Nothing crashes.
# - **No blind draw beside it.**
#   [Li and Talwalkar](https://arxiv.org/abs/1902.07638) put random search beside published searches,
#   and much of the lead went away.
#   Run it first: it is six lines.
# - **Software that no longer runs.** automl/NASLib#138: somebody installs a benchmark for searches in both ways
#   offered, and its own test fails in both.
#   Code around searches ages fast, so this controller needs nothing but torch.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# - A cell is a chain of softmaxes; its log-probability is a sum.
# - $\nabla J = \mathbb{E}[R\, \nabla \log \pi]$: the reward is never differentiated.
# - A baseline changes the noise and not the mean, if it does not depend on the sample.
# - PPO uses a batch several times, and stops paying when a sample has moved enough.
# - Published settings belong to a published budget.
#   Change them on something other than what you report.
# - The policy gradient raises the mean of what is drawn.
#   Count samples and distinct cells, and put a blind draw beside it.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 08.1 · Predict · too_high · 5 min · ●○○ · 1 point
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
# ### 08.2 · Measure · calmest · 8 min · ●●○ · 2 points
#
# The policy has learned something: A now has 90 percent.
# The scores are then $1 - 0.9 = 0.1$ for A and $-0.9$ for B. Which baseline, in steps of 0.01,
# gives the least variance?
# Is it the mean reward?

# %% tags=["core"]
odds, score = torch.tensor([0.9, 0.1]), torch.tensor([0.1, -0.9])
baseline = 0.5  # change me, or write a loop
mean, variance = controller.moments(odds, score, torch.tensor([0.8, 0.6]), baseline)
print(f"baseline {baseline}: standard deviation {variance**0.5:.4f}")

answer = ...  # the baseline you found
check("controller.calmest", answer)
# hint("controller.calmest")
# solution("controller.calmest")

# %% [markdown] tags=["core"]
# ### 08.3 · Build · reinforce_loss · 15 min · ●●○ · 4 points
#
# A policy without an LSTM: `T` separate decisions, `K` options each, `logits` of shape `(T, K)`.
# It drew `B` rows of `tokens`, shape `(B, T)`, and row `i` earned `rewards[i]`.
# Write the **loss**: minimised by an optimizer, its gradient is that of Eq. 8.3 with `baseline`, a number.
#
# One thing more.
# Each row is paid a bonus for surprise: `weight` times $-\log \pi(a_i)$ is added to its reward.
# It belongs to the reward, and a reward is a number that comes from outside.
#
# Six lines are enough.

# %% tags=["core"]
def reinforce_loss(logits, tokens, rewards, baseline, weight):
    ...  # your code


check("controller.reinforce_loss", reinforce_loss)
# hint("controller.reinforce_loss")
# solution("controller.reinforce_loss")

# %% [markdown] tags=["core"]
# ### 08.4 · Build · leave_one_out · 8 min · ●●○ · 3 points
#
# The batch's own mean shortens the gradient.
# So give each sample another baseline: the mean of all the *other* rewards of the batch.
# Return the advantages, a tensor of the same shape as `rewards`.
# There are at least two.

# %% tags=["core"]
def leave_one_out(rewards):
    ...  # your code


check("controller.leave_one_out", leave_one_out)
# hint("controller.leave_one_out")
# solution("controller.leave_one_out")

# %% [markdown] tags=["deep"]
# ### 08.5 · Build · silenced · 10 min · ●●● · 3 points
#
# In Eq. 8.5 some samples get no gradient any more, because the minimum takes the clipped product and it is smaller than
# the other.
# Return a tensor of truth values: which?
# Where both products are equal the answer is False.

# %% tags=["deep"]
def silenced(ratio, advantage, clip):
    ...  # your code


check("controller.silenced", silenced)
# hint("controller.silenced")
# solution("controller.silenced")

# %% [markdown] tags=["optional"]
# ### 08.6 · Further · 60 min · ●●● · 0 points
#
# Figure 6 of [the paper](https://arxiv.org/abs/1707.07012) compares the controller with random search by the best cell
# found so far, and by the mean of the best 5 and of the best 25.
# Draw the three curves from `histories`, judged by test accuracy, with intervals over the 30 seeds.
# Does the answer depend on how many cells you would go on to train?
# Which of the three would you report, and why before looking?

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("controller")

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
