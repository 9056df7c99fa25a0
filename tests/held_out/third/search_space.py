"""Chapter 04: answers from the task texts."""

import random

from lib.nas import search_space
from tests.held_out import right, wrong


@wrong("search_space.one_change", "draws among all tokens, without the kind first")
def one_change_1(space, genotype, rng):
    decisions = search_space.decisions(space)
    tokens = list(search_space.encode(space, genotype))
    free = [i for i, d in enumerate(decisions) if len(d.options) > 1]
    i = rng.choice(free)
    others = [t for t in range(len(decisions[i].options)) if t != tokens[i]]
    tokens[i] = rng.choice(others)
    return search_space.decode(space, tokens)


@wrong("search_space.one_change", "may draw the option that the parent has")
def one_change_2(space, genotype, rng):
    decisions = search_space.decisions(space)
    tokens = list(search_space.encode(space, genotype))
    kinds = sorted({d.kind for d in decisions if len(d.options) > 1})
    kind = rng.choice(kinds)
    places = [
        i for i, d in enumerate(decisions) if d.kind == kind and len(d.options) > 1
    ]
    place = rng.choice(places)
    tokens[place] = rng.randrange(len(decisions[place].options))
    return search_space.decode(space, tokens)


@wrong("search_space.one_change", "a kind without a choice gives the parent back")
def one_change_3(space, genotype, rng):
    decisions = search_space.decisions(space)
    tokens = list(search_space.encode(space, genotype))
    kind = rng.choice(["input", "operation", "combination"])
    place = rng.choice([i for i, d in enumerate(decisions) if d.kind == kind])
    others = [t for t, _ in enumerate(decisions[place].options) if t != tokens[place]]
    if not others:
        return genotype
    tokens[place] = rng.choice(others)
    return search_space.decode(space, tokens)


@wrong("search_space.one_change", "draws with the global random, not with rng")
def one_change_4(space, genotype, rng):
    decisions = search_space.decisions(space)
    tokens = list(search_space.encode(space, genotype))
    places = {}
    for i, d in enumerate(decisions):
        if len(d.options) > 1:
            places.setdefault(d.kind, []).append(i)
    place = random.choice(places[random.choice(list(places))])
    n = len(decisions[place].options)
    tokens[place] = random.choice([t for t in range(n) if t != tokens[place]])
    return search_space.decode(space, tokens)


@wrong("search_space.one_change", "always takes the next option")
def one_change_5(space, genotype, rng):
    decisions = search_space.decisions(space)
    tokens = list(search_space.encode(space, genotype))
    places = {}
    for i, d in enumerate(decisions):
        if len(d.options) > 1:
            places.setdefault(d.kind, []).append(i)
    place = rng.choice(places[rng.choice(list(places))])
    tokens[place] = (tokens[place] + 1) % len(decisions[place].options)
    return search_space.decode(space, tokens)


@wrong("search_space.one_change", "takes the options of the first place of the kind")
def one_change_6(space, genotype, rng):
    decisions = search_space.decisions(space)
    tokens = list(search_space.encode(space, genotype))
    options = {}
    for d in decisions:
        options.setdefault(d.kind, d.options)
    kind = rng.choice([k for k in options if len(options[k]) > 1])
    place = rng.choice([i for i, d in enumerate(decisions) if d.kind == kind])
    choices = [t for t in range(len(options[kind])) if t != tokens[place]]
    tokens[place] = rng.choice(choices)
    return search_space.decode(space, tokens)


@right("search_space.one_change")
def one_change_7(space, genotype, rng):
    decisions = search_space.decisions(space)
    tokens = list(search_space.encode(space, genotype))
    places = {}
    for i, decision in enumerate(decisions):
        if len(decision.options) > 1:
            places.setdefault(decision.kind, []).append(i)
    kind = rng.choice(list(places))
    place = rng.choice(places[kind])
    options = range(len(decisions[place].options))
    tokens[place] = rng.choice([t for t in options if t != tokens[place]])
    return search_space.decode(space, tokens)


@right("search_space.one_change")
def one_change_8(space, genotype, rng):
    decisions = search_space.decisions(space)
    parent = search_space.encode(space, genotype)
    kinds = [
        kind
        for kind in ("combination", "operation", "input")
        if any(d.kind == kind and len(d.options) > 1 for d in decisions)
    ]
    kind = kinds[rng.randrange(len(kinds))]
    while True:  # until a place of this kind with a choice comes
        place = rng.randrange(len(decisions))
        if decisions[place].kind == kind and len(decisions[place].options) > 1:
            break
    token = parent[place]
    while token == parent[place]:
        token = rng.randrange(len(decisions[place].options))
    child = [token if i == place else old for i, old in enumerate(parent)]
    return search_space.decode(space, child)


@right("search_space.one_change")
def one_change_9(space, genotype, rng):
    def one_of(things):
        return things[int(rng.random() * len(things))]

    decisions = search_space.decisions(space)
    tokens = tuple(search_space.encode(space, genotype))
    free = [(i, d) for i, d in enumerate(decisions) if len(d.options) >= 2]
    kind = one_of(sorted({d.kind for _, d in free}))
    place, decision = one_of([(i, d) for i, d in free if d.kind == kind])
    step = 1 + int(rng.random() * (len(decision.options) - 1))
    token = (tokens[place] + step) % len(decision.options)
    return search_space.decode(space, (*tokens[:place], token, *tokens[place + 1 :]))
