"""Exercises and quiz of chapter 03: what a network costs."""

import torch
from torch import nn

from lib.basics import profiling, training
from lib.exercises import Exercise, Option, Property, Question, Wrong

# --- 03.1 predict


def growth() -> float:
    """Factor on one convolution's multiply-adds: channels times 2, side times 1.5."""
    small, large = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)
    before = profiling.macs(small, torch.zeros(1, 16, 16, 16))
    return profiling.macs(large, torch.zeros(1, 32, 24, 24)) / before


# --- 03.2 measure


def outgrown() -> int:
    """Smallest even side at which activations take more bytes than the weights."""
    model = training.small_cnn((16, 32, 64))
    side = 8
    while _peak(model, side) <= profiling.sizes(model).bytes:
        side += 2
    return side


def _peak(model: nn.Module, side: int) -> int:
    return profiling.peak_memory(model, torch.zeros(1, 3, side, side))


def outgrown_numbers() -> int:
    model, side = training.small_cnn((16, 32, 64)), 8
    while _peak(model, side) <= profiling.parameters(model):
        side += 2
    return side


def outgrown_just_before() -> int:
    return outgrown() - 2


# --- 03.3 build


def grouped_conv_macs(c_in, c_out, kernel, stride, padding, groups, side):
    """Multiply-adds of one square, grouped convolution on one square picture."""
    out = (side + 2 * padding - kernel) // stride + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


def grouped_conv_macs_2(c_in, c_out, kernel, stride, padding, groups, side):
    """Group by group: each is a dense convolution between its share of channels."""
    positions = len(range(0, side + 2 * padding - kernel + 1, stride)) ** 2
    weights = (c_in // groups) * (c_out // groups) * kernel**2
    return sum(positions * weights for _ in range(groups))


def groups_forgotten(c_in, c_out, kernel, stride, padding, groups, side):
    return grouped_conv_macs(c_in, c_out, kernel, stride, padding, 1, side)


def groups_twice(c_in, c_out, kernel, stride, padding, groups, side):
    return grouped_conv_macs(c_in, c_out, kernel, stride, padding, groups, side) // (
        groups
    )


def input_side(c_in, c_out, kernel, stride, padding, groups, side):
    return side * side * c_out * (c_in // groups) * kernel * kernel


def two_for_one(c_in, c_out, kernel, stride, padding, groups, side):
    return 2 * grouped_conv_macs(c_in, c_out, kernel, stride, padding, groups, side)


def padding_once(c_in, c_out, kernel, stride, padding, groups, side):
    out = (side + padding - kernel) // stride + 1
    return out * out * c_out * (c_in // groups) * kernel * kernel


def grouped_cases(rng, size):
    groups = rng.randint(1, 1 + size)
    kernel = rng.choice((1, 3, 5))
    return (
        groups * rng.randint(1, size),
        groups * rng.randint(1, size),
        kernel,
        rng.randint(1, 3),
        rng.randint(0, kernel // 2),
        groups,
        rng.randint(5, 6 + 4 * size),
    )


# --- 03.4 build


def best_within(cost, quality, budget):
    """Index of the best point that the budget allows; None if it allows none."""
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    if not inside:
        return None
    return max(inside, key=lambda i: (quality[i], -cost[i]))


def best_within_2(cost, quality, budget):
    """One pass, the best so far in hand."""
    best = None
    for i, (c, q) in enumerate(zip(cost, quality, strict=True)):
        if c > budget:
            continue
        if best is None or q > quality[best] or (q == quality[best] and c < cost[best]):
            best = i
    return best


def strictly_below(cost, quality, budget):
    return best_within(cost, quality, budget - 1)  # the costs are whole numbers


def place_among_survivors(cost, quality, budget):
    chosen = best_within(cost, quality, budget)
    return None if chosen is None else sum(c <= budget for c in cost[:chosen])


def cheapest(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    return min(inside, key=lambda i: (cost[i], -quality[i])) if inside else None


def first_of_a_tie(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(inside, key=lambda i: quality[i]) if inside else None


def budget_ignored(cost, quality, budget):
    return best_within(cost, quality, max(cost))


def best_value(cost, quality, budget):
    inside = [i for i in range(len(cost)) if cost[i] <= budget]
    return max(inside, key=lambda i: quality[i] / cost[i]) if inside else None


def budget_cases(rng, size):
    n = 1 + 2 * size
    cost = [rng.randint(1, 3 * size) for _ in range(n)]
    quality = [rng.randint(1, 1 + size) for _ in range(n)]
    return cost, quality, rng.choice(cost) - rng.choice((0, 0, 0, 1))


# --- 03.5 build


def peak_live(sizes, last_use):
    """Most bytes alive at one step: tensor i lives from step i to step last_use[i]."""
    return max(
        sum(sizes[i] for i in range(step + 1) if last_use[i] >= step)
        for step in range(len(sizes))
    )


def peak_live_2(sizes, last_use):
    """Keep a balance: allocate, look, release."""
    alive = peak = 0
    for step, size in enumerate(sizes):
        alive += size
        peak = max(peak, alive)
        alive -= sum(s for s, last in zip(sizes, last_use, strict=True) if last == step)
    return peak


def released_too_early(sizes, last_use):
    return max(
        sum(sizes[i] for i in range(step + 1) if i == step or last_use[i] > step)
        for step in range(len(sizes))
    )


def never_released(sizes, last_use):
    return sum(sizes)


def largest_tensor(sizes, last_use):
    return max(sizes)


def neighbours_only(sizes, last_use):
    return max(sum(sizes[max(0, i - 1) : i + 1]) for i in range(len(sizes)))


def live_cases(rng, size):
    n = 1 + size
    sizes = [rng.randint(1, 9) for _ in range(n)]
    last_use = [
        min(n - 1, rng.choice((i + 1, i + 1, i + 2, i + 3, n - 1))) for i in range(n)
    ]
    return sizes, last_use


EXERCISES = (
    Exercise(
        name="growth", number="03.1", kind="predict",
        minutes=4, difficulty=1, points=1,
        task="Twice the channels and 1.5 times the side: how many times the cost?",
        reference=growth,
        wrong=(
            Wrong(3.0, "2 times 1.5: that treats the picture as a line, and the"
                       " channels as if only the outputs had doubled. Both counts of"
                       " channels double, and the picture grows both ways."),
            Wrong(4.5, "The side is right: 1.5 times 1.5. Now the channels: every new"
                       " output channel also reads twice as many input channels."),
            Wrong(6.0, "The channels are right: 2 times 2. Now the side: the picture"
                       " grows in height and in width."),
            Wrong(18.0, "The channels enter twice, once as inputs and once as outputs,"
                        " not three times."),
        ),
        hints=(
            "Write Eq. 3.2 for both layers, one under the other, and divide.",
            "c_in and c_out both double; h and w both grow by 1.5; k stays.",
        ),
    ),
    Exercise(
        name="outgrown", number="03.2", kind="measure",
        minutes=8, difficulty=2, points=2,
        task="The smallest even side at which the peak of activations passes the"
             " bytes of the weights.",
        reference=outgrown,
        wrong=(
            Wrong(outgrown_numbers, "You compared bytes with a number of parameters."
                                    " A float32 takes four bytes: use"
                                    " sizes(model).bytes."),
            Wrong(outgrown_just_before, "Close: at this side the weights still take"
                                        " more. The first side above is asked."),
        ),
        hints=(
            "Change `side` in the cell, run it, compare the two numbers, repeat.",
            "The peak grows with the square of the side: two trials tell you about"
            " where to look.",
        ),
    ),
    Exercise(
        name="grouped_conv_macs", number="03.3", kind="build",
        minutes=10, difficulty=2, points=3,
        task="Multiply-adds of one square convolution with stride, padding and groups.",
        reference=grouped_conv_macs,
        alternative=grouped_conv_macs_2,
        wrong=(
            Wrong(groups_forgotten, "Right for one group. With more, an output channel"
                                    " no longer reads every input channel: which ones"
                                    " does it read?"),
            Wrong(groups_twice, "You divide by the groups twice. In one group both"
                                " channel counts are smaller, but then there are"
                                " `groups` of them."),
            Wrong(input_side, "The filter is multiplied once for each position of the"
                              " output. Stride and padding change how many there are."),
            Wrong(two_for_one, "Twice too much: a multiplication and the addition that"
                               " follows it are one multiply-add here."),
            Wrong(padding_once, "Padding goes on both ends of a row: it widens the"
                                " picture by twice its value."),
        ),
        hints=(
            "Two questions: how many output values are there, and how many products"
            " does one of them need?",
            "Positions along one side: the first fits if the padded picture is at least"
            " as long as the kernel; then one more for every full stride.",
            "One output value reads c_in // groups channels of kernel times kernel"
            " numbers.",
        ),
        cases=grouped_cases,
        by_hand=(
            ((3, 8, 3, 1, 1, 1, 16), 55_296),  # 256 positions, 8 channels, 27 products
            ((8, 8, 3, 1, 1, 8, 16), 18_432),  # depthwise: 256 positions, 8 times 9
            ((6, 4, 3, 2, 0, 2, 9), 1_728),  # 4*4 positions, 4 channels, 27 products
        ),
        properties=(
            Property("padding 0, kernel 1, stride 1: one product for each pair of"
                     " channels in a group and each pixel",
                     lambda mine, c_in, c_out, kernel, stride, padding, groups, side:
                     mine(c_in, c_out, 1, 1, 0, groups, side)
                     == side * side * c_out * c_in // groups),
        ),
    ),
    Exercise(
        name="best_within", number="03.4", kind="build",
        minutes=10, difficulty=2, points=3,
        task="The index of the best network within a budget; ties go to the cheaper.",
        reference=best_within,
        alternative=best_within_2,
        wrong=(
            Wrong(strictly_below, "A network that costs exactly the budget is"
                                  " allowed."),
            Wrong(place_among_survivors, "You return the place in the shortened list."
                                         " The caller wants the place in the original"
                                         " one."),
            Wrong(cheapest, "That is the cheapest one allowed. The budget may be spent:"
                            " the best one allowed is asked."),
            Wrong(first_of_a_tie, "Two networks are equally good, and you took the"
                                  " dearer one."),
            Wrong(budget_ignored, "That is the best of all; it does not fit the"
                                  " budget."),
            Wrong(best_value, "Quality divided by cost is another question: it prefers"
                              " tiny networks. Within the budget only quality counts."),
        ),
        hints=(
            "First the indices that the budget allows, then the best of these.",
            "max() with a key that is a pair: compared by the first, then by the"
            " second.",
            "Of two equal qualities the smaller cost wins: minus cost is larger.",
        ),
        cases=budget_cases,
        by_hand=(
            (([3, 5, 9], [60, 70, 80], 6), 1),
            (([3, 5, 9], [60, 70, 80], 5), 1),  # exactly the budget
            (([5, 3, 9], [70, 70, 80], 6), 1),  # a tie: the cheaper
            (([3, 5, 9], [60, 70, 80], 2), None),
        ),
        properties=(
            Property("a budget below every cost allows nothing: None",
                     lambda mine, cost, quality, budget:
                     mine(cost, quality, min(cost) - 1) is None),
        ),
    ),
    Exercise(
        name="peak_live", number="03.5", kind="build",
        minutes=12, difficulty=3, points=3,
        task="The peak of activation memory from sizes and last uses.",
        reference=peak_live,
        alternative=peak_live_2,
        wrong=(
            Wrong(released_too_early, "You release a tensor before the step that uses"
                                      " it last. Its bytes are needed while that step"
                                      " writes its own result."),
            Wrong(never_released, "That is the sum of everything, as training needs it."
                                  " In inference a tensor goes after its last use."),
            Wrong(largest_tensor, "While a layer runs, at least its input and its"
                                  " output exist together."),
            Wrong(neighbours_only, "Right for a plain chain. A skip connection keeps a"
                                   " tensor alive for longer: look at last_use."),
        ),
        hints=(
            "Take one step. Which tensors exist while it runs?",
            "Tensor i is alive at a step if i <= step <= last_use[i].",
        ),
        cases=live_cases,
        by_hand=(
            (([8, 8, 4], [1, 2, 2]), 16),  # a chain: 8, then 8+8, then 8+4
            (([8, 32, 8], [2, 2, 2]), 48),  # a skip holds the first
            (([5], [0]), 5),
        ),
        properties=(
            Property("if everything lives to the end, the peak is the sum",
                     lambda mine, sizes, last_use:
                     mine(sizes, [len(sizes) - 1] * len(sizes)) == sum(sizes)),
        ),
    ),
)  # fmt: skip


# --- quiz


def _b0_flops() -> float:
    from torchvision.models import efficientnet_b0

    with torch.device("meta"):
        return 2 * profiling.macs(efficientnet_b0(), torch.zeros(1, 3, 224, 224)) / 1e9


def _conv_parameters() -> int:
    return profiling.parameters(nn.Conv2d(32, 64, 3, bias=False))


def _four() -> float:
    layer = nn.Conv2d(3, 8, 3, padding=1)
    before = profiling.macs(layer, torch.zeros(1, 3, 16, 16))
    return profiling.macs(layer, torch.zeros(1, 3, 32, 32)) / before


def _front_size() -> int:
    return len(profiling.pareto_front([4, 5, 6, 6], [70, 70, 72, 71]))


QUIZ = (
    Question(
        "A paper gives EfficientNet-B0 0.39 billion FLOPs. What does PyTorch's"
        " FlopCounterMode report for the same network and input?",
        options=(
            Option("0.39 billion: FLOPs are FLOPs, whoever counts them",
                   "The paper's FLOPs are multiply-adds, the counter's are single"
                   " operations. A factor of two lies between them."),
            Option("1.54 billion: each of the two passes, forward and backward, twice",
                   "The backward pass is counted only if it runs inside the counter."),
            Option("0.77 billion: a multiplication and an addition count one each",
                   "The paper means multiply-adds. Halve the counter before you"
                   " compare.", correct=True),
        ),
        value=_b0_flops, form="{:.2f}",
    ),
    Question(
        "How many parameters has a 3x3 convolution from 32 to 64 channels without"
        " bias?",
        options=(
            Option("576", "That is 64 filters of 9 numbers: each filter reads all 32"
                          " input channels."),
            Option("18432", "64 filters, each 32 channels of 9 numbers.", correct=True),
            Option("18496", "That includes 64 biases; this layer has none."),
            Option("It depends on the size of the picture",
                   "Multiply-adds do. The filters are the same on every picture."),
        ),
        value=_conv_parameters,
    ),
    Question(
        "The input of a convolutional network becomes twice as high and twice as wide."
        " What happens to its parameters and multiply-adds?",
        options=(
            Option("Both double", "The filters do not change with the picture, and the"
                                  " picture grows in two directions."),
            Option("Parameters stay, multiply-adds become 2 times as many",
                   "The picture grows in two directions: count the positions."),
            Option("Parameters stay, multiply-adds become 4 times as many",
                   "The same filters visit four times as many positions.",
                   correct=True),
            Option("Parameters become 4 times as many, multiply-adds stay",
                   "The other way round: filters are independent of the picture."),
        ),
        value=_four, form="{:.0f}",
    ),
    Question(
        "Ten calls took 31, 2.1, 2.0, 2.2, 2.1, 2.0, 9.4, 2.1, 2.0 and 2.2"
        " milliseconds. What do you report?",
        options=(
            Option("The mean over all ten calls, which is 5.7 ms",
                   "One first call and one interruption more than double it. No call"
                   " took 5.7 ms."),
            Option("The minimum, 2.0 ms: nothing disturbed it",
                   "It hides how much calls differ. Users do not live in the best"
                   " case."),
            Option("The median after warm-up, with the IQR",
                   "The first call is left out, the interruption moves the median"
                   " hardly at all, and the range shows the spread.", correct=True),
        ),
    ),
    Question(
        "A depthwise 3x3 convolution on 64 channels has 64 times fewer multiply-adds"
        " than a dense one, but is far from 64 times faster. Why?",
        options=(
            Option("It reads and writes nearly as much, for far less arithmetic",
                   "Its arithmetic intensity is low: the time goes into moving numbers"
                   " and into the fixed cost of a call.", correct=True),
            Option("The counter is wrong about groups, and the work is the same",
                   "Count by hand: the numbers agree."),
            Option("Its weights take more memory, and have to be fetched each time",
                   "It has 64 times fewer weights."),
        ),
    ),
    Question(
        "Four networks take 4, 5, 6 and 6 ms and score 70, 70, 72 and 71. How many are"
        " on the Pareto front?",
        options=(
            Option("1: the best one", "A cheaper network is not dominated only because"
                                      " a dearer one scores more."),
            Option("2: the first and the third",
                   "The second costs more than the first for the same score; the fourth"
                   " costs as much as the third and scores less.", correct=True),
            Option("3: all but the last", "The second costs more than the first and"
                                          " scores the same: dominated."),
            Option("4: each is a compromise", "Two of them are beaten in one number and"
                                              " better in none."),
        ),
        value=_front_size,
    ),
)  # fmt: skip
