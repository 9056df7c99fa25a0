"""Pictures as the world writes them: read right, or refused by name."""

import os
import random
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from lib.basics import coco, data, photographs
from lib.basics.photographs import BadAnnotation, read_image
from lib.detection import decoding


def test_there_is_one_reader():
    assert coco.read_image is data.read_image is photographs.read_image


def noise(height=5, width=8, kind=np.uint8, channels=(3,)):
    most = np.iinfo(kind).max
    random_ = np.random.default_rng(0)
    return random_.integers(0, most, (height, width, *channels), endpoint=True).astype(
        kind
    )


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(10))  # 0 and 9 mean nothing
def test_every_orientation_is_the_one_of_pil(tmp_path, suffix, orientation):
    exif, path = Image.Exif(), tmp_path / f"a.{suffix}"
    exif[0x0112] = orientation
    Image.fromarray(noise()).save(path, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    assert (read_image(path).permute(1, 2, 0).numpy() == upright).all()
    # `detect` takes paths and open pictures through the same function.
    assert torch.equal(read_image(path), decoding.read(path))
    assert torch.equal(read_image(path), decoding.read(Image.open(path)))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_sixteen_bits_are_turned_too(tmp_path, orientation):
    exif, grey = Image.Exif(), noise(kind=np.uint16, channels=())
    exif[0x0112] = orientation
    upright = np.rot90(grey, {1: 0, 3: 2, 6: -1, 8: 1}[orientation])
    for name in ("a.png", "a.tif"):  # PIL 13 itself spoils the turned grey TIFFs
        Image.fromarray(grey).save(tmp_path / name, exif=exif)
        assert (read_image(tmp_path / name)[1].numpy() == upright // 257).all()
        opened = Image.open(tmp_path / name)
        assert (decoding.read(opened)[1].numpy() == upright // 257).all()
        assert opened.filename == str(tmp_path / name)


def exif_block(*entries):
    """EXIF as a camera writes it, by hand: orientation 6 and some more tags."""
    entries = sorted([(0x0112, 3, 1, struct.pack("<HH", 6, 0)), *entries])
    body = b"".join(struct.pack("<HHI", *e[:3]) + e[3] for e in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(64)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # it tells what is damaged
def test_odd_exif_tags_do_not_stand_in_the_way(tmp_path):
    """A quarter turn, and one tag of every kind and length that the format knows."""
    random_, path = random.Random(0), tmp_path / "phone.jpg"
    tags = (0x010E, 0x010F, 0x011A, 0x011B, 0x0128, 0x0132, 0x013B, 0x8298, 0x8769)
    read = 0
    for _ in range(300):
        entry = random_.choice(tags), random_.randrange(1, 14), random_.randrange(6)
        value = random_.randbytes(4)
        Image.new("RGB", (40, 20)).save(path, exif=exif_block((*entry, value)))
        try:
            assert read_image(path).shape == (3, 40, 20), entry
            read += 1
        except BadAnnotation as error:
            assert "phone.jpg" in str(error)
    assert read > 250  # PIL's `exif_transpose` raises for about 70 of these


def test_an_orientation_of_an_odd_type_turns_nothing(tmp_path):
    for value in (struct.pack("<f", 6.5), b"six\0"):
        kind, count = (11, 1) if value[0] != ord("s") else (2, 4)
        block = struct.pack("<HHI", 0x0112, kind, count) + value
        exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + block + bytes(8)
        Image.new("RGB", (40, 20)).save(tmp_path / "phone.jpg", exif=exif)
        assert read_image(tmp_path / "phone.jpg").shape == (3, 20, 40)


def test_thirty_two_bits_and_floats_need_a_known_white(tmp_path):
    ramp = np.array([[0, 257, 32768, 65535]], np.int32)  # 16 bits in 32: 0 1 127 255
    Image.fromarray(ramp).save(tmp_path / "ramp.tif")
    assert read_image(tmp_path / "ramp.tif")[2, 0].tolist() == [
        0,
        1,
        127,
        255,
    ]
    for name, pixels in {
        "wide.tif": np.array([[0, 70_000]], np.int32),
        "below.tif": np.array([[-1, 5]], np.int32),
        "real.tif": np.array([[0.0, 1.0]], np.float32),
    }.items():
        Image.fromarray(pixels).save(tmp_path / name)
        with pytest.raises(BadAnnotation, match=f"{name}: .*which one is white"):
            read_image(tmp_path / name)


def test_inks_and_palettes_by_hand(tmp_path):
    # Cyan, magenta, yellow, black: (1 - ink) (1 - black) of 255.
    inks = np.array([[[0, 0, 0, 0], [0, 255, 255, 0], [255, 0, 0, 0], [0, 0, 0, 255]]])
    Image.fromarray(inks.astype(np.uint8), "CMYK").save(tmp_path / "inks.tif")
    seen = read_image(tmp_path / "inks.tif")[:, 0].T.tolist()
    assert seen == [[255, 255, 255], [255, 0, 0], [0, 255, 255], [0, 0, 0]]
    palette = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 200, 0, 0, 0, 0, 200])
    palette.save(tmp_path / "clear.png", transparency=1)  # colour 1 is a hole
    seen = read_image(tmp_path / "clear.png")[:, 0].T.tolist()
    assert seen == [[10, 20, 30], [255, 255, 255], [0, 0, 200]]
    grey = Image.fromarray(np.array([[7, 200]], np.uint8))
    grey.save(tmp_path / "hole.png", transparency=200)  # a grey that is transparent
    assert read_image(tmp_path / "hole.png")[1, 0].tolist() == [7, 255]


def chunk(kind, content):
    sum_ = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + sum_


def huge(path, side):
    """A PNG of one bit a pixel: few bytes, many pixels."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" * (side // 8 + 1)) * side)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return path


@pytest.mark.parametrize("side", [7072, 13_000, 14_000])  # 50 million is 7071.07 square
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path, side):
    path = huge(tmp_path / "huge.png", side)
    with pytest.raises(BadAnnotation, match=r"huge\.png: .*make it smaller"):
        read_image(path)
    if side < 14_000:  # PIL opens no larger one
        with pytest.raises(BadAnnotation, match=r"huge\.png: .*50,000,000"):
            decoding.read(Image.open(path))


def test_what_a_read_takes_is_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")  # opening it would wait for a writer
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "folder.png"):
        with pytest.raises(BadAnnotation, match=f"{name}: the picture cannot be"):
            read_image(tmp_path / name)
    with pytest.raises(BadAnnotation, match="no such picture"):
        read_image(tmp_path / "a\0b.png")
    with pytest.raises(BadAnnotation, match="type int; give a path"):
        read_image(7)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # it tells what is damaged
def test_whatever_is_damaged_is_named(tmp_path):
    """Cut and changed files of many formats: a picture, or an error with the name."""
    random_, refused = random.Random(1), 0
    picture = Image.fromarray(noise(24, 24))
    for suffix in ("png", "jpg", "tif", "gif", "bmp", "webp", "ppm", "dds", "pcx"):
        path = tmp_path / f"a.{suffix}"
        picture.save(path)
        whole = path.read_bytes()
        for _ in range(25):
            damaged = bytearray(whole[: random_.randrange(1, len(whole) + 1)])
            for _ in range(random_.randrange(1, 5)):
                damaged[random_.randrange(len(damaged))] = random_.randrange(256)
            path.write_bytes(damaged)
            try:
                assert read_image(path).dtype == torch.uint8
            except BadAnnotation as error:
                assert str(path) in str(error)
                refused += 1
    assert refused > 100


def test_a_drawing_is_not_handed_to_another_program(tmp_path):
    (tmp_path / "a.eps").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n0 0 moveto\n"
    )
    with pytest.raises(BadAnnotation, match=r"a\.eps: an EPS drawing"):
        read_image(tmp_path / "a.eps")
