# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core", "slide"]
# # 01 · Data
#
# **Question. Where do the pixels come from, and how do we know that the boxes are right?**
#
# After this chapter you can
#
# 1. carry a box through letterbox and mirror, there and back (exercises 01.1, 01.2, 01.4 and 01.6)
# 2. read a box of a COCO file, and say how large the objects are (exercise 01.3 and quiz)
# 3. split a data set so that its test knows nothing of its training, and show a leak where there is one (exercise 01.5)
# 4. say what a loader must refuse, and why it must say so aloud (quiz)
#
# | study | about 80 min (estimate) |
# |---|---|
# | run | <!-- run -->0.1 min (7 CPU-seconds, measured)<!-- /run --> |
# | peak memory | <!-- peak -->590 MB (measured)<!-- /peak --> |
# | needs | no download; starts alone |
# | open in | JupyterLab (`make lab`)<!-- badges --><!-- /badges --> |

# %% cellView="form" jupyter={"source_hidden": true} tags=["core", "colab"]
# @title On Colab: fetch the course, install what is missing.
import os
import sys

REPO = ""  # owner/name; written by `make badges REPO=owner/name`
if "google.colab" in sys.modules:  # run it again, and a first try that failed is mended
    import subprocess

    assert REPO, "this copy of the course does not know its public address yet"
    address = f"https://github.com/{REPO}"
    if not os.path.exists("course"):
        clone = ["git", "clone", "-q", "--depth=1", address, "course"]
        subprocess.run(clone, check=True)
    sys.path.insert(0, os.path.abspath("course"))
    command = [sys.executable, "-m", "lib.book.course", "colab"]
    subprocess.run(command, cwd="course", check=True)

# %% tags=["core", "setup"]
import lib  # isort: skip  (before torch, so that its threads are set in time)
import json
import tempfile
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from lib.basics import coco, data, drawing
from lib.book import plots, widgets
from lib.book.notebook import (
    build,
    check,
    hint,
    quiz,
    restore,
    setup,
    show,
    solution,
    submit,
    yours,
)

device = setup("01_data", seed=0)

# %% [markdown] tags=["core"]
# A network is only as honest as its pictures.
# Before we search for one, we look at what it will eat: where each picture comes from, who has seen it before,
# and whether the box round an object is really round that object.
#
# Everything here is small and drawn on your machine.
# Nothing is downloaded.
#
# One piece you write yourself, where the idea stands: exercise 01.1.
# `build` checks it as `check` does.
# Once it is right, the library itself calls *your* function: each picture that a detector sees later goes through it.
# What you leave, the chapter does with the course's own.
# Sections whose heading ends with *(deep)* can wait.

# %% [markdown] tags=["core", "slide"]
# ## What does a scan hold?
#
# In the 1990s, 13 people filled in forms.
# Each digit was scanned as 32x32 black and white dots, and the dots were counted in blocks of 4x4.
# So a scan is 8x8 numbers.
# What is the largest number a block can hold?
# And the smallest?

# %% tags=["core", "slide", "nbval-check-output"]
scans = data.digits()
# By hand: a block of 4x4 dots, full and empty.
assert scans.images.max() == 16 and scans.images.min() == 0
scans.images.shape

# %% tags=["core", "slide"]
scan = 0
plots.grid(
    scans.images[scan],
    title=f"Scan {scan}, labelled {scans.labels[scan]}",
    x_label="column",
    y_label="row",
)

# %% [markdown] tags=["core"]
# A network trains on some scans, is chosen by others (*validation*), and is judged at the end by a third part (*test*).
# This split is made here, on the scans, before a single picture is drawn.
# Of every five scans of a class, in file order, three are for training, one for validation, one for test.
# The rule has no chance in it, so nobody can be lucky.

# %% tags=["core", "nbval-check-output"]
show(data.split_names)
{split: len(data.sources(split)) for split in data.SPLITS}

# %% [markdown] tags=["core", "slide"]
# ## How does a scan become a picture?
#
# A scan is too small to look at, and all scans look alike.
# So we draw.
# The pen may be thick or thin, the digit is turned and slanted, and it stands on a coloured, textured ground.
# Behind it lies *clutter*: scraps of other digits, lines and discs, there to mislead.
# Such a picture of one digit is a [**crop**](GLOSSARY.md#crop).
# (How a scan is drawn with another pen is told at the end, for those who want to know.)
#
# One number, `difficulty`, makes the ink fainter and everything else stronger.
# Where would you stop?
# Move the slider until you begin to guess.
# (A crop is 16 pixels wide here, as the network will see it.)


# %% tags=["core", "slide"]
def sheet(difficulty):
    images, _ = data.crops("train", 36, difficulty=difficulty)
    contrast = images.float().mean(1).std((1, 2)).mean()
    says = f"Contrast {contrast:.0f} (how far grey strays from its mean, of 255): "
    says += "the smaller it is, the less a digit stands out."
    return plots.images(images, columns=12, says=says)


widgets.slider(sheet, name="difficulty", values=[0.0, 0.25, 0.5, 0.75, 1.0], start=2)

# %% [markdown] tags=["core"]
# The default is 0.5, and it was measured: see *How hard should a picture be?* at the end.
#
# **The same for everyone.**
# No float decides a pixel, and chance comes from a generator whose bits are fixed.
# So these crops have the same bytes on your machine as on ours, and more crops begin with the same ones.

# %% tags=["core", "nbval-check-output"]
few, _ = data.crops("train", 10, seed=0)
many, labels = data.crops("train", 500, seed=0)
torch.equal(few, many[:10]), few.shape, few[0].flatten()[:6].tolist()

# %% [markdown] tags=["core", "slide"]
# ## Can a test know the answers?
#
# Here is a reader without any learning: it finds the training crop most like the one in question, and gives its label.
# Likeness is the *correlation* of two grey pictures: subtract the mean of each, bring each to length 1,
# and take the dot product.
# 1 means the same picture, $-1$ the same with light and dark exchanged.
# We test the reader twice, on 1,000 crops each.
# Test A: draw 4,000 crops from the training scans, and keep the last 1,000 apart.
# Test B: draw 1,000 crops from the test scans.
# All crops differ in colour, place and noise.
# Which test will be kinder, and by how much?


# %% tags=["core"]
def features(images):
    grey = images.float().mean(1).flatten(1)  # N, H*W
    grey = grey - grey.mean(1, keepdim=True)
    return grey / grey.norm(dim=1, keepdim=True)


def read(images, training, labels):
    alike = features(images) @ features(training).T
    return labels[alike.abs().argmax(1)]  # abs: light on dark is like dark on light


# %% tags=["core", "slide"]
easy = {"difficulty": 0.0, "seed": 3}
drawn, names = data.crops("train", 4000, **easy)
training, known = drawn[:3000], names[:3000]
fresh, fresh_names = data.crops("test", 1000, **easy)
wrong_a = (read(drawn[3000:], training, known) != names[3000:]).float().mean().item()
wrong_b = (read(fresh, training, known) != fresh_names).float().mean().item()
assert wrong_b > 2 * wrong_a  # six seeds gave three to six times as many
plots.bars(
    {"A: same scans": 100 * wrong_a, "B: other scans": 100 * wrong_b},
    y_label="errors, %",
)

# %% [markdown] tags=["core"]
# Test A is broken.
# Its crops are new, but their strokes are not: 4,000 crops share 1,085 scans,
# so almost every one of them has sisters in training.
# The reader has not learnt to read.
# It has learnt to recognise.
# Nothing in the code of test A looks wrong, and its number is the better one.
# That is why leaks live long.
#
# The cure costs nothing: split by source, first.
# Everything that is made from one source stays on one side.
#
# Test B has its limit too.
# The file does not say who wrote which scan, so each of the 13 people can be on all sides.
# Our tests ask about new scans, not about new writers.

# %% [markdown] tags=["core", "slide"]
# ## How do we know that a box is right?
#
# A box says where the ink is.
# Take a sheet 4 pixels high and 6 wide, with ink in rows 1 and 2 and columns 2, 3 and 4.
# Where is its box?
# Count edges, not pixels: the left edge of column 2 is at 2, the right edge of column 4 is at 5.

# %% tags=["core"]
show(drawing.bounds)

# %% tags=["core", "slide", "nbval-check-output"]
mask = torch.zeros(4, 6, dtype=torch.bool)
mask[1:3, 2:5] = True
assert drawing.bounds(mask.numpy()) == [2, 1, 5, 3]  # by hand: 3 wide, 2 high
drawing.bounds(mask.numpy())

# %% [markdown] tags=["core"]
# A scene holds one to five digits at many sizes.
# The generator knows which pixel belongs to which digit, so its boxes need no human,
# and they go round what can be *seen*: ink hidden by a later digit does not count.

# %% tags=["core", "catch-up"]
# Catch-up: runs after the set-up cell and the catch-up cells above it.
scenes = data.scenes("validation", 64, seed=0)
sample = scenes[11]
photograph, boxes = sample.image, sample.boxes

# %% tags=["core", "slide"]
four = {f"scene {i}": scenes[i] for i in (11, 16, 9, 14)}
pick = {
    name: {k: getattr(s, name) for k, s in four.items()}
    for name in ("image", "boxes", "labels")
}
plots.boxes(pick["image"], pick["boxes"], pick["labels"], names=scenes.names)

# %% [markdown] tags=["core"]
# Look for what has *no* box.
# The large red shape in scene 16 could be a 1, the one in scene 9 a 2 or a 7, and scene 11 has a pale slab.
# No box was forgotten: all of that is clutter, and the detector has to learn to leave it alone.
#
# COCO, a large set of annotated photographs whose file format has become the standard, stores a box as $x, y, w, h$:
# the left top corner, width and height (*xywh*).
# We want both corners, $x_1, y_1, x_2, y_2$ (*xyxy*).
# And we count labels from 0, where COCO has ids with gaps.
# Both changes happen in one place, where a file is read or written.

# %% tags=["core", "nbval-check-output"]
written = scenes.coco()
first = written["annotations"][0]
print(first, written["categories"][:2], sep="\n")
scenes[0].boxes[0].tolist()

# %% [markdown] tags=["core"]
# **Break it.**
# TensorFlow puts y first, torchvision x.
# Suppose we mix them up.
# Guess first: how many of the boxes turn out impossible, with a corner on the wrong side or outside the picture?

# %% tags=["core", "slide"]
swapped = {i: s.boxes[:, [1, 0, 3, 2]] for i, s in enumerate(scenes)}
every = torch.cat(list(swapped.values()))
wrong_side = (every[:, 2:] <= every[:, :2]).any(1)
outside = ((every < 0) | (every > 128)).any(1)
impossible = (wrong_side | outside).sum()
says = f"{impossible} of {len(every)} boxes with x and y exchanged are impossible."
plots.boxes(
    {"right": photograph, "swapped": photograph},
    {"right": boxes, "swapped": swapped[11]},
    says=says,
)

# %% [markdown] tags=["core"]
# Not one, since the picture is a square.
# All of them look like boxes, lie in the picture, and teach the detector nonsense.
# No check on a single box finds this.
# Looking at pictures does, and so does a test with one known box that is not square.

# %% [markdown] tags=["core", "slide"]
# ## How does a photograph fit into a square?
#
# A detector wants squares, photographs are not.
# Take one 4 pixels high and 6 wide, and a square of 12.
# Twice as large it is 8 by 12, and fits.
# Three times as large it is 12 by 18, and does not.
# So the scale is 2, and four rows are left over.
# For a picture of $H$ by $W$ and a square of side $S$:
#
# $$ s = \min\left( \frac{S}{H}, \frac{S}{W} \right) \tag{1.1} $$
#
# The picture goes to the top left corner.
# The rest is filled with the mean colour of many photographs:
# a network that is fed colours minus their mean then sees zeros there.
# Such a square is called a [**letterbox**](GLOSSARY.md#letterbox).
# A box $b = (x_1, y_1, x_2, y_2)$ only needs the scale:
#
# $$ b' = s\, b \tag{1.2} $$
#
# Our box from above, $(2, 1, 5, 3)$, becomes $(4, 2, 10, 6)$.

# %% [markdown] tags=["core"]
# ### 01.1 · Build · letterbox_geometry · 12 min · ●○○ · 4 points
#
# `letterbox`, through which every picture reaches the detector, asks this function where things go.
# Write `letterbox_geometry(boxes, height, width, size)`.
# `boxes`, a tensor (N, 4), are xyxy in pixels of a picture of `height` by `width`; the square has `size` pixels a side.
# Return three things: the boxes in the square, the scale,
# and the pair (rows, columns) that the scaled picture takes in the square.
# Boxes are not rounded.
# Rows and columns are rounded to the nearest whole number, and are at least 1: of a thin picture something has to stay.
# (One half may go either way.)

# %% tags=["core"]
def letterbox_geometry(boxes, height, width, size):
    """Boxes (N, 4) in the letterbox, the scale, and (rows, columns) of the picture.

    By hand: [[2, 1, 5, 3]] in a picture 4 high and 6 wide, into a square of 12,
    gives [[4, 2, 10, 6]], 2.0 and (8, 12).
    """
    # your code, in place of the dots
    ...


build("data.letterbox_geometry", letterbox_geometry)
# hint("data.letterbox_geometry")
# solution("data.letterbox_geometry")

# %% tags=["core", "slide", "nbval-check-output"]
show(data.letterbox_geometry, folded=True)
box = torch.tensor([[2.0, 1.0, 5.0, 3.0]])
moved, scale, sides = data.letterbox_geometry(box, 4, 6, 12)
assert scale == 2 and moved.tolist() == [[4, 2, 10, 6]] and tuple(sides) == (8, 12)  # by hand
moved.tolist(), scale, tuple(sides)

# %% [markdown] tags=["core"]
# `letterbox` calls that function, resizes the picture and fills the rest.
# The rows of the fill begin where it says: here row 7 is picture, row 8 is not.

# %% tags=["core", "slide", "nbval-check-output"]
show(data.letterbox)
tiny = torch.zeros(3, 4, 6, dtype=torch.uint8)
square, moved, scale = data.letterbox(tiny, box, 12)
square.shape, square[0, 7].tolist(), square[0, 8].tolist()

# %% [markdown] tags=["core"]
# The detector answers in pixels of the square.
# The way back divides:
#
# $$ b = \frac{b'}{s} \tag{1.3} $$

# %% tags=["core", "nbval-check-output"]
data.unletterbox(moved, scale).tolist()

# %% [markdown] tags=["core"]
# **Break it.**
# Stretch instead: give each side its own scale.
# It fills the square and wastes nothing.
# What does it cost?

# %% tags=["core", "slide"]
# Two scenes side by side make a picture 128 high and 256 wide.
wide = torch.cat([scenes[16].image, scenes[9].image], 2)
right = scenes[9].boxes + torch.tensor([128, 0, 128, 0])
whole = torch.cat([scenes[16].boxes, right])
fitted, inside, _ = data.letterbox(wide, whole, 256)
stretched = wide.repeat_interleave(2, dim=1)  # every row twice
titles = ["letterbox: the lower half is fill", "stretched: no fill"]
pictures = dict(zip(titles, [fitted, stretched], strict=True))
places = dict(zip(titles, [inside, whole * torch.tensor([1, 2, 1, 2])], strict=True))
used = 100 * wide.shape[1] / wide.shape[2]
says = f"The letterbox uses {used:.0f} % of its square and keeps each digit's shape; "
says += "stretched digits are twice as high as they should be."
plots.boxes(pictures, places, columns=2, says=says)

# %% [markdown] tags=["core"]
# The same digit now has another shape in every photograph whose width and height have another ratio.
# The detector has to learn each of them.
# The letterbox spends pixels to keep shapes.

# %% [markdown] tags=["core", "slide"]
# ## Is a mirrored digit still a digit?
#
# The cheapest new picture is the mirrored one.
# The box must follow.
# In a strip 10 wide, a box from 1 to 4 is found from 6 to 9 in the mirror.
# Its right edge has become the left one:
#
# $$ (x_1, x_2) \mapsto (W - x_2,\; W - x_1) \tag{1.4} $$

# %% tags=["core"]
show(data.hflip)

# %% tags=["core", "slide", "nbval-check-output"]
strip = torch.arange(10, dtype=torch.uint8).repeat(3, 2, 1)  # value = column
mirrored, moved = data.hflip(strip, torch.tensor([[1.0, 0.0, 4.0, 2.0]]))
assert moved.tolist() == [[6, 0, 9, 2]]  # by hand
mirrored[0, 0, 6:9].tolist()

# %% [markdown] tags=["core"]
# Columns 3, 2, 1: the right pixels are in the box.
# So the function is right.
# Is the idea?
# Ask our reader to read the mirrored test crops.
# Which digits will survive?

# %% tags=["core", "slide"]
answers = read(fresh.flip(3), training, known) == fresh_names
survive = {
    str(k): 100 * answers[fresh_names == k].float().mean().item() for k in range(10)
}
assert survive["0"] > 85 and max(survive[k] for k in "3567") < 20
plots.bars(survive, y_label="read correctly in the mirror, %", x_label="digit")

# %% [markdown] tags=["core"]
# A zero is a zero in the mirror.
# A 3 is not.
# For cats and cars a mirror is free data; for digits, letters and traffic signs it is wrong labels.
# To change pictures on purpose, so that there are more of them, is called [*augmentation*](GLOSSARY.md#augmentation).
# It is a claim about the world: "this change does not change the answer".
# Check the claim before you use it.
#
# The detectors of this course use two such claims for scenes: scale jitter, which comes next, and nothing else.
# Others of their time also changed colours (*colour jitter*), put four pictures into one (*mosaic*),
# mixed two pictures and their labels (*mixup*), or searched for a list of changes (*AutoAugment*).

# %% [markdown] tags=["core", "slide"]
# ## What if the camera steps back?
#
# A detector must find things near and far.
# [Scale jitter](GLOSSARY.md#scale-jitter) resizes each picture by a random factor, then cuts or fills it to a square.
# Sometimes the cut takes most of an object away.
# Is it still an object?
# By hand: the cut begins at 0, and a box reaches from $-6$ to $4$.
# Four tenths of it are left.
# With $A$ for area, $b$ the whole box, $\hat b$ its part inside and $k$ a share that we choose, we keep it if
#
# $$ A(\hat b) \ge k\, A(b) \tag{1.5} $$
#
# Does our box stay with $k = 0.5$?

# %% tags=["core"]
show(data.scale_jitter)

# %% tags=["core", "nbval-check-output"]
box = torch.tensor([[-6.0, 2.0, 4.0, 12.0]])
inside = box.clamp(0, 20)
area_whole = (box[:, 2:] - box[:, :2]).prod().item()
area_left = (inside[:, 2:] - inside[:, :2]).prod().item()
assert area_left == 0.4 * area_whole  # by hand; it goes
area_left, area_whole

# %% [markdown] tags=["core"]
# Four draws of the same scene.
# EfficientDet's authors scale from 0.1 to 2; here from 0.4, so that you can still see something.

# %% tags=["core", "slide"]
jittered = {}
for seed in range(4):
    generator = torch.Generator().manual_seed(seed)
    jittered[f"seed {seed}"] = data.scale_jitter(
        sample, 128, scales=(0.4, 2.0), generator=generator
    )
pick = {
    name: {k: getattr(s, name) for k, s in jittered.items()}
    for name in ("image", "boxes", "labels")
}
plots.boxes(pick["image"], pick["boxes"], pick["labels"], names=scenes.names)

# %% [markdown] tags=["core"]
# **At scale, and broken.**
# How often does a cut cost a box?
# Jitter every scene once, between 1 and 2 times its size, with several values of $k$.
# One of them, $k = 0$, keeps every box.
# Which boxes come out then that should not?


# %% tags=["core"]
def left_over(keep):
    generator = torch.Generator().manual_seed(0)
    cut = [
        data.scale_jitter(s, 128, scales=(1.0, 2.0), keep=keep, generator=generator)
        for s in scenes
    ]
    return torch.cat([s.boxes for s in cut])


values = (0, 0.1, 0.5, 0.9)
kept = {f"k = {k}": left_over(k) for k in values}
empty = (kept["k = 0"][:, 2:] <= kept["k = 0"][:, :2]).any(1).sum()
assert empty > 0 and len(kept["k = 0.1"]) < len(every)
says = f"With k = 0 all {len(every)} boxes stay, and {empty} of them hold no pixel."
plots.bars(
    {k: 100 * len(boxes) / len(every) for k, boxes in kept.items()},
    y_label="boxes kept, %",
    says=says,
)

# %% [markdown] tags=["core", "slide"]
# ## What does the network receive?
#
# A batch: pictures of one size, stacked into one tensor.
# Boxes cannot be stacked, for every picture has its own number of them.
# They stay a list.
# Eight scenes of $3 \times 128 \times 128$: what shape has the tensor, and how long is the list?
#
# The batch holds bytes from 0 to 255.
# Just before the first layer they become numbers around 0: less a mean, divided by a spread.
# That is called **normalisation**: a network learns faster from numbers of about the size of 1.
# `training.normalise` (chapter 02) does it for the crops, a detector does it for its own pictures.

# %% tags=["core", "nbval-check-output"]
batch = next(iter(DataLoader(scenes, batch_size=8, collate_fn=data.collate)))
batch.images.shape, [len(b) for b in batch.boxes]

# %% [markdown] tags=["core", "slide"]
# ## What should a loader refuse?
#
# Real annotations are made by tired people and by scripts.
# Write our scenes as a COCO folder and read them back: they must not change by a pixel.

# %% tags=["core", "nbval-check-output"]
room = tempfile.TemporaryDirectory()
path = data.write_coco(scenes, room.name)
folder = data.CocoFolder(path, path.parent / "images")
same = [torch.equal(folder[i].image, scenes[i].image) for i in range(64)]
len(folder), folder.names, all(same)

# %% [markdown] tags=["core"]
# Now damage it, one way at a time.
# Before you run the cell: which of these five would your own loader notice?

# %% tags=["core", "slide"]
damages = [
    ("bbox", [100, 20, 60, 30]),
    ("bbox", [40, 40, 0, 12]),
    ("category_id", 11),
    ("image_id", 999),
    ("id", 2),
]
for key, value in damages:
    broken = json.loads(json.dumps(written))
    broken["annotations"][0][key] = value
    path.write_text(json.dumps(broken))
    try:
        data.CocoFolder(path, path.parent / "images")
    except data.BadAnnotation as error:
        print("·", str(error).replace(str(path), path.name))

# %% [markdown] tags=["core"]
# Each error names the file, the id and what would be right.
# It stops, because a box dropped in silence is lost for good.
# If you know that an annotation is bad, leave it out in the open, by its id: `CocoFolder(..., skip={1})`.
# COCO's own training file holds two boxes without height.
# `CocoFolder(..., drop_bad_boxes=True)` leaves all such boxes out and lists them in `.dropped`.

# %% tags=["deep"]
show(coco.check_box)

# %% [markdown] tags=["optional"]
# **Your own pictures.**
# Any COCO folder works: `data.CocoFolder("my.json", "my_images")`.
# CIFAR-10, ten classes of small photographs, comes in the form of `crops`.
# It is fetched only if you ask for it, and the error says how.

# %% tags=["optional"]
try:
    photographs, kinds = data.cifar10(data.FOLDER / "cifar10", "train")
    print(photographs.shape)
except ValueError as error:
    print(str(error).replace(str(data.FOLDER), "data"))

# %% [markdown] tags=["deep"]
# ## How is a digit drawn? (deep)
#
# First the scan becomes a smooth hill, by doubling its size twice.
# Doubling cuts each pixel into four.
# Each of the four leans towards one corner: it is mixed from 9 parts of its own old pixel,
# 3 of the neighbour on its left or right, 3 of the one above or below, and 1 of the pixel across the corner.
# That makes 16 parts.
# We do not divide by 16, so all numbers stay whole.
#
# Take a picture of two rows, (0, 16) and (0, 0).
# Beyond its edge the picture repeats itself.
# Look at the second pixel of the new top row.
# Its own old pixel is 0, and so is the one above, a repeat.
# On its right lies 16, and across the corner a repeat of that 16.
# So it is $3 \cdot 16 + 16 = 64$.

# %% tags=["deep", "nbval-check-output"]
show(drawing.double)
doubled = drawing.double(torch.tensor([[0, 16], [0, 0]]).numpy())
assert doubled[0].tolist() == [0, 64, 192, 256]  # by hand: 16 * (0, 3+1, 9+3, 16)
doubled.tolist()

# %% [markdown] tags=["deep"]
# Ink is where the hill stands above a level.
# Lower the level, and the same scan is written with a bolder pen.
# The hill can be turned, slanted and scaled before it is cut, and the edge stays a pixel or two wide.
#
# **Break it.**
# Raise the level, step by step.
# What becomes of a thin stroke when the pen runs dry?

# %% tags=["deep"]
hill = drawing.fields(scans.images[scan : scan + 1])[0]
pictures = {"hill": hill * 255 // drawing.TOP}
for level in (1300, 1900, 2500):
    pictures[f"level {level}"] = drawing.ink(hill, level, 40) * 255 // 256
plots.images(
    [p.astype("uint8") for p in pictures.values()], titles=list(pictures), columns=4
)

# %% [markdown] tags=["deep"]
# ## How hard should a picture be? (deep)
#
# Later chapters ask which of two networks is better.
# A good difficulty lets networks differ by more than luck does.
# So six small networks were trained at several difficulties, three times each, with another *seed* each time:
# the number that all chance in a run starts from.
# The script and all its runs are in [data/ablations](../data/ablations/difficulty.py).
# Suppose three networks reach 0.6, 0.7 and 0.8 on average, and the seeds of each scatter by 0.03.
# The standard deviation between the networks is then 0.1, and the order is safe.
# What if the seeds scattered by 0.1?

# %% tags=["deep"]
shard = (data.FOLDER / "ablations" / "difficulty.jsonl").read_text()
accuracy = {}
for row in map(json.loads, shard.splitlines()):
    networks = accuracy.setdefault(row["difficulty"], {})
    networks.setdefault(row["architecture"], []).append(row["accuracy"])
levels = sorted(accuracy)
runs = [torch.tensor(list(accuracy[d].values())) for d in levels]  # 6 networks, 3 seeds
between = [r.mean(1).std().item() for r in runs]
within = [r.var(1).mean().sqrt().item() for r in runs]
spreads = {"between architectures": between, "between seeds": within}
plots.lines(
    levels, spreads, x_label="difficulty", y_label="standard deviation of accuracy"
)

# %% [markdown] tags=["deep"]
# On the left the best networks run out of room.
# On the right all of them sink towards guessing (0.1), and networks draw together.
# Now the six networks themselves, at the difficulty that was chosen.
# *plain* is a chain of ordinary convolutions of 3x3 or 5x5; *separable* has separable ones (chapter 03),
# *pool* looks around almost by pooling alone, and *deep* has twice as many layers as *plain3*.

# %% tags=["deep"]
plots.points(
    accuracy[data.DIFFICULTY],
    y_label="validation accuracy",
    x_label=f"network, at difficulty {data.DIFFICULTY}",
)

# %% [markdown] tags=["deep"]
# The upper line above is highest at 0.6, but there the weakest network, *pool*, is right in 23 % of the crops.
# At 0.5 the spread is nearly the same, and *pool* still reads 34 %.
# So the default is 0.5.
# Three seeds say little about a spread, so do not read more than that from the lower line.

# %% [markdown] tags=["core"]
# ## What goes wrong in practice
#
# - **The order of a box.** x first or y first, corners or width and height:
#   rwightman/efficientdet-pytorch#24, #99, #117 and #231 are all about it.
#   Name the form in the code, convert in one place, and test with a box that is not square.
# - **Class ids.**
#   COCO has 80 classes and ids up to 90. google/automl#83 and rwightman/efficientdet-pytorch#9 ask which of the two a
#   network should have.
#   Here labels count from 0, and ids live only in the file.
# - **Pictures without an object.** rwightman/efficientdet-pytorch#44 and #71 met them.
#   A picture without boxes is a good sample; its boxes have the shape (0, 4), and every function here accepts that.
# - **Sixteen bits.**
#   Some cameras and scanners store greys up to 65,535.
#   PIL, Python's picture library, turns them into RGB by cutting at 255, and nearly everything is white.
#   `data.CocoFolder` divides by 257 first.
# - **Data that has to be fetched.** pytorch/vision#9536: CIFAR-10 took 57 minutes to download.
#   So the main road of this course downloads nothing.

# %% [markdown] tags=["core", "slide"]
# ## Summary
#
# **Where do the pixels come from?**
# From real handwriting, split by scan first, then drawn anew with other pens, colours and clutter.
# **How do we know that the boxes are right?**
# The generator knows which pixel is whose; each change of a picture moves its boxes by a rule that is checked by hand;
# and a loader refuses what cannot be right.
#
# - Split by source, before anything is made from it.
#   A leak makes the number better, so nobody looks for it.
# - A difficulty is chosen by measurement: networks must differ more than seeds do.
# - A box is a claim about pixels.
#   It moves with them: times $s$ into the letterbox, divided by $s$ on the way back, $W - x_2$ in the mirror.
# - An augmentation is a claim as well.
#   Digits do not survive a mirror.
# - A loader stops at the first bad annotation and names it.

# %% [markdown] tags=["core"]
# ## Exercises

# %% [markdown] tags=["core"]
# ### 01.2 · Predict · rows_filled · 5 min · ●○○ · 1 point
#
# A photograph is 480 pixels high and 640 wide.
# It goes into a letterbox of 512.
# How many rows of the square hold nothing but the fill colour?
# Work it out on paper.
#
# <details><summary>Answer</summary>
#
# The width limits the scale: 512 / 640 = 0.8.
# The picture becomes 384 rows high, and 512 - 384 = 128 rows are left.
# All of them are at the bottom.
#
# </details>

# %% tags=["core"]
answer = ...  # your number
check("data.rows_filled", answer)
# hint("data.rows_filled")
# solution("data.rows_filled")

# %% [markdown] tags=["core"]
# ### 01.3 · Measure · small_digits · 10 min · ●○○ · 2 points
#
# COCO reports small objects apart.
# Say that a digit is small if the area of its box is below $32 \times 32$ pixels.
# How many small digits do the scenes of `data.scenes("validation", 100, seed=1)` hold?
# That number is checked.
# COCO's next limit is $96 \times 96$, more than half of a scene here.
# Try $16 \times 16$ and $64 \times 64$ too: with which two limits would you report small, medium and large?

# %% tags=["core"]
answer = ...  # your number
check("data.small_digits", answer)
# hint("data.small_digits")
# solution("data.small_digits")

# %% [markdown] tags=["core"]
# ### 01.4 · Build · hflip_xywh · 10 min · ●○○ · 2 points
#
# COCO files hold $[x, y, w, h]$.
# Write `hflip_xywh(boxes, width)` for boxes `(N, 4)` of that form: their place in the picture mirrored left to right,
# in the same form.
# `width` is the picture's.
# Try it on a box you can draw.


# %% tags=["core"]
def hflip_xywh(boxes, width):
    """Boxes [x, y, w, h], a float tensor (N, 4), after a mirror left to right: (N, 4).

    By hand: in a picture 10 wide, [1, 2, 3, 5] becomes [6, 2, 3, 5].
    """
    # your code, in place of the dots
    ...


check("data.hflip_xywh", hflip_xywh)
# hint("data.hflip_xywh")
# solution("data.hflip_xywh")

# %% [markdown] tags=["core"]
# ### 01.5 · Build · split_by_source · 15 min · ●●○ · 3 points
#
# You are given a list: `sources[i]` is the number of the scan that crop `i` was drawn from.
# Write `split_by_source(sources, every)`.
# Sort the distinct sources, and hold out every `every`-th of them, beginning with the smallest.
# Return a list with one `True` (held out) or `False` for each crop.
# For `[7, 3, 7, 9, 3]` and 2, the sources are 3, 7, 9; held out are 3 and 9.


# %% tags=["core"]
def split_by_source(sources, every):
    """A list with True (held out) or False for each crop, in the order of `sources`.

    By hand: split_by_source([7, 3, 7, 9, 3], 2) is [False, True, False, True, True].
    """
    # your code, in place of the dots
    ...


check("data.split_by_source", split_by_source)
# hint("data.split_by_source")
# solution("data.split_by_source")

# %% [markdown] tags=["core"]
# ### 01.6 · Build · uncentre · 20 min · ●●● · 4 points
#
# Other detectors put the photograph in the *middle* of the square, with half of the filling on either side.
# Write `uncentre(boxes, height, width, size)`: `boxes` `(N, 4)` xyxy were found in such a square of `size` pixels,
# made from a photograph of `height` by `width`.
# Return them in pixels of the photograph, without rounding or cutting.


# %% tags=["core"]
def uncentre(boxes, height, width, size):
    """Boxes (N, 4) xyxy of a centred letterbox, in pixels of the photograph: (N, 4).

    By hand: a photograph 4 high and 6 wide in a square of 12 has a scale of 2 and 2 rows above it;
    [4, 4, 10, 8] there is [2, 1, 5, 3] in the photograph.
    """
    # your code, in place of the dots
    ...


check("data.uncentre", uncentre)
# hint("data.uncentre")
# solution("data.uncentre")

# %% [markdown] tags=["core"]
# ### 01.7 · Further · 60 min · ●●● · 0 points
#
# [Simple Copy-Paste](https://arxiv.org/abs/2012.07177) makes new pictures by pasting the objects of one into another.
# Write it for our scenes: take a digit's box from one scene, paste its pixels into a second,
# and mend the boxes of what it hides.
# What does the paper do with objects that are hidden in part, and with those hidden in full?
# The paper pastes along an outline.
# What does a detector learn if you paste the whole box?

# %% [markdown] tags=["core"]
# ## Quiz

# %% tags=["core"]
quiz("data")
# yours()            whose functions are at work now
# restore()          the course's own again
# submit()           your answers in one small file

# %% [markdown] tags=["core"]
# ## Where next
#
# [Chapter 02](02_training.ipynb) trains a small network on these crops.
# [Chapter 03](03_profiling.ipynb) asks what it costs.
# The scenes wait for the detectors of part III.

# %% [markdown] tags=["core"]
# ## References
#
# - E. Alpaydin, C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998.
#   The scans; [datasheet](../data/digits/README.md).
# - G. Chaikin, *An algorithm for high-speed curve generation*, Computer Graphics and Image Processing, 1974.
#   The weights 3 and 1 of the doubling.
# - T.-Y. Lin et al., [Microsoft COCO: Common Objects in Context](https://arxiv.org/abs/1405.0312), 2014.
#   The form of the annotations.
# - M. Tan, R. Pang, Q. V. Le, [EfficientDet](https://arxiv.org/abs/1911.09070), 2020.
#   Scale jitter from 0.1 to 2.0, section 5.1.
# - G. Ghiasi et al., [Simple Copy-Paste is a Strong Data Augmentation Method for Instance
#   Segmentation](https://arxiv.org/abs/2012.07177), 2021.
# - The scenes: [datasheet](../data/scenes/README.md).
