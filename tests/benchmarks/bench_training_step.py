"""A small network's training step, idle and beside one busy neighbour process.

    python tests/benchmarks/bench_training_step.py

One thread and two threads, each in a process of its own with OMP_NUM_THREADS set before
torch is imported. The neighbour is a Python process that counts without end; it is
started and ended here, by its handle. Rounds alternate: a few steps idle, the same with
the neighbour. The row says medians of 9 rounds and the median of the 9 ratios. The aim,
on a machine with two cores: with one thread at most 1.5.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
ROWS = ROOT / "build" / "bench" / "training_step.jsonl"
ROUNDS, STEPS, AIM = 9, 10, 1.5
BUSY = "print('ready', flush=True)\nwhile True: pass"


def measure(threads: int) -> dict:
    """Rounds of idle and busy steps, in this process; times in ms a step."""
    import lib  # isort: skip  (before torch: it makes waiting threads sleep)
    import torch

    from lib.basics import training

    torch.set_num_threads(threads)
    model = training.small_cnn((16, 32, 64)).train()
    loss_fn = training.classification_loss()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (128, 3, 16, 16), generator=generator)
    batch = images.to(torch.uint8), torch.randint(0, 10, (128,), generator=generator)

    def steps(count: int) -> float:
        begin = time.perf_counter()
        for _ in range(count):
            optimizer.zero_grad()
            loss_fn(model, batch)[0].backward()
            optimizer.step()
        return 1000 * (time.perf_counter() - begin) / count

    steps(STEPS)  # warm-up
    times = {"idle": [], "busy": []}
    for _ in range(ROUNDS):
        times["idle"].append(steps(STEPS))
        command = [sys.executable, "-c", BUSY]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as neighbour:
            try:
                neighbour.stdout.readline()  # it is counting now
                steps(1)
                times["busy"].append(steps(STEPS))
            finally:
                neighbour.kill()
    ratios = [b / i for i, b in zip(times["idle"], times["busy"], strict=True)]
    return {
        "threads": threads,
        "idle_ms": statistics.median(times["idle"]),
        "busy_ms": statistics.median(times["busy"]),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "cpus": lib.cpus(),
        "torch": torch.__version__,
        "wait_policy": os.environ["OMP_WAIT_POLICY"],
    }


def row(threads: int) -> dict:
    """`measure` in a fresh process that owns its thread settings."""
    settings = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    found = subprocess.run(
        [sys.executable, __file__, "--measure", str(threads)],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(found.stdout.splitlines()[-1])


def main() -> int:
    """Measure, print the table, append the rows; 1 if one thread misses the aim."""
    load = os.getloadavg()[0]
    rows = [row(threads) for threads in (1, 2)]
    print(f"training step, {ROUNDS} rounds of {STEPS} steps, {rows[0]['cpus']} CPUs")
    if load > 0.5:
        print(f"load {load:.1f} before the start: `idle` below is not idle, repeat it")
    print("| threads | idle ms | busy ms | busy / idle | lowest | highest |")
    print("|---|---|---|---|---|---|")
    for one in rows:
        print(
            f"| {one['threads']} | {one['idle_ms']:.1f} | {one['busy_ms']:.1f} |"
            f" {one['ratio']:.2f} | {min(one['ratios']):.2f} |"
            f" {max(one['ratios']):.2f} |"
        )
    met = rows[0]["ratio"] <= AIM
    print(f"one thread: at most {AIM} is the aim, {'met' if met else 'missed'}")
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    stamp = {"when": datetime.now(UTC).isoformat(timespec="seconds")}
    stamp |= {"machine": platform.machine(), "load": load}
    with ROWS.open("a") as file:
        for one in rows:
            file.write(json.dumps(stamp | one) + "\n")
    return 0 if met else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(int(sys.argv[2]))))
    else:
        sys.exit(main())
