"""Exercises and quiz of chapter 08: the controller and its policy gradient."""

import itertools
import math

import torch

from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor
from lib.nas import controller, search_space

# Two choices: probability, score (gradient of log-probability with respect to the
# first logit), reward. By hand in the chapter.
REWARDS = torch.tensor([0.8, 0.6])


def _two(p: float) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([p, 1 - p]), torch.tensor([1 - p, -p])


# --- 08.1 build, core


def with_gradients(mine, log_probs, chosen):
    """What comes out, and the gradient of a sum of it for each decision's softmax."""
    leaves = [log_p.clone().requires_grad_(True) for log_p in log_probs]
    out = mine(leaves, chosen)
    if not isinstance(out, torch.Tensor):
        return [out]
    gradients = [None] * len(leaves)
    if out.requires_grad:
        weights = torch.arange(1.0, out.numel() + 1).reshape(out.shape)
        total = (out * weights).sum()
        gradients = torch.autograd.grad(total, leaves, allow_unused=True)
    return [out.detach(), *gradients]


def picked_at_once(log_probs, chosen):
    """Another right way: row i of each decision, at the token of row i."""
    rows = torch.arange(len(chosen[0]))
    parts = [log_p[rows, token] for log_p, token in zip(log_probs, chosen, strict=True)]
    return torch.stack(parts).sum(dim=0)


def _parts(log_probs, chosen):
    rows = torch.arange(len(chosen[0]))
    return torch.stack([p[rows, k] for p, k in zip(log_probs, chosen, strict=True)])


def logarithms_multiplied(log_probs, chosen):
    return _parts(log_probs, chosen).prod(dim=0)


def probability_of_the_row(log_probs, chosen):
    return _parts(log_probs, chosen).sum(dim=0).exp()


def probabilities_added(log_probs, chosen):
    return _parts(log_probs, chosen).exp().sum(dim=0)


def logarithm_of_the_product(log_probs, chosen):
    return _parts(log_probs, chosen).exp().prod(dim=0).log()


def mean_of_the_decisions(log_probs, chosen):
    return _parts(log_probs, chosen).mean(dim=0)


def last_decision(log_probs, chosen):
    return _parts(log_probs, chosen)[-1]


def first_left_out(log_probs, chosen):
    return _parts(log_probs, chosen)[1:].sum(dim=0)


def all_options(log_probs, chosen):
    return sum(log_p.sum(dim=1) for log_p in log_probs)


def likeliest_options(log_probs, chosen):
    return sum(log_p.max(dim=1).values for log_p in log_probs)


def every_row_with_every_row(log_probs, chosen):
    pairs = zip(log_probs, chosen, strict=True)
    return sum(log_p[:, token] for log_p, token in pairs)


def column_kept(log_probs, chosen):
    pairs = zip(log_probs, chosen, strict=True)
    return sum(log_p.gather(1, token[:, None]) for log_p, token in pairs)


def one_number_for_the_batch(log_probs, chosen):
    return _parts(log_probs, chosen).sum()


def one_number_a_decision(log_probs, chosen):
    return _parts(log_probs, chosen).T


def logarithm_again(log_probs, chosen):
    return _parts(log_probs, chosen).log().sum(dim=0)


def surprise_instead(log_probs, chosen):
    return -_parts(log_probs, chosen).sum(dim=0)


def cut_off(log_probs, chosen):
    return _parts(log_probs, chosen).sum(dim=0).detach()


def sequence_cases(rng, size):
    """Up to six rows and eight decisions; even, leaning, very unlikely."""
    batch = size
    decisions = rng.choice((1, 2, size, size + 2))
    spread = rng.choice((0.0, 2.0, 20.0))
    log_probs, chosen = [], []
    for _ in range(decisions):
        options = rng.randint(2, 13)
        logits = tensor(rng, batch, options, low=-spread, high=spread)
        log_probs.append(logits.log_softmax(dim=1))
        chosen.append(torch.tensor([rng.randrange(options) for _ in range(batch)]))
    return log_probs, chosen


def some_learning(settings):
    """Log-probabilities of twenty cells after a few updates, as a search makes them."""
    learner = controller.Learner(search_space.SMALL, 0, settings)
    tokens = learner.sample(20)
    share = tokens.float().mean(dim=1)
    for _ in range(3):
        learner.update(tokens, (0.5 + 0.1 * share).tolist())
    with torch.no_grad():
        log_p, _ = learner.policy(tokens)
    return log_p


def learning_by_reinforce():
    return some_learning(controller.REINFORCE)


def learning_by_ppo():
    return some_learning(controller.FEW)


# --- 08.2 build, core


def weights_first(log_p, rewards, baseline=0.0):
    """Another right way: what is gained, and what the baseline takes off again."""
    gained = torch.dot(rewards, log_p)
    taken = baseline * log_p.sum()
    return (gained - taken) / len(log_p)


def no_baseline(log_p, rewards, baseline=0.0):
    return (rewards * log_p).mean()


def baseline_outside(log_p, rewards, baseline=0.0):
    return (rewards * log_p).mean() - baseline


def baseline_from_the_logarithm(log_p, rewards, baseline=0.0):
    return (rewards * (log_p - baseline)).mean()


def baseline_divided(log_p, rewards, baseline=0.0):
    return (rewards / (baseline or 1.0) * log_p).mean()


def means_multiplied(log_p, rewards, baseline=0.0):
    return (rewards.mean() - baseline) * log_p.mean()


def downhill(log_p, rewards, baseline=0.0):
    return -((rewards - baseline) * log_p).mean()


def turned_advantage(log_p, rewards, baseline=0.0):
    return (baseline - rewards) @ log_p / len(log_p)


def sum_over_batch(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p).sum()


def not_averaged(log_p, rewards, baseline=0.0):
    return (rewards - baseline) * log_p


def probability_itself(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p.exp()).mean()


def logarithm_of_it_again(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p.log()).mean()


def mean_of_this_batch(log_p, rewards, baseline=0.0):
    return ((rewards - rewards.mean()) * log_p).mean()


def standardised_advantage(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) / (rewards.std() + 1e-8) * log_p).mean()


def advantage_alone(log_p, rewards, baseline=0.0):
    return (rewards - baseline).mean() + 0 * log_p.sum()


def no_gradient(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p.detach()).mean()


def ratio_form(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * (log_p - log_p.detach()).exp()).mean()


def reinforce_cases(rng, size):
    """One to six samples, or a batch of 20; rewards around the baseline and far off."""
    batch = rng.choice((size, size, 20))
    scale = rng.choice((1.0, 1.0, 100.0))
    rewards = scale * tensor(rng, batch, low=0.2, high=1.0)
    if rng.random() < 0.15:
        rewards = torch.full_like(rewards, rewards[0].item())  # nobody is better
    lowest = rng.choice((-5.0, -100.0))
    log_p = tensor(rng, batch, low=lowest, high=0.0)
    return log_p, rewards, round(scale * rng.uniform(0.3, 0.9), 2)


# --- 08.3 build, core


def worse_of_two(log_p, old, advantage, clip):
    """Another right way: choose where the clipped product is the smaller one."""
    ratio = torch.exp(log_p - old)
    free = ratio * advantage
    held = torch.clamp(ratio, min=1 - clip, max=1 + clip) * advantage
    return -torch.where(held < free, held, free).mean()


def _loss(log_p, old, advantage, clip):
    """The right loss once more: a wrong answer must not call what it stands for."""
    ratio = _ratio(log_p, old)
    held = ratio.clamp(1 - clip, 1 + clip)
    return -torch.min(ratio * advantage, held * advantage).mean()


def _ratio(log_p, old):
    return (log_p - old).exp()


def objective_not_loss(log_p, old, advantage, clip):
    return -_loss(log_p, old, advantage, clip)


def never_clipped(log_p, old, advantage, clip):
    return -(_ratio(log_p, old) * advantage).mean()


def always_clipped(log_p, old, advantage, clip):
    return -(_ratio(log_p, old).clamp(1 - clip, 1 + clip) * advantage).mean()


def better_of_two(log_p, old, advantage, clip):
    ratio = _ratio(log_p, old)
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return torch.min(-ratio * advantage, -clipped * advantage).mean()


def clipped_where_good(log_p, old, advantage, clip):
    ratio = _ratio(log_p, old)
    clipped = ratio.clamp(1 - clip, 1 + clip)
    good = advantage > 0
    return -torch.where(good, clipped * advantage, ratio * advantage).mean()


def means_compared(log_p, old, advantage, clip):
    ratio = _ratio(log_p, old)
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.min((ratio * advantage).mean(), (clipped * advantage).mean())


def logarithms_divided(log_p, old, advantage, clip):
    ratio = log_p / old
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.min(ratio * advantage, clipped * advantage).mean()


def no_exponential(log_p, old, advantage, clip):
    ratio = log_p - old
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.min(ratio * advantage, clipped * advantage).mean()


def ratio_turned_round(log_p, old, advantage, clip):
    return _loss(-log_p, -old, advantage, clip)


def clipped_around_zero(log_p, old, advantage, clip):
    ratio = _ratio(log_p, old)
    clipped = ratio.clamp(-clip, clip)
    return -torch.min(ratio * advantage, clipped * advantage).mean()


def clipped_above_only(log_p, old, advantage, clip):
    ratio = _ratio(log_p, old)
    clipped = ratio.clamp(max=1 + clip)
    return -torch.min(ratio * advantage, clipped * advantage).mean()


def logarithm_clipped(log_p, old, advantage, clip):
    ratio = _ratio(log_p, old)
    clipped = (log_p - old).clamp(-clip, clip).exp()
    return -torch.min(ratio * advantage, clipped * advantage).mean()


def product_clipped(log_p, old, advantage, clip):
    paid = _ratio(log_p, old) * advantage
    return -torch.min(paid, paid.clamp(1 - clip, 1 + clip)).mean()


def ppo_sum(log_p, old, advantage, clip):
    return len(log_p) * _loss(log_p, old, advantage, clip)


def old_forgotten(log_p, old, advantage, clip):
    return _loss(log_p, log_p.detach(), advantage, clip)


def ppo_cases(rng, size):
    """Ratios from a fifth to twenty; unmoved, unpaid; no clip, as for REINFORCE."""
    batch = rng.choice((size, size, 20))
    far = rng.choice((0.0, 0.3, 1.5, 3.0))
    old = tensor(rng, batch, low=-40.0, high=-0.5)
    log_p = old + tensor(rng, batch, low=-far, high=far)
    advantage = torch.tensor([rng.randint(-4, 4) / 4 for _ in range(batch)])
    advantage = rng.choice((1.0, 1.0, 100.0)) * advantage
    return log_p, old, advantage, rng.choice((0.1, 0.2, 0.2, 0.5, math.inf))


# --- 08.4 predict


def too_high() -> float:
    """Standard deviation of one estimate at even odds, with the baseline at 1."""
    return math.sqrt(controller.moments(*_two(0.5), REWARDS, 1.0)[1])


def too_high_variance() -> float:
    return controller.moments(*_two(0.5), REWARDS, 1.0)[1]


def too_high_without() -> float:
    return math.sqrt(controller.moments(*_two(0.5), REWARDS, 0.0)[1])


# --- 08.5 measure


def calmest() -> float:
    """The baseline, in steps of 0.01, at which 90 to 10 odds give the least noise."""
    grid = [b / 100 for b in range(101)]
    return min(grid, key=lambda b: controller.moments(*_two(0.9), REWARDS, b)[1])


# --- 08.6 build


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


def own_sum_over_fewer(rewards):
    return rewards - rewards.sum() / (len(rewards) - 1)


def shortened(rewards):
    return (rewards - rewards.mean()) * (len(rewards) - 1) / len(rewards)


def without_the_best(rewards):
    return rewards - (rewards.sum() - rewards.max()) / (len(rewards) - 1)


def the_neighbour(rewards):
    return rewards - rewards.roll(1)


def reward_cases(rng, size):
    """Two to seven rewards, or the twenty of a batch; small, large, all alike."""
    count = rng.choice((size + 1, size + 1, 20))
    rewards = tensor(rng, count, low=0.0, high=rng.choice((1.0, 1.0, 1000.0)))
    if rng.random() < 0.15:
        rewards = torch.full_like(rewards, 0.5)
    return (rewards,)


# --- 08.7 build


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


def lower_only(ratio, advantage, clip):
    return (ratio < 1 - clip) & (advantage < 0)


def equal_ones_too(ratio, advantage, clip):
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return clipped * advantage <= ratio * advantage


def edges_too(ratio, advantage, clip):
    up = (ratio >= 1 + clip) & (advantage > 0)
    return up | ((ratio <= 1 - clip) & (advantage < 0))


def unpaid_too(ratio, advantage, clip):
    up = (ratio > 1 + clip) & (advantage >= 0)
    return up | ((ratio < 1 - clip) & (advantage <= 0))


def ratio_cases(rng, size):
    """Two to twelve samples, or twenty; on the edges, far off, unpaid."""
    n = rng.choice((2 * size, 2 * size, 20))
    most = rng.choice((16, 16, 8000))
    return (
        torch.tensor([rng.randint(1, most) / 8 for _ in range(n)]),  # exact in binary
        torch.tensor([rng.randint(-2, 2) / 4 for _ in range(n)]),
        rng.choice((0.125, 0.25, 0.5)),
    )


EXERCISES = (
    Exercise(
        name="sequence_log_prob", number="08.1", kind="build",
        minutes=10, difficulty=2, points=3,
        task="The log-probability of each row of choices, decision after decision.",
        reference=controller.sequence_log_prob,
        alternative=picked_at_once,
        probe=with_gradients,
        place="nas.controller.sequence_log_prob", importance=2,
        machine="the controller, when it draws cells and when it learns",
        machine_case=learning_by_ppo, milestone_calls=170,
        unchanged={
            "logarithm_of_the_product": "a row of the small space has ten decisions,"
            " and their product is far from the smallest float",
        },
        wrong=(
            Wrong(logarithms_multiplied, "You multiply logarithms. Probabilities"
                                         " multiply; their logarithms are added."),
            Wrong(probability_of_the_row, "That is the probability. Its logarithm is"
                                          " asked: leave out the exponential."),
            Wrong(probabilities_added, "You add probabilities. They multiply, so their"
                                       " logarithms are added: no exponential is"
                                       " needed."),
            Wrong(logarithm_of_the_product, "Right for a few decisions. A product of"
                                            " fifty small probabilities is 0 in float32"
                                            " and its logarithm minus infinity: add the"
                                            " logarithms instead."),
            Wrong(mean_of_the_decisions, "You take the mean over the decisions. The"
                                         " probability of a row is a product, so its"
                                         " logarithm is a sum."),
            Wrong(last_decision, "Only the last decision is in your answer. Does each"
                                 " turn of the loop add, or does it replace?"),
            Wrong(first_left_out, "The first decision is missing in your sum."),
            Wrong(all_options, "You add up all options of a decision. Only the token"
                               " that was chosen counts."),
            Wrong(likeliest_options, "You take the likeliest option of each decision."
                                     " The one that was chosen is asked."),
            Wrong(every_row_with_every_row, "log_p[:, token] takes the tokens of every"
                                            " row for every row: B x B numbers. Row i"
                                            " needs its own: log_p[rows, token], or"
                                            " gather."),
            Wrong(column_kept, "gather gives a column, (B, 1). A flat tensor (B,) is"
                               " asked: take [:, 0]."),
            Wrong(one_number_for_the_batch, "You add up the batch, too. Each row keeps"
                                            " its own sum."),
            Wrong(one_number_a_decision, "Those are the parts, one for each decision."
                                         " Add them up along each row."),
            Wrong(logarithm_again, "They are logarithms already, and negative: a second"
                                   " logarithm is not a number."),
            Wrong(surprise_instead, "The sign: that is the surprise, minus the"
                                    " log-probability."),
            Wrong(cut_off, "The value is right, but the gradient is lost, and with it"
                           " all learning: look for .item(), .detach() or"
                           " torch.tensor(...)."),
        ),
        hints=(
            "For one decision: log_p has a row for each sample and a column for each"
            " option. Pick in each row the column of its token.",
            "log_p.gather(1, token[:, None]) picks them, as a column (B, 1). [:, 0]"
            " makes it flat.",
            "Begin with total = 0, go over zip(log_probs, chosen), and add.",
        ),
        cases=sequence_cases,
        by_hand=(
            # State 0 with 3/4, then a pool with 1/2: 3/8. Gradient: 1 at what was
            # chosen.
            (([torch.tensor([[0.75, 0.25]]).log(), torch.tensor([[0.5, 0.5]]).log()],
              [torch.tensor([0]), torch.tensor([1])]),
             [torch.tensor([0.375]).log(), torch.tensor([[1.0, 0.0]]),
              torch.tensor([[0.0, 1.0]])]),
            # Two rows; their weights in the sum are 1 and 2.
            (([torch.tensor([[0.75, 0.25], [0.5, 0.5]]).log()],
              [torch.tensor([1, 0])]),
             [torch.tensor([0.25, 0.5]).log(), torch.tensor([[0.0, 1.0], [2.0, 0.0]])]),
            # The paper's fifty decisions, each even among ten: 10 to the power -50.
            ((50 * [torch.full((1, 10), 0.1).log()], 50 * [torch.tensor([3])]),
             [torch.tensor([-50 * math.log(10)])] + 50 * [torch.eye(10)[[3]]]),
        ),
        survivors={
            "line 16: `True` -> `False`":
            "it refuses lists of two lengths, and no case has such",
        },
    ),
    Exercise(
        name="reinforce_objective", number="08.2", kind="build",
        minutes=12, difficulty=2, points=4,
        task="What REINFORCE climbs: log-probabilities weighed by rewards.",
        reference=controller.reinforce_objective,
        alternative=weights_first,
        place="nas.controller.reinforce_objective", required=True, importance=3,
        machine="the controller's search, set to REINFORCE",
        machine_case=learning_by_reinforce, milestone_calls=10,
        unchanged={
            "ratio_form": "its gradient is the same, and only the gradient moves the"
            " weights",
        },
        wrong=(
            Wrong(no_baseline, "The baseline is missing: each reward counts by how far"
                               " it lies above it."),
            Wrong(baseline_outside, "You subtract the baseline after the mean. There it"
                                    " is a constant: its gradient is zero, so it does"
                                    " no work. It belongs inside, next to each"
                                    " reward."),
            Wrong(baseline_from_the_logarithm, "You subtract the baseline from the"
                                               " log-probability. It is compared with"
                                               " the reward: R - b."),
            Wrong(baseline_divided, "You divide by the baseline. It is subtracted: only"
                                    " then do rewards below it push a cell down."),
            Wrong(means_multiplied, "You take both means first, and multiply then. Each"
                                    " reward belongs to its own log-probability:"
                                    " multiply, then take the mean."),
            Wrong(downhill, "That is the loss, with a minus sign. Here the objective is"
                            " asked, the number that should rise; the machine turns its"
                            " sign."),
            Wrong(sum_over_batch, "You add up the batch. Equation 8.3 has a mean: twice"
                                  " the batch must not mean twice the step."),
            Wrong(not_averaged, "Those are the terms, one for each sample. One number"
                                " is asked, their mean."),
            Wrong(probability_itself, "The probability itself instead of its logarithm:"
                                      " each sample then counts twice by how likely"
                                      " it was. It was drawn in proportion already."),
            Wrong(logarithm_of_it_again, "log_p is a logarithm already, and negative: a"
                                         " second logarithm is not a number."),
            Wrong(mean_of_this_batch, "You subtract the mean of this batch, and not the"
                                      " baseline that was given. It depends on the"
                                      " samples, which costs 1/n of the gradient."),
            Wrong(standardised_advantage, "Dividing by the standard deviation is"
                                          " another trick, which changes the length of"
                                          " the step. Here it is not asked."),
            Wrong(advantage_alone, "Your value does not depend on log_p, so its"
                                   " gradient is zero and nothing is learned. Multiply"
                                   " each advantage by its log_p."),
            Wrong(no_gradient, "The value is right, but no gradient flows back through"
                               " log_p: look for .detach(), .item() or no_grad. The"
                               " rewards are numbers from outside, log_p is not."),
            Wrong(ratio_form, "Its gradient is right, and PPO begins like that. But"
                              " the value is not what is asked: advantage times log_p,"
                              " then the mean."),
        ),
        hints=(
            "First how much better each sample was than expected: reward less"
            " baseline.",
            "Weigh the log-probability of each sample with that, and only then take"
            " the mean over the batch.",
            "Three names: advantage, weighted, and weighted.mean().",
        ),
        cases=reinforce_cases,
        by_hand=(
            # (-1 * -0.5 + 1 * -2.5) / 2
            ((torch.tensor([-0.5, -2.5]), torch.tensor([1.0, 3.0]), 2.0),
             torch.tensor(-1.0)),
            # Even odds, A drawn: (0.8 - 0.7) * log 1/2.
            ((torch.tensor([0.5]).log(), torch.tensor([0.8]), 0.7),
             torch.tensor(-0.1 * math.log(2))),
            # Two rewards as far above the baseline as below, at even odds: they cancel.
            ((torch.tensor([0.5, 0.5]).log(), torch.tensor([0.8, 0.6]), 0.7),
             torch.tensor(0.0)),
            # Without a baseline it is 0.
            ((torch.tensor([-0.5, -2.5]), torch.tensor([1.0, 3.0])),
             torch.tensor(-4.0)),
        ),
        properties=(
            Property("if all rewards equal the baseline, the objective is 0",
                     lambda mine, log_p, rewards, *_:
                     abs(float(mine(log_p, torch.full_like(rewards, 0.5), 0.5)))
                     < 1e-4),
            Property("the same batch twice over gives the same",
                     lambda mine, log_p, rewards, *rest:
                     math.isclose(float(mine(log_p.repeat(2), rewards.repeat(2),
                                             *rest)),
                                  float(mine(log_p, rewards, *rest)),
                                  rel_tol=1e-4, abs_tol=1e-4)),
        ),
        gradient=(0,),
    ),
    Exercise(
        name="ppo_loss", number="08.3", kind="build",
        minutes=12, difficulty=3, points=4,
        task="The clipped objective of PPO, as a loss.",
        reference=controller.ppo_loss,
        alternative=worse_of_two,
        place="nas.controller.ppo_loss", importance=2,
        machine="the controller's search with several passes over a batch",
        machine_case=learning_by_ppo, milestone_calls=100,
        wrong=(
            Wrong(objective_not_loss, "The sign: that is the objective, which should"
                                      " rise. A loss is asked, which an optimizer makes"
                                      " smaller: minus the mean."),
            Wrong(never_clipped, "Nothing is clipped. Take for each sample the smaller"
                                 " of two products: with the ratio as it is, and with"
                                 " the ratio held between 1 - clip and 1 + clip."),
            Wrong(always_clipped, "You always take the clipped product. A sample that"
                                  " moved the wrong way then gets no gradient, and"
                                  " nothing pulls it back: take the smaller of both"
                                  " products."),
            Wrong(better_of_two, "The minus sign stands inside the minimum: the smaller"
                                 " loss is the larger objective. Take the minimum of"
                                 " the two products first, then turn the sign."),
            Wrong(clipped_where_good, "You clip good samples and leave bad ones as they"
                                      " are. The sign does not decide: for each sample"
                                      " the smaller of both products counts."),
            Wrong(means_compared, "You compare the two means. The smaller product is"
                                  " taken for each sample by itself, the mean comes"
                                  " last."),
            Wrong(logarithms_divided, "You divide logarithms. The ratio of two"
                                      " probabilities is the exponential of the"
                                      " difference of their logarithms."),
            Wrong(no_exponential, "log_p - old is the logarithm of the ratio. The"
                                  " exponential is missing: what has not moved has the"
                                  " ratio 1."),
            Wrong(ratio_turned_round, "The ratio is the wrong way round: now over then."
                                      " What has become likelier has a ratio above"
                                      " 1."),
            Wrong(clipped_around_zero, "You hold the ratio between -clip and clip. It"
                                       " is 1 when nothing has moved: 1 - clip to"
                                       " 1 + clip."),
            Wrong(clipped_above_only, "The lower end is missing: a bad sample that has"
                                      " become rare enough is left alone, too."),
            Wrong(logarithm_clipped, "You hold the logarithm of the ratio. The ratio"
                                     " itself stays between 1 - clip and 1 + clip."),
            Wrong(product_clipped, "You clip the product with the advantage. Clip the"
                                   " ratio first, then multiply."),
            Wrong(ppo_sum, "You add up the batch. Equation 8.5 has a mean."),
            Wrong(old_forgotten, "Your `old` is today's log_p, so the ratio is always 1"
                                 " and nothing is ever clipped. Use the one that was"
                                 " given."),
        ),
        hints=(
            "The ratio of two probabilities, from their logarithms: exp(log_p - old).",
            "Two products for each sample: ratio times advantage, and the clipped ratio"
            " times advantage. Which of them counts?",
            "torch.min(a, b) takes the smaller one, number by number. Then the mean,"
            " and then the sign.",
        ),
        cases=ppo_cases,
        by_hand=(
            # Good and 1.5 times as likely: worth 1.2. Bad and 1.5 times: -1.5.
            ((torch.tensor([0.3]).log(), torch.tensor([0.2]).log(),
              torch.tensor([1.0]), 0.2), torch.tensor(-1.2)),
            ((torch.tensor([0.3]).log(), torch.tensor([0.2]).log(),
              torch.tensor([-1.0]), 0.2), torch.tensor(1.5)),
            # Both together: (1.2 - 1.5) / 2, and the sign turned.
            ((torch.tensor([0.3, 0.3]).log(), torch.tensor([0.2, 0.2]).log(),
              torch.tensor([1.0, -1.0]), 0.2), torch.tensor(0.15)),
            # Nothing has moved: minus the mean advantage.
            ((torch.tensor([-2.0, -3.0]), torch.tensor([-2.0, -3.0]),
              torch.tensor([1.0, 2.0]), 0.2), torch.tensor(-1.5)),
        ),
        gradient=(0,),
    ),
    Exercise(
        name="too_high", number="08.4", kind="predict",
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
        name="calmest", number="08.5", kind="measure",
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
        name="leave_one_out", number="08.6", kind="build",
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
            Wrong(own_sum_over_fewer, "You divide by one less, but the sum still holds"
                                      " the sample itself."),
            Wrong(shortened, "The factor is upside down. The batch's own mean makes the"
                             " advantage too short by (n - 1) / n: multiply by"
                             " n / (n - 1)."),
            Wrong(without_the_best, "You leave out the best sample for all of them."
                                    " Each sample leaves out itself."),
            Wrong(the_neighbour, "That is the difference to one neighbour. The mean of"
                                 " all others is asked."),
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
                     lambda mine, rewards: torch.allclose(
                         mine(rewards + 3), mine(rewards),
                         atol=1e-5 * (3 + float(rewards.abs().max())))),
        ),
    ),
    Exercise(
        name="silenced", number="08.7", kind="build",
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
            Wrong(lower_only, "The upper end is missing: a good sample that has become"
                              " likely enough is left alone, too."),
            Wrong(equal_ones_too, "Where both products are equal the answer is False:"
                                  " inside of the range the clip changes nothing."),
            Wrong(edges_too, "On the edge itself both products are equal, so the answer"
                             " there is False: > and <, not >= and <=."),
            Wrong(unpaid_too, "With an advantage of 0 both products are 0, so they are"
                              " equal, and the answer is False."),
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
                   "Exercise 08.4 has the baseline far off, and the mean of the two"
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
