"""Random damage to files: what is read is right, what is not is refused by its name.

Targets of `tests.fuzz`. Each draws a sound file, spoils it in one place or in none, and
reads it. A refusal has to be a ValueError that names the file; any other exception
fails, and so does a value that is not the one that was written.
"""

import io
import json
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps

from lib.basics import checkpoints, coco, photographs

MODES = ("L", "RGB", "RGBA", "P", "1", "CMYK", "I;16", "LA")
KINDS = {
    "PNG": ("L", "RGB", "RGBA", "P", "1", "I;16", "LA"),
    "JPEG": ("L", "RGB", "CMYK"),
    "BMP": ("L", "RGB", "P", "1"),
    "TIFF": MODES,
    "WEBP": ("RGB", "RGBA"),
}
# Values that real files hold where something else was meant.
ODD = (None, True, "", "7", -1, 0, 1e308, float("nan"), 2**70, [], {}, "../x.png")


# ---------------------------------------------------------------------- pictures


def pictures(rng: random.Random) -> str:
    """A picture of any kind, turned by EXIF or not, some bytes changed or lost."""
    with tempfile.TemporaryDirectory() as folder:
        kind = rng.choice(list(KINDS))
        path = Path(folder, f"a.{kind.lower()}")
        picture = _picture(rng, rng.choice(KINDS[kind]))
        exif = Image.Exif()
        if rng.random() < 0.5:
            exif[ExifTags.Base.Orientation] = rng.randrange(10)
        held = io.BytesIO()
        picture.save(held, kind, exif=exif, lossless=True, quality=95)
        content = bytearray(held.getvalue())
        spoilt = _spoil(rng, content)
        path.write_bytes(content)
        try:
            pixels = photographs.read_image(path)
        except photographs.BadAnnotation as error:
            return _refused(error, path, spoilt)
        assert pixels.dtype == torch.uint8 and pixels.shape[0] == 3
        if not spoilt:
            wanted = _as_pillow_reads(path)
            assert torch.equal(pixels, wanted), f"{kind} {picture.mode}: other pixels"
        return "read"


def _picture(rng: random.Random, mode: str) -> Image.Image:
    """Noise in any mode, up to 20 pixels a side, not square."""
    width, height = rng.randint(1, 20), rng.randint(1, 20)
    if mode == "I;16":
        grey = np.frombuffer(rng.randbytes(2 * width * height), np.uint16)
        return Image.fromarray(grey.reshape(height, width))
    colours = Image.frombytes(
        "RGBA", (width, height), rng.randbytes(4 * width * height)
    )
    if mode in ("RGBA", "LA"):
        return colours.convert(mode)
    return colours.convert("RGB").convert(mode)


def _as_pillow_reads(path: Path) -> torch.Tensor:
    """The same pixels by Pillow's own turn; 16 bits divided by 257; on white.

    From memory: from a file with a name Pillow 13 gets some turned TIFFs wrong.
    """
    with Image.open(io.BytesIO(path.read_bytes())) as picture:
        picture.load()
        if picture.format != "TIFF":  # Pillow turns these when it decodes
            picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I"):
            grey = np.asarray(picture).astype(np.int64) // 257
            picture = Image.fromarray(grey.astype(np.uint8))
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture)
        return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)


def _spoil(rng: random.Random, content: bytearray) -> bool:
    """Change bytes, cut the end or do nothing; says if anything was done."""
    way = rng.choice(("nothing", "bytes", "cut"))
    if way == "bytes":
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif way == "cut":
        del content[rng.randrange(len(content)) :]
    return way != "nothing"


def _refused(error: ValueError, path: Path, spoilt: bool) -> str:
    """The outcome of a refusal, which names the file and needs a reason."""
    told = str(error)
    assert path.name in told, f"which file? {told}"
    assert spoilt, f"a sound file was refused: {told}"
    return "refused"


# ------------------------------------------------------------------------- COCO files


def coco_files(rng: random.Random) -> str:
    """A folder in COCO form, one value of its json changed to something odd or lost."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "annotations.json")
        document = _document(rng, Path(folder, "images"))
        spoilt = rng.random() < 0.9 and _spoil_value(rng, document)
        path.write_text(json.dumps(document), "utf-8")
        drop = rng.random() < 0.3
        try:
            read = coco.CocoFolder(path, path.parent / "images", drop_bad_boxes=drop)
            samples = [read[i] for i in range(len(read))]
        except photographs.BadAnnotation as error:
            return _refused(error, path, spoilt)
        for sample, image in zip(samples, read.images, strict=True):
            height, width = sample.image.shape[1:]
            assert (image["width"], image["height"]) == (width, height)
            corners = sample.boxes
            assert torch.isfinite(corners).all()
            assert (corners[:, 2:] > corners[:, :2]).all(), "a box without an inside"
            assert ((0 <= sample.labels) & (sample.labels < len(read.names))).all()
        again = coco.write_coco(read, Path(folder, "again"))
        assert json.loads(again.read_text("utf-8")) == read.document
        return "read, odd" if spoilt else "read"


def _document(rng: random.Random, images: Path) -> dict:
    """A sound document of one to three pictures, and the pictures."""
    images.mkdir()
    document = {"images": [], "annotations": [], "categories": []}
    for k in range(rng.randint(1, 3)):
        category = {"id": 3 * k + 1, "name": f"class {k}"}
        document["categories"].append(category)
    for number in range(rng.randint(1, 3)):
        picture = _picture(rng, "RGB")
        name = f"{number}.png"
        picture.save(images / name)
        width, height = picture.size
        entry = {"id": 10 + number, "file_name": name, "width": width, "height": height}
        document["images"].append(entry)
        for _ in range(rng.randint(0, 3)):
            w, h = rng.uniform(1, width), rng.uniform(1, height)
            annotation = {
                "id": len(document["annotations"]) + 1,
                "image_id": entry["id"],
                "category_id": rng.choice(document["categories"])["id"],
                "bbox": [rng.uniform(0, width - w), rng.uniform(0, height - h), w, h],
                "iscrowd": 0,
                "area": w * h,
            }
            document["annotations"].append(annotation)
    return document


def _spoil_value(rng: random.Random, document: dict) -> bool:
    """One value anywhere in a document is lost or becomes an odd one."""
    places = list(_places(document))
    holder, key = rng.choice(places)
    if isinstance(holder, dict) and rng.random() < 0.2:
        del holder[key]
    else:
        holder[key] = rng.choice(ODD)
    return True


def _places(value):
    """Every (dictionary or list, key or place) below a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, below in pairs:
        yield value, key
        if isinstance(below, dict | list):
            yield from _places(below)


# ------------------------------------------------------------------------ checkpoints


def saved_files(rng: random.Random) -> str:
    """A checkpoint or weights with some bits turned or the end lost."""
    with tempfile.TemporaryDirectory() as folder:
        generator = torch.Generator().manual_seed(rng.getrandbits(30))
        model = torch.nn.Linear(rng.randint(1, 9), rng.randint(1, 9))
        for weight in model.parameters():
            weight.data.normal_(generator=generator)
        if rng.random() < 0.5:
            path = Path(folder, "run.pt")
            state = {"step": 3, "settings": {}, "model": model.state_dict()}
            checkpoints.write_checkpoint(path, state)
            read = lambda: checkpoints.read_checkpoint(path)["model"]  # noqa: E731
        else:
            path = Path(folder, "model.safetensors")
            checkpoints.save_weights(model, path)
            read = lambda: checkpoints.read_weights(path)  # noqa: E731
        content = bytearray(path.read_bytes())
        spoilt = _spoil(rng, content)
        path.write_bytes(content)
        try:
            state = read()
        except ValueError as error:
            return _refused(error, path, spoilt)
        same = [torch.equal(state[k], w) for k, w in model.state_dict().items()]
        assert all(same), "other weights than were written"
        return "read, same" if spoilt else "read"
