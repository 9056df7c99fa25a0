"""Train the small networks whose weights stand in this folder.

    python data/weights/prepare.py                 # all of them
    python data/weights/prepare.py digits_cnn      # one of them

digits_cnn: seed 0, about 30 seconds of one CPU thread, 100 kB, accuracy 0.89 on 2,000
test crops. Each function below makes one artefact and returns what it is worth. A
second run on the same machine and torch gives the same bytes; elsewhere the last
digits of a sum differ, and so do the SHA-256 and, by about 0.01, the accuracy.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import lib  # noqa: E402, F401, I001  (before torch)
import torch  # noqa: E402

from lib import data, training  # noqa: E402


def digits_cnn() -> str:
    """`training.small_cnn()` on digit crops of the default difficulty."""
    crops = data.crops("train", 6000)
    model = training.small_cnn()
    ema = training.EMA(model, 0.995)
    loss_fn = training.classification_loss(smoothing=0.1)
    training.fit(model, crops, loss_fn, epochs=30, lr=0.3, ema=ema)
    training.save_weights(ema.model, HERE / "digits_cnn.safetensors")
    scores = {
        split: training.accuracy(ema.model, *data.crops(split, 2000))
        for split in ("validation", "test")
    }
    return ", ".join(f"{split} accuracy {s:.4f}" for split, s in scores.items())


ARTEFACTS = {"digits_cnn": digits_cnn}


def main(names: list[str]) -> None:
    unknown = [name for name in names if name not in ARTEFACTS]
    if unknown:
        raise SystemExit(
            f"no artefact {unknown[0]!r}; there are: {', '.join(ARTEFACTS)}"
        )
    torch.set_num_threads(1)  # the order of sums, and so the bytes, depend on it
    for name in names or ARTEFACTS:
        print(f"{name}: {ARTEFACTS[name]()}")


if __name__ == "__main__":
    main(sys.argv[1:])
