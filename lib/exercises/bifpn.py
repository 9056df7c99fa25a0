"""Exercises and quiz of chapter 11: how levels of a pyramid talk to each other."""

import math

import torch

from lib.detection import bifpn
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor

# --- 11.1 predict


def fusion_weights() -> int:
    """Weights of eight BiFPN layers with six levels: one for each map that is read."""
    return 8 * sum(len(node.inputs) for node in bifpn.bifpn(6).nodes)


def weights_of_five_levels() -> int:
    return 8 * 19


def weights_of_one_layer() -> int:
    return 24


def weights_without_shortcuts() -> int:
    return 8 * 20


def weights_of_nodes() -> int:
    return 8 * len(bifpn.bifpn(6).nodes)


# --- 11.2 measure

VARIANCES = (1.0, 2.0, 4.0)


def share_of_the_best() -> float:
    """Share of the least noisy of three inputs with variances 1, 2 and 4."""
    return (1 / VARIANCES[0]) / sum(1 / v for v in VARIANCES)


def share_by_deviation() -> float:
    return 1 / sum(1 / math.sqrt(v) for v in VARIANCES)


def share_of_the_second() -> float:
    return (1 / VARIANCES[1]) / sum(1 / v for v in VARIANCES)


def share_at_first() -> float:
    return 1 / 3


# --- 11.3 build


def window(i, old, new):
    """First row of the window, its rows, and of these the ones that exist."""
    stride = (old - 1) // new + 1
    padding = (new - 1) * stride + stride + 1 - old
    first = i * stride - padding // 2
    return [row for row in range(first, first + stride + 1) if 0 <= row < old]


def window_2(i, old, new):
    """Pad a list of row numbers by hand and cut the window out."""
    stride = math.ceil(old / new)
    before = (new * stride + 1 - old) // 2
    rows = [-1] * before + list(range(old)) + [-1] * (stride + 1)
    return [row for row in rows[i * stride : (i + 1) * stride + 1] if row >= 0]


def window_symmetric(i, old, new):
    stride = math.ceil(old / new)
    first = i * stride - (stride + 1) // 2
    return [row for row in range(first, first + stride + 1) if 0 <= row < old]


def window_no_overlap(i, old, new):
    return window(i, old, new)[: math.ceil(old / new)]


def window_padding_in_front(i, old, new):
    stride = math.ceil(old / new)
    padding = new * stride + 1 - old
    first = i * stride - (padding + 1) // 2
    return [row for row in range(first, first + stride + 1) if 0 <= row < old]


def window_with_padding(i, old, new):
    stride = math.ceil(old / new)
    first = i * stride - (new * stride + 1 - old) // 2
    return list(range(first, first + stride + 1))


def window_case(rng, size):
    """A length that `new` windows of stride 2, 3 or 4 cover, and one of them."""
    stride = rng.choice((2, 2, 3, 4))
    new = rng.randint(1, 2 + size)
    least = max(new * (stride - 1), (new - 1) * stride) + 1
    return rng.randrange(new), rng.randint(least, new * stride), new


# --- 11.4 build


def ways(levels, nodes):
    """Every map's ways from each input; a node has those of all maps that it reads."""
    counts = [[int(i == j) for j in range(levels)] for i in range(levels)]
    last = list(range(levels))
    for level, inputs in nodes:
        last[level] = len(counts)
        counts.append([sum(counts[i][j] for i in inputs) for j in range(levels)])
    return [counts[i] for i in last]


def ways_2(levels, nodes):
    """Backwards from each output, one way after the other."""
    found = []
    for level in range(levels):
        standing = [levels + n for n, node in enumerate(nodes) if node[0] == level]
        waiting, row = standing[-1:] or [level], [0] * levels
        while waiting:
            i = waiting.pop()
            if i < levels:
                row[i] += 1
            else:
                waiting += nodes[i - levels][1]
        found.append(row)
    return found


def ways_at_all(levels, nodes):
    return [[min(n, 1) for n in row] for row in ways(levels, nodes)]


def ways_to_first(levels, nodes):
    seen, kept = {}, []
    for n, (level, _) in enumerate(nodes):
        seen.setdefault(level, n)
    for level in range(levels):
        stop = seen.get(level, -1) + 1
        kept.append(ways(levels, nodes[:stop])[level])
    return kept


def ways_transposed(levels, nodes):
    return [list(column) for column in zip(*ways(levels, nodes), strict=True)]


def ways_direct(levels, nodes):
    found = [[int(i == j) for j in range(levels)] for i in range(levels)]
    for level, inputs in nodes:
        found[level] = [int(j in inputs) for j in range(levels)]
    return found


def ways_case(rng, size):
    """Every level at least once, in any order, some of them twice."""
    levels = rng.randint(2, 3)
    order = list(range(levels)) + [rng.randrange(levels) for _ in range(min(size, 4))]
    rng.shuffle(order)
    nodes = []
    for n, level in enumerate(order):
        known = range(levels + n)
        nodes.append((level, sorted(rng.sample(known, rng.randint(1, 2)))))
    return levels, nodes


# --- 11.5 build


def softmax_gradient(x, weights):
    """Each input's share, times how far the input lies above the fused value."""
    shares = torch.exp(weights) / torch.exp(weights).sum()
    fused = (shares * x).sum()
    return shares * (x - fused)


def softmax_gradient_2(x, weights):
    """The matrix of derivatives of all shares by all weights, times the inputs."""
    s = torch.softmax(weights, 0)
    return (torch.diag(s) - torch.outer(s, s)) @ x


def gradient_without_others(x, weights):
    s = torch.softmax(weights, 0)
    return s * (1 - s) * x


def gradient_of_fixed_sum(x, weights):
    return torch.softmax(weights, 0) * x


def gradient_without_shares(x, weights):
    return x - (torch.softmax(weights, 0) * x).sum()


def gradient_of_fast_fusion(x, weights):
    w = torch.relu(weights)
    fused = (w * x).sum() / (w.sum() + 1e-4)
    return (weights > 0) * (x - fused) / (w.sum() + 1e-4)


def gradient_by_inputs(x, weights):
    return torch.softmax(weights, 0)


EXERCISES = (
    Exercise(
        name="fusion_weights", number="11.1", kind="predict", minutes=5, difficulty=1,
        points=1,
        task="Six levels, eight BiFPN layers, fast fusion: how many fusion weights?",
        reference=fusion_weights,
        wrong=(
            Wrong(weights_of_five_levels, "19 a layer is right for five levels; this"
                  " pyramid has six"),
            Wrong(weights_of_one_layer, "right for one layer; there are eight"),
            Wrong(weights_without_shortcuts, "the short cuts are missing: nodes on the"
                  " way up, but for the last, read three maps"),
            Wrong(weights_of_nodes, "that is the number of nodes; a node has a weight"
                  " for each map it reads"),
        ),
        hints=(
            "One more level is one more node on the way down and one on the way up.",
            "A node on the way down reads two maps. On the way up it is three, but two"
            " at the last.",
        ),
    ),
    Exercise(
        name="best_share", number="11.2", kind="measure", minutes=15, difficulty=2,
        points=2, tolerance=0.02,
        task="Three inputs with variances 1, 2 and 4: the share the first one learns.",
        reference=share_of_the_best,
        wrong=(
            Wrong(share_by_deviation, "you gave the deviations the place of the"
                  " variances: the noise is multiplied by the square root"),
            Wrong(share_of_the_second, "that is the share of the second input"),
            Wrong(share_at_first, "that is where all three begin; train longer"),
        ),
        hints=(
            "`noisy` makes inputs from any list of variances; `learn` takes any number"
            " of inputs.",
            "Learn for 300 steps, and look at the last row of the shares.",
            "Eq. 11.9 gives it without training.",
        ),
    ),
    Exercise(
        name="window", number="11.3", kind="build", minutes=20, difficulty=2, points=3,
        task="The rows of the longer side that row i of the shorter side sees.",
        reference=window, alternative=window_2,
        wrong=(
            Wrong(window_symmetric, "you pad both sides alike, whatever the length;"
                  " SAME pads as little as it can"),
            Wrong(window_no_overlap, "your windows are as wide as the stride; these"
                  " are one row wider, so that neighbours overlap"),
            Wrong(window_padding_in_front, "an odd row of padding goes behind, not in"
                  " front"),
            Wrong(window_with_padding, "you list rows that do not exist: negative ones,"
                  " or past the end"),
        ),
        hints=(
            "Stride and window are in Eq. 11.2. How many rows do all windows cover"
            " together? What is missing is padding.",
            "Half of the padding, rounded down, stands in front: so much is the first"
            " window moved.",
            "Make a range of stride + 1 rows, and keep those from 0 to old - 1.",
        ),
        cases=window_case,
        by_hand=(
            ((0, 4, 2), [0, 1, 2]),
            ((1, 4, 2), [2, 3]),
            ((0, 5, 3), [0, 1]),
            ((2, 5, 3), [3, 4]),
            ((1, 6, 2), [3, 4, 5]),
        ),
        properties=(
            Property(
                "together the windows see every row",
                lambda mine, i, old, new: {
                    row for k in range(new) for row in mine(k, old, new)
                } == set(range(old)),
            ),
        ),
    ),
    Exercise(
        name="ways", number="11.4", kind="build", minutes=20, difficulty=2, points=3,
        task="In how many ways does each input reach each output of a table of nodes?",
        reference=ways, alternative=ways_2,
        wrong=(
            Wrong(ways_at_all, "you say whether there is a way; the question is how"
                  " many there are"),
            Wrong(ways_to_first, "a level's output is its last node, and you stop at"
                  " the first"),
            Wrong(ways_transposed, "rows are outputs, columns are inputs; yours are the"
                  " other way round"),
            Wrong(ways_direct, "you count the inputs that a node reads itself; nodes"
                  " that it reads bring ways along"),
        ),
        hints=(
            "Give every map a list: its ways from level 0, from level 1 and so on. What"
            " are the lists of the inputs themselves?",
            "A node's list is the sum of the lists of all maps that it reads.",
            "Remember, for each level, the id of the last node that stands there.",
        ),
        cases=ways_case,
        by_hand=(
            ((2, [(0, [0, 1]), (1, [1, 2])]), [[1, 1], [1, 2]]),
            ((2, [(1, [1]), (0, [0, 2])]), [[1, 1], [0, 1]]),
            # BiFPN with three levels.
            ((3, [(1, [1, 2]), (0, [0, 3]), (1, [1, 3, 4]), (2, [2, 5])]),
             [[1, 1, 1], [1, 3, 2], [1, 3, 3]]),
        ),
    ),
    Exercise(
        name="softmax_gradient", number="11.5", kind="build", minutes=20, difficulty=3,
        points=3,
        task="The gradient of a softmax-fused pixel by its raw weights.",
        reference=softmax_gradient, alternative=softmax_gradient_2,
        wrong=(
            Wrong(gradient_without_others, "a weight changes its own share and all"
                  " others with it, since they sum to one; you have only its own"),
            Wrong(gradient_of_fixed_sum, "you let the denominator stand still; it grows"
                  " with every weight"),
            Wrong(gradient_without_shares, "the direction is right; each entry is still"
                  " to be multiplied by its share"),
            Wrong(gradient_of_fast_fusion, "that is the gradient of fast fusion;"
                  " softmax takes the exponentials of the weights"),
            Wrong(gradient_by_inputs, "that is the gradient by the inputs; asked is the"
                  " one by the weights"),
        ),
        hints=(
            "Write the fused value as a fraction: the sum of exp(w) x, over the sum of"
            " exp(w). Then the quotient rule.",
            "How does the fused value O change if one weight grows? Towards its x.",
            "The derivative is share times (x - O).",
        ),
        cases=lambda rng, size: (
            tensor(rng, 1 + size % 5, low=-3.0, high=3.0),
            tensor(rng, 1 + size % 5, low=-2.0, high=2.0),
        ),
        by_hand=(
            ((torch.tensor([2.0, 6.0]), torch.tensor([0.0, math.log(3)])),
             torch.tensor([-0.75, 0.75])),  # shares 1/4, 3/4; O = 5
            ((torch.tensor([4.0, 4.0]), torch.tensor([1.0, 2.0])), torch.zeros(2)),
        ),
        properties=(
            Property(
                "the entries sum to zero: what one input gains, others lose",
                lambda mine, x, weights: abs(mine(x, weights).sum().item()) < 1e-4,
            ),
        ),
    ),
)  # fmt: skip

QUIZ = (
    Question(
        "A picture has 400 rows. How many rows has P7?",
        (
            Option("3", "400 / 128 = 3.1, but sizes are rounded up at every halving."),
            Option("4", "200, 100, 50, 25, 13, 7, 4: halve seven times and round up"
                   " each time.", True),
            Option("7", "That is P6."),
            Option("It cannot be: 400 is no multiple of 128", "Nothing needs to divide:"
                   " maps are brought to the exact size of their level."),
        ),
        value=lambda: bifpn.level_sizes((400, 400), 7, 7)[0][0],
    ),
    Question(
        "Fast fusion, three inputs with raw weights 3, 1 and -2. The share of the"
        " first, to two digits?",
        (
            Option("0.75", "The negative weight is clipped to zero: 3 / 4.", True),
            Option("1.50", "A negative weight in the sum would give more than the"
                   " whole; it is clipped first."),
            Option("0.50", "The third weight does not count by its size; it is"
                   " clipped."),
            Option("0.88", "That is softmax: exponentials of 3, 1 and -2."),
        ),
        value=lambda: bifpn.fast_fusion(
            [torch.tensor(1.0), torch.tensor(0.0), torch.tensor(0.0)],
            torch.tensor([3.0, 1.0, -2.0]),
        ).item(),
        form="{:.2f}",
    ),
    Question(
        "BiFPN removes nodes. Is that pruning?",
        (
            Option("Yes, the weights of those nodes are set to zero.", "They never had"
                   " weights: the nodes are left out of the graph before anything is"
                   " trained."),
            Option("No. A node with one input fuses nothing, so it was left out.",
                   "The designers did that, before anything was trained.", True),
            Option("Yes, training finds which nodes matter.", "Training finds the"
                   " fusion weights. Which nodes there are was decided by people."),
        ),
    ),
    Question(
        "Why do P4 and P5 have two 1x1 convolutions each in the first layer, and none"
        " in the second?",
        (
            Option("Each is read by two nodes, and each node has its own.", "The second"
                   " layer's inputs have the right width already.", True),
            Option("One is for the forward pass, one for the backward pass.", "The"
                   " backward pass uses the same weights."),
            Option("It is an oversight; one in common gives the same network.", "It"
                   " gives another network with fewer parameters. Official weights do"
                   " not fit it."),
            Option("P4 and P5 are the largest maps.", "P3 is larger, and has one."),
        ),
    ),
    Question(
        "PANet and BiFPN with five levels, one layer each: what does BiFPN have less"
        " of, and what more?",
        (
            Option("Fewer nodes, more edges.", "8 nodes in place of 10, and 19 edges in"
                   " place of 18.", True),
            Option("Fewer edges, more nodes.", "The short cuts are edges, and two nodes"
                   " are left out."),
            Option("Fewer of both.", "Two edges go with the two nodes, and three short"
                   " cuts are added."),
            Option("More of both.", "Two nodes are left out."),
        ),
    ),
    Question(
        "A port of BiFPN has the right number of parameters and gives maps of the right"
        " shapes. What is still unknown?",
        (
            Option("Nothing: both can hardly agree by chance.", "Padding, upsampling,"
                   " the order of weights and the choice of output node change neither"
                   " number nor shape."),
            Option("Whether it gives the right numbers.", "Only a comparison of outputs"
                   " with equal weights tells.", True),
            Option("Whether it is fast.", "That as well, but a wrong network may be"
                   " fast."),
        ),
    ),
)  # fmt: skip
