"""COCO evaluation beside pycocotools, on 5,000 images of 80 classes.

    python tests/benchmarks/bench_coco_eval.py

One thread, in turns. About 36,000 objects and 100 detections an image: the size of
COCO's validation set. "numbers from dictionaries" holds all that either needs to get
from dictionaries to the twelve numbers. Aim: at most 1.0 of pycocotools' time.
"""

import contextlib
import copy
import io
import json
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import lib  # noqa: E402, F401, I001  (before numpy's threads start)
import numpy as np  # noqa: E402
import pycocotools.coco  # noqa: E402
import pycocotools.cocoeval  # noqa: E402

from lib.detection import coco_eval  # noqa: E402

ROWS = ROOT / "build" / "bench" / "coco_eval.jsonl"


def dataset(images: int, classes: int, per_image: int, seed: int = 0):
    """Objects at random, found with noise; the rest of the detections are wrong."""
    chance = random.Random(seed)
    truth = {"images": [], "annotations": [], "categories": []}
    truth["categories"] = [{"id": k + 1, "name": str(k)} for k in range(classes)]
    found = []
    for image in range(1, images + 1):
        truth["images"].append({"id": image})
        here = []
        kinds = [chance.randint(1, classes) for _ in range(3)]
        for _ in range(chance.randint(0, 14)):
            w, h = chance.uniform(8, 300), chance.uniform(8, 300)
            box = [chance.uniform(0, 640 - w), chance.uniform(0, 480 - h), w, h]
            crowd = int(chance.random() < 0.01)
            here.append(
                {"id": len(truth["annotations"]) + 1, "image_id": image, "bbox": box,
                 "category_id": chance.choice(kinds), "area": 0.6 * w * h,
                 "iscrowd": crowd}
            )  # fmt: skip
            truth["annotations"].append(here[-1])
        for _ in range(per_image):
            if here and chance.random() < 0.4:
                like = chance.choice(here)
                box = [v + chance.gauss(0, 6) for v in like["bbox"]]
                box[2:] = [max(1.0, v) for v in box[2:]]
                kind = like["category_id"]
            else:
                w, h = chance.uniform(8, 300), chance.uniform(8, 300)
                box = [chance.uniform(0, 640 - w), chance.uniform(0, 480 - h), w, h]
                kind = chance.randint(1, classes)
            found.append(
                {"image_id": image, "category_id": kind, "bbox": box,
                 "score": chance.random()}
            )  # fmt: skip
    return truth, found


def theirs(truth: dict, found: list) -> np.ndarray:
    """The twelve numbers of pycocotools; it works in place, so it is given copies."""
    with contextlib.redirect_stdout(io.StringIO()):
        ground = pycocotools.coco.COCO()
        ground.dataset = truth
        ground.createIndex()
        run = pycocotools.cocoeval.COCOeval(ground, ground.loadRes(found), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats


def timed(function, *arguments):
    """Seconds, and the result."""
    begin = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - begin, result


def main(images: int = 5000) -> int:
    """Measure, print the table, append one row."""
    print("| images | classes | detections | pycocotools s | ours s | ours / theirs |")
    print("|---|---|---|---|---|---|")
    record = {"when": datetime.now(UTC).isoformat(timespec="seconds")}
    for classes in (80, 1):
        truth, found = dataset(images, classes, per_image=100)
        given = copy.deepcopy((truth, found))
        rounds = 3 if images <= 1000 else 1
        pairs = []
        for _ in range(rounds):
            mine, ours = timed(coco_eval.evaluate, truth, found)
            other, stats = timed(theirs, *copy.deepcopy(given))
            assert np.abs(np.array(ours) - stats).max() < 1e-12
            pairs.append((mine / other, mine, other))
        ratio, mine, other = sorted(pairs)[len(pairs) // 2]
        print(f"| {images} | {classes} | {len(found)} ", end="")
        print(f"| {other:.2f} | {mine:.2f} | {ratio:.2f} |")
        record[f"{classes} classes"] = {
            "images": images, "pycocotools s": round(other, 3), "ours s": round(mine, 3)
        }  # fmt: skip
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    with ROWS.open("a") as file:
        file.write(json.dumps(record) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
