"""Exercises and quiz of chapter 05: from a genotype to a network."""

import math
import random

import torch
import torch.nn.functional as F

from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor
from lib.nas import cells, nasnet, search_space

AMOEBANET_A = search_space.AMOEBANET_A

# --- 05.1 build, core


def cell_run(mine, text, shape, scale):
    """The output states of a cell, and the order in which operations are called.

    `current` is scale times 1, 2, 3, ..., and `previous` ten times that. Operation k,
    from 0, multiplies the first channels by k + 1; an identity gives its input as it
    is. All are made here, so that an answer meets only functions.
    """
    cell = search_space.cell_from_text(text)
    current = scale * torch.arange(1.0, math.prod(shape) + 1).reshape(shape)
    pairs = [pair for block in cell.blocks for pair in block[:2]]
    order = []

    def operation(k, name):
        def run(x):
            order.append(k)
            narrow = x if x.shape[1] == shape[1] else x[:, : shape[1]]
            return narrow if name == "identity" else (k + 1) * narrow

        return run

    operations = [operation(k, pair.operation) for k, pair in enumerate(pairs)]
    outputs = mine(cell, current, 10 * current, operations)
    return {"outputs": outputs, "operations called": order}


def cell_forward_2(cell, current, previous, operations):
    """Another right way: operations by number, states by name."""
    states = {0: current, 1: previous}
    for k in range(len(cell.blocks)):
        left, right, combination = cell.blocks[k]
        results = (
            operations[2 * k](states[left.input]),
            operations[2 * k + 1](states[right.input]),
        )
        add = combination == "add"
        states[k + 2] = sum(results) if add else torch.cat(results, 1)
    return [states[i] for i in cell.output]


def _cell_with(cell, states, operations, number, combine, reads=None):
    """Runs the blocks with a slip in one of its parts."""
    for k, (left, right, combination) in enumerate(cell.blocks):
        first, second = reads(states, left, right) if reads else (
            states[left.input], states[right.input],
        )  # fmt: skip
        i, j = number(k)
        states.append(combine(operations[i](first), operations[j](second), combination))
    return states


def _numbers(k):
    return 2 * k, 2 * k + 1


def _combine(a, b, combination):
    return a + b if combination == "add" else torch.cat([a, b], 1)


def _chosen(cell, states):
    return [states[i] for i in cell.output]


def cell_inputs_swapped(cell, current, previous, operations):
    states = _cell_with(cell, [previous, current], operations, _numbers, _combine)
    return _chosen(cell, states)


def cell_both_read_left(cell, current, previous, operations):
    def reads(states, left, right):
        return states[left.input], states[left.input]

    s = _cell_with(cell, [current, previous], operations, _numbers, _combine, reads)
    return _chosen(cell, s)


def cell_as_a_chain(cell, current, previous, operations):
    def reads(states, left, right):
        return states[-1], states[-2]

    s = _cell_with(cell, [current, previous], operations, _numbers, _combine, reads)
    return _chosen(cell, s)


def cell_inputs_only(cell, current, previous, operations):
    def reads(states, left, right):
        return states[left.input % 2], states[right.input % 2]

    s = _cell_with(cell, [current, previous], operations, _numbers, _combine, reads)
    return _chosen(cell, s)


def cell_always_added(cell, current, previous, operations):
    def combine(a, b, combination):
        wide = max(a.shape[1], b.shape[1])
        return (a + b).expand(-1, wide, -1, -1)

    s = _cell_with(cell, [current, previous], operations, _numbers, combine)
    return _chosen(cell, s)


def cell_always_joined(cell, current, previous, operations):
    def combine(a, b, combination):
        return torch.cat([a, b], 1)

    s = _cell_with(cell, [current, previous], operations, _numbers, combine)
    return _chosen(cell, s)


def cell_joined_the_other_way(cell, current, previous, operations):
    def combine(a, b, combination):
        return _combine(b, a, combination)

    s = _cell_with(cell, [current, previous], operations, _numbers, combine)
    return _chosen(cell, s)


def cell_joined_along_the_batch(cell, current, previous, operations):
    def combine(a, b, combination):
        return a + b if combination == "add" else torch.cat([a, b])

    s = _cell_with(cell, [current, previous], operations, _numbers, combine)
    return _chosen(cell, s)


def cell_averaged(cell, current, previous, operations):
    def combine(a, b, combination):
        return (a + b) / 2 if combination == "add" else torch.cat([a, b], 1)

    s = _cell_with(cell, [current, previous], operations, _numbers, combine)
    return _chosen(cell, s)


def cell_added_in_place(cell, current, previous, operations):
    def combine(a, b, combination):
        if combination == "add":
            a += b
            return a
        return torch.cat([a, b], 1)

    s = _cell_with(cell, [current, previous], operations, _numbers, combine)
    return _chosen(cell, s)


def cell_first_two_operations(cell, current, previous, operations):
    def number(k):
        return 0, 1

    s = _cell_with(cell, [current, previous], operations, number, _combine)
    return _chosen(cell, s)


def cell_right_operation_first(cell, current, previous, operations):
    def number(k):
        return 2 * k + 1, 2 * k

    s = _cell_with(cell, [current, previous], operations, number, _combine)
    return _chosen(cell, s)


def cell_lefts_then_rights(cell, current, previous, operations):
    def number(k):
        return k, k + len(cell.blocks)

    s = _cell_with(cell, [current, previous], operations, number, _combine)
    return _chosen(cell, s)


def cell_overlapping_operations(cell, current, previous, operations):
    def number(k):
        return k, k + 1

    s = _cell_with(cell, [current, previous], operations, number, _combine)
    return _chosen(cell, s)


def _states(cell, current, previous, operations):
    return _cell_with(cell, [current, previous], operations, _numbers, _combine)


def cell_last_state(cell, current, previous, operations):
    return [_states(cell, current, previous, operations)[-1]]


def cell_all_blocks(cell, current, previous, operations):
    return _states(cell, current, previous, operations)[2:]


def cell_all_states(cell, current, previous, operations):
    return _states(cell, current, previous, operations)


def cell_unread_states(cell, current, previous, operations):
    states = _states(cell, current, previous, operations)
    return [states[i] for i in search_space.unused(cell.blocks)]


def cell_outputs_as_blocks(cell, current, previous, operations):
    blocks = _states(cell, current, previous, operations)[2:]
    return [blocks[i % len(blocks)] for i in cell.output]


def cell_outputs_joined(cell, current, previous, operations):
    states = _states(cell, current, previous, operations)
    return torch.cat([states[i] for i in cell.output], 1)


def cell_cases(rng, size):
    """One to five blocks, adding or joining; outputs by the rule, and others."""
    blocks = []
    for k in range(rng.choice((size, 1 + size // 2, 5))):
        names = rng.choices(("identity", "max3", "sep3", "sep5"), k=2)
        sides = [f"{name}({rng.randrange(k + 2)})" for name in names]
        blocks.append(rng.choice("++&").join(sides))
    text = " | ".join(blocks)
    cell = search_space.cell_from_text(text)
    if rng.random() < 0.4:  # the released cells pass on a state that is read as well
        more = sorted({*cell.output, rng.randrange(len(blocks) + 2)})
        text += " -> " + " ".join(map(str, more))
    shape = rng.choice(((1, 1, 1, 2), (2, 3, 2, 2), (3, 2, 1, 1), (1, 4, 3, 2)))
    return text, shape, rng.choice((1, 1, 0.25, -1, 10_000))


def small_networks():
    """Logits of NASNet-A's cells, and of a drawn genotype that joins, small ones."""
    drawn = search_space.sample(search_space.FULL, random.Random(0))
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    logits = []
    with torch.no_grad():
        for genotype in (search_space.NASNET_A, drawn):
            torch.manual_seed(0)
            model = nasnet.network(genotype, cells=1, filters=4).eval()
            logits.append(model(images))
    return logits


# --- 05.2 predict


def last_channels() -> int:
    """Channels before the classifier: AmoebaNet-A's cells in NASNet-A's stack."""
    with torch.device("meta"):
        model = nasnet.network(AMOEBANET_A, stem="imagenet", cells=4, filters=44)
    return model.classifier.in_features


def channels_of_nasnet() -> int:
    return 24 * 44


def channels_of_first_stack() -> int:
    return len(AMOEBANET_A.normal.output) * 44


def channels_of_unread() -> int:
    return len(search_space.unused(AMOEBANET_A.normal.blocks)) * 4 * 44


def channels_of_all_blocks() -> int:
    return 5 * 4 * 44


# --- 05.3 measure


def seen(module: torch.nn.Module) -> torch.Tensor:
    """Which pixels of a 7 x 7 picture the output of a module depends on."""
    picture = torch.ones(1, 1, 7, 7, requires_grad=True)
    for weight in module.parameters():
        torch.nn.init.ones_(weight)
    module.eval()(picture).sum().backward()
    return picture.grad[0, 0] != 0


def unseen() -> int:
    """Pixels of 7 x 7 that a factorized reduction never looks at."""
    return int((~seen(cells.FactorizedReduction(1, 2))).sum())


def unseen_without_shift() -> int:
    return int((~seen(cells.ConvNorm(1, 2, 1, 2))).sum())


def pixels_seen() -> int:
    return 49 - unseen()


# --- 05.4 build


def same_average(x, kernel, stride):
    """Sum over each window, divided by the number of its pixels in the picture."""
    before, after = cells.same_padding(x.shape[-1], kernel, stride)
    pads = (before, after, before, after)
    sums = F.avg_pool2d(F.pad(x, pads), kernel, stride)
    shares = F.avg_pool2d(F.pad(torch.ones_like(x), pads), kernel, stride)
    return sums / shares


def same_average_2(x, kernel, stride):
    """Window by window, cut at the edges of the picture."""
    side = x.shape[-1]
    before = cells.same_padding(side, kernel, stride)[0]
    starts = [i * stride - before for i in range(math.ceil(side / stride))]
    rows = []
    for i in starts:
        row = []
        for j in starts:
            window = x[:, :, max(i, 0) : i + kernel, max(j, 0) : j + kernel]
            row.append(window.mean((2, 3)))
        rows.append(torch.stack(row, -1))
    return torch.stack(rows, -2)


def average_counts_padding(x, kernel, stride):
    before, after = cells.same_padding(x.shape[-1], kernel, stride)
    return F.avg_pool2d(F.pad(x, (before, after, before, after)), kernel, stride)


def average_symmetric(x, kernel, stride):
    return F.avg_pool2d(x, kernel, stride, kernel // 2, count_include_pad=False)


def average_symmetric_counted(x, kernel, stride):
    return F.avg_pool2d(x, kernel, stride, kernel // 2)


def average_before_on_both_sides(x, kernel, stride):
    before = cells.same_padding(x.shape[-1], kernel, stride)[0]
    return F.avg_pool2d(x, kernel, stride, before, count_include_pad=False)


def average_padded_left_and_right(x, kernel, stride):
    pads = cells.same_padding(x.shape[-1], kernel, stride)
    sums = F.avg_pool2d(F.pad(x, pads), kernel, stride)
    return sums / F.avg_pool2d(F.pad(torch.ones_like(x), pads), kernel, stride)


def average_odd_in_front_counted(x, kernel, stride):
    before, after = cells.same_padding(x.shape[-1], kernel, stride)
    return F.avg_pool2d(F.pad(x, (after, before, after, before)), kernel, stride)


def average_no_padding(x, kernel, stride):
    return F.avg_pool2d(x, kernel, stride, ceil_mode=True)


def average_whole_windows(x, kernel, stride):
    return F.avg_pool2d(x, kernel, stride)


def average_odd_pixel_in_front(x, kernel, stride):
    before, after = cells.same_padding(x.shape[-1], kernel, stride)
    pads = (after, before, after, before)
    sums = F.avg_pool2d(F.pad(x, pads), kernel, stride)
    return sums / F.avg_pool2d(F.pad(torch.ones_like(x), pads), kernel, stride)


def average_repeats_the_edge(x, kernel, stride):
    before, after = cells.same_padding(x.shape[-1], kernel, stride)
    pads = (before, after, before, after)
    return F.avg_pool2d(F.pad(x, pads, mode="replicate"), kernel, stride)


def average_zeros_not_counted(x, kernel, stride):
    before, after = cells.same_padding(x.shape[-1], kernel, stride)
    padded = F.pad(x, (before, after, before, after))
    sums = F.avg_pool2d(padded, kernel, stride)
    return sums / F.avg_pool2d((padded != 0).to(x), kernel, stride)


def average_sums(x, kernel, stride):
    before, after = cells.same_padding(x.shape[-1], kernel, stride)
    padded = F.pad(x, (before, after, before, after))
    return F.avg_pool2d(padded, kernel, stride) * kernel**2


def average_share_multiplied(x, kernel, stride):
    before, after = cells.same_padding(x.shape[-1], kernel, stride)
    pads = (before, after, before, after)
    sums = F.avg_pool2d(F.pad(x, pads), kernel, stride)
    return sums * F.avg_pool2d(F.pad(torch.ones_like(x), pads), kernel, stride)


def average_stride_forgotten(x, kernel, stride):
    before, after = cells.same_padding(x.shape[-1], kernel, 1)
    pads = (before, after, before, after)
    sums = F.avg_pool2d(F.pad(x, pads), kernel, 1)
    return sums / F.avg_pool2d(F.pad(torch.ones_like(x), pads), kernel, 1)


def average_maximum(x, kernel, stride):
    before, after = cells.same_padding(x.shape[-1], kernel, stride)
    pads = (before, after, before, after)
    return F.max_pool2d(F.pad(x, pads, value=-math.inf), kernel, stride)


# --- 05.5 build


def alive(reads, cells):
    """Cells from which some way leads up to the last one."""
    found, waiting = set(), [cells - 1]
    while waiting:
        i = waiting.pop()
        if i >= 0 and i not in found:
            found.add(i)
            waiting += [i - 1 - state for state in reads]
    return sorted(found)


def alive_2(reads, cells):
    """From the top down: a cell that is needed needs what it reads."""
    needed = {cells - 1}
    for i in reversed(range(cells)):
        if i in needed:
            needed |= {i - 1 if state == 0 else i - 2 for state in reads}
    return sorted(i for i in needed if i >= 0)


def alive_all(reads, cells):
    return list(range(cells))


def alive_swapped(reads, cells):
    needed = {cells - 1}
    for i in reversed(range(cells)):
        if i in needed:
            needed |= {i - 2 if state == 0 else i - 1 for state in reads}
    return sorted(i for i in needed if i >= 0)


def alive_neighbours(reads, cells):
    top = cells - 1
    return sorted(i for i in {top} | {top - 1 - s for s in reads} if i >= 0)


def alive_without_last(reads, cells):
    needed = {cells - 1}
    for i in reversed(range(cells)):
        if i in needed:
            needed |= {i - 1 - state for state in reads}
    return sorted(i for i in needed if 0 <= i < cells - 1)


def alive_from_the_last_but_one(reads, cells):
    needed = {cells - 2}
    for i in reversed(range(cells)):
        if i in needed:
            needed |= {i - 1 - state for state in reads}
    return sorted(i for i in needed if i >= 0)


def alive_without_the_first(reads, cells):
    needed = {cells - 1}
    for i in reversed(range(cells)):
        if i in needed:
            needed |= {i - 1 - state for state in reads}
    return sorted(i for i in needed if i > 0)


def alive_one_step_too_far(reads, cells):
    needed = {cells - 1}
    for i in reversed(range(cells)):
        if i in needed:
            needed |= {i - 2 - state for state in reads}
    return sorted(i for i in needed if i >= 0)


def alive_with_repeats(reads, cells):
    found, waiting = [], [cells - 1]
    while waiting:
        i = waiting.pop()
        if i >= 0:
            found.append(i)
            waiting += [i - 1 - state for state in reads]
    return sorted(found)


def alive_with_the_stem(reads, cells):
    needed = {cells - 1}
    for i in reversed(range(cells)):
        if i in needed:
            needed |= {i - 1 - state for state in reads}
    return sorted(needed)


def alive_from_the_top(reads, cells):
    needed = {cells - 1}
    for i in reversed(range(cells)):
        if i in needed:
            needed |= {i - 1 - state for state in reads}
    return sorted((i for i in needed if i >= 0), reverse=True)


def alive_from_the_bottom(reads, cells):
    if 0 in reads:
        return list(range(cells))
    return list(range(0, cells, 2))


def alive_reading_itself(reads, cells):
    needed = {cells - 1}
    for i in reversed(range(cells)):
        if i in needed:
            needed |= {i - state for state in reads}
    return sorted(i for i in needed if i >= 0)


def alive_counted(reads, cells):
    needed = {cells - 1}
    for i in reversed(range(cells)):
        if i in needed:
            needed |= {i - 1 - state for state in reads}
    return len([i for i in needed if i >= 0])


def alive_dead_ones(reads, cells):
    needed = {cells - 1}
    for i in reversed(range(cells)):
        if i in needed:
            needed |= {i - 1 - state for state in reads}
    return [i for i in range(cells) if i not in needed]


def alive_numbered_from_one(reads, cells):
    needed = {cells}
    for i in reversed(range(cells + 1)):
        if i in needed:
            needed |= {i - 1 - state for state in reads}
    return sorted(i for i in needed if i >= 1)


def alive_from_above_the_last(reads, cells):
    needed = {cells}
    for i in reversed(range(cells + 1)):
        if i in needed:
            needed |= {i - 1 - state for state in reads}
    return sorted(i for i in needed if i >= 0)


def alive_read_by_anyone(reads, cells):
    read = {i - 1 - state for i in range(cells) for state in reads}
    return sorted(i for i in read | {cells - 1} if i >= 0)


def alive_one_way(reads, cells):
    found, i = [], cells - 1
    while i >= 0:
        found.append(i)
        i -= 1 + reads[0]
    return sorted(found)


def alive_the_longest_steps(reads, cells):
    return sorted(range(cells - 1, -1, -1 - max(reads)))


def alive_states(reads, cells):
    return sorted(set(reads))


EXERCISES = (
    Exercise(
        name="cell_forward", number="05.1", kind="build", minutes=15, difficulty=2,
        points=4,
        task="Run the blocks of a cell with the operations that are given: the list of"
             " its output states.",
        reference=cells.cell_forward, alternative=cell_forward_2, probe=cell_run,
        place="nas.cells.cell_forward", required=True, importance=3,
        machine="the networks of all genotypes, NASNet-A's among them",
        machine_case=small_networks, milestone_calls=2830,
        survivors={
            "line 17: `_insist_on_two_a_block(cell, operations)` omitted": "every case"
            " has two operations a block",
        },
        wrong=(
            Wrong(cell_inputs_swapped, "The two inputs have changed places: state 0 is"
                  " `current`, state 1 is `previous`."),
            Wrong(cell_both_read_left, "Both operations of a block read the left input."
                  " The right one reads states[right.input]."),
            Wrong(cell_as_a_chain, "Your blocks form a chain: each reads the newest"
                  " states. A block reads the two states that its pairs name."),
            Wrong(cell_inputs_only, "Your blocks read the two inputs of the cell only."
                  " A block may read what an earlier block wrote: keep all states in a"
                  " list."),
            Wrong(cell_always_added, "You add always. Where `combination` is not"
                  ' "add", the two results are joined along the channels, torch.cat'
                  " with dim=1."),
            Wrong(cell_always_joined, "You join always. Where `combination` is"
                  ' "add", the two results are added.'),
            Wrong(cell_joined_the_other_way, "You put the right result in front. The"
                  " channels of the left one come first."),
            Wrong(cell_joined_along_the_batch, "torch.cat without dim joins along the"
                  " batch: more pictures. Channels are dim=1."),
            Wrong(cell_averaged, "You take the mean of the two results. Eq. 5.1 has"
                  " their sum."),
            Wrong(cell_added_in_place, "`a += b` writes into the tensor `a`, and after"
                  " an identity that is the state itself: others still read it. Write"
                  " a + b."),
            Wrong(cell_first_two_operations, "Every block takes the first two"
                  " operations. Block k has numbers 2 k and 2 k + 1."),
            Wrong(cell_right_operation_first, "The two operations of a block have"
                  " changed places: the left pair's comes first."),
            Wrong(cell_lefts_then_rights, "You take all left operations first and then"
                  " all right ones. In `operations` they come block by block."),
            Wrong(cell_overlapping_operations, "Block k takes operations k and k + 1,"
                  " so neighbours share one. There are two a block: 2 k and 2 k + 1."),
            Wrong(cell_last_state, "You give the last state only. All states in"
                  " `cell.output` are asked."),
            Wrong(cell_all_blocks, "You give what every block wrote. Only the states in"
                  " `cell.output` leave the cell."),
            Wrong(cell_all_states, "You give all states, the inputs too. Only those in"
                  " `cell.output` leave the cell."),
            Wrong(cell_unread_states, "You give the states that no block reads. That is"
                  " the paper's rule; the released cells pass on more: take"
                  " `cell.output`."),
            Wrong(cell_outputs_as_blocks, "`cell.output` holds numbers of states. State"
                  " 2 is what the first block wrote."),
            Wrong(cell_outputs_joined, "A list of the output states is asked. The"
                  " machine joins them itself, once each has its right size."),
        ),
        hints=(
            "Begin with states = [current, previous]. Each block appends one state.",
            "for left, right, combination in cell.blocks: the left side reads"
            " states[left.input].",
            "rest = iter(operations), and next(rest) is the next operation: the left"
            " one, then the right one.",
        ),
        cases=cell_cases,
        by_hand=(
            # operation 0 multiplies by 1, operation 1 is an identity: 1 + 10, 2 + 20
            (("max3(0)+identity(1)", (1, 1, 1, 2), 1),
             {"outputs": [torch.tensor([[[[11.0, 22.0]]]])],
              "operations called": [0, 1]}),
            # 1 + 2 * 10 = 21; then 3 * 21 + 1 = 64
            (("sep3(0)+max3(1) | sep3(2)+identity(0)", (1, 1, 1, 1), 1),
             {"outputs": [torch.tensor([[[[64.0]]]])],
              "operations called": [0, 1, 2, 3]}),
            # joined: 1, then 20; and state 1 leaves the cell as it came
            (("sep3(0)&max3(1) -> 1 2", (1, 1, 1, 1), 1),
             {"outputs": [torch.tensor([[[[10.0]]]]),
                          torch.tensor([[[[1.0]], [[20.0]]]])],
              "operations called": [0, 1]}),
            # 1 + 1 = 2, and the state itself stays 1: then 3 * 1 + 4 * 10 = 43
            (("identity(0)+identity(0) | sep3(0)+sep3(1)", (1, 1, 1, 1), 1),
             {"outputs": [torch.tensor([[[[2.0]]]]), torch.tensor([[[[43.0]]]])],
              "operations called": [0, 1, 2, 3]}),
        ),
    ),
    Exercise(
        name="last_channels", number="05.2", kind="predict", minutes=5, difficulty=1,
        points=1,
        task="AmoebaNet-A's cells, four in a stack, F = 44: channels before the"
             " classifier.",
        reference=last_channels,
        wrong=(
            Wrong(channels_of_nasnet, "that is NASNet-A, whose normal cell has six"
                  " output states; how many has this one?"),
            Wrong(channels_of_first_stack, "right for the first stack; each of the two"
                  " reductions doubles F"),
            Wrong(channels_of_unread, "the output of this cell is written out: it names"
                  " state 1 as well"),
            Wrong(channels_of_all_blocks, "not every block is output: some are read by"
                  " another block"),
            Wrong(352, "one reduction doubles F once; there are two of them"),
            Wrong(1408, "F is doubled twice, by the two reductions of the mobile stack,"
                  " not three times"),
            Wrong(4, "that is how many states are output; each has F channels, and F"
                  " is doubled twice"),
            Wrong(44, "that is F in the first stack; a cell concatenates several states"
                  " of F channels, and F is doubled twice"),
            Wrong(1232, "a cell has seven states, but its output holds some of them"
                  " only: look behind the arrow"),
        ),
        hints=(
            "print(search_space.AMOEBANET_A) and look behind the arrow of the normal"
            " cell.",
            "Eq. 5.5, with F doubled twice.",
        ),
    ),
    Exercise(
        name="unseen", number="05.3", kind="measure", minutes=10, difficulty=2,
        points=2,
        task="Pixels of a 7 x 7 picture that a factorized reduction never looks at.",
        reference=unseen,
        wrong=(
            Wrong(unseen_without_shift, "that is one strided 1x1 convolution alone;"
                  " the second half looks one pixel further"),
            Wrong(pixels_seen, "these are the pixels it does look at"),
            Wrong(40, "the first half looks too: at every second pixel from the first"
                  " on. Only what neither half sees is asked"),
            Wrong(32, "that is right for 8 x 8. Seven is odd: count again"),
            Wrong(8, "that is right for 4 x 4. Change the side to 7"),
            Wrong(0, "each half looks at one pixel in four; many are seen by neither"),
        ),
        hints=(
            "The gradient of the output is zero at a pixel that nothing looks at.",
            "Sum the output, call backward, and count the zeros in the picture's"
            " gradient. Give all weights the value 1 first.",
        ),
    ),
    Exercise(
        name="same_average", number="05.4", kind="build", minutes=20, difficulty=2,
        points=3,
        task="Write `same_average(x, kernel, stride)`: average pooling of pictures"
             " `x` (B, C, side, side) with the padding of Eq. 5.3, an odd pixel behind."
             " Each window is divided by how many of its pixels lie in the picture.",
        reference=same_average, alternative=same_average_2,
        wrong=(
            Wrong(average_counts_padding, "at the edges you divide by all pixels of"
                  " the window, the padding among them. (`count_include_pad=False`"
                  " knows of no padding that you added before)"),
            *(Wrong(f, "you pad both sides alike; Eq. 5.3 puts an odd pixel behind, and"
                    " depends on the stride: some of your windows stand one pixel too"
                    " early, or are missing")
              for f in (average_symmetric, average_before_on_both_sides)),
            Wrong(average_symmetric_counted, "you pad both sides alike, and divide by"
                  " all pixels of a window. Eq. 5.3 puts an odd pixel behind, and"
                  " padding does not count"),
            Wrong(average_padded_left_and_right, "you pad left and right only; F.pad"
                  " takes four numbers here: left, right, top, bottom"),
            *(Wrong(f, "the number of windows is right only now and then: nothing is"
                    " padded in front")
              for f in (average_no_padding, average_whole_windows)),
            Wrong(average_odd_in_front_counted, "you pad one pixel more in front than"
                  " behind; Eq. 5.3 puts the odd one behind. And padding does not"
                  " count: divide by the pixels of the picture alone"),
            Wrong(average_odd_pixel_in_front, "you pad one pixel more in front than"
                  " behind where the padding is odd; Eq. 5.3 puts it behind. F.pad"
                  " takes (left, right, top, bottom), and left is the pixels before"),
            Wrong(average_repeats_the_edge, "you repeat the edge of the picture; no"
                  " pixel outside of it counts, so divide by those inside"),
            Wrong(average_zeros_not_counted, "you leave out every zero, those of the"
                  " picture too. Count places, not values: pool a picture of ones"),
            Wrong(average_sums, "these are sums. Divide each by how many of its pixels"
                  " lie in the picture"),
            Wrong(average_share_multiplied, "you multiply by the share of the window"
                  " that is picture; the padding made the average too small: divide"),
            Wrong(average_stride_forgotten, "your windows move one pixel at a time:"
                  " use `stride`"),
            Wrong(average_maximum, "that is the largest of each window; the average is"
                  " asked"),
        ),
        hints=(
            "cells.same_padding(side, kernel, stride) gives the pixels before and"
            " after; F.pad takes (left, right, top, bottom).",
            "How large a part of each window is picture? Pool a picture of ones.",
            "The pool of the padded picture, divided by the pool of padded ones.",
        ),
        cases=lambda rng, size: (
            rng.choice((1, 100)) * tensor(
                rng, *[rng.randint(1, 2) for _ in "BC"], *[rng.randint(2, 5 + size)] * 2
            ),
            rng.choice((3, 3, 3, 5)), rng.choice((1, 2, 2, 2, 3)),
        ),
        by_hand=(
            ((torch.arange(16.0).reshape(1, 1, 4, 4), 3, 2),
             torch.tensor([[[[5.0, 6.5], [11.0, 12.5]]]])),
            ((torch.arange(9.0).reshape(1, 1, 3, 3), 3, 2),
             torch.tensor([[[[2.0, 3.0], [5.0, 6.0]]]])),
            # windows of 5 pixels, 3 apart, 2 in front: columns 0 to 2, then 1 to 3
            ((torch.arange(16.0).reshape(1, 1, 4, 4), 5, 3),
             torch.tensor([[[[5.0, 6.0], [9.0, 10.0]]]])),
        ),
        properties=(
            Property(
                "a picture of one colour keeps its colour, at the edges too",
                lambda mine, x, kernel, stride: torch.allclose(
                    mine(torch.full_like(x, 3.0), kernel, stride), torch.tensor(3.0)
                ),
            ),
            Property(
                "a picture of one pixel is its own average",
                lambda mine, x, kernel, stride: torch.allclose(
                    mine(x[..., :1, :1], kernel, stride), x[..., :1, :1]
                ),
            ),
        ),
        gradient=(0,),
    ),
    Exercise(
        name="alive", number="05.5", kind="build", minutes=15, difficulty=2, points=3,
        task="Write `alive(reads, cells)`. A stack has `cells` cells, numbered from 0"
             " at the bottom. Every cell reads the same states: `reads` is a list of 0"
             " and 1; for cell i state 0 is the output of cell i - 1, state 1 that of"
             " cell i - 2 (below cell 0 is the stem, which is no cell). Return the"
             " sorted list of all cells on which the output of the last one depends,"
             " the last one too.",
        reference=alive, alternative=alive_2,
        wrong=(
            Wrong(alive_all, "you return every cell; if a cell reads only one of its"
                  " inputs, some cells are passed by"),
            Wrong(alive_swapped, "state 0 is the cell just below, state 1 the one below"
                  " that; you have them the other way round"),
            Wrong(alive_neighbours, "you stop after one step; the cells below read"
                  " others in turn"),
            Wrong(alive_without_last, "the last cell gives the output, so it is alive"
                  " itself"),
            Wrong(alive_from_the_last_but_one, "you begin one cell too low: the last"
                  " one is cells - 1"),
            Wrong(alive_without_the_first, "cell 0 is a cell too; only numbers below 0"
                  " are the stem"),
            Wrong(alive_one_step_too_far, "state 0 of cell i is the output of cell"
                  " i - 1, state 1 that of cell i - 2; you go one further down"),
            Wrong(alive_with_repeats, "a cell that two others read is one cell: list it"
                  " once"),
            Wrong(alive_with_the_stem, "numbers below 0 are the stem, which is no cell:"
                  " leave them out"),
            Wrong(alive_from_the_top, "right, but the list is asked sorted, the lowest"
                  " cell first"),
            Wrong(alive_from_the_bottom, "you count in twos from the bottom; begin at"
                  " the last cell, whose number may be odd"),
            Wrong(alive_reading_itself, "state 0 of cell i is the cell below, i - 1,"
                  " and not the cell itself"),
            Wrong(alive_counted, "that is how many there are; their list is asked"),
            Wrong(alive_dead_ones, "these are the cells that nobody needs; the others"
                  " are asked"),
            *(Wrong(f, "cells are numbered from 0, so the last one is cells - 1")
              for f in (alive_numbered_from_one, alive_from_above_the_last)),
            Wrong(alive_read_by_anyone, "you list cells that some cell reads; the"
                  " reader itself has to be needed by the last one"),
            *(Wrong(f, "you follow one way down; a cell that reads both states leads to"
                    " two, and each of them leads on")
              for f in (alive_one_way, alive_the_longest_steps)),
            Wrong(alive_states, "these are the states that a cell reads; which cells of"
                  " the stack do they lead to?"),
        ),
        hints=(
            "Begin at the top: which cells does cell n - 1 read?",
            "State 0 of cell i is the output of cell i - 1, state 1 that of cell"
            " i - 2. Numbers below 0 are the stem.",
            "Keep a set of needed cells and go through i from the top down.",
        ),
        cases=lambda rng, size: (
            rng.choice(([0], [1], [0, 1], [1], [1, 0], [1, 1])),
            rng.randint(1, 2 * size),
        ),
        by_hand=(
            (([0, 1], 4), [0, 1, 2, 3]),
            (([0], 3), [0, 1, 2]),
            (([1], 5), [0, 2, 4]),
            (([1], 4), [1, 3]),
            (([1, 0], 3), [0, 1, 2]),
            (([0, 1], 1), [0]),
            (([1], 2), [1]),
            (([1], 18), [1, 3, 5, 7, 9, 11, 13, 15, 17]),  # as many as CIFAR's has
        ),
    ),
)  # fmt: skip

QUIZ = (
    Question(
        "NASNet-A mobile is called 4 @ 1056. What is its F, the filters of the first"
        " stack of normal cells?",
        (
            Option("176", "That is F of the last stack: 1056 divided by six output"
                   " states."),
            Option("44", "Six output states, and F doubled by two reductions: 1056 ="
                   " 6 * 4 * 44.", True),
            Option("264", "That is the number of channels at the end of the first"
                   " stack: six states of F each."),
            Option("11", "That is F of the first reduction cell in the ImageNet stem, a"
                   " quarter of the answer."),
        ),
        value=lambda: nasnet.CONFIGS["mobile"].filters,
    ),
    Question(
        "A picture has a side of 224 pixels. How many rows of padding does a 3x3"
        " convolution with stride 2 need in front, by Eq. 5.3?",
        (
            Option("0", "112 windows need (112 - 1) * 2 + 3 = 225 rows, one more than"
                   " there are, and an odd one goes behind.", True),
            Option("1", "This is what padding=1 does, and it moves every window by one"
                   " pixel."),
            Option("2", "Only one row is missing in all."),
        ),
        value=lambda: cells.same_padding(224, 3, 2)[0],
    ),
    Question(
        "20 cells, final keep probability 0.6, halfway through training. With which"
        " probability is a path of the last cell kept?",
        (
            Option("0.6", "That is where the last cell ends, after all of training."),
            Option("0.8", "The last cell has the full 0.4 to lose, and half of it is"
                   " lost by now.", True),
            Option("0.9", "That is a cell halfway up, halfway through training."),
            Option("1.0", "Drop path begins at once, but gently."),
        ),
        value=lambda: nasnet.path_keep(19, 20, 0.6, 0.5),
        form="{:.1f}",
    ),
    Question(
        "Why is 88.9 M printed for NASNet-A large, where we count 88.75 M parameters?",
        (
            Option("The auxiliary head was counted.", "It has 4.6 million parameters of"
                   " its own; the gap is much smaller."),
            Option("The running means and variances of the batch norms were counted.",
                   "88,753,150 weights and 196,668 statistics: 88.95 million.", True),
            Option("The classifier has 1001 classes.", "One more class adds 4,033"
                   " parameters; the gap is 200,000."),
            Option("It is a rounding.", "88.75 does not round to 88.9."),
        ),
    ),
    Question(
        "A cell reads only state 1, never state 0. What happens to the network?",
        (
            Option("It is refused: both inputs must be read.", "The space allows it;"
                   " nothing says that a block must read both."),
            Option("Every second cell has no reader and never learns.", "The output"
                   " needs cells n, n - 2, n - 4 and so on. The rest gets no gradient.",
                   True),
            Option("Nothing: state 1 holds state 0 as well.", "State 1 is the output of"
                   " the cell before the last; it knows nothing of state 0."),
            Option("The picture is halved twice as often.", "Sides depend on reduction"
                   " cells only."),
        ),
    ),
)  # fmt: skip
