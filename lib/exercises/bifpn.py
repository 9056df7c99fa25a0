"""Exercises and quiz of chapter 11: how levels of a pyramid talk to each other."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.detection import bifpn, detectors
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor

# --- the machines that call the core functions


def small_picture() -> Tensor:
    """1 3 64 64, the same at every call: two waves and a ramp, in [0, 1]."""
    ramp = torch.linspace(0, 1, 64)
    waves = [(9 * ramp).sin(), (14 * ramp).cos(), ramp]
    return torch.stack([0.5 + 0.5 * w * ramp[:, None] for w in waves])[None]


def _exported(neck, features: list[Tensor]):
    """A neck as the graph that chapter 22 writes down, for a batch of any size."""
    batch = [{0: torch.export.Dim("batch", min=1, max=64)}] * len(features)
    program = torch.export.export(
        neck, (features,), dynamic_shapes=(batch,), strict=False
    )
    return program.module()


def course_detector() -> list:
    """The shipped *course* detector's outputs; sizes on meta; its neck, exported.

    Meta comes before export: what fails in both is told there in one line.
    """
    picture = small_picture()
    with torch.no_grad():
        model = detectors.shipped("course")
        classes, boxes = model(picture)  # B A*K H W and B A*4 H W a level
        with torch.device("meta"):
            planned = detectors.detector("course")(torch.zeros(1, 3, 64, 64))
        features = model.backbone(torch.cat([picture, 1 - picture]))  # 2 C H W each
        exported = _exported(model.fpn, features)(features)
    sizes = [list(x.shape) for x in planned[0] + planned[1]]
    return [*classes, *boxes, *exported, sizes]


def pyramids_built() -> list:
    """What detectors make of a picture whose pyramids rest on FPN's table.

    *Course* has BiFPN, *plain* has FPN itself; D0's neck is only counted, on meta.
    """
    picture = small_picture()
    with torch.no_grad():
        course = detectors.shipped("course")(picture)
        plain = detectors.shipped("plain")(picture)
    with torch.device("meta"):
        neck = bifpn.BiFPN((40, 112, 320), width=64, cells=3)
    sizes = [list(parameter.shape) for parameter in neck.parameters()]
    return [*course[0], *course[1], *plain[0], *plain[1], sizes]


# --- 11.1 build: FPN's table


def fpn_2(levels):
    """Ids in one list, written down from the coarsest level to the finest."""
    rows = [(levels - 1, (levels - 1,))]
    for n, level in enumerate(range(levels - 2, -1, -1)):
        rows.append((level, (level, levels + n)))
    return bifpn.Topology(levels, tuple(rows))


def fpn_reads_the_input_above(levels):
    rows = [(levels - 1, (levels - 1,))]
    rows += [(level, (level, level + 1)) for level in reversed(range(levels - 1))]
    return bifpn.Topology(levels, rows)


def fpn_counts_nodes_from_zero(levels):
    rows = [(levels - 1, (levels - 1,))]
    for n, level in enumerate(reversed(range(levels - 1))):
        rows.append((level, (level, n)))
    return bifpn.Topology(levels, rows)


def fpn_always_reads_the_coarsest(levels):
    rows = [(levels - 1, (levels - 1,))]
    rows += [(level, (level, levels)) for level in reversed(range(levels - 1))]
    return bifpn.Topology(levels, rows)


def fpn_node_above_first(levels):
    rows = [(level, ids[::-1]) for level, ids in fpn_2(levels).nodes]
    return bifpn.Topology(levels, rows)


def fpn_without_own_input(levels):
    rows = [(levels - 1, (levels - 1,))]
    for n, level in enumerate(reversed(range(levels - 1))):
        rows.append((level, (levels + n,)))
    return bifpn.Topology(levels, rows)


def fpn_upwards(levels):
    rows = [(0, (0,))]
    for level in range(1, levels):
        rows.append((level, (level, levels + level - 1)))
    return bifpn.Topology(levels, rows)


def fpn_reads_all_above(levels):
    rows = [(levels - 1, (levels - 1,))]
    for level in reversed(range(levels - 1)):
        rows.append((level, (level, *range(levels, levels + len(rows)))))
    return bifpn.Topology(levels, rows)


def fpn_and_up_again(levels):
    rows = [tuple(node) for node in fpn_2(levels).nodes]
    rows.append((0, (2 * levels - 1,)))
    for level in range(1, levels):
        rows.append((level, (2 * levels - 1 - level, levels + len(rows) - 1)))
    return bifpn.Topology(levels, rows)


def fpn_as_a_list(levels):
    return [tuple(node) for node in fpn_2(levels).nodes]


# --- 11.2 build: fast fusion


def fast_fusion_2(x, weights, eps=1e-4):
    """Sum first, one division at the end."""
    clipped = weights.clamp(min=0)
    total = sum(w * a for w, a in zip(clipped, x, strict=True))
    return total / (clipped.sum() + eps)


def fusion_divided_before_clipping(x, weights, eps=1e-4):
    shares = F.relu(weights / (weights.sum() + eps))
    return bifpn.weighted_sum(x, shares)


def fusion_without_clipping(x, weights, eps=1e-4):
    return bifpn.weighted_sum(x, weights / (weights.sum() + eps))


def fusion_clipped_above_only(x, weights, eps=1e-4):
    return bifpn.weighted_sum(x, F.relu(weights) / (weights.sum() + eps))


def fusion_clipped_below_only(x, weights, eps=1e-4):
    return bifpn.weighted_sum(x, weights / (F.relu(weights).sum() + eps))


def fusion_with_eps_above_too(x, weights, eps=1e-4):
    w = F.relu(weights) + eps
    return bifpn.weighted_sum(x, w / w.sum())


def fusion_with_eps_above(x, weights, eps=1e-4):
    w = F.relu(weights)
    return bifpn.weighted_sum(x, (w + eps) / w.sum())


def fusion_with_eps_for_each(x, weights, eps=1e-4):
    w = F.relu(weights)
    return bifpn.weighted_sum(x, w / (w + eps).sum())


def fusion_clipped_at_eps(x, weights, eps=1e-4):
    w = weights.clamp(min=eps)
    return bifpn.weighted_sum(x, w / w.sum())


def fusion_with_a_floor(x, weights, eps=1e-4):
    w = F.relu(weights)
    return bifpn.weighted_sum(x, w / w.sum().clamp(min=eps))


def fusion_without_eps(x, weights, eps=1e-4):
    w = F.relu(weights)
    return bifpn.weighted_sum(x, w / w.sum())


def fusion_by_softmax(x, weights, eps=1e-4):
    return bifpn.softmax_fusion(x, weights)


def fusion_by_softmax_of_clipped(x, weights, eps=1e-4):
    return bifpn.softmax_fusion(x, F.relu(weights))


def fusion_by_sigmoid(x, weights, eps=1e-4):
    w = weights.sigmoid()
    return bifpn.weighted_sum(x, w / (w.sum() + eps))


def fusion_by_plain_mean(x, weights, eps=1e-4):
    return sum(x) / len(x) + 0 * weights.sum()


def fusion_by_plain_sum(x, weights, eps=1e-4):
    return sum(x) + 0 * weights.sum()


def fusion_by_absolute_weights(x, weights, eps=1e-4):
    w = weights.abs()
    return bifpn.weighted_sum(x, w / (w.sum() + eps))


def fusion_divided_by_n(x, weights, eps=1e-4):
    w = F.relu(weights)
    return bifpn.weighted_sum(x, w / (len(x) + eps))


def fusion_not_divided(x, weights, eps=1e-4):
    return bifpn.weighted_sum(x, F.relu(weights))


def fusion_of_clipped_maps(x, weights, eps=1e-4):
    w = F.relu(weights)
    return bifpn.weighted_sum([F.relu(a) for a in x], w / (w.sum() + eps))


def fusion_clipped_at_last(x, weights, eps=1e-4):
    return F.relu(bifpn.weighted_sum(x, weights / (weights.sum() + eps)))


def fusion_with_own_eps(x, weights, eps=1e-4):
    w = F.relu(weights)
    return bifpn.weighted_sum(x, w / (w.sum() + 1e-4))


def fusion_of_two(x, weights, eps=1e-4):
    w = F.relu(weights)
    return bifpn.weighted_sum(x[:2], w / (w.sum() + eps))


def fusion_as_mean_of_products(x, weights, eps=1e-4):
    w = F.relu(weights)
    return bifpn.weighted_sum(x, w / (w.sum() + eps)) / len(x)


def fusion_with_eps_outside(x, weights, eps=1e-4):
    w = F.relu(weights)
    return bifpn.weighted_sum(x, w / w.sum() + eps)


def fusion_summed_over_pixels(x, weights, eps=1e-4):
    w = F.relu(weights)
    return bifpn.weighted_sum(x, w / (w.sum() + eps)).sum()


def fusion_clipped_at_one_too(x, weights, eps=1e-4):
    w = weights.clamp(0, 1)
    return bifpn.weighted_sum(x, w / (w.sum() + eps))


def fusion_divided_by_the_largest(x, weights, eps=1e-4):
    w = F.relu(weights)
    return bifpn.weighted_sum(x, w / (w.max() + eps))


def fusion_divided_by_the_length(x, weights, eps=1e-4):
    w = F.relu(weights)
    return bifpn.weighted_sum(x, w / (w.square().sum().sqrt() + eps))


def fusion_with_the_sum_clipped(x, weights, eps=1e-4):
    return bifpn.weighted_sum(x, F.relu(weights) / (F.relu(weights.sum()) + eps))


def fusion_gives_the_shares(x, weights, eps=1e-4):
    w = F.relu(weights)
    return w / (w.sum() + eps)


def fusion_of_four_sides(x, weights, eps=1e-4):
    w = F.relu(weights)
    shares = (w / (w.sum() + eps)).view(-1, 1, 1, 1, 1)
    return (torch.stack(list(x)) * shares).sum(0)


SIDES = ((), (5,), (2, 3), (2, 3, 4, 5), (1, 4, 3, 3), (2, 3, 4))


POSITIVE = "all weights of the shipped detector are positive: there is nothing to clip"


def fusion_case(rng, size):
    """Two to five maps, 0 to 4 sides; weights of both signs, tiny, huge and equal."""
    count = rng.choice((2, 3, 3, 4, 5))
    shape = SIDES[rng.randrange(2)] if size == 1 else rng.choice(SIDES)
    largest = rng.choice((1.0, 1.0, 1000.0))
    x = [tensor(rng, *shape, low=-largest, high=largest) for _ in range(count)]
    # Two of them count, so that a mean is asked: where only one does, its gradient is
    # a difference of nearly equal numbers. Fewer than two are worked by hand.
    weights = tensor(rng, count, low=-2.0, high=2.0)
    for i in rng.sample(range(count), 2):
        weights[i] = 0.5 + rng.random()
    scale = rng.choice((1.0, 1.0, 1e-4, 1e4))
    weights = weights[:1].abs().repeat(count) if rng.random() < 0.15 else weights
    eps = rng.choice((1e-4, 1e-4, 1e-4, 0.25))
    return (x, scale * weights) if eps == 1e-4 else (x, scale * weights, eps)


# --- 11.3 predict


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


# --- 11.4 measure

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


# --- 11.5 build


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


def rows_from(first, count, old):
    return [row for row in range(first, first + count) if 0 <= row < old]


def window_no_overlap(i, old, new):
    """The window is the stride, and the padding is what such windows need."""
    stride = math.ceil(old / new)
    padding = new * stride - old
    return rows_from(i * stride - padding // 2, stride, old)


def window_cut_to_the_stride(i, old, new):
    return window(i, old, new)[: math.ceil(old / new)]


def window_padding_behind(i, old, new):
    stride = math.ceil(old / new)
    return rows_from(i * stride, stride + 1, old)


def window_stride_rounded_down(i, old, new):
    stride = old // new
    padding = max((new - 1) * stride + stride + 1 - old, 0)
    return rows_from(i * stride - padding // 2, stride + 1, old)


def window_all_padding_in_front(i, old, new):
    stride = math.ceil(old / new)
    return rows_from(i * stride - (new * stride + 1 - old), stride + 1, old)


def window_counted_from_one(i, old, new):
    return [row + 1 for row in window(i, old, new)]


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


# --- 11.6 build


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


def ways_coarsest_first(levels, nodes):
    return ways(levels, nodes)[::-1]


def ways_of_all_nodes(levels, nodes):
    """All nodes of a level together, where its output is the last one."""
    counts = [[int(i == j) for j in range(levels)] for i in range(levels)]
    sums = [[0] * levels for _ in range(levels)]
    for level, inputs in nodes:
        row = [sum(counts[i][j] for i in inputs) for j in range(levels)]
        counts.append(row)
        sums[level] = [a + b for a, b in zip(sums[level], row, strict=True)]
    return sums


def ways_direct(levels, nodes):
    found = [[int(i == j) for j in range(levels)] for i in range(levels)]
    for level, inputs in nodes:
        found[level] = [int(j in inputs) for j in range(levels)]
    return found


def ways_case(rng, size):
    """Every level at least once, in any order, some of them twice."""
    levels = rng.randint(2, 3 if size < 4 else 5)
    order = list(range(levels)) + [rng.randrange(levels) for _ in range(min(size, 4))]
    rng.shuffle(order)
    nodes = []
    for n, level in enumerate(order):
        known = range(levels + n)
        nodes.append((level, sorted(rng.sample(known, rng.randint(1, 2)))))
    return levels, nodes


# --- 11.7 build


def softmax_gradient(x, weights):
    """Each input's share, times how far the input lies above the fused value."""
    shares = torch.exp(weights) / torch.exp(weights).sum()
    fused = (shares * x).sum()
    return shares * (x - fused)


def softmax_gradient_2(x, weights):
    """The matrix of derivatives of all shares by all weights, times the inputs."""
    s = torch.softmax(weights, 0)
    return (torch.diag(s) - torch.outer(s, s)) @ x


def softmax_case(rng, size):
    """One to six inputs, small or large; weights near each other, equal, far apart."""
    count, largest = 1 + size % 6, rng.choice((3.0, 3.0, 1000.0))
    weights = tensor(rng, count, low=-2.0, high=2.0)
    if count > 2 and rng.random() < 0.3:
        # Far apart only where x is small: a share near 1 loses digits of x - O.
        far = weights[:1].repeat(count) if largest > 3 else 10.0 * weights
        weights = rng.choice((far, weights[:1].repeat(count)))
    return tensor(rng, count, low=-largest, high=largest), weights


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
        name="fpn", number="11.1", kind="build", minutes=15, difficulty=2, points=2,
        task="The table of FPN's nodes, for any number of levels.",
        place="detection.bifpn.fpn", importance=1,
        machine="every neck of this library", machine_case=pyramids_built,
        milestone_calls=1,
        reference=bifpn.fpn, alternative=fpn_2,
        wrong=(
            Wrong(fpn_as_a_list, "the nodes are right; put them into a table:"
                  " `bifpn.Topology(levels, nodes)`"),
            Wrong(fpn_reads_the_input_above, "each of your levels reads the *input* of"
                  " the level above; it should read the node that stands there, else"
                  " nothing comes down further than one level"),
            Wrong(fpn_counts_nodes_from_zero, "you count the nodes from 0; ids 0 to"
                  " levels - 1 are the inputs, the first node has the id `levels`"),
            Wrong(fpn_always_reads_the_coarsest, "all of your levels read the coarsest"
                  " node; each should read the one just above, the node before"),
            Wrong(fpn_node_above_first, "right maps in the wrong order: a level's own"
                  " input is the first. Trained weights go by this order"),
            Wrong(fpn_without_own_input, "your nodes read only what comes from above;"
                  " each reads its own level's input too"),
            Wrong(fpn_upwards, "your table goes from the finest level to the coarsest;"
                  " FPN goes from the top down"),
            Wrong(fpn_reads_all_above, "your nodes read all nodes above; each reads"
                  " only the one before it"),
            Wrong(fpn_and_up_again, "that is PANet: FPN's table ends with level 0"),
        ),
        hints=(
            "Three levels by hand: (2, (2,)), (1, (1, 3)), (0, (0, 4)). Which two"
            " numbers would a fourth level add?",
            "The first node stands at `levels - 1` and reads that id alone. Then go"
            " down: `for level in reversed(range(levels - 1))`.",
            "The node before has the id `levels + len(nodes) - 1`. Return"
            " `bifpn.Topology(levels, nodes)`.",
        ),
        cases=lambda rng, size: (rng.randint(1, 3 + size),),
        by_hand=(
            ((3,), bifpn.Topology(3, ((2, (2,)), (1, (1, 3)), (0, (0, 4))))),
            ((2,), bifpn.Topology(2, ((1, (1,)), (0, (0, 2))))),
            ((1,), bifpn.Topology(1, ((0, (0,)),))),
            ((5,), bifpn.Topology(5, (
                (4, (4,)), (3, (3, 5)), (2, (2, 6)), (1, (1, 7)), (0, (0, 8)),
            ))),
        ),
        survivors={
            "line 10: `levels = _some_levels(levels)` omitted": "it only names what"
            " is no number of levels",
        },
    ),
    Exercise(
        name="fast_fusion", number="11.2", kind="build", minutes=15, difficulty=2,
        points=3, task="The fused map of a node, by Eq. 11.7.",
        place="detection.bifpn.fast_fusion", required=True, importance=3,
        machine="the shipped course detector", machine_case=course_detector,
        milestone_calls=48,
        unchanged={
            "fusion_divided_before_clipping": POSITIVE,
            "fusion_without_clipping": POSITIVE,
            "fusion_clipped_above_only": POSITIVE,
            "fusion_clipped_below_only": POSITIVE,
            "fusion_by_absolute_weights": POSITIVE,
            "fusion_with_the_sum_clipped": POSITIVE,
            "fusion_with_own_eps": "the layer calls it with the eps of the default",
            "fusion_of_four_sides": "the detector's maps have four sides",
        },
        reference=bifpn.fast_fusion, alternative=fast_fusion_2,
        wrong=(
            Wrong(fusion_divided_before_clipping, "you divided before you clipped: a"
                  " negative weight is still in the sum below. Clip first"),
            Wrong(fusion_without_clipping, "nothing is clipped: a negative weight must"
                  " count as 0, above and below"),
            Wrong(fusion_clipped_above_only, "you clip above the line only; the sum"
                  " below it still holds the raw weights"),
            Wrong(fusion_clipped_below_only, "you clip in the sum only; a negative"
                  " weight still multiplies its map"),
            Wrong(fusion_with_eps_above, "you add eps to the weights above the line; it"
                  " belongs to the sum below it alone"),
            Wrong(fusion_with_eps_above_too, "you add eps to every weight; it is added"
                  " once, to the sum below the line"),
            Wrong(fusion_with_eps_for_each, "you add eps once for each input; it is"
                  " added once to the whole sum"),
            Wrong(fusion_clipped_at_eps, "you clip at eps; the paper clips at 0, so"
                  " that an input can be shut out, and adds eps to the sum"),
            Wrong(fusion_with_a_floor, "eps is no lower bound of the sum; it is added"
                  " to it"),
            Wrong(fusion_without_eps, "eps is missing: where all weights are clipped"
                  " you divide 0 by 0"),
            Wrong(fusion_with_own_eps, "you wrote 0.0001 where the argument `eps`"
                  " should stand"),
            Wrong(fusion_by_softmax, "that is softmax (Eq. 11.8); here weights are"
                  " clipped, without exponentials"),
            Wrong(fusion_by_softmax_of_clipped, "clipped, and then softmax; fast fusion"
                  " divides the clipped weights by their own sum"),
            Wrong(fusion_by_sigmoid, "a sigmoid never gives 0; clip the weights at 0"
                  " instead"),
            Wrong(fusion_by_plain_mean, "that is the plain mean; each map is multiplied"
                  " by its own share, which the weights give"),
            Wrong(fusion_by_plain_sum, "that is the plain sum of the maps; the weights"
                  " do nothing in it"),
            Wrong(fusion_by_absolute_weights, "a negative weight counts as 0, not as"
                  " its absolute value"),
            Wrong(fusion_divided_by_n, "you divide by the number of inputs; divide by"
                  " the sum of the clipped weights, plus eps"),
            Wrong(fusion_as_mean_of_products, "you take the mean of the products; the"
                  " shares sum to 1 already, so add the products up"),
            Wrong(fusion_not_divided, "the weights are clipped but not divided by their"
                  " sum: your shares do not sum to 1"),
            Wrong(fusion_of_clipped_maps, "you clip the maps as well; only the weights"
                  " are clipped"),
            Wrong(fusion_clipped_at_last, "you clip the fused map; the weights are to"
                  " be clipped, before anything is summed"),
            Wrong(fusion_of_two, "you fuse the first two inputs only; a node may read"
                  " any number of maps"),
            Wrong(fusion_with_eps_outside, "eps is added after the division: it needs"
                  " brackets with the sum below the line"),
            Wrong(fusion_summed_over_pixels, "you sum over the pixels as well; add map"
                  " to map, and keep their shape"),
            Wrong(fusion_clipped_at_one_too, "you clip at 1 as well; only what is below"
                  " 0 is clipped"),
            Wrong(fusion_divided_by_the_largest, "you divide by the largest weight;"
                  " divide by the sum of all clipped ones"),
            Wrong(fusion_divided_by_the_length, "you divide by the root of the sum of"
                  " squares; divide by the plain sum"),
            Wrong(fusion_with_the_sum_clipped, "you clip the sum; each weight is"
                  " clipped by itself, and then they are summed"),
            Wrong(fusion_gives_the_shares, "these are the shares; multiply each map by"
                  " its own and add the maps up"),
            Wrong(fusion_of_four_sides, "your weights are shaped for maps with four"
                  " sides; the two numbers by hand have none. Multiply map by map"),
        ),
        hints=(
            "Three steps: clip, share, sum. To clip is to take the larger of a weight"
            " and 0: `weights.relu()`.",
            "All shares at once: the clipped weights, divided by (their sum + eps).",
            "Then multiply each map by its share and add: `sum(s * a for s, a in"
            " zip(shares, x))`.",
        ),
        cases=fusion_case, gradient=(1,),
        by_hand=(
            (([torch.tensor(2.0), torch.tensor(6.0)], torch.tensor([1.0, 3.0])),
             torch.tensor(20 / 4.0001)),
            (([torch.tensor(2.0), torch.tensor(6.0)], torch.tensor([1.0, 3.0]), 1.0),
             torch.tensor(4.0)),  # 20 / 5
            (([torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0]),
               torch.tensor([100.0, 200.0])], torch.tensor([2.0, -5.0, 2.0])),
             torch.tensor([202.0, 404.0]) / 4.0001),
            # A dead node gives 0, and not 0 / 0.
            (([torch.tensor(2.0), torch.tensor(6.0)], torch.tensor([-1.0, -1.0])),
             torch.tensor(0.0)),
            (([torch.tensor(8.0), torch.tensor(-3.0)], torch.tensor([1.0, -1.0]), 3.0),
             torch.tensor(2.0)),  # 8 / (1 + 3)
            (([torch.tensor([5.0, -5.0])], torch.tensor([2.0])),
             torch.tensor([10.0, -10.0]) / 2.0001),
        ),
        properties=(
            Property(
                "an input with a negative weight is not heard",
                lambda mine, x, weights, *eps: torch.equal(
                    mine(x, weights, *eps),
                    mine([a + 7 * (w < 0) for a, w in zip(x, weights, strict=True)],
                         weights, *eps),
                ),
            ),
        ),
    ),
    Exercise(
        name="fusion_weights", number="11.3", kind="predict", minutes=5, difficulty=1,
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
        name="best_share", number="11.4", kind="measure", minutes=15, difficulty=2,
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
        name="window", number="11.5", kind="build", minutes=20, difficulty=2, points=3,
        task="The rows of the longer side that row i of the shorter side sees.",
        reference=window, alternative=window_2,
        wrong=(
            Wrong(window_symmetric, "you pad both sides alike, whatever the length;"
                  " SAME pads as little as it can"),
            Wrong(window_no_overlap, "your windows are as wide as the stride; these"
                  " are one row wider, so that neighbours overlap"),
            Wrong(window_cut_to_the_stride, "your windows begin where they should and"
                  " are as wide as the stride; these are one row wider"),
            Wrong(window_padding_in_front, "an odd row of padding goes behind, not in"
                  " front"),
            Wrong(window_padding_behind, "all of your padding stands behind; one half"
                  " of it, rounded down, belongs in front"),
            Wrong(window_all_padding_in_front, "all of your padding stands in front;"
                  " only one half of it, rounded down, belongs there"),
            Wrong(window_stride_rounded_down, "you round the stride down; rounded up,"
                  " all rows are seen"),
            Wrong(window_counted_from_one, "you count rows from 1; the first is row"
                  " 0"),
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
            ((31, 64, 32), [62, 63]),  # P3 of D0: one row of padding, behind
            ((0, 47, 24), [0, 1]),  # two rows of padding: one in front
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
        name="ways", number="11.6", kind="build", minutes=20, difficulty=2, points=3,
        task="In how many ways does each input reach each output of a table of nodes?",
        reference=ways, alternative=ways_2,
        wrong=(
            Wrong(ways_at_all, "you say whether there is a way; the question is how"
                  " many there are"),
            Wrong(ways_to_first, "a level's output is its last node, and you stop at"
                  " the first"),
            Wrong(ways_transposed, "rows are outputs, columns are inputs; yours are the"
                  " other way round"),
            Wrong(ways_coarsest_first, "your rows begin with the coarsest level; the"
                  " finest, level 0, comes first"),
            Wrong(ways_of_all_nodes, "you add up all nodes of a level; its output is"
                  " the last of them alone"),
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
            # Twice down and up: 1 1, 1 2, 2 3, 3 5.
            ((2, [(0, [0, 1]), (1, [1, 2]), (0, [2, 3]), (1, [3, 4])]),
             [[2, 3], [3, 5]]),
            # FPN with five levels.
            ((5, [(4, [4]), (3, [3, 5]), (2, [2, 6]), (1, [1, 7]), (0, [0, 8])]),
             [[1, 1, 1, 1, 1], [0, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1],
              [0, 0, 0, 0, 1]]),
            # BiFPN with three levels.
            ((3, [(1, [1, 2]), (0, [0, 3]), (1, [1, 3, 4]), (2, [2, 5])]),
             [[1, 1, 1], [1, 3, 2], [1, 3, 3]]),
        ),
    ),
    Exercise(
        name="softmax_gradient", number="11.7", kind="build", minutes=20, difficulty=3,
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
        cases=softmax_case,
        by_hand=(
            ((torch.tensor([2.0, 6.0]), torch.tensor([0.0, math.log(3)])),
             torch.tensor([-0.75, 0.75])),  # shares 1/4, 3/4; O = 5
            ((torch.tensor([4.0, 4.0]), torch.tensor([1.0, 2.0])), torch.zeros(2)),
        ),
        properties=(
            Property(
                "the entries sum to zero: what one input gains, others lose",
                lambda mine, x, weights: abs(mine(x, weights).sum().item())
                < 1e-4 * max(1.0, x.abs().max().item()),
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
