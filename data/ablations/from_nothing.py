"""A detector from nothing in few CPU-seconds: our entry for the third challenge.

    python data/ablations/from_nothing.py            # what is missing of the tries
    python data/ablations/from_nothing.py --report   # the table, from the rows
    python -m lib.road.challenge seconds data/ablations/from_nothing.py

Each try is one training, seed 0, with all its CPU-seconds: drawing the pictures, the
backbone's reading of crops, the scenes. AP is COCO's, on 300 validation scenes. A try
takes one to two and a half minutes of one CPU thread. A row a try is appended to
from_nothing.jsonl; tries that are there are skipped, so it may be stopped at any time.
`train(seed)` is what the challenge verifies: the try named in `BEST`.
"""

import argparse
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE), str(HERE.parent / "weights")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, F401, I001  (before torch)
import ledger  # noqa: E402
import prepare  # noqa: E402
import torch  # noqa: E402

from lib.basics import data, training  # noqa: E402
from lib.detection import detectors  # noqa: E402

ROWS = HERE / "from_nothing.jsonl"
JUDGED = 300  # validation scenes
FIRST = {
    "model": "plain", "crops": 4000, "reading": 400, "scenes": 2000, "steps": 450,
    "batch": 16, "lr": 7e-3, "ema": 0.98,
}  # fmt: skip
TRIES = {
    "crops first": FIRST,
    "no crops": FIRST | {"crops": 0, "reading": 0, "steps": 550},
    "350 batches": FIRST | {"steps": 350},
    "batches of 8": FIRST | {"batch": 8, "steps": 900},
    "the searched cell": FIRST | {"model": "course", "steps": 350},
}
BEST = "batches of 8"


def trained(how: dict, seed: int):
    """A detector trained so from random weights."""
    torch.manual_seed(seed)
    model = detectors.detector(how["model"])
    if how["reading"]:
        read_crops(model.backbone, how, seed)
    ema = training.EMA(model, how["ema"])
    training.fit(
        model, detectors.scenes("train", how["scenes"]),
        prepare.loss_of(model.config, prepare.SCENES), steps=how["steps"],
        batch_size=how["batch"], optimizer=prepare.optimizer(model, settings(how)),
        warmup=0.05, clip=10.0, ema=ema, collate=data.collate, seed=seed,
    )  # fmt: skip
    return ema.model.eval()


def settings(how: dict) -> dict:
    """What `prepare.optimizer` asks for."""
    return {"lr": how["lr"], "weight_decay": prepare.SCENES["weight_decay"]}


def read_crops(backbone, how: dict, seed: int) -> None:
    """Let the backbone read digit crops first, as `prepare` does, but for fewer."""
    reader = prepare.Reader(detectors.for_short_runs(backbone))
    training.fit(
        reader, detectors.crops("train", how["crops"], prepare.CROPS["side"]),
        training.classification_loss(prepare.CROPS["smoothing"]),
        steps=how["reading"], batch_size=prepare.CROPS["batch"],
        optimizer=prepare.optimizer(reader, prepare.CROPS), augment=prepare.resized,
        seed=seed,
    )  # fmt: skip


def train(seed: int):
    """The entry: a detector from nothing."""
    torch.set_num_threads(1)
    return trained(TRIES[BEST], seed)


def run(path=ROWS, names=tuple(TRIES), seed: int = 0) -> None:
    """Train what is missing, with every picture drawn anew; append its rows."""
    kept, data.CACHE = data.CACHE, None
    try:
        for name in names:
            about = {"try": name, "seed": seed, "settings": TRIES[name]}
            if any(about.items() <= row.items() for row in ledger.read(path)):
                continue
            begun = time.process_time()
            model = trained(TRIES[name], seed)
            spent = round(time.process_time() - begun)
            numbers = prepare.judge(model, "validation", JUDGED)
            scores = {"ap": round(numbers[0], 4), "ap50": round(numbers[1], 4)}
            ledger.append(path, about | scores | {"cpu_seconds": spent})
    finally:
        data.CACHE = kept


def report(rows: list[dict]) -> str:
    """A line a try: seconds and AP."""
    return "\n".join(
        f"{row['try']}: AP {row['ap']:.3f} in {row['cpu_seconds']} CPU-seconds"
        for row in rows
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*TRIES, []])
    parser.add_argument("--report", action="store_true", help="train nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if not asked.report:
        run(names=asked.names or tuple(TRIES))
    print(report(ledger.read(ROWS)))


if __name__ == "__main__":
    main()
