"""Chapter 09: answers from the task texts."""

import heapq

import numpy as np
import torch

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("one_shot.steps_trained", 360, "steps in which both have it counted twice")
wrong_value("one_shot.steps_trained", 320, "exactly one of the sides has it")
wrong_value("one_shot.steps_trained", 180, "one side only")
right_value("one_shot.steps_trained", 340)

wrong_value("one_shot.decided", 0.25, "the first at which it has less")
wrong_value("one_shot.decided", 0.15, "one step too careful")
wrong_value("one_shot.decided", 0.30, "a share of 0.8")
right_value("one_shot.decided", 0.2)
right_value("one_shot.decided", 0.20)


@wrong("one_shot.regret_at", "one cell more than can be afforded")
def regret_more(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth) - max(truth[i] for i in order[: k + 1])


@wrong("one_shot.regret_at", "the mean of the chosen cells")
def regret_mean(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])[:k]
    return max(truth) - sum(truth[i] for i in order) / k


@wrong("one_shot.regret_at", "as a share of the best")
def regret_share(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])[:k]
    return (max(truth) - max(truth[i] for i in order)) / max(truth)


@wrong("one_shot.regret_at", "the best of the rest, so it can be below 0")
def regret_rest(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    if k >= len(scores):
        return 0
    rest = max(truth[i] for i in order[k:])
    return rest - max(truth[i] for i in order[:k])


@wrong("one_shot.regret_at", "the last of the k, not their best")
def regret_last(scores, truth, k):
    rows = sorted(zip(scores, truth, strict=True), reverse=True)
    return max(truth) - rows[k - 1][1]


@right("one_shot.regret_at")
def regret_sorted(scores, truth, k):
    order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
    return max(truth) - max(truth[i] for i in order[:k])


@right("one_shot.regret_at")
def regret_heap(scores, truth, k):
    held = heapq.nlargest(k, zip(scores, truth, strict=True))
    return max(truth) - max(t for _, t in held)


@right("one_shot.regret_at")
def regret_numpy(scores, truth, k):
    t = np.array(truth, dtype=float)
    top = np.argpartition(-np.array(scores, dtype=float), k - 1)[:k]
    return float(t.max() - t[top].max())


@wrong("one_shot.naswot", "counts the units that are on in both")
def naswot_both_on(codes):
    c = codes.double()
    return torch.linalg.slogdet(c @ c.T)[1]


@wrong("one_shot.naswot", "the logarithm of a determinant that is too large")
def naswot_overflow(codes):
    c = codes.double()
    return (c @ c.T + (1 - c) @ (1 - c).T).det().log()


@wrong("one_shot.naswot", "the share of units that agree")
def naswot_share(codes):
    c = codes.double()
    k = c @ c.T + (1 - c) @ (1 - c).T
    return torch.linalg.slogdet(k / codes.shape[1])[1]


@wrong("one_shot.naswot", "the product of the diagonal")
def naswot_diagonal(codes):
    c = codes.double()
    k = c @ c.T + (1 - c) @ (1 - c).T
    return k.diagonal().log().sum()


@wrong("one_shot.naswot", "compares units, not images")
def naswot_units(codes):
    c = codes.double()
    return torch.linalg.slogdet(c.T @ c + (1 - c).T @ (1 - c))[1]


@right("one_shot.naswot")
def naswot_slogdet(codes):
    c = codes.double()
    return torch.linalg.slogdet(c @ c.T + (1 - c) @ (1 - c).T)[1]


@right("one_shot.naswot")
def naswot_signs(codes):
    s = 2 * codes.double() - 1
    return torch.logdet((s @ s.T + codes.shape[1]) / 2)


@right("one_shot.naswot")
def naswot_equal(codes):
    k = (codes[:, None] == codes[None]).sum(dim=2).numpy()
    return torch.tensor(np.linalg.slogdet(k.astype(float))[1], dtype=torch.float64)
