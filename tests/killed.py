"""Train, be killed, train on: `python -m tests.killed FOLDER` prints what came of it.

One process imports torch and forks a child for each attempt, so that dozens of kills
cost seconds. Each attempt dies by SIGKILL, which no handler sees.
"""

import hashlib
import io
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import lib  # noqa: F401  isort: skip  (threads)
import torch
import torch._dynamo  # the first optimizer imports it; once here, not in each child
from torch import nn

from lib.basics import training

STEPS = 24


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def train(folder: Path, on_step=None) -> str:
    """A run with all that has state: dropout, batch norm, momentum, an average."""
    g = torch.Generator().manual_seed(7)
    images = torch.randint(0, 256, (40, 3, 8, 8), generator=g, dtype=torch.uint8)
    labels = torch.randint(0, 10, (40,), generator=g)
    model = training.small_cnn((4, 8))
    model.insert(len(model) - 1, nn.Dropout(0.5))
    ema = training.EMA(model, 0.9)

    def flip(batch, generator):
        x, y = batch
        some = torch.rand(len(x), generator=generator) < 0.5
        return torch.where(some[:, None, None, None], x.flip(3), x), y

    history = training.fit(
        model, (images, labels), training.classification_loss(0.1), steps=STEPS,
        batch_size=16, lr=0.05, ema=ema, augment=flip, clip=1.0, every=3,
        checkpoint=folder / "run.pt", on_step=on_step, progress=False,
    )  # fmt: skip
    digest = hashlib.sha256(repr((history.loss, history.lr, history.logs)).encode())
    for state in (model.state_dict(), ema.model.state_dict()):
        for tensor in state.values():
            digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def arm(kind: str, when: int):
    """Prepare this process to die; returns an `on_step` if that is where."""
    count = {"calls": 0}
    save, fsync, replace = torch.save, os.fsync, os.replace

    def at(call):
        def wrapped(*args):
            count["calls"] += 1
            if count["calls"] == when:
                die()
            return call(*args)

        return wrapped

    def half(state, file):
        count["calls"] += 1
        if count["calls"] == when:
            whole = io.BytesIO()
            save(state, whole)
            file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
            file.flush()
            die()
        save(state, file)

    if kind == "half a file":
        torch.save = half
    elif kind == "before fsync":
        os.fsync = at(fsync)
    elif kind == "before a move":
        os.replace = at(replace)
    elif kind == "after step":
        return lambda step, logs: die() if step == when else None
    return None


def attempt(folder: Path, kind: str = "", when: int = 0) -> bool:
    """Run in a child to the end or to its death; True if it was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            (folder / "result").write_text(train(folder, arm(kind, when)))
        finally:
            os._exit(0)
    if kind == "after microseconds":
        time.sleep(when / 1e6)
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def main(root: Path) -> dict:
    torch.set_num_threads(1)
    random_ = random.Random(2)
    (root / "whole").mkdir()
    began = time.monotonic()
    attempt(root / "whole")
    took = int(1e6 * (time.monotonic() - began))
    lives = [[("after step", random_.randrange(STEPS))] for _ in range(12)]
    lives += [[("after step", s) for s in (1, 5, 6, 7, 20)]]  # killed five times
    lives += [[("after microseconds", random_.randrange(took))] for _ in range(12)]
    for kind in ("half a file", "before fsync", "before a move"):
        lives += [[(kind, n)] for n in (1, 2, 3, 6)]
    found = []
    for i, kills in enumerate(lives):
        folder = root / str(i)
        folder.mkdir()
        killed = [attempt(folder, *kill) for kill in kills]
        (folder / "result").unlink(missing_ok=True)
        attempt(folder)
        result = (folder / "result").read_text()
        found.append({"kills": kills, "killed": killed, "result": result})
    return {"whole": (root / "whole" / "result").read_text(), "lives": found}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
