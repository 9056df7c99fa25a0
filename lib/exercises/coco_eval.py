"""Exercises and quiz of chapter 16: matching, precision and recall, AP."""

from lib.detection import coco_eval
from lib.exercises import Exercise, Option, Property, Question, Wrong


def toy(objects, found) -> coco_eval.Numbers:
    """The twelve numbers of one picture: boxes xywh, detections (box, score)."""
    truth = {
        "images": [{"id": 1}],
        "categories": [{"id": 1}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": b} for b in objects],
    }
    results = [
        {"image_id": 1, "category_id": 1, "bbox": box, "score": score}
        for box, score in found
    ]
    return coco_eval.evaluate(truth, results)


# --- 16.1 predict


def ap_on_paper() -> float:
    """AP50 of four objects and three detections: right, false, right."""
    objects = [[100 * i, 0, 40, 40] for i in range(4)]
    found = [(objects[0], 0.9), ([0, 500, 40, 40], 0.8), (objects[1], 0.7)]
    return toy(objects, found).ap50


def area_on_paper() -> float:
    return envelope_area([True, False, True], 4)


# --- 16.2 measure


def largest_shift() -> int:
    """The largest whole shift of a box of 40 x 40 pixels with an AP above 0."""
    box = [0, 0, 40, 40]
    shifts = [s for s in range(41) if toy([box], [([s, 0, 40, 40], 1.0)]).ap > 0]
    return max(shifts)


# --- 16.3 build


def envelope_area(right, objects):
    """The area under the envelope: VOC's average precision since 2010."""
    hits, precision, area = 0, [], 0.0
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    for i, ok in enumerate(right):
        if ok:
            area += max(precision[i:]) / objects
    return area


def envelope_area_2(right, objects):
    """From the last detection to the first, with the best precision seen so far."""
    area, best = 0.0, 0.0
    for n in range(len(right), 0, -1):
        best = max(best, sum(right[:n]) / n)
        if right[n - 1]:
            area += best / objects
    return area


def area_without_envelope(right, objects):
    hits, area = 0, 0.0
    for n, ok in enumerate(right, start=1):
        hits += ok
        if ok:
            area += hits / n / objects
    return area


def area_of_found(right, objects):
    return envelope_area(right, sum(right)) if any(right) else 0.0


def area_from_the_left(right, objects):
    hits, precision = 0, []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
    best = (max(precision[: i + 1]) for i, ok in enumerate(right) if ok)
    return sum(best, 0.0) / objects


def mean_of_101(right, objects):
    points, hits, precision, recall = [r / 100 for r in range(101)], 0, [], []
    for n, ok in enumerate(right, start=1):
        hits += ok
        precision.append(hits / n)
        recall.append(hits / objects)
    best = [
        max((p for p, q in zip(precision, recall, strict=True) if q >= r), default=0)
        for r in points
    ]
    return sum(best) / len(points)


def verdicts(rng, size) -> tuple:
    """Verdicts, best score first, and at least as many objects as were found."""
    right = [rng.random() < 0.6 for _ in range(size + 2)]
    return right, max(1, sum(right) + rng.randint(0, 3))


# --- 16.4 build


def best_cut(scores, right, objects):
    """The threshold of the best F1; of equal ones the highest."""

    def f1(cut):
        shown = [right[i] for i in range(len(scores)) if scores[i] >= cut]
        return sum(shown) / (len(shown) + objects)

    return max(sorted(scores, reverse=True), key=f1)


def best_cut_2(scores, right, objects):
    """One walk down the scores."""
    order = sorted(zip(scores, right, strict=True), reverse=True)
    hits, best, cut = 0, -1.0, None
    for n, (score, ok) in enumerate(order, start=1):
        hits += ok
        precision, recall = hits / n, hits / objects
        both = precision + recall
        value = 2 * precision * recall / both if both else 0.0
        if value > best + 1e-12:
            best, cut = value, score
    return cut


def cut_by_precision(scores, right, objects):
    def precision(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        return sum(shown) / len(shown)

    return max(sorted(scores, reverse=True), key=precision)


def cut_by_recall(scores, right, objects):
    def recall(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        return sum(shown) / objects

    return max(sorted(scores, reverse=True), key=recall)


def cut_above(scores, right, objects):
    def f1(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score > cut]
        return sum(shown) / (len(shown) + objects)

    return max(sorted(scores, reverse=True), key=f1)


def cut_lowest(scores, right, objects):
    def f1(cut):
        shown = [ok for score, ok in zip(scores, right, strict=True) if score >= cut]
        return sum(shown) / (len(shown) + objects)

    return max(sorted(scores), key=f1)


def cut_by_accuracy(scores, right, objects):
    def accuracy(cut):
        pairs = zip(scores, right, strict=True)
        return sum(ok == (score >= cut) for score, ok in pairs)

    return max(sorted(scores, reverse=True), key=accuracy)


def walk(rng, size) -> tuple:
    """Scores without ties in any order, verdicts, and the number of objects."""
    n = size + 2
    scores = [k / 100 for k in rng.sample(range(1, 100), n)]
    right = [rng.random() < 0.3 + 0.5 * score for score in scores]
    return scores, right, max(1, sum(right) + rng.randint(0, 4))


EXERCISES = (
    Exercise(
        name="ap_on_paper", number="16.1", kind="predict", minutes=8, difficulty=2,
        points=2,
        task="AP50 of four objects and three detections: right, false, right.",
        reference=ap_on_paper,
        wrong=(
            Wrong(area_on_paper, "that is the area under the curve, 1/4 + 2/3 of 1/4;"
                  " COCO takes the mean of 101 points, recall 0 among them"),
            Wrong(2 / 3, "that is the precision at the end of the list"),
            Wrong(0.5, "that is the recall at the end of the list"),
        ),
        hints=(
            "Recall is 1/4, 1/4, 2/4 down the list. Which of the points 0.00, 0.01, ..."
            " does each reach?",
            "26 points at precision 1, 25 points at 2/3, the rest at 0.",
        ),
        tolerance=1e-3,
    ),
    Exercise(
        name="largest_shift", number="16.2", kind="measure", minutes=8, difficulty=1,
        points=2,
        task="The largest whole shift of a box of 40 pixels that still has an AP.",
        reference=largest_shift,
        wrong=(
            Wrong(lambda: largest_shift() + 1, "one pixel less: there the overlap is"
                  " below a half already"),
            Wrong(20, "half of the side is shared then, but the union is larger than a"
                  " box: IoU 20 / 60"),
        ),
        hints=(
            "AP is above 0 as long as the overlap reaches the lowest of the ten"
            " thresholds.",
            "Shifted by s, the boxes share 40 - s columns of 40 + s.",
        ),
    ),
    Exercise(
        name="envelope_area", number="16.3", kind="build", minutes=15, difficulty=2,
        points=3,
        task="The area under the envelope of precision over recall.",
        reference=envelope_area, alternative=envelope_area_2,
        wrong=(
            Wrong(area_without_envelope, "the precision at each hit, without Eq. 16.3:"
                  " a later detection may have a better one"),
            Wrong(area_from_the_left, "the best precision so far; the envelope looks at"
                  " that recall *or more*, to the right"),
            Wrong(area_of_found, "you divide by the objects that were found; those that"
                  " were missed count as well"),
            Wrong(mean_of_101, "that is COCO's mean of 101 points; here the area itself"
                  " is asked, a step of 1 / objects for each hit"),
        ),
        hints=(
            "Recall only moves at a hit, by 1 / objects. So the area is a sum over"
            " hits.",
            "The height of the step at hit i is the largest precision from i to the"
            " end.",
            "Collect precision = hits / n down the list first; then use"
            " max(precision[i:]).",
        ),
        cases=verdicts,
        by_hand=(
            (([True, False, True], 4), 1 / 4 + 2 / 3 / 4),
            (([False, True, True], 2), 2 / 3),
            (([True], 1), 1.0),
            (([False, False], 3), 0.0),
        ),
        properties=(
            Property(
                "a false detection at the end of the list costs nothing",
                lambda mine, right, objects: abs(
                    mine([*right, False], objects) - mine(list(right), objects)
                ) < 1e-9,
            ),
        ),
    ),
    Exercise(
        name="best_cut", number="16.4", kind="build", minutes=15, difficulty=2,
        points=3,
        task="The score threshold with the best F1.",
        reference=best_cut, alternative=best_cut_2,
        wrong=(
            Wrong(cut_by_precision, "precision alone is happy with one right box; what"
                  " about the objects that are missed?"),
            Wrong(cut_by_recall, "recall alone: a false box more costs you nothing"),
            Wrong(cut_above, "a detection that scores exactly the threshold is shown"),
            Wrong(cut_lowest, "of equally good thresholds the highest is asked"),
            Wrong(cut_by_accuracy, "accuracy over detections does not know of the"
                  " objects that nobody found"),
        ),
        hints=(
            "Try every score as the threshold. Which detections are shown then?",
            "F1 = 2 * right / (shown + objects).",
            "max(..., key=...) gives the first of equally good ones: in which order"
            " should the thresholds stand?",
        ),
        cases=walk,
        by_hand=(
            (([0.9, 0.8, 0.7], [True, False, True], 2), 0.7),
            (([0.9, 0.8, 0.7], [True, False, False], 2), 0.9),
            (([0.2, 0.6, 0.4], [False, True, True], 2), 0.4),
            (([0.9, 0.8, 0.7, 0.6], [True, False, False, True], 2), 0.9),
        ),
    ),
)  # fmt: skip


def ap_of_six_tenths() -> float:
    return toy([[0, 0, 10, 10]], [([0, 0, 10, 6], 0.9)]).ap


def ap_one_of_three() -> float:
    boxes = [[100 * i, 0, 40, 40] for i in range(3)]
    return toy(boxes, [(boxes[0], 0.9)]).ap


QUIZ = (
    Question(
        "One object, one detection, IoU exactly 0.6. What is COCO's AP?",
        (
            Option("0.3", "It counts at thresholds 0.50, 0.55 and 0.60: three of ten.",
                   True),
            Option("0.6", "AP does not take the overlap as a score; it asks ten times"
                   " whether it is enough."),
            Option("1.0", "That is AP50: at 0.5 the overlap is enough."),
            Option("0.2", "An overlap that equals the threshold is enough."),
        ),
        value=ap_of_six_tenths, form="{:.1f}",
    ),
    Question(
        "Three objects; one is found, and nothing else is said. AP is",
        (
            Option("0.333", "The recall is 1/3, but AP is a mean of 101 points, with"
                   " both ends."),
            Option("0.337", "Recalls 0.00 to 0.33 are reached: 34 of 101.", True),
            Option("1.000", "That is the precision."),
        ),
        value=ap_one_of_three, form="{:.3f}",
    ),
    Question(
        "To keep the file small you drop all detections that score below 0.5. AP",
        (
            Option("rises, because false ones go", "A false detection only hurts those"
                   " that score lower, and these go as well."),
            Option("falls or stays", "Recalls that only the lower scores reached are"
                   " now at precision 0.", True),
            Option("cannot change", "It ranks what is there; what is gone cannot be"
                   " found any more."),
        ),
    ),
    Question(
        "A class has no object in the test pictures, and your detector claims 200 of"
        " it. What happens to AP?",
        (
            Option("It falls: 200 false detections.", "They are false, but no curve is"
                   " drawn for a class without objects."),
            Option("Nothing.", "Its value is -1, which means: leave it out of the"
                   " mean.", True),
            Option("It is divided by one class more.", "That is what happens to a class"
                   " with objects that is never found."),
        ),
    ),
    Question(
        "An object has an area of exactly 1024 square pixels. It is",
        (
            Option("small", "And not only that."),
            Option("medium", "And not only that."),
            Option("both", "Both ends of a range belong to it, and the ranges share"
                   " 32 squared.", True),
            Option("neither", "Nothing falls between the ranges."),
        ),
    ),
    Question(
        "Detector A has AP50 0.95 and AP 0.55, detector B has 0.85 and 0.60. Which one"
        " places its boxes better?",
        (
            Option("A", "It finds more objects, if one is not strict about the place."),
            Option("B", "It finds fewer, but keeps more of its score when the overlap"
                   " has to be high.", True),
            Option("This cannot be said at all.", "The ten thresholds are there to say"
                   " it."),
        ),
    ),
)  # fmt: skip
