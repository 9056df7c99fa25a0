"""Exercises and quiz of chapter 06: a table of all cells, and what it can say."""

import itertools
import json
import math
import tempfile
from pathlib import Path

from scipy import stats

from lib.exercises import Exercise, Option, Property, Question, Wrong
from lib.nas import search_space, shards, tabular

# --- 06.1 predict

CUT = tabular.Task(train=8, validation=4, test=4, epochs=1, batch=8, size=8, seeds=3)


def left_over() -> int:
    """Trainings left of 15: shards of 6 and 3 rows, each with half a row more."""
    units = tabular.units(CUT, search_space.enumerate_cells(CUT.space)[:5])
    counts = {"validation": [0] * CUT.epochs, "test": [0] * CUT.epochs}
    rows = []
    for cell, seed in units:
        row = {"cell": cell, "seed": seed, **counts}
        rows.append(json.dumps(row | {"crc": shards.checksum(row)}))
    with tempfile.TemporaryDirectory() as folder:
        for name, first, end in (("1", 0, 6), ("2", 6, 9)):
            whole = [json.dumps(tabular.header(CUT)), *rows[first:end]]
            text = "\n".join([*whole, rows[end][:20]])
            (Path(folder) / f"{name}.jsonl").write_text(text, encoding="utf-8")
        return len(units) - len(tabular.read_shards(CUT, folder))


# --- 06.2 measure


def _tau(price: str, split: str) -> float:
    table = tabular.load()
    final = table.accuracy[split][:, :, -1].mean(1)
    return float(stats.kendalltau(getattr(table, price), final).statistic)


def macs_tau() -> float:
    """Kendall's tau between multiply-adds and the mean test accuracy, last epoch."""
    return _tau("macs", "test")


def macs_tau_validation() -> float:
    return _tau("macs", "validation")


def parameters_tau() -> float:
    return _tau("parameters", "test")


def macs_tau_one_seed() -> float:
    table = tabular.load()
    final = table.accuracy["test"][:, 0, -1]
    return float(stats.kendalltau(table.macs, final).statistic)


# --- 06.3 build


def kendall(a, b):
    """Pairs in the same order less pairs in the other, as a share of all pairs."""
    total, pairs = 0, 0
    for i in range(len(a)):
        for j in range(i):
            product = (a[i] - a[j]) * (b[i] - b[j])
            total += (product > 0) - (product < 0)
            pairs += 1
    return total / pairs


def kendall_2(a, b):
    """Compare each pair by its order in the one list and in the other."""

    def order(x, y):
        return 0 if x == y else (1 if x < y else -1)

    both = list(itertools.combinations(zip(a, b, strict=True), 2))
    return sum(order(p[0], q[0]) * order(p[1], q[1]) for p, q in both) / len(both)


def kendall_share(a, b):
    both = list(itertools.combinations(zip(a, b, strict=True), 2))
    return sum((p[0] - q[0]) * (p[1] - q[1]) > 0 for p, q in both) / len(both)


def kendall_ties_against(a, b):
    both = list(itertools.combinations(zip(a, b, strict=True), 2))
    signs = [1 if (p[0] - q[0]) * (p[1] - q[1]) > 0 else -1 for p, q in both]
    return sum(signs) / len(both)


def kendall_neighbours(a, b):
    steps = range(1, len(a))
    products = [(a[i] - a[i - 1]) * (b[i] - b[i - 1]) for i in steps]
    return sum((p > 0) - (p < 0) for p in products) / len(products)


def kendall_squares(a, b):
    return kendall(a, b) * (len(a) - 1) / (2 * len(a))


def kendall_all_pairs(a, b):
    return kendall(a, b) * (len(a) - 1) / len(a)


def two_lists(rng, size):
    """Two lists of one length; few levels, so that some values are equal."""
    n, levels = rng.randint(3, 4 + min(size, 8)), rng.choice((4, 40))
    return tuple([rng.randrange(levels) / 40 for _ in range(n)] for _ in "ab")


# --- 06.4 build


def expected_best(values, n):
    """Mean of the best of n different cells, over all ways to draw them."""
    total = 0.0
    for i, value in enumerate(sorted(values)):
        total += value * math.comb(i, n - 1)
    return total / math.comb(len(values), n)


def expected_best_2(values, n):
    """List every draw."""
    best = [max(drawn) for drawn in itertools.combinations(values, n)]
    return sum(best) / len(best)


def best_with_replacement(values, n):
    size = len(values)
    return sum(
        value * (((i + 1) / size) ** n - (i / size) ** n)
        for i, value in enumerate(sorted(values))
    )


def best_of_all(values, n):
    return max(values)


def mean_of_all(values, n):
    return sum(values) / len(values)


def expected_worst(values, n):
    return -expected_best([-value for value in values], n)


def best_in_file_order(values, n):
    ways = math.comb(len(values), n)
    return sum(v * math.comb(i, n - 1) for i, v in enumerate(values)) / ways


def best_of_the_first(values, n):
    return max(values[:n])


def cells_drawn(rng, size):
    """Accuracies, and how many of them are drawn."""
    values = [rng.randrange(100, 900) / 1000 for _ in range(rng.randint(3, 3 + size))]
    values = values[:9]
    return values, rng.randint(1, len(values))


EXERCISES = (
    Exercise(
        name="left_over", number="06.1", kind="predict", minutes=4, difficulty=1,
        points=1,
        task="Five cells, three seeds; shards of 6.5 and of 3.5 rows. What is left?",
        reference=left_over,
        wrong=(
            Wrong(4, "a half row does not count: nobody knows what it would have"
                  " said, so that training is done again"),
            Wrong(15, "the whole rows stay: nothing that is on the disk is lost"),
            Wrong(9, "both shards are read, not the first alone"),
            Wrong(8, "a header is a line too, but it is no training; count the rows"
                  " below it"),
        ),
        hints=(
            "How many trainings are there in all?",
            "Fifteen. A row counts if its line is whole, in whichever shard.",
        ),
    ),
    Exercise(
        name="macs_tau", number="06.2", kind="measure", minutes=10, difficulty=2,
        points=2,
        task="Kendall's tau of multiply-adds with mean test accuracy, last epoch.",
        reference=macs_tau,
        wrong=(
            Wrong(macs_tau_validation, "this is the tau with the validation accuracy; a"
                  " method is judged on the test crops"),
            Wrong(parameters_tau, "this is the tau of the parameters; multiply-adds"
                  " are `table.macs`"),
            Wrong(macs_tau_one_seed, "this is seed 0 alone; take the mean over the"
                  " seeds before you rank"),
        ),
        hints=(
            "`table.macs` and the accuracies stand in the same order of cells.",
            'The mean over seeds: table.accuracy["test"][:, :, -1].mean(1).',
        ),
    ),
    Exercise(
        name="kendall", number="06.3", kind="build", minutes=15, difficulty=2,
        points=3,
        task="Kendall's tau of two lists; an equal pair counts for neither side.",
        reference=kendall, alternative=kendall_2,
        wrong=(
            Wrong(kendall_share, "you give the share of pairs in the same order; those"
                  " in the other order have to be taken off"),
            Wrong(kendall_ties_against, "a pair that is equal in one list counts"
                  " neither for nor against"),
            Wrong(kendall_neighbours, "you compare neighbours only; every pair of"
                  " cells counts, however far apart they stand"),
            Wrong(kendall_squares, "you divide by n squared; there are n (n - 1) / 2"
                  " pairs of different cells"),
            Wrong(kendall_all_pairs, "you divide by half of n squared; a cell makes no"
                  " pair with itself"),
        ),
        hints=(
            "Two loops give all pairs i > j. When are they in the same order in both?",
            "The product (a[i] - a[j]) * (b[i] - b[j]) is positive then.",
            "Add 1, -1 or 0 for each pair; divide by the number of pairs.",
        ),
        cases=two_lists,
        by_hand=(
            (([1, 2, 3, 4], [2, 1, 3, 4]), 4 / 6),
            (([1, 2, 3], [3, 2, 1]), -1.0),
            (([1, 2, 2], [1, 2, 3]), 2 / 3),
        ),
        properties=(
            Property(
                "the two lists may change places",
                lambda mine, a, b: abs(mine(a, b) - mine(b, a)) < 1e-9,
            ),
            Property(
                "turning one list round turns the sign",
                lambda mine, a, b: abs(mine(a, [-x for x in b]) + mine(a, b)) < 1e-9,
            ),
        ),
    ),
    Exercise(
        name="expected_best", number="06.4", kind="build", minutes=20, difficulty=3,
        points=4,
        task="The best of n different cells drawn at random, on average over draws.",
        reference=expected_best, alternative=expected_best_2,
        wrong=(
            Wrong(best_with_replacement, "you let a cell be drawn twice; a search that"
                  " keeps a list asks for n different ones"),
            Wrong(best_of_all, "this is the best of all cells; with n draws you"
                  " usually miss it"),
            Wrong(mean_of_all, "this is the mean of one draw; the best of n is better"),
            Wrong(expected_worst, "you average the worst of the n; look at the order"
                  " in which you sorted"),
            Wrong(best_in_file_order, "the place of a value counts only once they are"
                  " sorted from worst to best"),
            Wrong(best_of_the_first, "this is one draw, the first n; take the mean over"
                  " all draws"),
        ),
        hints=(
            "Sort from worst to best. In how many draws is the i-th the best one?",
            "The other n - 1 must come from the i values below it (i counted from 0).",
            "math.comb(i, n - 1) draws; there are math.comb(N, n) in all.",
        ),
        cases=cells_drawn,
        by_hand=(
            (([0.3, 0.5, 0.7], 1), 0.5),
            (([0.7, 0.3, 0.5], 2), (0.5 + 0.7 + 0.7) / 3),
            (([0.3, 0.7, 0.5], 3), 0.7),
        ),
        properties=(
            Property(
                "with one more cell to draw it does not get worse",
                lambda mine, values, n: n == len(values)
                or mine(values, n + 1) >= mine(values, n) - 1e-9,
            ),
        ),
    ),
)  # fmt: skip

QUIZ = (
    Question(
        "How many trainings does the table of SMALL hold?",
        (
            Option("735", "That is one for each cell; each is trained with three"
                   " seeds."),
            Option("2,205", "735 distinct cells, three seeds each.", True),
            Option("8,748", "Three for each of the 2,916 ways to write a cell: most of"
                   " it would be the same work done again."),
            Option("8,820", "Four epochs of each training are recorded, but they are"
                   " one training."),
        ),
        value=lambda: len(tabular.units(tabular.Task())), form="{:,}",
    ),
    Question(
        "A search sees the validation accuracy of one seed. Why is it judged by"
        " the mean test accuracy?",
        (
            Option("Test accuracy is higher.", "Nothing makes it so: both sets have as"
                   " many crops of the same difficulty."),
            Option("It chose what looked best, so what it saw is too good on average.",
                   "The choice favours lucky seeds and lucky crops. Other seeds and"
                   " other crops know nothing of that luck.", True),
            Option("The mean is faster to query.", "Both are one look into a list."),
            Option("Validation crops were used for training.", "They were not; but the"
                   " search chose with them."),
        ),
    ),
    Question(
        "The noise ceiling is a tau of 0.80. A proxy reaches 0.79. What follows?",
        (
            Option("The proxy finds the best cell 79 times in 100.", "Tau counts pairs"
                   " of cells, not winners."),
            Option("It ranks about as well as another whole training would.",
                   "A single training agrees with the others to 0.80 and no more.",
                   True),
            Option("It is wrong about one cell in five.", "Tau 0.79 means that about"
                   " one pair in ten is in the wrong order."),
            Option("With a better proxy the tau would reach 1.", "What it is compared"
                   " with is noisy itself, so nothing reaches 1."),
        ),
    ),
    Question(
        "Cells lie apart by a standard deviation of 0.02, seeds of one cell by 0.02."
        " One seed of cell a beats one seed of cell b by 0.01. Is a better?",
        (
            Option("Yes: 0.01 is more than nothing.", "A second seed of a single cell"
                   " usually differs by more than that."),
            Option("No: b is.", "The evidence, weak as it is, points to a."),
            Option("Perhaps: the gap is smaller than what the seed alone does.",
                   "Two trainings of one cell differ by 0.02 times the root of 2, as a"
                   " rule. Train more seeds.", True),
        ),
    ),
    Question(
        "Why does every build write a shard of its own, and only ever append to it?",
        (
            Option("So that a kill can spoil the last line and nothing else.",
                   "What is on the disk is never touched again, so it cannot be lost.",
                   True),
            Option("Because JSON files cannot be changed.", "They can: that is the"
                   " danger."),
            Option("To make the files smaller.", "The rows are the same in one file or"
                   " in ten."),
            Option("So that the cells stay sorted.", "They come in the order in which"
                   " the workers finish; the table sorts them."),
        ),
    ),
)  # fmt: skip
