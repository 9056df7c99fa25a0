"""Chapter 08: answers from the task texts."""

import torch
from torch.nn.functional import nll_loss, one_hot

from tests.held_out import right, right_value, wrong, wrong_value


@wrong("controller.sequence_log_prob", "a new tensor of numbers: no gradient")
def sequence_numbers(log_probs, chosen):
    out = []
    for i in range(len(chosen[0])):
        out.append(
            sum(float(p[i, c[i]]) for p, c in zip(log_probs, chosen, strict=True))
        )
    return torch.tensor(out)


@wrong("controller.sequence_log_prob", "all cells look up the row of the first")
def sequence_first_row(log_probs, chosen):
    return sum(p[0, c] for p, c in zip(log_probs, chosen, strict=True))


@wrong("controller.sequence_log_prob", "the mean over the decisions")
def sequence_mean(log_probs, chosen):
    rows = [
        p.gather(1, c[:, None])[:, 0] for p, c in zip(log_probs, chosen, strict=True)
    ]
    return torch.stack(rows).mean(dim=0)


@wrong("controller.sequence_log_prob", "adds up the tokens of all cells")
def sequence_all_tokens(log_probs, chosen):
    return sum(p[:, c].sum(dim=1) for p, c in zip(log_probs, chosen, strict=True))


@wrong("controller.sequence_log_prob", "adds probabilities, then takes the log")
def sequence_log_of_sum(log_probs, chosen):
    rows = [
        p.gather(1, c[:, None])[:, 0] for p, c in zip(log_probs, chosen, strict=True)
    ]
    return torch.stack(rows).exp().sum(dim=0).log()


@right("controller.sequence_log_prob")
def sequence_gather(log_probs, chosen):
    rows = [
        p.gather(1, c[:, None]).squeeze(1)
        for p, c in zip(log_probs, chosen, strict=True)
    ]
    return torch.stack(rows).sum(dim=0)


@right("controller.sequence_log_prob")
def sequence_one_hot(log_probs, chosen):
    total = 0
    for p, c in zip(log_probs, chosen, strict=True):
        total = total + (p * one_hot(c, p.shape[1])).sum(dim=1)
    return total


@right("controller.sequence_log_prob")
def sequence_nll(log_probs, chosen):
    total = torch.zeros(len(chosen[0]))
    for p, c in zip(log_probs, chosen, strict=True):
        total = total - nll_loss(p, c, reduction="none")
    return total


@wrong("controller.reinforce_objective", "the sum over the samples")
def reinforce_sum(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p).sum()


@wrong("controller.reinforce_objective", "the product of two means")
def reinforce_means(log_p, rewards, baseline=0.0):
    return (rewards - baseline).mean() * log_p.mean()


@wrong("controller.reinforce_objective", "a baseline of 0 becomes the mean reward")
def reinforce_default(log_p, rewards, baseline=0.0):
    b = baseline or rewards.mean()
    return ((rewards - b) * log_p).mean()


@wrong("controller.reinforce_objective", "the baseline goes off the mean at the end")
def reinforce_late(log_p, rewards, baseline=0.0):
    return (rewards * log_p).mean() - baseline


@wrong("controller.reinforce_objective", "the probability, not its logarithm")
def reinforce_exp(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p.exp()).mean()


@right("controller.reinforce_objective")
def reinforce_mean(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p).mean()


@right("controller.reinforce_objective")
def reinforce_dot(log_p, rewards, baseline=0.0):
    return torch.dot(rewards - baseline, log_p) / len(rewards)


@right("controller.reinforce_objective")
def reinforce_loop(log_p, rewards, baseline=0.0):
    total = 0.0
    for i in range(log_p.shape[0]):
        total = total + (rewards[i] - baseline) * log_p[i]
    return total / log_p.shape[0]


@wrong("controller.ppo_loss", "the smaller ratio, whatever the sign of the advantage")
def ppo_smaller_ratio(log_p, old, advantage, clip):
    ratio = (log_p - old).exp()
    return -(torch.minimum(ratio, ratio.clamp(1 - clip, 1 + clip)) * advantage).mean()


@wrong("controller.ppo_loss", "clips at the top only")
def ppo_top(log_p, old, advantage, clip):
    ratio = (log_p - old).exp()
    clipped = ratio.clamp(max=1 + clip)
    return -torch.minimum(ratio * advantage, clipped * advantage).mean()


@wrong("controller.ppo_loss", "clips the logarithm of the ratio")
def ppo_log_clip(log_p, old, advantage, clip):
    difference = log_p - old
    ratio, clipped = difference.exp(), difference.clamp(-clip, clip).exp()
    return -torch.minimum(ratio * advantage, clipped * advantage).mean()


@wrong("controller.ppo_loss", "the quotient of the logarithms")
def ppo_quotient(log_p, old, advantage, clip):
    ratio = log_p / old
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantage, clipped * advantage).mean()


@wrong("controller.ppo_loss", "the minus goes inside the minimum")
def ppo_minus_inside(log_p, old, advantage, clip):
    ratio = (log_p - old).exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return torch.minimum(-ratio * advantage, -clipped * advantage).mean()


@right("controller.ppo_loss")
def ppo_minimum(log_p, old, advantage, clip):
    ratio = torch.exp(log_p - old)
    clipped = torch.clamp(ratio, 1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantage, clipped * advantage).mean()


@right("controller.ppo_loss")
def ppo_cases(log_p, old, advantage, clip):
    ratio = log_p.exp() / old.exp()
    good = ratio.clamp(max=1 + clip)
    bad = ratio.clamp(min=1 - clip)
    return -(torch.where(advantage > 0, good, bad) * advantage).mean()


@right("controller.ppo_loss")
def ppo_loop(log_p, old, advantage, clip):
    terms = []
    for now, before, a in zip(log_p, old, advantage, strict=True):
        ratio = (now - before).exp()
        plain = ratio * a
        cut = ratio.clamp(1 - clip, 1 + clip) * a
        terms.append(-cut if cut < plain else -plain)
    return torch.stack(terms).mean()


wrong_value("controller.too_high", 0.0225, "the variance")
wrong_value("controller.too_high", 0.05, "the mean of the estimate")
wrong_value("controller.too_high", 0.30, "the distance of the two estimates")
right_value("controller.too_high", 0.15)

wrong_value("controller.calmest", 0.78, "the mean reward")
wrong_value("controller.calmest", 0.70, "the middle of the two rewards")
wrong_value("controller.calmest", 0.80, "the reward of A, the likely one")
right_value("controller.calmest", 0.62)


@wrong("controller.leave_one_out", "the reward of one other, its neighbour")
def leave_neighbour(rewards):
    return rewards - rewards.roll(1)


@wrong("controller.leave_one_out", "the baselines, not the advantages")
def leave_baselines(rewards):
    return (rewards.sum() - rewards) / (len(rewards) - 1)


@wrong("controller.leave_one_out", "the others' sum divided by all")
def leave_divisor(rewards):
    return rewards - (rewards.sum() - rewards) / len(rewards)


@wrong("controller.leave_one_out", "baseline minus reward")
def leave_sign(rewards):
    return (rewards.sum() - rewards) / (len(rewards) - 1) - rewards


@wrong("controller.leave_one_out", "the best of the others")
def leave_best(rewards):
    n = len(rewards)
    others = [torch.cat([rewards[:i], rewards[i + 1 :]]) for i in range(n)]
    return rewards - torch.stack([o.max() for o in others])


@right("controller.leave_one_out")
def leave_sum(rewards):
    return rewards - (rewards.sum() - rewards) / (rewards.numel() - 1)


@right("controller.leave_one_out")
def leave_stretched(rewards):
    n = len(rewards)
    return (rewards - rewards.mean()) * n / (n - 1)


@right("controller.leave_one_out")
def leave_loop(rewards):
    out = rewards.clone()
    for i in range(len(rewards)):
        keep = torch.ones(len(rewards), dtype=torch.bool)
        keep[i] = False
        out[i] = rewards[i] - rewards[keep].mean()
    return out


@wrong("controller.silenced", "all ratios outside of the clip")
def silenced_outside(ratio, advantage, clip):
    return (ratio < 1 - clip) | (ratio > 1 + clip)


@wrong("controller.silenced", "only good samples can be silenced")
def silenced_good(ratio, advantage, clip):
    return (advantage > 0) & (ratio > 1 + clip)


@wrong("controller.silenced", "equal products count")
def silenced_equal(ratio, advantage, clip):
    return ratio.clamp(1 - clip, 1 + clip) * advantage <= ratio * advantage


@wrong("controller.silenced", "a sample without advantage counts as bad")
def silenced_without(ratio, advantage, clip):
    good = advantage > 0
    return torch.where(good, ratio > 1 + clip, ratio < 1 - clip)


@wrong("controller.silenced", "bad samples that became likelier")
def silenced_likelier(ratio, advantage, clip):
    up = ratio > 1 + clip
    down = ratio < 1 - clip
    return ((advantage > 0) & down) | ((advantage < 0) & up)


@right("controller.silenced")
def silenced_products(ratio, advantage, clip):
    return ratio.clamp(1 - clip, 1 + clip) * advantage < ratio * advantage


@right("controller.silenced")
def silenced_cases(ratio, advantage, clip):
    high = (advantage > 0) & (ratio > 1 + clip)
    low = (advantage < 0) & (ratio < 1 - clip)
    return high | low


@right("controller.silenced")
def silenced_loop(ratio, advantage, clip):
    out = torch.zeros(len(ratio), dtype=torch.bool)
    for i, (r, a) in enumerate(zip(ratio, advantage, strict=True)):
        out[i] = r.clamp(1 - clip, 1 + clip) * a < r * a
    return out
