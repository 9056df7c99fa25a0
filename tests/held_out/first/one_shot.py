"""Chapter 09: answers from the task texts."""

import heapq
import math

import numpy as np
import torch

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("one_shot.steps_trained", 180, "one of the two sides only")
wrong_value("one_shot.steps_trained", 360, "both sides added: two at once count double")
wrong_value("one_shot.steps_trained", 20, "both sides must choose it")
wrong_value("one_shot.steps_trained", 320, "exactly one of the sides")
wrong_value("one_shot.steps_trained", 540, "one operation of three, any state")
right_value("one_shot.steps_trained", 340)
right_value("one_shot.steps_trained", 1620 * (1 - (8 / 9) ** 2))

wrong_value("one_shot.decided", 0.25, "the first below 0.9")
wrong_value("one_shot.decided", 0.15, "one step too careful")
wrong_value("one_shot.decided", 0.05, "the smallest temperature")
wrong_value("one_shot.decided", 5, "a factor on alpha, not a temperature")
wrong_value("one_shot.decided", 1.0, "the stub's, unchanged")
right_value("one_shot.decided", 0.2)
right_value("one_shot.decided", 4 * 0.05)


@wrong("one_shot.regret_at", "the lowest scores")
def regret_1(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: scores[i])
    return max(truth) - max(truth[i] for i in order[:k])


@wrong("one_shot.regret_at", "the first by score alone, whatever k is")
def regret_2(scores, truth, k):
    first = max(range(len(scores)), key=lambda i: scores[i])
    return max(truth) - truth[first]


@wrong("one_shot.regret_at", "the mean of those chosen")
def regret_3(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth) - sum(truth[i] for i in order[:k]) / k


@wrong("one_shot.regret_at", "the wrong sign")
def regret_4(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth[i] for i in order[:k]) - max(truth)


@wrong("one_shot.regret_at", "the quality of the best held")
def regret_5(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth[i] for i in order[:k])


@wrong("one_shot.regret_at", "a share of the best")
def regret_6(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return 1 - max(truth[i] for i in order[:k]) / max(truth)


@wrong("one_shot.regret_at", "the k-th by score, not the best of the k")
def regret_7(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth) - truth[order[k - 1]]


@wrong("one_shot.regret_at", "one cell too many")
def regret_8(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth) - max(truth[i] for i in order[: k + 1])


@right("one_shot.regret_at")
def regret_9(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: scores[i], reverse=True)
    return max(truth) - max(truth[i] for i in order[:k])


@right("one_shot.regret_at")
def regret_10(scores, truth, k):
    chosen = np.argsort(-np.asarray(scores, dtype=float))[:k]
    truth = np.asarray(truth, dtype=float)
    return float(truth.max() - truth[chosen].max())


@right("one_shot.regret_at")
def regret_11(scores, truth, k):
    held = heapq.nlargest(k, zip(scores, truth, strict=True))
    return max(truth) - max(t for _, t in held)


@right("one_shot.regret_at")
def regret_12(scores, truth, k):
    best_held = None
    for mine, value in zip(scores, truth, strict=True):
        rank = sum(other > mine for other in scores)
        if rank < k and (best_held is None or value > best_held):
            best_held = value
    return max(truth) - best_held


@wrong("one_shot.naswot", "units that are both on: agreeing zeros are forgotten")
def agree_1(codes):
    c = codes.double()
    return torch.linalg.slogdet(c @ c.T).logabsdet


@wrong("one_shot.naswot", "counts the units that differ")
def agree_2(codes):
    c = codes.double()
    k = c @ (1 - c).T + (1 - c) @ c.T
    return torch.linalg.slogdet(k).logabsdet


@wrong("one_shot.naswot", "the determinant first, then its log: infinite")
def agree_3(codes):
    c = codes.double()
    k = c @ c.T + (1 - c) @ (1 - c).T
    return torch.log(torch.linalg.det(k))


@wrong("one_shot.naswot", "shares of the units in place of numbers")
def agree_5(codes):
    c = codes.double()
    k = (c @ c.T + (1 - c) @ (1 - c).T) / codes.shape[1]
    return torch.linalg.slogdet(k).logabsdet


@wrong("one_shot.naswot", "compares units, not images")
def agree_6(codes):
    c = codes.double()
    k = c.T @ c + (1 - c).T @ (1 - c)
    return torch.linalg.slogdet(k).logabsdet


@wrong("one_shot.naswot", "the logarithm to base ten")
def agree_7(codes):
    c = codes.double()
    k = c @ c.T + (1 - c) @ (1 - c).T
    return torch.linalg.slogdet(k).logabsdet / math.log(10)


@wrong("one_shot.naswot", "the sign, the first of what slogdet returns")
def agree_8(codes):
    c = codes.double()
    k = c @ c.T + (1 - c) @ (1 - c).T
    return torch.linalg.slogdet(k)[0]


@right("one_shot.naswot")
def agree_9(codes):
    c = codes.double()
    k = c @ c.T + (1 - c) @ (1 - c).T
    return torch.linalg.slogdet(k).logabsdet


@right("one_shot.naswot")
def agree_10(codes):
    c = codes.to(torch.float64)
    differ = torch.cdist(c, c, p=1)
    return torch.slogdet(codes.shape[1] - differ)[1]


@right("one_shot.naswot")
def agree_11(codes):
    c = codes.numpy().astype(int)
    n = len(c)
    k = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            k[i, j] = np.count_nonzero(c[i] == c[j])
    return torch.tensor(np.linalg.slogdet(k)[1], dtype=torch.float64)


@right("one_shot.naswot")
def agree_12(codes):
    k = (codes[:, None, :] == codes[None, :, :]).sum(-1).double()
    _, r = torch.linalg.qr(k)
    return r.diagonal().abs().log().sum()
