"""Draw the picture that the README shows: four test scenes with their boxes.

    python data/scenes/prepare.py

Seed 0 (the default of `data.scenes`), about 5 seconds on one core. Writes example.png
beside this file, about 100 kB. The scenes themselves are not stored: `data.scenes`
draws them wherever they are needed, the same bytes everywhere.
"""

from pathlib import Path

from lib.basics import data
from lib.book import plots

CHOSEN = (20, 12, 8, 4)  # of the first 24: clear digits at several scales


def main() -> Path:
    """Write the picture and return its path."""
    scenes = data.scenes("test", 24)
    samples = {f"test scene {i}": scenes[i] for i in CHOSEN}
    figure = plots.boxes(
        {name: s.image for name, s in samples.items()},
        {name: s.boxes for name, s in samples.items()},
        {name: s.labels for name, s in samples.items()},
        names=scenes.names,
    )
    return figure.save(Path(__file__).parent / "example.png")


if __name__ == "__main__":
    main()
