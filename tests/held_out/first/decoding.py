"""Chapter 15: answers from the task texts."""

import numpy as np
import torch

from tests.held_out import right, right_value, wrong, wrong_value

# 15.2

wrong_value("decoding.survivors", 1, "B takes C along, though B itself is gone")
wrong_value("decoding.survivors", 3, "overlaps of 0.54 taken for less than 0.5")
wrong_value("decoding.survivors", 0, "they all remove each other")
wrong_value("decoding.survivors", 0.54, "the overlap, not the number of boxes")
wrong_value("decoding.survivors", 0.9, "the score of the best")
right_value("decoding.survivors", 2)
right_value("decoding.survivors", 2.0)

# 15.3

wrong_value("decoding.hiding_overlap", 0.74, "one step too early: still 0.301")
wrong_value("decoding.hiding_overlap", 0.5, "the threshold of plain NMS")
wrong_value("decoding.hiding_overlap", 0.55, "the square of the overlap")
wrong_value("decoding.hiding_overlap", 0.67, "a fall of the score by 0.6 in a line")
wrong_value("decoding.hiding_overlap", 75, "in hundredths, not as 0.75")
right_value("decoding.hiding_overlap", 0.75)
right_value("decoding.hiding_overlap", "0.75")

# 15.1


@wrong("decoding.greedy", "an overlap of exactly the threshold removes")
def greedy_1(iou, scores, threshold):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    keep = []
    for i in order:
        if all(iou[i][j] < threshold for j in keep):
            keep.append(i)
    return keep


@wrong("decoding.greedy", "begins with the worst score")
def greedy_2(iou, scores, threshold):
    order = sorted(range(len(scores)), key=lambda i: scores[i])
    keep = []
    for i in order:
        if all(iou[i][j] <= threshold for j in keep):
            keep.append(i)
    return keep


@wrong("decoding.greedy", "boxes that are gone still remove others")
def greedy_3(iou, scores, threshold):
    keep = []
    for i in range(len(scores)):
        better = [j for j in range(len(scores)) if scores[j] > scores[i]]
        if not any(iou[i][j] > threshold for j in better):
            keep.append(i)
    return sorted(keep, key=lambda i: -scores[i])


@wrong("decoding.greedy", "gives the indices in their order, not by score")
def greedy_4(iou, scores, threshold):
    gone = [False] * len(scores)
    for i in np.argsort(scores)[::-1]:
        if not gone[i]:
            for j in range(len(scores)):
                if scores[j] < scores[i] and iou[i][j] > threshold:
                    gone[j] = True
    return [i for i in range(len(scores)) if not gone[i]]


@wrong("decoding.greedy", "compares only with the box kept last")
def greedy_5(iou, scores, threshold):
    keep = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if not keep or iou[i][keep[-1]] <= threshold:
            keep.append(i)
    return keep


@wrong("decoding.greedy", "takes the list as sorted by score already")
def greedy_6(iou, scores, threshold):
    keep = []
    for i in range(len(scores)):
        if all(iou[i][j] <= threshold for j in keep):
            keep.append(i)
    return keep


@wrong("decoding.greedy", "gives places in the sorted list, not the boxes' indices")
def greedy_7(iou, scores, threshold):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    keep = []
    for place in range(len(order)):
        if all(iou[order[place]][order[k]] <= threshold for k in keep):
            keep.append(place)
    return keep


@wrong("decoding.greedy", "gives the scores that stay")
def greedy_8(iou, scores, threshold):
    keep = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(iou[i][j] <= threshold for j in keep):
            keep.append(i)
    return [scores[i] for i in keep]


@right("decoding.greedy")
def greedy_9(iou, scores, threshold):
    order = sorted(range(len(scores)), key=lambda i: scores[i], reverse=True)
    keep = []
    for i in order:
        if all(iou[i][j] <= threshold for j in keep):
            keep.append(i)
    return keep


@right("decoding.greedy")
def greedy_10(iou, scores, threshold):
    left = set(range(len(scores)))
    keep = []
    while left:
        best = max(left, key=scores.__getitem__)
        keep.append(best)
        left = {j for j in left if j != best and not iou[best][j] > threshold}
    return keep


@right("decoding.greedy")
def greedy_11(iou, scores, threshold):
    def nms(order):
        if not order:
            return []
        first, rest = order[0], order[1:]
        return [first] + nms([j for j in rest if iou[first][j] <= threshold])

    return nms(sorted(range(len(scores)), key=lambda i: -scores[i]))


@right("decoding.greedy")
def greedy_12(iou, scores, threshold):
    if not scores:
        return []
    table, alive = np.array(iou), np.ones(len(scores), dtype=bool)
    keep = []
    for i in np.argsort(-np.array(scores)):
        if alive[i]:
            keep.append(int(i))
            alive &= table[i] <= threshold
    return keep


# 15.4


@wrong("decoding.vote", "boxes that overlap by exactly 0.5 have no vote")
def vote_1(boxes, scores, iou):
    who = iou[scores.argmax()] > 0.5
    w = scores[who]
    return (boxes[who] * w[:, None]).sum(0) / w.sum()


@wrong("decoding.vote", "all votes count the same")
def vote_2(boxes, scores, iou):
    return boxes[iou[scores.argmax()] >= 0.5].mean(dim=0)


@wrong("decoding.vote", "all boxes vote")
def vote_3(boxes, scores, iou):
    return (boxes * scores[:, None]).sum(0) / scores.sum()


@wrong("decoding.vote", "the best one does not vote itself")
def vote_4(boxes, scores, iou):
    best = scores.argmax()
    who = iou[best] >= 0.5
    who[best] = False
    w = scores[who]
    return (boxes[who] * w[:, None]).sum(0) / w.sum()


@wrong("decoding.vote", "divides by the number of voters, not by their scores")
def vote_5(boxes, scores, iou):
    who = iou[scores.argmax()] >= 0.5
    return (boxes[who] * scores[who][:, None]).mean(dim=0)


@wrong("decoding.vote", "weighted by score and overlap")
def vote_6(boxes, scores, iou):
    best = scores.argmax()
    w = scores * iou[best] * (iou[best] >= 0.5)
    return (w[:, None] * boxes).sum(0) / w.sum()


@wrong("decoding.vote", "takes the first box for the best one")
def vote_7(boxes, scores, iou):
    who = iou[0] >= 0.5
    w = scores[who]
    return (boxes[who] * w[:, None]).sum(0) / w.sum()


@wrong("decoding.vote", "divides by the scores of all boxes")
def vote_8(boxes, scores, iou):
    who = iou[scores.argmax()] >= 0.5
    return (boxes[who] * scores[who][:, None]).sum(0) / scores.sum()


@right("decoding.vote")
def vote_9(boxes, scores, iou):
    who = iou[scores.argmax()] >= 0.5
    w = scores[who]
    return (boxes[who] * w[:, None]).sum(dim=0) / w.sum()


@right("decoding.vote")
def vote_10(boxes, scores, iou):
    w = torch.where(iou[torch.argmax(scores)] >= 0.5, scores, torch.zeros_like(scores))
    return (w / w.sum()) @ boxes


@right("decoding.vote")
def vote_11(boxes, scores, iou):
    numbers = scores.tolist()
    best = numbers.index(max(numbers))
    total, out = 0.0, torch.zeros(4, dtype=boxes.dtype)
    for i, score in enumerate(numbers):
        if iou[best, i] >= 0.5:
            out += score * boxes[i]
            total += score
    return out / total


@right("decoding.vote")
def vote_12(boxes, scores, iou):
    best = int(scores.topk(1).indices)
    voters = [i for i in range(len(scores)) if float(iou[best][i]) >= 0.5]
    mean = np.average(boxes[voters].numpy(), axis=0, weights=scores[voters].numpy())
    return torch.from_numpy(mean).to(boxes.dtype)
