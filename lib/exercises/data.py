"""Exercises and quiz of chapter 01: where the pixels come from, and where boxes go."""

import torch

from lib.basics import data
from lib.detection import decoding, detectors
from lib.exercises import Exercise, Option, Property, Question, Wrong, tensor

# --- 01.1 build: where the boxes go in a letterbox


def letterboxes_and_a_detector() -> list:
    """Wide, high, thin and small pictures in their squares; what the detector sees."""
    scenes = data.scenes("validation", 4, seed=0)
    first, second = scenes[0], scenes[2]
    wide = torch.cat([first.image, second.image], 2)  # 3 128 256
    wide = wide[:, :101]  # 3 101 256: half of its rows are no whole number
    small = wide[:, :20, :30]
    found = []
    for picture, side in ((wide, 96), (wide.mT, 160), (wide[:, :1], 64), (small, 64)):
        found += data.letterbox(picture, first.boxes, side)
    seen = decoding.detect(detectors.shipped("course"), wide, threshold=0.2)
    return [*found, *seen]


def geometry_by_cases(boxes, height, width, size):
    """Another right way: the longer side fills the square."""
    longer = max(height, width)
    scale = size / longer
    rows = round(height * size / longer) or 1
    columns = round(width * size / longer) or 1
    moved = torch.stack([side * scale for side in boxes.unbind(1)], 1)
    return moved, scale, (rows, columns)


def _geometry(boxes, height, width, scale):
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    return boxes * scale, scale, (rows, columns)


def by_the_larger_scale(boxes, height, width, size):
    return _geometry(boxes, height, width, max(size / height, size / width))


def by_the_height(boxes, height, width, size):
    return _geometry(boxes, height, width, size / height)


def by_the_width(boxes, height, width, size):
    return _geometry(boxes, height, width, size / width)


def never_enlarged(boxes, height, width, size):
    return _geometry(boxes, height, width, min(size / height, size / width, 1.0))


def scale_upside_down(boxes, height, width, size):
    scale = max(height, width) / size
    return _geometry(boxes, height, width, scale)


def each_side_its_own(boxes, height, width, size):
    tall, broad = size / height, size / width
    moved = boxes * torch.tensor([broad, tall, broad, tall])
    return moved, min(tall, broad), (size, size)


def boxes_left_behind(boxes, height, width, size):
    _, scale, sides = data.letterbox_geometry(boxes, height, width, size)
    return boxes, scale, sides


def boxes_divided(boxes, height, width, size):
    _, scale, sides = data.letterbox_geometry(boxes, height, width, size)
    return boxes / scale, scale, sides


def first_corner_scaled(boxes, height, width, size):
    _, scale, sides = data.letterbox_geometry(boxes, height, width, size)
    return torch.cat([boxes[:, :2] * scale, boxes[:, 2:]], 1), scale, sides


def boxes_to_whole_pixels(boxes, height, width, size):
    moved, scale, sides = data.letterbox_geometry(boxes, height, width, size)
    return moved.round(), scale, sides


def boxes_by_rounded_sides(boxes, height, width, size):
    _, scale, (rows, columns) = data.letterbox_geometry(boxes, height, width, size)
    x, y = columns / width, rows / height
    return boxes * torch.tensor([x, y, x, y]), scale, (rows, columns)


def picture_in_the_middle(boxes, height, width, size):
    moved, scale, sides = data.letterbox_geometry(boxes, height, width, size)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return moved + torch.tensor([left, top, left, top]), scale, sides


def boxes_y_first(boxes, height, width, size):
    moved, scale, sides = data.letterbox_geometry(boxes, height, width, size)
    return moved[:, [1, 0, 3, 2]], scale, sides


def corners_to_sides(boxes, height, width, size):
    moved, scale, sides = data.letterbox_geometry(boxes, height, width, size)
    return torch.cat([moved[:, :2], moved[:, 2:] - moved[:, :2]], 1), scale, sides


def sides_cut_down(boxes, height, width, size):
    moved, scale, _ = data.letterbox_geometry(boxes, height, width, size)
    near = 1e-9  # of a float that should be whole
    rows, columns = int(height * scale + near), int(width * scale + near)
    return moved, scale, (max(1, rows), max(1, columns))


def sides_rounded_up(boxes, height, width, size):
    moved, scale, _ = data.letterbox_geometry(boxes, height, width, size)
    near = 1e-9
    rows, columns = -int(near - height * scale), -int(near - width * scale)
    rows += rows < height * scale - near
    columns += columns < width * scale - near
    return moved, scale, (rows, columns)


def sides_not_rounded(boxes, height, width, size):
    moved, scale, _ = data.letterbox_geometry(boxes, height, width, size)
    return moved, scale, (height * scale, width * scale)


def no_row_left(boxes, height, width, size):
    moved, scale, _ = data.letterbox_geometry(boxes, height, width, size)
    return moved, scale, (round(height * scale), round(width * scale))


def columns_first(boxes, height, width, size):
    moved, scale, sides = data.letterbox_geometry(boxes, height, width, size)
    return moved, scale, sides[::-1]


def sides_of_the_square(boxes, height, width, size):
    moved, scale, _ = data.letterbox_geometry(boxes, height, width, size)
    return moved, scale, (size, size)


def sides_of_the_filling(boxes, height, width, size):
    moved, scale, sides = data.letterbox_geometry(boxes, height, width, size)
    return moved, scale, (size - sides[0], size - sides[1])


def sides_of_before(boxes, height, width, size):
    moved, scale, _ = data.letterbox_geometry(boxes, height, width, size)
    return moved, scale, (height, width)


def boxes_alone(boxes, height, width, size):
    return data.letterbox_geometry(boxes, height, width, size)[0]


def scale_first(boxes, height, width, size):
    moved, scale, sides = data.letterbox_geometry(boxes, height, width, size)
    return scale, moved, sides


def letterbox_cases(rng, size):
    """High, wide, square and thin pictures, smaller and larger than their square."""
    height, width = rng.randint(3, 30 * size), rng.randint(3, 30 * size)
    square = rng.choice((32 * size, rng.randint(8, 64 * size), 512))
    shape = rng.random()
    if shape < 0.15:
        width = height
    elif shape < 0.3:  # so thin that less than half a row would be left
        height, width = 1, 3 * square + rng.randint(0, 9)
    elif shape < 0.45:
        height, width = 40 * height, 40 * width
    if rng.random() < 0.3:
        height, width = width, height
    while _ties(height, width, square):
        square += 1
    return tensor(rng, size, 4, low=0.0, high=float(width)), height, width, square


def _ties(height, width, square) -> bool:
    """True where a side of the picture would end in one half: rounded either way."""
    longer = max(height, width)
    return any(2 * side * square % (2 * longer) == longer for side in (height, width))


# --- 01.2 predict


def rows_filled() -> int:
    """Rows of the square that hold the fill colour alone, counted in the picture."""
    photograph = torch.zeros(3, 480, 640, dtype=torch.uint8)
    square, _, _ = data.letterbox(photograph, torch.zeros(0, 4), 512, fill=(1, 1, 1))
    return int((square == 1).all(dim=(0, 2)).sum())


# --- 01.3 measure


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


def narrow_digits() -> int:
    width, _ = _sizes(data.scenes("validation", 100, seed=1))
    return int((width < 32).sum())


def all_digits() -> int:
    width, _ = _sizes(data.scenes("validation", 100, seed=1))
    return len(width)


def other_digits() -> int:
    return all_digits() - small_digits()


def corners_multiplied() -> int:
    scenes = data.scenes("validation", 100, seed=1)
    boxes = torch.cat([sample.boxes for sample in scenes])
    return int((boxes[:, 2] * boxes[:, 3] < 32 * 32).sum())


def small_digits_of_ten() -> int:
    width, height = _sizes(data.scenes("validation", 10, seed=1))
    return int((width * height < 32 * 32).sum())


def small_digits_of_training() -> int:
    width, height = _sizes(data.scenes("train", 100, seed=1))
    return int((width * height < 32 * 32).sum())


# --- 01.4 build


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


def one_index_more(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - x - w + 1, y, w, h], 1)


def negative_width(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - x, y, -w, h], 1)


def width_for_x(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - w, y, w, h], 1)


def right_edge_for_width(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - x - w, y, width - x, h], 1)


def half_the_picture(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width / 2 - x, y, w, h], 1)


def half_the_picture_and_w(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width / 2 - x - w, y, w, h], 1)


def right_edge_kept(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([x + w, y, w, h], 1)


def picture_forgotten(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([-x - w, y, w, h], 1)


def corners_returned(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - x - w, y, width - x, y + h], 1)


def turned_half_round(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - x - w, width - y - h, w, h], 1)


def width_added(boxes, width):
    x, y, w, h = boxes.unbind(1)
    return torch.stack([width - x + w, y, w, h], 1)


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
    width = rng.choice((rng.randint(20, 40 * size), 4096))
    return tensor(rng, size, 4, low=1.0, high=width / 2), width


# --- 01.5 build


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


def as_a_set_gives_them(sources, every):
    held_out = list(set(sources))[::every]
    return [source in held_out for source in sources]


def repeats_counted(sources, every):
    held_out = sorted(sources)[::every]
    return [source in held_out for source in sources]


def neither_sorted_nor_distinct(sources, every):
    held_out = sources[::every]
    return [source in held_out for source in sources]


def places_for_sources(sources, every):
    distinct = sorted(set(sources))
    held_out = {distinct[i] for i in range(0, len(distinct), every)}
    return [place in held_out for place in range(len(sources))]


def sorted_as_text(sources, every):
    held_out = sorted(set(sources), key=str)[::every]
    return [source in held_out for source in sources]


def the_other_part(sources, every):
    held_out = sorted(set(sources))[::every]
    return [source not in held_out for source in sources]


def begins_late(sources, every):
    held_out = sorted(set(sources))[every - 1 :: every]
    return [source in held_out for source in sources]


def begins_with_the_second(sources, every):
    held_out = sorted(set(sources))[1::every]
    return [source in held_out for source in sources]


def remainder_of_one(sources, every):
    distinct = sorted(set(sources))
    return [distinct.index(source) % every == 1 for source in sources]


def one_step_too_long(sources, every):
    held_out = sorted(set(sources))[:: every + 1]
    return [source in held_out for source in sources]


def the_last_part(sources, every):
    distinct = sorted(set(sources))
    held_out = distinct[len(distinct) - len(distinct) // every :]
    return [source in held_out for source in sources]


def from_the_largest(sources, every):
    held_out = sorted(set(sources), reverse=True)[::every]
    return [source in held_out for source in sources]


def the_first_part(sources, every):
    distinct = sorted(set(sources))
    held_out = distinct[: len(distinct) // every]
    return [source in held_out for source in sources]


def the_first_few(sources, every):
    held_out = sorted(set(sources))[:every]
    return [source in held_out for source in sources]


def sources_returned(sources, every):
    return sorted(set(sources))[::every]


def places_returned(sources, every):
    held_out = sorted(set(sources))[::every]
    return [i for i, source in enumerate(sources) if source in held_out]


def crops_returned(sources, every):
    held_out = sorted(set(sources))[::every]
    return [source for source in sources if source in held_out]


def one_answer_a_source(sources, every):
    return [place % every == 0 for place in range(len(set(sources)))]


def first_crop_only(sources, every):
    held_out = sorted(set(sources))[::every]
    chosen = []
    for source in sources:
        chosen.append(source in held_out)
        if source in held_out:
            held_out.remove(source)
    return chosen


def sorted_crops(sources, every):
    held_out = sorted(set(sources))[::every]
    return [source in held_out for source in sorted(sources)]


def source_cases(rng, size):
    numbers = rng.sample(range(rng.choice((100, 10**6))), 2 + 2 * size)
    return [rng.choice(numbers) for _ in range(4 + 4 * size)], rng.randint(2, 4)


def whole(mine, sources, every):
    held_out = map(bool, mine(sources, every))  # of an array or a tensor too
    return len(set(zip(sources, held_out, strict=True))) == len(set(sources))


# --- 01.6 build


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


def padding_in_whole_pixels(boxes, height, width, size):
    scale = min(size / height, size / width)
    left = (size - round(width * scale)) // 2
    top = (size - round(height * scale)) // 2
    return (boxes - torch.tensor([left, top, left, top])) / scale


def scaled_to_whole_pixels(boxes, height, width, size):
    scale = min(size / height, size / width)
    left = (size - round(width * scale)) / 2
    top = (size - round(height * scale)) / 2
    return (boxes - torch.tensor([left, top, left, top])) / scale


def cut_to_the_photograph(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    back = (boxes - torch.tensor([left, top, left, top])) / scale
    x, y = back[:, 0::2].clamp(0, width), back[:, 1::2].clamp(0, height)
    return torch.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], 1)


def cut_at_zero(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return ((boxes - torch.tensor([left, top, left, top])) / scale).clamp(min=0)


def rounded_to_pixels(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return ((boxes - torch.tensor([left, top, left, top])) / scale).round()


def times_the_scale(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return (boxes - torch.tensor([left, top, left, top])) * scale


def the_way_there(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return boxes * scale + torch.tensor([left, top, left, top])


def padding_added(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return (boxes + torch.tensor([left, top, left, top])) / scale


def only_moved(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return boxes - torch.tensor([left, top, left, top])


def stretched(boxes, height, width, size):
    return boxes * torch.tensor([width, height, width, height]) / size


def first_corner_only(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return (boxes - torch.tensor([left, top, 0, 0])) / scale


def order_of_the_padding(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return (boxes - torch.tensor([left, left, top, top])) / scale


def second_corner_added(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return (boxes - torch.tensor([left, top, -left, -top])) / scale


def padding_left_only(boxes, height, width, size):
    scale = size / height
    left = (size - width * scale) / 2
    return (boxes - torch.tensor([left, 0, left, 0])) / scale


def unscaled_padding_after(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width) / 2, (size - height) / 2
    return boxes / scale - torch.tensor([left, top, left, top])


def padding_of_the_photograph(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width) / 2, (size - height) / 2
    return (boxes - torch.tensor([left, top, left, top])) / scale


def padding_above_only(boxes, height, width, size):
    scale = size / width
    top = (size - height * scale) / 2
    return (boxes - torch.tensor([0, top, 0, top])) / scale


def sides_swapped(boxes, height, width, size):
    scale = min(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return (boxes - torch.tensor([top, left, top, left])) / scale


def larger_scale(boxes, height, width, size):
    scale = max(size / height, size / width)
    left, top = (size - width * scale) / 2, (size - height * scale) / 2
    return (boxes - torch.tensor([left, top, left, top])) / scale


def square_cases(rng, size):
    short, more = rng.randint(8, 20 * size), rng.randint(4, 30 * size)
    side = rng.choice((32 * size, rng.randint(8, 64 * size)))
    pair = (short, short + more) if rng.random() < 0.5 else (short + more, short)
    return tensor(rng, size, 4, low=0.0, high=float(side)), *pair, side


def same_centre(mine, boxes, height, width, size):
    moved = mine(torch.full((1, 4), size / 2), height, width, size)
    middle = torch.tensor([[width, height, width, height]]) / 2
    return torch.allclose(moved, middle, atol=1e-3)


EXERCISES = (
    Exercise(
        name="letterbox_geometry",
        number="01.1",
        kind="build",
        minutes=12,
        difficulty=1,
        points=4,
        task="Where the boxes of a picture lie in its letterbox: `boxes` (N, 4) xyxy"
        " times the scale, then the scale, then (rows, columns) of the scaled picture,"
        " rounded to whole pixels and at least 1.",
        reference=data.letterbox_geometry,
        alternative=geometry_by_cases,
        place="basics.data.letterbox_geometry",
        required=True,
        importance=3,
        machine="`letterbox`, through which every picture reaches the detector",
        machine_case=letterboxes_and_a_detector,
        milestone_calls=81,
        wrong=(
            *(
                Wrong(
                    larger,
                    "Your scale is too large for one of the sides, and the picture"
                    " sticks out of the square. Both have to fit: take the smaller of"
                    " size / height and size / width.",
                )
                for larger in (by_the_larger_scale, by_the_height, by_the_width)
            ),
            Wrong(
                never_enlarged,
                "A small picture is enlarged too: nothing stops the scale at 1.",
            ),
            Wrong(
                scale_upside_down,
                "Your scale is upside down: it is the square's side divided by the"
                " picture's.",
            ),
            Wrong(
                each_side_its_own,
                "You stretch width and height each by its own factor. A letterbox has"
                " one scale for both, and fills the rest.",
            ),
            Wrong(
                boxes_left_behind,
                "The picture is scaled, and the boxes are not. They have to follow.",
            ),
            Wrong(
                boxes_divided,
                "You divide the boxes by the scale. That is the way back; into the"
                " square they are multiplied.",
            ),
            Wrong(
                first_corner_scaled,
                "You scale the first corner alone. x2 and y2 are places in the picture"
                " too, and move by the same factor.",
            ),
            Wrong(
                boxes_to_whole_pixels,
                "You rounded the boxes. Only rows and columns are whole; a box may end"
                " inside a pixel.",
            ),
            Wrong(
                boxes_by_rounded_sides,
                "You scale the boxes by the rounded rows and columns. They follow the"
                " scale itself, the same for x and y.",
            ),
            Wrong(
                picture_in_the_middle,
                "You put the picture into the middle of the square. Here it lies in"
                " the top left corner, and boxes are not shifted.",
            ),
            Wrong(
                boxes_y_first,
                "x and y of your boxes have changed places. The order stays x1 y1 x2"
                " y2.",
            ),
            Wrong(
                corners_to_sides,
                "Your last two numbers are width and height. The form stays x1 y1 x2"
                " y2.",
            ),
            Wrong(
                sides_cut_down,
                "Rows and columns are cut down, as `int` or `//` does. Round to the"
                " nearest whole number.",
            ),
            Wrong(
                sides_rounded_up,
                "Rows and columns are rounded up. Round to the nearest whole number.",
            ),
            Wrong(
                sides_not_rounded,
                "Rows and columns have a fraction. A picture has whole ones: round.",
            ),
            Wrong(
                no_row_left,
                "Of a very thin picture no row, or no column, is left. Keep one at"
                " least.",
            ),
            Wrong(
                columns_first,
                "Rows come first, then columns: height before width.",
            ),
            Wrong(
                sides_of_the_square,
                "You return the sides of the square. How many of its rows and columns"
                " does the picture take?",
            ),
            Wrong(
                sides_of_the_filling,
                "That is what is left over. The rows and columns of the picture are"
                " asked.",
            ),
            Wrong(
                sides_of_before,
                "These are the sides before the scaling. They grow with the scale.",
            ),
            Wrong(
                boxes_alone,
                "You return the boxes alone. Three are asked: boxes, scale, and the"
                " pair (rows, columns).",
            ),
            Wrong(
                scale_first,
                "The order is boxes, scale, (rows, columns).",
            ),
        ),
        hints=(
            "How much may the height grow at most, and how much the width? Both fit"
            " only with the smaller of the two factors.",
            "The picture lies in the top left corner, so a box is only multiplied.",
            "rows = max(1, round(height * scale)), and columns alike.",
        ),
        cases=letterbox_cases,
        by_hand=(
            # 12 / 4 is 3, 12 / 6 is 2: only twice fits
            (
                (torch.tensor([[2.0, 1.0, 5.0, 3.0]]), 4, 6, 12),
                (torch.tensor([[4.0, 2.0, 10.0, 6.0]]), 2.0, (8, 12)),
            ),
            # 480 x 640 into 512: 0.8, and 384 rows
            (
                (torch.tensor([[10.0, 20.0, 110.0, 220.0]]), 480, 640, 512),
                (torch.tensor([[8.0, 16.0, 88.0, 176.0]]), 0.8, (384, 512)),
            ),
            # high: 10 / 8 is 1.25; 5 * 1.25 is 6.25, so 6 columns
            (
                (torch.tensor([[1.0, 2.0, 4.0, 8.0]]), 8, 5, 10),
                (torch.tensor([[1.25, 2.5, 5.0, 10.0]]), 1.25, (10, 6)),
            ),
            # 1 x 100 into 20: a fifth of a row would be none
            (
                (torch.tensor([[50.0, 0.0, 100.0, 1.0]]), 1, 100, 20),
                (torch.tensor([[10.0, 0.0, 20.0, 0.2]]), 0.2, (1, 20)),
            ),
        ),
        properties=(
            Property(
                "a box around the whole picture is around the scaled one",
                lambda mine, boxes, height, width, size: torch.allclose(
                    mine(torch.tensor([[0.0, 0, width, height]]), height, width, size)[
                        0
                    ].amax(),
                    torch.tensor(float(size)),
                    rtol=1e-4,
                ),
            ),
            Property(
                "no boxes, (0, 4), are no boxes in the square",
                lambda mine, boxes, *sides: mine(boxes[:0], *sides)[0].shape == (0, 4),
            ),
        ),
    ),
    Exercise(
        name="rows_filled",
        number="01.2",
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
            Wrong(
                480,
                "That is the photograph's own height. How many rows does it take after"
                " it was scaled, and how many are left?",
            ),
            Wrong(
                160,
                "That is 640 less 480, in pixels of the photograph. It was scaled.",
            ),
            Wrong(
                171,
                "You scaled by the height, 512 / 480. Then the width would be 683 and"
                " not fit: take the smaller scale.",
            ),
            Wrong(
                65536,
                "These are pixels. How many rows are that? A row has 512.",
            ),
            Wrong(
                0.8,
                "That is the scale. How high is the picture after it?",
            ),
        ),
        hints=(
            "Which of the two sides limits the scale?",
            "The scale is 512 / 640. How high is the picture after it?",
        ),
    ),
    Exercise(
        name="small_digits",
        number="01.3",
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
                narrow_digits,
                "You counted boxes narrower than 32 pixels. COCO goes by area.",
            ),
            Wrong(
                all_digits,
                "These are all digits, of whatever size. Which are small?",
            ),
            Wrong(
                other_digits,
                "These are the digits that are not small.",
            ),
            Wrong(
                corners_multiplied,
                "You multiplied the last two numbers of a box. `.boxes` holds corners,"
                " x1 y1 x2 y2: the width is x2 - x1.",
            ),
            Wrong(
                0,
                "None? `.boxes` is in pixels. Small is an area below 32 * 32, not"
                " below 32.",
            ),
            Wrong(
                small_digits_of_ten,
                "These are ten scenes. A hundred are asked.",
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
        number="01.4",
        kind="build",
        minutes=10,
        difficulty=1,
        points=2,
        task="Write `hflip_xywh(boxes, width)`: mirror boxes left to right, in COCO's"
        " own form [x, y, w, h]. `boxes` is a float tensor (N, 4), `width` the width of"
        " the picture. Return (N, 4), of the same form.",
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
            Wrong(
                turned_half_round,
                "You also mirrored top and bottom. Left to right leaves y as it is.",
            ),
            Wrong(
                one_index_more,
                "One pixel off. Boxes measure edges, from 0 to the width, and not"
                " indices of pixels, so there is no + 1.",
            ),
            Wrong(
                negative_width,
                "Your width is negative. x has to be the left edge of the new box, and"
                " a width stays a width.",
            ),
            Wrong(
                width_for_x,
                "You took w away from the width, but not x: the right edge is x + w.",
            ),
            Wrong(
                right_edge_for_width,
                "Your third number is the right edge. It is the width w, and a mirror"
                " does not change it.",
            ),
            *(
                Wrong(
                    half,
                    "You count from the middle of the picture. The mirrored box begins"
                    " as far from the left as its right edge was from the right.",
                )
                for half in (half_the_picture, half_the_picture_and_w)
            ),
            Wrong(
                right_edge_kept,
                "x + w is the right edge, and you did not mirror it yet: count it from"
                " the other side of the picture.",
            ),
            Wrong(
                picture_forgotten,
                "You mirrored at the picture's left edge, so x is negative. The place"
                " is counted from the other side: begin with `width`.",
            ),
            Wrong(
                corners_returned,
                "You return corners x1 y1 x2 y2. The form stays [x, y, w, h].",
            ),
            Wrong(
                width_added,
                "The sign of w is wrong: the right edge, x + w, is as far from the"
                " right side as the new x from the left one.",
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
            # a large photograph: 4096 - (1000 + 96), 4096 - (0 + 2)
            (
                (torch.tensor([[1000.0, 8.0, 96.0, 50.0], [0.0, 1.0, 2.0, 3.0]]), 4096),
                torch.tensor([[3000.0, 8.0, 96.0, 50.0], [4094.0, 1.0, 2.0, 3.0]]),
            ),
        ),
        properties=(
            Property(
                "twice in the mirror is where it was",
                lambda mine, boxes, width: torch.allclose(
                    mine(mine(boxes, width), width), boxes, atol=1e-3
                ),
            ),
            Property(
                "no boxes, (0, 4), are no boxes in the mirror",
                lambda mine, boxes, width: mine(boxes[:0], width).shape == (0, 4),
            ),
        ),
    ),
    Exercise(
        name="split_by_source",
        number="01.5",
        kind="build",
        minutes=15,
        difficulty=2,
        points=3,
        task="Write `split_by_source(sources, every)`. `sources[i]` is the number of"
        " the scan that crop i was drawn from. Sort the distinct sources and hold out"
        " every `every`-th of them, beginning with the smallest. Return a list with"
        " True (held out) or False for each crop, in the order of the crops.",
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
                as_a_set_gives_them,
                "A set has no order that you can rely on. Sort it first.",
            ),
            *(
                Wrong(
                    counted,
                    "You count a source once for every crop it has. Make them distinct"
                    " and sort them before you take every k-th.",
                )
                for counted in (repeats_counted, neither_sorted_nor_distinct)
            ),
            Wrong(
                places_for_sources,
                "You look for the place of the crop among the sources. Ask whether its"
                " source, `sources[i]`, is held out.",
            ),
            Wrong(
                sorted_as_text,
                "You sorted as text, where 10 stands before 9. Sort the numbers.",
            ),
            Wrong(
                the_other_part,
                "Exactly the opposite: True is asked for the crops that are held out.",
            ),
            *(
                Wrong(
                    late,
                    "You begin later in the sorted list. The smallest source is the"
                    " first that is held out.",
                )
                for late in (
                    begins_late,
                    begins_with_the_second,
                    remainder_of_one,
                )
            ),
            Wrong(
                one_step_too_long,
                "Your steps are one too long: of every k sources one is held out.",
            ),
            Wrong(
                from_the_largest,
                "You begin with the largest source. Begin with the smallest.",
            ),
            *(
                Wrong(
                    run,
                    "You hold out one run of neighbours. Every k-th is"
                    " asked, across the whole sorted list.",
                )
                for run in (the_first_part, the_first_few, the_last_part)
            ),
            Wrong(
                sources_returned,
                "You return the sources that are held out. Return True or False for"
                " each crop, in the order of the crops.",
            ),
            *(
                Wrong(
                    listed,
                    "You return those crops alone that are held out. Return True or"
                    " False for each crop, as many as there are crops.",
                )
                for listed in (places_returned, crops_returned)
            ),
            Wrong(
                one_answer_a_source,
                "You answer once for each source. Answer for each crop, in the order of"
                " the crops: crops of one source get the same answer.",
            ),
            Wrong(
                first_crop_only,
                "You hold out one crop of each chosen source. All its crops go"
                " together, else the source is on both sides.",
            ),
            Wrong(
                sorted_crops,
                "You sorted the crops too. The answers are in the order of `sources`.",
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
            (([4, 9, 4], 1), [True, True, True]),  # every one
            # 5, 8, 20, 31, 100, 700, 1000: held out are 5, 31, 1000
            (
                ([31, 700, 5, 20, 1000, 31, 8, 100, 5], 3),
                [True, False, True, False, True, True, False, False, True],
            ),
            # 1, 6, 64, 65, 130: a set would list them in another order
            (([65, 130, 64, 1, 6], 2), [False, True, True, True, False]),
            (([], 2), []),
        ),
        properties=(Property("no source stands on both sides", whole),),
    ),
    Exercise(
        name="uncentre",
        number="01.6",
        kind="build",
        minutes=20,
        difficulty=3,
        points=4,
        task="Some detectors put the picture in the middle of the square, with half of"
        " the filling on either side. Write `uncentre(boxes, height, width, size)`:"
        " `boxes` (N, 4) xyxy were found in such a square of `size` by `size` pixels,"
        " made from a photograph of `height` by `width`. Return them (N, 4) in pixels"
        " of the photograph, without rounding or cutting.",
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
            *(
                Wrong(
                    whole_pixels,
                    "You rounded the padding, or the scaled picture, to whole pixels."
                    " Both may be fractions: the boxes are asked without rounding.",
                )
                for whole_pixels in (padding_in_whole_pixels, scaled_to_whole_pixels)
            ),
            *(
                Wrong(
                    cut,
                    "You cut the boxes at the photograph's edges. They are asked"
                    " without cutting: a box may reach into the padding.",
                )
                for cut in (cut_to_the_photograph, cut_at_zero)
            ),
            Wrong(
                rounded_to_pixels,
                "You rounded. The boxes are asked without rounding.",
            ),
            Wrong(
                times_the_scale,
                "You multiply by the scale. That was the way into the square; on the"
                " way back divide by it.",
            ),
            Wrong(
                the_way_there,
                "That is the way from the photograph into the square. The way back is"
                " asked.",
            ),
            Wrong(
                padding_added,
                "You add the padding. The way into the square added it; on the way"
                " back take it away.",
            ),
            Wrong(
                only_moved,
                "The padding is gone, but the boxes still have the square's size:"
                " divide by the scale.",
            ),
            Wrong(
                stretched,
                "You stretch width and height each by its own factor. A letterbox has"
                " one scale for both, and fills the rest.",
            ),
            Wrong(
                first_corner_only,
                "You move the first corner only. x2 and y2 shift by the same padding.",
            ),
            *(
                Wrong(
                    early,
                    "You took the padding of the photograph before it was scaled. Scale"
                    " first: the padding is what the scaled picture leaves.",
                )
                for early in (padding_of_the_photograph, unscaled_padding_after)
            ),
            Wrong(
                order_of_the_padding,
                "A box is x1 y1 x2 y2, so the padding stands in the order left, top,"
                " left, top.",
            ),
            Wrong(
                second_corner_added,
                "Both corners shift the same way: take the padding away from x2 and y2"
                " too.",
            ),
            Wrong(
                padding_left_only,
                "Right for high photographs. A wide one is limited by its width, and"
                " has its padding above and below.",
            ),
            Wrong(
                padding_above_only,
                "Right for wide photographs. A high one is limited by its height, and"
                " has its padding left and right.",
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
            # 3000 x 4000 into 512: scale 0.128, 384 rows, 64 above. The second box
            # begins 32 rows above the picture: nothing is cut.
            (
                (
                    torch.tensor([[64.0, 96, 448, 416], [128.0, 32, 256, 128]]),
                    3000,
                    4000,
                    512,
                ),
                torch.tensor([[500.0, 250, 3500, 2750], [1000.0, -250, 2000, 500]]),
            ),  # fmt: skip
            # 3 x 8 into 8: scale 1, 5 rows are filled, 2.5 of them above
            (
                (torch.tensor([[1.0, 3.0, 2.0, 5.5]]), 3, 8, 8),
                torch.tensor([[1.0, 0.5, 2.0, 3.0]]),
            ),
            # square: no padding at all
            (
                (torch.tensor([[1.0, 2.0, 3.0, 3.5]]), 8, 8, 4),
                torch.tensor([[2.0, 4.0, 6.0, 7.0]]),
            ),
        ),
        properties=(
            Property("the centre of the square is the photograph's", same_centre),
            Property(
                "no boxes, (0, 4), are no boxes in the photograph",
                lambda mine, boxes, *sides: mine(boxes[:0], *sides).shape == (0, 4),
            ),
        ),
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
