"""Exercises and quiz of chapter 01: where the pixels come from, and where boxes go."""

import torch

from lib.basics import data
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor

# --- 01.1 predict


def rows_filled() -> int:
    """Rows of the square that hold the fill colour alone, counted in the picture."""
    photograph = torch.zeros(3, 480, 640, dtype=torch.uint8)
    square, _, _ = data.letterbox(photograph, torch.zeros(0, 4), 512, fill=(1, 1, 1))
    return int((square == 1).all(dim=(0, 2)).sum())


# --- 01.2 measure


def _sizes(scenes):
    boxes = torch.cat([sample.boxes for sample in scenes])
    return boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]


def small_digits() -> int:
    """Digits whose box has an area below 32 x 32, in a hundred scenes."""
    width, height = _sizes(data.scenes("validation", 100, seed=1))
    return int((width * height < 32 * 32).sum())


def lower_than_32() -> int:
    _, height = _sizes(data.scenes("validation", 100, seed=1))
    return int((height < 32).sum())


def scenes_with_a_small_digit() -> int:
    pictures = 0
    for scene in data.scenes("validation", 100, seed=1):
        width, height = _sizes([scene])
        pictures += bool((width * height < 32 * 32).any())
    return pictures


def small_digits_of_training() -> int:
    width, height = _sizes(data.scenes("train", 100, seed=1))
    return int((width * height < 32 * 32).sum())


# --- 01.3 build


def hflip_xywh(boxes, width):
    """Boxes [x, y, w, h] after the picture was mirrored left to right."""
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - x - w, y, w, h], 1)


def hflip_xywh_2(boxes, width):
    """Only the first column changes."""
    moved = width - boxes[:, :1] - boxes[:, 2:3]
    return torch.cat([moved, boxes[:, 1:]], 1)


def left_edge_mirrored(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - x, y, w, h], 1)


def last_index(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - 1 - x - w, y, w, h], 1)


def read_as_xyxy(boxes, width):
    x1, y1, x2, y2 = boxes.unbind(1)
    return torch.stack([width - x2, y1, width - x1, y2], 1)


def read_as_centre(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - x - w / 2, y, w, h], 1)


def upside_down(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([x, width - y - h, w, h], 1)


def flip_cases(rng, size):
    width = rng.randint(20, 40 * size)
    return tensor(rng, size, 4, low=1.0, high=width / 2), width


# --- 01.4 build


def split_by_source(sources, every):
    """True for each crop that is held out: every k-th source, whole."""
    distinct = sorted(set(sources))
    place = {source: k for k, source in enumerate(distinct)}
    return [place[source] % every == 0 for source in sources]


def split_by_source_2(sources, every):
    """A slice with a step holds the chosen sources."""
    held_out = sorted(set(sources))[::every]
    return [source in held_out for source in sources]


def by_crop(sources, every):
    return [place % every == 0 for place in range(len(sources))]


def by_number(sources, every):
    return [source % every == 0 for source in sources]


def as_they_come(sources, every):
    held_out = list(dict.fromkeys(sources))[::every]
    return [source in held_out for source in sources]


def repeats_counted(sources, every):
    held_out = sorted(sources)[::every]
    return [source in held_out for source in sources]


def the_other_part(sources, every):
    return [not held for held in split_by_source(sources, every)]


def source_cases(rng, size):
    numbers = rng.sample(range(100), 2 + 2 * size)
    return [rng.choice(numbers) for _ in range(4 + 4 * size)], rng.randint(2, 4)


def whole(mine, sources, every):
    return len(set(zip(sources, mine(sources, every), strict=True))) == len(
        set(sources)
    )


# --- 01.5 build


def uncentre(boxes, height, width, size):
    """Boxes found in a centred letterbox, back in pixels of the photograph."""
    scale = min(size / height, size / width)
    left = (size - width * scale) / 2
    top = (size - height * scale) / 2
    return (boxes - torch.tensor([left, top, left, top])) / scale


def uncentre_2(boxes, height, width, size):
    """Measure from the centre, which both pictures share."""
    scale = size / max(height, width)
    middle = torch.tensor([width, height, width, height]) / 2
    return (boxes - size / 2) / scale + middle


def from_the_corner(boxes, height, width, size):
    return boxes / min(size / height, size / width)


def divided_first(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return boxes / scale - torch.tensor([left, top, left, top])


def whole_padding(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = size - width * scale, size - height * scale
    return (boxes - torch.tensor([left, top, left, top])) / scale


def sides_swapped(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return (boxes - torch.tensor([top, left, top, left])) / scale


def larger_scale(boxes, height, width, size):
    scale = max(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return (boxes - torch.tensor([left, top, left, top])) / scale


def square_cases(rng, size):
    short, more, side = rng.randint(8, 20 * size), rng.randint(4, 30 * size), 32 * size
    pair = (short, short + more) if rng.random() < 0.5 else (short + more, short)
    return tensor(rng, size, 4, low=0.0, high=float(side)), *pair, side


def same_centre(mine, boxes, height, width, size):
    moved = mine(torch.full((1, 4), size / 2), height, width, size)
    middle = torch.tensor([[width, height, width, height]]) / 2
    return torch.allclose(moved, middle, atol=1e-3)


EXERCISES = (
    Exercise(
        name="rows_filled",
        number="01.1",
        kind="predict",
        minutes=5,
        difficulty=1,
        points=1,
        task="A photograph 480 pixels high and 640 wide goes into a 512 letterbox."
        " How many rows of the square hold nothing but the fill colour?",
        reference=rows_filled,
        wrong=(
            Wrong(
                64,
                "That is half of it: you share the filling between top and bottom."
                " Here the picture lies in the top left corner.",
            ),
            Wrong(
                32,
                "You took 480 from 512, as if the picture kept its size. Its 640"
                " columns must fit too: work out the scale first.",
            ),
            Wrong(
                0,
                "Then the picture would be stretched. A letterbox keeps the aspect.",
            ),
            Wrong(
                384,
                "That is how many rows the picture takes. How many are left?",
            ),
        ),
        hints=(
            "Which of the two sides limits the scale?",
            "The scale is 512 / 640. How high is the picture after it?",
        ),
    ),
    Exercise(
        name="small_digits",
        number="01.2",
        kind="measure",
        minutes=10,
        difficulty=1,
        points=2,
        task="COCO calls an object small if its area is below 32 x 32 pixels. How many"
        ' small digits do the scenes of `data.scenes("validation", 100, seed=1)` hold?'
        " Take the area of the box.",
        reference=small_digits,
        wrong=(
            Wrong(
                lower_than_32,
                "You counted boxes lower than 32 pixels. A tall thin 1 is small too:"
                " COCO goes by area.",
            ),
            Wrong(
                scenes_with_a_small_digit,
                "You counted scenes. A scene may hold several small digits.",
            ),
            Wrong(
                small_digits_of_training,
                "These are the training scenes. The question asks for validation.",
            ),
        ),
        hints=(
            "Iterate over the scenes; each item has `.boxes`, xyxy.",
            "Area = (x2 - x1) * (y2 - y1). Compare with 32 * 32 and add up.",
        ),
    ),
    Exercise(
        name="hflip_xywh",
        number="01.3",
        kind="build",
        minutes=10,
        difficulty=1,
        points=2,
        task="Mirror boxes left to right, in COCO's own form [x, y, w, h]: `boxes` is"
        " (N, 4) float, `width` the width of the picture. Return (N, 4).",
        reference=hflip_xywh,
        alternative=hflip_xywh_2,
        wrong=(
            Wrong(
                left_edge_mirrored,
                "You mirrored the left edge, and it is now the right one. x has to be"
                " the left edge of the new box.",
            ),
            Wrong(
                last_index,
                "One pixel off. Boxes measure edges, from 0 to the width, and not"
                " indices of pixels, so there is no -1.",
            ),
            Wrong(
                read_as_xyxy,
                "You read the last two numbers as x2 and y2. Here they are width and"
                " height, and a mirror changes neither.",
            ),
            Wrong(
                read_as_centre,
                "You moved by half a width, as if x were the centre. In COCO's form"
                " x is the left edge.",
            ),
            Wrong(
                upside_down,
                "You mirrored top and bottom. Left to right changes x, and y stays.",
            ),
        ),
        hints=(
            "Draw a strip 10 wide and a box from 1 to 4. Where is it in the mirror?",
            "From 6 to 9. The new left edge is the old right edge, x + w, mirrored.",
            "Which of the four numbers can change at all? Stack them along dim 1.",
        ),
        cases=flip_cases,
        by_hand=(
            (
                (torch.tensor([[1.0, 2.0, 3.0, 5.0]]), 10),
                torch.tensor([[6.0, 2.0, 3.0, 5.0]]),
            ),
            (
                (torch.tensor([[0.0, 0.0, 10.0, 4.0]]), 10),
                torch.tensor([[0.0, 0.0, 10.0, 4.0]]),
            ),
        ),
        properties=(
            Property(
                "twice in the mirror is where it was",
                lambda mine, boxes, width: torch.allclose(
                    mine(mine(boxes, width), width), boxes, atol=1e-3
                ),
            ),
        ),
        gradient=(0,),
    ),
    Exercise(
        name="split_by_source",
        number="01.4",
        kind="build",
        minutes=15,
        difficulty=2,
        points=3,
        task="`sources[i]` is the number of the scan that crop i was drawn from. Sort"
        " the distinct sources and hold out every `every`-th of them, beginning with"
        " the smallest. Return a list with True for each crop that is held out.",
        reference=split_by_source,
        alternative=split_by_source_2,
        wrong=(
            Wrong(
                by_crop,
                "You hold out every k-th crop. Crops of one scan land on both sides:"
                " this is the leak. Choose among the sources.",
            ),
            Wrong(
                by_number,
                "You divide the number of the source itself. Numbers have gaps, so"
                " the share could be anything. Use its place in the sorted list.",
            ),
            Wrong(
                as_they_come,
                "You number the sources as they appear. Then the split changes when"
                " the crops are shuffled. Sort them first.",
            ),
            Wrong(
                repeats_counted,
                "You count a source once for every crop it has. Make them distinct"
                " before you take every k-th.",
            ),
            Wrong(
                the_other_part,
                "Exactly the opposite: True is asked for the crops that are held out.",
            ),
        ),
        hints=(
            "How many different scans are there? `set(sources)` knows.",
            "A slice with a step takes every k-th item of a list.",
            "Then ask of each crop whether its source is among the chosen.",
        ),
        cases=source_cases,
        by_hand=(
            (([7, 3, 7, 9, 3], 2), [False, True, False, True, True]),
            (([4, 4, 4], 3), [True, True, True]),
        ),
        properties=(Property("no source stands on both sides", whole),),
    ),
    Exercise(
        name="uncentre",
        number="01.5",
        kind="build",
        minutes=20,
        difficulty=3,
        points=4,
        task="Some detectors put the picture in the middle of the square. `boxes`"
        " (N, 4) xyxy were found in such a square of `size` pixels, made from a"
        " photograph of `height` by `width`. Return them in pixels of the photograph,"
        " not rounded.",
        reference=uncentre,
        alternative=uncentre_2,
        wrong=(
            Wrong(
                from_the_corner,
                "Right for a picture in the top left corner. Here it lies in the"
                " middle: take the padding away before you divide.",
            ),
            Wrong(
                divided_first,
                "You divide first and then take the padding away. The padding is in"
                " pixels of the square: take it away before you divide.",
            ),
            Wrong(
                whole_padding,
                "You take all the padding away. Half of it is on the other side.",
            ),
            Wrong(
                sides_swapped,
                "The padding of x and of y have changed places.",
            ),
            Wrong(
                larger_scale,
                "You use the larger of the two scales. Then the picture would not fit.",
            ),
        ),
        hints=(
            "Write the way there first: scale, then shift. The way back is reversed.",
            "How wide is the scaled picture? Half of what remains lies to its left.",
            "x1 and x2 shift by the left padding, y1 and y2 by the top padding.",
        ),
        cases=square_cases,
        by_hand=(
            # 4 x 6 into 12: scale 2, 8 rows high, 2 rows of padding above.
            (
                (torch.tensor([[4.0, 4.0, 10.0, 8.0]]), 4, 6, 12),
                torch.tensor([[2.0, 1.0, 5.0, 3.0]]),
            ),
            (
                (torch.tensor([[4.0, 4.0, 8.0, 10.0]]), 6, 4, 12),
                torch.tensor([[1.0, 2.0, 3.0, 5.0]]),
            ),
        ),
        properties=(
            Property("the centre of the square is the photograph's", same_centre),
        ),
        gradient=(0,),
        tolerance=1e-4,
    ),
)


def _scale() -> float:
    photograph = torch.zeros(3, 300, 400, dtype=torch.uint8)
    return data.letterbox(photograph, torch.zeros(0, 4), 200)[2]


def _mirrored_left_edge() -> float:
    picture = torch.zeros(3, 50, 100, dtype=torch.uint8)
    return data.hflip(picture, torch.tensor([[10.0, 5.0, 30.0, 45.0]]))[1][0, 0].item()


QUIZ = (
    Question(
        "You draw 3,000 crops from 1,085 scans, shuffle them, and test on 500 of them."
        " What does the test accuracy tell you?",
        (
            Option(
                "How well it reads the digits of writers it never saw",
                "No: it has seen these writers, and even these strokes.",
            ),
            Option(
                "Nothing at all, because 500 crops are too few to say anything",
                "500 give a standard error of about two points. The leak is the"
                " larger trouble.",
            ),
            Option(
                "How well it knows these scans, drawn again",
                "Yes: nearly every test crop has a sister in training, from the very"
                " same strokes.",
                correct=True,
            ),
            Option(
                "A lower bound on the true accuracy",
                "The other way round: shared strokes make the number too high.",
            ),
        ),
    ),
    Question(
        "A photograph is 300 pixels high and 400 wide. What is its scale in a letterbox"
        " of 200?",
        (
            Option("0.50", "200 / 400: the longer side limits it.", correct=True),
            Option("0.67", "200 / 300: then it would be 267 wide, and not fit."),
            Option("0.58", "The mean of both would fit neither side."),
        ),
        value=_scale,
        form="{:.2f}",
    ),
    Question(
        "A picture 100 pixels wide holds the box x1 10, y1 5, x2 30, y2 45. It is"
        " mirrored left to right. What is the new x1?",
        (
            Option("90", "100 - 10 is the new x2."),
            Option(
                "70", "100 - 30: the old right edge becomes the left.", correct=True
            ),
            Option("69", "A pixel too few: boxes measure edges, not pixel indices."),
            Option("10", "Then the box would stay while its digit moves away."),
        ),
        value=_mirrored_left_edge,
        form="{:.0f}",
    ),
    Question(
        "A COCO file says bbox [10, 20, 30, 40]. Which corners does the box have?",
        (
            Option(
                "(10, 20) and (30, 40)",
                "That reads x1 y1 x2 y2. It looks plausible, which is why this error"
                " survives so long.",
            ),
            Option(
                "(10, 20) and (40, 60)",
                "COCO gives x, y, width, height: add them up.",
                correct=True,
            ),
            Option("(20, 10) and (60, 40)", "x comes first in COCO."),
            Option("(-5, 0) and (25, 40)", "That would take (10, 20) for the centre."),
        ),
    ),
    Question(
        "An annotation among 900,000 has a width of 0. What should a loader do?",
        (
            Option(
                "Skip it without a word",
                "Then the next 10,000 bad boxes vanish in the same way.",
            ),
            Option(
                "Keep it",
                "Its area is 0, so an overlap with it divides by zero sooner or later.",
            ),
            Option(
                "Give it a width of 1",
                "An invented box. Perhaps the file holds x1 y1 x2 y2.",
            ),
            Option(
                "Stop, and name the file and the id",
                "Yes. You then decide, and leave it out in the open, by its id.",
                correct=True,
            ),
        ),
    ),
    Question(
        "A 16-bit grey photograph looks right in a viewer. After"
        ' `Image.open(path).convert("RGB")` it is almost white. What happened?',
        (
            Option(
                "It was exposed too long, and no longer holds any detail",
                "Then the viewer would show it white too.",
            ),
            Option(
                "Its channels are in the order BGR",
                "A grey picture has equal channels; their order does not matter.",
            ),
            Option(
                "Values above 255 were clipped to 255",
                "PIL's conversion to RGB does that. Scale by 255 / 65535 first.",
                correct=True,
            ),
        ),
    ),
)
