"""Exercises and quiz of chapter 06: a table of all cells, and what it can say."""

import itertools
import json
import math
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import stats

from lib.exercises import Exercise, Option, Property, Question, Wrong
from lib.nas import search_space, shards, tabular

# --- 06.2 predict

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


# --- 06.3 measure


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


def macs_tau_mean_of_taus() -> float:
    table = tabular.load()
    final = table.accuracy["test"][:, :, -1]
    taus = [stats.kendalltau(table.macs, seed).statistic for seed in final.T]
    return float(sum(taus) / len(taus))


def macs_tau_best_seed() -> float:
    table = tabular.load()
    final = table.accuracy["test"][:, :, -1].max(1)
    return float(stats.kendalltau(table.macs, final).statistic)


def macs_tau_first_epoch() -> float:
    table = tabular.load()
    first = table.accuracy["test"][:, :, 0].mean(1)
    return float(stats.kendalltau(table.macs, first).statistic)


def macs_tau_all_epochs() -> float:
    table = tabular.load()
    mean = table.accuracy["test"].mean((1, 2))
    return float(stats.kendalltau(table.macs, mean).statistic)


def macs_spearman() -> float:
    table = tabular.load()
    final = table.accuracy["test"][:, :, -1].mean(1)
    return float(stats.spearmanr(table.macs, final).statistic)


def macs_pearson() -> float:
    table = tabular.load()
    final = table.accuracy["test"][:, :, -1].mean(1)
    return float(stats.pearsonr(table.macs, final).statistic)


# --- 06.1 build, core


def kendall_2(a, b):
    """The cosine between the orders of all pairs in the one list and in the other."""
    pairs = list(itertools.combinations(range(len(a)), 2))
    x = np.array([np.sign(a[i] - a[j]) for i, j in pairs])
    y = np.array([np.sign(b[i] - b[j]) for i, j in pairs])
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def kendall_tau_a(a, b):
    """Another form of the literature: equal pairs stay among those divided by."""
    both = list(itertools.combinations(zip(a, b, strict=True), 2))
    return sum(_order(p[0], q[0]) * _order(p[1], q[1]) for p, q in both) / len(both)


def _order(x, y):
    return 0 if x == y else (1 if x < y else -1)


def _counted(a, b):
    """Pairs in the same order, in the other, and of each list those that differ."""
    same = other = in_a = in_b = 0
    for p, q in itertools.combinations(zip(a, b, strict=True), 2):
        x, y = _order(p[0], q[0]), _order(p[1], q[1])
        same, other = same + (x * y > 0), other + (x * y < 0)
        in_a, in_b = in_a + (x != 0), in_b + (y != 0)
    return same, other, in_a, in_b


def kendall_without_root(a, b):
    same, other, in_a, in_b = _counted(a, b)
    return (same - other) / (in_a * in_b)


def kendall_differ_in_a(a, b):
    same, other, in_a, _ = _counted(a, b)
    return (same - other) / in_a


def kendall_differ_in_b(a, b):
    same, other, _, in_b = _counted(a, b)
    return (same - other) / in_b


def kendall_arithmetic_mean(a, b):
    same, other, in_a, in_b = _counted(a, b)
    return 2 * (same - other) / (in_a + in_b)


def kendall_differ_in_either(a, b):
    both = itertools.combinations(zip(a, b, strict=True), 2)
    pairs = sum(p[0] != q[0] or p[1] != q[1] for p, q in both)
    same, other, _, _ = _counted(a, b)
    return (same - other) / pairs if pairs else 0.0


def kendall_root_of_sum(a, b):
    same, other, in_a, in_b = _counted(a, b)
    return (same - other) / math.sqrt(in_a + in_b)


def kendall_share(a, b):
    both = list(itertools.combinations(zip(a, b, strict=True), 2))
    return sum((p[0] - q[0]) * (p[1] - q[1]) > 0 for p, q in both) / len(both)


def kendall_ties_against(a, b):
    both = list(itertools.combinations(zip(a, b, strict=True), 2))
    signs = [1 if (p[0] - q[0]) * (p[1] - q[1]) > 0 else -1 for p, q in both]
    return sum(signs) / len(both)


def kendall_ties_agree(a, b):
    both = list(itertools.combinations(zip(a, b, strict=True), 2))
    signs = [1 if (p[0] - q[0]) * (p[1] - q[1]) >= 0 else -1 for p, q in both]
    return sum(signs) / len(both)


def kendall_same_comparison(a, b):
    total, pairs = 0, 0
    for i in range(len(a)):
        for j in range(i + 1, len(a)):
            total += 1 if (a[i] < a[j]) == (b[i] < b[j]) else -1
            pairs += 1
    return total / pairs


def kendall_greater_comparison(a, b):
    total, pairs = 0, 0
    for i in range(len(a)):
        for j in range(i + 1, len(a)):
            total += 1 if (a[i] > a[j]) == (b[i] > b[j]) else -1
            pairs += 1
    return total / pairs


def kendall_equal_in_both(a, b):
    def order(x, y):
        return (x > y) - (x < y)

    total, pairs = 0, 0
    for i in range(len(a)):
        for j in range(i):
            one, other = order(a[i], a[j]), order(b[i], b[j])
            total += 1 if one == other else -1 if one == -other else 0
            pairs += 1
    return total / pairs


def kendall_ties_left_out(a, b):
    same = opposite = 0
    for i in range(len(a)):
        for j in range(i):
            product = (a[i] - a[j]) * (b[i] - b[j])
            same += product > 0
            opposite += product < 0
    return (same - opposite) / (same + opposite) if same + opposite else 0.0


def kendall_neighbours(a, b):
    steps = range(1, len(a))
    products = [(a[i] - a[i - 1]) * (b[i] - b[i - 1]) for i in steps]
    return sum((p > 0) - (p < 0) for p in products) / len(products)


def kendall_squares(a, b):
    n, total = len(a), 0
    for i in range(n):
        for j in range(i):
            product = (a[i] - a[j]) * (b[i] - b[j])
            total += (product > 0) - (product < 0)
    return total / n**2


def kendall_all_pairs(a, b):
    n, total = len(a), 0
    for i in range(n):
        for j in range(n):
            product = (a[i] - a[j]) * (b[i] - b[j])
            total += (product > 0) - (product < 0)
    return total / n**2


def kendall_each_pair_once(a, b):
    n, total = len(a), 0
    for i in range(n):
        for j in range(i):
            product = (a[i] - a[j]) * (b[i] - b[j])
            total += (product > 0) - (product < 0)
    return total / (n * (n - 1))


def kendall_each_pair_twice(a, b):
    n, total = len(a), 0
    for i in range(n):
        for j in range(n):
            product = (a[i] - a[j]) * (b[i] - b[j])
            total += (product > 0) - (product < 0)
    return total / (n * (n - 1) / 2)


def kendall_sum(a, b):
    total = 0
    for i in range(len(a)):
        for j in range(i):
            product = (a[i] - a[j]) * (b[i] - b[j])
            total += (product > 0) - (product < 0)
    return total


def kendall_ratio(a, b):
    same = opposite = 0
    for i in range(len(a)):
        for j in range(i):
            product = (a[i] - a[j]) * (b[i] - b[j])
            same += product > 0
            opposite += product < 0
    return same / opposite if opposite else float(same)


def kendall_last_left_out(a, b):
    n, total = len(a), 0
    for i in range(n - 1):
        for j in range(i + 1, n - 1):
            product = (a[i] - a[j]) * (b[i] - b[j])
            total += (product > 0) - (product < 0)
    return total / (n * (n - 1) / 2)


def kendall_by_length(a, b):
    n, total = len(a), 0
    for i in range(n):
        for j in range(i):
            product = (a[i] - a[j]) * (b[i] - b[j])
            total += (product > 0) - (product < 0)
    return total / n


def kendall_with_itself(a, b):
    n, total = len(a), 0
    for i in range(n):
        for j in range(i):
            product = (a[i] - a[j]) * (b[i] - b[j])
            total += (product > 0) - (product < 0)
    return total / (n * (n + 1) / 2)


def kendall_neighbours_of_all(a, b):
    n, total = len(a), 0
    for i in range(1, n):
        product = (a[i] - a[i - 1]) * (b[i] - b[i - 1])
        total += (product > 0) - (product < 0)
    return total / (n * (n - 1) / 2)


def kendall_spearman_by_places(a, b):
    n = len(a)
    ranks = [[sorted(side).index(x) for x in side] for side in (a, b)]
    gaps = sum((x - y) ** 2 for x, y in zip(*ranks, strict=True))
    return 1 - 6 * gaps / (n * (n * n - 1))


def kendall_sum_turned(a, b):
    total = 0
    for i in range(len(a)):
        for j in range(i):
            product = (a[i] - a[j]) * (b[i] - b[j])
            total += (product < 0) - (product > 0)
    return total


def kendall_products(a, b):
    total, pairs = 0, 0
    for i in range(len(a)):
        for j in range(i):
            total += (a[i] - a[j]) * (b[i] - b[j])
            pairs += 1
    return total / pairs


def kendall_same_place(a, b):
    return sum(x == y for x, y in zip(a, b, strict=True)) / len(a)


def kendall_spearman(a, b):
    return float(stats.spearmanr(a, b).statistic)


def kendall_pearson(a, b):
    return float(stats.pearsonr(a, b).statistic)


def two_lists(rng, size):
    """Two lists of one length; few levels, so that some values are equal, never all."""
    n, levels = rng.randint(3, 4 + min(size, 8)), rng.choice((4, 10, 40))
    unit = rng.choice((1 / 40, 1 / 40, 10**6))
    a, b = ([rng.randrange(levels) * unit for _ in range(n)] for _ in "ab")
    a[-1], b[-1] = a[0] + unit, b[0] + rng.choice((-1, 1)) * unit
    return a, b


def a_small_foresight():
    """What the first epoch, and the multiply-adds, tell of the ranking of 40 cells."""
    table = tabular.load()
    accuracy = table.accuracy["test"][:40]
    counted = np.repeat(table.macs[:40, None], table.seeds, axis=1)
    final = accuracy[:, :, -1]
    early = tabular.foresight(accuracy[:, :, 0], final)
    return [early, tabular.foresight(final, final), tabular.foresight(counted, final)]


# --- 06.4 build


def expected_best(values, n):
    """Mean of the best of n different cells, over all ways to draw them."""
    total = 0.0
    for i, value in enumerate(sorted(values)):
        total += value * math.comb(i, n - 1)
    return total / math.comb(len(values), n)


def expected_best_2(values, n):
    """From best to worst: how likely is it that all better ones are missed?"""
    total, missed = 0.0, 1.0
    for i, value in enumerate(sorted(values, reverse=True)):
        if n > len(values) - i:  # too few are left: one of the better was drawn
            break
        share = n / (len(values) - i)  # that it is drawn, if all better are missed
        total += value * missed * share
        missed *= 1 - share
    return total


def listed_draws(values, n):
    """Right, and it never ends for a table: what the task rules out."""
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
    total = 0.0
    for i, value in enumerate(sorted(values, reverse=True)):
        total += value * math.comb(i, n - 1)
    return total / math.comb(len(values), n)


def best_in_file_order(values, n):
    ways = math.comb(len(values), n)
    return sum(v * math.comb(i, n - 1) for i, v in enumerate(values)) / ways


def best_of_the_first(values, n):
    return max(values[:n])


def one_too_many(values, n):
    total = 0.0
    for i, value in enumerate(sorted(values)):
        total += value * math.comb(i, n)
    return total / math.comb(len(values), n)


def counted_from_one(values, n):
    total = 0.0
    for i, value in enumerate(sorted(values), 1):
        total += value * math.comb(i, n - 1)
    return total / math.comb(len(values), n)


def without_the_least_possible(values, n):
    ranked, total = sorted(values), 0.0
    for i in range(n, len(ranked)):
        total += ranked[i] * math.comb(i, n - 1)
    return total / math.comb(len(values), n)


def value_below(values, n):
    ranked, total = sorted(values), 0.0
    for i in range(1, len(ranked)):
        total += ranked[i - 1] * math.comb(i, n - 1)
    return total / math.comb(len(values), n)


def chances_added_up(values, n):
    total = 0.0
    for i, value in enumerate(sorted(values), 1):
        total += value * math.comb(i, n)
    return total / math.comb(len(values), n)


def divided_by_smaller_draws(values, n):
    total = 0.0
    for i, value in enumerate(sorted(values)):
        total += value * math.comb(i, n - 1)
    return total / math.comb(len(values), n - 1)


def divided_by_ordered_draws(values, n):
    total = 0.0
    for i, value in enumerate(sorted(values)):
        total += value * math.comb(i, n - 1)
    return total / len(values) ** n


def divided_by_permutations(values, n):
    total = 0.0
    for i, value in enumerate(sorted(values)):
        total += value * math.comb(i, n - 1)
    return total / math.perm(len(values), n)


def divided_by_values(values, n):
    total = 0.0
    for i, value in enumerate(sorted(values)):
        total += value * math.comb(i, n - 1)
    return total / len(values)


def divided_by_draws_with_it(values, n):
    total = 0.0
    for i, value in enumerate(sorted(values)):
        total += value * math.comb(i, n - 1)
    return total / math.comb(len(values) - 1, n - 1)


def not_divided(values, n):
    total = 0.0
    for i, value in enumerate(sorted(values)):
        total += value * math.comb(i, n - 1)
    return total


def mean_of_the_best(values, n):
    return sum(sorted(values)[-n:]) / n


def place_of_the_best(values, n):
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, len(ranked) * n // (n + 1))]


def equal_ones_once(values, n):
    distinct = sorted(set(values))
    total = 0.0
    for i, value in enumerate(distinct):
        total += value * math.comb(i, n - 1)
    return total / math.comb(len(distinct), n) if n <= len(distinct) else max(values)


def first_place_of_equals(values, n):
    ranked = sorted(values)
    total = 0.0
    for value in values:
        total += value * math.comb(ranked.index(value), n - 1)
    return total / math.comb(len(values), n)


def mean_of_runs(values, n):
    starts = range(len(values) - n + 1)
    return sum(max(values[i : i + n]) for i in starts) / len(starts)


def cells_drawn(rng, size):
    """Accuracies, some of them equal, and how many of them are drawn."""
    levels = rng.choice((8, 800))
    length = rng.randint(3, 3 + 2 * size)
    values = [0.1 + 0.8 * rng.randrange(levels) / levels for _ in range(length)]
    return values, rng.randint(1, len(values))


LISTED = ([i / 32 for i in (*range(0, 22, 2), *range(1, 22, 2))], 11)  # 705,432 draws
QUICK = (
    0.05  # seconds; one term a value takes a thousandth of that, a list of draws more
)


def is_quick(mine, values, n):
    """Of three tries the quickest, since a machine may be busy. One case is enough.

    A list of all draws of 200 out of 735 would fill the memory before anything could
    stop it, so fewer are drawn here, and only who is quick meets the table below.
    """
    if (values, n) != LISTED:
        return True
    for _ in range(3):
        begin = time.perf_counter()
        mine(list(values), n)
        took = time.perf_counter() - begin
        if took < QUICK:
            return True
        if took > 20 * QUICK:
            return False
    return False


def fits_a_table(mine, values, n):
    """735 values 1 to 735: the best of n is n * 736 / (n + 1) on average.

    Between n drawn numbers and the two ends of the row are n + 1 gaps, all equally long
    on average.
    """
    if (values, n) != LISTED:
        return True
    numbers = [float(1 + i * 2 % 735) for i in range(735)]
    return all(
        math.isclose(mine(list(numbers), n), n * 736 / (n + 1), rel_tol=1e-6)
        for n in (1, 200, 735)
    )


EXERCISES = (
    Exercise(
        name="left_over", number="06.2", kind="predict", minutes=4, difficulty=1,
        points=1,
        task="Five cells, three seeds; shards of 6.5 and of 3.5 rows. What is left?",
        reference=left_over,
        wrong=(
            Wrong(4, "a half row does not count: nobody knows what it would have"
                  " said, so that training is done again"),
            Wrong(5, "two halves are no whole: a half row does not count, so its"
                  " training is done again"),
            Wrong(15, "the whole rows stay: nothing that is on the disk is lost"),
            Wrong(9, "that many are done, six and three. (Or, if you took the six away:"
                  " both shards are read.) How many of fifteen are left?"),
            Wrong(12, "both shards are read, not the second alone"),
            Wrong(0, "what is on the disk does not make fifteen trainings"),
            Wrong(2, "a half row does not count, and a header is no training"),
            Wrong(8, "a header is a line too, but it is no training; count the rows"
                  " below it"),
        ),
        hints=(
            "How many trainings are there in all?",
            "Fifteen. A row counts if its line is whole, in whichever shard.",
        ),
    ),
    Exercise(
        name="macs_tau", number="06.3", kind="measure", minutes=10, difficulty=2,
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
            Wrong(macs_tau_mean_of_taus, "this is the mean of four taus, one a seed;"
                  " take the mean of the accuracies first, then one tau"),
            Wrong(macs_tau_best_seed, "this takes each cell's best seed; the mean over"
                  " the seeds is asked"),
            Wrong(macs_tau_first_epoch, "this is the first epoch; the last one is"
                  " index -1"),
            Wrong(macs_tau_all_epochs, "this is the mean over all epochs; take the last"
                  " one, index -1"),
            Wrong(macs_spearman, "this is Spearman's rank correlation; Kendall's tau"
                  " is asked"),
            Wrong(macs_pearson, "this is Pearson's correlation, of the numbers and not"
                  " of their order; Kendall's tau is asked"),
        ),
        tolerance=0.001,
        hints=(
            "`table.macs` and the accuracies stand in the same order of cells.",
            'The mean over seeds: table.accuracy["test"][:, :, -1].mean(1).',
        ),
    ),
    Exercise(
        name="kendall", number="06.1", kind="build", minutes=15, difficulty=2,
        points=3,
        task="Write `kendall(a, b)`, tau-b, for two lists of equal length, at least"
             " three. Each pair of places counts 1 if both lists put it in the same"
             " order, -1 if in opposite orders, 0 if it is equal in at least one list."
             " Return the sum divided by the root of (pairs that differ in `a`) times"
             " (pairs that differ in `b`).",
        reference=tabular.kendall, alternative=kendall_2,
        place="nas.tabular.kendall", required=True, importance=3,
        machine="the course's judge of rankings, the noise ceiling in it",
        machine_case=a_small_foresight, milestone_calls=41,
        survivors={
            "line 15: `rankings.insist_on_pair(a, b)` omitted": "no case asks for"
            " lists that rank nothing",
        },
        unchanged={
            "kendall_arithmetic_mean": "the two counts of the table are so near each"
            " other that both means agree to five places",
        },
        wrong=(
            Wrong(kendall_share, "you give the share of pairs in the same order; those"
                  " in the other order have to be taken off"),
            Wrong(kendall_ties_against, "a pair that is equal in one list counts"
                  " neither for nor against"),
            Wrong(kendall_ties_agree, "a pair that is equal in one list counts 0; you"
                  " count it as agreement"),
            *(Wrong(f, "you ask whether two comparisons come out alike; that gives 1 or"
                    " -1 to equal pairs too. A pair that is equal in one list counts 0")
              for f in (kendall_same_comparison, kendall_greater_comparison)),
            Wrong(kendall_equal_in_both, "a pair that is equal in both lists counts 0,"
                  " as one that is equal in one list"),
            Wrong(kendall_ties_left_out, "you divide by the pairs that differ in both"
                  " lists, P + Q: that is Goodman and Kruskal's gamma. A pair that is"
                  " equal in `b` alone is still one that differs in `a`"),
            Wrong(kendall_tau_a, "that is tau-a: it divides by all pairs. With ties it"
                  " cannot reach 1. Here divide by the root of (pairs that differ in a)"
                  " times (pairs that differ in b)"),
            Wrong(kendall_without_root, "the root is missing: divide by the square root"
                  " of the product"),
            Wrong(kendall_differ_in_a, "you divide by the pairs that differ in `a`;"
                  " those that differ in `b` count as much: take the root of the"
                  " product of both"),
            Wrong(kendall_differ_in_b, "you divide by the pairs that differ in `b`;"
                  " those that differ in `a` count as much: take the root of the"
                  " product of both"),
            Wrong(kendall_arithmetic_mean, "you divide by half the sum of the two"
                  " counts; tau-b has the root of their product"),
            Wrong(kendall_root_of_sum, "under the root the two counts are multiplied,"
                  " not added"),
            Wrong(kendall_differ_in_either, "you divide by the pairs that differ in at"
                  " least one list; count those that differ in `a`, and those that"
                  " differ in `b`, and take the root of the product"),
            *(Wrong(f, "you compare neighbours only; every pair of cells counts,"
                    " however far apart they stand")
              for f in (kendall_neighbours, kendall_neighbours_of_all)),
            Wrong(kendall_squares, "you divide by n squared; there are n (n - 1) / 2"
                  " pairs, and only those that differ count below"),
            *(Wrong(f, "you divide by more than n (n - 1) / 2; a cell makes no pair"
                    " with itself")
              for f in (kendall_all_pairs, kendall_with_itself)),
            Wrong(kendall_ratio, "you divide one kind of pair by the other; take the"
                  " difference, and divide by the root of the two counts"),
            Wrong(kendall_last_left_out, "your loops end before the last cell; range(n)"
                  " ends at n - 1 by itself"),
            Wrong(kendall_by_length, "you divide by the number of cells; there are"
                  " n (n - 1) / 2 pairs"),
            Wrong(kendall_each_pair_once, "you count each pair once and divide by"
                  " n (n - 1), which counts it twice: divide by half of that"),
            Wrong(kendall_each_pair_twice, "your loops meet each pair twice, (i, j) and"
                  " (j, i): let j run below i, or divide by n (n - 1)"),
            Wrong(kendall_sum, "that is the sum; divide it by the root of both counts"),
            Wrong(kendall_sum_turned, "that is the sum, with its sign turned: pairs in"
                  " the same order count 1. And divide by the root of the two counts"),
            Wrong(kendall_products, "you add the products up; only their sign counts:"
                  " 1, -1 or 0 for each pair"),
            Wrong(kendall_same_place, "you compare the two lists place by place; take"
                  " two places at a time and ask in which order each list puts them"),
            *(Wrong(f, "that is Spearman's correlation of ranks; Kendall counts pairs")
              for f in (kendall_spearman, kendall_spearman_by_places)),
            Wrong(kendall_pearson, "that is Pearson's correlation; Kendall counts"
                  " pairs, and only their order matters"),
        ),
        hints=(
            "Two loops give all pairs i > j. When are they in the same order in both?",
            "The product (a[i] - a[j]) * (b[i] - b[j]) is positive then.",
            "Three counts: the sum of 1, -1 or 0; those with a[i] != a[j]; those"
            " with b[i] != b[j]. The sum, divided by math.sqrt of the product.",
        ),
        cases=two_lists,
        by_hand=(
            (([1, 2, 3, 4], [2, 1, 3, 4]), 4 / 6),
            (([1, 2, 3], [3, 2, 1]), -1.0),
            (([1, 2, 2], [1, 2, 3]), 2 / math.sqrt(2 * 3)),
            (([1, 2, 2], [4, 7, 7]), 1.0),  # the same ties in both: no pair is against
            # equal in both; then 0 1 0 1 1; a has 5 pairs that differ, b has 3
            (([1, 1, 2, 3], [4, 4, 4, 5]), 3 / math.sqrt(5 * 3)),
            # -1 0 0 1 1 and equal in both; 5 pairs differ in a, 3 in b
            (([1, 2, 3, 3], [20, 10, 20, 20]), 1 / math.sqrt(5 * 3)),
            # -1 0 0 1, -1 -1 -1, 1 1, -1; of 10 pairs 9 differ in a, 9 in b
            (([0.8, 0.2, 0.8, 0.4, 0.6], [7, 9, 8, 7, 6]), -2 / 9),
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
            Property(
                "a list against itself gives 1, ties or not",
                lambda mine, a, b: abs(mine(a, list(a)) - 1) < 1e-9,
            ),
        ),
    ),
    Exercise(
        name="expected_best", number="06.4", kind="build", minutes=20, difficulty=3,
        points=4,
        task="Write `expected_best(values, n)`: the best of n different cells drawn"
             " from a list of accuracies, on average over all sets of n, which are"
             " equally likely. One term for each cell, no loop over the draws: for a"
             " table of 735 cells that would never end.",
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
            Wrong(one_too_many, "the best itself takes one of the n places: only n - 1"
                  " others are chosen from the values below it"),
            Wrong(counted_from_one, "you counted one value too many below each: the"
                  " i-th, counted from 0, has i values below it"),
            Wrong(without_the_least_possible, "the n-th from below can be the best too,"
                  " if the n - 1 below it are drawn: begin at place n - 1"),
            Wrong(value_below, "your value and the number of draws belong to different"
                  " places: below the i-th, counted from 0, are i values"),
            Wrong(chances_added_up, "that counts the draws in which all n are at most"
                  " this value; only those in which it is the best itself are asked"),
            *(Wrong(f, "the sum is right, the divisor is not: there are"
                    " math.comb(len(values), n) sets of n")
              for f in (divided_by_smaller_draws, divided_by_ordered_draws,
                        divided_by_permutations, divided_by_values,
                        divided_by_draws_with_it)),
            Wrong(not_divided, "you added up over all draws; for the mean divide by how"
                  " many there are"),
            Wrong(mean_of_the_best, "this is the mean of the n best values; you do not"
                  " draw the n best, you draw any n and keep the best of them"),
            Wrong(place_of_the_best, "this is the value at the place where the best of"
                  " n stands on average; the mean of the values themselves is asked"),
            *(Wrong(f, "cells of equal accuracy are still different cells: each has a"
                    " place of its own in the sorted list")
              for f in (equal_ones_once, first_place_of_equals)),
            Wrong(mean_of_runs, "you drew n neighbours only; every set of n counts"),
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
            # 2 is the best of one draw, 4 of five: the two 2s, or one and a smaller
            (([2.0, 1.0, 4.0, 2.0], 2), (3 * 4 + 3 * 2) / 6),
            (([0.5, 0.5, 0.5, 0.25], 3), 0.5),  # some 0.5 is always among three
            # 1, 2, 3, 4, 5 are the best in 0, 0, 1, 3, 6 of ten draws
            (([5.0, 3.0, 1.0, 2.0, 4.0], 3), (3 + 12 + 30) / 10),
            # 22 equal steps: 12/32 more than none, see the rule below
            (LISTED, (11 * 23 / 12 - 1) / 32),
        ),
        properties=(
            Property(
                "it is quick. You go through all draws: right, and 22 values have"
                " 705,432 draws of 11. For a table find the sum that needs one term for"
                " each value",
                is_quick,
            ),
            Property(
                "with one more cell to draw it does not get worse",
                lambda mine, values, n: n == len(values)
                or len(values) > 20
                or mine(values, n + 1) >= mine(values, n) - 1e-9,
            ),
            Property("735 values give the right mean too", fits_a_table),
        ),
    ),
)  # fmt: skip

QUIZ = (
    Question(
        "How many trainings does the shipped table of SMALL hold?",
        (
            Option("735", "That is one for each cell; each is trained with four"
                   " seeds."),
            Option("2,940", "735 distinct cells, four seeds each.", True),
            Option("11,664", "Four for each of the 2,916 ways to write a cell: most of"
                   " it would be the same work done again."),
            Option("11,760", "Four epochs of each training are recorded, but they are"
                   " one training."),
        ),
        value=lambda: len(tabular.units(tabular.SECOND)), form="{:,}",
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
