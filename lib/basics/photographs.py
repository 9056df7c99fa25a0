"""One reader of pictures: whatever a file holds, upright RGB of 8 bits comes out.

Cameras store a picture lying on its side and say so in EXIF; scanners store 16 bits;
files are cut short, or unpack to gigabytes. Each of them would train or test a
detector on other pixels than a person sees, so all are mended or refused here, by the
file's name, for training and for use alike.

Chapter 01. Support for `coco` and for `detection.decoding`.
"""

import os
import struct
from os import PathLike

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

MOST_PIXELS = 50_000_000  # 150 MB as RGB, and as much again on the way there
TURNS = {  # EXIF's orientation: what brings the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadAnnotation(ValueError):
    """A picture or an annotation that cannot be used; names the file and the id."""


def read_image(source) -> UInt8[Tensor, "3 H W"]:
    """A picture as uint8 RGB, upright, whatever its file holds: the one reader.

    `source` is a path or a PIL picture. `CocoFolder` reads here, and so does
    `detection.decoding.read` for `detect`: a picture is the same pixels in training
    and in use. It is turned as EXIF says; 16-bit greys are scaled to 8 bits (PIL's own
    conversion clips them to white); what is transparent is laid on white.
    BadAnnotation, with the file's name, for whatever cannot be read so: missing,
    truncated, no file at all, over MOST_PIXELS, pixels without a known white.
    """
    if isinstance(source, Image.Image):
        name = getattr(source, "filename", "") or "image"
        return _named(name, lambda: _upright_rgb(source))
    if not isinstance(source, str | PathLike):
        kind = type(source).__name__
        raise BadAnnotation(f"image is of type {kind}; give a path or a PIL picture")

    def from_file():
        with Image.open(source) as picture:
            return _upright_rgb(picture)

    insist_on_file(source, "picture")
    return _named(source, from_file)


def insist_on_file(path, kind: str) -> None:
    """BadAnnotation unless path is a file; reading a pipe would wait for ever."""
    if os.path.isfile(path):
        return
    if os.path.exists(path):
        raise BadAnnotation(
            f"{path}: the {kind} cannot be read, for this is a folder, a pipe or a"
            " device; give a file"
        )
    raise BadAnnotation(f"{path}: there is no such {kind}")


def _named(name, read):
    """What `read()` gives; any error it meets is told with the picture's name."""
    try:
        return read()
    except BadAnnotation as error:
        raise BadAnnotation(f"{name}: {error}") from error
    except Image.DecompressionBombError as error:  # PIL's own limit, before ours
        raise BadAnnotation(f"{name}: {error}; make it smaller first") from error
    except Exception as error:  # damaged files meet PIL in two dozen ways
        told = str(error) or type(error).__name__
        raise BadAnnotation(
            f"{name}: the picture cannot be read ({told}); restore the file"
        ) from error


def _upright_rgb(picture: Image.Image) -> UInt8[Tensor, "3 H W"]:
    """Decode a PIL picture that may not be loaded yet; BadAnnotation without a name."""
    width, height = picture.size
    if width * height > MOST_PIXELS:  # said by its header: nothing is decoded yet
        raise BadAnnotation(
            f"{width} x {height} pixels are more than the {MOST_PIXELS:,} that are"
            " read at once; make it smaller first"
        )
    if picture.format == "EPS":
        raise BadAnnotation("an EPS drawing; store its pixels, as PNG for instance")
    _load(picture)
    turn = TURNS.get(_orientation(picture))
    if turn is not None:
        picture = picture.transpose(turn)
    return F.pil_to_tensor(_as_rgb(picture))


def _load(picture: Image.Image) -> None:
    """Decode the pixels, if nobody has done so yet."""
    if not hasattr(picture, "filename"):  # it never was a file
        picture.load()
        return
    name = picture.filename
    # A file with a name is mapped into memory, and then PIL 13 takes the height of a
    # turned grey TIFF for its width. A file without a name is read.
    picture.filename = ""
    try:
        picture.load()
    finally:
        picture.filename = name


def _orientation(picture: Image.Image) -> int | None:
    """EXIF's orientation, 1 to 8, if it is told. A decoded TIFF is upright already.

    Only this tag is looked at: PIL's `exif_transpose` writes all the others anew, and
    breaks off at those that cameras and editors wrote in odd types.
    """
    told = picture.getexif().get(ExifTags.Base.Orientation)
    if told is not None or picture.format == "TIFF":
        return told if isinstance(told, int) else None
    # PIL stops at the first tag whose value lies outside of the block, and never sees
    # what follows. Entries have 12 bytes: tag, type (3: two bytes), count, value.
    block = picture.info.get("exif", b"").removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (entries,) = struct.unpack_from(order + "H", block, start)
        for i in range(entries):
            entry = struct.unpack_from(order + "HHIH", block, start + 2 + 12 * i)
            if entry[:2] == (ExifTags.Base.Orientation, 3):
                return entry[3]
    except struct.error:  # cut short: whatever it told is lost
        pass
    return None


def _as_rgb(picture: Image.Image) -> Image.Image:
    """A PIL picture of any mode in RGB: 16 bits scaled, transparent laid on white."""
    if picture.mode == "F":
        raise BadAnnotation("float pixels (mode F): which one is white? store 8 bits")
    if picture.mode.startswith("I"):
        grey = np.asarray(picture).astype(np.int64)  # H W
        if grey.min() < 0 or grey.max() > 65535:
            raise BadAnnotation(
                f"grey from {grey.min()} to {grey.max()}: which one is white? store"
                " 8 or 16 bits, 0 is black"
            )
        return Image.fromarray((grey // 257).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        sheet = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(sheet, picture)
    return picture.convert("RGB")
