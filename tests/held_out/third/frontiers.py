"""Chapter 24: answers from the task texts."""

import math
from functools import lru_cache
from itertools import permutations

from tests.held_out import right, right_value, wrong, wrong_value

wrong_value("frontiers.padded_parameters", 50.47, "without the padding: side 222")
wrong_value("frontiers.padded_parameters", 205.52, "the pooling is forgotten")
wrong_value("frontiers.padded_parameters", 52.30, "padding makes the side 226")
wrong_value(
    "frontiers.padded_parameters", 1.61, "one channel goes into the dense layer"
)
wrong_value("frontiers.padded_parameters", 4.82, "the three colours go into it, not 32")
right_value("frontiers.padded_parameters", 51.38)
right_value("frontiers.padded_parameters", 51.382538)


@wrong("frontiers.pays_from", "the same cost counts as less")
def pays_from_1(once, each, small):
    if each <= small:
        return None
    return max(1, math.ceil(once / (each - small)))


@wrong("frontiers.pays_from", "cuts the quotient off, one too few")
def pays_from_2(once, each, small):
    if each <= small:
        return None
    return max(int(once / (each - small)), 1)


@wrong("frontiers.pays_from", "what each device costs besides is forgotten")
def pays_from_3(once, each, small):
    if each <= small:
        return None
    return int(once // each) + 1


@wrong("frontiers.pays_from", "rounds up and then adds one")
def pays_from_4(once, each, small):
    if each <= small:
        return None
    return math.ceil(once / (each - small)) + 1 if once else 1


@wrong("frontiers.pays_from", "never is not asked: gives a number all the same")
def pays_from_5(once, each, small):
    gain = each - small
    if gain == 0:
        return None
    return max(1, math.floor(once / gain) + 1)


@wrong("frontiers.pays_from", "adds the two costs of a device")
def pays_from_6(once, each, small):
    if each <= small:
        return None
    return int(once // (each + small)) + 1


@right("frontiers.pays_from")
def pays_from_7(once, each, small):
    if each <= small:
        return None
    return math.floor(once / (each - small)) + 1


@right("frontiers.pays_from")
def pays_from_8(once, each, small):
    if small >= each:
        return None
    top = 1
    while once + small * top >= each * top:
        top *= 2
    bottom = top // 2  # does not pay yet
    while top - bottom > 1:
        middle = (top + bottom) // 2
        if once + small * middle < each * middle:
            top = middle
        else:
            bottom = middle
    return top


@right("frontiers.pays_from")
def pays_from_9(once, each, small):
    gain = each - small
    if not gain > 0:
        return None
    whole, _rest = divmod(once, gain)
    return whole + 1


@wrong("frontiers.centerness", "without the square root")
def centerness_1(point, box):
    x, y = point
    x1, y1, x2, y2 = box
    left, right_, top, bottom = x - x1, x2 - x, y - y1, y2 - y
    if min(left, right_, top, bottom) <= 0:
        return 0.0
    return min(left, right_) / max(left, right_) * min(top, bottom) / max(top, bottom)


@wrong("frontiers.centerness", "reads the box as corner, width and height")
def centerness_2(point, box):
    x, y = point
    left, top = x - box[0], y - box[1]
    right_, bottom = box[2] - left, box[3] - top
    if min(left, right_, top, bottom) <= 0:
        return 0.0
    across = min(left, right_) / max(left, right_)
    along = min(top, bottom) / max(top, bottom)
    return math.sqrt(across * along)


@wrong("frontiers.centerness", "only the direction of x")
def centerness_3(point, box):
    x, y = point
    x1, y1, x2, y2 = box
    if not (x1 < x < x2 and y1 < y < y2):
        return 0.0
    return min(x - x1, x2 - x) / max(x - x1, x2 - x)


@wrong(
    "frontiers.centerness", "the mean of the two ratios, not the root of the product"
)
def centerness_4(point, box):
    x, y = point
    x1, y1, x2, y2 = box
    if not (x1 < x < x2 and y1 < y < y2):
        return 0.0
    across = min(x - x1, x2 - x) / max(x - x1, x2 - x)
    along = min(y - y1, y2 - y) / max(y - y1, y2 - y)
    return (across + along) / 2


@wrong(
    "frontiers.centerness", "beyond a corner two negative ratios make a positive one"
)
def centerness_5(point, box):
    x, y = point
    x1, y1, x2, y2 = box
    left, right_, top, bottom = x - x1, x2 - x, y - y1, y2 - y
    product = min(left, right_) / max(left, right_)
    product *= min(top, bottom) / max(top, bottom)
    return math.sqrt(max(product, 0.0))


@wrong("frontiers.centerness", "one ratio: the smallest distance by the largest of all")
def centerness_6(point, box):
    x, y = point
    x1, y1, x2, y2 = box
    sides = [x - x1, x2 - x, y - y1, y2 - y]
    if min(sides) <= 0:
        return 0.0
    return min(sides) / max(sides)


@right("frontiers.centerness")
def centerness_7(point, box):
    x, y = point
    x1, y1, x2, y2 = box
    if not (x1 < x < x2 and y1 < y < y2):
        return 0.0
    left, right_, top, bottom = x - x1, x2 - x, y - y1, y2 - y
    return math.sqrt(
        min(left, right_) / max(left, right_) * min(top, bottom) / max(top, bottom)
    )


@right("frontiers.centerness")
def centerness_8(point, box):
    answer = 1
    for axis in (0, 1):
        near, far = sorted([point[axis] - box[axis], box[axis + 2] - point[axis]])
        if near <= 0:
            return 0
        answer *= (near / far) ** 0.5
    return answer


@right("frontiers.centerness")
def centerness_9(point, box):
    ratios = []
    for p, least, most in zip(point, box[:2], box[2:], strict=True):
        half = (most - least) / 2
        off = abs(p - (least + most) / 2)
        ratios.append((half - off) / (half + off) if half > off else 0.0)
    return math.exp(sum(map(math.log, ratios)) / 2) if all(ratios) else 0.0


@wrong("frontiers.match", "each object takes its cheapest, shared or not")
def match_1(cost):
    return [min(range(len(row)), key=lambda j, row=row: row[j]) for row in cost]


@wrong("frontiers.match", "object after object takes the cheapest that is free")
def match_2(cost):
    out = []
    for row in cost:
        free = [j for j in range(len(row)) if j not in out]
        out.append(min(free, key=lambda j, row=row: row[j]))
    return out


@wrong("frontiers.match", "the cheapest pair of all first")
def match_3(cost):
    pairs = sorted((c, i, j) for i, row in enumerate(cost) for j, c in enumerate(row))
    out = {}
    for _c, i, j in pairs:
        if i not in out and j not in out.values():
            out[i] = j
    return [out[i] for i in range(len(cost))]


@wrong("frontiers.match", "the largest sum in place of the least")
def match_4(cost):
    n = len(cost)
    ways = permutations(range(len(cost[0])), n)
    return list(max(ways, key=lambda way: sum(cost[i][way[i]] for i in range(n))))


@wrong("frontiers.match", "only the first predictions, as many as objects")
def match_5(cost):
    n = len(cost)
    best, least = None, math.inf
    for way in permutations(range(n)):
        total = sum(cost[i][way[i]] for i in range(n))
        if total < least:
            best, least = list(way), total
    return best


@wrong("frontiers.match", "for each prediction its object, -1 for none")
def match_6(cost):
    n, m = len(cost), len(cost[0])
    ways = permutations(range(m), n)
    best = min(ways, key=lambda way: sum(cost[i][way[i]] for i in range(n)))
    return [best.index(j) if j in best else -1 for j in range(m)]


@right("frontiers.match")
def match_7(cost):
    n = len(cost)
    if n == 0:
        return []
    ways = permutations(range(len(cost[0])), n)
    return list(min(ways, key=lambda way: sum(cost[i][way[i]] for i in range(n))))


@right("frontiers.match")
def match_8(cost):
    def best(i, taken):
        if i == len(cost):
            return 0, []
        found = (math.inf, [])
        for j in range(len(cost[i])):
            if j not in taken:
                rest, way = best(i + 1, taken | {j})
                if cost[i][j] + rest < found[0]:
                    found = cost[i][j] + rest, [j, *way]
        return found

    return best(0, frozenset())[1]


@right("frontiers.match")
def match_9(cost):
    columns = len(cost[0]) if len(cost) else 0

    @lru_cache(maxsize=None)
    def least(i, used):
        if i == len(cost):
            return 0.0
        free = [j for j in range(columns) if not used >> j & 1]
        return min(float(cost[i][j]) + least(i + 1, used | 1 << j) for j in free)

    out, used = [], 0
    for i in range(len(cost)):
        free = [j for j in range(columns) if not used >> j & 1]
        sums = {j: float(cost[i][j]) + least(i + 1, used | 1 << j) for j in free}
        choice = min(sums, key=sums.get)
        out.append(choice)
        used |= 1 << choice
    return tuple(out)
