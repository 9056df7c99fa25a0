"""Chapter 08: answers from the task texts."""

import torch
import torch.nn.functional as F

from tests.held_out import right, right_value, wrong, wrong_value


@wrong("controller.sequence_log_prob", "one sum over all cells")
def sequence_1(log_probs, chosen):
    return sum(
        lp.gather(1, c[:, None]).sum() for lp, c in zip(log_probs, chosen, strict=True)
    )


@wrong("controller.sequence_log_prob", "the mean over the decisions")
def sequence_2(log_probs, chosen):
    parts = [
        lp.gather(1, c[:, None])[:, 0] for lp, c in zip(log_probs, chosen, strict=True)
    ]
    return torch.stack(parts).mean(0)


@wrong("controller.sequence_log_prob", "the likeliest token, not the chosen one")
def sequence_3(log_probs, chosen):
    return sum(lp.max(dim=1).values for lp in log_probs)


@wrong("controller.sequence_log_prob", "the logarithms are multiplied")
def sequence_4(log_probs, chosen):
    out = torch.ones(chosen[0].shape[0])
    for lp, c in zip(log_probs, chosen, strict=True):
        out = out * lp[torch.arange(len(c)), c]
    return out


@wrong("controller.sequence_log_prob", "the probability, not its logarithm")
def sequence_5(log_probs, chosen):
    out = 0
    for lp, c in zip(log_probs, chosen, strict=True):
        out = out + lp[torch.arange(len(c)), c]
    return out.exp()


@wrong("controller.sequence_log_prob", "gradients are cut off")
def sequence_6(log_probs, chosen):
    rows = []
    for i in range(len(chosen[0])):
        rows.append(
            sum(lp[i, c[i]].item() for lp, c in zip(log_probs, chosen, strict=True))
        )
    return torch.tensor(rows)


@wrong("controller.sequence_log_prob", "only the last decision")
def sequence_7(log_probs, chosen):
    for lp, c in zip(log_probs, chosen, strict=True):
        total = lp.gather(1, c.unsqueeze(1)).squeeze(1)
    return total


@wrong("controller.sequence_log_prob", "the sign of a loss: minus the sum")
def sequence_8(log_probs, chosen):
    return sum(
        F.nll_loss(lp, c, reduction="none")
        for lp, c in zip(log_probs, chosen, strict=True)
    )


@right("controller.sequence_log_prob")
def sequence_9(log_probs, chosen):
    total = 0
    for lp, c in zip(log_probs, chosen, strict=True):
        total = total + lp.gather(1, c.unsqueeze(1)).squeeze(1)
    return total


@right("controller.sequence_log_prob")
def sequence_10(log_probs, chosen):
    rows = torch.arange(chosen[0].shape[0])
    parts = [lp[rows, c] for lp, c in zip(log_probs, chosen, strict=True)]
    return torch.stack(parts, dim=0).sum(dim=0)


@right("controller.sequence_log_prob")
def sequence_11(log_probs, chosen):
    cells = []
    for i in range(chosen[0].shape[0]):
        terms = [lp[i, int(c[i])] for lp, c in zip(log_probs, chosen, strict=True)]
        cells.append(torch.stack(terms).sum())
    return torch.stack(cells)


@right("controller.sequence_log_prob")
def sequence_12(log_probs, chosen):
    return -sum(
        F.nll_loss(lp, c, reduction="none")
        for lp, c in zip(log_probs, chosen, strict=True)
    )


@wrong("controller.reinforce_objective", "a minus, as for a loss")
def climb_1(log_p, rewards, baseline=0.0):
    return -((rewards - baseline) * log_p).mean()


@wrong("controller.reinforce_objective", "the sum, not the mean")
def climb_2(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p).sum()


@wrong("controller.reinforce_objective", "the baseline is ignored")
def climb_3(log_p, rewards, baseline=0.0):
    return (rewards * log_p).mean()


@wrong("controller.reinforce_objective", "the baseline is taken off after the product")
def climb_4(log_p, rewards, baseline=0.0):
    return (rewards * log_p - baseline).mean()


@wrong("controller.reinforce_objective", "the probability in place of its logarithm")
def climb_5(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p.exp()).mean()


@wrong("controller.reinforce_objective", "log_p is detached: no gradient")
def climb_6(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p.detach()).mean()


@wrong("controller.reinforce_objective", "one number for each sample")
def climb_7(log_p, rewards, baseline=0.0):
    return (rewards - baseline) * log_p / len(rewards)


@wrong("controller.reinforce_objective", "the mean of each, then the product")
def climb_8(log_p, rewards, baseline=0.0):
    return (rewards - baseline).mean() * log_p.mean()


@right("controller.reinforce_objective")
def climb_9(log_p, rewards, baseline=0.0):
    return ((rewards - baseline) * log_p).mean()


@right("controller.reinforce_objective")
def climb_10(log_p, rewards, baseline=0.0):
    return torch.dot(rewards - baseline, log_p) / log_p.numel()


@right("controller.reinforce_objective")
def climb_11(log_p, rewards, baseline=0.0):
    total = 0.0
    for i in range(len(log_p)):
        total = total + (rewards[i].item() - baseline) * log_p[i]
    return total / len(log_p)


@right("controller.reinforce_objective")
def climb_12(log_p, rewards, baseline=0.0):
    return (rewards * log_p).mean() - baseline * log_p.mean()


@wrong("controller.ppo_loss", "the minus is missing")
def ppo_1(log_p, old, advantage, clip):
    ratio = (log_p - old).exp()
    cut = ratio.clamp(1 - clip, 1 + clip)
    return torch.min(ratio * advantage, cut * advantage).mean()


@wrong("controller.ppo_loss", "the larger of both")
def ppo_2(log_p, old, advantage, clip):
    ratio = (log_p - old).exp()
    cut = ratio.clamp(1 - clip, 1 + clip)
    return -torch.max(ratio * advantage, cut * advantage).mean()


@wrong("controller.ppo_loss", "always the clipped product")
def ppo_3(log_p, old, advantage, clip):
    ratio = (log_p - old).exp()
    return -(ratio.clamp(1 - clip, 1 + clip) * advantage).mean()


@wrong("controller.ppo_loss", "the sum, not the mean")
def ppo_4(log_p, old, advantage, clip):
    ratio = (log_p - old).exp()
    cut = ratio.clamp(1 - clip, 1 + clip)
    return -torch.min(ratio * advantage, cut * advantage).sum()


@wrong("controller.ppo_loss", "the ratio of the logarithms")
def ppo_5(log_p, old, advantage, clip):
    ratio = log_p / old
    cut = ratio.clamp(1 - clip, 1 + clip)
    return -torch.min(ratio * advantage, cut * advantage).mean()


@wrong("controller.ppo_loss", "the ratio upside down")
def ppo_6(log_p, old, advantage, clip):
    ratio = (old - log_p).exp()
    cut = ratio.clamp(1 - clip, 1 + clip)
    return -torch.min(ratio * advantage, cut * advantage).mean()


@wrong("controller.ppo_loss", "the smaller ratio first, then times the advantage")
def ppo_7(log_p, old, advantage, clip):
    ratio = (log_p - old).exp()
    cut = ratio.clamp(1 - clip, 1 + clip)
    return -(torch.min(ratio, cut) * advantage).mean()


@wrong("controller.ppo_loss", "the minimum of the two means")
def ppo_8(log_p, old, advantage, clip):
    ratio = (log_p - old).exp()
    cut = ratio.clamp(1 - clip, 1 + clip)
    return -torch.min((ratio * advantage).mean(), (cut * advantage).mean())


@right("controller.ppo_loss")
def ppo_9(log_p, old, advantage, clip):
    ratio = (log_p - old).exp()
    cut = ratio.clamp(1 - clip, 1 + clip)
    return -torch.min(ratio * advantage, cut * advantage).mean()


@right("controller.ppo_loss")
def ppo_10(log_p, old, advantage, clip):
    ratio = torch.exp(log_p - old)
    bounded = torch.where(
        advantage > 0,
        torch.clamp(ratio, max=1 + clip),
        torch.clamp(ratio, min=1 - clip),
    )
    return -torch.mean(bounded * advantage)


@right("controller.ppo_loss")
def ppo_11(log_p, old, advantage, clip):
    losses = []
    for now, before, a in zip(log_p, old, advantage, strict=True):
        rho = torch.exp(now - before)
        plain = rho * a
        clipped = torch.clamp(rho, 1 - clip, 1 + clip) * a
        losses.append(-plain if plain <= clipped else -clipped)
    return torch.stack(losses).mean()


@right("controller.ppo_loss")
def ppo_12(log_p, old, advantage, clip):
    ratio = (log_p - old).exp()
    both = torch.stack([ratio, ratio.clip(1 - clip, 1 + clip)]) * -advantage
    return both.amax(dim=0).sum() / len(ratio)


wrong_value("controller.too_high", 0.0225, "the variance")
wrong_value("controller.too_high", 0.35, "without a baseline")
wrong_value("controller.too_high", 0.05, "the mean: the signal")
wrong_value("controller.too_high", 0.3, "the distance between the two estimates")
wrong_value("controller.too_high", 0.2121, "divided by n - 1, as for a sample")
right_value("controller.too_high", 0.15)
right_value("controller.too_high", ((0.1**2 + 0.2**2) / 2 - 0.05**2) ** 0.5)

wrong_value("controller.calmest", 0.78, "the mean reward")
wrong_value("controller.calmest", 0.7, "the mean reward at even odds")
wrong_value("controller.calmest", 0.6, "the reward of B")
wrong_value("controller.calmest", 0.8, "the reward of A")
wrong_value("controller.calmest", 0.5, "the stub's, unchanged")
right_value("controller.calmest", 0.62)
right_value("controller.calmest", (0.9 * 0.01 * 0.8 + 0.1 * 0.81 * 0.6) / 0.09)


@wrong("controller.leave_one_out", "the mean of all, itself among them")
def others_1(rewards):
    return rewards - rewards.mean()


@wrong("controller.leave_one_out", "the others' sum is divided by B")
def others_2(rewards):
    return rewards - (rewards.sum() - rewards) / len(rewards)


@wrong("controller.leave_one_out", "the baselines, not the advantages")
def others_3(rewards):
    return (rewards.sum() - rewards) / (len(rewards) - 1)


@wrong("controller.leave_one_out", "baseline minus reward")
def others_4(rewards):
    return (rewards.sum() - rewards) / (len(rewards) - 1) - rewards


@wrong("controller.leave_one_out", "all rewards, divided by B - 1")
def others_5(rewards):
    return rewards - rewards.sum() / (len(rewards) - 1)


@wrong("controller.leave_one_out", "the others' sum, not their mean")
def others_6(rewards):
    return rewards - (rewards.sum() - rewards)


@wrong("controller.leave_one_out", "only the next one of the batch")
def others_7(rewards):
    return rewards - rewards.roll(-1)


@wrong("controller.leave_one_out", "the last one is left out for all")
def others_8(rewards):
    return rewards - rewards[:-1].mean()


@right("controller.leave_one_out")
def others_9(rewards):
    return rewards - (rewards.sum() - rewards) / (len(rewards) - 1)


@right("controller.leave_one_out")
def others_10(rewards):
    n = rewards.numel()
    return (rewards - rewards.mean()) * n / (n - 1)


@right("controller.leave_one_out")
def others_11(rewards):
    out = torch.empty_like(rewards)
    for i in range(len(rewards)):
        out[i] = rewards[i] - torch.cat([rewards[:i], rewards[i + 1 :]]).mean()
    return out


@right("controller.leave_one_out")
def others_12(rewards):
    n = len(rewards)
    weights = (1 - torch.eye(n, dtype=rewards.dtype)) / (n - 1)
    return rewards - weights @ rewards


@wrong("controller.silenced", "all ratios that are clipped")
def silent_1(ratio, advantage, clip):
    return (ratio < 1 - clip) | (ratio > 1 + clip)


@wrong("controller.silenced", "equal products count, too")
def silent_2(ratio, advantage, clip):
    return ratio.clamp(1 - clip, 1 + clip) * advantage <= ratio * advantage


@wrong("controller.silenced", "those where the plain product is smaller")
def silent_3(ratio, advantage, clip):
    return ratio.clamp(1 - clip, 1 + clip) * advantage > ratio * advantage


@wrong("controller.silenced", "those that keep their gradient")
def silent_4(ratio, advantage, clip):
    return ~(ratio.clamp(1 - clip, 1 + clip) * advantage < ratio * advantage)


@wrong("controller.silenced", "good samples only")
def silent_5(ratio, advantage, clip):
    return (advantage > 0) & (ratio > 1 + clip)


@wrong("controller.silenced", "compares the ratios without their advantages")
def silent_6(ratio, advantage, clip):
    return ratio.clamp(1 - clip, 1 + clip) < ratio


@wrong("controller.silenced", "the sides of bad samples are mixed up")
def silent_7(ratio, advantage, clip):
    good = (advantage > 0) & (ratio > 1 + clip)
    bad = (advantage < 0) & (ratio > 1 - clip)
    return good | bad


@wrong("controller.silenced", "the ratio is compared with clip itself")
def silent_8(ratio, advantage, clip):
    return ratio.clamp(-clip, clip) * advantage < ratio * advantage


@right("controller.silenced")
def silent_9(ratio, advantage, clip):
    return ratio.clamp(1 - clip, 1 + clip) * advantage < ratio * advantage


@right("controller.silenced")
def silent_10(ratio, advantage, clip):
    good = (advantage > 0) & (ratio > 1 + clip)
    bad = (advantage < 0) & (ratio < 1 - clip)
    return good | bad


@right("controller.silenced")
def silent_11(ratio, advantage, clip):
    out = torch.zeros(ratio.shape, dtype=torch.bool)
    for i in range(len(ratio)):
        if advantage[i] > 0:
            out[i] = ratio[i] > 1 + clip
        elif advantage[i] < 0:
            out[i] = ratio[i] < 1 - clip
    return out


@right("controller.silenced")
def silent_12(ratio, advantage, clip):
    plain = ratio * advantage
    clipped = torch.clip(ratio, 1 - clip, 1 + clip) * advantage
    return torch.minimum(plain, clipped).ne(plain)
