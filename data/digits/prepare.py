"""Record what the generator draws here, so that any other machine can be compared.

    python data/digits/prepare.py          # about 5 seconds, no download, seed 0

Writes manifest.json beside this file: how many scanned digits each split holds, and
the SHA-256 of the scans, of crops and of scenes (images, boxes and labels, drawn anew,
not read from the cache). tests/test_data.py draws them again and compares. A changed
hash means that old results and new ones rest on different pictures.
"""

import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import lib  # noqa: E402, F401, I001  (before torch)
from lib.basics import data  # noqa: E402


def digest(*arrays) -> str:
    """SHA-256 of arrays, as little-endian bytes whatever the machine."""
    total = hashlib.sha256()
    for array in arrays:
        little = array.dtype.newbyteorder("<")
        total.update(array.astype(little).tobytes())
    return total.hexdigest()


def manifest() -> dict:
    """Counts per split and class, and the hashes of fixed samples."""
    scans = data.digits()
    counts = {
        split: [int((scans.labels[scans.split == split] == k).sum()) for k in range(10)]
        for split in data.SPLITS
    }
    hashes = {"digits": digest(scans.images, scans.labels)}
    for split in data.SPLITS:
        for difficulty in (0.0, 0.5, 1.0):
            images, labels = data.crops(split, 300, difficulty=difficulty, seed=0)
            name = f"crops {split} 300 difficulty {difficulty}"
            hashes[name] = digest(images.numpy(), labels.numpy())
        drawn = data.scenes(split, 8, difficulty=0.5, seed=0)
        hashes[f"scenes {split} 8 difficulty 0.5"] = digest(
            drawn.images, drawn.boxes, drawn.labels
        )
    return {"counts": counts, "sha256": hashes}


def main():
    data.CACHE = None
    text = json.dumps(manifest(), indent=2)
    (HERE / "manifest.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
