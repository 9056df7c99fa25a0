"""Which settings should the controller have? Chosen on made-up rewards, not on a table.

    python data/ablations/controller.py            # about 8 minutes, one CPU thread
    python data/ablations/controller.py --report   # the table below, from the rows

The toy space has two blocks and two operations: 576 sequences of tokens. A made-up
reward adds one random weight for each decision, and is scaled to mean 0.75 and standard
deviation 0.05 over all sequences. A controller draws 200 samples in batches of 20. The
rise is what its expected reward, summed over all 576 sequences, has gained, in those
standard deviations. A row for each (learning rate, passes, seed) is appended to
controller.jsonl; rows that are there already are skipped, so it may be stopped at any
time.
"""

import argparse
import dataclasses
import json
import os
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lib  # noqa: E402, F401, I001  (before torch)
import torch  # noqa: E402

from lib.nas import controller, search_space  # noqa: E402

ROWS = HERE / "controller.jsonl"
TOY = search_space.Space(2, ("max3", "sep3"), cells=("normal",))
RATES = (0.00035, 0.001, 0.002, 0.005, 0.01, 0.02)
PASSES = (1, 3, 5, 10)
SEEDS = range(30)
SAMPLES, MEAN, SPREAD = 200, 0.75, 0.05


def made_up(tokens, seed):
    """One normal weight for each option of each decision, added up and scaled."""
    generator = torch.Generator().manual_seed(1000 + seed)
    weights = torch.randn(tokens.shape[1], int(tokens.max()) + 1, generator=generator)
    total = weights.gather(1, tokens.T).sum(dim=0)
    return MEAN + SPREAD * (total - total.mean()) / total.std(correction=0)


def rise(settings, seed, samples=SAMPLES):
    """Gain of the expected reward over `samples` samples, in standard deviations."""
    every = controller.all_tokens(TOY)
    rewards = made_up(every, seed)
    index = {tuple(row): i for i, row in enumerate(every.tolist())}
    learner = controller.Learner(TOY, seed, settings)
    with torch.no_grad():
        before = controller.expected_reward(learner.policy, every, rewards)
    for _ in range(samples // settings.batch):
        drawn = learner.sample(settings.batch)
        learner.update(drawn, [rewards[index[tuple(r)]].item() for r in drawn.tolist()])
    with torch.no_grad():
        after = controller.expected_reward(learner.policy, every, rewards)
    return (after - before).item() / SPREAD


def read():
    """The rows that are there; a last line cut by a kill is left out."""
    rows = []
    for line in ROWS.read_text().splitlines() if ROWS.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def report(rows):
    """Median and least rise, and how many of the seeds rise by one or more."""
    for passes in PASSES:
        for lr in RATES:
            found = [r["rise"] for r in rows if (r["lr"], r["passes"]) == (lr, passes)]
            if found:
                middle, least = statistics.median(found), min(found)
                print(
                    f"lr {lr:<8} passes {passes:<3} median {middle:5.2f}  least"
                    f" {least:5.2f}  one or more: {sum(r >= 1 for r in found)}"
                    f" of {len(found)}"
                )


def main():
    """Run what is missing, or report what is there."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--report", action="store_true")
    if parser.parse_args().report:
        report(read())
        return
    torch.set_num_threads(1)
    done = {(r["lr"], r["passes"], r["seed"]) for r in read()}
    for seed in SEEDS:
        for lr in RATES:
            for passes in PASSES:
                if (lr, passes, seed) in done:
                    continue
                settings = dataclasses.replace(
                    controller.PUBLISHED, lr=lr, passes=passes
                )
                row = {
                    "lr": lr, "passes": passes, "seed": seed,
                    "rise": round(rise(settings, seed), 4), "samples": SAMPLES,
                    "device": "cpu", "threads": 1,
                    "torch": torch.__version__.split("+")[0],
                }  # fmt: skip
                text = json.dumps(row) + "\n"
                whole = not ROWS.exists() or ROWS.read_text()[-1:] in ("", "\n")
                with ROWS.open("a") as file:  # a cut line ends before the next begins
                    file.write(text if whole else "\n" + text)


if __name__ == "__main__":
    main()
