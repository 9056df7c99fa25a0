"""The road's plot from recorded numbers: AP over milliseconds, a disc's area the file.

    python data/ablations/road.py

The figure that `make capstone` draws from today's measurements, here from the rows of
deployment.jsonl: medians over three sets of 200 test scenes and three timings, one
thread of an AMD EPYC; whiskers from the lowest to the highest set. Writes road.png
beside this file, about 40 kB, and prints the README's words for it.
"""

import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import lib  # noqa: E402, F401, I001  (before torch)

from lib.detection.redrawing import Estimate  # noqa: E402
from lib.road import judging  # noqa: E402

INTEGERS = "int8, weights of 7 bits"  # the form that is shipped
FILES = {  # name: the model and the form in the records
    "plain": ("plain", "fp32"), "plain, int8": ("plain", INTEGERS),
    "searched": ("course", "fp32"), "pruned": ("pruned", "fp32"),
    "pruned, int8": ("pruned", INTEGERS),
}  # fmt: skip


def recorded() -> list[dict]:
    """All rows of deployment.jsonl."""
    text = (HERE / "deployment.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def rows() -> list[judging.Row]:
    """The files of the road as the records have them."""
    told = []
    for name, (model, form) in FILES.items():
        mine = [row for row in recorded() if row.get("model") == model]
        judged = [row for row in mine if row.get("form") == form]
        aps = [row["ap"] for row in judged if row["kind"] == "accuracy"]
        timed = [r for r in mine if r["kind"] == "latency" and r["size"] == 128]
        ms = statistics.median(row[form[:4]]["ms"] for row in timed)
        ap = Estimate(statistics.median(aps), min(aps), max(aps))
        first = told[0] if told else None
        less = ap.value - (first.ap.value if first else ap.value)
        ratio = ms / (first.milliseconds if first else ms)
        size = judged[0]["bytes"] / 1000
        told.append(
            judging.Row(name, ap, Estimate(less, less, less), ms, ratio, size, None)
        )
    return told


def main():
    """Draw the figure, write it, give it."""
    figure = judging.picture(rows())
    figure.save(HERE / "road.png")
    print(figure.alt)
    return figure


if __name__ == "__main__":
    main()
