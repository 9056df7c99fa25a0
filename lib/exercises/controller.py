"""Exercises and quiz of chapter 08: the controller and its policy gradient."""

import itertools
import math

import torch

from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor
from lib.nas import controller

# Two choices: probability, score (gradient of log-probability with respect to the
# first logit), reward. By hand in the chapter.
REWARDS = torch.tensor([0.8, 0.6])


def _two(p: float) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([p, 1 - p]), torch.tensor([1 - p, -p])


# --- 08.1 predict


def too_high() -> float:
    """Standard deviation of one estimate at even odds, with the baseline at 1."""
    return math.sqrt(controller.moments(*_two(0.5), REWARDS, 1.0)[1])


def too_high_variance() -> float:
    return controller.moments(*_two(0.5), REWARDS, 1.0)[1]


def too_high_without() -> float:
    return math.sqrt(controller.moments(*_two(0.5), REWARDS, 0.0)[1])


# --- 08.2 measure


def calmest() -> float:
    """The baseline, in steps of 0.01, at which 90 to 10 odds give the least noise."""
    grid = [b / 100 for b in range(101)]
    return min(grid, key=lambda b: controller.moments(*_two(0.9), REWARDS, b)[1])


# --- 08.3 build


def reinforce_loss(logits, tokens, rewards, baseline, weight):
    """REINFORCE with a baseline and a bonus for surprise, for separate decisions."""
    log_probs = logits.log_softmax(dim=1)  # T K
    decision = torch.arange(len(logits))
    log_p = log_probs[decision, tokens].sum(dim=1)  # B
    paid = rewards - weight * log_p.detach()
    advantage = paid - baseline
    return -(advantage * log_p).mean()


def reinforce_loss_2(logits, tokens, rewards, baseline, weight):
    """The same with torch's own distribution."""
    policy = torch.distributions.Categorical(logits=logits)
    log_p = policy.log_prob(tokens).sum(1)
    with torch.no_grad():
        advantage = rewards - weight * log_p - baseline
    return -torch.dot(advantage, log_p) / len(tokens)


def _log_p(logits, tokens):
    return logits.log_softmax(dim=1)[torch.arange(len(logits)), tokens].sum(dim=1)


def _paid(log_p, rewards, weight):
    return rewards - weight * log_p.detach()


def baseline_outside(logits, tokens, rewards, baseline, weight):
    log_p = _log_p(logits, tokens)
    return -((_paid(log_p, rewards, weight) * log_p).mean() - baseline)


def baseline_outside_2(logits, tokens, rewards, baseline, weight):
    log_p = _log_p(logits, tokens)
    return -(_paid(log_p, rewards, weight) * log_p).mean() - baseline


def baseline_outside_no_bonus(logits, tokens, rewards, baseline, weight):
    return -((rewards * _log_p(logits, tokens)).mean() - baseline)


def baseline_outside_not_detached(logits, tokens, rewards, baseline, weight):
    log_p = _log_p(logits, tokens)
    return -(((rewards - weight * log_p) * log_p).mean() - baseline)


def means_multiplied(logits, tokens, rewards, baseline, weight):
    log_p = _log_p(logits, tokens)
    return -(_paid(log_p, rewards, weight).mean() - baseline) * log_p.mean()


def downhill(logits, tokens, rewards, baseline, weight):
    return -reinforce_loss(logits, tokens, rewards, baseline, weight)


def not_detached(logits, tokens, rewards, baseline, weight):
    log_p = _log_p(logits, tokens)
    return -((rewards - weight * log_p - baseline) * log_p).mean()


def mean_over_decisions(logits, tokens, rewards, baseline, weight):
    rows = torch.arange(len(logits))
    log_p = logits.log_softmax(dim=1)[rows, tokens].mean(dim=1)
    return -((_paid(log_p, rewards, weight) - baseline) * log_p).mean()


def mean_over_decisions_2(logits, tokens, rewards, baseline, weight):
    log_p = _log_p(logits, tokens)
    advantage = _paid(log_p, rewards, weight) - baseline
    return -(advantage * log_p).mean() / len(logits)


def sum_over_batch(logits, tokens, rewards, baseline, weight):
    return len(tokens) * reinforce_loss(logits, tokens, rewards, baseline, weight)


def probability_itself(logits, tokens, rewards, baseline, weight):
    log_p = _log_p(logits, tokens)
    return -((_paid(log_p, rewards, weight) - baseline) * log_p.exp()).mean()


def across_decisions(logits, tokens, rewards, baseline, weight):
    log_probs = logits.log_softmax(dim=0)
    log_p = log_probs[torch.arange(len(logits)), tokens].sum(dim=1)
    return -((_paid(log_p, rewards, weight) - baseline) * log_p).mean()


def surprise_fined(logits, tokens, rewards, baseline, weight):
    return reinforce_loss(logits, tokens, rewards, baseline, -weight)


def surprise_forgotten(logits, tokens, rewards, baseline, weight):
    return reinforce_loss(logits, tokens, rewards, baseline, 0.0)


def no_baseline(logits, tokens, rewards, baseline, weight):
    return reinforce_loss(logits, tokens, rewards, 0.0, weight)


def loss_cases(rng, size):
    batch, decisions, options = size, rng.randint(1, 3), rng.randint(2, 4)
    rows = [[rng.randrange(options) for _ in range(decisions)] for _ in range(batch)]
    return (
        tensor(rng, decisions, options, low=-2.0, high=2.0),
        torch.tensor(rows),
        tensor(rng, batch, low=0.2, high=1.0),
        round(rng.uniform(0.3, 0.9), 2),
        round(rng.uniform(0.05, 0.5), 2),
    )


# --- 08.4 build


def leave_one_out(rewards):
    """Each reward less the mean of the others."""
    others = (rewards.sum() - rewards) / (len(rewards) - 1)
    return rewards - others


def leave_one_out_2(rewards):
    """One after the other, the others picked by hand."""
    rows = range(len(rewards))
    means = [rewards[[j for j in rows if j != i]].mean() for i in rows]
    return rewards - torch.stack(means)


def own_mean(rewards):
    return rewards - rewards.mean()


def divided_by_all(rewards):
    return rewards - (rewards.sum() - rewards) / len(rewards)


def only_the_baseline(rewards):
    return (rewards.sum() - rewards) / (len(rewards) - 1)


def turned_round(rewards):
    return -leave_one_out(rewards)


def standardised(rewards):
    return (rewards - rewards.mean()) / rewards.std()


def earlier_only(rewards):
    before = rewards.cumsum(0) - rewards
    return rewards - before / torch.arange(len(rewards)).clamp(min=1)


def reward_cases(rng, size):
    return (tensor(rng, size + 1, low=0.0, high=1.0),)


# --- 08.5 build


def silenced(ratio, advantage, clip):
    """True where the clipped term is the one that counts: no gradient."""
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return clipped * advantage < ratio * advantage


def silenced_2(ratio, advantage, clip):
    """Too far up and paid for it, or too far down and fined for it."""
    up = (ratio > 1 + clip) & (advantage > 0)
    return up | ((ratio < 1 - clip) & (advantage < 0))


def outside(ratio, advantage, clip):
    return (ratio > 1 + clip) | (ratio < 1 - clip)


def outside_and_paid(ratio, advantage, clip):
    return outside(ratio, advantage, clip) & (advantage != 0)


def upper_only(ratio, advantage, clip):
    return (ratio > 1 + clip) & (advantage > 0)


def wrong_way(ratio, advantage, clip):
    return silenced_2(ratio, -advantage, clip)


def heard(ratio, advantage, clip):
    return ~silenced(ratio, advantage, clip)


def ratio_cases(rng, size):
    n = 2 * size
    return (
        torch.tensor([rng.randint(2, 16) / 8 for _ in range(n)]),  # exact in binary
        torch.tensor([rng.randint(-2, 2) / 4 for _ in range(n)]),
        rng.choice((0.125, 0.25, 0.5)),
    )


EXERCISES = (
    Exercise(
        name="too_high", number="08.1", kind="predict",
        minutes=5, difficulty=1, points=1, tolerance=1e-3,
        task="The standard deviation of one estimate with the baseline at 1.0.",
        reference=too_high,
        wrong=(
            Wrong(too_high_variance, "That is the variance. Take its square root."),
            Wrong(too_high_without, "That is without a baseline. Subtract 1.0 from both"
                                    " rewards first."),
            Wrong(0.0, "Zero is what 0.7 gives, the mean of the two rewards. Here the"
                       " baseline is 1.0."),
            Wrong(0.3, "That is the distance between the two estimates. Each lies half"
                       " of it from their mean."),
            Wrong(0.05, "That is the mean of the estimates: right, as for any baseline."
                        " How far from it do they lie?"),
        ),
        hints=(
            "There are two possible estimates, each with probability 1/2. Write down"
            " both.",
            "(0.8 - 1.0) times 1/2, and (0.6 - 1.0) times -1/2.",
        ),
    ),
    Exercise(
        name="calmest", number="08.2", kind="measure",
        minutes=8, difficulty=2, points=2, tolerance=4e-3,
        task="The baseline with the least variance when one choice has 90 percent.",
        reference=calmest,
        wrong=(
            Wrong(0.78, "That is the mean reward under the policy, a good baseline and"
                        " the one everybody uses. It is not the calmest here: go on."),
            Wrong(0.7, "Right at even odds. Here the odds are 90 to 10."),
            Wrong(0.8, "At 0.8 the frequent choice gives no noise at all. What does the"
                       " rare one give?"),
            Wrong(0.6, "Close: at 0.6 the rare choice is silent, the frequent one is"
                       " not."),
        ),
        hints=(
            "Call moments in a loop over baselines from 0 to 1 in steps of 0.01, and"
            " keep the one with the smallest second number.",
            "With two choices the variance can be zero: both estimates are then equal."
            " (0.8 - b) times 0.1 and (0.6 - b) times -0.9.",
        ),
    ),
    Exercise(
        name="reinforce_loss", number="08.3", kind="build",
        minutes=15, difficulty=2, points=4,
        task="The loss whose gradient is REINFORCE with a baseline and a bonus.",
        reference=reinforce_loss,
        alternative=reinforce_loss_2,
        wrong=(
            Wrong(baseline_outside, "You subtracted the baseline after the expectation."
                                    " There it is a constant: its gradient is zero, and"
                                    " it calms nothing. Try a batch of one: the"
                                    " gradient must be (reward - baseline) times that"
                                    " of log_p. Yours does not move when you change"
                                    " the baseline."),
            Wrong(baseline_outside_2, "You took the baseline off the finished loss,"
                                      " after the expectation. Try a batch of one, then"
                                      " another baseline: the gradient stays the same,"
                                      " so the baseline does no work. It belongs inside"
                                      " the mean, next to each reward."),
            Wrong(baseline_outside_no_bonus, "Two things. You subtracted the baseline"
                                             " after the expectation, where its"
                                             " gradient is zero: try a batch of one,"
                                             " and change the baseline. And the bonus"
                                             " for surprise is missing."),
            Wrong(baseline_outside_not_detached, "Two things. You subtracted the"
                                                 " baseline after the expectation,"
                                                 " where its gradient is zero: try a"
                                                 " batch of one. And the bonus needs"
                                                 " .detach(), as part of the reward."),
            Wrong(means_multiplied, "You subtracted the baseline after the expectation:"
                                    " the rewards are averaged before they meet their"
                                    " own log_p. Try a batch of one, and it looks"
                                    " right; try two rewards on either side of the"
                                    " baseline, and all cancels."),
            Wrong(downhill, "Everything is there but the minus sign: an optimizer makes"
                            " a loss smaller, and yours would make good cells rare."),
            Wrong(not_detached, "The value is right, its gradient is not. The bonus is"
                                " part of the reward, and the reward is a number from"
                                " outside: no gradient flows through it. Look for"
                                " .detach()."),
            Wrong(mean_over_decisions, "You averaged over the decisions of one row. The"
                                       " probability of a row is a product, so its"
                                       " logarithm is a sum."),
            Wrong(mean_over_decisions_2, "Your loss is too small by the number of"
                                         " decisions: take the mean over the batch"
                                         " only. A row's log-probabilities are added"
                                         " up."),
            Wrong(sum_over_batch, "You added up the batch. The expectation is a mean:"
                                  " twice the batch must not mean twice the step."),
            Wrong(probability_itself, "The probability itself instead of its logarithm:"
                                      " each sample then counts twice by how likely"
                                      " it was. It was drawn in proportion already."),
            Wrong(across_decisions, "Your softmax runs across the decisions. The"
                                    " options of one decision sum to one: that is the"
                                    " last dimension."),
            Wrong(surprise_fined, "You fine surprise instead of paying for it."
                                  " log_p is negative, so minus weight times log_p is"
                                  " a bonus."),
            Wrong(surprise_forgotten, "The bonus is missing: weight times the surprise,"
                                      " minus log_p, comes on top of each reward."),
            Wrong(no_baseline, "The baseline is missing: each reward counts by how far"
                               " it lies above it."),
        ),
        hints=(
            "First log_p, one number for each row: log_softmax over the options, pick"
            " the token of every decision, add up.",
            "log_probs[torch.arange(T), tokens] has the shape B, T: row i holds the"
            " log-probabilities of the tokens of sample i.",
            "Then what each sample earned: its reward, plus weight times -log_p as a"
            " plain number.",
            "Subtract the baseline from what each sample earned, multiply by its own"
            " log_p, and only then take the mean. An optimizer goes downhill.",
        ),
        cases=loss_cases,
        by_hand=(
            # Even odds, one sample, no bonus: -(0.8 - 0.7) log(1/2).
            ((torch.zeros(1, 2), torch.tensor([[0]]), torch.tensor([0.8]), 0.7, 0.0),
             torch.tensor(0.1 * math.log(2))),
            # Two decisions: log_p is -2 log 2.
            ((torch.zeros(2, 2), torch.tensor([[0, 1]]), torch.tensor([0.8]), 0.7,
              0.0), torch.tensor(0.2 * math.log(2))),
            # The same, paid 0.1 for each unit of surprise, 2 log 2.
            ((torch.zeros(2, 2), torch.tensor([[0, 1]]), torch.tensor([0.8]), 0.7,
              0.1), torch.tensor((0.1 + 0.2 * math.log(2)) * 2 * math.log(2))),
            # Rewards on either side of the baseline: they cancel at even odds.
            ((torch.zeros(1, 2), torch.tensor([[0], [1]]), torch.tensor([0.8, 0.6]),
              0.7, 0.0), torch.tensor(0.0)),
        ),
        properties=(
            Property("if all rewards equal the baseline and there is no bonus, the loss"
                     " is 0",
                     lambda mine, logits, tokens, rewards, baseline, weight:
                     abs(float(mine(logits, tokens, torch.full_like(rewards, 0.5), 0.5,
                                    0.0))) < 1e-6),
            Property("the same number added to all options of a decision changes"
                     " nothing",
                     lambda mine, logits, tokens, *rest:
                     abs(float(mine(logits + 1.0, tokens, *rest)
                               - mine(logits, tokens, *rest))) < 1e-4),
        ),
        gradient=(0,),
    ),
    Exercise(
        name="leave_one_out", number="08.4", kind="build",
        minutes=8, difficulty=2, points=3,
        task="Advantages with the mean of the other samples as baseline.",
        reference=leave_one_out,
        alternative=leave_one_out_2,
        wrong=(
            Wrong(own_mean, "Your mean holds the sample itself. A baseline must not"
                            " depend on its own sample: with a batch of two you get"
                            " half of the gradient, on average."),
            Wrong(divided_by_all, "You left one out of the sum, but still divide by"
                                  " all."),
            Wrong(only_the_baseline, "Those are the baselines. The advantage is the"
                                     " reward less its baseline."),
            Wrong(turned_round, "Baseline less reward is the wrong way round: the best"
                                " sample would be made rare."),
            Wrong(standardised, "Dividing by the standard deviation is another trick."
                                " It changes the length of the gradient; here only the"
                                " baseline is asked."),
            Wrong(earlier_only, "That is the mean of the earlier samples. Leave out the"
                                " sample itself, and no other."),
        ),
        hints=(
            "For a sample: the sum of all rewards, less its own. How many are left?",
            "No loop is needed: rewards.sum() - rewards is the sum of the others, for"
            " every sample at once.",
        ),
        cases=reward_cases,
        by_hand=(
            ((torch.tensor([0.8, 0.6]),), torch.tensor([0.2, -0.2])),
            # The others' means: 4, 3.5 and 1.5.
            ((torch.tensor([1.0, 2.0, 6.0]),), torch.tensor([-3.0, -1.5, 4.5])),
        ),
        properties=(
            Property("the same number added to all rewards changes nothing",
                     lambda mine, rewards: bool(
                         ((mine(rewards + 3) - mine(rewards)).abs() < 1e-5).all())),
        ),
    ),
    Exercise(
        name="silenced", number="08.5", kind="build",
        minutes=10, difficulty=3, points=3,
        task="Which samples get no gradient any more from the clipped objective?",
        reference=silenced,
        alternative=silenced_2,
        wrong=(
            Wrong(outside, "Outside of the range is only half of it. A sample that has"
                           " moved the wrong way must be pulled back: it keeps its"
                           " gradient."),
            Wrong(outside_and_paid, "Nearly: look at a ratio above the range with a"
                                    " negative advantage. Which of the two products is"
                                    " smaller?"),
            Wrong(upper_only, "The lower end is missing: a bad sample that has become"
                              " rare enough is left alone, too."),
            Wrong(wrong_way, "The other way round: you silence those that have moved"
                             " the wrong way, and nothing ever pulls them back."),
            Wrong(heard, "Those are the samples that still count. The others are"
                         " asked."),
        ),
        hints=(
            "The minimum takes one of two products. When it takes the clipped one,"
            " a small change of the ratio changes nothing.",
            "Four cases: ratio too high or too low, advantage positive or negative. In"
            " two of them the clipped product is the smaller one.",
        ),
        cases=ratio_cases,
        by_hand=(
            ((torch.tensor([1.5, 0.5, 1.5, 0.5]), torch.tensor([1.0, 1.0, -1.0, -1.0]),
              0.25), torch.tensor([True, False, False, True])),
            # On the edge, and with nothing to gain: both products are equal.
            ((torch.tensor([1.25, 2.0]), torch.tensor([1.0, 0.0]), 0.25),
             torch.tensor([False, False])),
        ),
    ),
)  # fmt: skip


# --- quiz


def _own_mean_share() -> float:
    """Mean gradient with the batch's own mean, of the exact one; batches of four."""
    probability, score = _two(0.5)
    exact = controller.moments(probability, score, REWARDS)[0]
    total = 0.0
    for batch in itertools.product(range(2), repeat=4):
        rows = list(batch)
        advantage = REWARDS[rows] - REWARDS[rows].mean()
        chance = probability[rows].prod().item()
        total += chance * (advantage * score[rows]).mean().item()
    return total / exact


def _ppo_term() -> float:
    ratio = torch.tensor([1.5]).log()
    return -controller.ppo_loss(ratio, torch.zeros(1), torch.tensor([-1.0]), 0.2).item()


QUIZ = (
    Question(
        "A baseline is subtracted from every reward. Why does the expected gradient"
        " stay the same?",
        options=(
            Option("It is close to the mean reward",
                   "Any constant does it, also a silly one. How good it is decides the"
                   " noise, not the mean."),
            Option("Probabilities sum to one, so their gradients sum to zero",
                   "The baseline multiplies the expected score, and that is the"
                   " gradient of the sum of all probabilities: of the constant one.",
                   correct=True),
            Option("The optimizer is invariant to the scale of the gradient",
                   "Adam nearly is, but that is another matter: a baseline shifts"
                   " rewards, it does not scale them."),
            Option("It does not; the bias is accepted for less noise",
                   "Exercise 08.1 has the baseline far off, and the mean of the two"
                   " estimates is still exact."),
        ),
    ),
    Question(
        "Somebody uses the mean of the batch itself as baseline, with batches of four."
        " Which part of the exact gradient do they get, on average?",
        options=(
            Option("1.00: a baseline does no harm",
                   "Only one that does not depend on the sample. This one holds a"
                   " quarter of it."),
            Option("0.25 of it", "A quarter of each sample is subtracted from itself."
                                 " What is left?"),
            Option("0.75 of it", "Each reward is a quarter of its own baseline. The"
                                 " direction is right, the length is not.",
                   correct=True),
            Option("0.00: everything cancels", "That happens with a batch of one."),
        ),
        value=_own_mean_share, form="{:.2f}",
    ),
    Question(
        "You draw 80 architectures instead of 20 for one update. What happens to the"
        " standard deviation of the gradient?",
        options=(
            Option("It stays", "A mean over more samples is calmer."),
            Option("It falls to 1/4", "The variance does."),
            Option("It falls to 1/2", "The variance falls to a quarter, and its root to"
                                      " a half. A good baseline is cheaper.",
                   correct=True),
        ),
    ),
    Question(
        "PPO with clip 0.2. A sample with advantage -1 has become 1.5 times as likely."
        " What does it add to the objective?",
        options=(
            Option("-1.2: the ratio is clipped", "The minimum is taken, and -1.5 is"
                                                 " smaller than -1.2."),
            Option("-1.5: the full ratio",
                   "It has moved the wrong way, so it keeps its whole gradient and is"
                   " pulled back.", correct=True),
            Option("0: it is silenced", "Clipping makes the gradient zero, not the"
                                        " value; and here it does not clip."),
        ),
        value=_ppo_term, form="{:.1f}",
    ),
    Question(
        "A search ran on 500 GPUs for four days. How many GPU-hours are that?",
        options=(
            Option("2,000", "Those are GPU-days. The NASNet paper itself prints them as"
                            " GPU-hours."),
            Option("48,000", "500 times 4 days times 24 hours. That is 2.4 GPU-hours"
                             " for each of 20,000 children.", correct=True),
            Option("96", "Those are the hours on the wall."),
        ),
        value=lambda: 500 * 4 * 24, form="{:,}",
    ),
    Question(
        "Late in a search the policy draws the same few cells again and again. Which"
        " comparison with random search does that flatter?",
        options=(
            Option("Best accuracy against samples drawn",
                   "There it hurts: repeated samples are paid for and find nothing"
                   " new."),
            Option("Best accuracy against distinct cells trained",
                   "Repeated cells are free there, so a collapsed policy looks thrifty."
                   " Show both counts.", correct=True),
            Option("Neither", "One of the two counts a repeated cell as free."),
        ),
    ),
)  # fmt: skip
