"""The picture at the top of the README: what the shipped detector answers.

    python data/scenes/answer.py

Three test scenes that nothing was trained on; boxes, digits and scores are those of
`plain`, the detector of the table below the picture. Prints what it finds and how long
that takes, and writes answer.png beside this file, about 70 kB. A few seconds.
"""

import time
from pathlib import Path

from lib.book import plots
from lib.detection import decoding, detectors

CHOSEN = (20, 12, 8)
THRESHOLD = 0.3  # boxes with a lower score are not shown


def main():
    """Detect, say what was found, draw the picture and write it."""
    model, scenes = detectors.shipped("plain"), detectors.scenes("test", 24)
    samples = {f"test scene {i}": scenes[i] for i in CHOSEN}
    found = {}
    for name, sample in samples.items():
        begin = time.perf_counter()
        found[name] = decoding.detect(model, sample.image, threshold=THRESHOLD)
        took = 1000 * (time.perf_counter() - begin)
        pairs = zip(found[name].labels.tolist(), found[name].scores, strict=True)
        digits = ", ".join(f"{scenes.names[k]} ({score:.2f})" for k, score in pairs)
        print(f"{name}: {digits}; {took:.0f} ms")
    figure = plots.boxes(
        {name: sample.image for name, sample in samples.items()},
        {name: each.boxes for name, each in found.items()},
        {name: each.labels for name, each in found.items()},
        {name: each.scores for name, each in found.items()},
        names=scenes.names,
        columns=3,
    )
    return figure.save(Path(__file__).parent / "answer.png")


if __name__ == "__main__":
    main()
