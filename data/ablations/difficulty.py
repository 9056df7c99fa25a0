"""How hard should the crops be? Architectures must differ more than seeds do.

    python data/ablations/difficulty.py            # about 6 minutes, one thread
    python data/ablations/difficulty.py --report   # the table below, from the rows

Six small CNNs, three seeds each, at several difficulties: 3,000 training crops of
16x16 (seed 0), 1,000 validation crops, 8 epochs of SGD with a cosine schedule. A row
per run is appended to difficulty.jsonl; runs that are there already are skipped, so it
may be stopped at any time. The report gives, per difficulty, the standard deviation
between the architectures' means, the standard deviation between seeds within an
architecture (root mean square), and their ratio.
"""

import argparse
import hashlib
import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import lib  # noqa: E402, F401, I001  (before torch)
import torch  # noqa: E402
from torch import nn  # noqa: E402

from lib.basics import data  # noqa: E402

ROWS = HERE / "difficulty.jsonl"
DIFFICULTIES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
SEEDS = (0, 1, 2)
EPOCHS, BATCH, TRAIN, VALIDATION = 8, 64, 3000, 1000


def block(cin, cout, kernel=3, stride=1, groups=1):
    """Convolution, batch norm, ReLU."""
    padding = kernel // 2
    conv = nn.Conv2d(cin, cout, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout), nn.ReLU(inplace=True))


def separable(cin, cout, kernel=3, stride=1):
    """Depthwise convolution, then a 1x1 convolution."""
    return nn.Sequential(
        block(cin, cin, kernel, stride, groups=cin), block(cin, cout, 1)
    )


def head(channels):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def networks():
    """Six shapes of about the size of a small cell network."""
    return {
        "plain3": lambda: nn.Sequential(
            block(3, 12), block(12, 24, stride=2), block(24, 48, stride=2), head(48)
        ),
        "plain5": lambda: nn.Sequential(
            block(3, 12, 5), block(12, 24, 5, 2), block(24, 48, 5, 2), head(48)
        ),
        "separable3": lambda: nn.Sequential(
            block(3, 16), separable(16, 32, 3, 2), separable(32, 64, 3, 2), head(64)
        ),
        "separable5": lambda: nn.Sequential(
            block(3, 16), separable(16, 32, 5, 2), separable(32, 64, 5, 2), head(64)
        ),
        "pool": lambda: nn.Sequential(
            block(3, 16), nn.MaxPool2d(2), block(16, 32, 1), nn.AvgPool2d(3, 2, 1),
            block(32, 64, 1), head(64),
        ),
        "deep": lambda: nn.Sequential(
            block(3, 12), block(12, 12), block(12, 24, stride=2), block(24, 24),
            block(24, 48, stride=2), block(48, 48), head(48),
        ),
    }  # fmt: skip


def normalise(images):
    return (images.float() - 128) / 64


def run(name, difficulty, seed):
    """Train one network; return its row."""
    images, labels = data.crops("train", TRAIN, difficulty=difficulty)
    images = normalise(images)
    test, test_labels = data.crops("validation", VALIDATION, difficulty=difficulty)
    torch.manual_seed(seed)
    model = networks()[name]()
    optimizer = torch.optim.SGD(
        model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4, nesterov=True
    )
    steps = EPOCHS * (TRAIN // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(TRAIN)[: TRAIN // BATCH * BATCH].split(BATCH):
            loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        right = model.eval()(normalise(test)).argmax(1) == test_labels
    return {
        "architecture": name,
        "difficulty": difficulty,
        "seed": seed,
        "accuracy": round(right.float().mean().item(), 4),
        "loss": round(loss.item(), 4),
        "params": sum(p.numel() for p in model.parameters()),
        "device": "cpu",
        "torch": torch.__version__,
        "pixels": pixels(difficulty),
    }


def pixels(difficulty):
    """A hash of the first training crops: rows of another generator do not count."""
    images, _ = data.crops("train", TRAIN, difficulty=difficulty)
    return hashlib.sha256(images[:250].numpy().tobytes()).hexdigest()[:12]


def rows():
    if not ROWS.exists():
        return []
    return [json.loads(line) for line in ROWS.read_text().splitlines()]


def report():
    """One line per difficulty, from the rows of the present generator."""
    present = [row for row in rows() if row["pixels"] == pixels(row["difficulty"])]
    for difficulty in sorted({row["difficulty"] for row in present}):
        groups = {}
        for row in present:
            if row["difficulty"] == difficulty:
                groups.setdefault(row["architecture"], []).append(row["accuracy"])
        means = {name: statistics.mean(values) for name, values in groups.items()}
        if len(means) < 2 or min(map(len, groups.values())) < 2:
            continue
        between = statistics.stdev(means.values())
        within = statistics.mean(statistics.variance(v) for v in groups.values()) ** 0.5
        spread = " ".join(f"{name} {mean:.3f}" for name, mean in means.items())
        print(
            f"{difficulty:.2f}: between {between:.3f} within {within:.3f}"
            f" ratio {between / within:.1f} | {spread}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true")
    if not parser.parse_args().report:
        torch.set_num_threads(1)
        keys = ("architecture", "difficulty", "seed", "pixels")
        done = {tuple(row[k] for k in keys) for row in rows()}
        for difficulty in DIFFICULTIES:
            for seed in SEEDS:
                for name in networks():
                    if (name, difficulty, seed, pixels(difficulty)) in done:
                        continue
                    row = run(name, difficulty, seed)
                    with open(ROWS, "a") as file:
                        file.write(json.dumps(row) + "\n")
    report()


if __name__ == "__main__":
    main()
