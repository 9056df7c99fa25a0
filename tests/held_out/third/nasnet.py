"""Chapter 05: answers from the task texts."""

import torch

from tests.held_out import right, wrong


@wrong("nasnet.cell_forward", "the previous one is state 0")
def cell_forward_1(cell, current, previous, operations):
    states = [previous, current]
    for k, (left, right_, combination) in enumerate(cell.blocks):
        a = operations[2 * k](states[left.input])
        b = operations[2 * k + 1](states[right_.input])
        states.append(a + b if combination == "add" else torch.cat([a, b], dim=1))
    return [states[i] for i in cell.output]


@wrong("nasnet.cell_forward", "the right channels come first")
def cell_forward_2(cell, current, previous, operations):
    states = [current, previous]
    for k, (left, right_, combination) in enumerate(cell.blocks):
        a = operations[2 * k](states[left.input])
        b = operations[2 * k + 1](states[right_.input])
        if combination == "add":
            states.append(a + b)
        else:
            states.append(torch.cat((b, a), dim=1))
    return [states[i] for i in cell.output]


@wrong("nasnet.cell_forward", "block k takes the operations k and k + 1")
def cell_forward_3(cell, current, previous, operations):
    states = [current, previous]
    for k in range(len(cell.blocks)):
        left, right_, combination = cell.blocks[k]
        a = operations[k](states[left.input])
        b = operations[k + 1](states[right_.input])
        states.append(a + b if combination == "add" else torch.cat([a, b], dim=1))
    return [states[i] for i in cell.output]


@wrong("nasnet.cell_forward", "adds in place, and so changes a state after identity")
def cell_forward_4(cell, current, previous, operations):
    states = [current, previous]
    steps = iter(operations)
    for left, right_, combination in cell.blocks:
        out = next(steps)(states[left.input])
        other = next(steps)(states[right_.input])
        if combination == "add":
            out += other
        else:
            out = torch.cat([out, other], dim=1)
        states.append(out)
    return [states[i] for i in cell.output]


@wrong("nasnet.cell_forward", "both sides read the left input")
def cell_forward_5(cell, current, previous, operations):
    states = [current, previous]
    for k, (left, _, combination) in enumerate(cell.blocks):
        h = states[left.input]
        a, b = operations[2 * k](h), operations[2 * k + 1](h)
        states.append(a + b if combination == "add" else torch.cat([a, b], dim=1))
    return [states[i] for i in cell.output]


@wrong("nasnet.cell_forward", "all blocks leave the cell, whatever its output says")
def cell_forward_6(cell, current, previous, operations):
    states = [current, previous]
    for k, (left, right_, combination) in enumerate(cell.blocks):
        a = operations[2 * k](states[left.input])
        b = operations[2 * k + 1](states[right_.input])
        states.append(a + b if combination == "add" else torch.cat([a, b], dim=1))
    return states[2:]


@right("nasnet.cell_forward")
def cell_forward_7(cell, current, previous, operations):
    states = [current, previous]
    for k, (left, right_, combination) in enumerate(cell.blocks):
        a = operations[2 * k](states[left.input])
        b = operations[2 * k + 1](states[right_.input])
        states.append(a + b if combination == "add" else torch.cat([a, b], dim=1))
    return [states[i] for i in cell.output]


@right("nasnet.cell_forward")
def cell_forward_8(cell, current, previous, operations):
    join = {"add": sum}
    steps = iter(operations)
    state = {0: current, 1: previous}
    for *sides, combination in cell.blocks:
        parts = [next(steps)(state[side.input]) for side in sides]
        how = join.get(combination, lambda both: torch.cat(both, dim=1))
        state[len(state)] = how(parts)
    return list(map(state.__getitem__, cell.output))


@right("nasnet.cell_forward")
def cell_forward_9(cell, current, previous, operations):
    def grow(states, blocks, steps):
        if not blocks:
            return states
        (left, right_, combination), *later = blocks
        first, second, *rest = steps
        a, b = first(states[left.input]), second(states[right_.input])
        new = torch.add(a, b) if combination == "add" else torch.concat((a, b), 1)
        return grow((*states, new), later, rest)

    states = grow((current, previous), list(cell.blocks), list(operations))
    return [states[number] for number in cell.output]
