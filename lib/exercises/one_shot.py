"""Exercises and quiz of chapter 09: one-shot search and proxies."""

from fractions import Fraction

import torch

from lib.exercises import Exercise, Option, Property, Question, Wrong
from lib.nas import one_shot, search_space

# --- 09.1 predict

PAIRS = 9  # a side of block 1 chooses: inputs 0, 1, 2 with three operations each
STEPS = 1620


def steps_trained() -> int:
    """Steps, on average, in which one pair of block 1 lies on the sampled path."""
    share = 1 - (1 - Fraction(1, PAIRS)) ** 2
    return int(STEPS * share)


# --- 09.2 measure

ALPHA = (1.5, 1.0, 0.5, 0.0, 0.0, 0.0)


def decided() -> float:
    """Largest multiple of 0.05 at which the strongest pair has a share of 0.9."""
    steps = 40
    while _strongest(steps) < 0.9:
        steps -= 1
    return steps / 20


def _strongest(steps: int) -> float:
    return torch.softmax(torch.tensor(ALPHA) / (steps / 20), 0)[0].item()


def decided_too_warm() -> float:
    return decided() + 0.05


def decided_by_half() -> float:
    steps = 40
    while _strongest(steps) < 0.5:
        steps -= 1
    return steps / 20


# --- 09.3 build


def regret_at(scores, truth, k):
    """What the best of the k highest scores lacks to the best cell of all."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth) - max(truth[i] for i in order[:k])


def regret_at_2(scores, truth, k):
    """Take the highest score away k times."""
    left = list(zip(scores, truth, strict=True))
    found = []
    for _ in range(k):
        best = max(left)
        left.remove(best)
        found.append(best[1])
    return max(truth) - max(found)


def lowest_first(scores, truth, k):
    return regret_at([-s for s in scores], truth, k)


def only_the_first(scores, truth, k):
    return regret_at(scores, truth, 1)


def mean_of_k(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth) - sum(truth[i] for i in order[:k]) / k


def the_best_itself(scores, truth, k):
    return max(truth) - regret_at(scores, truth, k)


def scores_for_truth(scores, truth, k):
    return max(scores) - sorted(scores)[-k]


def regret_cases(rng, size):
    n = 4 + 3 * size
    scores = rng.sample(range(10 * n), n)
    truth = [rng.randint(0, 100) / 128 for _ in range(n)]
    return scores, truth, rng.randint(2, 1 + size)


# --- 09.4 build


def naswot(codes):
    """Log of the determinant of how many units agree, for each two images."""
    codes = codes.double()
    both_on = codes @ codes.T
    both_off = (1 - codes) @ (1 - codes).T
    return torch.logdet(both_on + both_off)


def naswot_2(codes):
    """Count the agreements one pair at a time."""
    n = len(codes)
    rows = [[(codes[i] == codes[j]).sum() for j in range(n)] for i in range(n)]
    matrix = torch.tensor(rows, dtype=torch.float64)
    return torch.linalg.eigvalsh(matrix).log().sum()


def only_both_on(codes):
    return torch.linalg.slogdet(codes.double() @ codes.double().T)[1]


def distances(codes):
    x = codes.double()
    return torch.linalg.slogdet(x @ (1 - x).T + (1 - x) @ x.T)[1]


def no_logarithm(codes):
    return naswot(codes).exp()


def units_by_units(codes):
    x = codes.T.double()
    return torch.linalg.slogdet(x @ x.T + (1 - x) @ (1 - x).T)[1]


def log_of_the_sum(codes):
    x = codes.double()
    return (x @ x.T + (1 - x) @ (1 - x).T).sum().log()


def code_cases(rng, size):
    images, units = 1 + size, 12 + 4 * size
    while True:
        rows = [[rng.randint(0, 1) for _ in range(units)] for _ in range(images)]
        codes = torch.tensor(rows, dtype=torch.float32)
        on = torch.linalg.slogdet(codes.double() @ codes.double().T)[1]
        if on > 0 and naswot(codes) > 1:  # else the determinant is all rounding
            return (codes,)


EXERCISES = (
    Exercise(
        name="steps_trained", number="09.1", kind="predict",
        minutes=5, difficulty=1, points=1,
        task="In how many of 1,620 steps is one pair of block 1 on the path?",
        reference=steps_trained,
        wrong=(
            Wrong(180, "That is one side's share, one in nine. The other side may"
                       " choose the pair too, and both use the same layers."),
            Wrong(360, "Nearly: two sides, one in nine each. But in some steps both"
                       " choose the pair, and you counted these steps twice."),
            Wrong(20, "That is how often both sides choose it at once. One is enough."),
            Wrong(1280, "That is how often neither side chooses it."),
        ),
        hints=(
            "How likely is it that one side does not choose this pair?",
            "Both sides miss it with the square of that; in all other steps it is on"
            " the path.",
        ),
    ),
    Exercise(
        name="decided", number="09.2", kind="measure",
        minutes=6, difficulty=1, points=2,
        task="The largest temperature, in steps of 0.05, at which the strongest pair"
             " has a share of at least 0.9.",
        reference=decided,
        wrong=(
            Wrong(decided_too_warm, "Close: here the share is still below 0.9. One step"
                                    " colder."),
            Wrong(decided_by_half, "At this temperature it has half. Nine tenths are"
                                   " asked."),
        ),
        hints=(
            "Change `temperature` in the cell, run it, read the first share, repeat.",
            "A lower temperature makes the strongest share larger, so go down from 1.",
        ),
    ),
    Exercise(
        name="regret_at", number="09.3", kind="build",
        minutes=10, difficulty=2, points=3,
        task="What the best of the k highest scores lacks to the best of all.",
        reference=regret_at, alternative=regret_at_2,
        wrong=(
            Wrong(lowest_first, "You took the k lowest scores. A higher score is meant"
                                " to promise a better cell."),
            Wrong(only_the_first, "Right for k = 1. With more, the best of all k that"
                                  " are tried counts, not the one with the highest"
                                  " score."),
            Wrong(mean_of_k, "You averaged over the k cells. Whoever trains k cells"
                             " keeps the best of them."),
            Wrong(the_best_itself, "That is how good the found cell is. Regret is what"
                                   " it lacks to the best of all."),
            Wrong(scores_for_truth, "You subtracted scores. Scores only choose; the"
                                    " difference is one of true values."),
        ),
        hints=(
            "Two maxima: one over all cells, one over the k that the scores choose.",
            "sorted(range(n), key=...) gives places in the order of their scores.",
            "The second maximum is over truth[i] for the first k of these places.",
        ),
        cases=regret_cases,
        by_hand=(
            (([3, 1, 2], [0.25, 1.0, 0.5], 1), 0.75),
            (([3, 1, 2], [0.25, 1.0, 0.5], 2), 0.5),
            (([3, 1, 2], [0.25, 1.0, 0.5], 3), 0.0),
        ),
        properties=(
            Property("with every cell tried nothing is lost",
                     lambda mine, scores, truth, k:
                     mine(scores, truth, len(scores)) == 0),
        ),
    ),
    Exercise(
        name="naswot", number="09.4", kind="build",
        minutes=15, difficulty=3, points=3,
        task="The proxy NASWOT from the codes of its units: log of a determinant.",
        reference=naswot, alternative=naswot_2,
        wrong=(
            Wrong(only_both_on, "You count the units that are on for both images. Two"
                                " units that are both off agree as well."),
            Wrong(distances, "You count the units that differ. The kernel holds those"
                             " that agree: its diagonal is the number of units."),
            Wrong(no_logarithm, "That is the determinant itself; its logarithm is"
                                " asked."),
            Wrong(units_by_units, "Your matrix compares units with each other. It"
                                  " should have a row and a column for each image."),
            Wrong(log_of_the_sum, "You added the entries up. The determinant is asked:"
                                  " it is small where two rows are alike."),
        ),
        hints=(
            "For two images: how many of the units agree? Both on, or both off.",
            "codes @ codes.T counts the units that are on for both. Do the same for"
            " 1 - codes.",
            "torch.logdet in double precision.",
        ),
        cases=code_cases,
        by_hand=(
            # Four units, two of them agree: log(4 * 4 - 2 * 2).
            ((torch.tensor([[1.0, 0, 1, 1], [1.0, 1, 0, 1]]),),
             torch.tensor(12.0).double().log()),
            ((torch.tensor([[1.0, 0, 0]]),), torch.tensor(3.0).double().log()),
        ),
        properties=(
            Property("turning every unit round changes no agreement",
                     lambda mine, codes:
                     torch.allclose(mine(codes), mine(1 - codes), atol=1e-6)),
        ),
    ),
)  # fmt: skip


# --- quiz


def _pairs() -> int:
    return sum(map(len, one_shot.Relaxation(search_space.SMALL).pairs))


def _agree() -> float:
    tau = 0.5  # right minus wrong, and right plus wrong is 1
    return 100 * (1 + tau) / 2


def _flow() -> float:
    layers = [torch.nn.Conv2d(1, 1, 1, bias=False) for _ in range(3)]
    for layer, weight in zip(layers, (2.0, -1.0, 5.0), strict=True):
        torch.nn.init.constant_(layer.weight, weight)
    return one_shot.synflow(torch.nn.Sequential(*layers), (1, 1, 1))


QUIZ = (
    Question(
        "SMALL has 735 distinct cells. How many (input, operation) pairs, each with its"
        " own layers, does one cell of its supernet hold?",
        options=(
            Option("735, one set for each cell", "Then nothing would be shared. Cells"
                                                 " that make the same choice use the"
                                                 " same layers."),
            Option("15", "Block 0 has 2 inputs with 3 operations, block 1 has 3 with 3:"
                         " 6 and 9.", correct=True),
            Option("30, one set for each side", "Both sides of a block use the same"
                                                " layers for the same choice."),
            Option("8", "Counting 2 + 3 inputs and 3 operations once: every input has"
                        " its own three operations."),
        ),
        value=_pairs,
    ),
    Question(
        "A proxy has a Kendall tau of 0.5 with the truth, and there are no ties. You"
        " draw two cells at random. How often does the proxy name the better one?",
        options=(
            Option("50 times in 100", "That would be a tau of 0: a coin."),
            Option("75 times in 100", "Tau is the share of pairs in the right order"
                                      " minus the share in the wrong one.",
                   correct=True),
            Option("95 times in 100", "That would be a tau of 0.9."),
        ),
        value=_agree, form="{:.0f} times",
    ),
    Question(
        "A path of a trained supernet scores at chance in evaluation mode and well with"
        " the statistics of the batch. Why?",
        options=(
            Option("Its weights were never trained", "Then the batch's statistics would"
                                                     " not help either."),
            Option("The running averages mix the activations of all paths",
                   "Each path shifts and scales its states differently. An average over"
                   " paths fits none of them.", correct=True),
            Option("Dropout is still on", "In evaluation mode it would be off, and this"
                                          " network has none."),
        ),
    ),
    Question(
        "After DARTS the mixture is right on 80 of 100 crops, and the cell of its two"
        " strongest pairs, with the same weights, on 12. What has happened?",
        options=(
            Option("The search has found a bad cell",
                   "Perhaps, but this says nothing about it: trained from scratch the"
                   " cell may well be good."),
            Option("The crops were harder the second time", "They are the same."),
            Option("The weights learned to work as a mixture, and most of it was cut"
                   " away",
                   "That is the discretisation gap: no weight ever had to work alone.",
                   correct=True),
        ),
    ),
    Question(
        "Three 1x1 convolutions in a row, one channel each, no bias, with weights 2, -1"
        " and 5. What is the synaptic flow?",
        options=(
            Option("10", "That is the flow through one layer, 2 times 1 times 5. Each"
                         " of the three layers is counted."),
            Option("-30", "Weights are made positive first."),
            Option("30", "The flow is 2 times 1 times 5, and each of three layers"
                         " carries all of it.", correct=True),
            Option("8", "Weights in a row multiply; they do not add up."),
        ),
        value=_flow, form="{:.0f}",
    ),
    Question(
        "On 60 cells a new proxy has a tau of 0.35, with an interval from 0.15 to 0.52."
        " The number of parameters has 0.45, from 0.30 to 0.58. What do you write?",
        options=(
            Option("The new proxy works: its interval excludes 0",
                   "True, and beside the point. Counting parameters is free and does"
                   " at least as well here."),
            Option("The new proxy beats the parameters",
                   "Its tau is the lower of the two."),
            Option("No evidence that it adds anything to counting parameters",
                   "The free baseline is not beaten. To say which of the two is better,"
                   " compare them on the same cells, pair by pair.", correct=True),
        ),
    ),
)  # fmt: skip
