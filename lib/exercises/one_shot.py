"""Exercises and quiz of chapter 09: one-shot search and proxies."""

import itertools
import math
import random
from fractions import Fraction

import torch

from lib.basics import training
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor
from lib.exercises.search_space import RUNS, Told
from lib.nas import one_shot, regrets, search_space, tabular
from lib.nas.search_space import SMALL, Space

# --- mixed_operation, core


def mixed(mine, shares, outputs):
    """The mixture and its slopes, the outputs given one at a time, as the machine does.

    Shares are plain numbers, or a tensor (n,) that is split into n without axes.
    """
    leaves = [output.clone().requires_grad_() for output in outputs]
    each = list(shares)
    if torch.is_tensor(shares):
        leaves.append(shares.clone().requires_grad_())
        each = list(leaves[-1])
    mixture = mine(each, (leaf * 1 for leaf in leaves[: len(outputs)]))
    if isinstance(mixture, list | tuple):
        mixture = [torch.as_tensor(part).detach() for part in mixture]
    if not torch.is_tensor(mixture):
        return {"what comes out": mixture}
    found = {"what comes out": mixture.detach()}
    if not mixture.requires_grad:
        return found | {"slopes": "lost"}
    weights = 1.0 + torch.arange(mixture.numel(), dtype=mixture.dtype)
    total = (mixture.flatten() * weights).sum()
    slopes = torch.autograd.grad(total, leaves, allow_unused=True)
    names = [f"slope of output {i}" for i in range(len(outputs))] + ["slopes of shares"]
    pairs = zip(names, slopes, strict=False)
    return found | {name: "lost" if s is None else s for name, s in pairs}


def all_at_once(shares, outputs):
    """Another right way: stack them, and contract the new axis."""
    stacked = torch.stack(list(outputs))
    weights = torch.stack([torch.as_tensor(s, dtype=stacked.dtype) for s in shares])
    return torch.einsum("p,p...->...", weights, stacked)


def shares_left_out(shares, outputs):
    return sum(outputs)


def mean_of_outputs(shares, outputs):
    outputs = list(outputs)
    return sum(outputs) / len(outputs)


def mean_of_products(shares, outputs):
    products = [s * x for s, x in zip(shares, outputs, strict=True)]
    return sum(products) / len(products)


def divided_by_the_shares(shares, outputs):
    total = sum(s * x for s, x in zip(shares, outputs, strict=True))
    return total / sum(shares)


def softmax_again(shares, outputs):
    again = torch.stack([torch.as_tensor(s) for s in shares]).softmax(0)
    return sum(s * x for s, x in zip(again, outputs, strict=True))


def strongest_alone(shares, outputs):
    outputs, values = list(outputs), [plain_number(s) for s in shares]
    return outputs[values.index(max(values))]


def strongest_with_its_share(shares, outputs):
    pairs = list(zip(shares, outputs, strict=True))
    share, output = max(pairs, key=lambda pair: plain_number(pair[0]))
    return share * output


def plain_number(share):
    return share.item() if torch.is_tensor(share) else share


def shares_as_numbers(shares, outputs):
    pairs = zip(shares, outputs, strict=True)
    return sum(plain_number(s) * x for s, x in pairs)


def without_gradient(shares, outputs):
    with torch.no_grad():
        return sum(s * x for s, x in zip(shares, outputs, strict=True))


def outputs_detached(shares, outputs):
    return sum(s * x.detach() for s, x in zip(shares, outputs, strict=True))


def not_added(shares, outputs):
    return torch.stack([s * x for s, x in zip(shares, outputs, strict=True)])


def list_of_products(shares, outputs):
    return [s * x for s, x in zip(shares, outputs, strict=True)]


def added_over_pixels(shares, outputs):
    return sum((s * x).sum() for s, x in zip(shares, outputs, strict=True))


def last_alone(shares, outputs):
    total = 0
    for share, output in zip(shares, outputs, strict=True):
        total = share * output
    return total


def first_lost(shares, outputs):
    products = [s * x for s, x in zip(shares, outputs, strict=True)]
    return sum(products[1:], 0 * products[0])


def share_added(shares, outputs):
    return sum(s + x for s, x in zip(shares, outputs, strict=True))


def shares_squared(shares, outputs):
    return sum(s * s * x for s, x in zip(shares, outputs, strict=True))


def other_way_round(shares, outputs):
    return sum(s * x for s, x in zip(reversed(shares), outputs, strict=True))


def rectified_after(shares, outputs):
    total = sum(s * x for s, x in zip(shares, outputs, strict=True))
    return total.relu()


def rectified_before(shares, outputs):
    return sum(s * x.relu() for s, x in zip(shares, outputs, strict=True))


def multiplied(shares, outputs):
    total = 1
    for share, output in zip(shares, outputs, strict=True):
        total = total * (share * output)
    return total


def mixing_cases(rng, size):
    """One to nine pairs; rows or maps; even, uneven, zero and very large values."""
    pairs = rng.choice((1, 2, 3, 6, 9))
    shape = rng.choice(((), (3,), (1 + size, 2), (2, 1 + size, 4, 3)))
    scale = rng.choice((1, 1, 1000))
    outputs = [tensor(rng, *shape, low=-scale, high=scale) for _ in range(pairs)]
    numbers = [rng.randint(0, 8) / 4 for _ in range(pairs)]  # both sides: up to 2
    if rng.random() < 0.2:
        numbers = pairs * [2 / pairs]
    if rng.random() < 0.2:
        return [int(i == 0) for i in range(pairs)], outputs  # a path
    return torch.tensor(numbers), outputs


def a_step_of_darts():
    """One step of DARTS on a small supernet: losses, alpha, a slope of the weights."""
    net = one_shot.Supernet(
        search_space.SMALL, num_classes=3, cells=1, filters=2, stem_filters=2
    )
    relaxation = one_shot.Relaxation(search_space.SMALL)
    chance = torch.Generator().manual_seed(0)
    for alpha in relaxation.alpha:
        alpha.data = torch.randn(len(alpha), generator=chance)
    images = torch.randint(0, 256, (8, 3, 8, 8), generator=chance).to(torch.uint8)
    labels = torch.arange(8) % 3
    loss_fn = one_shot.darts_loss(relaxation, (images, labels), lr=0.1)
    loss, _ = loss_fn(net, (images, labels))
    loss.backward()
    slope = net.classifier.weight.grad
    moved = [alpha.detach().clone() for alpha in relaxation.alpha]
    return [loss.item(), *moved, slope.clone()]


# --- sample_path, core

SHOWN = 20  # paths that an answer draws in a row, at least
DRAWS = 400  # and where probabilities are estimated


def paths(mine, space):
    """The paths that an answer draws, and how likely each is.

    Where there are few, the answer runs once for each way in which its draws can come
    out, so that probabilities are exact. Else some hundred paths are drawn: each option
    of a decision, and each two of two neighbours, may come as often as chance allows.
    """
    decisions = search_space.decisions(space)
    sizes = [len(decision.options) for decision in decisions]
    few, chance = math.prod(sizes) <= RUNS, random.Random(0)
    drawn = [mine(decisions, chance) for _ in range(SHOWN)]
    for path in drawn:
        if not isinstance(path, list | tuple):
            return {"a path is of type": type(path).__name__}
        if len(path) != len(sizes):
            return {"decisions": len(sizes), "tokens of a path": len(path)}
    found = _all_ways(mine, decisions) if few else None
    if found == {}:
        return {"numbers asked of rng": 0}
    if found is None:
        drawn += [mine(decisions, chance) for _ in range(DRAWS - SHOWN)]
        if not _is_even(drawn, sizes):
            found = _counted(drawn)
        elif few:
            every = itertools.product(*map(range, sizes))
            found = {path: 1 / math.prod(sizes) for path in every}
    if len(set(map(tuple, drawn))) == 1 < math.prod(sizes):
        return {"different paths in a row": 1}
    if found is None:
        return {"options drawn": sizes, "evenly": True}
    keys = sorted(found, key=str)
    return {"paths": [list(key) for key in keys],
            "chances": [found[key] for key in keys]}  # fmt: skip


def _all_ways(mine, decisions):
    """Each path and its probability; {} if nothing is drawn, None if they are many."""
    found, ways = {}, [()]
    for _ in range(RUNS):
        if not ways:
            return found
        told = ways.pop()
        rng = Told(told)
        path = tuple(mine(decisions, rng))
        if not rng.among:
            return {}
        found[path] = found.get(path, 0) + 1 / math.prod(rng.among)
        drawn = [*told, *(n % rng.among[n] for n in range(len(told), len(rng.among)))]
        for place in range(len(told), len(rng.among)):
            others = {*range(rng.among[place])} - {drawn[place]}
            ways += [(*drawn[:place], other) for other in sorted(others)]
    return None if ways else found


def _is_even(drawn, sizes) -> bool:
    """Whether options, and pairs of options of neighbours, come evenly enough."""
    here = range(len(sizes))
    groups = [(i,) for i in here if sizes[i] > 1]
    groups += itertools.pairwise(here)
    for group in groups:
        options = itertools.product(*(range(sizes[i]) for i in group))
        counts = dict.fromkeys(options, 0)
        for path in drawn:
            key = tuple(path[i] for i in group)
            if key not in counts:
                return False
            counts[key] += 1
        wanted = len(drawn) / len(counts)
        far = sum((count - wanted) ** 2 / wanted for count in counts.values())
        free = len(counts) - 1  # of chi squared: its mean, and half of its variance
        if far > free + 8 * math.sqrt(2 * free):
            return False
    return True


def _counted(drawn):
    """Each path that was drawn, with its share of all."""
    share = 1 / len(drawn)
    found = {}
    for path in map(tuple, drawn):
        found[path] = found.get(path, 0) + share
    return found


def path_in_one_line(decisions, rng):
    """Another right way: draw among the places of the options."""
    return [rng.choice(range(len(decision.options))) for decision in decisions]


def path_of_options(decisions, rng):
    return [rng.choice(decision.options) for decision in decisions]


def path_by_other_chance(decisions, rng):
    rng = random.Random(0)
    return [rng.randrange(len(decision.options)) for decision in decisions]


def path_begun_again(decisions, rng):
    rng.seed(0)
    return [rng.randrange(len(decision.options)) for decision in decisions]


def path_with_one_too_many(decisions, rng):
    return [rng.randint(0, len(decision.options)) for decision in decisions]


def path_counted_from_one(decisions, rng):
    return [rng.randint(1, len(decision.options)) for decision in decisions]


def path_without_the_last_option(decisions, rng):
    return [rng.randrange(max(len(d.options) - 1, 1)) for d in decisions]


def path_rounded(decisions, rng):
    return [round(rng.random() * (len(d.options) - 1)) for d in decisions]


def path_of_one_number(decisions, rng):
    number = rng.random()
    return [int(number * len(decision.options)) for decision in decisions]


def path_with_equal_sides(decisions, rng):
    tokens = []
    for decision in decisions:
        if "right" in decision.what:
            tokens.append(tokens[-1])
        else:
            tokens.append(rng.randrange(len(decision.options)))
    return tokens


def path_with_different_sides(decisions, rng):
    tokens = []
    for decision in decisions:
        left = tokens[-1:] if "right" in decision.what else []
        every = range(len(decision.options))
        tokens.append(rng.choice([t for t in every if t not in left] or [0]))
    return tokens


def path_of_operations(decisions, rng):
    return [rng.randrange(len(d.options)) if d.kind == "operation" else 0
            for d in decisions]  # fmt: skip


def path_of_inputs(decisions, rng):
    return [rng.randrange(len(d.options)) if d.kind == "input" else 0
            for d in decisions]  # fmt: skip


def path_of_one_decision(decisions, rng):
    tokens = [0] * len(decisions)
    i = rng.randrange(len(decisions))
    tokens[i] = rng.randrange(len(decisions[i].options))
    return tokens


def path_without_single_options(decisions, rng):
    sizes = [len(decision.options) for decision in decisions]
    return [rng.randrange(n) for n in sizes if n > 1]


def path_of_the_last(decisions, rng):
    for decision in decisions:
        tokens = [rng.randrange(len(decision.options))]
    return tokens


def path_backwards(decisions, rng):
    return [rng.randrange(len(decision.options)) for decision in decisions[::-1]]


def path_as_one_token(decisions, rng):
    for decision in decisions:
        token = rng.randrange(len(decision.options))
    return token


def path_of_the_larger(decisions, rng):
    sizes = [len(decision.options) for decision in decisions]
    return [max(rng.randrange(n), rng.randrange(n)) for n in sizes]


def path_cases(rng, size):
    """One to three blocks, one to thirteen operations, both cells or one."""
    blocks = rng.choice((1, 1, 2, 2 + (size > 4)))
    names = search_space.NASNET_OPERATIONS[: rng.choice((1, 2, 3, 1 + size, 13))]
    how = rng.choice((("add",), ("add", "concat")))
    searched = rng.choice((("normal",), ("normal", "reduction")))
    return (Space(blocks, names, how, searched),)


def a_short_training():
    """Sixty steps of a small supernet: the convolutions that were ever on a path."""
    net = one_shot.Supernet(SMALL, num_classes=2, cells=1, filters=2, stem_filters=2)
    chance = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 8, 8), generator=chance).to(torch.uint8)
    crops = images, torch.arange(4) % 2
    before = {name: value.clone() for name, value in net.state_dict().items()}
    loss_fn = one_shot.path_loss(SMALL, seed=0)
    training.fit(net, crops, loss_fn, steps=60, batch_size=4, progress=False)
    moved = set()
    for name, value in net.state_dict().items():
        if name.startswith("cells.2.operations.") and ".depthwise" in name:
            if not torch.equal(value, before[name]):
                moved.add(name.split(".")[3])
    return sorted(moved)


# --- steps_trained, predict

PAIRS = 9  # a side of block 1 chooses: inputs 0, 1, 2 with three operations each
STEPS = 1620


def steps_trained() -> int:
    """Steps, on average, in which one pair of block 1 lies on the sampled path."""
    share = 1 - (1 - Fraction(1, PAIRS)) ** 2
    return int(STEPS * share)


# --- decided, measure

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


def decided_too_cold() -> float:
    return decided() - 0.05


def share_at_that_temperature() -> float:
    return _strongest(round(decided() * 20))


def decided_by_half() -> float:
    steps = 40
    while _strongest(steps) < 0.5:
        steps -= 1
    return steps / 20


# --- regret_at, build


def regret_at_2(scores, truth, k):
    """Take the highest score away k times."""
    left = list(zip(scores, truth, strict=True))
    found = []
    for _ in range(k):
        best = max(left)
        left.remove(best)
        found.append(best[1])
    return max(truth) - max(found)


def parameters_as_a_judge():
    """Cells of the shipped table, chosen by their size: regret and interval."""
    table = tabular.load()
    truth = [table.query(cell, split="test") for cell in table.genotypes[::5]]
    sizes = [float(n) for n in table.parameters[::5]]
    return regrets.regret(sizes, truth, 4, resamples=40)


def lowest_first(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: scores[i])
    return max(truth) - max(truth[i] for i in order[:k])


def only_the_first(scores, truth, k):
    return max(truth) - truth[scores.index(max(scores))]


def only_the_last(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth) - truth[order[k - 1]]


def only_the_next(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth) - truth[order[k]]


def one_cell_more(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth) - max(truth[i] for i in order[: k + 1])


def one_cell_less(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth) - max((truth[i] for i in order[: k - 1]), default=0.0)


def mean_of_k(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth) - sum(truth[i] for i in order[:k]) / k


def worst_of_k(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth) - min(truth[i] for i in order[:k])


def lost_in_all(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return sum(max(truth) - truth[i] for i in order[:k])


def the_best_itself(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth[i] for i in order[:k])


def sign_turned(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(truth[i] for i in order[:k]) - max(truth)


def as_a_share(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return (max(truth) - max(truth[i] for i in order[:k])) / max(truth)


def scores_for_truth(scores, truth, k):
    return max(scores) - sorted(scores)[-k]


def truth_less_score(scores, truth, k):
    return max(truth) - max(scores)


def score_less_truth(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max(scores) - max(truth[i] for i in order[:k])


def best_of_k_by_truth(scores, truth, k):
    first = truth[scores.index(max(scores))]
    return sorted(truth, reverse=True)[k - 1] - first


def chosen_by_truth(scores, truth, k):
    return max(truth) - max(sorted(truth, reverse=True)[:k])


def truth_not_reordered(scores, truth, k):
    return max(truth) - max(truth[:k])


def best_of_the_rest(scores, truth, k):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return max((truth[i] for i in order[k:]), default=0.0)


def regret_cases(rng, size):
    n = 4 + 3 * size
    unit = rng.choice((1, 0.25, 10**6))
    scores = [unit * s for s in rng.sample(range(-5 * n, 5 * n), n)]
    levels = rng.choice((4, 128))  # few: several cells are as good as each other
    truth = [rng.randint(0, levels) / levels - rng.choice((0, 2)) for _ in range(n)]
    return scores, truth, rng.randint(2, 1 + size)


# --- carried_flow, core


def flow_run(mine, layers, idle, around):
    """What an answer finds for layers in a row, with `idle` weights beside them.

    R is the sum of what comes out for an input of ones. With `around` the sum of the
    input is added behind the first layer, and behind the last, if there are more than
    two, what the first gave. Idle weights stand in the middle, and reach no output.
    """
    weights = [layer.double().requires_grad_() for layer in layers]
    beside = [layer.double().requires_grad_() for layer in idle]
    ones = torch.ones(1, len(weights[0]), dtype=torch.float64)
    x = ones
    for i, weight in enumerate(weights):
        x = x @ weight
        if around and i == 0:
            x = x + ones.sum()
    if around and len(weights) > 2:
        x = x + (ones @ weights[0]).sum()
    middle = len(weights) // 2
    score = mine([*weights[:middle], *beside, *weights[middle:]], x.sum())
    return score.item() if torch.is_tensor(score) and score.numel() == 1 else score


def by_backward(weights, flow):
    """Another right way: let backward leave each slope in its weight."""
    flow.backward()
    reached = [weight for weight in weights if weight.grad is not None]
    return sum(torch.dot(w.flatten(), w.grad.flatten()).item() for w in reached)


def _slopes(weights, flow):
    """Weights that reach the output, and their slopes."""
    slopes = torch.autograd.grad(flow, weights, allow_unused=True)
    pairs = zip(weights, slopes, strict=True)
    return [(w.detach(), g) for w, g in pairs if g is not None]


def slopes_alone(weights, flow):
    return sum(g.sum().item() for _, g in _slopes(weights, flow))


def weights_alone(weights, flow):
    return sum(weight.sum().item() for weight in weights)


def the_flow_itself(weights, flow):
    return flow.item()


def flow_times_layers(weights, flow):
    return flow.item() * len(_slopes(weights, flow))


def flow_times_all_weights(weights, flow):
    return flow.item() * len(weights)


def weights_times_flow(weights, flow):
    return sum((w * flow).sum().item() for w in weights)


def mean_of_each_layer(weights, flow):
    return sum((w * g).mean().item() for w, g in _slopes(weights, flow))


def mean_over_layers(weights, flow):
    pairs = _slopes(weights, flow)
    return sum((w * g).sum().item() for w, g in pairs) / len(pairs)


def first_layer_alone(weights, flow):
    weight, slope = _slopes(weights, flow)[0]
    return (weight * slope).sum().item()


def last_layer_alone(weights, flow):
    weight, slope = _slopes(weights, flow)[-1]
    return (weight * slope).sum().item()


def idle_weights_forgotten(weights, flow):
    slopes = torch.autograd.grad(flow, weights)
    return sum((w * g).sum().item() for w, g in zip(weights, slopes, strict=True))


def sums_multiplied(weights, flow):
    return sum(w.sum().item() * g.sum().item() for w, g in _slopes(weights, flow))


def slopes_squared(weights, flow):
    return sum((g * g).sum().item() for _, g in _slopes(weights, flow))


def length_of_the_slope(weights, flow):
    return math.sqrt(slopes_squared(weights, flow))


def products_squared(weights, flow):
    return sum(((w * g) ** 2).sum().item() for w, g in _slopes(weights, flow))


def weights_squared(weights, flow):
    return sum((w * w * g).sum().item() for w, g in _slopes(weights, flow))


def logarithm_of_the_sum(weights, flow):
    return math.log(sum((w * g).sum().item() for w, g in _slopes(weights, flow)))


def slope_and_weight_added(weights, flow):
    return sum((w + g).sum().item() for w, g in _slopes(weights, flow))


def largest_of_each_layer(weights, flow):
    return sum((w * g).max().item() for w, g in _slopes(weights, flow))


def a_score_for_each_layer(weights, flow):
    return [(w * g).sum().item() for w, g in _slopes(weights, flow)]


def a_score_for_each_weight(weights, flow):
    return [(w * g).tolist() for w, g in _slopes(weights, flow)]


def divided_by_the_flow(weights, flow):
    return sum((w * g).sum().item() for w, g in _slopes(weights, flow)) / flow.item()


def downwards(weights, flow):
    return -sum((w * g).sum().item() for w, g in _slopes(weights, flow))


def flow_cases(rng, size):
    """One to four layers, small and very large weights, none or some that are idle."""
    widths = [rng.randint(1, 1 + size) for _ in range(rng.randint(2, 5))]
    high = rng.choice((1.0, 1.0, 30.0))
    layers = [tensor(rng, a, b, low=0.0, high=high)
              for a, b in itertools.pairwise(widths)]  # fmt: skip
    idle = [tensor(rng, 2, size, low=0.0) for _ in range(rng.choice((0, 1, 2)))]
    return layers, idle, rng.random() < 0.7


def a_few_cells_scored():
    """Synaptic flow of three cells of the table's space, one with an idle side."""
    texts = (
        "sep3(0)+max3(1) | identity(2)+sep3(0)",
        "sep3(1)+identity(1) | max3(1)+max3(1)",  # half of its cells lead nowhere
        "identity(0)+identity(1) | identity(2)+max3(0)",
    )
    task = tabular.Task(filters=4, stem_filters=4)
    networks = [tabular.network(task, search_space.from_text(t)) for t in texts]
    return [one_shot.synflow(network, (3, 8, 8)) for network in networks]


# --- naswot, build


def naswot(codes):
    """Log of the determinant of how many units agree, for each two images."""
    codes = codes.double()
    both_on = codes @ codes.T
    both_off = (1 - codes) @ (1 - codes).T
    return torch.logdet(both_on + both_off)


def naswot_2(codes):
    """Compare every two codes, and add the logarithms of the eigenvalues up."""
    agree = (codes[:, None] == codes[None]).sum(2).double()
    return torch.linalg.eigvalsh(agree).log().sum()


def log_of_det(codes):
    x = codes.double()
    return torch.log(torch.det(x @ x.T + (1 - x) @ (1 - x).T))


def only_both_on(codes):
    return torch.linalg.slogdet(codes.double() @ codes.double().T)[1]


def only_both_off(codes):
    return torch.linalg.slogdet((1 - codes.double()) @ (1 - codes.double()).T)[1]


def distances(codes):
    x = codes.double()
    return torch.linalg.slogdet(x @ (1 - x).T + (1 - x) @ x.T)[1]


def distances_with_a_sign(codes):
    return torch.logdet((codes[:, None] != codes[None]).sum(2).double())


def diagonal_raised(codes):
    agree = (codes[:, None] == codes[None]).sum(2).double()
    return torch.logdet(agree + torch.eye(len(codes), dtype=torch.float64))


def sign_of_the_determinant(codes):
    agree = (codes[:, None] == codes[None]).sum(2).double()
    return torch.linalg.slogdet(agree)[0]


def on_less_off(codes):
    signs = 2 * codes.double() - 1
    return torch.linalg.slogdet(signs @ signs.T)[1]


def shares_of_units(codes):
    x = codes.double()
    agree = x @ x.T + (1 - x) @ (1 - x).T
    return torch.logdet(agree / codes.shape[1])


def divided_by_images(codes):
    x = codes.double()
    return torch.logdet(x @ x.T + (1 - x) @ (1 - x).T) / len(codes)


def base_ten(codes):
    x = codes.double()
    return torch.logdet(x @ x.T + (1 - x) @ (1 - x).T) / torch.tensor(10.0).log()


def base_two(codes):
    x = codes.double()
    return torch.logdet(x @ x.T + (1 - x) @ (1 - x).T) / torch.tensor(2.0).log()


def no_logarithm(codes):
    x = codes.double()
    return torch.det(x @ x.T + (1 - x) @ (1 - x).T)


def det_of_logarithms(codes):
    x = codes.double()
    return torch.det(torch.log(x @ x.T + (1 - x) @ (1 - x).T))


def units_by_units(codes):
    x = codes.T.double()
    return torch.linalg.slogdet(x @ x.T + (1 - x) @ (1 - x).T)[1]


def log_of_the_sum(codes):
    x = codes.double()
    return (x @ x.T + (1 - x) @ (1 - x).T).sum().log()


def log_of_the_trace(codes):
    x = codes.double()
    return (x @ x.T + (1 - x) @ (1 - x).T).trace().log()


def eigenvalues_with_penalty(codes):
    x = codes.double()
    values = torch.linalg.eigvalsh(x @ x.T + (1 - x) @ (1 - x).T)
    return -(values.log() + 1 / values).sum()


def fits_the_paper(mine, codes):
    """128 images, 2048 units, every two agree in half of them; one case is enough.

    K holds 1024 everywhere and 1024 more on its diagonal: 127 eigenvalues are 1024, and
    one is 129 * 1024.
    """
    if codes.shape != (1, 3):
        return True
    signs = torch.ones(1, 1)
    while len(signs) < 128:  # each step doubles the codes; any two differ in half
        signs = torch.cat([torch.cat([signs, signs], 1), torch.cat([signs, -signs], 1)])
    score = mine(((1 + signs) / 2).repeat(1, 16))
    return math.isclose(score, math.log(129) + 1280 * math.log(2), rel_tol=1e-5)


def code_cases(rng, size):
    images, units = rng.randint(1, 1 + 2 * size), 16 + 8 * size
    while True:
        rows = [[rng.randint(0, 1) for _ in range(units)] for _ in range(images)]
        codes = torch.tensor(rows, dtype=torch.float32)
        on = torch.linalg.slogdet(codes.double() @ codes.double().T)[1]
        if on > 0 and naswot(codes) > 1:  # else the determinant is all rounding
            return (codes,)


EXERCISES = (
    Exercise(
        name="mixed_operation", number="09.3", kind="build",
        minutes=12, difficulty=2, points=4,
        task="The relaxed operation: every output by its share, added up. `outputs`"
             " gives one tensor at a time, so zip them with the shares; shares are"
             " numbers or tensors without axes, and slopes reach both.",
        reference=one_shot.mixed_operation, alternative=all_at_once, probe=mixed,
        place="nas.one_shot.mixed_operation", required=True, importance=3,
        machine="the supernet that DARTS trains, in each block of each cell",
        machine_case=a_step_of_darts, milestone_calls=2111,
        wrong=(
            Wrong(shares_as_numbers, "What comes out is right, but the slopes of the"
                                     " shares are lost, and alpha never moves. Look for"
                                     " float(...), .item() or torch.tensor(...)."),
            Wrong(without_gradient, "What comes out is right, but no slope goes back:"
                                    " under no_grad, or detached, nothing can learn."),
            Wrong(outputs_detached, "You detach the outputs: then the weights of the"
                                    " layers get no slope."),
            Wrong(shares_left_out, "The shares are not used: each output is multiplied"
                                   " by its share before it is added."),
            Wrong(mean_of_outputs, "That is the plain mean. Each output has a share of"
                                   " its own, and the shares do the weighing."),
            Wrong(mean_of_products, "You divide by the number of pairs. The shares do"
                                    " the weighing already: add the products up."),
            Wrong(divided_by_the_shares, "You divide by the sum of the shares. A block"
                                         " adds two sides, so its shares sum to 2:"
                                         " that is meant."),
            Wrong(softmax_again, "The shares are shares already. A second softmax makes"
                                 " them nearly even."),
            Wrong(strongest_alone, "You take the output with the largest share alone."
                                   " That is the cut, after the search. Here every pair"
                                   " takes part."),
            Wrong(strongest_with_its_share, "Only the pair with the largest share is in"
                                            " your answer. Every pair takes part."),
            *(Wrong(f, "Those are the products, one for each pair. Add them up: the"
                       " result has the shape of one output.")
              for f in (not_added, list_of_products)),
            Wrong(added_over_pixels, "You add up over the pixels, too. The result has"
                                     " the shape of one output."),
            Wrong(last_alone, "Only the last pair is in your answer. Does each turn of"
                              " the loop add, or does it replace?"),
            Wrong(first_lost, "The first pair is missing in your sum."),
            Wrong(share_added, "You add share and output. A quarter of it is 0.25"
                               " times it."),
            Wrong(shares_squared, "You multiply by the share twice."),
            Wrong(other_way_round, "Shares and outputs stand in the same order; yours"
                                   " runs through one of them backwards."),
            Wrong(rectified_after, "You take a ReLU of the mixture. The layers that"
                                   " read it do that; a mixture may be negative."),
            Wrong(rectified_before, "You take a ReLU of each output. The layers do what"
                                    " is needed; only weigh and add."),
            Wrong(multiplied, "You multiply the products with each other. They are"
                              " added."),
        ),
        hints=(
            "For each pair: share times output. All of them: added up.",
            "zip(shares, outputs) walks through both at once.",
            "total = 0, and in the loop total = total + share * output.",
        ),
        cases=mixing_cases,
        by_hand=(
            # 1/4 (0 1 0) + 3/4 (1 1 1); the slopes: pixels count 1, 2 and 3.
            ((torch.tensor([0.25, 0.75]), [torch.tensor([0.0, 1, 0]), torch.ones(3)]),
             {"what comes out": torch.tensor([0.75, 1.0, 0.75]),
              "slope of output 0": torch.tensor([0.25, 0.5, 0.75]),
              "slope of output 1": torch.tensor([0.75, 1.5, 2.25]),
              "slopes of shares": torch.tensor([2.0, 6.0])}),
            # A path with the same pair on both sides: it counts twice.
            (([0, 2, 0], [torch.tensor(5.0), torch.tensor(-3.0), torch.tensor(1.0)]),
             {"what comes out": torch.tensor(-6.0),
              "slope of output 0": torch.tensor(0.0),
              "slope of output 1": torch.tensor(2.0),
              "slope of output 2": torch.tensor(0.0)}),
            # Both sides of a block: the shares sum to 2. Numbers of a large network.
            ((torch.tensor([0.5, 1.0, 0.5]),
              [torch.tensor([4000.0]), torch.tensor([-1000.0]), torch.tensor([0.0])]),
             {"what comes out": torch.tensor([1000.0]),
              "slope of output 0": torch.tensor([0.5]),
              "slope of output 1": torch.tensor([1.0]),
              "slope of output 2": torch.tensor([0.5]),
              "slopes of shares": torch.tensor([4000.0, -1000.0, 0.0])}),
        ),
    ),
    Exercise(
        name="sample_path", number="09.2", kind="build",
        minutes=8, difficulty=1, points=2,
        task="One path of the supernet as a list of tokens: for each decision a number"
             " from 0 to len(decision.options) - 1, each equally likely, drawn from"
             " rng.",
        reference=one_shot.sample_path, alternative=path_in_one_line, probe=paths,
        tolerance=0.003,
        place="nas.one_shot.sample_path", importance=2,
        machine="the training of the supernet, once a step",
        machine_case=a_short_training, milestone_calls=1900,
        unchanged={
            name: "every option still comes, only not as often: the machine is asked"
                  " which layers have learned"
            for name in ("path_rounded", "path_with_equal_sides",
                         "path_with_different_sides", "path_of_the_larger")
        },
        wrong=(
            Wrong(path_of_options, "These are the options themselves. A token is the"
                                   " place of an option, 0 for the first."),
            Wrong(path_by_other_chance, "Your draws do not come from `rng`. A training"
                                        " that is run again with the same seed must"
                                        " meet the same paths."),
            Wrong(path_begun_again, "You begin `rng` anew at each call, so every step"
                                    " trains the same path. Only draw from it."),
            Wrong(path_with_one_too_many, "Your token may be as large as the number of"
                                          " options: rng.randint includes its end,"
                                          " rng.randrange does not."),
            Wrong(path_counted_from_one, "You count from 1. The first option has the"
                                         " token 0."),
            Wrong(path_without_the_last_option, "The last option of a decision never"
                                                " comes. rng.randrange(n) stops before"
                                                " n by itself."),
            Wrong(path_rounded, "With round(), the first and the last option have half"
                                " the chance of the others. rng.randrange is even."),
            Wrong(path_of_one_number, "One number decides everything, so decisions"
                                      " hang together. Draw anew for each decision."),
            Wrong(path_with_equal_sides, "Your right side repeats the left one. Each"
                                         " decision is drawn by itself."),
            Wrong(path_with_different_sides, "Your right side avoids what the left one"
                                             " took. A block may take the same on both"
                                             " sides; each decision is drawn by"
                                             " itself."),
            Wrong(path_of_operations, "Only operations are drawn. Inputs are decisions"
                                      " as well."),
            Wrong(path_of_inputs, "Only inputs are drawn. Operations are decisions as"
                                  " well."),
            Wrong(path_of_one_decision, "You draw one decision and leave the others at"
                                        " 0. A path is new in all its decisions."),
            Wrong(path_without_single_options, "A decision with a single option has a"
                                               " token too: 0. You leave it out, and"
                                               " all later tokens stand too early."),
            Wrong(path_of_the_last, "Only the last token is in your list. Does each"
                                    " turn of the loop append, or does it replace?"),
            Wrong(path_as_one_token, "That is one token, the last. A list with a token"
                                     " for each decision is asked."),
            Wrong(path_backwards, "Your tokens stand in the opposite order. The first"
                                  " belongs to decisions[0]."),
            Wrong(path_of_the_larger, "Later options come more often: you take the"
                                      " larger of two draws. One draw is even."),
        ),
        hints=(
            "A loop over `decisions`, a list that grows by one token each turn.",
            "rng.randrange(n) gives 0 to n - 1, each equally likely.",
            "n is len(decision.options).",
        ),
        cases=path_cases,
        by_hand=(
            # Two inputs on each side, one operation, one combination: a quarter each.
            ((Space(1, ("sep3",), cells=("normal",)),),
             {"paths": [[0, 0, 0, 0, 0], [0, 1, 0, 0, 0],
                        [1, 0, 0, 0, 0], [1, 1, 0, 0, 0]],
              "chances": [1 / 4] * 4}),
            # Three operations: 2 * 2 * 3 * 3 paths, each equally likely.
            ((Space(1, ("identity", "max3", "sep3"), cells=("normal",)),),
             {"paths": [[a, b, f, g, 0] for a in (0, 1) for b in (0, 1)
                        for f in (0, 1, 2) for g in (0, 1, 2)],
              "chances": [1 / 36] * 36}),
            # A second block may also read the first: 2 * 2 * 3 * 3.
            ((Space(2, ("max3",), cells=("normal",)),),
             {"paths": [[a, b, 0, 0, 0, c, d, 0, 0, 0] for a in (0, 1) for b in (0, 1)
                        for c in (0, 1, 2) for d in (0, 1, 2)],
              "chances": [1 / 36] * 36}),
        ),
    ),
    Exercise(
        name="carried_flow", number="09.4", kind="build",
        minutes=10, difficulty=2, points=3,
        task="Synaptic flow of some weights: each weight times its slope dR/dweight,"
             " all added up. `weights` is a list of positive tensors, `flow` is R, made"
             " from them. A weight that R does not depend on has no slope, and carries"
             " nothing.",
        reference=one_shot.carried_flow, alternative=by_backward, probe=flow_run,
        place="nas.one_shot.carried_flow", importance=1,
        machine="synaptic flow, which scores networks that nobody has trained",
        machine_case=a_few_cells_scored, milestone_calls=62,
        wrong=(
            Wrong(slopes_alone, "You add slopes alone. Each weight is multiplied by its"
                                " slope."),
            Wrong(weights_alone, "You add the weights alone. Each is multiplied by its"
                                 " slope."),
            Wrong(the_flow_itself, "That is R. Asked is what each weight carries of it,"
                                   " added up over all weights."),
            *(Wrong(f, "R times the number of layers is right for layers in a row."
                       " Where an edge goes around one, a layer carries less than R.")
              for f in (flow_times_layers, flow_times_all_weights)),
            Wrong(weights_times_flow, "You multiply each weight by R. It is multiplied"
                                      " by its slope, the derivative of R."),
            Wrong(mean_of_each_layer, "You average inside of a layer. All its weights"
                                      " count: add them up."),
            Wrong(mean_over_layers, "You divide by the number of layers. Add them up."),
            *(Wrong(f, "One layer alone is in your answer. Does each turn of the loop"
                       " add, or does it replace?")
              for f in (first_layer_alone, last_layer_alone)),
            Wrong(idle_weights_forgotten, "Some weights reach no output, and for these"
                                          " torch.autograd.grad raises an error unless"
                                          " you say allow_unused=True. Then it gives"
                                          " None, and such a weight carries nothing."),
            Wrong(sums_multiplied, "You add up first and multiply then. Multiply each"
                                   " weight by its own slope, then add."),
            Wrong(slopes_squared, "You square the slopes. A slope is multiplied by its"
                                  " weight."),
            Wrong(length_of_the_slope, "That is the length of the gradient, another"
                                       " proxy (grad norm). Here each slope is"
                                       " multiplied by its weight."),
            Wrong(products_squared, "You square the products. They are added as they"
                                    " are."),
            Wrong(weights_squared, "You multiply by the weight twice."),
            Wrong(logarithm_of_the_sum, "You take a logarithm. It would keep the order"
                                        " of cells, but the sum itself is asked."),
            Wrong(slope_and_weight_added, "You add weight and slope. They are"
                                          " multiplied."),
            Wrong(largest_of_each_layer, "You take the largest product of a layer. All"
                                         " are added up."),
            *(Wrong(f, "Those are the parts. One number is asked, their sum over all"
                       " weights of all layers.")
              for f in (a_score_for_each_layer, a_score_for_each_weight)),
            Wrong(divided_by_the_flow, "You divide by R. The sum itself is asked."),
            Wrong(downwards, "The sign is turned: a larger flow is a larger score."),
        ),
        hints=(
            "torch.autograd.grad(flow, weights, allow_unused=True) gives a slope for"
            " each weight, None for one that R does not depend on.",
            "zip(weights, slopes) walks through both at once; leave out None.",
            "(weight * slope).sum().item() is what one tensor of weights carries.",
        ),
        cases=flow_cases,
        survivors={
            "line 16: `True` -> `False`": "there are as many slopes as weights, so"
            " strict has nothing to refuse",
        },
        by_hand=(
            # R = 2 * 3, and each of the two carries all of it.
            (([torch.tensor([[2.0]]), torch.tensor([[3.0]])], [], False), 12.0),
            # Two inputs of 1: R = 1 + 4, and one layer carries all of it.
            (([torch.tensor([[1.0], [4.0]])], [], False), 5.0),
            # 2 + 1 and 3 + 1 go into the second, R = 3 * 4 + 4 * 5 = 32. It carries
            # all of that, the first 2 * 4 + 3 * 5 = 23, and 7 leads nowhere.
            (([torch.tensor([[2.0, 3.0]]), torch.tensor([[4.0], [5.0]])],
              [torch.tensor([[7.0]])], True), 55.0),
            # (2 + 1) * 3 * 5 + 2 = 47. The later two carry 45 each, the first
            # 2 * 3 * 5 + 2 = 32.
            (([torch.tensor([[2.0]]), torch.tensor([[3.0]]), torch.tensor([[5.0]])],
              [], True), 122.0),
        ),
    ),
    Exercise(
        name="steps_trained", number="09.5", kind="predict",
        minutes=5, difficulty=1, points=1,
        task="In how many of 1,620 steps is one pair of block 1 on the path?",
        reference=steps_trained,
        wrong=(
            Wrong(180, "That is one side's share, one in nine. The other side may"
                       " choose the pair too, and both use the same layers."),
            Wrong(360, "Nearly: two sides, one in nine each. But in some steps both"
                       " choose the pair, and you counted these steps twice."),
            Wrong(20, "That is how often both sides choose it at once. One is enough."),
            Wrong(320, "That is how often exactly one side chooses it. If both do, it"
                       " is on the path too."),
            Wrong(1280, "That is how often neither side chooses it."),
            Wrong(1440, "That is how often one side does not choose it."),
            Wrong(540, "One in three is the operation alone. A side chooses one of nine"
                       " pairs, input and operation."),
            Wrong(810, "It is on the path or it is not, but not evenly so: a side"
                       " chooses one of nine."),
            Wrong(1620, "At each step one path is trained, and this pair is on few of"
                        " them."),
            Wrong(90, "One in eighteen: but each side chooses one of nine, and either"
                      " may choose the pair."),
        ),
        hints=(
            "How likely is it that one side does not choose this pair?",
            "Both sides miss it with the square of that; in all other steps it is on"
            " the path.",
        ),
    ),
    Exercise(
        name="decided", number="09.6", kind="measure",
        minutes=6, difficulty=1, points=2,
        task="The largest temperature, in steps of 0.05, at which the strongest pair"
             " has a share of at least 0.9.",
        reference=decided,
        wrong=(
            Wrong(decided_too_warm, "Close: here the share is still below 0.9. One step"
                                    " colder."),
            Wrong(decided_too_cold, "Close: one step warmer the share is still at"
                                    " least 0.9. The largest such temperature is"
                                    " asked."),
            Wrong(decided_by_half, "At this temperature it has half. Nine tenths are"
                                   " asked."),
            Wrong(share_at_that_temperature, "That is the share. The temperature is"
                                             " asked."),
            Wrong(0.9, "That is the share that is wanted. At which temperature does"
                       " the strongest pair have it?"),
            Wrong(1.0, "At a temperature of 1 the strongest pair has 0.38. Go down."),
        ),
        hints=(
            "Change `temperature` in the cell, run it, read the first share, repeat.",
            "A lower temperature makes the strongest share larger, so go down from 1.",
        ),
    ),
    Exercise(
        name="regret_at", number="09.1", kind="build",
        minutes=10, difficulty=2, points=3,
        task="Write `regret_at(scores, truth, k)` for two lists; all scores differ."
             " You train the k cells with the highest scores and keep the best of"
             " them, by `truth`. Return how much it lacks to the best of all: 0 if"
             " nothing was lost, else a positive number.",
        reference=regrets.regret_at, alternative=regret_at_2,
        place="nas.regrets.regret_at", importance=2,
        machine="the comparison of judges, and its intervals",
        machine_case=parameters_as_a_judge, milestone_calls=10222,
        wrong=(
            Wrong(lowest_first, "You took the k lowest scores. A higher score is meant"
                                " to promise a better cell."),
            Wrong(only_the_first, "Right for k = 1. With more, the best of all k that"
                                  " are tried counts, not the one with the highest"
                                  " score."),
            *(Wrong(f, "You took one cell alone, the k-th or the one behind it. The"
                       " best of all k that are trained counts: a slice [:k].")
              for f in (only_the_last, only_the_next)),
            Wrong(one_cell_more, "You train k + 1 cells. A slice [:k] has k."),
            Wrong(one_cell_less, "You train k - 1 cells. A slice [:k] has k."),
            Wrong(mean_of_k, "You averaged over the k cells. Whoever trains k cells"
                             " keeps the best of them."),
            Wrong(worst_of_k, "You kept the worst of the k. Whoever trains k cells"
                              " keeps the best of them."),
            Wrong(lost_in_all, "You added up what each of the k lacks. Only the best of"
                               " them is kept."),
            Wrong(the_best_itself, "That is how good the found cell is. Regret is what"
                                   " it lacks to the best of all."),
            Wrong(sign_turned, "The sign is turned: regret is the best of all less the"
                               " best that was found."),
            Wrong(as_a_share, "You divided by the best. The difference itself is"
                              " asked."),
            *(Wrong(f, "You subtracted scores. Scores only choose; the difference is"
                       " one of true values.")
              for f in (scores_for_truth, truth_less_score, score_less_truth)),
            Wrong(chosen_by_truth, "You chose the k cells by their truth, which nobody"
                                   " knows before training. Choose by the scores."),
            Wrong(best_of_k_by_truth, "k says how many cells are trained, not which"
                                      " true value to compare with: compare with the"
                                      " best of all."),
            Wrong(truth_not_reordered, "You took the first k cells of the list. Take"
                                       " those with the k highest scores."),
            Wrong(best_of_the_rest, "That is the best of the cells that were not"
                                    " trained."),
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
            # chosen are 9 and 7, with 0.5 and 0.25; the best has 0.875
            (([-5, 7, 0.5, 9, 2], [0.875, 0.25, 0.75, 0.5, 0.125], 2), 0.375),
            # chosen are -1 and -2, with -2.5 and -1.5; the two best have -1.0
            (([-1, -3, -2, -4], [-2.5, -1.0, -1.5, -1.0], 2), 0.5),
        ),
        properties=(
            Property("with every cell tried nothing is lost",
                     lambda mine, scores, truth, k:
                     mine(scores, truth, len(scores)) == 0),
        ),
    ),
    Exercise(
        name="naswot", number="09.7", kind="build",
        minutes=15, difficulty=3, points=3,
        task="Write `naswot(codes)`. `codes` is a float32 tensor (N, A) of zeros and"
             " ones, one row for each of N images. K[i, j] is the number of the A units"
             " that agree for images i and j. Return the natural logarithm of the"
             " determinant of K, a float64 tensor with no axes, finite for 128 images"
             " too: their determinant is larger than any float.",
        reference=naswot, alternative=naswot_2,
        wrong=(
            Wrong(only_both_on, "You count the units that are on for both images. A"
                                " unit that is off for both agrees as well."),
            Wrong(only_both_off, "You count the units that are off for both images. A"
                                 " unit that is on for both agrees as well."),
            *(Wrong(f, "You count the units that differ. The kernel holds those that"
                       " agree: its diagonal is the number of units.")
              for f in (distances, distances_with_a_sign)),
            Wrong(diagonal_raised, "You raised the diagonal. K itself is asked."),
            Wrong(sign_of_the_determinant, "torch.linalg.slogdet gives the sign first"
                                           " and the logarithm second."),
            Wrong(on_less_off, "With -1 for 0 a product gives agreements less"
                               " disagreements. Agreements alone are asked."),
            Wrong(shares_of_units, "You divide by the number of units. K holds numbers"
                                   " of units, not shares."),
            Wrong(divided_by_images, "You divide by the number of images. The logarithm"
                                     " itself is asked."),
            *(Wrong(f, "The natural logarithm is asked.")
              for f in (base_ten, base_two)),
            Wrong(no_logarithm, "That is the determinant itself; its logarithm is"
                                " asked."),
            Wrong(det_of_logarithms, "First the determinant, then its logarithm: not"
                                     " the logarithm of each entry."),
            Wrong(units_by_units, "Your matrix compares units with each other. It"
                                  " should have a row and a column for each image."),
            *(Wrong(f, "You added entries up. The determinant is asked: it is small"
                       " where two rows are alike.")
              for f in (log_of_the_sum, log_of_the_trace)),
            Wrong(eigenvalues_with_penalty, "That is Eq. 9.7, the first version of the"
                                            " score. This one is the logarithm of the"
                                            " determinant alone."),
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
            # Three images, two units agree for the first two, one for the others:
            # det (4 2 1 / 2 4 1 / 1 1 4) = 4 * 15 - 2 * 7 + 1 * -2 = 44.
            ((torch.tensor([[1.0, 1, 1, 1], [1.0, 1, 0, 0], [0.0, 0, 0, 1]]),),
             torch.tensor(44.0).double().log()),
        ),
        properties=(
            Property("turning every unit round changes no agreement",
                     lambda mine, codes:
                     abs(float(mine(codes)) - float(mine(1 - codes))) < 1e-6),
            Property("for 128 images and 2048 units it is about 892. Their determinant"
                     " is larger than any float, so it is infinite before a logarithm"
                     " is taken: torch.logdet takes the logarithm on the way",
                     fits_the_paper),
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
